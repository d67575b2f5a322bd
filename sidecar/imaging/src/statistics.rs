//! How large each structure is, how bright, and where.

use ndarray::Axis;
use rayon::prelude::*;

use crate::{Cancelled, LabelMap, Progress, Volume};

/// Layers at each face of the image that count as cut off (TotalSegmentator's `touches_border`).
const BORDER: usize = 3;

/// What to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StatisticsOptions {
    /// Cut intensities to whole numbers of 16 bits first, as TotalSegmentator does; values beyond are clamped.
    pub whole_numbers: bool,
    /// Also the median, which holds the intensities of every structure in memory.
    pub median: bool,
}

/// One structure in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// The value in the label map.
    pub value: u8,
    /// Voxels.
    pub voxels: u64,
    /// Voxels times the volume of one, whose edges are rounded to single precision, in mm³.
    pub volume_mm3: f64,
    /// Mean intensity; 0 where there are no voxels, as below.
    pub mean: f64,
    /// Median intensity, where it was asked for.
    pub median: Option<f64>,
    /// Standard deviation of the voxels' intensities (divided by their number).
    pub deviation: f64,
    /// Lowest and highest intensity.
    pub range: [f64; 2],
    /// Mean index along i, j, k.
    pub centroid: [f64; 3],
    /// First and last index along i, j, k, both inclusive.
    pub bounds: [[usize; 2]; 3],
    /// Whether a voxel lies in the outer three layers of the image, so that the structure may be cut off.
    pub touches_border: bool,
}

/// Measures the structures `values` of `labels` in `volume`, in that order; both must lie on the same grid.
///
/// # Errors
///
/// [`Cancelled`] when `progress` asks to stop.
pub fn statistics(
    volume: &Volume,
    labels: &LabelMap,
    values: &[u8],
    options: StatisticsOptions,
    progress: &Progress,
) -> Result<Vec<Statistics>, Cancelled> {
    let slices = labels.labels.len_of(Axis(0));
    let mut sums: Vec<Sums> = vec![Sums::default(); 256];
    // Slices are measured in parallel and added in order: the same digits at any number of threads.
    for first in (0..slices).step_by(16) {
        progress.step("measuring", first as u64, slices as u64)?;
        let last = slices.min(first + 16);
        let parts: Vec<Vec<Sums>> =
            (first..last).into_par_iter().map(|k| slice(volume, labels, k, options)).collect();
        for part in parts {
            sums.iter_mut().zip(part).for_each(|(sum, part)| sum.add(part));
        }
    }
    let size = labels.grid.size;
    let [x, y, z] = labels.grid.spacing().map(|spacing| spacing as f32);
    let voxel_mm3 = f64::from(x * y * z);
    Ok(values.iter().map(|&value| sums[usize::from(value)].finish(value, voxel_mm3, size)).collect())
}

/// Sums of one structure over some slices.
#[derive(Debug, Clone, Default)]
struct Sums {
    count: u64,
    total: f64,
    squares: f64,
    range: Option<[f64; 2]>,
    index: [u64; 3],
    bounds: Option<[[usize; 2]; 3]>,
    intensities: Vec<f32>,
}

/// Sums of every structure in slice `k`.
fn slice(volume: &Volume, labels: &LabelMap, k: usize, options: StatisticsOptions) -> Vec<Sums> {
    let mut sums = vec![Sums::default(); 256];
    let labels = labels.labels.index_axis(Axis(0), k);
    let voxels = volume.voxels.index_axis(Axis(0), k);
    for (((j, i), &value), &intensity) in labels.indexed_iter().zip(voxels) {
        if value == 0 {
            continue;
        }
        let intensity = if options.whole_numbers { whole(intensity) } else { intensity };
        sums[usize::from(value)].take([i, j, k], intensity, options.median);
    }
    sums
}

/// Towards zero, in 16 bits; what is no number is 0.
fn whole(intensity: f32) -> f32 {
    f32::from(intensity as i16)
}

impl Sums {
    fn take(&mut self, index: [usize; 3], intensity: f32, keep: bool) {
        let value = f64::from(intensity);
        self.count += 1;
        self.total += value;
        self.squares += value * value;
        let [low, high] = self.range.unwrap_or([value; 2]);
        self.range = Some([low.min(value), high.max(value)]);
        let bounds = self.bounds.get_or_insert(index.map(|at| [at, at]));
        for axis in 0..3 {
            self.index[axis] += index[axis] as u64;
            let [first, last] = bounds[axis];
            bounds[axis] = [first.min(index[axis]), last.max(index[axis])];
        }
        if keep {
            self.intensities.push(intensity);
        }
    }

