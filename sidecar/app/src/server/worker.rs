//! The other role of the program: reads files and runs networks, on the orders of the supervisor. It may be killed at
//! any moment; nothing but its job is lost.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, Write};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use engine::{Engine, ModelStore, Runtime, RuntimeOptions, SegmentOptions, Task};
use imaging::Progress;
use serde_json::{Value, json};

use super::archive::{self, Archive};
use super::correcting::{Desks, RUNNER_UP, What};
use super::error::{Answer, Choice, Code, Refusal};
use super::inputs::Channels;
use super::installer::Installer;
use super::limits::Urgency;
use super::pace::Pace;
use super::protocol::{Ask, Checked, LABELS, ORIGIN, Order, Say, Word, Work};
use super::rendezvous::write_whole;
use super::results::{self, Table};
use super::{admission, limits, reader, views};
use crate::{Error, Result, channels, machine};

/// Steps are told at most this often; the first and the last of a stage always.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// Time for what runs to stop when the supervisor is gone.
const END_WITHIN: Duration = Duration::from_secs(10);

/// What a worker works with.
pub(crate) struct Workplace {
    /// Whether somebody waits.
    pub(crate) urgency: Urgency,
    /// The models, and how more of them are had.
    pub(crate) installer: Installer,
    /// The device that is wanted.
    pub(crate) runtime: RuntimeOptions,
    /// Most bytes of memory to take; what is free where nobody says.
    pub(crate) memory: Option<u64>,
    /// Where series may be fetched from.
    pub(crate) archives: Vec<Archive>,
}

/// A worker: its models, and the engine once it was needed.
struct Worker {
    installer: Installer,
    store: ModelStore,
    runtime: RuntimeOptions,
    memory: Option<u64>,
    archives: Vec<Archive>,
    engine: Mutex<Option<Arc<Engine>>>,
    running: Mutex<HashMap<u64, Progress>>,
    /// Sessions of corrections.
    desks: Desks,
}

/// Obeys orders on standard input until it ends.
pub(crate) fn run(workplace: Workplace) -> Result<()> {
    let Workplace { urgency, installer, mut runtime, memory, archives } = workplace;
    limits::begin(urgency);
    // The server must stay quick while networks run.
    runtime.spinning = false;
    let (engine, running) = (Mutex::default(), Mutex::default());
    let store = installer.store.clone();
    let desks = Desks::new(memory);
    let worker = Arc::new(Worker { installer, store, runtime, memory, archives, engine, running, desks });
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| Error::read(Path::new("standard input"), error))?;
        let Ok(order) = serde_json::from_str::<Order>(&line) else {
            tracing::warn!("an order was not understood");
            continue;
        };
        worker.begin(order);
    }
    worker.end();
    std::process::exit(0);
}

