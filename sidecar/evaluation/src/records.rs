//! What a report is made from, and what it holds.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    BlandAltman, Correlation, Detection, McNemar, Measures, Options, Overlap, Pair, PairedT, Subset, Summary,
};

/// A case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// Whose it is; cases of one patient are drawn together by the bootstrap.
    pub patient: String,
    /// Where it was imaged.
    pub centre: Option<String>,
    /// Any other division.
    pub group: Option<String>,
}

/// What a rater is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A model.
    Prediction,
    /// A person.
    Reader,
}

/// Who segmented the cases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rater {
    /// The name on the page.
    pub name: String,
    /// Model or person.
    pub role: Role,
}

/// A structure of a case by a rater, measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Number of the case.
    pub case: usize,
    /// Number of the rater.
    pub rater: usize,
    /// Number of the structure.
    pub structure: usize,
    /// The numbers.
    pub measures: Measures,
}

/// A case by a rater, measured: what the report is made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Number of the case.
    pub case: usize,
    /// Number of the rater.
    pub rater: usize,
    /// By label; a label that is not here is empty in both.
    pub measures: BTreeMap<u8, Measures>,
}

/// A case by two raters, measured against each other.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredPair {
    /// Number of the case.
    pub case: usize,
    /// Number of the one rater, the lower.
    pub a: usize,
    /// Number of the other.
    pub b: usize,
    /// Voxels of the image.
    pub voxels: u64,
    /// By label.
    pub overlaps: BTreeMap<u8, Overlap>,
}

/// What a report is made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// The cases.
    pub cases: Vec<Case>,
    /// The raters, predictions first.
    pub raters: Vec<Rater>,
    /// Names of the structures by label.
    pub names: BTreeMap<u8, String>,
    /// What was measured.
    pub options: Options,
    /// Every case by every rater.
    pub measured: Vec<Measured>,
    /// Every case by every pair of raters.
    pub pairs: Vec<MeasuredPair>,
}

impl Input {
    /// The number of a case's patient.
    pub(crate) fn patient(&self, case: usize) -> usize {
        patient(&self.cases, case)
    }
}

/// The first case of the same patient: a number that stands for the patient.
pub(crate) fn patient(cases: &[Case], case: usize) -> usize {
    let name = |n: usize| cases.get(n).map(|case| &case.patient);
    (0..case).find(|&n| name(n) == name(case)).unwrap_or(case)
}

/// Numbers of a rater over a set of cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// Number of the rater.
    pub rater: usize,
    /// Number of the structure; none: each case's mean over the structures that its truth holds.
    pub structure: Option<usize>,
    /// Which cases.
    pub subset: Subset,
    /// How many.
    pub cases: u64,
    /// By key of the metric; each with its own n, since not every case has every number.
    pub metrics: BTreeMap<String, Summary>,
}

/// Volumes of a rater against the truth, over all cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VolumeAgreement {
    /// Number of the rater.
    pub rater: usize,
    /// Number of the structure.
    pub structure: usize,
    /// Prediction minus truth in millilitres.
    pub bland_altman: Option<BlandAltman>,
    /// Pearson's correlation.
    pub pearson: Option<Correlation>,
    /// ICC(2,1).
    pub icc: Option<Correlation>,
}

/// Two raters on the same cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Key of the metric.
    pub metric: String,
    /// Number of the structure; none: each case's mean over the structures that its truth holds.
    pub structure: Option<usize>,
    /// Which cases.
    pub subset: Subset,
    /// Number of the one rater.
    pub a: usize,
    /// Number of the other.
    pub b: usize,
    /// Cases that both have the number of.
    pub n: u64,
    /// Paired two-tailed t test of a - b.
    pub t: PairedT,
    /// Wilcoxon's signed rank test; none when nothing differs.
    pub wilcoxon_p: Option<f64>,
    /// The t test's p after Holm's correction over all comparisons of this metric, cases and kind.
    pub holm_t_p: f64,
    /// Wilcoxon's p, corrected likewise.
    pub holm_wilcoxon_p: Option<f64>,
}

/// A part of the cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Subgroup {
    /// What divides: `centre`, `group` or `volume of the truth`.
    pub by: String,
    /// Which part.
    pub name: String,
    /// The numbers.
    pub line: Line,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The cases.
    pub cases: Vec<Case>,
    /// Who segmented them.
    pub raters: Vec<Rater>,
    /// The structures.
    pub structures: Vec<String>,
    /// What was measured.
    pub options: Options,
    /// Numbers of every rater, structure and set of cases.
    pub lines: Vec<Line>,
    /// Volumes.
    pub volumes: Vec<VolumeAgreement>,
    /// Raters against each other on the same cases.
    pub comparisons: Vec<Comparison>,
    /// Cases and lesions found.
    pub detection: Vec<Detection>,
    /// Predictions against readers in the cases they get right.
    pub mcnemar: Vec<McNemar>,
    /// Raters against each other, voxel by voxel.
    pub pairs: Vec<Pair>,
    /// Parts of the cases.
    pub subgroups: Vec<Subgroup>,
    /// Every structure of every case by every rater.
    pub rows: Vec<Row>,
}
