//! A model folder that nnU-Net wrote -> a plan, its weights, and ONNX bytes. Pickle is data: nothing in it is called.
//!
//! # The way of a model
//!
//! ```text
//! folder or zip --import--> Model { plan, folds, source } --save--> model.vesalius --load--> Model
//!                                                                                              |
//!                                                        ONNX Runtime <-- bytes <--to_onnx-----+
//! ```
//!
//! A checkpoint is read once, when its owner imports it. The program runs from its own file, which holds numbers and
//! JSON and nothing to interpret.
//!
//! # What is accepted
//!
//! * Folders of nnU-Net v2 and of TotalSegmentator from version 2: `Dataset…/Trainer__Plans__configuration` with
//!   `plans.json` (the form before and since nnU-Net 2.4), `dataset.json` and `fold_*/checkpoint_final.pth`; the
//!   folder itself, one above it, or the published zip archive.
//! * Three-dimensional configurations of one stage, of any number of channels, with classes or regions, an ignored
//!   label, any `transpose_forward`; labels up to 255.
//! * `PlainConvUNet` and `ResidualEncoderUNet` with instance normalisation and (leaky) rectifiers; any number of
//!   stages, anisotropic kernels and strides. Dropout and deep supervision have no effect at inference.
//! * Folders in nnInteractive's layout, whose networks take prompts beside one image: see [`Interactions`].
//! * CT, z-score, 0-1, RGB and no normalisation; `resample_data_or_seg_to_shape`.
//! * Checkpoints of PyTorch 1.6 and later in f32, f16, bf16 or f64, from any device, wrapped or not.
//!
//! Everything else is refused with a sentence that names what was found: two-dimensional configurations, cascades,
//! other networks, batch normalisation, other preprocessors.
//!
//! # What is refused as damaged or hostile
//!
//! Files come from strangers. The zip archive, the pickle in it and the tensors it describes are each checked in
//! full: see the first lines of `archive.rs`, `opcode.rs`, `pickle.rs`, `checkpoint.rs`, `unpack.rs` and `native.rs`.
//! Unknown kinds of objects outside the weights are skipped and listed in [`Source::skipped`]; a pickle that
//! names a function of the operating system or the interpreter is refused. Weights that are not finite are refused.

pub mod architecture;
mod archive;
mod check;
mod checkpoint;
mod error;
mod graph;
mod head;
mod import;
mod interactions;
mod json;
mod layers;
mod native;
mod onnx;
mod opcode;
mod pickle;
pub mod plan;
mod promptable;
mod read_architecture;
mod read_plan;
#[cfg(test)]
mod testing;
mod unpack;
mod value;
mod weights;

pub use architecture::{Architecture, Kind};
pub use checkpoint::Checkpoint;
pub use error::{Error, Result};
pub use graph::{FEATURES, GraphOptions, INPUT, InstanceNormalization, OUTPUT, Part, to_onnx};
pub use head::{HEAD_BIAS, HEAD_WEIGHT, Head, head, head_to_onnx};
pub use import::{Folds, ImportOptions, import, models_in, plan_in, read_folder};
pub use interactions::{Interactions, Pair};
pub use native::{Header, MAGIC, Precision, describe, describe_bytes, load, load_bytes, save};
pub use plan::{Label, Normalization, Outputs, Plan, Resampling};
pub use read_plan::read_plan;
pub use unpack::unpack_zip;
pub use weights::{Fold, Model, Source, SourceFile, Tensor, Weights};
