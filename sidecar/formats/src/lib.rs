//! Bytes of medical images to and from the types of [`imaging`], losslessly, in LPS+ millimetres.
//!
//! # Layout
//!
//! * [`read()`]: any image, told by its bytes and never by its name; [`read_header`]: size and spacing only;
//!   [`read_segmentation`]: labels with their names. [`write_segmentation`], [`write_volume`]: by the end of the name.
//! * [`nifti`]: NIfTI-1 and NIfTI-2, plain or gzip. The only place that knows RAS.
//! * [`nrrd`]: `.nrrd` volumes and Slicer's `.seg.nrrd`.
//! * [`dicom`]: series in, segmentations and contours out.
//! * [`list_series`]: the DICOM series in one place. [`read_groups`]: every image of an upload, such as those of a diffusion series.
//! * [`gzip`], [`zip`], [`multipart`], [`png`]: containers.
//!
//! Nothing here panics on bad bytes, or allocates far more than a good file of that length would need. What is
//! ambiguous is an [`Error`] with [`Error::choices`]; what was mended is a [`Warning`].

pub mod dicom;
pub mod gzip;
pub mod multipart;
pub mod nifti;
pub mod nrrd;
pub mod png;
pub mod zip;

mod atomic;
mod error;
mod geometry;
mod groups;
mod read;
mod samples;
mod source;
mod stream;
mod write;

pub use error::{Choice, Error, Result, Warning};
pub use groups::{Container, Group, Groups, read_groups};
pub use read::{list_series, read, read_bytes, read_header, read_segmentation};
pub use samples::Sample;
pub use source::{Format, Image, Info, Limits, ReadOptions, Source};
pub use write::{write_segmentation, write_volume};

#[cfg(test)]
mod tests;
