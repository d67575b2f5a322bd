//! How a session begins, in the worker: its labels are checked against its image, and get their names.

use std::fs;
use std::path::Path;

use engine::catalogue;
use formats::ReadOptions;
use imaging::{LabelMap, Progress, Segment};
use serde_json::Value;

use super::super::error::{Answer, Code, Refusal};
use super::super::protocol::TABLE;
use super::super::rendezvous::write_whole;
use super::super::results::Table;
use super::super::worker::of_formats;
use super::desks::{Open, image, opened, started};
use super::orders::{Beginning, START, START_VOLUME};

/// How far corners of two grids may lie apart that are meant to be the same, in voxels: viewers round.
const TOLERANCE: f64 = 0.01;

/// Completes the folder of a new session, and opens it.
pub(super) fn begin(folder: &Path, new: &Beginning, progress: &Progress) -> Answer<Open> {
    let spool = |error: std::io::Error| Refusal::spool(&error);
    let mut table = match fs::read(folder.join(TABLE)) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| Refusal::spool(&error.into()))?,
        Err(_) => Table::of(&new.grid, String::new(), Vec::new(), Value::Null),
    };
    check(&table.grid, new)?;
    table.grid = new.grid.clone();
    let (image, labels) = rayon::join(|| image(folder, progress), || start(folder, new, progress));
    let (image, labels) = (image?, labels?);
    let named = new.structures.iter().map(|new| {
        let known = catalogue::segment(&new.name, new.value, new.color);
        let terminology = new.terminology.clone().or(known.terminology);
        Segment { terminology, ..known }
    });
    for segment in named.collect::<Vec<_>>() {
        if segment.value == 0 {
            let message = "label 0 is background";
            return Err(Refusal::new(Code::Invalid, message, "give structures the values 1 to 255"));
        }
        table.name(segment);
    }
    let mut open = opened(folder, table, 0, (image, labels))?;
    let present = (1..=255u8).filter(|&value| open.session.counts()[usize::from(value)] > 0);
    for value in present.collect::<Vec<_>>() {
        if open.table.segment(value).is_none() {
            open.table.name(nameless(value));
        }
    }
    let bytes = serde_json::to_vec(&open.table).map_err(|_| Refusal::internal())?;
    write_whole(&folder.join(TABLE), &bytes).map_err(spool)?;
    Ok(open)
}

/// What a label is called that nobody has named.
pub(super) fn nameless(value: u8) -> Segment {
    catalogue::segment(&format!("label_{value}"), value, None)
}

/// The labels to begin with, which are kept.
fn start(folder: &Path, new: &Beginning, progress: &Progress) -> Answer<LabelMap> {
    let Some(labels) = read_labels(folder, new, progress)? else {
        return started(&new.grid, folder);
    };
    let bytes = labels.labels.as_slice().ok_or_else(Refusal::internal)?;
    write_whole(&folder.join(START), bytes).map_err(|error| Refusal::spool(&error))?;
    let _ = fs::remove_file(folder.join(START_VOLUME));
    Ok(labels)
}

/// The labels to begin with, where they are not there yet as a job left them.
fn read_labels(folder: &Path, new: &Beginning, progress: &Progress) -> Answer<Option<LabelMap>> {
    let volume = folder.join(START_VOLUME);
    if volume.exists() {
        let read = formats::read_segmentation(&volume, &ReadOptions::default(), progress);
        let labels = read.map_err(of_formats)?.labels;
        check(&labels.grid, new)?;
        return Ok(Some(labels));
    }
    Ok((!folder.join(START).exists()).then(|| LabelMap::background(&new.grid)))
}

fn check(found: &imaging::Grid, new: &Beginning) -> Answer<()> {
    if new.grid.matches(found, TOLERANCE) {
        return Ok(());
    }
    let message = format!(
        "the labels have {:?} voxels, the image {:?}, or they lie elsewhere",
        found.size, new.grid.size
    );
    Err(Refusal::new(Code::GeometryInvalid, message, "send the labels on the grid of the image"))
}
