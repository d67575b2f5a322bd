//! One resolution at which scopes are solved: the block, how far each cell is, and what the target looks like.

use imaging::IndexBox;

use crate::appearance::{Appearance, Histogram};
use crate::block::{Block, Role, Scene};
use crate::cut::{State, band, connected, cut};
use crate::geodesic::geodesic;
use crate::prompt::Sign;
use crate::region::{Region, round_about};

/// What the distance from the click is worth at the click; nothing at the scope's size, and against a flip beyond.
const NEARNESS: f32 = 1.5;
/// The most that appearance and distance together may say.
const LIMIT: f32 = 6.0;
/// Nothing flips farther away than this many scopes.
const REACH: f32 = 2.4;
/// Half the size of the box of a scope, in scopes.
const BOX: f64 = 2.5;
/// Scopes from this size in mm are first solved at about [`COARSE_MM`], those from the second at [`MIDDLE_MM`].
const COARSE_FROM_MM: f64 = 20.0;
const MIDDLE_FROM_MM: f64 = 10.0;
const COARSE_MM: f64 = 3.0;
const MIDDLE_MM: f64 = 1.5;

/// Voxels to a cell along i, j, k at which a scope is solved first.
pub(crate) fn factor(scope: f64, spacing: [f64; 3]) -> [usize; 3] {
    let wanted = match scope {
        scope if scope >= COARSE_FROM_MM => COARSE_MM,
        scope if scope >= MIDDLE_FROM_MM => MIDDLE_MM,
        _ => return [1; 3],
    };
    // The quarter lets 1.75 stand for 2, and a voxel of 2 mm stay whole.
    spacing.map(|spacing| ((wanted / spacing + 0.25) as usize).max(1))
}

/// The box of voxels in which a scope works.
pub(crate) fn reach_of(scope: f64, scene: &Scene<'_>, seeds: &[[usize; 3]]) -> IndexBox {
    let grid = &scene.labels.grid;
    let spacing = grid.spacing();
    let coarsest = spacing.into_iter().fold(0.0, f64::max);
    let half = (BOX * scope).max(4.0 * coarsest);
    round_about(seeds.iter().copied()).grown(spacing.map(|spacing| (half / spacing).ceil() as usize), grid)
}

/// Scopes that share a resolution.
pub(crate) struct Level<'a> {
    scene: &'a Scene<'a>,
    seeds: &'a [[usize; 3]],
    block: Block,
    distance: Vec<f32>,
    smooth: Vec<f32>,
    scopes: Vec<Scope>,
}

/// A scope: how far it reaches, and what it knows.
struct Scope {
    size: f32,
    /// Cells that may flip, `[i, j, k]` with margins counted.
    cells: IndexBox,
    appearance: Appearance,
}

