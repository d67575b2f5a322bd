//! From what was typed to a job: folders, settings, and the model that is trained on.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use training::Job;

use super::dataset::Dataset;
use super::environment::Environment;
use super::{Train, start};
use crate::cli::Context;
use crate::manifest::hexadecimal;
use crate::{Error, Result};

/// Everything that a training needs.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) train: &'a Train,
    pub(super) dataset: &'a Dataset,
    pub(super) environment: &'a Environment,
    /// The name of the task that it becomes.
    pub(super) name: String,
    /// This training's own folder.
    pub(super) run: PathBuf,
    /// The training.
    pub(super) job: Job,
}

impl<'a> Plan<'a> {
    /// Checks what was asked for against the data, and lays the starting weights down.
    pub(super) fn new(
        train: &'a Train,
        dataset: &'a Dataset,
        environment: &'a Environment,
        context: &Context,
    ) -> Result<Plan<'a>> {
        let name = train.name.clone().unwrap_or_default();
        let work = train.machine.work.clone().unwrap_or_else(|| context.home.training());
        let work = absolute(&work)?;
        let run = work.join("runs").join(&name);
        std::fs::create_dir_all(&run).map_err(|error| Error::write(&run, error))?;
        let settings = train.settings()?;
        let plans_of = train.plans_of.as_deref().map(|folder| beside(folder, dataset)).transpose()?;
        let start = train.from.as_deref().map(|model| start::lay(model, dataset, &settings, &run, context));
        let start = start.transpose()?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u32;
        let gpus = train.machine.gpus.max(1);
        let fold = train.fold.parse::<u8>().map_or_else(|_| json!("all"), |fold| json!(fold));
        let mut job = Job {
            raw: dataset.raw.clone(),
            preprocessed: PathBuf::new(),
            results: run.join("results"),
            dataset: dataset.name.clone(),
            dataset_sha256: dataset.sha256.clone(),
            plans_of,
            plans: start.as_ref().map(|start| start.plans.clone()),
            start_from: start.as_ref().map(|start| start.folder.clone()),
            start_sha256: start.as_ref().map(|start| start.sha256.clone()),
            start_labels: start.map(|start| start.labels).unwrap_or_default(),
            settings,
            splits: None,
            fold,
            seed: train.seed,
            device: train.machine.device.name().to_owned(),
            gpus,
            workers: train.machine.workers.unwrap_or(if train.machine.device.name() == "cpu" {
                0
            } else {
                cores.clamp(1, 12)
            }),
            processes: cores.clamp(1, 8),
            threads: train.machine.threads.unwrap_or(cores),
            parity_case: Vec::new(),
            program: std::env::current_exe().unwrap_or_default(),
            only_prepare: train.machine.prepare_only,
        };
        if gpus > 1 && job.device != "cuda" {
            return Err(Error::usage(
                format!("{gpus} graphics cards and the device `{}` do not go together", job.device),
                "nnU-Net trains on several cards with `--device cuda` only",
            ));
        }
        job.preprocessed = work.join("preprocessed").join(key(&job));
        let validated = train.fold.parse().ok().and_then(|fold| dataset.fold(fold)).map(|[_, cases]| cases);
        if dataset.on_the_fly && (validated.is_none() || train.prequential.is_some()) {
            return Err(Error::refused(
                format!("`{}` has synthetic cases that are made while a network trains", dataset.name),
                "train on it by a fold of its `splits_final.json`, such as `--fold 0`, or put the cases on disk",
            ));
        }
        let case = validated.as_ref().and_then(|cases| cases.first()).or(dataset.cases.first());
        job.parity_case = case.map(|case| dataset.images(case, "Tr")).unwrap_or_default();
        if validated.is_none() && train.fold != "all" && train.prequential.is_none() {
            context.display.note(
                "note: the data set has no `splits_final.json` with that fold; nnU-Net draws one by case, not by patient",
            );
        }
        Ok(Plan { train, dataset, environment, name, run, job })
    }

    /// SHA-256 of settings and versions: equal hashes, equal training but for data and seed.
    pub(super) fn configuration_sha256(&self, versions: &Value) -> String {
        let all = json!({ "settings": self.job.settings, "versions": versions });
        hexadecimal(&Sha256::digest(all.to_string()))
    }
}

/// Trainings of one key share their preprocessed data.
pub(super) fn key(job: &Job) -> String {
    let plan = json!({
        "data": job.dataset_sha256, "plans_of": job.plans_of, "start": job.start_sha256, "splits": job.splits,
        "patch": job.settings.patch_size, "features": job.settings.features, "batch": job.settings.batch_size,
        "spacing": job.settings.spacing,
    });
    hexadecimal(&Sha256::digest(plan.to_string())).chars().take(12).collect()
}

/// The name of a data set in the same folder of raw ones.
fn beside(folder: &Path, dataset: &Dataset) -> Result<String> {
    let whole = folder.canonicalize().map_err(|error| Error::read(folder, error))?;
    if whole.parent() != Some(&dataset.raw) {
        return Err(Error::refused(
            format!("`{}` does not lie beside `{}`", folder.display(), dataset.name),
            "nnU-Net looks for all raw data sets in one folder",
        ));
    }
    Ok(whole.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default())
}

/// nnU-Net runs in another folder than this program.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| Error::read(path, error))
}
