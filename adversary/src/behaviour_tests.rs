use super::*;

#[test]
fn every_text_form_reads_back_as_itself() {
    for text in [
        "offline",
        "malicious",
        "equivocate",
        "equivocate=victim",
        "equivocate=0;1",
        "equivocate=victim;0;3",
        "withhold",
        "partial",
        "partial=1;2",
        "ignore-gateway",
        "ignore-gateway=1;3",
        "gateway-last",
        "gateway-last=3",
        "gateway-last=60ms",
        "gateway-last=60ms;1;3",
        "small-batches",
        "small-batches[after=1000ms]",
        "delay=5ms",
        "delay=300us",
        "drop=0.1",
        "drop=0",
        "duplicate",
        "duplicate=0.25",
        "reorder",
        "reorder=50ms",
        "replay",
        "replay=1",
        "forge",
        "forge=signature",
        "forge=name",
        "forge=short",
        "forge=repeated",
        "forge=mixed",
        "amnesia",
        "diverge",
        "diverge[seq=7]",
        "bad-state",
        "bad-state=bit",
        "bad-state=extent",
        "bad-state=short",
        "bad-state=silence",
        "twins",
        "twins=2",
        "view-change-spam",
        "view-change-spam=20ms",
        "mac-attack",
        "mac-attack=20ms",
        "flood",
        "flood=50",
        "drop=0.5[seq=10..20]",
        "offline[after=2000ms][until=5000ms]",
        "twins[view=1..]",
        "withhold[seq=7]",
        "withhold[seq=..7]",
        "partial=1[to=1;2][kind=commit;prepare]",
    ] {
        assert_eq!(text.parse::<Behaviour>().unwrap().to_string(), text);
    }
    assert_eq!("delay=1s".parse(), Ok(Behaviour::from(Act::Delay(Micros(1_000_000)))));
    let halves = Act::Equivocate(Equivocation::default());
    assert_eq!("equivocate=halves".parse(), Ok(Behaviour::from(halves)));
    assert_eq!("equivocate=halves;1;0".parse::<Behaviour>().unwrap().to_string(), "equivocate=0;1");
}

#[test]
fn every_known_kind_can_be_given_by_its_name_alone() {
    let kinds = KNOWN.split("; each").next().unwrap().split(", ");
    // The forms of times have commas, too, and digits.
    let names: Vec<&str> = kinds
        .map(|form| form.split(['[', '=', ' ']).next().unwrap())
        .filter(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
        .collect();
    assert!(names.contains(&"offline") && names.contains(&"drop") && names.contains(&"flood"), "{names:?}");
    for name in names {
        assert!(name.parse::<Behaviour>().is_ok(), "{name}: {:?}", name.parse::<Behaviour>());
    }
    let default = |text: &str| text.parse::<Behaviour>().unwrap().to_string();
    assert_eq!(["delay", "drop", "partial"].map(default), ["delay=5ms", "drop=0.1", "partial"]);
}

#[test]
fn what_cannot_be_meant_is_refused_with_a_reason() {
    for (text, says) in [
        ("lazy", "known: offline"),
        ("lazy[seq=1]", "known: offline"),
        ("offline=1", "takes no argument"),
        ("equivocate=thirds", "halves or victim"),
        ("equivocate=victim;x", "halves or victim"),
        ("partial=", "partial=1;2"),
        ("partial=a", "partial=1;2"),
        ("ignore-gateway=x", "ignore-gateway=1;2"),
        ("gateway-last=", "gateway-last=300ms;1;2"),
        ("gateway-last=3;60ms", "gateway-last=300ms;1;2"),
        ("small-batches=1", "takes no argument"),
        ("delay=", "delay=5ms"),
        ("delay=-1ms", "delay=5ms"),
        ("delay=5", "delay=5ms"),
        ("drop=1.5", "from 0 to 1"),
        ("drop=NaN", "from 0 to 1"),
        ("duplicate=2", "from 0 to 1"),
        ("reorder=5", "reorder=50ms"),
        ("forge=badly", "signature, name, short"),
        ("diverge=1", "takes no argument"),
        ("bad-state=large", "bit, extent, short or silence"),
        ("twins=x", "twins=1;2"),
        ("flood=0", "from 1 to 1000000"),
        ("view-change-spam=0us", "one a millisecond"),
        ("mac-attack=999us", "one a millisecond"),
        ("offline[", "brackets of their own"),
        ("offline[seq=1]x", "brackets of their own"),
        ("offline[seq=1,to=2]", "view and seq take"),
        ("offline[seq=..]", "view and seq take"),
        ("offline[seq=5..5]", "is empty"),
        ("offline[after=2s][until=1s]", "is empty"),
        ("offline[after=2]", "take a time"),
        ("offline[to=]", "[to=1;2]"),
        ("offline[kind=]", "[kind=prepare;commit]"),
        ("offline[moon=full]", "[after=TIME]"),
        ("offline[seq=1][seq=2]", "given once"),
        ("twins[seq=1]", "time and view only"),
    ] {
        let message = text.parse::<Behaviour>().unwrap_err().to_string();
        assert!(message.contains(says), "{text}: {message}");
    }
}

#[test]
fn strangers_and_unknown_kinds_are_told() {
    let problem = |text: &str| text.parse::<Behaviour>().unwrap().problem(4, &["prepare", "commit"]);
    assert_eq!(problem("partial=1;3[to=0][kind=commit]"), None);
    for text in
        ["partial=4", "twins=4", "ignore-gateway=4", "gateway-last=1ms;4", "equivocate=0;4", "offline[to=4]"]
    {
        assert!(problem(text).is_some_and(|says| says.contains("0 to 3")), "{text}");
    }
    assert!(problem("drop=1[kind=comit]").is_some_and(|says| says.contains("known: prepare, commit")));
}
