//! Charts as SVG text: a few kinds of layers over two axes, nothing else.
//!
//! A [`Figure`] is data. [`Figure::svg`] writes it as one file, which brings its colours for light and dark pages with
//! it; [`Figure::fragment`] writes the same for a page that has [`style`] already. Every mark has its numbers as a
//! `<title>`, so that a browser shows them where one points, without any script. Equal figures make equal text.

use super::number::{fixed, short, ticks};
use std::fmt::Write as _;

/// Width of a figure; everything scales with it.
const WIDTH: f64 = 960.0;
/// Characters are about this wide, in parts of the font's size.
const GLYPH: f64 = 0.56;
/// The size of text at axes.
const TEXT: f64 = 14.0;
/// How many colours there are; series beyond take the first again, dashed.
const COLOURS: usize = 8;

/// One or more panels with a common legend.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Names the file and its clip paths: letters, digits and hyphens.
    pub name: String,
    /// What it shows, in a few words.
    pub title: String,
    /// How to read it, one or two sentences.
    pub note: String,
    /// Panels, row by row.
    pub panels: Vec<Panel>,
    /// Panels in a row.
    pub columns: usize,
    /// Height of a panel's plotting area.
    pub height: f64,
}

/// Two axes and what is drawn over them.
#[derive(Clone, Debug)]
pub struct Panel {
    /// Above it; may be empty.
    pub title: String,
    /// Across.
    pub x: Axis,
    /// Upwards.
    pub y: Axis,
    /// From back to front.
    pub layers: Vec<Layer>,
}

/// An axis.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What and in which unit.
    pub label: String,
    /// How values are spread.
    pub scale: Scale,
    /// Ends that must be shown; the layers may push them outwards unless `tight`.
    pub range: Option<(f64, f64)>,
    /// True when `range` is all that is shown.
    pub tight: bool,
    /// How ticks are written.
    pub format: Format,
}

/// How values are spread along an axis.
#[derive(Clone, Debug, PartialEq)]
pub enum Scale {
    /// Evenly.
    Linear,
    /// By their logarithm; values at or below zero are drawn at the lower end.
    Logarithmic,
    /// Rows from the top, one for each name; only for the axis upwards. A value is a row's number.
    Rows(Vec<String>),
}

/// How ticks are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As they are.
    Plain,
    /// Times a hundred.
    Percent,
}

impl Axis {
    /// An even axis.
    #[must_use]
    pub fn linear(label: impl Into<String>) -> Self {
        Self { label: label.into(), scale: Scale::Linear, range: None, tight: false, format: Format::Plain }
    }

    /// An axis of rows.
    #[must_use]
    pub fn rows(names: Vec<String>) -> Self {
        Self { scale: Scale::Rows(names), ..Self::linear("") }
    }

    /// With ends that must be shown.
    #[must_use]
    pub fn from_to(self, low: f64, high: f64) -> Self {
        Self { range: Some((low, high)), ..self }
    }

    /// With these ends and no others.
    #[must_use]
    pub fn only(self, low: f64, high: f64) -> Self {
        Self { range: Some((low, high)), tight: true, ..self }
    }

    /// In percent.
    #[must_use]
    pub fn percent(self) -> Self {
        Self { format: Format::Percent, ..self }
    }

    /// By logarithms.
    #[must_use]
    pub fn logarithmic(self) -> Self {
        Self { scale: Scale::Logarithmic, ..self }
    }

    fn tick(&self, value: f64, decimals: usize) -> String {
        match (self.format, &self.scale) {
            (Format::Percent, Scale::Logarithmic) => format!("{}\u{202f}%", short(value * 100.0, 2)),
            (Format::Percent, _) => format!("{}\u{202f}%", fixed(value * 100.0, decimals.saturating_sub(2))),
            (Format::Plain, Scale::Logarithmic) => short(value, 2),
            (Format::Plain, _) => fixed(value, decimals),
        }
    }

    fn value(&self, value: f64) -> String {
        match self.format {
            Format::Percent => format!("{}\u{202f}%", short(value * 100.0, 4)),
            Format::Plain => short(value, 5),
        }
    }
}

