//! The image as the network sees it: mean 0 and standard deviation 1 over the box that is not 0, and 0 beyond it.

use std::sync::Arc;

use imaging::Volume;
use ndarray::Axis;
use rayon::prelude::*;

use crate::block::{Block, Window};
use crate::{Error, Result};

/// A volume and how it is normalised. Cheap to clone; intensities are normalised when they are read.
#[derive(Debug, Clone)]
pub struct Image {
    volume: Arc<Volume>,
    pub(crate) window: Window,
    mean: f32,
    deviation: f32,
}

impl Image {
    /// Looks over the volume: mean and standard deviation, with N - 1, of the smallest box that holds all that is not
    /// 0. Nothing is resampled: the network takes voxels as they are.
    ///
    /// # Errors
    ///
    /// [`Error::Image`] where all is 0 or the same, or some of it is not a finite number.
    pub fn new(volume: Arc<Volume>) -> Result<Image> {
        let [nk, nj, ni] = volume.grid.shape();
        let whole = Window::whole([nk, nj, ni]);
        let voxels = volume.voxels.as_standard_layout();
        let values = voxels.as_slice().unwrap_or_default();
        let plane = |k: usize| {
            let rows = values[k * nj * ni..(k + 1) * nj * ni].chunks(ni).enumerate();
            let hull = |hull: Option<Window>, (j, row): (usize, &[f32])| {
                let first = row.iter().position(|value| *value != 0.0);
                let last = row.iter().rposition(|value| *value != 0.0);
                let Some((first, last)) = first.zip(last) else { return hull };
                let start = [k, j, first].map(|n| n as isize);
                let found = Window { start, end: [k + 1, j + 1, last + 1].map(|n| n as isize) };
                Some(hull.map_or(found, |hull| hull.hull(&found)))
            };
            rows.fold(None, hull)
        };
        let hulls: Vec<Option<Window>> = (0..nk).into_par_iter().map(plane).collect();
        let hull = hulls.into_iter().flatten().reduce(|a, b| a.hull(&b));
        let hull = hull.ok_or(Error::Image { problem: "is 0 everywhere" })?;
        let (mean, deviation) = moments(&volume, &hull);
        drop(voxels);
        if !(mean.is_finite() && deviation.is_finite()) {
            return Err(Error::Image { problem: "holds values that are no finite numbers" });
        }
        if deviation <= 0.0 {
            return Err(Error::Image { problem: "is the same everywhere" });
        }
        Ok(Image { volume, window: whole, mean, deviation })
    }

    /// Voxels along i, j, k.
    #[must_use]
    pub fn size(&self) -> [usize; 3] {
        self.volume.grid.size
    }

    /// The normalised intensity of a voxel `[k, j, i]`; 0 beyond the image.
    pub(crate) fn at(&self, place: [isize; 3]) -> f32 {
        if !self.window.holds(place) {
            return 0.0;
        }
        (self.volume.voxels[place.map(|n| n as usize)] - self.mean) / self.deviation
    }

    /// The normalised intensities of a window.
    pub(crate) fn patch(&self, window: Window) -> Block<f32> {
        let mut patch = Block::new(window);
        let columns = window.columns();
        for ([k, j], row) in window.rows().zip(patch.values.chunks_mut(window.size()[2].max(1))) {
            row.iter_mut().zip(columns.clone()).for_each(|(value, i)| *value = self.at([k, j, i]));
        }
        patch
    }
}

/// Mean and standard deviation in f64, plane by plane in order, so the same at any number of threads.
fn moments(volume: &Volume, hull: &Window) -> (f32, f32) {
    let part = hull.part();
    let view = part.view(volume.voxels.view());
    let sum = |each: &(dyn Fn(f32) -> f64 + Sync)| -> f64 {
        let plane = |plane: ndarray::ArrayView2<'_, f32>| plane.iter().map(|value| each(*value)).sum::<f64>();
        let sums: Vec<f64> = view.axis_iter(Axis(0)).into_par_iter().map(plane).collect();
        sums.iter().sum()
    };
    let count = view.len() as f64;
    let mean = sum(&f64::from) / count;
    let squares = sum(&|value| (f64::from(value) - mean).powi(2));
    (mean as f32, (squares / (count - 1.0).max(1.0)).sqrt() as f32)
}

#[cfg(test)]
mod tests {
    use imaging::Grid;
    use ndarray::Array3;

    use super::*;

    fn image(value: impl Fn(usize, usize, usize) -> f32) -> Result<Image> {
        let grid = Grid::aligned([4, 3, 5], [1.0; 3]);
        let voxels = Array3::from_shape_fn(grid.shape(), |(k, j, i)| value(k, j, i));
        Image::new(Arc::new(Volume { grid, voxels }))
    }

    #[test]
    fn the_box_that_is_not_zero_is_normalised_and_what_lies_beyond_is_zero() {
        // 1, 0 and 5 in one row: mean 2, squares 1 + 4 + 9 over 3 - 1.
        let image = image(|k, j, i| if (k, j) == (2, 1) { [1.0, 0.0, 5.0, 0.0][i] } else { 0.0 }).unwrap();
        let expected = |value: f32| (value - 2.0) / 7.0_f32.sqrt();
        let window = Window { start: [2, 1, -1], end: [3, 2, 5] };
        let values = [0.0, expected(1.0), expected(0.0), expected(5.0), expected(0.0), 0.0];
        assert_eq!(image.patch(window).values, values);
    }

    #[test]
    fn images_without_contrast_or_meaning_are_refused() {
        for (value, sentence) in [
            (0.0, "the image is 0 everywhere"),
            (7.0, "the image is the same everywhere"),
            (f32::NAN, "the image holds values that are no finite numbers"),
        ] {
            assert_eq!(image(|_, _, _| value).unwrap_err().to_string(), sentence);
        }
    }
}
