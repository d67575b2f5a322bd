//! Volume and intensity of each structure, with TotalSegmentator's definitions (`statistics.json`).

use serde::{Deserialize, Serialize};

use crate::{GridError, IndexBox, LabelMap, Volume};

/// How a structure's intensities become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Average {
    /// The arithmetic mean.
    #[default]
    Mean,
    /// The median; of an even number of values the mean of the middle two.
    Median,
}

/// What to count. The default is TotalSegmentator's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StatisticsOptions {
    /// How intensities become one number.
    pub average: Average,
    /// Count structures that reach into the outer three layers of voxels too; they are cut off by the image, and
    /// otherwise get a volume and an intensity of 0.
    pub include_touching_border: bool,
    /// Scale intensities so that the image's least becomes 0 and its greatest 1.
    pub normalized: bool,
}

/// What is known of one structure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelStatistics {
    /// Volume in mm³: voxels times the f32 volume of a voxel.
    #[serde(rename = "volume")]
    pub volume_mm3: f64,
    /// Mean or median intensity, rounded to 5 decimals as NumPy rounds; 0 without voxels.
    pub intensity: f64,
    /// More, on request.
    #[serde(flatten)]
    pub extra: ExtraStatistics,
}

/// What TotalSegmentator adds with `--statistics_extra`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ExtraStatistics {
    /// Voxels.
    pub n_voxels: u64,
    /// Population standard deviation of the intensities, rounded to 5 decimals as NumPy rounds.
    pub intensity_std: f64,
    /// Least intensity.
    pub intensity_min: f64,
    /// Greatest intensity.
    pub intensity_max: f64,
    /// Mean index `[i, j, k]`, rounded to 2 decimals as Python rounds.
    #[serde(rename = "centroid_vox")]
    pub centroid: Option<[f64; 3]>,
    /// First and last index along i, j and k.
    #[serde(rename = "bbox_vox")]
    pub bounds: Option<[[usize; 2]; 3]>,
}

/// Outer layers of voxels that make a structure count as cut off.
const BORDER: usize = 3;

/// Statistics of every label, by its value (256 entries; entry 0 is the background's and means little).
///
/// Intensities are cut to integers towards zero, as upstream does with CT. Upstream's 16 bits wrap around beyond
/// ±32767; here they saturate, and NaN counts as 0.
///
/// # Errors
///
/// [`GridError::SizesDiffer`] if image and labels do not have the same number of voxels along each axis.
pub fn statistics(
    volume: &Volume,
    labels: &LabelMap,
    options: &StatisticsOptions,
) -> Result<Vec<LabelStatistics>, GridError> {
    if volume.grid.size != labels.grid.size {
        return Err(GridError::SizesDiffer { found: labels.grid.size, expected: volume.grid.size });
    }
    let voxel_mm3 = f64::from(volume.grid.nifti_voxel_mm3());
    let sums = sums(volume, labels);
    let boxes = labels.boxes();
    let scale = if options.normalized { Scale::of(&sums) } else { Scale { least: 0.0, range: 1.0 } };
    let medians =
        if options.average == Average::Median { medians(volume, labels, &sums) } else { Vec::new() };
    let one = |(label, sum): (usize, &Sums)| {
        let part = boxes[label].filter(|_| sum.count > 0);
        let touches = part.is_some_and(|part| touches_border(&part, labels.grid.size));
        let (Some(part), false) = (part, touches && !options.include_touching_border) else {
            return LabelStatistics { volume_mm3: 0.0, intensity: 0.0, extra: ExtraStatistics::default() };
        };
        let average = medians.get(label).copied().unwrap_or_else(|| sum.mean());
        LabelStatistics {
            volume_mm3: sum.count as f64 * voxel_mm3,
            intensity: numpy_round_5(scale.apply(average)),
            extra: sum.extra(&part, scale),
        }
    };
    Ok(sums.iter().enumerate().map(one).collect())
}

fn touches_border(part: &IndexBox, size: [usize; 3]) -> bool {
    (0..3).any(|a| part.start[a] < BORDER || part.end[a] + BORDER > size[a])
}

/// An intensity as upstream's `astype(int16)` has it, without its wrap.
fn whole(value: f32) -> i16 {
    value as i16
}

/// Exact integer sums over a label's voxels.
#[derive(Clone)]
struct Sums {
    count: u64,
    sum: i64,
    squares: i64,
    least: i16,
    greatest: i16,
    index: [u64; 3],
}

fn sums(volume: &Volume, labels: &LabelMap) -> Vec<Sums> {
    let none = Sums { count: 0, sum: 0, squares: 0, least: i16::MAX, greatest: i16::MIN, index: [0; 3] };
    let mut sums = vec![none; 256];
    for (((k, j, i), &label), &value) in labels.labels.indexed_iter().zip(&volume.voxels) {
        let value = whole(value);
        let sum = &mut sums[usize::from(label)];
        sum.count += 1;
        sum.sum += i64::from(value);
        sum.squares += i64::from(value) * i64::from(value);
        sum.least = sum.least.min(value);
        sum.greatest = sum.greatest.max(value);
        sum.index[0] += i as u64;
        sum.index[1] += j as u64;
        sum.index[2] += k as u64;
    }
    sums
}

impl Sums {
    fn mean(&self) -> f64 {
        self.sum as f64 / self.count as f64
    }

    fn extra(&self, part: &IndexBox, scale: Scale) -> ExtraStatistics {
        let count = i128::from(self.count);
        // n Σx² - (Σx)² is exact; only the division and the root round.
        let spread = count * i128::from(self.squares) - i128::from(self.sum) * i128::from(self.sum);
        let deviation = (spread as f64).sqrt() / self.count as f64 / scale.range;
        ExtraStatistics {
            n_voxels: self.count,
            intensity_std: numpy_round_5(deviation),
            intensity_min: scale.apply(f64::from(self.least)),
            intensity_max: scale.apply(f64::from(self.greatest)),
            centroid: Some(self.index.map(|sum| python_round_2(sum as f64 / self.count as f64))),
            bounds: Some(std::array::from_fn(|a| [part.start[a], part.end[a] - 1])),
        }
    }
}

