//! Where a web page came from, and the headers by which its browser lets it read an answer (CORS, fetch.spec.whatwg.org).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use warp::http::header::{self, HeaderMap, HeaderName};
use warp::http::{HeaderValue, StatusCode};
use warp::reply::{Reply, Response};

/// Methods that pages may use.
const METHODS: &str = "GET, POST, PUT, DELETE";
/// Headers that pages may send.
const TAKEN: &str = "authorization, content-type, idempotency-key, x-vesalius-api";
/// Headers that pages may read, besides those that they always may.
const SHOWN: &str = "retry-after, content-disposition, x-vesalius-revision";
/// Seconds for which a browser need not ask again; Chromium's longest.
const PREFLIGHT_LASTS: &str = "7200";

/// An origin as browsers send it: `https://host`, `https://host:port`, `http://host:port`; nothing else, so that two
/// are the same exactly when their bytes are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Origin(String);

/// What is no origin.
#[derive(Debug, thiserror::Error)]
#[error("expected an origin such as `https://viewer.example`, in lower case and without a path")]
pub(crate) struct NoOrigin;

impl Origin {
    /// As browsers send it.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nobody between the page's server and the user can have written the page: it came over https, or from
    /// this computer, or the user has named it.
    pub(super) fn is_pairable(&self, named: &[Origin]) -> bool {
        let host =
            self.0.strip_prefix("http://").map(|host| host.split_once(':').map_or(host, |(host, _)| host));
        host.is_none_or(|host| host == "127.0.0.1" || host == "localhost") || named.contains(self)
    }
}

impl FromStr for Origin {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Origin, NoOrigin> {
        let (default, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (443, rest),
            (None, Some(rest)) => (80, rest),
            (None, None) => return Err(NoOrigin),
        };
        let (host, port) = rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
        let is_host = !host.is_empty()
            && host.len() <= 253
            && !host.starts_with('.')
            && host.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'));
        let is_port = port.is_none_or(|text| {
            text.parse::<u16>().is_ok_and(|port| port != default && port != 0 && port.to_string() == text)
        });
        if is_host && is_port { Ok(Origin(text.to_owned())) } else { Err(NoOrigin) }
    }
}

impl TryFrom<String> for Origin {
    type Error = NoOrigin;

    fn try_from(text: String) -> Result<Origin, NoOrigin> {
        text.parse()
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> String {
        origin.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Lets a page of `origin` read the answer.
pub(super) fn show_to(origin: &Origin, headers: &mut HeaderMap) {
    if let Ok(value) = HeaderValue::from_str(origin.as_str()) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, value);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(SHOWN));
    }
}

/// The answer to a browser that asks what a page may do, before the page may do it.
pub(super) fn preflight(asked: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(TAKEN));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(PREFLIGHT_LASTS));
    // Chromium before 142 asks; later ones ask the user instead (Local Network Access).
    if asked.contains_key("access-control-request-private-network") {
        let allow = HeaderName::from_static("access-control-allow-private-network");
        headers.insert(allow, HeaderValue::from_static("true"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_exactly_what_browsers_send() {
        let is_pairable = |text: &str| text.parse::<Origin>().ok().map(|origin| origin.is_pairable(&[]));
        for text in [
            "https://viewer.example",
            "https://a-b.example:8443",
            "http://127.0.0.1:3000",
            "http://localhost",
        ] {
            assert_eq!(is_pairable(text), Some(true), "{text}");
        }
        for text in [
            "http://viewer.example",
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example:1",
            "http://10.0.0.7:3000",
        ] {
            assert_eq!(is_pairable(text), Some(false), "{text}");
        }
        for text in [
            "null",
            "",
            "https://",
            "https://Viewer.example",
            "https://viewer.example/",
            "https://viewer.example:443",
            "http://localhost:80",
            "https://viewer.example:0443",
            "https://user@viewer.example",
            "https://viewer.example:",
            "file://",
            "chrome-extension://abc",
            "https://viewer.example:99999",
            "https://a b",
            "https://*",
            "https://a,https://b",
        ] {
            assert_eq!(is_pairable(text), None, "{text}");
        }
        let named: Origin = "http://viewer.example".parse().unwrap();
        assert!(named.is_pairable(std::slice::from_ref(&named)));
    }
}
