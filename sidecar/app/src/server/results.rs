//! What a job leaves in its folder: the table of its structures, and its labels in the formats that are asked for.

use std::fs;
use std::path::Path;

use formats::Source;
use formats::dicom::seg::Making;
use formats::dicom::{self, seg};
use imaging::{Grid, LabelMap, Progress, Segment, Segmentation};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::error::{Answer, Code, Refusal};
use super::id::Id;
use super::inputs::ChannelSource;
use super::protocol::{Format, LABELS, ORIGIN, TABLE, Used};
use super::rendezvous::sync_folder;
use super::views::SegmentShape;
use super::worker::of_formats;
use crate::making;

/// The table of a result: what `GET /v1/jobs/ID/segmentation` gives.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct Table {
    task: String,
    /// The image of the volume that was segmented.
    #[serde(default)]
    pub(super) group: Option<Used>,
    /// The images of all channels of the task, in its order.
    #[serde(default)]
    pub(super) channels: Vec<ChannelSource>,
    /// Of the labels, which is that of the input: LPS, millimetres.
    #[schema(value_type = Object)]
    pub(super) grid: Grid,
    segments: Vec<Row>,
    warnings: Vec<String>,
    /// Versions, models and settings: an [`engine::Provenance`]; null where no network was run.
    #[schema(value_type = Object)]
    pub(super) provenance: Value,
}

/// A structure of a result.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = FoundStructure)]
struct Row {
    /// The same for the same structure in every result.
    id: String,
    #[serde(flatten)]
    #[schema(value_type = SegmentShape)]
    segment: Segment,
    voxels: u64,
    volume_ml: f64,
}

impl Table {
    /// A table without structures.
    pub(super) fn of(grid: &Grid, task: String, warnings: Vec<String>, provenance: Value) -> Table {
        let (group, channels, segments) = (None, Vec::new(), Vec::new());
        Table { task, group, channels, grid: grid.clone(), segments, warnings, provenance }
    }

    /// Lists the structures of a segmentation, or only some, with their volumes in millilitres.
    pub(super) fn list(&mut self, segmentation: &Segmentation, only: &[String]) {
        let counts = segmentation.labels.counts();
        let voxel_ml = segmentation.labels.grid.determinant().abs() / 1000.0;
        let wanted = |segment: &&Segment| only.is_empty() || only.contains(&segment.name);
        let row = |segment: &Segment| {
            let voxels = counts[usize::from(segment.value)];
            Row {
                id: format!("{}.{}", self.task, segment.name),
                segment: segment.clone(),
                voxels,
                volume_ml: voxels as f64 * voxel_ml,
            }
        };
        self.segments = segmentation.segments.iter().filter(wanted).map(row).collect();
    }

    /// The structures.
    pub(super) fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().map(|row| &row.segment)
    }

    /// The structure of a value.
    pub(super) fn segment(&self, value: u8) -> Option<&Segment> {
        self.segments().find(|segment| segment.value == value)
    }

    /// Says what a label means, whatever it was called before.
    pub(super) fn name(&mut self, segment: Segment) {
        let id = format!("{}.{}", self.task, segment.name);
        self.segments.retain(|row| row.segment.value != segment.value);
        self.segments.push(Row { id, segment, voxels: 0, volume_ml: 0.0 });
        self.segments.sort_by_key(|row| row.segment.value);
    }
}

/// Writes the labels of a finished job in another format, whole or not at all.
pub(super) fn export(folder: &Path, format: Format, progress: &Progress) -> Answer<Value> {
    let spool = |error: std::io::Error| Refusal::spool(&error);
    let table: Table = serde_json::from_slice(&fs::read(folder.join(TABLE)).map_err(spool)?)
        .map_err(|error| Refusal::spool(&error.into()))?;
    let bytes = fs::read(folder.join(LABELS)).map_err(spool)?;
    let mut labels = LabelMap::background(&table.grid);
    let voxels = labels.labels.as_slice_mut().filter(|voxels| voxels.len() == bytes.len());
    voxels.ok_or_else(Refusal::internal)?.copy_from_slice(&bytes);
    let making = making::of(&table.provenance);
    let segments = table.segments.into_iter().map(|row| row.segment).collect();
    write_as(folder, &Segmentation { labels, segments }, format, &making, progress)?;
    Ok(Value::Null)
}

/// Writes labels into a folder in a format, whole or not at all.
pub(super) fn write_as(
    folder: &Path,
    segmentation: &Segmentation,
    format: Format,
    making: &Making,
    progress: &Progress,
) -> Answer<()> {
    let target = folder.join(format.file());
    // Two may ask for the same at a time.
    let part = Id::new().map_err(|_| Refusal::internal())?;
    let aside = folder.join(format!("{part}-{}", format.file()));
    match format {
        Format::DicomSeg => {
            let source = origin(folder)?;
            seg::write(&aside, segmentation, &source, making, progress).map_err(of_formats)?;
        }
        Format::Nifti | Format::SegNrrd => {
            let source = Source::Memory { modality: None };
            formats::write_segmentation(&aside, segmentation, &source, progress).map_err(of_formats)?;
        }
    }
    fs::rename(&aside, &target).and_then(|()| sync_folder(&target)).map_err(|error| Refusal::spool(&error))
}

/// What objects derived from a job's image repeat.
fn origin(folder: &Path) -> Answer<dicom::Source> {
    match fs::read(folder.join(ORIGIN)) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| Refusal::spool(&error.into())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Refusal::new(
            Code::ImageRefused,
            "a DICOM segmentation belongs to a DICOM series, and the volume did not come as one",
            "upload the series, or name its slices in the volume's header (`sources`, `series`)",
        )),
        Err(error) => Err(Refusal::spool(&error)),
    }
}
