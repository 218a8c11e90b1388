//! Axes, lines, bars and legends: the little that the plots need on top of
//! plotters' SVG backend, which measures text only roughly. Everything is
//! placed in pixels.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// What one draws on.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

pub(super) const TEXT: RGBColor = RGBColor(0x22, 0x22, 0x22);
pub(super) const MUTED: RGBColor = RGBColor(0x66, 0x66, 0x66);
pub(super) const GRID: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);
pub(super) const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xff);

/// The colour of a protocol, the same in every plot (Okabe and Ito's palette,
/// told apart with any colour vision).
pub(super) fn protocol_colour(protocol: &str) -> RGBColor {
    match protocol {
        "pbft" => RGBColor(0x00, 0x72, 0xb2),
        "ccro" => RGBColor(0xd5, 0x5e, 0x00),
        "ccro-paper" => RGBColor(0xcc, 0x79, 0xa7),
        _ => RGBColor(0x00, 0x9e, 0x73),
    }
}

/// Whether a protocol's lines are dashed and its bars hatched: it is not
/// Byzantine-safe, and its numbers must not be taken for those of one that is.
pub(super) fn is_marked(protocol: &str) -> bool {
    protocol == "ccro-paper"
}

/// One entry of a legend.
pub(super) struct Key {
    pub(super) label: String,
    pub(super) colour: RGBColor,
    pub(super) marked: bool,
    pub(super) line: bool,
}

impl Key {
    /// The entry of a protocol.
    pub(super) fn protocol(protocol: &str, line: bool) -> Self {
        Key {
            label: protocol.to_string(),
            colour: protocol_colour(protocol),
            marked: is_marked(protocol),
            line,
        }
    }

    /// A plain box.
    pub(super) fn colour(label: &str, colour: RGBColor) -> Self {
        Key { label: label.to_string(), colour, marked: false, line: false }
    }
}

/// A scale from values to places, with the ticks on it.
pub(super) struct Axis {
    low: f64,
    high: f64,
    log: bool,
    pub(super) ticks: Vec<(f64, String)>,
    pub(super) title: String,
}

impl Axis {
    /// From zero to a round number at or above `max`.
    pub(super) fn from_zero(max: f64, title: &str) -> Self {
        let max = if max.is_finite() && max > 0.0 { max } else { 1.0 };
        let step = round_step(max / 5.0);
        let count = (max / step - 1e-9).ceil().max(1.0);
        let ticks = (0..=count as u32).map(|i| (f64::from(i) * step, number(f64::from(i) * step))).collect();
        Axis { low: 0.0, high: count * step, log: false, ticks, title: title.to_string() }
    }

    /// Logarithmic, a little beyond the given values on both sides.
    pub(super) fn log(min: f64, max: f64, title: &str) -> Self {
        let min = if min.is_finite() && min > 0.0 { min } else { 0.001 };
        let max = max.max(min);
        let (low, high) = (min / 1.25, max * 1.25);
        let steps: &[f64] = match (high / low).log10() {
            decades if decades < 1.2 => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0],
            decades if decades < 3.0 => &[1.0, 2.0, 5.0],
            _ => &[1.0],
        };
        let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
        let ticks = decades
            .flat_map(|d| steps.iter().map(move |s| s * 10f64.powi(d)))
            .filter(|v| (low..=high).contains(v))
            .map(|v| (v, number(v)))
            .collect();
        Axis { low, high, log: true, ticks, title: title.to_string() }
    }

    /// Ticks exactly at these values, with room on both sides.
    pub(super) fn at_values(values: &[f64], log: bool, title: &str) -> Self {
        let (min, max) = bounds(values.iter().copied()).unwrap_or((0.0, 1.0));
        let ticks = values.iter().map(|v| (*v, number(*v))).collect();
        let log = log && min > 0.0;
        let (low, high) = if log {
            (min / 1.15, max * 1.15)
        } else {
            let room = ((max - min) * 0.06).max(0.5);
            (min - room, max + room)
        };
        Axis { low, high, log, ticks, title: title.to_string() }
    }

    /// Percentiles of `count` values at `1 / (1 - p)`, logarithmic: every
    /// decade is another nine.
    pub(super) fn percentiles(count: usize, title: &str) -> Self {
        let high = (count as f64).max(10.0) * 1.15;
        let mut ticks = vec![(1.0, "0 %".to_string()), (2.0, "50 %".to_string())];
        let mut place = 10f64;
        while place <= high {
            let nines = place.log10().round() as usize;
            let digits = nines.saturating_sub(2);
            ticks.push((place, format!("{:.digits$} %", 100.0 - 100.0 / place)));
            place *= 10.0;
        }
        Axis { low: 1.0, high, log: true, ticks, title: title.to_string() }
    }

    /// 0 at the low end, 1 at the high end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let place = if self.log {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        if place.is_finite() { place.clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// Least and greatest finite value.
