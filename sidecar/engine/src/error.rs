//! What can go wrong while segmenting.

use std::io;
use std::path::{Path, PathBuf};

use imaging::{Cancelled, GridError, IndexBox};

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
