//! Where the patches of the sliding window lie, what each of their voxels weighs, and how a small image is padded.

use std::ops::Range;

use half::f16;
use ndarray::{Array4, ArrayBase, Axis, Ix3, RawData, Slice};

/// The patches over one prepared image, in network axes `(z, y, x)`.
///
/// An image smaller than a patch lies in the middle of zeros, which is the mean of a normalised image; the odd voxel
/// of padding goes behind it (acvl_utils `pad_nd_image`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    /// Voxels of one patch.
    pub(crate) patch: [usize; 3],
    /// Voxels of the image.
    pub(crate) image: [usize; 3],
    /// Voxels of the padded image, along every axis at least a patch.
    pub(crate) padded: [usize; 3],
    /// Voxels of padding before the image.
    pub(crate) below: [usize; 3],
    /// First voxel of every patch along each axis of the padded image, rising.
    pub(crate) starts: [Vec<usize>; 3],
}

impl Window {
    /// Patches at most `step` of a patch apart, spread evenly; `step` lies in `(0, 1]`.
    pub(crate) fn new(image: [usize; 3], patch: [usize; 3], step: f64) -> Window {
        let padded: [usize; 3] = std::array::from_fn(|a| image[a].max(patch[a]));
        Window {
            patch,
            image,
            padded,
            below: std::array::from_fn(|a| (padded[a] - image[a]) / 2),
            starts: std::array::from_fn(|a| starts(padded[a], patch[a], step)),
        }
    }

    /// Patches in all.
    pub(crate) fn len(&self) -> usize {
        self.starts.iter().map(Vec::len).product()
    }

    /// Copies the patch that begins at `start` of the padded image into `patch`, `[channel, z, y, x]`.
    pub(crate) fn copy(&self, data: &Array4<f32>, start: [usize; 3], patch: &mut [f32]) {
        let [depth, height, width] = self.patch;
        patch.fill(0.0);
        // Along each axis: first voxel within the patch, first voxel within the image, how many.
        let overlap = |a: usize| {
            let from = start[a].max(self.below[a]);
            let to = (start[a] + self.patch[a]).min(self.below[a] + self.image[a]);
            (from - start[a], from - self.below[a], to.saturating_sub(from))
        };
        let [(to_z, from_z, nz), (to_y, from_y, ny), (to_x, from_x, nx)] =
            [overlap(0), overlap(1), overlap(2)];
        for (channel, image) in data.outer_iter().enumerate() {
            for n in 0..nz * ny {
                let (z, y) = (n / ny, n % ny);
                let line = image.index_axis(Axis(0), from_z + z);
                let line = line.index_axis(Axis(0), from_y + y);
                let at = ((channel * depth + to_z + z) * height + to_y + y) * width + to_x;
                patch[at..at + nx]
                    .iter_mut()
                    .zip(line.iter().skip(from_x))
                    .for_each(|(to, &from)| *to = from);
            }
        }
    }
}

/// The part of an array in `ranges` of its axes.
pub(crate) fn part<S: RawData>(
    mut array: ArrayBase<S, Ix3>,
    ranges: &[Range<usize>; 3],
) -> ArrayBase<S, Ix3> {
    array.slice_each_axis_inplace(|axis| Slice::from(ranges[axis.axis.index()].clone()));
    array
}

/// First voxels of patches along one axis (nnU-Net's `compute_steps_for_sliding_window`).
fn starts(length: usize, patch: usize, step: f64) -> Vec<usize> {
    let slack = length - patch;
    let count = (slack as f64 / (patch as f64 * step)).ceil() as usize + 1;
    let apart = if count > 1 { slack as f64 / (count - 1) as f64 } else { 0.0 };
    (0..count).map(|n| (apart * n as f64).round_ties_even() as usize).collect()
}

/// Weight of every voxel of a patch, `[z, y, x]`: 10 in the middle, falling as a Gaussian of an eighth of the patch.
///
/// Bit-equal to nnU-Net's `compute_gaussian`, which computes in f64 and stores f16 by way of f32; that rounds twice,
/// and 40 to 148 voxels of a usual patch show it. Weights too small for f16 take the smallest one that is not.
pub(crate) fn gaussian(patch: [usize; 3]) -> Vec<f32> {
    let [z, y, x] = patch.map(bell);
    let peak = [&z, &y, &x].iter().fold(1.0, |peak, bell| peak * bell.iter().copied().fold(0.0, f64::max));
    let scale = peak / 10.0;
    let mut weights = Vec::with_capacity(patch.iter().product());
    for &z in &z {
        for zy in y.iter().map(|y| z * y) {
            weights.extend(x.iter().map(|x| f16::from_f32((zy * x / scale) as f32).to_f32()));
        }
    }
    let smallest = weights.iter().copied().filter(|&w| w > 0.0).fold(f32::INFINITY, f32::min);
    weights.iter_mut().filter(|w| **w == 0.0).for_each(|w| *w = smallest);
    weights
}

/// SciPy's `gaussian_filter1d` of a single 1 at `length / 2`: the kernel reaches four standard deviations.
fn bell(length: usize) -> Vec<f64> {
    let sigma = length as f64 / 8.0;
    let reach = (4.0 * sigma + 0.5) as i64;
    let value = |distance: i64| (-0.5 / (sigma * sigma) * (distance * distance) as f64).exp();
    let sum: f64 = (-reach..=reach).map(value).sum();
    let middle = (length / 2) as i64;
    let weight = |n: i64| if n.abs() <= reach { value(n) / sum } else { 0.0 };
    (0..length as i64).map(|n| weight(n - middle)).collect()
}
