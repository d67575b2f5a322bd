//! From scores to labels on the cropped image's own voxels, as nnU-Net's `export_prediction` does it.

use half::f16;
use imaging::LinearRows;
use ndarray::{Array3, ArrayViewMut3, Axis, Slice};
use nnunet::{Outputs, Plan};
use rayon::prelude::*;

use crate::crops;
use crate::precision::{Score, round_to_half};
use crate::preprocess::{Prepared, thick};
use crate::window::part;
use crate::{Error, Result};

/// Voxels decided at a time.
const BLOCK: usize = 1024;

/// nnU-Net paints a region where the sigmoid of its score, in f32, exceeds one half: above the smallest f16 number.
const REGION_IN_HALF: f32 = 5.960_464_5e-8;

/// Labels in the making, in network axes `(z, y, x)`.
pub(crate) struct Export<'a> {
    outputs: &'a Outputs,
    /// Of the whole image; outside the crop 0.
    labels: Array3<u8>,
    crop: [std::ops::Range<usize>; 3],
    way: Way,
}

/// How scores come back to the image's own voxels.
enum Way {
    /// They lie there already.
    Direct,
    /// Interpolated linearly, rows at a time; so many label rows are made.
    Rows(Held, usize),
    /// Each class interpolated only around where it won, once all scores are there: TotalSegmentator's `-ho`.
    Crops(Held),
}

/// Score rows that are still needed, and how label rows are made of them.
pub(crate) struct Held {
    pub(crate) rows: LinearRows,
    /// Voxels of the scores.
    pub(crate) shape: [usize; 3],
    /// Which row the first of `scores` is.
    pub(crate) first: usize,
    /// `[class, y, x]` each.
    pub(crate) scores: Vec<Vec<f16>>,
}

impl<'a> Export<'a> {
    /// Nothing painted yet.
    ///
    /// # Errors
    ///
    /// [`Error::Resampling`] when the plan wants scores interpolated otherwise than linearly.
    pub(crate) fn new(prepared: &Prepared, plan: &'a Plan, higher_order: bool) -> Result<Export<'a>> {
        let crop = prepared.crop.clone();
        let shape = prepared.shape();
        let size: [usize; 3] = std::array::from_fn(|a| crop[a].len());
        let way = if shape == size {
            Way::Direct
        } else {
            let resampling = &plan.resampling_of_scores;
            let axis = thick(resampling, plan.spacing, prepared.spacing);
            if resampling.order != 1 || (axis.is_some() && resampling.order_z != 0) {
                return Err(Error::Resampling { order: resampling.order, order_z: resampling.order_z });
            }
            let held = Held { rows: LinearRows::new(shape, size, axis), shape, first: 0, scores: Vec::new() };
            if higher_order { Way::Crops(held) } else { Way::Rows(held, 0) }
        };
        Ok(Export { outputs: &plan.outputs, labels: Array3::zeros(prepared.before), crop, way })
    }

    /// Takes final score rows from `first` on, each `[class, y, x]`, in order.
    pub(crate) fn take(&mut self, first: usize, scores: &mut [Vec<f16>]) {
        let labels = part(self.labels.view_mut(), &self.crop);
        match &mut self.way {
            Way::Direct => {
                let rows = scores.par_iter().map(|row| decide(row, self.outputs, REGION_IN_HALF));
                paint(labels, first, &rows.collect::<Vec<_>>().concat());
            }
            Way::Crops(held) => held.scores.extend(scores.iter_mut().map(std::mem::take)),
            Way::Rows(held, made) => {
                held.scores.extend(scores.iter_mut().map(std::mem::take));
                let ready = held.rows.rows_ready(held.first + held.scores.len());
                paint(labels, *made, &held.labels(*made..ready, self.outputs));
                *made = ready;
                held.forget(ready);
            }
        }
    }

    /// Labels of the whole image, once all rows were taken.
    pub(crate) fn finish(mut self) -> Array3<u8> {
        if let Way::Crops(held) = &self.way {
            crops::paint(held, self.outputs, part(self.labels.view_mut(), &self.crop));
        }
        self.labels
    }
}

impl Held {
    /// Label rows `wanted`: every class interpolated in f64, rounded to f16, then compared.
    fn labels(&self, wanted: std::ops::Range<usize>, outputs: &Outputs) -> Vec<u8> {
        let [_, height, width] = self.rows.shape();
        let mut best = vec![(f32::NEG_INFINITY, 0u8); wanted.len() * height * width];
        for class in 0..outputs.channels() {
            self.make(class, wanted.clone(), &mut best, |score, best| match outputs {
                Outputs::Classes { .. } if score > best.0 => *best = (score, class as u8),
                Outputs::Regions { values } if score > REGION_IN_HALF => best.1 = values[class],
                _ => {}
            });
        }
        best.into_iter().map(|(_, label)| label).collect()
    }