/// Something drawn.
#[derive(Clone, Debug)]
pub enum Layer {
    /// An area between two curves.
    Band {
        /// In the legend; empty for none.
        name: String,
        /// Which colour.
        colour: usize,
        /// `0..=1`.
        opacity: f64,
        /// `(x, low, high)`, ascending.
        points: Vec<(f64, f64, f64)>,
    },
    /// A curve.
    Line {
        /// In the legend; empty for none.
        name: String,
        /// Which colour.
        colour: usize,
        /// Dashed: for what is known from theory.
        dashed: bool,
        /// `(x, y)`, ascending.
        points: Vec<(f64, f64)>,
    },
    /// Columns from zero.
    Bars {
        /// In the legend; empty for none.
        name: String,
        /// Which colour.
        colour: usize,
        /// `(from, upto, height)`.
        bars: Vec<(f64, f64, f64)>,
    },
    /// Points with what is known of their spread, along x, in rows.
    Spans {
        /// In the legend; empty for none.
        name: String,
        /// Which colour.
        colour: usize,
        /// The points.
        spans: Vec<Span>,
    },
    /// A straight line at one x.
    Mark {
        /// Beside it; empty for none.
        name: String,
        /// Where.
        at: f64,
    },
    /// A straight line at one y.
    Level {
        /// Above it; empty for none.
        name: String,
        /// Where.
        at: f64,
    },
}

/// A point in a row.
#[derive(Clone, Debug)]
pub struct Span {
    /// Which row; fractions move it inside.
    pub row: f64,
    /// The point.
    pub at: f64,
    /// The thin line.
    pub outer: (f64, f64),
    /// The thick line.
    pub inner: Option<(f64, f64)>,
    /// Written beside it; empty for none.
    pub label: String,
    /// Shown where one points.
    pub hover: String,
}

/// The colours and strokes of all figures, for a page with a `data-theme` on its root: `light`, `dark` or none, which
/// follows the reader's own setting.
#[must_use]
pub fn style() -> String {
    format!(
        "{}{STROKES}@media (prefers-color-scheme:dark){{{}}}{}",
        rules(&LIGHT, ""),
        rules(&DARK, ":root:not([data-theme=light]) "),
        rules(&DARK, ":root[data-theme=dark] ")
    )
}

/// What does not change with the theme.
const STROKES: &str = "svg.fig{display:block;width:100%;height:auto}\
    svg.fig text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;font-size:14px}\
    svg.fig .ti{font-size:20px;font-weight:650}svg.fig .pt{font-size:15px;font-weight:600}\
    svg.fig .la{font-size:12.5px;font-variant-numeric:tabular-nums}\
    svg.fig .h rect{fill:transparent}svg.fig .h line{opacity:0}svg.fig .h:hover line{opacity:.55}\
    svg.fig .s{cursor:default}svg.fig .s:hover circle{stroke-width:4}";

/// The colours of one theme: ground, text, muted text, grid, axis, and the series.
struct Palette {
    ground: &'static str,
    text: &'static str,
    muted: &'static str,
    grid: &'static str,
    axis: &'static str,
    series: [&'static str; COLOURS],
}

const LIGHT: Palette = Palette {
    ground: "#ffffff",
    text: "#1b2330",
    muted: "#5b6675",
    grid: "#e6e9ee",
    axis: "#9aa4b2",
    series: ["#2563eb", "#d9540b", "#0d9165", "#9333ea", "#c2185b", "#0e7fa6", "#8a6d00", "#5b6675"],
};

const DARK: Palette = Palette {
    ground: "#12171f",
    text: "#e8ecf2",
    muted: "#9aa7b8",
    grid: "#28303c",
    axis: "#5d6978",
    series: ["#6ea8fe", "#ff9656", "#41d6a0", "#c79bff", "#ff7fb0", "#4cc9ec", "#e3c04b", "#a5b1c0"],
};

/// The rules of a palette, each behind `scope`.
fn rules(palette: &Palette, scope: &str) -> String {
    let Palette { ground, text, muted, grid, axis, series } = palette;
    let mut out = format!(
        "{scope}.fig .bg{{fill:{ground}}}{scope}.fig .t{{fill:{text}}}{scope}.fig .m{{fill:{muted}}}\
         {scope}.fig .g{{stroke:{grid}}}{scope}.fig .a{{stroke:{axis}}}{scope}.fig .ring{{stroke:{ground}}}"
    );
    for (index, colour) in series.iter().enumerate() {
        let _ = write!(out, "{scope}.fig .c{index}{{color:{colour}}}");
    }
    out
}

impl Figure {
    /// The whole file.
    #[must_use]
    pub fn svg(&self) -> String {
        let css = format!(
            "{}{STROKES}@media (prefers-color-scheme:dark){{{}}}",
            rules(&LIGHT, ""),
            rules(&DARK, "")
        );
        let mut pen = Pen::default();
        let top = 46.0;
        let height = self.draw(&mut pen, top);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"fig\" viewBox=\"0 0 {WIDTH} {height}\" \
             width=\"{WIDTH}\" height=\"{height}\" role=\"img\"><title>{}</title><style>{css}</style>\
             <rect class=\"bg\" width=\"{WIDTH}\" height=\"{height}\"/>\
             <text class=\"t ti\" x=\"16\" y=\"32\">{}</text>{}</svg>\n",
            escaped(&self.title),
            escaped(&self.title),
            pen.out,
            height = number(height),
        )
    }

