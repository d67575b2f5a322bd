//! Models on disk: those that were installed, the one that is built in, and TotalSegmentator's folders that lie about.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use imaging::Progress;
use nnunet::{Header, Model, Precision};
use serde::Serialize;

use crate::catalogue;
use crate::task::{Speed, Task};
use crate::{Error, Result};

/// Models inside the program, by name.
const EMBEDDED: &[(&str, &[u8])] =
    &[("headneck", include_bytes!("../models/headneck/headneck.vesalius").as_slice())];
/// An import that has written nothing for so long is dead.
const ABANDONED_AFTER: std::time::Duration = std::time::Duration::from_secs(600);
/// Ending of our own model files.
const ENDING: &str = "vesalius";

/// Where a model is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Inside the program.
    Embedded,
    /// A file in the store.
    Installed(PathBuf),
    /// A results folder of TotalSegmentator; it is converted into the store when it is first used.
    Found(PathBuf),
}

/// A model that can be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstalledModel {
    /// The name by which tasks and commands know it.
    pub id: String,
    /// nnU-Net's dataset name.
    pub dataset: String,
    /// nnU-Net's configuration, such as `3d_fullres`; empty while it is only found.
    pub configuration: String,
    /// nnU-Net's trainer; empty while it is only found.
    pub trainer: String,
    /// SPDX name or a sentence; `unknown` where nobody said.
    pub licence: String,
    /// Names of its folds.
    pub folds: Vec<String>,
    /// Bytes in the store.
    pub bytes: u64,
    /// SHA-256 over everything in it; empty while it is only found.
    pub sha256: String,
    /// Whether it takes prompts instead of segmenting by itself: no task, but something for correction.
    pub promptable: bool,
    /// Where it is.
    pub origin: Origin,
}

/// Under which name and licence a model is imported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportRequest {
    /// Instead of nnU-Net's dataset name.
    pub name: Option<String>,
    /// What its owner says; where a promptable network's folder states it, that counts.
    pub licence: Option<String>,
    /// Whether the licence of a promptable network was read and accepted; others need no such word.
    pub licence_accepted: bool,
}

/// The models of one user.
#[derive(Debug, Clone)]
pub struct ModelStore {
    root: PathBuf,
    found: Vec<PathBuf>,
}

impl ModelStore {
    /// A store in `root`, which need not exist yet; `found` are results folders of TotalSegmentator.
    #[must_use]
    pub fn new(root: PathBuf, found: Vec<PathBuf>) -> ModelStore {
        ModelStore { root, found }
    }

