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
use super::inputs::UsedChannel;
use super::job_view::{State, Step, View};
use super::protocol::{Ask, InstallRequest, Kind, Request, Used, Work};
use super::rendezvous::{make_private, write_whole};
use super::volumes::Volume;
use crate::Result;

/// Jobs that wait at a time.
const MOST_WAITING: usize = 8;
/// The journal of a job, in its folder.
const JOURNAL: &str = "job.json";

/// What is written down about a job. No name, no voxel, nothing of a patient.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    id: Id,
    request: Request,
    /// The key that the client gave, and SHA-256 of what it asked for with it.
    #[serde(default)]
    key: Option<[String; 2]>,
    /// The image of the volume that is segmented.
    #[serde(default)]
    group: Option<Used>,
    /// The images of all channels of the task.
    #[serde(default)]
    channels: Vec<UsedChannel>,
    /// SHA-256 of the Series Instance UID, where the image is of a DICOM series.
    #[serde(default)]
    series: Option<String>,
    /// Since 1970; finer than the seconds that clients see, for jobs of one second have an order.
    created: Duration,
    state: State,
    error: Option<Refusal>,
}

/// A job that is asked for.
pub(super) enum Todo {
    /// Segment an image of a volume.
    Segment {
        work: Box<Work>,
        /// All that it reads.
        volumes: Vec<Arc<Volume>>,
        /// Names of the task's channels, in order.
        channels: Vec<String>,
    },
    /// Install models.
    Install(InstallRequest),
}

impl Todo {
    /// What is written down.
    pub(super) fn request(&self) -> Request {
        match self {
            Todo::Segment { work, .. } => Request::Segment(work.request.clone()),
            Todo::Install(request) => Request::Install(request.clone()),
        }
    }

    /// The image that is segmented.
    fn group(&self) -> Option<Used> {
        match self {
            Todo::Segment { work, .. } => Some(work.main.group.clone()),
            Todo::Install(_) => None,
        }
    }

    /// The images of all channels.
    fn channels(&self) -> Vec<UsedChannel> {
        match self {
            Todo::Segment { work, channels, .. } => work.used(channels),
            Todo::Install(_) => Vec::new(),
        }
    }
}