impl<'a> Level<'a> {
    /// Prepares scopes of one resolution, smallest first.
    pub(crate) fn new(
        scene: &'a Scene<'a>,
        seeds: &'a [[usize; 3]],
        sizes: &[f64],
        factor: [usize; 3],
    ) -> Level<'a> {
        let largest = sizes.iter().copied().fold(0.0, f64::max);
        let part = reach_of(largest, scene, seeds);
        let mut block = Block::new(scene, &part, factor);
        let cells = cells_of(&block, seeds);
        for &cell in &cells {
            if block.roles[cell] != Role::Free {
                block.roles[cell] = Role::Free;
                block.labels[cell] = if scene.sign == Sign::Add { scene.under } else { scene.target };
            }
        }
        let mean = block.spacing.iter().sum::<f32>() / 3.0;
        let distance = geodesic(&block, &cells, mean / scene.image.noise(), REACH * largest as f32);
        let smooth = block.smooth();
        let mut level = Level { scene, seeds, block, distance, smooth, scopes: Vec::new() };
        let boxes: Vec<IndexBox> =
            sizes.iter().map(|&size| level.cells_within(&reach_of(size, scene, seeds))).collect();
        let appearances = level.appearances(&boxes);
        let scopes = sizes.iter().zip(boxes).zip(appearances);
        level.scopes = scopes
            .map(|((&size, cells), appearance)| Scope { size: size as f32, cells, appearance })
            .collect();
        level
    }

    /// The cells of a box of voxels, without those on a face that is not the image's border.
    fn cells_within(&self, part: &IndexBox) -> IndexBox {
        let (block, size) = (&self.block, self.scene.labels.grid.size);
        let first = |a: usize| match part.start[a] {
            0 => 1,
            start => (start - block.start[a]).div_ceil(block.factor[a]) + 2,
        };
        let last = |a: usize| match part.end[a] {
            end if end == size[a] => block.size[a] - 1,
            end => (end - block.start[a]) / block.factor[a],
        };
        IndexBox { start: std::array::from_fn(first), end: std::array::from_fn(last) }
    }

    /// What is likely in each scope, judged by the histograms of its box.
    fn appearances(&self, boxes: &[IndexBox]) -> Vec<Appearance> {
        let block = &self.block;
        let coarsest = self.scene.labels.grid.spacing().into_iter().fold(0.0, f64::max) as f32;
        let near_mm = (2.1 * coarsest.max(block.spacing.into_iter().fold(0.0, f32::max))).max(6.0);
        let adding = self.scene.sign == Sign::Add;
        let mut near = Histogram::new();
        let mut all = vec![Histogram::new(); boxes.len()];
        let mut core = all.clone();
        for cell in block.inner() {
            let value = self.smooth[cell];
            if self.distance[cell] <= near_mm {
                near.add(value);
            }
            // A scope's own faces belong to its box here.
            let holds = |cells: &IndexBox| {
                let at = block.at(cell);
                (0..3).all(|a| at[a] + 1 >= cells.start[a] && at[a] <= cells.end[a])
            };
            let Some(shell) = boxes.iter().position(holds) else { continue };
            if block.roles[cell] == Role::Free || (!adding && block.roles[cell] == Role::Kept) {
                all[shell].add(value);
            } else if adding && block.roles[cell] == Role::Done && self.is_core(cell) {
                core[shell].add(value);
            }
        }
        for n in 1..boxes.len() {
            let (smaller, larger) = all.split_at_mut(n);
            larger[0].join(&smaller[n - 1]);
            let (smaller, larger) = core.split_at_mut(n);
            larger[0].join(&smaller[n - 1]);
        }
        let pairs = all.iter().zip(&core);
        pairs.map(|(all, core)| Appearance::new(&near, adding.then_some(core), all)).collect()
    }

    fn is_core(&self, cell: usize) -> bool {
        self.block.around(cell).iter().all(|&neighbor| self.block.roles[neighbor] == Role::Done)
    }

    /// What flips in scope `n`, which holds at least what flipped in the one before.
    pub(crate) fn solve(&self, n: usize, before: Option<&Region>) -> Region {
        let (block, scope) = (&self.block, &self.scopes[n]);
        let noise = self.scene.image.noise();
        let forced = self.forced(before);
        let mut states: Vec<State> = block.roles.iter().map(|&role| State::of(role)).collect();
        for cell in block.inner().filter(|&cell| block.roles[cell] == Role::Free) {
            let at = block.at(cell);
            let distance = self.distance[cell];
            if forced[cell] || distance == 0.0 {
                states[cell] = State::Flip;
            } else if distance <= REACH * scope.size
                && (0..3).all(|a| (scope.cells.start[a]..scope.cells.end[a]).contains(&at[a]))
            {
                states[cell] = State::Open;
            }
        }
        let flipped = cut(block, noise, &states, |cell| self.gain(scope, cell, self.smooth[cell]));
        let through_done = self.scene.sign == Sign::Add;
        let flipped = connected(block, &flipped, &cells_of(block, self.seeds), through_done);
        if block.factor == [1; 3] {
            return Region::new(block, &flipped, noise);
        }
        self.refine(scope, &flipped, before)
    }

    /// Cells of which the scope before flipped at least half.
    fn forced(&self, before: Option<&Region>) -> Vec<bool> {
        let mut voxels = vec![0u16; self.block.roles.len()];
        for voxel in before.iter().flat_map(|before| before.iter()) {
            if let Some(cell) = self.block.cell(voxel) {
                voxels[cell] += 1;
            }
        }
        let half = self.block.factor.iter().product::<usize>().div_ceil(2) as u16;
        voxels.into_iter().map(|voxels| voxels >= half).collect()
    }

    /// What it is worth to flip a cell, judged by intensity and distance.
    fn gain(&self, scope: &Scope, cell: usize, value: f32) -> f32 {
        let nearness = NEARNESS * (1.0 - self.distance[cell] / scope.size);
        (scope.appearance.of(value) + nearness).clamp(-LIMIT, LIMIT)
    }

    /// Solves again at full resolution, near the boundary that the coarse solution found.
    fn refine(&self, scope: &Scope, coarse: &[bool], before: Option<&Region>) -> Region {
        let (scene, noise) = (self.scene, self.scene.image.noise());
        let block = &self.block;
        let cells = block.inner().filter(|&cell| coarse[cell]).map(|cell| block.voxel(cell));
        let found = round_about(cells.chain(self.seeds.iter().copied()));
        let found = before.map_or(found, |before| found.union(&before.part));
        let part = found.grown(block.factor.map(|factor| 2 * factor + 2), &scene.labels.grid);
        let mut fine = Block::new(scene, &part, [1; 3]);
        let seeds = cells_of(&fine, self.seeds);
        seeds.iter().for_each(|&seed| fine.roles[seed] = Role::Free);
        let above: Vec<Option<usize>> =
            (0..fine.roles.len()).map(|cell| block.cell(fine.voxel_or_margin(cell)?)).collect();
        let guess: Vec<bool> = above.iter().map(|above| above.is_some_and(|above| coarse[above])).collect();
        let steps = block.factor.into_iter().fold(1, usize::max) + 1;
        let near = band(&fine, &guess, steps);
        let smooth = fine.smooth();
        let mut states: Vec<State> = fine.roles.iter().map(|&role| State::of(role)).collect();
        for cell in fine.inner().filter(|&cell| fine.roles[cell] == Role::Free) {
            if before.is_some_and(|before| before.holds(fine.voxel(cell))) || (guess[cell] && !near[cell]) {
                states[cell] = State::Flip;
            } else if near[cell] && above[cell].is_some() {
                states[cell] = State::Open;
            }
        }
        seeds.iter().for_each(|&seed| states[seed] = State::Flip);
        let gain = |cell: usize| above[cell].map_or(-LIMIT, |above| self.gain(scope, above, smooth[cell]));
        let flipped = cut(&fine, noise, &states, gain);
        Region::new(&fine, &connected(&fine, &flipped, &seeds, scene.sign == Sign::Add), noise)
    }
}

/// The cells that hold the seeds, each once.
fn cells_of(block: &Block, seeds: &[[usize; 3]]) -> Vec<usize> {
    let mut cells: Vec<usize> = seeds.iter().filter_map(|&seed| block.cell(seed)).collect();
    cells.sort_unstable();
    cells.dedup();
    cells
}
