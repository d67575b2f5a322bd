//! An image of intensities on a grid.

use ndarray::Array3;

use crate::Grid;

/// Intensities on a grid: Hounsfield units for CT, arbitrary for MR.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    /// Where the voxels lie.
    pub grid: Grid,
    /// Intensities, `[[k, j, i]]`, of shape `grid.shape()`.
    pub voxels: Array3<f32>,
}
