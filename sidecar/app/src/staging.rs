//! Results are written aside and given their names only when all are whole, so that nobody ever sees half of one.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::{Error, Result};

/// Folders to remove when the program is broken off.
static OPEN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Files on their way: written into a hidden folder beside their place, moved there by [`Staging::commit`].
#[derive(Debug)]
pub(crate) struct Staging {
    folders: Vec<PathBuf>,
    files: Vec<(PathBuf, PathBuf)>,
}

impl Staging {
    /// Nothing staged.
    pub(crate) fn new() -> Staging {
        Staging { folders: Vec::new(), files: Vec::new() }
    }

    /// Where to write what shall become `target`; makes the target's folder.
    pub(crate) fn path(&mut self, target: &Path) -> Result<PathBuf> {
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let folder = parent.join(format!(".vesalius-{}", std::process::id()));
        if !self.folders.contains(&folder) {
            std::fs::create_dir_all(&folder).map_err(|error| Error::write(parent, error))?;
            open().push(folder.clone());
            self.folders.push(folder.clone());
        }
        let aside = folder.join(target.file_name().unwrap_or_default());
        self.files.push((aside.clone(), target.to_owned()));
        Ok(aside)
    }

    /// The names that the files will have.
    pub(crate) fn targets(&self) -> Vec<PathBuf> {
        self.files.iter().map(|(_, target)| target.clone()).collect()
    }

    /// Gives every file its name, and returns the names in the order they were asked for.
    pub(crate) fn commit(mut self) -> Result<Vec<PathBuf>> {
        let mut targets = Vec::new();
        for (aside, target) in std::mem::take(&mut self.files) {
            std::fs::rename(&aside, &target).map_err(|error| Error::write(&target, error))?;
            targets.push(target);
        }
        Ok(targets)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        for folder in &self.folders {
            let _ = std::fs::remove_dir_all(folder);
        }
        open().retain(|folder| !self.folders.contains(folder));
    }
}

/// Sees that files can be written into `folder`, or that it can be made, before long work begins; leaves no trace.
pub(crate) fn probe(folder: &Path) -> Result<()> {
    let there =
        folder.ancestors().find(|folder| folder.exists()).filter(|folder| !folder.as_os_str().is_empty());
    let mut staging = Staging::new();
    let aside = staging.path(&there.unwrap_or(Path::new(".")).join("probe"))?;
    std::fs::write(&aside, []).map_err(|error| Error::write(folder, error))
}

/// Removes what is half-written: for a program that ends without unwinding.
pub(crate) fn abandon() {
    for folder in open().iter() {
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// The list, whatever happened to another thread that held it.
fn open() -> std::sync::MutexGuard<'static, Vec<PathBuf>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_appear_together_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("deep/liver.nii.gz");
        let mut staging = Staging::new();
        std::fs::write(staging.path(&target).unwrap(), "a").unwrap();
        assert!(!target.exists());
        drop(staging);
        let left: Vec<_> = std::fs::read_dir(folder.path().join("deep")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");

        let mut staging = Staging::new();
        std::fs::write(staging.path(&target).unwrap(), "b").unwrap();
        assert_eq!(staging.commit().unwrap(), std::slice::from_ref(&target));
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "b");
        assert_eq!(std::fs::read_dir(folder.path().join("deep")).unwrap().count(), 1);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_told_early() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(matches!(probe(&file.join("seg")), Err(Error::Write { .. })));
        probe(&folder.path().join("new/deeper")).unwrap();
        assert!(!folder.path().join("new").exists());
    }
}
