//! Runs networks over volumes. Synchronous and offline: it knows nothing of HTTP, viewers or file formats.

pub mod catalogue;
mod crops;
mod engine;
mod error;
mod estimate;
mod export;
mod network;
mod normalize;
mod onto;
mod options;
mod postprocess;
mod precision;
mod predict;
mod preprocess;
mod run;
mod runner_up;
mod runtime;
mod scores;
mod segment;
mod shift;
mod store;
pub mod task;
mod thirds;
mod vertebrae;
mod window;

pub use engine::{Engine, PromptableNetwork};
pub use error::{Error, Result};
pub use estimate::PlannedRun;
pub use network::{Network, TakeScores};
pub use options::{Mode, ModelUsed, Provenance, SegmentOptions, Upsampling};
pub use predict::{PredictOptions, predict, predict_onto};
pub use runner_up::RunnerUp;
pub use runtime::{
    Attempt, Device, Fallback, Found, LEAST_MINOR_VERSION, Precision, Runtime, RuntimeInfo, RuntimeOptions,
};
pub use segment::Outcome;
pub use store::{ImportRequest, InstalledModel, ModelStore, Origin};
pub use task::{Speed, Task};
