//! Jobs: waiting, running, ended. Every change is written down before anybody can see it.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use super::error::{Answer, Code, Refusal};
use super::id::{Id, hexadecimal};
use super::protocol::{JobRequest, Work};
use super::rendezvous::{make_private, write_whole};
use super::volumes::Volume;
use crate::Result;

/// Jobs that wait at a time.
const MOST_WAITING: usize = 8;
/// The journal of a job, in its folder.
const JOURNAL: &str = "job.json";

/// What has become of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Queued,
    Running,
    Done,
    Failed,
    Cancelled,
}

impl State {
    /// Whether nothing more will come.
    pub(super) fn is_final(self) -> bool {
        matches!(self, State::Done | State::Failed | State::Cancelled)
    }
}

/// What is written down about a job. No name, no voxel, nothing of a patient.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    id: Id,
    request: JobRequest,
    /// SHA-256 of the Series Instance UID, where the image is of a DICOM series.
    #[serde(default)]
    series: Option<String>,
    /// Seconds since 1970.
    created: u64,
    state: State,
    error: Option<Refusal>,
}

/// What clients see of a job.
#[derive(Debug, Clone, Serialize)]
pub(super) struct View {
    id: Id,
    volume: Id,
    task: String,
    created: u64,
    pub(super) state: State,
    /// What is being done, in words for people.
    stage: Option<String>,
    /// Of this stage, 0 to 1; null where nobody knows.
    fraction: Option<f64>,
    /// Of this stage, from its pace so far.
    seconds_left: Option<f64>,
    /// One plain sentence.
    message: String,
    error: Option<Refusal>,
}

/// What a job holds until it has ended.
struct Task {
    work: Work,
    /// Keeps the file of the voxels.
    _volume: Arc<Volume>,
    /// A place in the queue; none once the job runs.
    place: Option<OwnedSemaphorePermit>,
}

/// One job.
pub(super) struct Job {
    pub(super) id: Id,
    pub(super) folder: PathBuf,
    /// None once it has ended.
    task: Mutex<Option<Task>>,
    record: Mutex<Record>,
    view: watch::Sender<View>,
    stage: Mutex<Option<(String, Instant)>>,
    /// Told when a running job shall stop.
    pub(super) cancel: Notify,
    ended: Mutex<Instant>,
}

