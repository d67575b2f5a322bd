//! How much raters agree among themselves, the truth left out.

use serde::Serialize;

use crate::{Input, Overlap, Summary, summarise};

/// What two raters share of every case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pair {
    /// Number of the one rater.
    pub a: usize,
    /// Number of the other.
    pub b: usize,
    /// Dice of each case: the mean over the structures that either holds; 1 when there are none.
    pub dice: Option<Summary>,
    /// Cohen's kappa over voxels, likewise; cases without voxels of either are left out.
    pub kappa: Option<Summary>,
}

/// Sums up every pair of raters.
pub(crate) fn pairs(input: &Input) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for a in 0..input.raters.len() {
        for b in a + 1..input.raters.len() {
            let measured = input.pairs.iter().filter(|pair| (pair.a, pair.b) == (a, b));
            let (mut dice, mut kappa) = (Vec::new(), Vec::new());
            for measured in measured {
                let patient = input.patient(measured.case);
                let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
                let overlaps: Vec<&Overlap> = measured.overlaps.values().collect();
                if overlaps.is_empty() {
                    dice.push((patient, 1.0));
                    continue;
                }
                dice.push((patient, mean(overlaps.iter().map(|overlap| overlap.dice()).collect())));
                kappa.push((
                    patient,
                    mean(overlaps.iter().filter_map(|o| o.kappa(measured.voxels)).collect()),
                ));
            }
            pairs.push(Pair { a, b, dice: summarise(&dice), kappa: summarise(&kappa) });
        }
    }
    pairs
}
