//! What is worth telling about a DICOM series that could be read.

use std::fmt;

use super::error::{Property, Withheld};

/// What was found and dealt with: true results, but worth knowing. Goes into the provenance.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Warning {
    /// Files that are not DICOM images of a volume were passed over.
    FilesIgnored {
        /// How many.
        count: usize,
    },
    /// Other series without a volume in them (scouts, captures) were passed over.
    SeriesIgnored {
        /// How many.
        count: usize,
    },
    /// Scouts within the series were left out.
    LocalizerDropped {
        /// Slices left out.
        count: usize,
    },
    /// Slices present twice with identical pixels were taken once.
    DuplicateDropped {
        /// Slices left out.
        count: usize,
    },
    /// One image of several was taken without asking, by a rule.
    Selected {
        /// What told them apart.
        property: Property,
        /// The value taken.
        value: Withheld,
    },
    /// Slices are missing; the others lie at their true places and the gaps are interpolated.
    Gap {
        /// Slices missing.
        missing: usize,
        /// The median distance between slices in millimetres.
        usual_mm: f64,
    },
    /// Slices are unevenly spaced; the volume is interpolated linearly onto an even grid at true positions.
    Nonuniform {
        /// The smallest distance in millimetres.
        least_mm: f64,
        /// The largest distance in millimetres.
        most_mm: f64,
    },
    /// The stack leans; the grid leans with it, and nothing was resampled.
    GantryTilt {
        /// Angle between the stack and the normal of its slices.
        degrees: f64,
    },
    /// The direction cosines were not quite unit vectors or not quite perpendicular.
    OrientationNormalised {
        /// The largest deviation.
        deviation: f64,
    },
    /// `SpacingBetweenSlices` says otherwise; the positions count.
    SpacingContradicts {
        /// What the attribute says, in millimetres.
        stated_mm: f64,
        /// What the positions say, in millimetres.
        measured_mm: f64,
    },
    /// A CT without rescale, whose values look like Hounsfield units already.
    NoRescale,
    /// Padding outside the scanned circle was set to the value of air (CT) or the image minimum.
    Padding {
        /// Voxels set.
        voxels: u64,
    },
    /// MONOCHROME1: stored values were inverted (not for CT).
    Inverted,
    /// The images went through lossy compression.
    Lossy,
    /// The patient did not lie on the back with the head first or feet first as in most training images.
    PatientPosition,
    /// Voxels that are not finite numbers were set to the image minimum.
    NotFinite {
        /// Voxels set.
        voxels: u64,
    },
}

impl Warning {
    /// A stable name for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Warning::FilesIgnored { .. } => "W_FILES_IGNORED",
            Warning::SeriesIgnored { .. } => "W_SERIES_IGNORED",
            Warning::LocalizerDropped { .. } => "W_LOCALIZER_DROPPED",
            Warning::DuplicateDropped { .. } => "W_DUPLICATE_DROPPED",
            Warning::Selected { .. } => "W_SELECTED",
            Warning::Gap { .. } => "W_GAP",
            Warning::Nonuniform { .. } => "W_NONUNIFORM",
            Warning::GantryTilt { .. } => "W_GANTRY_TILT",
            Warning::OrientationNormalised { .. } => "W_IOP_NORMALISED",
            Warning::SpacingContradicts { .. } => "W_SPACING",
            Warning::NoRescale => "W_NO_RESCALE",
            Warning::Padding { .. } => "W_PADDING",
            Warning::Inverted => "W_INVERTED",
            Warning::Lossy => "W_LOSSY",
            Warning::PatientPosition => "W_POSITION",
            Warning::NotFinite { .. } => "W_NAN",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::FilesIgnored { count } => {
                write!(f, "{count} files that are no image slices were passed over")
            }
            Warning::SeriesIgnored { count } => {
                write!(f, "{count} other series without a volume were passed over")
            }
            Warning::LocalizerDropped { count } => write!(f, "{count} localizer images were left out"),
            Warning::DuplicateDropped { count } => write!(f, "{count} slices present twice were taken once"),
            Warning::Selected { property, value } => {
                write!(f, "one of several images was taken, by its {property}")?;
                // A number says nothing of the patient; text might.
                value.0.parse::<f64>().map_or(Ok(()), |number| write!(f, ": {number}"))
            }
            Warning::Gap { missing, usual_mm } => {
                write!(f, "{missing} slices are missing from a stack of {usual_mm:.2} mm; interpolated there")
            }
            Warning::Nonuniform { least_mm, most_mm } => {
                write!(f, "slices are {least_mm:.2} to {most_mm:.2} mm apart; interpolated at true positions")
            }
            Warning::GantryTilt { degrees } => write!(f, "the stack leans by {degrees:.2} degrees"),
            Warning::OrientationNormalised { deviation } => {
                write!(f, "the direction cosines were off by {deviation:.1e} and were normalised")
            }
            Warning::SpacingContradicts { stated_mm, measured_mm } => write!(
                f,
                "the header says {stated_mm:.2} mm between slices, their positions {measured_mm:.2} mm; positions count"
            ),
            Warning::NoRescale => {
                f.write_str("no rescale values; the stored values look like Hounsfield units")
            }
            Warning::Padding { voxels } => write!(f, "{voxels} padding voxels were set to the minimum"),
            Warning::Inverted => f.write_str("MONOCHROME1 values were inverted"),
            Warning::Lossy => f.write_str("the images went through lossy compression"),
            Warning::PatientPosition => f.write_str("the patient did not lie on the back"),
            Warning::NotFinite { voxels } => {
                write!(f, "{voxels} voxels were not numbers and were set to the minimum")
            }
        }
    }
}
