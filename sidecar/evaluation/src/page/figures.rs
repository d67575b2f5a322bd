//! The plots of the page.

use super::plot::{Plot, colour, number};
use crate::{Detection, Line, Metric, Report, Subset, VolumeAgreement};

/// Outer size of a plot that shares its row with another.
const HALF: [f64; 2] = [460.0, 330.0];

/// Dice of every case, rater by rater: dots, quartiles, median, mean with its interval.
pub(super) fn strips(report: &Report, structure: Option<usize>, subset: Subset) -> String {
    let raters = report.raters.len();
    let mut plot =
        Plot::new([940.0, 64.0 + 58.0 * raters as f64], 150.0, [0.0, 1.0], [raters as f64 - 0.5, -0.5]);
    plot.x_axis("Dice");
    for rater in 0..raters {
        let y = rater as f64;
        plot.row_name(y, &report.raters[rater].name);
        let values = report.values(Metric::Dice, rater, structure, subset);
        if let Some(dice) = report.line(rater, structure, subset).and_then(|line| line.metrics.get("dice")) {
            plot.band([dice.quartiles[0], y - 0.3], [dice.quartiles[1], y + 0.3], colour(rater), 0.14);
            plot.line(&[[dice.median, y - 0.3], [dice.median, y + 0.3]], colour(rater), "stroke-width:2");
        }
        let named = values.iter().enumerate().filter_map(|(case, value)| Some((case, (*value)?)));
        let mut placed: Vec<(f64, usize)> = named.map(|(case, value)| (value, case)).collect();
        placed.sort_by(|a, b| a.0.total_cmp(&b.0));
        // Dots that would cover each other are set apart, up and down in turn.
        for (n, (value, case)) in placed.into_iter().enumerate() {
            let offset = [0.0, -0.13, 0.13, -0.22, 0.22][n % 5];
            let says = format!("{}: {value:.3}", report.cases[case].name);
            plot.dot([value, y + offset], 3.2, colour(rater), &says);
        }
        if let Some(dice) = report.line(rater, structure, subset).and_then(|line| line.metrics.get("dice")) {
            if let Some([low, high]) = dice.mean_confidence {
                plot.line(&[[low, y + 0.4], [high, y + 0.4]], colour(rater), "stroke-width:3");
            }
            plot.dot([dice.mean, y + 0.4], 4.5, colour(rater), &format!("mean {:.3}", dice.mean));
        }
    }
    plot.svg("Dice of every case by rater")
}

/// A metric of every structure: range, quartiles and median of each rater, best structures first.
pub(super) fn structures(report: &Report, metric: Metric) -> String {
    let key = metric.key(&report.options.tolerances_mm);
    let line = |rater, structure| report.line(rater, Some(structure), Subset::TruthPositive);
    let summary = |rater, structure| line(rater, structure).and_then(|line: &Line| line.metrics.get(&key));
    let mut order: Vec<usize> = (0..report.structures.len()).filter(|&n| summary(0, n).is_some()).collect();
    let median = |structure: usize| summary(0, structure).map_or(f64::NAN, |summary| summary.median);
    order.sort_by(|&a, &b| median(b).total_cmp(&median(a)));
    let (rows, raters) = (order.len() as f64, report.raters.len());
    let size = [940.0, 60.0 + rows * (10.0 + 9.0 * raters as f64)];
    let mut plot = Plot::new(size, 210.0, [0.0, 1.0], [rows - 0.5, -0.5]);
    plot.x_axis(&metric.name(&report.options.tolerances_mm));
    for (row, &structure) in order.iter().enumerate() {
        plot.row_name(row as f64, &report.structures[structure]);
        for rater in 0..raters {
            let Some(summary) = summary(rater, structure) else { continue };
            let y = row as f64 + (rater as f64 + 0.5) / raters as f64 * 0.7 - 0.35;
            let half = 0.24 / raters as f64;
            plot.line(&[[summary.range[0], y], [summary.range[1], y]], colour(rater), "stroke-width:1");
            let [low, high] = summary.quartiles;
            plot.band([low, y - half], [high, y + half], colour(rater), 0.35);
            let says = format!(
                "{}, {}: median {:.3}, quartiles {low:.3} to {high:.3}, n = {}",
                report.raters[rater].name, report.structures[structure], summary.median, summary.n
            );
            plot.dot([summary.median, y], 3.4, colour(rater), &says);
        }
    }
    plot.svg("Dice of every structure by rater")
}

