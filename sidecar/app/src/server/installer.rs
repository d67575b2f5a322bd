//! Models for tasks, fetched and imported in a worker: no archive is opened in the process that speaks HTTP.

use std::path::PathBuf;

use engine::ModelStore;
use imaging::Progress;
use serde_json::{Value, json};

use super::error::{Answer, Code, Refusal};
use super::pace::Pace;
use super::protocol::InstallRequest;
use crate::Error;
use crate::install::{self, Lock, Network, Wanted};

/// Where models come from and go to.
#[derive(Debug, Clone)]
pub(crate) struct Installer {
    /// The models of this user.
    pub(crate) store: ModelStore,
    /// Downloads that are not finished.
    pub(crate) downloads: PathBuf,
    /// Mirror, proxy, patience.
    pub(crate) network: Network,
}

impl Installer {
    /// Whether everything that is asked for can be fetched, and how many bytes that is.
    pub(super) fn check(&self, request: &InstallRequest) -> Answer<Value> {
        let wanted = self.wanted(request)?;
        Ok(json!({ "bytes": install::bytes(&wanted) }))
    }

    /// Fetches and imports what is missing; the names of the models are the answer.
    pub(super) fn install(&self, request: &InstallRequest, progress: &Progress) -> Answer<Value> {
        let wait = || {
            let _ = progress.step("waiting for another program that installs models", 0, 0);
        };
        let _lock = Lock::wait(&self.downloads, wait, progress).map_err(|error| refusal(&error))?;
        self.store.sweep();
        let mut names = Vec::new();
        // The other program may have brought some of them.
        for wanted in self.wanted(request)? {
            let model = install::install(&self.store, &self.downloads, &wanted, &self.network, progress);
            names.push(model.map_err(|error| refusal(&error))?.id);
        }
        Ok(json!({ "models": names }))
    }

    /// How the bytes to fetch tell the pace; none where a size is not published.
    pub(super) fn pace(&self, request: &InstallRequest) -> Option<Pace> {
        let wanted = self.wanted(request).ok()?;
        let bytes = wanted.iter().map(|wanted| wanted.weights.bytes.map(|bytes| (bytes as f64, bytes)));
        bytes.collect::<Option<Vec<_>>>().map(|runs| Pace::new("downloading", runs))
    }

    /// What is missing, where all of it can be had.
    fn wanted(&self, request: &InstallRequest) -> Answer<Vec<Wanted>> {
        let wanted = install::wanted(&self.store, &request.task, request.speed);
        let wanted = wanted.map_err(|error| Refusal::of(Code::UnknownTask, &error))?;
        if let Some(obstacle) = wanted.iter().find_map(Wanted::obstacle) {
            return Err(Refusal::of(Code::ModelUnavailable, &obstacle));
        }
        match wanted.iter().find(|wanted| !wanted.is_permissive()) {
            Some(wanted) if !request.accept_licence => Err(Refusal::new(
                Code::LicenceNotAccepted,
                format!(
                    "the weights `{}` are not free for every use: {} {}",
                    wanted.weights.folder, wanted.licence, wanted.terms
                )
                .trim_end(),
                "if you agree to these terms, send `accept_licence: true`",
            )),
            _ => Ok(wanted),
        }
    }

    /// Deletes a model; folders that were only found are not touched.
    pub(super) fn remove(&self, model: &str) -> Answer<Value> {
        self.store.remove(model).map_err(|_| Refusal::not_found("model"))?;
        Ok(Value::Null)
    }
}

/// What the download or the import says.
fn refusal(error: &Error) -> Refusal {
    let code = match error {
        Error::Cancelled | Error::Download(crate::download::Error::Cancelled) => Code::Cancelled,
        Error::Download(_) => Code::DownloadFailed,
        Error::Write { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => Code::DiskFull,
        _ => Code::ModelUnavailable,
    };
    Refusal::of(code, error)
}
