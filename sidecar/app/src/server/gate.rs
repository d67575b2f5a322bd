//! The gate before every request: who may speak to the server at all. It looks at the head only, so what it refuses is
//! refused before a byte of the body is read.
//!
//! A page in a browser can send requests to 127.0.0.1. What keeps it out: the exact `Host` (against DNS rebinding), no
//! `Origin` but those that the user has paired, a token that is good for one origin only, and no request without a
//! content type that a simple form could send. A page that is not paired gets the same answer whatever it asks.

use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use warp::http::header::{self, HeaderMap, HeaderName};
use warp::http::request::Parts;
use warp::http::{Method, Version};

use super::access::Access;
use super::error::{Answer, Code, Refusal};
use super::id::Id;
use super::origin::Origin;
use super::owners::Owners;
use super::proof::Key;
use super::{API_MAJOR, API_MINOR};

/// Most bytes of all header lines together.
const MOST_HEADER_BYTES: usize = 16 << 10;
/// Most bytes of a JSON body: the header of a volume may name 4096 slices.
const MOST_JSON_BYTES: u64 = 512 << 10;
/// Most bytes of a JSON body for a session: what a viewer's own brush has changed.
const MOST_CHANGES_BYTES: u64 = 8 << 20;
/// Most bytes of a JSON body from somebody who has shown no token.
const MOST_STRANGERS_BYTES: u64 = 1 << 10;
/// The header by which a client says which API it was written for.
const API_HEADER: &str = "x-vesalius-api";
/// Tells that the server is there, and nothing else.
const LIVE: &str = "/v1/live";
/// Where a token is to be had.
const SESSION: [&str; 2] = ["/v1/session", "/v1/session/confirm"];
/// Where a page is paired.
const PAIRING: [&str; 2] = ["/v1/pair/begin", "/v1/pair/confirm"];

/// Who a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Caller {
    /// Nobody who has shown a token; with the page that it comes from, if it comes from one.
    Stranger(Option<Origin>),
    /// A program of this computer.
    Local,
    /// A paired page with a session.
    Page(Id),
}

/// What the gate says.
pub(super) struct Verdict {
    /// The page that may read the answer.
    pub(super) shown_to: Option<Origin>,
    /// What becomes of the request.
    pub(super) ruling: Answer<Passage>,
}

/// What becomes of a request that is not refused.
pub(super) enum Passage {
    /// It goes on to the routes.
    To(Caller),
    /// A browser asks what the page may do.
    Preflight,
}

/// Who may speak to the server.
pub(super) struct Policy {
    hosts: [String; 2],
    /// SHA-256 of the local token.
    token: Key,
    access: Arc<Access>,
}

impl Policy {
    /// By what `access` knows.
    pub(super) fn new(access: Arc<Access>) -> Policy {
        let port = access.port;
        Policy {
            hosts: [format!("127.0.0.1:{port}"), format!("localhost:{port}")],
            token: Sha256::digest(access.token.as_bytes()).into(),
            access,
        }
    }

    /// Whose job is whose.
    pub(super) fn owners(&self) -> &Owners {
        &self.access.owners
    }

    /// Lets a request pass or says why not.
    pub(super) fn check(&self, head: &Parts) -> Verdict {
        let sender = check_form(head)
            .and_then(|()| self.check_host(&head.headers))
            .and_then(|()| self.check_origin(head));
        match sender {
            Err(refusal) => Verdict { shown_to: None, ruling: Err(refusal) },
            Ok(origin) => Verdict { ruling: self.rule(head, origin.clone()), shown_to: origin },
        }
    }

    /// What becomes of a request that was sent by nobody wrong.
    fn rule(&self, head: &Parts, origin: Option<Origin>) -> Answer<Passage> {
        let (path, headers) = (head.uri.path(), &head.headers);
        if origin.is_some()
            && head.method == Method::OPTIONS
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        {
            return Ok(Passage::Preflight);
        }
        if head.method == Method::GET && path == LIVE {
            return Ok(Passage::To(Caller::Stranger(origin)));
        }
        let is_open = head.method == Method::POST && (SESSION.contains(&path) || PAIRING.contains(&path));
        let caller =
            if is_open { Caller::Stranger(origin) } else { self.check_token(headers, origin.as_ref())? };
        if matches!(caller, Caller::Page(_)) && is_local_only(&head.method, path) {
            return Err(Refusal::new(
                Code::LocalOnly,
                "web pages may not ask for this",
                "use 3D Slicer or the command line",
            ));
        }
        check_version(headers)?;
        let most = match is_open {
            true => MOST_STRANGERS_BYTES,
            false if path.starts_with("/v1/sessions/") => MOST_CHANGES_BYTES,
            false => MOST_JSON_BYTES,
        };
        check_body(head, most)?;
        Ok(Passage::To(caller))
    }

    /// `Host`, to the byte.
    fn check_host(&self, headers: &HeaderMap) -> Answer<()> {
        let host = one(headers, &header::HOST)?.unwrap_or_default();
        if self.hosts.iter().any(|known| known == host) {
            return Ok(());
        }
        Err(Refusal::new(
            Code::HostRefused,
            "the request is meant for another host",
            format!("address the server as `http://{}`", self.hosts[0]),
        ))
    }

