//! Corrections over HTTP: what the crate does, and nothing is lost or done twice, whatever is killed.

mod faults;
mod learning;
mod networks;

use std::sync::Arc;

use correction::{
    Action, Delta, Editable, Event, Image, Intensity, Prompt, Request, Session, Shape, Sign, Tool,
};
use imaging::{Grid, LabelMap, Progress, Volume};
use ndarray::Array3;
use serde_json::{Value, json};

use super::{follow, has_ended, header, home, image, refused, start, upload};
use crate::support::sidecar::{Reply, Sidecar};

/// A small patient: two bright organs, 1 and 2, that touch, and 3 apart. Of organ 1 a part is missing.
struct Patient {
    grid: Grid,
    voxels: Array3<f32>,
    labels: LabelMap,
}

impl Patient {
    fn new() -> Patient {
        let axes = [[0.0, 2.0, 0.0], [-2.0, 0.0, 0.1], [0.0, 0.0, 2.5]];
        let grid = Grid::new([34, 30, 26], axes, [-50.0, 20.0, 300.0]).unwrap();
        let mut labels = LabelMap::background(&grid);
        let mut voxels = Array3::zeros(grid.shape());
        for ((k, j, i), value) in voxels.indexed_iter_mut() {
            let off = |center: [f64; 3]| -> f64 {
                (0..3).map(|a| ([i, j, k][a] as f64 - center[a]).powi(2)).sum::<f64>().sqrt()
            };
            let noise = ((i * 7 + j * 13 + k * 29) % 11) as f32 - 5.0;
            let (intensity, label) = if off([11.0, 14.0, 12.0]) < 8.0 {
                (120.0, u8::from(i < 14))
            } else if off([23.0, 14.0, 12.0]) < 6.0 {
                (200.0, 2)
            } else if off([15.0, 26.0, 22.0]) < 3.0 {
                (300.0, 3)
            } else {
                (0.0, 0)
            };
            *value = intensity + noise;
            labels.labels[[k, j, i]] = label;
        }
        Patient { grid, voxels, labels }
    }

    /// The crate itself, without server, worker or wire.
    fn session(&self) -> Session {
        Session::new(self.image(), self.labels.clone(), None).unwrap()
    }

    fn image(&self) -> Image {
        let volume = Volume { grid: self.grid.clone(), voxels: self.voxels.clone() };
        Image::new(Arc::new(volume), Intensity::Hounsfield)
    }

    /// Uploads image and labels, and begins; the name of the session.
    fn begin(&self, sidecar: &Sidecar) -> String {
        let bytes: Vec<u8> = self.voxels.iter().flat_map(|value| value.to_le_bytes()).collect();
        let volume = upload(sidecar, &header(&self.grid), &bytes);
        let mut header = header(&self.grid);
        header["dtype"] = "uint8".into();
        let labels = upload(sidecar, &header, self.labels.labels.as_slice().unwrap());
        let names = ["liver", "stomach", "lump"];
        let structures: Vec<Value> =
            names.iter().zip(1..).map(|(name, value)| json!({ "value": value, "name": name })).collect();
        let new = json!({ "volume": volume, "labels": labels, "structures": structures });
        let begun = sidecar.post("/v1/sessions", &new);
        assert_eq!(begun.status, 201, "{begun:?}");
        for id in [volume, labels] {
            assert_eq!(sidecar.delete(&format!("/v1/volumes/{id}")).status, 204);
        }
        begun.json()["id"].as_str().unwrap().to_owned()
    }

    fn click(&self, voxel: [usize; 3], sign: Sign, label: Option<u8>) -> Prompt {
        Prompt { shape: Shape::Point(self.grid.world(voxel.map(|n| n as f64))), sign, label, editable: None }
    }

    /// A viewer's brush: background within two voxels of `at` becomes label 3.
    fn stroke(&self, labels: &LabelMap, at: [usize; 3]) -> Delta {
        let mut painted = labels.labels.clone();
        for ((k, j, i), label) in painted.indexed_iter_mut() {
            if (0..3).all(|a| [i, j, k][a].abs_diff(at[a]) <= 2) && *label == 0 {
                *label = 3;
            }
        }
        Delta::between(labels.labels.view(), painted.view()).unwrap()
    }
}

/// What a client sends.
fn operation(request: &Request, action: &Action, delta: Option<&Delta>) -> Value {
    let mut body = serde_json::to_value(request).unwrap();
    body["action"] = serde_json::to_value(action).unwrap();
    body["delta"] = delta.map(hexadecimal).into();
    body
}

