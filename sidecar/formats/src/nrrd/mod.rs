//! NRRD with attached data, and Slicer's segmentations in it (`.seg.nrrd`).
//!
//! Headers that name other files are refused: established readers open whatever path stands there.

mod header;
mod read;
mod segments;
mod write;

pub use header::Header;
pub(crate) use header::MAGIC;
pub(crate) use read::{image, info, segmentation};
pub use write::{write_segmentation, write_unpacked, write_volume};

#[cfg(test)]
mod tests;
