//! `/v1/session`, `/v1/pair`, `/v1/clients`: how programs and pages come to be let in. `docs/server.md` has it step by
//! step, for those who write a client.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::reply::{Reply, Response};

use super::Server;
use super::clients::Clients;
use super::error::{Answer, Code, Refusal};
use super::gate::Caller;
use super::id::Id;
use super::origin::Origin;
use super::owners::Owners;
use super::pairing::{self, Pairing};
use super::proof;
use super::routes::{answer, from_json, ok, with_status};
use super::sessions::{self, Sessions};

/// What programs of this computer call themselves.
pub(super) const LOCAL: &str = "local";
/// A page that waits for the user's consent is told so after this long, and asks again.
const HELD: Duration = Duration::from_secs(20);

/// Who is let in, and how.
pub(super) struct Access {
    pub(super) port: u16,
    pub(super) instance: String,
    /// What `endpoint.json` holds.
    pub(super) token: String,
    /// Origins that may be paired although they came over http.
    pub(super) named: Vec<Origin>,
    pub(super) clients: Clients,
    pub(super) sessions: Sessions,
    pub(super) pairing: Pairing,
    pub(super) owners: Owners,
}

impl Access {
    /// Whether a page of `origin` is paired.
    pub(super) fn knows(&self, origin: &Origin) -> bool {
        origin.is_pairable(&self.named) && self.clients.knows(origin)
    }

    /// Whether a page of `origin` may try to pair now.
    pub(super) fn may_pair(&self, origin: &Origin) -> bool {
        origin.is_pairable(&self.named) && self.pairing.lets_in(origin, Instant::now())
    }
}

/// `POST /v1/session`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionRequest {
    /// `local`, or what pairing gave.
    client_id: String,
    /// 32 random bytes in base64url without padding, never used before.
    nonce: String,
}

/// The server's proof.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionOffer {
    /// 32 bytes in base64url.
    server_nonce: String,
    /// This run of the server.
    instance: String,
    /// Where it listens: the client checks that it dialled this one.
    port: u16,
    /// That the server knows the key.
    proof: String,
}

/// `POST /v1/session/confirm`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionConfirm {
    /// As the server said it.
    server_nonce: String,
    /// That the page knows the key.
    proof: String,
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(super) struct SessionView {
    /// For `Authorization: Bearer`; good for this origin only.
    token: String,
    /// Seconds, if it is used now and then; a day at most.
    expires_in: u64,
}

/// `POST /v1/pair`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PairingRequest {}

/// `POST /v1/pair/begin`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PairingBegin {
    /// 32 random bytes in base64url without padding, never used before.
    nonce: String,
    /// What the page calls itself: up to 40 letters, digits, spaces, `-`, `_`, `.`.
    label: String,
}

/// `POST /v1/pair/confirm`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PairingConfirm {
    /// As the server said it.
    #[schema(value_type = String)]
    pair_id: Id,
    /// That the page knows the code.
    proof: String,
}

/// What a page is told while the user thinks.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PairingPending {
    /// `asking`
    state: pairing::State,
}

/// `POST /v1/pair/answer`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PairingAnswer {
    /// The user's word.
    allow: bool,
}

/// All routes about who may speak.
pub(super) fn routes(server: &Arc<Server>) -> BoxedFilter<(Response,)> {
    let shared = Arc::clone(server);
    let with = warp::any().map(move || Arc::clone(&shared));
    let posted = warp::post().and(warp::ext::get::<Caller>()).and(warp::body::stream()).and(with.clone());
    let open =
        warp::path!("v1" / "session").and(posted.clone()).then(
            |caller, body, server: Arc<Server>| async move {
                offer(&server.access, caller, from_json(body).await?)
            },
        );
    let confirm = warp::path!("v1" / "session" / "confirm").and(posted.clone());
    let confirm = confirm.then(|caller, body, server: Arc<Server>| async move {
        let asked = from_json(body).await?;
        super::blocking(move || confirm_session(&server.access, caller, &asked)).await
    });
    let begin = warp::path!("v1" / "pair" / "begin").and(posted.clone());
    let begin = begin.then(|caller, body, server: Arc<Server>| async move {
        begin_pairing(&server.access, caller, from_json(body).await?)
    });
    let prove = warp::path!("v1" / "pair" / "confirm").and(posted.clone());
    let prove = prove.then(|caller, body, server: Arc<Server>| async move {
        confirm_pairing(&server.access, caller, &from_json(body).await?).await
    });
    let some = open.map(answer).or(confirm.map(answer)).unify();
    some.or(begin.map(answer)).unify().or(prove.map(answer)).unify().or(local(server)).unify().boxed()
}

