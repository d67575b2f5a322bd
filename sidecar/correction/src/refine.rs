//! Sharpens what a coarse solution found: the cells at its boundary are divided into voxels and solved again, the rest
//! stays as it is. So a large organ costs its surface, not its volume.

use rayon::prelude::*;

use imaging::IndexBox;

use crate::block::{Block, Role, Scene, smooth};
use crate::cut::{State, Weights};
use crate::maxflow::{Graph, NOBODY};
use crate::region::{Region, round_about};

/// What was found at a coarse resolution, and what the fine solution must and may hold.
pub(crate) struct Coarse<'a> {
    pub(crate) scene: &'a Scene<'a>,
    pub(crate) block: &'a Block,
    /// Cells that flip.
    pub(crate) flipped: &'a [bool],
    pub(crate) seeds: &'a [[usize; 3]],
    /// Cells of the scope before that flip, and its region: where cells agree all round, so do their voxels.
    pub(crate) before: Option<(&'a [bool], &'a Region)>,
    /// Nothing flips beyond this.
    pub(crate) within: Option<&'a Region>,
    /// Cells of which every voxel flips that can.
    pub(crate) easy: &'a (dyn Fn(usize) -> bool + Sync),
    /// What it is worth to flip a voxel of a cell whose mean with its 26 neighbours is so bright.
    pub(crate) gain: &'a (dyn Fn(usize, f32) -> f32 + Sync),
}

/// The divided cells. Each is a patch of its voxels and one more all round, in C order.
struct Tiles<'a> {
    coarse: &'a Coarse<'a>,
    /// The divided cells, in order.
    cells: Vec<usize>,
    /// Which of them a cell is, or [`NOBODY`].
    number: Vec<u32>,
    /// Whether a divided cell and its 26 neighbours do what they did in the scope before.
    agreed: Vec<bool>,
    /// Voxels of a patch along i, j, k.
    size: [usize; 3],
    values: Vec<f32>,
    labels: Vec<u8>,
    roles: Vec<Role>,
    states: Vec<State>,
}

/// A node of the graph: what its terminals hold, and its neighbours and what parts it from them.
type Node = (i32, [u32; 6], [i32; 6]);

impl Coarse<'_> {
    /// The region at full resolution.
    pub(crate) fn sharpened(&self) -> Region {
        let tiles = Tiles::new(self);
        let flips = tiles.cut();
        let (voxels, cells) = tiles.connected(&flips);
        tiles.region(&voxels, &cells)
    }

    /// Cells at the boundary, and those with voxels that are decided one by one.
    fn divided(&self) -> Vec<usize> {
        let block = self.block;
        let mut alone = vec![false; self.flipped.len()];
        for &voxel in self.scene.opposite {
            if let Some(cell) = block.cell(voxel) {
                alone[cell] = true;
            }
        }
        let at_boundary = |cell: usize| {
            let differs = |n: usize| self.flipped[n] != self.flipped[cell] && block.roles[n] != Role::Outside;
            block.around(cell).into_iter().any(differs)
        };
        block.inner().filter(|&cell| alone[cell] || at_boundary(cell)).collect()
    }
}

