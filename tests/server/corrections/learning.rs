//! What networks are learnt from and what they tell: their second choice, and data sets of what was accepted.

use super::*;

#[test]
fn the_networks_second_choice_is_kept_when_asked_for() {
    let home = home();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    let (voxels, grid) = image("example_ct_sm.nii.gz");
    let volume = upload(&sidecar, &header(&grid), &voxels);
    let plain = start(&sidecar, &volume, "fastest");
    let asked = json!({ "volume": volume, "task": "total", "speed": "fastest", "keep_runner_up": true });
    let kept = sidecar.post("/v1/jobs", &asked).json()["id"].as_str().unwrap().to_owned();
    let view = |job: &str| {
        assert_eq!(follow(&sidecar, job, has_ended)["state"], "done");
        let labels = sidecar.get(&format!("/v1/jobs/{job}/labels")).body;
        (labels, sidecar.post("/v1/sessions", &json!({ "job": job })).json())
    };
    let ((plain, without), (labels, with)) = (view(&plain), view(&kept));
    assert_eq!(labels, plain);
    assert_eq!((&without["runner_up"], &with["runner_up"]), (&json!(false), &json!(true)));
    // The file: second labels, then margins. Second is never first, and only structures of the task are named.
    let path = home.path().join(format!("run/spool/jobs/{kept}/runner_up.u8"));
    let bytes = std::fs::read(path).unwrap();
    let (second, margin) = bytes.split_at(labels.len());
    assert_eq!(margin.len(), labels.len());
    let known: Vec<u64> =
        with["structures"].as_array().unwrap().iter().map(|row| row["value"].as_u64().unwrap()).collect();
    let mut unsure = 0;
    for ((&label, &second), &margin) in labels.iter().zip(second).zip(margin) {
        assert!(margin == 255 || second != label, "{label} is second to itself");
        assert!(second == 0 || known.contains(&u64::from(second)), "{second}");
        unsure += usize::from(label != 0 && margin < 102);
    }
    assert!(unsure > 0 && unsure < labels.len(), "{unsure}");
    let places = |session: &Value| {
        let id = session["id"].as_str().unwrap();
        sidecar.get(&format!("/v1/sessions/{id}/suspicious?most=1000")).json()["places"].clone()
    };
    let is_unsure = |place: &&Value| place["reason"]["unsure"].as_u64().is_some_and(|label| label != 0);
    let count = |places: &Value| places.as_array().unwrap().iter().filter(is_unsure).count();
    let found = places(&with);
    assert_eq!(count(&places(&without)), 0);
    assert!(count(&found) > 0, "{found}");
    // "This belongs to what you nearly said" is a stop of the wheel there.
    let place = found.as_array().unwrap().iter().find(is_unsure).unwrap();
    let prompt =
        json!({ "shape": { "point": place["position"] }, "sign": "add", "label": place["reason"]["unsure"] });
    let body = json!({ "operation": "a", "base": 0, "seconds": 1, "action": { "prompt": prompt } });
    let done = operate(&sidecar, with["id"].as_str().unwrap(), &body);
    assert_eq!(done.status, 200, "{done:?}");
    let candidates = done.json()["candidates"].clone();
    let is_known = |one: &Value| one["source"] == "runner_up";
    assert!(candidates.as_array().unwrap().iter().any(is_known), "{candidates}");
}

