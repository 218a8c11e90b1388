//! Faults and counts in words.

/// A fault as people say it: `offline:2` of 7 nodes is "f = 2 offline". What has
/// arguments or conditions is shown as it was given.
pub(super) fn fault_words(fault: &str, nodes: u32) -> String {
    let one = |part: &str| single(part, nodes).unwrap_or_else(|| part.to_string());
    match fault {
        "none" => "no faults".into(),
        _ => fault.split('+').map(one).collect::<Vec<_>>().join(" + "),
    }
}

/// The class of faults that a cell belongs to, whatever its number of nodes:
/// `offline:1` of 4 and `offline:2` of 7 are both "f offline".
pub(super) fn fault_class(fault: &str, nodes: u32) -> String {
    let words = fault_words(fault, nodes);
    match words.strip_prefix("f = ").and_then(|rest| rest.split_once(' ')) {
        Some((_, rest)) if !fault.contains('+') => format!("f {rest}"),
        _ => words,
    }
}

fn single(fault: &str, nodes: u32) -> Option<String> {
    Some(match plain(fault, nodes)? {
        Plain::Counted { count, word, is_f: true } => format!("f = {count} {word}"),
        Plain::Counted { count, word, is_f: false } => format!("{count} {word}"),
        // Node 0 is the commander of the first view.
        Plain::Named { ids, word } if ids == [0] => format!("{word} commander"),
        Plain::Named { ids, word } => match ids.as_slice() {
            [id] => format!("{word} node {id}"),
            ids => format!("{word} nodes {}", join_ids(ids)),
        },
    })
}

/// A fault inside a sentence, after "with": "f = 2 offline nodes", "an equivocating
/// commander".
pub(super) fn fault_phrase(fault: &str, nodes: u32) -> String {
    let one = |part: &str| match plain(part, nodes) {
        Some(Plain::Counted { count, word, is_f }) => {
            let noun = if count == 1 { "node" } else { "nodes" };
            format!("{}{count} {word} {noun}", if is_f { "f = " } else { "" })
        }
        Some(Plain::Named { ids, word }) => match ids.as_slice() {
            [0] => format!("{} {word} commander", article(word)),
            [id] => format!("{word} node {id}"),
            ids => format!("{word} nodes {}", join_ids(ids)),
        },
        None => part.to_string(),
    };
    match fault {
        "none" => "no faults".into(),
        _ => fault.split('+').map(one).collect::<Vec<_>>().join(" and "),
    }
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

fn join_ids(ids: &[u32]) -> String {
    ids.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

/// A fault without arguments and conditions.
enum Plain {
    Counted { count: u32, word: &'static str, is_f: bool },
    Named { ids: Vec<u32>, word: &'static str },
}

fn plain(fault: &str, nodes: u32) -> Option<Plain> {
    if let Some((kind, count)) = fault.split_once(':')
        && let (Some(word), Ok(count)) = (adjective(kind), count.parse::<u32>())
    {
        return Some(Plain::Counted { count, word, is_f: count == nodes.saturating_sub(1) / 3 });
    }
    let (kind, ids) = fault.split_once('@')?;
    let word = adjective(kind)?;
    let ids: Option<Vec<u32>> = ids.split([',', ';']).map(|id| id.parse().ok()).collect();
    Some(Plain::Named { ids: ids?, word })
}

fn adjective(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "offline" => "offline",
        "crash" => "crashed",
        "malicious" => "malicious",
        "equivocate" => "equivocating",
        "withhold" => "silent",
        "diverge" => "diverging",
        _ => return None,
    })
}

/// `1 request`, `2 requests`, with thousands set apart.
pub(super) fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", super::scale::number(number as f64))
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Lines of at most `width` characters, broken at spaces and at `+`; a longer word is
/// broken anywhere. At most `most` lines: what does not fit is cut with an ellipsis.
pub(super) fn wrap(text: &str, width: usize, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut length = 0;
    for word in text.split_inclusive([' ', '+']) {
        let characters = word.chars().count();
        if length > 0 && length + word.trim_end().chars().count() > width {
            lines.push(String::new());
            length = 0;
        }
        for (place, character) in word.chars().enumerate() {
            if length >= width && place < characters && character != ' ' {
                lines.push(String::new());
                length = 0;
            }
            if let Some(line) = lines.last_mut() {
                line.push(character);
            }
            length += 1;
        }
    }
    if lines.len() > most {
        lines.truncate(most.max(1));
        if let Some(last) = lines.last_mut() {
            *last = last.chars().take(width.saturating_sub(1)).collect::<String>() + "…";
        }
    }
    lines.iter().map(|line| line.trim_end().to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_said_in_words_where_they_are_plain() {
        assert_eq!(fault_words("none", 4), "no faults");
        assert_eq!(fault_words("offline:1", 4), "f = 1 offline");
        assert_eq!(fault_words("offline:2", 4), "2 offline");
        assert_eq!(fault_words("equivocate@0", 7), "equivocating commander");
        assert_eq!(fault_words("withhold@1", 7), "silent node 1");
        assert_eq!(fault_words("malicious@2;3", 7), "malicious nodes 2, 3");
        assert_eq!(fault_words("malicious:1+drop=0.5:1", 7), "1 malicious + drop=0.5:1");
        assert_eq!(fault_words("drop=0.5[seq=10..20]:1", 7), "drop=0.5[seq=10..20]:1");
        assert_eq!(fault_words("offline:x", 4), "offline:x");
    }

    #[test]
    fn faults_fit_into_sentences() {
        assert_eq!(fault_phrase("malicious:2", 7), "f = 2 malicious nodes");
        assert_eq!(fault_phrase("offline:1", 7), "1 offline node");
        assert_eq!(fault_phrase("equivocate@0", 7), "an equivocating commander");
        assert_eq!(fault_phrase("withhold@1", 7), "silent node 1");
        assert_eq!(fault_phrase("offline:1+drop=0.5:1", 4), "f = 1 offline node and drop=0.5:1");
    }

    #[test]
    fn as_many_as_tolerated_are_one_class() {
        assert_eq!(fault_class("offline:1", 4), "f offline");
        assert_eq!(fault_class("offline:2", 7), "f offline");
        assert_eq!(fault_class("offline:1", 7), "1 offline");
        assert_eq!(fault_class("equivocate@0", 7), "equivocating commander");
    }

    #[test]
    fn long_labels_are_broken_and_cut() {
        assert_eq!(wrap("equivocating commander", 14, 2), ["equivocating", "commander"]);
        assert_eq!(wrap("short", 14, 2), ["short"]);
        assert_eq!(wrap("abcdefghij", 4, 3), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("abcdefghijklmnop", 4, 2), ["abcd", "efg…"]);
        assert_eq!(wrap("a+b", 14, 2), ["a+b"]);
        assert_eq!(wrap("", 4, 2), [""]);
    }

    #[test]
    fn counts_and_lists_read_as_sentences() {
        assert_eq!((count(1, "request"), count(2, "request")), ("1 request".into(), "2 requests".into()));
        let items = ["a", "b", "c"].map(String::from);
        assert_eq!((list(&items[..1]), list(&items[..2])), ("a".into(), "a and b".into()));
        assert_eq!(list(&items), "a, b and c");
    }
}