impl<'a> Tiles<'a> {
    fn new(coarse: &'a Coarse<'a>) -> Tiles<'a> {
        let cells = coarse.divided();
        let mut number = vec![NOBODY; coarse.flipped.len()];
        cells.iter().enumerate().for_each(|(n, &cell)| number[cell] = n as u32);
        let agrees = |&cell: &usize| coarse.before.is_some_and(|(before, _)| coarse.agrees(cell, before));
        let agreed = cells.par_iter().map(agrees).collect();
        let size = coarse.block.factor.map(|factor| factor + 2);
        let n = cells.len() * size.iter().product::<usize>();
        let mut tiles = Tiles {
            coarse,
            cells,
            number,
            agreed,
            size,
            values: vec![0.0; n],
            labels: vec![0; n],
            roles: vec![Role::Outside; n],
            states: vec![State::Nothing; n],
        };
        tiles.fill();
        tiles.name(coarse.scene.opposite, |role| (role == Role::Free).then_some((Role::Kept, State::Stay)));
        tiles.name(coarse.seeds, |_| Some((Role::Free, State::Flip)));
        tiles
    }

    fn patch(&self) -> usize {
        self.size.iter().product()
    }

    fn fill(&mut self) {
        let (coarse, size, number, agreed) = (self.coarse, self.size, &self.number, &self.agreed);
        let divided = |cell: usize| (number[cell] != NOBODY).then(|| agreed[number[cell] as usize]);
        let patch = self.patch();
        let (scene, block) = (coarse.scene, coarse.block);
        let (table, strides) = (scene.table(), block.strides());
        let extent = scene.labels.grid.size;
        let planes = self.values.par_chunks_mut(patch).zip(self.labels.par_chunks_mut(patch));
        let planes = planes.zip(self.roles.par_chunks_mut(patch)).zip(self.states.par_chunks_mut(patch));
        planes.zip(&self.cells).for_each(|((((values, labels), roles), states), &cell)| {
            let origin = block.voxel(cell);
            // Where a place lies along an axis: its voxel, the nearest within, and how far off the cell is that owns it.
            let along = |a: usize, n: usize| {
                let place = origin[a] + n;
                let owner = usize::from(n > 0) + usize::from(n + 1 == size[a]);
                (
                    place.saturating_sub(1).min(extent[a] - 1),
                    place > 0 && place <= extent[a],
                    owner * strides[a],
                )
            };
            let first = cell - strides.iter().sum::<usize>();
            let mut n = 0;
            for (k, k_is_in, k_off) in (0..size[2]).map(|n| along(2, n)) {
                for (j, j_is_in, j_off) in (0..size[1]).map(|n| along(1, n)) {
                    for (i, i_is_in, i_off) in (0..size[0]).map(|n| along(0, n)) {
                        values[n] = scene.image.windowed(scene.image.volume().voxels[[k, j, i]]);
                        if k_is_in && j_is_in && i_is_in {
                            labels[n] = scene.labels.labels[[k, j, i]];
                            roles[n] = scene.limited(table[usize::from(labels[n])], [i, j, k]);
                            let owner = first + k_off + j_off + i_off;
                            states[n] = match roles[n] {
                                Role::Free => coarse.state(owner, divided(owner), [i, j, k]),
                                role => State::of(role),
                            };
                        }
                        n += 1;
                    }
                }
            }
        });
    }

    /// Sets role and state of single voxels, in every patch that holds them.
    fn name(&mut self, voxels: &[[usize; 3]], change: impl Fn(Role) -> Option<(Role, State)>) {
        let block = self.coarse.block;
        for &voxel in voxels {
            for n in 0..27 {
                let step = [n % 3, n / 3 % 3, n / 9];
                let near: [usize; 3] = std::array::from_fn(|a| (voxel[a] + step[a]).wrapping_sub(1));
                let Some(cell) = block.cell(near) else { continue };
                let Some(tile) = self.tile(cell) else { continue };
                let origin = block.voxel(cell);
                let at: [usize; 3] = std::array::from_fn(|a| (voxel[a] + 1).wrapping_sub(origin[a]));
                if (0..3).all(|a| at[a] < self.size[a]) {
                    let place = tile * self.patch() + self.flat(at);
                    if let Some(found) = change(self.roles[place]) {
                        (self.roles[place], self.states[place]) = found;
                    }
                }
            }
        }
    }

    fn tile(&self, cell: usize) -> Option<usize> {
        Some(self.number[cell]).filter(|&number| number != NOBODY).map(|number| number as usize)
    }

    fn flat(&self, [i, j, k]: [usize; 3]) -> usize {
        (k * self.size[1] + j) * self.size[0] + i
    }

    /// Places in a patch of its cell's own voxels, and where they lie in it.
    fn own(&self) -> impl Iterator<Item = (usize, [usize; 3])> + use<> {
        let size = self.size;
        (1..size[2] - 1).flat_map(move |k| {
            (1..size[1] - 1).flat_map(move |j| {
                (1..size[0] - 1).map(move |i| ((k * size[1] + j) * size[0] + i, [i, j, k]))
            })
        })
    }

    /// The same voxel, or the neighbour in one of six directions, as its own cell's patch has it; `None` where that
    /// cell is not divided.
    fn neighbor(&self, tile: usize, at: [usize; 3], direction: usize) -> Result<usize, usize> {
        let (axis, ahead) = (direction / 2, direction % 2 == 1);
        let mut to = at;
        to[axis] = if ahead { at[axis] + 1 } else { at[axis] - 1 };
        let stride = self.coarse.block.strides()[axis];
        let cell = self.cells[tile];
        let (cell, tile) = match to[axis] {
            0 => (cell - stride, self.tile(cell - stride)),
            n if n + 1 == self.size[axis] => (cell + stride, self.tile(cell + stride)),
            _ => (cell, Some(tile)),
        };
        if to[axis] == 0 {
            to[axis] = self.size[axis] - 2;
        } else if to[axis] + 1 == self.size[axis] {
            to[axis] = 1;
        }
        tile.map(|tile| tile * self.patch() + self.flat(to)).ok_or(cell)
    }

    /// Voxels of all patches that flip; only cells' own count.
    fn cut(&self) -> Vec<bool> {
        let patch = self.patch();
        let mut numbers = vec![NOBODY; self.states.len()];
        let mut nodes = 0;
        for tile in 0..self.cells.len() {
            for (n, _) in self.own() {
                let place = tile * patch + n;
                if self.states[place] == State::Open {
                    numbers[place] = nodes;
                    nodes += 1;
                }
            }
        }
        let spacing = self.coarse.scene.image.volume().grid.spacing().map(|spacing| spacing as f32);
        let weights = Weights::new(spacing, self.coarse.scene.image.noise());
        let tiles = (0..self.cells.len()).into_par_iter();
        let found: Vec<Vec<Node>> = tiles.map(|tile| self.nodes(tile, &numbers, &weights)).collect();
        let mut graph = Graph::with_capacity(nodes as usize);
        for (terminal, neighbors, capacities) in found.into_iter().flatten() {
            graph.push(terminal, neighbors, capacities);
        }
        let source = graph.cut().source;
        let flips = |(n, &state): (usize, &State)| match numbers[n] {
            NOBODY => state == State::Flip && self.roles[n] == Role::Free,
            node => source[node as usize],
        };
        self.states.iter().enumerate().map(flips).collect()
    }

    fn nodes(&self, tile: usize, numbers: &[u32], weights: &Weights) -> Vec<Node> {
        let patch = tile * self.patch()..(tile + 1) * self.patch();
        let (values, labels) = (&self.values[patch.clone()], &self.labels[patch.clone()]);
        let (states, cell) = (&self.states[patch], self.cells[tile]);
        let strides = [1, self.size[0], self.size[0] * self.size[1]];
        let smooth = smooth(values, strides);
        let mut nodes = Vec::new();
        for (n, at) in self.own().filter(|&(n, _)| states[n] == State::Open) {
            let mut terminal = weights.gain((self.coarse.gain)(cell, smooth[n]));
            let (mut neighbors, mut capacities) = ([NOBODY; 6], [0; 6]);
            for direction in 0..6 {
                let stride = strides[direction / 2];
                let next = if direction % 2 == 1 { n + stride } else { n - stride };
                let weight = weights.between(direction, values[n] - values[next], labels[n] == labels[next]);
                match states[next] {
                    State::Open => {
                        if let Ok(place) = self.neighbor(tile, at, direction) {
                            (neighbors[direction], capacities[direction]) = (numbers[place], weight);
                        }
                    }
                    State::Flip => terminal += weight,
                    State::Stay => terminal -= weight,
                    State::Nothing => {}
                }
            }
            nodes.push((terminal, neighbors, capacities));
        }
        nodes
    }

    /// What hangs together with the seeds: voxels of patches, and cells that are not divided.
    fn connected(&self, flips: &[bool]) -> (Vec<bool>, Vec<bool>) {
        let Coarse { block, seeds, flipped, .. } = *self.coarse;
        let through_done = self.coarse.scene.sign == crate::Sign::Add;
        let voxel = |place: usize| flips[place] || (through_done && self.roles[place] == Role::Done);
        let whole = |cell: usize| {
            let at = block.at(cell);
            let inner = (0..3).all(|a| at[a] > 0 && at[a] + 1 < block.size[a]);
            inner && (flipped[cell] || (through_done && block.roles[cell] == Role::Done))
        };
        let mut seen = (vec![false; flips.len()], vec![false; flipped.len()]);
        let mut waiting: Vec<Result<usize, usize>> = Vec::new();
        let mut reach = |next: Result<usize, usize>, waiting: &mut Vec<_>| {
            let (seen, passable) = match next {
                Ok(place) => (&mut seen.0[place], voxel(place)),
                Err(cell) => (&mut seen.1[cell], whole(cell)),
            };
            if passable && !*seen {
                *seen = true;
                waiting.push(next);
            }
        };
        for &seed in seeds {
            let Some(cell) = block.cell(seed) else { continue };
            let origin = block.voxel(cell);
            let at: [usize; 3] = std::array::from_fn(|a| seed[a] + 1 - origin[a]);
            let place = self.tile(cell).map(|tile| tile * self.patch() + self.flat(at));
            reach(place.ok_or(cell), &mut waiting);
        }
        while let Some(next) = waiting.pop() {
            match next {
                Ok(place) => {
                    let (tile, at) = (place / self.patch(), self.at(place % self.patch()));
                    (0..6).for_each(|direction| reach(self.neighbor(tile, at, direction), &mut waiting));
                }
                Err(cell) => {
                    for (direction, next) in block.around(cell).into_iter().enumerate() {
                        match self.tile(next) {
                            Some(tile) => {
                                self.face(tile, direction ^ 1)
                                    .for_each(|place| reach(Ok(place), &mut waiting));
                            }
                            None => reach(Err(next), &mut waiting),
                        }
                    }
                }
            }
        }
        seen.0.iter_mut().zip(flips).for_each(|(seen, flips)| *seen &= flips);
        seen.1.iter_mut().zip(flipped).for_each(|(seen, flipped)| *seen &= flipped);
        seen
    }

    fn at(&self, n: usize) -> [usize; 3] {
        [n % self.size[0], n / self.size[0] % self.size[1], n / (self.size[0] * self.size[1])]
    }

    /// A cell's own voxels on its face towards a direction.
    fn face(&self, tile: usize, direction: usize) -> impl Iterator<Item = usize> + use<> {
        let (axis, size, patch) = (direction / 2, self.size, self.patch());
        let at_face = if direction % 2 == 1 { size[axis] - 2 } else { 1 };
        self.own().filter(move |(_, at)| at[axis] == at_face).map(move |(n, _)| tile * patch + n)
    }

    fn region(&self, voxels: &[bool], cells: &[bool]) -> Region {
        let Coarse { scene, block, within, .. } = *self.coarse;
        let patch = self.patch();
        let table = scene.table();
        let origins: Vec<[usize; 3]> = self.cells.iter().map(|&cell| block.voxel(cell)).collect();
        let own: Vec<(usize, [usize; 3])> = self.own().collect();
        let single = || {
            origins.iter().enumerate().flat_map(|(tile, origin)| {
                let flips = own.iter().filter(move |(n, _)| voxels[tile * patch + n]);
                flips.map(move |(_, at)| std::array::from_fn::<usize, 3, _>(|a| origin[a] + at[a] - 1))
            })
        };
        let extent = scene.labels.grid.size;
        let cell_at = |start: [usize; 3]| IndexBox {
            start,
            end: std::array::from_fn(|a| (start[a] + block.factor[a]).min(extent[a])),
        };
        let whole: Vec<IndexBox> =
            block.inner().filter(|&cell| cells[cell]).map(|cell| cell_at(block.voxel(cell))).collect();
        let touched = (0..origins.len())
            .filter(|tile| voxels[tile * patch..(tile + 1) * patch].contains(&true))
            .map(|tile| cell_at(origins[tile]));
        let part = touched.chain(whole.iter().copied()).reduce(|a, b| a.union(&b));
        let Some(part) = part else { return Region::empty(round_about(std::iter::empty())) };
        let mut region = Region::empty(part);
        single().for_each(|voxel| region.add(voxel));
        for cell in &whole {
            for k in cell.start[2]..cell.end[2] {
                for j in cell.start[1]..cell.end[1] {
                    for voxel in (cell.start[0]..cell.end[0]).map(|i| [i, j, k]) {
                        let role = table[usize::from(scene.labels.labels[[k, j, voxel[0]]])];
                        let free = scene.limited(role, voxel) == Role::Free;
                        if free && within.is_none_or(|within| within.holds(voxel)) {
                            region.add(voxel);
                        }
                    }
                }
            }
        }
        region.trimmed()
    }
}

