//! An image to network input: turned, cropped to what is not zero, normalised, resampled; and how to go back.

use std::borrow::Cow;
use std::ops::Range;

use imaging::{Grid, Interpolation, LabelMap, Orientation, Progress, Reorientation, Volume};
use imaging::{resize, resize_slices, thick_axis};
use ndarray::{Array3, Array4, Axis};
use nnunet::{Normalization, Plan, Resampling};

use crate::normalize::normalize;
use crate::window::part;
use crate::{Error, Result};

/// More voxels than any honest image has at a model's spacing; a guard against absurd spacings.
const MOST_VOXELS: f64 = (1u64 << 31) as f64;

/// Input for the network and the way back, all in network axes `(z, y, x)`: the reader's array axes, permuted by
/// `transpose_forward`.
pub(crate) struct Prepared {
    /// `[channel, z, y, x]`.
    pub(crate) data: Array4<f32>,
    /// Voxels of the image before the crop.
    pub(crate) before: [usize; 3],
    /// Which of these were kept.
    pub(crate) crop: [Range<usize>; 3],
    /// Millimetres between voxels of the image before resampling, as upstream's reader tells them.
    pub(crate) spacing: [f64; 3],
    turn: Reorientation,
    transpose_forward: [usize; 3],
    transpose_backward: [usize; 3],
}

impl Prepared {
    /// Voxels of `data`.
    pub(crate) fn shape(&self) -> [usize; 3] {
        let (_, z, y, x) = self.data.dim();
        [z, y, x]
    }

    /// Labels of the whole image in network axes, put back onto the grid of the volume they came from.
    pub(crate) fn back(&self, labels: Array3<u8>) -> LabelMap {
        let labels = labels.permuted_axes(self.transpose_backward);
        let turn = self.turn.inverse();
        LabelMap { grid: turn.target().clone(), labels: turn.apply(labels.view()) }
    }

    /// Where the voxels of `data` lie: `size` and `axes` of the result count k, j, i for network z, y, x.
    pub(crate) fn grid(&self) -> Grid {
        let image = self.turn.target();
        let mut grid = Grid { size: [1; 3], axes: image.axes, origin: image.origin };
        for a in 0..3 {
            let step = image.axes[2 - self.transpose_forward[a]];
            let ratio = self.crop[a].len() as f64 / self.shape()[a] as f64;
            let first = self.crop[a].start as f64 + 0.5 * ratio - 0.5;
            (0..3).for_each(|r| grid.origin[r] += step[r] * first);
            grid.axes[2 - a] = step.map(|component| component * ratio);
            grid.size[2 - a] = self.shape()[a];
        }
        grid
    }
}

/// Prepares `channels`, which lie on one grid, as nnU-Net 2.8.1 does (`DefaultPreprocessor.run_case_npy` after the
/// reader that the plan names), bit for bit.
///
/// # Errors
///
/// [`Error::Channels`] and [`Error::ChannelGrid`] for channels that do not fit the plan or each other,
/// [`Error::Size`] when resampling would leave no voxels or absurdly many, [`Error::Resampling`] for orders other
/// than 0, 1 and 3, [`Error::NotRgb`], [`Error::Cancelled`].
pub(crate) fn prepare(channels: &[Volume], plan: &Plan, progress: &Progress) -> Result<Prepared> {
    let grid = checked(channels, plan)?;
    let turn = if plan.reader == "NibabelIOWithReorient" {
        Reorientation::new(grid, Orientation::RAS)
    } else {
        Reorientation::new(grid, grid.orientation())
    };
    let total = channels.len() as u64 + 1;
    progress.step("preparing", 0, total)?;
    let images: Vec<Cow<'_, Array3<f32>>> = channels.iter().map(|channel| turned(&turn, channel)).collect();
    let crop = nonzero(&images);
    // nnU-Net reads spacings out of a NIfTI header, which keeps them in single precision.
    let image_spacing = turn.target().spacing().map(|s| f64::from(s as f32));
    let forward = plan.transpose_forward;
    let spacing = forward.map(|a| image_spacing[2 - a]);
    let network_crop = forward.map(|a| crop[a].clone());
    let shape = new_shape(spacing, plan.spacing, network_crop.clone().map(|range| range.len()))?;
    let masked = plan.normalization.iter().any(|n| matches!(n, Normalization::ZScore { use_mask: true }));
    let inside = masked.then(|| filled(&images, &crop).permuted_axes(forward));
    let mut data = Array4::zeros([channels.len(), shape[0], shape[1], shape[2]]);
    for (c, image) in images.into_iter().enumerate() {
        progress.step("preparing", c as u64 + 1, total)?;
        let view = part(image.view(), &crop);
        let mut cropped = view.permuted_axes(forward).as_standard_layout().into_owned();
        let (order, strides) = memory_order(&turn, image.shape());
        let stored = view.permuted_axes(order);
        let inside = inside.as_ref().map(|inside| inside.view());
        normalize(cropped.view_mut(), stored, strides, inside, &plan.normalization[c])?;
        let resampled = resampled(cropped, shape, spacing, plan)?;
        data.index_axis_mut(Axis(0), c).assign(&resampled);
    }
    progress.step("preparing", total, total)?;
    let size = turn.target().shape();
    Ok(Prepared {
        data,
        before: forward.map(|a| size[a]),
        crop: network_crop,
        spacing,
        turn,
        transpose_forward: forward,
        transpose_backward: plan.transpose_backward,
    })
}

/// The grid of the channels.
fn checked<'a>(channels: &'a [Volume], plan: &Plan) -> Result<&'a Grid> {
    let expected = plan.normalization.len();
    let (Some(first), true) = (channels.first(), channels.len() == expected) else {
        return Err(Error::Channels { found: channels.len(), expected });
    };
    match channels.iter().position(|channel| !channel.grid.matches(&first.grid, 0.5)) {
        Some(channel) => Err(Error::ChannelGrid { channel }),
        None => Ok(&first.grid),
    }
}

