//! The part of a file that has come so far: bytes, their hash, and how to recognise the rest.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Error, Source};

/// What must be the same for two answers to be pieces of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    /// The address asked for.
    pub url: String,
    /// `ETag` or `Last-Modified` of the answer, as `If-Range` wants it; none: cannot be resumed.
    pub validator: Option<String>,
    /// Length of the whole file.
    pub total: Option<u64>,
}

/// A file that is being fetched.
#[derive(Debug)]
pub(super) struct Part {
    path: PathBuf,
    record: PathBuf,
    file: File,
    length: u64,
    hasher: Sha256,
    identity: Identity,
}

impl Part {
    /// Takes up what lies beside `target`, or begins anew when it is of another source or cannot be continued.
    pub(super) fn open(target: &Path, source: &Source) -> Result<Part, Error> {
        let path = beside(target, "part");
        let record = beside(target, "part.json");
        let failed = |source| Error::Write { path: path.clone(), source };
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let file = OpenOptions::new().create(true).read(true).append(true).open(&path).map_err(failed)?;
        let identity = std::fs::read(&record).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let identity = identity.unwrap_or_default();
        let mut part = Part { path, record, file, length: 0, hasher: Sha256::new(), identity };
        if part.identity.url == source.url && part.identity.validator.is_some() {
            part.take_up()?;
        } else {
            part.restart(Identity { url: source.url.clone(), ..Identity::default() })?;
        }
        Ok(part)
    }

    /// Hashes what is there.
    fn take_up(&mut self) -> Result<(), Error> {
        let mut file = File::open(&self.path).map_err(|source| self.failed(source))?;
        let mut buffer = vec![0; 1 << 18];
        loop {
            let count = file.read(&mut buffer).map_err(|source| self.failed(source))?;
            if count == 0 {
                return Ok(());
            }
            self.hasher.update(&buffer[..count]);
            self.length += count as u64;
        }
    }

    /// Throws the bytes away and begins a file of another identity.
    pub(super) fn restart(&mut self, identity: Identity) -> Result<(), Error> {
        // A device has no length to cut; only a part that holds something needs to be emptied.
        if self.file.metadata().is_ok_and(|metadata| metadata.len() > 0) {
            self.file.set_len(0).map_err(|source| self.failed(source))?;
        }
        self.hasher = Sha256::new();
        self.length = 0;
        self.identity = identity;
        let text = serde_json::to_vec(&self.identity).unwrap_or_default();
        std::fs::write(&self.record, text).map_err(|source| self.failed(source))
    }

    /// Adds bytes at the end.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|source| self.failed(source))?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.length
    }

    /// What the bytes belong to.
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The folder that the bytes go to.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// Checks the hash, makes the bytes safe on disk and gives the file its name.
    pub(super) fn finish(self, source: &Source, target: &Path) -> Result<(), Error> {
        let found: String = self.hasher.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if let Some(expected) = source.sha256.as_ref().filter(|expected| **expected != found) {
            let error = Error::Hash { url: source.url.clone(), found, expected: expected.clone() };
            self.discard();
            return Err(error);
        }
        self.file.sync_all().map_err(|source| self.failed(source))?;
        std::fs::rename(&self.path, target).map_err(|source| self.failed(source))?;
        // A record without its part is ignored, so failing to remove it does no harm.
        let _ = std::fs::remove_file(&self.record);
        // Only Unix can sync a folder; elsewhere the rename is as safe as the system makes it.
        if cfg!(unix) {
            let folder = File::open(self.folder()).and_then(|folder| folder.sync_all());
            folder.map_err(|source| self.failed(source))?;
        }
        Ok(())
    }

    /// Removes the bytes and their record.
    pub(super) fn discard(&self) {
        let _ = std::fs::remove_file(&self.path);
        let _ = std::fs::remove_file(&self.record);
    }

    /// The error of writing this part.
    fn failed(&self, source: std::io::Error) -> Error {
        Error::Write { path: self.path.clone(), source }
    }
}

/// `model.zip` -> `model.zip.part`.
fn beside(target: &Path, ending: &str) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(ending);
    target.with_file_name(name)
}
