//! All routes, as a list. What is not here does not exist.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use utoipa::ToSchema;
use warp::filters::BoxedFilter;
use warp::http::{HeaderValue, StatusCode, header};
use warp::reply::{Reply, Response};
use warp::{Buf, Filter, Rejection};

use super::error::{Answer, Code, Refusal};
use super::id::Id;
use super::job_view::State;
use super::jobs::Job;
use super::protocol::{Ask, Format, InstallRequest, JobRequest, Kind, LABELS, TABLE};
use super::rendezvous::Api;
use super::{Server, access, correcting, openapi};

/// Time for a JSON body, which is short.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// Events come at least this often, so that both sides know that the other is there.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Bytes of a file that are sent at a time.
const PIECE: usize = 256 << 10;

/// `?offset=N`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Offset {
    #[serde(default)]
    offset: u64,
}

/// `?series=UID`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    pub(super) series: Option<String>,
}

/// The end of an upload, and how to read what can be read in several ways.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Complete {
    #[serde(default)]
    resolve: BTreeMap<String, String>,
}

/// `?format=...`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    pub(super) format: Option<Format>,
}

/// The filter of everything that the server answers.
pub(super) fn routes(server: Arc<Server>) -> BoxedFilter<(Response,)> {
    let with = {
        let server = Arc::clone(&server);
        warp::any().map(move || Arc::clone(&server))
    };
    let live = warp::path!("v1" / "live").and(warp::get()).map(|| "ok".into_response());
    let info = warp::path!("v1" / "info").and(warp::get()).and(with.clone()).then(info).map(answer);
    let tasks = warp::path!("v1" / "tasks").and(warp::get()).and(with);
    let tasks = tasks
        .then(|server: Arc<Server>| async move { server.supervisor.ask(Ask::Tasks).await.map(ok) })
        .map(answer);
    let document = warp::path!("v1" / "openapi.json").and(warp::get()).map(|| ok(openapi::document()));
    let about = live.or(document).unify().or(info).unify().or(tasks).unify();
    about
        .or(models(Arc::clone(&server)))
        .unify()
        .or(access::routes(&server))
        .unify()
        .or(volumes(Arc::clone(&server)))
        .unify()
        .or(jobs(Arc::clone(&server)))
        .unify()
        .or(results(Arc::clone(&server)))
        .unify()
        .or(correcting::routes(&server))
        .unify()
        .recover(|rejection| async move { Ok::<_, Infallible>(rejected(&rejection).response()) })
        .unify()
        .boxed()
}

/// The key under which a request is done once, however often it is sent.
pub(super) fn key() -> impl Filter<Extract = (Option<String>,), Error = Rejection> + Clone {
    warp::header::optional::<String>("idempotency-key")
}

/// Checks a key: a line that a header can hold, and no longer than any sane one.
pub(super) fn checked(key: Option<String>) -> Answer<Option<String>> {
    let is_sane =
        |key: &String| (1..=128).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if key.as_ref().is_some_and(|key| !is_sane(key)) {
        let message = "`Idempotency-Key` is not 1 to 128 visible characters";
        return Err(Refusal::new(Code::BadRequest, message, "a UUID is a good one"));
    }
    Ok(key)
}

/// `/v1/models`
fn models(server: Arc<Server>) -> BoxedFilter<(Response,)> {
    let with = warp::any().map(move || Arc::clone(&server));
    let list = warp::path!("v1" / "models").and(warp::get()).and(with.clone());
    let list =
        list.then(|server: Arc<Server>| async move { server.supervisor.ask(Ask::Models).await.map(ok) });
    let install = warp::path!("v1" / "models").and(warp::post()).and(key()).and(warp::body::stream());
    let install = install.and(with.clone()).then(|key, body, server: Arc<Server>| async move {
        let key = checked(key)?;
        let request: InstallRequest = from_json(body).await?;
        Ok(with_status(StatusCode::ACCEPTED, &server.install(request, key).await?))
    });
    let remove = warp::path!("v1" / "models" / String).and(warp::delete()).and(with);
    let remove = remove.then(|model, server: Arc<Server>| async move {
        server.supervisor.ask(Ask::Remove { model }).await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    });
    list.map(answer).or(install.map(answer)).unify().or(remove.map(answer)).unify().boxed()
}

