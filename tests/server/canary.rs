//! Canaries: names and numbers that look like a patient's are put wherever a client can put words, every log is turned
//! up, and then they are looked for in all that the server wrote. None may be found.

use std::path::Path;

use serde_json::json;

use super::{follow, has_ended, header, home, image, start, upload, uploads};
use crate::support::sidecar::Sidecar;
use crate::support::{dicom, program};

/// In every place that can hold words.
const CANARY: &str = "KANARI^VOGEL";
/// As a client may write it in a path.
const PLAIN: &str = "KANARIVOGEL";

/// Files under `folder` that hold a canary.
fn traces(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            traces(&path, found);
        } else {
            let bytes = std::fs::read(&path).unwrap_or_default();
            let in_name = path.to_string_lossy().contains("KANARI");
            if in_name || bytes.windows(6).any(|window| window == b"KANARI") {
                found.push(path.display().to_string());
            }
        }
    }
}

/// All files under `folder` that hold a canary.
pub(super) fn found(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    traces(folder, &mut found);
    found
}

/// The file with a name and a number of a patient.
fn named(file: Vec<u8>) -> Vec<u8> {
    // They stand before the b-value, (0018,9087).
    let place = file.windows(6).position(|window| window == b"\x18\x00\x87\x90FD").unwrap();
    let element = |number: u8, kind: &[u8]| {
        let head = [b"\x10\x00".as_slice(), &[number, 0], kind, &[CANARY.len() as u8, 0]].concat();
        [&head, CANARY.as_bytes()].concat()
    };
    let patient = [element(0x10, b"PN"), element(0x20, b"LO")].concat();
    [&file[..place], &patient, &file[place..]].concat()
}

