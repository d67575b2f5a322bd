//! What a job gives: the labels of the command line, on the grid of the question, whatever that is.

use std::path::Path;

use formats::{ReadOptions, Sample, Source};
use imaging::{Grid, Progress, Volume};
use serde_json::json;

use super::{follow, has_ended, header, home, image, start, upload};
use crate::cli::reference;
use crate::support::program;
use crate::support::sidecar::Sidecar;

#[test]
fn a_job_gives_the_labels_of_the_command_line() {
    let home = home();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    let (voxels, grid) = image("example_ct_sm.nii.gz");
    let volume = upload(&sidecar, &header(&grid), &voxels);
    let job = start(&sidecar, &volume, "fastest");
    let last = follow(&sidecar, &job, has_ended);
    assert_eq!(last["state"], "done", "{last}");

    let output = home.path().join("seg.nii.gz");
    let input = reference("golden/input/example_ct_sm.nii.gz");
    let output_text = output.to_str().unwrap();
    let ran = program::run(
        home.path(),
        &["segment", "-i", &input, "-o", output_text, "--ml", "-ta", "total", "-ff", "-d", "cpu", "-q"],
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let read =
        |path: &Path| formats::read_segmentation(path, &ReadOptions::default(), &Progress::silent()).unwrap();
    let expected = read(&output).labels;
    let labels = sidecar.get(&format!("/v1/jobs/{job}/labels"));
    assert_eq!(labels.body, expected.labels.as_slice().unwrap());
    assert!(labels.body.iter().any(|&label| label != 0), "the networks find something");

    let table = sidecar.get(&format!("/v1/jobs/{job}/segmentation")).json();
    let counts = expected.counts();
    assert_eq!(table["segments"].as_array().unwrap().len(), 117);
    for row in table["segments"].as_array().unwrap() {
        let voxels = counts[row["value"].as_u64().unwrap() as usize];
        assert_eq!(row["voxels"], voxels, "{row}");
        let ml = voxels as f64 * grid.determinant().abs() / 1000.0;
        assert!((row["volume_ml"].as_f64().unwrap() - ml).abs() < 1e-9, "{row}");
    }
    assert_eq!(table["segments"][4]["id"], "total.liver");
    assert_eq!(table["segments"][4]["terminology"]["type"]["value"], "10200004");
    for (format, name) in [("nifti", "a.nii.gz"), ("seg.nrrd", "a.seg.nrrd")] {
        let file = home.path().join(name);
        std::fs::write(&file, sidecar.get(&format!("/v1/jobs/{job}/labels?format={format}")).body).unwrap();
        assert_eq!(read(&file).labels.labels, expected.labels, "{format}");
    }
}

#[test]
fn the_built_in_model_gives_the_labels_of_the_command_line() {
    let home = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    let (voxels, grid) = image("example_ct_sm.nii.gz");
    let volume = upload(&sidecar, &header(&grid), &voxels);
    let job = sidecar.post("/v1/jobs", &json!({ "volume": volume, "task": "headneck" })).json();
    let job = job["id"].as_str().unwrap();
    assert_eq!(follow(&sidecar, job, has_ended)["state"], "done");
    let input = reference("golden/input/example_ct_sm.nii.gz");
    let output = home.path().join("seg.seg.nrrd");
    let arguments = [
        "segment",
        "-q",
        "-i",
        &input,
        "-o",
        output.to_str().unwrap(),
        "--ml",
        "-ta",
        "headneck",
        "-d",
        "cpu",
    ];
    let ran = program::run(home.path(), &arguments);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let expected = formats::read_segmentation(&output, &ReadOptions::default(), &Progress::silent()).unwrap();
    let labels = sidecar.get(&format!("/v1/jobs/{job}/labels")).body;
    assert_eq!(labels, expected.labels.labels.as_slice().unwrap());
}

#[test]
fn every_geometry_and_type_gives_the_labels_of_the_command_line() {
    let home = home();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    let path = reference("golden/input/example_ct_sm.nii.gz");
    let image = formats::read(Path::new(&path), &ReadOptions::default(), &Progress::silent()).unwrap().volume;
    let check = |name: &str, axes: [[f64; 3]; 3], space: &str, sample: Sample, dtype: &str| {
        let grid = Grid::new(image.grid.size, axes, [12.5, -30.25, 700.0]).unwrap();
        let least = if sample == Sample::U8 { 0.0 } else { -1024.0 };
        let voxels = image
            .voxels
            .mapv(|value| value.clamp(least, if sample == Sample::U8 { 255.0 } else { 3000.0 }).round());
        let bytes: Vec<u8> = match sample {
            Sample::U8 => voxels.iter().map(|&value| value as u8).collect(),
            Sample::I16 => voxels.iter().flat_map(|&value| (value as i16).to_le_bytes()).collect(),
            _ => voxels.iter().flat_map(|value| value.to_le_bytes()).collect(),
        };
        let mut header = header(&grid);
        header["dtype"] = dtype.into();
        header["space"] = space.into();
        if space == "RAS" {
            let signs = (0..16).map(|at| if at < 8 { -1.0 } else { 1.0 });
            header["ijk_to_world"] =
                grid.matrix().concat().into_iter().zip(signs).map(|(m, sign)| m * sign).collect();
        }
        let volume = upload(&sidecar, &header, &bytes);
        let job = start(&sidecar, &volume, "fastest");
        assert_eq!(follow(&sidecar, &job, has_ended)["state"], "done");
        sidecar.delete(&format!("/v1/volumes/{volume}"));

        let (input, output) = (home.path().join("image.nrrd"), home.path().join("seg.seg.nrrd"));
        let source = Source::Memory { modality: None };
        formats::write_volume(&input, &Volume { grid, voxels }, sample, &source, &Progress::silent())
            .unwrap();
        let arguments = [
            "-i",
            input.to_str().unwrap(),
            "-o",
            output.to_str().unwrap(),
            "--ml",
            "-ta",
            "total",
            "-ff",
            "-d",
            "cpu",
        ];
        let ran = program::run(home.path(), &[&["segment", "-q"], arguments.as_slice()].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let expected =
            formats::read_segmentation(&output, &ReadOptions::default(), &Progress::silent()).unwrap();
        let labels = sidecar.get(&format!("/v1/jobs/{job}/labels")).body;
        assert_eq!(labels, expected.labels.labels.as_slice().unwrap(), "{name} {space} {dtype}");
    };
    let geometries = [
        ("straight", [[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 3.0]]),
        ("oblique", [[2.4, 1.8, 0.0], [-1.8, 2.4, 0.0], [0.0, 0.0, 3.0]]),
        ("left-handed", [[-3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 3.0]]),
        ("axes exchanged", [[0.0, 0.0, -3.0], [3.0, 0.0, 0.0], [0.0, 3.0, 0.0]]),
        ("sheared, as a tilted gantry makes it", [[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.6, 2.9]]),
        ("anisotropic", [[1.7, 0.0, 0.0], [0.0, 2.6, 0.0], [0.0, 0.0, 4.5]]),
        ("feet first, face down", [[-3.0, 0.0, 0.0], [0.0, -3.0, 0.0], [0.0, 0.0, -3.0]]),
    ];
    let types =
        [("int16", Sample::I16, "LPS"), ("uint8", Sample::U8, "RAS"), ("float32", Sample::F32, "RAS")];
    for (name, axes) in geometries {
        for (dtype, sample, space) in types {
            check(name, axes, space, sample, dtype);
        }
    }
}

#[test]
fn a_region_and_a_choice_of_structures_are_kept_to() {
    let home = home();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    let (voxels, grid) = image("example_ct_sm.nii.gz");
    let mut header = header(&grid);
    header["name"] = "CANARY^NAME".into();
    let volume = upload(&sidecar, &header, &voxels);
    let region = [[10, 90], [20, 80], [5, 25]];
    let names = ["liver", "spleen", "aorta"];
    let job = json!({ "volume": volume, "task": "total", "speed": "fastest", "structures": names, "region": region });
    let job = sidecar.post("/v1/jobs", &job).json()["id"].as_str().unwrap().to_owned();
    assert_eq!(follow(&sidecar, &job, has_ended)["state"], "done");
    let table = sidecar.get(&format!("/v1/jobs/{job}/segmentation")).json();
    let rows = table["segments"].as_array().unwrap();
    let values: Vec<u64> = rows.iter().map(|row| row["value"].as_u64().unwrap()).collect();
    assert_eq!(rows.len(), names.len(), "{rows:?}");
    let labels = sidecar.get(&format!("/v1/jobs/{job}/labels")).body;
    for (at, label) in labels.into_iter().enumerate().filter(|(_, label)| *label != 0) {
        let [i, j, k] =
            [at % grid.size[0], at / grid.size[0] % grid.size[1], at / grid.size[0] / grid.size[1]];
        let inside = [i, j, k].iter().zip(region).all(|(at, [from, to])| (from..to).contains(at));
        assert!(inside && values.contains(&u64::from(label)), "{label} at {:?}", [i, j, k]);
    }
    // Nothing that tells who the patient is is kept.
    let mut folders = vec![home.path().join("run")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                assert!(!bytes.windows(6).any(|window| window == b"CANARY"), "{}", path.display());
            }
        }
    }
}

/// Two who asked for the same file at a time wrote it under one name, and one of them found it gone.
#[test]
fn many_may_ask_for_the_same_file_at_a_time() {
    let home = home();
    let sidecar = Sidecar::start(home.path(), &["--device", "cpu"]);
    let (voxels, grid) = image("example_ct_sm.nii.gz");
    let volume = upload(&sidecar, &header(&grid), &voxels);
    let job = start(&sidecar, &volume, "fastest");
    assert_eq!(follow(&sidecar, &job, has_ended)["state"], "done");
    let path = format!("/v1/jobs/{job}/labels?format=seg.nrrd");
    let replies: Vec<_> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..8).map(|_| scope.spawn(|| sidecar.get(&path))).collect();
        asked.into_iter().map(|reply| reply.join().unwrap()).collect()
    });
    let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, [200; 8]);
    assert!(replies.iter().all(|reply| reply.body == replies[0].body));
    let left: Vec<_> = std::fs::read_dir(home.path().join("run/spool/jobs").join(&job)).unwrap().collect();
    assert!(left.len() <= 4, "{left:?}");
}
