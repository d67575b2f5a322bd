//! The sessions that the worker holds. Each is made of the files in its folder, so it can be dropped at any moment and
//! be read again: when memory is needed, when it has gone on without its journal, and when the worker has died.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;
use std::{fs, io};

use correction::{Event, Image, Intensity, RunnerUp, Session};
use engine::Engine;
use formats::ReadOptions;
use imaging::{Grid, LabelMap, Progress};
use serde_json::Value;

use super::super::error::{Answer, Code, Refusal};
use super::super::limits;
use super::super::protocol::TABLE;
use super::super::results::Table;
use super::super::worker::of_formats;
use super::bodies::Propose;
use super::orders::{Correct, IMAGE, JOURNAL, RUNNER_UP, START, What};
use super::proposing::{self, Networks};
use super::{beginning, work};
use crate::{machine, output};

/// Bytes for each voxel of an open session: the image, the labels and a copy, the network's second choice.
const HELD: u64 = 4 + 2 + 2;
/// Bytes for each voxel while it is read: the file beside what it becomes.
const READING: u64 = 8;

/// All sessions that are open.
pub(crate) struct Desks {
    /// Most bytes of memory to take; what is free where nobody says.
    memory: Option<u64>,
    desks: Mutex<Vec<Arc<Desk>>>,
    networks: Networks,
}

/// The place of one session.
struct Desk {
    folder: PathBuf,
    used: Mutex<Instant>,
    /// None until it is read.
    session: RwLock<Option<Open>>,
}

/// A session in memory.
pub(super) struct Open {
    pub(super) session: Session,
    /// What its labels mean.
    pub(super) table: Table,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    fn read(&self) -> RwLockReadGuard<'_, Option<Open>> {
        self.session.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to change. What a panic left half done is forgotten, and read again.
    fn write(&self) -> RwLockWriteGuard<'_, Option<Open>> {
        self.session.write().unwrap_or_else(|poisoned| {
            self.session.clear_poison();
            let mut session = poisoned.into_inner();
            *session = None;
            session
        })
    }
}

impl Desks {
    /// None yet.
    pub(crate) fn new(memory: Option<u64>) -> Desks {
        Desks { memory, desks: Mutex::default(), networks: Networks::default() }
    }

    /// Does what is asked.
    pub(crate) fn obey(&self, order: &Correct, progress: &Progress) -> Answer<Value> {
        match &order.what {
            What::Begin(new) => {
                self.make_room(&order.folder, &new.grid)?;
                let mut begun = beginning::begin(&order.folder, new, progress)?;
                let events = work::locks(&mut begun, &new.locked)?;
                let answer = work::begun(&begun, &events);
                *self.desk(&order.folder).write() = Some(begun);
                answer
            }
            What::Operate(operation) => {
                let desk = self.desk(&order.folder);
                let mut session = desk.write();
                if session.as_ref().is_none_or(|open| open.session.revision() != order.revision) {
                    *session = None;
                    *session = Some(self.load(order, progress)?);
                }
                let open = session.as_mut().ok_or_else(Refusal::internal)?;
                work::operate(open, operation, progress)
            }
            What::Propose(_) => Err(Refusal::internal()),
            What::State => self.look(order, true, progress, work::state),
            What::Hover(prompt) => {
                self.look(order, false, progress, |open| work::hover(open, prompt, progress))
            }
            What::Suspicious { most } => {
                let copy = |open: &Open| Ok(work::Looked::of(open));
                work::suspicious(&self.look(order, false, progress, copy)?, *most, progress)
            }
            What::Labels { format } => {
                self.look(order, true, progress, |open| work::labels(open, &order.folder, *format, progress))
            }
            What::Close => {
                lock(&self.desks).retain(|desk| desk.folder != order.folder);
                Ok(Value::Null)
            }
        }
    }

    /// Asks a network about the newest prompt. Meanwhile others look, and change: then the answer is stale.
    pub(crate) fn propose(
        &self,
        order: &Correct,
        asked: &Propose,
        engine: &Engine,
        progress: &Progress,
    ) -> Answer<Value> {
        let (question, image) =
            self.look(order, false, progress, |open| proposing::question(open, asked.base))?;
        let (network, mask) =
            self.networks.ask(engine, asked.network.as_deref(), &question, image, progress)?;
        let desk = self.desk(&order.folder);
        let mut session = desk.write();
        if session.is_none() {
            *session = Some(self.load(order, progress)?);
        }
        let open = session.as_mut().ok_or_else(Refusal::internal)?;
        proposing::offer(open, question.revision, network, &mask, progress)
    }

    /// Looks at a session, which others may do as well. Unless the order `is_exact`, it may be ahead of its journal,
    /// which is about to follow.
    fn look<T>(
        &self,
        order: &Correct,
        is_exact: bool,
        progress: &Progress,
        look: impl Fn(&Open) -> Answer<T>,
    ) -> Answer<T> {
        let fits = |open: &&Open| match open.session.revision() {
            revision if is_exact => revision == order.revision,
            revision => revision >= order.revision,
        };
        let desk = self.desk(&order.folder);
        loop {
            if let Some(open) = desk.read().as_ref().filter(fits) {
                return look(open);
            }
            let mut session = desk.write();
            if session.as_ref().filter(fits).is_none() {
                *session = None;
                *session = Some(self.load(order, progress)?);
            }
        }
    }

    fn desk(&self, folder: &Path) -> Arc<Desk> {
        let mut desks = lock(&self.desks);
        if let Some(desk) = desks.iter().find(|desk| desk.folder == folder) {
            *lock(&desk.used) = Instant::now();
            return Arc::clone(desk);
        }
        let used = Mutex::new(Instant::now());
        let desk = Arc::new(Desk { folder: folder.to_owned(), used, session: RwLock::default() });
        desks.push(Arc::clone(&desk));
        desk
    }

