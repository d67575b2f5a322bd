//! `vesalius serve` over real sockets: who is let in, what a job gives, and what becomes of it when things break.

mod archives;
mod canary;
mod channels;
mod corrections;
mod installs;
mod openapi;
mod pages;
mod refusals;
mod requests;
mod results;
pub mod uploads;
mod versions;

use std::path::Path;
use std::time::Duration;

use formats::ReadOptions;
use imaging::{Grid, Progress};
use serde_json::{Value, json};

use crate::cli::reference;
use crate::support::program;
use crate::support::sidecar::{Reply, Sidecar};

/// A home in which `total --fast` and `--fastest` run with small networks of random weights.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    for folder in
        ["Dataset298_TotalSegmentator_total_6mm_1559subj", "Dataset297_TotalSegmentator_total_3mm_1559subj"]
    {
        let path = reference(&format!("golden/weights/{folder}"));
        let ran = program::run(home.path(), &["models", "import", &path, "--licence", "CC0-1.0"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    home
}

/// A CT as raw little-endian samples, and its grid.
fn image(name: &str) -> (Vec<u8>, Grid) {
    let path = reference(&format!("golden/input/{name}"));
    let image = formats::read(Path::new(&path), &ReadOptions::default(), &Progress::silent()).unwrap();
    let voxels = image.volume.voxels.iter().flat_map(|value| value.to_le_bytes()).collect();
    (voxels, image.volume.grid)
}

/// The header of a volume in LPS.
fn header(grid: &Grid) -> Value {
    let matrix: Vec<f64> = grid.matrix().concat();
    json!({ "dims": grid.size, "dtype": "float32", "space": "LPS", "ijk_to_world": matrix, "modality": "CT" })
}

/// Uploads a volume in two pieces.
fn upload(sidecar: &Sidecar, header: &Value, voxels: &[u8]) -> String {
    let created = sidecar.post("/v1/volumes", header);
    assert_eq!(
        (created.status, created.json()["bytes"].as_u64()),
        (201, Some(voxels.len() as u64)),
        "{created:?}"
    );
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let half = voxels.len() / 2;
    for (offset, piece) in [(0, &voxels[..half]), (half, &voxels[half..])] {
        let put = sidecar.put(&format!("/v1/volumes/{id}/data?offset={offset}"), piece);
        assert_eq!(put.json()["received"].as_u64(), Some((offset + piece.len()) as u64), "{put:?}");
    }
    assert_eq!(sidecar.get(&format!("/v1/volumes/{id}")).json()["complete"], true);
    id
}

/// Starts a job.
fn start(sidecar: &Sidecar, volume: &str, speed: &str) -> String {
    let created = sidecar.post("/v1/jobs", &json!({ "volume": volume, "task": "total", "speed": speed }));
    assert_eq!(created.status, 202, "{created:?}");
    created.json()["id"].as_str().unwrap().to_owned()
}

/// Follows the events of a job until `enough`; the last one seen.
fn follow(sidecar: &Sidecar, job: &str, mut enough: impl FnMut(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    sidecar.lines(&format!("/v1/jobs/{job}/events"), |line| {
        last = serde_json::from_str(line).unwrap();
        !enough(&last)
    });
    last
}

fn has_ended(view: &Value) -> bool {
    ["done", "failed", "cancelled"].iter().any(|state| view["state"] == *state)
}

/// Status and code of a refusal, which always has a sentence and a hint.
fn refused(reply: &Reply) -> (u16, String) {
    let refusal = reply.json();
    assert!(refusal["message"].is_string() && refusal["hint"].is_string(), "{reply:?}");
    (reply.status, refusal["code"].as_str().unwrap().to_owned())
}

#[test]
fn strangers_are_refused_before_the_body_is_read() {
    let home = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(home.path(), &[]);
    let host = format!("Host: 127.0.0.1:{}", sidecar.port);
    let token = format!("Authorization: Bearer {}", sidecar.token);
    let rebound = format!("Host: 0.0.0.0:{}", sidecar.port);
    // The bodies that are announced never come: an answer shows that nobody waited for them.
    let json = "Content-Type: application/json\r\nContent-Length: 50";
    let cases: &[(&str, Vec<&str>, u16, &str)] = &[
        ("GET /v1/info", vec![&host], 401, "unauthorized"),
        ("GET /v1/info", vec![&host, "Authorization: Bearer 00"], 401, "unauthorized"),
        ("POST /v1/jobs", vec![&host, json], 401, "unauthorized"),
        ("POST /v1/jobs", vec!["Host: evil.example", &token, json], 421, "host_refused"),
        ("POST /v1/jobs", vec![&rebound, &token, json], 421, "host_refused"),
        ("POST /v1/jobs", vec![&token, json], 421, "host_refused"),
        ("POST /v1/jobs", vec![&host, &token, json, "Origin: https://evil.example"], 403, "origin_refused"),
        ("OPTIONS /v1/jobs", vec![&host, "Origin: https://evil.example"], 403, "origin_refused"),
        ("GET /v1/live", vec![&host, "Sec-Fetch-Site: cross-site"], 403, "origin_refused"),
        ("POST /v1/jobs", vec![&host, &token, "Content-Length: 50"], 415, "unsupported_media_type"),
        (
            "POST /v1/jobs",
            vec![&host, &token, "Content-Type: text/plain\r\nContent-Length: 50"],
            415,
            "unsupported_media_type",
        ),
        ("POST /v1/jobs", vec![&host, &token, "Content-Type: application/json"], 411, "length_required"),
        (
            "POST /v1/jobs",
            vec![&host, &token, "Content-Type: application/json\r\nContent-Length: 999999"],
            413,
            "too_large",
        ),
        ("GET /v1/info", vec![&host, &token, "X-Vesalius-Api: 1.9"], 426, "version_unsupported"),
        ("GET /v1/nothing", vec![&host, &token], 404, "not_found"),
        ("DELETE /v1/info", vec![&host, &token], 405, "method_not_allowed"),
        ("GET /v1/jobs/00", vec![&host, &token], 404, "not_found"),
    ];
    for (line, headers, status, code) in cases {
        let reply = sidecar.raw(&format!("{line} HTTP/1.1\r\n{}\r\n\r\n", headers.join("\r\n")));
        assert_eq!(refused(&reply), (*status, (*code).to_owned()), "{line} {headers:?}");
    }
    let live = sidecar.raw(&format!("GET /v1/live HTTP/1.1\r\n{host}\r\n\r\n"));
    assert_eq!((live.status, live.body.as_slice()), (200, b"ok".as_slice()));
}

#[cfg(unix)]
#[test]
fn only_the_user_can_read_the_token_and_it_goes_with_the_server() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(home.path(), &[]);
    let mode = |path: &str| std::fs::metadata(home.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("run"), mode("run/endpoint.json"), mode("run/spool")), (0o700, 0o600, 0o700));
    let second = program::run(home.path(), &["serve"]);
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.stderr.contains("a server runs already"), "{second:?}");
    let began = std::time::Instant::now();
    assert!(sidecar.stop().success());
    assert!(began.elapsed() < Duration::from_secs(60));
    assert!(!home.path().join("run/endpoint.json").exists());
}