/// What only programs of this computer may ask; the gate sees to that.
fn local(server: &Arc<Server>) -> BoxedFilter<(Response,)> {
    let shared = Arc::clone(server);
    let with = warp::any().map(move || Arc::clone(&shared));
    let start = warp::path!("v1" / "pair").and(warp::post()).and(warp::body::stream()).and(with.clone());
    let start = start.then(|body, server: Arc<Server>| async move {
        let PairingRequest {} = from_json(body).await?;
        let shown = server.access.pairing.open(server.access.port, Instant::now())?;
        Ok(with_status(StatusCode::CREATED, &shown))
    });
    let watch = warp::path!("v1" / "pair").and(warp::get()).and(with.clone());
    let watch =
        watch.then(|server: Arc<Server>| async move { Ok(ok(server.access.pairing.view(Instant::now()))) });
    let decide =
        warp::path!("v1" / "pair" / "answer").and(warp::post()).and(warp::body::stream()).and(with.clone());
    let decide = decide.then(|body, server: Arc<Server>| async move {
        let PairingAnswer { allow } = from_json(body).await?;
        super::blocking(move || {
            server.access.pairing.answer(allow, &server.access.clients, Instant::now())?;
            Ok(ok(server.access.pairing.view(Instant::now())))
        })
        .await
    });
    let list = warp::path!("v1" / "clients").and(warp::get()).and(with.clone());
    let list = list.then(|server: Arc<Server>| async move { Ok(ok(server.access.clients.list())) });
    let revoke = warp::path!("v1" / "clients" / Id).and(warp::delete()).and(with);
    let revoke = revoke.then(|id: Id, server: Arc<Server>| async move {
        super::blocking(move || {
            server.access.clients.remove(&id)?;
            server.access.sessions.end(&id);
            Ok(StatusCode::NO_CONTENT.into_response())
        })
        .await
    });
    let some = start.map(answer).or(watch.map(answer)).unify().or(decide.map(answer)).unify();
    some.or(list.map(answer)).unify().or(revoke.map(answer)).unify().boxed()
}

/// The server proves itself, to whoever shares a key with it.
fn offer(access: &Access, caller: Caller, asked: SessionRequest) -> Answer<Response> {
    proof::check_nonce(&asked.nonce)?;
    let Caller::Stranger(origin) = caller else { return Err(Refusal::internal()) };
    let server_nonce = proof::encode(&proof::random()?);
    let (port, instance) = (access.port, access.instance.clone());
    let from = origin.as_ref().map_or("", Origin::as_str);
    let text = format!("{}|{}|{server_nonce}|{from}|{port}|{instance}", asked.client_id, asked.nonce);
    let proof = match origin {
        None if asked.client_id == LOCAL => proof::prove(access.token.as_bytes(), &format!("srv1|{text}"))?,
        None => return Err(Refusal::unauthorized()),
        Some(origin) => {
            let known = access.clients.key(&asked.client_id, &origin);
            let (client, key) = known.ok_or_else(Refusal::unauthorized)?;
            access.sessions.attempt(&client, Instant::now())?;
            let proof = proof::prove(&key, &format!("srv1|{text}"))?;
            let expected = format!("cli1|{text}");
            access.sessions.expect((client, key), origin, server_nonce.clone(), expected, Instant::now());
            proof
        }
    };
    Ok(ok(SessionOffer { server_nonce, instance, port, proof }))
}

/// The page proves itself.
fn confirm_session(access: &Access, caller: Caller, asked: &SessionConfirm) -> Answer<Response> {
    let Caller::Stranger(Some(origin)) = caller else { return Err(Refusal::unauthorized()) };
    let opened = access.sessions.open(&asked.server_nonce, &asked.proof, &origin, Instant::now())?;
    let (client, token) = opened.ok_or_else(Refusal::unauthorized)?;
    access.clients.used(&client);
    Ok(ok(SessionView { token, expires_in: sessions::lasts() }))
}

/// A page wants to pair.
fn begin_pairing(access: &Access, caller: Caller, asked: PairingBegin) -> Answer<Response> {
    let origin = page(caller)?;
    proof::check_nonce(&asked.nonce)?;
    pairing::check_label(&asked.label)?;
    let here = (access.port, access.instance.as_str());
    Ok(ok(access.pairing.begin(&origin, asked.label, &asked.nonce, here, Instant::now())?))
}

/// A page has the code; the answer waits for the user, but not for ever.
async fn confirm_pairing(access: &Access, caller: Caller, asked: &PairingConfirm) -> Answer<Response> {
    let origin = page(caller)?;
    let mut changed = access.pairing.changed.subscribe();
    let end = tokio::time::Instant::now() + HELD;
    loop {
        if let Some(paired) = access.pairing.confirm(&origin, &asked.pair_id, &asked.proof, Instant::now())? {
            return Ok(ok(paired));
        }
        if !matches!(tokio::time::timeout_at(end, changed.changed()).await, Ok(Ok(()))) {
            let pending = PairingPending { state: pairing::State::Asking };
            return Ok(with_status(StatusCode::ACCEPTED, &pending));
        }
    }
}

/// The page that a request came from.
fn page(caller: Caller) -> Answer<Origin> {
    match caller {
        Caller::Stranger(Some(origin)) => Ok(origin),
        _ => Err(Refusal::new(Code::BadRequest, "only web pages pair", "send the token of `endpoint.json`")),
    }
}
