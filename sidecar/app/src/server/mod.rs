//! `vesalius serve`: the engine for viewers on this computer, over HTTP on 127.0.0.1.
//!
//! # Layout
//!
//! * `connections`: the accept loop, with its limits; `gate`: who may speak; `routes`: what there is to ask; `openapi`: the
//!   same for programs.
//! * `access`: how programs and web pages are let in; `pairing`, `clients`, `sessions`, `proof`, `origin`, `owners`: its parts.
//! * `header`, `volumes`, `upload`, `archive`, `reading`: what clients send or let fetch; `inputs`: the images of a job; `jobs`, `runner`: the queue and its journal; `results`:
//!   what a job leaves.
//! * `correcting`: sessions in which a segmentation is corrected, their journals, and the worker's side of them.
//! * `supervisor`, `protocol`, `worker`, `reader`, `installer`, `limits`, `pace`: this process starts and watches others that read files and run
//!   networks. No parser and no network runs here.
//! * `local`: the command line as a client; `rendezvous`: how viewers find the server; `error`: the table of refusals.

mod access;
mod admission;
mod archive;
mod clients;
mod connections;
mod correcting;
mod error;
mod gate;
mod header;
mod id;
mod inputs;
mod installer;
mod job_view;
mod jobs;
mod limits;
mod local;
mod openapi;
mod origin;
mod owners;
mod pace;
mod pairing;
mod proof;
mod protocol;
mod reader;
mod reading;
mod rendezvous;
mod results;
mod routes;
mod runner;
mod sessions;
mod supervisor;
mod upload;
mod views;
mod volume_view;
mod volumes;
mod worker;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::config::Home;
use crate::{Error, Result, output};
use access::Access;
pub(crate) use archive::Archive;
use clients::Clients;
pub(crate) use clients::now;
use correcting::Corrections;
pub(crate) use correcting::stored;
use error::{Answer, Code, Refusal};
use gate::Policy;
pub(crate) use id::Id as ClientId;
pub(crate) use installer::Installer;
use job_view::View;
use jobs::{Jobs, Todo};
pub(crate) use limits::Urgency;
pub(crate) use local::{Pairing as PairingProcess, paired, revoke};
pub(crate) use origin::Origin;
use owners::Owners;
use pairing::Pairing;
pub(crate) use pairing::State as PairingState;
use protocol::{Ask, Checked, InstallRequest, JobRequest, Kind, Request, Work};
use rendezvous::{Rendezvous, make_private};
use sessions::Sessions;
use supervisor::Supervisor;
use volumes::{Volume, Volumes};
pub(crate) use worker::{Workplace, run as work};

/// The API that is spoken: additions raise the minor, all else the major number.
const API_MAJOR: u32 = 1;
/// See [`API_MAJOR`].
const API_MINOR: u32 = 0;
/// Where the server listens unless that port is taken.
const PORT: u16 = 38_917;
/// Voxels and results that nobody asks for are deleted after this.
const FORGET_AFTER: Duration = Duration::from_secs(3600);
/// Corrections are a person's work, and stay for longer.
const FORGET_CORRECTIONS_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);
/// A worker that nobody needs gives its memory back after this.
const RETIRE_AFTER: Duration = Duration::from_secs(600);
/// A reader holds no models, and is started quickly.
const RETIRE_READER_AFTER: Duration = Duration::from_secs(20);
/// How often the house is kept.
const TICK: Duration = Duration::from_millis(500);

/// How to serve.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// This port or none; without it the usual one, or any that is free.
    pub(crate) port: Option<u16>,
    /// End when nobody has asked for anything for so long and no job is under way.
    pub(crate) exit_when_idle: Option<Duration>,
    /// Origins that may be paired although they come over http.
    pub(crate) http_origins: Vec<Origin>,
    /// Archives that series may be fetched from.
    pub(crate) archives: Vec<Archive>,
}

/// What all requests share.
struct Server {
    access: Arc<Access>,
    /// Where series may be fetched from.
    archives: Vec<Archive>,
    volumes: Volumes,
    jobs: Jobs,
    supervisor: Supervisor,
    /// Reads files.
    reader: Supervisor,
    /// Installs models.
    installer: Supervisor,
    /// Holds sessions of corrections.
    corrector: Supervisor,
    corrections: Corrections,
    /// Held by the reading under way.
    reading: tokio::sync::Mutex<()>,
    closing: watch::Sender<bool>,
    last_seen: Mutex<Instant>,
}