    /// The bytes of a model that is built in.
    pub(crate) fn embedded(id: &str) -> Option<&'static [u8]> {
        EMBEDDED.iter().find(|(known, _)| *known == id).map(|(_, bytes)| *bytes)
    }

    /// The folder of the store.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Every model, the built-in one first. A file that is not a model is left out: [`ModelStore::verify`] says why.
    #[must_use]
    pub fn list(&self) -> Vec<InstalledModel> {
        let mut models: Vec<InstalledModel> =
            EMBEDDED.iter().filter_map(|(id, bytes)| embedded(id, bytes).ok()).collect();
        models.extend(entries(&self.root).iter().filter_map(|path| installed(path).ok()));
        for folder in self.found.iter().flat_map(|root| entries(root)) {
            let Some(name) = dataset_folder(&folder) else { continue };
            if !models.iter().any(|model| model.id == name) {
                models.push(found(name, &folder));
            }
        }
        models
    }

    /// The model that `weights` names: a dataset number of TotalSegmentator or an id.
    #[must_use]
    pub fn find(&self, weights: &str) -> Option<InstalledModel> {
        if let Some((id, bytes)) = EMBEDDED.iter().find(|(id, _)| *id == weights) {
            return embedded(id, bytes).ok();
        }
        let is_wanted =
            |name: &str| name == weights || dataset_number(name).is_some_and(|number| number == weights);
        let installed_path = entries(&self.root).into_iter().find(|path| stem(path).is_some_and(is_wanted));
        if let Some(model) = installed_path.and_then(|path| installed(&path).ok()) {
            return Some(model);
        }
        let mut folders = self.found.iter().flat_map(|root| entries(root));
        folders.find_map(|folder| {
            let name = dataset_folder(&folder).filter(|name| is_wanted(name))?;
            Some(found(name, &folder))
        })
    }

    /// Weights that a task needs at `speed` and that are not here, those of its own search included.
    #[must_use]
    pub fn missing(&self, task: &Task, speed: Speed) -> Vec<String> {
        let mode = task.mode(speed);
        let mut missing: Vec<String> = mode
            .parts
            .iter()
            .filter(|part| self.find(&part.weights).is_none())
            .map(|part| part.weights.clone())
            .collect();
        let finder = mode.crop.as_ref().and_then(|crop| Some((catalogue::task(&crop.task)?, crop.mode)));
        if let Some((finder, speed)) = finder {
            missing.extend(self.missing(finder, speed));
        }
        if let (true, Some(bodies)) = (task.id == "vertebrae_pp_refined", catalogue::task("vertebrae_body")) {
            missing.extend(self.missing(bodies, Speed::Default));
        }
        missing.sort();
        missing.dedup();
        missing
    }

    /// The built-in tasks, and one for each other model that was imported.
    #[must_use]
    pub fn tasks(&self) -> Vec<Task> {
        let mut tasks = catalogue::tasks().to_vec();
        for path in entries(&self.root) {
            let (Some(id), Ok(header)) = (stem(&path), nnunet::describe(&path)) else { continue };
            let published =
                dataset_number(id).is_some_and(|number| catalogue::weights().contains_key(&number));
            let segments = header.plan.interactions.is_none();
            if segments && !published && !tasks.iter().any(|task| task.id == id) {
                let licence = header.source.licence.as_deref().unwrap_or("unknown");
                let mut task = Task::of_model(id, &header.plan, licence);
                let purpose = header.source.card.as_ref().and_then(|card| card["purpose"].as_str());
                task.caution = purpose.unwrap_or_default().to_owned();
                tasks.push(task);
            }
        }
        tasks
    }

    /// The task of that name, built in or made by an imported model.
    #[must_use]
    pub fn task(&self, id: &str) -> Option<Task> {
        catalogue::task(id).cloned().or_else(|| self.tasks().into_iter().find(|task| task.id == id))
    }

    /// Reads a model that nnU-Net wrote, from a folder or a zip archive, and keeps it in our own form.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] for anything that cannot be read or written, or whose licence must be accepted first;
    /// [`Error::ModelName`].
    pub fn import(
        &self,
        path: &Path,
        request: &ImportRequest,
        progress: &Progress,
    ) -> Result<InstalledModel> {
        let options = nnunet::ImportOptions {
            licence_accepted: request.licence_accepted,
            ..nnunet::ImportOptions::default()
        };
        let mut model = nnunet::import(path, &options, progress)?;
        let dataset = model.source.name.split('/').next().unwrap_or(&model.plan.dataset).to_owned();
        let id = request.name.clone().unwrap_or_else(|| dataset.clone());
        let published = dataset_number(&id).and_then(|number| licence_of(&number));
        model.source.licence = model.source.licence.or_else(|| request.licence.clone()).or(published);
        self.keep(&id, &model)
    }

    /// Reads the weights of a model, converting a folder that was only found.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] when the file is damaged: every hash in it is checked.
    pub(crate) fn load(
        &self,
        model: &InstalledModel,
        progress: &Progress,
    ) -> Result<(InstalledModel, Model)> {
        match &model.origin {
            Origin::Embedded => {
                let bytes =
                    EMBEDDED.iter().find(|(id, _)| *id == model.id).map_or(&[][..], |(_, bytes)| bytes);
                Ok((model.clone(), nnunet::load_bytes(bytes)?))
            }
            Origin::Installed(path) => Ok((model.clone(), nnunet::load(path)?)),
            Origin::Found(folder) => {
                progress.step("converting the model", 0, 0)?;
                let request = ImportRequest { name: Some(model.id.clone()), ..ImportRequest::default() };
                let installed = self.import(folder, &request, progress)?;
                self.load(&installed, progress)
            }
        }
    }

    /// A model with all of its weights: to train on from, or to keep in another store.
    ///
    /// # Errors
    ///
    /// [`Error::ModelMissing`]; [`Error::Model`] when the file is damaged.
    pub fn read(&self, id: &str, progress: &Progress) -> Result<(InstalledModel, Model)> {
        let model = self.find(id).ok_or_else(|| Error::no_model(id))?;
        self.load(&model, progress)
    }

    /// The card of a model that was trained with one.
    #[must_use]
    pub fn card(&self, id: &str) -> Option<serde_json::Value> {
        match self.find(id)?.origin {
            Origin::Installed(path) => nnunet::describe(&path).ok()?.source.card,
            _ => None,
        }
    }

    /// Keeps a model under `id`, in place of what was there.
    ///
    /// # Errors
    ///
    /// [`Error::ModelName`], [`Error::Model`] when it cannot be written.
    pub fn keep(&self, id: &str, model: &Model) -> Result<InstalledModel> {
        if !is_name(id) || EMBEDDED.iter().any(|(known, _)| *known == id) {
            return Err(Error::ModelName { name: id.to_owned() });
        }
        fs::create_dir_all(&self.root).map_err(Error::folder(&self.root))?;
        let path = self.root.join(format!("{id}.{ENDING}"));
        nnunet::save(model, &path, Precision::Exact)?;
        installed(&path)
    }

    /// Reads all of a model and checks every hash.
    ///
    /// # Errors
    ///
    /// [`Error::ModelMissing`]; [`Error::Model`] that says what is wrong.
    pub fn verify(&self, id: &str) -> Result<InstalledModel> {
        let path = self.root.join(format!("{id}.{ENDING}"));
        if is_name(id) && path.exists() {
            nnunet::load(&path)?;
            return installed(&path);
        }
        let model = self.find(id).ok_or_else(|| Error::no_model(id))?;
        match &model.origin {
            Origin::Found(_) => Ok(model),
            _ => Ok(self.load(&model, &Progress::silent())?.0),
        }
    }

    /// Deletes what imports that were killed left half-written, long ago enough that none of them can still be alive.
    pub fn sweep(&self) {
        let is_old = |path: &PathBuf| {
            let written = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
            written.and_then(|when| when.elapsed().ok()).is_some_and(|age| age >= ABANDONED_AFTER)
        };
        let is_part =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".tmp"));
        for path in entries(&self.root).into_iter().filter(|path| is_part(path) && is_old(path)) {
            let _ = fs::remove_file(path);
        }
    }

    /// Deletes a model's file; folders of TotalSegmentator are never touched.
    ///
    /// # Errors
    ///
    /// [`Error::ModelMissing`] when there is no such file.
    pub fn remove(&self, id: &str) -> Result<PathBuf> {
        let file = entries(&self.root).into_iter().find(|path| {
            stem(path)
                .is_some_and(|name| name == id || dataset_number(name).is_some_and(|number| number == id))
        });
        let path = file.ok_or_else(|| Error::no_model(id))?;
        fs::remove_file(&path).map_err(Error::folder(&path))?;
        Ok(path)
    }
}

