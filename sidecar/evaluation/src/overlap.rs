//! How much two masks share, in voxels: Dice, intersection over union, precision, recall, kappa.

use ndarray::ArrayView3;

/// Voxels of a truth, of a prediction, and of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overlap {
    /// Voxels of the truth.
    pub truth: u64,
    /// Voxels of the prediction.
    pub prediction: u64,
    /// Voxels of both.
    pub both: u64,
}

impl Overlap {
    /// Counts two masks `[[k, j, i]]` of one shape.
    #[must_use]
    pub fn of(truth: ArrayView3<'_, bool>, prediction: ArrayView3<'_, bool>) -> Overlap {
        let mut overlap = Overlap::default();
        ndarray::Zip::from(truth).and(prediction).for_each(|&truth, &prediction| {
            overlap.truth += u64::from(truth);
            overlap.prediction += u64::from(prediction);
            overlap.both += u64::from(truth && prediction);
        });
        overlap
    }

    /// Dice's coefficient (1945): 2 |A ∩ B| / (|A| + |B|); 1 when both are empty, 0 when one is.
    #[must_use]
    pub fn dice(&self) -> f64 {
        let sum = self.truth + self.prediction;
        if sum == 0 { 1.0 } else { 2.0 * self.both as f64 / sum as f64 }
    }

    /// Intersection over union (Jaccard 1912); 1 when both are empty, 0 when one is.
    #[must_use]
    pub fn iou(&self) -> f64 {
        let union = self.truth + self.prediction - self.both;
        if union == 0 { 1.0 } else { self.both as f64 / union as f64 }
    }

    /// Share of the prediction that is true; none when nothing was predicted.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        (self.prediction > 0).then(|| self.both as f64 / self.prediction as f64)
    }

    /// Share of the truth that was found; none when there is no truth.
    #[must_use]
    pub fn recall(&self) -> Option<f64> {
        (self.truth > 0).then(|| self.both as f64 / self.truth as f64)
    }

    /// Cohen's kappa (1960) over `voxels` voxels in all; none when chance alone agrees everywhere.
    #[must_use]
    pub fn kappa(&self, voxels: u64) -> Option<f64> {
        let (n, a, b) = (voxels as f64, self.truth as f64, self.prediction as f64);
        let agreed = (n - a - b + 2.0 * self.both as f64) / n;
        let chance = (a * b + (n - a) * (n - b)) / (n * n);
        (chance < 1.0).then(|| (agreed - chance) / (1.0 - chance))
    }
}
