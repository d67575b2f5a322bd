//! Who passes the gate, and with what each other one is refused.

use std::time::Duration;

use super::super::clients::Clients;
use super::super::pairing::Pairing;
use super::super::proof::prove;
use super::super::sessions::Sessions;
use super::*;

const PAGE: &str = "https://viewer.example";

/// A server at port 5000 with one paired page, and a session of it.
struct Scene {
    policy: Policy,
    client: Id,
    bearer: String,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let access = Access {
            port: 5000,
            instance: "instance".to_owned(),
            token: "secret".to_owned(),
            named: Vec::new(),
            clients: Clients::open(folder.path().join("clients.json")).unwrap(),
            sessions: Sessions::default(),
            pairing: Pairing::default(),
            owners: Owners::default(),
        };
        let page: Origin = PAGE.parse().unwrap();
        let client = access.clients.add(page.clone(), "OHIF".to_owned(), &[1; 32]).unwrap();
        let now = Instant::now();
        access.sessions.expect((client.clone(), [1; 32]), page.clone(), "s".into(), "cli1".into(), now);
        let proof = prove(&[1; 32], "cli1").unwrap();
        let (_, token) = access.sessions.open("s", &proof, &page, now).unwrap().unwrap();
        Scene {
            policy: Policy::new(Arc::new(access)),
            client,
            bearer: format!("Bearer {token}"),
            _folder: folder,
        }
    }

    fn verdict(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Verdict {
        let mut request = warp::http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.policy.check(&request.body(()).unwrap().into_parts().0)
    }

    /// The code that a request meets; none when it passes.
    fn code(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Option<Code> {
        self.verdict(method, path, headers).ruling.err().map(|refusal| refusal.code)
    }
}

/// The code that a request of this computer's programs meets.
fn check(method: &str, path: &str, headers: &[(&str, &str)]) -> Option<Code> {
    Scene::new().code(method, path, headers)
}

const HOST: (&str, &str) = ("host", "127.0.0.1:5000");
const TOKEN: (&str, &str) = ("authorization", "Bearer secret");
const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn only_the_users_own_programs_pass() {
    let get = |headers: &[(&str, &str)]| check("GET", "/v1/info", headers);
    assert_eq!(get(&[HOST, TOKEN]), None);
    assert_eq!(get(&[("host", "localhost:5000"), TOKEN]), None);
    for host in ["127.0.0.1", "0.0.0.0:5000", "evil.example:5000", "127.0.0.1:5001", "LOCALHOST:5000", ""] {
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
    assert_eq!(check("GET", "/v1/session", &[HOST]), Some(Code::Unauthorized));
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
    assert_eq!(post(&[JSON, ("content-length", "700000")]), Some(Code::TooLarge));
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

#[test]
fn pages_pass_with_a_token_of_their_own_origin_only() {
    let scene = Scene::new();
    let (origin, bearer) = (("origin", PAGE), ("authorization", scene.bearer.as_str()));
    let passage = |headers: &[(&str, &str)]| scene.verdict("GET", "/v1/info", headers);
    let passed = passage(&[HOST, origin, bearer, ("sec-fetch-site", "cross-site")]);
    assert!(matches!(passed.ruling, Ok(Passage::To(Caller::Page(id))) if id == scene.client));
    assert_eq!(passed.shown_to.unwrap().as_str(), PAGE);
    // The page may read why it was refused; nobody else learns that there is anything.
    let refused = passage(&[HOST, origin, TOKEN]);
    assert_eq!(refused.ruling.err().map(|refusal| refusal.code), Some(Code::Unauthorized));
    assert!(refused.shown_to.is_some());
    for other in [
        "https://other.example",
        "https://viewer.example:8443",
        "http://viewer.example",
        "null",
        "https://VIEWER.example",
    ] {
        let refused = passage(&[HOST, ("origin", other), bearer]);
        assert_eq!(refused.ruling.err().map(|refusal| refusal.code), Some(Code::OriginRefused), "{other}");
        assert!(refused.shown_to.is_none(), "{other}");
    }
    let get = |headers: &[(&str, &str)]| scene.code("GET", "/v1/info", headers);
    assert_eq!(get(&[HOST, bearer]), Some(Code::Unauthorized), "its token without its origin");
    assert_eq!(get(&[HOST, origin, origin, bearer]), Some(Code::BadRequest));
    assert_eq!(get(&[("host", "viewer.example:5000"), origin, bearer]), Some(Code::HostRefused));
    for (method, path) in [
        ("POST", "/v1/pair"),
        ("GET", "/v1/pair"),
        ("POST", "/v1/pair/answer"),
        ("GET", "/v1/clients"),
        ("DELETE", "/v1/clients/0"),
        ("POST", "/v1/models"),
        ("DELETE", "/v1/models/x"),
    ] {
        let headers = [HOST, origin, bearer, JSON, ("content-length", "0")];
        assert_eq!(scene.code(method, path, &headers), Some(Code::LocalOnly), "{method} {path}");
    }
}

#[test]
fn preflights_are_answered_for_paired_pages() {
    let scene = Scene::new();
    let asked = ("access-control-request-method", "PUT");
    let preflight =
        |origin: &str, path: &str| scene.verdict("OPTIONS", path, &[HOST, ("origin", origin), asked]);
    assert!(matches!(preflight(PAGE, "/v1/jobs").ruling, Ok(Passage::Preflight)));
    let refused = |origin: &str, path: &str| preflight(origin, path).ruling.err().map(|refusal| refusal.code);
    assert_eq!(refused("https://other.example", "/v1/jobs"), Some(Code::OriginRefused));
    assert_eq!(refused("https://other.example", "/v1/pair/begin"), Some(Code::OriginRefused));
    assert_eq!(scene.code("OPTIONS", "/v1/jobs", &[HOST, ("origin", PAGE)]), Some(Code::Unauthorized));
    assert_eq!(scene.code("OPTIONS", "/v1/jobs", &[HOST, asked]), Some(Code::Unauthorized));
    // While a code waits, pages that may be paired may try, and nothing else.
    scene.policy.access.pairing.open(5000, Instant::now()).unwrap();
    assert!(matches!(preflight("https://other.example", "/v1/pair/begin").ruling, Ok(Passage::Preflight)));
    assert_eq!(refused("https://other.example", "/v1/jobs"), Some(Code::OriginRefused));
    assert_eq!(refused("https://other.example", "/v1/live"), Some(Code::OriginRefused));
    assert_eq!(refused("http://other.example", "/v1/pair/begin"), Some(Code::OriginRefused));
    assert_eq!(refused("null", "/v1/pair/begin"), Some(Code::OriginRefused));
    let later = Instant::now() + Duration::from_secs(1000);
    assert!(!scene.policy.access.pairing.lets_in(&"https://other.example".parse().unwrap(), later));
}

#[test]
fn strangers_say_little() {
    let post = |path: &str, length: &str| check("POST", path, &[HOST, JSON, ("content-length", length)]);
    assert_eq!(post("/v1/session", "1024"), None);
    assert_eq!(post("/v1/session", "1025"), Some(Code::TooLarge));
    assert_eq!(post("/v1/sessions", "10"), Some(Code::Unauthorized));
    assert_eq!(post("/v1/pair", "2"), Some(Code::Unauthorized));
}
