//! Jobs of several images: the labels of the command line, refusals that name what is wanted, and a record of each image.

use imaging::{Grid, LabelMap, Volume};
use serde_json::{Value, json};

use super::{follow, has_ended, refused, uploads};
use crate::support::channels::{brain, command_line, grid, home, other_grid, study, write};
use crate::support::dicom;
use crate::support::sidecar::Sidecar;

/// Uploads a volume as an MR image; its id.
fn upload(sidecar: &Sidecar, volume: &Volume, more: &Value) -> String {
    let voxels: Vec<u8> = volume.voxels.iter().flat_map(|value| value.to_le_bytes()).collect();
    let mut header = super::header(&volume.grid);
    header["modality"] = "MR".into();
    for (name, value) in more.as_object().into_iter().flatten() {
        header[name] = value.clone();
    }
    super::upload(sidecar, &header, &voxels)
}

/// The labels of a job that ends well, and its table.
fn done(sidecar: &Sidecar, job: &Value) -> (Vec<u8>, Value) {
    let created = sidecar.post("/v1/jobs", job);
    assert_eq!(created.status, 202, "{created:?}");
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let last = follow(sidecar, &id, has_ended);
    assert_eq!(last["state"], "done", "{last}");
    let table = sidecar.get(&format!("/v1/jobs/{id}/segmentation")).json();
    (sidecar.get(&format!("/v1/jobs/{id}/labels")).body, table)
}

fn bytes(labels: &LabelMap) -> Vec<u8> {
    labels.labels.iter().copied().collect()
}

#[test]
fn labels_are_those_of_the_command_line() {
    let home = home();
    let path = home.path();
    let sidecar = Sidecar::start(path, &["--device", "cpu"]);
    let (dwi, adc, far) = (brain(false, &grid()), brain(true, &grid()), brain(true, &other_grid()));
    let files = [("dwi", &dwi), ("adc", &adc), ("far", &far)]
        .map(|(name, volume)| write(&path.join(format!("{name}.nrrd")), volume));
    let [dwi_file, adc_file, far_file] = files.each_ref().map(String::as_str);
    let [dwi, adc, far] = [&dwi, &adc, &far].map(|volume| upload(&sidecar, volume, &Value::Null));

    let (expected, _) = command_line(path, &["-i", dwi_file, "--channel", &format!("ADC={adc_file}")]);
    let counts = expected.counts();
    assert!(counts[1..].iter().sum::<u64>() > 100, "the network finds something: {:?}", &counts[..4]);
    let job = |channels: Value| json!({ "volume": dwi, "task": "stroke", "channels": channels });
    let (labels, table) = done(&sidecar, &job(json!({ "ADC": { "volume": adc } })));
    assert!(labels == bytes(&expected), "server and command line differ");
    let source = |name: &str, volume: &str, resampled: bool| {
        let group = json!({ "id": "image", "label": "", "b_value": null });
        json!({ "name": name, "volume": volume, "group": group, "series": null, "resampled": resampled })
    };
    assert_eq!(table["channels"], json!([source("DWI", &dwi, false), source("ADC", &adc, false)]));
    assert_eq!(table["warnings"], json!([]));
    // Without a name it is the next in order, and which is which matters.
    let (same, _) = command_line(path, &["-i", dwi_file, "--channel", adc_file]);
    assert_eq!(same.labels, expected.labels);
    let (swapped, _) = command_line(path, &["-i", adc_file, "--channel", dwi_file]);
    assert_ne!(swapped.labels, expected.labels);

    // Another grid: resampled onto that of `volume`, and told.
    let (expected, said) = command_line(path, &["-i", dwi_file, "--channel", &format!("ADC={far_file}")]);
    assert!(
        said.contains("ADC lies on another grid and was resampled onto that of the first image ("),
        "{said}"
    );
    let (labels, table) = done(&sidecar, &job(json!({ "ADC": { "volume": far } })));
    assert!(labels == bytes(&expected), "server and command line differ");
    assert_eq!(table["channels"][1], source("ADC", &far, true));
    assert!(said.contains(table["warnings"][0].as_str().unwrap()), "{table}");

    // The image whose grid it shall be may be the second channel.
    let (expected, _) = command_line(path, &["-i", far_file, "--channel", &format!("DWI={dwi_file}")]);
    assert_eq!(expected.grid.size, far_size());
    let second = json!({ "volume": far, "task": "stroke", "channels": { "DWI": { "volume": dwi } } });
    let (labels, table) = done(&sidecar, &second);
    assert!(labels == bytes(&expected), "server and command line differ");
    assert_eq!(table["channels"], json!([source("DWI", &dwi, true), source("ADC", &far, false)]));
    assert_eq!(table["grid"]["size"], json!(far_size()));
}

