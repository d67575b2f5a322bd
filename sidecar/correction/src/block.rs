//! The box of voxels round a click, taken out of image and labels at full or reduced resolution, with a margin of one
//! cell so that every cell of interest has all its neighbours.

use imaging::{IndexBox, LabelMap};
use ndarray::Array3;
use rayon::prelude::*;

use crate::image::Image;
use crate::prompt::Sign;

/// What may become of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// May flip: become the target ("+"), or leave it ("-").
    Free,
    /// Is already what free cells may become.
    Done,
    /// Must stay what it is.
    Kept,
    /// Lies beyond the image.
    Outside,
}

/// Everything that decides what an edit may touch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) image: &'a Image,
    pub(crate) labels: &'a LabelMap,
    pub(crate) sign: Sign,
    /// The label that grows or shrinks.
    pub(crate) target: u8,
    /// The label under the click, which may give voxels to a growing target; 0 is background.
    pub(crate) under: u8,
    /// Where the viewer allows changes at all, `[[k, j, i]]`.
    pub(crate) editable: Option<&'a Array3<bool>>,
    /// Voxels of earlier prompts of the other sign, which must stay what they are.
    pub(crate) opposite: &'a [[usize; 3]],
    /// A box drawn by the user, beyond which nothing changes.
    pub(crate) bounds: Option<IndexBox>,
}

impl Scene<'_> {
    /// What may become of a voxel, without regard to earlier prompts.
    pub(crate) fn role(&self, [i, j, k]: [usize; 3]) -> Role {
        let label = self.labels.labels[[k, j, i]];
        let on_target = label == self.target;
        if on_target == (self.sign == Sign::Add) {
            return Role::Done;
        }
        let free = on_target || label == 0 || label == self.under;
        let allowed = self.editable.is_none_or(|editable| editable[[k, j, i]])
            && self.bounds.is_none_or(|bounds| {
                (0..3).all(|a| (bounds.start[a]..bounds.end[a]).contains(&[i, j, k][a]))
            });
        match (free && allowed, self.sign) {
            (true, _) => Role::Free,
            (false, Sign::Remove) if !on_target => Role::Done,
            (false, _) => Role::Kept,
        }
    }
}

/// Cells in C order, i fastest, with a margin of one cell all round.
#[derive(Debug)]
pub(crate) struct Block {
    /// First voxel of the first cell that is not margin.
    pub(crate) start: [usize; 3],
    /// Voxels of a cell along i, j, k.
    pub(crate) factor: [usize; 3],
    /// Cells along i, j, k, margins included.
    pub(crate) size: [usize; 3],
    /// Millimetres between cells.
    pub(crate) spacing: [f32; 3],
    /// Mean intensity on the window's scale.
    pub(crate) values: Vec<f32>,
    /// Most frequent label.
    pub(crate) labels: Vec<u8>,
    pub(crate) roles: Vec<Role>,
}

/// Any label that is neither the target, nor the one under the click, nor background.
const OTHER: u8 = u8::MAX;

impl Block {
    /// Takes `part` out of a scene, `factor` voxels to a cell.
    pub(crate) fn new(scene: &Scene<'_>, part: &IndexBox, factor: [usize; 3]) -> Block {
        let size: [usize; 3] = std::array::from_fn(|a| part.size()[a].div_ceil(factor[a]) + 2);
        let spacing = scene.image.volume().grid.spacing();
        let n = size.iter().product();
        let mut block = Block {
            start: part.start,
            factor,
            size,
            spacing: std::array::from_fn(|a| (spacing[a] * factor[a] as f64) as f32),
            values: vec![0.0; n],
            labels: vec![0; n],
            roles: vec![Role::Outside; n],
        };
        block.fill(scene);
        block.extend();
        for &seed in scene.opposite {
            if let Some(cell) =
                block.cell(seed).filter(|&cell| factor == [1; 3] && block.roles[cell] == Role::Free)
            {
                block.roles[cell] = Role::Kept;
            }
        }
        block
    }

    fn fill(&mut self, scene: &Scene<'_>) {
        let (start, factor, size) = (self.start, self.factor, self.size);
        let plane = size[0] * size[1];
        let planes = self.values.par_chunks_mut(plane).zip(self.labels.par_chunks_mut(plane));
        let planes = planes.zip(self.roles.par_chunks_mut(plane)).enumerate();
        planes.for_each(|(k, ((values, labels), roles))| {
            for n in 0..plane {
                let at = [n % size[0], n / size[0], k];
                let Some(cell) = span(at, start, factor, scene) else { continue };
                (values[n], labels[n], roles[n]) = summary(scene, &cell);
                let margin = (0..3).any(|a| at[a] == 0 || at[a] + 1 == size[a]);
                if margin && roles[n] == Role::Free {
                    roles[n] = Role::Kept;
                }
            }
        });
    }

    /// The cell that holds a voxel; `None` if that is margin or beyond.
    pub(crate) fn cell(&self, voxel: [usize; 3]) -> Option<usize> {
        let mut at = [0; 3];
        for a in 0..3 {
            at[a] = voxel[a].checked_sub(self.start[a])? / self.factor[a] + 1;
            if at[a] + 1 >= self.size[a] {
                return None;
            }
        }
        Some(self.flat(at))
    }

