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
    /// Its label for each of the data set's, background first; none for structures that it does not know.
    pub(super) labels: Vec<Option<u8>>,
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
    let known: BTreeMap<&str, u8> =
        plan.labels.iter().map(|label| (label.name.as_str(), label.value)).collect();
    tell(&installed.id, &known, &dataset.labels, context);
    let labels = std::iter::once(Some(0))
        .chain(dataset.labels.values().map(|name| known.get(name.as_str()).copied()))
        .collect();
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
    Ok(Start { plans, folder, sha256: installed.sha256, labels })
}

/// What the new model learns from nothing, and what it will no longer know.
fn tell(id: &str, known: &BTreeMap<&str, u8>, wanted: &BTreeMap<u8, String>, context: &Context) {
    let quoted =
        |names: Vec<&str>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let new: Vec<&str> =
        wanted.values().map(String::as_str).filter(|name| !known.contains_key(name)).collect();
    if !new.is_empty() {
        context.display.note(&format!("note: `{id}` does not know {}: learned from nothing", quoted(new)));
    }
    let lost: Vec<&str> =
        known.keys().copied().filter(|name| !wanted.values().any(|other| other == name)).collect();
    if !lost.is_empty() {
        context.display.note(&format!(
            "note: the data set does not hold {}: the new model will not know what `{id}` does",
            quoted(lost)
        ));
    }
}
