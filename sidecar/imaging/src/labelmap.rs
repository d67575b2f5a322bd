//! One class per voxel on a grid.

use ndarray::Array3;

use crate::Grid;

/// One class per voxel; 0 is background.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelMap {
    /// Where the voxels lie.
    pub grid: Grid,
    /// Classes, `[[k, j, i]]`, of shape `grid.shape()`.
    pub labels: Array3<u8>,
}

impl LabelMap {
    /// All background, on `grid`.
    #[must_use]
    pub fn background(grid: &Grid) -> LabelMap {
        LabelMap { grid: grid.clone(), labels: Array3::zeros(grid.shape()) }
    }
}
