//! What others do with a click, in our own words: the bar that a correction has to pass.

use correction::{Delta, Graph, Image, NOBODY, Sign};
use imaging::{Grid, IndexBox, LabelMap};
use ndarray::Array3;

use crate::spread::{Cost, spread};
use crate::user::{Click, depths};

/// Half the box round a click in which the peers work, in millimetres.
const BOX_MM: f64 = 75.0;
/// Radius of a click's seeds.
const SEED_MM: f64 = 4.0;
/// Grow-cut forgets what was there this near to the click.
const CLEAR_MM: f64 = 30.0;

/// What a peer works with.
pub(crate) struct Situation<'a> {
    pub(crate) image: &'a Image,
    pub(crate) labels: &'a LabelMap,
    pub(crate) label: u8,
    /// All clicks so far, the newest last.
    pub(crate) clicks: &'a [Click],
}

/// The box round the newest click.
struct Work<'a> {
    situation: &'a Situation<'a>,
    click: Click,
    part: IndexBox,
    grid: Grid,
    values: Vec<f32>,
    mask: Array3<bool>,
}

impl<'a> Work<'a> {
    fn new(situation: &'a Situation<'a>) -> Option<Work<'a>> {
        let click = *situation.clicks.last()?;
        let grid = &situation.labels.grid;
        let spot = IndexBox { start: click.voxel, end: click.voxel.map(|n| n + 1) };
        let part = spot.grown(grid.spacing().map(|spacing| (BOX_MM / spacing).ceil() as usize), grid);
        let volume = situation.image.volume();
        let values =
            part.view(volume.voxels.view()).iter().map(|&value| situation.image.windowed(value)).collect();
        let mask = part.view(situation.labels.labels.view()).mapv(|label| label == situation.label);
        Some(Work { situation, click, grid: grid.cropped(&part), part, values, mask })
    }

    /// Voxels of the box within `radius` millimetres of a voxel of the image.
    fn ball(&self, center: [usize; 3], radius: f64) -> Vec<bool> {
        let spacing = self.grid.spacing();
        let square = |a: usize, n: usize| ((self.part.start[a] + n) as f64 - center[a] as f64) * spacing[a];
        let inside = |((k, j, i), _): ((usize, usize, usize), &bool)| {
            square(0, i).powi(2) + square(1, j).powi(2) + square(2, k).powi(2) <= radius * radius
        };
        self.mask.indexed_iter().map(inside).collect()
    }

    /// Voxels of other labels than the target, background and the label under the click.
    fn locked(&self) -> Vec<bool> {
        let [i, j, k] = self.click.voxel;
        let labels = &self.situation.labels.labels;
        let under = labels[[k, j, i]];
        let locked = |&label: &u8| label != self.situation.label && label != 0 && label != under;
        self.part.view(labels.view()).iter().map(locked).collect()
    }

    /// What changes when `wanted` becomes the structure in the box.
    fn delta(&self, wanted: &[bool]) -> Delta {
        let old = self.situation.labels;
        let mut new = old.labels.clone();
        for ((label, &was), &wanted) in
            self.part.view_mut(new.view_mut()).iter_mut().zip(&self.mask).zip(wanted)
        {
            if was != wanted {
                *label = if wanted { self.situation.label } else { 0 };
            }
        }
        Delta::between(old.labels.view(), new.view()).unwrap_or_else(|_| Delta::empty())
    }

    /// How far inside (positive) or outside (negative) of the structure a voxel is, in millimetres.
    fn signed_depth(&self) -> Vec<f32> {
        let inside = depths(&self.mask, &self.grid);
        let outside = depths(&self.mask.mapv(|inside| !inside), &self.grid);
        inside.iter().zip(&outside).map(|(inside, outside)| inside - outside).collect()
    }
}

/// A perfect hand: the largest ball that lies in the error.
pub(crate) fn brush(situation: &Situation<'_>) -> Delta {
    let Some(work) = Work::new(situation) else { return Delta::empty() };
    let adding = work.click.sign == Sign::Add;
    let ball = work.ball(work.click.voxel, (work.click.depth_mm - 0.01).max(0.1));
    let wanted: Vec<bool> = work
        .mask
        .iter()
        .zip(ball)
        .map(|(&inside, ball)| if adding { inside || ball } else { inside && !ball })
        .collect();
    work.delta(&wanted)
}