fn far_size() -> [usize; 3] {
    other_grid().size
}

#[test]
fn operating_points_are_listed_and_taken() {
    let home = home();
    let path = home.path();
    let sidecar = Sidecar::start(path, &["--device", "cpu"]);
    let tasks = sidecar.get("/v1/tasks").json();
    let task = |id: &str| tasks.as_array().unwrap().iter().find(|task| task["id"] == id).unwrap().clone();
    assert_eq!(task("stroke")["channels"], json!(["DWI", "ADC"]));
    assert_eq!(
        (&task("total")["channels"], &task("total")["operating_points"]),
        (&json!(["CT"]), &json!([]))
    );
    let points = task("stroke")["operating_points"].clone();
    assert_eq!((&points[0]["name"], &points[0]["threshold"]), (&json!("sensitive"), &json!(0.25)));
    assert_eq!((&points[1]["false_ml_per_case"], &points[1]["n"]), (&json!(1.5), &json!(3)));

    let (dwi, adc) = (brain(false, &grid()), brain(true, &grid()));
    let (dwi_file, adc_file) = (write(&path.join("dwi.nrrd"), &dwi), write(&path.join("adc.nrrd"), &adc));
    let (dwi, adc) = (upload(&sidecar, &dwi, &Value::Null), upload(&sidecar, &adc, &Value::Null));
    let job = |point: Value| {
        let channels = json!({ "ADC": { "volume": adc } });
        json!({ "volume": dwi, "task": "stroke", "channels": channels, "operating_point": point })
    };
    let mut found = Vec::new();
    for (asked, point) in
        [("sensitive", json!("sensitive")), ("0.25", json!(0.25)), ("specific", json!("specific"))]
    {
        let line = ["-i", &dwi_file, "--channel", &adc_file, "--operating-point", asked];
        let (expected, _) = command_line(path, &line);
        let (labels, table) = done(&sidecar, &job(point));
        assert!(labels == bytes(&expected), "{asked}: server and command line differ");
        assert!(table["provenance"]["options"]["threshold"].is_f64(), "{table}");
        found.push(labels);
    }
    assert!(found[0] == found[1] && found[0] != found[2], "the threshold changes nothing");
    let reply = sidecar.post("/v1/jobs", &job(json!("quick")));
    assert_eq!(refused(&reply), (422, "unknown_operating_point".into()));
    assert!(reply.json()["hint"].as_str().unwrap().contains("sensitive, specific"), "{reply:?}");
    assert_eq!(refused(&sidecar.post("/v1/jobs", &job(json!(1.5)))), (422, "unknown_operating_point".into()));
    assert_eq!(refused(&sidecar.post("/v1/jobs", &job(json!([0.5])))), (400, "invalid_json".into()));
}

