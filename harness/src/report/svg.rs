//! SVG elements as a tree: what is written is always well-formed, and every
//! text in it is escaped.

use std::fmt::{self, Write as _};

/// An element with its attributes and what is inside it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    children: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Element(Element),
    Text(String),
    /// A style sheet of ours, which is no user's text.
    Style(&'static str),
}

impl Element {
    /// An element without attributes.
    pub(super) fn new(name: &'static str) -> Self {
        Element { name, attributes: Vec::new(), children: Vec::new() }
    }

    /// A group of this class.
    pub(super) fn group(class: &str) -> Self {
        Element::new("g").class(class)
    }

    /// A straight line.
    pub(super) fn line(class: &str, from: (f64, f64), to: (f64, f64)) -> Self {
        let (x1, y1, x2, y2) = (from.0, from.1, to.0, to.1);
        Element::new("line").class(class).at("x1", x1).at("y1", y1).at("x2", x2).at("y2", y2)
    }

    /// A filled rectangle from its upper left corner.
    pub(super) fn rect(class: &str, (x, y): (f64, f64), (width, height): (f64, f64)) -> Self {
        let rect = Element::new("rect").class(class).at("x", x).at("y", y);
        rect.at("width", width.max(0.0)).at("height", height.max(0.0))
    }

    /// A line through these points.
    pub(super) fn polyline(class: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Element::new("path").class(class).with("d", path(points))
    }

    /// A text whose baseline begins, ends or is centred at a point, as its class says.
    pub(super) fn text(class: &str, (x, y): (f64, f64), text: &str) -> Self {
        Element::new("text").class(class).at("x", x).at("y", y).with_text(text)
    }

    /// Adds an attribute.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.attributes.push((name, value.into()));
        self
    }

    /// Adds an attribute that is a number.
    pub(super) fn at(self, name: &'static str, value: f64) -> Self {
        self.with(name, number(value))
    }

    /// Adds a class attribute unless it is empty.
    pub(super) fn class(self, class: &str) -> Self {
        if class.is_empty() { self } else { self.with("class", class) }
    }

    /// Adds a text inside.
    pub(super) fn with_text(mut self, text: &str) -> Self {
        self.children.push(Node::Text(text.to_string()));
        self
    }

    /// Adds a style sheet of ours.
    pub(super) fn with_style(mut self, css: &'static str) -> Self {
        self.children.push(Node::Element(Element {
            name: "style",
            attributes: Vec::new(),
            children: vec![Node::Style(css)],
        }));
        self
    }

    /// Adds what browsers show when the pointer rests on the element.
    pub(super) fn tip(mut self, text: &str) -> Self {
        self.children.insert(0, Node::Element(Element::new("title").with_text(text)));
        self
    }

    /// Adds an element inside.
    pub(super) fn child(mut self, child: Element) -> Self {
        self.push(child);
        self
    }

    /// Adds elements inside.
    pub(super) fn children(mut self, children: impl IntoIterator<Item = Element>) -> Self {
        self.children.extend(children.into_iter().map(Node::Element));
        self
    }

    /// Adds an element inside.
    pub(super) fn push(&mut self, child: Element) {
        self.children.push(Node::Element(child));
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}", self.name)?;
        for (name, value) in &self.attributes {
            write!(f, " {name}=\"{}\"", escape(value))?;
        }
        if self.children.is_empty() {
            return f.write_str("/>");
        }
        f.write_char('>')?;
        for child in &self.children {
            match child {
                Node::Element(element) => element.fmt(f)?,
                Node::Text(text) => f.write_str(&escape(text))?,
                Node::Style(css) => f.write_str(css)?,
            }
        }
        write!(f, "</{}>", self.name)
    }
}

/// A path through these points.
pub(super) fn path(points: impl IntoIterator<Item = (f64, f64)>) -> String {
    let mut data = String::new();
    for (x, y) in points {
        let command = if data.is_empty() { 'M' } else { 'L' };
        // Writing to a String cannot fail.
        let _ = write!(data, "{command}{} {}", number(x), number(y));
    }
    data
}

/// A closed area through these points.
pub(super) fn area(points: impl IntoIterator<Item = (f64, f64)>) -> String {
    path(points) + "Z"
}

/// A place in a picture: a tenth of a pixel is exact enough.
fn number(value: f64) -> String {
    let tenths = (value * 10.0).round();
    // Nothing that is drawn may be at a place that is no number.
    let tenths = if tenths.is_finite() { tenths } else { 0.0 };
    if tenths % 10.0 == 0.0 { format!("{}", (tenths / 10.0) as i64) } else { format!("{}", tenths / 10.0) }
}

/// The text with everything replaced that XML does not take literally, or not at all.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_nested_and_numbers_short() {
        let text = Element::text("t", (1.04, -2.0), "a").tip("hint");
        let group = Element::group("pbft").child(text).child(Element::line("", (0.0, 0.25), (f64::NAN, 3.0)));
        assert_eq!(
            group.to_string(),
            r#"<g class="pbft"><text class="t" x="1" y="-2"><title>hint</title>a</text><line x1="0" y1="0.3" x2="0" y2="3"/></g>"#
        );
        assert_eq!(path([(0.0, 1.0), (2.5, 3.0)]), "M0 1L2.5 3");
    }

    #[test]
    fn any_text_stays_text() {
        let odd = "drop<0.5>&\"x'\u{0}\u{1b}]]>\n";
        let text = Element::new("text").with("aria-label", odd).with_text(odd).to_string();
        let parsed = roxmltree::Document::parse(&text).unwrap();
        let expected = "drop<0.5>&\"x'\u{fffd}\u{fffd}]]> ";
        assert_eq!(parsed.root_element().text(), Some(expected));
        assert_eq!(parsed.root_element().attribute("aria-label"), Some(expected));
    }
}
