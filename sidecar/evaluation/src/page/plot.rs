//! Drawing in SVG: an area with axes, ticks at round numbers, and marks in the area's own units.

use std::fmt::Write;

/// Colours of raters, told apart also without red-green vision (Okabe and Ito 2008, darkened for print).
const COLOURS: [&str; 7] = ["#0b6bb0", "#c8570a", "#0a8064", "#a64d86", "#8a6d00", "#4b5bc4", "#5a5a5a"];

/// The colour of a rater.
pub(super) fn colour(rater: usize) -> &'static str {
    COLOURS[rater % COLOURS.len()]
}

/// Text that may stand in HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A plot being drawn.
pub(super) struct Plot {
    width: f64,
    height: f64,
    left: f64,
    x: [f64; 2],
    y: [f64; 2],
    marks: String,
}

/// Room above the area.
const TOP: f64 = 12.0;
/// Room right of the area.
const RIGHT: f64 = 16.0;
/// Room below the area.
const BOTTOM: f64 = 42.0;

impl Plot {
    /// An empty area of the given outer size in pixels, with room of `left` for what stands beside it.
    pub(super) fn new(size: [f64; 2], left: f64, x: [f64; 2], y: [f64; 2]) -> Plot {
        Plot { width: size[0], height: size[1], left, x: wide(x), y: wide(y), marks: String::new() }
    }

    fn px(&self, x: f64) -> f64 {
        self.left + (x - self.x[0]) / (self.x[1] - self.x[0]) * (self.width - self.left - RIGHT)
    }

    fn py(&self, y: f64) -> f64 {
        self.height - BOTTOM - (y - self.y[0]) / (self.y[1] - self.y[0]) * (self.height - BOTTOM - TOP)
    }

    /// Ticks, grid lines and the name of the axis along the page.
    pub(super) fn x_axis(&mut self, name: &str) {
        let (top, bottom) = (TOP, self.height - BOTTOM);
        for tick in ticks(self.x) {
            let x = self.px(tick);
            let _ = write!(
                self.marks,
                "<line class=grid x1={x:.1} y1={top} x2={x:.1} y2={bottom} /><text x={x:.1} y={:.1} \
                 text-anchor=middle>{}</text>",
                bottom + 15.0,
                number(tick)
            );
        }
        let middle = (self.left + self.width - RIGHT) / 2.0;
        let _ = write!(
            self.marks,
            "<text class=axis x={middle:.1} y={:.1} text-anchor=middle>{}</text>",
            bottom + 33.0,
            escape(name)
        );
    }

    /// Ticks, grid lines and the name of the axis up the page.
    pub(super) fn y_axis(&mut self, name: &str) {
        let right = self.width - RIGHT;
        for tick in ticks(self.y) {
            let y = self.py(tick);
            let _ = write!(
                self.marks,
                "<line class=grid x1={} y1={y:.1} x2={right} y2={y:.1} /><text x={:.1} y={:.1} \
                 text-anchor=end>{}</text>",
                self.left,
                self.left - 6.0,
                y + 4.0,
                number(tick)
            );
        }
        let middle = (TOP + self.height - BOTTOM) / 2.0;
        let _ = write!(
            self.marks,
            "<text class=axis transform=\"translate(14 {middle:.1}) rotate(-90)\" text-anchor=middle>{}</text>",
            escape(name)
        );
    }

    /// A word beside the axis up the page.
    pub(super) fn row_name(&mut self, y: f64, name: &str) {
        let (x, y) = (self.left - 8.0, self.py(y) + 4.0);
        let _ = write!(self.marks, "<text x={x:.1} y={y:.1} text-anchor=end>{}</text>", escape(name));
    }

    /// A dot that names itself when pointed at.
    pub(super) fn dot(&mut self, at: [f64; 2], radius: f64, colour: &str, says: &str) {
        let _ = write!(
            self.marks,
            "<circle cx={:.1} cy={:.1} r={radius} fill=\"{colour}\" class=dot><title>{}</title></circle>",
            self.px(at[0]),
            self.py(at[1]),
            escape(says)
        );
    }

    /// A line through points.
    pub(super) fn line(&mut self, points: &[[f64; 2]], colour: &str, style: &str) {
        let points: Vec<String> =
            points.iter().map(|at| format!("{:.1},{:.1}", self.px(at[0]), self.py(at[1]))).collect();
        let _ = write!(
            self.marks,
            "<polyline points=\"{}\" fill=none stroke=\"{colour}\" style=\"{style}\" />",
            points.join(" ")
        );
    }

    /// A filled rectangle between two corners.
    pub(super) fn band(&mut self, a: [f64; 2], b: [f64; 2], colour: &str, opacity: f64) {
        let (x, y) = (self.px(a[0]).min(self.px(b[0])), self.py(a[1]).min(self.py(b[1])));
        let (width, height) = ((self.px(a[0]) - self.px(b[0])).abs(), (self.py(a[1]) - self.py(b[1])).abs());
        let _ = write!(
            self.marks,
            "<rect x={x:.1} y={y:.1} width={width:.1} height={height:.1} fill=\"{colour}\" \
             fill-opacity={opacity} />"
        );
    }

    /// Words in the area.
    pub(super) fn words(&mut self, at: [f64; 2], text: &str, anchor: &str) {
        let (x, y) = (self.px(at[0]), self.py(at[1]) - 4.0);
        let _ = write!(
            self.marks,
            "<text class=note x={x:.1} y={y:.1} text-anchor={anchor}>{}</text>",
            escape(text)
        );
    }

    /// The picture, with a sentence for those who cannot see it.
    pub(super) fn svg(self, says: &str) -> String {
        format!(
            "<svg viewBox=\"0 0 {} {}\" role=img aria-label=\"{}\">{}</svg>",
            self.width,
            self.height,
            escape(says),
            self.marks
        )
    }
}

/// A range that is not empty; one that falls stays so.
fn wide([low, high]: [f64; 2]) -> [f64; 2] {
    if high == low { [low - 0.5, low + 0.5] } else { [low, high] }
}

/// About five round numbers within a range.
fn ticks([low, high]: [f64; 2]) -> Vec<f64> {
    let rough = (high - low) / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|n| n * power)
        .find(|&step| step >= rough * 0.99)
        .unwrap_or(rough);
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|n| n as f64 * step).collect()
}

/// A number in as few digits as it needs.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" || text.is_empty() { "0".to_owned() } else { text.replace('-', "\u{2212}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        assert_eq!(ticks([0.0, 1.0]), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(ticks([-3.0, 12.0]), [0.0, 5.0, 10.0]);
        assert_eq!(
            (number(0.6000000000000001), number(-0.0), number(-2.5)),
            ("0.6".into(), "0".into(), "−2.5".into())
        );
        assert_eq!(wide([3.0, 3.0]), [2.5, 3.5]);
    }
}