pub(super) fn bounds(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|v| v.is_finite()).fold(None, |bounds, v| match bounds {
        None => Some((v, v)),
        Some((low, high)) => Some((v.min(low), v.max(high))),
    })
}

/// 1, 2 or 5 times a power of ten, at or above `step`.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let lead = [1.0, 2.0, 5.0, 10.0].into_iter().find(|lead| lead * power >= step * 0.999_999);
    lead.unwrap_or(10.0) * power
}

/// A number as an axis shows it: no float dust, thousands set apart.
pub(super) fn number(value: f64) -> String {
    if value.abs() < 10_000.0 {
        return format!("{}", (value * 1e6).round() / 1e6);
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// The part of a picture in which data are drawn, in pixels.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    pub(super) left: i32,
    pub(super) top: i32,
    pub(super) right: i32,
    pub(super) bottom: i32,
}

impl Frame {
    pub(super) fn x(&self, place: f64) -> i32 {
        self.left + (place * f64::from(self.right - self.left)).round() as i32
    }

    pub(super) fn y(&self, place: f64) -> i32 {
        self.bottom - (place * f64::from(self.bottom - self.top)).round() as i32
    }
}

/// Draws a picture of this size and returns its SVG text.
pub(super) fn picture(size: (u32, u32), draw: impl FnOnce(&Area) -> Result<()>) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&PAPER).map_err(failed)?;
        draw(&area)?;
        area.present().map_err(failed)?;
    }
    Ok(svg)
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw a plot: {error}")
}

/// Where a text sits relative to its point.
#[derive(Clone, Copy)]
pub(super) enum Align {
    Left,
    Middle,
    Right,
    /// Turned upwards and centred.
    Upwards,
}

/// Writes a text of this size in pixels, vertically centred on the point.
pub(super) fn text(
    area: &Area,
    content: &str,
    at: (i32, i32),
    size: f64,
    align: Align,
    colour: RGBColor,
) -> Result<()> {
    let horizontal = match align {
        Align::Left => HPos::Left,
        Align::Right => HPos::Right,
        Align::Middle | Align::Upwards => HPos::Center,
    };
    // The SVG backend divides sizes by 1.24.
    let mut font = ("sans-serif", size * 1.24).into_font();
    if matches!(align, Align::Upwards) {
        font = font.transform(FontTransform::Rotate270);
    }
    let style = font.color(&colour).pos(Pos::new(horizontal, VPos::Center));
    area.draw(&Text::new(content.to_string(), at, style)).map_err(failed)
}

/// A straight or broken line through these points.
pub(super) fn line(
    area: &Area,
    points: Vec<(i32, i32)>,
    colour: RGBColor,
    width: u32,
    dashed: bool,
) -> Result<()> {
    let style = colour.stroke_width(width);
    if dashed {
        area.draw(&DashedPathElement::new(points, 7, 5, style)).map_err(failed)
    } else {
        area.draw(&PathElement::new(points, style)).map_err(failed)
    }
}

/// A filled box, hatched if asked.
pub(super) fn bar(
    area: &Area,
    upper_left: (i32, i32),
    lower_right: (i32, i32),
    colour: RGBColor,
    hatched: bool,
) -> Result<()> {
    area.draw(&Rectangle::new([upper_left, lower_right], colour.filled())).map_err(failed)?;
    if !hatched {
        return Ok(());
    }
    let ((left, top), (right, bottom)) = (upper_left, lower_right);
    // Lines x + y = c, cut to the box.
    for c in (left + top..right + bottom).step_by(6).skip(1) {
        let from = if c - left <= bottom { (left, c - left) } else { (c - bottom, bottom) };
        let to = if c - top <= right { (c - top, top) } else { (right, c - right) };
        line(area, vec![from, to], PAPER, 1, false)?;
    }
    Ok(())
}

/// A round mark.
pub(super) fn dot(area: &Area, at: (i32, i32), colour: RGBColor, hollow: bool) -> Result<()> {
    area.draw(&Circle::new(at, 4, colour.filled())).map_err(failed)?;
    if hollow {
        area.draw(&Circle::new(at, 2, PAPER.filled())).map_err(failed)?;
    }
    Ok(())
}

/// Title and, smaller beneath it, what the picture is about.
pub(super) fn heading(area: &Area, title: &str, subtitle: &str) -> Result<()> {
    text(area, title, (16, 20), 16.0, Align::Left, TEXT)?;
    text(area, subtitle, (16, 40), 12.0, Align::Left, MUTED)
}

/// Grid lines, tick labels and title of the vertical axis.
pub(super) fn y_axis(area: &Area, frame: Frame, axis: &Axis) -> Result<()> {
    for (value, label) in &axis.ticks {
        let y = frame.y(axis.place(*value));
        line(area, vec![(frame.left, y), (frame.right, y)], GRID, 1, false)?;
        text(area, label, (frame.left - 8, y), 12.0, Align::Right, TEXT)?;
    }
    let middle = (frame.top + frame.bottom) / 2;
    text(area, &axis.title, (18, middle), 12.0, Align::Upwards, TEXT)
}

