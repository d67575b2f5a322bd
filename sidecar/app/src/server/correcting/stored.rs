//! Sessions as they lie on the disk. A server may be writing on while they are read: what is acknowledged stays as it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use correction::Session;
use formats::dicom;
use imaging::{LabelMap, Progress, Segment};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::super::error::{Answer, Refusal};
use super::super::protocol::{ORIGIN, TABLE};
use super::super::results::Table;
use super::desks::{Open, labels, open};
use super::orders::{IMAGE, JOURNAL, START};
use super::registry::{RECORD, Record};
use crate::config::Home;
use crate::{Error, Result};

/// A session, read.
pub(crate) struct Stored {
    /// 32 hexadecimal digits.
    pub(crate) id: String,
    /// When it began, since 1970.
    pub(crate) created: Duration,
    /// SHA-256 of the Patient ID; of the series or the image where there is none.
    pub(crate) patient: [u8; 32],
    pub(crate) session: Session,
    /// The labels that it began with.
    pub(crate) start: LabelMap,
    /// What the labels mean.
    pub(crate) segments: Vec<Segment>,
    /// How the first labels came about: an [`engine::Provenance`]; null where no network made them.
    pub(crate) provenance: Value,
}

/// The folders of all sessions, in the order of their names.
pub(crate) fn folders(home: &Home) -> Result<Vec<PathBuf>> {
    let folder = home.root().join("run/spool/corrections");
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|error| Error::read(&folder, error))?,
    };
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    found.retain(|folder| folder.join(RECORD).is_file());
    found.sort_unstable();
    Ok(found)
}

/// Reads a session.
pub(crate) fn read(folder: &Path, progress: &Progress) -> Result<Stored> {
    stored(folder, progress).map_err(|refusal| {
        Error::refused(format!("`{}`: {}", folder.display(), refusal.message), refusal.hint)
    })
}

fn stored(folder: &Path, progress: &Progress) -> Answer<Stored> {
    let read = |name: &str| fs::read(folder.join(name)).map_err(|error| Refusal::spool(&error));
    let wrong = |error: serde_json::Error| Refusal::spool(&error.into());
    let record: Record = serde_json::from_slice(&read(RECORD)?).map_err(wrong)?;
    let table: Table = serde_json::from_slice(&read(TABLE)?).map_err(wrong)?;
    // A line without an end is still being written.
    let revision = read(JOURNAL)?.iter().filter(|byte| **byte == b'\n').count() as u64;
    let start = labels(&table.grid, &read(START)?)?;
    let Open { session, table } = open(folder, table, revision, progress)?;
    let origin = fs::read(folder.join(ORIGIN)).ok();
    let origin: Option<dicom::Source> = origin.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let patient = match (origin.as_ref().and_then(dicom::Source::patient_id), &record.series) {
        (Some(id), _) => Sha256::digest(id),
        (None, Some(series)) => Sha256::digest(series),
        (None, None) => Sha256::digest(read(IMAGE)?),
    };
    Ok(Stored {
        id: record.id.to_string(),
        created: record.created,
        patient: patient.into(),
        segments: table.segments().cloned().collect(),
        provenance: table.provenance,
        session,
        start,
    })
}
