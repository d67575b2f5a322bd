//! The model that is trained on: its plan as nnU-Net reads it, and its weights as our trainer does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use imaging::Progress;
use training::Settings;

use super::dataset::Dataset;
use crate::cli::Context;
use crate::{Error, Result};

/// What lies ready.
#[derive(Debug)]
pub(super) struct Start {
    /// nnU-Net's plan.
    pub(super) plans: PathBuf,
    /// Folder of the weights.
    pub(super) folder: PathBuf,
    /// The model's hash.
    pub(super) sha256: String,
    /// Whether it tells the same structures by the same labels.
    pub(super) same_labels: bool,
}

/// Lays the model's plan and first fold down in the training's folder.
pub(super) fn lay(
    model: &str,
    dataset: &Dataset,
    settings: &Settings,
    run: &Path,
    context: &Context,
) -> Result<Start> {
    let (installed, model) = context.store().read(model, &Progress::silent())?;
    let plan = &model.plan;
    if plan.channels.len() != dataset.channels.len().max(1) {
        return Err(Error::refused(
            format!(
                "`{}` takes {} images ({}), and the data set has {} ({})",
                installed.id,
                plan.channels.len(),
                plan.channels.join(", "),
                dataset.channels.len(),
                dataset.channels.join(", ")
            ),
            "train on from a model of the same channels, or without `--from`",
        ));
    }
    let labels: BTreeMap<u8, String> =
        plan.labels.iter().map(|label| (label.value, label.name.clone())).collect();
    let same_labels = labels == dataset.labels;
    if !same_labels {
        context.display.note(&format!(
            "note: `{}` tells other structures than the data set: its last layer begins anew",
            installed.id
        ));
    }
    let folder = run.join("start");
    std::fs::create_dir_all(&folder).map_err(|error| Error::write(&folder, error))?;
    let plans = folder.join("plans.json");
    let weights = model.folds.first().map(|fold| training::weights_table(&fold.weights));
    let (table, bytes) = weights.unwrap_or_default();
    let plan = training::plans(plan, &dataset.name, settings.batch_size);
    for (path, text) in [
        (plans.clone(), format!("{plan:#}").into_bytes()),
        (folder.join(training::WEIGHTS_TABLE), table.to_string().into_bytes()),
        (folder.join(training::WEIGHTS_FILE), bytes),
    ] {
        std::fs::write(&path, text).map_err(|error| Error::write(&path, error))?;
    }
    Ok(Start { plans, folder, sha256: installed.sha256, same_labels })
}
