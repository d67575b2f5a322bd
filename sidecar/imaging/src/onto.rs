//! Onto any other grid, through both affines: rotated, sheared, finer, larger, whatever it is.

use ndarray::{Array3, ArrayView3, Axis};
use rayon::prelude::*;

use crate::spline;
use crate::taps::{Interpolation, cubic, linear};
use crate::{Grid, LabelMap, Volume};

/// Planes along an axis that a share is told from.
const PLANES: usize = 64;
/// Rounding in the affines may move a voxel centre by this part of a voxel; it then counts as not moved.
const EXACT: f64 = 1e-7;

impl Volume {
    /// The image sampled at the voxel centres of `grid`.
    ///
    /// A centre more than half a voxel beyond the outermost centres of this image, that is outside its voxels, gets
    /// `outside`; nearer than that, the outermost voxels continue (as in ITK). Computed in f64. Unlike
    /// [`Volume::resampled`] it follows the affines and never cuts to integers.
    #[must_use]
    pub fn onto(&self, grid: &Grid, interpolation: Interpolation, outside: f32) -> Volume {
        let path = Path::between(&self.grid, grid);
        let voxels = match interpolation {
            Interpolation::Nearest => path.sample(grid, outside, |at| {
                let [i, j, k] = std::array::from_fn(|a| nearest(at[a], self.grid.size[a]));
                self.voxels[[k, j, i]]
            }),
            Interpolation::Linear => {
                path.sample(grid, outside, |at| weighted(self.voxels.view(), at, 0, linear) as f32)
            }
            Interpolation::Cubic => {
                let coefficients = spline::of(self.voxels.view(), &[0, 1, 2]);
                path.sample(grid, outside, |at| {
                    let padded = at.map(|c| c + spline::PAD as f64);
                    weighted(coefficients.view(), padded, 1, cubic) as f32
                })
            }
        };
        Volume { grid: grid.clone(), voxels }
    }
}

impl LabelMap {
    /// The labels at the voxel centres of `grid`: each takes the nearest voxel's, and background outside.
    #[must_use]
    pub fn onto(&self, grid: &Grid) -> LabelMap {
        let labels = Path::between(&self.grid, grid).sample(grid, 0, |at| {
            let [i, j, k] = std::array::from_fn(|a| nearest(at[a], self.grid.size[a]));
            self.labels[[k, j, i]]
        });
        LabelMap { grid: grid.clone(), labels }
    }
}

impl Grid {
    /// The share of this grid's voxel centres that lie outside the voxels of `other`, 0 to 1, told from at most 64
    /// planes along each axis.
    #[must_use]
    pub fn share_outside(&self, other: &Grid) -> f64 {
        let path = Path::between(other, self);
        let picked = |a: usize| {
            let step = self.size[a].div_ceil(PLANES).max(1);
            (step / 2..self.size[a]).step_by(step)
        };
        let (mut outside, mut all) = (0u64, 0u64);
        for k in picked(2) {
            for j in picked(1) {
                for i in picked(0) {
                    all += 1;
                    outside += u64::from(path.at([i, j, k]).is_none());
                }
            }
        }
        outside as f64 / all.max(1) as f64
    }
}

/// The affine map from the indices of one grid to those of another.
struct Path {
    size: [usize; 3],
    start: [f64; 3],
    steps: [[f64; 3]; 3],
}

impl Path {
    fn between(source: &Grid, target: &Grid) -> Path {
        let directions = Grid { origin: [0.0; 3], ..source.clone() };
        let steps = target.axes.map(|axis| directions.index(axis));
        Path { size: source.size, start: source.index(target.origin), steps }
    }

    /// Index in the source of a voxel of the target; `None` outside the source's voxels.
    fn at(&self, [i, j, k]: [usize; 3]) -> Option<[f64; 3]> {
        let [step_i, step_j, step_k] = &self.steps;
        let (i, j, k) = (i as f64, j as f64, k as f64);
        let at: [f64; 3] = std::array::from_fn(|a| {
            let c = self.start[a] + (step_k[a] * k + step_j[a] * j + step_i[a] * i);
            if (c - c.round()).abs() < EXACT { c.round() } else { c }
        });
        let inside = |a: usize| at[a] >= -0.5 - EXACT && at[a] <= self.size[a] as f64 - 0.5 + EXACT;
        (inside(0) && inside(1) && inside(2)).then_some(at)
    }

    fn sample<T: Copy + Default + Send + Sync>(
        &self,
        grid: &Grid,
        outside: T,
        value: impl Fn([f64; 3]) -> T + Sync,
    ) -> Array3<T> {
        let mut sampled = Array3::default(grid.shape());
        sampled.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(k, mut plane)| {
            for ((j, i), sample) in plane.indexed_iter_mut() {
                *sample = self.at([i, j, k]).map_or(outside, &value);
            }
        });
        sampled
    }
}

fn nearest(coordinate: f64, length: usize) -> usize {
    ((coordinate + 0.5).floor().max(0.0) as usize).min(length - 1)
}

