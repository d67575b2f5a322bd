//! Runs networks over volumes. Synchronous and offline: it knows nothing of HTTP, viewers or file formats.

pub mod catalogue;
mod crops;
mod engine;
mod error;
mod export;
mod network;
mod normalize;
mod onto;
mod options;
mod precision;
mod predict;
mod postprocess { pub(crate) fn postprocess(_: &mut imaging::LabelMap, _: &crate::Task, _: Option<f64>) {} }
mod preprocess;
mod run;
mod scores;
mod segment;
mod store;
pub mod task;
mod temporary;
mod thirds;
mod vertebrae { pub(crate) fn refine(_: &mut imaging::LabelMap, _: &imaging::LabelMap) {} }
mod window;

pub use engine::Engine;
pub use error::{Error, Result};
pub use network::Network;
pub use options::{Mode, ModelUsed, Provenance, SegmentOptions, Upsampling};
pub use predict::{PredictOptions, predict, predict_onto};
pub use segment::Outcome;
pub use store::{ImportRequest, InstalledModel, ModelStore, Origin};
pub use task::{Speed, Task};
pub use temporary::{Runtime, RuntimeOptions};
