//! An image of intensities on a grid.

use ndarray::{Array3, Axis};
use rayon::prelude::*;

use crate::Grid;

/// Intensities on a grid: Hounsfield units for CT, arbitrary for MR.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    /// Where the voxels lie.
    pub grid: Grid,
    /// Intensities, `[[k, j, i]]`, of shape `grid.shape()`.
    pub voxels: Array3<f32>,
}

impl Volume {
    /// Least and greatest intensity; NaN is passed over. `None` if there is nothing else.
    #[must_use]
    pub fn range(&self) -> Option<(f32, f32)> {
        range(self.voxels.view()).map(|(least, greatest)| (least as f32, greatest as f32))
    }
}

/// Least and greatest value; NaN is passed over. `None` if there is nothing else.
pub(crate) fn range<T: Copy + Into<f64> + Send + Sync>(
    values: ndarray::ArrayView3<'_, T>,
) -> Option<(f64, f64)> {
    let join = |a: (f64, f64), b: (f64, f64)| (a.0.min(b.0), a.1.max(b.1));
    let none = (f64::INFINITY, f64::NEG_INFINITY);
    let plane = |plane: ndarray::ArrayView2<'_, T>| {
        plane.iter().fold(none, |so_far, &value| {
            let value = value.into();
            join(so_far, (value, value))
        })
    };
    let (least, greatest) = values.axis_iter(Axis(0)).into_par_iter().map(plane).reduce(|| none, join);
    (least <= greatest).then_some((least, greatest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_passes_over_nan() {
        let mut volume = Volume {
            grid: Grid::aligned([2, 1, 1], [1.0; 3]),
            voxels: ndarray::array![[[f32::NAN, f32::NAN]]],
        };
        assert_eq!(volume.range(), None);
        volume.voxels[[0, 0, 1]] = -3.5;
        assert_eq!(volume.range(), Some((-3.5, -3.5)));
    }
}