/// `/v1/volumes`
fn volumes(server: Arc<Server>) -> BoxedFilter<(Response,)> {
    let with = warp::any().map(move || Arc::clone(&server));
    let create = warp::path!("v1" / "volumes").and(warp::post()).and(key()).and(warp::body::stream());
    let create = create.and(with.clone()).then(|key, body, server: Arc<Server>| async move {
        let (key, header) = (checked(key)?, from_json(body).await?);
        let view = server.volumes.create(header, key)?;
        server.begin_fetching(&server.volumes.get(view.id())?);
        Ok(with_status(StatusCode::CREATED, &view))
    });
    let get = warp::path!("v1" / "volumes" / Id).and(warp::get()).and(with.clone());
    let get = get.then(|id, server: Arc<Server>| async move { Ok(ok(server.volumes.get(&id)?.view())) });
    let delete = warp::path!("v1" / "volumes" / Id).and(warp::delete()).and(with.clone());
    let delete = delete.then(|id, server: Arc<Server>| async move {
        server.volumes.remove(&id)?;
        Ok(StatusCode::NO_CONTENT.into_response())
    });
    let put = warp::path!("v1" / "volumes" / Id / "data").and(warp::put());
    let put = put.and(warp::query()).and(warp::header("content-length")).and(warp::body::stream());
    let put =
        put.and(with.clone()).then(|id, Offset { offset }, length, body, server: Arc<Server>| async move {
            let volume = server.volumes.get(&id)?;
            volume.receive(offset, length, body).await?;
            server.begin_reading(&volume, BTreeMap::new());
            Ok(ok(volume.view()))
        });
    let complete =
        warp::path!("v1" / "volumes" / Id / "complete").and(warp::post()).and(warp::body::stream());
    let complete = complete.and(with).then(|id, body, server: Arc<Server>| async move {
        let Complete { resolve } = from_json(body).await?;
        let volume = server.volumes.get(&id)?;
        if !volume.choose() {
            volume.complete().await?;
        }
        server.begin_reading(&volume, resolve);
        Ok(with_status(StatusCode::ACCEPTED, &volume.view()))
    });
    create
        .map(answer)
        .or(get.map(answer))
        .unify()
        .or(delete.map(answer))
        .unify()
        .or(put.map(answer))
        .unify()
        .or(complete.map(answer))
        .unify()
        .boxed()
}

/// `/v1/jobs`
fn jobs(server: Arc<Server>) -> BoxedFilter<(Response,)> {
    let with = warp::any().map(move || Arc::clone(&server));
    let create = warp::path!("v1" / "jobs").and(warp::post()).and(key()).and(warp::body::stream());
    let create = create.and(with.clone()).then(|key, body, server: Arc<Server>| async move {
        let key = checked(key)?;
        let request: JobRequest = from_json(body).await?;
        Ok(with_status(StatusCode::ACCEPTED, &server.accept(request, key).await?))
    });
    let list = warp::path!("v1" / "jobs").and(warp::get()).and(warp::query()).and(with.clone());
    let list = list.then(|Which { series }, server: Arc<Server>| async move {
        let all = || server.jobs.list();
        Ok(ok(series.map_or_else(all, |uid| server.jobs.of_series(&uid))))
    });
    let get = warp::path!("v1" / "jobs" / Id).and(warp::get()).and(with.clone());
    let get = get.then(|id, server: Arc<Server>| async move { Ok(ok(server.jobs.get(&id)?.view())) });
    let delete = warp::path!("v1" / "jobs" / Id).and(warp::delete()).and(with.clone());
    let delete = delete.then(|id, server: Arc<Server>| async move {
        let view = super::blocking(move || server.jobs.delete(&id)).await?;
        Ok(with_status(StatusCode::ACCEPTED, &view))
    });
    let watch = warp::path!("v1" / "jobs" / Id / "events").and(warp::get()).and(with);
    let watch = watch.then(|id, server: Arc<Server>| async move {
        let job: Arc<Job> = server.jobs.get(&id)?;
        Ok(events(&job, &server))
    });
    let some = create.map(answer).or(list.map(answer)).unify().or(get.map(answer)).unify();
    some.or(delete.map(answer)).unify().or(watch.map(answer)).unify().boxed()
}

/// `/v1/jobs/ID/segmentation` and `/labels`
fn results(server: Arc<Server>) -> BoxedFilter<(Response,)> {
    let with = warp::any().map(move || Arc::clone(&server));
    let table = warp::path!("v1" / "jobs" / Id / "segmentation").and(warp::get()).and(with.clone());
    let table = table.then(|id, server: Arc<Server>| async move {
        let job = done(server.jobs.get(&id)?)?;
        file(job.folder.join(TABLE), "application/json").await
    });
    let labels = warp::path!("v1" / "jobs" / Id / "labels").and(warp::get()).and(warp::query()).and(with);
    let labels = labels.then(|id, Wanted { format }, server: Arc<Server>| async move {
        let job = done(server.jobs.get(&id)?)?;
        let path = match format {
            None => job.folder.join(LABELS),
            Some(format) => {
                let path = job.folder.join(format.file());
                if !tokio::fs::try_exists(&path).await.unwrap_or(false) {
                    server.supervisor.ask(Ask::Export { folder: job.folder.clone(), format }).await?;
                }
                path
            }
        };
        file(path, "application/octet-stream").await
    });
    table.map(answer).or(labels.map(answer)).unify().boxed()
}

