//! Mean and standard deviation of an f32 array to the bit of NumPy: what nnU-Net's z-score rests on.
//!
//! NumPy (2.3 and later) sums f32 in f32, pairwise in blocks of at most 128 with eight running sums, and feeds an array
//! that is a cut-out of a larger one to that sum in chunks of at most 8192 values. Another order changes the mean in
//! its last bit, and with it every voxel. The tree of halves is fixed by the length alone, so it may be walked in
//! parallel.

use ndarray::ArrayView3;

/// Values that NumPy's iterator buffers at most.
const BUFFER: usize = 8192;

/// Below this many values a sum is not split between threads.
const PARALLEL: usize = 1 << 16;

/// Mean and population standard deviation as NumPy computes them in f32.
///
/// The strides of `values` matter: of an image cropped by NumPy slicing, pass the slice, not a copy.
/// `nan` for no values.
#[must_use]
pub fn moments(values: ArrayView3<'_, f32>) -> (f32, f32) {
    let contiguous = values.iter().copied().collect::<Vec<f32>>();
    let sum = chunks(&values).map_or_else(
        || pairwise(&contiguous),
        |(chunk, outer)| {
            let blocks = contiguous.chunks(outer).flat_map(|block| block.chunks(chunk)).map(pairwise);
            blocks.reduce(|sum, block| sum + block).unwrap_or(0.0)
        },
    );
    moments_from(contiguous, sum)
}

/// As [`moments`], of values that lie side by side: those picked by a mask.
#[must_use]
pub fn moments_of(values: &[f32]) -> (f32, f32) {
    moments_from(values.to_vec(), pairwise(values))
}

fn moments_from(mut values: Vec<f32>, sum: f32) -> (f32, f32) {
    let count = values.len() as f64;
    let mean = (f64::from(sum) / count) as f32;
    for value in &mut values {
        let distance = *value - mean;
        *value = distance * distance;
    }
    let variance = (f64::from(pairwise(&values)) / count) as f32;
    (mean, variance.sqrt())
}

/// How NumPy cuts a strided array: values per chunk, and after how many values a chunk ends in any case. `None` when
/// it is one piece.
fn chunks(values: &ArrayView3<'_, f32>) -> Option<(usize, usize)> {
    let axes = values.shape().iter().zip(values.strides()).rev().filter(|(length, _)| **length != 1);
    let mut joined: Vec<(usize, isize)> = Vec::new();
    for (&length, &stride) in axes {
        match joined.last_mut() {
            Some((inner, inner_stride)) if stride == *inner as isize * *inner_stride => *inner *= length,
            _ => joined.push((length, stride)),
        }
    }
    let mut core = joined.first()?.0;
    if joined.len() == 1 {
        return None;
    }
    for &(length, _) in &joined[1..] {
        if core * length > BUFFER {
            return Some(((BUFFER / core).max(1) * core, core * length));
        }
        core *= length;
    }
    None
}

/// NumPy's pairwise sum of values side by side.
pub(crate) fn pairwise(values: &[f32]) -> f32 {
    match values.len() {
        // Starts from minus zero, so that a sum of minus zeros stays one.
        0..8 => values.iter().fold(-0.0, |sum, value| sum + value),
        8..=128 => block(values),
        length => {
            let half = length / 2;
            let (left, right) = values.split_at(half - half % 8);
            if length < PARALLEL {
                return pairwise(left) + pairwise(right);
            }
            let (left, right) = rayon::join(|| pairwise(left), || pairwise(right));
            left + right
        }
    }
}

fn block(values: &[f32]) -> f32 {
    let (eights, rest) = values.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (n, eight) in eights.iter().enumerate() {
        for lane in 0..8 {
            sums[lane] = if n == 0 { eight[lane] } else { sums[lane] + eight[lane] };
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    let sum = ((a + b) + (c + d)) + ((e + f) + (g + h));
    rest.iter().fold(sum, |sum, value| sum + value)
}

#[cfg(test)]
mod tests {
    use ndarray::{Axis, Slice};
    use serde::Deserialize;

    use super::*;
    use crate::bits::noise;

    /// Made by NumPy: `tests/reference/imaging/pairwise.py`.
    #[derive(Deserialize)]
    struct Case {
        seed: u64,
        shape: [usize; 3],
        crop: [[usize; 2]; 3],
        mean: u32,
        deviation: u32,
        picked_mean: u32,
        picked_deviation: u32,
    }

    #[test]
    fn moments_are_numpys_to_the_bit() {
        let text = include_str!("../../../tests/reference/imaging/pairwise.json");
        let cases: Vec<Case> = serde_json::from_str(text).unwrap();
        assert!(cases.len() > 5);
        for case in cases {
            let values = noise(case.shape, case.seed, 4096, 100.0).mapv(|value| value as f32 * 0.37);
            let mut part = values.view();
            for (axis, [start, end]) in case.crop.into_iter().enumerate() {
                part.slice_axis_inplace(Axis(axis), Slice::from(start..end));
            }
            let (mean, deviation) = moments(part);
            let tag = format!("{:?} of {:?}", case.crop, case.shape);
            assert_eq!((mean.to_bits(), deviation.to_bits()), (case.mean, case.deviation), "{tag}");
            let picked: Vec<f32> = part.iter().copied().filter(|&value| value > 0.0).collect();
            let (mean, deviation) = moments_of(&picked);
            let expected = (case.picked_mean, case.picked_deviation);
            assert_eq!((mean.to_bits(), deviation.to_bits()), expected, "{tag}, above 0");
        }
    }
}
