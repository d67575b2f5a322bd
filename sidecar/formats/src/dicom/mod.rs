//! DICOM series: a folder of slices, or an enhanced multi-frame object, to one volume that lies where the patient lay.
//!
//! Files are walked by a strict scanner of our own before any other code may touch them (`preflight`), grouped and
//! checked (`series`), laid on a grid (`stack`) and read in parallel (`assemble`). Every result is either right to
//! within a tolerance, or an [`Error`]; what had to be dealt with is a [`Warning`].

mod assemble;
mod attributes;
mod compressed;
mod dataset;
mod elements;
mod error;
mod files;
mod groups;
mod image;
mod jpegls;
mod pixels;
mod preflight;
pub mod seg;
mod series;
mod source;
mod stack;
#[cfg(test)]
mod tests;
mod told;
mod warning;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use imaging::{Progress, Volume};

pub use error::{Choice, Error, Property, Withheld};
pub use groups::{Group, Groups};
pub use pixels::Content;
pub use source::{Attribute, Source, SourceSlice};
pub use told::Told;
pub use warning::Warning;

/// How to read a series.
#[derive(Debug, Clone)]
pub struct Options {
    /// For a mixed series: which value of which property ([`Property::keyword`]) to take.
    pub choose: BTreeMap<String, String>,
    /// The most files to look at.
    pub maximum_files: usize,
    /// The most voxels of the volume.
    pub maximum_voxels: usize,
    /// The fewest slices that make a volume, at least 2.
    pub minimum_slices: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            choose: BTreeMap::new(),
            maximum_files: 65_536,
            maximum_voxels: 2_000_000_000,
            minimum_slices: 2,
        }
    }
}

/// A series as one volume.
#[derive(Debug, Clone)]
pub struct Series {
    /// Hounsfield units for CT; rescaled values otherwise. k rises along row x column of the slices.
    pub volume: Volume,
    /// What a derived object must repeat.
    pub source: Source,
    /// What was dealt with.
    pub warnings: Vec<Warning>,
}

/// A series in a folder, for somebody to choose from.
#[derive(Debug, Clone)]
pub struct Summary {
    /// What to give as `SeriesInstanceUID` in [`Options::choose`].
    pub series_instance_uid: Withheld,
    /// `CT`, `MR`, `PT` ...
    pub modality: String,
    /// Number the scanner gave it.
    pub series_number: Option<i64>,
    /// What the scanner calls it; for people, never for logs.
    pub description: Withheld,
    /// Image slices that could be part of a volume.
    pub slices: usize,
    /// Rows and columns of the first of them.
    pub matrix: Option<[usize; 2]>,
    /// Image Type of its slices, as stored: `DERIVED\\PRIMARY\\DIFFUSION\\ADC`.
    pub image_types: BTreeSet<String>,
    /// Whether some slices have a b-value above 0.
    pub is_weighted: bool,
}

/// Reads the one series below `path`, a folder (with its subfolders) or a single file.
///
/// # Errors
///
/// [`Error`], with [`Error::choices`] when somebody has to choose.
pub fn read_folder(path: &Path, options: &Options, progress: &Progress) -> Result<Series, Error> {
    assemble::read(files::below(path, options)?, options, progress)
}

/// Reads the one series among files in memory, given by name, as from an archive.
///
/// # Errors
///
/// As [`read_folder`].
pub fn read_files(
    files: impl IntoIterator<Item = (String, Vec<u8>)>,
    options: &Options,
    progress: &Progress,
) -> Result<Series, Error> {
    assemble::read(given(files, options)?, options, progress)
}

/// Reads every image of the one series among files, given by name: a diffusion series has one for each b-value, and others
/// one for each echo, time or phase. The whole of them may have [`Options::maximum_voxels`].
///
/// # Errors
///
/// As [`read_folder`], when not one image can be read; images of several series are still a choice.
pub fn read_groups(
    files: impl IntoIterator<Item = (String, impl Into<Content>)>,
    options: &Options,
    progress: &Progress,
) -> Result<Groups, Error> {
    groups::read(given(files, options)?, options, progress)
}

/// What series lie below `path`, by rising series number.
///
/// # Errors
///
/// [`Error`] when the disk fails, a file is damaged, or there are too many.
pub fn list_series(path: &Path, options: &Options, progress: &Progress) -> Result<Vec<Summary>, Error> {
    Ok(summaries(&files::scan(files::below(path, options)?, progress)?))
}

/// What series are among files in memory, by rising series number.
///
/// # Errors
///
/// As [`list_series`].
pub fn list_files(
    files: impl IntoIterator<Item = (String, Vec<u8>)>,
    options: &Options,
    progress: &Progress,
) -> Result<Vec<Summary>, Error> {
    Ok(summaries(&files::scan(given(files, options)?, progress)?))
}

/// Whether the first bytes of a file (132 are enough) say that it is DICOM.
#[must_use]
pub fn is_dicom(head: &[u8]) -> bool {
    head.get(128..132) == Some(b"DICM")
}

/// Files, sorted by name.
fn given(
    files: impl IntoIterator<Item = (String, impl Into<Content>)>,
    options: &Options,
) -> Result<Vec<files::Given>, Error> {
    let limit = options.maximum_files;
    let mut given: Vec<files::Given> = files
        .into_iter()
        .take(limit + 1)
        .map(|(name, content)| files::Given { name, content: content.into() })
        .collect();
    if given.len() > limit {
        return Err(Error::Limit { what: "files", found: given.len() as u64, limit: limit as u64 });
    }
    given.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(given)
}

/// One line for each series.
fn summaries(found: &files::Found) -> Vec<Summary> {
    let mut by_series: BTreeMap<&str, Summary> = BTreeMap::new();
    for object in &found.objects {
        let summary = by_series.entry(&object.series).or_insert_with(|| Summary {
            series_instance_uid: Withheld(object.series.clone()),
            modality: object.modality.clone(),
            series_number: object.series_number,
            description: object.series_description.clone(),
            slices: 0,
            matrix: None,
            image_types: BTreeSet::new(),
            is_weighted: false,
        });
        if let Ok((stored, image)) = &object.slices {
            summary.slices += image.slices.iter().filter(|slice| !slice.localizer).count();
            for (property, value) in image.slices.iter().flat_map(|slice| &slice.properties) {
                match property {
                    Property::ImageType => drop(summary.image_types.insert(value.clone())),
                    Property::DiffusionBValue => {
                        summary.is_weighted |= value.parse::<f64>().is_ok_and(|b| b > 0.0);
                    }
                    _ => {}
                }
            }
            summary.matrix = summary.matrix.or(Some([stored.storage.rows, stored.storage.columns]));
        }
    }
    let mut summaries: Vec<Summary> = by_series.into_values().collect();
    summaries.sort_by_key(|summary| summary.series_number);
    summaries
}