impl View {
    fn of(record: &Record) -> View {
        let message = match (record.state, &record.error) {
            (_, Some(error)) => error.message.clone(),
            (State::Queued, _) => "waiting for other jobs".to_owned(),
            (State::Running, _) => "starting".to_owned(),
            (State::Done, _) => "done".to_owned(),
            (State::Failed | State::Cancelled, _) => "stopped".to_owned(),
        };
        View {
            id: record.id.clone(),
            volume: record.request.volume.clone(),
            task: record.request.task.clone(),
            created: record.created,
            state: record.state,
            stage: None,
            fraction: (record.state == State::Done).then_some(1.0),
            seconds_left: None,
            message,
            error: record.error.clone(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Job {
    fn new(record: Record, folder: PathBuf) -> Job {
        Job {
            id: record.id.clone(),
            folder,
            task: Mutex::new(None),
            view: watch::Sender::new(View::of(&record)),
            record: Mutex::new(record),
            stage: Mutex::new(None),
            cancel: Notify::new(),
            ended: Mutex::new(Instant::now()),
        }
    }

    /// What clients see now.
    pub(super) fn view(&self) -> View {
        self.view.borrow().clone()
    }

    /// What clients see, as it changes.
    pub(super) fn watch(&self) -> watch::Receiver<View> {
        self.view.subscribe()
    }

    /// Writes a new state down, then shows it. A final state stays.
    pub(super) fn set(&self, state: State, error: Option<Refusal>) -> Answer<()> {
        let mut record = lock(&self.record);
        if record.state.is_final() {
            return Ok(());
        }
        let next = Record { state, error, ..record.clone() };
        write(&self.folder, &next)?;
        *record = next;
        if state.is_final() {
            *lock(&self.task) = None;
            *lock(&self.ended) = Instant::now();
        }
        self.view.send_replace(View::of(&record));
        Ok(())
    }

    /// Shows how far a stage has come.
    pub(super) fn progress(&self, stage: String, done: u64, total: u64) {
        let began = {
            let mut current = lock(&self.stage);
            match current.as_ref() {
                Some((name, began)) if *name == stage && done > 0 => *began,
                _ => {
                    let now = Instant::now();
                    *current = Some((stage.clone(), now));
                    now
                }
            }
        };
        let elapsed = began.elapsed().as_secs_f64();
        let pace = (total > 0 && done > 0).then(|| elapsed / done as f64);
        self.view.send_modify(|view| {
            view.fraction = (total > 0).then(|| done as f64 / total as f64);
            view.seconds_left = pace.map(|pace| (pace * total.saturating_sub(done) as f64).round());
            view.message = match view.seconds_left {
                Some(seconds) => format!("{stage}: {done} of {total}, about {seconds:.0} s left"),
                None => stage.clone(),
            };
            view.stage = Some(stage);
        });
    }

    /// Takes the job out of the queue's count, and gives what to work on.
    pub(super) fn start(&self) -> Option<Work> {
        let mut task = lock(&self.task);
        let task = task.as_mut()?;
        task.place = None;
        Some(task.work.clone())
    }
}

/// Writes a record into a job's folder.
fn write(folder: &Path, record: &Record) -> Answer<()> {
    let bytes = serde_json::to_vec(record).map_err(|_| Refusal::internal())?;
    write_whole(&folder.join(JOURNAL), &bytes).map_err(|error| Refusal::spool(&error))
}

/// All jobs.
pub(super) struct Jobs {
    folder: PathBuf,
    jobs: Mutex<BTreeMap<Id, Arc<Job>>>,
    queue: Mutex<VecDeque<Arc<Job>>>,
    arrived: Notify,
    places: Arc<Semaphore>,
}

impl Jobs {
    /// The jobs that an earlier server left in `folder`. What it had not ended is told to be interrupted.
    pub(super) fn open(folder: PathBuf) -> Result<Jobs> {
        make_private(&folder)?;
        let mut jobs = BTreeMap::new();
        for entry in fs::read_dir(&folder).map_err(|error| crate::Error::read(&folder, error))?.flatten() {
            match recovered(&entry.path()) {
                Some(job) => {
                    jobs.insert(job.id.clone(), Arc::new(job));
                }
                // A folder without a whole journal was never acknowledged.
                None => drop(fs::remove_dir_all(entry.path())),
            }
        }
        let places = Arc::new(Semaphore::new(MOST_WAITING));
        Ok(Jobs { folder, jobs: Mutex::new(jobs), queue: Mutex::default(), arrived: Notify::new(), places })
    }

    /// Accepts a job: once this returns, it is written down.
    pub(super) fn push(&self, work: Work, volume: Arc<Volume>, series: Option<&str>) -> Answer<View> {
        let full = || {
            Refusal::new(
                Code::QueueFull,
                format!("{MOST_WAITING} jobs are waiting already"),
                "try again when one has ended",
            )
        };
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| full())?;
        let id = Id::new().map_err(|_| Refusal::internal())?;
        let folder = self.folder.join(id.as_str());
        make_private(&folder).map_err(|error| Refusal::of(Code::Internal, &error))?;
        let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let work = Work { folder: folder.clone(), ..work };
        let record = Record {
            id: id.clone(),
            request: work.request.clone(),
            series: series.map(digest),
            created,
            state: State::Queued,
            error: None,
        };
        write(&folder, &record)?;
        let job = Arc::new(Job::new(record, folder));
        *lock(&job.task) = Some(Task { work, _volume: volume, place: Some(place) });
        lock(&self.jobs).insert(id, Arc::clone(&job));
        lock(&self.queue).push_back(Arc::clone(&job));
        self.arrived.notify_one();
        Ok(job.view())
    }

    /// The next job in the queue.
    pub(super) async fn next(&self) -> Arc<Job> {
        loop {
            if let Some(job) = lock(&self.queue).pop_front() {
                return job;
            }
            self.arrived.notified().await;
        }
    }

    /// A job by name.
    pub(super) fn get(&self, id: &Id) -> Answer<Arc<Job>> {
        lock(&self.jobs).get(id).cloned().ok_or_else(|| Refusal::not_found("job"))
    }

    /// All jobs, the oldest first.
    pub(super) fn list(&self) -> Vec<View> {
        let mut views: Vec<View> = lock(&self.jobs).values().map(|job| job.view()).collect();
        views.sort_by_key(|view| view.created);
        views
    }

    /// The results of a DICOM series, the newest first.
    pub(super) fn of_series(&self, uid: &str) -> Vec<View> {
        let wanted = Some(digest(uid));
        let is_result = |job: &&Arc<Job>| {
            let record = lock(&job.record);
            record.state == State::Done && record.series == wanted
        };
        let mut views: Vec<View> =
            lock(&self.jobs).values().filter(is_result).map(|job| job.view()).collect();
        views.sort_by_key(|view| std::cmp::Reverse(view.created));
        views
    }

    /// Whether any job has not ended.
    pub(super) fn is_busy(&self) -> bool {
        lock(&self.jobs).values().any(|job| !job.view.borrow().state.is_final())
    }

    /// Stops a job that has not ended, forgets one that has.
    pub(super) fn delete(&self, id: &Id) -> Answer<View> {
        let job = self.get(id)?;
        let waiting = {
            let mut queue = lock(&self.queue);
            let place = queue.iter().position(|waiting| waiting.id == *id);
            place.and_then(|place| queue.remove(place))
        };
        if let Some(job) = waiting {
            job.set(State::Cancelled, Some(cancelled()))?;
        } else if job.view().state.is_final() {
            lock(&self.jobs).remove(id);
            fs::remove_dir_all(&job.folder).map_err(|error| Refusal::spool(&error))?;
        } else {
            job.cancel.notify_one();
        }
        Ok(job.view())
    }

    /// Forgets jobs that ended longer than `age` ago.
    pub(super) fn expire(&self, age: Duration) {
        lock(&self.jobs).retain(|_, job| {
            let stays = !job.view.borrow().state.is_final() || lock(&job.ended).elapsed() < age;
            if !stays {
                let _ = fs::remove_dir_all(&job.folder);
            }
            stays
        });
    }
}

/// A series is known again by this, and nobody can be known by it.
fn digest(series: &str) -> String {
    hexadecimal(&Sha256::digest(series.as_bytes()))
}

/// The error of a job that was stopped on request.
pub(super) fn cancelled() -> Refusal {
    Refusal::new(Code::Cancelled, "the job was cancelled", "")
}

/// A job of an earlier server, from its folder.
fn recovered(folder: &Path) -> Option<Job> {
    let record: Record = serde_json::from_slice(&fs::read(folder.join(JOURNAL)).ok()?).ok()?;
    if folder.file_name()?.to_str()? != record.id.as_str() {
        return None;
    }
    let job = Job::new(record, folder.to_owned());
    let error = Refusal::new(
        Code::Interrupted,
        "the server ended before the job did",
        "send the volume and the job again",
    );
    // Final states stay as they are.
    job.set(State::Failed, Some(error)).ok()?;
    Some(job)
}
