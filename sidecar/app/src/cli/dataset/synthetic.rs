//! Synthetic cases at hand: on disk, or to be made while a network trains; and that nothing of them leaks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cli::synth::case_name;
use crate::manifest::{Manifest, Part, Splits};
use crate::{Error, Result};

/// The synthetic cases at hand, and what they were made of.
pub(super) struct Synthetic {
    folder: PathBuf,
    /// In order.
    pub(super) names: Vec<String>,
    pub(super) channels: usize,
    /// What the cases that are not on disk are to be made of.
    recipe: Option<PathBuf>,
}

impl Synthetic {
    /// Lists synthetic cases, and sees that nothing of them comes from outside the training part.
    pub(super) fn open(
        folder: &Path,
        splits: &Splits,
        manifest: &Manifest,
        parts: &BTreeMap<String, Part>,
    ) -> Result<Synthetic> {
        let path = folder.join("synth.json");
        let text = std::fs::read_to_string(&path).map_err(|error| Error::read(&path, error))?;
        let refuse = |what: String| {
            Err(Error::refused(what, "make them anew with `vesalius synth --splits` and this manifest"))
        };
        let Ok(value) = serde_json::from_str::<Value>(&text) else {
            return refuse(format!("`{}` cannot be understood", path.display()));
        };
        let sources = value["sources"].as_array().cloned().unwrap_or_default();
        let made_with =
            sources.iter().find(|source| source[0] == "splits").and_then(|source| source[1].as_str());
        if made_with != Some(splits.sha256.as_str()) {
            return refuse(format!(
                "the synthetic cases in `{}` were made with other splits",
                folder.display()
            ));
        }
        let members: Vec<&Value> =
            ["donors", "normals"].iter().filter_map(|kind| value[*kind].as_array()).flatten().collect();
        for one in &members {
            let case = one["case"].as_str().unwrap_or_default();
            let known = manifest.entries.iter().any(|entry| entry.case == case);
            if !known || parts.get(case) != Some(&Part::Train) {
                return refuse(format!(
                    "`{case}`, which synthetic cases come from, is not in the training part"
                ));
            }
            if splits.images.get(case).map(String::as_str) != one["sha256"].as_str() {
                return refuse(format!(
                    "the image of `{case}`, which synthetic cases come from, is not that of the splits"
                ));
            }
        }
        if value["on_the_fly"] == true {
            let names = (0..value["count"].as_u64().unwrap_or(0)).map(case_name).collect();
            let used = members.iter().filter(|one| !one["map"].is_null());
            let channels = if used.into_iter().all(|one| !one["files"]["adc"].is_null()) { 2 } else { 1 };
            return Ok(Synthetic { folder: folder.to_owned(), names, channels, recipe: Some(path) });
        }
        let names = on_disk(folder)?;
        let second = |name: &String| folder.join("images").join(format!("{name}_0001.nii.gz")).is_file();
        let channels = if !names.is_empty() && names.iter().all(second) { 2 } else { 1 };
        Ok(Synthetic { folder: folder.to_owned(), names, channels, recipe: None })
    }

    /// Puts a case into a data set; returns whether it lies on disk.
    pub(super) fn link(&self, name: &str, channels: usize, dataset: &Path) -> Result<bool> {
        let label = format!("{name}.nii.gz");
        if self.recipe.is_some() && !self.folder.join("labels").join(&label).is_file() {
            return Ok(false);
        }
        for channel in 0..channels {
            let file = format!("{name}_{channel:04}.nii.gz");
            link(&self.folder.join("images").join(&file), &dataset.join("imagesTr").join(&file))?;
        }
        link(&self.folder.join("labels").join(&label), &dataset.join("labelsTr").join(&label))?;
        Ok(true)
    }

    /// Gives the data set what its other cases are to be made of.
    pub(super) fn hand_over(&self, dataset: &Path) -> Result<()> {
        let Some(recipe) = &self.recipe else { return Ok(()) };
        let path = dataset.join(RECIPE);
        std::fs::copy(recipe, &path).map(|_| ()).map_err(|error| Error::write(&path, error))
    }
}

/// The file of a data set that says what its cases which are not on disk are made of.
pub(in crate::cli) const RECIPE: &str = "synthetic.json";

/// Names of the cases in a folder, in order.
fn on_disk(folder: &Path) -> Result<Vec<String>> {
    let labels = folder.join("labels");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&labels).map_err(|error| Error::read(&labels, error))? {
        let name = entry.map_err(|error| Error::read(&labels, error))?.file_name();
        names.extend(name.to_string_lossy().strip_suffix(".nii.gz").map(str::to_owned));
    }
    names.sort_unstable();
    Ok(names)
}

/// The same file under another name where the disk allows, else a copy.
fn link(from: &Path, to: &Path) -> Result<()> {
    if std::fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    std::fs::copy(from, to).map(|_| ()).map_err(|error| Error::write(to, error))
}