    /// Interpolates one class at the label rows `wanted` and hands each score, rounded to f16, to `store`.
    pub(crate) fn make<U: Send>(
        &self,
        class: usize,
        wanted: std::ops::Range<usize>,
        output: &mut [U],
        store: impl Fn(f32, &mut U) + Sync,
    ) {
        let scores = self.scores_of(class);
        let store = |value: f64, output: &mut U| store(round_to_half(value), output);
        let made = self.rows.make((scores.view(), self.first), wanted, output, store);
        // Only rows that are ready are asked for.
        debug_assert!(made.is_ok(), "{made:?}");
    }

    /// The scores of one class that are held, `[z, y, x]`.
    pub(crate) fn scores_of(&self, class: usize) -> Array3<f32> {
        let [_, height, width] = self.shape;
        let plane = height * width;
        let mut scores = Array3::zeros([self.scores.len(), height, width]);
        scores.axis_iter_mut(Axis(0)).into_par_iter().zip(&self.scores).for_each(|(mut to, row)| {
            if let Some(to) = to.as_slice_mut() {
                f16::widen(&row[class * plane..][..plane], to);
            }
        });
        scores
    }

    /// Drops score rows that no label row from `ready` on is made of.
    fn forget(&mut self, ready: usize) {
        if ready < self.rows.shape()[0] {
            // The next label row may be made of rows that are not there yet.
            let needed = self.rows.source_rows_needed(ready).start;
            let done = needed.saturating_sub(self.first).min(self.scores.len());
            self.scores.drain(..done);
            self.first += done;
        } else {
            self.scores.clear();
        }
    }
}

/// Writes whole label rows, from row `first` on.
fn paint(mut labels: ArrayViewMut3<'_, u8>, first: usize, values: &[u8]) {
    let rows = labels.slice_axis_mut(Axis(0), Slice::from(first..));
    rows.into_iter().zip(values).for_each(|(to, &label)| *to = label);
}

/// The label of every voxel of one row of scores, `[class, voxel]`: the first of the largest, or the last region
/// whose score exceeds `threshold`.
pub(crate) fn decide<S: Score>(scores: &[S], outputs: &Outputs, threshold: f32) -> Vec<u8> {
    let voxels = scores.len() / outputs.channels().max(1);
    let mut labels = vec![0; voxels];
    let (mut best, mut score) = ([0.0; BLOCK], [0.0; BLOCK]);
    for (block, labels) in labels.chunks_mut(BLOCK).enumerate() {
        let best = &mut best[..labels.len()];
        let score = &mut score[..labels.len()];
        best.fill(f32::NEG_INFINITY);
        for (class, plane) in scores.chunks_exact(voxels).enumerate() {
            S::widen(&plane[block * BLOCK..][..labels.len()], score);
            let voxels = labels.iter_mut().zip(&mut *best).zip(&*score);
            match outputs {
                Outputs::Classes { .. } => voxels.for_each(|((label, best), &score)| {
                    let wins = score > *best;
                    *label = if wins { class as u8 } else { *label };
                    *best = if wins { score } else { *best };
                }),
                Outputs::Regions { values } => voxels.for_each(|((label, _), &score)| {
                    *label = if score > threshold { values[class] } else { *label };
                }),
            }
        }
    }
    labels
}
