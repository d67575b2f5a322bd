//! What can go wrong while segmenting.

use imaging::Cancelled;

/// Why a segmentation did not come about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// The runtime refused the network or its input.
    #[error("the network of model `{model}` failed")]
    Network {
        /// Which model.
        model: String,
        /// What the runtime said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl From<Cancelled> for Error {
    fn from(_: Cancelled) -> Error {
        Error::Cancelled
    }
}

/// Shorthand for this crate's results.
pub type Result<T, E = Error> = std::result::Result<T, E>;
