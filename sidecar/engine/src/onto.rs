//! Scores onto any grid: interpolated linearly where a voxel of the target lies, then compared.

use imaging::{Grid, LabelMap};
use ndarray::{ArrayViewMut2, Axis};
use nnunet::Outputs;
use rayon::prelude::*;

use crate::export::decide;

/// How far outside the outermost voxel centres, in voxels, scores still count: to the voxels' edges.
const EDGE: f64 = 0.5 + 1e-6;

/// Labels in the making on a target grid.
pub(crate) struct Onto<'a> {
    outputs: &'a Outputs,
    labels: LabelMap,
    /// Voxels of the scores, network `(z, y, x)`.
    shape: [usize; 3],
    /// Position in network voxels `(z, y, x)` of target voxel `[0, 0, 0]`, and steps along its i, j, k.
    origin: [f64; 3],
    steps: [[f64; 3]; 3],
    /// The last row taken, to be interpolated with the next.
    last: Option<Row>,
}

/// One row (one z) of scores.
struct Row {
    /// `[class, y, x]`.
    scores: Vec<f32>,
    /// The winners, `[y, x]`.
    labels: Vec<u8>,
}

impl<'a> Onto<'a> {
    /// `network` is the grid of the scores: its k, j, i are network z, y, x.
    pub(crate) fn new(network: &Grid, target: &Grid, outputs: &'a Outputs) -> Onto<'a> {
        let position = |index: [f64; 3]| {
            let [x, y, z] = network.index(target.world(index));
            [z, y, x]
        };
        let origin = position([0.0; 3]);
        let steps = std::array::from_fn(|a| {
            let mut far = [0.0; 3];
            // A far voxel gives the step its digits.
            far[a] = target.size[a].max(2) as f64;
            let end = position(far);
            std::array::from_fn(|r| (end[r] - origin[r]) / far[a])
        });
        let labels = LabelMap::background(target);
        Onto { outputs, labels, shape: network.shape(), origin, steps, last: None }
    }

    /// Takes final score rows from `first` on, each `[class, y, x]`, in order.
    pub(crate) fn take(&mut self, first: usize, scores: &mut [Vec<f32>]) {
        let taken = scores.iter_mut().map(std::mem::take).collect::<Vec<_>>().into_par_iter().map(|scores| {
            let labels = decide(&scores, self.outputs, 0.0);
            Row { scores, labels }
        });
        let mut rows: Vec<Row> = self.last.take().into_iter().collect();
        let start = first - rows.len();
        rows.par_extend(taken);
        let whole = first + scores.len() == self.shape[0];
        let field = Field {
            outputs: self.outputs,
            shape: self.shape,
            start,
            // Positions from the first row up to the last one, and beyond at the end.
            from: if start == 0 { -EDGE } else { start as f64 },
            to: (start + rows.len() - 1) as f64 + if whole { EDGE } else { 0.0 },
            rows: &rows,
        };
        let (origin, [step_i, step_j, step_k]) = (self.origin, self.steps);
        self.labels.labels.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(k, slice)| {
            let origin = std::array::from_fn(|a| origin[a] + step_k[a] * k as f64);
            field.paint(slice, origin, [step_i, step_j]);
        });
        self.last = rows.pop();
    }

    /// The labels, once all rows were taken.
    pub(crate) fn finish(self) -> LabelMap {
        self.labels
    }
}

/// Consecutive rows of scores, and which part of the field is decided from them.
struct Field<'a> {
    outputs: &'a Outputs,
    shape: [usize; 3],
    /// Which row the first of `rows` is.
    start: usize,
    /// Positions along z from here, included.
    from: f64,
    /// Up to here, not included.
    to: f64,
    rows: &'a [Row],
}

impl Field<'_> {
    /// Decides the voxels of one slice `[j, i]` of the target that lie in this part of the field.
    fn paint(&self, mut slice: ArrayViewMut2<'_, u8>, origin: [f64; 3], [step_i, step_j]: [[f64; 3]; 2]) {
        let last: [f64; 3] = std::array::from_fn(|a| self.shape[a] as f64 - 1.0 + EDGE);
        for (j, mut line) in slice.outer_iter_mut().enumerate() {
            let start: [f64; 3] = std::array::from_fn(|a| origin[a] + step_j[a] * j as f64);
            // Voxels of the line that can lie within: a little more, as each is looked at again.
            let (mut low, mut high) = (0.0f64, line.len() as f64);
            for a in 0..3 {
                let (from, to) = if a == 0 { (self.from, self.to) } else { (-EDGE, last[a]) };
                if step_i[a] != 0.0 {
                    let [p, q] = [from, to].map(|edge| (edge - start[a]) / step_i[a]);
                    low = low.max(p.min(q) - 1.0);
                    high = high.min(p.max(q) + 2.0);
                } else if start[a] < from || start[a] > to {
                    high = 0.0;
                }
            }
            for i in low as usize..high.max(0.0) as usize {
                let [z, y, x] = std::array::from_fn(|a| start[a] + step_i[a] * i as f64);
                let within = z >= self.from && z < self.to;
                if within && y >= -EDGE && y < last[1] && x >= -EDGE && x < last[2] {
                    line[i] = self.label(z, y, x);
                }
            }
        }
    }

    /// The label at a position in network voxels.
    fn label(&self, z: f64, y: f64, x: f64) -> u8 {
        let [_, height, width] = self.shape;
        let (z0, z1, wz) = between(z - self.start as f64, self.rows.len());
        let (y0, y1, wy) = between(y, height);
        let (x0, x1, wx) = between(x, width);
        let (below, above) = (&self.rows[z0], &self.rows[z1]);
        let at = [y0 * width + x0, y0 * width + x1, y1 * width + x0, y1 * width + x1];
        let label = below.labels[at[0]];
        // What wins at all corners wins anywhere between them: weights are never negative.
        if at.iter().all(|&n| below.labels[n] == label && above.labels[n] == label) {
            return label;
        }
        let weights = [(1.0 - wy) * (1.0 - wx), (1.0 - wy) * wx, wy * (1.0 - wx), wy * wx];
        let plane = height * width;
        let score = |class: usize| {
            let sum = |row: &Row| -> f32 {
                at.iter().zip(weights).map(|(&n, weight)| row.scores[class * plane + n] * weight).sum()
            };
            sum(below) * (1.0 - wz) + sum(above) * wz
        };
        match self.outputs {
            Outputs::Classes { count } => {
                let best = (0..*count)
                    .map(|class| (class, score(class)))
                    .reduce(|best, next| if next.1 > best.1 { next } else { best });
                best.map_or(0, |(class, _)| class as u8)
            }
            Outputs::Regions { values } => {
                let last = (0..values.len()).rev().find(|&class| score(class) > 0.0);
                last.map_or(0, |class| values[class])
            }
        }
    }
}

/// The two voxels a position lies between, and the weight of the second.
fn between(position: f64, length: usize) -> (usize, usize, f32) {
    let position = position.clamp(0.0, (length - 1) as f64);
    let below = position.floor();
    (below as usize, (below as usize + 1).min(length - 1), (position - below) as f32)
}
