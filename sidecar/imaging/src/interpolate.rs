//! The inner loops of resampling: weighted sums over taps, to the bit what SciPy computes, a row at a time.
//!
//! SciPy sums `((value * w0) * w1) * w2` over all 8 or 64 taps, axis 0 outermost, in f64, without fused
//! multiply-add. Resampling axis after axis would be cheaper and differs in about 0.05 % of voxels once the sums are
//! cut to integers, so the same sum is made here, arranged for speed: every source row that is needed is first
//! spread to the new columns, and those rows, which lie side by side in memory, are then summed in SciPy's order.

use ndarray::{Array3, ArrayView3, Axis, ShapeBuilder};
use rayon::prelude::*;

use crate::taps::Taps;

/// New columns summed at a time; rows are padded to a multiple of it.
const WIDTH: usize = 8;

/// New rows that one piece of parallel work makes; it changes no value.
const ROWS: usize = 32;

/// Interpolates `source` at the taps of its axes 0, 1, 2, which are SciPy's axes 0, 1, 2.
///
/// The result has the memory layout of the source: row-major, or column-major where the source is.
pub(crate) fn interpolate<T, U>(
    source: ArrayView3<'_, T>,
    taps: [&Taps; 3],
    store: impl Fn(f64) -> U + Sync,
) -> Array3<U>
where
    T: Copy + Into<f64> + Send + Sync,
    U: Copy + Default + Send,
{
    let shape = taps.map(Taps::len);
    let mut output = vec![U::default(); shape.iter().product()];
    interpolate_into(source, taps, &mut output, |value, out| *out = store(value));
    if column_major(&source) { from_memory(shape.f(), output) } else { from_memory(shape, output) }
}

/// As [`interpolate`], handing each value to `store` together with its place in `output`, in the source's layout.
pub(crate) fn interpolate_into<T, U>(
    source: ArrayView3<'_, T>,
    taps: [&Taps; 3],
    output: &mut [U],
    store: impl Fn(f64, &mut U) + Sync,
) where
    T: Copy + Into<f64> + Send + Sync,
    U: Send,
{
    if column_major(&source) {
        let taps = [taps[2], taps[1], taps[0]];
        Rows { source: source.reversed_axes(), taps, fast_first: true }.run(output, store);
    } else {
        let source = source.as_standard_layout();
        Rows { source: source.view(), taps, fast_first: false }.run(output, store);
    }
}

/// Whether axis 0 is the one that runs fastest in memory.
pub(crate) fn column_major<T>(source: &ArrayView3<'_, T>) -> bool {
    !source.is_standard_layout() && source.reversed_axes().is_standard_layout()
}

/// An array of exactly these values.
pub(crate) fn from_memory<U: Default + Clone>(
    shape: impl Into<ndarray::StrideShape<ndarray::Ix3>>,
    values: Vec<U>,
) -> Array3<U> {
    // The callers' lengths are products of the shape, so this never falls back.
    Array3::from_shape_vec(shape, values).unwrap_or_default()
}

/// A source in row-major order `[slice, row, column]` and the taps of those axes.
struct Rows<'a, T> {
    source: ArrayView3<'a, T>,
    taps: [&'a Taps; 3],
    /// Whether columns are SciPy's axis 0 and slices its axis 2, rather than the other way round.
    fast_first: bool,
}

/// One term of the sum for a whole row: where its spread source row starts, and two weights in SciPy's order.
struct Term {
    row: usize,
    /// Start of the column weights, for row-major sources.
    weights: usize,
    first: f64,
    second: f64,
}

/// Source rows spread to the new columns, kept while the window of taps moves over them.
struct Spread {
    values: Vec<f64>,
    /// Source row that each slot holds.
    holds: Vec<usize>,
    terms: Vec<Term>,
    sums: Vec<f64>,
}

