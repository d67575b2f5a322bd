//! Unpacks the zip archive of a published model, taking only what a model consists of.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use imaging::Progress;
use zip::ZipArchive;
use zip::read::ZipFile;

use crate::error::{Error, Result};

const ENTRY_LIMIT: usize = 10_000;
/// Longest name of one folder or file, and most of them in a path.
const NAME_LIMIT: usize = 128;
const LEVEL_LIMIT: usize = 6;
/// Whatever an archive holds, it grows at most this much: weights hardly shrink, training logs do.
const GROWTH_LIMIT: u64 = 32;
const FREE_BYTES: u64 = 64 << 20;

/// Unpacks the models of a zip archive into the new folder `destination`, keeping their folders.
///
/// Taken are `plans.json`, `dataset.json`, checkpoints, licences and read-me files, nothing else. An archive with a
/// name that leads elsewhere, a link, an encrypted entry or an impossible size is refused as a whole. The folder
/// appears under its name when it is complete; until then the files lie in a hidden folder beside it.
///
/// # Errors
///
/// [`Error::Exists`]; [`Error::Container`], [`Error::Entry`] or [`Error::TooLarge`] for a bad archive;
/// [`Error::Read`], [`Error::Write`], [`Error::Cancelled`].
pub fn unpack_zip(archive: &Path, destination: &Path, progress: &Progress) -> Result<()> {
    if destination.symlink_metadata().is_ok() {
        return Err(Error::Exists { path: destination.to_path_buf() });
    }
    let parent =
        destination.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = File::open(archive).map_err(Error::read(archive))?;
    let length = file.metadata().map_err(Error::read(archive))?.len();
    let mut zip = ZipArchive::new(file).map_err(|_| Error::Container { problem: "it is no zip archive" })?;
    if zip.len() > ENTRY_LIMIT {
        let (found, limit) = (zip.len() as u64, ENTRY_LIMIT as u64);
        return Err(Error::TooLarge { what: "the archive".into(), unit: "entries", found, limit });
    }
    let folder =
        tempfile::Builder::new().prefix(".unpacking-").tempdir_in(parent).map_err(Error::write(parent))?;
    let mut unpacking =
        Unpacking { folder: folder.path(), progress, written: 0, limit: FREE_BYTES + GROWTH_LIMIT * length };
    for index in 0..zip.len() {
        let broken =
            |_| Error::Container { problem: "an entry is compressed in an unknown way, encrypted or broken" };
        unpacking.entry(zip.by_index(index).map_err(broken)?)?;
    }
    fs::rename(folder.path(), destination).map_err(Error::write(destination))?;
    // It has another name now: nothing to remove.
    let _ = folder.keep();
    Ok(())
}

struct Unpacking<'a> {
    folder: &'a Path,
    progress: &'a Progress,
    written: u64,
    limit: u64,
}

impl Unpacking<'_> {
    fn entry<R: Read>(&mut self, mut entry: ZipFile<'_, R>) -> Result<()> {
        let name =
            entry.name().map_err(|_| Error::Container { problem: "a name in it is not text" })?.into_owned();
        let relative = safe(&name)?;
        if entry.is_symlink() {
            return Err(Error::entry(&name, "is a link"));
        }
        if entry.is_dir() || !is_wanted(&relative) {
            return Ok(());
        }
        let path = self.folder.join(&relative);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(Error::write(folder))?;
        }
        // Two entries of one name, or of names that the file system cannot tell apart, end here.
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(|source| {
            match source.kind() {
                io::ErrorKind::AlreadyExists => Error::entry(&name, "is there twice"),
                _ => Error::Write { path: path.clone(), source },
            }
        })?;
        let mut chunk = vec![0; 1 << 20];
        loop {
            self.progress.step("unpacking", self.written, 0)?;
            let count = entry.read(&mut chunk).map_err(|_| Error::entry(&name, "is damaged"))?;
            if count == 0 {
                return file.sync_all().map_err(Error::write(&path));
            }
            self.written += count as u64;
            if self.written > self.limit {
                let (what, found) = ("the unpacked archive".to_owned(), self.written);
                return Err(Error::TooLarge { what, unit: "bytes", found, limit: self.limit });
            }
            file.write_all(&chunk[..count]).map_err(Error::write(&path))?;
        }
    }
}

/// The path of an entry's name, which must stay below the folder on every system.
fn safe(name: &str) -> Result<PathBuf> {
    let inner = name.strip_suffix('/').unwrap_or(name);
    let parts: Vec<&str> = inner.split('/').collect();
    let plain = |part: &&str| {
        let text = part.chars().all(|c| !c.is_control() && !r#"\:*?"<>|"#.contains(c));
        (1..=NAME_LIMIT).contains(&part.len()) && text && !part.ends_with(['.', ' '])
    };
    if parts.len() <= LEVEL_LIMIT && parts.iter().all(plain) {
        Ok(parts.iter().collect())
    } else {
        Err(Error::entry(name, "has a name that leads out of the archive or that some system cannot hold"))
    }
}

fn is_wanted(path: &Path) -> bool {
    let name = |path: &Path| {
        path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_ascii_lowercase()
    };
    let (file, folder) = (name(path), path.parent().map(name).unwrap_or_default());
    let hidden = path.iter().any(|part| part.to_string_lossy().starts_with(['.', '_']));
    let checkpoint = file.starts_with("checkpoint_") && file.ends_with(".pth") && folder.starts_with("fold_");
    let model = matches!(file.as_str(), "plans.json" | "dataset.json");
    let text = ["license", "licence", "readme", "notice"].iter().any(|start| file.starts_with(start));
    !hidden && (checkpoint || model || text)
}

#[cfg(test)]
mod tests;
