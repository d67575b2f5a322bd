//! What a correction costs the user: seconds, clicks, undos and voxels, for every edit and for every structure.

use serde::{Deserialize, Serialize};

/// A pause longer than this is no work.
const PAUSE_SECONDS: f64 = 15.0;

/// What an edit cost, or several.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Effort {
    /// Seconds of work; of a longer pause, 15 count.
    pub seconds: f64,
    /// Prompts and brush strokes.
    pub clicks: u64,
    /// Changes taken back.
    pub undos: u64,
    /// Voxels that changed, with their old and new label, in ascending order.
    pub voxels: Vec<((u8, u8), u64)>,
}

impl Effort {
    /// What an edit of `clicks` and `undos` cost that took `seconds`.
    pub(crate) fn new(seconds: f64, clicks: u64, undos: u64, voxels: Vec<((u8, u8), u64)>) -> Effort {
        let seconds = if seconds.is_nan() { 0.0 } else { seconds.clamp(0.0, PAUSE_SECONDS) };
        Effort { seconds, clicks, undos, voxels }
    }

    /// Both together.
    pub(crate) fn add(&mut self, other: &Effort) {
        self.seconds += other.seconds;
        self.clicks += other.clicks;
        self.undos += other.undos;
        for &(change, voxels) in &other.voxels {
            match self.voxels.binary_search_by_key(&change, |(change, _)| *change) {
                Ok(n) => self.voxels[n].1 += voxels,
                Err(n) => self.voxels.insert(n, (change, voxels)),
            }
        }
    }
}
