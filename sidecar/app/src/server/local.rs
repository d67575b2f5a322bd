//! The command line as a client of the server that this user runs: it finds it, lets it prove itself, then speaks.

use std::fs::{self, OpenOptions};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::Request;

use super::access::LOCAL;
use super::clients::{self, Clients};
use super::error::Refusal;
use super::id::Id;
use super::pairing::{Shown, View};
use super::proof;
use super::rendezvous::Rendezvous;
use crate::config::Home;
use crate::{Error, Result};

/// Nothing that is asked here takes longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Time between two looks at a pairing.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What is needed of `endpoint.json`.
#[derive(Debug, Deserialize)]
struct Endpoint {
    port: u16,
    token: String,
}

/// What is needed of the server's proof.
#[derive(Debug, Deserialize)]
struct Offer {
    server_nonce: String,
    instance: String,
    port: u16,
    proof: String,
}

/// A server that runs, and has shown that it is the one that wrote the file.
struct Local {
    agent: Agent,
    endpoint: Endpoint,
}

impl Local {
    /// The server of this user, if one runs.
    fn find(home: &Home) -> Result<Option<Local>> {
        let folder = home.root().join("run");
        let lock = OpenOptions::new().read(true).write(true).open(folder.join("lock"));
        if lock.is_ok_and(|lock| lock.try_lock().is_ok()) {
            return Ok(None);
        }
        let path = folder.join("endpoint.json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::read(&path, error)),
        };
        let endpoint = serde_json::from_slice(&text).map_err(|error| Error::read(&path, error.into()))?;
        // A proxy of the environment must not see what goes to this computer.
        let config = Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(ANSWER_WITHIN))
            .build();
        let local = Local { agent: config.new_agent(), endpoint };
        local.check()?;
        Ok(Some(local))
    }

    /// Another program can have taken the port: the token goes to none but the one that knows it.
    fn check(&self) -> Result<()> {
        let refused = |refusal: Refusal| Error::Refused { message: refusal.message, hint: refusal.hint };
        let nonce = proof::encode(&proof::random().map_err(refused)?);
        let body = json!({ "client_id": LOCAL, "nonce": nonce });
        let offer: Offer = self.send("POST", "/v1/session", Some(&body), false)?;
        let Endpoint { port, token } = &self.endpoint;
        let text = format!("srv1|{LOCAL}|{nonce}|{}||{port}|{}", offer.server_nonce, offer.instance);
        let is_proven = proof::is_proven(token.as_bytes(), &text, &offer.proof).map_err(refused)?;
        if offer.port == *port && is_proven { Ok(()) } else { Err(stranger(*port)) }
    }

    /// Asks as a program of this computer.
    fn ask<T: DeserializeOwned>(&self, method: &str, path: &str, body: Option<&Value>) -> Result<T> {
        self.send(method, path, body, true)
    }

    fn send<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        with_token: bool,
    ) -> Result<T> {
        let Endpoint { port, token } = &self.endpoint;
        let mut request = Request::builder().method(method).uri(format!("http://127.0.0.1:{port}{path}"));
        if with_token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = match body {
            Some(body) => request
                .header("content-type", "application/json")
                .body(body.to_string())
                .map_err(ureq::Error::from)
                .and_then(|request| self.agent.run(request)),
            None => request.body(()).map_err(ureq::Error::from).and_then(|request| self.agent.run(request)),
        };
        let mut answer = answer.map_err(|_| stranger(*port))?;
        let text = answer.body_mut().read_to_vec().map_err(|_| stranger(*port))?;
        if !answer.status().is_success() {
            let refusal: Refusal = serde_json::from_slice(&text).map_err(|_| stranger(*port))?;
            return Err(Error::Refused { message: refusal.message, hint: refusal.hint });
        }
        // No content is JSON's nothing.
        let text = if text.is_empty() { b"null".to_vec() } else { text };
        serde_json::from_slice(&text).map_err(|_| stranger(*port))
    }
}

fn stranger(port: u16) -> Error {
    Error::Refused {
        message: format!("what answers at port {port} of this computer is not the server that you started"),
        hint: "stop `vesalius serve`, then start it again".to_owned(),
    }
}

/// A pairing that was begun here.
pub(crate) struct Pairing(Local);

impl Pairing {
    /// Asks the server of this user for a code.
    pub(crate) fn start(home: &Home) -> Result<(Pairing, Shown)> {
        let local = Local::find(home)?.ok_or_else(|| Error::Refused {
            message: "no server runs".to_owned(),
            hint: "start `vesalius serve` in another terminal".to_owned(),
        })?;
        let shown = local.ask("POST", "/v1/pair", Some(&json!({})))?;
        Ok((Pairing(local), shown))
    }

    /// Waits until something has changed since a look that found `state`.
    pub(crate) fn wait(&self, state: super::PairingState) -> Result<View> {
        loop {
            let view: View = self.0.ask("GET", "/v1/pair", None)?;
            if view.state != state {
                return Ok(view);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Says whether the page is allowed.
    pub(crate) fn answer(&self, allow: bool) -> Result<View> {
        self.0.ask("POST", "/v1/pair/answer", Some(&json!({ "allow": allow })))
    }
}

/// The paired pages, whether a server runs or not.
pub(crate) fn paired(home: &Home) -> Result<Vec<clients::View>> {
    match Local::find(home)? {
        Some(local) => local.ask("GET", "/v1/clients", None),
        None => Ok(Clients::open(Rendezvous::claim(home)?.clients())?.list()),
    }
}

/// Forgets a paired page; its sessions end at once.
pub(crate) fn revoke(home: &Home, id: &Id) -> Result<()> {
    if let Some(local) = Local::find(home)? {
        return local.ask("DELETE", &format!("/v1/clients/{id}"), None);
    }
    let rendezvous = Rendezvous::claim(home)?;
    let removed = Clients::open(rendezvous.clients())?.remove(id);
    removed.map_err(|refusal| Error::Refused { message: refusal.message, hint: refusal.hint })
}
