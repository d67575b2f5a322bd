//! A model folder that nnU-Net wrote -> a plan, its weights, and ONNX bytes. Pickle is data: nothing in it is called.

pub mod architecture;
pub mod plan;

pub use architecture::{Architecture, Kind};
pub use plan::{Label, Normalization, Outputs, Plan, Resampling};
