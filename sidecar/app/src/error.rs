//! What can go wrong on the way in or out, what the user reads about it, and the exit code.

use std::path::{Path, PathBuf};

use crate::download;

/// Why the program could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command line asks for something that does not exist or does not go together.
    #[error("{message}")]
    Usage {
        /// What was found and what was expected.
        message: String,
        /// What to do instead.
        hint: String,
    },
    /// The work cannot be done as things are, and nothing is broken.
    #[error("{message}")]
    Refused {
        /// What stands in the way.
        message: String,
        /// How to get it out of the way.
        hint: String,
    },
    /// A file or folder could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file or folder could not be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The settings file does not parse.
    #[error("`{}` is not a valid settings file: {detail}", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// What the parser said, in one line.
        detail: String,
    },
    /// A model could not be fetched.
    #[error(transparent)]
    Download(#[from] download::Error),
    /// An image could not be read or written.
    #[error(transparent)]
    Formats(formats::Error),
    /// The engine or a model says no.
    #[error(transparent)]
    Engine(engine::Error),
    /// Standard output was closed or full.
    #[error("cannot write the answer")]
    Output(#[source] std::io::Error),
    /// The user asked to stop.
    #[error("stopped; nothing half-written was left behind")]
    Cancelled,
}

/// Shorthand for this crate's results.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Wrong usage: exit code 2.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Error {
        Error::Usage { message: message.into(), hint: hint.into() }
    }

    /// The work cannot be done as things are.
    pub(crate) fn refused(message: impl Into<String>, hint: impl Into<String>) -> Error {
        Error::Refused { message: message.into(), hint: hint.into() }
    }

    /// The error of reading `path`.
    pub(crate) fn read(path: &Path, source: std::io::Error) -> Error {
        Error::Read { path: path.to_owned(), source }
    }

    /// The error of writing `path`.
    pub(crate) fn write(path: &Path, source: std::io::Error) -> Error {
        Error::Write { path: path.to_owned(), source }
    }

    /// The exit code that scripts see: 1 failed, 2 wrong usage, 0 when the reader of the answer went away.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage { .. } => 2,
            Error::Output(source) if source.kind() == std::io::ErrorKind::BrokenPipe => 0,
            _ => 1,
        }
    }

    /// What the user can do next, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Usage { hint, .. } | Error::Refused { hint, .. } => Some(hint.clone()),
            Error::Read { .. } => Some("check the path, and that you may read it".to_owned()),
            Error::Write { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Some("free some space, or write to another disk".to_owned())
            }
            Error::Write { .. } => {
                Some("check that the folder exists and that you may write into it".to_owned())
            }
            Error::Settings { .. } => Some(
                "`docs/cli.md` lists the settings; remove the file to go back to the defaults".to_owned(),
            ),
            Error::Download(error) => error.hint(),
            Error::Formats(error) => hint_of_formats(error),
            Error::Engine(error) => hint_of_engine(error),
            Error::Output(_) | Error::Cancelled => None,
        }
    }

    /// The message and its causes in one sentence, as they are printed after `error: `.
    #[must_use]
    pub fn sentence(&self) -> String {
        let mut sentence = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let text = error.to_string();
            if !sentence.contains(&text) {
                sentence.push_str(": ");
                sentence.push_str(&text);
            }
            cause = error.source();
        }
        sentence
    }
}

/// The hint of a reader, with the ways out of an ambiguity as flags to copy.
fn hint_of_formats(error: &formats::Error) -> Option<String> {
    if error.choices().is_empty() {
        return error.hint().map(str::to_owned);
    }
    let mut hint = "choose what is right and run again with one of".to_owned();
    for choice in error.choices() {
        hint.push_str(&format!("\n  --choose {}={}   {}", choice.key, choice.value, choice.label));
    }
    Some(hint)
}

/// What can be done about an error of the engine.
fn hint_of_engine(error: &engine::Error) -> Option<String> {
    Some(match error {
        engine::Error::NoModel { .. } => "`vesalius models list` lists the models".to_owned(),
        engine::Error::Model(nnunet::Error::LicenceNotAccepted { .. }) => {
            "read `LICENSE` in its folder; if you agree to it, run the command again with `--accept-licence`".to_owned()
        }
        engine::Error::ModelName { .. } => {
            "choose another with `--name`: letters, digits, `-`, `_` and `.`, and none that is built in".to_owned()
        }
        engine::Error::Store { .. } => "check that you may read and write there, or set `VESALIUS_HOME`".to_owned(),
        engine::Error::RuntimeMissing { .. } => {
            "run `pip install onnxruntime`, or set `VESALIUS_ONNXRUNTIME` to its library; `vesalius doctor` lists the \
             places that were searched"
                .to_owned()
        }
        engine::Error::RuntimeTooOld { .. } => "run `pip install --upgrade onnxruntime`".to_owned(),
        engine::Error::RuntimeUnusable { .. } => "run `pip install --force-reinstall onnxruntime`".to_owned(),
        engine::Error::Network { .. } => "`vesalius doctor` checks the runtime; `--device cpu` is safest".to_owned(),
        _ => return None,
    })
}

// Stopping is one thing, wherever it was noticed.
impl From<engine::Error> for Error {
    fn from(error: engine::Error) -> Error {
        match error {
            engine::Error::Cancelled => Error::Cancelled,
            other => Error::Engine(other),
        }
    }
}

impl From<formats::Error> for Error {
    fn from(error: formats::Error) -> Error {
        match error {
            formats::Error::Cancelled(_) => Error::Cancelled,
            other => Error::Formats(other),
        }
    }
}

impl From<imaging::Cancelled> for Error {
    fn from(_: imaging::Cancelled) -> Error {
        Error::Cancelled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_names_the_cause_once() {
        let error = Error::write(Path::new("seg"), std::io::ErrorKind::StorageFull.into());
        assert_eq!(error.sentence(), "cannot write `seg`: no storage space");
        assert_eq!(error.hint().as_deref(), Some("free some space, or write to another disk"));
        assert_eq!(error.exit_code(), 1);
    }

    #[test]
    fn exit_codes_are_the_contract() {
        assert_eq!(Error::usage("a", "b").exit_code(), 2);
        assert_eq!(Error::Cancelled.exit_code(), 1);
        assert_eq!(Error::Output(std::io::ErrorKind::BrokenPipe.into()).exit_code(), 0);
        assert_eq!(Error::Output(std::io::ErrorKind::StorageFull.into()).exit_code(), 1);
    }
}