    /// Without title and colours, for a page that has both.
    #[must_use]
    pub fn fragment(&self) -> String {
        let mut pen = Pen::default();
        let height = self.draw(&mut pen, 4.0);
        format!(
            "<svg class=\"fig\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{}\">{}</svg>",
            number(height),
            escaped(&self.title),
            pen.out
        )
    }

    /// Draws legend and panels below `top`; returns the height of it all.
    fn draw(&self, pen: &mut Pen, top: f64) -> f64 {
        let mut y = self.legend(pen, top);
        let columns = self.columns.clamp(1, self.panels.len().max(1));
        let width = WIDTH / columns as f64;
        let frames: Vec<Frame> =
            self.panels.iter().map(|panel| Frame::of(panel, width, self.height)).collect();
        for (row, frames) in frames.chunks(columns).enumerate() {
            let left = frames.iter().map(|frame| frame.left).fold(0.0, f64::max);
            let (head, foot) = (
                frames.iter().map(|frame| frame.head).fold(0.0, f64::max),
                frames.iter().map(|frame| frame.foot).fold(0.0, f64::max),
            );
            for (column, frame) in frames.iter().enumerate() {
                let index = row * columns + column;
                let place = Place {
                    x: column as f64 * width + left,
                    y: y + head,
                    width: width - left - frame.right,
                    height: self.height,
                };
                self.panels[index].draw(pen, frame, &place, &format!("{}-{index}", self.name));
            }
            y += head + self.height + foot;
        }
        y + 6.0
    }

    /// Names of series and the colours they have; returns where the panels begin. A name means the same in all panels
    /// and stands here once, in the colour it has first.
    fn legend(&self, pen: &mut Pen, top: f64) -> f64 {
        let mut seen: Vec<(&str, usize, u8, f64)> = Vec::new();
        for layer in self.panels.iter().flat_map(|panel| &panel.layers) {
            let entry = match layer {
                Layer::Band { name, colour, opacity, .. } => (name.as_str(), *colour, 0, *opacity),
                Layer::Bars { name, colour, .. } => (name.as_str(), *colour, 0, 0.45),
                Layer::Line { name, colour, dashed, .. } => {
                    (name.as_str(), *colour, if *dashed { 2 } else { 1 }, 1.0)
                }
                Layer::Spans { name, colour, .. } => (name.as_str(), *colour, 3, 1.0),
                Layer::Mark { .. } | Layer::Level { .. } => continue,
            };
            let known = seen.iter().any(|(name, _, kind, _)| (*name, *kind) == (entry.0, entry.2));
            if !entry.0.is_empty() && !known {
                seen.push(entry);
            }
        }
        if seen.is_empty() {
            return top;
        }
        // What theory says comes last.
        seen.sort_by_key(|(_, _, kind, _)| *kind == 2);
        let (mut x, mut y) = (16.0, top + 16.0);
        for (name, colour, kind, opacity) in seen {
            let width = 26.0 + text_width(name, TEXT) + 22.0;
            if x + width > WIDTH && x > 16.0 {
                (x, y) = (16.0, y + 22.0);
            }
            let middle = y - 5.0;
            let swatch = match kind {
                0 => format!(
                    "<rect x=\"{}\" y=\"{}\" width=\"18\" height=\"11\" rx=\"2\" fill=\"currentColor\" opacity=\"{}\"/>",
                    number(x),
                    number(middle - 5.5),
                    number(opacity)
                ),
                3 => format!(
                    "<circle cx=\"{}\" cy=\"{}\" r=\"5.5\" fill=\"currentColor\"/>",
                    number(x + 9.0),
                    number(middle)
                ),
                dashed => format!(
                    "<path d=\"M{} {}h18\" stroke=\"currentColor\" stroke-width=\"2.5\"{}/>",
                    number(x),
                    number(middle),
                    if dashed == 2 { " stroke-dasharray=\"5 4\"" } else { "" }
                ),
            };
            pen.raw(&format!("<g class=\"c{}\">{swatch}</g>", colour % COLOURS));
            pen.text("t", x + 26.0, y, "start", name);
            x += width;
        }
        y + 14.0
    }
}

