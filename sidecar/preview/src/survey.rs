//! What the label map holds: which structures, how much of each, and where along each axis.

use std::borrow::Cow;

use imaging::{Cancelled, Progress, Segmentation};
use ndarray::Array3;
use rayon::prelude::*;

use crate::canvas::Color;
use crate::names::{self, Group, Material};

/// The voxels of an array with the size the array really has, along i, j, k.
#[derive(Debug)]
pub(crate) struct Field<'a, T: Clone> {
    pub(crate) values: Cow<'a, [T]>,
    pub(crate) size: [usize; 3],
}

impl<'a, T: Copy> Field<'a, T> {
    /// The voxels of `[[k, j, i]]`, copied only where they do not lie in that order.
    pub(crate) fn of(array: &'a Array3<T>) -> Field<'a, T> {
        let (k, j, i) = array.dim();
        let values = match array.as_slice() {
            Some(slice) => Cow::Borrowed(slice),
            None => Cow::Owned(array.iter().copied().collect()),
        };
        Field { values, size: [i, j, k] }
    }

    /// Row `[j, k]`, along i.
    pub(crate) fn row(&self, j: usize, k: usize) -> &[T] {
        let start = (k * self.size[1] + j) * self.size[0];
        &self.values[start..start + self.size[0]]
    }

    /// The voxel nearest to `[i, j, k]` that exists.
    pub(crate) fn clamped(&self, index: [i64; 3]) -> T {
        let at: [usize; 3] = std::array::from_fn(|a| index[a].clamp(0, self.size[a] as i64 - 1) as usize);
        self.values[(at[2] * self.size[1] + at[1]) * self.size[0] + at[0]]
    }
}

/// A structure that has voxels.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) value: u8,
    /// For people.
    pub(crate) name: String,
    pub(crate) color: Color,
    pub(crate) group: Group,
    pub(crate) material: Material,
    pub(crate) voxels: u64,
    /// First index and the index past the last, along i, j, k.
    pub(crate) bounds: [[usize; 2]; 3],
    /// Voxels in each plane across i, j, k.
    pub(crate) profile: [Vec<u64>; 3],
}

/// Voxels of each label in each plane across one axis, `[plane * 256 + label]`.
type Counts = Vec<u64>;

/// The structures with voxels, by rising value.
///
/// # Errors
///
/// [`Cancelled`] when asked to stop.
pub(crate) fn survey(
    labels: &Field<'_, u8>,
    segmentation: &Segmentation,
    progress: &Progress,
) -> Result<Vec<Found>, Cancelled> {
    let counts = count(labels, progress)?;
    Ok((1..=255u8).filter_map(|value| found(value, labels.size, &counts, segmentation)).collect())
}

/// One pass over runs of equal labels; integers, so the order of the sums does not matter.
fn count(labels: &Field<'_, u8>, progress: &Progress) -> Result<[Counts; 3], Cancelled> {
    let [ni, nj, nk] = labels.size;
    let slab = |k: usize| -> Result<([Vec<i64>; 2], [u64; 256]), Cancelled> {
        progress.step("preview: structures", k as u64, nk as u64)?;
        let mut total = [0u64; 256];
        let mut rows = vec![0i64; nj * 256];
        let mut edges = vec![0i64; (ni + 1) * 256];
        for j in 0..nj {
            let row = labels.row(j, k);
            let mut start = 0;
            while start < ni {
                let label = row[start];
                let length = row[start..].iter().position(|&other| other != label).unwrap_or(ni - start);
                total[usize::from(label)] += length as u64;
                rows[j * 256 + usize::from(label)] += length as i64;
                edges[start * 256 + usize::from(label)] += 1;
                edges[(start + length) * 256 + usize::from(label)] -= 1;
                start += length;
            }
        }
        Ok(([edges, rows], total))
    };
    let mut sums = [vec![0i64; (ni + 1) * 256], vec![0i64; nj * 256]];
    let mut planes = vec![0u64; nk * 256];
    // A few slabs at a time bound the memory of the partial sums.
    for first in (0..nk).step_by(16) {
        let parts: Vec<_> =
            (first..nk.min(first + 16)).into_par_iter().map(slab).collect::<Result<_, _>>()?;
        for (n, (partial, total)) in parts.into_iter().enumerate() {
            for (sum, part) in sums.iter_mut().zip(partial) {
                sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
            }
            planes[(first + n) * 256..(first + n + 1) * 256].copy_from_slice(&total);
        }
    }
    let [mut edges, rows] = sums;
    (256..edges.len()).for_each(|at| edges[at] += edges[at - 256]);
    let positive = |counts: Vec<i64>| counts.into_iter().map(i64::unsigned_abs).collect();
    Ok([positive(edges), positive(rows), planes])
}

/// Structure `value`, where it has voxels.
fn found(value: u8, size: [usize; 3], counts: &[Counts; 3], segmentation: &Segmentation) -> Option<Found> {
    let profile: [Vec<u64>; 3] = std::array::from_fn(|axis| {
        (0..size[axis]).map(|plane| counts[axis][plane * 256 + usize::from(value)]).collect()
    });
    let voxels = profile[2].iter().sum();
    if voxels == 0 {
        return None;
    }
    let bounds = std::array::from_fn(|axis| {
        let filled = |count: &u64| *count > 0;
        let first = profile[axis].iter().position(filled).unwrap_or(0);
        [first, profile[axis].iter().rposition(filled).map_or(first, |last| last + 1)]
    });
    let segment = segmentation.segments.iter().find(|segment| segment.value == value);
    let name = segment.map_or_else(|| format!("label {value}"), |segment| segment.name.clone());
    Some(Found {
        value,
        name: names::readable(&name),
        color: segment.map_or([160, 160, 160], |segment| segment.color),
        group: names::group(&name),
        material: names::material(&name),
        voxels,
        bounds,
        profile,
    })
}

/// The index box round all structures that are not mere envelopes, or round all if there is nothing else.
pub(crate) fn extent(found: &[Found]) -> Option<[[usize; 2]; 3]> {
    let inner: Vec<&Found> = found.iter().filter(|found| found.material != Material::Envelope).collect();
    let chosen = if inner.is_empty() { found.iter().collect() } else { inner };
    chosen
        .into_iter()
        .map(|found| found.bounds)
        .reduce(|a, b| std::array::from_fn(|axis| [a[axis][0].min(b[axis][0]), a[axis][1].max(b[axis][1])]))
}
