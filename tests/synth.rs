//! `vesalius dataset` and `vesalius synth`, from a manifest to nnU-Net's data sets.

use std::path::Path;

use formats::{Sample, Source};
use imaging::{Grid, LabelMap, Progress, Segmentation, Volume};
use ndarray::Array3;
use serde_json::Value;

use crate::support::program;

fn grid() -> Grid {
    Grid { origin: [-80.0, -95.0, -60.0], ..Grid::aligned([40, 48, 30], [4.0; 3]) }
}

/// A head of ellipsoids whose sides differ a little from patient to patient.
fn head(patient: usize) -> Volume {
    let grid = grid();
    let voxels = Array3::from_shape_fn(grid.shape(), |(k, j, i)| {
        let [x, y, z] = grid.world([i as f64, j as f64, k as f64]);
        let shell = |a: f64, b: f64, c: f64| (x / a).powi(2) + (y / b).powi(2) + (z / c).powi(2);
        let shade = patient as f64 + (x / 11.0).cos() * 12.0 + (y / 17.0).sin() * 20.0;
        (match (shell(9.0, 24.0, 14.0) < 1.0, shell(50.0, 66.0, 42.0) < 1.0, shell(64.0, 80.0, 56.0) < 1.0) {
            (true, ..) => 60.0,
            (_, true, _) => 200.0 + shade,
            (_, _, true) => 280.0 + shade,
            _ => 5.0 + ((i * 7 + j * 5 + k * 3 + patient) % 5) as f64,
        }) as f32
    });
    Volume { grid, voxels }
}

/// Writes two donors and two normals, and a manifest without splits.
pub(crate) fn study(folder: &Path, donors: usize, normals: usize) -> String {
    let (source, quiet) = (Source::Memory { modality: Some("MR".to_owned()) }, Progress::silent());
    let mut table = String::from("case,patient,kind,dwi,mask,reviewed\n");
    for n in 0..donors {
        let mut dwi = head(n);
        let mut lesion = LabelMap::background(&dwi.grid);
        for ((k, j, i), label) in lesion.labels.indexed_iter_mut() {
            if (8..12).contains(&i) && (20 + n..26).contains(&j) && (12..18).contains(&k) {
                *label = 1;
                dwi.voxels[[k, j, i]] *= 1.7;
            }
        }
        let mut reviewed = LabelMap::background(&dwi.grid);
        reviewed.labels.slice_axis_mut(ndarray::Axis(0), (0..25).into()).fill(1);
        let path = |name: &str| folder.join(format!("{name}{n}.nii.gz"));
        formats::write_volume(&path("stroke"), &dwi, Sample::F32, &source, &quiet).unwrap();
        for (name, labels) in [("mask", lesion), ("reviewed", reviewed)] {
            let segmentation = Segmentation { labels, segments: Vec::new() };
            formats::write_segmentation(&path(name), &segmentation, &source, &quiet).unwrap();
        }
        table.push_str(&format!("s{n},p{n},clinical,stroke{n}.nii.gz,mask{n}.nii.gz,reviewed{n}.nii.gz\n"));
    }
    for n in 0..normals {
        let path = folder.join(format!("normal{n}.nii.gz"));
        formats::write_volume(&path, &head(10 + n), Sample::F32, &source, &quiet).unwrap();
        table.push_str(&format!("n{n},q{n},normal,normal{n}.nii.gz,,\n"));
    }
    let path = folder.join("study.csv");
    std::fs::write(&path, table).unwrap();
    path.display().to_string()
}

pub(crate) fn bytes(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for part in ["images", "labels"] {
        for entry in std::fs::read_dir(folder.join(part)).unwrap() {
            let path = entry.unwrap().path();
            found.push((
                path.file_name().unwrap().to_string_lossy().into_owned(),
                std::fs::read(&path).unwrap(),
            ));
        }
    }
    found.sort();
    found
}