/// SVG text in the making.
#[derive(Default)]
struct Pen {
    out: String,
}

impl Pen {
    fn raw(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn text(&mut self, class: &str, x: f64, y: f64, anchor: &str, text: &str) {
        let _ = write!(
            self.out,
            "<text class=\"{class}\" x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
            number(x),
            number(y),
            escaped(text)
        );
    }

    fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64), extra: &str) {
        let _ = write!(
            self.out,
            "<path class=\"{class}\" d=\"M{} {}L{} {}\" fill=\"none\"{extra}/>",
            number(from.0),
            number(from.1),
            number(to.0),
            number(to.1)
        );
    }
}

/// Where a panel's plotting area lies.
struct Place {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// The margins a panel needs, and its ends and ticks.
struct Frame {
    left: f64,
    right: f64,
    head: f64,
    foot: f64,
    x: Ends,
    y: Ends,
}

/// The ends of an axis and its ticks with their text.
struct Ends {
    low: f64,
    high: f64,
    logarithmic: bool,
    ticks: Vec<(f64, String)>,
}

impl Ends {
    /// From the axis and all values drawn along it, for about `count` ticks.
    fn of(axis: &Axis, values: impl Iterator<Item = f64>, count: usize) -> Self {
        if let Scale::Rows(names) = &axis.scale {
            let ticks =
                names.iter().enumerate().map(|(row, name)| (row as f64, shortened(name, 34))).collect();
            let high = names.len() as f64 - 0.5;
            // Rows run downwards.
            return Self { low: high, high: -0.5, logarithmic: false, ticks };
        }
        let logarithmic = axis.scale == Scale::Logarithmic;
        let (mut low, mut high) = axis.range.unwrap_or((f64::INFINITY, f64::NEG_INFINITY));
        if !axis.tight {
            for value in values.filter(|value| value.is_finite() && (!logarithmic || *value > 0.0)) {
                low = low.min(value);
                high = high.max(value);
            }
        }
        if low > high {
            (low, high) = if logarithmic { (0.1, 1.0) } else { (0.0, 1.0) };
        }
        if logarithmic { Self::powers(axis, low, high) } else { Self::even(axis, low, high, count) }
    }

    fn even(axis: &Axis, mut low: f64, mut high: f64, count: usize) -> Self {
        if high - low <= 1e-12 * high.abs().max(1e-12) {
            let room = if high == 0.0 { 1.0 } else { high.abs() * 0.05 };
            (low, high) = (low - room, high + room);
        }
        if !axis.tight {
            let room = (high - low) * 0.04;
            // An end at zero stays there: nothing is below nothing.
            low = if low == 0.0 { 0.0 } else { low - room };
            high = if high == 0.0 { 0.0 } else { high + room };
        }
        let (places, decimals) = ticks(low, high, count);
        let ticks = places.into_iter().map(|place| (place, axis.tick(place, decimals))).collect();
        Self { low, high, logarithmic: false, ticks }
    }

    fn powers(axis: &Axis, low: f64, high: f64) -> Self {
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let last = last.max(first + 1);
        let every = ((last - first) / 7 + 1).max(1);
        let mut ticks = Vec::new();
        for power in (first..=last).filter(|power| (power - first) % every == 0) {
            let place = 10f64.powi(power);
            ticks.push((place, axis.tick(place, 0)));
        }
        Self { low: 10f64.powi(first), high: 10f64.powi(last), logarithmic: true, ticks }
    }

