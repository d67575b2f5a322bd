//! Exact Euclidean distance in millimetres.

use ndarray::{Array3, ArrayViewMut1, Axis};
use rayon::prelude::*;

use crate::Grid;

/// Distance in millimetres from each voxel centre to the nearest voxel centre of `mask`, `[[k, j, i]]`; 0 inside,
/// infinity everywhere if the mask is empty.
///
/// Exact for anisotropic spacing (Felzenszwalb and Huttenlocher 2012, one axis after the other in f64); a sheared grid
/// is measured as if its axes were perpendicular. Equals `scipy.ndimage.distance_transform_edt(~mask, spacing)` but
/// for the last bits.
///
/// ```
/// # use imaging::{Grid, distance_mm};
/// let grid = Grid::aligned([3, 2, 1], [1.0, 3.0, 5.0]);
/// let mask = ndarray::array![[[true, false, false], [false, false, false]]];
/// let distance = distance_mm(&mask, &grid);
/// assert_eq!(distance, ndarray::array![[[0.0, 1.0, 2.0], [3.0, 10f32.sqrt(), 13f32.sqrt()]]]);
/// ```
#[must_use]
pub fn distance_mm(mask: &Array3<bool>, grid: &Grid) -> Array3<f32> {
    let [along_i, along_j, along_k] = grid.spacing();
    let mut squares = Array3::zeros(mask.dim());
    let planes = squares.axis_iter_mut(Axis(0)).into_par_iter().zip(mask.axis_iter(Axis(0)));
    planes.for_each_init(Envelope::default, |envelope, (mut plane, mask)| {
        for (row, mask) in plane.axis_iter_mut(Axis(0)).zip(mask.axis_iter(Axis(0))) {
            let mut row = row;
            row.zip_mut_with(&mask, |square, &inside| *square = if inside { 0.0 } else { f64::INFINITY });
            envelope.lower(row, along_i);
        }
        plane.axis_iter_mut(Axis(1)).for_each(|column| envelope.lower(column, along_j));
    });
    let planes = squares.axis_iter_mut(Axis(1)).into_par_iter();
    planes.for_each_init(Envelope::default, |envelope, mut plane| {
        plane.axis_iter_mut(Axis(1)).for_each(|line| envelope.lower(line, along_k));
    });
    let mut distance = Array3::zeros(mask.dim());
    ndarray::Zip::from(&mut distance)
        .and(&squares)
        .par_for_each(|distance: &mut f32, &square| *distance = f64::sqrt(square) as f32);
    distance
}

/// The lower envelope of parabolas over one line; its buffers are kept from line to line.
#[derive(Default)]
struct Envelope {
    heights: Vec<f64>,
    /// Positions of the parabolas that make the envelope, and from where each is the lowest.
    parabolas: Vec<(usize, f64)>,
}

impl Envelope {
    /// Replaces `line[n]` by the least of `line[m] + (spacing (n - m))²` over all m.
    fn lower(&mut self, mut line: ArrayViewMut1<'_, f64>, spacing: f64) {
        self.heights.clear();
        self.heights.extend(line.iter().map(|&square| square / (spacing * spacing)));
        self.parabolas.clear();
        for (n, &height) in self.heights.iter().enumerate().filter(|(_, height)| height.is_finite()) {
            let mut from = f64::NEG_INFINITY;
            while let Some(&(m, start)) = self.parabolas.last() {
                // Where the parabola at n becomes lower than the one at m.
                let (a, b) = (n as f64, m as f64);
                from = ((height + a * a) - (self.heights[m] + b * b)) / (2.0 * (a - b));
                if from > start {
                    break;
                }
                self.parabolas.pop();
                from = f64::NEG_INFINITY;
            }
            self.parabolas.push((n, from));
        }
        let mut parabolas = self.parabolas.iter().peekable();
        let Some(mut lowest) = parabolas.next() else { return };
        for (n, square) in line.iter_mut().enumerate() {
            while let Some(next) = parabolas.next_if(|(_, from)| *from < n as f64) {
                lowest = next;
            }
            let offset = n.abs_diff(lowest.0) as f64;
            *square = (offset * offset + self.heights[lowest.0]) * (spacing * spacing);
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
        share: f64,
        /// Along the array's axes.
        spacing: [f64; 3],
        distances: Vec<f32>,
    }

    #[derive(Deserialize)]
    struct Cases {
        distance: Vec<Case>,
    }

    #[test]
    fn distances_are_scipys() {
        let text = include_str!("../../../tests/reference/imaging/masks.json");
        let Cases { distance } = serde_json::from_str(text).unwrap();
        assert!(distance.len() > 3);
        for case in distance {
            let mask = noise(case.shape, case.seed, 100, 0.0).mapv(|value| value < case.share);
            let [k, j, i] = case.spacing;
            let [nk, nj, ni] = case.shape;
            let found = distance_mm(&mask, &Grid::aligned([ni, nj, nk], [i, j, k]));
            for (found, expected) in found.iter().zip(&case.distances) {
                assert!((found - expected).abs() <= 1e-5 * expected, "{found} instead of {expected}");
            }
            assert_eq!(found.len(), case.distances.len());
        }
    }

    #[test]
    fn an_empty_mask_is_infinitely_far() {
        let mask = Array3::from_elem((2, 3, 4), false);
        let distance = distance_mm(&mask, &Grid::aligned([4, 3, 2], [1.0; 3]));
        assert!(distance.iter().all(|d| *d == f32::INFINITY));
    }
}
