//! A network of the user's own is asked about a prompt: it offers one more candidate, and changes nothing by itself.

use correction::{NetworkMask, Source};
use engine::{Device, Engine, ModelStore, Runtime, RuntimeOptions};
use promptable::{Image, Model, Prompt as Point, Session as Network, Shape as Drawn};

use super::*;
use crate::cli::reference;
use crate::support::program;

/// A home with the small network that takes prompts.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let path = reference("promptable/model");
    let arguments = ["models", "import", &path, "--name", "clicks", "--accept-licence"];
    let ran = program::run(home.path(), &arguments);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    home
}

/// What the crates offer, without server, worker or wire.
fn offered(home: &tempfile::TempDir, patient: &Patient, session: &mut Session, voxel: [usize; 3]) {
    let store = ModelStore::new(home.path().join("models"), Vec::new());
    let options = RuntimeOptions { device: Device::Cpu, ..RuntimeOptions::default() };
    let engine = Engine::new(store, Runtime::open(&options).unwrap());
    let silent = Progress::silent();
    let mut model = Model::open(&engine, "clicks", &silent).unwrap();
    let volume = Volume { grid: patient.grid.clone(), voxels: patient.voxels.clone() };
    let mut network = Network::new(Image::new(Arc::new(volume)).unwrap());
    network.start(patient.labels.labels.mapv(|label| label == 1).view()).unwrap();
    let point = Point { shape: Drawn::Point(voxel.map(|n| n as f64)), inside: true };
    let part = network.prompt(&mut model, &point, &silent).unwrap().part;
    let mask = NetworkMask { part, inside: network.object(&part) };
    session.offer(1, &mask, &silent).unwrap();
}

#[test]
fn a_network_offers_one_more_candidate_and_changes_nothing() {
    let home = home();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    let patient = Patient::new();
    let id = patient.begin(&sidecar);
    let models = sidecar.get("/v1/models").json();
    let promptable = models.as_array().unwrap().iter().filter(|model| model["promptable"] == true);
    assert_eq!(promptable.map(|model| &model["id"]).collect::<Vec<_>>(), ["clicks"]);
    let path = format!("/v1/sessions/{id}/propose");
    let ask = |body: &Value| sidecar.post(&path, body);
    assert_eq!(refused(&ask(&json!({ "base": 0 }))), (422, "invalid".to_owned()));

    let request = |n: u64| Request { operation: format!("operation-{n}"), base: n, seconds: 1.0 };
    let voxel = [16, 14, 12];
    let click = Action::Prompt(patient.click(voxel, Sign::Add, Some(1)));
    let clicked = operate(&sidecar, &id, &operation(&request(0), &click, None)).json();
    let before = labels(&sidecar, &id);
    let proposed = ask(&json!({ "base": 1 }));
    assert_eq!(proposed.status, 200, "{proposed:?}");
    let proposed = proposed.json();
    assert_eq!((&proposed["network"], &proposed["revision"]), (&json!("clicks"), &json!(1)));
    assert_eq!(labels(&sidecar, &id), before);

    let mut ours = patient.session();
    directly(&mut ours, &request(0), &click, None);
    offered(&home, &patient, &mut ours, voxel);
    let answer = ours.answer().unwrap().clone();
    let last = answer.candidates.len() - 1;
    assert_eq!(answer.candidates[last].source, Source::Network);
    let row = |one: &correction::Candidate| json!({ "source": one.source, "voxels": one.voxels, "score": one.score });
    let expected: Vec<Value> = answer.candidates.iter().map(row).collect();
    assert_eq!(proposed["candidates"], json!(expected));
    assert_eq!(
        proposed["candidates"].as_array().unwrap()[..last],
        clicked["candidates"].as_array().unwrap()[..]
    );
    assert_eq!((&proposed["chosen"], &proposed["elsewhere"]), (&clicked["chosen"], &json!(answer.elsewhere)));

    // It is chosen like any other stop of the wheel, and taken back.
    let choose = Action::Choose(last);
    let chosen = operate(&sidecar, &id, &operation(&request(1), &choose, None));
    assert_eq!(chosen.status, 200, "{chosen:?}");
    directly(&mut ours, &request(1), &choose, None);
    let wanted = ours.labels().labels.as_slice().unwrap().to_vec();
    assert_eq!(labels(&sidecar, &id), (2, wanted));
    assert_ne!(labels(&sidecar, &id).1, before.1);
    assert_eq!(refused(&ask(&json!({ "base": 1 }))), (409, "stale".to_owned()));
    assert_eq!(operate(&sidecar, &id, &operation(&request(2), &Action::Undo, None)).status, 200);
    assert_eq!(labels(&sidecar, &id).1, patient.labels.labels.as_slice().unwrap());
    assert_eq!(refused(&ask(&json!({ "base": 3 }))), (422, "invalid".to_owned()));
    assert_eq!(refused(&ask(&json!({ "base": 3, "network": "other" }))).1, "invalid");
}

#[test]
fn a_network_that_is_not_there_is_told() {
    let home = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    let patient = Patient::new();
    let id = patient.begin(&sidecar);
    let request = Request { operation: "operation".into(), base: 0, seconds: 1.0 };
    let click = Action::Prompt(patient.click([16, 14, 12], Sign::Add, Some(1)));
    operate(&sidecar, &id, &operation(&request, &click, None));
    for network in [Value::Null, json!("headneck"), json!("clicks")] {
        let asked = json!({ "base": 1, "network": network });
        let reply = sidecar.post(&format!("/v1/sessions/{id}/propose"), &asked);
        assert_eq!(refused(&reply).1, "model_missing", "{reply:?}");
    }
}
