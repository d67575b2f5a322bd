//! Published weights: from the task that needs them, over the network, into the model store.

use std::fs::File;
use std::path::{Path, PathBuf};

use engine::catalogue::{self, Weights};
use engine::{ImportRequest, InstalledModel, ModelStore, Speed, Task};
use imaging::Progress;

use crate::download::{self, Source};
use crate::{Error, Result, output};

/// Where the weights are published.
const PUBLISHER: &str = "https://github.com";
/// Hosts that the publisher's redirects lead to.
const HOSTS: &[&str] = &["github.com", ".githubusercontent.com"];
/// Licences under which weights may be used for anything, as long as their authors are named.
const PERMISSIVE: &[&str] = &["Apache-2.0", "MIT", "BSD-3-Clause", "CC-BY-4.0", "CC0-1.0"];

/// One set of weights to install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// TotalSegmentator's dataset number.
    pub id: String,
    /// What is published about it.
    pub weights: Weights,
    /// The licence of the tasks that use it.
    pub licence: String,
    /// What that licence asks for.
    pub terms: String,
}

/// How to fetch.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// Replaces the publisher's scheme and host.
    pub mirror: Option<String>,
    /// Proxy, retries and patience.
    pub options: download::Options,
}

impl Wanted {
    /// What is known of weights by their dataset number, their folder's name or a part of it.
    #[must_use]
    pub fn find(name: &str) -> Option<Wanted> {
        let all = catalogue::weights();
        let (id, weights) =
            all.get_key_value(name).or_else(|| all.iter().find(|(_, weights)| weights.folder == name))?;
        let task = user_of(id);
        Some(Wanted {
            id: id.clone(),
            weights: weights.clone(),
            licence: task.map_or_else(|| "unknown".to_owned(), |task| task.licence.clone()),
            terms: task.map_or_else(String::new, |task| task.terms.clone()),
        })
    }

    /// Whether the licence lets everybody use the weights for anything.
    #[must_use]
    pub fn is_permissive(&self) -> bool {
        PERMISSIVE.contains(&self.licence.as_str())
    }

    /// Whether the weights cannot be fetched by this program, as a sentence and what to do instead.
    pub(crate) fn obstacle(&self) -> Option<Error> {
        if self.weights.url.is_some() {
            return None;
        }
        let folder = &self.weights.folder;
        let (message, hint) = if self.weights.access.as_deref() == Some("licensed") {
            (
                format!("the weights `{folder}` need a licence key from TotalSegmentator's authors"),
                "the key is free for non-commercial use: \
                 https://backend.totalsegmentator.com/license-academic/ \
                 (commercial: see https://totalsegmentator.com). With TotalSegmentator installed run \
                 `totalseg_set_license -l KEY` and `totalseg_download_weights -t TASK`; the folder that it makes in \
                 `~/.totalsegmentator` is found and used, or give it to `vesalius models import`"
                    .to_owned(),
            )
        } else {
            (
                format!("the weights `{folder}` were never published"),
                "a copy that you have can be used with `vesalius models import PATH`".to_owned(),
            )
        };
        Some(Error::Refused { message, hint })
    }
}

/// The first task that runs these weights as a part of its own.
fn user_of(id: &str) -> Option<&'static Task> {
    catalogue::tasks().iter().find(|task| {
        let modes = [Some(&task.modes.default), task.modes.fast.as_ref(), task.modes.fastest.as_ref()];
        modes.into_iter().flatten().any(|mode| mode.parts.iter().any(|part| part.weights == *id))
    })
}

/// What `target` (a task, a dataset number or a folder's name) lacks at `speed`.
///
/// # Errors
///
/// When there is no such task and no such weights.
pub fn wanted(store: &ModelStore, target: &str, speed: Speed) -> Result<Vec<Wanted>> {
    let ids = match store.task(target) {
        Some(task) => store.missing(&task, speed),
        None if Wanted::find(target).is_some() => {
            if store.find(target).is_some() {
                Vec::new()
            } else {
                vec![target.to_owned()]
            }
        }
        None => {
            let tasks = store.tasks();
            let near = output::nearest(target, tasks.iter().map(|task| task.id.as_str()));
            let hint = near.map_or_else(
                || "`vesalius tasks` lists the tasks".to_owned(),
                |near| format!("did you mean `{near}`? `vesalius tasks` lists the tasks"),
            );
            return Err(Error::usage(format!("there is no task and no model `{target}`"), hint));
        }
    };
    Ok(ids.iter().filter_map(|id| Wanted::find(id)).collect())
}

/// Bytes to download, where all sizes are published.
#[must_use]
pub fn bytes(wanted: &[Wanted]) -> Option<u64> {
    wanted.iter().map(|wanted| wanted.weights.bytes).sum()
}

