//! Segments one object by prompts, with a network in nnInteractive's layout: clicks, strokes, outlines and boxes on
//! an image become a mask, and each further prompt mends it.
//!
//! # The method
//!
//! The network sees a patch of the image, the object so far, and the prompts drawn into channels of their own
//! (`render`), older ones fainter. Where the object changes at the patch's rim, it looks again at a coarser, wider
//! patch, up to four times as wide; what changed there is then done once more at full resolution, patch by patch
//! (`cover`). It follows nnInteractive 2.6.0 step by step, in [`Session::prompt`]; `tests/reference/promptable` holds
//! what that package does with the same prompts.
//!
//! # What is done otherwise
//!
//! * Prompts are kept as a list and drawn only where a patch sees them, instead of seven volumes of the image's size.
//! * Any number of prompts can be taken back.
//! * The same prompts always give the same mask: where the package draws places at random, the first one is taken.
//! * A patch of at most 48 voxels, too small for the package's margin of 24, has a margin of an eighth.
//!
//! # Conventions
//!
//! Within this crate places are `[k, j, i]`, as patches are; an [`imaging::IndexBox`] at its border is `[i, j, k]`.

mod block;
mod cover;
mod error;
mod image;
mod model;
mod pool;
mod predict;
mod prompt;
mod render;
mod resample;
mod session;
mod strength;
#[cfg(test)]
mod tests;

pub use error::{Error, Result};
pub use image::Image;
pub use model::Model;
pub use predict::Found;
pub use prompt::{Prompt, Shape};
pub use session::Session;