#[test]
fn images_that_do_not_go_together_are_refused_with_what_is_wanted() {
    let home = home();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    let image = brain(false, &grid());
    let named = |patient: &str, study: &str, frame: &str| {
        let sources: Vec<String> = (0..9).map(|k| format!("1.2.3.{k}")).collect();
        let series = json!({ "study_instance_uid": study, "series_instance_uid": "1.2.2",
            "frame_of_reference_uid": frame, "attributes": { "PatientID": patient } });
        upload(&sidecar, &image, &json!({ "sources": sources, "series": series }))
    };
    let dwi = named("7", "1.2.1", "1.2.9");
    let moved = Volume { grid: Grid { origin: [300.0, 0.0, 0.0], ..grid() }, ..image.clone() };
    let moved = upload(&sidecar, &moved, &Value::Null);
    let ct = upload(&sidecar, &image, &json!({ "modality": "CT" }));
    let coming = sidecar.post("/v1/volumes", &super::header(&grid())).json()["id"].clone();
    let job = |channels: Value| json!({ "volume": dwi, "task": "stroke", "channels": channels });
    let adc = |volume: &str| job(json!({ "ADC": { "volume": volume } }));
    let others = [named("8", "1.2.1", "1.2.9"), named("7", "1.2.4", "1.2.9"), named("7", "1.2.1", "1.2.8")];
    let two = json!({ "ADC": { "volume": dwi }, "DWI": { "volume": dwi } });
    let head_neck = json!({ "volume": ct, "task": "headneck", "channels": { "CT": { "volume": ct } } });
    for (job, status, code, words) in [
        (job(json!({})), 422, "channel_missing", "takes 2 images (DWI, ADC), and 1 is given"),
        (job(two), 422, "channel_missing", "and 3 are given"),
        (head_neck, 422, "channel_missing", "task `headneck` takes one image"),
        (job(json!({ "FLAIR": { "volume": dwi } })), 422, "unknown_channel", "has no channel `FLAIR`"),
        (adc(&others[0]), 422, "channel_mismatch", "`ADC` is of another patient"),
        (adc(&others[1]), 422, "channel_mismatch", "`ADC` is of another study"),
        (adc(&others[2]), 422, "channel_mismatch", "`ADC` has another frame of reference"),
        (adc(&moved), 422, "channel_mismatch", "covers only 0 % of the first image"),
        (adc(&ct), 422, "modality_mismatch", "the image for `ADC` is CT"),
        (adc(coming.as_str().unwrap()), 409, "volume_incomplete", "channel `ADC`: the volume is not there"),
        (adc(&"0".repeat(32)), 404, "not_found", "channel `ADC`: there is no such volume"),
        (job(json!({ "ADC": { "volume": dwi, "group": "b0" } })), 422, "ambiguous", "channel `ADC`"),
    ] {
        let reply = sidecar.post("/v1/jobs", &job);
        assert_eq!(refused(&reply), (status, code.to_owned()), "{reply:?}");
        assert!(reply.json()["message"].as_str().unwrap().contains(words), "{reply:?}");
    }
    let reply = sidecar.post("/v1/jobs", &job(json!({}))).json();
    assert_eq!(reply["hint"], "send `channels: {\"ADC\": {\"volume\": ID}}`; `volume` is then DWI");
    assert_eq!(reply["choices"][1], json!({ "key": "channels", "value": "ADC", "label": "ADC" }));
    let again = sidecar.post("/v1/jobs", &adc(&named("7", "1.2.1", "1.2.9")));
    assert_eq!(again.status, 202, "{again:?}");
}

#[test]
fn every_image_of_a_job_is_kept_counted_and_remembered() {
    let home = home();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    let dwi = upload(&sidecar, &brain(false, &grid()), &Value::Null);
    let adc = upload(&sidecar, &brain(true, &grid()), &Value::Null);
    let other = upload(&sidecar, &brain(true, &other_grid()), &Value::Null);
    let key = "Idempotency-Key: channels\r\n";
    let job =
        |adc: &str| json!({ "volume": dwi, "task": "stroke", "channels": { "ADC": { "volume": adc } } });
    let id = sidecar.post_with("/v1/jobs", key, &job(&adc)).json()["id"].as_str().unwrap().to_owned();
    // A volume that a job needs stays until the job has ended.
    sidecar.delete(&format!("/v1/volumes/{adc}"));
    assert_eq!(sidecar.post_with("/v1/jobs", key, &job(&adc)).json()["id"], *id);
    assert_eq!(refused(&sidecar.post_with("/v1/jobs", key, &job(&other))), (409, "conflict".into()));
    assert_eq!(follow(&sidecar, &id, has_ended)["state"], "done");
    assert_eq!(refused(&sidecar.post("/v1/jobs", &job(&adc))), (404, "not_found".into()));
    sidecar.stop();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    assert_eq!(sidecar.post_with("/v1/jobs", key, &job(&adc)).json()["id"], *id);
    let view = sidecar.get(&format!("/v1/jobs/{id}")).json();
    let group = json!({ "id": "image", "label": "", "b_value": null });
    let channel = |name: &str, volume: &str| json!({ "name": name, "volume": volume, "group": group });
    assert_eq!(view["channels"], json!([channel("DWI", &dwi), channel("ADC", &adc)]), "{view}");
}

