//! The sessions as the supervisor knows them: a folder, a record and a journal each. They outlive worker and server.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{OwnedMutexGuard, watch};

use super::super::error::{Answer, Code, Refusal};
use super::super::id::Id;
use super::super::jobs::reused;
use super::super::rendezvous::{make_private, write_whole};
use super::bodies::{About, Summary};
use super::journal::Journal;
use super::orders::{Correct, JOURNAL, What};
use crate::{Error, Result};

/// Sessions at a time.
const MOST_SESSIONS: usize = 64;
/// The record of a session, in its folder.
pub(super) const RECORD: &str = "session.json";

/// What is written down about a session. No name, nothing of a patient.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) id: Id,
    /// The key that the client gave, and SHA-256 of what it asked for with it.
    pub(super) key: Option<[String; 2]>,
    /// SHA-256 of the Series Instance UID, where the image is of a DICOM series.
    pub(super) series: Option<String>,
    pub(super) volume: Id,
    pub(super) job: Option<Id>,
    /// Voxels along i, j, k.
    pub(super) dims: [usize; 3],
    /// Since 1970; finer than the seconds that clients see, for sessions of one second have an order.
    pub(super) created: Duration,
}

/// One session.
pub(super) struct Session {
    pub(super) folder: PathBuf,
    record: Record,
    /// Held while something changes: one after the other.
    journal: Arc<tokio::sync::Mutex<Journal>>,
    /// Tells of new events.
    revision: Arc<watch::Sender<u64>>,
    touched: Mutex<SystemTime>,
    /// The order of the newest hover.
    pub(super) hover: Looks,
    /// The order of the newest question to a network.
    pub(super) proposal: Looks,
}

/// The order of the newest look of a kind, while it goes on.
pub(super) type Looks = Mutex<Option<u64>>;

/// The right to change a session.
pub(super) type Turn = OwnedMutexGuard<Journal>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Zero for a clock that is set before it.
pub(super) fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl Session {
    /// A session of a folder that is complete but for the record, perhaps.
    fn open(folder: PathBuf, record: Record) -> io::Result<Session> {
        let path = folder.join(JOURNAL);
        let journal = Journal::open(&path)?;
        let touched = fs::metadata(&path).and_then(|metadata| metadata.modified());
        Ok(Session {
            folder,
            record,
            revision: Arc::new(watch::Sender::new(journal.revision())),
            journal: Arc::new(tokio::sync::Mutex::new(journal)),
            touched: Mutex::new(touched.unwrap_or_else(|_| SystemTime::now())),
            hover: Mutex::default(),
            proposal: Mutex::default(),
        })
    }

    /// Waits until nobody else changes the session.
    pub(super) async fn turn(&self) -> Turn {
        Arc::clone(&self.journal).lock_owned().await
    }

    /// An order about this session, as its journal stands.
    pub(super) fn order(&self, revision: u64, what: What) -> Correct {
        Correct { folder: self.folder.clone(), revision, what }
    }

    /// Events so far.
    pub(super) fn revision(&self) -> u64 {
        *self.revision.borrow()
    }

    /// Writes events down, then tells of them, even when whoever asked is gone by then.
    pub(super) async fn append(&self, turn: Turn, events: &[Value]) -> Answer<Turn> {
        let lines = events.iter().map(serde_json::to_vec).collect::<serde_json::Result<Vec<_>>>();
        let lines = lines.map_err(|_| Refusal::internal())?;
        let revision = Arc::clone(&self.revision);
        super::super::blocking(move || {
            let mut turn = turn;
            turn.append(&lines).map_err(|error| Refusal::spool(&error))?;
            revision.send_replace(turn.revision());
            Ok(turn)
        })
        .await
    }

    /// Waits until there are events after a revision.
    pub(super) async fn wait_beyond(&self, revision: u64, patience: Duration) {
        let mut revisions = self.revision.subscribe();
        let _ = tokio::time::timeout(patience, revisions.wait_for(|&current| current > revision)).await;
    }

    /// What it is about.
    pub(super) fn about(&self) -> About {
        About {
            id: self.record.id.clone(),
            created: self.record.created.as_secs(),
            touched: since_1970(*lock(&self.touched)).as_secs(),
            volume: self.record.volume.clone(),
            job: self.record.job.clone(),
        }
    }

    /// In a list.
    fn summary(&self) -> Summary {
        Summary { about: self.about(), revision: self.revision(), dims: self.record.dims }
    }
}

/// All sessions.
pub(crate) struct Corrections {
    folder: PathBuf,
    sessions: Mutex<BTreeMap<Id, Arc<Session>>>,
    /// Held while a session is made, so that a key makes one.
    pub(super) making: tokio::sync::Mutex<()>,
}

impl Corrections {
    /// The sessions that an earlier server left in `folder`.
    pub(crate) fn open(folder: PathBuf) -> Result<Corrections> {
        make_private(&folder)?;
        let mut sessions = BTreeMap::new();
        for entry in fs::read_dir(&folder).map_err(|error| Error::read(&folder, error))?.flatten() {
            match recovered(&entry.path()) {
                Some(session) => drop(sessions.insert(session.record.id.clone(), Arc::new(session))),
                // A folder without a record was never acknowledged. One with a record that cannot be read, of a newer
                // server perhaps, holds somebody's work and stays.
                None if entry.path().join(RECORD).exists() => {
                    tracing::warn!(session = %entry.file_name().display(), "its record cannot be read");
                }
                None => drop(fs::remove_dir_all(entry.path())),
            }
        }
        Ok(Corrections { folder, sessions: Mutex::new(sessions), making: tokio::sync::Mutex::default() })
    }

