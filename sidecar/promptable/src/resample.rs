//! Between a wide window and the network's patch, as PyTorch's `interpolate` does without aligned corners.

use rayon::prelude::*;

use crate::block::{Block, Window};

/// Between which two places of a shorter or longer axis a place lies, and the second one's share.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Tap {
    low: usize,
    high: usize,
    share: f32,
}

/// Linear taps from `from` places to `to`.
fn taps(from: usize, to: usize) -> Vec<Tap> {
    let scale = from as f32 / to as f32;
    let tap = |n: usize| {
        let at = ((n as f32 + 0.5) * scale - 0.5).max(0.0);
        let low = (at as usize).min(from.saturating_sub(1));
        Tap { low, high: (low + 1).min(from.saturating_sub(1)), share: at - low as f32 }
    };
    (0..to).map(tap).collect()
}

/// The nearest place of `from` for each of `to`, as PyTorch's `nearest` rounds.
fn nearest(from: usize, to: usize) -> Vec<usize> {
    let scale = from as f32 / to as f32;
    (0..to).map(|n| ((n as f32 * scale).floor() as usize).min(from.saturating_sub(1))).collect()
}

fn mixed(a: f32, b: f32, share: f32) -> f32 {
    a * (1.0 - share) + b * share
}

/// The linear mean of the eight voxels round each place of the patch, `[k, j, i]`; `at` reads the window's.
pub(crate) fn linear(window: Window, patch: [usize; 3], at: impl Fn([isize; 3]) -> f32 + Sync) -> Vec<f32> {
    let size = window.size();
    let [ks, js, is]: [Vec<Tap>; 3] = std::array::from_fn(|a| taps(size[a], patch[a]));
    let mut values = vec![0.0; patch.iter().product()];
    let place = |a: usize, n: usize| window.start[a] + n as isize;
    values.par_chunks_mut(patch[1] * patch[2]).zip(&ks).for_each(|(plane, k)| {
        for (row, j) in plane.chunks_mut(patch[2]).zip(&js) {
            for (value, i) in row.iter_mut().zip(&is) {
                let along = |k: usize, j: usize| {
                    let read = |i: usize| at([place(0, k), place(1, j), place(2, i)]);
                    mixed(read(i.low), read(i.high), i.share)
                };
                let low = mixed(along(k.low, j.low), along(k.low, j.high), j.share);
                let high = mixed(along(k.high, j.low), along(k.high, j.high), j.share);
                *value = mixed(low, high, k.share);
            }
        }
    });
    values
}

/// A block at the nearest places of a patch.
pub(crate) fn sampled(block: &Block<u8>, patch: [usize; 3]) -> Vec<u8> {
    let size = block.window.size();
    let [ks, js, is]: [Vec<usize>; 3] = std::array::from_fn(|a| nearest(size[a], patch[a]));
    let rows = ks.iter().flat_map(|k| js.iter().map(move |j| (k * size[1] + j) * size[2]));
    rows.flat_map(|row| is.iter().map(move |i| block.values[row + i])).collect()
}

/// A patch's mask stretched over `window`, of which only the voxels in `seen` are made: 1 where at least half.
pub(crate) fn stretched(mask: &[u8], patch: [usize; 3], window: Window, seen: Window) -> Block<u8> {
    let size = window.size();
    let [ks, js, is]: [Vec<Tap>; 3] = std::array::from_fn(|a| taps(patch[a], size[a]));
    let mut stretched = Block::new(seen);
    let [_, nj, ni] = seen.size();
    let at = |a: usize, n: usize| (seen.start[a] - window.start[a]) as usize + n;
    let row = |k: usize, j: usize| &mask[(k * patch[1] + j) * patch[2]..][..patch[2]];
    stretched.values.par_chunks_mut((nj * ni).max(1)).enumerate().for_each(|(k, plane)| {
        let k = ks[at(0, k)];
        for (n, values) in plane.chunks_mut(ni.max(1)).enumerate() {
            let j = js[at(1, n)];
            let corners = [row(k.low, j.low), row(k.low, j.high), row(k.high, j.low), row(k.high, j.high)];
            // Most rows of a mask are empty.
            if corners.iter().all(|row| row.iter().all(|value| *value == 0)) {
                continue;
            }
            for (value, i) in values.iter_mut().zip(&is[at(2, 0)..]) {
                let along = |row: &[u8]| mixed(f32::from(row[i.low]), f32::from(row[i.high]), i.share);
                let low = mixed(along(corners[0]), along(corners[1]), j.share);
                let high = mixed(along(corners[2]), along(corners[3]), j.share);
                *value = u8::from(mixed(low, high, k.share) >= 0.5);
            }
        }
    });
    stretched
}

