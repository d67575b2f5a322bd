//! What can be wrong with a model, said so that its owner can mend it.

use std::io;
use std::path::{Path, PathBuf};

/// Why a model was not read, converted or written. Messages name what was found and what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// The operating system refused.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The operating system refused.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The destination is taken; nothing is ever overwritten by unpacking.
    #[error("`{}` exists already", path.display())]
    Exists {
        /// Which folder.
        path: PathBuf,
    },
    /// No `plans.json` with `dataset.json` and a fold in or near the folder.
    #[error("`{}` holds no nnU-Net model: no folder with `plans.json`, `dataset.json` and `fold_*`", path.display())]
    NoModel {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// More than one model; give the path of one.
    #[error("`{}` holds {} models: {}", path.display(), choices.len(), listed(choices))]
    SeveralModels {
        /// Where they lie.
        path: PathBuf,
        /// Their folders, relative to `path`.
        choices: Vec<PathBuf>,
    },
    /// A fold that was asked for is absent, or none has the checkpoint.
    #[error("`{}` has no {wanted} with `{checkpoint}`; folds found: {}", path.display(), found.join(", "))]
    NoFold {
        /// The trainer folder.
        path: PathBuf,
        /// What was asked for: `fold_3`, `fold`.
        wanted: String,
        /// The file that a fold must hold.
        checkpoint: String,
        /// Folds that do hold it.
        found: Vec<String>,
    },
    /// Weights of a promptable network that were not said to be wanted under their licence.
    #[error("the weights are under the licence `{licence}`, which was not accepted")]
    LicenceNotAccepted {
        /// As the folder states it; `unknown` where it does not.
        licence: String,
    },
    /// Larger than any honest model.
    #[error("{what} is {found} {unit}, at most {limit} are accepted")]
    TooLarge {
        /// What was measured.
        what: String,
        /// The unit of the numbers: `bytes`, `entries`.
        unit: &'static str,
        /// Its size.
        found: u64,
        /// The most that is read.
        limit: u64,
    },
    /// Not JSON.
    #[error("`{file}` is not valid JSON")]
    Json {
        /// Which file.
        file: &'static str,
        /// Where it stops being JSON.
        source: serde_json::Error,
    },
    /// A field is missing or out of range.
    #[error("`{field}` is {found}, expected {expected}")]
    Field {
        /// Its path: `configurations.3d_fullres.patch_size`.
        field: String,
        /// What stands there, shortened.
        found: String,
        /// What would be accepted.
        expected: &'static str,
    },
    /// A valid nnU-Net model of a kind that this crate does not run.
    #[error("{what} `{found}` is not supported, only {supported}")]
    Unsupported {
        /// Which property of the model.
        what: &'static str,
        /// What the model has.
        found: String,
        /// What would be accepted.
        supported: &'static str,
    },
    /// The form that PyTorch wrote before 1.6.
    #[error("the checkpoint has the form of PyTorch before 1.6, expected a zip archive")]
    LegacyCheckpoint,
    /// Not a zip archive as PyTorch writes it.
    #[error("the archive is damaged or not written by PyTorch: {problem}")]
    Container {
        /// What is wrong.
        problem: &'static str,
    },
    /// One entry of an archive is wrong.
    #[error("archive entry `{entry}` {problem}")]
    Entry {
        /// Which entry, shortened.
        entry: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// The pickle is damaged or holds what no checkpoint needs.
    #[error("byte {at} of the checkpoint's pickle {problem}")]
    Pickle {
        /// Where.
        at: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// The pickle asks for a function of the operating system or the interpreter. Nothing was called.
    #[error("the checkpoint's pickle names `{name}`: the file was made to run code")]
    Dangerous {
        /// The name as written.
        name: String,
    },
    /// A tensor's description contradicts itself or its storage.
    #[error("weight `{name}` {problem}")]
    Tensor {
        /// Which one.
        name: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// A tensor of another shape than the plan asks for.
    #[error("weight `{name}` has shape {found:?}, the plan asks for {expected:?}")]
    Shape {
        /// Which one.
        name: String,
        /// Its shape.
        found: Vec<u64>,
        /// The plan's.
        expected: Vec<usize>,
    },
    /// A layer of the plan has no weight.
    #[error("weight `{name}` is missing")]
    MissingWeight {
        /// Which one.
        name: String,
    },
    /// A weight that no layer of the plan uses: the plan describes another network.
    #[error("weight `{name}` belongs to no layer of the plan")]
    UnexpectedWeight {
        /// Which one.
        name: String,
    },
    /// Infinite or not a number.
    #[error("weight `{name}` has a value that is not finite")]
    NotFinite {
        /// Which one.
        name: String,
    },
    /// Not a model file of ours, or damaged.
    #[error("not a valid model file: {problem}")]
    Native {
        /// What is wrong.
        problem: &'static str,
    },
    /// A model file's bytes are not those that were written.
    #[error("{what} has sha256 `{found}`, expected `{expected}`: the file is damaged")]
    Corrupt {
        /// Which part.
        what: String,
        /// The hash of the bytes found.
        found: String,
        /// The hash written beside them.
        expected: String,
    },
}

/// Shorthand for this crate's results.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<imaging::Cancelled> for Error {
    fn from(_: imaging::Cancelled) -> Error {
        Error::Cancelled
    }
}

impl Error {
    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Error + '_ {
        |source| Error::Read { path: path.to_path_buf(), source }
    }

    pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> Error + '_ {
        |source| Error::Write { path: path.to_path_buf(), source }
    }

    pub(crate) fn entry(entry: &str, problem: &'static str) -> Error {
        Error::Entry { entry: shortened(entry), problem }
    }

    pub(crate) fn tensor(name: &str, problem: &'static str) -> Error {
        Error::Tensor { name: shortened(name), problem }
    }

    /// What to do next, where there is something to do.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Error::NoModel { .. } => {
                "give the folder that nnU-Net wrote: `Dataset…/Trainer__Plans__3d_fullres`, or one above it"
            }
            Error::SeveralModels { .. } => "give the path of one of them",
            Error::NoFold { .. } => "copy the fold's folder, or choose another fold or checkpoint name",
            Error::LegacyCheckpoint => "load and save it once with a current PyTorch",
            Error::Container { .. } | Error::Entry { .. } | Error::Corrupt { .. } => {
                "copy or download the file again and compare its sha256 with its source"
            }
            Error::Dangerous { .. } => "do not open this file with PyTorch; tell whoever gave it to you",
            Error::MissingWeight { .. } | Error::UnexpectedWeight { .. } | Error::Shape { .. } => {
                "the checkpoint and `plans.json` must come from the same training"
            }
            Error::NotFinite { .. } => "the training diverged; use an earlier checkpoint",
            Error::Exists { .. } => "remove it first, or choose another destination",
            _ => return None,
        })
    }
}

/// At most 80 characters of text from outside, for messages.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn listed(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
}
