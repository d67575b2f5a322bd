//! Puts corrections to the test: spoils segmentations that were right, lets simulated users mend them with our method
//! and with its peers, and counts.
//!
//! The errors, users and figures are those of section 8 of the correction's specification: six kinds of error, a user
//! who clicks the middle of the largest error and takes back what harms, ten interactions.

mod clock;
mod contest;
mod latency;
mod peer;
mod phantom;
mod random;
mod report;
mod spoil;
mod spread;
mod suite;
#[cfg(test)]
mod tests;
mod user;

pub use contest::{Course, METHODS, Method};
pub use latency::{Latency, Wait, latency};
pub use phantom::phantom;
pub use report::Figures;
pub use spoil::{COMMON, Fault, spoiled};
pub use suite::{Suite, run};
