//! What PyMaxflow and SciPy found: `tests/reference/correction/kernels.py`.

use std::sync::Arc;

use imaging::{Grid, LabelMap, Volume};
use ndarray::Array3;
use serde::Deserialize;

use crate::image::{Image, Intensity};

#[derive(Deserialize)]
pub(crate) struct Truth {
    pub(crate) flows: Vec<FlowCase>,
    pub(crate) geodesics: Vec<Paths>,
    pub(crate) smooth: Smooth,
}

#[derive(Deserialize)]
pub(crate) struct FlowCase {
    pub(crate) terminals: Vec<i32>,
    /// Two nodes, what it costs to part them, and the array axis along which they touch.
    pub(crate) edges: Vec<(usize, usize, i32, usize)>,
    pub(crate) flow: i64,
}

#[derive(Deserialize)]
pub(crate) struct Paths {
    pub(crate) shape: [usize; 3],
    pub(crate) spacing: [f64; 3],
    pub(crate) per_unit: f32,
    pub(crate) reach: f32,
    pub(crate) values: Vec<f32>,
    pub(crate) labels: Vec<u8>,
    pub(crate) free: Vec<u8>,
    pub(crate) seeds: Vec<[usize; 3]>,
    pub(crate) distances: Vec<Option<f32>>,
}

#[derive(Deserialize)]
pub(crate) struct Smooth {
    pub(crate) shape: [usize; 3],
    pub(crate) values: Vec<f32>,
    pub(crate) mean: Vec<f32>,
    pub(crate) shares: Vec<f32>,
}

pub(crate) fn truth() -> Truth {
    serde_json::from_str(include_str!("../../../tests/reference/correction/kernels.json")).unwrap()
}

/// A volume of Hounsfield units from values in C order.
pub(crate) fn image(shape: [usize; 3], spacing: [f64; 3], values: &[f32]) -> Image {
    let [k, j, i] = spacing;
    let grid = Grid::aligned([shape[2], shape[1], shape[0]], [i, j, k]);
    let voxels = Array3::from_shape_vec(shape, values.to_vec()).unwrap();
    Image::new(Arc::new(Volume { grid, voxels }), Intensity::Hounsfield)
}

/// Labels in C order on the grid of an image.
pub(crate) fn labels(image: &Image, labels: Vec<u8>) -> LabelMap {
    let grid = image.volume().grid.clone();
    LabelMap { labels: Array3::from_shape_vec(grid.shape(), labels).unwrap(), grid }
}
