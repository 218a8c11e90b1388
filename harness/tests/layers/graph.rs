//! Which file of a crate uses which other, read from the source.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A module by its path inside the crate; the root is empty.
pub(crate) type Module = Vec<String>;

/// One use of a module by another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrow {
    /// The module that uses …
    pub(crate) from: Module,
    /// … this one.
    pub(crate) to: Module,
    /// Whether only tests do so.
    pub(crate) in_test: bool,
}

/// All arrows between the files below `src`.
pub(crate) fn arrows(src: &Path) -> BTreeSet<Arrow> {
    let mut files = BTreeMap::new();
    read_folder(src, &Module::new(), &mut files);
    let graph = Graph { files };
    let mut arrows = BTreeSet::new();
    for (module, file) in &graph.files {
        for mention in &file.mentions {
            let to = graph.target(&graph.absolute(&mention.place, module, &mention.path));
            if let Some(to) = to.filter(|to| to != module) {
                arrows.insert(Arrow { from: module.clone(), to, in_test: mention.in_test });
            }
        }
    }
    arrows
}

/// A circle of files, if there is one. What a file takes from the `mod.rs` of a folder
/// that it is in does not count, nor do tests.
pub(crate) fn circle(arrows: &BTreeSet<Arrow>) -> Option<Vec<Module>> {
    let mut next: BTreeMap<&Module, Vec<&Module>> = BTreeMap::new();
    for arrow in arrows.iter().filter(|arrow| !arrow.in_test && !arrow.from.starts_with(&arrow.to)) {
        next.entry(&arrow.from).or_default().push(&arrow.to);
    }
    let mut done = BTreeSet::new();
    next.keys().find_map(|start| walk(start, &next, &mut Vec::new(), &mut done))
}

fn walk<'a>(
    at: &'a Module,
    next: &BTreeMap<&'a Module, Vec<&'a Module>>,
    path: &mut Vec<&'a Module>,
    done: &mut BTreeSet<&'a Module>,
) -> Option<Vec<Module>> {
    if let Some(begin) = path.iter().position(|module| *module == at) {
        return Some(path[begin..].iter().map(|module| (*module).clone()).collect());
    }
    if done.contains(at) {
        return None;
    }
    path.push(at);
    let found = next.get(at).into_iter().flatten().find_map(|to| walk(to, next, path, done));
    path.pop();
    done.insert(at);
    found
}

/// A path that is mentioned somewhere in a file.
struct Mention {
    /// The module of the mention: that of the file, or one inside it.
    place: Module,
    path: Vec<String>,
    in_test: bool,
}

#[derive(Default)]
struct File {
    mentions: Vec<Mention>,
    /// Names that `use` brings into the file, with the paths behind them.
    imported: BTreeMap<String, Vec<String>>,
    /// Those of them that others can take from here.
    exported: BTreeSet<String>,
}

struct Graph {
    files: BTreeMap<Module, File>,
}

impl Graph {
    /// A mentioned path from the root of the crate; empty for one into another crate.
    fn absolute(&self, place: &Module, file: &Module, path: &[String]) -> Module {
        let Some((first, rest)) = path.split_first() else { return Module::new() };
        match first.as_str() {
            "crate" => rest.to_vec(),
            "self" => [place, rest].concat(),
            "super" => {
                let above = place[..place.len().saturating_sub(1)].to_vec();
                match rest.first().map(String::as_str) {
                    Some("super") => self.absolute(&above, file, rest),
                    _ => [&above, rest].concat(),
                }
            }
            _ if self.files.contains_key(&[file, &path[..1]].concat()) => [file, path].concat(),
            _ => match self.files.get(file).and_then(|file| file.imported.get(first)) {
                // A name that is imported under itself leads out of the crate.
                Some(behind) if behind.first() != Some(first) => {
                    self.absolute(file, file, &[behind, rest].concat())
                }
                _ => Module::new(),
            },
        }
    }

    /// The file that defines what a path from the root leads to.
    fn target(&self, path: &[String]) -> Option<Module> {
        let length = (1..=path.len()).rev().find(|length| self.files.contains_key(&path[..*length]))?;
        let (module, rest) = (path[..length].to_vec(), &path[length..]);
        let file = &self.files[&module];
        match rest.first().filter(|name| file.exported.contains(*name)) {
            Some(name) => {
                let behind = self.absolute(&module, &module, &file.imported[name]);
                self.target(&behind).or(Some(module))
            }
            None => Some(module),
        }
    }
}

fn read_folder(folder: &Path, module: &Module, files: &mut BTreeMap<Module, File>) {
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        let own = match stem.as_str() {
            "lib" | "mod" => module.clone(),
            _ => [module.as_slice(), std::slice::from_ref(&stem)].concat(),
        };
        if path.is_dir() {
            read_folder(&path, &own, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a readable file");
            let file = read_file(&text, &own);
            files.insert(own, file);
        }
    }
}

