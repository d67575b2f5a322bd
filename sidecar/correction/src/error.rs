//! Why a correction cannot be made.

/// Why a correction cannot be made. Nothing has changed when one is returned.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The prompt holds a number that is not finite, or more than a hand can draw.
    #[error("the prompt is not possible: {reason}")]
    Prompt {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The prompt lies beyond the image.
    #[error("the prompt lies beyond the image")]
    Outside,
    /// No label was named, and none is under or near the prompt.
    #[error("no structure lies within {within_mm} mm of the prompt, and none was named")]
    NoLabelNear {
        /// How far was looked, in millimetres.
        within_mm: f64,
    },
    /// Background cannot be grown or shrunk.
    #[error("label 0 is background, which no prompt corrects")]
    Background,
    /// The label may not change.
    #[error("label {label} is locked")]
    Locked {
        /// Which.
        label: u8,
    },
    /// Nothing under the prompt can change; the other sign could.
    #[error(
        "nothing under the prompt can become or leave label {label} by this sign; the other sign may be meant"
    )]
    Nothing {
        /// The label that was to grow or shrink.
        label: u8,
    },
    /// What would change lies where the viewer's masking allows no change.
    #[error("what would change of label {label} lies where the viewer's masking allows no change")]
    Masked {
        /// The label that was to change.
        label: u8,
    },
    /// Image, labels or masks have different sizes.
    #[error("{found:?} voxels, where {expected:?} were expected")]
    SizesDiffer {
        /// Voxels along i, j, k that were found.
        found: [usize; 3],
        /// Voxels along i, j, k that were expected.
        expected: [usize; 3],
    },
    /// Bytes that are no delta.
    #[error("this is no delta: {reason}")]
    NotADelta {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Bytes that are no second choice of a network for this image.
    #[error("{found} bytes, where a second choice for every voxel and its margin take {expected}")]
    NotARunnerUp {
        /// How many there are.
        found: usize,
        /// Two for each voxel.
        expected: usize,
    },
    /// A delta for other labels than these.
    #[error("the delta belongs to other labels: {found} stands where it expects {expected}")]
    OtherLabels {
        /// The label that stands there.
        found: u8,
        /// The label that the delta would replace.
        expected: u8,
    },
    /// The labels have changed since, and the operation cannot be carried over.
    #[error("the labels are at revision {current}, the operation was made for revision {base}")]
    Stale {
        /// What the operation was made for.
        base: u64,
        /// The labels' revision.
        current: u64,
    },
    /// The operation's name was used for another operation.
    #[error("operation `{operation}` was something else before")]
    Reused {
        /// The operation's name.
        operation: String,
    },
    /// There is nothing to undo or redo, or no such candidate.
    #[error("there is no {what}")]
    None {
        /// What was asked for.
        what: &'static str,
    },
    /// The work was asked to stop.
    #[error("cancelled")]
    Cancelled,
}

impl From<imaging::Cancelled> for Error {
    fn from(_: imaging::Cancelled) -> Error {
        Error::Cancelled
    }
}

/// Shorthand for this crate's results.
pub type Result<T, E = Error> = std::result::Result<T, E>;
