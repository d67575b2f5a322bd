//! A box of voxels, and what cropping and pasting do to grid and array together.

use ndarray::{Array3, ArrayView3, ArrayViewMut3, Axis, Slice};
use serde::{Deserialize, Serialize};

use crate::{Grid, LabelMap, Volume};

/// Voxels `start..end` along i, j, k; `end` is exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IndexBox {
    /// First voxel, `[i, j, k]`.
    pub start: [usize; 3],
    /// One past the last voxel, `[i, j, k]`.
    pub end: [usize; 3],
}

impl IndexBox {
    /// All of a grid.
    #[must_use]
    pub fn whole(grid: &Grid) -> IndexBox {
        IndexBox { start: [0; 3], end: grid.size }
    }

    /// Voxels along i, j, k; 0 where it is empty.
    #[must_use]
    pub fn size(&self) -> [usize; 3] {
        std::array::from_fn(|a| self.end[a].saturating_sub(self.start[a]))
    }

    /// Whether there is no voxel in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.size().contains(&0)
    }

    /// Grown by `margin` voxels along i, j, k at both ends, as far as `grid` goes.
    #[must_use]
    pub fn grown(&self, margin: [usize; 3], grid: &Grid) -> IndexBox {
        IndexBox {
            start: std::array::from_fn(|a| self.start[a].saturating_sub(margin[a])),
            end: std::array::from_fn(|a| self.end[a].saturating_add(margin[a]).min(grid.size[a])),
        }
    }

    /// Grown by millimetres, cut to whole voxels of the f32 spacing as TotalSegmentator's crop does.
    #[must_use]
    pub fn grown_mm(&self, millimetres: f64, grid: &Grid) -> IndexBox {
        let margin = grid.spacing().map(|s| (millimetres / f64::from(s as f32)).max(0.0) as usize);
        self.grown(margin, grid)
    }

    /// The smallest box round both.
    #[must_use]
    pub fn union(&self, other: &IndexBox) -> IndexBox {
        IndexBox {
            start: std::array::from_fn(|a| self.start[a].min(other.start[a])),
            end: std::array::from_fn(|a| self.end[a].max(other.end[a])),
        }
    }

    /// The part of it that lies in `grid`.
    fn within(&self, grid: &Grid) -> IndexBox {
        let end: [usize; 3] = std::array::from_fn(|a| self.end[a].min(grid.size[a]));
        IndexBox { start: std::array::from_fn(|a| self.start[a].min(end[a])), end }
    }

    /// The part of an array `[[k, j, i]]` that lies in it.
    ///
    /// # Panics
    ///
    /// If the box reaches beyond the array; boxes from a label map or [`IndexBox::grown`] do not.
    pub fn view<'a, T>(&self, array: ArrayView3<'a, T>) -> ArrayView3<'a, T> {
        let mut view = array;
        (0..3).for_each(|n| view.slice_axis_inplace(Axis(n), self.slice(n)));
        view
    }

    /// The part of an array `[[k, j, i]]` that lies in it, to be written.
    ///
    /// # Panics
    ///
    /// If the box reaches beyond the array.
    pub fn view_mut<'a, T>(&self, array: ArrayViewMut3<'a, T>) -> ArrayViewMut3<'a, T> {
        let mut view = array;
        (0..3).for_each(|n| view.slice_axis_inplace(Axis(n), self.slice(n)));
        view
    }

    fn slice(&self, array_axis: usize) -> Slice {
        Slice::from(self.start[2 - array_axis]..self.end[2 - array_axis])
    }
}

impl Grid {
    /// The grid of the voxels in `part`.
    #[must_use]
    pub fn cropped(&self, part: &IndexBox) -> Grid {
        let start = part.start.map(|n| n as f64);
        Grid { size: part.size(), axes: self.axes, origin: self.world(start) }
    }
}

