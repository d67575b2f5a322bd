//! The box of voxels round a click, taken out of image and labels at full or reduced resolution, with a margin of one
//! cell so that every cell of interest has all its neighbours.

use imaging::{IndexBox, LabelMap};
use ndarray::Axis;
use rayon::prelude::*;

use crate::image::Image;
use crate::prompt::{Editable, Sign};

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
    /// Where the viewer allows changes at all.
    pub(crate) editable: Option<&'a Editable>,
    /// Voxels of earlier prompts of the other sign, which must stay what they are.
    pub(crate) opposite: &'a [[usize; 3]],
    /// A box drawn by the user, beyond which nothing changes.
    pub(crate) bounds: Option<IndexBox>,
}

impl Scene<'_> {
    /// What may become of a voxel, without regard to earlier prompts.
    pub(crate) fn role(&self, [i, j, k]: [usize; 3]) -> Role {
        self.limited(self.role_of(self.labels.labels[[k, j, i]]), [i, j, k])
    }

    /// What may become of a voxel by its label alone.
    fn role_of(&self, label: u8) -> Role {
        let on_target = label == self.target;
        match (on_target == (self.sign == Sign::Add), on_target || label == 0 || label == self.under) {
            (true, _) => Role::Done,
            (false, true) => Role::Free,
            (false, false) => Role::Kept,
        }
    }

    /// [`Scene::role_of`] every label.
    pub(crate) fn table(&self) -> [Role; 256] {
        std::array::from_fn(|label| self.role_of(label as u8))
    }

    /// A role by label as the viewer's mask and the prompt's box limit it.
    pub(crate) fn limited(&self, role: Role, [i, j, k]: [usize; 3]) -> Role {
        let allowed = || {
            let allows = |editable: &Editable| {
                let at = [k, j, i];
                editable.allows(self.target, self.labels.labels[at], self.image.volume().voxels[at])
            };
            self.editable.is_none_or(allows)
                && self.bounds.is_none_or(|bounds| {
                    (0..3).all(|a| (bounds.start[a]..bounds.end[a]).contains(&[i, j, k][a]))
                })
        };
        if role == Role::Free && !allowed() { Role::Kept } else { role }
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
        let kinds = Kinds::new(scene);
        let planes = self.values.par_chunks_mut(plane).zip(self.labels.par_chunks_mut(plane));
        let planes = planes.zip(self.roles.par_chunks_mut(plane)).enumerate();
        planes.for_each(|(k, ((values, labels), roles))| {
            for n in 0..plane {
                let at = [n % size[0], n / size[0], k];
                let Some(cell) = span(at, start, factor, scene) else { continue };
                (values[n], labels[n], roles[n]) = summary(scene, &kinds, &cell, factor);
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
        smooth(&self.values, self.strides())
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

/// Mean of each value and its 26 neighbours in a list whose neighbours lie so far apart; the outermost hold nothing
/// useful.
pub(crate) fn smooth(values: &[f32], strides: [usize; 3]) -> Vec<f32> {
    strides.into_iter().fold(values.to_vec(), |values, stride| {
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
fn summary(scene: &Scene<'_>, kinds: &Kinds<'_>, cell: &IndexBox, factor: [usize; 3]) -> (f32, u8, Role) {
    let [i, j, k] = cell.start;
    if cell.size() == [1; 3] {
        let label = scene.labels.labels[[k, j, i]];
        let role = scene.limited(kinds.roles[usize::from(label)], [i, j, k]);
        return (scene.image.windowed(scene.image.volume().voxels[[k, j, i]]), label, role);
    }
    let mean = match scene.image.coarse(factor) {
        Some(means) if (0..3).all(|a| cell.start[a].is_multiple_of(factor[a])) => {
            means[[k / factor[2], j / factor[1], i / factor[0]]]
        }
        _ => mean(scene, cell),
    };
    let n = cell.size().iter().product::<usize>() as u64;
    let [done, free, under] = kinds.counts(scene, cell);
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

fn mean(scene: &Scene<'_>, cell: &IndexBox) -> f32 {
    let voxels = &scene.image.volume().voxels;
    let (mut sum, mut n) = (0.0, 0);
    for plane in (cell.start[2]..cell.end[2]).map(|k| voxels.index_axis(Axis(0), k)) {
        for row in (cell.start[1]..cell.end[1]).map(|j| plane.index_axis_move(Axis(0), j)) {
            for i in cell.start[0]..cell.end[0] {
                sum += scene.image.windowed(row[i]);
                n += 1;
            }
        }
    }
    sum / n as f32
}

/// What each label is to an edit.
struct Kinds<'a> {
    /// All labels, C order, where the label alone decides.
    labels: Option<&'a [u8]>,
    roles: [Role; 256],
    /// One in the first, second or third 21 bits for a label that is done, free, or under the click.
    ones: [u64; 256],
}

impl<'a> Kinds<'a> {
    fn new(scene: &Scene<'a>) -> Kinds<'a> {
        let roles = scene.table();
        let one = |label: usize| {
            let kind = match roles[label] {
                Role::Done => 1,
                Role::Free => 1 << 21,
                Role::Kept | Role::Outside => 0,
            };
            kind + if label == usize::from(scene.under) { 1 << 42 } else { 0 }
        };
        let all_allowed = scene.editable.is_none() && scene.bounds.is_none();
        let labels = scene.labels.labels.as_slice().filter(|_| all_allowed);
        Kinds { labels, roles, ones: std::array::from_fn(one) }
    }

    /// Voxels of a cell, of fewer than two million, that are done, free, and under the click.
    fn counts(&self, scene: &Scene<'_>, cell: &IndexBox) -> [u64; 3] {
        let labels = &scene.labels.labels;
        let (_, nj, ni) = labels.dim();
        let mut counts = 0;
        for k in cell.start[2]..cell.end[2] {
            for j in cell.start[1]..cell.end[1] {
                match self.labels {
                    Some(labels) => {
                        let row = (k * nj + j) * ni;
                        let row = &labels[row + cell.start[0]..row + cell.end[0]];
                        counts += row.iter().map(|&label| self.ones[usize::from(label)]).sum::<u64>();
                    }
                    None => {
                        for i in cell.start[0]..cell.end[0] {
                            let label = usize::from(labels[[k, j, i]]);
                            let free = scene.limited(self.roles[label], [i, j, k]) == self.roles[label];
                            counts += if free { self.ones[label] } else { self.ones[label] & !(1 << 21) };
                        }
                    }
                }
            }
        }
        let of = |n: u32| counts >> (21 * n) & ((1 << 21) - 1);
        [of(0), of(1), of(2)]
    }
}
