//! Sensitivity against specificity: thresholds on the foreground's probability, measured on the validation cases.

use imaging::Progress;
use training::{Card, OperatingPoint};

use super::cases::{self, Runner};
use super::dataset::Dataset;
use crate::Result;

/// The thresholds that are measured.
const THRESHOLDS: [f64; 7] = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95];

/// Measures every threshold on `cases`, and names three. None for models of several structures.
pub(super) fn measure(
    runner: &Runner,
    dataset: &Dataset,
    cases: &[String],
    progress: &Progress,
) -> Result<Vec<OperatingPoint>> {
    if dataset.labels.len() != 1 || cases.is_empty() {
        return Ok(Vec::new());
    }
    let mut points = Vec::new();
    for threshold in THRESHOLDS {
        let mut sums = Sums::default();
        for case in cases {
            progress.step("choosing thresholds", points.len() as u64, THRESHOLDS.len() as u64)?;
            let truth = cases::read(&dataset.truth(case, "Tr"))?;
            let found = runner.segment(&dataset.images(case, "Tr"), Some(threshold), progress)?.map;
            let overlaps = cases::overlaps(&truth, &found, dataset.ignore)?;
            sums.add(&overlaps, truth.grid.determinant().abs() / 1000.0);
        }
        points.push(sums.point(threshold));
    }
    Card::name_operating_points(&mut points);
    Ok(points)
}

/// Over cases.
#[derive(Default)]
struct Sums {
    cases: usize,
    dice: Vec<f64>,
    truth: u64,
    found: u64,
    both: u64,
    false_ml: f64,
}

impl Sums {
    fn add(&mut self, overlaps: &std::collections::BTreeMap<u8, evaluation::Overlap>, voxel_ml: f64) {
        self.cases += 1;
        for overlap in overlaps.values() {
            if overlap.truth > 0 {
                self.dice.push(overlap.dice());
            }
            self.truth += overlap.truth;
            self.found += overlap.prediction;
            self.both += overlap.both;
            self.false_ml += (overlap.prediction - overlap.both) as f64 * voxel_ml;
        }
    }

    fn point(&self, threshold: f64) -> OperatingPoint {
        let share = |part: u64, of: u64| if of > 0 { part as f64 / of as f64 } else { 0.0 };
        OperatingPoint {
            threshold,
            dice: if self.dice.is_empty() {
                0.0
            } else {
                self.dice.iter().sum::<f64>() / self.dice.len() as f64
            },
            sensitivity: share(self.both, self.truth),
            precision: share(self.both, self.found),
            false_ml_per_case: self.false_ml / self.cases.max(1) as f64,
            n: self.cases,
            name: None,
        }
    }
}
