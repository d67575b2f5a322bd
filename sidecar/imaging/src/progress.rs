//! Reports how far long work has come, and carries the wish to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The work was asked to stop, and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

/// How far the current stage has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report<'a> {
    /// What is being done, in words for people: `inference`, `reading`.
    pub stage: &'a str,
    /// Steps done, up to `total`.
    pub done: u64,
    /// Steps of this stage; 0 when unknown.
    pub total: u64,
}

/// Long work takes one of these and calls [`Progress::step`] once per patch or slice: the only way to report, and
/// the only way to be stopped. Clones speak to the same observer and share the wish to stop.
#[derive(Clone)]
pub struct Progress {
    observer: Arc<dyn Fn(Report<'_>) + Send + Sync>,
    cancelled: Arc<AtomicBool>,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Progress").field("cancelled", &self.is_cancelled()).finish_non_exhaustive()
    }
}

impl Progress {
    /// Tells `observer` of every step; it is called from the working thread and must return at once.
    pub fn new(observer: impl Fn(Report<'_>) + Send + Sync + 'static) -> Progress {
        Progress { observer: Arc::new(observer), cancelled: Arc::default() }
    }

    /// Tells nobody; can still be cancelled.
    #[must_use]
    pub fn silent() -> Progress {
        Progress::new(|_| ())
    }

    /// Reports `done` of `total` steps of `stage`.
    ///
    /// # Errors
    ///
    /// [`Cancelled`] once [`Progress::cancel`] was called: return it at once.
    pub fn step(&self, stage: &str, done: u64, total: u64) -> Result<(), Cancelled> {
        (self.observer)(Report { stage, done, total });
        if self.is_cancelled() { Err(Cancelled) } else { Ok(()) }
    }

    /// Asks the work to stop at its next step.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether the work was asked to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}