/// Difference over mean of the volumes, with bias and limits of agreement.
pub(super) fn bland_altman(report: &Report, volumes: &VolumeAgreement) -> String {
    let Some(analysis) = volumes.bland_altman else { return String::new() };
    let rows = || report.rows_of(volumes.rater, volumes.structure);
    let point = |row: &crate::Row| {
        let (truth, prediction) = (row.measures.truth_ml, row.measures.prediction_ml);
        [(truth + prediction) / 2.0, prediction - truth]
    };
    let points: Vec<[f64; 2]> = rows().map(point).collect();
    let right = points.iter().map(|at| at[0]).fold(0.0, f64::max) * 1.05;
    let bounds = [analysis.lower_confidence[0], analysis.upper_confidence[1]];
    let down = points.iter().map(|at| at[1]).fold(bounds[0], f64::min);
    let up = points.iter().map(|at| at[1]).fold(bounds[1], f64::max);
    let margin = (up - down) * 0.06;
    let mut plot = Plot::new(HALF, 58.0, [0.0, right], [down - margin, up + margin]);
    plot.x_axis("Mean of truth and prediction, mL");
    plot.y_axis("Prediction − truth, mL");
    let ink = colour(volumes.rater);
    plot.band([0.0, analysis.bias_confidence[0]], [right, analysis.bias_confidence[1]], ink, 0.16);
    plot.band([0.0, analysis.lower_confidence[0]], [right, analysis.lower_confidence[1]], "#888", 0.12);
    plot.band([0.0, analysis.upper_confidence[0]], [right, analysis.upper_confidence[1]], "#888", 0.12);
    plot.line(&[[0.0, 0.0], [right, 0.0]], "#999", "stroke-width:1");
    for (value, style, name) in [
        (analysis.bias, "stroke-width:1.6", "bias"),
        (analysis.limits[0], "stroke-width:1.2;stroke-dasharray:5 4", "lower limit"),
        (analysis.limits[1], "stroke-width:1.2;stroke-dasharray:5 4", "upper limit"),
    ] {
        plot.line(&[[0.0, value], [right, value]], ink, style);
        plot.words([right, value], &format!("{name} {}", number((value * 100.0).round() / 100.0)), "end");
    }
    for (row, at) in rows().zip(points) {
        let says = format!("{}: {:.2} mL", report.cases[row.case].name, at[1]);
        plot.dot(at, 3.4, ink, &says);
    }
    plot.svg("Bland-Altman plot of volumes")
}

/// Predicted over true volume, with the line of equality.
pub(super) fn scatter(report: &Report, volumes: &VolumeAgreement) -> String {
    let rows = || report.rows_of(volumes.rater, volumes.structure);
    let most =
        rows().map(|row| row.measures.truth_ml.max(row.measures.prediction_ml)).fold(0.0, f64::max) * 1.05;
    let mut plot = Plot::new(HALF, 58.0, [0.0, most], [0.0, most]);
    plot.x_axis("Truth, mL");
    plot.y_axis("Prediction, mL");
    plot.line(&[[0.0, 0.0], [most, most]], "#999", "stroke-width:1");
    for row in rows() {
        let at = [row.measures.truth_ml, row.measures.prediction_ml];
        let says = format!("{}: {:.2} mL of {:.2} mL", report.cases[row.case].name, at[1], at[0]);
        plot.dot(at, 3.4, colour(volumes.rater), &says);
    }
    plot.svg("Predicted over true volume")
}

