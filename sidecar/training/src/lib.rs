//! Training with nnU-Net, everything but the training itself: what is asked of it, what its log says, and what is
//! kept of it.
//!
//! # Layout
//!
//! * [`Job`]: one training as a file that `python/train.py` reads; [`Settings`] and [`Preset`]: how long and how.
//! * [`Log`]: nnU-Net's log, line by line, becomes progress and a curve; [`curves`] and [`learning_curve`] draw.
//! * [`plans`]: a plan of ours as nnU-Net's `plans.json`, so that an installed model can be trained on.
//! * [`Card`]: what a user of the model should know.
//! * [`FILES`], [`REQUIREMENTS`]: the Python that nnU-Net is driven with, and its locked environment.
//!
//! Pure: no processes, no files, no clock.

mod card;
mod files;
mod job;
mod log;
mod picture;
mod plans;
mod preset;

pub use card::{Card, GateResult, OperatingPoint, Parity, Score};
pub use files::{FILES, NNUNET, REQUIREMENTS, file_hash};
pub use job::{Job, WEIGHTS_FILE, WEIGHTS_TABLE, weights_table};
pub use log::{Epoch, Log, Note};
pub use picture::{Point, curves, learning_curve};
pub use plans::plans;
pub use preset::{Loss, Optimizer, Preset, Settings};
