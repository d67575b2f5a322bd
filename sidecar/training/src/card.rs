//! A model's card: where it comes from, what it reached, and what it is not for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a user of a trained model should know; it travels inside the model file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// What it may be used for.
    pub purpose: String,
    /// The data set's name and what its `dataset.json` says of itself.
    pub dataset: String,
    /// SHA-256 over its files.
    pub dataset_sha256: String,
    /// Cases trained on, validated on, tested on.
    pub cases: [usize; 3],
    /// The licence of the data, as the user states it.
    pub data_licence: String,
    /// SHA-256 of the settings below and the versions.
    pub configuration_sha256: String,
    /// How long and how.
    pub settings: Value,
    /// Steps of the optimiser in all.
    pub budget: u64,
    /// Seed.
    pub seed: u64,
    /// Fold of the data set's splits.
    pub fold: Value,
    /// The model that was trained on from, and its hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<[String; 2]>,
    /// Versions of everything that took part.
    pub versions: Value,
    /// Our network against nnU-Net's on one case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parity: Option<Parity>,
    /// What it reached on the test cases, by structure.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub test: BTreeMap<String, Score>,
    /// Thresholds on the foreground's probability, measured on the validation cases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operating_points: Vec<OperatingPoint>,
    /// How it compares with the model it was trained on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateResult>,
}

/// Voxels that differ between nnU-Net's prediction and ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parity {
    /// The case.
    pub case: String,
    /// Voxels with different labels.
    pub differing: u64,
    /// Voxels in all.
    pub voxels: u64,
}

/// Mean Dice and the cases it is over.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Mean Dice.
    pub dice: f64,
    /// Cases whose truth holds the structure.
    pub n: usize,
}

/// What one threshold gives on the validation cases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OperatingPoint {
    /// The probability above which a voxel is foreground.
    pub threshold: f64,
    /// Mean Dice over cases with foreground.
    pub dice: f64,
    /// Share of the true voxels that are found, pooled over cases.
    pub sensitivity: f64,
    /// Share of the found voxels that are true, pooled over cases.
    pub precision: f64,
    /// False voxels per case, as volume.
    pub false_ml_per_case: f64,
    /// Cases it was measured on.
    pub n: usize,
    /// `sensitive`, `balanced` or `specific`, for the thresholds that have a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A new model against the old one, on cases that neither had seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateResult {
    /// New minus old, mean Dice over cases.
    pub difference: f64,
    /// Its 95 % bootstrap interval; none for fewer than three cases.
    pub interval: Option<[f64; 2]>,
    /// Cases.
    pub n: usize,
    /// By structure, the same.
    pub structures: BTreeMap<String, f64>,
    /// Whether the new model may replace the old one.
    pub passed: bool,
}

impl Card {
    /// Names for three of the measured thresholds: the best Dice, the least with nearly all of its sensitivity gained,
    /// and the greatest that keeps the precision highest. Ties go to the threshold nearest to one half.
    pub fn name_operating_points(points: &mut [OperatingPoint]) {
        let best = |score: &dyn Fn(&OperatingPoint) -> f64, points: &[OperatingPoint]| {
            let order = |a: &&(usize, &OperatingPoint), b: &&(usize, &OperatingPoint)| {
                let near = |point: &OperatingPoint| -(point.threshold - 0.5).abs();
                score(a.1).total_cmp(&score(b.1)).then(near(a.1).total_cmp(&near(b.1)))
            };
            points.iter().enumerate().collect::<Vec<_>>().iter().max_by(order).map(|(at, _)| *at)
        };
        let Some(balanced) = best(&|point| point.dice, points) else { return };
        points[balanced].name = Some("balanced".to_owned());
        let below: Vec<usize> =
            (0..points.len()).filter(|&at| points[at].threshold < points[balanced].threshold).collect();
        let above: Vec<usize> =
            (0..points.len()).filter(|&at| points[at].threshold > points[balanced].threshold).collect();
        // The lowest threshold whose Dice is not worse than half of the best: a cloud of false alarms helps nobody.
        let floor = points[balanced].dice / 2.0;
        if let Some(&at) = below.iter().find(|&&at| points[at].dice >= floor) {
            points[at].name = Some("sensitive".to_owned());
        }
        if let Some(&at) = above.iter().rev().find(|&&at| points[at].dice >= floor) {
            points[at].name = Some("specific".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operating_points_are_named_by_what_they_are_for() {
        let point = |threshold: f64, dice: f64| OperatingPoint {
            threshold,
            dice,
            sensitivity: 1.0 - threshold,
            precision: threshold,
            false_ml_per_case: 0.0,
            n: 4,
            name: None,
        };
        let mut points: Vec<_> =
            [(0.05, 0.1), (0.2, 0.5), (0.5, 0.7), (0.8, 0.6), (0.95, 0.2)].map(|(t, d)| point(t, d)).into();
        Card::name_operating_points(&mut points);
        let names: Vec<_> = points.iter().map(|point| point.name.as_deref().unwrap_or("-")).collect();
        assert_eq!(names, ["-", "sensitive", "balanced", "specific", "-"]);
        let mut flat: Vec<_> = [(0.2, 0.5), (0.5, 0.5), (0.8, 0.5)].map(|(t, d)| point(t, d)).into();
        Card::name_operating_points(&mut flat);
        assert_eq!(flat[1].name.as_deref(), Some("balanced"));
    }
}