/// Serves until the system or the user asks to stop.
pub(crate) fn serve(options: &Options, home: &Home) -> Result<()> {
    let rendezvous = Rendezvous::claim(home)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Error::Refused {
        message: format!("the server cannot be started: {error}"),
        hint: "close other programs, then try again".to_owned(),
    })?;
    let result = runtime.block_on(run(options, &rendezvous));
    runtime.shutdown_timeout(Duration::from_millis(500));
    result
}

async fn run(options: &Options, rendezvous: &Rendezvous) -> Result<()> {
    let (token, instance) = (id::secret::<32>()?, id::secret::<16>()?);
    let (listener, port) = listen(options.port).await?;
    let access = Arc::new(Access {
        port,
        instance: instance.clone(),
        token: token.clone(),
        named: options.http_origins.clone(),
        clients: Clients::open(rendezvous.clients())?,
        sessions: Sessions::default(),
        pairing: Pairing::default(),
        owners: Owners::default(),
    });
    let spool = rendezvous.spool();
    let background = |scratch| Supervisor::new(spool.join(scratch), Urgency::Background);
    let server = Arc::new(Server {
        access: Arc::clone(&access),
        archives: options.archives.clone(),
        volumes: Volumes::new(empty_folder(&spool)?, options.archives.clone()),
        jobs: Jobs::open(spool.join("jobs"))?,
        supervisor: background("scratch-supervisor"),
        reader: background("scratch-reader"),
        installer: background("scratch-installer"),
        corrector: Supervisor::new(spool.join("scratch-corrector"), Urgency::Interactive),
        corrections: Corrections::open(rendezvous.corrections())?,
        reading: tokio::sync::Mutex::new(()),
        closing: watch::Sender::new(false),
        last_seen: Mutex::new(Instant::now()),
    });
    listen_for_signals(Arc::clone(&server))?;
    rendezvous.announce(port, &token, &instance)?;
    // One line for whoever started the server; the token stays in the file that only the user can read.
    let endpoint = rendezvous.endpoint().display().to_string();
    let version = env!("CARGO_PKG_VERSION");
    output::line(
        &json!({ "port": port, "pid": std::process::id(), "version": version, "endpoint": endpoint })
            .to_string(),
    )?;

    let runners =
        [Kind::Segment, Kind::Install].map(|kind| tokio::spawn(runner::run(Arc::clone(&server), kind)));
    let keeper = tokio::spawn(keep_house(Arc::clone(&server), options.exit_when_idle));
    let policy = Arc::new(Policy::new(access));
    let seen = Arc::clone(&server);
    let mut closing = server.closing.subscribe();
    let closing = async move { drop(closing.wait_for(|closing| *closing).await) };
    let routes = routes::routes(Arc::clone(&server));
    connections::serve(listener, policy, routes, Arc::new(move || seen.touch()), closing).await;
    rendezvous.withdraw();
    // The journal says that a job runs; the next start will tell that it was interrupted.
    runners.iter().for_each(tokio::task::JoinHandle::abort);
    keeper.abort();
    for worker in [&server.supervisor, &server.reader, &server.installer, &server.corrector] {
        worker.kill().await;
    }
    Ok(())
}

/// The folder for volumes, without what an earlier server left.
fn empty_folder(spool: &Path) -> Result<std::path::PathBuf> {
    make_private(spool)?;
    let folder = spool.join("volumes");
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::write(&folder, error));
        }
        _ => make_private(&folder)?,
    }
    Ok(folder)
}

/// Listens on this computer's own address, and on no other.
async fn listen(wanted: Option<u16>) -> Result<(TcpListener, u16)> {
    let listener = match (TcpListener::bind(("127.0.0.1", wanted.unwrap_or(PORT))).await, wanted) {
        (Err(_), None) => TcpListener::bind(("127.0.0.1", 0)).await,
        (result, _) => result,
    };
    let bound = listener.and_then(|listener| Ok((listener.local_addr()?.port(), listener)));
    let (port, listener) = bound.map_err(|error| Error::Refused {
        message: format!("cannot listen on 127.0.0.1:{}: {error}", wanted.unwrap_or(PORT)),
        hint: "leave `--port` out, and a free one is taken".to_owned(),
    })?;
    Ok((listener, port))
}

