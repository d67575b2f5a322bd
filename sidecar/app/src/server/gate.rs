//! The gate before every request: who may speak to the server at all. It looks at the head only, so what it refuses is
//! refused before a byte of the body is read.
//!
//! A page in a browser can send requests to 127.0.0.1. What keeps it out: the exact `Host` (against DNS rebinding), no
//! foreign `Origin`, a token that only the user's own programs can read, and no request without a content type that
//! a simple form could send. Pairing with a web viewer, when it comes, adds origins to [`Policy`] and nothing else.

use sha2::{Digest, Sha256};
use warp::http::header::{self, HeaderMap, HeaderName};
use warp::http::request::Parts;
use warp::http::{Method, Version};

use super::error::{Answer, Code, Refusal};
use super::{API_MAJOR, API_MINOR};

/// Most bytes of all header lines together.
const MOST_HEADER_BYTES: usize = 16 << 10;
/// Most bytes of a JSON body.
const MOST_JSON_BYTES: u64 = 64 << 10;
/// The header by which a client says which API it was written for.
const API_HEADER: &str = "x-vesalius-api";
/// The only path that needs no token.
const LIVE: &str = "/v1/live";

/// Who may speak to the server.
pub(super) struct Policy {
    hosts: [String; 2],
    /// SHA-256 of the token: two of them can be compared in a time that tells nothing about either.
    token: [u8; 32],
}

impl Policy {
    /// For a server on `port` that knows `token`.
    pub(super) fn new(port: u16, token: &str) -> Policy {
        Policy {
            hosts: [format!("127.0.0.1:{port}"), format!("localhost:{port}")],
            token: Sha256::digest(token.as_bytes()).into(),
        }
    }

    /// Lets a request pass or says why not. `true` when it came with the token.
    pub(super) fn check(&self, head: &Parts) -> Answer<bool> {
        check_form(head)?;
        self.check_sender(&head.headers)?;
        if head.method == Method::GET && head.uri.path() == LIVE {
            return Ok(false);
        }
        self.check_token(&head.headers)?;
        check_version(&head.headers)?;
        check_body(head)?;
        Ok(true)
    }

    /// `Host`, `Origin`, `Sec-Fetch-Site`.
    fn check_sender(&self, headers: &HeaderMap) -> Answer<()> {
        let host = one(headers, &header::HOST)?.unwrap_or_default();
        if !self.hosts.iter().any(|known| known == host) {
            return Err(Refusal::new(
                Code::HostRefused,
                "the request is meant for another host",
                format!("address the server as `http://{}`", self.hosts[0]),
            ));
        }
        let origin = one(headers, &header::ORIGIN)?;
        let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
        if origin.is_some() || site.is_some_and(|site| site != b"none" && site != b"same-origin") {
            return Err(Refusal::new(
                Code::OriginRefused,
                "web pages may not use this server",
                "use a program of this computer, such as 3D Slicer or the command line",
            ));
        }
        Ok(())
    }