    /// The part of the way from `low` to `high`.
    fn part(&self, value: f64) -> f64 {
        if self.logarithmic {
            let (low, high) = (self.low.log10(), self.high.log10());
            (value.max(self.low).log10() - low) / (high - low)
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }
}

/// Hands out all values of a layer along one axis.
type Along<'a> = &'a dyn Fn(&Layer, &mut dyn FnMut(f64));

impl Frame {
    fn of(panel: &Panel, width: f64, height: f64) -> Self {
        let across = |layer: &Layer, each: &mut dyn FnMut(f64)| match layer {
            Layer::Band { points, .. } => points.iter().for_each(|point| each(point.0)),
            Layer::Line { points, .. } => points.iter().for_each(|point| each(point.0)),
            Layer::Bars { bars, .. } => bars.iter().for_each(|bar| {
                each(bar.0);
                each(bar.1);
            }),
            Layer::Spans { spans, .. } => spans.iter().for_each(|span| {
                each(span.outer.0);
                each(span.outer.1);
                each(span.at);
            }),
            Layer::Mark { at, .. } => each(*at),
            Layer::Level { .. } => (),
        };
        let upwards = |layer: &Layer, each: &mut dyn FnMut(f64)| match layer {
            Layer::Band { points, .. } => points.iter().for_each(|point| {
                each(point.1);
                each(point.2);
            }),
            Layer::Line { points, .. } => points.iter().for_each(|point| each(point.1)),
            Layer::Bars { bars, .. } => bars.iter().for_each(|bar| {
                each(0.0);
                each(bar.2);
            }),
            Layer::Spans { .. } | Layer::Mark { .. } => (),
            Layer::Level { at, .. } => each(*at),
        };
        let gathered = |along: Along<'_>| {
            let mut all = Vec::new();
            for layer in &panel.layers {
                along(layer, &mut |value| all.push(value));
            }
            all
        };
        let y = Ends::of(&panel.y, gathered(&upwards).into_iter(), (height / 44.0) as usize);
        let widest = y.ticks.iter().map(|(_, text)| text_width(text, TEXT)).fold(0.0, f64::max);
        let left = 20.0 + widest + if panel.y.label.is_empty() { 0.0 } else { 22.0 };
        let labels = |layer: &Layer| match layer {
            Layer::Spans { spans, .. } => spans.iter().any(|span| !span.label.is_empty()),
            _ => false,
        };
        // Room for numbers beside the last points.
        let right = if panel.layers.iter().any(labels) { 84.0 } else { 22.0 };
        let x = Ends::of(
            &panel.x,
            gathered(&across).into_iter(),
            ((width - left.max(115.0) - right) / 75.0).max(2.0) as usize,
        );
        Self {
            left,
            right,
            head: if panel.title.is_empty() { 12.0 } else { 34.0 },
            foot: if panel.x.label.is_empty() { 32.0 } else { 56.0 },
            x,
            y,
        }
    }
}

impl Panel {
    fn draw(&self, pen: &mut Pen, frame: &Frame, place: &Place, id: &str) {
        let x = |value: f64| place.x + frame.x.part(value) * place.width;
        let y = |value: f64| place.y + (1.0 - frame.y.part(value)) * place.height;
        let (right, bottom) = (place.x + place.width, place.y + place.height);
        if !self.title.is_empty() {
            pen.text("t pt", place.x, place.y - 12.0, "start", &self.title);
        }
        let rows = matches!(self.y.scale, Scale::Rows(_));
        for (value, text) in &frame.y.ticks {
            let at = y(*value);
            if !rows {
                pen.line("g", (place.x, at), (right, at), "");
            }
            pen.text(if rows { "t" } else { "m" }, place.x - 9.0, at + 5.0, "end", text);
        }
        if rows {
            for row in 1..frame.y.ticks.len() {
                let at = y(row as f64 - 0.5);
                pen.line("g", (place.x, at), (right, at), "");
            }
        }
        for (value, text) in &frame.x.ticks {
            let at = x(*value);
            pen.line("g", (at, place.y), (at, bottom), "");
            pen.text("m", at, bottom + 20.0, "middle", text);
        }
        pen.line("a", (place.x, bottom), (right, bottom), "");
        if !self.x.label.is_empty() {
            pen.text("m", f64::midpoint(place.x, right), bottom + 43.0, "middle", &self.x.label);
        }
        if !self.y.label.is_empty() {
            let (at, middle) = (place.x - frame_label(frame), f64::midpoint(place.y, bottom));
            let _ = write!(
                pen.out,
                "<text class=\"m\" transform=\"translate({} {}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
                number(at),
                number(middle),
                escaped(&self.y.label)
            );
        }
        let _ = write!(
            pen.out,
            "<clipPath id=\"{id}\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/></clipPath>",
            number(place.x - 1.0),
            number(place.y - 1.0),
            number(place.width + 2.0),
            number(place.height + 2.0)
        );
        let _ = write!(pen.out, "<g clip-path=\"url(#{id})\">");
        for layer in &self.layers {
            curve(pen, layer, &x, &y);
        }
        pen.raw("</g>");
        for layer in &self.layers {
            match layer {
                Layer::Mark { name, at } => {
                    pen.line(
                        "a",
                        (x(*at), place.y),
                        (x(*at), bottom),
                        " stroke-width=\"1.5\" stroke-dasharray=\"3 3\"",
                    );
                    if !name.is_empty() {
                        let flip = x(*at) + text_width(name, 12.5) + 8.0 > right;
                        let (dx, anchor) = if flip { (-6.0, "end") } else { (6.0, "start") };
                        pen.text("m la", x(*at) + dx, place.y + 4.0, anchor, name);
                    }
                }
                Layer::Level { name, at } => {
                    let height = y(*at);
                    pen.line(
                        "a",
                        (place.x, height),
                        (right, height),
                        " stroke-width=\"1.5\" stroke-dasharray=\"3 3\"",
                    );
                    if !name.is_empty() {
                        let dy = if height - 7.0 < place.y + 10.0 { 16.0 } else { -7.0 };
                        pen.text("m la", right - 4.0, height + dy, "end", name);
                    }
                }
                Layer::Band { .. } | Layer::Line { .. } | Layer::Bars { .. } | Layer::Spans { .. } => (),
            }
        }
        for layer in &self.layers {
            if let Layer::Spans { colour, spans, .. } = layer {
                for span in spans {
                    point(pen, span, *colour, (&x, &y), right);
                }
            }
        }
        self.hover(pen, place, &x);
    }

