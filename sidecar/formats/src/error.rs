//! What can be wrong with a file, and what was doubtful about one that was read all the same.

use std::path::{Path, PathBuf};

use imaging::{Cancelled, GridError};

use crate::{Format, dicom};

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One way out of an ambiguity: pass `key = value` in [`crate::ReadOptions::resolve`] and read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What is to be chosen: `geometry`, `volume`, `SeriesInstanceUID`, ...
    pub key: &'static str,
    /// The value that stands for this way out.
    pub value: String,
    /// What it means, in words and numbers for people.
    pub label: String,
}

impl Choice {
    /// The way out `key = value`, described by `label`.
    pub fn new(key: &'static str, value: impl Into<String>, label: impl Into<String>) -> Choice {
        Choice { key, value: value.into(), label: label.into() }
    }
}

/// Something that a reader had to decide or mend; it travels with the image into the provenance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Stable code, such as `W_SHEAR`; never changes meaning.
    pub code: &'static str,
    /// What was found and what was done about it, with the numbers.
    pub message: String,
}

impl Warning {
    /// A warning with a stable `code` and a sentence.
    pub fn new(code: &'static str, message: impl Into<String>) -> Warning {
        Warning { code, message: message.into() }
    }
}

impl std::fmt::Display for Warning {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

/// Why a file could not be read or written.
///
/// A guess about geometry or intensity is never made in silence: what is ambiguous is an error that lists the
/// [`Error::choices`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system did not give the bytes.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The operating system did not take the bytes.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file asked for, not the temporary one beside it.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The disk is full; nothing was left behind.
    #[error("no space left on the disk to write `{}`", path.display())]
    DiskFull {
        /// The file asked for.
        path: PathBuf,
    },
    /// The work was asked to stop; nothing was left behind.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// The bytes are of no kind that this crate reads.
    #[error("not an image that can be read: {detail}")]
    UnknownFormat {
        /// What the bytes look like.
        detail: String,
    },
    /// The bytes break the rules of their format.
    #[error("not a valid {format} file: {detail}")]
    Parse {
        /// The format that the bytes claim.
        format: Format,
        /// What was found and what the format asks for.
        detail: String,
    },
    /// The voxels end before the header says they should.
    #[error("the data end too early: the header promises {expected} bytes, {found} are there")]
    Truncated {
        /// Bytes the header promises, at least.
        expected: u64,
        /// Bytes that are there, at most.
        found: u64,
    },
    /// The bytes contradict themselves: checksum, lengths, doubled fields.
    #[error("the file is damaged: {detail}")]
    Corrupt {
        /// What contradicts what.
        detail: String,
    },
    /// Compressed data that unpack to far more than declared.
    #[error("the compressed data go on past the {declared} bytes that are declared for them")]
    Bomb {
        /// Bytes declared or allowed.
        declared: u64,
    },
    /// More than this program is willing to read.
    #[error("{what}: {found}, at most {most} can be read")]
    Limit {
        /// What is too much.
        what: &'static str,
        /// How much was found.
        found: u64,
        /// How much is allowed.
        most: u64,
    },
    /// The memory for the voxels is not there.
    #[error("not enough memory: {bytes} bytes are needed")]
    OutOfMemory {
        /// Bytes needed.
        bytes: u64,
    },
    /// A valid file of a kind that holds no scalar image, or refers to other files.
    #[error("this kind of file is not supported: {detail}")]
    UnsupportedType {
        /// What was found.
        detail: String,
    },
    /// Nothing says where the voxels lie.
    #[error("the file does not say where its voxels lie: {detail}")]
    GeometryMissing {
        /// What is missing.
        detail: String,
        /// Assumptions that the user may take over.
        choices: Vec<Choice>,
    },
    /// The geometry cannot be that of a patient.
    #[error("the geometry cannot be right: {detail}")]
    GeometryInvalid {
        /// What was found and what was expected.
        detail: String,
    },
    /// The file places its voxels twice, at different places.
    #[error("the file places its voxels in two ways that disagree: {detail}")]
    GeometryAmbiguous {
        /// How far apart they are.
        detail: String,
        /// The candidates.
        choices: Vec<Choice>,
    },
    /// The axes are further from perpendicular than any scanner makes them.
    #[error("the voxel axes are sheared by {degrees:.1}°, at most {most}° can be corrected")]
    GeometryShear {
        /// The largest shear found, in degrees.
        degrees: f64,
        /// The largest allowed, in degrees.
        most: f64,
    },
    /// The values are no intensities.
    #[error("the intensities cannot be right: {detail}")]
    Intensity {
        /// What was found.
        detail: String,
    },
    /// The image has fewer or more than three axes.
    #[error("not a three-dimensional image: {detail}")]
    NotThreeDimensional {
        /// The shape.
        detail: String,
        /// The volumes that can be read.
        choices: Vec<Choice>,
    },
    /// A choice that does not fit the file.
    #[error("`{key}={value}` does not fit this file")]
    Choice {
        /// What was to be chosen.
        key: &'static str,
        /// What was asked for.
        value: String,
        /// What can be asked for.
        choices: Vec<Choice>,
    },
    /// Structures of a segmentation object share voxels, and a label map holds one structure for each.
    #[error(
        "the structures `{first}` and `{second}` overlap, and a label map holds one structure for each voxel"
    )]
    Overlap {
        /// The structure that is listed first.
        first: String,
        /// The structure that is listed after it.
        second: String,
        /// Which of them to prefer.
        choices: Vec<Choice>,
    },
    /// A DICOM series cannot be read.
    #[error("{error}")]
    Dicom {
        /// Why, with the codes of this crate.
        error: Box<dicom::Error>,
        /// The images to choose from, of a mixed series.
        choices: Vec<Choice>,
    },
    /// A value that the format asked for cannot hold.
    #[error("cannot be written: {detail}")]
    Encode {
        /// What does not fit where.
        detail: String,
    },
}