    /// `Authorization: Bearer TOKEN`.
    fn check_token(&self, headers: &HeaderMap) -> Answer<()> {
        let given = one(headers, &header::AUTHORIZATION)?.and_then(|value| value.strip_prefix("Bearer "));
        let given: [u8; 32] = Sha256::digest(given.unwrap_or_default().as_bytes()).into();
        let difference = self.token.iter().zip(given).fold(0, |difference, (a, b)| difference | (a ^ b));
        if difference == 0 {
            return Ok(());
        }
        Err(Refusal::new(
            Code::Unauthorized,
            "the token is missing or wrong",
            "send `Authorization: Bearer TOKEN` with the token of `endpoint.json`",
        ))
    }
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
fn check_body(head: &Parts) -> Answer<()> {
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
        Some(bytes) if head.method == Method::POST && bytes > MOST_JSON_BYTES => {
            let message = format!("{bytes} bytes of JSON, at most {MOST_JSON_BYTES} are taken");
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
mod tests {
    use super::*;

    /// The code that a request with these headers meets; none when it passes.
    fn check(method: &str, path: &str, headers: &[(&str, &str)]) -> Option<Code> {
        let mut request = warp::http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Policy::new(5000, "secret")
            .check(&request.body(()).unwrap().into_parts().0)
            .err()
            .map(|refusal| refusal.code)
    }

    const HOST: (&str, &str) = ("host", "127.0.0.1:5000");
    const TOKEN: (&str, &str) = ("authorization", "Bearer secret");
    const JSON: (&str, &str) = ("content-type", "application/json");

    #[test]
    fn only_the_users_own_programs_pass() {
        let get = |headers: &[(&str, &str)]| check("GET", "/v1/info", headers);
        assert_eq!(get(&[HOST, TOKEN]), None);
        assert_eq!(get(&[("host", "localhost:5000"), TOKEN]), None);
        for host in ["127.0.0.1", "0.0.0.0:5000", "evil.example:5000", "127.0.0.1:5001", "LOCALHOST:5000", ""]
        {
            assert_eq!(get(&[("host", host), TOKEN]), Some(Code::HostRefused), "{host}");
        }
        assert_eq!(get(&[TOKEN]), Some(Code::HostRefused));
        assert_eq!(get(&[HOST, HOST, TOKEN]), Some(Code::BadRequest));
        assert_eq!(get(&[HOST, TOKEN, ("origin", "https://evil.example")]), Some(Code::OriginRefused));
        assert_eq!(get(&[HOST, TOKEN, ("origin", "null")]), Some(Code::OriginRefused));
        assert_eq!(get(&[HOST, TOKEN, ("sec-fetch-site", "cross-site")]), Some(Code::OriginRefused));
        assert_eq!(get(&[HOST]), Some(Code::Unauthorized));
        for token in
            ["Bearer Secret", "Bearer secret ", "Basic secret", "secret", "Bearer ", "Bearer secretsecret"]
        {
            assert_eq!(get(&[HOST, ("authorization", token)]), Some(Code::Unauthorized), "{token}");
        }
        assert_eq!(get(&[HOST, TOKEN, TOKEN]), Some(Code::BadRequest));
        assert_eq!(check("GET", "/v1/live", &[HOST]), None);
        assert_eq!(check("POST", "/v1/live", &[HOST]), Some(Code::Unauthorized));
        assert_eq!(check("GET", "http://127.0.0.1:5000/v1/info", &[HOST, TOKEN]), Some(Code::BadRequest));
    }

    #[test]
    fn bodies_say_what_and_how_long_they_are() {
        let post = |headers: &[(&str, &str)]| check("POST", "/v1/jobs", &[&[HOST, TOKEN], headers].concat());
        assert_eq!(post(&[JSON, ("content-length", "10")]), None);
        assert_eq!(post(&[("content-length", "10")]), Some(Code::UnsupportedMediaType));
        assert_eq!(
            post(&[("content-type", "text/plain"), ("content-length", "1")]),
            Some(Code::UnsupportedMediaType)
        );
        assert_eq!(post(&[JSON]), Some(Code::LengthRequired));
        assert_eq!(post(&[JSON, ("transfer-encoding", "chunked")]), Some(Code::LengthRequired));
        assert_eq!(post(&[JSON, ("content-length", "70000")]), Some(Code::TooLarge));
        assert_eq!(post(&[JSON, ("content-length", "-1")]), Some(Code::BadRequest));
        assert_eq!(
            post(&[JSON, ("content-length", "1"), ("content-encoding", "gzip")]),
            Some(Code::UnsupportedMediaType)
        );
    }

    #[test]
    fn versions_are_negotiated_in_words() {
        let version = |text: &str| check("GET", "/v1/info", &[HOST, TOKEN, ("x-vesalius-api", text)]);
        assert_eq!(version("1.0"), None);
        assert_eq!(version("1.1"), Some(Code::VersionUnsupported));
        assert_eq!(version("2.0"), Some(Code::VersionUnsupported));
        assert_eq!(version("0.9"), Some(Code::VersionUnsupported));
        assert_eq!(version("new"), Some(Code::BadRequest));
    }
}