/// The image as upstream's reader gives it; not copied where nothing is to be turned.
fn turned<'a>(turn: &Reorientation, channel: &'a Volume) -> Cow<'a, Array3<f32>> {
    if turn.source() == turn.target() && channel.voxels.is_standard_layout() {
        Cow::Borrowed(&channel.voxels)
    } else {
        Cow::Owned(turn.apply(channel.voxels.view()))
    }
}

/// The box around everything that is not zero in some channel; all if nothing is.
fn nonzero(images: &[Cow<'_, Array3<f32>>]) -> [Range<usize>; 3] {
    std::array::from_fn(|a| {
        let slices = images.first().map_or(0, |image| image.len_of(Axis(a)));
        let filled = |n: &usize| {
            images.iter().any(|image| image.index_axis(Axis(a), *n).iter().any(|&value| value != 0.0))
        };
        let first = (0..slices).find(filled).unwrap_or(0);
        first..(first..slices).rev().find(filled).map_or(slices, |last| last + 1)
    })
}

/// The voxels of the crop that are not zero in some channel, or that such voxels enclose (through faces).
fn filled(images: &[Cow<'_, Array3<f32>>], crop: &[Range<usize>; 3]) -> Array3<bool> {
    let mut inside = Array3::from_elem(crop.each_ref().map(Range::len), false);
    for image in images {
        ndarray::Zip::from(&mut inside)
            .and(part(image.view(), crop))
            .par_for_each(|inside, &value| *inside |= value != 0.0);
    }
    let (depth, height, width) = inside.dim();
    let size = [depth, height, width];
    let mut outside = Array3::from_elem(size, false);
    let edge = |at: [usize; 3]| (0..3).any(|a| at[a] == 0 || at[a] + 1 == size[a]);
    let mut open: Vec<[usize; 3]> = inside
        .indexed_iter()
        .map(|((z, y, x), &inside)| ([z, y, x], inside))
        .filter(|&(at, inside)| !inside && edge(at))
        .map(|(at, _)| at)
        .collect();
    open.iter().for_each(|&at| outside[at] = true);
    while let Some(at) = open.pop() {
        for (a, step) in [(0, -1), (0, 1), (1, -1), (1, 1), (2, -1), (2, 1)] {
            let mut next = at;
            next[a] = at[a].wrapping_add_signed(step);
            if next[a] < size[a] && !inside[next] && !outside[next] {
                outside[next] = true;
                open.push(next);
            }
        }
    }
    outside.mapv_into(|outside| !outside)
}

/// Array axes of the turned image, outermost first, in the order in which nibabel's view of the file keeps them, and
/// their strides: NumPy sums along memory, so the last bit of a mean depends on it.
fn memory_order(turn: &Reorientation, shape: &[usize]) -> ([usize; 3], [usize; 3]) {
    let (source, target) = (turn.source(), turn.target());
    let parallel = |a: usize, b: usize| (0..3).all(|r| source.axes[a][r].abs() == target.axes[b][r].abs());
    // Array axis `n` is voxel axis `2 - n`.
    let order = [2, 1, 0].map(|axis| (0..3).find(|&b| parallel(axis, b)).map_or(2 - axis, |b| 2 - b));
    let [outer, middle, inner] = order.map(|a| shape[a]);
    debug_assert!(outer > 0);
    (order, [middle * inner, inner, 1])
}

/// Voxels after resampling (`compute_new_shape`).
fn new_shape(present: [f64; 3], plan: [f64; 3], size: [usize; 3]) -> Result<[usize; 3]> {
    let wanted: [f64; 3] = std::array::from_fn(|a| (present[a] / plan[a] * size[a] as f64).round_ties_even());
    let total: f64 = wanted.iter().product();
    if wanted.iter().any(|&n| n.is_nan() || n < 1.0) || total > MOST_VOXELS {
        return Err(Error::Size { found: size, wanted });
    }
    Ok(wanted.map(|n| n as usize))
}

fn resampled(image: Array3<f32>, shape: [usize; 3], spacing: [f64; 3], plan: &Plan) -> Result<Array3<f32>> {
    if image.shape() == shape {
        return Ok(image);
    }
    let resampling = &plan.resampling;
    let error = Error::Resampling { order: resampling.order, order_z: resampling.order_z };
    let Some(in_plane) = interpolation(resampling.order) else { return Err(error) };
    Ok(match thick(resampling, spacing, plan.spacing) {
        None => resize(image.view(), shape, in_plane),
        Some(axis) => {
            let Some(across) = interpolation(resampling.order_z).filter(|&i| i != Interpolation::Cubic)
            else {
                return Err(error);
            };
            resize_slices(image.view(), shape, axis, in_plane, across)
        }
    })
}

fn interpolation(order: u8) -> Option<Interpolation> {
    match order {
        0 => Some(Interpolation::Nearest),
        1 => Some(Interpolation::Linear),
        3 => Some(Interpolation::Cubic),
        _ => None,
    }
}

/// The axis whose slices are treated apart when going from one spacing to another, if any.
pub(crate) fn thick(resampling: &Resampling, from: [f64; 3], to: [f64; 3]) -> Option<usize> {
    match resampling.force_separate_z {
        None => thick_axis(from, to),
        Some(false) => None,
        Some(true) => {
            let largest = from.into_iter().fold(f64::NEG_INFINITY, f64::max);
            let mut axes = (0..3).filter(|&a| largest / from[a] == 1.0);
            axes.next().filter(|_| axes.next().is_none())
        }
    }
}
