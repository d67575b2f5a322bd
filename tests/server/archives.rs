//! Series that the server fetches by itself: from the archive that was allowed and from nobody else, with a login that
//! nothing remembers.

use std::sync::Arc;

use serde_json::{Value, json};

use super::uploads::{MULTIPART, labels, multipart, series};
use super::{home, refused};
use crate::support::program;
use crate::support::server::{Answer, Request, Server};
use crate::support::sidecar::Sidecar;

/// As a viewer sends it.
const LOGIN: &str = "Bearer KANARI-login";

/// Where the archive keeps a series, by what it does when asked for it.
fn place(number: u32) -> String {
    format!("/dicom-web/studies/1.2.826/series/1.2.826.{number}")
}

/// An archive: it gives a series to whoever has the login, and in some places it misbehaves.
fn archive(elsewhere: String) -> Server {
    let body = Arc::new(multipart(&series()));
    let whole = move || {
        let length = body.len().to_string();
        Answer { status: 200, body: body.to_vec(), ..Answer::default() }
            .with("Content-Type", MULTIPART)
            .with("Content-Length", length)
    };
    Server::start(move |request: &Request| match request.path.rsplit('.').next() {
        _ if request.authorization.as_deref() != Some(LOGIN) => Answer::empty(401),
        Some("1") => whole(),
        Some("2") => whole().without("Content-Length"),
        Some("3") => Answer::empty(302).with("Location", elsewhere.clone()),
        Some("4") => whole().cut(1000),
        Some("5") => whole().with("Content-Type", "text/html"),
        Some("6") => Answer { hang: true, ..whole().cut(1000) },
        _ => Answer::empty(404),
    })
}

fn new(archive: &Server, number: u32, login: Option<&str>) -> Value {
    json!({ "format": "dicomweb", "url": archive.url(&place(number)), "authorization": login })
}

/// The volume, once it is there or refused.
fn settled(sidecar: &Sidecar, header: &Value) -> Value {
    let created = sidecar.post("/v1/volumes", header);
    assert_eq!(created.status, 201, "{created:?}");
    let path = format!("/v1/volumes/{}", created.json()["id"].as_str().unwrap());
    sidecar.until(|| {
        let view = sidecar.get(&path).json();
        (!["fetching", "reading"].iter().any(|state| view["state"] == *state)).then_some(view)
    })
}

#[test]
fn a_series_is_fetched_with_the_login_of_the_viewer() {
    let elsewhere = Server::start(|_| Answer::empty(200));
    let archive = archive(elsewhere.url(&place(1)));
    let home = home();
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut command = program::command(home.path());
    command.env("RUST_LOG", "trace").args(["--verbose", "serve", "--port", "0", "--device", "cpu"]);
    command.args(["--allow-dicomweb", &archive.url("/dicom-web")]).stderr(log.reopen().unwrap());
    let sidecar = Sidecar::run(command);
    assert_eq!(sidecar.get("/v1/info").json()["dicomweb"], json!([archive.url("/dicom-web/")]));

    let sent = super::uploads::send(&sidecar, MULTIPART, &multipart(&series()));
    let sent = sidecar.until(|| {
        let view = sidecar.get(&format!("/v1/volumes/{sent}")).json();
        (view["state"] == "ready").then_some(view)
    });
    let job = |view: &Value| json!({ "volume": view["id"], "task": "total", "speed": "fastest" });
    let expected = labels(&sidecar, &job(&sent));
    for number in [1, 2] {
        let view = settled(&sidecar, &new(&archive, number, Some(LOGIN)));
        assert_eq!((&view["state"], &view["groups"]), (&json!("ready"), &sent["groups"]), "{view}");
        assert_eq!(labels(&sidecar, &job(&view)), expected);
    }
    let check = |number: u32, login: Option<&str>, words: &str| {
        let view = settled(&sidecar, &new(&archive, number, login));
        assert_eq!(
            (&view["state"], &view["error"]["code"]),
            (&json!("failed"), &json!("download_failed")),
            "{view}"
        );
        assert!(view["error"]["message"].as_str().unwrap().contains(words), "{view}");
    };
    check(1, None, "another login");
    check(1, Some("Bearer other"), "another login");
    check(3, Some(LOGIN), "sends us elsewhere");
    check(4, Some(LOGIN), "broke off");
    check(5, Some(LOGIN), "no DICOM files");
    check(9, Some(LOGIN), "does not have the series");
    assert!(elsewhere.requests().is_empty(), "a redirect was followed");

    // An archive that hangs holds up nobody else, and lets go when nobody waits.
    let id = sidecar.post("/v1/volumes", &new(&archive, 6, Some(LOGIN))).json()["id"].clone();
    assert_eq!(settled(&sidecar, &new(&archive, 1, Some(LOGIN)))["state"], "ready");
    let path = format!("/v1/volumes/{}", id.as_str().unwrap());
    assert_eq!(sidecar.get(&path).json()["state"], "fetching");
    assert_eq!(refused(&sidecar.put(&format!("{path}/data?offset=0"), b"x")), (409, "conflict".into()));
    assert_eq!(sidecar.delete(&path).status, 204);

    // The login is in no file and in no log, and the address of the study is in no log.
    let text = String::from_utf8_lossy(&std::fs::read(log.path()).unwrap()).into_owned();
    assert!(text.len() > 1000 && !text.contains("KANARI") && !text.contains("1.2.826"), "{text}");
    assert_eq!(super::canary::found(home.path()), Vec::<String>::new());
}

#[test]
fn nothing_else_is_fetched() {
    let archive = archive(String::new());
    let home = tempfile::tempdir().unwrap();
    let check = |sidecar: &Sidecar, url: String, code: &str| {
        let header = json!({ "format": "dicomweb", "url": url, "authorization": LOGIN });
        assert_eq!(refused(&sidecar.post("/v1/volumes", &header)).1, code, "{url}");
    };
    let sidecar = Sidecar::start(home.path(), &[]);
    assert_eq!(sidecar.get("/v1/info").json()["dicomweb"], json!([]));
    check(&sidecar, archive.url(&place(1)), "archive_refused");
    assert!(sidecar.stop().success());

    let sidecar = Sidecar::start(home.path(), &["--allow-dicomweb", &archive.url("/dicom-web/")]);
    for path in ["/studies/1.2/series/1.3", "/dicom-web/studies/1.2", "/dicom-web/../studies/1.2/series/1.3"]
    {
        check(&sidecar, archive.url(path), "archive_refused");
    }
    check(&sidecar, format!("{}?x", archive.url(&place(1))), "archive_refused");
    check(&sidecar, "http://169.254.169.254/dicom-web/studies/1/series/1".to_owned(), "archive_refused");
    let login =
        json!({ "format": "dicomweb", "url": archive.url(&place(1)), "authorization": "a\r\nHost: b" });
    assert_eq!(refused(&sidecar.post("/v1/volumes", &login)), (400, "bad_request".into()));
    assert!(archive.requests().is_empty());
}