#[test]
fn a_diffusion_series_and_its_adc_map_are_one_job() {
    let home = home();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    let (dwi, adc) = study();
    let send = |files: &[Vec<u8>]| {
        let id = uploads::send(&sidecar, uploads::MULTIPART, &uploads::multipart(files));
        assert_eq!(uploads::settled(&sidecar, &id)["state"], "ready");
        id
    };
    let (dwi_id, adc_id) = (send(&dwi), send(&adc));
    let job = |channels: Value| json!({ "volume": dwi_id, "task": "stroke", "channels": channels });
    let (labels, table) = done(&sidecar, &job(json!({ "ADC": { "volume": adc_id } })));
    assert_eq!(table["channels"][0]["group"]["id"], "b1000");
    assert_eq!(
        (&table["channels"][0]["series"], &table["channels"][1]["series"]),
        (&json!(dicom::SERIES), &json!("1.2.826.18"))
    );
    // Two groups of one volume may be two channels.
    let (others, table) = done(&sidecar, &job(json!({ "ADC": { "volume": dwi_id, "group": "b0" } })));
    assert_eq!(table["channels"][1]["group"]["b_value"], 0.0);
    assert_ne!(labels, others);
    for (name, files) in [("dwi", &dwi), ("adc", &adc)] {
        std::fs::write(home.path().join(format!("{name}.zip")), uploads::zipped(files)).unwrap();
    }
    let file = |name: &str| home.path().join(format!("{name}.zip")).display().to_string();
    let (expected, _) =
        command_line(home.path(), &["-i", &file("dwi"), "--channel", &format!("ADC={}", file("adc"))]);
    assert!(labels == bytes(&expected), "server and command line differ");
}

#[test]
fn a_result_of_two_images_is_corrected_on_the_first() {
    let home = home();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    let main = brain(true, &other_grid());
    let adc = upload(&sidecar, &main, &Value::Null);
    let dwi = upload(&sidecar, &brain(false, &grid()), &Value::Null);
    let job = json!({ "volume": adc, "task": "stroke", "channels": { "DWI": { "volume": dwi } },
        "keep_runner_up": true });
    let id = sidecar.post("/v1/jobs", &job).json()["id"].clone();
    assert_eq!(follow(&sidecar, id.as_str().unwrap(), has_ended)["state"], "done");
    let begun = sidecar.post("/v1/sessions", &json!({ "job": id }));
    assert_eq!(begun.status, 201, "{begun:?}");
    let session = begun.json();
    assert_eq!((&session["volume"], &session["dims"]), (&json!(adc), &json!(far_size())), "{session}");
    let path = format!("/v1/sessions/{}", session["id"].as_str().unwrap());
    let labels = sidecar.get(&format!("{path}/labels")).body;
    assert_eq!(labels, sidecar.get(&format!("/v1/jobs/{}/labels", id.as_str().unwrap())).body);
    let prompt = json!({ "shape": { "point": [9.0, -4.0, 16.0] }, "sign": "add", "label": 1 });
    let operation = json!({ "operation": "a", "base": 0, "action": { "prompt": prompt } });
    let answered = sidecar.post(&format!("{path}/operations"), &operation);
    assert_eq!((answered.status, &answered.json()["event"]["revision"]), (200, &json!(1)), "{answered:?}");
    assert_ne!(sidecar.get(&format!("{path}/labels")).body, labels);
}