/// The weighted sum of the `N` values along each axis around a continuous index `[i, j, k]`.
fn weighted<T: Copy + Into<f64>, const N: usize>(
    values: ArrayView3<'_, T>,
    at: [f64; 3],
    before: i64,
    weights: impl Fn(f64) -> [f64; N],
) -> f64 {
    let (nk, nj, ni) = values.dim();
    let taps = |c: f64, length: usize| {
        let start = c.floor() as i64 - before;
        let index: [usize; N] =
            std::array::from_fn(|n| (start + n as i64).clamp(0, length as i64 - 1) as usize);
        (index, weights(c - c.floor()))
    };
    let (is, js, ks) = (taps(at[0], ni), taps(at[1], nj), taps(at[2], nk));
    let mut sum = 0.0;
    for (k, wk) in ks.0.into_iter().zip(ks.1) {
        for (j, wj) in js.0.into_iter().zip(js.1) {
            for (i, wi) in is.0.into_iter().zip(is.1) {
                sum += values[[k, j, i]].into() * wi * wj * wk;
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::bits::noise;

    /// Made by SimpleITK (nearest, linear) and SciPy (cubic): `tests/reference/imaging/onto.py`.
    #[derive(Deserialize)]
    struct Case {
        seed: u64,
        size: [usize; 3],
        axes: [[f64; 3]; 3],
        origin: [f64; 3],
        target_size: [usize; 3],
        target_axes: [[f64; 3]; 3],
        target_origin: [f64; 3],
        order: usize,
        /// `[[k, j, i]]`, -5000 outside; `None` where it may fall on either side of the edge.
        values: Vec<Option<f32>>,
    }

    #[test]
    fn samples_are_itks_and_scipys() {
        let text = include_str!("../../../tests/reference/imaging/onto.json");
        let cases: Vec<Case> = serde_json::from_str(text).unwrap();
        assert!(cases.len() > 5);
        for case in cases {
            let grid = Grid::new(case.size, case.axes, case.origin).unwrap();
            let voxels = noise(grid.shape(), case.seed, 100, 0.0).mapv(|value| value as f32);
            let target = Grid::new(case.target_size, case.target_axes, case.target_origin).unwrap();
            let interpolation =
                [Interpolation::Nearest, Interpolation::Linear, Interpolation::Cubic, Interpolation::Cubic]
                    [case.order];
            let found =
                Volume { grid: grid.clone(), voxels: voxels.clone() }.onto(&target, interpolation, -5000.0);
            assert_eq!(found.voxels.len(), case.values.len());
            let compared = found.voxels.iter().zip(&case.values).filter_map(|(f, e)| Some((f, (*e)?)));
            for (found, expected) in compared {
                assert!(
                    (found - expected).abs() < 1e-3,
                    "{found} instead of {expected}, order {}",
                    case.order
                );
            }
            let inside = case.values.iter().flatten().filter(|&&value| value > -5000.0).count();
            assert!(inside > 50 && inside < case.values.len(), "{inside}");
            if case.order == 0 {
                let labels = LabelMap { grid, labels: voxels.mapv(|value| value as u8) };
                let expected = found.voxels.mapv(|value| if value < 0.0 { 0 } else { value as u8 });
                assert_eq!(labels.onto(&target).labels, expected);
            }
        }
    }

    #[test]
    fn onto_its_own_grid_nothing_changes() {
        let axes = [[-0.71, 0.1, 0.02], [0.03, 0.9, 0.3], [0.2, 0.5, 2.5]];
        let grid = Grid::new([6, 7, 8], axes, [-120.5, 33.25, 900.0]).unwrap();
        let volume = Volume { voxels: noise(grid.shape(), 3, 100, 0.0).mapv(|value| value as f32), grid };
        for interpolation in [Interpolation::Nearest, Interpolation::Linear] {
            assert_eq!(volume.onto(&volume.grid, interpolation, f32::NAN), volume);
        }
        let cubic = volume.onto(&volume.grid, Interpolation::Cubic, f32::NAN);
        assert!(cubic.voxels.iter().zip(&volume.voxels).all(|(a, b)| (a - b).abs() < 1e-3));
    }

    #[test]
    fn the_share_outside_is_that_of_the_samples() {
        let grid = Grid::aligned([30, 20, 10], [1.0, 1.0, 2.0]);
        let turned = Grid {
            size: [10, 10, 10],
            axes: [[0.0, 2.0, 0.0], [-2.0, 0.0, 0.0], [0.0, 0.0, 2.0]],
            origin: [24.0, 0.0, 0.0],
        };
        let image = Volume { voxels: Array3::zeros(turned.shape()), grid: turned.clone() };
        let counted = |grid: &Grid| {
            let outside =
                image.onto(grid, Interpolation::Nearest, 1.0).voxels.iter().filter(|v| **v > 0.0).count();
            outside as f64 / grid.len() as f64
        };
        assert_eq!(grid.share_outside(&turned), counted(&grid));
        // More planes than are looked at.
        let large = Grid::aligned([300, 200, 100], [0.1, 0.1, 0.2]);
        assert!((large.share_outside(&turned) - counted(&large)).abs() < 0.02);
        assert_eq!(grid.share_outside(&grid), 0.0);
    }
}