    /// Place in the lists of the cell at `[i, j, k]`, margins counted.
    pub(crate) fn flat(&self, [i, j, k]: [usize; 3]) -> usize {
        (k * self.size[1] + j) * self.size[0] + i
    }

    /// `[i, j, k]` of a cell, margins counted.
    pub(crate) fn at(&self, cell: usize) -> [usize; 3] {
        let row = cell / self.size[0];
        [cell % self.size[0], row % self.size[1], row / self.size[1]]
    }

    /// First voxel of a cell that is not margin.
    pub(crate) fn voxel(&self, cell: usize) -> [usize; 3] {
        let at = self.at(cell);
        std::array::from_fn(|a| self.start[a] + (at[a] - 1) * self.factor[a])
    }

    /// The voxel of a cell at full resolution, margins included; `None` if it would lie before the image.
    pub(crate) fn voxel_or_margin(&self, cell: usize) -> Option<[usize; 3]> {
        let at = self.at(cell);
        let before = (0..3).any(|a| self.start[a] + at[a] == 0);
        (!before).then(|| std::array::from_fn(|a| self.start[a] + at[a] - 1))
    }

    /// How far in the lists the next cell lies along i, j, k.
    pub(crate) fn strides(&self) -> [usize; 3] {
        [1, self.size[0], self.size[0] * self.size[1]]
    }

    /// The six neighbours of a cell that is not margin, along -i, +i, -j, +j, -k, +k.
    pub(crate) fn around(&self, cell: usize) -> [usize; 6] {
        let [i, j, k] = self.strides();
        [cell - i, cell + i, cell - j, cell + j, cell - k, cell + k]
    }

    /// Lists places of all cells that are not margin, in order.
    pub(crate) fn inner(&self) -> impl Iterator<Item = usize> + '_ {
        let [ni, nj, nk] = self.size;
        (1..nk - 1).flat_map(move |k| {
            (1..nj - 1).flat_map(move |j| {
                let row = (k * nj + j) * ni;
                row + 1..row + ni - 1
            })
        })
    }

    /// Mean of each cell and its 26 neighbours; the image's border counts again where there is nothing beyond. Only
    /// cells that are not margin hold what they should.
    pub(crate) fn smooth(&self) -> Vec<f32> {
        self.strides().into_iter().fold(self.values.clone(), |values, stride| {
            let mut sums = values.clone();
            let n = values.len();
            for ((sum, &before), &after) in
                sums[stride..n - stride].iter_mut().zip(&values[..n - 2 * stride]).zip(&values[2 * stride..])
            {
                *sum = (*sum + before + after) * (1.0 / 3.0);
            }
            sums
        })
    }

    /// Gives cells beyond the image the intensity of the nearest cell within.
    fn extend(&mut self) {
        for cell in
            (0..self.values.len()).filter(|&cell| self.roles[cell] == Role::Outside).collect::<Vec<_>>()
        {
            let at = self.at(cell);
            let inner = std::array::from_fn(|a| at[a].clamp(1, self.size[a] - 2));
            self.values[cell] = self.values[self.flat(inner)];
        }
    }
}

/// The voxels of the cell at `at` (margins counted); `None` if it lies beyond the image.
fn span(at: [usize; 3], start: [usize; 3], factor: [usize; 3], scene: &Scene<'_>) -> Option<IndexBox> {
    let size = scene.labels.grid.size;
    let mut cell = IndexBox { start: [0; 3], end: [0; 3] };
    for a in 0..3 {
        let end = start[a] + at[a] * factor[a];
        cell.start[a] = end.saturating_sub(factor[a]);
        cell.end[a] = end.min(size[a]);
        if end == 0 || cell.start[a] >= cell.end[a] {
            return None;
        }
    }
    Some(cell)
}

/// Mean intensity, prevailing label and role of a few voxels.
fn summary(scene: &Scene<'_>, cell: &IndexBox) -> (f32, u8, Role) {
    let voxels = &scene.image.volume().voxels;
    let [i, j, k] = cell.start;
    if cell.size() == [1; 3] {
        let role = scene.role([i, j, k]);
        return (scene.image.windowed(voxels[[k, j, i]]), scene.labels.labels[[k, j, i]], role);
    }
    let (mut sum, mut n, mut done, mut free, mut under) = (0.0, 0, 0, 0, 0);
    for k in k..cell.end[2] {
        for j in j..cell.end[1] {
            for i in i..cell.end[0] {
                sum += scene.image.windowed(voxels[[k, j, i]]);
                n += 1;
                match scene.role([i, j, k]) {
                    Role::Done => done += 1,
                    Role::Free => free += 1,
                    Role::Kept | Role::Outside => {}
                }
                under += usize::from(scene.labels.labels[[k, j, i]] == scene.under);
            }
        }
    }
    let mean = sum / n as f32;
    let adding = scene.sign == Sign::Add;
    if 2 * done >= n {
        (mean, if adding { scene.target } else { OTHER }, Role::Done)
    } else if 2 * free >= n {
        let label = if 2 * under >= n { scene.under } else { 0 };
        (mean, if adding { label } else { scene.target }, Role::Free)
    } else {
        (mean, if adding { OTHER } else { scene.target }, Role::Kept)
    }
}
