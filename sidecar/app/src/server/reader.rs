//! Reads uploaded files, in the worker: every image goes to the volume's folder as plain voxels.

use formats::{Container, ReadOptions, Source};
use imaging::Progress;
use serde_json::Value;

use super::error::{Answer, Refusal};
use super::protocol::{Image, Images, Note, Reading, origin, voxels};
use super::rendezvous::write_for_now;
use super::worker::of_formats;

/// Reads an upload; [`Images`] are the answer.
pub(super) fn read(reading: &Reading, progress: &Progress) -> Answer<Value> {
    let boundary = reading.boundary.clone();
    let container = boundary.map_or(Container::File, |boundary| Container::Multipart { boundary });
    let options = ReadOptions {
        resolve: reading.resolve.clone(),
        modality: reading.modality.clone(),
        ..ReadOptions::default()
    };
    let found = formats::read_groups(&reading.upload, &container, &options, progress).map_err(of_formats)?;
    let mut images = Images {
        images: Vec::new(),
        usual: found.usual,
        warnings: found.warnings.iter().map(note).collect(),
    };
    for (index, group) in found.groups.into_iter().enumerate() {
        images.images.push(keep(index, group, reading, progress)?);
    }
    serde_json::to_value(&images).map_err(|_| Refusal::internal())
}

/// Writes one image, and what derived objects repeat.
fn keep(index: usize, group: formats::Group, reading: &Reading, progress: &Progress) -> Answer<Image> {
    let formats::Group { id, label, b_value, image } = group;
    let modality = image.source.modality().map(str::to_owned).or_else(|| reading.modality.clone());
    let path = reading.folder.join(voxels(index));
    let sample = formats::nrrd::write_unpacked(&path, &image.volume, modality.as_deref(), progress);
    let sample = sample.map_err(of_formats)?;
    let grid = image.volume.grid.clone();
    let mut sources = Vec::new();
    let mut series = None;
    if let Source::Dicom(source) = &image.source {
        let bytes = serde_json::to_vec(source).map_err(|_| Refusal::internal())?;
        let written = write_for_now(&reading.folder.join(origin(index)), &bytes);
        written.map_err(|error| Refusal::spool(&error))?;
        sources = vec![None; grid.size[2]];
        for slice in source.slices.iter().filter(|slice| slice.k.fract() == 0.0) {
            if let Some(plane) = sources.get_mut(slice.k as usize) {
                *plane = Some(slice.sop_instance_uid.clone());
            }
        }
        series = Some(source.series_instance_uid.clone());
    }
    Ok(Image {
        id,
        label,
        b_value,
        grid,
        dtype: sample.name().to_owned(),
        modality,
        sources,
        has_origin: series.is_some(),
        series,
        warnings: image.warnings.iter().map(note).collect(),
    })
}

fn note(warning: &formats::Warning) -> Note {
    Note { code: warning.code.to_owned(), message: warning.message.clone() }
}
