//! Boxes of voxels that may reach beyond the image, as patches near its rim do, and values within them.

use std::ops::Range;

use imaging::IndexBox;

/// Voxels `start..end` along k, j, i; may begin below 0 and end beyond the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) start: [isize; 3],
    pub(crate) end: [isize; 3],
}

impl Window {
    /// All of an image of `shape` `[k, j, i]`.
    pub(crate) fn whole(shape: [usize; 3]) -> Window {
        Window { start: [0; 3], end: shape.map(|n| n as isize) }
    }

    /// `size` voxels along k, j, i, with as many before the centre as from it on, or one fewer.
    pub(crate) fn round_about(center: [isize; 3], size: [usize; 3]) -> Window {
        let start: [isize; 3] = std::array::from_fn(|a| center[a] - (size[a] / 2) as isize);
        Window { start, end: std::array::from_fn(|a| start[a] + size[a] as isize) }
    }

    /// From `[i, j, k]` to `[k, j, i]`.
    pub(crate) fn of(part: &IndexBox) -> Window {
        let turned = |[i, j, k]: [usize; 3]| [k as isize, j as isize, i as isize];
        Window { start: turned(part.start), end: turned(part.end) }
    }

    /// From `[k, j, i]` to `[i, j, k]`; of a window that lies in the image.
    pub(crate) fn part(&self) -> IndexBox {
        let turned = |[k, j, i]: [isize; 3]| [i, j, k].map(|n| n.max(0) as usize);
        IndexBox { start: turned(self.start), end: turned(self.end) }
    }

    /// Voxels along k, j, i.
    pub(crate) fn size(&self) -> [usize; 3] {
        std::array::from_fn(|a| (self.end[a] - self.start[a]).max(0) as usize)
    }

    pub(crate) fn len(&self) -> usize {
        self.size().iter().product()
    }

    /// The voxels of both; `None` if there are none.
    pub(crate) fn and(&self, other: &Window) -> Option<Window> {
        let both = Window {
            start: std::array::from_fn(|a| self.start[a].max(other.start[a])),
            end: std::array::from_fn(|a| self.end[a].min(other.end[a])),
        };
        (0..3).all(|a| both.start[a] < both.end[a]).then_some(both)
    }

    /// The smallest window round both.
    pub(crate) fn hull(&self, other: &Window) -> Window {
        Window {
            start: std::array::from_fn(|a| self.start[a].min(other.start[a])),
            end: std::array::from_fn(|a| self.end[a].max(other.end[a])),
        }
    }

    /// Grown by so many voxels on all sides.
    pub(crate) fn grown(&self, by: usize) -> Window {
        Window { start: self.start.map(|n| n - by as isize), end: self.end.map(|n| n + by as isize) }
    }

    /// Without so many voxels at both ends along k, j, i.
    pub(crate) fn shrunk(&self, by: [usize; 3]) -> Window {
        Window {
            start: std::array::from_fn(|a| self.start[a] + by[a] as isize),
            end: std::array::from_fn(|a| self.end[a] - by[a] as isize),
        }
    }

    pub(crate) fn holds(&self, place: [isize; 3]) -> bool {
        (0..3).all(|a| (self.start[a]..self.end[a]).contains(&place[a]))
    }

    /// `[k, j]` of every row, in order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = [isize; 2]> + use<> {
        let Window { start, end } = *self;
        (start[0]..end[0]).flat_map(move |k| (start[1]..end[1]).map(move |j| [k, j]))
    }

    /// The columns of a row.
    pub(crate) fn columns(&self) -> Range<isize> {
        self.start[2]..self.end[2]
    }
}

/// Values of a window's voxels in C order, i fastest.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Block<T> {
    pub(crate) window: Window,
    pub(crate) values: Vec<T>,
}

impl<T: Copy + Default + PartialEq> Block<T> {
    /// The default everywhere.
    pub(crate) fn new(window: Window) -> Block<T> {
        Block { window, values: vec![T::default(); window.len()] }
    }

    /// Place of a voxel that lies in the window.
    pub(crate) fn place(&self, [k, j, i]: [isize; 3]) -> usize {
        let (start, size) = (self.window.start, self.window.size());
        ((k - start[0]) as usize * size[1] + (j - start[1]) as usize) * size[2] + (i - start[2]) as usize
    }

    /// Places of some columns of a row; all must lie in the window.
    pub(crate) fn span(&self, [k, j]: [isize; 2], columns: &Range<isize>) -> Range<usize> {
        let first = self.place([k, j, columns.start]);
        first..first + (columns.end - columns.start).max(0) as usize
    }

    /// Values of some columns of a row; all must lie in the window.
    pub(crate) fn row(&self, row: [isize; 2], columns: &Range<isize>) -> &[T] {
        &self.values[self.span(row, columns)]
    }

    /// The same voxels in another window; the default where this one does not reach.
    pub(crate) fn cropped(&self, window: Window) -> Block<T> {
        let mut cropped = Block::new(window);
        cropped.paste(self, self.window);
        cropped
    }

    /// Takes over the voxels of another block that lie in `within`, as far as this one reaches.
    pub(crate) fn paste(&mut self, other: &Block<T>, within: Window) {
        let both = self.window.and(&other.window).and_then(|both| both.and(&within));
        let Some(both) = both else { return };
        for row in both.rows() {
            let span = self.span(row, &both.columns());
            self.values[span].copy_from_slice(other.row(row, &both.columns()));
        }
    }

    /// The smallest window round all voxels that are not the default; `None` if all are.
    pub(crate) fn hull(&self) -> Option<Window> {
        let is_set = |value: &T| *value != T::default();
        let mut hull: Option<Window> = None;
        for [k, j] in self.window.rows() {
            let row = self.row([k, j], &self.window.columns());
            let Some(first) = row.iter().position(is_set) else { continue };
            let last = row.iter().rposition(is_set).unwrap_or(first);
            let start = [k, j, self.window.start[2] + first as isize];
            let found = Window { start, end: [k + 1, j + 1, self.window.start[2] + last as isize + 1] };
            hull = Some(hull.map_or(found, |hull| hull.hull(&found)));
        }
        hull
    }
}
