//! Growing, shrinking and filling masks.
//!
//! Masks are arrays `[[k, j, i]]`. What lies beyond the image counts as outside the mask, as SciPy has it, so erosion
//! also eats from the image's border.

use ndarray::{Array3, ArrayView1, ArrayViewMut1, Axis};
use rayon::prelude::*;

use crate::{Components, Connectivity, LabelMap};

/// Grows a mask by `iterations` voxels through faces: `scipy.ndimage.binary_dilation`. 0 changes nothing (SciPy would
/// go on until nothing changes).
#[must_use]
pub fn dilate(mask: &Array3<bool>, iterations: usize) -> Array3<bool> {
    (0..iterations).fold(mask.clone(), |mask, _| step(&mask, true))
}

/// Shrinks a mask by `iterations` voxels through faces: `scipy.ndimage.binary_erosion`.
#[must_use]
pub fn erode(mask: &Array3<bool>, iterations: usize) -> Array3<bool> {
    (0..iterations).fold(mask.clone(), |mask, _| step(&mask, false))
}

/// Closes gaps up to twice `iterations` wide: grows, then shrinks (`scipy.ndimage.binary_closing`).
#[must_use]
pub fn close(mask: &Array3<bool>, iterations: usize) -> Array3<bool> {
    erode(&dilate(mask, iterations), iterations)
}

/// Removes what is thinner than twice `iterations`: shrinks, then grows (`scipy.ndimage.binary_opening`).
#[must_use]
pub fn open(mask: &Array3<bool>, iterations: usize) -> Array3<bool> {
    dilate(&erode(mask, iterations), iterations)
}

/// Fills every cavity that no path through faces joins to the image's border: `scipy.ndimage.binary_fill_holes`.
#[must_use]
pub fn fill_holes(mask: &Array3<bool>) -> Array3<bool> {
    let (nk, nj, ni) = mask.dim();
    let outside = Components::of(mask.view(), |&inside| !inside, Connectivity::Faces);
    let numbers = outside.labels();
    let mut open = vec![false; outside.len() + 1];
    for ((k, j, i), &number) in numbers.indexed_iter() {
        if k == 0 || j == 0 || i == 0 || k + 1 == nk || j + 1 == nj || i + 1 == ni {
            open[number as usize] = true;
        }
    }
    open[0] = false;
    numbers.mapv(|number| !open[number as usize])
}

/// One voxel of growth (`grow`) or of shrinking, which is growth of the outside.
fn step(mask: &Array3<bool>, grow: bool) -> Array3<bool> {
    let (nk, nj, ni) = mask.dim();
    let mut stepped = mask.clone();
    stepped.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(k, mut plane)| {
        for j in 0..nj {
            let mut row = plane.row_mut(j);
            let same = mask.index_axis(Axis(0), k);
            let from = same.row(j);
            for i in 0..ni {
                let left = if i > 0 { from[i - 1] } else { false };
                let right = if i + 1 < ni { from[i + 1] } else { false };
                row[i] = if grow { row[i] | left | right } else { row[i] & left & right };
            }
            let neighbour = |other: Option<(usize, usize)>, row: &mut ArrayViewMut1<'_, bool>| match other {
                Some((k, j)) => merge(row, mask.index_axis(Axis(0), k).row(j), grow),
                None if !grow => row.fill(false),
                None => {}
            };
            neighbour(j.checked_sub(1).map(|j| (k, j)), &mut row);
            neighbour((j + 1 < nj).then_some((k, j + 1)), &mut row);
            neighbour(k.checked_sub(1).map(|k| (k, j)), &mut row);
            neighbour((k + 1 < nk).then_some((k + 1, j)), &mut row);
        }
    });
    stepped
}

fn merge(row: &mut ArrayViewMut1<'_, bool>, other: ArrayView1<'_, bool>, grow: bool) {
    row.zip_mut_with(&other, |inside, &other| *inside = if grow { *inside | other } else { *inside & other });
}

/// An ellipsoid of voxels: for each row `[dk, dj]` of it, the first and last `di`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ellipsoid {
    rows: Vec<(isize, isize, isize, isize)>,
}

impl Ellipsoid {
    /// The ellipsoid of TotalSegmentator's `get_ellipsoid_structuring_element`: offsets in steps of one voxel from
    /// -r, r = radius over spacing, centred on the middle (of an even number: the upper middle) element, as SciPy
    /// centres a structuring element.
    fn new(radius_mm: f64, spacing: [f64; 3]) -> Ellipsoid {
        if radius_mm <= 0.0 {
            return Ellipsoid { rows: vec![(0, 0, 0, 0)] };
        }
        let squares = spacing.map(|s| {
            let radius = radius_mm / s;
            // As NumPy's arange: the second value makes the step.
            let step = (1.0 - radius) - -radius;
            let count = ((radius + 1.0) - -radius).ceil() as usize;
            let square = |n: usize| {
                let d = -radius + n as f64 * step;
                (d * d) / (radius * radius)
            };
            (0..count).map(square).collect::<Vec<f64>>()
        });
        let [along_i, along_j, along_k] = &squares;
        let offset = |n: usize, along: &[f64]| n as isize - (along.len() / 2) as isize;
        let mut rows = Vec::new();
        for (nk, k) in along_k.iter().enumerate() {
            for (nj, j) in along_j.iter().enumerate() {
                let inside = |n: &usize| along_i[*n] + j + k <= 1.0;
                let first = (0..along_i.len()).find(inside);
                let last = (0..along_i.len()).rfind(inside);
                if let (Some(first), Some(last)) = (first, last) {
                    let ends = (offset(first, along_i), offset(last, along_i));
                    rows.push((offset(nk, along_k), offset(nj, along_j), ends.0, ends.1));
                }
            }
        }
        Ellipsoid { rows }
    }
}