/// What a job holds until it has ended.
struct Task {
    order: Ask,
    /// Keeps the files of the voxels.
    _volumes: Vec<Arc<Volume>>,
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Record {
    fn view(&self) -> View {
        let Record { id, request, group, created, state, error, .. } = self;
        View::new(id, request, group.as_ref(), created.as_secs(), *state, error.as_ref())
            .with_channels(&self.channels)
    }
}

impl Job {
    fn new(record: Record, folder: PathBuf) -> Job {
        Job {
            id: record.id.clone(),
            folder,
            task: Mutex::new(None),
            view: watch::Sender::new(record.view()),
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
        self.view.send_replace(record.view());
        Ok(())
    }

    /// Shows how far a stage has come.
    pub(super) fn progress(&self, step: Step) {
        let began = {
            let mut current = lock(&self.stage);
            match current.as_ref() {
                Some((name, began)) if *name == step.stage && step.done > 0 => *began,
                _ => {
                    let now = Instant::now();
                    *current = Some((step.stage.clone(), now));
                    now
                }
            }
        };
        let elapsed = began.elapsed().as_secs_f64();
        self.view.send_modify(|view| view.advance(step, elapsed));
    }

    /// What kind of job it is.
    pub(super) fn kind(&self) -> Kind {
        lock(&self.record).request.kind()
    }

    /// What it was asked to do.
    pub(super) fn request(&self) -> Request {
        lock(&self.record).request.clone()
    }

    /// Takes the job out of the queue's count, and gives the order for its worker.
    pub(super) fn start(&self) -> Option<Ask> {
        let mut task = lock(&self.task);
        let task = task.as_mut()?;
        task.place = None;
        Some(task.order.clone())
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
    segmentations: Queue,
    installations: Queue,
    places: Arc<Semaphore>,
    /// Held while a job is accepted, so that a key makes one job.
    pushing: Mutex<()>,
}

/// Jobs of one kind that wait.
#[derive(Default)]
struct Queue {
    waiting: Mutex<VecDeque<Arc<Job>>>,
    arrived: Notify,
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
        Ok(Jobs {
            folder,
            jobs: Mutex::new(jobs),
            segmentations: Queue::default(),
            installations: Queue::default(),
            places,
            pushing: Mutex::default(),
        })
    }

    /// The job that was accepted under this key.
    pub(super) fn known(&self, key: Option<&String>, request: &Request) -> Answer<Option<View>> {
        let Some(key) = key else { return Ok(None) };
        let asked = fingerprint(request)?;
        let jobs = lock(&self.jobs);
        let known = jobs.values().find_map(|job| {
            let record = lock(&job.record);
            record.key.as_ref().filter(|known| known[0] == *key).map(|known| (known[1] == asked, job.view()))
        });
        known.map_or(Ok(None), |(is_same, view)| if is_same { Ok(Some(view)) } else { Err(reused()) })
    }

    /// Accepts a job: once this returns, it is written down. Under a key that is known it is the job of that key.
    pub(super) fn push(&self, todo: Todo, key: Option<String>) -> Answer<View> {
        let _pushing = lock(&self.pushing);
        let request = todo.request();
        if let Some(view) = self.known(key.as_ref(), &request)? {
            return Ok(view);
        }
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
        let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let kind = request.kind();
        let key = key.map(|key| Ok([key, fingerprint(&request)?])).transpose()?;
        let (group, channels) = (todo.group(), todo.channels());
        let (order, volumes, series) = match todo {
            Todo::Segment { work, volumes, .. } => {
                let series = work.main.series.clone();
                (Ask::Segment(Work { folder: folder.clone(), ..*work }), volumes, series)
            }
            Todo::Install(request) => (Ask::Install(request), Vec::new(), None),
        };
        let series = series.map(|uid| digest(uid.as_bytes()));
        let record = Record {
            id: id.clone(),
            request,
            key,
            group,
            channels,
            series,
            created,
            state: State::Queued,
            error: None,
        };
        write(&folder, &record)?;
        let job = Arc::new(Job::new(record, folder));
        *lock(&job.task) = Some(Task { order, _volumes: volumes, place: Some(place) });
        lock(&self.jobs).insert(id, Arc::clone(&job));
        let queue = self.queue(kind);
        lock(&queue.waiting).push_back(Arc::clone(&job));
        queue.arrived.notify_one();
        Ok(job.view())
    }

    fn queue(&self, kind: Kind) -> &Queue {
        match kind {
            Kind::Segment => &self.segmentations,
            Kind::Install => &self.installations,
        }
    }

    /// The next job of that kind.
    pub(super) async fn next(&self, kind: Kind) -> Arc<Job> {
        let queue = self.queue(kind);
        loop {
            if let Some(job) = lock(&queue.waiting).pop_front() {
                return job;
            }
            queue.arrived.notified().await;
        }
    }

    /// A job by name.
    pub(super) fn get(&self, id: &Id) -> Answer<Arc<Job>> {
        lock(&self.jobs).get(id).cloned().ok_or_else(|| Refusal::not_found("job"))
    }

    /// All jobs, the oldest first.
    pub(super) fn list(&self) -> Vec<View> {
        self.of(|_| true)
    }

    /// The results of a DICOM series, the newest first.
    pub(super) fn of_series(&self, uid: &str) -> Vec<View> {
        let wanted = Some(digest(uid.as_bytes()));
        let mut views = self.of(|record| record.state == State::Done && record.series == wanted);
        views.reverse();
        views
    }

    /// The jobs whose record is as wanted, the oldest first.
    fn of(&self, wanted: impl Fn(&Record) -> bool) -> Vec<View> {
        let jobs = lock(&self.jobs);
        let created = |job: &Arc<Job>| {
            let record = lock(&job.record);
            wanted(&record).then(|| record.created)
        };
        let mut chosen: Vec<_> = jobs.values().filter_map(|job| Some((created(job)?, job))).collect();
        chosen.sort_by_key(|(created, _)| *created);
        chosen.into_iter().map(|(_, job)| job.view()).collect()
    }

    /// Whether any job has not ended.
    pub(super) fn is_busy(&self) -> bool {
        lock(&self.jobs).values().any(|job| !job.view.borrow().state.is_final())
    }

    /// Stops a job that has not ended, forgets one that has.
    pub(super) fn delete(&self, id: &Id) -> Answer<View> {
        let job = self.get(id)?;
        let waiting = {
            let mut queue = lock(&self.queue(job.kind()).waiting);
            let place = queue.iter().position(|waiting| waiting.id == *id);
            place.and_then(|place| queue.remove(place))
        };
        if let Some(job) = waiting {
            job.set(State::Cancelled, Some(cancelled()))?;
        } else if job.view().state.is_final() {
            // Of two who ask for it at a time one is too late.
            lock(&self.jobs).remove(id).ok_or_else(|| Refusal::not_found("job"))?;
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
pub(super) fn digest(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Tells whether the same was asked again.
pub(super) fn fingerprint(request: &impl Serialize) -> Answer<String> {
    serde_json::to_vec(request).map(|bytes| digest(&bytes)).map_err(|_| Refusal::internal())
}

/// The refusal of a key that was used for something else.
pub(super) fn reused() -> Refusal {
    Refusal::new(
        Code::Conflict,
        "this `Idempotency-Key` was used for another request",
        "take a new key for each thing that is asked",
    )
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
