//! Why an object was not segmented.

/// Why an object was not segmented. Nothing has changed when one is returned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// The network takes no prompts, or gives something else than one object.
    #[error("the network takes no prompts")]
    NoPrompts,
    /// An image that cannot be normalised.
    #[error("the image {problem}")]
    Image {
        /// What is wrong.
        problem: &'static str,
    },
    /// A prompt beyond the image, without a voxel, or of numbers that are not finite.
    #[error("the prompt {problem}")]
    Prompt {
        /// What is wrong.
        problem: &'static str,
    },
    /// A kind of prompt that the network was not trained for.
    #[error("the network takes no {kind}")]
    Unsupported {
        /// Which: `scribble`.
        kind: &'static str,
    },
    /// A mask that is not of the image's size.
    #[error("{found:?} voxels, where {expected:?} were expected")]
    SizesDiffer {
        /// Voxels along i, j, k that were found.
        found: [usize; 3],
        /// Voxels along i, j, k that were expected.
        expected: [usize; 3],
    },
    /// The network could not be opened or run.
    #[error(transparent)]
    Engine(engine::Error),
}

impl From<engine::Error> for Error {
    fn from(error: engine::Error) -> Error {
        match error {
            engine::Error::Cancelled => Error::Cancelled,
            other => Error::Engine(other),
        }
    }
}

impl From<imaging::Cancelled> for Error {
    fn from(_: imaging::Cancelled) -> Error {
        Error::Cancelled
    }
}

/// Shorthand for this crate's results.
pub type Result<T, E = Error> = std::result::Result<T, E>;
