//! `/v1/sessions`: a segmentation is corrected, one operation after the other. `docs/correction.md` tells clients how.
//!
//! # Layout
//!
//! * This process: the routes below; `registry` and `journal`, what is kept; `make`, how a session is made. It looks at
//!   no voxel.
//! * The worker: `desks`, the sessions in memory; `beginning`, `work`, what is done with them; `proposing`, what a
//!   network of the user's own is asked.
//! * `stored`: sessions as they lie on the disk, for the command line.
//! * Between them `orders`; between server and clients `bodies`, and `schema` for the API's document.
//!
//! An operation goes to the worker, comes back as an event, is written down and flushed, and only then is answered. A
//! worker that dies takes nothing with it that anybody was told of: the next one reads the journal and goes on.

mod beginning;
pub(super) mod bodies;
mod desks;
mod journal;
mod make;
mod orders;
mod proposing;
mod registry;
pub(super) mod schema;
pub(crate) mod stored;
mod work;

use std::convert::Infallible;
use std::io::SeekFrom;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::stream;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::{HeaderValue, StatusCode, header};
use warp::reply::{Reply, Response};

use super::Server;
use super::error::{Answer, Code, Refusal};
use super::id::Id;
use super::jobs::digest;
use super::protocol::{Ask, Format, LABELS};
use super::routes::{Wanted, Which, answer, checked, file, from_json, key, ok, with_status};
use bodies::{Hover, NewSession, Operation, Propose, View};
pub(super) use desks::Desks;
pub(super) use orders::{Correct, RUNNER_UP, What};
pub(super) use registry::Corrections;
use registry::{Looks, Session};

/// Longest wait for new events.
const LONGEST_WAIT: f64 = 30.0;
/// Doubtful places that are listed unless told otherwise, and at most.
const PLACES: [usize; 2] = [20, 1000];
/// Bytes of a journal that are sent at a time.
const PIECE: u64 = 256 << 10;
/// Time for a look, and for a network that may have to be opened first and runs on a processor.
const LOOK_WITHIN: Duration = Duration::from_secs(60);
const NETWORK_WITHIN: Duration = Duration::from_secs(900);
/// Names the revision of the labels that are sent.
const REVISION: &str = "x-vesalius-revision";

/// `?since=REVISION&wait=SECONDS`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Since {
    #[serde(default)]
    since: u64,
    #[serde(default)]
    wait: f64,
}

/// `?most=N`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Most {
    most: Option<usize>,
}

/// `/v1/sessions`
pub(super) fn routes(server: &Arc<Server>) -> BoxedFilter<(Response,)> {
    let server = Arc::clone(server);
    let with = warp::any().map(move || Arc::clone(&server));
    let create = warp::path!("v1" / "sessions").and(warp::post()).and(key()).and(warp::body::stream());
    let create = create.and(with.clone()).then(|key, body, server: Arc<Server>| async move {
        let key = checked(key)?;
        let new: NewSession = from_json(body).await?;
        Ok(with_status(StatusCode::CREATED, &server.begin_session(new, key).await?))
    });
    let list = warp::path!("v1" / "sessions").and(warp::get()).and(warp::query()).and(with.clone());
    let list = list.then(|Which { series }, server: Arc<Server>| async move {
        let series = series.map(|uid| digest(uid.as_bytes()));
        Ok(ok(server.corrections.list(series.as_ref())))
    });
    let get = warp::path!("v1" / "sessions" / Id).and(warp::get()).and(with.clone());
    let get = get.then(|id, server: Arc<Server>| async move {
        let session = server.corrections.get(&id)?;
        Ok(ok(server.session_view(&session).await?))
    });
    let delete = warp::path!("v1" / "sessions" / Id).and(warp::delete()).and(with.clone());
    let delete = delete.then(|id, server: Arc<Server>| async move {
        server.end_session(id).await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    });
    let all = create.map(answer).or(list.map(answer)).unify().or(get.map(answer)).unify();
    all.or(delete.map(answer)).unify().or(parts(with.boxed())).unify().boxed()
}

