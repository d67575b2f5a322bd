//! What a reader is asked, what it answers, and what a writer must know to give back the same geometry.

use std::collections::BTreeMap;

use imaging::Volume;

use crate::error::{Choice, Error, Result, Warning};
use crate::{dicom, nifti, nrrd};

/// The kinds of file that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// NIfTI-1 or NIfTI-2, plain or gzip.
    Nifti,
    /// NRRD with attached data.
    Nrrd,
    /// DICOM: a folder, a file, or a zip of files.
    Dicom,
    /// A zip archive.
    Zip,
    /// Portable network graphics.
    Png,
}

impl std::fmt::Display for Format {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Format::Nifti => "NIfTI",
            Format::Nrrd => "NRRD",
            Format::Dicom => "DICOM",
            Format::Zip => "zip",
            Format::Png => "PNG",
        })
    }
}

/// How to read: the answers to what files leave open, and how much is too much.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// Answers to [`Error::choices`], by key: `geometry`, `volume`, `SeriesInstanceUID`, ...
    pub resolve: BTreeMap<String, String>,
    /// DICOM's code of the modality, where the caller knows it (`CT`, `MR`); files of a modality of their own keep it.
    pub modality: Option<String>,
    /// How much is too much.
    pub limits: Limits,
}

impl ReadOptions {
    /// These options with one more ambiguity resolved.
    #[must_use]
    pub fn resolved(mut self, key: &str, value: &str) -> ReadOptions {
        self.resolve.insert(key.to_owned(), value.to_owned());
        self
    }

    /// The value chosen for `key`, if any; it must be among `choices`.
    ///
    /// # Errors
    ///
    /// [`Error::Choice`] when something else was chosen.
    pub fn chosen(&self, key: &'static str, choices: &[Choice]) -> Result<Option<&str>> {
        match self.resolve.get(key) {
            None => Ok(None),
            Some(value) if choices.iter().any(|choice| choice.key == key && choice.value == *value) => {
                Ok(Some(value))
            }
            Some(value) => Err(Error::Choice { key, value: value.clone(), choices: choices.to_vec() }),
        }
    }
}

/// How much is too much; checked against headers and file lengths before memory is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Voxels of a volume.
    pub voxels: u64,
    /// Voxels along one axis.
    pub side: u64,
    /// Files of a folder or a zip archive.
    pub files: u64,
    /// Bytes of a zip archive's entries together, uncompressed.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { voxels: 1_000_000_000, side: 4096, files: 8192, bytes: 4 << 30 }
    }
}

/// An image as it was read.
#[derive(Debug, Clone)]
pub struct Image {
    /// Rescaled intensities on their grid.
    pub volume: Volume,
    /// Where they came from.
    pub source: Source,
    /// What the reader mended or assumed.
    pub warnings: Vec<Warning>,
}

/// What a file said about itself besides its voxels, so that a result can repeat it bit by bit.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Source {
    /// Voxels that came without a file.
    Memory {
        /// DICOM's code of the modality, where known.
        modality: Option<String>,
    },
    /// The header of a NIfTI file.
    Nifti(Box<nifti::Header>),
    /// The geometry fields of a NRRD file.
    Nrrd(Box<nrrd::Header>),
    /// What objects derived from a DICOM series repeat.
    Dicom(Box<dicom::Source>),
}

impl Source {
    /// DICOM's code of the modality, `CT` or `MR`, where the file knows it.
    #[must_use]
    pub fn modality(&self) -> Option<&str> {
        match self {
            Source::Memory { modality } => modality.as_deref(),
            Source::Nifti(_) => None,
            Source::Nrrd(header) => header.modality.as_deref(),
            Source::Dicom(source) => Some(&source.modality),
        }
    }

    /// The header to repeat in a NIfTI result, if the source has one.
    #[must_use]
    pub fn nifti(&self) -> Option<&nifti::Header> {
        match self {
            Source::Nifti(header) => Some(header),
            _ => None,
        }
    }
}

/// What a header tells without reading the voxels.
#[derive(Debug, Clone, PartialEq)]
pub struct Info {
    /// The kind of file.
    pub format: Format,
    /// Voxels along i, j, k.
    pub size: [usize; 3],
    /// Millimetres between voxel centres along i, j, k; `None` for DICOM, where it takes all slices to know.
    pub spacing: Option<[f64; 3]>,
    /// Volumes in the file: 1, or the length of the fourth and further axes.
    pub volumes: usize,
    /// How the file stores a voxel: `int16`, `float32`, ...; empty for DICOM.
    pub sample: String,
    /// DICOM's code of the modality, where the file knows it.
    pub modality: Option<String>,
}
