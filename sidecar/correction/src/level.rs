//! One resolution at which scopes are solved: the block, how far each cell is, and what the target looks like.

use imaging::IndexBox;

use crate::appearance::{Appearance, Histogram};
use crate::block::{Block, Role, Scene};
use crate::cut::{State, connected, cut};
use crate::geodesic::geodesic;
use crate::prompt::Sign;
use crate::refine::Coarse;
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
const MIDDLE_FROM_MM: f64 = 8.0;
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

/// Where a scope would shrink to the click, all within this share of it, or so many cells, flips.
const HELD: f32 = 0.5;
const HELD_CELLS: f32 = 2.2;
/// It shrinks to the click when it holds less than one in so many of those.
const SHRUNK: usize = 8;

/// What a scope must hold, and what it may.
#[derive(Debug, Default)]
struct Task<'a> {
    /// Cells that flipped in the scope before, and its region.
    before: Option<(&'a [bool], &'a Region)>,
    /// Nothing flips beyond this.
    within: Option<&'a Region>,
    /// All that is this near by the easiest way flips, in millimetres.
    held: f32,
}

/// Scopes that share a resolution.
pub(crate) struct Level<'a> {
    scene: &'a Scene<'a>,
    seeds: &'a [[usize; 3]],
    block: Block,
    distance: Vec<f32>,
    /// What the easiest way out of the click costs beyond its length, in millimetres: much on a speck of noise.
    exit: f32,
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
        let mut part = reach_of(largest, scene, seeds);
        (0..3).for_each(|a| part.start[a] -= part.start[a] % factor[a]);
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
        let mut level = Level { scene, seeds, block, distance, exit: 0.0, smooth, scopes: Vec::new() };
        level.exit = level.exit();
        let boxes: Vec<IndexBox> =
            sizes.iter().map(|&size| level.cells_within(&reach_of(size, scene, seeds))).collect();
        let appearances = level.appearances(&boxes);
        let scopes = sizes.iter().zip(boxes).zip(appearances);
        level.scopes = scopes
            .map(|((&size, cells), appearance)| Scope { size: size as f32, cells, appearance })
            .collect();
        level
    }

    /// What the easiest way out of a click amid free cells costs beyond its length.
    fn exit(&self) -> f32 {
        if self.depth() < f64::from(HELD_CELLS * self.coarsest()) {
            return 0.0;
        }
        let ways = self.distance.iter().copied().filter(|&distance| distance > 0.0);
        let exit =
            ways.fold(f32::INFINITY, f32::min) - self.block.spacing.into_iter().fold(f32::INFINITY, f32::min);
        if exit.is_finite() { exit.max(0.0) } else { 0.0 }
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

    /// What flips in each scope, and whether that is more than the click: where no edge holds it, the cheapest
    /// boundary is the shortest.
    ///
    /// Each holds the cells of those before, and where it does as the one before did, only that is sharpened again.
    pub(crate) fn solve(&self) -> Vec<(Region, bool)> {
        let mut found: Vec<(Region, bool)> = Vec::new();
        let mut flipped: Vec<bool> = Vec::new();
        for n in 0..self.scopes.len() {
            let before = found.last().map(|(region, _)| (flipped.as_slice(), region));
            let task = Task { before, ..Task::default() };
            let cells = self.flipped(n, &task);
            let scope = (self.sharpened(n, &cells, &task), self.is_whole(n, &cells));
            flipped = cells;
            found.push(scope);
        }
        found
    }

    /// Whether more flips in scope `n` than the click.
    fn is_whole(&self, n: usize, flipped: &[bool]) -> bool {
        let near = self.held(n) as f32 + self.exit;
        let (mut could, mut does) = (0, 0);
        for cell in self.block.inner().filter(|&cell| self.distance[cell] <= near) {
            could += 1;
            does += usize::from(flipped[cell]);
        }
        does * SHRUNK >= could
    }

    /// What flips in scope `n`, within `within`, when all that is at most `held` millimetres away does.
    pub(crate) fn hold(&self, n: usize, held: f64, within: Option<&Region>) -> Region {
        let task = Task { before: None, within, held: held as f32 + self.exit };
        self.sharpened(n, &self.flipped(n, &task), &task)
    }

    /// Millimetres within which all flips where scope `n` would shrink to the click.
    pub(crate) fn held(&self, n: usize) -> f64 {
        f64::from((HELD * self.scopes[n].size).max(HELD_CELLS * self.coarsest()))
    }

    /// Millimetres to a neighbour.
    pub(crate) fn least(&self) -> f64 {
        1.05 * f64::from(self.coarsest())
    }

    fn coarsest(&self) -> f32 {
        self.block.spacing.into_iter().fold(0.0, f32::max)
    }

    /// Millimetres from the first seed to the nearest cell that cannot flip; 0 without seeds.
    pub(crate) fn depth(&self) -> f64 {
        let block = &self.block;
        let Some(center) = self.seeds.first().and_then(|&seed| block.cell(seed)).map(|cell| block.at(cell))
        else {
            return 0.0;
        };
        let square = |cell: usize| {
            let at = block.at(cell);
            (0..3).map(|a| ((at[a] as f32 - center[a] as f32) * block.spacing[a]).powi(2)).sum::<f32>()
        };
        let closed = block.inner().filter(|&cell| block.roles[cell] != Role::Free);
        f64::from(closed.map(square).fold(f32::INFINITY, f32::min).sqrt())
    }

    fn sharpened(&self, n: usize, flipped: &[bool], task: &Task<'_>) -> Region {
        if self.block.factor == [1; 3] {
            return Region::new(&self.block, flipped);
        }
        let scope = &self.scopes[n];
        let coarse = Coarse {
            scene: self.scene,
            block: &self.block,
            flipped,
            seeds: self.seeds,
            before: task.before,
            within: task.within,
            easy: &|cell| task.held > 0.0 && self.distance[cell] <= task.held,
            gain: &|cell, value| self.gain(scope, cell, value),
        };
        coarse.sharpened()
    }

    /// The cells that flip in scope `n` and hang together with the click.
    fn flipped(&self, n: usize, task: &Task<'_>) -> Vec<bool> {
        let (block, scope) = (&self.block, &self.scopes[n]);
        let noise = self.scene.image.noise();
        let within = task.within.map(|within| self.held_by(within));
        let mut states: Vec<State> = block.roles.iter().map(|&role| State::of(role)).collect();
        for cell in block.inner().filter(|&cell| block.roles[cell] == Role::Free) {
            let at = block.at(cell);
            let distance = self.distance[cell];
            if within.as_ref().is_some_and(|within| !within[cell]) && distance > 0.0 {
                continue;
            }
            if task.before.is_some_and(|(before, _)| before[cell]) || distance <= task.held {
                states[cell] = State::Flip;
            } else if distance <= REACH * scope.size
                && (0..3).all(|a| (scope.cells.start[a]..scope.cells.end[a]).contains(&at[a]))
            {
                states[cell] = State::Open;
            }
        }
        let flipped = cut(block, noise, &states, |cell| self.gain(scope, cell, self.smooth[cell]));
        let through_done = self.scene.sign == Sign::Add;
        connected(block, &flipped, &cells_of(block, self.seeds), through_done)
    }

    /// Cells of which a region holds at least half.
    fn held_by(&self, region: &Region) -> Vec<bool> {
        let half = self.block.factor.iter().product::<usize>().div_ceil(2) as u16;
        region.counts(&self.block).into_iter().map(|voxels| voxels >= half).collect()
    }

    /// What it is worth to flip a cell, judged by intensity and distance.
    fn gain(&self, scope: &Scope, cell: usize, value: f32) -> f32 {
        let nearness = NEARNESS * (1.0 - self.distance[cell] / scope.size);
        (scope.appearance.of(value) + nearness).clamp(-LIMIT, LIMIT)
    }
}

/// The cells that hold the seeds, each once.
fn cells_of(block: &Block, seeds: &[[usize; 3]]) -> Vec<usize> {
    let mut cells: Vec<usize> = seeds.iter().filter_map(|&seed| block.cell(seed)).collect();
    cells.sort_unstable();
    cells.dedup();
    cells
}
