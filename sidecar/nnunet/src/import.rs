//! Finds a model in a folder or a zip archive that nnU-Net or TotalSegmentator wrote, and reads it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use imaging::Progress;
use sha2::{Digest, Sha256};

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::interactions::Interactions;
use crate::native::hexadecimal;
use crate::plan::Plan;
use crate::promptable::{interactions_in, licence_in, read_promptable};
use crate::read_plan::{JSON_LIMIT, read_plan};
use crate::unpack::unpack_zip;
use crate::weights::{Fold, Model, Source, SourceFile};

/// What to read of a model folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportOptions {
    /// Which folds.
    pub folds: Folds,
    /// The file within a fold's folder.
    pub checkpoint: String,
    /// Whether the licence of a promptable network was read and accepted.
    pub licence_accepted: bool,
}

impl Default for ImportOptions {
    fn default() -> ImportOptions {
        ImportOptions {
            folds: Folds::Found,
            checkpoint: "checkpoint_final.pth".into(),
            licence_accepted: false,
        }
    }
}

/// Which folds of a cross-validation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Folds {
    /// All numbered ones that hold the checkpoint, as nnU-Net does; `fold_all` only where there is no numbered one.
    #[default]
    Found,
    /// These: `0`, `3`, `all`.
    Named(Vec<String>),
}

/// Reads a model from `path`: nnU-Net's trainer folder (`Trainer__Plans__3d_fullres`), the dataset folder round it, a
/// folder of datasets that holds exactly one model, or a zip archive of any of these.
///
/// Reports a step for each weight. Memory is about that of the weights.
///
/// # Errors
///
/// [`Error::NoModel`], [`Error::SeveralModels`] or [`Error::NoFold`] when it is unclear what to read, and everything
/// that [`read_plan`], [`Checkpoint`] and [`unpack_zip`] refuse.
pub fn import(path: &Path, options: &ImportOptions, progress: &Progress) -> Result<Model> {
    if path.is_dir() {
        return read_folder(path, options, progress);
    }
    let folder = tempfile::tempdir().map_err(Error::write(path))?;
    let unpacked = folder.path().join("model");
    unpack_zip(path, &unpacked, progress)?;
    let mut model = read_folder(&unpacked, options, progress).map_err(|error| named(error, path))?;
    model.source.files.insert(0, describe(path, &file_name(path), progress)?);
    Ok(model)
}

/// Errors about the temporary folder are errors about the archive.
fn named(error: Error, archive: &Path) -> Error {
    let path = archive.to_path_buf();
    match error {
        Error::NoModel { .. } => Error::NoModel { path },
        Error::SeveralModels { choices, .. } => Error::SeveralModels { path, choices },
        Error::NoFold { wanted, checkpoint, found, .. } => Error::NoFold { path, wanted, checkpoint, found },
        other => other,
    }
}

