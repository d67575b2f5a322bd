//! Curves as a page that needs nothing else: nnU-Net's losses and Dice, and how a model learns from corrections.

use std::fmt::Write;

use crate::Epoch;

/// Size of a plot in pixels.
const SIZE: [f64; 2] = [640.0, 300.0];
/// Room for the numbers and names at its left, top, right and bottom.
const ROOM: [f64; 4] = [60.0, 16.0, 150.0, 44.0];
/// Colours that are told apart without hue too.
const COLOURS: [&str; 5] = ["#0b5fa5", "#c8501e", "#3a7d44", "#7a4fa3", "#555555"];

/// One line of a plot.
struct Line {
    name: String,
    points: Vec<(f64, f64)>,
    /// Low and high ends of a band around the points, where there is one.
    bands: Vec<(f64, f64, f64)>,
}

/// The training as a page: losses above, pseudo Dice below.
#[must_use]
pub fn curves(epochs: &[Epoch], title: &str) -> String {
    let line = |name: &str, value: &dyn Fn(&Epoch) -> Option<f64>| Line {
        name: name.to_owned(),
        points: epochs
            .iter()
            .enumerate()
            .filter_map(|(n, epoch)| Some((n as f64 + 1.0, value(epoch)?)))
            .collect(),
        bands: Vec::new(),
    };
    let losses =
        [line("training", &|epoch| epoch.train_loss), line("validation", &|epoch| epoch.validation_loss)];
    let dice = [line("pseudo Dice", &|epoch| epoch.mean_dice())];
    let note = "Pseudo Dice is nnU-Net's: over random patches of the validation cases, not over whole cases.";
    page(
        title,
        &[("loss", plot(&losses, "epoch", "loss")), (note, plot(&dice, "epoch", "Dice"))],
        &table(epochs),
    )
}

/// A round of learning from corrected cases.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Point {
    /// Corrected cases that the new model had learned from.
    pub cases: usize,
    /// Cases of the next batch, which neither model had seen.
    pub n: usize,
    /// Mean Dice of the new model on them.
    pub new: f64,
    /// Mean Dice of the model that one began with.
    pub old: f64,
    /// 95 % interval of the difference, where there are enough cases.
    pub interval: Option<[f64; 2]>,
    /// Millilitres per case that are missing or too many, by the corrected labels: of the new model, and of the old.
    pub wrong_ml: [f64; 2],
    /// Seconds of correction per case from what the old model found, where they were recorded.
    pub seconds: Option<f64>,
    /// Seconds per case that the new model would have saved: by how much less there is to correct, at the pace of each
    /// case. An estimate; negative where there is more to correct.
    pub saved: Option<f64>,
}

/// The learning curve as a page: Dice on the next cases by the number of corrected ones, and seconds per case.
#[must_use]
pub fn learning_curve(points: &[Point], title: &str, notes: &str) -> String {
    let line = |name: &str, value: &dyn Fn(&Point) -> Option<f64>| Line {
        name: name.to_owned(),
        points: points.iter().filter_map(|point| Some((point.cases as f64, value(point)?))).collect(),
        bands: Vec::new(),
    };
    let mut new = line("trained on", &|point| Some(point.new));
    new.bands = points
        .iter()
        .filter_map(|point| Some((point.cases as f64, point.interval?)))
        .map(|(cases, [low, high])| {
            let old = points.iter().find(|point| point.cases as f64 == cases).map_or(0.0, |point| point.old);
            (cases, old + low, old + high)
        })
        .collect();
    let dice = [new, line("before", &|point| Some(point.old))];
    let mut plots = vec![(
        "Mean Dice on the next cases, which no model had seen; bars: 95 % interval of the difference",
        plot(&dice, "corrected cases", "Dice"),
    )];
    let recorded = line("before", &|point| point.seconds);
    if !recorded.points.is_empty() {
        let after = line("trained on", &|point| Some(point.seconds? - point.saved?));
        let caption = "Seconds of correction per case: as recorded, and estimated from what the new model leaves to correct";
        plots.push((caption, plot(&[after, recorded], "corrected cases", "s")));
    }
    page(title, &plots, &format!("<table>{}</table><p>{}</p>", rounds(points), escaped(notes)))
}