    /// The session that was made under this key.
    pub(super) fn known(&self, key: Option<&[String; 2]>) -> Answer<Option<Arc<Session>>> {
        let Some([key, asked]) = key else { return Ok(None) };
        let sessions = lock(&self.sessions);
        let known = sessions.values().find_map(|session| {
            let known = session.record.key.as_ref().filter(|known| known[0] == *key)?;
            Some((known[1] == *asked, Arc::clone(session)))
        });
        known.map_or(Ok(None), |(is_same, session)| if is_same { Ok(Some(session)) } else { Err(reused()) })
    }

    /// A folder for a new session.
    pub(super) fn folder(&self, id: &Id) -> Answer<PathBuf> {
        if lock(&self.sessions).len() >= MOST_SESSIONS {
            let message = format!("there are {MOST_SESSIONS} sessions already");
            return Err(Refusal::new(Code::QueueFull, message, "delete one that is no longer needed"));
        }
        let folder = self.folder.join(id.as_str());
        make_private(&folder).map_err(|error| Refusal::of(Code::Internal, &error))?;
        Ok(folder)
    }

    /// Opens the journal of a session whose folder is complete but for its record.
    pub(super) fn begin(&self, folder: &Path, record: Record) -> Answer<Session> {
        Session::open(folder.to_owned(), record).map_err(|error| Refusal::spool(&error))
    }

    /// Takes a session in: once this returns, it is written down.
    pub(super) fn keep(&self, session: Session) -> Answer<Arc<Session>> {
        let bytes = serde_json::to_vec(&session.record).map_err(|_| Refusal::internal())?;
        let path = session.folder.join(RECORD);
        write_whole(&path, &bytes).map_err(|error| Refusal::spool(&error))?;
        let session = Arc::new(session);
        lock(&self.sessions).insert(session.record.id.clone(), Arc::clone(&session));
        Ok(session)
    }

    /// A session by name.
    pub(super) fn get(&self, id: &Id) -> Answer<Arc<Session>> {
        let session = lock(&self.sessions).get(id).cloned().ok_or_else(|| Refusal::not_found("session"))?;
        *lock(&session.touched) = SystemTime::now();
        Ok(session)
    }

    /// All sessions, or those of a series (its SHA-256), the newest first.
    pub(super) fn list(&self, series: Option<&String>) -> Vec<Summary> {
        let sessions = lock(&self.sessions);
        let wanted = |session: &&Arc<Session>| {
            series.is_none_or(|series| session.record.series.as_ref() == Some(series))
        };
        let mut chosen: Vec<_> = sessions.values().filter(wanted).collect();
        chosen.sort_by_key(|session| std::cmp::Reverse(session.record.created));
        chosen.into_iter().map(|session| session.summary()).collect()
    }

    /// Forgets a session.
    pub(super) fn remove(&self, id: &Id) -> Answer<()> {
        let session = lock(&self.sessions).remove(id).ok_or_else(|| Refusal::not_found("session"))?;
        fs::remove_dir_all(&session.folder).map_err(|error| Refusal::spool(&error))
    }

    /// Forgets sessions that nobody has asked for in `age`.
    pub(crate) fn expire(&self, age: Duration) {
        lock(&self.sessions).retain(|_, session| {
            let idle = lock(&session.touched).elapsed().unwrap_or_default();
            let stays = idle < age || Arc::strong_count(session) > 1;
            if !stays {
                let _ = fs::remove_dir_all(&session.folder);
            }
            stays
        });
    }
}

/// A session of an earlier server, from its folder.
fn recovered(folder: &Path) -> Option<Session> {
    let record: Record = serde_json::from_slice(&fs::read(folder.join(RECORD)).ok()?).ok()?;
    if folder.file_name()?.to_str()? != record.id.as_str() {
        return None;
    }
    Session::open(folder.to_owned(), record).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_cannot_be_read_stays_with_its_journal() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("corrections");
        make_private(&folder).unwrap();
        let [newer, begun] = ["newer", "begun"].map(|name| folder.join(name));
        for session in [&newer, &begun] {
            fs::create_dir(session).unwrap();
            fs::write(session.join(JOURNAL), "{}\n").unwrap();
        }
        fs::write(newer.join(RECORD), r#"{"version": 2}"#).unwrap();
        let corrections = Corrections::open(folder).unwrap();
        assert!(corrections.list(None).is_empty());
        assert!(newer.join(JOURNAL).exists());
        assert!(!begun.exists());
    }

    /// What had been written for a client that went away meanwhile was told to nobody until the next event.
    #[tokio::test]
    async fn events_are_told_when_nobody_waits_for_the_answer() {
        let home = tempfile::tempdir().unwrap();
        let record = Record {
            id: Id::new().unwrap(),
            key: None,
            series: None,
            volume: Id::new().unwrap(),
            job: None,
            dims: [1; 3],
            created: Duration::ZERO,
        };
        let session = Session::open(home.path().to_owned(), record).unwrap();
        let turn = session.turn().await;
        let events = [Value::Null];
        let mut append = Box::pin(session.append(turn, &events));
        std::future::poll_fn(|context| {
            drop(append.as_mut().poll(context));
            std::task::Poll::Ready(())
        })
        .await;
        drop(append);
        let turn = session.turn().await;
        assert_eq!((turn.revision(), session.revision()), (1, 1));
    }
}
