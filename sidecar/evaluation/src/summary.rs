//! Many numbers in a line: mean, median, spread, and the 95 % interval of the mean.

use serde::Serialize;

use crate::bootstrap::bootstrap_mean;
use crate::paired::mean_and_deviation;

/// What a number is over cases.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// Cases that have it.
    pub n: u64,
    /// Mean.
    pub mean: f64,
    /// 95 % interval of the mean: BCa bootstrap, 2000 resamples by patient; none for fewer than three patients or
    /// where nothing varies.
    pub mean_confidence: Option<[f64; 2]>,
    /// Sample standard deviation.
    pub deviation: f64,
    /// Median.
    pub median: f64,
    /// First and third quartile (linear between values, NumPy's default).
    pub quartiles: [f64; 2],
    /// Least and greatest.
    pub range: [f64; 2],
}

/// Sums up values, each with the number of its patient; none for none.
#[must_use]
pub fn summarise(values: &[(usize, f64)]) -> Option<Summary> {
    let mut sorted: Vec<f64> = values.iter().map(|value| value.1).collect();
    let (mean, deviation) = mean_and_deviation(&sorted);
    sorted.sort_by(f64::total_cmp);
    Some(Summary {
        n: sorted.len() as u64,
        mean,
        mean_confidence: bootstrap_mean(values),
        deviation,
        median: quantile(&sorted, 0.5),
        quartiles: [quantile(&sorted, 0.25), quantile(&sorted, 0.75)],
        range: [*sorted.first()?, *sorted.last()?],
    })
}

/// A quantile of sorted values, linear between neighbours; NaN of none.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * sorted.len().saturating_sub(1) as f64;
    let (below, above) = (at.floor() as usize, at.ceil() as usize);
    match (sorted.get(below), sorted.get(above)) {
        (Some(low), Some(high)) => low + (high - low) * (at - below as f64),
        _ => f64::NAN,
    }
}
