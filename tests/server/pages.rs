//! Web pages that talk to the server: paired ones, and all others. The page's side is played by
//! `tests/reference/server/page.py`, which knows nothing of this program but `docs/server.md`.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use serde_json::{Value, json};

use super::refused;
use crate::cli::reference;
use crate::support::program::{self, Ran, ran};
use crate::support::sidecar::{Reply, Sidecar};

const PAGE: &str = "https://viewer.example";

/// `vesalius pair`, that has shown its code.
struct Consent {
    child: Child,
    code: String,
    stderr: BufReader<ChildStderr>,
}

impl Consent {
    fn start(home: &Path) -> Consent {
        let mut command = program::command(home);
        command.arg("pair").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut code = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut code).unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Consent { child, code: code.trim().to_owned(), stderr }
    }

    /// The question, up to its mark.
    fn question(&mut self) -> String {
        let mut question = Vec::new();
        self.stderr.read_until(b'?', &mut question).unwrap();
        String::from_utf8(question).unwrap()
    }

    /// What becomes of it once the user has said `word`.
    fn answer(mut self, word: &str) -> Option<i32> {
        self.child.stdin.take().unwrap().write_all(word.as_bytes()).unwrap();
        self.child.wait().unwrap().code()
    }
}

/// The page's side, under way.
fn page(arguments: &[&str]) -> Child {
    let mut command = Command::new("python3");
    command.arg(reference("server/page.py")).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap_or_else(|error| panic!("install Python 3 as `python3`: {error}"))
}

/// What it came to.
fn end(page: Child) -> Ran {
    ran(page.wait_with_output().unwrap())
}

/// A paired page, and what it keeps.
fn paired(home: &Path, origin: &str) -> Value {
    let mut consent = Consent::start(home);
    let page = page(&["pair", &consent.code, origin]);
    let question = consent.question();
    assert!(question.contains(&format!("Allow {origin} (\"page.py\") to use")), "{question}");
    assert_eq!(consent.answer("y\n"), Some(0));
    let ran = end(page);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    serde_json::from_str(&ran.stdout).unwrap()
}

/// The token of a new session.
fn token(page_keeps: &Value, origin: &str) -> Result<String, Ran> {
    let port = page_keeps["port"].to_string();
    let text = |name: &str| page_keeps[name].as_str().unwrap();
    let ran = end(page(&["session", &port, text("client_id"), text("key"), origin]));
    let said: Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
    said["token"].as_str().map(str::to_owned).ok_or(ran)
}

/// What a page is answered.
fn ask(sidecar: &Sidecar, line: &str, origin: &str, token: &str) -> Reply {
    sidecar.raw(&format!(
        "{line} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nOrigin: {origin}\r\nAuthorization: Bearer {token}\r\n\r\n",
        sidecar.port
    ))
}

#[test]
fn a_page_is_paired_used_and_revoked() {
    let home = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    let keeps = paired(home.path(), PAGE);
    let bearer = token(&keeps, PAGE).unwrap();
    let info = ask(&sidecar, "GET /v1/info", PAGE, &bearer);
    assert_eq!((info.status, info.header("access-control-allow-origin")), (200, Some(PAGE)), "{info:?}");
    assert!(info.header("vary").unwrap().eq_ignore_ascii_case("origin"));
    assert!(info.header("access-control-expose-headers").unwrap().contains("retry-after"));
    assert_eq!(info.header("access-control-allow-credentials"), None);
    // It may read why it is refused.
    let refusal = ask(&sidecar, "GET /v1/jobs/00", PAGE, &bearer);
    assert_eq!(
        (refused(&refusal), refusal.header("access-control-allow-origin")),
        ((404, "not_found".into()), Some(PAGE))
    );
    // Its token is good for it alone, and the local one for no page.
    assert_eq!(refused(&ask(&sidecar, "GET /v1/info", PAGE, &sidecar.token)).0, 401);
    let elsewhere = ask(&sidecar, "GET /v1/info", "https://other.example", &bearer);
    assert_eq!(refused(&elsewhere), (403, "origin_refused".into()));
    assert_eq!(elsewhere.header("access-control-allow-origin"), None);
    let without = format!(
        "GET /v1/info HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: Bearer {bearer}\r\n\r\n",
        sidecar.port
    );
    assert_eq!(refused(&sidecar.raw(&without)).0, 401);
    for line in ["GET /v1/clients", "GET /v1/pair", "DELETE /v1/models/x"] {
        assert_eq!(refused(&ask(&sidecar, line, PAGE, &bearer)), (403, "local_only".into()), "{line}");
    }
    // What others have sent is not shown to it.
    let grid = imaging::Grid::aligned([9, 9, 9], [1.0; 3]);
    let volume = super::upload(&sidecar, &super::header(&grid), &vec![0; 4 * 729]);
    let job = json!({ "volume": volume, "task": "headneck" });
    let job = sidecar.post("/v1/jobs", &job).json()["id"].as_str().unwrap().to_owned();
    assert!(sidecar.get("/v1/jobs").json().to_string().contains(&job));
    assert_eq!(ask(&sidecar, "GET /v1/jobs", PAGE, &bearer).json(), json!([]));
    // A wrong key opens nothing.
    let mut forged = keeps.clone();
    forged["key"] = "A".repeat(43).into();
    assert!(token(&forged, PAGE).unwrap_err().stderr.contains("did not prove itself"));

    // A restart ends sessions, not pairings.
    assert!(sidecar.stop().success());
    let listed = program::run(home.path(), &["clients", "list", "--json"]);
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!((&listed[0]["origin"], &listed[0]["client_id"]), (&json!(PAGE), &keeps["client_id"]));
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    assert_eq!(refused(&ask(&sidecar, "GET /v1/info", PAGE, &bearer)).0, 401);
    let mut keeps = keeps;
    keeps["port"] = sidecar.port.into();
    let bearer = token(&keeps, PAGE).unwrap();
    assert_eq!(ask(&sidecar, "GET /v1/jobs", PAGE, &bearer).status, 200);
    let id = keeps["client_id"].as_str().unwrap();
    assert_eq!(program::run(home.path(), &["clients", "revoke", id]).code, Some(0));
    let gone = ask(&sidecar, "GET /v1/jobs", PAGE, &bearer);
    assert_eq!(
        (refused(&gone), gone.header("access-control-allow-origin")),
        ((403, "origin_refused".into()), None)
    );
    assert!(token(&keeps, PAGE).unwrap_err().stderr.contains("a browser would not show this: 403"));
    assert_eq!(program::run(home.path(), &["clients", "revoke", id]).code, Some(1));
}

