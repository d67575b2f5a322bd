//! Curves over a threshold: ROC and precision-recall of cases, FROC of lesions.

use serde::Serialize;

/// One point of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// What counts as positive: scores of at least this.
    pub threshold: f64,
    /// Along the page.
    pub x: f64,
    /// Up the page.
    pub y: f64,
}

/// Receiver operating characteristic, x = 1 - specificity, y = sensitivity, and the area under it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Roc {
    /// From (0, 0), where nothing counts as positive, to (1, 1).
    pub points: Vec<Point>,
    /// Area by trapezia: the probability that a positive scores above a negative.
    pub area: f64,
}

/// Precision (y) over recall (x), and the average precision.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PrecisionRecall {
    /// From few positives to all.
    pub points: Vec<Point>,
    /// Sum of precision times the step in recall (not interpolated).
    pub average_precision: f64,
}

/// At each distinct score, from the highest: the score, true and false positives so far.
fn steps(cases: &[(f64, bool)]) -> Vec<(f64, f64, f64)> {
    let mut cases = cases.to_vec();
    cases.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut found, mut falsely) = (0.0, 0.0);
    let mut steps = Vec::new();
    for equal in cases.chunk_by(|a, b| a.0 == b.0) {
        let positive = equal.iter().filter(|case| case.1).count() as f64;
        found += positive;
        falsely += equal.len() as f64 - positive;
        steps.push((equal[0].0, found, falsely));
    }
    steps
}

/// The ROC of scored cases, true where positive; none unless there are both kinds.
#[must_use]
pub fn roc(cases: &[(f64, bool)]) -> Option<Roc> {
    let steps = steps(cases);
    let &(_, positives, negatives) = steps.last()?;
    if positives == 0.0 || negatives == 0.0 {
        return None;
    }
    let mut points = vec![Point { threshold: f64::MAX, x: 0.0, y: 0.0 }];
    points.extend(steps.iter().map(|&(threshold, t, f)| Point {
        threshold,
        x: f / negatives,
        y: t / positives,
    }));
    let area = points.windows(2).map(|pair| (pair[1].x - pair[0].x) * (pair[0].y + pair[1].y) / 2.0).sum();
    Some(Roc { points, area })
}

/// Precision and recall of scored cases, true where positive; none without positives.
#[must_use]
pub fn precision_recall(cases: &[(f64, bool)]) -> Option<PrecisionRecall> {
    let steps = steps(cases);
    let &(_, positives, _) = steps.last().filter(|step| step.1 > 0.0)?;
    let (mut before, mut average_precision) = (0.0, 0.0);
    let mut points = Vec::new();
    for (threshold, found, falsely) in steps {
        let point = Point { threshold, x: found / positives, y: found / (found + falsely) };
        average_precision += (point.x - before) * point.y;
        before = point.x;
        points.push(point);
    }
    Some(PrecisionRecall { points, average_precision })
}

/// Free-response ROC: x = false lesions per case, y = share of true lesions found, as the confidence that a predicted
/// lesion needs falls. `found_by` holds for each true lesion the surest prediction that overlaps it, `falsely` the
/// confidence of each false one. Empty without true lesions.
#[must_use]
pub fn froc(found_by: &[Option<f64>], falsely: &[f64], cases: usize) -> Vec<Point> {
    if found_by.is_empty() || cases == 0 {
        return Vec::new();
    }
    let mut thresholds: Vec<f64> = found_by.iter().flatten().chain(falsely).copied().collect();
    thresholds.sort_by(|a, b| b.total_cmp(a));
    thresholds.dedup();
    let mut found: Vec<f64> = found_by.iter().flatten().copied().collect();
    let mut falsely = falsely.to_vec();
    found.sort_by(f64::total_cmp);
    falsely.sort_by(f64::total_cmp);
    let at_least =
        |sorted: &[f64], least: f64| (sorted.len() - sorted.partition_point(|&value| value < least)) as f64;
    let point = |&threshold: &f64| Point {
        threshold,
        x: at_least(&falsely, threshold) / cases as f64,
        y: at_least(&found, threshold) / found_by.len() as f64,
    };
    thresholds.iter().map(point).collect()
}