/// As [`import`], from a folder only.
///
/// # Errors
///
/// As [`import`].
pub fn read_folder(path: &Path, options: &ImportOptions, progress: &Progress) -> Result<Model> {
    let choices = models_in(path)?;
    let trainer = match &choices[..] {
        [] => return Err(Error::NoModel { path: path.to_path_buf() }),
        [one] => path.join(one),
        _ => return Err(Error::SeveralModels { path: path.to_path_buf(), choices }),
    };
    let interactions = interactions_in(&trainer)?;
    let names = folds(&trainer, options)?;
    if interactions.is_some() && names.len() > 1 {
        let found = names.join(", ");
        return Err(Error::Unsupported {
            what: "a promptable network of folds",
            found,
            supported: "one fold",
        });
    }
    let plans = small_file(&trainer.join("plans.json"))?;
    let dataset = small_file(&trainer.join("dataset.json"))?;
    let mut source = Source {
        name: source_name(&trainer),
        converter: format!("vesalius {}", env!("CARGO_PKG_VERSION")),
        ..Source::default()
    };
    for (name, bytes) in [("plans.json", &plans), ("dataset.json", &dataset)] {
        let sha256 = hexadecimal(&Sha256::digest(bytes));
        source.files.push(SourceFile { path: name.into(), sha256, bytes: bytes.len() as u64 });
    }
    let mut skipped = BTreeSet::new();
    let mut plan: Option<Plan> = None;
    let mut read = Vec::new();
    for name in names {
        let relative = format!("{name}/{}", options.checkpoint);
        let file = trainer.join(&relative);
        source.files.push(describe(&file, &relative, progress)?);
        let mut checkpoint = Checkpoint::open(&file)?;
        skipped.append(&mut checkpoint.skipped.iter().cloned().collect());
        let plan = match &mut plan {
            Some(plan) => plan,
            None => {
                let named = [&plans[..], &dataset[..]];
                let found = plan_of(&trainer, named, &checkpoint, interactions.as_ref())?;
                source.licence = accepted(&trainer, &found, options)?;
                plan.insert(found)
            }
        };
        let weights = checkpoint.weights(plan, progress)?;
        read.push(Fold { name, weights });
    }
    source.skipped = skipped.into_iter().collect();
    let plan = plan.ok_or_else(|| Error::NoModel { path: path.to_path_buf() })?;
    Ok(Model { plan, folds: read, source })
}

/// The plan of the one model in a folder, without its weights; none where the folders' names do not tell it.
#[must_use]
pub fn plan_in(path: &Path) -> Option<Plan> {
    let choices = models_in(path).ok()?;
    let [one] = &choices[..] else { return None };
    let trainer = path.join(one);
    let name = file_name(&trainer);
    let mut parts = name.rsplitn(3, "__");
    let (configuration, _, class) = (parts.next()?, parts.next()?, parts.next()?);
    let plans = small_file(&trainer.join("plans.json")).ok()?;
    let dataset = small_file(&trainer.join("dataset.json")).ok()?;
    read_plan(&plans, &dataset, configuration, class).ok()
}

/// The folder's name says which trainer and configuration; where somebody renamed it, the checkpoint does.
fn plan_of(
    trainer: &Path,
    [plans, dataset]: [&[u8]; 2],
    checkpoint: &Checkpoint,
    interactions: Option<&Interactions>,
) -> Result<Plan> {
    let trained = (
        checkpoint.trainer.as_deref().unwrap_or_default(),
        checkpoint.configuration.as_deref().unwrap_or("3d_fullres"),
    );
    if let Some(interactions) = interactions {
        return read_promptable(plans, dataset, [trained.1, trained.0], interactions);
    }
    let name = file_name(trainer);
    let mut parts = name.rsplitn(3, "__");
    let (configuration, _, class) = (parts.next(), parts.next(), parts.next());
    let (class, configuration) = match (class, configuration) {
        (Some(class), Some(configuration)) => (class, configuration),
        _ => trained,
    };
    read_plan(plans, dataset, configuration, class)
}

/// The licence of a promptable network, which its owner must have accepted; of others, nobody has said it here.
fn accepted(trainer: &Path, plan: &Plan, options: &ImportOptions) -> Result<Option<String>> {
    if plan.interactions.is_none() {
        return Ok(None);
    }
    let licence = licence_in(trainer, plan)?;
    if !options.licence_accepted {
        let licence = licence.unwrap_or_else(|| "unknown".to_owned());
        return Err(Error::LicenceNotAccepted { licence });
    }
    Ok(licence)
}

