//! Onto another number of voxels, edges on edges: how nnU-Net resamples images and scores, to the bit.
//!
//! Arrays here stand in the network's axis order, whatever that is: axes 0, 1, 2 are NumPy's. Sums are made in f64 in
//! the order of `scipy.ndimage.zoom(grid_mode=True, mode='nearest')`, which `skimage.transform.resize(mode='edge',
//! anti_aliasing=False)` calls, and end as f32.

use std::ops::Range;

use ndarray::{Array3, ArrayView3, Axis, Zip};
use rayon::prelude::*;

use crate::interpolate::{interpolate, interpolate_into, pick};
use crate::spline;
use crate::taps::{Interpolation, Mapping, Taps};
use crate::volume::range;

/// `skimage.transform.resize(source, shape, order, mode='edge', anti_aliasing=False)`: half-pixel coordinates, the
/// result clipped to the range of the source and rounded to f32. The result has the source's memory layout.
///
/// ```
/// # use imaging::{Interpolation, resize};
/// let source = ndarray::array![[[0.0f32, 4.0]]];
/// let resized = resize(source.view(), [1, 1, 4], Interpolation::Linear);
/// assert_eq!(resized, ndarray::array![[[0.0, 1.0, 3.0, 4.0]]]);
/// ```
#[must_use]
pub fn resize<T>(source: ArrayView3<'_, T>, shape: [usize; 3], interpolation: Interpolation) -> Array3<f32>
where
    T: Copy + Default + Into<f64> + Send + Sync,
{
    let bounds = range(source).unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
    resized(source, shape, None, interpolation, |value| clip(value, bounds) as f32)
}

/// As [`resize`], but in two dimensions, slice by slice along `axis`, and then `across` the slices: nnU-Net's way with
/// images whose slices are thick (its `do_separate_z`). `across` is [`Interpolation::Nearest`] in every published
/// plan; cubic is taken as linear there.
#[must_use]
pub fn resize_slices<T>(
    source: ArrayView3<'_, T>,
    shape: [usize; 3],
    axis: usize,
    interpolation: Interpolation,
    across: Interpolation,
) -> Array3<f32>
where
    T: Copy + Default + Into<f64> + Send + Sync,
{
    let slices = source.len_of(Axis(axis));
    let mut in_plane = shape;
    in_plane[axis] = slices;
    let mut resized = resized(source, in_plane, Some(axis), interpolation, |value| value);
    let sources = source.axis_iter(Axis(axis)).into_par_iter();
    resized.axis_iter_mut(Axis(axis)).into_par_iter().zip(sources).for_each(|(mut slice, source)| {
        if let Some(bounds) = range(source.insert_axis(Axis(0))) {
            slice.mapv_inplace(|value| clip(value, bounds));
        }
    });
    if shape[axis] == slices {
        return resized.mapv(|value| value as f32);
    }
    let taps: [Taps; 3] = std::array::from_fn(|a| match (a == axis, across) {
        (false, _) => Taps::identity(shape[a]),
        (true, Interpolation::Nearest) => across_taps(slices, shape[axis], Interpolation::Nearest),
        (true, _) => across_taps(slices, shape[axis], Interpolation::Linear),
    });
    interpolate(resized.view(), [&taps[0], &taps[1], &taps[2]], |value| value as f32)
}

/// nnU-Net's own coordinates across the slices: (n / n') (k + 1/2) - 1/2.
fn across_taps(from: usize, to: usize, interpolation: Interpolation) -> Taps {
    let scale = from as f64 / to as f64;
    Taps::at((0..to).map(|k| scale * (k as f64 + 0.5) - 0.5), from, interpolation)
}

fn resized<T, U>(
    source: ArrayView3<'_, T>,
    shape: [usize; 3],
    untouched: Option<usize>,
    interpolation: Interpolation,
    store: impl Fn(f64) -> U + Sync,
) -> Array3<U>
where
    T: Copy + Default + Into<f64> + Send + Sync,
    U: Copy + Default + Send,
{
    let from = source.dim();
    let from = [from.0, from.1, from.2];
    if from.contains(&0) || shape.contains(&0) {
        return Array3::default(shape);
    }
    if from == shape {
        return Zip::from(&source).par_map_collect(|&value| store(value.into()));
    }
    let taps: [Taps; 3] = std::array::from_fn(|a| {
        if untouched == Some(a) {
            return Taps::identity(from[a]);
        }
        Taps::new(from[a], shape[a], Mapping::Edges, interpolation)
    });
    let taps = [&taps[0], &taps[1], &taps[2]];
    match interpolation {
        Interpolation::Nearest => {
            let picked = pick(source, taps);
            Zip::from(&picked).par_map_collect(|&value| store(value.into()))
        }
        Interpolation::Linear => interpolate(source, taps, store),
        Interpolation::Cubic => {
            let axes: Vec<usize> = (0..3).filter(|&a| untouched != Some(a)).collect();
            interpolate(spline::of(source, &axes).view(), taps, store)
        }
    }
}

fn clip(value: f64, (least, greatest): (f64, f64)) -> f64 {
    // Not `clamp`: a NaN stays one, as in NumPy.
    if value < least {
        least
    } else if value > greatest {
        greatest
    } else {
        value
    }
}

/// The axis along which nnU-Net treats slices on their own: the one thick axis of the first spacing of the two whose
/// largest value is more than three times its smallest (`determine_do_sep_z_and_axis`). `None` if there is none, or
/// two are equally thick. Spacings in network axis order: of the image, then of the plan.
#[must_use]
pub fn thick_axis(present: [f64; 3], plan: [f64; 3]) -> Option<usize> {
    let largest = |spacing: [f64; 3]| spacing.into_iter().fold(f64::NEG_INFINITY, f64::max);
    let smallest = |spacing: [f64; 3]| spacing.into_iter().fold(f64::INFINITY, f64::min);
    let thick = [present, plan].into_iter().find(|&spacing| largest(spacing) / smallest(spacing) > 3.0)?;
    let mut axes = (0..3).filter(|&a| largest(thick) / thick[a] == 1.0);
    axes.next().filter(|_| axes.next().is_none())
}

/// Source rows were asked for that were not given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rows {needed:?} of the source are needed, rows {given:?} are there")]
pub struct MissingRows {
    /// Rows that the wanted ones are made of.
    pub needed: Range<usize>,
    /// Rows that were given.
    pub given: Range<usize>,
}

/// [`resize`] of order 1, some rows (along axis 0) at a time: scores can be brought to the image's grid slab by slab
/// while the network still runs.
///
/// Equals the whole resize to the bit of an f32 or f16: the clip to the source's range, which would need the whole,
/// only ever undoes a last f64 rounding.
#[derive(Debug, Clone)]
pub struct LinearRows {
    from: [usize; 3],
    taps: [Taps; 3],
}

impl LinearRows {
    /// From one shape to another, in network axis order; `thick` is the axis (of [`thick_axis`]) along which slices
    /// stay whole and the nearest one is taken.
    #[must_use]
    pub fn new(from: [usize; 3], to: [usize; 3], thick: Option<usize>) -> LinearRows {
        let taps = std::array::from_fn(|a| match thick {
            _ if from[a] == to[a] => Taps::identity(from[a]),
            Some(axis) if axis == a => across_taps(from[a], to[a], Interpolation::Nearest),
            _ => Taps::new(from[a], to[a], Mapping::Edges, Interpolation::Linear),
        });
        LinearRows { from, taps }
    }

    /// The new shape.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        [self.taps[0].len(), self.taps[1].len(), self.taps[2].len()]
    }

    /// Source rows that a new row is made of. Both ends never fall from one row to the next.
    #[must_use]
    pub fn source_rows_needed(&self, row: usize) -> Range<usize> {
        let indices = self.taps[0].of(row).0;
        indices[0]..indices[indices.len() - 1] + 1
    }

    /// How many new rows, from the first, can be made once source rows `0..available` are there.
    #[must_use]
    pub fn rows_ready(&self, available: usize) -> usize {
        (0..self.shape()[0]).take_while(|&row| self.source_rows_needed(row).end <= available).count()
    }

    /// Makes the new `rows`, handing each value to `store` together with its place in `output` (row-major, as many
    /// rows as asked for): to write it, or to compare it with the best class so far.
    ///
    /// `source` holds the source rows from `first` on, all columns.
    ///
    /// # Errors
    ///
    /// [`MissingRows`] if `source` lacks one that is needed, or `output` is too short for the rows.
    pub fn make<T, U>(
        &self,
        (source, first): (ArrayView3<'_, T>, usize),
        rows: Range<usize>,
        output: &mut [U],
        store: impl Fn(f64, &mut U) + Sync,
    ) -> Result<(), MissingRows>
    where
        T: Copy + Into<f64> + Send + Sync,
        U: Send,
    {
        if rows.is_empty() {
            return Ok(());
        }
        let given = first..first + source.len_of(Axis(0));
        let last = rows.end.min(self.shape()[0]) - 1;
        let needed = self.source_rows_needed(rows.start.min(last)).start..self.source_rows_needed(last).end;
        let shape = self.shape();
        let columns_fit = source.dim().1 == self.from[1] && source.dim().2 == self.from[2];
        let fits = rows.end <= shape[0] && output.len() >= rows.len() * shape[1] * shape[2];
        if !(columns_fit && fits && given.start <= needed.start && needed.end <= given.end) {
            return Err(MissingRows { needed, given });
        }
        let count = self.taps[0].count;
        let part = Taps {
            count,
            index: self.taps[0].index[rows.start * count..rows.end * count]
                .iter()
                .map(|n| n - first)
                .collect(),
            weight: self.taps[0].weight[rows.start * count..rows.end * count].to_vec(),
        };
        let source = source.as_standard_layout();
        let output = &mut output[..rows.len() * shape[1] * shape[2]];
        interpolate_into(source.view(), [&part, &self.taps[1], &self.taps[2]], output, store);
        Ok(())
    }
}