/// What this server is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Info {
    /// `vesalius`
    name: &'static str,
    version: &'static str,
    api: Api,
    /// This run of the server.
    instance: String,
    notice: &'static str,
    /// Archives whose series it fetches by itself: what the addresses begin with.
    dicomweb: Vec<String>,
    /// Device and memory, or what is missing.
    #[schema(value_type = EngineInfo)]
    engine: Value,
}

/// What a worker says of itself.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is there for its schema")]
struct EngineInfo {
    /// Whether networks can run.
    ready: bool,
    /// What runs them.
    #[schema(required = false)]
    device: Option<String>,
    /// Why they cannot run.
    #[schema(required = false)]
    error: Option<Refusal>,
}

/// `/v1/info`
async fn info(server: Arc<Server>) -> Answer<Response> {
    Ok(ok(Info {
        name: "vesalius",
        version: env!("CARGO_PKG_VERSION"),
        api: Api::spoken(),
        instance: server.access.instance.clone(),
        notice: "for research use only; not a medical device",
        dicomweb: server.archives.iter().map(ToString::to_string).collect(),
        engine: server.supervisor.ask(Ask::Info).await?,
    }))
}

/// An answer, or the refusal as one.
pub(super) fn answer(answer: Answer<Response>) -> Response {
    answer.unwrap_or_else(|refusal| refusal.response())
}

/// 200 with JSON.
pub(super) fn ok(value: impl Serialize) -> Response {
    with_status(StatusCode::OK, &value)
}

/// JSON with another status.
pub(super) fn with_status(status: StatusCode, value: &impl Serialize) -> Response {
    warp::reply::with_status(warp::reply::json(value), status).into_response()
}

/// What no route took.
fn rejected(rejection: &Rejection) -> Refusal {
    if rejection.is_not_found() {
        Refusal::not_found("route")
    } else if rejection.find::<warp::reject::MethodNotAllowed>().is_some() {
        Refusal::new(Code::MethodNotAllowed, "this route takes other methods", "")
    } else {
        Refusal::new(
            Code::BadRequest,
            "the request's parameters are not understood",
            "check names and values after `?`",
        )
    }
}

/// Reads a JSON body, all of it within [`BODY_WITHIN`]. The gate has limited its length.
pub(super) async fn from_json<T: DeserializeOwned, B: Buf>(
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Answer<T> {
    let mut bytes = Vec::new();
    let read = async {
        tokio::pin!(body);
        while let Some(Ok(mut piece)) = body.next().await {
            bytes.extend_from_slice(&piece.copy_to_bytes(piece.remaining()));
        }
    };
    if tokio::time::timeout(BODY_WITHIN, read).await.is_err() {
        return Err(Refusal::new(Code::Stalled, "the body did not come", "send it again"));
    }
    serde_json::from_slice(&bytes).map_err(|error| {
        Refusal::new(Code::InvalidJson, error.to_string(), "check names and types of the fields")
    })
}

/// A job with a result.
pub(super) fn done(job: Arc<Job>) -> Answer<Arc<Job>> {
    match job.view().state {
        State::Done if job.kind() == Kind::Segment => Ok(job),
        _ => Err(Refusal::new(
            Code::JobNotDone,
            "the job has no result",
            "`GET /v1/jobs/ID` tells how far it is",
        )),
    }
}

/// A file of the spool, streamed.
pub(super) async fn file(path: PathBuf, kind: &'static str) -> Answer<Response> {
    let spool = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Refusal::not_found("result"),
        _ => Refusal::spool(&error),
    };
    let file = tokio::fs::File::open(&path).await.map_err(spool)?;
    let length = file.metadata().await.map_err(spool)?.len();
    let pieces = stream::unfold(file, |mut file| async move {
        let mut piece = vec![0; PIECE];
        match file.read(&mut piece).await {
            Ok(0) => None,
            Ok(length) => {
                piece.truncate(length);
                Some((Ok(piece), file))
            }
            Err(error) => Some((Err(error), file)),
        }
    });
    let mut response = warp::reply::stream(pieces).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    Ok(response)
}

/// The job as it changes, one JSON object a line, until it ends or the server does.
fn events(job: &Job, server: &Server) -> Response {
    let start = Some((job.watch(), server.closing.subscribe(), true));
    let lines = stream::unfold(start, |state| async move {
        let (mut views, mut closing, is_first) = state?;
        if !is_first {
            tokio::select! {
                changed = tokio::time::timeout(HEARTBEAT, views.changed()) => {
                    if matches!(changed, Ok(Err(_))) { return None; }
                }
                _ = closing.wait_for(|closing| *closing) => return None,
            }
        }
        let view = views.borrow_and_update().clone();
        let mut line = serde_json::to_vec(&view).ok()?;
        line.push(b'\n');
        let next = (!view.state.is_final()).then_some((views, closing, false));
        Some((Ok::<_, Infallible>(line), next))
    });
    let mut response = warp::reply::stream(lines).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    response
}