/// The median of each label, by counting values; 0 without voxels.
fn medians(volume: &Volume, labels: &LabelMap, sums: &[Sums]) -> Vec<f64> {
    let range = |sum: &Sums| if sum.count == 0 { 0 } else { sum.greatest.abs_diff(sum.least) as usize + 1 };
    let mut counts: Vec<Vec<u64>> = sums.iter().map(|sum| vec![0; range(sum)]).collect();
    for (&label, &value) in labels.labels.iter().zip(&volume.voxels) {
        let label = usize::from(label);
        counts[label][whole(value).abs_diff(sums[label].least) as usize] += 1;
    }
    let median = |(counts, sum): (Vec<u64>, &Sums)| {
        let value_at = |rank: u64| {
            let mut seen = 0;
            let at = counts.iter().position(|&count| {
                seen += count;
                seen > rank
            });
            f64::from(sum.least) + at.unwrap_or(0) as f64
        };
        if sum.count == 0 { 0.0 } else { (value_at((sum.count - 1) / 2) + value_at(sum.count / 2)) / 2.0 }
    };
    counts.into_iter().zip(sums).map(median).collect()
}

/// Intensities mapped so that the image's least is 0 and its greatest 1, or left alone.
#[derive(Clone, Copy)]
struct Scale {
    least: f64,
    range: f64,
}

impl Scale {
    fn of(sums: &[Sums]) -> Scale {
        let there = || sums.iter().filter(|sum| sum.count > 0);
        let least = there().map(|sum| sum.least).min().unwrap_or(0);
        let greatest = there().map(|sum| sum.greatest).max().unwrap_or(0);
        // An image of one value has no range; upstream divides by zero.
        Scale { least: f64::from(least), range: f64::from(greatest.abs_diff(least).max(1)) }
    }

    fn apply(self, value: f64) -> f64 {
        (value - self.least) / self.range
    }
}

/// `numpy.round(value, 5)`: scaled, rounded half to even, scaled back.
fn numpy_round_5(value: f64) -> f64 {
    (value * 1e5).round_ties_even() / 1e5
}

/// Python's `round(value, 2)`: the decimal nearest to the exact binary value.
fn python_round_2(value: f64) -> f64 {
    format!("{value:.2}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::Grid;
    use crate::bits::noise;

    /// Made by TotalSegmentator: `tests/reference/imaging/label_statistics.py`.
    #[derive(Deserialize)]
    struct Case {
        seed: u64,
        shape: [usize; 3],
        spacing: [f64; 3],
        average: Average,
        include: bool,
        statistics: BTreeMap<String, LabelStatistics>,
    }

    #[test]
    fn statistics_are_totalsegmentators() {
        let text = include_str!("../../../tests/reference/imaging/statistics.json");
        let cases: Vec<Case> = serde_json::from_str(text).unwrap();
        assert!(cases.len() > 3);
        for case in cases {
            // `[i, j, k]` there, `[[k, j, i]]` here.
            let turned =
                |array: ndarray::Array3<f64>| array.reversed_axes().as_standard_layout().into_owned();
            let values = turned(noise(case.shape, case.seed, 4096, 1024.0));
            let classes = turned(noise(case.shape, case.seed + 1, 40, 0.0));
            let grid = Grid::aligned(case.shape, case.spacing);
            let [ni, nj, nk] = case.shape;
            let labels = ndarray::Zip::indexed(&classes).map_collect(|(k, j, i), &class| {
                let edge = k < 3 || j < 3 || i < 3 || k + 3 >= nk || j + 3 >= nj || i + 3 >= ni;
                // Classes 1 to 3 stay off the border, 4 does not.
                if class < 5.0 && !(edge && class < 4.0) { class as u8 } else { 0 }
            });
            let volume = Volume { grid: grid.clone(), voxels: values.mapv(|value| value as f32) };
            let labels = LabelMap { grid, labels };
            let options = StatisticsOptions {
                average: case.average,
                include_touching_border: case.include,
                normalized: false,
            };
            let found = statistics(&volume, &labels, &options).unwrap();
            assert_eq!(case.statistics.len(), 5);
            for (label, expected) in case.statistics {
                assert_eq!(found[label.parse::<usize>().unwrap()], expected, "label {label}");
            }
        }
    }

    #[test]
    fn extremes_saturate_and_normalized_intensities_span_0_to_1() {
        let grid = Grid::aligned([7, 7, 7], [1.0; 3]);
        let mut volume = Volume { grid: grid.clone(), voxels: ndarray::Array3::zeros(grid.shape()) };
        let mut labels = LabelMap::background(&grid);
        labels.labels[[3, 3, 3]] = 9;
        volume.voxels[[3, 3, 3]] = 1e9;
        volume.voxels[[0, 0, 0]] = f32::NAN;
        let options = StatisticsOptions { normalized: true, ..StatisticsOptions::default() };
        let plain = statistics(&volume, &labels, &StatisticsOptions::default()).unwrap();
        assert_eq!((plain[9].volume_mm3, plain[9].intensity), (1.0, 32767.0));
        assert_eq!(statistics(&volume, &labels, &options).unwrap()[9].intensity, 1.0);
        let other = LabelMap::background(&Grid::aligned([7, 7, 6], [1.0; 3]));
        assert!(matches!(statistics(&volume, &other, &options), Err(GridError::SizesDiffer { .. })));
    }
}
