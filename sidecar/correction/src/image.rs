//! The image as the correction sees it: intensities within a window, and how much they waver from voxel to voxel.

use std::sync::Arc;

use imaging::Volume;
use ndarray::{Array3, ArrayView2, Axis};
use rayon::prelude::*;

use crate::level::factor;

/// Width of the window after scaling. The weights of the method were found on Hounsfield units from -200 to 400, so
/// every other image is brought to the same width.
pub(crate) const WIDTH: f32 = 600.0;
/// Steps of the histogram of differences between neighbours.
const STEPS_PER_UNIT: f32 = 4.0;

/// What the numbers of an image mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intensity {
    /// Hounsfield units: the window is -200 to 400.
    Hounsfield,
    /// No fixed meaning, as in MR: the window runs from the 0.5th to the 99.5th percentile of what is not 0.
    Arbitrary,
}

impl Intensity {
    /// Hounsfield units if the image holds values far below 0, as air has in every CT; otherwise arbitrary.
    #[must_use]
    pub fn guess(volume: &Volume) -> Intensity {
        match volume.range() {
            Some((least, _)) if least <= -200.0 => Intensity::Hounsfield,
            _ => Intensity::Arbitrary,
        }
    }
}

/// A volume that is being corrected, with what every click needs to know of it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Image {
    volume: Arc<Volume>,
    least: f32,
    greatest: f32,
    scale: f32,
    noise: f32,
    /// Means of blocks of so many voxels along i, j, k, for large scopes in fine images.
    coarse: Option<([usize; 3], Arc<Array3<f32>>)>,
}

impl Image {
    /// Looks over the volume once: the window, and the noise within it.
    #[must_use]
    pub fn new(volume: Arc<Volume>, intensity: Intensity) -> Image {
        let (least, greatest) = match intensity {
            Intensity::Hounsfield => (-200.0, 400.0),
            Intensity::Arbitrary => percentiles(&volume).unwrap_or((0.0, 1.0)),
        };
        let scale = WIDTH / (greatest - least).max(f32::MIN_POSITIVE);
        let mut image = Image { volume, least, greatest, scale, noise: 1.0, coarse: None };
        image.noise = image.wavering();
        let factor = factor(f64::INFINITY, image.volume.grid.spacing());
        if factor != [1; 3] {
            image.coarse = Some((factor, Arc::new(image.means(factor))));
        }
        image
    }

    /// The volume.
    #[must_use]
    pub fn volume(&self) -> &Volume {
        &self.volume
    }

    /// The volume, for those who keep it.
    #[must_use]
    pub fn shared(&self) -> Arc<Volume> {
        Arc::clone(&self.volume)
    }

    /// How much neighbours differ inside a tissue, on the window's scale of 0 to 600.
    #[must_use]
    pub fn noise(&self) -> f32 {
        self.noise
    }

    /// A value on the window's scale, 0 to 600; NaN is 0.
    #[must_use]
    pub fn windowed(&self, value: f32) -> f32 {
        (value.max(self.least).min(self.greatest) - self.least) * self.scale
    }

    /// Means on the window's scale of blocks of so many voxels, the first at the image's first voxel, `[[k, j, i]]`; if
    /// they are kept.
    pub(crate) fn coarse(&self, factor: [usize; 3]) -> Option<&Array3<f32>> {
        self.coarse.as_ref().filter(|(kept, _)| *kept == factor).map(|(_, means)| means.as_ref())
    }

    fn means(&self, factor: [usize; 3]) -> Array3<f32> {
        let size = self.volume.grid.size;
        let [ni, nj, nk]: [usize; 3] = std::array::from_fn(|a| size[a].div_ceil(factor[a]));
        let mut means = Array3::zeros((nk, nj, ni));
        let count = |n: usize, a: usize| ((n + 1) * factor[a]).min(size[a]) - n * factor[a];
        means.outer_iter_mut().into_par_iter().enumerate().for_each(|(k, mut plane)| {
            let planes = k * factor[2]..((k + 1) * factor[2]).min(size[2]);
            for voxels in planes.map(|k| self.volume.voxels.index_axis(Axis(0), k)) {
                for (j, row) in voxels.outer_iter().enumerate() {
                    let mut values = row.iter();
                    for mean in plane.index_axis_mut(Axis(0), j / factor[1]) {
                        values.by_ref().take(factor[0]).for_each(|&value| *mean += self.windowed(value));
                    }
                }
            }
            for ((j, i), mean) in plane.indexed_iter_mut() {
                *mean /= (count(i, 0) * count(j, 1) * count(k, 2)) as f32;
            }
        });
        means
    }