    /// Reads a session from its folder.
    fn load(&self, order: &Correct, progress: &Progress) -> Answer<Open> {
        let folder = &order.folder;
        let table = fs::read(folder.join(TABLE)).map_err(|error| Refusal::spool(&error))?;
        let table: Table = serde_json::from_slice(&table).map_err(|error| Refusal::spool(&error.into()))?;
        self.make_room(folder, &table.grid)?;
        open(folder, table, order.revision, progress)
    }

    /// Refuses a session that does not fit into the memory that is free now, once those that nobody works on are
    /// dropped, the longest unused first.
    fn make_room(&self, folder: &Path, grid: &Grid) -> Answer<()> {
        let voxels = grid.len() as u64;
        let needed = voxels.saturating_mul(HELD + READING);
        loop {
            let free = machine::memory().map(|memory| memory.available);
            let left = self.memory.map(|most| most.saturating_sub(self.held()));
            let Some(free) = free.into_iter().chain(left).min().filter(|free| needed > *free) else { break };
            if !self.drop_one(folder) {
                let (needed, free) = (output::size(needed), output::size(free));
                let message = format!("the session needs about {needed} of memory, and {free} are free");
                let hint = "close other programs, or delete sessions that are done";
                return Err(Refusal::new(Code::NeedsTooMuchMemory, message, hint));
            }
        }
        limits::allow_memory(self.memory);
        Ok(())
    }

    /// Bytes that open sessions take, about.
    fn held(&self) -> u64 {
        let voxels = |desk: &Arc<Desk>| {
            let session = desk.session.try_read().ok()?;
            session.as_ref().map(|open| open.session.labels().grid.len() as u64)
        };
        lock(&self.desks).iter().filter_map(voxels).sum::<u64>().saturating_mul(HELD)
    }

    /// Drops the session that nobody has used for the longest time; `false` if there is none but that of `folder`.
    fn drop_one(&self, folder: &Path) -> bool {
        let mut desks = lock(&self.desks);
        let idle = |desk: &Arc<Desk>| desk.folder != folder && Arc::strong_count(desk) == 1;
        let mut oldest = desks.iter().enumerate().filter(|(_, desk)| idle(desk)).collect::<Vec<_>>();
        oldest.sort_by_key(|(_, desk)| *lock(&desk.used));
        let Some(oldest) = oldest.first().map(|(at, _)| *at) else { return false };
        desks.swap_remove(oldest);
        true
    }
}

/// Reads a session from its folder, up to a revision.
pub(super) fn open(folder: &Path, table: Table, revision: u64, progress: &Progress) -> Answer<Open> {
    let start = || started(&table.grid, folder);
    let (image, labels) = rayon::join(|| image(folder, progress), start);
    opened(folder, table, revision, (image?, labels?))
}

/// Reads a session's image, and looks it over.
pub(super) fn image(folder: &Path, progress: &Progress) -> Answer<Image> {
    let read = formats::read(&folder.join(IMAGE), &ReadOptions::default(), progress).map_err(of_formats)?;
    let intensity = match read.source.modality() {
        Some("CT") => Intensity::Hounsfield,
        Some(_) => Intensity::Arbitrary,
        None => Intensity::guess(&read.volume),
    };
    Ok(Image::new(Arc::new(read.volume), intensity))
}

/// The labels that a session began with.
pub(super) fn started(grid: &Grid, folder: &Path) -> Answer<LabelMap> {
    labels(grid, &fs::read(folder.join(START)).map_err(|error| Refusal::spool(&error))?)
}

/// A session of an image and the labels that it began with, up to a revision.
pub(super) fn opened(
    folder: &Path,
    table: Table,
    revision: u64,
    (image, mut labels): (Image, LabelMap),
) -> Answer<Open> {
    let spool = |error: io::Error| Refusal::spool(&error);
    // The same but for what text rounds.
    if labels.grid.size == image.volume().grid.size {
        labels.grid = image.volume().grid.clone();
    }
    let runner_up = runner_up(folder, &labels.grid)?;
    let mut events: Vec<Event> = Vec::new();
    if revision > 0 {
        let journal = BufReader::new(fs::File::open(folder.join(JOURNAL)).map_err(spool)?);
        for line in journal.lines().take(usize::try_from(revision).unwrap_or(usize::MAX)) {
            let event = serde_json::from_str(&line.map_err(spool)?);
            events.push(event.map_err(|error| Refusal::spool(&error.into()))?);
        }
    }
    let session = Session::replay(image, labels, runner_up, events).map_err(|error| work::refusal(&error))?;
    if session.revision() != revision {
        return Err(Refusal::spool(&io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(Open { session, table })
}

/// Labels from one byte a voxel.
pub(super) fn labels(grid: &Grid, bytes: &[u8]) -> Answer<LabelMap> {
    let mut labels = LabelMap::background(grid);
    let voxels = labels.labels.as_slice_mut().filter(|voxels| voxels.len() == bytes.len());
    voxels.ok_or_else(Refusal::internal)?.copy_from_slice(bytes);
    Ok(labels)
}

/// The network's second choice, where it was kept.
fn runner_up(folder: &Path, grid: &Grid) -> Answer<Option<RunnerUp>> {
    let bytes = match fs::read(folder.join(RUNNER_UP)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| Refusal::spool(&error))?,
    };
    RunnerUp::decode(grid, bytes).map(Some).map_err(|error| work::refusal(&error))
}