/// ROC of cases by predicted volume, one curve per rater, with the point at any voxel.
pub(super) fn roc(found: &[&Detection]) -> String {
    let mut plot = Plot::new(HALF, 58.0, [0.0, 1.0], [0.0, 1.0]);
    plot.x_axis("1 − specificity (cases)");
    plot.y_axis("Sensitivity (cases)");
    plot.line(&[[0.0, 0.0], [1.0, 1.0]], "#bbb", "stroke-width:1;stroke-dasharray:3 4");
    for detection in found {
        let Some(roc) = &detection.roc else { continue };
        let points: Vec<[f64; 2]> = roc.points.iter().map(|point| [point.x, point.y]).collect();
        plot.line(&points, colour(detection.rater), "stroke-width:2");
        if let Some(any) = detection.cases.first()
            && let (Some(sensitivity), Some(specificity)) = (any.sensitivity.share, any.specificity.share)
        {
            plot.dot([1.0 - specificity, sensitivity], 4.5, colour(detection.rater), "any voxel");
        }
    }
    plot.svg("Receiver operating characteristic of cases")
}

/// Precision over recall of cases.
pub(super) fn precision_recall(found: &[&Detection]) -> String {
    let mut plot = Plot::new(HALF, 58.0, [0.0, 1.0], [0.0, 1.0]);
    plot.x_axis("Recall (cases)");
    plot.y_axis("Precision (cases)");
    for detection in found {
        let Some(curve) = &detection.precision_recall else { continue };
        let points: Vec<[f64; 2]> = curve.points.iter().map(|point| [point.x, point.y]).collect();
        plot.line(&points, colour(detection.rater), "stroke-width:2");
        if let [only] = points.as_slice() {
            plot.dot(*only, 4.0, colour(detection.rater), "all cases");
        }
    }
    plot.svg("Precision and recall of cases")
}

/// Lesions found over false lesions per case.
pub(super) fn froc(found: &[&Detection]) -> String {
    let most = found.iter().flat_map(|one| &one.froc).map(|point| point.x).fold(0.5, f64::max);
    let mut plot = Plot::new(HALF, 58.0, [0.0, most * 1.05], [0.0, 1.0]);
    plot.x_axis("False lesions per case");
    plot.y_axis("Sensitivity (lesions, any overlap)");
    for detection in found {
        let points: Vec<[f64; 2]> = detection.froc.iter().map(|point| [point.x, point.y]).collect();
        plot.line(&points, colour(detection.rater), "stroke-width:2");
        if let Some(last) = points.last() {
            plot.dot(*last, 4.5, colour(detection.rater), "any voxel");
        }
    }
    plot.svg("Free-response ROC of lesions")
}

/// Share of lesions found by size, with Wilson's intervals.
pub(super) fn sizes(found: &[&Detection]) -> String {
    let Some(bins) = found.first().and_then(|one| one.lesions.first()).map(|one| one.sizes.len()) else {
        return String::new();
    };
    let mut plot = Plot::new(HALF, 58.0, [-0.5, bins as f64 - 0.5], [0.0, 1.0]);
    plot.y_axis("Sensitivity (lesions, any overlap)");
    for (n, detection) in found.iter().enumerate() {
        let Some(lesions) = detection.lesions.first() else { continue };
        for (bin, size) in lesions.sizes.iter().enumerate() {
            let x = bin as f64 + (n as f64 + 0.5) / found.len() as f64 * 0.5 - 0.25;
            let (Some(share), Some([low, high])) = (size.found.share, size.found.wilson) else { continue };
            plot.line(&[[x, low], [x, high]], colour(detection.rater), "stroke-width:2");
            plot.dot(
                [x, share],
                4.2,
                colour(detection.rater),
                &format!("{} of {}", size.found.k, size.found.n),
            );
        }
    }
    if let Some(lesions) = found.first().and_then(|one| one.lesions.first()) {
        for (bin, size) in lesions.sizes.iter().enumerate() {
            let name = match size.to_ml {
                Some(to) => format!("{}–{}", number(size.from_ml), number(to)),
                None => format!("≥ {}", number(size.from_ml)),
            };
            plot.words([bin as f64, -0.085], &name, "middle");
        }
        plot.words([(bins as f64 - 1.0) / 2.0, -0.135], "Volume of the lesion, mL", "middle");
    }
    plot.svg("Lesions found by size")
}
