//! What the networks would have said second, and how narrowly that lost: where a correction is likely to be needed.

use imaging::{Grid, LabelMap};
use ndarray::{Array3, ArrayViewMut2, Axis};
use rayon::prelude::*;

use crate::precision::Score;

/// Voxels looked at together.
const BLOCK: usize = 1024;
/// Nobody nearly said anything else.
const SURE: u8 = 255;

/// The second choice for every voxel, on the labels' grid.
#[derive(Debug, Clone, PartialEq)]
pub struct RunnerUp {
    /// The label that came second, in the task's numbers.
    pub second: LabelMap,
    /// Probability of the first less that of the second in 1/255, `[[k, j, i]]`: 0 is a toss-up.
    pub margin: LabelMap,
}

/// One model's first and second choice, on the grid that it works on, `[z, y, x]`.
#[derive(Debug)]
pub(crate) struct Doubt {
    grid: Grid,
    first: Array3<u8>,
    second: Array3<u8>,
    margin: Array3<u8>,
}

/// First and second choice of a voxel, and the margin between them.
type Choice = (u8, u8, u8);

impl Doubt {
    /// Nothing known yet; `grid` counts k, j, i for network z, y, x.
    pub(crate) fn new(grid: Grid) -> Doubt {
        let none = Array3::zeros(grid.shape());
        Doubt { grid, first: none.clone(), margin: none.mapv(|_: u8| SURE), second: none }
    }

    /// Takes final score rows from `start` on, each `[class, y, x]`.
    pub(crate) fn take<S: Score>(&mut self, start: usize, rows: &[Vec<S>], classes: usize) {
        let found: Vec<Vec<Choice>> = rows.par_iter().map(|row| choices(row, classes)).collect();
        for (z, row) in found.into_iter().enumerate() {
            let mut rows = [&mut self.first, &mut self.second, &mut self.margin]
                .map(|array| array.index_axis_mut(Axis(0), start + z).into_iter());
            for (first, second, margin) in row {
                for (place, value) in rows.iter_mut().zip([first, second, margin]) {
                    place.next().into_iter().for_each(|place| *place = value);
                }
            }
        }
    }

    /// In other numbers.
    pub(crate) fn translated(mut self, translate: &[u8; 256]) -> Doubt {
        for array in [&mut self.first, &mut self.second] {
            array.par_mapv_inplace(|label| translate[usize::from(label)]);
        }
        self
    }
}

/// The two likeliest classes of each voxel of a row, `[class, voxel]`, and by how much of all probability (softmax)
/// the first is ahead.
fn choices<S: Score>(scores: &[S], classes: usize) -> Vec<Choice> {
    let voxels = scores.len() / classes.max(1);
    let mut found = Vec::with_capacity(voxels);
    let mut wide = [0.0; BLOCK];
    for start in (0..voxels).step_by(BLOCK) {
        let length = BLOCK.min(voxels - start);
        let mut best = vec![[(f32::NEG_INFINITY, 0u8); 2]; length];
        for (class, plane) in scores.chunks_exact(voxels).enumerate() {
            S::widen(&plane[start..start + length], &mut wide[..length]);
            for (best, &score) in best.iter_mut().zip(&wide) {
                if score > best[0].0 {
                    *best = [(score, class as u8), best[0]];
                } else if score > best[1].0 {
                    best[1] = (score, class as u8);
                }
            }
        }
        let mut sums = vec![0.0f32; length];
        for plane in scores.chunks_exact(voxels) {
            S::widen(&plane[start..start + length], &mut wide[..length]);
            let each = sums.iter_mut().zip(&best).zip(&wide);
            each.for_each(|((sum, best), score)| *sum += (score - best[0].0).exp());
        }
        found.extend(best.iter().zip(sums).map(|(&[first, second], sum)| {
            let ahead = (1.0 - (second.0 - first.0).exp()) / sum;
            (first.1, second.1, (ahead * 255.0).round() as u8)
        }));
    }
    found
}

/// The second choice for `labels`, which several models have made together: of all that any model said besides, what
/// lost most narrowly. A label that a model said and another painted over, or that was cleaned away, lost by nothing.
pub(crate) fn merged(doubts: &[Doubt], labels: &LabelMap) -> RunnerUp {
    let mut second = LabelMap::background(&labels.grid);
    let mut margin = LabelMap::background(&labels.grid);
    let ways: Vec<Way> = doubts.iter().map(|doubt| Way::new(doubt, &labels.grid)).collect();
    let slices = second.labels.axis_iter_mut(Axis(0)).into_par_iter();
    let slices = slices.zip(margin.labels.axis_iter_mut(Axis(0))).zip(labels.labels.axis_iter(Axis(0)));
    slices.enumerate().for_each(|(k, ((mut second, mut margin), labels))| {
        margin.fill(SURE);
        for way in &ways {
            way.mark(k, labels, &mut second, &mut margin);
        }
    });
    RunnerUp { second, margin }
}

