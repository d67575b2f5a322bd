//! Quantiles and tails of the distributions that tests and intervals rest on.

use statrs::function::beta::beta_reg;
use statrs::function::erf::erfc;

/// Area under the standard normal curve below `x`.
pub(crate) fn normal_cdf(x: f64) -> f64 {
    0.5 * erfc(-x / std::f64::consts::SQRT_2)
}

/// The `x` below which a share `p` of the standard normal distribution lies.
pub(crate) fn normal_quantile(p: f64) -> f64 {
    invert(p, -40.0, 40.0, normal_cdf)
}

/// Both tails of Student's t distribution beyond |t|.
pub(crate) fn t_two_sided(t: f64, degrees: f64) -> f64 {
    if t.is_infinite() { 0.0 } else { incomplete_beta(degrees / 2.0, 0.5, degrees / (degrees + t * t)) }
}

/// The t beyond which, to both sides, lie the two tails of in all `1 - confidence`.
pub(crate) fn t_quantile(confidence: f64, degrees: f64) -> f64 {
    invert(confidence, 0.0, 1e6, |t| 1.0 - t_two_sided(t, degrees))
}

/// The `x` below which a share `p` of the beta distribution lies.
pub(crate) fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    invert(p, 0.0, 1.0, |x| incomplete_beta(a, b, x))
}

/// The `x` below which a share `p` of Fisher's F distribution lies.
pub(crate) fn f_quantile(p: f64, above: f64, below: f64) -> f64 {
    let x = beta_quantile(p, above / 2.0, below / 2.0);
    below * x / (above * (1.0 - x))
}

/// The regularised incomplete beta function; NaN where it is not defined.
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if a > 0.0 && b > 0.0 && (0.0..=1.0).contains(&x) { beta_reg(a, b, x) } else { f64::NAN }
}

/// Where a rising function takes a value: halves the interval until two neighbouring numbers are left.
fn invert(value: f64, mut low: f64, mut high: f64, rising: impl Fn(f64) -> f64) -> f64 {
    loop {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            return middle;
        }
        if rising(middle) < value { low = middle } else { high = middle }
    }
}
