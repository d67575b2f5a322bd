//! Strokes of patients put into the brains of others: synthetic cases with known lesions, to train on.
//!
//! # Layout
//!
//! * [`Donor`]: a stroke taken out of its patient, as relative signal increase over a [`Baseline`].
//! * [`register`]: an affine map by mutual information; [`read_transform`]: one that another program made.
//! * [`Normal`], [`Placement`], [`compose`]: the stroke in a normal brain, with its label and [`Quality`], which [`Limits`]
//!   judge.
//! * [`Variation`], [`Draw`]: many from one, by seed.
//! * [`tile`]: a picture of it. [`trial`]: registration put to the test.
//!
//! The way is our reading of Federau et al., Radiology: Artificial Intelligence 2020;2(5):e190217, whose abstract alone
//! we have had: `docs/stroke.md` says what is theirs and what is ours.
//!
//! Pure: images and a seed in, images out; the same bytes at any number of threads.

mod affine;
mod brain;
mod compose;
mod contrast;
mod donor;
mod error;
mod histogram;
mod plan;
mod register;
mod sample;
mod tile;
mod transform;
mod trial;
mod variation;
mod warp;

pub use affine::Affine;
pub use brain::{Brain, brain_mask};
pub use compose::{LEAST_KEPT, Normal, Placement, Quality, Synthetic, compose};
pub use contrast::{Contrast, Limits};
pub use donor::{Baseline, Donor, DonorFacts, StrokeCase};
pub use error::{Error, Rejection, Result};
pub use plan::Draw;
pub use register::{LEAST_DICE, Registration, register};
pub use tile::{Tile, tile};
pub use transform::read_transform;
pub use trial::{Trial, trial};
pub use variation::{Variation, Wave};

#[cfg(test)]
mod tests;