/// Says one thing to the supervisor.
fn say(number: u64, say: Say) {
    let Ok(mut line) = serde_json::to_vec(&Word { number, say }) else { return };
    line.push(b'\n');
    let mut stdout = std::io::stdout().lock();
    // When nobody hears, standard input ends too.
    let _ = stdout.write_all(&line).and_then(|()| stdout.flush());
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Worker {
    /// Starts an order in a thread of its own, so that the next can be heard.
    fn begin(self: &Arc<Worker>, order: Order) {
        let number = order.number;
        if let Ask::Cancel { order } = order.ask {
            if let Some(progress) = lock(&self.running).get(&order) {
                progress.cancel();
            }
            return;
        }
        let pace = Arc::new(Mutex::new(None));
        let progress = progress(number, Arc::clone(&pace));
        lock(&self.running).insert(number, progress.clone());
        let worker = Arc::clone(self);
        std::thread::spawn(move || {
            let answer =
                std::panic::catch_unwind(AssertUnwindSafe(|| worker.obey(order.ask, &progress, &pace)));
            lock(&worker.running).remove(&number);
            match answer {
                Ok(Ok(answer)) => say(number, Say::Answer(answer)),
                Ok(Err(refusal)) => say(number, Say::Refused(refusal)),
                Err(_) => say(number, Say::Refused(Refusal::internal())),
            }
        });
    }

    /// The supervisor is gone, and nobody waits for what still runs. Networks that run while a program exits crash it,
    /// so they are stopped first.
    fn end(&self) {
        lock(&self.running).values().for_each(Progress::cancel);
        let began = Instant::now();
        while !lock(&self.running).is_empty() && began.elapsed() < END_WITHIN {
            std::thread::sleep(TELL_EVERY);
        }
    }

    /// Does what is asked.
    fn obey(&self, ask: Ask, progress: &Progress, pace: &Mutex<Option<Pace>>) -> Answer<Value> {
        match ask {
            Ask::Info => Ok(self.info()),
            Ask::Tasks => views::tasks(&self.store),
            Ask::Models => views::models(&self.store),
            Ask::Check(work) => {
                let (task, _) = self.check(&work)?;
                // Without a runtime no job can be done: better said now.
                self.engine()?;
                serde_json::to_value(Checked { channels: channels::names(&task) })
                    .map_err(|_| Refusal::internal())
            }
            Ask::Fetch(fetching) => {
                limits::allow_memory(self.memory);
                let proxy = self.installer.network.options.proxy.as_deref();
                archive::fetch(&fetching, &self.archives, proxy, progress)
            }
            Ask::Read(reading) => {
                limits::allow_memory(self.memory);
                reader::read(&reading, progress)
            }
            Ask::CheckInstall(request) => self.installer.check(&request),
            Ask::Install(request) => {
                limits::allow_memory(self.memory);
                *lock(pace) = self.installer.pace(&request);
                self.installer.install(&request, progress)
            }
            Ask::Remove { model } => self.installer.remove(&model),
            Ask::Segment(work) => {
                limits::allow_memory(self.memory);
                self.segment(&work, progress, pace)
            }
            Ask::Export { folder, format } => results::export(&folder, format, progress),
            Ask::Correct(order) => match &order.what {
                What::Propose(asked) => self.desks.propose(&order, asked, self.engine()?.as_ref(), progress),
                _ => self.desks.obey(&order, progress),
            },
            Ask::Cancel { .. } => Ok(Value::Null),
        }
    }

    /// The engine, opened when it is first needed.
    fn engine(&self) -> Answer<Arc<Engine>> {
        let mut engine = lock(&self.engine);
        if let Some(engine) = engine.as_ref() {
            return Ok(Arc::clone(engine));
        }
        let runtime = Runtime::open(&self.runtime).map_err(of_engine)?;
        Ok(Arc::clone(engine.insert(Arc::new(Engine::new(self.store.clone(), runtime)))))
    }

    /// The device, or what is missing for it.
    fn info(&self) -> Value {
        let memory =
            machine::memory().map(|memory| json!({ "total": memory.total, "available": memory.available }));
        match self.engine() {
            Ok(engine) => {
                let info = engine.runtime().info();
                let device = info.providers.first().copied().unwrap_or(engine::Device::Cpu).to_string();
                let precision = format!("{:?}", info.precision).to_lowercase();
                let fallbacks: Vec<String> = info.fallbacks.iter().map(ToString::to_string).collect();
                json!({ "ready": true, "device": device, "precision": precision, "threads": info.threads,
                    "runtime": info.version, "fallbacks": fallbacks, "memory_bytes": memory })
            }
            Err(refusal) => json!({ "ready": false, "error": refusal, "memory_bytes": memory }),
        }
    }

    /// Whether a job can be done, and how.
    fn check(&self, work: &Work) -> Answer<(Task, SegmentOptions)> {
        let request = &work.request;
        let Some(task) = self.store.task(&request.task) else {
            return Err(Refusal::new(
                Code::UnknownTask,
                format!("there is no task `{}`", request.task),
                "`GET /v1/tasks` lists the tasks",
            ));
        };
        if let Some(name) = request.structures.iter().find(|name| task.value(name).is_none()) {
            let message = format!("task `{}` has no structure `{name}`", task.id);
            return Err(Refusal::new(
                Code::UnknownStructure,
                message,
                "`GET /v1/tasks` lists the structures",
            ));
        }
        let missing = self.store.missing(&task, request.speed);
        if !missing.is_empty() {
            let message =
                format!("task `{}` needs models that are not installed: {}", task.id, missing.join(", "));
            return Err(Refusal::new(
                Code::ModelMissing,
                message,
                format!("install them: `vesalius models install {}`, or `POST /v1/models`", task.id),
            ));
        }
        let inputs = work.check_inputs(&task)?;
        let options = request.options(&task, &self.store)?;
        let size = work.main.grid.size;
        if options.region.is_some_and(|region| region.is_empty() || (0..3).any(|a| region.end[a] > size[a])) {
            let message = format!("the region does not lie in an image of {size:?} voxels");
            return Err(Refusal::new(
                Code::InvalidRegion,
                message,
                "`region` is [[i, i_end], [j, j_end], [k, k_end]]",
            ));
        }
        let images = admission::Images {
            main: &work.main.grid,
            all: inputs.iter().map(|(_, input)| &input.grid).collect(),
        };
        admission::check(&images, &task, &options, &self.store, self.memory)?;
        Ok((task, options))
    }

    /// Segments; the labels go to the spool, the table is the answer.
    fn segment(&self, work: &Work, progress: &Progress, pace: &Mutex<Option<Pace>>) -> Answer<Value> {
        let (task, options) = self.check(work)?;
        let runs = self.store.plan(&work.main.grid, &task, &options);
        let runs = runs.iter().map(|run| (run.cost(), run.patches as u64)).collect();
        *lock(pace) = Some(Pace::new("inference", runs));
        let Channels { volumes, sources, mut warnings } = work.read_inputs(&task, progress)?;
        let engine = self.engine()?;
        let outcome = engine.segment_channels(&volumes, &task, &options, progress).map_err(of_engine)?;
        drop(volumes);
        let labels = &outcome.segmentation.labels;
        let bytes = labels.labels.as_slice().ok_or_else(Refusal::internal)?;
        write_whole(&work.folder.join(LABELS), bytes).map_err(|error| Refusal::spool(&error))?;
        if let Some(engine::RunnerUp { second, margin }) = outcome.runner_up {
            let runner_up = correction::RunnerUp { second: second.labels, margin: margin.labels };
            let written = write_whole(&work.folder.join(RUNNER_UP), &runner_up.encode());
            written.map_err(|error| Refusal::spool(&error))?;
        }
        if let Some(origin) = &work.main.origin {
            let origin = fs::read(origin).and_then(|bytes| write_whole(&work.folder.join(ORIGIN), &bytes));
            origin.map_err(|error| Refusal::spool(&error))?;
        }
        warnings.extend(outcome.provenance.warnings.iter().cloned());
        let provenance = serde_json::to_value(&outcome.provenance).map_err(|_| Refusal::internal())?;
        let mut table = Table::of(&labels.grid, task.id.clone(), warnings, provenance);
        table.group = Some(work.main.group.clone());
        table.channels = sources;
        table.list(&outcome.segmentation, &work.request.structures);
        serde_json::to_value(&table).map_err(|_| Refusal::internal())
    }
}

/// A progress that tells the supervisor.
fn progress(number: u64, pace: Arc<Mutex<Option<Pace>>>) -> Progress {
    let last: Mutex<Option<(String, Instant)>> = Mutex::new(None);
    let began = Instant::now();
    Progress::new(move |report| {
        let now = began.elapsed().as_secs_f64();
        let heard = lock(&pace).as_mut().map(|pace| pace.hear(report.stage, report.done, report.total, now));
        let (whole, remaining) = heard.unwrap_or_default();
        let mut last = lock(&last);
        let told =
            last.as_ref().is_some_and(|(stage, when)| stage == report.stage && when.elapsed() < TELL_EVERY);
        if told && report.done != report.total {
            return;
        }
        *last = Some((report.stage.to_owned(), Instant::now()));
        let stage = report.stage.to_owned();
        say(number, Say::Progress { stage, done: report.done, total: report.total, whole, remaining });
    })
}

/// What the engine says, under its code.
pub(super) fn of_engine(error: engine::Error) -> Refusal {
    let code = match &error {
        engine::Error::Cancelled => Code::Cancelled,
        engine::Error::ModelMissing { .. }
        | engine::Error::NoModel { .. }
        | engine::Error::NotPromptable { .. } => Code::ModelMissing,
        engine::Error::UnknownStructure { .. } => Code::UnknownStructure,
        engine::Error::Region { .. } => Code::InvalidRegion,
        engine::Error::RuntimeMissing { .. }
        | engine::Error::RuntimeTooOld { .. }
        | engine::Error::RuntimeUnusable { .. } => Code::RuntimeMissing,
        _ => Code::SegmentationFailed,
    };
    let refusal = Refusal::of(code, &error.into());
    // The runtime has no code of its own for this.
    let words = ["bad_alloc", "bad allocation", "allocate memory", "out of memory"];
    if code == Code::SegmentationFailed && words.iter().any(|word| refusal.message.contains(word)) {
        return Refusal::out_of_memory(&refusal.message);
    }
    refusal
}

/// What the readers and writers say.
pub(super) fn of_formats(error: formats::Error) -> Refusal {
    let choice = |choice: &formats::Choice| Choice {
        key: choice.key.to_owned(),
        value: choice.value.clone(),
        label: choice.label.clone(),
    };
    let choices: Vec<Choice> = error.choices().iter().map(choice).collect();
    if !choices.is_empty() {
        let hint = "send one of the choices as `resolve` to `POST /v1/volumes/ID/complete`";
        return Refusal { choices, ..Refusal::new(Code::Ambiguous, error.to_string(), hint) };
    }
    let code = match error {
        formats::Error::Cancelled(_) => Code::Cancelled,
        formats::Error::DiskFull { .. } => Code::DiskFull,
        formats::Error::OutOfMemory { .. } => Code::OutOfMemory,
        _ => Code::ImageRefused,
    };
    Refusal::of(code, &error.into())
}
