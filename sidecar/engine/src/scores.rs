//! The sliding window: weighted sums of overlapping patches, given away row by row as soon as they are final.
//!
//! Patches are visited with z outermost, as nnU-Net visits them. Once all patches that begin at one z are done, no
//! later patch reaches the rows before the next z, so these rows leave. What is held is never more than the depth of
//! one patch, however long the scan: classes x patch depth x Y x X numbers.

use std::collections::VecDeque;

use imaging::Progress;
use ndarray::Array4;
use rayon::prelude::*;

use crate::precision::Score;
use crate::window::{Window, gaussian};
use crate::{Error, Network, Result};

/// Sums of one row (one z) of the padded image.
struct Row<S> {
    /// Per fold: weighted scores, `[class, y, x]`.
    folds: Vec<Vec<S>>,
    /// Sum of weights, `[y, x]`.
    weights: Vec<S>,
}

impl<S: Score> Row<S> {
    fn zeros(folds: usize, classes: usize, plane: usize) -> Row<S> {
        Row {
            folds: (0..folds).map(|_| vec![S::default(); classes * plane]).collect(),
            weights: vec![S::default(); plane],
        }
    }

    /// Back to zeros, without giving the memory back.
    fn clear(&mut self, classes: usize, plane: usize) {
        for fold in &mut self.folds {
            fold.clear();
            fold.resize(classes * plane, S::default());
        }
        self.weights.clear();
        self.weights.resize(plane, S::default());
    }
}

/// Runs `networks`, one per fold, over `data` (`[channel, z, y, x]`) and hands final scores to `take`.
///
/// `take` gets the first row's z within the image and consecutive rows, each `[class, y, x]` without padding; it may
/// keep a row by taking its memory. Scores are means over folds of means over patches; with `S` = f16 they are
/// bit-equal to what nnU-Net 2.8.1 computes on a processor from the same network outputs.
///
/// # Errors
///
/// [`Error::Cancelled`] within one patch, what a network says, [`Error::Scores`] if one gives infinity or NaN.
pub(crate) fn scores<S: Score>(
    data: &Array4<f32>,
    window: &Window,
    classes: usize,
    networks: &mut [impl Network],
    progress: &Progress,
    mut take: impl FnMut(usize, &mut [Vec<S>]) -> Result<()>,
) -> Result<()> {
    let [depth, height, width] = window.padded;
    let weights = gaussian(window.patch);
    let voxels = weights.len();
    let mut patch = vec![0.0; data.dim().0 * voxels];
    let mut rows: VecDeque<Row<S>> = VecDeque::with_capacity(window.patch[0]);
    let mut spare: Vec<Row<S>> = Vec::new();
    let total = (window.len() * networks.len()) as u64;
    let mut done = 0;
    for (level, &z) in window.starts[0].iter().enumerate() {
        while rows.len() < window.patch[0] {
            rows.push_back(
                spare.pop().unwrap_or_else(|| Row::zeros(networks.len(), classes, height * width)),
            );
        }
        for (&y, &x) in window.starts[1].iter().flat_map(|y| window.starts[2].iter().map(move |x| (y, x))) {
            window.copy(data, [z, y, x], &mut patch);
            for (fold, network) in networks.iter_mut().enumerate() {
                progress.step("inference", done, total)?;
                network.run(&patch, &mut |class, output| {
                    add(&mut rows, window, [fold, class, y, x], output, &weights);
                    Ok(())
                })?;
                done += 1;
            }
        }
        let next = window.starts[0].get(level + 1).copied().unwrap_or(depth);
        let mut ready: Vec<Row<S>> = rows.drain(..next - z).collect();
        give(&mut ready, z, window, classes, &mut take)?;
        if next < depth {
            ready.par_iter_mut().for_each(|row| row.clear(classes, height * width));
            spare = ready;
        }
    }
    progress.step("inference", done, total)?;
    Ok(())
}