fn hexadecimal(delta: &Delta) -> String {
    delta.encode().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn operate(sidecar: &Sidecar, session: &str, body: &Value) -> Reply {
    sidecar.post(&format!("/v1/sessions/{session}/operations"), body)
}

/// The crate does the same.
fn directly(session: &mut Session, request: &Request, action: &Action, delta: Option<&Delta>) -> Event {
    let silent = Progress::silent();
    let event = match action {
        Action::Prompt(prompt) => session.prompt(request, prompt, &silent),
        Action::Choose(candidate) => session.choose(request, *candidate, &silent),
        Action::Tool(tool) => session.tool(request, tool, &silent),
        Action::Foreign => session.foreign(request, delta.unwrap().clone()),
        Action::Undo => session.undo(request),
        Action::Redo => session.redo(request),
        Action::Lock(label, locked) => session.lock(request, *label, *locked),
        Action::Accept(label) => session.accept(request, *label),
    };
    event.unwrap()
}

/// All labels, and the revision that they are of.
fn labels(sidecar: &Sidecar, session: &str) -> (u64, Vec<u8>) {
    let reply = sidecar.get(&format!("/v1/sessions/{session}/labels"));
    assert_eq!(reply.status, 200, "{reply:?}");
    (reply.header("x-vesalius-revision").unwrap().parse().unwrap(), reply.body)
}

/// The events after a revision.
fn events(sidecar: &Sidecar, session: &str, since: u64) -> Vec<Event> {
    let reply = sidecar.get(&format!("/v1/sessions/{session}/events?since={since}"));
    assert_eq!(reply.status, 200, "{reply:?}");
    String::from_utf8(reply.body).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn operations_are_those_of_the_crate_bit_for_bit() {
    let home = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(home.path(), &[]);
    let patient = Patient::new();
    let id = patient.begin(&sidecar);
    let mut ours = patient.session();
    let mut seen = patient.labels.clone();
    let scribble = Prompt {
        shape: Shape::Scribble {
            points: vec![patient.grid.world([21.0, 14.0, 12.0]), patient.grid.world([25.0, 14.0, 12.0])],
            radius_mm: 1.5,
        },
        ..patient.click([0; 3], Sign::Remove, None)
    };
    let corners = [patient.grid.world([13.0, 24.0, 20.0]), patient.grid.world([18.0, 28.0, 24.0])];
    let boxed = Prompt { shape: Shape::Box { corners }, ..patient.click([0; 3], Sign::Add, Some(3)) };
    let masked = Editable { labels: Some([0].into()), intensity: Some([116.0, 124.5]) };
    let actions = [
        Action::Prompt(Prompt { editable: Some(masked), ..patient.click([16, 14, 12], Sign::Add, Some(1)) }),
        Action::Undo,
        Action::Prompt(patient.click([16, 14, 12], Sign::Add, Some(1))),
        Action::Choose(0),
        Action::Choose(1),
        Action::Undo,
        Action::Redo,
        Action::Foreign,
        Action::Prompt(scribble),
        Action::Undo,
        Action::Lock(2, true),
        Action::Prompt(patient.click([10, 14, 12], Sign::Remove, None)),
        Action::Prompt(boxed),
        Action::Tool(Tool::Snap { label: 1, within_mm: 4.0, editable: None }),
        Action::Accept(Some(3)),
        Action::Lock(2, false),
        Action::Accept(None),
    ];
    for (n, action) in actions.iter().enumerate() {
        let request =
            Request { operation: format!("operation-{n}"), base: n as u64, seconds: 0.1 + n as f64 };
        let delta = matches!(action, Action::Foreign).then(|| patient.stroke(&seen, [4, 4, 4]));
        let reply = operate(&sidecar, &id, &operation(&request, action, delta.as_ref()));
        assert_eq!(reply.status, 200, "{action:?}: {reply:?}");
        let done = reply.json();
        let event = directly(&mut ours, &request, action, delta.as_ref());
        assert_eq!(done["event"], serde_json::to_value(&event).unwrap(), "{action:?}");
        let event: Event = serde_json::from_value(done["event"].clone()).unwrap();
        event.delta.apply(&mut seen).unwrap();
        assert_eq!(&seen, ours.labels());
        let (undo, redo) = ours.ways_back();
        assert_eq!(
            (&done["revision"], &done["undo"], &done["redo"]),
            (&json!(n + 1), &json!(undo), &json!(redo))
        );
        let candidates: Vec<(u64, f64)> = ours
            .answer()
            .map(|answer| answer.candidates.iter().map(|one| (one.voxels, one.score)).collect())
            .unwrap_or_default();
        let told = done["candidates"].as_array().unwrap().iter();
        let told: Vec<(u64, f64)> =
            told.map(|one| (one["voxels"].as_u64().unwrap(), one["score"].as_f64().unwrap())).collect();
        assert_eq!(told, candidates, "{action:?}");
        assert_eq!(done["chosen"], json!(ours.answer().map(|answer| answer.chosen)));
        for row in done["structures"].as_array().unwrap() {
            let label = row["value"].as_u64().unwrap() as u8;
            assert_eq!(row["voxels"], json!(ours.counts()[usize::from(label)]), "{row}");
            assert_eq!(row["status"], serde_json::to_value(ours.status(label)).unwrap(), "{row}");
            assert_eq!(row["locked"], json!(ours.limits().locked.contains(&label)), "{row}");
            assert_eq!(row["effort"], serde_json::to_value(ours.efforts().get(&label)).unwrap(), "{row}");
        }
    }
    assert_eq!(labels(&sidecar, &id), (17, ours.labels().labels.as_slice().unwrap().to_vec()));
    let all: Vec<Event> = ours.since(0).unwrap().cloned().collect();
    assert_eq!(events(&sidecar, &id, 0), all);
    assert_eq!(events(&sidecar, &id, 9), all[9..]);
    let view = sidecar.get(&format!("/v1/sessions/{id}")).json();
    let names: Vec<&str> =
        view["structures"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!((names, &view["revision"]), (vec!["liver", "stomach", "lump"], &json!(17)));
    assert_eq!(view["ijk_to_world"], json!(patient.grid.matrix().concat()));
}

#[test]
fn what_cannot_be_done_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(home.path(), &[]);
    let patient = Patient::new();
    let id = patient.begin(&sidecar);
    let request = |n: usize, base| Request { operation: format!("operation-{n}"), base, seconds: 1.0 };
    let click = Action::Prompt(patient.click([16, 14, 12], Sign::Add, Some(1)));
    let first = operate(&sidecar, &id, &operation(&request(0, 0), &click, None));
    let before = labels(&sidecar, &id);
    // Sent again after a lost answer.
    assert_eq!(operate(&sidecar, &id, &operation(&request(0, 0), &click, None)).json(), first.json());
    let check = |body: &Value, expected: (u16, &str)| {
        let found = refused(&operate(&sidecar, &id, body));
        assert_eq!(found, (expected.0, expected.1.to_owned()), "{body}");
    };
    let action = |action: &Action| operation(&request(1, 1), action, None);
    let prompt = |prompt: Prompt| action(&Action::Prompt(prompt));
    check(&operation(&request(0, 1), &Action::Undo, None), (409, "conflict"));
    check(&operation(&request(1, 0), &Action::Undo, None), (409, "stale"));
    check(&operation(&request(1, 7), &Action::Undo, None), (409, "stale"));
    let back = Action::Prompt(patient.click([14, 14, 12], Sign::Remove, Some(1)));
    check(&operation(&request(1, 0), &back, None), (409, "stale"));
    check(&action(&Action::Redo), (422, "invalid"));
    check(&action(&Action::Choose(99)), (422, "invalid"));
    check(&action(&Action::Foreign), (422, "invalid"));
    check(&action(&Action::Lock(0, true)), (422, "invalid"));
    check(&action(&Action::Accept(Some(0))), (422, "invalid"));
    check(&prompt(patient.click([500, 0, 0], Sign::Add, Some(1))), (422, "invalid"));
    check(&prompt(patient.click([1, 28, 1], Sign::Add, None)), (422, "invalid"));
    check(&prompt(patient.click([8, 14, 12], Sign::Add, Some(1))), (422, "invalid"));
    let mut foreign = action(&Action::Foreign);
    for delta in ["", "5653443", "zz", "56534431000000000000000001", "5653443163000001010101000101000100"] {
        foreign["delta"] = delta.into();
        check(&foreign, (422, "invalid"));
    }
    // What it would replace does not stand there.
    foreign["delta"] = "56534431030405010101010102010001".into();
    check(&foreign, (409, "stale"));
    let mut nameless = action(&Action::Undo);
    nameless["operation"] = "two words".into();
    check(&nameless, (422, "invalid"));
    check(&json!({ "operation": "a", "base": 1, "action": "everything" }), (400, "invalid_json"));
    check(&json!({ "operation": "a", "base": 1, "action": "undo", "force": true }), (400, "invalid_json"));
    assert_eq!(labels(&sidecar, &id), before);

    let locked = operate(&sidecar, &id, &operation(&request(2, 1), &Action::Lock(1, true), None)).json();
    assert_eq!(locked["structures"][0]["locked"], true, "{locked}");
    check(&operation(&request(3, 2), &Action::Undo, None), (423, "locked"));
    check(&operation(&request(3, 2), &back, None), (423, "locked"));
    assert_eq!(labels(&sidecar, &id), (2, before.1));

    let since = sidecar.get(&format!("/v1/sessions/{id}/events?since=3"));
    assert_eq!(refused(&since), (410, "forgotten".to_owned()));
    assert_eq!(sidecar.delete(&format!("/v1/sessions/{id}")).status, 204);
    assert_eq!(refused(&sidecar.get(&format!("/v1/sessions/{id}/labels"))), (404, "not_found".to_owned()));
    assert_eq!(std::fs::read_dir(home.path().join("run/spool/corrections")).unwrap().count(), 0);
}

#[test]
fn looking_changes_nothing_and_says_what_the_crate_says() {
    let home = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(home.path(), &[]);
    let patient = Patient::new();
    let id = patient.begin(&sidecar);
    let session = patient.session();
    let prompt = patient.click([16, 14, 12], Sign::Add, Some(1));
    let path = format!("/v1/sessions/{id}/hover");
    let ghost = sidecar.post(&path, &json!({ "prompt": prompt })).json();
    let expected = session.hover(&prompt, &Progress::silent()).unwrap();
    let best = expected.best().unwrap();
    assert_eq!(ghost["delta"], hexadecimal(&best.delta));
    assert_eq!((&ghost["label"], &ghost["candidate"]["voxels"]), (&json!(1), &json!(best.voxels)));
    assert_eq!(ghost["revision"], 0);
    // Many at once: each is answered, or gave way to a newer one.
    let replies: Vec<Reply> = std::thread::scope(|scope| {
        let ask = || sidecar.post(&path, &json!({ "prompt": prompt }));
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let answered = replies.iter().filter(|reply| reply.status == 200 && reply.json() == ghost).count();
    let gave_way =
        replies.iter().filter(|reply| reply.status == 409 && reply.json()["code"] == "cancelled").count();
    assert!(answered >= 1 && answered + gave_way == 8, "{replies:?}");

    let found = sidecar.get(&format!("/v1/sessions/{id}/suspicious?most=5")).json();
    let expected = session.suspicious(5, &Progress::silent()).unwrap();
    assert_eq!(found, json!({ "revision": 0, "places": expected }));
    assert_eq!(labels(&sidecar, &id), (0, patient.labels.labels.as_slice().unwrap().to_vec()));
}

#[test]
fn two_writers_see_each_other() {
    let home = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(home.path(), &[]);
    let patient = Patient::new();
    let id = patient.begin(&sidecar);
    let write = |writer: usize| {
        let mut seen = patient.labels.clone();
        let mut revision = 0;
        let catch_up = |seen: &mut LabelMap, revision: &mut u64, until: u64| {
            for event in events(&sidecar, &id, *revision) {
                assert_eq!(event.revision, *revision + 1);
                if event.revision <= until {
                    event.delta.apply(seen).unwrap();
                    *revision = event.revision;
                }
            }
        };
        for n in 0..12 {
            let at = [3 + 2 * n, 2 + 22 * writer, 3 + n];
            // A stroke that met the other's is made again on the labels as they are.
            loop {
                let delta = patient.stroke(&seen, at);
                let operation_name = format!("{writer}-{n}-{revision}");
                let request = Request { operation: operation_name, base: revision, seconds: 1.0 };
                let reply = operate(&sidecar, &id, &operation(&request, &Action::Foreign, Some(&delta)));
                match reply.status {
                    200 => {
                        let own = reply.json()["event"]["revision"].as_u64().unwrap();
                        catch_up(&mut seen, &mut revision, own);
                        break;
                    }
                    409 => catch_up(&mut seen, &mut revision, u64::MAX),
                    _ => panic!("{reply:?}"),
                }
            }
        }
        catch_up(&mut seen, &mut revision, u64::MAX);
        revision
    };
    // Waits for the first event of whoever is quicker.
    let waiting = || sidecar.get(&format!("/v1/sessions/{id}/events?since=0&wait=30")).body;
    let (first, revisions) = std::thread::scope(|scope| {
        let waiting = scope.spawn(waiting);
        let writers: Vec<_> = (0..2).map(|writer| scope.spawn(move || write(writer))).collect();
        let revisions: Vec<u64> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        (waiting.join().unwrap(), revisions)
    });
    assert!(!first.is_empty() && revisions.contains(&24), "{revisions:?}");
    let journal = events(&sidecar, &id, 0);
    let replayed = Session::replay(patient.image(), patient.labels.clone(), None, journal).unwrap();
    assert_eq!(labels(&sidecar, &id), (24, replayed.labels().labels.as_slice().unwrap().to_vec()));
}

#[test]
fn a_session_goes_on_from_a_job_and_stays_when_everything_else_goes() {
    let home = home();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    let (voxels, grid) = image("example_ct_sm.nii.gz");
    let volume = upload(&sidecar, &header(&grid), &voxels);
    let job = start(&sidecar, &volume, "fastest");
    assert_eq!(follow(&sidecar, &job, has_ended)["state"], "done");
    let expected = sidecar.get(&format!("/v1/jobs/{job}/labels")).body;
    let table = sidecar.get(&format!("/v1/jobs/{job}/segmentation")).json();
    let new = json!({ "job": job, "locked": [1, 5] });
    let key = "Idempotency-Key: 7f4b\r\n";
    let begun = sidecar.post_with("/v1/sessions", key, &new).json();
    assert_eq!(sidecar.post_with("/v1/sessions", key, &new).json()["id"], begun["id"]);
    let other = sidecar.post_with("/v1/sessions", key, &json!({ "job": job }));
    assert_eq!(refused(&other), (409, "conflict".to_owned()));
    let rows = begun["structures"].as_array().unwrap();
    assert_eq!(rows.len(), table["segments"].as_array().unwrap().len());
    for (row, segment) in rows.iter().zip(table["segments"].as_array().unwrap()) {
        for field in ["value", "name", "color", "terminology", "voxels", "volume_ml"] {
            assert_eq!(row[field], segment[field], "{field}");
        }
        assert_eq!(row["locked"], json!([1, 5].contains(&row["value"].as_u64().unwrap())));
    }
    assert_eq!(begun["revision"], 2);
    let id = begun["id"].as_str().unwrap();
    assert_eq!(labels(&sidecar, id), (2, expected.clone()));
    // Labels on another grid are no labels of this image.
    let other = upload(&sidecar, &header(&Grid::aligned([4, 4, 4], [1.0; 3])), &[0; 256]);
    let wrong = sidecar.post("/v1/sessions", &json!({ "volume": other, "job": job }));
    assert_eq!(refused(&wrong), (422, "geometry_invalid".to_owned()));

    sidecar.delete(&format!("/v1/jobs/{job}"));
    sidecar.delete(&format!("/v1/volumes/{volume}"));
    sidecar.stop();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    assert_eq!(labels(&sidecar, id), (2, expected.clone()));
    let list = sidecar.get("/v1/sessions").json();
    assert_eq!(
        (list.as_array().unwrap().len(), &list[0]["id"], &list[0]["revision"]),
        (1, &begun["id"], &json!(2))
    );
    let file = home.path().join("labels.seg.nrrd");
    std::fs::write(&file, sidecar.get(&format!("/v1/sessions/{id}/labels?format=seg.nrrd")).body).unwrap();
    let read =
        formats::read_segmentation(&file, &formats::ReadOptions::default(), &Progress::silent()).unwrap();
    assert_eq!(read.labels.labels.as_slice().unwrap(), expected);
    assert_eq!(read.segments.len(), rows.len());
    let series = sidecar.get(&format!("/v1/sessions/{id}/labels?format=dicom-seg"));
    assert_eq!(refused(&series), (422, "image_refused".to_owned()));
}

#[cfg(target_os = "linux")]
#[test]
fn a_session_that_does_not_fit_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(home.path(), &["--memory", "0.5"]);
    let grid = Grid::aligned([400, 400, 250], [1.0; 3]);
    let mut header = header(&grid);
    header["dtype"] = "int8".into();
    let volume = upload(&sidecar, &header, &vec![0; grid.len()]);
    let reply = sidecar.post("/v1/sessions", &json!({ "volume": volume }));
    assert_eq!(refused(&reply), (413, "needs_too_much_memory".to_owned()));
    assert_eq!(sidecar.get("/v1/sessions").json(), json!([]));
    assert_eq!(std::fs::read_dir(home.path().join("run/spool/corrections")).unwrap().count(), 0);
}