#[test]
fn from_a_manifest_to_four_data_sets() {
    let home = tempfile::tempdir().unwrap();
    let at = |path: &str| home.path().join(path);
    let text = |path: &str| at(path).display().to_string();
    let manifest = study(home.path(), 6, 4);
    let splits = text("splits.json");
    let run = |arguments: &[&str]| program::run(home.path(), arguments);
    let ran = run(&["dataset", "split", &manifest, "-o", &splits, "--seed", "3", "--validation", "0.2"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);

    let synth = |output: &str, threads: &str, seed: &str| {
        let output = text(output);
        let arguments = ["synth", "--manifest", &manifest, "--splits", &splits, "-o", &output, "-n", "5"];
        run(&[&arguments[..], &["--threads", threads, "--seed", seed]].concat())
    };
    for (output, threads, seed) in [("one", "1", "7"), ("many", "4", "7"), ("other", "4", "8")] {
        let ran = synth(output, threads, seed);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
    assert_eq!(bytes(&at("one")).len(), 10);
    assert_eq!(bytes(&at("one")), bytes(&at("many")), "threads change nothing");
    assert_ne!(bytes(&at("one")), bytes(&at("other")), "seeds do");
    let quality = std::fs::read_to_string(at("one/quality.csv")).unwrap();
    assert!(quality.lines().count() == 6 && !quality.contains("NaN"), "{quality}");
    assert!(synth("one", "1", "7").stderr.contains("holds cases already"));

    let (raw, cases) = (text("raw"), text("one"));
    let build =
        ["dataset", "build", &manifest, "--splits", &splits, "--synthetic", &cases, "-o", &raw, "-n", "3"];
    let ran = run(&[&build[..], &["-m", "9"]].concat());
    assert!(ran.stderr.contains("9 synthetic cases are needed, 5 are there"), "{}", ran.stderr);
    let ran = run(&[&build[..], &["-m", "5"]].concat());
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 4), "{}", ran.stderr);
    let fixed: Value = serde_json::from_slice(&std::fs::read(&splits).unwrap()).unwrap();
    let of_part = |part: &str| {
        let all = fixed["patients"].as_object().unwrap().iter();
        all.filter(|(patient, found)| patient.starts_with('p') && *found == part).count()
    };
    let count = |folder: &str| std::fs::read_dir(at(folder)).unwrap().count();
    for (name, clinical, synthetic) in
        [("501_StrokeC", true, 0), ("502_StrokeS3", false, 3), ("504_StrokeCS5", true, 5)]
    {
        let folder = format!("raw/Dataset{name}");
        let train = synthetic + if clinical { of_part("train") } else { 0 };
        assert_eq!(count(&format!("{folder}/labelsTr")), train + of_part("validation"), "{name}");
        assert_eq!(count(&format!("{folder}/imagesTs")), of_part("test"), "{name}");
        let splits: Value =
            serde_json::from_slice(&std::fs::read(at(&folder).join("splits_final.json")).unwrap()).unwrap();
        assert_eq!(splits[0]["train"].as_array().unwrap().len(), train, "{name}");
        let dataset: Value =
            serde_json::from_slice(&std::fs::read(at(&folder).join("dataset.json")).unwrap()).unwrap();
        assert_eq!(dataset["labels"]["ignore"], 2, "what was not reviewed is ignored");
    }

    // Splits that were touched are splits no more.
    let touched = std::fs::read_to_string(&splits).unwrap().replacen("\"train\"", "\"test\"", 1);
    std::fs::write(&splits, touched).unwrap();
    assert!(synth("late", "1", "7").stderr.contains("was changed after it was made"));
}

#[test]
fn a_patient_in_two_parts_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let manifest = study(home.path(), 2, 1);
    let output = home.path().join("out").display().to_string();
    let synth = ["synth", "--manifest", &manifest, "-o", &output];
    let ran = program::run(home.path(), &synth);
    assert!(ran.stderr.contains("patient `p0` (case `s0`) is in no part of the study"), "{}", ran.stderr);
    let with_parts =
        |rows: &str| std::fs::write(&manifest, format!("case,patient,kind,dwi,mask,split\n{rows}")).unwrap();
    with_parts(
        "s0,p0,clinical,stroke0.nii.gz,mask0.nii.gz,train\ns1,p0,clinical,stroke1.nii.gz,mask1.nii.gz,test\n",
    );
    let ran = program::run(home.path(), &synth);
    assert!(ran.stderr.contains("patient `p0` is in the parts `train` and `test`"), "{}", ran.stderr);
    with_parts(
        "s0,p0,clinical,stroke0.nii.gz,mask0.nii.gz,train\nx,p9,clinical,stroke0.nii.gz,mask0.nii.gz,test\n",
    );
    let ran = program::run(home.path(), &synth);
    assert!(ran.stderr.contains("the image of `s0` and `x` is in the parts"), "{}", ran.stderr);
    assert_eq!(ran.code, Some(1));
    assert!(!Path::new(&output).exists());
}