/// `/v1/sessions/ID/...`
fn parts(with: BoxedFilter<(Arc<Server>,)>) -> BoxedFilter<(Response,)> {
    let operate = warp::path!("v1" / "sessions" / Id / "operations").and(warp::post());
    let operate = operate.and(warp::body::stream()).and(with.clone());
    let operate = operate.then(|id, body, server: Arc<Server>| async move {
        let session = server.corrections.get(&id)?;
        let operation: Operation = from_json(body).await?;
        Ok(ok(server.operate(&session, operation).await?))
    });
    let hover = warp::path!("v1" / "sessions" / Id / "hover").and(warp::post());
    let hover = hover.and(warp::body::stream()).and(with.clone());
    let hover = hover.then(|id, body, server: Arc<Server>| async move {
        let session = server.corrections.get(&id)?;
        let Hover { prompt } = from_json(body).await?;
        Ok(ok(server.latest(&session, &session.hover, What::Hover(prompt)).await?))
    });
    let propose = warp::path!("v1" / "sessions" / Id / "propose").and(warp::post());
    let propose = propose.and(warp::body::stream()).and(with.clone());
    let propose = propose.then(|id, body, server: Arc<Server>| async move {
        let session = server.corrections.get(&id)?;
        let asked: Propose = from_json(body).await?;
        Ok(ok(server.latest(&session, &session.proposal, What::Propose(asked)).await?))
    });
    let places = warp::path!("v1" / "sessions" / Id / "suspicious").and(warp::get());
    let places = places.and(warp::query()).and(with.clone());
    let places = places.then(|id, Most { most }, server: Arc<Server>| async move {
        let session = server.corrections.get(&id)?;
        let [usual, limit] = PLACES;
        let what = What::Suspicious { most: most.unwrap_or(usual).min(limit) };
        let order = session.order(session.revision(), what);
        Ok(ok(server.corrector.ask(Ask::Correct(order)).await?))
    });
    let events = warp::path!("v1" / "sessions" / Id / "events").and(warp::get());
    let events = events.and(warp::query()).and(with.clone());
    let events = events.then(|id, Since { since, wait }, server: Arc<Server>| async move {
        let session = server.corrections.get(&id)?;
        events_since(&server, &session, since, wait).await
    });
    let labels = warp::path!("v1" / "sessions" / Id / "labels").and(warp::get());
    let labels = labels.and(warp::query()).and(with);
    let labels = labels.then(|id, Wanted { format }, server: Arc<Server>| async move {
        let session = server.corrections.get(&id)?;
        labels_in(&server, &session, format).await
    });
    let some = operate.map(answer).or(hover.map(answer)).unify().or(propose.map(answer)).unify();
    let some = some.or(places.map(answer)).unify();
    some.or(events.map(answer)).unify().or(labels.map(answer)).unify().boxed()
}

impl Server {
    /// Everything but the labels.
    async fn session_view(&self, session: &Session) -> Answer<View> {
        let turn = session.turn().await;
        let order = session.order(turn.revision(), What::State);
        let state = self.corrector.ask(Ask::Correct(order)).await?;
        let state = serde_json::from_value(state).map_err(|_| Refusal::internal())?;
        Ok(View { about: session.about(), state })
    }

    /// Does an operation; it is written down before this returns.
    async fn operate(&self, session: &Session, operation: Operation) -> Answer<Value> {
        self.check_open()?;
        // What a network would say of the labels as they were is of no use any more.
        self.end(&session.proposal, None).await;
        let turn = session.turn().await;
        let order = session.order(turn.revision(), What::Operate(operation));
        let mut done = self.corrector.ask(Ask::Correct(order)).await?;
        // One that comes again stands in the journal already.
        if done["event"]["revision"].as_u64() == Some(turn.revision() + 1) {
            let event = done["event"].take();
            let events = [event];
            session.append(turn, &events).await?;
            let [event] = events;
            done["event"] = event;
        }
        Ok(done)
    }

