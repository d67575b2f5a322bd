//! What clients rely on: a request that is sent again is done once, progress that never goes back, memory that is told.

use serde_json::{Value, json};

use super::{follow, has_ended, header, home, image, refused, start, upload};
use crate::support::sidecar::Sidecar;

#[test]
fn a_request_that_is_sent_again_is_done_once() {
    let home = home();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    let (voxels, grid) = image("example_ct_sm.nii.gz");
    let key = "Idempotency-Key: 0b7e2f6e-5f1c-4b6e-9c69-0e5d4f6b0f4a\r\n";
    let volumes: Vec<Value> =
        (0..2).map(|_| sidecar.post_with("/v1/volumes", key, &header(&grid)).json()["id"].clone()).collect();
    assert_eq!(volumes[0], volumes[1]);
    let mut other = header(&grid);
    other["modality"] = "MR".into();
    assert_eq!(refused(&sidecar.post_with("/v1/volumes", key, &other)), (409, "conflict".into()));

    let volume = upload(&sidecar, &header(&grid), &voxels);
    let job = |speed: &str| json!({ "volume": volume, "task": "total", "speed": speed });
    let ids: Vec<Value> =
        (0..3).map(|_| sidecar.post_with("/v1/jobs", key, &job("fastest")).json()["id"].clone()).collect();
    assert!(ids[0].is_string() && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(refused(&sidecar.post_with("/v1/jobs", key, &job("fast"))), (409, "conflict".into()));
    assert_eq!(follow(&sidecar, ids[0].as_str().unwrap(), has_ended)["state"], "done");
    // It is remembered with the job: when the volume is gone, and after a restart.
    sidecar.delete(&format!("/v1/volumes/{volume}"));
    assert_eq!(sidecar.post_with("/v1/jobs", key, &job("fastest")).json()["id"], ids[0]);
    sidecar.stop();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    assert_eq!(sidecar.post_with("/v1/jobs", key, &job("fastest")).json()["id"], ids[0]);
    assert_eq!(sidecar.get("/v1/jobs").json().as_array().unwrap().len(), 1);
    let strange = "Idempotency-Key: two words\r\n";
    assert_eq!(
        refused(&sidecar.post_with("/v1/jobs", strange, &job("fastest"))),
        (400, "bad_request".into())
    );
}

/// Records had whole seconds: which of two results is the newest was chance.
#[test]
fn jobs_of_one_second_are_listed_in_the_order_they_came() {
    let home = home();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    let (voxels, grid) = image("example_ct_sm.nii.gz");
    let volume = upload(&sidecar, &header(&grid), &voxels);
    let asked: Vec<String> = (0..8).map(|_| start(&sidecar, &volume, "fastest")).collect();
    let listed = |sidecar: &Sidecar| -> Vec<String> {
        let jobs = sidecar.get("/v1/jobs").json();
        jobs.as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed(&sidecar), asked);
    drop(sidecar);
    assert_eq!(listed(&Sidecar::start(home.path(), &["--device", "cpu"])), asked);
}

#[test]
fn progress_never_goes_back() {
    let home = home();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    let (voxels, grid) = image("example_ct.nii.gz");
    let volume = upload(&sidecar, &header(&grid), &voxels);
    // A subset: a first network finds the region, a second one works there.
    let job = json!({ "volume": volume, "task": "total", "speed": "fast", "structures": ["liver"] });
    let job = sidecar.post("/v1/jobs", &job).json()["id"].as_str().unwrap().to_owned();
    let mut parts = Vec::new();
    let last = follow(&sidecar, &job, |view| {
        assert!(view["progress"].is_null() || view["state"] != "queued", "{view}");
        parts.extend(view["progress"].as_f64());
        has_ended(view)
    });
    assert_eq!((&last["state"], parts.last()), (&json!("done"), Some(&1.0)), "{last}");
    assert!(parts.len() > 2 && parts.is_sorted() && parts[0] < 0.5, "{parts:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_job_that_does_not_fit_is_refused_with_what_would() {
    let home = home();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu", "--memory", "0.8"]);
    let grid = imaging::Grid::aligned([400, 400, 200], [1.0; 3]);
    let mut header = header(&grid);
    header["dtype"] = "int8".into();
    let volume = upload(&sidecar, &header, &vec![0; grid.len()]);
    let mut job = json!({ "volume": volume, "task": "total", "speed": "fast" });
    let reply = sidecar.post("/v1/jobs", &job);
    assert_eq!(refused(&reply), (413, "needs_too_much_memory".into()));
    let (message, hint) = (reply.json()["message"].clone(), reply.json()["hint"].clone());
    assert!(message.as_str().unwrap().contains("800"), "{message}");
    let hint = hint.as_str().unwrap();
    assert!(hint.contains("a region of 100 slices"), "{message} {hint}");
    job["region"] = json!([[0, 400], [0, 400], [0, 100]]);
    assert_eq!(sidecar.post("/v1/jobs", &job).status, 202);
}

#[cfg(target_os = "linux")]
#[test]
fn a_worker_without_memory_says_so_and_the_server_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu", "--memory", "0.3"]);
    let mut file = b"NRRD0004\ntype: uint8\ndimension: 3\nspace: LPS\nsizes: 500 500 400\nspace directions: \
        (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nencoding: raw\n\n"
        .to_vec();
    file.resize(file.len() + 500 * 500 * 400, 0);
    let new = json!({ "format": "file", "content_type": "application/octet-stream", "bytes": file.len() });
    let id = sidecar.post("/v1/volumes", &new).json()["id"].as_str().unwrap().to_owned();
    assert_eq!(sidecar.put(&format!("/v1/volumes/{id}/data"), &file).status, 200);
    let view = sidecar.until(|| {
        let view = sidecar.get(&format!("/v1/volumes/{id}")).json();
        (view["state"] != "reading").then_some(view)
    });
    assert_eq!(
        (&view["state"], &view["error"]["code"]),
        (&json!("failed"), &json!("out_of_memory")),
        "{view}"
    );
    assert_eq!(sidecar.get("/v1/info").status, 200);
}
