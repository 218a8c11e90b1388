//! Charts of values over other values: curves, points with their intervals, and the
//! name of each series at its end.

use super::figure::{PANEL_WIDTH, Panel};
use super::scale::Scale;
use super::style::{class_of, is_marked, marker};
use super::svg::{Element, area};

const LEFT: f64 = 46.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 38.0;
/// Least distance of two names.
const LINE: f64 = 13.0;

/// A panel with two axes.
pub(super) struct LineChart {
    /// What sets the panel apart.
    pub(super) title: String,
    pub(super) x: Scale,
    pub(super) x_title: String,
    pub(super) y: Scale,
    pub(super) y_title: String,
    /// Of the whole panel, in pixels.
    pub(super) height: f64,
    /// Room for the names at the right end.
    pub(super) names: f64,
    /// Moments to mark, each with its name.
    pub(super) verticals: Vec<(f64, String)>,
    pub(super) series: Vec<Series>,
}

/// What belongs together in a chart.
pub(super) struct Series {
    pub(super) protocol: String,
    /// What stands at its end; nothing if empty.
    pub(super) name: String,
    pub(super) points: Vec<Point>,
    pub(super) shape: Shape,
}

/// How a series is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A line with a band; markers where a point has a tip.
    Curve,
    /// Markers with intervals, joined by a line from three points on: a line through
    /// two would suggest a course that nobody has measured.
    Points,
    /// A thin line without markers: what a formula gives.
    Formula,
    /// Red strokes at the upper edge, wherever a point is.
    Strokes,
}

/// A value with its interval.
#[derive(Clone, Default)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) interval: Option<(f64, f64)>,
    /// What the pointer brings up; nothing if empty.
    pub(super) tip: String,
}

impl LineChart {
    /// The panel as a picture.
    pub(super) fn draw(&self) -> Panel {
        let mut content = Element::group("").child(Element::text("h", (0.0, 13.0), &self.title));
        content.push(self.axes());
        content.push(self.marked_moments());
        for series in &self.series {
            content.push(self.series(series));
        }
        content.push(self.series_names());
        Panel { title: self.title.clone(), height: self.height, content }
    }

    fn right(&self) -> f64 {
        PANEL_WIDTH - self.names
    }

    fn bottom(&self) -> f64 {
        self.height - BOTTOM
    }

    fn place(&self, x: f64, y: f64) -> (f64, f64) {
        let (left, bottom) = (LEFT, self.bottom());
        (left + self.x.place(x) * (self.right() - left), bottom - self.y.place(y) * (bottom - TOP))
    }

    fn axes(&self) -> Element {
        let mut axes = Element::group("");
        let (bottom, right) = (self.bottom(), self.right());
        for (value, label) in &self.y.ticks {
            let (_, y) = self.place(0.0, *value);
            axes.push(Element::line("g", (LEFT, y), (right, y)));
            axes.push(Element::text("m e", (LEFT - 5.0, y + 4.0), label));
        }
        axes.push(Element::line("x", (LEFT, bottom), (right, bottom)));
        let mut free_from = f64::MIN;
        for (value, label) in &self.x.ticks {
            let (x, _) = self.place(*value, 0.0);
            axes.push(Element::line("x", (x, bottom), (x, bottom + 3.0)));
            let half = label.chars().count() as f64 * 3.2;
            if x - half > free_from {
                axes.push(Element::text("m c", (x, bottom + 14.0), label));
                free_from = x + half + 3.0;
            }
        }
        axes.push(Element::text("m c", ((LEFT + right) / 2.0, bottom + 30.0), &self.x_title));
        let (x, y) = (11.0, (TOP + bottom) / 2.0);
        let upwards = format!("rotate(-90 {x} {y:.0})");
        axes.child(Element::text("m c", (x, y), &self.y_title).with("transform", upwards))
    }

    /// Dashed lines, each with its name if there is room beside the last one.
    fn marked_moments(&self) -> Element {
        let mut drawn = Element::group("");
        let mut free_from = f64::MIN;
        for (value, name) in &self.verticals {
            let (x, _) = self.place(*value, 0.0);
            drawn.push(Element::line("ref", (x, TOP - 2.0), (x, self.bottom())).tip(name));
            if x >= free_from {
                drawn.push(Element::text("m", (x, TOP - 4.0), name));
                free_from = x + name.chars().count() as f64 * 6.0 + 8.0;
            }
        }
        drawn
    }

    fn series(&self, series: &Series) -> Element {
        let mut drawn = Element::group(class_of(&series.protocol));
        let at = |point: &Point| self.place(point.x, point.y);
        let line = |class: &str| Element::polyline(class, series.points.iter().map(at));
        let dashed = is_marked(&series.protocol);
        match series.shape {
            Shape::Formula => return drawn.child(line("l curve")),
            Shape::Strokes => {
                let stroke = |point: &Point| {
                    let (x, _) = at(point);
                    Element::line("late", (x, TOP), (x, TOP + 8.0)).tip(&point.tip)
                };
                return drawn.children(series.points.iter().map(stroke));
            }
            Shape::Curve => {
                drawn.push(self.band(series));
                drawn.push(line(if dashed { "l j" } else { "l" }));
            }
            Shape::Points => {
                if series.points.len() > 2 {
                    drawn.push(line(if dashed { "l thin j" } else { "l thin" }));
                }
                for point in &series.points {
                    if let Some((low, high)) = point.interval {
                        let ends = (self.place(point.x, low), self.place(point.x, high));
                        drawn.push(Element::line("l w", ends.0, ends.1));
                    }
                }
            }
        }
        for point in series.points.iter().filter(|point| !point.tip.is_empty()) {
            let (x, y) = at(point);
            let hit = Element::new("circle").class("hit").at("cx", x).at("cy", y).at("r", 9.0);
            let spot = marker(&series.protocol, (x, y), true);
            drawn.push(Element::group("").tip(&point.tip).child(hit).child(spot));
        }
        drawn
    }