impl Coarse<'_> {
    /// What a voxel that may flip does, by the cell that it lies in; by the scope before where that cell is divided
    /// and agrees with it.
    fn state(&self, cell: usize, divided: Option<bool>, voxel: [usize; 3]) -> State {
        if self.within.is_some_and(|within| !within.holds(voxel)) {
            return State::Stay;
        }
        let flipped_before = || self.before.is_some_and(|(_, before)| before.holds(voxel));
        match (self.flipped[cell], divided) {
            (true, None) => State::Flip,
            _ if (self.easy)(cell) => State::Flip,
            (_, Some(false)) if self.is_near(cell, voxel) => State::Open,
            (true, Some(false)) => State::Flip,
            (_, Some(true)) if flipped_before() => State::Flip,
            _ => State::Stay,
        }
    }

    /// Whether a voxel of a divided cell lies within half a cell of a neighbour that does otherwise: so far, and two
    /// voxels at least, the boundary may be off. A cell that is not divided for a neighbour's sake is near throughout.
    fn is_near(&self, cell: usize, voxel: [usize; 3]) -> bool {
        let (block, origin) = (self.block, self.block.voxel(cell));
        let mut is_at_boundary = false;
        for (direction, next) in block.around(cell).into_iter().enumerate() {
            if self.flipped[next] == self.flipped[cell] || block.roles[next] == Role::Outside {
                continue;
            }
            is_at_boundary = true;
            let a = direction / 2;
            let from_start = voxel[a] - origin[a];
            let off = if direction % 2 == 1 { block.factor[a] - 1 - from_start } else { from_start };
            if off < block.factor[a].div_ceil(2).max(2) {
                return true;
            }
        }
        !is_at_boundary
    }

    /// Whether a cell and its 26 neighbours do what they did in the scope before.
    fn agrees(&self, cell: usize, before: &[bool]) -> bool {
        let [_, j, k] = self.block.strides();
        let rows = [cell - k, cell, cell + k].into_iter().flat_map(|cell| [cell - j, cell, cell + j]);
        rows.into_iter().all(|n| self.flipped[n - 1..=n + 1] == before[n - 1..=n + 1])
    }
}