    fn add(&mut self, other: Sums) {
        self.count += other.count;
        self.total += other.total;
        self.squares += other.squares;
        self.intensities.extend(other.intensities);
        for axis in 0..3 {
            self.index[axis] += other.index[axis];
        }
        self.range = merged(self.range, other.range, |a, b| [a[0].min(b[0]), a[1].max(b[1])]);
        self.bounds = merged(self.bounds, other.bounds, |a, b| {
            std::array::from_fn(|axis| [a[axis][0].min(b[axis][0]), a[axis][1].max(b[axis][1])])
        });
    }

    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 voxels")]
    fn finish(&self, value: u8, voxel_mm3: f64, size: [usize; 3]) -> Statistics {
        let count = self.count as f64;
        let of = |sum: f64| if self.count == 0 { 0.0 } else { sum / count };
        let mean = of(self.total);
        let bounds = self.bounds.unwrap_or([[0, 0]; 3]);
        let at_face = |axis: usize| bounds[axis][0] < BORDER || bounds[axis][1] + BORDER >= size[axis];
        Statistics {
            value,
            voxels: self.count,
            volume_mm3: count * voxel_mm3,
            mean,
            median: (!self.intensities.is_empty()).then(|| median(self.intensities.clone())),
            deviation: (of(self.squares) - mean * mean).max(0.0).sqrt(),
            range: self.range.unwrap_or_default(),
            centroid: self.index.map(|sum| of(sum as f64)),
            bounds,
            touches_border: self.bounds.is_some() && (0..3).any(at_face),
        }
    }
}

/// Two optional things as one.
fn merged<T>(a: Option<T>, b: Option<T>, both: impl FnOnce(T, T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(both(a, b)),
        (a, b) => a.or(b),
    }
}

/// The middle value, or the mean of the two in the middle.
fn median(mut values: Vec<f32>) -> f64 {
    let middle = values.len() / 2;
    let even = values.len() % 2 == 0;
    let (below, &mut upper, _) = values.select_nth_unstable_by(middle, f32::total_cmp);
    let lower = below.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if even { f64::midpoint(f64::from(lower), f64::from(upper)) } else { f64::from(upper) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Grid;
    use ndarray::Array3;

    /// A 10 x 9 x 8 image whose intensities and labels follow from the index; the truth is NumPy's, by
    /// `tests/reference/cli/statistics.py`.
    fn example() -> (Volume, LabelMap) {
        let grid = Grid::aligned([10, 9, 8], [0.7, 0.9, 2.5]);
        let voxels = Array3::from_shape_fn(grid.shape(), |(k, j, i)| {
            ((37 * i + 101 * j + 53 * k) % 211) as f32 - 100.25
        });
        let mut labels = LabelMap::background(&grid);
        for ((k, j, i), label) in labels.labels.indexed_iter_mut() {
            let inside = (3..=6).contains(&i) && (3..=5).contains(&j) && (3..=4).contains(&k);
            *label = if inside { 1 } else { u8::from(i == 9 && j < 4) * 2 };
        }
        (Volume { grid, voxels }, labels)
    }

    #[test]
    fn numbers_are_numpys() {
        let (volume, labels) = example();
        let options = StatisticsOptions { whole_numbers: true, median: true };
        let found = statistics(&volume, &labels, &[1, 2, 3], options, &Progress::silent()).unwrap();
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
        let one = &found[0];
        assert_eq!((one.voxels, one.touches_border), (24, false));
        close(one.volume_mm3, TRUTH[0]);
        close(one.mean, TRUTH[1]);
        close(one.median.unwrap(), TRUTH[2]);
        close(one.deviation, TRUTH[3]);
        assert_eq!(one.range, [TRUTH[4], TRUTH[5]]);
        assert_eq!(one.centroid, [4.5, 4.0, 3.5]);
        assert_eq!(one.bounds, [[3, 6], [3, 5], [3, 4]]);
        assert_eq!((found[1].voxels, found[1].touches_border), (32, true));
        assert_eq!((found[2].voxels, found[2].mean, found[2].median), (0, 0.0, None));
    }

    /// Volume, mean, median, deviation, lowest, highest of label 1.
    const TRUTH: [f64; 6] = include!("../../../tests/reference/cli/statistics.in");
}