/// Files and folders of `root`, by name; none when it cannot be read.
fn entries(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// Name of a model file without its ending.
fn stem(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()?.strip_suffix(&format!(".{ENDING}"))
}

/// Name of a folder such as `Dataset297_TotalSegmentator_total_3mm_1559subj` that holds a model.
fn dataset_folder(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    (dataset_number(name).is_some() && nnunet::models_in(path).is_ok_and(|models| models.len() == 1))
        .then_some(name)
}

/// `297` of `Dataset297_...`, without leading zeros.
fn dataset_number(name: &str) -> Option<String> {
    let digits = name.strip_prefix("Dataset")?.split('_').next()?;
    digits.parse::<u32>().ok().map(|number| number.to_string())
}

/// The licence of published weights, by the first task that uses them.
fn licence_of(number: &str) -> Option<String> {
    let uses = |task: &&Task| {
        let modes = [Some(&task.modes.default), task.modes.fast.as_ref(), task.modes.fastest.as_ref()];
        modes.into_iter().flatten().any(|mode| mode.parts.iter().any(|part| part.weights == number))
    };
    catalogue::tasks().iter().find(uses).map(|task| task.licence.clone())
}

/// Names become file names: letters, digits, `-`, `_` and `.`, not hidden, not too long.
fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 120 && !name.starts_with('.') && name.chars().all(allowed)
}

/// Bytes of a model file before its header: magic, length, and the hash that covers everything else.
const PREFIX: usize = 48;

fn installed(path: &Path) -> Result<InstalledModel> {
    let header = nnunet::describe(path)?;
    let mut prefix = [0; PREFIX];
    let mut file = File::open(path).map_err(Error::folder(path))?;
    file.read_exact(&mut prefix).map_err(Error::folder(path))?;
    let bytes = file.metadata().map_err(Error::folder(path))?.len();
    let id = stem(path).unwrap_or_default().to_owned();
    Ok(described(id, &header, &prefix, bytes, Origin::Installed(path.to_path_buf())))
}

fn embedded(id: &str, bytes: &[u8]) -> Result<InstalledModel> {
    let header = nnunet::describe_bytes(bytes)?;
    Ok(described(id.to_owned(), &header, bytes, bytes.len() as u64, Origin::Embedded))
}

fn described(id: String, header: &Header, prefix: &[u8], bytes: u64, origin: Origin) -> InstalledModel {
    let hash = prefix.get(PREFIX - 32..PREFIX).unwrap_or_default();
    InstalledModel {
        id,
        dataset: header.plan.dataset.clone(),
        configuration: header.plan.configuration.clone(),
        trainer: header.plan.trainer.clone(),
        licence: header.source.licence.clone().unwrap_or_else(|| "unknown".to_owned()),
        folds: header.folds().map(str::to_owned).collect(),
        bytes,
        sha256: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        promptable: header.plan.interactions.is_some(),
        origin,
    }
}

fn found(name: &str, folder: &Path) -> InstalledModel {
    let licence = dataset_number(name).and_then(|number| licence_of(&number));
    InstalledModel {
        id: name.to_owned(),
        dataset: name.to_owned(),
        configuration: String::new(),
        trainer: String::new(),
        licence: licence.unwrap_or_else(|| "unknown".to_owned()),
        folds: Vec::new(),
        bytes: 0,
        sha256: String::new(),
        promptable: false,
        origin: Origin::Found(folder.to_path_buf()),
    }
}