    /// Looks what a prompt would do, or asks a network; an older look of the kind ends.
    async fn latest(&self, session: &Session, kind: &Looks, what: What) -> Answer<Value> {
        let patience = if matches!(what, What::Propose(_)) { NETWORK_WITHIN } else { LOOK_WITHIN };
        let order = session.order(session.revision(), what);
        let conversation = self.corrector.order(Ask::Correct(order)).await?;
        let number = conversation.number;
        self.end(kind, Some(number)).await;
        let answer = conversation.answer_within(patience).await;
        let mut newest = kind.lock().unwrap_or_else(PoisonError::into_inner);
        newest.take_if(|newest| *newest == number);
        answer
    }

    /// Ends the newest look of a kind; another one takes its place.
    async fn end(&self, kind: &Looks, next: Option<u64>) {
        let older = std::mem::replace(&mut *kind.lock().unwrap_or_else(PoisonError::into_inner), next);
        if let Some(order) = older {
            drop(self.corrector.order(Ask::Cancel { order }).await);
        }
    }

    /// Forgets a session.
    async fn end_session(self: &Arc<Server>, id: Id) -> Answer<()> {
        let session = self.corrections.get(&id)?;
        let turn = session.turn().await;
        let order = session.order(turn.revision(), What::Close);
        let server = Arc::clone(self);
        super::blocking(move || server.corrections.remove(&id)).await?;
        drop(self.corrector.ask(Ask::Correct(order)).await);
        Ok(())
    }
}

/// The events after a revision, a line of JSON each.
async fn events_since(server: &Server, session: &Session, since: u64, wait: f64) -> Answer<Response> {
    if wait > 0.0 && session.revision() <= since {
        let patience = Duration::from_secs_f64(wait.min(LONGEST_WAIT));
        let mut closing = server.closing.subscribe();
        tokio::select! {
            () = session.wait_beyond(since, patience) => {}
            _ = closing.wait_for(|closing| *closing) => {}
        }
    }
    let turn = session.turn().await;
    let forgotten = || {
        let message = format!("revision {since} is not known, the session is at {}", turn.revision());
        Refusal::new(Code::Forgotten, message, "fetch `labels`")
    };
    let range = turn.since(since).ok_or_else(forgotten)?;
    let spool = |error: std::io::Error| Refusal::spool(&error);
    let mut file = tokio::fs::File::open(turn.path()).await.map_err(spool)?;
    drop(turn);
    file.seek(SeekFrom::Start(range.start)).await.map_err(spool)?;
    let length = range.end - range.start;
    let pieces = stream::unfold((file, length), |(mut file, left)| async move {
        let mut piece = vec![0; left.min(PIECE) as usize];
        // A file that ends early ends the answer early, which its length shows.
        file.read_exact(&mut piece).await.ok().filter(|_| left > 0)?;
        let left = left - piece.len() as u64;
        Some((Ok::<_, Infallible>(piece), (file, left)))
    });
    let mut response = warp::reply::stream(pieces).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    Ok(response)
}

/// The labels as they are.
async fn labels_in(server: &Server, session: &Session, format: Option<Format>) -> Answer<Response> {
    let turn = session.turn().await;
    let order = session.order(turn.revision(), What::Labels { format });
    let revision = server.corrector.ask(Ask::Correct(order)).await?;
    let name = format.map_or(LABELS, Format::file);
    let mut response = file(session.folder.join(name), "application/octet-stream").await?;
    drop(turn);
    let revision = revision.as_u64().ok_or_else(Refusal::internal)?;
    response.headers_mut().insert(REVISION, HeaderValue::from(revision));
    Ok(response)
}
