//! Whether cases and lesions were found at all.

use serde::Serialize;

use crate::{
    Counts, Point, PrecisionRecall, Proportion, Rater, Report, Roc, Role, Row, Rule, froc, mcnemar,
    precision_recall, roc,
};

/// Least predicted volumes in millilitres at which the sweep looks.
const SWEEP: [f64; 8] = [0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0];
/// Borders of lesion sizes in millilitres.
pub(crate) const SIZES: [f64; 4] = [0.1, 1.0, 10.0, 50.0];

/// Sensitivity and specificity for cases, when a predicted volume of at least so much counts as positive.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OperatingPoint {
    /// Least predicted volume in millilitres; at 0 any voxel counts.
    pub at_least_ml: f64,
    /// Positive cases called positive.
    pub sensitivity: Proportion,
    /// Negative cases called negative.
    pub specificity: Proportion,
    /// Cases called positive that are.
    pub positive_predictive_value: Proportion,
    /// Cases called negative that are.
    pub negative_predictive_value: Proportion,
}

/// How a rater finds cases and lesions of a structure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Detection {
    /// Number of the rater.
    pub rater: usize,
    /// Number of the structure.
    pub structure: usize,
    /// Case by case; the first at any voxel. A threshold is to be chosen on other cases than these.
    pub cases: Vec<OperatingPoint>,
    /// By predicted volume; none unless there are positive and negative cases.
    pub roc: Option<Roc>,
    /// By predicted volume; none without positive cases.
    pub precision_recall: Option<PrecisionRecall>,
    /// Lesion by lesion, pooled over cases.
    pub lesions: Vec<LesionDetection>,
    /// Lesions found (any overlap) against false lesions per case, as the least volume of a predicted lesion falls.
    pub froc: Vec<Point>,
}

/// Lesions found under a rule, pooled over cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LesionDetection {
    /// The rule.
    pub rule: Rule,
    /// Found, false and missed.
    pub counts: Counts,
    /// F1 of these counts.
    pub f1: f64,
    /// True lesions found.
    pub sensitivity: Proportion,
    /// Predicted lesions that are right.
    pub precision: Proportion,
    /// False lesions per case.
    pub false_per_case: f64,
    /// True lesions found, by their size.
    pub sizes: Vec<SizeBin>,
}

/// Lesions of a size.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SizeBin {
    /// From so many millilitres.
    pub from_ml: f64,
    /// To so many; none without end.
    pub to_ml: Option<f64>,
    /// How many were found.
    pub found: Proportion,
}

/// Whether a prediction and a reader differ in the cases they get right (any voxel).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct McNemar {
    /// Number of the prediction.
    pub prediction: usize,
    /// Number of the reader.
    pub reader: usize,
    /// Number of the structure.
    pub structure: usize,
    /// Cases that only the prediction got right.
    pub only_prediction: u64,
    /// Cases that only the reader got right.
    pub only_reader: u64,
    /// Two-sided exact p.
    pub p: f64,
}

/// Detection by every rater of every structure that is made of lesions.
pub(crate) fn detection(report: &Report) -> Vec<Detection> {
    if !report.options.lesions {
        return Vec::new();
    }
    let mut found = Vec::new();
    for structure in 0..report.structures.len() {
        for rater in 0..report.raters.len() {
            let rows: Vec<&Row> = report.rows_of(rater, structure).collect();
            found.push(Detection {
                rater,
                structure,
                cases: SWEEP.iter().map(|&ml| operating_point(&rows, ml)).collect(),
                roc: roc(&scores(&rows)),
                precision_recall: precision_recall(&scores(&rows)),
                lesions: Rule::ALL.iter().map(|&rule| lesions(&rows, rule)).collect(),
                froc: lesion_curve(&rows),
            });
        }
    }
    found
}

/// Predicted volume and whether the truth is positive.
fn scores(rows: &[&Row]) -> Vec<(f64, bool)> {
    rows.iter().map(|row| (row.measures.prediction_ml, row.measures.truth_ml > 0.0)).collect()
}