impl Volume {
    /// The voxels in `part`, as far as the image goes.
    #[must_use]
    pub fn cropped(&self, part: &IndexBox) -> Volume {
        let part = part.within(&self.grid);
        Volume { grid: self.grid.cropped(&part), voxels: part.view(self.voxels.view()).to_owned() }
    }

    /// An image on `grid` that holds this one at `start` (`[i, j, k]`) and `outside` elsewhere; what sticks out is cut.
    #[must_use]
    pub fn pasted(&self, grid: &Grid, start: [usize; 3], outside: f32) -> Volume {
        let mut voxels = Array3::from_elem(grid.shape(), outside);
        paste(self.voxels.view(), &mut voxels, grid, start);
        Volume { grid: grid.clone(), voxels }
    }
}

impl LabelMap {
    /// The voxels in `part`, as far as the labels go.
    #[must_use]
    pub fn cropped(&self, part: &IndexBox) -> LabelMap {
        let part = part.within(&self.grid);
        LabelMap { grid: self.grid.cropped(&part), labels: part.view(self.labels.view()).to_owned() }
    }

    /// Labels on `grid` that hold these at `start` (`[i, j, k]`) and background elsewhere; what sticks out is cut.
    #[must_use]
    pub fn pasted(&self, grid: &Grid, start: [usize; 3]) -> LabelMap {
        let mut pasted = LabelMap::background(grid);
        paste(self.labels.view(), &mut pasted.labels, grid, start);
        pasted
    }
}

fn paste<T: Copy>(part: ArrayView3<'_, T>, whole: &mut Array3<T>, grid: &Grid, start: [usize; 3]) {
    let (nk, nj, ni) = part.dim();
    let end = [start[0].saturating_add(ni), start[1].saturating_add(nj), start[2].saturating_add(nk)];
    let target = IndexBox { start, end }.within(grid);
    let source = IndexBox { start: [0; 3], end: target.size() };
    target.view_mut(whole.view_mut()).assign(&source.view(part));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cropping_and_pasting_keep_voxels_in_their_place() {
        let grid =
            Grid::new([4, 5, 6], [[0.0, 1.0, 0.0], [-2.0, 0.0, 0.5], [0.0, 0.0, 3.0]], [9.0; 3]).unwrap();
        let voxels = Array3::from_shape_fn(grid.shape(), |(k, j, i)| (100 * k + 10 * j + i) as f32);
        let volume = Volume { grid, voxels };
        let part = IndexBox { start: [1, 2, 3], end: [3, 9, 5] };
        let cropped = volume.cropped(&part);
        assert_eq!(cropped.grid.size, [2, 3, 2]);
        assert_eq!(cropped.voxels[[1, 2, 0]], 441.0);
        assert_eq!(cropped.grid.world([0.0, 2.0, 1.0]), volume.grid.world([1.0, 4.0, 4.0]));
        let pasted = cropped.pasted(&volume.grid, part.start, -1.0);
        for ((k, j, i), &value) in pasted.voxels.indexed_iter() {
            let inside = (3..5).contains(&k) && (2..5).contains(&j) && (1..3).contains(&i);
            assert_eq!(value, if inside { volume.voxels[[k, j, i]] } else { -1.0 });
        }
    }

    #[test]
    fn a_box_off_the_grid_is_empty() {
        let labels = LabelMap::background(&Grid::aligned([3, 3, 3], [1.0; 3]));
        let off = labels.cropped(&IndexBox { start: [7, 0, 0], end: [9, 2, 2] });
        assert!(off.labels.is_empty());
    }

    #[test]
    fn margins_in_millimetres_are_cut_to_voxels() {
        let grid = Grid::aligned([100, 100, 100], [0.7, 1.5, 3.0]);
        let part = IndexBox { start: [50; 3], end: [60, 60, 95] };
        let expected = IndexBox { start: [22, 37, 44], end: [88, 73, 100] };
        assert_eq!(part.grown_mm(20.0, &grid), expected);
    }
}