/// Grid lines, tick labels and title of the horizontal axis. Labels that would
/// touch their left neighbour are left out.
pub(super) fn x_axis(area: &Area, frame: Frame, axis: &Axis) -> Result<()> {
    let mut free_from = i32::MIN;
    for (value, label) in &axis.ticks {
        let x = frame.x(axis.place(*value));
        line(area, vec![(x, frame.top), (x, frame.bottom)], GRID, 1, false)?;
        let half = label.chars().count() as i32 * 4;
        if x - half >= free_from {
            text(area, label, (x, frame.bottom + 16), 12.0, Align::Middle, TEXT)?;
            free_from = x + half + 4;
        }
    }
    let middle = (frame.left + frame.right) / 2;
    text(area, &axis.title, (middle, frame.bottom + 40), 12.0, Align::Middle, TEXT)
}

/// The baseline under the data.
pub(super) fn base_line(area: &Area, frame: Frame) -> Result<()> {
    let base = vec![(frame.left, frame.bottom), (frame.right, frame.bottom)];
    line(area, base, MUTED, 1, false)
}

/// A legend downwards from this point; marked entries say why they are.
pub(super) fn legend(area: &Area, at: (i32, i32), keys: &[Key]) -> Result<()> {
    let (x, mut y) = at;
    for key in keys {
        if key.line {
            line(area, vec![(x, y), (x + 26, y)], key.colour, 2, key.marked)?;
        } else {
            bar(area, (x + 6, y - 6), (x + 20, y + 6), key.colour, key.marked)?;
        }
        text(area, &key.label, (x + 34, y), 12.0, Align::Left, TEXT)?;
        if key.marked {
            text(area, "not Byzantine-safe", (x + 34, y + 15), 11.0, Align::Left, MUTED)?;
            y += 15;
        }
        y += 22;
    }
    Ok(())
}

/// A line of a line chart.
pub(super) struct Series {
    pub(super) protocol: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// Lines over two axes, one per protocol, marks at the points if asked.
pub(super) fn line_chart(
    (title, subtitle): (&str, &str),
    x: &Axis,
    y: &Axis,
    series: &[Series],
    marks: bool,
) -> Result<String> {
    picture((860, 440), |area| {
        let frame = Frame { left: 86, top: 62, right: 670, bottom: 382 };
        heading(area, title, subtitle)?;
        x_axis(area, frame, x)?;
        y_axis(area, frame, y)?;
        base_line(area, frame)?;
        for one in series {
            let (colour, marked) = (protocol_colour(&one.protocol), is_marked(&one.protocol));
            let points: Vec<(i32, i32)> =
                one.points.iter().map(|(px, py)| (frame.x(x.place(*px)), frame.y(y.place(*py)))).collect();
            if points.len() > 1 {
                line(area, points.clone(), colour, 2, marked)?;
            }
            if marks || points.len() == 1 {
                for at in points {
                    dot(area, at, colour, marked)?;
                }
            }
        }
        let keys: Vec<Key> = series.iter().map(|s| Key::protocol(&s.protocol, true)).collect();
        legend(area, (690, 76), &keys)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_and_hold_the_data() {
        assert_eq!(labels(&Axis::from_zero(9.0, "")), ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(labels(&Axis::from_zero(0.3, "")), ["0", "0.1", "0.2", "0.3"]);
        assert_eq!(labels(&Axis::from_zero(1.0, "")), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(labels(&Axis::from_zero(0.0, "")), labels(&Axis::from_zero(1.0, "")));
        assert_eq!(labels(&Axis::log(0.9, 40.0, "")), ["1", "2", "5", "10", "20", "50"]);
        assert_eq!(labels(&Axis::percentiles(2000, "")), ["0 %", "50 %", "90 %", "99 %", "99.9 %"]);
        assert_eq!(number(1_234_567.0), "1 234 567");
    }

    #[test]
    fn places_are_finite_and_inside_for_any_value() {
        let axes = [
            Axis::from_zero(f64::NAN, ""),
            Axis::log(0.0, 0.0, ""),
            Axis::log(5.0, 5.0, ""),
            Axis::at_values(&[4.0], true, ""),
            Axis::at_values(&[], false, ""),
            Axis::percentiles(0, ""),
        ];
        for axis in &axes {
            for value in [-1.0, 0.0, 1e-9, 4.0, 1e300, f64::NAN, f64::INFINITY] {
                assert!((0.0..=1.0).contains(&axis.place(value)));
            }
        }
        let log = Axis::log(1.25, 80.0, "");
        assert!((log.place(10.0) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn text_is_escaped_and_the_document_closed() {
        let title = ("a <b> & \"c\"", "");
        let svg = line_chart(title, &Axis::from_zero(1.0, ""), &Axis::from_zero(1.0, ""), &[], true).unwrap();
        assert!(svg.contains("a &lt;b&gt; &amp; &quot;c&quot;") && svg.trim_end().ends_with("</svg>"));
    }
}