/// The trainer folders in `path`, itself included (then the list is one empty path), up to three levels down;
/// relative to `path` and sorted.
///
/// # Errors
///
/// [`Error::Read`]; [`Error::TooLarge`] when there are more folders than a place for models has.
pub fn models_in(path: &Path) -> Result<Vec<PathBuf>> {
    const FOLDER_LIMIT: usize = 10_000;
    let mut found = Vec::new();
    let mut waiting = vec![(PathBuf::new(), 0)];
    let mut seen = 0;
    while let Some((relative, level)) = waiting.pop() {
        let folder = path.join(&relative);
        if is_trainer(&folder) {
            found.push(relative);
            continue;
        }
        if level == 3 {
            continue;
        }
        for child in folders(&folder)? {
            seen += 1;
            waiting.push((relative.join(child), level + 1));
        }
        if seen > FOLDER_LIMIT {
            let (what, found) = (format!("`{}`", path.display()), seen as u64);
            return Err(Error::TooLarge { what, unit: "folders", found, limit: FOLDER_LIMIT as u64 });
        }
    }
    found.sort();
    Ok(found)
}

fn is_trainer(folder: &Path) -> bool {
    folder.join("plans.json").is_file() && folder.join("dataset.json").is_file()
}

/// Names of the folders in a folder, those that are no UTF-8 or hidden left out.
fn folders(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::read(folder))? {
        let entry = entry.map_err(Error::read(folder))?;
        if let Ok(name) = entry.file_name().into_string()
            && !name.starts_with('.')
            && entry.path().is_dir()
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The folders of the folds to read, by rising number.
fn folds(trainer: &Path, options: &ImportOptions) -> Result<Vec<String>> {
    let mut found: Vec<String> = folders(trainer)?
        .into_iter()
        .filter(|name| name.starts_with("fold_") && trainer.join(name).join(&options.checkpoint).is_file())
        .collect();
    let number = |name: &String| name.strip_prefix("fold_").and_then(|number| number.parse::<u32>().ok());
    found.sort_by_key(|name| number(name).unwrap_or(u32::MAX));
    let missing = |wanted: &str| Error::NoFold {
        path: trainer.to_path_buf(),
        wanted: wanted.to_owned(),
        checkpoint: options.checkpoint.clone(),
        found: found.clone(),
    };
    match &options.folds {
        Folds::Named(names) => {
            let mut folds = Vec::new();
            for name in names {
                let name = format!("fold_{name}");
                if !found.contains(&name) {
                    return Err(missing(&name));
                }
                if !folds.contains(&name) {
                    folds.push(name);
                }
            }
            if folds.is_empty() { Err(missing("fold")) } else { Ok(folds) }
        }
        Folds::Found if found.is_empty() => Err(missing("fold")),
        Folds::Found => {
            let numbered: Vec<String> = found.iter().filter(|name| number(name).is_some()).cloned().collect();
            Ok(if numbered.is_empty() { found } else { numbered })
        }
    }
}

pub(crate) fn small_file(path: &Path) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(Error::read(path))?;
    let mut bytes = Vec::new();
    // One more than the limit, so that `read_plan` sees that it is passed.
    file.take(JSON_LIMIT + 1).read_to_end(&mut bytes).map_err(Error::read(path))?;
    Ok(bytes)
}

/// Hashes a file without holding it.
fn describe(path: &Path, relative: &str, progress: &Progress) -> Result<SourceFile> {
    let mut file = File::open(path).map_err(Error::read(path))?;
    let total = file.metadata().map_err(Error::read(path))?.len();
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    let mut chunk = vec![0; 1 << 20];
    loop {
        progress.step("hashing", bytes, total)?;
        match file.read(&mut chunk).map_err(Error::read(path))? {
            0 => break,
            count => {
                hash.update(&chunk[..count]);
                bytes += count as u64;
            }
        }
    }
    Ok(SourceFile { path: relative.to_owned(), sha256: hexadecimal(&hash.finalize()), bytes })
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Dataset and trainer folder: `Dataset297_…/nnUNetTrainer__nnUNetPlans__3d_fullres`.
fn source_name(trainer: &Path) -> String {
    // A relative path such as `.` has no names to show.
    let whole = trainer.canonicalize().unwrap_or_else(|_| trainer.to_path_buf());
    let dataset = whole.parent().map(file_name).unwrap_or_default();
    let name = file_name(&whole);
    if dataset.starts_with("Dataset") { format!("{dataset}/{name}") } else { name }
}

#[cfg(test)]
mod tests;