/// The numbers of each round.
fn rounds(points: &[Point]) -> String {
    let mut rows = String::from(
        "<tr><th>corrected<th>n<th>before<th>trained on<th>difference<th>95 % interval<th>wrong before, mL<th>wrong after, mL\
         <th>seconds<th>saved</tr>",
    );
    let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.0}"));
    for point in points {
        let interval =
            point.interval.map_or_else(|| "-".to_owned(), |[low, high]| format!("{low:+.4} to {high:+.4}"));
        let _ = write!(
            rows,
            "<tr><td>{}<td>{}<td>{:.4}<td>{:.4}<td>{:+.4}<td>{interval}<td>{:.1}<td>{:.1}<td>{}<td>{}</tr>",
            point.cases,
            point.n,
            point.old,
            point.new,
            point.new - point.old,
            point.wrong_ml[1],
            point.wrong_ml[0],
            shown(point.seconds),
            shown(point.saved)
        );
    }
    rows
}

fn table(epochs: &[Epoch]) -> String {
    let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
    let mut rows = String::from("<tr><th>epoch<th>training<th>validation<th>pseudo Dice<th>s</tr>");
    for (n, epoch) in epochs.iter().enumerate() {
        let _ = write!(
            rows,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}</tr>",
            n + 1,
            shown(epoch.train_loss),
            shown(epoch.validation_loss),
            shown(epoch.mean_dice()),
            shown(epoch.seconds)
        );
    }
    format!("<details><summary>Numbers</summary><table>{rows}</table></details>")
}

fn page(title: &str, plots: &[(&str, String)], rest: &str) -> String {
    let title = escaped(title);
    let mut body = String::new();
    for (caption, plot) in plots {
        let _ = write!(body, "<figure>{plot}<figcaption>{}</figcaption></figure>", escaped(caption));
    }
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title><style>\
         body{{font:15px/1.45 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#222}}\
         figure{{margin:1.2rem 0}}figcaption{{color:#555;font-size:.9em}}svg{{max-width:100%;height:auto}}\
         table{{border-collapse:collapse}}td,th{{padding:.15rem .7rem;text-align:right;border-bottom:1px solid #ddd}}\
         </style><h1>{title}</h1>{body}{rest}<p>Research only.</p></html>\n"
    )
}

/// Where numbers of a plot lie on it.
struct Frame {
    x: (f64, f64),
    y: (f64, f64),
}

impl Frame {
    /// Round the points of all lines.
    fn of(lines: &[Line]) -> Frame {
        let all = || lines.iter().flat_map(|line| &line.points);
        let banded =
            || lines.iter().flat_map(|line| line.bands.iter().flat_map(|&(_, low, high)| [low, high]));
        let (low, high) = range(all().map(|point| point.1).chain(banded()));
        let room = 0.05 * (high - low);
        Frame { x: range(all().map(|point| point.0)), y: (low - room, high + room) }
    }

    fn width() -> f64 {
        SIZE[0] - ROOM[0] - ROOM[2]
    }

    fn height() -> f64 {
        SIZE[1] - ROOM[1] - ROOM[3]
    }

    fn at_x(&self, value: f64) -> f64 {
        ROOM[0] + (value - self.x.0) / (self.x.1 - self.x.0) * Frame::width()
    }

    fn at_y(&self, value: f64) -> f64 {
        ROOM[1] + (self.y.1 - value) / (self.y.1 - self.y.0) * Frame::height()
    }

    /// Whole numbers along x, about five.
    fn ticks(&self) -> Vec<f64> {
        let (low, high) = (self.x.0.ceil(), self.x.1.floor());
        let step = ((high - low) / 4.0).ceil().max(1.0);
        let count = ((high - low) / step).floor().max(0.0) as usize;
        (0..=count).map(|n| low + step * n as f64).collect()
    }

    /// Round numbers along y, three to eight, and the digits that they need after the point.
    fn heights(&self) -> (Vec<f64>, usize) {
        let rough = (self.y.1 - self.y.0) / 4.0;
        let power = rough.log10().floor();
        let steps = [1.0, 2.0, 5.0].map(|n| n * 10f64.powf(power));
        let step = steps.into_iter().rev().find(|step| *step <= rough).unwrap_or(rough);
        let (first, last) = ((self.y.0 / step).ceil() as i64, (self.y.1 / step).floor() as i64);
        // Not a product that is zero with a sign.
        let values = (first..=last).map(|n| n as f64 * step + 0.0).collect();
        (values, (-power).clamp(0.0, 9.0) as usize)
    }
}

/// A plot as SVG.
fn plot(lines: &[Line], x_name: &str, y_name: &str) -> String {
    let frame = Frame::of(lines);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{} by {}\" font-size=\"12\" fill=\"#222\">",
        SIZE[0],
        SIZE[1],
        escaped(y_name),
        escaped(x_name)
    );
    axes(&mut svg, &frame, x_name);
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        draw(&mut svg, &frame, line, colour);
    }
    names(&mut svg, &frame, lines);
    svg.push_str("</svg>");
    svg
}

fn axes(svg: &mut String, frame: &Frame, x_name: &str) {
    let (values, digits) = frame.heights();
    for value in values {
        let (left, at) = (ROOM[0], frame.at_y(value));
        let _ = write!(
            svg,
            "<line x1=\"{left}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value:.digits$}</text>",
            left + Frame::width(),
            left - 6.0,
            at + 4.0
        );
    }
    let below = ROOM[1] + Frame::height() + 16.0;
    for value in frame.ticks() {
        let at = frame.at_x(value);
        let _ = write!(svg, "<text x=\"{at:.1}\" y=\"{below:.1}\" text-anchor=\"middle\">{value}</text>");
    }
    let _ = write!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
        ROOM[0] + Frame::width() / 2.0,
        SIZE[1] - 8.0,
        escaped(x_name)
    );
}

fn draw(svg: &mut String, frame: &Frame, line: &Line, colour: &str) {
    for &(at, low, high) in &line.bands {
        let (at, low, high) = (frame.at_x(at), frame.at_y(low), frame.at_y(high));
        let _ = write!(
            svg,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{low:.1}\" y2=\"{high:.1}\" stroke=\"{colour}\" opacity=\".5\"/>"
        );
    }
    let places: Vec<(f64, f64)> = line.points.iter().map(|&(x, y)| (frame.at_x(x), frame.at_y(y))).collect();
    let points: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = write!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
        points.join(" ")
    );
    // Many points are a line; few are shown one by one.
    for (x, y) in places.iter().filter(|_| places.len() <= 20) {
        let _ = write!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
    }
}

/// Names at the lines' ends, moved apart where ends meet.
fn names(svg: &mut String, frame: &Frame, lines: &[Line]) {
    let mut ends: Vec<(f64, &Line, &str)> = lines
        .iter()
        .zip(COLOURS.iter().cycle())
        .filter_map(|(line, colour)| Some((frame.at_y(line.points.last()?.1), line, *colour)))
        .collect();
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut above = f64::NEG_INFINITY;
    for (at, line, colour) in ends {
        above = at.max(above + 15.0);
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{}</text>",
            ROOM[0] + Frame::width() + 8.0,
            above + 4.0,
            escaped(&line.name)
        );
    }
}

