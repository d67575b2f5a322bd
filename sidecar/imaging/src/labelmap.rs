//! One class per voxel on a grid.

use ndarray::{Array3, Axis};
use rayon::prelude::*;

use crate::{Grid, IndexBox};

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

    /// Voxels of each label; entry 0 counts the background.
    #[must_use]
    pub fn counts(&self) -> [u64; 256] {
        let count = |mut counts: Vec<u64>, plane: ndarray::ArrayView2<'_, u8>| {
            plane.iter().for_each(|&label| counts[usize::from(label)] += 1);
            counts
        };
        let add = |a: Vec<u64>, b: Vec<u64>| a.iter().zip(b).map(|(a, b)| a + b).collect();
        let planes = self.labels.axis_iter(Axis(0)).into_par_iter();
        let counts = planes.fold(|| vec![0; 256], count).reduce(|| vec![0; 256], add);
        std::array::from_fn(|label| counts[label])
    }

    /// The box round each label's voxels; `None` where it has none. Entry 0 is always `None`.
    #[must_use]
    pub fn boxes(&self) -> Vec<Option<IndexBox>> {
        let plane_boxes = |(k, plane): (usize, ndarray::ArrayView2<'_, u8>)| {
            let mut boxes: Vec<Option<IndexBox>> = vec![None; 256];
            for ((j, i), &label) in plane.indexed_iter() {
                if label != 0 {
                    let voxel = IndexBox { start: [i, j, k], end: [i + 1, j + 1, k + 1] };
                    include(&mut boxes[usize::from(label)], Some(voxel));
                }
            }
            boxes
        };
        let join = |mut a: Vec<Option<IndexBox>>, b: Vec<Option<IndexBox>>| {
            a.iter_mut().zip(b).for_each(|(a, b)| include(a, b));
            a
        };
        let planes = self.labels.axis_iter(Axis(0)).into_par_iter().enumerate();
        planes.map(plane_boxes).reduce(|| vec![None; 256], join)
    }

    /// The box round the voxels of `label`.
    #[must_use]
    pub fn box_of(&self, label: u8) -> Option<IndexBox> {
        self.boxes().swap_remove(usize::from(label))
    }

    /// The box round all voxels that are not background.
    #[must_use]
    pub fn foreground_box(&self) -> Option<IndexBox> {
        self.boxes().into_iter().flatten().reduce(|a, b| a.union(&b))
    }

    /// Paints another label map of the same size over this one: where `part` is not background after translation by
    /// `translate`, it wins. How TotalSegmentator merges the parts of a task.
    ///
    /// A part of another size paints only where both have voxels.
    pub fn paint(&mut self, part: &LabelMap, translate: &[u8; 256]) {
        let planes = self.labels.axis_iter_mut(Axis(0)).into_par_iter().zip(part.labels.axis_iter(Axis(0)));
        planes.for_each(|(mut plane, part)| {
            for (mut row, part) in plane.outer_iter_mut().zip(part.outer_iter()) {
                for (label, &local) in row.iter_mut().zip(part) {
                    let painted = translate[usize::from(local)];
                    if painted != 0 {
                        *label = painted;
                    }
                }
            }
        });
    }

    /// Replaces every label by its entry in `translate`.
    pub fn translate(&mut self, translate: &[u8; 256]) {
        self.labels.par_mapv_inplace(|label| translate[usize::from(label)]);
    }

    /// Clears every voxel where `other`, of the same size, has `label`: such as what nobody reviewed.
    pub fn clear_where(&mut self, other: &LabelMap, label: u8) {
        let clear = |(voxel, other): (&mut u8, &u8)| {
            if *other == label {
                *voxel = 0;
            }
        };
        self.labels.iter_mut().zip(&other.labels).for_each(clear);
    }

    /// Where the label is one of `wanted`.
    #[must_use]
    pub fn mask(&self, wanted: &[u8]) -> Array3<bool> {
        let mut table = [false; 256];
        wanted.iter().for_each(|&label| table[usize::from(label)] = true);
        self.labels.mapv(|label| table[usize::from(label)])
    }
}

fn include(grown: &mut Option<IndexBox>, other: Option<IndexBox>) {
    *grown = match (grown.take(), other) {
        (Some(a), Some(b)) => Some(a.union(&b)),
        (a, b) => a.or(b),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> LabelMap {
        let mut labels = LabelMap::background(&Grid::aligned([5, 4, 3], [1.0; 3]));
        labels.labels[[0, 1, 2]] = 7;
        labels.labels[[2, 3, 0]] = 7;
        labels.labels[[1, 1, 4]] = 255;
        labels
    }

    #[test]
    fn counts_and_boxes() {
        let labels = labels();
        let counts = labels.counts();
        assert_eq!((counts[0], counts[7], counts[255], counts.iter().sum()), (57, 2, 1, 60u64));
        let boxes = labels.boxes();
        assert_eq!(boxes[7], Some(IndexBox { start: [0, 1, 0], end: [3, 4, 3] }));
        assert_eq!(boxes[255], Some(IndexBox { start: [4, 1, 1], end: [5, 2, 2] }));
        assert_eq!(boxes.iter().flatten().count(), 2);
        assert_eq!(labels.foreground_box(), Some(IndexBox { start: [0, 1, 0], end: [5, 4, 3] }));
    }

    #[test]
    fn later_parts_win_where_they_are_not_background() {
        let mut whole = labels();
        let mut part = LabelMap::background(&whole.grid);
        part.labels[[0, 1, 2]] = 1;
        part.labels[[0, 0, 0]] = 2;
        part.labels[[1, 1, 4]] = 3;
        let mut translate = [0; 256];
        (translate[1], translate[2]) = (90, 91);
        whole.paint(&part, &translate);
        assert_eq!(whole.labels[[0, 1, 2]], 90);
        assert_eq!(whole.labels[[0, 0, 0]], 91);
        assert_eq!(whole.labels[[1, 1, 4]], 255, "an untranslated label paints nothing");
        assert_eq!(whole.mask(&[90, 255]).iter().filter(|&&m| m).count(), 2);
        whole.translate(&translate);
        assert!(whole.labels.iter().all(|&label| label == 0));
    }
}
