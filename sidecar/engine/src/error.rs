//! What can go wrong while segmenting.

use std::io;
use std::path::{Path, PathBuf};

use imaging::{Cancelled, GridError, IndexBox};

use crate::runtime::{Attempt, LEAST_MINOR_VERSION};

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
    /// No inference library on this computer.
    #[error("ONNX Runtime was not found")]
    RuntimeMissing {
        /// The places that were looked at, in order.
        tried: Vec<Attempt>,
    },
    /// The inference library that was named is older than this program can use.
    #[error("`{}` is ONNX Runtime {version}, at least 1.{LEAST_MINOR_VERSION} is needed", path.display())]
    RuntimeTooOld {
        /// The library.
        path: PathBuf,
        /// Its version.
        version: String,
    },
    /// The inference library that was named does not work.
    #[error("`{}` cannot be used as ONNX Runtime: {reason}", path.display())]
    RuntimeUnusable {
        /// The library.
        path: PathBuf,
        /// Why, as the system says it.
        reason: String,
    },
    /// Another inference library is in use already; a process can use one.
    #[error("`{}` is in use, `{}` cannot be loaded beside it", loaded.display(), wanted.display())]
    RuntimeLoaded {
        /// The one in use.
        loaded: PathBuf,
        /// The one that was asked for.
        wanted: PathBuf,
    },
    /// A device that no one knows.
    #[error("there is no device `{name}`")]
    UnknownDevice {
        /// What was asked for.
        name: String,
    },
    /// A precision that no one knows.
    #[error("there is no precision `{name}`")]
    UnknownPrecision {
        /// What was asked for.
        name: String,
    },
    /// No network was given.
    #[error("no network was given: at least one fold is needed")]
    NoNetwork,
    /// A network gave infinity or NaN, or sums outgrew half precision.
    #[error("the network gave scores that are not finite; the image may hold values that are not numbers")]
    Scores,
    /// Not as many images as the model has channels.
    #[error("{found} images were given, the model needs {expected}")]
    Channels {
        /// Images given.
        found: usize,
        /// Channels of the model.
        expected: usize,
    },
    /// Images of one patient that do not lie on one grid.
    #[error("image {channel} does not lie on the grid of image 0")]
    ChannelGrid {
        /// Which image, from 0.
        channel: usize,
    },
    /// At the model's spacing the image would vanish or grow beyond reason.
    #[error("{found:?} voxels would become {wanted:?} at the model's spacing")]
    Size {
        /// Voxels along network z, y, x.
        found: [usize; 3],
        /// Voxels there would be.
        wanted: [f64; 3],
    },
    /// The plan asks for a resampling that no published model uses.
    #[error("resampling of order {order}, {order_z} across slices, is not supported")]
    Resampling {
        /// Spline order.
        order: u8,
        /// Spline order across slices.
        order_z: u8,
    },
    /// The model wants colours as bytes.
    #[error("the model expects values from 0 to 255, the image has {least} to {greatest}")]
    NotRgb {
        /// Smallest value.
        least: f32,
        /// Largest value.
        greatest: f32,
    },
    /// A structure that the task does not have.
    #[error("task `{task}` has no structure `{name}`")]
    UnknownStructure {
        /// What was asked for.
        name: String,
        /// Of which task.
        task: String,
    },
    /// Models that a task needs and that are not installed.
    #[error("task `{task}` needs models that are not installed: {}", weights.join(", "))]
    ModelMissing {
        /// The task.
        task: String,
        /// Their dataset numbers or names.
        weights: Vec<String>,
    },
    /// No model of that name.
    #[error("there is no model `{name}`")]
    NoModel {
        /// What was asked for.
        name: String,
    },
    /// A model that takes no prompts.
    #[error("model `{name}` segments by itself and takes no prompts")]
    NotPromptable {
        /// What was asked for.
        name: String,
    },
    /// A name that cannot become a file name, or that is taken.
    #[error("`{name}` cannot be the name of a model")]
    ModelName {
        /// What was asked for.
        name: String,
    },
    /// A box that does not lie in the image.
    #[error("the region {region:?} does not lie in an image of {size:?} voxels")]
    Region {
        /// What was asked for.
        region: IndexBox,
        /// Voxels along i, j, k.
        size: [usize; 3],
    },
    /// A model that cannot be read or written.
    #[error(transparent)]
    Model(nnunet::Error),
    /// A grid that cannot be right.
    #[error(transparent)]
    Geometry(GridError),
    /// A file of the model store that cannot be read or written.
    #[error("cannot use `{}`", path.display())]
    Store {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// What to do next, as a sentence for the user; None where the message says it all.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Error::RuntimeMissing { tried } => {
                let places: Vec<String> = tried.iter().map(|attempt| format!("  {attempt}")).collect();
                format!("run `pip install onnxruntime`; looked at\n{}", places.join("\n"))
            }
            Error::RuntimeTooOld { .. } => "run `pip install --upgrade onnxruntime`".into(),
            Error::RuntimeUnusable { .. } => {
                "run `pip install --force-reinstall onnxruntime`, or name no library to have it searched for".into()
            }
            Error::UnknownDevice { .. } => {
                "devices are `auto`, `cpu`, `openvino`, `gpu`, `cuda`, `tensorrt`, `directml`, `coreml` and `mps`; \
                 `gpu:1` is the second"
                    .into()
            }
            Error::UnknownPrecision { .. } => "precisions are `auto`, `fp32`, `bf16` and `fp16`".into(),
            _ => return None,
        };
        Some(hint)
    }

    /// For `map_err`: names the file or folder of the store that could not be used.
    pub(crate) fn folder(path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Store { path, source }
    }

    /// No model of that name.
    pub(crate) fn no_model(id: &str) -> Error {
        Error::NoModel { name: id.to_owned() }
    }
}

impl From<nnunet::Error> for Error {
    fn from(error: nnunet::Error) -> Error {
        match error {
            nnunet::Error::Cancelled => Error::Cancelled,
            other => Error::Model(other),
        }
    }
}

impl From<GridError> for Error {
    fn from(error: GridError) -> Error {
        Error::Geometry(error)
    }
}

impl From<Cancelled> for Error {
    fn from(_: Cancelled) -> Error {
        Error::Cancelled
    }
}

/// Shorthand for this crate's results.
pub type Result<T, E = Error> = std::result::Result<T, E>;