#[test]
fn a_server_that_nobody_uses_ends() {
    let home = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(home.path(), &["--exit-when-idle", "0.02"]);
    assert!(sidecar.wait().success());
}

#[test]
fn uploads_are_resumed_and_checked() {
    let home = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(home.path(), &[]);
    let mut header = header(&Grid::aligned([4, 4, 4], [1.0; 3]));
    header["sha256"] = "0".repeat(64).into();
    let id = sidecar.post("/v1/volumes", &header).json()["id"].as_str().unwrap().to_owned();
    let path = |offset: usize| format!("/v1/volumes/{id}/data?offset={offset}");
    assert_eq!(refused(&sidecar.put(&path(8), &[0; 8])), (409, "wrong_offset".into()));
    assert_eq!(refused(&sidecar.put(&path(0), &[0; 257])), (413, "too_large".into()));
    let job = json!({ "volume": id, "task": "total", "speed": "fast" });
    assert_eq!(refused(&sidecar.post("/v1/jobs", &job)), (409, "volume_incomplete".into()));
    // A client that leaves in the middle goes on where it stopped.
    sidecar.cut_off(&path(0), &[0; 100], 256);
    let received = sidecar
        .until(|| sidecar.get(&format!("/v1/volumes/{id}")).json()["received"].as_u64().filter(|&n| n > 0));
    assert_eq!(received, 100);
    assert_eq!(refused(&sidecar.put(&path(100), &[0; 156])), (422, "checksum_mismatch".into()));
    assert_eq!(sidecar.get(&format!("/v1/volumes/{id}")).json()["received"], 0);
    assert_eq!(sidecar.delete(&format!("/v1/volumes/{id}")).status, 204);
    assert_eq!(refused(&sidecar.get(&format!("/v1/volumes/{id}"))), (404, "not_found".into()));
    assert_eq!(std::fs::read_dir(home.path().join("run/spool/volumes")).unwrap().count(), 0);
}

#[cfg(unix)]
#[test]
fn a_killed_worker_costs_its_job_only() {
    let home = home();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    let (voxels, grid) = image("example_ct.nii.gz");
    let volume = upload(&sidecar, &header(&grid), &voxels);
    // On a busy machine a job may be done before the kill comes.
    let killed = (0..10).find_map(|_| {
        let job = start(&sidecar, &volume, "fast");
        follow(&sidecar, &job, |view| view["state"] != "queued");
        sidecar.kill_worker();
        let last = follow(&sidecar, &job, has_ended);
        (last["state"] != "done").then_some((job, last))
    });
    let (job, last) = killed.expect("a job of ten whose worker is killed before it is done");
    assert_eq!((&last["state"], &last["error"]["code"]), (&json!("failed"), &json!("worker_died")), "{last}");
    assert!(last["message"].as_str().unwrap().contains("killed"), "{last}");
    assert_eq!(refused(&sidecar.get(&format!("/v1/jobs/{job}/labels"))), (409, "job_not_done".into()));
    let next = start(&sidecar, &volume, "fastest");
    assert_eq!(follow(&sidecar, &next, has_ended)["state"], "done");
}