/// The first request to stop closes the server, the second ends it at once.
fn listen_for_signals(server: Arc<Server>) -> Result<()> {
    let failed = |error: std::io::Error| Error::Refused {
        message: format!("requests to stop cannot be heard: {error}"),
        hint: "restart the computer's session".to_owned(),
    };
    #[cfg(unix)]
    let mut terminate =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).map_err(failed)?;
    #[cfg(unix)]
    let mut interrupt =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt()).map_err(failed)?;
    #[cfg(windows)]
    let mut interrupt = tokio::signal::windows::ctrl_c().map_err(failed)?;
    tokio::spawn(async move {
        for is_second in [false, true] {
            #[cfg(unix)]
            tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
            #[cfg(windows)]
            interrupt.recv().await;
            if is_second {
                std::process::exit(130);
            }
            server.closing.send_replace(true);
        }
    });
    Ok(())
}

/// Deletes what is old, and ends what nobody uses.
async fn keep_house(server: Arc<Server>, exit_when_idle: Option<Duration>) {
    loop {
        tokio::time::sleep(TICK).await;
        if server.jobs.is_busy() {
            server.touch();
        }
        let idle = server.last_seen.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
        if exit_when_idle.is_some_and(|limit| idle >= limit) {
            server.closing.send_replace(true);
        }
        let swept = Arc::clone(&server);
        let _ = blocking(move || {
            swept.jobs.expire(FORGET_AFTER);
            swept.volumes.expire(FORGET_AFTER);
            swept.corrections.expire(FORGET_CORRECTIONS_AFTER);
            Ok(())
        })
        .await;
        server.supervisor.retire(RETIRE_AFTER).await;
        server.reader.retire(RETIRE_READER_AFTER).await;
        server.installer.retire(RETIRE_READER_AFTER).await;
        server.corrector.retire(RETIRE_AFTER).await;
    }
}

/// Runs what waits for the disk where nobody waits for it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Answer<T> + Send + 'static) -> Answer<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Refusal::internal()))
}

impl Server {
    /// Somebody with the token was here.
    fn touch(&self) {
        *self.last_seen.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Takes a job, after the worker has said that it can be done.
    async fn accept(self: &Arc<Server>, request: JobRequest, key: Option<String>) -> Answer<View> {
        self.check_open()?;
        // The volume of a job that is known may be gone.
        if let Some(view) = self.jobs.known(key.as_ref(), &Request::Segment(request.clone()))? {
            return Ok(view);
        }
        let (work, volumes) = self.work(request)?;
        let checked = self.supervisor.ask(Ask::Check(work.clone())).await?;
        let Checked { channels } = serde_json::from_value(checked).map_err(|_| Refusal::internal())?;
        let todo = Todo::Segment { work: Box::new(work), volumes, channels };
        let server = Arc::clone(self);
        blocking(move || server.jobs.push(todo, key)).await
    }

    /// What a job works on, and the volumes that it needs until it has ended.
    fn work(&self, request: JobRequest) -> Answer<(Work, Vec<Arc<Volume>>)> {
        let mut volumes = Vec::new();
        let mut input = |id: &ClientId, group: Option<&String>| {
            let volume = self.volumes.get(id)?;
            let input = volume.choose_image(group.map(String::as_str))?.input(id);
            volumes.push(volume);
            Ok(input)
        };
        let main = input(&request.volume, request.group.as_ref())?;
        let mut channels = BTreeMap::new();
        for (name, image) in &request.channels {
            let found = input(&image.volume, image.group.as_ref()).map_err(|refusal: Refusal| Refusal {
                message: format!("channel `{name}`: {}", refusal.message),
                ..refusal
            })?;
            channels.insert(name.clone(), found);
        }
        Ok((Work { main, channels, folder: std::path::PathBuf::new(), request }, volumes))
    }

    /// Takes an order to install models, after a worker has said that it can be done.
    async fn install(self: &Arc<Server>, request: InstallRequest, key: Option<String>) -> Answer<View> {
        self.check_open()?;
        if let Some(view) = self.jobs.known(key.as_ref(), &Request::Install(request.clone()))? {
            return Ok(view);
        }
        self.supervisor.ask(Ask::CheckInstall(request.clone())).await?;
        let server = Arc::clone(self);
        blocking(move || server.jobs.push(Todo::Install(request), key)).await
    }

    fn check_open(&self) -> Answer<()> {
        if *self.closing.borrow() {
            return Err(Refusal::new(Code::ShuttingDown, "the server is ending", "start it again"));
        }
        Ok(())
    }
}
