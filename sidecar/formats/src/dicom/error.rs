//! What can be wrong with a DICOM series.
//!
//! No message holds text from the files: no names, no identifiers, no file names. What a user needs in order to
//! choose travels in fields ([`Choice`], [`Error::file_name`]) that are shown, never logged.

use std::fmt;
use std::sync::Arc;

/// Why a series could not be read as one volume.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk failed, or access was refused.
    #[error("cannot read from the disk")]
    Read {
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// One file is at fault.
    #[error("file {number} of {total} (by name): {problem}")]
    InFile {
        /// Place of the file in the sorted list, from 1.
        number: usize,
        /// Files looked at.
        total: usize,
        /// Name of the file; may identify a patient, so it is not part of the message.
        name: Withheld,
        /// What is wrong with it.
        #[source]
        problem: Arc<Error>,
    },
    /// Nothing here is a DICOM image that could be a slice of a volume.
    #[error("no DICOM image slices among {files} files")]
    NoImages {
        /// Files looked at.
        files: usize,
    },
    /// The bytes are not what the standard asks for.
    #[error("not valid DICOM: {reason}")]
    Parse {
        /// What was found.
        reason: &'static str,
    },
    /// The file ends too early.
    #[error("the file is cut off: {expected} bytes are announced, {found} are there")]
    Truncated {
        /// Bytes announced.
        expected: u64,
        /// Bytes present.
        found: u64,
    },
    /// The parts contradict each other.
    #[error("the file is damaged: {reason}")]
    Corrupt {
        /// What contradicts what.
        reason: &'static str,
    },
    /// Compressed data grow beyond reason.
    #[error("compressed data grow beyond {limit} bytes")]
    Bomb {
        /// Bytes allowed.
        limit: u64,
    },
    /// A number is larger than any real image needs.
    #[error("{what}: {found} is over the limit of {limit}")]
    Limit {
        /// What was counted.
        what: &'static str,
        /// The count.
        found: u64,
        /// The most accepted.
        limit: u64,
    },
    /// The compression is not one that can be undone here.
    #[error("transfer syntax `{uid}` is not supported")]
    UnsupportedTransferSyntax {
        /// The transfer syntax UID.
        uid: String,
    },
    /// Not a kind of image that makes a volume.
    #[error("{what} cannot be read as a volume")]
    UnsupportedType {
        /// The kind found.
        what: &'static str,
    },
    /// Where the slices lie is not said.
    #[error("the slices carry no `{attribute}`")]
    GeometryMissing {
        /// Keyword of the absent attribute.
        attribute: &'static str,
    },
    /// Where the slices lie cannot be right.
    #[error("the geometry cannot be right: {what} is {found:.4}, expected {expected}")]
    GeometryInvalid {
        /// What was measured.
        what: &'static str,
        /// The value.
        found: f64,
        /// What would do.
        expected: &'static str,
    },
    /// The stack leans further than any gantry can.
    #[error("the stack leans by {degrees:.1} degrees, at most {limit:.0} are possible")]
    Shear {
        /// Angle between the stack and the normal of its slices.
        degrees: f64,
        /// The most accepted.
        limit: f64,
    },
    /// Too large a part of the body is not there.
    #[error("slices are missing: {} gap(s), the largest {:.2} mm, where {usual_mm:.2} mm is usual", gaps.len(), largest(gaps))]
    SlicesMissing {
        /// Where each gap begins along the normal from the first slice, and how wide it is, in millimetres.
        gaps: Vec<[f64; 2]>,
        /// The median distance between slices in millimetres.
        usual_mm: f64,
    },
    /// Different images claim the same place.
    #[error("{count} slices lie where another slice lies, and nothing tells them apart")]
    SlicesDuplicate {
        /// Slices too many.
        count: usize,
    },
    /// More than one image: somebody has to choose.
    #[error("the slices belong to {} images that differ in {property}", choices.len())]
    SeriesMixed {
        /// What tells the images apart.
        property: Property,
        /// The values found.
        choices: Vec<Choice>,
    },
    /// A choice was made that is not there.
    #[error("no slices have the {property} that was chosen")]
    NoSuchChoice {
        /// What was to be chosen by.
        property: Property,
        /// The values found.
        choices: Vec<Choice>,
    },
    /// What the numbers mean cannot be known.
    #[error("the intensities cannot be trusted: {reason}")]
    Intensity {
        /// What was found.
        reason: &'static str,
    },
    /// Not enough slices for a volume.
    #[error("{found} slice(s), at least {least} are needed for a volume")]
    TooFewSlices {
        /// Slices found.
        found: usize,
        /// Slices needed.
        least: usize,
    },
    /// The work was asked to stop.
    #[error(transparent)]
    Cancelled(#[from] imaging::Cancelled),
}

/// Width of the widest gap in millimetres.
fn largest(gaps: &[[f64; 2]]) -> f64 {
    gaps.iter().fold(0.0, |most, gap| gap[1].max(most))
}

impl Error {
    /// A stable name for programs, as in the table of the HTTP interface.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Error::InFile { problem, .. } => problem.code(),
            Error::Read { .. } => "E_READ",
            Error::NoImages { .. } | Error::Parse { .. } => "E_PARSE",
            Error::Truncated { .. } => "E_TRUNCATED",
            Error::Corrupt { .. } => "E_CORRUPT",
            Error::Bomb { .. } => "E_BOMB",
            Error::Limit { .. } => "E_LIMIT",
            Error::UnsupportedTransferSyntax { .. } => "E_UNSUPPORTED_TS",
            Error::UnsupportedType { .. } => "E_UNSUPPORTED_TYPE",
            Error::GeometryMissing { .. } => "E_GEOM_MISSING",
            Error::GeometryInvalid { .. } => "E_GEOM_INVALID",
            Error::Shear { .. } => "E_GEOM_SHEAR",
            Error::SlicesMissing { .. } => "E_SLICES_MISSING",
            Error::SlicesDuplicate { .. } => "E_SLICES_DUPLICATE",
            Error::SeriesMixed { .. } | Error::NoSuchChoice { .. } => "E_SERIES_MIXED",
            Error::Intensity { .. } => "E_INTENSITY",
            Error::TooFewSlices { .. } => "E_TOO_FEW_SLICES",
            Error::Cancelled(_) => "E_CANCELLED",
        }
    }

    /// What to do about it, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Error::InFile { problem, .. } => return problem.hint(),
            Error::NoImages { .. } => "give the folder that holds the slices of one series",
            Error::Truncated { .. } | Error::Corrupt { .. } | Error::Parse { .. } => {
                "copy or export the series again; part of it was lost"
            }
            Error::UnsupportedTransferSyntax { .. } => {
                "export the series uncompressed, or send it from the viewer, which has decoded it already"
            }
            Error::UnsupportedType { .. } => "choose a series of CT, MR or PET slices",
            Error::GeometryMissing { .. } => {
                "export the original series; derived captures have lost their positions"
            }
            Error::SlicesMissing { .. } => "fetch the missing slices from the archive",
            Error::SlicesDuplicate { .. } => "remove one of the two sets of slices",
            Error::SeriesMixed { .. } | Error::NoSuchChoice { .. } => "choose one of the listed values",
            Error::Intensity { .. } => "use the original series of the scanner",
            Error::TooFewSlices { .. } => "give the whole series, not single slices",
            _ => return None,
        })
    }

    /// The values to choose from, for a mixed series; empty otherwise.
    #[must_use]
    pub fn choices(&self) -> &[Choice] {
        match self {
            Error::SeriesMixed { choices, .. } | Error::NoSuchChoice { choices, .. } => choices,
            Error::InFile { problem, .. } => problem.choices(),
            _ => &[],
        }
    }

    /// The name of the file at fault. It may identify a patient: show it, never log it.
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        match self {
            Error::InFile { name, .. } => Some(&name.0),
            _ => None,
        }
    }
}

