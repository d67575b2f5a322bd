//! Whether two raters measure the same volumes: Bland-Altman, Pearson, intraclass correlation.

use serde::Serialize;

use crate::distributions::{f_quantile, normal_quantile, t_quantile};
use crate::paired::mean_and_deviation;

/// Bland and Altman's analysis (1986) of prediction minus truth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BlandAltman {
    /// Pairs.
    pub n: u64,
    /// Mean difference.
    pub bias: f64,
    /// 95 % confidence interval of the bias.
    pub bias_confidence: [f64; 2],
    /// Sample standard deviation of the differences.
    pub deviation: f64,
    /// Limits of agreement: bias ± 1.96 deviations.
    pub limits: [f64; 2],
    /// 95 % confidence interval of the lower limit.
    pub lower_confidence: [f64; 2],
    /// 95 % confidence interval of the upper limit.
    pub upper_confidence: [f64; 2],
}

/// Analyses `prediction - truth`; none for fewer than two pairs.
#[must_use]
pub fn bland_altman(truth: &[f64], prediction: &[f64]) -> Option<BlandAltman> {
    let differences: Vec<f64> =
        truth.iter().zip(prediction).map(|(truth, prediction)| prediction - truth).collect();
    if differences.len() < 2 {
        return None;
    }
    let n = differences.len() as f64;
    let (bias, deviation) = mean_and_deviation(&differences);
    let t = t_quantile(0.95, n - 1.0);
    let around = |value: f64, error: f64| [value - t * error, value + t * error];
    let limits = [bias - 1.96 * deviation, bias + 1.96 * deviation];
    let of_limit = deviation * (1.0 / n + 1.96 * 1.96 / (2.0 * (n - 1.0))).sqrt();
    Some(BlandAltman {
        n: differences.len() as u64,
        bias,
        bias_confidence: around(bias, deviation / n.sqrt()),
        deviation,
        limits,
        lower_confidence: around(limits[0], of_limit),
        upper_confidence: around(limits[1], of_limit),
    })
}

/// A correlation with its 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Correlation {
    /// From -1 to 1.
    pub r: f64,
    /// Its 95 % confidence interval; none where there are too few pairs.
    pub confidence: Option<[f64; 2]>,
}

/// Pearson's correlation with Fisher's interval; none where one side does not vary.
#[must_use]
pub fn pearson(a: &[f64], b: &[f64]) -> Option<Correlation> {
    let n = a.len().min(b.len());
    if n < 2 {
        return None;
    }
    let (mean_a, deviation_a) = mean_and_deviation(&a[..n]);
    let (mean_b, deviation_b) = mean_and_deviation(&b[..n]);
    if deviation_a == 0.0 || deviation_b == 0.0 {
        return None;
    }
    let sum: f64 =
        a.iter().zip(b).map(|(a, b)| (a - mean_a) / deviation_a * ((b - mean_b) / deviation_b)).sum();
    let r = (sum / (n as f64 - 1.0)).clamp(-1.0, 1.0);
    let confidence = (n > 3).then(|| {
        let half = normal_quantile(0.975) / (n as f64 - 3.0).sqrt();
        [(r.atanh() - half).tanh(), (r.atanh() + half).tanh()]
    });
    Some(Correlation { r, confidence })
}

/// ICC(2,1): absolute agreement of two raters, each measurement single, raters random (Shrout and Fleiss 1979), with
/// the interval of McGraw and Wong (1996); none for fewer than two pairs or where nothing varies.
#[must_use]
pub fn icc(a: &[f64], b: &[f64]) -> Option<Correlation> {
    let n = a.len().min(b.len());
    if n < 2 {
        return None;
    }
    let count = n as f64;
    let grand = a.iter().chain(b).sum::<f64>() / (2.0 * count);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / count;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let subjects: f64 = a.iter().zip(b).map(|(a, b)| 2.0 * ((a + b) / 2.0 - grand).powi(2)).sum();
    let raters = count * ((mean_a - grand).powi(2) + (mean_b - grand).powi(2));
    let rest = |value: f64, own: f64, rater: f64| (value - own - rater + grand).powi(2);
    let errors: f64 =
        a.iter().zip(b).map(|(a, b)| rest(*a, (a + b) / 2.0, mean_a) + rest(*b, (a + b) / 2.0, mean_b)).sum();
    let (ms_subjects, ms_raters, ms_error) = (subjects / (count - 1.0), raters, errors / (count - 1.0));
    let r = (ms_subjects - ms_error) / (ms_subjects + ms_error + 2.0 * (ms_raters - ms_error) / count);
    if !r.is_finite() {
        return None;
    }
    let confidence = (ms_error > 0.0).then(|| {
        let f = ms_raters / ms_error;
        let (x, y) = (2.0 * r * f, count * (1.0 + r) - 2.0 * r);
        let degrees = (count - 1.0) * (x + y).powi(2) / ((count - 1.0) * x.powi(2) + y.powi(2));
        let up = f_quantile(0.975, count - 1.0, degrees);
        let down = f_quantile(0.975, degrees, count - 1.0);
        let spread = 2.0 * ms_raters + (count - 2.0) * ms_error;
        [
            count * (ms_subjects - up * ms_error) / (up * spread + count * ms_subjects),
            count * (down * ms_subjects - ms_error) / (spread + count * down * ms_subjects),
        ]
    });
    Some(Correlation { r, confidence })
}
