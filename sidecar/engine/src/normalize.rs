//! Intensities to network input, every rounding as nnU-Net and NumPy make it.

use ndarray::{ArrayView3, ArrayViewMut3};
use nnunet::Normalization;

use crate::{Error, Result};

/// NumPy's buffer: it reduces a view that is not contiguous in pieces of at most this many values.
const BUFFER: usize = 8192;

/// The smallest standard deviation or range that is divided by.
const EPSILON: f64 = 1e-8;

/// Normalises one channel in place.
///
/// `image` is the cropped channel in network axes. `stored` is the same crop seen in the order in which upstream's
/// reader holds it in memory, out of an array whose strides in that order are `strides`; `inside` is the mask of the
/// nonzero region in network axes, for schemes that want it.
///
/// # Errors
///
/// [`Error::NotRgb`] when values outside 0 to 255 meet [`Normalization::RgbTo01`].
pub(crate) fn normalize(
    mut image: ArrayViewMut3<'_, f32>,
    stored: ArrayView3<'_, f32>,
    strides: [usize; 3],
    inside: Option<ArrayView3<'_, bool>>,
    scheme: &Normalization,
) -> Result<()> {
    match *scheme {
        Normalization::None => {}
        Normalization::Ct { lower, upper, mean, std } => {
            let (lower, upper, mean, std) =
                (lower as f32, upper as f32, mean as f32, std.max(EPSILON) as f32);
            image.par_mapv_inplace(|value| (clip(value, lower, upper) - mean) / std);
        }
        Normalization::ZScore { use_mask } => {
            let inside = inside.filter(|_| use_mask);
            let values: Vec<f32> = match inside {
                Some(inside) => {
                    image.iter().zip(inside).filter(|(_, inside)| **inside).map(|(v, _)| *v).collect()
                }
                None => stored.iter().copied().collect(),
            };
            let sum = match inside {
                Some(_) => pairwise(&values),
                None => sum(&values, [stored.dim().0, stored.dim().1, stored.dim().2], strides),
            };
            let (mean, std) = moments(values, sum);
            match inside {
                Some(inside) => ndarray::Zip::from(&mut image).and(inside).par_for_each(|value, &inside| {
                    *value = if inside { (*value - mean) / std } else { *value };
                }),
                None => image.par_mapv_inplace(|value| (value - mean) / std),
            }
        }
        Normalization::RescaleTo01 => {
            let (least, _) = extremes(image.view());
            image.par_mapv_inplace(|value| value - least);
            let range = extremes(image.view()).1.max(EPSILON as f32);
            image.par_mapv_inplace(|value| value / range);
        }
        Normalization::RgbTo01 => {
            let (least, greatest) = extremes(image.view());
            if least < 0.0 || greatest > 255.0 {
                return Err(Error::NotRgb { least, greatest });
            }
            image.par_mapv_inplace(|value| value / 255.0);
        }
    }
    Ok(())
}

/// `np.clip`: a NaN stays one.
fn clip(value: f32, lower: f32, upper: f32) -> f32 {
    if value < lower {
        lower
    } else if value > upper {
        upper
    } else {
        value
    }
}

fn extremes(image: ArrayView3<'_, f32>) -> (f32, f32) {
    image
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(least, greatest), &v| (least.min(v), greatest.max(v)))
}

/// Mean and the standard deviation to divide by (`np.mean`, `np.std` of f32), from the values and their sum.
fn moments(mut values: Vec<f32>, sum: f32) -> (f32, f32) {
    let count = values.len() as f64;
    let mean = (f64::from(sum) / count) as f32;
    for value in &mut values {
        let apart = *value - mean;
        *value = apart * apart;
    }
    // The squares lie in a fresh, contiguous array, whatever the layout of the image.
    let variance = (f64::from(pairwise(&values)) / count) as f32;
    (mean, variance.sqrt().max(EPSILON as f32))
}

/// `np.add.reduce` over a whole f32 view of NumPy 2.3 or later: `values` in memory order, with the view's shape and
/// strides (in values) in that order, innermost last.
///
/// Axes that follow each other without a gap are taken as one. A view that is one run is summed pairwise as a whole;
/// another in pieces that fit NumPy's buffer, whose sums are added one by one.
fn sum(values: &[f32], shape: [usize; 3], strides: [usize; 3]) -> f32 {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for a in (0..3).rev().filter(|&a| shape[a] != 1) {
        match runs.last_mut() {
            Some((length, stride)) if *length * *stride == strides[a] => *length *= shape[a],
            _ => runs.push((shape[a], strides[a])),
        }
    }
    let lengths: Vec<usize> = runs.into_iter().map(|(length, _)| length).collect();
    let Some((&core, outer)) = lengths.split_first() else { return pairwise(values) };
    let mut core = core;
    let mut axes = outer.iter();
    let split = axes.by_ref().find(|&&length| {
        let fits = core * length <= BUFFER;
        core *= if fits { length } else { 1 };
        !fits
    });
    let Some(&split) = split else { return pairwise(values) };
    let piece = (BUFFER / core).max(1) * core;
    let pieces = values.chunks(split * core).flat_map(|block| block.chunks(piece));
    pieces.map(pairwise).reduce(|sum, piece| sum + piece).unwrap_or(0.0)
}

/// NumPy's pairwise sum of a run of f32: eight partial sums over up to 128 values, halves beyond.
fn pairwise(values: &[f32]) -> f32 {
    let count = values.len();
    if count < 8 {
        return values.iter().fold(-0.0, |sum, value| sum + value);
    }
    if count > 128 {
        let half = count / 2;
        let (first, second) = values.split_at(half - half % 8);
        return pairwise(first) + pairwise(second);
    }
    let (first, rest) = values.split_at(8);
    let mut r: [f32; 8] = std::array::from_fn(|n| first[n]);
    let eights = rest.chunks_exact(8);
    let tail = eights.remainder();
    for eight in eights {
        r.iter_mut().zip(eight).for_each(|(sum, value)| *sum += value);
    }
    let sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
    tail.iter().fold(sum, |sum, value| sum + value)
}
