//! TotalSegmentator's `-ho`: each class's scores are interpolated only around where it won at the network's
//! resolution (`nnunet_runtime_patches.py`), so that 118 classes at full resolution never exist at once.

use std::ops::Range;

use ndarray::{Array3, ArrayView3, ArrayViewMut3, Axis};
use nnunet::Outputs;
use rayon::prelude::*;

use crate::export::{Held, decide};
use crate::precision::round_to_half;
use crate::window::part;

/// Voxels of the network's grid around a class.
const MARGIN: usize = 3;

/// Along one axis of a class's box: the first voxel of the target, and for every target voxel the two voxels within
/// the box it lies between and their weights.
struct Line {
    first: usize,
    taps: Vec<([usize; 2], [f64; 2])>,
}

/// Paints `labels`, the cropped image's own voxels, from all scores.
///
/// The background is interpolated everywhere; a class takes a voxel where its score is strictly above the best so
/// far, in rising order. Regions take what exceeds 0.
pub(crate) fn paint(held: &Held, outputs: &Outputs, mut labels: ArrayViewMut3<'_, u8>) {
    let shape = held.rows.shape();
    let coarse = winners(held, outputs);
    let mut best = Array3::from_elem(shape, 0.0f32);
    if let (Outputs::Classes { .. }, Some(best)) = (outputs, best.as_slice_mut()) {
        held.make(0, 0..shape[0], best, |score, best| *best = score);
    }
    let classes = match outputs {
        Outputs::Classes { count } => 1..*count,
        Outputs::Regions { values } => 0..values.len(),
    };
    for class in classes {
        let scores = held.scores_of(class);
        let bounds = match outputs {
            Outputs::Classes { .. } => bounds(coarse.view(), |&label| usize::from(label) == class),
            Outputs::Regions { .. } => bounds(scores.view(), |&score| score > 0.0),
        };
        let Some(bounds) = bounds else { continue };
        let lines: [Line; 3] = std::array::from_fn(|a| line(bounds[a].clone(), held.shape[a], shape[a]));
        let target = lines.each_ref().map(|line| line.first..line.first + line.taps.len());
        let mut labels = part(labels.view_mut(), &target);
        let mut best = part(best.view_mut(), &target);
        let source = part(scores.view(), &bounds);
        let rows = labels.axis_iter_mut(Axis(0)).into_par_iter().zip(best.axis_iter_mut(Axis(0)));
        rows.enumerate().for_each(|(z, (mut labels, mut best))| {
            for ((y, x), label) in labels.indexed_iter_mut() {
                let score = value(source, [&lines[0].taps[z], &lines[1].taps[y], &lines[2].taps[x]]);
                // Compared in f64, kept in f16.
                match outputs {
                    Outputs::Classes { .. } if score > f64::from(best[[y, x]]) => {
                        *label = class as u8;
                        best[[y, x]] = round_to_half(score);
                    }
                    Outputs::Regions { values } if score > 0.0 => *label = values[class],
                    _ => {}
                }
            }
        });
    }
}

/// The class that wins each voxel of the network's grid.
fn winners(held: &Held, outputs: &Outputs) -> Array3<u8> {
    let rows: Vec<Vec<u8>> = held.scores.par_iter().map(|row| decide(row, outputs, 0.0)).collect();
    Array3::from_shape_vec(held.shape, rows.concat()).unwrap_or_default()
}

/// The box where `wanted` holds and the margin around it, within the array.
fn bounds<T: Sync>(array: ArrayView3<'_, T>, wanted: impl Fn(&T) -> bool) -> Option<[Range<usize>; 3]> {
    let mut found: Option<[Range<usize>; 3]> = None;
    for ((z, y, x), value) in array.indexed_iter() {
        if wanted(value) {
            let at = [z, y, x];
            let bounds = found.get_or_insert(at.map(|n| n..n + 1));
            (0..3).for_each(|a| bounds[a] = bounds[a].start.min(at[a])..bounds[a].end.max(at[a] + 1));
        }
    }
    let shape = array.shape();
    found.map(|bounds| {
        std::array::from_fn(|a| {
            bounds[a].start.saturating_sub(MARGIN)..(bounds[a].end + MARGIN).min(shape[a])
        })
    })
}

/// Where the voxels of the target fall in a box `start..end` of the source, half-pixel; coordinates are rounded to
/// f32, as upstream's coordinate map is.
fn line(Range { start, end }: Range<usize>, from: usize, to: usize) -> Line {
    let scale = to as f64 / from as f64;
    let first = (start as f64 * scale).floor() as usize;
    let last = ((end as f64 * scale).ceil() as usize).min(to);
    let most = (end - start - 1) as i64;
    let taps = (first..last).map(|k| {
        let position = f64::from(k as f32 + 0.5) * from as f64 / to as f64 - 0.5 - start as f64;
        let position = f64::from(position as f32);
        let floor = position.floor();
        let below = 1.0 - (position - floor);
        let index = |n: i64| n.clamp(0, most) as usize;
        ([index(floor as i64), index(floor as i64 + 1)], [below, 1.0 - below])
    });
    Line { first, taps: taps.collect() }
}

/// `scipy.ndimage.map_coordinates` of order 1: eight terms in its order, not fused.
fn value(source: ArrayView3<'_, f32>, [z, y, x]: [&([usize; 2], [f64; 2]); 3]) -> f64 {
    let mut sum = 0.0;
    for corner in 0..8 {
        let [a, b, c] = [corner >> 2, corner >> 1 & 1, corner & 1];
        sum += f64::from(source[[z.0[a], y.0[b], x.0[c]]]) * z.1[a] * y.1[b] * x.1[c];
    }
    sum
}
