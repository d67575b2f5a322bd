//! The border to the inference runtime: a network is something that turns one patch into scores.

use imaging::Progress;

use crate::Result;

/// Takes the scores of one patch, some classes at a time: the first class, then `[class, z, y, x]`.
pub type TakeScores<'a> = dyn FnMut(usize, &[f32]) -> Result<()> + 'a;

/// A network ready to run, owned by one thread.
pub trait Network: Send {
    /// Gives the scores of one patch to `take`.
    ///
    /// `patch` is `[channel, z, y, x]` in network axes, C order, normalised. `take` is called with rising first
    /// classes until each class was given once; its scores are `[class, z, y, x]`, C order, logits. All classes at
    /// once would be 0.7 GiB for a usual patch and 118 classes.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Cancelled`] when told to stop meanwhile, [`crate::Error::Network`] when the runtime fails,
    /// what `take` says.
    fn run(&mut self, patch: &[f32], take: &mut TakeScores<'_>) -> Result<()>;

    /// From now on heeds this wish to stop, within a patch. A network that is kept outlives a request and its progress.
    fn watch(&mut self, progress: &Progress) {
        let _ = progress;
    }
}

impl Network for Box<dyn Network> {
    fn run(&mut self, patch: &[f32], take: &mut TakeScores<'_>) -> Result<()> {
        (**self).run(patch, take)
    }

    fn watch(&mut self, progress: &Progress) {
        (**self).watch(progress);
    }
}
