//! Runs networks over volumes. Synchronous and offline: it knows nothing of HTTP, viewers or file formats.

mod error;
mod network;

pub use error::{Error, Result};
pub use network::Network;