/// Grow from seeds, as in 3D Slicer: the structure and its surroundings, eroded and forgotten near the click, and
/// the clicks, race for every voxel.
pub(crate) fn grow_cut(situation: &Situation<'_>) -> Delta {
    let Some(work) = Work::new(situation) else { return Delta::empty() };
    let mean = work.grid.spacing().iter().sum::<f64>() / 3.0;
    let near = work.ball(work.click.voxel, CLEAR_MM);
    let adding = work.click.sign == Sign::Add;
    let mut seeds: Vec<u8> = work
        .signed_depth()
        .iter()
        .zip(&near)
        .map(|(&depth, &near)| match f64::from(depth) {
            depth if depth > 1.5 * mean && (adding || !near) => 1,
            depth if depth < -1.5 * mean && (!adding || !near) => 2,
            _ => 0,
        })
        .collect();
    for click in situation.clicks {
        let owner = if click.sign == Sign::Add { 1 } else { 2 };
        let ball = work.ball(click.voxel, SEED_MM);
        seeds.iter_mut().zip(ball).filter(|(_, inside)| *inside).for_each(|(seed, _)| *seed = owner);
    }
    seeds.iter_mut().zip(work.locked()).filter(|(_, locked)| *locked).for_each(|(seed, _)| *seed = 2);
    let open = vec![true; seeds.len()];
    let cost = Cost { per_mm: 0.1, per_unit: 1.0 };
    let (_, owner) = spread(&work.values, work.part.size(), work.grid.spacing(), &seeds, &open, cost);
    work.delta(&owner.iter().map(|&owner| owner == 1).collect::<Vec<_>>())
}

/// Interactive graph cut, as in MONAI Label: the structure's soft edge says what is likely, clicks are certain, and the
/// boundary looks for edges.
pub(crate) fn graph_cut(situation: &Situation<'_>) -> Delta {
    const SOFTNESS_MM: f32 = 4.0;
    const SMOOTHNESS: f32 = 2.0;
    const UNITS: f32 = 4096.0;
    let Some(work) = Work::new(situation) else { return Delta::empty() };
    // The logarithm of the odds of a logistic edge is the depth itself; 0.99 is the most that anything is sure.
    let limit = (0.99f32 / 0.01).ln();
    let mut likely: Vec<f32> =
        work.signed_depth().iter().map(|depth| (depth / SOFTNESS_MM).clamp(-limit, limit)).collect();
    for click in situation.clicks {
        let certain = if click.sign == Sign::Add { 50.0 } else { -50.0 };
        let ball = work.ball(click.voxel, SEED_MM);
        likely.iter_mut().zip(ball).filter(|(_, inside)| *inside).for_each(|(likely, _)| *likely = certain);
    }
    likely
        .iter_mut()
        .zip(work.locked())
        .filter(|(_, locked)| *locked)
        .for_each(|(likely, _)| *likely = -50.0);
    let (size, spacing) = (work.part.size(), work.grid.spacing());
    let mean = spacing.iter().sum::<f64>() / 3.0;
    let strides = [1, size[0], size[0] * size[1]];
    let noise = situation.image.noise();
    let mut edges = vec![([NOBODY; 6], [0; 6]); likely.len()];
    for n in 0..likely.len() {
        let at = [n % size[0], n / size[0] % size[1], n / (size[0] * size[1])];
        for a in (0..3).filter(|&a| at[a] + 1 < size[a]) {
            let next = n + strides[a];
            let difference = work.values[n] - work.values[next];
            let edge = (-difference * difference / (2.0 * noise * noise)).exp();
            let weight = (SMOOTHNESS * UNITS * edge * (mean / spacing[a]) as f32) as i32;
            (edges[n].0[2 * a + 1], edges[n].1[2 * a + 1]) = (next as u32, weight);
            (edges[next].0[2 * a], edges[next].1[2 * a]) = (n as u32, weight);
        }
    }
    let mut graph = Graph::with_capacity(likely.len());
    for (likely, (neighbors, capacities)) in likely.iter().zip(edges) {
        graph.push((likely * UNITS) as i32, neighbors, capacities);
    }
    work.delta(&graph.cut().source)
}