    /// `Origin`, `Sec-Fetch-Site`: the page that the request comes from, if from one, and it is one that may know.
    fn check_origin(&self, head: &Parts) -> Answer<Option<Origin>> {
        let refused = || {
            Refusal::new(
                Code::OriginRefused,
                "this web page may not use the server",
                "pair it: run `vesalius pair`, and type the code into the page",
            )
        };
        let Some(origin) = one(&head.headers, &header::ORIGIN)? else {
            // No page reads or writes anything without saying where it comes from.
            let site = head.headers.get("sec-fetch-site").map(|site| site.as_bytes());
            let is_page = site.is_some_and(|site| site != b"none" && site != b"same-origin");
            return if is_page { Err(refused()) } else { Ok(None) };
        };
        let origin: Origin = origin.parse().map_err(|_| refused())?;
        let is_known = self.access.knows(&origin)
            || (PAIRING.contains(&head.uri.path()) && self.access.may_pair(&origin));
        if is_known { Ok(Some(origin)) } else { Err(refused()) }
    }

    /// `Authorization: Bearer TOKEN`: the local one without an origin, a session's with its own.
    fn check_token(&self, headers: &HeaderMap, origin: Option<&Origin>) -> Answer<Caller> {
        let given = one(headers, &header::AUTHORIZATION)?.and_then(|value| value.strip_prefix("Bearer "));
        let given: Key = Sha256::digest(given.unwrap_or_default().as_bytes()).into();
        let caller = match origin {
            None => bool::from(self.token.ct_eq(&given)).then_some(Caller::Local),
            Some(origin) => self.access.sessions.holder(&given, origin, Instant::now()).map(Caller::Page),
        };
        caller.ok_or_else(Refusal::unauthorized)
    }
}

/// What changes who is let in, or what is on this computer's disk for good.
fn is_local_only(method: &Method, path: &str) -> bool {
    let under =
        |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    under("/v1/pair") || under("/v1/clients") || (under("/v1/models") && *method != Method::GET)
}

/// HTTP/1.1, a path and nothing before it, headers of a sane length.
fn check_form(head: &Parts) -> Answer<()> {
    let path = head.uri.path();
    let is_plain = head.uri.scheme().is_none() && head.uri.authority().is_none() && path.len() <= 256;
    if head.version != Version::HTTP_11 || !is_plain || path.contains("..") || path.contains('%') {
        return Err(Refusal::new(Code::BadRequest, "the request line is not understood", "speak HTTP/1.1"));
    }
    let bytes: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if bytes > MOST_HEADER_BYTES {
        let message = format!("{bytes} bytes of headers, at most {MOST_HEADER_BYTES} are taken");
        return Err(Refusal::new(Code::HeadersTooLarge, message, "send fewer headers"));
    }
    Ok(())
}

/// The client's API, where it names one.
fn check_version(headers: &HeaderMap) -> Answer<()> {
    let Some(wanted) = one(headers, &HeaderName::from_static(API_HEADER))? else { return Ok(()) };
    let numbers = wanted
        .split_once('.')
        .and_then(|(major, minor)| Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?)));
    let Some((major, minor)) = numbers else {
        let message = format!("`{API_HEADER}` is no version such as `{API_MAJOR}.{API_MINOR}`");
        return Err(Refusal::new(Code::BadRequest, message, ""));
    };
    let (least, most) = ((API_MAJOR, 0), (API_MAJOR, API_MINOR));
    if (least..=most).contains(&(major, minor)) {
        return Ok(());
    }
    let older = (major, minor) > most;
    let hint = if older {
        "update this program: `pip install --upgrade vesalius`"
    } else {
        "update the viewer's extension"
    };
    Err(Refusal::new(
        Code::VersionUnsupported,
        format!(
            "the client speaks API {major}.{minor}, this program {API_MAJOR}.0 to {API_MAJOR}.{API_MINOR}"
        ),
        hint,
    ))
}

/// Type and length of the body.
fn check_body(head: &Parts, most_json: u64) -> Answer<()> {
    let headers = &head.headers;
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Refusal::new(
            Code::LengthRequired,
            "chunked bodies are not taken",
            "send `Content-Length`",
        ));
    }
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Refusal::new(
            Code::UnsupportedMediaType,
            "compressed bodies are not taken",
            "send plain bytes",
        ));
    }
    let length = one(headers, &header::CONTENT_LENGTH)?;
    let bytes = length
        .map(str::parse::<u64>)
        .transpose()
        .map_err(|_| Refusal::new(Code::BadRequest, "`Content-Length` is no number", ""))?;
    if !matches!(head.method, Method::POST | Method::PUT) {
        return match bytes.unwrap_or(0) {
            0 => Ok(()),
            _ => Err(Refusal::new(Code::BadRequest, "this request takes no body", "")),
        };
    }
    let expected = if head.method == Method::PUT { "application/octet-stream" } else { "application/json" };
    if one(headers, &header::CONTENT_TYPE)? != Some(expected) {
        let message = format!("the body must be `Content-Type: {expected}`");
        return Err(Refusal::new(Code::UnsupportedMediaType, message, ""));
    }
    match bytes {
        None => Err(Refusal::new(Code::LengthRequired, "`Content-Length` is missing", "")),
        Some(bytes) if head.method == Method::POST && bytes > most_json => {
            let message = format!("{bytes} bytes of JSON, at most {most_json} are taken");
            Err(Refusal::new(Code::TooLarge, message, "voxels go to `PUT /v1/volumes/ID/data`"))
        }
        Some(_) => Ok(()),
    }
}

/// A header that may stand once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Answer<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    let bad =
        || Refusal::new(Code::BadRequest, format!("the header `{name}` is not understood"), "send it once");
    if values.next().is_some() {
        return Err(bad());
    }
    first.map(|value| value.to_str().map_err(|_| bad())).transpose()
}

#[cfg(test)]
mod tests;