/// Text from outside that is carried but never written by `Debug` or `Display`, so that no log can hold it.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Withheld(pub String);

impl fmt::Debug for Withheld {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(withheld)")
    }
}

/// What tells the images of a mixed series apart. [`Property::keyword`] is the key of [`super::Options::choose`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is the DICOM attribute of that name")]
pub enum Property {
    SeriesInstanceUid,
    FrameOfReferenceUid,
    ImageOrientationPatient,
    Matrix,
    PixelSpacing,
    DiffusionBValue,
    EchoTime,
    TemporalPosition,
    ImageType,
    StackId,
    AcquisitionNumber,
    InversionTime,
    FlipAngle,
    TriggerTime,
    DiffusionGradient,
}

impl Property {
    /// The DICOM keyword.
    #[must_use]
    pub fn keyword(self) -> &'static str {
        match self {
            Property::SeriesInstanceUid => "SeriesInstanceUID",
            Property::FrameOfReferenceUid => "FrameOfReferenceUID",
            Property::ImageOrientationPatient => "ImageOrientationPatient",
            Property::Matrix => "Rows\\Columns",
            Property::PixelSpacing => "PixelSpacing",
            Property::DiffusionBValue => "DiffusionBValue",
            Property::EchoTime => "EchoTime",
            Property::TemporalPosition => "TemporalPositionIdentifier",
            Property::ImageType => "ImageType",
            Property::StackId => "StackID",
            Property::AcquisitionNumber => "AcquisitionNumber",
            Property::InversionTime => "InversionTime",
            Property::FlipAngle => "FlipAngle",
            Property::TriggerTime => "TriggerTime",
            Property::DiffusionGradient => "DiffusionGradientOrientation",
        }
    }
}

impl fmt::Display for Property {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}`", self.keyword())
    }
}

/// One of several images in a mixed series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What to give as the value in [`super::Options::choose`].
    pub value: Withheld,
    /// Slices that have it.
    pub slices: usize,
}
