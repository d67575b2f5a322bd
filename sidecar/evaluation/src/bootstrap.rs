//! The 95 % interval of a mean without any assumption about its distribution: bootstrap by patient.

use std::collections::BTreeMap;

use imaging::Random;

use crate::distributions::{normal_cdf, normal_quantile};
use crate::summary::quantile;

/// Resamples of a bootstrap.
pub const RESAMPLES: usize = 2000;
/// Seed of every bootstrap, so that a report is the same each time.
pub const SEED: u64 = 20_201_217;

/// The 95 % interval of the mean by bias-corrected and accelerated bootstrap (Efron 1987): patients are drawn with
/// replacement, each with all its values.
#[must_use]
pub fn bootstrap_mean(values: &[(usize, f64)]) -> Option<[f64; 2]> {
    // Sum and count of each patient are all that a mean needs.
    let mut patients: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
    for &(patient, value) in values {
        let sums = patients.entry(patient).or_default();
        *sums = (sums.0 + value, sums.1 + 1.0);
    }
    let patients: Vec<(f64, f64)> = patients.into_values().collect();
    let total = patients.iter().fold((0.0, 0.0), |all, one| (all.0 + one.0, all.1 + one.1));
    let mean = total.0 / total.1;
    if patients.len() < 3 {
        return None;
    }
    let mut random = Random::new(SEED);
    let mut means: Vec<f64> = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        let (mut sum, mut count) = (0.0, 0.0);
        for _ in 0..patients.len() {
            let drawn = patients[random.below(patients.len())];
            (sum, count) = (sum + drawn.0, count + drawn.1);
        }
        means.push(sum / count);
    }
    means.sort_by(f64::total_cmp);
    let without: Vec<f64> = patients.iter().map(|one| (total.0 - one.0) / (total.1 - one.1)).collect();
    bca(&means, mean, &without)
}

/// The interval from sorted resampled statistics, the statistic itself, and the statistics without each patient.
fn bca(resampled: &[f64], statistic: f64, without: &[f64]) -> Option<[f64; 2]> {
    let below = resampled.iter().filter(|&&value| value < statistic).count() as f64;
    let at_most = resampled.iter().filter(|&&value| value <= statistic).count() as f64;
    let bias = normal_quantile((below + at_most) / (2.0 * resampled.len() as f64));
    let middle = without.iter().sum::<f64>() / without.len() as f64;
    let moment = |power: i32| without.iter().map(|value| (middle - value).powi(power)).sum::<f64>();
    let acceleration = moment(3) / (6.0 * moment(2).powf(1.5));
    let place = |share: f64| {
        let shifted = bias + normal_quantile(share);
        normal_cdf(bias + shifted / (1.0 - acceleration * shifted))
    };
    let interval = [quantile(resampled, place(0.025)), quantile(resampled, place(0.975))];
    interval.iter().all(|bound| bound.is_finite()).then_some(interval)
}
