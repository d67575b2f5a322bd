//! Whether two raters differ on the same cases: paired t, Wilcoxon's signed ranks, McNemar's exact test, Holm.

use serde::Serialize;

use crate::distributions::{normal_cdf, t_quantile, t_two_sided};

/// Up to so many differences Wilcoxon's test is exact.
const EXACT: usize = 50;

/// A paired two-tailed t test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PairedT {
    /// Mean of the differences.
    pub mean_difference: f64,
    /// Its 95 % confidence interval.
    pub confidence: [f64; 2],
    /// The statistic; none when all differences are equal.
    pub t: Option<f64>,
    /// Degrees of freedom.
    pub degrees: u64,
    /// Both tails.
    pub p: f64,
}

/// Tests `differences` against 0 (Student 1908); none for fewer than two.
///
/// Where all differences are equal there is no t: p is 1 when they are 0, else 0.
#[must_use]
pub fn paired_t(differences: &[f64]) -> Option<PairedT> {
    if differences.len() < 2 {
        return None;
    }
    let n = differences.len() as f64;
    let (mean, deviation) = mean_and_deviation(differences);
    let error = deviation / n.sqrt();
    let half = t_quantile(0.95, n - 1.0) * error;
    let t = (error > 0.0).then(|| mean / error);
    let p = t.map_or(if mean == 0.0 { 1.0 } else { 0.0 }, |t| t_two_sided(t, n - 1.0));
    let confidence = [mean - half, mean + half];
    Some(PairedT { mean_difference: mean, confidence, t, degrees: differences.len() as u64 - 1, p })
}

/// Mean and sample standard deviation; the deviation of one value is 0.
pub(crate) fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    (mean, if values.len() < 2 { 0.0 } else { (squares / (n - 1.0)).sqrt() })
}

/// Two-sided p of Wilcoxon's signed rank test (1945). Differences of 0 are dropped, ties share their mean rank; with up
/// to 50 differences the distribution is the exact one of these ranks, ties included, otherwise normal with Wilcoxon's
/// correction for ties. None when nothing differs.
#[must_use]
pub fn wilcoxon(differences: &[f64]) -> Option<f64> {
    let mut sizes: Vec<(f64, bool)> =
        differences.iter().filter(|&&d| d != 0.0).map(|d| (d.abs(), *d > 0.0)).collect();
    sizes.sort_by(|a, b| a.0.total_cmp(&b.0));
    if sizes.is_empty() {
        return None;
    }
    // Twice the ranks, so that mean ranks are whole numbers.
    let mut ranks: Vec<usize> = Vec::with_capacity(sizes.len());
    let mut ties = 0.0;
    for tied in sizes.chunk_by(|a, b| a.0 == b.0) {
        let before = ranks.len();
        ranks.extend(std::iter::repeat_n(2 * before + tied.len() + 1, tied.len()));
        let count = tied.len() as f64;
        ties += count.powi(3) - count;
    }
    let positive: usize = ranks.iter().zip(&sizes).filter(|(_, size)| size.1).map(|(rank, _)| rank).sum();
    let all: usize = ranks.iter().sum();
    let least = positive.min(all - positive);
    Some(if ranks.len() <= EXACT {
        exact(&ranks, least)
    } else {
        let n = ranks.len() as f64;
        let variance = (n * (n + 1.0) * (2.0 * n + 1.0) - ties / 2.0) / 24.0;
        let z = (least as f64 / 2.0 - n * (n + 1.0) / 4.0) / variance.sqrt();
        (2.0 * normal_cdf(z)).min(1.0)
    })
}

/// Twice the probability that ranks with random signs sum to at most `least`.
fn exact(ranks: &[usize], least: usize) -> f64 {
    let mut ways = vec![0.0; least + 1];
    ways[0] = 1.0;
    for &rank in ranks {
        for sum in (rank..=least).rev() {
            ways[sum] += ways[sum - rank];
        }
    }
    (2.0 * ways.iter().sum::<f64>() / 2f64.powi(ranks.len() as i32)).min(1.0)
}

/// Two-sided p of McNemar's exact test: `b` cases that only one got right, `c` that only the other did.
#[must_use]
pub fn mcnemar(b: u64, c: u64) -> f64 {
    let n = b + c;
    let mut term = 0.5f64.powi(n.min(1000) as i32);
    if n > 1000 {
        // The exact terms leave the range of f64; with so many the normal curve with continuity is as good.
        let z = -((b.abs_diff(c) as f64 - 1.0).max(0.0)) / (n as f64).sqrt();
        return (2.0 * normal_cdf(z)).min(1.0);
    }
    let mut sum = 0.0;
    for k in 0..=b.min(c) {
        sum += term;
        term *= (n - k) as f64 / (k + 1) as f64;
    }
    (2.0 * sum).min(1.0)
}

/// Holm's step-down correction (1979) of p values that were tested together; same order.
#[must_use]
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut corrected = vec![0.0; p.len()];
    let mut greatest: f64 = 0.0;
    for (done, &at) in order.iter().enumerate() {
        greatest = greatest.max(p[at] * (p.len() - done) as f64).min(1.0);
        corrected[at] = greatest;
    }
    corrected
}