/// Adds some classes of a patch of network output, `[class, z, y, x]`, to the rows, from `[fold, class, y, x]` on.
/// Weights are counted with the first class of the first fold only.
fn add<S: Score>(
    rows: &mut VecDeque<Row<S>>,
    window: &Window,
    [fold, first, y, x]: [usize; 4],
    output: &[f32],
    weights: &[f32],
) {
    let [depth, height, width] = window.patch;
    let [_, rows_y, rows_x] = window.padded;
    rows.par_iter_mut().zip(weights.par_chunks(height * width)).enumerate().for_each(
        |(z, (row, weights))| {
            if fold == 0 && first == 0 {
                for (n, line) in weights.chunks(width).enumerate() {
                    let at = (y + n) * rows_x + x;
                    S::update(&mut row.weights[at..at + width], line, line, |sum, weight, _| sum + weight);
                }
            }
            let classes = output.chunks(depth * height * width);
            for (scores, sums) in classes.zip(row.folds[fold].chunks_mut(rows_y * rows_x).skip(first)) {
                let plane = &scores[z * height * width..][..height * width];
                for (n, (scores, weights)) in plane.chunks(width).zip(weights.chunks(width)).enumerate() {
                    let at = (y + n) * rows_x + x;
                    S::update(&mut sums[at..at + width], scores, weights, |sum, score, weight| {
                        sum + score * weight
                    });
                }
            }
        },
    );
}

/// Finishes rows from `z` of the padded image on and hands those that lie in the image to `take`.
fn give<S: Score>(
    rows: &mut [Row<S>],
    z: usize,
    window: &Window,
    classes: usize,
    take: &mut impl FnMut(usize, &mut [Vec<S>]) -> Result<()>,
) -> Result<()> {
    let [below, _, _] = window.below;
    let first = below.clamp(z, z + rows.len()) - z;
    let last = (below + window.image[0]).clamp(z, z + rows.len()) - z;
    let inside = &mut rows[first..last];
    if inside.is_empty() {
        return Ok(());
    }
    let mut finished: Vec<Vec<S>> = inside.par_iter_mut().map(|row| finish(row, window, classes)).collect();
    if !finished.par_iter().all(|row| S::finite(row)) {
        return Err(Error::Scores);
    }
    take(z + first - below, &mut finished)?;
    // Give the memory back to be used again, unless `take` kept it.
    for (row, scores) in inside.iter_mut().zip(finished) {
        row.folds[0] = scores;
    }
    Ok(())
}

/// Sums to means: over patches, then over folds; padding removed. `[class, y, x]`.
fn finish<S: Score>(row: &mut Row<S>, window: &Window, classes: usize) -> Vec<S> {
    let [_, height, width] = window.padded;
    let plane = height * width;
    let mut weights = vec![0.0; plane];
    S::widen(&row.weights, &mut weights);
    for sums in row.folds.iter_mut().flat_map(|fold| fold.chunks_mut(plane)) {
        S::update(sums, &weights, &weights, |sum, weight, _| sum / weight);
    }
    let count = row.folds.len();
    let mut folds = row.folds.iter_mut();
    let Some(mut mean) = folds.next().map(std::mem::take) else { return Vec::new() };
    let mut wide = weights;
    for fold in folds {
        for (mean, fold) in mean.chunks_mut(plane).zip(fold.chunks(plane)) {
            S::widen(fold, &mut wide);
            S::update(mean, &wide, &wide, |sum, score, _| sum + score);
        }
    }
    if count > 1 {
        let folds = count as f32;
        mean.chunks_mut(plane).for_each(|mean| S::update(mean, &wide, &wide, |sum, _, _| sum / folds));
    }
    crop(&mut mean, window, classes);
    mean
}

/// Removes the padding of a row, `[class, y, x]`, in place.
fn crop<S: Score>(scores: &mut Vec<S>, window: &Window, classes: usize) {
    let [_, padded_y, padded_x] = window.padded;
    let [_, height, width] = window.image;
    if [height, width] == [padded_y, padded_x] {
        return;
    }
    for n in 0..classes * height {
        let (class, y) = (n / height, n % height);
        let from = (class * padded_y + window.below[1] + y) * padded_x + window.below[2];
        scores.copy_within(from..from + width, n * width);
    }
    scores.truncate(classes * height * width);
}