impl Error {
    /// The stable code, as the HTTP interface and the provenance carry it; it never changes meaning.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Error::Read { .. } => "E_READ",
            Error::Write { .. } => "E_WRITE",
            Error::DiskFull { .. } => "E_DISK_FULL",
            Error::Cancelled(_) => "E_CANCELLED",
            Error::UnknownFormat { .. } | Error::Parse { .. } => "E_PARSE",
            Error::Truncated { .. } => "E_TRUNCATED",
            Error::Corrupt { .. } => "E_CORRUPT",
            Error::Bomb { .. } => "E_BOMB",
            Error::Limit { .. } => "E_LIMIT",
            Error::OutOfMemory { .. } => "E_OOM",
            Error::UnsupportedType { .. } => "E_UNSUPPORTED_TYPE",
            Error::GeometryMissing { .. } => "E_GEOM_MISSING",
            Error::GeometryInvalid { .. } => "E_GEOM_INVALID",
            Error::GeometryAmbiguous { .. } => "E_GEOM_AMBIGUOUS",
            Error::GeometryShear { .. } => "E_GEOM_SHEAR",
            Error::Intensity { .. } => "E_INTENSITY",
            Error::NotThreeDimensional { .. } => "E_NOT_3D",
            Error::Choice { .. } => "E_CHOICE",
            Error::Overlap { .. } => "E_OVERLAP",
            Error::Dicom { error, .. } => error.code(),
            Error::Encode { .. } => "E_ENCODE",
        }
    }

    /// The ways out of an ambiguity, to be passed in [`crate::ReadOptions::resolve`]; mostly empty.
    #[must_use]
    pub fn choices(&self) -> &[Choice] {
        match self {
            Error::GeometryMissing { choices, .. }
            | Error::GeometryAmbiguous { choices, .. }
            | Error::NotThreeDimensional { choices, .. }
            | Error::Choice { choices, .. }
            | Error::Overlap { choices, .. }
            | Error::Dicom { choices, .. } => choices,
            _ => &[],
        }
    }

    /// What the user can do next, in one sentence; the hint for an error with [`Error::choices`] is to choose.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            _ if !self.choices().is_empty() => "read again with one of the choices listed",
            Error::Read { .. } => "check the path and that you may read it",
            Error::Write { .. } => "check that you may write into the folder",
            Error::DiskFull { .. } => "free some space or write to another disk",
            Error::UnknownFormat { .. } => {
                "give a NIfTI file, an attached NRRD file, a DICOM folder, or a zip of one"
            }
            Error::Truncated { .. } => "the copy or download was probably cut short: fetch the file again",
            Error::Corrupt { .. } => "fetch the file again, or export it anew from its source",
            Error::Bomb { .. } => {
                "export the file anew; this one is built to exhaust memory, or badly damaged"
            }
            Error::Limit { .. } | Error::OutOfMemory { .. } => "crop or resample the image before",
            Error::GeometryMissing { .. }
            | Error::GeometryInvalid { .. }
            | Error::GeometryAmbiguous { .. } => "convert again from the original DICOM files",
            Error::GeometryShear { .. } => "resample the image onto perpendicular axes before",
            Error::Intensity { .. } => "export the image anew, with its original intensities",
            Error::NotThreeDimensional { .. } => "give one three-dimensional image",
            Error::Dicom { error, .. } => return error.hint(),
            _ => return None,
        })
    }

    /// The error of reading `path`.
    pub(crate) fn read(path: &Path, source: std::io::Error) -> Error {
        Error::Read { path: path.to_owned(), source }
    }

    /// The error of writing `path`; a full disk is told apart.
    pub(crate) fn write(path: &Path, source: std::io::Error) -> Error {
        match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Error::DiskFull { path: path.to_owned() }
            }
            _ => Error::Write { path: path.to_owned(), source },
        }
    }
}

impl From<GridError> for Error {
    fn from(error: GridError) -> Error {
        Error::GeometryInvalid { detail: error.to_string() }
    }
}

impl From<dicom::Error> for Error {
    fn from(error: dicom::Error) -> Error {
        if let dicom::Error::Cancelled(cancelled) = error {
            return Error::Cancelled(cancelled);
        }
        let key = property(&error).map(dicom::Property::keyword);
        let choice = |choice: &dicom::Choice| {
            Some(Choice::new(key?, &choice.value.0, format!("{} slices", choice.slices)))
        };
        let choices = error.choices().iter().filter_map(choice).collect();
        Error::Dicom { error: Box::new(error), choices }
    }
}

/// What the images of a mixed series differ in.
fn property(error: &dicom::Error) -> Option<dicom::Property> {
    match error {
        dicom::Error::SeriesMixed { property, .. } | dicom::Error::NoSuchChoice { property, .. } => {
            Some(*property)
        }
        dicom::Error::InFile { problem, .. } => property(problem),
        _ => None,
    }
}
