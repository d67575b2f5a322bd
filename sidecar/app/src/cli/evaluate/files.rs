//! Folders of segmentations: one file per case, or one folder of masks per case.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use evaluation::Rater;

use crate::{Error, Result};

/// Endings of label maps, the longest first.
const ENDINGS: [&str; 4] = [".seg.nrrd", ".nii.gz", ".nrrd", ".nii"];

/// Where a case is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A label map.
    File(PathBuf),
    /// Masks, by the structure's name.
    Masks(BTreeMap<String, PathBuf>),
}

/// A folder of cases.
#[derive(Debug)]
pub(super) struct Folder {
    /// The name of who made them.
    pub(super) name: String,
    /// Where it is.
    pub(super) path: PathBuf,
    /// The cases by name.
    pub(super) cases: BTreeMap<String, Place>,
}

impl Folder {
    /// Lists `NAME=DIR`, or `DIR` under its own name.
    pub(super) fn parse(text: &str) -> Result<Folder> {
        match text.split_once('=') {
            Some((name, path)) if !name.is_empty() && !Path::new(text).exists() => {
                Folder::open(name, Path::new(path))
            }
            _ => {
                let path = Path::new(text);
                let name = path
                    .file_name()
                    .map_or_else(|| text.to_owned(), |name| name.to_string_lossy().into_owned());
                Folder::open(&name, path)
            }
        }
    }

    /// Lists the cases of a folder.
    pub(super) fn open(name: &str, path: &Path) -> Result<Folder> {
        let mut cases = BTreeMap::new();
        for (file, entry) in list(path)? {
            let place = if entry.is_dir() {
                let inner = entry.join("segmentations");
                let masks = masks(if inner.is_dir() { &inner } else { &entry })?;
                if masks.is_empty() {
                    continue;
                }
                (file, Place::Masks(masks))
            } else if let Some(stem) = stem(&file) {
                (stem.to_owned(), Place::File(entry))
            } else {
                continue;
            };
            let (case, place) = place;
            if cases.insert(case.clone(), place).is_some() {
                return Err(Error::refused(
                    format!("`{}` holds case `{case}` twice", path.display()),
                    "keep one file or folder of that name",
                ));
            }
        }
        if cases.is_empty() {
            return Err(Error::refused(
                format!("`{}` holds no segmentations", path.display()),
                "one `.nii.gz`, `.nii` or `.nrrd` per case, or one folder of masks per case",
            ));
        }
        Ok(Folder { name: name.to_owned(), path: path.to_owned(), cases })
    }
}

/// Entries of a folder by name; what is hidden is left out.
fn list(path: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let entries = std::fs::read_dir(path).map_err(|error| Error::read(path, error))?;
    let mut found = BTreeMap::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::read(path, error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            found.insert(name, entry.path());
        }
    }
    Ok(found)
}

fn masks(path: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let files = list(path)?.into_iter().filter(|(_, entry)| entry.is_file());
    Ok(files.filter_map(|(file, entry)| Some((stem(&file)?.to_owned(), entry))).collect())
}

/// The name of a label map without its ending.
fn stem(file: &str) -> Option<&str> {
    let lower = file.to_lowercase();
    let ending = ENDINGS.iter().find(|ending| lower.ends_with(*ending))?;
    file.get(..file.len() - ending.len())
}

/// Gives raters of one name their whole paths as names.
pub(super) fn name_apart(raters: &mut [Rater], folders: &[Folder]) {
    let names: Vec<String> = raters.iter().map(|rater| rater.name.clone()).collect();
    for (rater, folder) in raters.iter_mut().zip(folders) {
        if names.iter().filter(|name| **name == rater.name).count() > 1 {
            rater.name = folder.path.display().to_string();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_files_and_folders() {
        let root = tempfile::tempdir().unwrap();
        let make = |path: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        };
        for path in
            ["a.nii.gz", "b.seg.nrrd", "readme.txt", ".hidden.nii", "c/liver.nii.gz", "c/spleen.nii.gz"]
        {
            make(path);
        }
        make("d/segmentations/liver.nii.gz");
        let folder = Folder::parse(root.path().to_str().unwrap()).unwrap();
        assert_eq!(folder.cases.keys().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        let Place::Masks(masks) = &folder.cases["c"] else { panic!("no masks") };
        assert_eq!(masks.keys().collect::<Vec<_>>(), ["liver", "spleen"]);
        make("a.nrrd");
        assert!(matches!(Folder::open("x", root.path()), Err(Error::Refused { .. })));
    }
}