impl<T: Copy + Into<f64> + Send + Sync> Rows<'_, T> {
    fn run<U: Send>(&self, output: &mut [U], store: impl Fn(f64, &mut U) + Sync) {
        let [_, rows, columns] = self.taps.map(Taps::len);
        if rows * columns == 0 {
            return;
        }
        let weights = self.column_weights();
        output.par_chunks_mut(rows * columns).enumerate().for_each(|(slice, plane)| {
            plane.par_chunks_mut(ROWS * columns).enumerate().for_each(|(block, lines)| {
                let mut spread = self.spread();
                for (n, line) in lines.chunks_mut(columns).enumerate() {
                    self.gather(&mut spread, slice, block * ROWS + n);
                    self.sum(&mut spread, &weights);
                    line.iter_mut().zip(&spread.sums).for_each(|(out, &sum)| store(sum, out));
                }
            });
        });
    }

    /// Columns rounded up to whole vectors.
    fn width(&self) -> usize {
        self.taps[2].len().next_multiple_of(WIDTH)
    }

    /// Weights `[tap, column]`.
    fn column_weights(&self) -> Vec<f64> {
        let (taps, width) = (self.taps[2], self.width());
        let mut weights = vec![0.0; taps.count * width];
        for column in 0..taps.len() {
            for (tap, &weight) in taps.of(column).1.iter().enumerate() {
                weights[tap * width + column] = weight;
            }
        }
        weights
    }

    fn spread(&self) -> Spread {
        let slots = self.taps[0].count * self.taps[1].count;
        Spread {
            values: vec![0.0; slots * self.taps[2].count * self.width()],
            holds: vec![usize::MAX; slots],
            terms: Vec::new(),
            sums: vec![0.0; self.width()],
        }
    }

    /// Spreads the source rows that a new row needs and lists the terms of its sum in SciPy's order.
    fn gather(&self, spread: &mut Spread, slice: usize, row: usize) {
        let [of_slice, of_row, of_column] = self.taps;
        let (slices, slice_weights) = of_slice.of(slice);
        let (rows, row_weights) = of_row.of(row);
        let (width, window) = (self.width(), of_row.count);
        for (tap, &k) in slices.iter().enumerate() {
            for &j in rows {
                let slot = tap * window + j % window;
                if spread.holds[slot] != j {
                    spread.holds[slot] = j;
                    self.spread_row(k, j, &mut spread.values[slot * of_column.count * width..]);
                }
            }
        }
        let start = |slice_tap: usize, j: usize, column_tap: usize| {
            ((slice_tap * window + j % window) * of_column.count + column_tap) * width
        };
        spread.terms.clear();
        let Spread { terms, .. } = spread;
        if self.fast_first {
            for column_tap in 0..of_column.count {
                for (&j, &first) in rows.iter().zip(row_weights) {
                    for (slice_tap, &second) in slice_weights.iter().enumerate() {
                        terms.push(Term { row: start(slice_tap, j, column_tap), weights: 0, first, second });
                    }
                }
            }
        } else {
            for (slice_tap, &first) in slice_weights.iter().enumerate() {
                for (&j, &second) in rows.iter().zip(row_weights) {
                    for column_tap in 0..of_column.count {
                        let (row, weights) = (start(slice_tap, j, column_tap), column_tap * width);
                        terms.push(Term { row, weights, first, second });
                    }
                }
            }
        }
    }

    /// One source row at the new columns, once per column tap; already weighted if columns are SciPy's axis 0.
    fn spread_row(&self, k: usize, j: usize, values: &mut [f64]) {
        let taps = self.taps[2];
        let row = self.source.index_axis(Axis(0), k).index_axis_move(Axis(0), j);
        let Some(row) = row.as_slice() else { return };
        for (tap, values) in values.chunks_mut(self.width()).take(taps.count).enumerate() {
            let indices = taps.index.iter().skip(tap).step_by(taps.count);
            if self.fast_first {
                let weights = taps.weight.iter().skip(tap).step_by(taps.count);
                for ((value, &index), &weight) in values.iter_mut().zip(indices).zip(weights) {
                    *value = row[index].into() * weight;
                }
            } else {
                values.iter_mut().zip(indices).for_each(|(value, &index)| *value = row[index].into());
            }
        }
    }

    fn sum(&self, spread: &mut Spread, weights: &[f64]) {
        let Spread { values, terms, sums, .. } = spread;
        // Whole vectors of known width: the compiler keeps the sums in registers.
        let (values, weights) = (values.as_chunks::<WIDTH>().0, weights.as_chunks::<WIDTH>().0);
        for (block, sums) in sums.as_chunks_mut::<WIDTH>().0.iter_mut().enumerate() {
            *sums = if self.fast_first {
                weighted_before(&values[block..], terms)
            } else {
                weighted_after(&values[block..], &weights[block..], terms)
            };
        }
    }
}

/// The sum of rows whose column weight is already in them.
fn weighted_before(values: &[[f64; WIDTH]], terms: &[Term]) -> [f64; WIDTH] {
    let mut sum = [0.0; WIDTH];
    for term in terms {
        let row = &values[term.row / WIDTH];
        for n in 0..WIDTH {
            sum[n] += row[n] * term.first * term.second;
        }
    }
    sum
}

/// The sum of rows whose column weight comes last.
fn weighted_after(values: &[[f64; WIDTH]], weights: &[[f64; WIDTH]], terms: &[Term]) -> [f64; WIDTH] {
    let mut sum = [0.0; WIDTH];
    for term in terms {
        let row = &values[term.row / WIDTH];
        let weight = &weights[term.weights / WIDTH];
        for n in 0..WIDTH {
            sum[n] += row[n] * term.first * term.second * weight[n];
        }
    }
    sum
}

/// Picks `source[index0, index1, index2]` for every combination of the taps' first indices: order 0.
pub(crate) fn pick<T: Copy + Default + Send + Sync>(
    source: ArrayView3<'_, T>,
    taps: [&Taps; 3],
) -> Array3<T> {
    let shape = taps.map(Taps::len);
    if column_major(&source) {
        let picked = pick_rows(source.reversed_axes(), [taps[2], taps[1], taps[0]]);
        return from_memory(shape.f(), picked);
    }
    from_memory(shape, pick_rows(source, taps))
}

fn pick_rows<T: Copy + Default + Send + Sync>(source: ArrayView3<'_, T>, taps: [&Taps; 3]) -> Vec<T> {
    let [slices, rows, columns] = taps.map(Taps::len);
    let mut picked = vec![T::default(); slices * rows * columns];
    if picked.is_empty() {
        return picked;
    }
    picked.par_chunks_mut(rows * columns).zip(&taps[0].index).for_each(|(plane, &k)| {
        let plane_of_source = source.index_axis(Axis(0), k);
        let mut done: Option<(usize, usize)> = None;
        for row in 0..rows {
            let j = taps[1].index[row];
            let start = row * columns;
            // Enlarging repeats whole rows: copy the one just made.
            if let Some((last_j, last_start)) = done
                && last_j == j
            {
                plane.copy_within(last_start..last_start + columns, start);
                continue;
            }
            let from = plane_of_source.row(j);
            for (value, &i) in plane[start..start + columns].iter_mut().zip(&taps[2].index) {
                *value = from[i];
            }
            done = Some((j, start));
        }
    });
    picked
}
