//! Cubic B-spline coefficients of an image, bit for bit those of `scipy.ndimage.spline_filter` (order 3).
//!
//! The recursive filter of Unser, Aldroubi and Eden (1991), on the image padded by [`PAD`] copies of its edge as
//! SciPy does for `mode='nearest'`. Lines are filtered [`LANES`] at a time; lanes never mix, so neither the number of
//! threads nor the width changes a bit.

use ndarray::{Array3, ArrayView3, ArrayViewMut2, Axis};
use rayon::prelude::*;

use crate::interpolate::column_major;

/// Copies of the edge voxel put before and after each filtered axis.
pub(crate) const PAD: usize = 12;

/// sqrt(3) - 2, the digits that SciPy has.
const POLE: f64 = -0.267_949_192_431_122_7;

/// Lines filtered together.
const LANES: usize = 64;

/// Coefficients of `source`, padded and filtered along `axes` in that order, in the memory layout of the source.
pub(crate) fn of<T>(source: ArrayView3<'_, T>, axes: &[usize]) -> Array3<f64>
where
    T: Copy + Into<f64> + Sync,
{
    if column_major(&source) {
        let turned: Vec<usize> = axes.iter().map(|axis| 2 - axis).collect();
        return coefficients(source.reversed_axes(), &turned).reversed_axes();
    }
    coefficients(source, axes)
}

/// Row-major coefficients of `source`, padded and filtered along `axes`, one after the other in that order; the other
/// axes stay as they are.
fn coefficients<T>(source: ArrayView3<'_, T>, axes: &[usize]) -> Array3<f64>
where
    T: Copy + Into<f64> + Sync,
{
    let mut coefficients = padded(source, axes);
    for &axis in axes {
        match axis {
            0 => coefficients
                .axis_iter_mut(Axis(1))
                .into_par_iter()
                .for_each_init(Vec::new, |buffer, plane| filter_plane(plane, buffer)),
            1 => coefficients
                .axis_iter_mut(Axis(0))
                .into_par_iter()
                .for_each_init(Vec::new, |buffer, plane| filter_plane(plane, buffer)),
            _ => coefficients
                .axis_iter_mut(Axis(0))
                .into_par_iter()
                .for_each_init(Vec::new, |buffer, plane| filter_plane(plane.reversed_axes(), buffer)),
        }
    }
    coefficients
}

/// `source` in f64 with its edges repeated.
fn padded<T: Copy + Into<f64> + Sync>(source: ArrayView3<'_, T>, axes: &[usize]) -> Array3<f64> {
    let pad: [usize; 3] = std::array::from_fn(|axis| if axes.contains(&axis) { PAD } else { 0 });
    let (nk, nj, ni) = source.dim();
    let mut padded = Array3::zeros((nk + 2 * pad[0], nj + 2 * pad[1], ni + 2 * pad[2]));
    padded.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(k, mut plane)| {
        let from = source.index_axis(Axis(0), k.saturating_sub(pad[0]).min(nk - 1));
        for (j, mut row) in plane.outer_iter_mut().enumerate() {
            let from = from.row(j.saturating_sub(pad[1]).min(nj - 1));
            let (mut before, rest) = row.view_mut().split_at(Axis(0), pad[2]);
            let (mut inside, mut after) = rest.split_at(Axis(0), ni);
            before.fill(from[0].into());
            inside.zip_mut_with(&from, |value, &sample| *value = sample.into());
            after.fill(from[ni - 1].into());
        }
    });
    padded
}

/// Filters a plane `[along, lanes]` along its first axis.
fn filter_plane(mut plane: ArrayViewMut2<'_, f64>, buffer: &mut Vec<[f64; LANES]>) {
    let gain = (1.0 - POLE) * (1.0 - 1.0 / POLE);
    let rows_contiguous = plane.strides()[1] == 1;
    buffer.clear();
    buffer.resize(plane.nrows(), [0.0; LANES]);
    for mut block in plane.axis_chunks_iter_mut(Axis(1), LANES) {
        if rows_contiguous {
            for (lanes, row) in buffer.iter_mut().zip(block.outer_iter()) {
                lanes.iter_mut().zip(row).for_each(|(lane, &value)| *lane = value * gain);
            }
        } else {
            for (l, line) in block.axis_iter(Axis(1)).enumerate() {
                buffer.iter_mut().zip(line).for_each(|(lanes, &value)| lanes[l] = value * gain);
            }
        }
        filter(buffer);
        if rows_contiguous {
            for (lanes, mut row) in buffer.iter().zip(block.outer_iter_mut()) {
                row.iter_mut().zip(lanes).for_each(|(value, &lane)| *value = lane);
            }
        } else {
            for (l, mut line) in block.axis_iter_mut(Axis(1)).enumerate() {
                line.iter_mut().zip(&*buffer).for_each(|(value, lanes)| *value = lanes[l]);
            }
        }
    }
}

/// The causal and the anticausal pass over lines that already carry the gain.
fn filter(lines: &mut [[f64; LANES]]) {
    let last = lines.len() - 1;
    let mut previous = first_causal(lines);
    lines[0] = previous;
    for line in &mut lines[1..] {
        for l in 0..LANES {
            line[l] += POLE * previous[l];
        }
        previous = *line;
    }
    lines[last].iter_mut().for_each(|value| *value *= POLE / (POLE - 1.0));
    let mut next = lines[last];
    for line in lines[..last].iter_mut().rev() {
        for l in 0..LANES {
            line[l] = POLE * (next[l] - line[l]);
        }
        next = *line;
    }
}

/// The first coefficient of the causal pass, for a signal reflected at both ends: a sum over the whole line, which is
/// cut short only once no remaining term can change a bit of it.
fn first_causal(lines: &[[f64; LANES]]) -> [f64; LANES] {
    let n = lines.len();
    let mirrored = POLE.powf(n as f64);
    let mut largest = [0.0f64; LANES];
    for line in lines {
        for l in 0..LANES {
            largest[l] = largest[l].max(line[l].abs());
        }
    }
    let mut sum: [f64; LANES] = std::array::from_fn(|l| lines[0][l] + mirrored * lines[n - 1][l]);
    let mut power = POLE;
    for i in 1..n {
        for l in 0..LANES {
            sum[l] += power * (lines[i][l] + mirrored * lines[n - 1 - i][l]);
        }
        power *= POLE;
        // A term below 2^-56 of the sum is less than a quarter of its last place.
        let settled = |l: usize| 2.0 * power.abs() * largest[l] <= sum[l].abs() * 2f64.powi(-56);
        if i % 16 == 0 && (0..LANES).all(settled) {
            break;
        }
    }
    std::array::from_fn(|l| lines[0][l] + sum[l] * POLE / (1.0 - mirrored * mirrored))
}
