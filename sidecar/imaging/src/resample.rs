//! Onto another spacing, corners on corners: `scipy.ndimage.zoom` and TotalSegmentator's use of it, to the bit.

use ndarray::{Array3, ArrayView3, Zip};

use crate::interpolate::{interpolate, pick};
use crate::spline;
use crate::taps::{Interpolation, Mapping, Taps};
use crate::{Grid, GridError, IndexBox, LabelMap, Volume};

/// More voxels than any honest image has; a guard against absurd spacings.
const MOST_VOXELS: usize = 1 << 32;

/// `scipy.ndimage.zoom(source, ..., mode='nearest', grid_mode=False)` to a given shape, bit for bit on x86-64.
///
/// Axes 0, 1, 2 are SciPy's, whatever the layout in memory, and the order matters for the last bit: TotalSegmentator's
/// arrays are `[i, j, k]`, so an image `[[k, j, i]]` goes in as `voxels.view().reversed_axes()`. The result has the
/// source's memory layout. A shape of 0 voxels gives an empty array.
///
/// ```
/// # use imaging::{Interpolation, zoom};
/// let source = ndarray::array![[[0.0f32, 2.0, 4.0]]];
/// let zoomed = zoom(source.view(), [1, 1, 5], Interpolation::Linear);
/// assert_eq!(zoomed, ndarray::array![[[0.0, 1.0, 2.0, 3.0, 4.0]]]);
/// ```
#[must_use]
pub fn zoom<T>(source: ArrayView3<'_, T>, shape: [usize; 3], interpolation: Interpolation) -> Array3<f64>
where
    T: Copy + Into<f64> + Send + Sync,
{
    zoom_with(source, shape, interpolation, |value| value)
}

fn zoom_with<T, U>(
    source: ArrayView3<'_, T>,
    shape: [usize; 3],
    interpolation: Interpolation,
    store: impl Fn(f64) -> U + Sync,
) -> Array3<U>
where
    T: Copy + Into<f64> + Send + Sync,
    U: Copy + Default + Send,
{
    let from = source.dim();
    let from = [from.0, from.1, from.2];
    if from.contains(&0) || shape.contains(&0) {
        return Array3::default(shape);
    }
    let taps: [Taps; 3] =
        std::array::from_fn(|axis| Taps::new(from[axis], shape[axis], Mapping::Corners, interpolation));
    let taps = [&taps[0], &taps[1], &taps[2]];
    if interpolation == Interpolation::Cubic {
        return interpolate(spline::of(source, &[0, 1, 2]).view(), taps, store);
    }
    interpolate(source, taps, store)
}

impl Volume {
    /// The image at another spacing (millimetres along i, j, k), exactly as TotalSegmentator 2.18 makes it on a CPU.
    ///
    /// * The present spacing counts as f32, as in a NIfTI header. If it equals `spacing`, nothing is touched.
    /// * New size: size x zoom, rounded half to even, at least 1, where zoom is the present spacing over the new one.
    /// * Corner voxels stay where they are in index space; the new affine has each axis divided by its zoom. So for
    ///   sizes that had to be rounded the far corner moves by less than a voxel: upstream's convention.
    /// * Values are cut to integers towards zero. Upstream leaves NaN and values past 32 bits undefined; here NaN
    ///   becomes 0 and the rest is clamped.
    ///
    /// The bits equal upstream's for an image in its canonical orientation ([`crate::Orientation::RAS`]).
    ///
    /// # Errors
    ///
    /// [`GridError::Spacing`] unless it is three positive numbers, [`GridError::Size`] for more than 2^32 voxels.
    pub fn resampled(&self, spacing: [f64; 3], interpolation: Interpolation) -> Result<Volume, GridError> {
        if spacing.iter().any(|&s| !(s > 0.0 && s.is_finite())) {
            return Err(GridError::Spacing { spacing });
        }
        let present = self.grid.spacing().map(|s| f64::from(s as f32));
        if present == spacing {
            return Ok(self.clone());
        }
        let zooms: [f64; 3] = std::array::from_fn(|a| present[a] / spacing[a]);
        let grid = zoomed_grid(&self.grid, zooms)?;
        let voxels = self.voxels.view().reversed_axes();
        // A cast cuts towards zero, saturates, and maps NaN to 0.
        let resampled = zoom_with(voxels, grid.size, interpolation, |value| value as i32 as f32);
        Ok(Volume { grid, voxels: resampled.reversed_axes() })
    }
}

fn zoomed_grid(grid: &Grid, zooms: [f64; 3]) -> Result<Grid, GridError> {
    let wanted: [f64; 3] =
        std::array::from_fn(|a| (grid.size[a] as f64 * zooms[a]).round_ties_even().max(1.0));
    let size = wanted.map(|n| n as usize);
    if wanted.iter().product::<f64>() > MOST_VOXELS as f64 {
        return Err(GridError::Size { size });
    }
    let axes = std::array::from_fn(|a| grid.axes[a].map(|component| component / zooms[a]));
    Ok(Grid { size, axes, origin: grid.origin })
}

impl LabelMap {
    /// The labels stretched over the voxels of `grid`, corner on corner, each new voxel taking the nearest label:
    /// how TotalSegmentator brings a result back to the grid that was resampled (`zoom` of order 0).
    ///
    /// Only the size of `grid` steers this; the result is then said to lie on it.
    #[must_use]
    pub fn stretched(&self, grid: &Grid) -> LabelMap {
        let [nk, nj, ni] = self.grid.shape();
        let [to_k, to_j, to_i] = grid.shape();
        let taps = |from, to| Taps::new(from, to, Mapping::Corners, Interpolation::Nearest);
        let (k, j, i) = (taps(nk, to_k), taps(nj, to_j), taps(ni, to_i));
        LabelMap { grid: grid.clone(), labels: pick(self.labels.view(), [&k, &j, &i]) }
    }

    /// The labels stretched over the voxels of `grid`, edge on edge and smoothly: a voxel takes the last label whose
    /// linearly interpolated mask reaches one half there. TotalSegmentator's `--higher_order_resampling_LEGACY`.
    #[must_use]
    pub fn stretched_smoothly(&self, grid: &Grid) -> LabelMap {
        let mut stretched = LabelMap::background(grid);
        for (label, part) in (0u8..=255).zip(self.boxes()) {
            let Some(part) = part else { continue };
            let source = part.grown([2; 3], &self.grid);
            let scale: [f64; 3] = std::array::from_fn(|a| grid.size[a] as f64 / self.grid.size[a] as f64);
            let target = IndexBox {
                start: std::array::from_fn(|a| (source.start[a] as f64 * scale[a]).floor() as usize),
                end: std::array::from_fn(|a| {
                    ((source.end[a] as f64 * scale[a]).ceil() as usize).min(grid.size[a])
                }),
            };
            if target.is_empty() {
                continue;
            }
            let taps: [Taps; 3] = std::array::from_fn(|a| {
                let (from, to) = (self.grid.size[a] as f64, grid.size[a] as f64);
                let coordinate = |n: usize| (n as f64 + 0.5) * from / to - 0.5 - source.start[a] as f64;
                let wanted = (target.start[a]..target.end[a]).map(coordinate);
                Taps::at(wanted, source.size()[a], Interpolation::Linear)
            });
            let mask = source.view(self.labels.view()).mapv(|value| u8::from(value == label));
            // Upstream rounds to f32 before it compares.
            let inside =
                interpolate(mask.view().reversed_axes(), [&taps[0], &taps[1], &taps[2]], |v| v as f32 >= 0.5);
            let painted = target.view_mut(stretched.labels.view_mut());
            Zip::from(painted).and(inside.view().reversed_axes()).for_each(|value, &inside| {
                if inside {
                    *value = label;
                }
            });
        }
        stretched
    }
}

#[cfg(test)]
#[path = "resample/tests.rs"]
mod tests;