/// The words and marks of a source text, without comments and literals; `::` is one
/// mark, every other is one character.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let at = |place: usize| chars.get(place).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let mut place = 0;
    while place < chars.len() {
        let (this, next) = (chars[place], at(place + 1));
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        if this == '/' && next == '/' {
            while place < chars.len() && chars[place] != '\n' {
                place += 1;
            }
        } else if this == 'r'
            && (next == '"' || (next == '#' && (at(place + 2) == '"' || at(place + 2) == '#')))
        {
            let hashes = (place + 1..).take_while(|i| at(*i) == '#').count();
            place += hashes + 2;
            let is_end = |from: usize| at(from) == '"' && (1..=hashes).all(|more| at(from + more) == '#');
            while place < chars.len() && !is_end(place) {
                place += 1;
            }
            place += hashes + 1;
        } else if this == '"' {
            place += 1;
            while place < chars.len() && chars[place] != '"' {
                place += if chars[place] == '\\' { 2 } else { 1 };
            }
            place += 1;
        } else if this == '\'' && (next == '\\' || at(place + 2) == '\'') {
            place += if next == '\\' { 3 } else { 2 };
            while at(place) != '\'' && place < chars.len() {
                place += 1;
            }
            place += 1;
        } else if is_word(this) {
            let end = (place..).find(|i| !is_word(at(*i))).unwrap_or(chars.len());
            tokens.push(chars[place..end].iter().collect());
            place = end;
        } else if this == ':' && next == ':' {
            tokens.push("::".to_owned());
            place += 2;
        } else {
            if !this.is_whitespace() {
                tokens.push(this.to_string());
            }
            place += 1;
        }
    }
    tokens
}

/// What one file mentions, imports and exports.
fn read_file(text: &str, module: &Module) -> File {
    let tokens = tokens(text);
    let mut file = File::default();
    let mut reader = Reader { tokens: &tokens, place: module.clone(), at: 0, in_test: false };
    // Modules inside the file that are open, with the depth at which each ends.
    let (mut depth, mut inner): (usize, Vec<(usize, bool)>) = (0, Vec::new());
    while reader.at < tokens.len() {
        let before = |back: usize| reader.at.checked_sub(back).map_or("", |at| tokens[at].as_str());
        match reader.token(0) {
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                if let Some((_, was_in_test)) = inner.pop_if(|(ends, _)| *ends == depth) {
                    reader.place.pop();
                    reader.in_test = was_in_test;
                }
            }
            "mod" if reader.token(2) == "{" => {
                inner.push((depth, reader.in_test));
                reader.in_test |=
                    (1..12).map(before).collect::<Vec<_>>().starts_with(&["]", ")", "test", "(", "cfg"]);
                reader.place.push(reader.token(1).to_owned());
                reader.at += 1;
            }
            "use" if before(1) != "+" => {
                let exported = before(1) == "pub" || before(1) == ")";
                reader.at += 1;
                reader.import(&[], exported, &mut file);
            }
            word if reader.token(1) == "::" && ![".", "::"].contains(&before(1)) => {
                let mut path = vec![word.to_owned()];
                while reader.token(1) == "::" && is_name(reader.token(2)) {
                    path.push(reader.token(2).to_owned());
                    reader.at += 2;
                }
                file.mentions.push(reader.mention(path));
            }
            _ => {}
        }
        reader.at += 1;
    }
    file
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// A place in the tokens of a file.
struct Reader<'a> {
    tokens: &'a [String],
    place: Module,
    at: usize,
    in_test: bool,
}

impl Reader<'_> {
    fn token(&self, ahead: usize) -> &str {
        self.tokens.get(self.at + ahead).map_or("", String::as_str)
    }

    fn mention(&self, path: Vec<String>) -> Mention {
        Mention { place: self.place.clone(), path, in_test: self.in_test }
    }

    /// Reads the tree of a `use` from here to its end.
    fn import(&mut self, before: &[String], exported: bool, file: &mut File) {
        let mut path = before.to_vec();
        loop {
            match self.token(0) {
                "{" => {
                    self.at += 1;
                    while self.token(0) != "}" && self.at < self.tokens.len() {
                        self.import(&path, exported, file);
                        self.at += usize::from(self.token(0) == ",");
                    }
                    self.at += 1;
                    return;
                }
                "*" => {
                    self.at += 1;
                    return file.mentions.push(self.mention(path));
                }
                "::" => self.at += 1,
                "self" if !path.is_empty() => self.at += 1,
                name if is_name(name) && name != "as" => {
                    path.push(name.to_owned());
                    self.at += 1;
                }
                _ => break,
            }
        }
        let mut name = path.last().cloned().unwrap_or_default();
        if self.token(0) == "as" {
            name = self.token(1).to_owned();
            self.at += 2;
        }
        if exported {
            file.exported.insert(name.clone());
        }
        file.imported.insert(name, path.clone());
        file.mentions.push(self.mention(path));
    }
}