    /// Invisible strips over curves, each with the values at its place.
    fn hover(&self, pen: &mut Pen, place: &Place, x: &dyn Fn(f64) -> f64) {
        let mut places: Vec<f64> = Vec::new();
        for layer in &self.layers {
            if let Layer::Line { points, .. } = layer {
                places.extend(points.iter().map(|point| point.0));
            }
        }
        let (left, right) = (place.x, place.x + place.width);
        places.retain(|value| (left - 1.0..=right + 1.0).contains(&x(*value)));
        places.sort_by(f64::total_cmp);
        places.dedup();
        // No strip narrower than two pixels.
        let mut last = f64::NEG_INFINITY;
        places.retain(|value| {
            let apart = x(*value) - last >= 2.0;
            if apart {
                last = x(*value);
            }
            apart
        });
        for (index, value) in places.iter().enumerate() {
            let from = if index == 0 { left } else { f64::midpoint(x(places[index - 1]), x(*value)) };
            let upto = places.get(index + 1).map_or(right, |next| f64::midpoint(x(*value), x(*next)));
            let mut text = format!("{}: {}", self.x.label, self.x.value(*value));
            for layer in &self.layers {
                match layer {
                    Layer::Line { name, points, .. } => {
                        if let Some(point) = points.iter().find(|point| point.0 == *value) {
                            let _ = write!(text, "\n{name}: {}", self.y.value(point.1));
                        }
                    }
                    Layer::Band { name, points, .. } => {
                        if let Some(point) = points.iter().find(|point| point.0 == *value) {
                            let (low, high) = (self.y.value(point.1), self.y.value(point.2));
                            let _ = write!(text, "\n{name}: {low} to {high}");
                        }
                    }
                    _ => (),
                }
            }
            let _ = write!(
                pen.out,
                "<g class=\"h\"><rect x=\"{}\" y=\"{top}\" width=\"{}\" height=\"{}\"/>\
                 <line class=\"a\" x1=\"{at}\" x2=\"{at}\" y1=\"{top}\" y2=\"{}\"/><title>{}</title></g>",
                number(from),
                number(upto - from),
                number(place.height),
                number(place.y + place.height),
                escaped(&text),
                top = number(place.y),
                at = number(x(*value)),
            );
        }
    }
}

/// Where the label of the axis upwards stands, left of the panel.
fn frame_label(frame: &Frame) -> f64 {
    frame.left - 18.0
}

fn curve(pen: &mut Pen, layer: &Layer, x: &dyn Fn(f64) -> f64, y: &dyn Fn(f64) -> f64) {
    match layer {
        Layer::Band { colour, opacity, points, .. } => {
            let mut path = String::new();
            for (index, (at, _, high)) in points.iter().enumerate() {
                let command = if index == 0 { 'M' } else { 'L' };
                let _ = write!(path, "{command}{} {}", number(x(*at)), number(y(*high)));
            }
            for (at, low, _) in points.iter().rev() {
                let _ = write!(path, "L{} {}", number(x(*at)), number(y(*low)));
            }
            let _ = write!(
                pen.out,
                "<path class=\"c{}\" d=\"{path}Z\" fill=\"currentColor\" opacity=\"{}\"/>",
                colour % COLOURS,
                number(*opacity)
            );
        }
        Layer::Line { colour, dashed, points, .. } => {
            let mut path = String::new();
            for (index, (at, height)) in points.iter().enumerate() {
                let command = if index == 0 { 'M' } else { 'L' };
                let _ = write!(path, "{command}{} {}", number(x(*at)), number(y(*height)));
            }
            let dashes = if *dashed || *colour >= COLOURS { " stroke-dasharray=\"6 5\"" } else { "" };
            let _ = write!(
                pen.out,
                "<path class=\"c{}\" d=\"{path}\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"2.5\" \
                 stroke-linejoin=\"round\"{dashes}/>",
                colour % COLOURS
            );
        }
        Layer::Bars { name, colour, bars } => {
            for (from, upto, height) in bars {
                let (top, bottom) = (y(*height), y(0.0));
                let _ = write!(
                    pen.out,
                    "<g class=\"s c{}\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"currentColor\" \
                     opacity=\".45\"/><title>{}</title></g>",
                    colour % COLOURS,
                    number(x(*from) + 0.5),
                    number(top.min(bottom)),
                    number((x(*upto) - x(*from) - 1.0).max(0.5)),
                    number((bottom - top).abs()),
                    escaped(&format!(
                        "{name}, {} to {}: {}",
                        short(*from, 3),
                        short(*upto, 3),
                        short(*height, 4)
                    ))
                );
            }
        }
        Layer::Spans { .. } | Layer::Mark { .. } | Layer::Level { .. } => (),
    }
}

/// A point with its lines and its label; the label goes to the left where there is no room on the right.
fn point(
    pen: &mut Pen,
    span: &Span,
    colour: usize,
    (x, y): (&dyn Fn(f64) -> f64, &dyn Fn(f64) -> f64),
    right: f64,
) {
    let row = y(span.row);
    let _ = write!(pen.out, "<g class=\"s c{}\">", colour % COLOURS);
    let mut stroke = |(low, high): (f64, f64), width: f64| {
        let _ = write!(
            pen.out,
            "<path d=\"M{} {row}H{}\" stroke=\"currentColor\" stroke-width=\"{width}\" stroke-linecap=\"round\"/>",
            number(x(low)),
            number(x(high)),
            row = number(row)
        );
    };
    stroke(span.outer, 2.0);
    if let Some(inner) = span.inner {
        stroke(inner, 6.0);
    }
    let _ = write!(
        pen.out,
        "<circle class=\"ring\" cx=\"{}\" cy=\"{}\" r=\"5.5\" fill=\"currentColor\" stroke-width=\"1.5\"/>\
         <title>{}</title></g>",
        number(x(span.at)),
        number(row),
        escaped(&span.hover)
    );
    if !span.label.is_empty() {
        let end = x(span.outer.1.max(span.at)) + 11.0;
        let fits = end + text_width(&span.label, 12.5) <= right + 80.0;
        let (at, anchor) = if fits { (end, "start") } else { (x(span.outer.0.min(span.at)) - 11.0, "end") };
        pen.text("m la", at, row + 4.5, anchor, &span.label);
    }
}

/// How wide text is, about.
fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * GLYPH
}