/// Fetches one set of weights into `downloads` and imports it into `store`; the archive is not kept.
///
/// # Errors
///
/// What the download or the import says; the store is as it was.
pub fn install(
    store: &ModelStore,
    downloads: &Path,
    wanted: &Wanted,
    network: &Network,
    progress: &Progress,
) -> Result<InstalledModel> {
    let Some(url) = &wanted.weights.url else {
        return Err(wanted.obstacle().unwrap_or(Error::Cancelled));
    };
    let source = Source {
        url: mirrored(url, network.mirror.as_deref()),
        bytes: wanted.weights.bytes,
        sha256: wanted.weights.sha256.clone(),
    };
    let mut options = network.options.clone();
    if network.mirror.is_none() && url.starts_with(PUBLISHER) {
        options.hosts = HOSTS.iter().map(|&host| host.to_owned()).collect();
    }
    let archive = downloads.join(format!("{}.zip", wanted.weights.folder));
    let stage = format!("downloading {}", wanted.id);
    download::fetch(&source, &archive, &options, &stage, progress)?;
    let request = ImportRequest {
        name: Some(wanted.weights.folder.clone()),
        licence: Some(wanted.licence.clone()).filter(|licence| licence != "unknown"),
        ..ImportRequest::default()
    };
    let imported = store.import(&archive, &request, progress);
    // Kept only where Ctrl-C came between: a bad archive would be bad again.
    if !progress.is_cancelled() {
        let _ = std::fs::remove_file(&archive);
    }
    Ok(imported?)
}

/// `url` at a mirror: its address instead of the publisher's, the same path.
fn mirrored(url: &str, mirror: Option<&str>) -> String {
    match (mirror, url.strip_prefix(PUBLISHER)) {
        (Some(mirror), Some(path)) => format!("{}{path}", mirror.trim_end_matches('/')),
        _ => url.to_owned(),
    }
}

/// Keeps other programs of this user from installing at the same time; freed when dropped or when the program ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for its turn; `told` is called once if another program has it.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written, or `progress` asks to stop.
    pub fn wait(downloads: &Path, told: impl FnOnce(), progress: &Progress) -> Result<Lock> {
        std::fs::create_dir_all(downloads).map_err(|error| Error::write(downloads, error))?;
        let path: PathBuf = downloads.join("lock");
        let file = File::create(&path).map_err(|error| Error::write(&path, error))?;
        let mut told = Some(told);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(std::fs::TryLockError::WouldBlock) => {}
                Err(std::fs::TryLockError::Error(error)) => return Err(Error::write(&path, error)),
            }
            if let Some(told) = told.take() {
                told();
            }
            if progress.is_cancelled() {
                return Err(Error::Cancelled);
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_replaces_the_host_and_keeps_the_path() {
        let url = Wanted::find("297").unwrap().weights.url.unwrap();
        let path = "/wasserth/TotalSegmentator/releases/download/v2.0.0-weights/\
                    Dataset297_TotalSegmentator_total_3mm_1559subj.zip";
        assert_eq!(url, format!("https://github.com{path}"));
        for mirror in ["https://mirror.example.org/git", "https://mirror.example.org/git/"] {
            assert_eq!(mirrored(&url, Some(mirror)), format!("https://mirror.example.org/git{path}"));
        }
        assert_eq!(mirrored(&url, None), url);
    }

    #[test]
    fn every_published_address_has_the_publishers_host() {
        for (id, weights) in catalogue::weights() {
            let elsewhere =
                weights.url.as_ref().is_some_and(|url| !url.starts_with(&format!("{PUBLISHER}/")));
            assert!(!elsewhere, "{id}: {:?}", weights.url);
        }
    }

    #[test]
    fn total_needs_five_models_and_licensed_weights_are_explained() {
        let folder = tempfile::tempdir().unwrap();
        let store = ModelStore::new(folder.path().join("models"), Vec::new());
        let total = wanted(&store, "total", Speed::Default).unwrap();
        let ids: Vec<&str> = total.iter().map(|wanted| wanted.id.as_str()).collect();
        assert_eq!(ids, ["291", "292", "293", "294", "295"]);
        assert_eq!(bytes(&total), Some(1_169_624_951));
        assert!(total.iter().all(Wanted::is_permissive));

        let heart = wanted(&store, "heartchambers_highres", Speed::Default).unwrap();
        let licensed = heart.iter().find(|wanted| wanted.id == "301").unwrap();
        assert!(licensed.obstacle().unwrap().hint().unwrap().contains("license-academic"));
        assert!(!Wanted::find("615").unwrap().is_permissive());
        assert_eq!(wanted(&store, "totl", Speed::Default).unwrap_err().exit_code(), 2);
        assert!(wanted(&store, "headneck", Speed::Default).unwrap().is_empty());
    }
}
