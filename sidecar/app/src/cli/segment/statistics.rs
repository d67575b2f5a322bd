//! `statistics.json`, as TotalSegmentator writes it.

use imaging::{Average, ExtraStatistics, LabelStatistics, Segmentation, StatisticsOptions, Volume};
use serde::Serialize;
use serde::ser::Serializer;

use super::arguments::{Aggregation, Arguments};
use crate::{Error, Result};

/// Structures by rising value, each with its numbers.
pub(super) struct Table(Vec<(String, Entry)>);

/// One structure.
#[derive(Debug, PartialEq, Serialize)]
struct Entry {
    /// mm³.
    volume: f64,
    intensity: f64,
    /// What `--statistics-extra` adds.
    #[serde(flatten)]
    extra: Option<ExtraStatistics>,
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
    pub(super) fn of(volume: &Volume, segmentation: &Segmentation, arguments: &Arguments) -> Result<Table> {
        let average = match arguments.stats_aggregation {
            Aggregation::Mean => Average::Mean,
            Aggregation::Median => Average::Median,
        };
        let include_touching_border = arguments.stats_include_incomplete;
        let options = StatisticsOptions { average, include_touching_border, ..StatisticsOptions::default() };
        let measured = imaging::statistics(volume, &segmentation.labels, &options)
            .map_err(|error| Error::Engine(error.into()))?;
        let entries = segmentation.segments.iter().filter_map(|segment| {
            let numbers = measured.get(usize::from(segment.value))?;
            Some((segment.name.clone(), Entry::of(numbers, arguments.statistics_extra)))
        });
        Ok(Table(entries.collect()))
    }
}

impl Entry {
    fn of(numbers: &LabelStatistics, extra: bool) -> Entry {
        Entry {
            volume: numbers.volume_mm3,
            intensity: numbers.intensity,
            extra: extra.then(|| numbers.extra.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_order_are_theirs() {
        let extra = ExtraStatistics {
            n_voxels: 3,
            intensity_std: 1.0,
            intensity_min: 11.0,
            intensity_max: 13.0,
            centroid: Some([1.0, 2.0, 3.0]),
            bounds: Some([[4, 5], [6, 6], [7, 7]]),
        };
        let numbers = LabelStatistics { volume_mm3: 4.5, intensity: 12.34568, extra };
        let table = Table(vec![
            ("spleen".into(), Entry::of(&numbers, true)),
            ("liver".into(), Entry::of(&numbers, false)),
        ]);
        let expected = concat!(
            r#"{"spleen":{"volume":4.5,"intensity":12.34568,"n_voxels":3,"intensity_std":1.0,"intensity_min":11.0,"#,
            r#""intensity_max":13.0,"centroid_vox":[1.0,2.0,3.0],"bbox_vox":[[4,5],[6,6],[7,7]]},"#,
            r#""liver":{"volume":4.5,"intensity":12.34568}}"#,
        );
        assert_eq!(serde_json::to_string(&table).unwrap(), expected);
    }
}