/// The mean of the window's voxels that fall into each place of the patch, rounded as half precision is.
///
/// `hull` is where there is anything but 0, and `draw` writes the columns of a row there over zeros.
pub(crate) fn averaged(
    window: Window,
    patch: [usize; 3],
    hull: Window,
    draw: impl Fn([isize; 2], &mut [f32]) + Sync,
) -> Vec<half::f16> {
    let size = window.size();
    let cells = |a: usize, n: usize| {
        let [from, to] = [n * size[a] / patch[a], ((n + 1) * size[a]).div_ceil(patch[a])];
        window.start[a] + from as isize..window.start[a] + to as isize
    };
    let touched =
        |a: usize, cells: &std::ops::Range<isize>| cells.start < hull.end[a] && hull.start[a] < cells.end;
    let mut values = vec![half::f16::ZERO; patch.iter().product()];
    values.par_chunks_mut(patch[1] * patch[2]).enumerate().for_each(|(k, plane)| {
        let ks = cells(0, k);
        if !touched(0, &ks) {
            return;
        }
        let (mut row, mut sums) = (vec![0.0; hull.size()[2]], vec![0.0f64; hull.size()[2]]);
        for (j, values) in plane.chunks_mut(patch[2]).enumerate() {
            let js = cells(1, j);
            if !touched(1, &js) {
                continue;
            }
            sums.fill(0.0);
            for k in ks.start.max(hull.start[0])..ks.end.min(hull.end[0]) {
                for j in js.start.max(hull.start[1])..js.end.min(hull.end[1]) {
                    row.fill(0.0);
                    draw([k, j], &mut row);
                    sums.iter_mut().zip(&row).for_each(|(sum, value)| *sum += f64::from(*value));
                }
            }
            for (i, value) in values.iter_mut().enumerate() {
                let is = cells(2, i);
                if !touched(2, &is) {
                    continue;
                }
                let from = (is.start.max(hull.start[2]) - hull.start[2]) as usize;
                let to = (is.end.min(hull.end[2]) - hull.start[2]) as usize;
                let count = ks.len() * js.len() * is.len();
                let mean = sums[from..to].iter().sum::<f64>() / count as f64;
                *value = half::f16::from_f32(mean as f32);
            }
        }
    });
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window { start: [-1, 2, 0], end: [4, 7, 7] };

    /// `torch.nn.functional.interpolate` of 0, 1, 4, 9, 16, 25, 36 to 4, along the last axis of three.
    #[test]
    fn a_row_as_pytorch_resamples_it() {
        let square = |[k, j, i]: [isize; 3]| if (k, j) == (0, 3) { (i * i) as f32 } else { 0.0 };
        let all = |[_, _, i]: [isize; 3]| (i * i) as f32;
        let found = linear(WINDOW, [5, 5, 4], all);
        assert_eq!(found[..4], [0.375, 4.625, 15.125, 31.875]);
        let hull = Window { start: [0, 3, 1], end: [1, 4, 7] };
        let draw = |[k, j]: [isize; 2], row: &mut [f32]| {
            row.iter_mut().zip(1..).for_each(|(value, i)| *value = square([k, j, i]));
        };
        let means = averaged(WINDOW, [5, 5, 4], hull, draw);
        let expected = [0.5, 14.0 / 3.0, 50.0 / 3.0, 30.5].map(half::f16::from_f64);
        assert_eq!(means[(5 + 1) * 4..(5 + 2) * 4], expected);
        assert_eq!(means.iter().filter(|value| **value != half::f16::ZERO).count(), 4);
        let mut block = Block::new(WINDOW);
        let place = block.place([0, 3, 5]);
        block.values[place] = 1;
        let near = sampled(&block, [5, 5, 4]);
        assert_eq!(near.iter().position(|value| *value == 1), Some((5 + 1) * 4 + 3));
        assert_eq!(nearest(7, 4), [0, 1, 3, 5]);
    }

    #[test]
    fn a_stretched_mask_changes_sides_half_way() {
        let window = Window { start: [10, 10, 10], end: [16, 16, 16] };
        let mask: Vec<u8> = (0..27).map(|n| u8::from(n % 3 == 1)).collect();
        let seen = Window { start: [11, 10, 10], end: [13, 12, 16] };
        let found = stretched(&mask, [3; 3], window, seen);
        assert_eq!(found.values, [0, 0, 1, 1, 0, 0].repeat(4));
    }
}
