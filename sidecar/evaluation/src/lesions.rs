//! Which lesions were found: components of truth and prediction matched under two rules.
//!
//! * **any overlap** (ISLES'22): a true lesion is found when a voxel of it is predicted, a predicted one is false when
//!   no voxel of it is true. Kind to predictions that flood: growing the truth by a voxel keeps F1 = 1.
//! * **one to one** (panoptic quality, ISLES'26): a true and a predicted lesion are a pair when their intersection over
//!   union is at least 0.25; the best pairs first, each lesion in one pair.

use std::collections::BTreeMap;

use imaging::{Components, Connectivity};
use ndarray::ArrayView3;
use serde::Serialize;

/// Least intersection over union of a one-to-one pair.
pub const PAIR_IOU: f64 = 0.25;

/// A lesion of the truth: voxels that hang together through faces, edges or corners.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrueLesion {
    /// Its volume.
    pub ml: f64,
    /// Whether it has a one-to-one partner.
    pub paired: bool,
    /// Confidence of the surest predicted lesion that overlaps it: its volume in millilitres; none when it was missed.
    pub found_by: Option<f64>,
}

/// A lesion of the prediction.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PredictedLesion {
    /// Its volume, which is also the confidence in it.
    pub ml: f64,
    /// Whether a voxel of it is true.
    pub overlaps: bool,
    /// Whether it has a one-to-one partner.
    pub paired: bool,
}

/// The rule by which a lesion counts as found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// One common voxel is enough.
    AnyOverlap,
    /// One-to-one pairs of at least [`PAIR_IOU`].
    OneToOne,
}

impl Rule {
    /// Both rules.
    pub const ALL: [Rule; 2] = [Rule::AnyOverlap, Rule::OneToOne];

    /// As people read it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Rule::AnyOverlap => "any overlap",
            Rule::OneToOne => "one to one, IoU ≥ 0.25",
        }
    }
}

/// Found, false and missed lesions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// True lesions that were found.
    pub true_positive: u64,
    /// Predicted lesions that are false.
    pub false_positive: u64,
    /// True lesions that were missed.
    pub false_negative: u64,
}

impl Counts {
    /// F1 = TP / (TP + (FP + FN) / 2), which under one-to-one pairs is the recognition quality of panoptic quality;
    /// 1 when there is nothing to find and nothing found.
    #[must_use]
    pub fn f1(&self) -> f64 {
        let half = (self.false_positive + self.false_negative) as f64 / 2.0;
        let found = self.true_positive as f64;
        if found + half == 0.0 { 1.0 } else { found / (found + half) }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Counts) -> Counts {
        Counts {
            true_positive: self.true_positive + other.true_positive,
            false_positive: self.false_positive + other.false_positive,
            false_negative: self.false_negative + other.false_negative,
        }
    }
}

/// The lesions of a case.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Lesions {
    /// Lesions of the truth, in the order of their first voxels.
    pub truth: Vec<TrueLesion>,
    /// Lesions of the prediction, in the order of their first voxels.
    pub prediction: Vec<PredictedLesion>,
}

impl Lesions {
    /// Matches the lesions of two masks `[[k, j, i]]` with voxels of `voxel_ml`.
    #[must_use]
    pub fn of(truth: ArrayView3<'_, bool>, prediction: ArrayView3<'_, bool>, voxel_ml: f64) -> Lesions {
        let components =
            |mask: ArrayView3<'_, bool>| Components::of(mask, |&inside| inside, Connectivity::Corners);
        let (true_ones, predicted) = (components(truth), components(prediction));
        let mut common: BTreeMap<(usize, usize), u64> = BTreeMap::new();
        for (&a, &b) in true_ones.labels().iter().zip(&predicted.labels()) {
            if a > 0 && b > 0 {
                *common.entry((a as usize - 1, b as usize - 1)).or_default() += 1;
            }
        }
        let ml = |voxels: &u64| *voxels as f64 * voxel_ml;
        let mut lesions = Lesions {
            truth: true_ones
                .sizes()
                .iter()
                .map(|n| TrueLesion { ml: ml(n), paired: false, found_by: None })
                .collect(),
            prediction: predicted
                .sizes()
                .iter()
                .map(|n| PredictedLesion { ml: ml(n), overlaps: false, paired: false })
                .collect(),
        };
        let mut pairs = Vec::new();
        for (&(a, b), &both) in &common {
            let confidence = lesions.prediction[b].ml;
            let found_by = &mut lesions.truth[a].found_by;
            *found_by = Some(found_by.map_or(confidence, |other| other.max(confidence)));
            lesions.prediction[b].overlaps = true;
            pairs.push((both as f64 / (true_ones.sizes()[a] + predicted.sizes()[b] - both) as f64, a, b));
        }
        pairs.sort_by(|x, y| y.0.total_cmp(&x.0).then((x.1, x.2).cmp(&(y.1, y.2))));
        for (iou, a, b) in pairs {
            if iou >= PAIR_IOU && !lesions.truth[a].paired && !lesions.prediction[b].paired {
                (lesions.truth[a].paired, lesions.prediction[b].paired) = (true, true);
            }
        }
        lesions
    }

    /// Found, false and missed lesions under a rule.
    #[must_use]
    pub fn counts(&self, rule: Rule) -> Counts {
        let found = self.truth.iter().filter(|lesion| lesion.found(rule)).count();
        let right = |lesion: &&PredictedLesion| match rule {
            Rule::AnyOverlap => lesion.overlaps,
            Rule::OneToOne => lesion.paired,
        };
        let right = self.prediction.iter().filter(right).count();
        Counts {
            true_positive: found as u64,
            false_positive: (self.prediction.len() - right) as u64,
            false_negative: (self.truth.len() - found) as u64,
        }
    }
}

impl TrueLesion {
    /// Whether it counts as found.
    #[must_use]
    pub fn found(&self, rule: Rule) -> bool {
        match rule {
            Rule::AnyOverlap => self.found_by.is_some(),
            Rule::OneToOne => self.paired,
        }
    }
}