#[test]
fn what_was_accepted_becomes_a_data_set() {
    let home = tempfile::tempdir().unwrap();
    let output = home.path().join("raw");
    let export = |more: &[&str]| {
        let arguments = [&["dataset", "export", "-o", output.to_str().unwrap()], more].concat();
        crate::support::program::run(home.path(), &arguments)
    };
    assert!(export(&[]).stderr.contains("no structure of any session is accepted"));
    let sidecar = Sidecar::start(home.path(), &[]);
    let patient = Patient::new();
    let (first, second) = (patient.begin(&sidecar), patient.begin(&sidecar));
    patient.begin(&sidecar);
    let click = Action::Prompt(patient.click([16, 14, 12], Sign::Add, Some(1)));
    let steps = [
        (&first, 0, &click),
        (&first, 1, &Action::Accept(Some(1))),
        (&second, 0, &Action::Accept(Some(1))),
        (&second, 1, &Action::Accept(Some(3))),
    ];
    for (session, base, action) in steps {
        let request = Request { operation: format!("operation-{base}"), base, seconds: 4.0 };
        assert_eq!(operate(&sidecar, session, &operation(&request, action, None)).status, 200);
    }
    // While the server runs.
    let ran = export(&[]);
    let folder = output.join("Dataset601_Corrections");
    assert_eq!((ran.code, ran.stdout.trim()), (Some(0), folder.to_str().unwrap()), "{ran:?}");
    let json =
        |name: &str| -> Value { serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap() };
    let dataset = json("dataset.json");
    assert_eq!(dataset["labels"], json!({ "background": 0, "liver": 1, "lump": 2, "ignore": 3 }));
    assert_eq!((&dataset["numTraining"], &dataset["channel_names"]), (&json!(2), &json!({ "0": "CT" })));
    let read = |name: String| {
        let path = folder.join(name);
        formats::read_segmentation(&path, &formats::ReadOptions::default(), &Progress::silent())
            .unwrap()
            .labels
    };
    let case = |session: &str| format!("case_{}", &session[..12]);
    let check = |session: &str, translate: [u8; 4], automatic: [u8; 4]| {
        let (_, labels) = labels(&sidecar, session);
        let found = read(format!("labelsTr/{}.nii.gz", case(session)));
        let expected: Vec<u8> = labels.iter().map(|&label| translate[usize::from(label)]).collect();
        assert!(found.labels.as_slice().unwrap() == expected, "{session}");
        assert!(found.grid.matches(&patient.grid, 1e-3));
        let found = read(format!("automaticTr/{}.nii.gz", case(session)));
        let start = patient.labels.labels.iter().map(|&label| automatic[usize::from(label)]);
        assert!(found.labels.iter().copied().eq(start), "{session}");
    };
    // The stomach is accepted nowhere, and no label of the data set; the first case's lump is not accepted.
    check(&first, [0, 1, 0, 3], [0, 1, 0, 2]);
    check(&second, [0, 1, 0, 2], [0, 1, 0, 2]);
    let path = folder.join(format!("imagesTr/{}_0000.nii.gz", case(&first)));
    let volume = formats::read(&path, &formats::ReadOptions::default(), &Progress::silent()).unwrap().volume;
    assert_eq!(volume.voxels, patient.voxels);
    let lines = std::fs::read_to_string(folder.join("corrections.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let order: Vec<&Value> = lines.iter().map(|line| &line["case"]).collect();
    let (one, two) = (case(&first), case(&second));
    assert_eq!(order, [&one, &one, &two, &two], "in the order in which they were corrected");
    let line =
        lines.iter().find(|line| line["case"] == case(&first) && line["structure"] == "liver").unwrap();
    assert_eq!((lines.len(), &line["status"], &line["clicks"]), (4, &json!("accepted"), &json!(1)));
    assert_eq!(line["seconds"], 8.0);
    let mut mirror = patient.session();
    let request = Request { operation: "operation-0".to_owned(), base: 0, seconds: 4.0 };
    let changed = directly(&mut mirror, &request, &click, None).delta.voxels();
    assert_eq!(line["changed"], json!([{ "from": "background", "to": "liver", "voxels": changed }]));
    let before = line["automatic_voxels"].as_f64().unwrap();
    let dice = 2.0 * before / (2.0 * before + changed as f64);
    assert!((line["dice_of_automatic"].as_f64().unwrap() - dice).abs() < 1e-12, "{line}");
    // The same image is the same patient: always in the same fold.
    let splits = json("splits_final.json");
    let held_out: Vec<usize> =
        splits.as_array().unwrap().iter().map(|fold| fold["val"].as_array().unwrap().len()).collect();
    assert_eq!((held_out.len(), held_out.iter().max()), (5, Some(&2)), "{splits}");
    assert!(export(&[]).stderr.contains("is there already"));
    assert!(export(&["--structure", "stomach", "--id", "7"]).stderr.contains("accepted in no session"));
    assert_eq!(export(&["--structure", "lump", "--id", "7"]).code, Some(0));
    assert_eq!(std::fs::read_dir(output.join("Dataset007_Corrections/labelsTr")).unwrap().count(), 1);
}
