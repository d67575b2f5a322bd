//! Models over HTTP, from a server on loopback that cuts and stalls: installed, resumed, cancelled, removed.

use std::io::{Cursor, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::{follow, has_ended, refused};
use crate::cli::reference;
use crate::support::server::{Answer, Request, Server};
use crate::support::sidecar::Sidecar;

/// Weights whose length is published and whose hash is not, and that length.
const FOLDER: &str = "Dataset598_mri_body_6mm_139subj";
const BYTES: usize = 42_741_891;

/// A small model in an archive of the published length.
fn archive() -> Vec<u8> {
    let root = reference("golden/weights/Dataset300_body_6mm_1559subj");
    let mut files = Vec::new();
    let mut folders = vec![Path::new(&root).to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
                files.push((format!("{FOLDER}/{name}"), std::fs::read(&path).unwrap()));
            }
        }
    }
    let with = |padding: usize| {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let stored =
            zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        for (name, bytes) in &files {
            writer.start_file(name, stored).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.start_file("padding", stored).unwrap();
        writer.write_all(&vec![7; padding]).unwrap();
        writer.finish().unwrap().into_inner()
    };
    let bytes = with(BYTES - with(0).len());
    assert_eq!(bytes.len(), BYTES);
    bytes
}

/// A server of this program whose downloads come from `publisher`.
fn start(home: &Path, publisher: &Server) -> Sidecar {
    Sidecar::start(home, &["--device", "cpu", "--mirror", &publisher.url("")])
}

fn install(sidecar: &Sidecar) -> String {
    let request = json!({ "task": "body_mr", "speed": "fast", "accept_licence": true });
    let reply = sidecar.post("/v1/models", &request);
    assert_eq!((reply.status, &reply.json()["kind"]), (202, &json!("install")), "{reply:?}");
    reply.json()["id"].as_str().unwrap().to_owned()
}

/// How `GET /v1/tasks` tells of the task at that speed.
fn speed(sidecar: &Sidecar) -> Value {
    let tasks = sidecar.get("/v1/tasks").json();
    let task = tasks.as_array().unwrap().iter().find(|task| task["id"] == "body_mr").unwrap().clone();
    task["speeds"].as_array().unwrap().iter().find(|speed| speed["speed"] == "fast").unwrap().clone()
}

#[test]
fn a_model_is_installed_after_a_cancelled_download_and_removed() {
    let bytes = archive();
    let publisher = Server::start(move |request: &Request| {
        let answer = Answer::file(&bytes, "a", request);
        // The first time the connection stalls in the middle.
        if request.before == 0 { Answer { hang: true, ..answer.cut(20_000_000) } } else { answer }
    });
    let home = tempfile::tempdir().unwrap();
    let sidecar = start(home.path(), &publisher);
    let before = speed(&sidecar);
    assert_eq!((&before["installed"], &before["bytes"]), (&json!(false), &json!(BYTES)), "{before}");
    assert!(before["obstacle"].is_null() && before["licence"].is_string(), "{before}");

    let job = install(&sidecar);
    let last = follow(&sidecar, &job, |view| view["progress"].as_f64().is_some_and(|part| part > 0.3));
    assert!(last["stage"].as_str().unwrap().starts_with("downloading"), "{last}");
    sidecar.delete(&format!("/v1/jobs/{job}"));
    assert_eq!(follow(&sidecar, &job, has_ended)["state"], "cancelled");

    let job = install(&sidecar);
    let mut parts = Vec::new();
    let last = follow(&sidecar, &job, |view| {
        parts.extend(view["progress"].as_f64());
        has_ended(view)
    });
    assert_eq!((&last["state"], &last["progress"]), (&json!("done"), &json!(1.0)), "{last}");
    assert!(parts.is_sorted(), "{parts:?}");
    let starts: Vec<_> = publisher.requests().iter().map(|request| request.start).collect();
    // Once after the cancelled half, and again after any connection that a busy machine lost.
    assert!(starts.len() >= 2 && starts[1..].iter().all(Option::is_some), "it goes on: {starts:?}");
    assert!(starts.is_sorted() && starts[1] > Some(0), "it goes on: {starts:?}");
    assert_eq!(speed(&sidecar)["installed"], true);
    assert_eq!(refused(&sidecar.get(&format!("/v1/jobs/{job}/labels"))), (409, "job_not_done".into()));

    assert_eq!(sidecar.delete(&format!("/v1/models/{FOLDER}")).status, 204);
    assert_eq!(speed(&sidecar)["installed"], false);
    assert_eq!(refused(&sidecar.delete(&format!("/v1/models/{FOLDER}"))), (404, "not_found".into()));
    assert_eq!(std::fs::read_dir(home.path().join("models")).unwrap().count(), 0);
}

#[test]
fn what_cannot_be_installed_is_told_before() {
    let publisher = Server::start(|_| Answer::empty(404));
    let home = tempfile::tempdir().unwrap();
    let sidecar = start(home.path(), &publisher);
    let check = |request: Value, expected: (u16, &str)| {
        let reply = sidecar.post("/v1/models", &request);
        assert_eq!(refused(&reply), (expected.0, expected.1.to_owned()), "{request}");
    };
    check(json!({ "task": "totl" }), (422, "unknown_task"));
    check(json!({ "task": "heartchambers_highres" }), (409, "model_unavailable"));
    check(json!({ "task": "615" }), (409, "licence_not_accepted"));
    check(json!({ "task": "total", "path": "/etc" }), (400, "invalid_json"));
    assert!(publisher.requests().is_empty(), "nothing is fetched before");
    // A publisher that has it not is an error of the job.
    let last = follow(&sidecar, &install(&sidecar), has_ended);
    assert_eq!(
        (&last["state"], &last["error"]["code"]),
        (&json!("failed"), &json!("download_failed")),
        "{last}"
    );
}
