//! The cheapest way to flip cells of a block, and what of it hangs together with the click.

use crate::block::{Block, Role};
use crate::maxflow::{Graph, NOBODY};
use crate::region::alike;

/// How much a smooth boundary on an edge is worth against appearance and distance.
const SMOOTHNESS: f32 = 8.0;
/// A boundary that exists already costs this much of a new one.
const KNOWN_BOUNDARY: f32 = 0.7;
/// Whole units of capacity for a cost of 1.
const UNITS: f32 = 4096.0;

/// What the cut may do with a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Decide.
    Open,
    /// It flips, or has what others flip to.
    Flip,
    /// It stays.
    Stay,
    /// It is not there.
    Nothing,
}

impl State {
    /// What a role allows at most; free cells stay unless somebody opens them.
    pub(crate) fn of(role: Role) -> State {
        match role {
            Role::Done => State::Flip,
            Role::Free | Role::Kept => State::Stay,
            Role::Outside => State::Nothing,
        }
    }
}

/// What it costs to part neighbours, and what a gain is worth, in whole units of capacity.
pub(crate) struct Weights {
    along: [f32; 3],
    noise: f32,
}

impl Weights {
    /// For cells so many millimetres apart along i, j, k.
    pub(crate) fn new(spacing: [f32; 3], noise: f32) -> Weights {
        let mean = spacing.iter().sum::<f32>() / 3.0;
        Weights { along: spacing.map(|spacing| SMOOTHNESS * UNITS * (mean / spacing)), noise }
    }

    /// To part neighbours along -i, +i, -j, +j, -k or +k whose intensities differ by `difference`.
    pub(crate) fn between(&self, direction: usize, difference: f32, same_label: bool) -> i32 {
        let weight = self.along[direction / 2] * alike(difference, self.noise);
        (if same_label { weight } else { weight * KNOWN_BOUNDARY }).round() as i32
    }

    pub(crate) fn gain(&self, gain: f32) -> i32 {
        (gain * UNITS).round() as i32
    }
}

/// Which free cells flip so that the sum over open cells of `gain`, less what the new boundary costs, is greatest.
pub(crate) fn cut(block: &Block, noise: f32, states: &[State], gain: impl Fn(usize) -> f32) -> Vec<bool> {
    let nodes: Vec<usize> = block.inner().filter(|&cell| states[cell] == State::Open).collect();
    let mut numbers = vec![NOBODY; states.len()];
    for (n, &cell) in nodes.iter().enumerate() {
        numbers[cell] = n as u32;
    }
    let weights = Weights::new(block.spacing, noise);
    let mut graph = Graph::with_capacity(nodes.len());
    for &cell in &nodes {
        let mut terminal = weights.gain(gain(cell));
        let mut neighbors = [NOBODY; 6];
        let mut capacities = [0; 6];
        for (direction, neighbor) in block.around(cell).into_iter().enumerate() {
            if states[neighbor] == State::Nothing {
                continue;
            }
            let same = block.labels[cell] == block.labels[neighbor];
            let weight = weights.between(direction, block.values[cell] - block.values[neighbor], same);
            match states[neighbor] {
                State::Open => (neighbors[direction], capacities[direction]) = (numbers[neighbor], weight),
                State::Flip => terminal += weight,
                State::Stay => terminal -= weight,
                State::Nothing => {}
            }
        }
        graph.push(terminal, neighbors, capacities);
    }
    let source = graph.cut().source;
    let flips = |cell: usize| match numbers[cell] {
        NOBODY => states[cell] == State::Flip && block.roles[cell] == Role::Free,
        node => source[node as usize],
    };
    (0..states.len()).map(flips).collect()
}

/// The flipped cells that hang together, through faces, with `seeds`. When a target grows, it links what touches it.
pub(crate) fn connected(block: &Block, flipped: &[bool], seeds: &[usize], through_done: bool) -> Vec<bool> {
    let passable = |cell: usize| flipped[cell] || (through_done && block.roles[cell] == Role::Done);
    let mut seen = vec![false; flipped.len()];
    let mut waiting: Vec<usize> = seeds.iter().copied().filter(|&seed| passable(seed)).collect();
    waiting.iter().for_each(|&seed| seen[seed] = true);
    let strides = block.strides();
    while let Some(cell) = waiting.pop() {
        let at = block.at(cell);
        for a in 0..3 {
            for (edge, next) in [(1, cell - strides[a]), (block.size[a] - 2, cell + strides[a])] {
                if at[a] != edge && !seen[next] && passable(next) {
                    seen[next] = true;
                    waiting.push(next);
                }
            }
        }
    }
    seen.iter().zip(flipped).map(|(&seen, &flipped)| seen && flipped).collect()
}
