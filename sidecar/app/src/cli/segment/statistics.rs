//! `statistics.json`, as TotalSegmentator writes it.

use engine::Mode;
use imaging::{Progress, Segmentation, Statistics, StatisticsOptions, Volume};
use serde::Serialize;
use serde::ser::Serializer;

use super::arguments::{Aggregation, Arguments};
use crate::Result;

/// Structures by rising value, each with its numbers.
pub(super) struct Table(Vec<(String, Entry)>);

/// One structure.
#[derive(Debug, PartialEq, Serialize)]
struct Entry {
    /// mm³.
    volume: f64,
    intensity: f64,
    #[serde(flatten)]
    extra: Option<Extra>,
}

/// What `--statistics-extra` adds.
#[derive(Debug, PartialEq, Serialize)]
struct Extra {
    n_voxels: u64,
    intensity_std: f64,
    intensity_min: f64,
    intensity_max: f64,
    /// Mean index along i, j, k.
    centroid_vox: Option<[f64; 3]>,
    /// First and last index along i, j, k.
    bbox_vox: Option<[[usize; 2]; 3]>,
}

impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, entry)| (name, entry)))
    }
}

impl Table {
    /// Measures every structure of `segmentation`.
    ///
    /// Always on the image's own grid; TotalSegmentator measures on the coarse grid with `--fast`.
    pub(super) fn of(
        volume: &Volume,
        segmentation: &Segmentation,
        mode: Mode,
        arguments: &Arguments,
        progress: &Progress,
    ) -> Result<Table> {
        let median = arguments.stats_aggregation == Aggregation::Median;
        let options = StatisticsOptions { whole_numbers: mode == Mode::Compatible, median };
        let values: Vec<u8> = segmentation.segments.iter().map(|segment| segment.value).collect();
        let measured = imaging::statistics(volume, &segmentation.labels, &values, options, progress)?;
        let names = segmentation.segments.iter().map(|segment| segment.name.clone());
        let entries = measured.iter().map(|one| {
            let counts = one.voxels > 0 && (arguments.stats_include_incomplete || !one.touches_border);
            Entry::of(one, counts, median, arguments.statistics_extra)
        });
        Ok(Table(names.zip(entries).collect()))
    }
}

impl Entry {
    /// A structure that does not count is all zeros.
    fn of(one: &Statistics, counts: bool, median: bool, extra: bool) -> Entry {
        let intensity = if median { one.median.unwrap_or(0.0) } else { one.mean };
        Entry {
            volume: if counts { one.volume_mm3 } else { 0.0 },
            intensity: if counts { rounded(intensity, 5) } else { 0.0 },
            extra: extra.then(|| if counts { Extra::of(one) } else { Extra::empty() }),
        }
    }
}

impl Extra {
    fn of(one: &Statistics) -> Extra {
        Extra {
            n_voxels: one.voxels,
            intensity_std: rounded(one.deviation, 5),
            intensity_min: one.range[0],
            intensity_max: one.range[1],
            centroid_vox: Some(one.centroid.map(|index| rounded(index, 2))),
            bbox_vox: Some(one.bounds),
        }
    }

    fn empty() -> Extra {
        Extra {
            n_voxels: 0,
            intensity_std: 0.0,
            intensity_min: 0.0,
            intensity_max: 0.0,
            centroid_vox: None,
            bbox_vox: None,
        }
    }
}

/// `value` to some decimals, half to even, as NumPy rounds.
fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10f64.powi(decimals);
    (value * scale).round_ties_even() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_order_are_theirs() {
        let one = Statistics {
            value: 1,
            voxels: 3,
            volume_mm3: 4.5,
            mean: 12.345_678_9,
            median: None,
            deviation: 1.0,
            range: [11.0, 13.0],
            centroid: [1.0, 2.004, 3.0],
            bounds: [[4, 5], [6, 6], [7, 7]],
            touches_border: false,
        };
        let table = Table(vec![
            ("spleen".into(), Entry::of(&one, true, false, true)),
            ("liver".into(), Entry::of(&one, false, false, false)),
        ]);
        assert_eq!(
            serde_json::to_string(&table).unwrap(),
            r#"{"spleen":{"volume":4.5,"intensity":12.34568,"n_voxels":3,"intensity_std":1.0,"intensity_min":11.0,"intensity_max":13.0,"centroid_vox":[1.0,2.0,3.0],"bbox_vox":[[4,5],[6,6],[7,7]]},"liver":{"volume":0.0,"intensity":0.0}}"#
        );
    }
}
