//! NIfTI-1 and NIfTI-2, plain or gzip: a strict reader that never guesses, and a writer that gives geometry back bit
//! by bit.
//!
//! The only place, with the orientation letters, where world coordinates are RAS+.

mod geometry;
mod header;
mod label_table;
mod read;
mod write;

pub(crate) use header::announced;
pub use header::{Header, Version};
pub(crate) use read::{image, info, segmentation};
pub use write::{write_labels, write_segmentation, write_volume};

#[cfg(test)]
mod tests;