/// A session with names in every word of it, which go with it.
fn correct(sidecar: &Sidecar, job: &str) {
    let structures = json!([{ "value": 200, "name": CANARY }]);
    let begun = sidecar.post("/v1/sessions", &json!({ "job": job, "structures": structures })).json();
    let path = format!("/v1/sessions/{}", begun["id"].as_str().unwrap());
    let operations = format!("{path}/operations");
    for (operation, action, status) in [
        (json!(CANARY), json!({ "accept": 200 }), 200),
        (json!(CANARY), json!("undo"), 409),
        (json!("a"), json!(CANARY), 400),
        (json!([CANARY]), json!("undo"), 400),
    ] {
        let body = json!({ "operation": operation, "base": 0, "action": action });
        assert_eq!(sidecar.post(&operations, &body).status, status, "{body}");
    }
    let foreign = json!({ "operation": "b", "base": 1, "action": "foreign", "delta": CANARY });
    assert_eq!(sidecar.post(&operations, &foreign).status, 422);
    assert_eq!(sidecar.post(&format!("{path}/hover"), &json!({ "prompt": CANARY })).status, 400);
    for more in [format!("/labels?format={PLAIN}"), format!("/events?since={PLAIN}"), format!("/{PLAIN}")] {
        sidecar.get(&(path.clone() + &more));
    }
    assert_eq!(sidecar.get(&format!("/v1/sessions?series={CANARY}")).json(), json!([]));
    assert_eq!(sidecar.delete(&path).status, 204);
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_of_a_patient_is_logged_or_kept() {
    let home = home();
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut command = program::command(home.path());
    command.env("RUST_LOG", "trace").args(["--verbose", "serve", "--port", "0", "--device", "cpu"]);
    command.stderr(log.reopen().unwrap());
    let sidecar = Sidecar::run(command);

    let (voxels, grid) = image("example_ct_sm.nii.gz");
    let mut described = header(&grid);
    described["name"] = CANARY.into();
    let volume = upload(&sidecar, &described, &voxels);
    let job = start(&sidecar, &volume, "fastest");
    assert_eq!(follow(&sidecar, &job, has_ended)["state"], "done");
    for format in ["nifti", "seg.nrrd"] {
        assert_eq!(sidecar.get(&format!("/v1/jobs/{job}/labels?format={format}")).status, 200);
    }
    correct(&sidecar, &job);
    // A DICOM series, whose names a derived object will repeat: they go with the volume and the job.
    let files: Vec<Vec<u8>> = (0..8).map(|k| named(dicom::diffusion(1000.0, k))).collect();
    let whole = uploads::zipped(&files);
    for (bytes, state) in
        [(&whole[..], "ready"), (&whole[..whole.len() / 2], "failed"), (&files[0][..900], "failed")]
    {
        let id = uploads::send(&sidecar, "application/octet-stream", bytes);
        let view = uploads::settled(&sidecar, &id);
        assert_eq!(view["state"], state, "{view}");
        if state == "ready" {
            let job = json!({ "volume": id, "task": "total", "speed": "fastest", "force": true });
            let job = sidecar.post("/v1/jobs", &job).json()["id"].as_str().unwrap().to_owned();
            assert_eq!(follow(&sidecar, &job, has_ended)["state"], "done");
            assert_eq!(sidecar.get(&format!("/v1/jobs?series={CANARY}")).json(), json!([]));
            sidecar.delete(&format!("/v1/jobs/{job}"));
        }
        assert_eq!(sidecar.delete(&format!("/v1/volumes/{id}")).status, 204);
    }
    // What is refused is not kept either.
    for (field, value) in [
        ("modality", json!(CANARY)),
        ("sha256", json!(CANARY)),
        ("space", json!(CANARY)),
        (CANARY, json!(1)),
        ("dims", json!([CANARY, 1, 1])),
    ] {
        let mut refused = header(&grid);
        refused[field] = value;
        assert_eq!(sidecar.post("/v1/volumes", &refused).status, 400, "{field}");
    }
    let jobs = [
        json!({ "volume": volume, "task": CANARY }),
        json!({ "volume": volume, "task": "total", "speed": "fast", "structures": [CANARY] }),
        json!({ "volume": CANARY, "task": "total" }),
        json!({ "volume": volume, "task": "total", "speed": CANARY }),
    ];
    for job in jobs {
        assert!((400..500).contains(&sidecar.post("/v1/jobs", &job).status), "{job}");
    }
    for path in [
        format!("/v1/jobs/{PLAIN}"),
        format!("/{PLAIN}"),
        format!("/v1/jobs/{job}/labels?format={PLAIN}"),
        format!("/v1/jobs?{PLAIN}={PLAIN}"),
    ] {
        sidecar.get(&path);
    }
    for line in [
        format!("X-Patient: {CANARY}"),
        format!("Origin: https://{PLAIN}.example"),
        format!("Host: {PLAIN}"),
        format!("Cookie: {CANARY}"),
        format!("{PLAIN}: 1"),
        format!("Authorization: Bearer {CANARY}"),
        format!("Content-Type: {CANARY}"),
        CANARY.to_owned(),
        format!("Transfer-Encoding: {PLAIN}"),
    ] {
        sidecar.raw(&format!("GET /v1/info HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{line}\r\n\r\n", sidecar.port));
    }
    sidecar.kill_worker();
    let lost = sidecar.get("/v1/tasks");
    assert_eq!(lost.status, 200, "{lost:?}");

    let mut command_lines = String::new();
    for process in sidecar.processes() {
        command_lines += &std::fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap_or_default();
    }
    assert!(!command_lines.contains("KANARI"), "{command_lines}");
    assert!(sidecar.stop().success());
    let said = std::fs::read_to_string(log.path()).unwrap();
    assert!(said.lines().count() > 5, "nothing was logged, so nothing was tested: {said}");
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("KANARI")).collect();
    assert!(lines.is_empty(), "{lines:?}");
    let mut found = Vec::new();
    traces(home.path(), &mut found);
    assert!(found.is_empty(), "{found:?}");
}