/// Grows a mask by an ellipsoid of voxels: true wherever the ellipsoid, put on a voxel of the mask, reaches.
fn dilate_by(mask: &Array3<bool>, ellipsoid: &Ellipsoid) -> Array3<bool> {
    let (nk, nj, ni) = mask.dim();
    let mut grown = Array3::from_elem(mask.dim(), false);
    grown.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(k, mut plane)| {
        for j in 0..nj {
            let mut row = plane.row_mut(j);
            for &(dk, dj, first, last) in &ellipsoid.rows {
                let k = k.checked_add_signed(-dk).filter(|&k| k < nk);
                let j = j.checked_add_signed(-dj).filter(|&j| j < nj);
                let (Some(k), Some(j)) = (k, j) else { continue };
                let mut reach = isize::MIN;
                for (i, &inside) in mask.index_axis(Axis(0), k).row(j).iter().enumerate() {
                    if !inside {
                        continue;
                    }
                    let from = (i as isize + first).max(reach).max(0);
                    reach = (i as isize + last + 1).min(ni as isize);
                    (from..reach).for_each(|i| row[i as usize] = true);
                }
            }
        }
    });
    grown
}

impl LabelMap {
    /// Grows each of `labels`, in the order given, into the background by an ellipsoid of `radius_mm`: what
    /// TotalSegmentator does to vertebrae. The earlier label wins where two meet; growth starts from the voxels that
    /// a label has now, not from what it gains.
    pub fn dilate_labels_mm(&mut self, labels: &[u8], radius_mm: f64) {
        // NIfTI headers, from which upstream takes the spacing, hold f32.
        let spacing = self.grid.spacing().map(|s| f64::from(s as f32));
        let ellipsoid = Ellipsoid::new(radius_mm, spacing);
        let margin = spacing.map(|s| (radius_mm / s).max(0.0).ceil() as usize);
        let boxes = self.boxes();
        let parts: Vec<_> = labels
            .iter()
            .filter_map(|&label| Some((label, boxes[usize::from(label)]?.grown(margin, &self.grid))))
            .map(|(label, part)| {
                let mask = part.view(self.labels.view()).mapv(|value| value == label);
                (label, part, mask)
            })
            .collect();
        for (label, part, mask) in parts {
            let grown = dilate_by(&mask, &ellipsoid);
            part.view_mut(self.labels.view_mut()).zip_mut_with(&grown, |value, &inside| {
                if inside && *value == 0 {
                    *value = label;
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::Grid;
    use crate::bits::{fingerprint, noise};

    /// Made by SciPy and TotalSegmentator: `tests/reference/imaging/masks.py`.
    #[derive(Deserialize)]
    struct Case {
        name: String,
        seed: u64,
        shape: [usize; 3],
        share: u64,
        #[serde(default)]
        iterations: usize,
        #[serde(default)]
        radius_mm: f64,
        #[serde(default)]
        spacing: [f64; 3],
        fingerprint: String,
    }

    #[derive(Deserialize)]
    struct Cases {
        morphology: Vec<Case>,
    }

    #[test]
    fn masks_change_as_scipys_do() {
        let text = include_str!("../../../tests/reference/imaging/masks.json");
        let Cases { morphology } = serde_json::from_str(text).unwrap();
        assert!(morphology.len() > 20);
        for case in morphology {
            let values = noise(case.shape, case.seed, 100, 0.0);
            let mask = values.mapv(|value| value < case.share as f64);
            let changed = match case.name.as_str() {
                "dilate" => dilate(&mask, case.iterations),
                "erode" => erode(&mask, case.iterations),
                "close" => close(&mask, case.iterations),
                "open" => open(&mask, case.iterations),
                "fill" => fill_holes(&mask),
                _ => {
                    check_ellipsoid(&case, &values);
                    continue;
                }
            };
            assert_eq!(fingerprint(changed.iter().map(|&m| u8::from(m))), case.fingerprint, "{}", case.name);
        }
    }

    fn check_ellipsoid(case: &Case, values: &Array3<f64>) {
        // Three labels, each in a few voxels; `[i, j, k]` there, `[[k, j, i]]` here.
        let labels =
            values.mapv(|value| if value < case.share as f64 { (value * 8.0) as u8 % 3 + 1 } else { 0 });
        let mut labels = LabelMap {
            grid: Grid::aligned(case.shape, case.spacing),
            labels: labels.view().reversed_axes().as_standard_layout().into_owned(),
        };
        labels.dilate_labels_mm(&[1, 2, 3], case.radius_mm);
        let grown = labels.labels.view().reversed_axes().to_owned();
        let tag = format!("{} mm at {:?}", case.radius_mm, case.spacing);
        assert_eq!(fingerprint(grown.iter().copied()), case.fingerprint, "{tag}");
    }
}
