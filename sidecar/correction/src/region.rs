//! A region that an edit would change: a box and which of its voxels.

use imaging::IndexBox;
use rayon::prelude::*;

use crate::block::{Block, Role, Scene};

/// Voxels that would flip, within the smallest box round them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Region {
    pub(crate) part: IndexBox,
    /// C order, i fastest.
    pub(crate) inside: Vec<bool>,
    pub(crate) voxels: usize,
    /// Mean over the new boundary of how alike the two sides are: 0 on strong edges, 1 where there is none.
    pub(crate) openness: f32,
}

impl Region {
    /// The flipped cells of a block at full resolution.
    pub(crate) fn new(block: &Block, flipped: &[bool]) -> Region {
        let cells: Vec<[usize; 3]> =
            block.inner().filter(|&cell| flipped[cell]).map(|cell| block.voxel(cell)).collect();
        let mut region = Region::empty(round_about(cells.iter().copied()));
        cells.into_iter().for_each(|voxel| region.add(voxel));
        region
    }

    /// The voxels of `part` for which `holds`; its boundary counts as closed.
    pub(crate) fn of(part: IndexBox, holds: impl Fn([usize; 3]) -> bool) -> Region {
        let size = part.size();
        let n: usize = size.iter().product();
        let at = |n: usize| [n % size[0], n / size[0] % size[1], n / (size[0] * size[1])];
        let inside: Vec<bool> =
            (0..n).map(|n| holds(std::array::from_fn(|a| part.start[a] + at(n)[a]))).collect();
        let voxels = inside.iter().filter(|inside| **inside).count();
        Region { part, inside, voxels, openness: 0.0 }
    }

    /// No voxel of a box, yet.
    pub(crate) fn empty(part: IndexBox) -> Region {
        Region { part, inside: vec![false; part.size().iter().product()], voxels: 0, openness: 0.0 }
    }

    /// Takes in a voxel of the box that it does not hold yet.
    pub(crate) fn add(&mut self, voxel: [usize; 3]) {
        let place = self.place(voxel);
        self.inside[place] = true;
        self.voxels += 1;
    }

    /// The same in the smallest box.
    pub(crate) fn trimmed(self) -> Region {
        let mut part: Option<IndexBox> = None;
        let (start, size) = (self.part.start, self.part.size());
        for (row, inside) in self.inside.chunks_exact(size[0].max(1)).enumerate() {
            let Some(first) = inside.iter().position(|&inside| inside) else { continue };
            let last = inside.iter().rposition(|&inside| inside).unwrap_or(first);
            let (j, k) = (start[1] + row % size[1], start[2] + row / size[1]);
            let found =
                IndexBox { start: [start[0] + first, j, k], end: [start[0] + last + 1, j + 1, k + 1] };
            part = Some(part.map_or(found, |part| part.union(&found)));
        }
        let mut region = Region::empty(part.unwrap_or(round_about(std::iter::empty())));
        self.iter().for_each(|voxel| region.add(voxel));
        region.openness = self.openness;
        region
    }

    /// How many voxels of each cell of a block it holds.
    pub(crate) fn counts(&self, block: &Block) -> Vec<u16> {
        let mut voxels = vec![0u16; block.roles.len()];
        for voxel in self.iter() {
            if let Some(cell) = block.cell(voxel) {
                voxels[cell] += 1;
            }
        }
        voxels
    }

    /// With all that another region holds.
    pub(crate) fn joined(self, other: &Region) -> Region {
        if other.iter().all(|voxel| self.holds(voxel)) {
            return self;
        }
        let mut joined = Region::empty(self.part.union(&other.part));
        self.iter().for_each(|voxel| joined.add(voxel));
        other.iter().filter(|&voxel| !self.holds(voxel)).for_each(|voxel| joined.add(voxel));
        joined
    }

    /// With its openness: the mean over those faces beyond which a voxel stays that is not what others flip to.
    pub(crate) fn judged(mut self, scene: &Scene<'_>) -> Region {
        let [ni, nj, nk] = self.part.size();
        let planes: Vec<(f64, u32)> =
            (0..nk).into_par_iter().map(|k| self.faces(scene, ni * nj, k)).collect();
        let (sum, faces) = planes.into_iter().fold((0.0, 0), |all, plane| (all.0 + plane.0, all.1 + plane.1));
        self.openness = (sum / f64::from(faces.max(1))) as f32;
        self
    }