#[test]
fn a_job_is_cancelled_and_forgotten() {
    let home = home();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    let (voxels, grid) = image("example_ct.nii.gz");
    let volume = upload(&sidecar, &header(&grid), &voxels);
    let (job, waiting) = (start(&sidecar, &volume, "fast"), start(&sidecar, &volume, "fast"));
    follow(&sidecar, &job, |view| view["state"] == "running");
    assert_eq!(sidecar.delete(&format!("/v1/jobs/{waiting}")).json()["state"], "cancelled");
    assert_eq!(sidecar.delete(&format!("/v1/jobs/{job}")).status, 202);
    let last = follow(&sidecar, &job, has_ended);
    assert_eq!(
        (&last["state"], &last["error"]["code"]),
        (&json!("cancelled"), &json!("cancelled")),
        "{last}"
    );
    sidecar.delete(&format!("/v1/jobs/{job}"));
    assert_eq!(refused(&sidecar.get(&format!("/v1/jobs/{job}"))), (404, "not_found".into()));
}

#[test]
fn what_cannot_be_done_is_refused_with_the_reason() {
    let home = home();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    let volume = |dims: [usize; 3], modality: &str| {
        let mut header = header(&Grid::aligned(dims, [1.0; 3]));
        header["modality"] = modality.into();
        upload(&sidecar, &header, &vec![0; 4 * dims.iter().product::<usize>()])
    };
    let (ct, mr) = (volume([4, 5, 6], "CT"), volume([4, 4, 4], "MR"));
    let check = |job: Value, expected: (u16, &str)| {
        let found = refused(&sidecar.post("/v1/jobs", &job));
        assert_eq!(found, (expected.0, expected.1.to_owned()), "{job}");
    };
    check(json!({ "volume": ct, "task": "everything" }), (422, "unknown_task"));
    check(
        json!({ "volume": ct, "task": "total", "speed": "fast", "structures": ["livre"] }),
        (422, "unknown_structure"),
    );
    check(json!({ "volume": ct, "task": "total" }), (409, "model_missing"));
    check(json!({ "volume": mr, "task": "total", "speed": "fast" }), (422, "modality_mismatch"));
    check(
        json!({ "volume": ct, "task": "total", "speed": "fast", "region": [[0, 4], [0, 5], [3, 7]] }),
        (422, "invalid_region"),
    );
    check(json!({ "volume": ct, "task": "total", "speed": "hasty" }), (400, "invalid_json"));
    check(json!({ "volume": ct, "task": "total", "quality": "fast" }), (400, "invalid_json"));
    check(json!({ "volume": "0".repeat(32), "task": "total" }), (404, "not_found"));
    let tasks = sidecar.get("/v1/tasks").json();
    let total = tasks.as_array().unwrap().iter().find(|task| task["id"] == "total").unwrap();
    let fast = &total["speeds"][1];
    assert_eq!((&fast["speed"], &fast["spacing_mm"]), (&json!("fast"), &json!([3.0, 3.0, 3.0])));
    assert_eq!((&fast["installed"], &fast["missing"], &fast["bytes"]), (&json!(true), &json!([]), &json!(0)));
    assert_eq!(total["speeds"][0]["bytes"], 1_169_624_951);
    assert_eq!(sidecar.get("/v1/models").json().as_array().unwrap().len(), 3);
    assert_eq!(sidecar.get("/v1/info").json()["api"], json!({ "min": "1.0", "max": "1.0" }));
}

#[cfg(unix)]
#[test]
fn a_restart_tells_what_became_of_the_jobs() {
    let home = home();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    let (voxels, grid) = image("example_ct.nii.gz");
    let volume = upload(&sidecar, &header(&grid), &voxels);
    let done = start(&sidecar, &volume, "fastest");
    assert_eq!(follow(&sidecar, &done, has_ended)["state"], "done");
    let labels = sidecar.get(&format!("/v1/jobs/{done}/labels")).body;
    let lost = start(&sidecar, &volume, "fast");
    sidecar.kill();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    assert_eq!(sidecar.get(&format!("/v1/jobs/{lost}")).json()["error"]["code"], "interrupted");
    assert_eq!(sidecar.get(&format!("/v1/jobs/{done}/labels")).body, labels);
    assert_eq!(refused(&sidecar.get(&format!("/v1/volumes/{volume}"))), (404, "not_found".into()));
}

#[test]
fn half_open_connections_keep_nobody_out() {
    let home = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(home.path(), &[]);
    let held: Vec<_> = (0..400).map(|_| sidecar.half_open()).collect();
    for _ in 0..20 {
        assert_eq!(sidecar.get("/v1/live").status, 200);
    }
    assert_eq!(held.len(), 400);
}