/// At most so many characters.
fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// A coordinate: two decimals at most.
fn number(value: f64) -> String {
    let rounded = (value * 100.0).round() / 100.0;
    // No negative zero.
    format!("{}", rounded + 0.0)
}

/// Text for SVG and HTML.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Not allowed in XML at all.
            control if control.is_control() && control != '\n' => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure() -> Figure {
        Figure {
            name: "test".into(),
            title: "A <title> & \"more\"".into(),
            note: String::new(),
            panels: vec![
                Panel {
                    title: "curves".into(),
                    x: Axis::linear("age (blocks)"),
                    y: Axis::linear("value").percent(),
                    layers: vec![
                        Layer::Band {
                            name: "spread".into(),
                            colour: 0,
                            opacity: 0.2,
                            points: vec![(0.0, 0.1, 0.4), (1.0, 0.2, 0.6)],
                        },
                        Layer::Line {
                            name: "mean".into(),
                            colour: 0,
                            dashed: false,
                            points: vec![(0.0, 0.2), (1.0, 0.4)],
                        },
                        Layer::Level { name: "fair".into(), at: 0.3 },
                        Layer::Mark { name: "here".into(), at: 0.9 },
                    ],
                },
                Panel {
                    title: "rows".into(),
                    x: Axis::linear("income"),
                    y: Axis::rows(vec!["one".into(), "two".into()]),
                    layers: vec![Layer::Spans {
                        name: "PROP".into(),
                        colour: 9,
                        spans: vec![Span {
                            row: 1.0,
                            at: 1.2,
                            outer: (1.1, 1.3),
                            inner: None,
                            label: "1.20".into(),
                            hover: "two".into(),
                        }],
                    }],
                },
            ],
            columns: 2,
            height: 200.0,
        }
    }

    /// Every tag that opens closes, in order: enough of a parser for what this module writes.
    fn well_formed(text: &str) {
        let mut open = Vec::new();
        for piece in text.split('<').skip(1) {
            let (tag, _) = piece.split_once('>').expect("a tag ends");
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name.to_owned()));
            } else if !tag.ends_with('/') {
                open.push(tag.split_whitespace().next().unwrap().to_owned());
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }

    #[test]
    fn figures_are_well_formed_and_equal_every_time() {
        let svg = figure().svg();
        well_formed(&svg);
        well_formed(&figure().fragment());
        assert_eq!(svg, figure().svg());
        assert!(svg.contains("A &lt;title&gt; &amp; &quot;more&quot;"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn hover_tells_the_values_at_a_place() {
        let svg = figure().svg();
        assert!(
            svg.contains("age (blocks): 1\nspread: 20\u{202f}% to 60\u{202f}%\nmean: 40\u{202f}%"),
            "{svg}"
        );
    }

    #[test]
    fn rows_run_downwards_and_ends_stand_where_they_should() {
        let rows = Ends::of(&Axis::rows(vec!["a".into(), "b".into()]), [].into_iter(), 5);
        assert!((rows.part(0.0) - 0.75).abs() < 1e-12 && (rows.part(1.0) - 0.25).abs() < 1e-12);
        let log = Ends::of(&Axis::linear("").logarithmic(), [0.002, 0.0, 0.3].into_iter(), 5);
        assert!((log.part(0.001)).abs() < 1e-12 && (log.part(1.0) - 1.0).abs() < 1e-12);
        assert!((log.part(0.0)).abs() < 1e-12);
        let flat = Ends::of(&Axis::linear(""), [3.0, 3.0].into_iter(), 5);
        assert!(flat.low < 3.0 && flat.high > 3.0);
        let nothing = Ends::of(&Axis::linear(""), [].into_iter(), 5);
        assert!(nothing.low < nothing.high);
        let tight = Ends::of(&Axis::linear("").only(0.0, 2.0), [9.0].into_iter(), 5);
        assert!((tight.high - 2.0).abs() < 1e-12);
    }

    #[test]
    fn odd_values_break_nothing() {
        let mut odd = figure();
        odd.panels[0].layers.push(Layer::Line {
            name: "odd".into(),
            colour: 1,
            dashed: true,
            points: vec![(f64::NAN, 1.0)],
        });
        odd.panels[0].layers.push(Layer::Bars { name: String::new(), colour: 1, bars: vec![] });
        odd.panels.push(Panel {
            title: String::new(),
            x: Axis::linear(""),
            y: Axis::linear(""),
            layers: vec![],
        });
        well_formed(&odd.svg());
    }
}