/// How the voxels of a target lie among those of a model.
struct Way<'a> {
    doubt: &'a Doubt,
    /// Position in the model's voxels `(x, y, z)` of target voxel `[0, 0, 0]`, and steps along its i, j, k.
    origin: [f64; 3],
    steps: [[f64; 3]; 3],
}

impl<'a> Way<'a> {
    fn new(doubt: &'a Doubt, target: &Grid) -> Way<'a> {
        let position = |index: [f64; 3]| doubt.grid.index(target.world(index));
        let origin = position([0.0; 3]);
        let steps = std::array::from_fn(|a| {
            let mut far = [0.0; 3];
            // A far voxel gives the step its digits.
            far[a] = target.size[a].max(2) as f64;
            let end = position(far);
            std::array::from_fn(|r| (end[r] - origin[r]) / far[a])
        });
        Way { doubt, origin, steps }
    }

    /// Marks what this model nearly said in slice `k`, where that is narrower than what is known.
    fn mark(
        &self,
        k: usize,
        labels: ndarray::ArrayView2<'_, u8>,
        second: &mut ArrayViewMut2<'_, u8>,
        margin: &mut ArrayViewMut2<'_, u8>,
    ) {
        for (((j, i), &label), (second, margin)) in
            labels.indexed_iter().zip(second.iter_mut().zip(margin.iter_mut()))
        {
            let Some(choice) = self.choice([i, j, k]) else { continue };
            let (other, narrow) = alternative(label, choice);
            if narrow < *margin && other != label {
                (*second, *margin) = (other, narrow);
            }
        }
    }

    /// The choice of the voxel nearest to a voxel of the target; none beyond the model's field.
    fn choice(&self, index: [usize; 3]) -> Option<Choice> {
        let place: [Option<usize>; 3] = std::array::from_fn(|r| {
            let position = (0..3).map(|a| self.steps[a][r] * index[a] as f64).sum::<f64>() + self.origin[r];
            let nearest = (position + 0.5).floor();
            (nearest >= 0.0 && nearest < self.doubt.grid.size[r] as f64).then_some(nearest as usize)
        });
        let [Some(x), Some(y), Some(z)] = place else { return None };
        let at = [z, y, x];
        Some((self.doubt.first[at], self.doubt.second[at], self.doubt.margin[at]))
    }
}

/// What a model's choice says against a label, and how narrowly.
fn alternative(label: u8, (first, second, margin): Choice) -> (u8, u8) {
    if label == first {
        (second, margin)
    } else if label == second || first == 0 {
        // Beside a border the nearest voxel may be the neighbour's; background is no claim of its own.
        (if first == 0 { second } else { first }, margin)
    } else {
        (first, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_likeliest_and_their_margin() {
        // Logits whose softmax is known: ln 7, ln 2, ln 1 over three voxels in rising, falling and mixed order.
        let [seven, two, one] = [7.0f32.ln(), 2.0f32.ln(), 0.0];
        let scores = [seven, one, two, two, two, one, one, seven, seven];
        let half = (0.5f32 * 255.0).round() as u8;
        assert_eq!(choices(&scores, 3), [(0, 1, half), (2, 1, half), (2, 0, half)]);
        let even = [1.0f32, 1.0, 1.0];
        assert_eq!(choices(&even, 3), [(0, 1, 0)]);
    }

    #[test]
    fn models_are_weighed_together() {
        let grid = Grid::aligned([4, 1, 1], [2.0; 3]);
        let doubt = |choices: [Choice; 4]| {
            let mut doubt = Doubt::new(grid.clone());
            for (i, (first, second, margin)) in choices.into_iter().enumerate() {
                doubt.first[[0, 0, i]] = first;
                doubt.second[[0, 0, i]] = second;
                doubt.margin[[0, 0, i]] = margin;
            }
            doubt
        };
        // Two models: what one said, the other painted over; the last voxel was cleaned away.
        let organs = doubt([(1, 0, 90), (1, 2, 200), (0, 1, 60), (2, 1, 250)]);
        let muscles = doubt([(0, 7, 100), (7, 0, 150), (0, 7, 40), (0, 0, 255)]);
        let mut labels = LabelMap::background(&grid);
        labels.labels.iter_mut().zip([1, 7, 0, 0]).for_each(|(label, value)| *label = value);
        let found = merged(&[organs, muscles], &labels);
        let list = |map: &LabelMap| map.labels.iter().copied().collect::<Vec<u8>>();
        assert_eq!(list(&found.second), [0, 1, 7, 2]);
        assert_eq!(list(&found.margin), [90, 0, 40, 0]);
        // On a finer grid each voxel takes its nearest, and beyond the field nothing is known.
        let fine = Grid { origin: [-3.0, 0.0, 0.0], ..Grid::aligned([6, 1, 1], [2.0; 3]) };
        let one = doubt([(0, 5, 10), (0, 6, 20), (0, 5, 30), (0, 6, 40)]);
        let found = merged(&[one], &LabelMap::background(&fine));
        assert_eq!(list(&found.second), [0, 5, 6, 5, 6, 0]);
        assert_eq!(list(&found.margin), [255, 10, 20, 30, 40, 255]);
    }
}
