//! What the user means, judged by brightness: how likely each intensity is to belong to it, from two histograms.

use crate::image::WIDTH;

/// Bins over the window.
const BINS: usize = 48;
/// The blur of a histogram, in bins: a Gaussian of one bin.
const BLUR: [f32; 4] = [0.398_942_3, 0.241_970_7, 0.053_990_97, 0.004_431_848];
/// Added to every bin, so that nothing is impossible.
const PRIOR: f32 = 0.5;
/// The most that brightness alone may say for or against.
const LIMIT: f32 = 2.0;

/// Counts of intensities on the window's scale.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    counts: [u32; BINS],
    pub(crate) total: u32,
}

/// The bin of an intensity.
fn bin(value: f32) -> usize {
    ((value * (BINS as f32 / WIDTH)) as usize).min(BINS - 1)
}

impl Histogram {
    pub(crate) fn new() -> Histogram {
        Histogram { counts: [0; BINS], total: 0 }
    }

    pub(crate) fn add(&mut self, value: f32) {
        self.counts[bin(value)] += 1;
        self.total += 1;
    }

    /// Adds another's counts.
    pub(crate) fn join(&mut self, other: &Histogram) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
        self.total += other.total;
    }

    /// The share of each bin, blurred; reflected at the ends.
    fn shares(&self) -> [f32; BINS] {
        let reflected = |n: isize| match n {
            n if n < 0 => (-n - 1) as usize,
            n if n >= BINS as isize => 2 * BINS - 1 - n as usize,
            n => n as usize,
        };
        let mut shares: [f32; BINS] = std::array::from_fn(|n| {
            let n = n as isize;
            let taps = (-3..=3isize).map(|d| BLUR[d.unsigned_abs()] * self.counts[reflected(n + d)] as f32);
            taps.sum::<f32>() + PRIOR
        });
        let sum: f32 = shares.iter().sum();
        shares.iter_mut().for_each(|share| *share /= sum);
        shares
    }
}

/// The logarithm of how much likelier each intensity is where the user points than around it, within ±2.
#[derive(Debug, Clone)]
pub(crate) struct Appearance([f32; BINS]);

impl Appearance {
    /// Compares what is meant (`near` the click, and the target's `core` where that is large enough) with all
    /// that could flip.
    pub(crate) fn new(near: &Histogram, core: Option<&Histogram>, all: &Histogram) -> Appearance {
        let (near, all) = (near.shares(), all.shares());
        let core = core.filter(|core| core.total > 30).map(Histogram::shares);
        Appearance(std::array::from_fn(|n| {
            let meant = core.map_or(near[n], |core| 0.5 * (near[n] + core[n]));
            (meant / all[n]).ln().clamp(-LIMIT, LIMIT)
        }))
    }

    pub(crate) fn of(&self, value: f32) -> f32 {
        self.0[bin(value)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truth::truth;

    #[test]
    fn blurred_shares_are_scipys() {
        let case = truth().smooth;
        let mut histogram = Histogram::new();
        case.values.iter().for_each(|value| histogram.add(value + 200.0));
        for (found, expected) in histogram.shares().iter().zip(&case.shares) {
            // SciPy's kernel goes one bin farther, at a weight of 0.0001.
            assert!((found - expected).abs() < 1e-4, "{found} instead of {expected}");
        }
    }
}
