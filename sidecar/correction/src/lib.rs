//! Corrects a segmentation where the user points: one click, scribble or box, and the structure grows or shrinks to
//! where it was meant.
//!
//! # The method
//!
//! "Scoped Cut" needs no network. Round the click, within several scopes of 4 to 40 mm, it measures how far every
//! voxel is along the easiest way (`geodesic`), compares the brightness under the click with that around it
//! (`appearance`), and finds the boundary that costs least (`maxflow`). What neighbouring structures claim is out of
//! bounds. The scopes' answers hold one another like Russian dolls, so a mouse wheel can walk them; the likeliest is
//! the one that ends on edges and hardly grows with the scope, and none may be out of proportion to the structure or to
//! the depth of the click.
//!
//! # Laws
//!
//! * "+" only adds to the target, "-" only removes from it.
//! * Only the target, background and the label under the prompt change; a locked label never does.
//! * What changes hangs together with the prompt.
//! * Same input, same bytes, at any number of threads.
//!
//! # What to read first
//!
//! [`correct`] answers a [`Prompt`]; a [`Delta`] is what an answer changes; a [`Session`] keeps the labels, every change
//! and every way back.

mod appearance;
mod block;
mod choice;
mod correct;
mod cut;
mod delta;
mod effort;
mod error;
mod gate;
mod geodesic;
mod history;
mod image;
mod level;
mod maxflow;
mod more;
mod prompt;
mod refine;
mod region;
mod runner_up;
mod scopes;
mod session;
mod snap;
mod suspicious;
#[cfg(test)]
mod tests;
mod tools;
#[cfg(test)]
mod truth;

pub use correct::{Answer, Candidate, Source, Subject, correct, preview};
pub use delta::Delta;
pub use effort::Effort;
pub use error::{Error, Result};
pub use gate::NetworkMask;
pub use history::{Action, Event, Request};
pub use image::{Image, Intensity};
pub use maxflow::{Cut, Graph, NOBODY};
pub use prompt::{Editable, Limits, Prompt, Shape, Sign, label_near};
pub use runner_up::RunnerUp;
pub use session::{Asked, Drawn, Question, Session, Status};
pub use suspicious::{Place, Reason, suspicious};
pub use tools::Tool;
