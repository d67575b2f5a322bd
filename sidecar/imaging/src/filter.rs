//! Gaussian smoothing, as `scipy.ndimage.gaussian_filter` does it.

use ndarray::{Array3, ArrayView3, ArrayViewMut2, Axis};
use rayon::prelude::*;

/// What lies beyond the image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Beyond {
    /// The nearest voxel of the image.
    Nearest,
    /// Always this value.
    Constant(f32),
}

/// Smooths by a Gaussian of `sigma` voxels along each axis of the array (not i, j, k: in the array's order), cut off at
/// 4 sigma. An axis with a sigma of 0 stays as it is. Each axis is summed in f64 and rounded to f32, as SciPy does for
/// f32 arrays; the weights may differ from NumPy's in the last bit, since `exp` does.
#[must_use]
pub fn gaussian(values: ArrayView3<'_, f32>, sigma: [f64; 3], beyond: Beyond) -> Array3<f32> {
    let mut smooth = values.as_standard_layout().into_owned();
    for (axis, sigma) in sigma.into_iter().enumerate().filter(|(_, sigma)| *sigma > 1e-15) {
        let weights = gaussian_weights(sigma);
        // Each plane holds whole lines along `axis`, as its rows' index.
        let across = if axis == 0 { Axis(1) } else { Axis(0) };
        smooth.axis_iter_mut(across).into_par_iter().for_each_init(Vec::new, |buffer, plane| {
            let plane = if axis == 2 { plane.reversed_axes() } else { plane };
            correlate(plane, &weights, beyond, buffer);
        });
    }
    smooth
}

/// Half of a normalised Gaussian: the weight of the middle, then of 1, 2, ... voxels to either side, up to 4 sigma.
#[must_use]
pub fn gaussian_weights(sigma: f64) -> Vec<f64> {
    let radius = (4.0 * sigma + 0.5) as usize;
    let half: Vec<f64> = (0..=radius).map(|x| (-0.5 / (sigma * sigma) * (x * x) as f64).exp()).collect();
    let sum: f64 = half.iter().skip(1).rev().chain(&half).sum();
    half.iter().map(|weight| weight / sum).collect()
}

/// Correlates a plane `[along, across]` along its first axis, 16 lines at a time.
fn correlate(
    mut plane: ArrayViewMut2<'_, f32>,
    weights: &[f64],
    beyond: Beyond,
    buffer: &mut Vec<[f64; 16]>,
) {
    let length = plane.nrows();
    let radius = weights.len() - 1;
    for mut block in plane.axis_chunks_iter_mut(Axis(1), 16) {
        buffer.clear();
        buffer.resize(length + 2 * radius, [0.0; 16]);
        for (n, lanes) in buffer.iter_mut().enumerate() {
            let inside = n.saturating_sub(radius).min(length - 1);
            match beyond {
                Beyond::Constant(value) if n < radius || n >= length + radius => lanes.fill(f64::from(value)),
                _ => lanes.iter_mut().zip(block.row(inside)).for_each(|(lane, &value)| *lane = value.into()),
            }
        }
        for (n, mut row) in block.axis_iter_mut(Axis(0)).enumerate() {
            let middle = n + radius;
            let mut sum = buffer[middle].map(|value| value * weights[0]);
            // From the far ends inwards, both sides at once: SciPy's order.
            for distance in (1..=radius).rev() {
                let (before, after) = (&buffer[middle - distance], &buffer[middle + distance]);
                for lane in 0..16 {
                    sum[lane] += (before[lane] + after[lane]) * weights[distance];
                }
            }
            row.iter_mut().zip(sum).for_each(|(value, sum)| *value = sum as f32);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::bits::noise;

    /// Made by SciPy: `tests/reference/imaging/masks.py`.
    #[derive(Deserialize)]
    struct Case {
        seed: u64,
        shape: [usize; 3],
        sigma: [f64; 3],
        /// The constant beyond the image; `None` for the nearest voxel.
        beyond: Option<f32>,
        values: Vec<f32>,
    }

    #[derive(Deserialize)]
    struct Cases {
        gaussian: Vec<Case>,
    }

    #[test]
    fn smoothed_noise_is_scipys() {
        let text = include_str!("../../../tests/reference/imaging/masks.json");
        let Cases { gaussian: cases } = serde_json::from_str(text).unwrap();
        assert!(cases.len() > 3);
        for case in cases {
            let values = noise(case.shape, case.seed, 100, 0.0).mapv(|value| value as f32);
            let beyond = case.beyond.map_or(Beyond::Nearest, Beyond::Constant);
            let smooth = gaussian(values.view(), case.sigma, beyond);
            for (found, expected) in smooth.iter().zip(&case.values) {
                assert!((found - expected).abs() < 2e-5 * 100.0, "{found} instead of {expected}");
            }
            assert_eq!(smooth.len(), case.values.len());
        }
    }
}
