//! Files and DICOM series through the server: what is in them, what a job on them gives, and what becomes of bad ones.

use std::path::Path;

use formats::ReadOptions;
use imaging::Progress;
use serde_json::{Value, json};

use super::{follow, has_ended, home, refused};
use crate::cli::reference;
use crate::support::sidecar::Sidecar;
use crate::support::{dicom, program};

const SERIES: &str = "golden/input/example_ct_dicom";

/// The files of the reference series, by name.
pub(super) fn series() -> Vec<Vec<u8>> {
    let mut paths: Vec<_> =
        std::fs::read_dir(reference(SERIES)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// The answer of a DICOMweb server with these files.
pub(super) fn multipart(files: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    for file in files {
        body.extend(b"\r\n--myBOUNDARY\r\nContent-Type: application/dicom\r\nMIME-Version: 1.0\r\n\r\n");
        body.extend(file);
    }
    body.extend(b"\r\n--myBOUNDARY--");
    body
}

pub fn zipped(files: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (index, file) in files.iter().enumerate() {
        writer.start_file(format!("{index}.dcm"), zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut writer, file).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

pub(super) const MULTIPART: &str = "multipart/related; type=\"application/dicom\"; boundary=myBOUNDARY";
const ONE_FILE: &str = "application/octet-stream";

/// Sends a file in pieces of a third; the volume's id.
pub(super) fn send(sidecar: &Sidecar, content_type: &str, bytes: &[u8]) -> String {
    let header = json!({ "format": "file", "content_type": content_type, "bytes": bytes.len() });
    let created = sidecar.post("/v1/volumes", &header);
    assert_eq!((created.status, &created.json()["state"]), (201, &json!("receiving")), "{created:?}");
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let mut offset = 0;
    for piece in bytes.chunks(bytes.len().div_ceil(3)) {
        assert_eq!(sidecar.put(&format!("/v1/volumes/{id}/data?offset={offset}"), piece).status, 200);
        offset += piece.len();
    }
    id
}

/// The volume, once it is read or refused.
pub(super) fn settled(sidecar: &Sidecar, id: &str) -> Value {
    sidecar.until(|| {
        let view = sidecar.get(&format!("/v1/volumes/{id}")).json();
        assert_ne!(view["state"], "receiving", "{view}");
        (view["state"] != "reading").then_some(view)
    })
}

/// Labels of a job on the volume.
pub(super) fn labels(sidecar: &Sidecar, job: &Value) -> Vec<u8> {
    let created = sidecar.post("/v1/jobs", job);
    assert_eq!(created.status, 202, "{created:?}");
    let job = created.json()["id"].as_str().unwrap().to_owned();
    let last = follow(sidecar, &job, has_ended);
    assert_eq!(last["state"], "done", "{last}");
    sidecar.get(&format!("/v1/jobs/{job}/labels")).body
}

/// Labels of the command line for the same input.
fn expected(home: &Path, input: &str) -> Vec<u8> {
    let output = home.join("expected.seg.nrrd");
    let (output_text, model) = (output.to_str().unwrap(), ["-ta", "total", "-ff", "-d", "cpu"]);
    let ran = program::run(
        home,
        &[&["segment", "-q", "-i", input, "-o", output_text, "--ml"], &model[..]].concat(),
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let read = formats::read_segmentation(&output, &ReadOptions::default(), &Progress::silent()).unwrap();
    read.labels.labels.iter().copied().collect()
}

#[test]
fn a_series_gives_the_labels_of_the_command_line_however_it_comes() {
    let home = home();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    let truth = formats::read(Path::new(&reference(SERIES)), &ReadOptions::default(), &Progress::silent());
    let truth = truth.unwrap();
    let formats::Source::Dicom(source) = &truth.source else { panic!("no DICOM") };
    let uids: Vec<&str> = source.slices.iter().map(|slice| slice.sop_instance_uid.as_str()).collect();
    let expected = expected(home.path(), &reference(SERIES));
    for (content_type, bytes) in [(MULTIPART, multipart(&series())), ("application/zip", zipped(&series()))] {
        let id = send(&sidecar, content_type, &bytes);
        let view = settled(&sidecar, &id);
        assert_eq!((&view["state"], &view["modality"]), (&json!("ready"), &json!("CT")), "{view}");
        assert_eq!(view["dims"], json!(truth.volume.grid.size));
        assert_eq!(view["ijk_to_world"], json!(truth.volume.grid.matrix().concat()));
        assert_eq!(view["sources"], json!(uids));
        assert_eq!((&view["space"], &view["groups"][0]["id"]), (&json!("LPS"), &json!("image")));
        assert_eq!(labels(&sidecar, &json!({ "volume": id, "task": "total", "speed": "fastest" })), expected);
        // The files are not kept, only their voxels and what derived objects repeat.
        let folder = home.path().join("run/spool/volumes").join(&id);
        let mut left: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["0.json", "0.nrrd"]);
    }
    // A study that is opened again finds its results.
    let found = sidecar.get(&format!("/v1/jobs?series={}", source.series_instance_uid)).json();
    assert_eq!(found.as_array().unwrap().len(), 2, "{found}");
    assert_eq!(sidecar.get("/v1/jobs?series=1.2.3").json(), json!([]));
}

#[test]
fn results_of_a_series_go_back_as_dicom() {
    let home = home();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    let job = |id: &str| {
        let job = json!({ "volume": id, "task": "total", "speed": "fastest" });
        let id = sidecar.post("/v1/jobs", &job).json()["id"].as_str().unwrap().to_owned();
        assert_eq!(follow(&sidecar, &id, has_ended)["state"], "done");
        format!("/v1/jobs/{id}/labels?format=dicom-seg")
    };
    let files: Vec<_> = series().iter().map(|file| dicom::identified(file)).collect();
    let id = send(&sidecar, "application/zip", &zipped(&files));
    assert_eq!(settled(&sidecar, &id)["state"], "ready");
    let sent = sidecar.get(&job(&id)).body;
    // The command line writes the same object, byte for byte.
    let (output, input) = (home.path().join("expected.dcm"), home.path().join("series.zip"));
    std::fs::write(&input, zipped(&files)).unwrap();
    let (input, output_text) = (input.to_str().unwrap(), output.to_str().unwrap());
    let arguments = ["segment", "-q", "-i", input, "-o", output_text, "-ta", "total", "-ff", "-d", "cpu"];
    assert_eq!(program::run(home.path(), &arguments).code, Some(0));
    assert!(sent == std::fs::read(&output).unwrap(), "server and command line wrote different objects");
    let header = json!({ "format": "file", "content_type": ONE_FILE, "modality": "CT" });
    let id = sidecar.post("/v1/volumes", &header).json()["id"].as_str().unwrap().to_owned();
    let file = std::fs::read(reference("golden/input/example_ct_sm.nii.gz")).unwrap();
    sidecar.put(&format!("/v1/volumes/{id}/data?offset=0"), &file);
    sidecar.post(&format!("/v1/volumes/{id}/complete"), &json!({}));
    settled(&sidecar, &id);
    assert_eq!(refused(&sidecar.get(&job(&id))), (422, "image_refused".into()));
}

#[test]
fn a_file_of_unknown_length_is_read_when_it_is_complete() {
    let home = home();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    let path = reference("golden/input/example_ct_sm.nii.gz");
    let header = json!({ "format": "file", "content_type": ONE_FILE, "modality": "CT" });
    let id = sidecar.post("/v1/volumes", &header).json()["id"].as_str().unwrap().to_owned();
    let complete = format!("/v1/volumes/{id}/complete");
    assert_eq!(refused(&sidecar.post(&complete, &json!({}))), (409, "volume_incomplete".into()));
    sidecar.put(&format!("/v1/volumes/{id}/data?offset=0"), &std::fs::read(&path).unwrap());
    assert_eq!(sidecar.post(&complete, &json!({})).status, 202);
    let view = settled(&sidecar, &id);
    assert_eq!((&view["state"], &view["modality"]), (&json!("ready"), &json!("CT")), "{view}");
    let job = json!({ "volume": id, "task": "total", "speed": "fastest" });
    assert_eq!(labels(&sidecar, &job), expected(home.path(), &path));
}

#[test]
fn each_b_value_of_a_diffusion_series_can_be_segmented() {
    let home = home();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    let files: Vec<Vec<u8>> =
        [1000.0, 0.0, 500.0].iter().flat_map(|&b| (0..8).map(move |k| dicom::diffusion(b, k))).collect();
    let id = send(&sidecar, MULTIPART, &multipart(&files));
    let view = settled(&sidecar, &id);
    let groups: Vec<_> =
        view["groups"].as_array().unwrap().iter().map(|group| group["b_value"].as_f64()).collect();
    assert_eq!(
        (groups, &view["usual"]),
        (vec![Some(0.0), Some(500.0), Some(1000.0)], &json!("b1000")),
        "{view}"
    );
    assert_eq!(view["groups"][1]["sources"][3], dicom::instance(500.0, 3));
    assert_eq!(view["sources"][3], dicom::instance(1000.0, 3));
    let job = json!({ "volume": id, "group": "b7", "task": "total", "speed": "fastest", "force": true });
    let reply = sidecar.post("/v1/jobs", &job);
    assert_eq!(refused(&reply), (422, "ambiguous".into()));
    assert_eq!(
        reply.json()["choices"][2],
        json!({"key": "group", "value": "b1000", "label": "b = 1000 s/mm²"})
    );
    let job = json!({ "volume": id, "group": "b500", "task": "total", "speed": "fastest", "force": true });
    assert_eq!(labels(&sidecar, &job).len(), 8 * dicom::SIDE * dicom::SIDE);
    // A job that names none says which it took.
    let usual = json!({ "volume": id, "task": "total", "speed": "fastest", "force": true });
    assert_eq!(labels(&sidecar, &usual).len(), 8 * dicom::SIDE * dicom::SIDE);
    for (job, b) in sidecar.get("/v1/jobs").json().as_array().unwrap().iter().zip([500.0, 1000.0]) {
        let (group, label) = (format!("b{b}"), format!("b = {b} s/mm²"));
        assert_eq!((&job["group"], &job["group_label"]), (&json!(group), &json!(label)), "{job}");
        let table = sidecar.get(&format!("/v1/jobs/{}/segmentation", job["id"].as_str().unwrap())).json();
        assert_eq!(table["group"], json!({ "id": group, "label": label, "b_value": b }));
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_asked() {
    let home = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(home.path(), &[]);
    let mut files = series();
    files.extend((0..8).map(|k| dicom::diffusion(0.0, k)));
    let id = send(&sidecar, MULTIPART, &multipart(&files));
    let view = settled(&sidecar, &id);
    assert_eq!((&view["state"], &view["error"]["code"]), (&json!("failed"), &json!("ambiguous")), "{view}");
    let choices = view["error"]["choices"].as_array().unwrap();
    let choice = choices.iter().find(|choice| choice["value"] == dicom::SERIES).unwrap();
    assert_eq!((choices.len(), &choice["key"]), (2, &json!("SeriesInstanceUID")));
    let resolve = json!({ "resolve": { "SeriesInstanceUID": dicom::SERIES } });
    assert_eq!(sidecar.post(&format!("/v1/volumes/{id}/complete"), &resolve).status, 202);
    let view = settled(&sidecar, &id);
    assert_eq!((&view["state"], &view["dims"][2]), (&json!("ready"), &json!(8)), "{view}");
}

#[cfg(unix)]
#[test]
fn a_bad_file_is_refused_and_one_that_kills_its_reader_costs_no_job() {
    let home = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(home.path(), &[]);
    let check = |content_type: &str, bytes: &[u8], code: &str| {
        let view = settled(&sidecar, &send(&sidecar, content_type, bytes));
        assert_eq!((&view["state"], &view["error"]["code"]), (&json!("failed"), &json!(code)), "{view}");
        let message = view["error"]["message"].as_str().unwrap();
        assert!(!message.is_empty() && !message.contains("spool"), "{message}");
    };
    check(ONE_FILE, b"nothing that anybody knows", "image_refused");
    let whole = multipart(&series());
    check(MULTIPART, &whole[..whole.len() - 100_000], "image_refused");
    check("application/zip", b"PK\x03\x04 and no more", "image_refused");
    let unknown = json!({ "format": "file", "content_type": "text/html", "bytes": 3 });
    assert_eq!(refused(&sidecar.post("/v1/volumes", &unknown)), (415, "unsupported_media_type".into()));
    let large = json!({ "format": "file", "content_type": ONE_FILE, "bytes": 1u64 << 40 });
    assert_eq!(refused(&sidecar.post("/v1/volumes", &large)), (413, "too_large".into()));

    // Large enough to be still in reading when its reader is killed.
    let mut slow = b"NRRD0004\ntype: uint8\ndimension: 3\nspace: LPS\nsizes: 600 600 300\nspace directions: \
        (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nencoding: raw\n\n"
        .to_vec();
    slow.resize(slow.len() + 600 * 600 * 300, 0);
    let id = send(&sidecar, ONE_FILE, &slow);
    sidecar.kill_worker();
    let view = settled(&sidecar, &id);
    assert_eq!((&view["state"], &view["error"]["code"]), (&json!("failed"), &json!("worker_died")), "{view}");
    // The next file gets a new reader.
    let view = settled(&sidecar, &send(&sidecar, MULTIPART, &whole));
    assert_eq!(view["state"], "ready", "{view}");
}

#[test]
fn voxels_of_a_viewer_may_say_which_slices_they_are() {
    let home = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(home.path(), &[]);
    let grid = imaging::Grid::aligned([4, 4, 3], [1.0; 3]);
    let mut header = super::header(&grid);
    header["sources"] = json!(["1.2.3.1", "1.2.3.2", "1.2.3.3"]);
    header["series"] = json!({ "study_instance_uid": "1.2.1", "series_instance_uid": "1.2.2",
        "attributes": { "PatientID": "7" } });
    let id = super::upload(&sidecar, &header, &[0; 4 * 4 * 3 * 4]);
    let view = sidecar.get(&format!("/v1/volumes/{id}")).json();
    assert_eq!((&view["state"], &view["sources"][2]), (&json!("ready"), &json!("1.2.3.3")), "{view}");
    header["sources"] = json!(["1.2.3.1"]);
    assert_eq!(refused(&sidecar.post("/v1/volumes", &header)), (400, "bad_request".into()));
}
