//! How protocols look: one colour and one shape each, the same in every figure.

use super::svg::{Element, area};

/// The style sheet of all figures: in the page, and in every saved picture.
pub(super) const FIGURE_CSS: &str = include_str!("figure.css");

/// The class that gives what is inside it the protocol's colour. Okabe and Ito's
/// palette is told apart with any colour vision.
pub(super) fn class_of(protocol: &str) -> &'static str {
    match protocol {
        "pbft" => "pbft",
        "pbft-mac" => "mac",
        "pbft-mac-requests" => "mac-requests",
        "ccro" => "ccro",
        "ccro-aggregate" => "aggregate",
        "ccro-paper" => "paper",
        _ => "other",
    }
}

/// Whether a protocol's lines are dashed, its bars hatched and its name starred: it
/// is not Byzantine-safe, and its numbers must not be taken for those of one that is.
pub(super) fn is_marked(protocol: &str) -> bool {
    protocol == "ccro-paper"
}

/// What a protocol does not give that the others do; it must stand beside its numbers.
pub(super) fn given_up(protocol: &str) -> Option<&'static str> {
    match protocol {
        "broadcast" => Some(
            "broadcast is another service: it orders the requests of each node, and not those of different nodes, so an account with two owners, or \
             a name for whoever comes first, cannot be had with it",
        ),
        "pbft-mac" => Some(
            "pbft-mac gives up what signatures prove: an answer by HTTP holds no evidence, a commander \
             that proposes two things cannot be shown to have done so, and a node that is behind needs the word of f+1 others",
        ),
        "pbft-mac-requests" => Some(
            "pbft-mac-requests gives up more than pbft-mac: a faulty client's request may be authentic for some nodes and not for others, \
             which makes them replace an honest commander",
        ),
        _ => None,
    }
}

/// The protocol's name, starred if it is marked.
pub(super) fn name_of(protocol: &str) -> String {
    if is_marked(protocol) { format!("{protocol} *") } else { protocol.to_string() }
}

/// The corners of an upright cross around a point.
const CROSS: [(f64, f64); 12] = [
    (-1.8, -4.8),
    (1.8, -4.8),
    (1.8, -1.8),
    (4.8, -1.8),
    (4.8, 1.8),
    (1.8, 1.8),
    (1.8, 4.8),
    (-1.8, 4.8),
    (-1.8, 1.8),
    (-4.8, 1.8),
    (-4.8, -1.8),
    (-1.8, -1.8),
];

/// The protocol's marker at a point: a disc, a triangle on its tip, a diamond, a cross, a square or a triangle on its base or on its side;
/// hollow where the value is not significant.
pub(super) fn marker(protocol: &str, (x, y): (f64, f64), filled: bool) -> Element {
    let class = if filled { "k" } else { "k o" };
    let shape = |corners: &[(f64, f64)]| {
        let corners = corners.iter().map(|(dx, dy)| (x + dx, y + dy));
        Element::new("path").class(class).with("d", area(corners))
    };
    match class_of(protocol) {
        "mac-requests" => shape(&[(-4.0, -4.6), (4.0, 0.0), (-4.0, 4.6)]),
        "mac" => shape(&[(-4.6, -3.6), (4.6, -3.6), (0.0, 4.8)]),
        "pbft" => Element::new("circle").class(class).at("cx", x).at("cy", y).at("r", 4.0),
        "ccro" => shape(&[(0.0, -5.0), (5.0, 0.0), (0.0, 5.0), (-5.0, 0.0)]),
        "aggregate" => shape(&CROSS),
        "paper" => shape(&[(-3.6, -3.6), (3.6, -3.6), (3.6, 3.6), (-3.6, 3.6)]),
        _ => shape(&[(0.0, -4.8), (4.6, 3.6), (-4.6, 3.6)]),
    }
}

/// Patterns that pictures fill areas with, once for each document.
pub(super) fn patterns() -> Element {
    let hatch = |id: &str, class: &str, turn: &str| {
        let tile = Element::new("pattern").with("id", id).with("patternUnits", "userSpaceOnUse");
        let tile = tile.at("width", 5.0).at("height", 5.0).with("patternTransform", turn);
        tile.child(Element::rect(class, (0.0, 0.0), (2.4, 5.0)))
    };
    Element::new("defs").child(hatch("hatch-timeout", "timeout-ink", "rotate(45)")).child(hatch(
        "hatch-error",
        "error-ink",
        "rotate(-45)",
    ))
}