/// The least and greatest, never equal.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    match (low.is_finite(), high > low) {
        (false, _) => (0.0, 1.0),
        (true, false) => (low - 0.5, high + 0.5),
        (true, true) => (low, high),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_has_a_point_for_each_epoch_and_no_number_that_is_none() {
        let epoch = |loss: f64| Epoch { train_loss: Some(loss), seconds: Some(1.0), ..Epoch::default() };
        let page = curves(&[epoch(-0.1), epoch(-0.4)], "a <b>");
        assert!(page.contains("a &lt;b&gt;") && !page.contains("NaN") && !page.contains("inf"), "{page}");
        assert_eq!(page.matches("<circle").count(), 2);
        assert_eq!(page.matches("<svg").count(), 2);
    }

    #[test]
    fn numbers_at_the_side_are_round() {
        let shown = |y| {
            let (values, digits) = Frame { x: (0.0, 1.0), y }.heights();
            values.iter().map(|value| format!("{value:.digits$}")).collect::<Vec<_>>()
        };
        assert_eq!(shown((945.3, 1049.5)), ["960", "980", "1000", "1020", "1040"]);
        assert_eq!(shown((0.741, 0.829)), ["0.76", "0.78", "0.80", "0.82"]);
        assert_eq!(shown((-0.1, 0.35)), ["-0.1", "0.0", "0.1", "0.2", "0.3"]);
    }

    #[test]
    fn a_learning_curve_shows_both_models_and_the_interval() {
        let point = |cases, new, interval, seconds: Option<f64>| Point {
            cases,
            n: 4,
            new,
            old: 0.7,
            interval,
            wrong_ml: [3.0, 4.0],
            seconds,
            saved: seconds.map(|seconds| seconds / 4.0),
        };
        let points = [point(4, 0.71, None, None), point(8, 0.75, Some([0.01, 0.08]), None)];
        let page = learning_curve(&points, "mine", "");
        assert_eq!((page.matches("<svg").count(), page.matches("<circle").count()), (1, 4));
        assert!(page.contains("+0.0500") && page.contains("+0.0100 to +0.0800"), "{page}");
        let page = learning_curve(&[point(4, 0.71, None, Some(60.0))], "mine", "");
        assert_eq!((page.matches("<svg").count(), page.matches("<circle").count()), (2, 4));
        assert!(page.contains("<td>60<td>15</tr>"), "{page}");
    }
}