#[cfg(unix)]
#[test]
fn keys_are_for_the_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(home.path(), &[]);
    let keeps = paired(home.path(), PAGE);
    let path = home.path().join("run/clients.json");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(keeps["key"].as_str().unwrap()));
    assert!(!sidecar.get("/v1/clients").json().to_string().contains(keeps["key"].as_str().unwrap()));
}

#[test]
fn the_user_can_say_no() {
    let home = tempfile::tempdir().unwrap();
    let _sidecar = Sidecar::start(home.path(), &[]);
    for word in ["n\n", "\n", "", "yes please\n"] {
        let mut consent = Consent::start(home.path());
        let page = page(&["pair", &consent.code, PAGE]);
        consent.question();
        assert_eq!(consent.answer(word), Some(1), "{word:?}");
        let ran = end(page);
        assert!(ran.stderr.contains("403 pairing_refused"), "{ran:?}");
    }
    assert_eq!(program::run(home.path(), &["clients", "list", "--json"]).stdout.trim(), "[]");
}

#[test]
fn codes_are_guessed_by_nobody() {
    let home = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(home.path(), &["--allow-http-origin", "http://pacs.example"]);
    let pair = |code: &str, origin: &str| end(page(&["pair", code, origin])).stderr;
    let wrong = format!("{}-0000-0000-0000", sidecar.port);
    // No code waits: a page cannot tell this server from any other.
    assert!(pair(&wrong, PAGE).contains("a browser would not show this: 403"), "nothing is shown");
    let code = sidecar.post("/v1/pair", &json!({})).json()["code"].as_str().unwrap().to_owned();
    assert!(pair(&code, "http://viewer.example").contains("a browser would not show this: 403"));
    assert!(pair(&wrong, "http://pacs.example").contains("403 pairing_failed"));
    for _ in 0..4 {
        assert!(pair(&wrong, PAGE).contains("403 pairing_failed"));
    }
    assert_eq!(sidecar.get("/v1/pair").json()["state"], "expired");
    assert!(!pair(&code, PAGE).is_empty(), "the right code comes too late");
    assert_eq!(sidecar.get("/v1/clients").json(), json!([]));
    let answered = sidecar.post("/v1/pair/answer", &json!({ "allow": true }));
    assert_eq!(refused(&answered), (403, "pairing_closed".into()));
}

#[test]
fn browsers_are_told_what_pages_may_do() {
    let home = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(home.path(), &[]);
    let preflight = |origin: &str, path: &str, more: &str| {
        sidecar.raw(&format!(
            "OPTIONS {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nOrigin: {origin}\r\n\
             Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: authorization\r\n{more}\r\n",
            sidecar.port
        ))
    };
    assert_eq!(refused(&preflight(PAGE, "/v1/jobs", "")), (403, "origin_refused".into()));
    paired(home.path(), PAGE);
    let told = preflight(PAGE, "/v1/jobs", "");
    assert_eq!((told.status, told.header("access-control-allow-origin")), (204, Some(PAGE)));
    assert_eq!(told.header("access-control-allow-methods"), Some("get, post, put, delete"));
    assert!(told.header("access-control-allow-headers").unwrap().contains("authorization, content-type"));
    assert_eq!(told.header("access-control-max-age"), Some("7200"));
    assert_eq!(told.header("access-control-allow-private-network"), None);
    let old = preflight(PAGE, "/v1/jobs", "Access-Control-Request-Private-Network: true\r\n");
    assert_eq!(old.header("access-control-allow-private-network"), Some("true"));
    let other = preflight("https://other.example", "/v1/jobs", "");
    assert_eq!((other.status, other.header("access-control-allow-origin")), (403, None));
}

#[test]
fn the_server_proves_itself_before_the_token_is_sent() {
    let home = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(home.path(), &[]);
    let endpoint = home.path().join("run/endpoint.json");
    assert_eq!(end(page(&["local", endpoint.to_str().unwrap()])).code, Some(0));
    // Somebody else listens where the server is said to be: the command line hands nothing over.
    let squatter = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let text = std::fs::read_to_string(&endpoint).unwrap();
    let other = squatter.local_addr().unwrap().port().to_string();
    std::fs::write(&endpoint, text.replace(&sidecar.port.to_string(), &other)).unwrap();
    let heard = std::thread::spawn(move || {
        let mut stream = squatter.accept().unwrap().0;
        let mut heard = vec![0; 4096];
        let length = stream.read(&mut heard).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}").unwrap();
        String::from_utf8_lossy(&heard[..length]).into_owned()
    });
    let ran = program::run(home.path(), &["pair"]);
    assert!(ran.code == Some(1) && ran.stderr.contains("is not the server that you started"), "{ran:?}");
    assert!(!heard.join().unwrap().contains(&sidecar.token));
}