fn called(row: &Row, at_least_ml: f64) -> bool {
    row.measures.prediction_ml > 0.0 && row.measures.prediction_ml >= at_least_ml
}

fn operating_point(rows: &[&Row], at_least_ml: f64) -> OperatingPoint {
    let calls: Vec<(bool, bool)> =
        rows.iter().map(|row| (row.measures.truth_ml > 0.0, called(row, at_least_ml))).collect();
    let share = |given: &dyn Fn(bool, bool) -> bool, has: &dyn Fn(bool, bool) -> bool| {
        Proportion::of(calls.iter().filter(|&&(t, c)| given(t, c)).map(|&(t, c)| has(t, c)))
    };
    OperatingPoint {
        at_least_ml,
        sensitivity: share(&|truth, _| truth, &|_, call| call),
        specificity: share(&|truth, _| !truth, &|_, call| !call),
        positive_predictive_value: share(&|_, call| call, &|truth, _| truth),
        negative_predictive_value: share(&|_, call| !call, &|truth, _| !truth),
    }
}

fn lesions(rows: &[&Row], rule: Rule) -> LesionDetection {
    let lesions = || rows.iter().filter_map(|row| row.measures.lesions.as_ref());
    let counts = lesions().map(|lesions| lesions.counts(rule)).fold(Counts::default(), Counts::plus);
    let predicted: u64 = lesions().map(|lesions| lesions.prediction.len() as u64).sum();
    let starts = std::iter::once(0.0).chain(SIZES);
    let ends = SIZES.into_iter().map(Some).chain([None]);
    let size = |(from_ml, to_ml): (f64, Option<f64>)| {
        let within = |ml: f64| ml >= from_ml && to_ml.is_none_or(|to| ml < to);
        let truth = lesions().flat_map(|lesions| &lesions.truth).filter(|lesion| within(lesion.ml));
        SizeBin { from_ml, to_ml, found: Proportion::of(truth.map(|lesion| lesion.found(rule))) }
    };
    LesionDetection {
        rule,
        counts,
        f1: counts.f1(),
        sensitivity: Proportion::new(counts.true_positive, counts.true_positive + counts.false_negative),
        precision: Proportion::new(predicted - counts.false_positive, predicted),
        false_per_case: counts.false_positive as f64 / rows.len().max(1) as f64,
        sizes: starts.zip(ends).map(size).collect(),
    }
}

fn lesion_curve(rows: &[&Row]) -> Vec<Point> {
    let lesions = || rows.iter().filter_map(|row| row.measures.lesions.as_ref());
    let found_by: Vec<Option<f64>> =
        lesions().flat_map(|lesions| &lesions.truth).map(|lesion| lesion.found_by).collect();
    let falsely = lesions().flat_map(|lesions| &lesions.prediction).filter(|lesion| !lesion.overlaps);
    let falsely: Vec<f64> = falsely.map(|lesion| lesion.ml).collect();
    froc(&found_by, &falsely, rows.len())
}

/// McNemar's test of every prediction against every reader.
pub(crate) fn mcnemars(report: &Report) -> Vec<McNemar> {
    let numbered = |role: Role| {
        let of_role = move |(_, rater): &(usize, &Rater)| rater.role == role;
        report.raters.iter().enumerate().filter(of_role).map(|(n, _)| n).collect::<Vec<usize>>()
    };
    let mut tests = Vec::new();
    if !report.options.lesions {
        return tests;
    }
    for structure in 0..report.structures.len() {
        for &prediction in &numbered(Role::Prediction) {
            for &reader in &numbered(Role::Reader) {
                let right = |row: &Row| called(row, 0.0) == (row.measures.truth_ml > 0.0);
                let pairs = report.rows_of(prediction, structure).zip(report.rows_of(reader, structure));
                let (mut only_prediction, mut only_reader) = (0, 0);
                for (a, b) in pairs {
                    only_prediction += u64::from(right(a) && !right(b));
                    only_reader += u64::from(right(b) && !right(a));
                }
                let p = mcnemar(only_prediction, only_reader);
                tests.push(McNemar { prediction, reader, structure, only_prediction, only_reader, p });
            }
        }
    }
    tests
}
