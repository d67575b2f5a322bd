//! A share k of n, always with its numerator, its denominator and two intervals.

use serde::Serialize;

use crate::distributions::{beta_quantile, normal_quantile};

/// k of n with 95 % intervals; a share of nothing has none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Proportion {
    /// How many have it.
    pub k: u64,
    /// Of how many.
    pub n: u64,
    /// k / n.
    pub share: Option<f64>,
    /// Wilson's score interval (1927).
    pub wilson: Option<[f64; 2]>,
    /// Clopper and Pearson's exact interval (1934).
    pub clopper_pearson: Option<[f64; 2]>,
}

impl Proportion {
    /// `k` of `n`.
    #[must_use]
    pub fn new(k: u64, n: u64) -> Proportion {
        let some = n > 0 && k <= n;
        Proportion {
            k,
            n,
            share: some.then(|| k as f64 / n as f64),
            wilson: some.then(|| wilson(k as f64, n as f64)),
            clopper_pearson: some.then(|| clopper_pearson(k as f64, n as f64)),
        }
    }

    /// How many of `values` are true.
    pub fn of(values: impl IntoIterator<Item = bool>) -> Proportion {
        let (mut k, mut n) = (0, 0);
        for value in values {
            k += u64::from(value);
            n += 1;
        }
        Proportion::new(k, n)
    }
}

fn wilson(k: f64, n: f64) -> [f64; 2] {
    let z = normal_quantile(0.975);
    let share = k / n;
    let scale = 1.0 + z * z / n;
    let centre = (share + z * z / (2.0 * n)) / scale;
    let half = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt() / scale;
    [(centre - half).max(0.0), (centre + half).min(1.0)]
}

fn clopper_pearson(k: f64, n: f64) -> [f64; 2] {
    let low = if k == 0.0 { 0.0 } else { beta_quantile(0.025, k, n - k + 1.0) };
    let high = if k == n { 1.0 } else { beta_quantile(0.975, k + 1.0, n - k) };
    [low, high]
}