    /// How alike the sides of one plane's faces are in sum, and how many faces those are.
    fn faces(&self, scene: &Scene<'_>, plane: usize, k: usize) -> (f64, u32) {
        let size = self.part.size();
        let (extent, image, table) = (scene.labels.grid.size, scene.image, scene.table());
        let value = |[i, j, k]: [usize; 3]| image.windowed(image.volume().voxels[[k, j, i]]);
        let is_done =
            |[i, j, k]: [usize; 3]| table[usize::from(scene.labels.labels[[k, j, i]])] == Role::Done;
        let (mut sum, mut faces) = (0.0f64, 0u32);
        for (row, j) in (k * size[1]..).zip(0..size[1]) {
            for i in (0..size[0]).filter(|i| self.inside[row * size[0] + i]) {
                let (n, at) = (row * size[0] + i, [i, j, k]);
                for (axis, stride) in [1, size[0], plane].into_iter().enumerate() {
                    for ahead in [false, true] {
                        let edge = if ahead { at[axis] + 1 == size[axis] } else { at[axis] == 0 };
                        if !edge && self.inside[if ahead { n + stride } else { n - stride }] {
                            continue;
                        }
                        let voxel: [usize; 3] = std::array::from_fn(|a| self.part.start[a] + at[a]);
                        let mut next = voxel;
                        next[axis] = if ahead { voxel[axis] + 1 } else { voxel[axis].wrapping_sub(1) };
                        if next[axis] < extent[axis] && !is_done(next) {
                            sum += f64::from(alike(value(voxel) - value(next), image.noise()));
                            faces += 1;
                        }
                    }
                }
            }
        }
        (sum, faces)
    }

    fn place(&self, voxel: [usize; 3]) -> usize {
        let size = self.part.size();
        let at: [usize; 3] = std::array::from_fn(|a| voxel[a] - self.part.start[a]);
        (at[2] * size[1] + at[1]) * size[0] + at[0]
    }

    /// Whether a voxel would flip.
    pub(crate) fn holds(&self, voxel: [usize; 3]) -> bool {
        let within = (0..3).all(|a| (self.part.start[a]..self.part.end[a]).contains(&voxel[a]));
        within && self.inside[self.place(voxel)]
    }

    /// The voxels that would flip, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = [usize; 3]> + '_ {
        let (start, size) = (self.part.start, self.part.size());
        let rows = self.inside.chunks_exact(size[0].max(1)).enumerate();
        // Most rows are empty: they are passed over as a whole.
        let rows = rows.filter(|(_, row)| row.iter().fold(false, |any, &inside| any | inside));
        rows.flat_map(move |(row, inside)| {
            let (j, k) = (start[1] + row % size[1], start[2] + row / size[1]);
            let inside = inside.iter().enumerate().filter(|(_, inside)| **inside);
            inside.map(move |(i, _)| [start[0] + i, j, k])
        })
    }

    /// Voxels of both over voxels of either.
    pub(crate) fn likeness(&self, other: &Region) -> f64 {
        let both = self.iter().filter(|&voxel| other.holds(voxel)).count();
        both as f64 / ((self.voxels + other.voxels - both) as f64).max(1.0)
    }
}

/// The smallest box round some voxels; empty if there are none.
pub(crate) fn round_about(voxels: impl Iterator<Item = [usize; 3]>) -> IndexBox {
    let boxes = voxels.map(|voxel| IndexBox { start: voxel, end: voxel.map(|n| n + 1) });
    boxes.reduce(|a, b| a.union(&b)).unwrap_or(IndexBox { start: [0; 3], end: [0; 3] })
}

/// How alike two neighbours are that differ by `difference`: 1 when the same, near 0 across an edge.
pub(crate) fn alike(difference: f32, noise: f32) -> f32 {
    (-difference * difference / (2.0 * noise * noise)).exp()
}
