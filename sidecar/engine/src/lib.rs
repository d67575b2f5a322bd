//! Runs networks over volumes. Synchronous and offline: it knows nothing of HTTP, viewers or file formats.

mod catalogue;
mod crops;
mod error;
mod export;
mod network;
mod normalize;
mod onto;
mod options;
mod precision;
mod predict;
mod preprocess;
mod scores;
mod task;
mod window;

pub use error::{Error, Result};
pub use network::Network;
pub use options::Mode;
pub use predict::{PredictOptions, predict, predict_onto};
