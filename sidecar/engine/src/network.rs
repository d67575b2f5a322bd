//! The border to the inference runtime: a network is something that turns one patch into scores.

use crate::Result;

/// A network ready to run, owned by one thread.
pub trait Network: Send {
    /// Scores of one patch.
    ///
    /// `patch` is `[channel, z, y, x]` in network axes, C order, normalised; `scores` is `[class, z, y, x]`, C order,
    /// logits, and is overwritten. Returns [`crate::Error::Cancelled`] when told to stop meanwhile.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Network`] when the runtime fails.
    fn run(&mut self, patch: &[f32], scores: &mut [f32]) -> Result<()>;
}