    fn band(&self, series: &Series) -> Element {
        let with = |end: fn((f64, f64)) -> f64| {
            let ends = series.points.iter().filter_map(move |p| Some((p.x, end(p.interval?))));
            ends.map(|(x, y)| self.place(x, y)).collect::<Vec<_>>()
        };
        let (low, high) = (with(|interval| interval.0), with(|interval| interval.1));
        if low.len() < 2 {
            return Element::group("");
        }
        Element::new("path").class("a band").with("d", area(low.into_iter().chain(high.into_iter().rev())))
    }

    /// The names at the right, each as near to the end of its line as the others let it.
    fn series_names(&self) -> Element {
        let mut names: Vec<(f64, f64, &Series)> = self
            .series
            .iter()
            .filter(|series| !series.name.is_empty())
            .filter_map(|series| {
                let last = series.points.last()?;
                let (x, y) = self.place(last.x, last.y);
                Some((x, y, series))
            })
            .collect();
        names.sort_by(|a, b| a.1.total_cmp(&b.1));
        let heights: Vec<f64> = names.iter().map(|name| name.1).collect();
        let heights = spread(&heights, LINE, (TOP, self.bottom()));
        let drawn = names.iter().zip(heights).map(|((x, _, series), y)| {
            let text = Element::text("n", (x + 9.0, y + 4.0), &series.name);
            Element::group(class_of(&series.protocol)).child(text)
        });
        Element::group("").children(drawn)
    }
}

/// Ascending places moved apart until each is `distance` from the next, inside the
/// given bounds if they have room for all, and as little as that needs.
pub(super) fn spread(places: &[f64], distance: f64, (low, high): (f64, f64)) -> Vec<f64> {
    let mut moved = places.to_vec();
    for i in 0..moved.len() {
        let least = if i == 0 { low } else { moved[i - 1] + distance };
        moved[i] = moved[i].max(least);
    }
    let mut most = high;
    for place in moved.iter_mut().rev() {
        *place = place.min(most);
        most = *place - distance;
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(protocol: &str, shape: Shape, places: &[(f64, f64)]) -> Series {
        let point = |(x, y): &(f64, f64)| Point {
            x: *x,
            y: *y,
            interval: Some((y * 0.9, y * 1.1)),
            tip: format!("{protocol} at {x}: {y}"),
        };
        Series {
            protocol: protocol.into(),
            name: protocol.into(),
            points: places.iter().map(point).collect(),
            shape,
        }
    }

    fn chart(series: Vec<Series>) -> String {
        let chart = LineChart {
            title: "no faults".into(),
            x: Scale::linear(4.0, 10.0, 3),
            x_title: "n".into(),
            y: Scale::from_zero(100.0, 4),
            y_title: "messages".into(),
            height: 240.0,
            names: 80.0,
            verticals: vec![(5.0, "kill 0".into())],
            series,
        };
        chart.draw().inline("messages")
    }

    #[test]
    fn two_points_are_never_joined() {
        let two = chart(vec![series("pbft", Shape::Points, &[(4.0, 24.0), (7.0, 84.0)])]);
        assert!(!two.contains("<path class=\"l"), "{two}");
        let three = chart(vec![series("pbft", Shape::Points, &[(4.0, 24.0), (7.0, 84.0), (10.0, 90.0)])]);
        assert!(three.contains("<path class=\"l thin\""));
        let paper =
            chart(vec![series("ccro-paper", Shape::Points, &[(4.0, 24.0), (7.0, 84.0), (10.0, 90.0)])]);
        assert!(paper.contains("<path class=\"l thin j\""), "dashed");
    }

    #[test]
    fn values_intervals_and_names_are_there() {
        let text = chart(vec![
            series("pbft", Shape::Points, &[(4.0, 24.0), (7.0, 84.0)]),
            series("ccro", Shape::Curve, &[(4.0, 8.0), (7.0, 17.0)]),
            series("pbft", Shape::Formula, &[(4.0, 24.0), (7.0, 84.0)]),
        ]);
        let page = roxmltree::Document::parse(&text).unwrap();
        let tips = page.descendants().filter(|n| n.has_tag_name("title")).count();
        assert_eq!(tips, 2 + 2 + 1, "points and the marked moment; a formula has no values of its own");
        assert_eq!(text.matches("class=\"l w\"").count(), 2);
        assert_eq!(text.matches("a band").count(), 1);
        assert_eq!(text.matches(">pbft</text>").count(), 2);
    }

    #[test]
    fn names_move_apart_and_stay_inside() {
        assert_eq!(spread(&[10.0, 50.0], 13.0, (0.0, 100.0)), [10.0, 50.0]);
        assert_eq!(spread(&[10.0, 12.0, 12.0], 13.0, (0.0, 100.0)), [10.0, 23.0, 36.0]);
        assert_eq!(spread(&[95.0, 99.0], 13.0, (0.0, 100.0)), [87.0, 100.0]);
        assert!(spread(&[], 13.0, (0.0, 1.0)).is_empty());
    }
}
