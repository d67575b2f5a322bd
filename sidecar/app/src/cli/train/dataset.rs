//! nnU-Net's raw data set, looked at before anything is started: what it says of itself, and what it holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use imaging::Progress;
use rayon::prelude::*;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::cli::dataset::RECIPE;
use crate::manifest::{hash, hexadecimal};
use crate::{Error, Result};

/// A raw data set.
#[derive(Debug, Clone)]
pub(super) struct Dataset {
    /// `Dataset501_Stroke`.
    pub(super) name: String,
    /// The folder of raw data sets that it is in.
    pub(super) raw: PathBuf,
    /// Names of the channels, in order.
    pub(super) channels: Vec<String>,
    /// Structures by label, without background and `ignore`.
    pub(super) labels: BTreeMap<u8, String>,
    /// The label of what was not reviewed.
    pub(super) ignore: Option<u8>,
    /// Ending of image files.
    pub(super) ending: String,
    /// Cases to train on, in the order of their names.
    pub(super) cases: Vec<String>,
    /// Cases to test on: those with labels in `labelsTs`.
    pub(super) tests: Vec<String>,
    /// Whether some of the cases to train on are made while the network trains; they are not among `cases`.
    pub(super) on_the_fly: bool,
    /// SHA-256 over the names and contents of all files.
    pub(super) sha256: String,
}

impl Dataset {
    /// Looks at a folder, and hashes all of it.
    pub(super) fn open(folder: &Path, progress: &Progress) -> Result<Dataset> {
        let bad = |what: String| {
            Error::refused(
                what,
                "nnU-Net's raw data sets are folders such as `Dataset501_Name` with `dataset.json`, `imagesTr` and \
                 `labelsTr`; `vesalius dataset build` makes them",
            )
        };
        let folder = folder.canonicalize().map_err(|error| Error::read(folder, error))?;
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let digits = name.strip_prefix("Dataset").and_then(|rest| rest.get(..3));
        if !digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit())) {
            return Err(bad(format!("`{name}` is no name of a data set")));
        }
        let path = folder.join("dataset.json");
        let text = std::fs::read_to_string(&path).map_err(|error| Error::read(&path, error))?;
        let json: Value = serde_json::from_str(&text)
            .map_err(|error| bad(format!("`{}` cannot be understood: {error}", path.display())))?;
        let ending = json["file_ending"].as_str().unwrap_or(".nii.gz").to_owned();
        let cases = labelled(&folder.join("labelsTr"), &ending)?;
        if cases.is_empty() {
            return Err(bad(format!("`{}` holds no labels to train on", folder.join("labelsTr").display())));
        }
        let (labels, ignore) = labels(&json).map_err(bad)?;
        let mut channels: Vec<(usize, String)> = json["channel_names"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(at, name)| Some((at.parse().ok()?, name.as_str()?.to_owned())))
            .collect();
        channels.sort();
        Ok(Dataset {
            sha256: digest(&folder, progress)?,
            on_the_fly: folder.join(RECIPE).is_file(),
            tests: labelled(&folder.join("labelsTs"), &ending).unwrap_or_default(),
            raw: folder.parent().unwrap_or(&folder).to_owned(),
            channels: channels.into_iter().map(|(_, name)| name).collect(),
            name,
            labels,
            ignore,
            ending,
            cases,
        })
    }

    /// The folder itself.
    pub(super) fn folder(&self) -> PathBuf {
        self.raw.join(&self.name)
    }

    /// Image files of a case, one for each channel. `part` is `Tr` or `Ts`.
    pub(super) fn images(&self, case: &str, part: &str) -> Vec<PathBuf> {
        let folder = self.folder().join(format!("images{part}"));
        let file = |channel| folder.join(format!("{case}_{channel:04}{}", self.ending));
        (0..self.channels.len().max(1)).map(file).collect()
    }

    /// The label file of a case.
    pub(super) fn truth(&self, case: &str, part: &str) -> PathBuf {
        self.folder().join(format!("labels{part}")).join(format!("{case}{}", self.ending))
    }

    /// Cases of a fold to train and to validate on, by `splits_final.json`; none where there is no such file or fold.
    pub(super) fn fold(&self, fold: usize) -> Option<[Vec<String>; 2]> {
        let text = std::fs::read_to_string(self.folder().join("splits_final.json")).ok()?;
        let splits: Value = serde_json::from_str(&text).ok()?;
        let names = |key: &str| -> Option<Vec<String>> {
            splits[fold][key].as_array()?.iter().map(|name| Some(name.as_str()?.to_owned())).collect()
        };
        Some([names("train")?, names("val")?])
    }
}

/// Structures by label, and the label of what is ignored.
fn labels(json: &Value) -> Result<(BTreeMap<u8, String>, Option<u8>), String> {
    let (mut labels, mut ignore) = (BTreeMap::new(), None);
    let table = json["labels"].as_object().ok_or("`dataset.json` names no labels")?;
    for (name, value) in table {
        let Some(value) = value.as_u64().and_then(|value| u8::try_from(value).ok()) else {
            return Err(format!("label `{name}` is {value}: plain labels of 0 to 255 were expected"));
        };
        match (name.as_str(), value) {
            (_, 0) => {}
            ("ignore", value) => ignore = Some(value),
            (name, value) => {
                labels.insert(value, name.to_owned());
            }
        }
    }
    Ok((labels, ignore))
}

/// Cases of a folder of labels.
fn labelled(folder: &Path, ending: &str) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(folder).map_err(|error| Error::read(folder, error))?;
    let name = |entry: std::fs::DirEntry| {
        entry.file_name().to_string_lossy().strip_suffix(ending).map(str::to_owned)
    };
    let mut cases: Vec<String> = entries.flatten().filter_map(name).collect();
    cases.sort();
    Ok(cases)
}

/// SHA-256 over the names and contents of a data set's files, in the order of their names.
fn digest(folder: &Path, progress: &Progress) -> Result<String> {
    let mut files: Vec<PathBuf> =
        ["dataset.json", "splits_final.json", RECIPE].iter().map(|name| folder.join(name)).collect();
    for part in ["imagesTr", "labelsTr", "imagesTs", "labelsTs"] {
        let entries = std::fs::read_dir(folder.join(part)).into_iter().flatten().flatten();
        files.extend(entries.map(|entry| entry.path()));
    }
    files.retain(|file| file.is_file());
    files.sort();
    progress.step("hashing the data", 0, files.len() as u64)?;
    let hashes: Vec<String> = files.par_iter().map(|file| hash(file)).collect::<Result<_>>()?;
    let mut all = Sha256::new();
    for (file, hash) in files.iter().zip(hashes) {
        let name = file.strip_prefix(folder).unwrap_or(file).to_string_lossy().replace('\\', "/");
        all.update(format!("{name}\t{hash}\n"));
    }
    Ok(hexadecimal(&all.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn labels_are_plain_numbers() {
        let (labels, ignore) =
            labels(&json!({"labels": {"background": 0, "lesion": 1, "ignore": 2}})).unwrap();
        assert_eq!((labels, ignore), (BTreeMap::from([(1, "lesion".to_owned())]), Some(2)));
        let error = super::labels(&json!({"labels": {"background": 0, "whole": [1, 2]}})).unwrap_err();
        assert!(error.contains("`whole`"), "{error}");
    }
}