    /// Twice the robust spread of differences between neighbours along i, and never under 5: structures must differ
    /// by more than this to hold back a correction.
    fn wavering(&self) -> f32 {
        let bins = (WIDTH * STEPS_PER_UNIT) as usize + 1;
        let count = |mut counts: Vec<u64>, plane: ArrayView2<'_, f32>| {
            for row in plane.outer_iter() {
                let mut values = row.iter().map(|&value| self.windowed(value));
                let mut last = values.next().unwrap_or_default();
                for value in values {
                    let steps = (last - value).abs() * STEPS_PER_UNIT;
                    counts[(f64::from(steps) + 0.5) as usize] += 1;
                    last = value;
                }
            }
            counts
        };
        let counts = counted(&self.volume, bins, count);
        let median = quantile(&counts, 0.5) as f32 / STEPS_PER_UNIT;
        (2.0 * 1.4826 * median).max(5.0)
    }
}

/// The 0.5th and 99.5th percentile of finite values other than 0; `None` if there are none or all are the same.
fn percentiles(volume: &Volume) -> Option<(f32, f32)> {
    const BINS: usize = 1 << 16;
    let (least, greatest) = volume
        .range()
        .filter(|(least, greatest)| least.is_finite() && greatest.is_finite() && least < greatest)?;
    let step = (f64::from(greatest) - f64::from(least)) / (BINS - 1) as f64;
    let counts = counted(volume, BINS, |mut counts, plane| {
        for &value in plane.iter().filter(|value| value.is_finite() && **value != 0.0) {
            counts[((f64::from(value) - f64::from(least)) / step) as usize] += 1;
        }
        counts
    });
    let at = |share| (f64::from(least) + quantile(&counts, share) as f64 * step) as f32;
    let (low, high) = (at(0.005), at(0.995));
    (low < high).then_some((low, high))
}

/// Counts over all planes of a volume.
fn counted(
    volume: &Volume,
    bins: usize,
    count: impl Fn(Vec<u64>, ArrayView2<'_, f32>) -> Vec<u64> + Sync + Send,
) -> Vec<u64> {
    let none = || vec![0; bins];
    let add = |a: Vec<u64>, b: Vec<u64>| a.iter().zip(b).map(|(a, b)| a + b).collect();
    volume.voxels.axis_iter(Axis(0)).into_par_iter().fold(none, count).reduce(none, add)
}

/// The bin in which `share` of all counts is reached.
fn quantile(counts: &[u64], share: f64) -> usize {
    let wanted = (counts.iter().sum::<u64>() as f64 * share).ceil() as u64;
    let mut so_far = 0;
    counts
        .iter()
        .position(|&count| {
            so_far += count;
            so_far >= wanted
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use imaging::Grid;

    fn ramp(step: f32, offset: f32) -> Arc<Volume> {
        let voxels = Array3::from_shape_fn((2, 3, 101), |(_, _, i)| offset + i as f32 * step);
        Arc::new(Volume { grid: Grid::aligned([101, 3, 2], [1.0; 3]), voxels })
    }

    #[test]
    fn a_window_of_hounsfield_units() {
        let image = Image::new(ramp(4.0, 0.0), Intensity::Hounsfield);
        assert_eq!(image.noise(), 2.0 * 1.4826 * 4.0);
        let values = [f32::NAN, -3000.0, -200.0, 0.0, 400.0, 9000.0].map(|value| image.windowed(value));
        assert_eq!(values, [0.0, 0.0, 0.0, 200.0, 600.0, 600.0]);
    }

    #[test]
    fn a_window_of_percentiles() {
        let image = Image::new(ramp(1.0, 1.0), Intensity::Arbitrary);
        assert!((image.windowed(51.0) - 300.0).abs() < 3.0, "{}", image.windowed(51.0));
        assert_eq!(Intensity::guess(&ramp(1.0, -1000.0)), Intensity::Hounsfield);
        assert_eq!(Intensity::guess(&ramp(1.0, 0.0)), Intensity::Arbitrary);
        let flat = Image::new(ramp(0.0, 7.0), Intensity::Arbitrary);
        assert_eq!(flat.noise(), 5.0);
    }
}
