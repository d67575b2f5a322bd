//! `vesalius segment` from file to file, with a small model of random weights.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use formats::ReadOptions;
use imaging::Progress;
use serde_json::Value;

use crate::cli::reference;
use crate::support::program;

/// A home in which `total --fastest` and `total --fast` can run.
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

/// Names in a folder, hidden ones too.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn structures_statistics_picture_and_report() {
    let home = home();
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("seg");
    let report = folder.path().join("report.json");
    let input = reference("golden/input/example_ct_sm.nii.gz");
    let shown = |path: &Path| path.to_str().unwrap().to_owned();
    let ran = program::run(
        home.path(),
        &[
            "segment",
            "-i",
            &input,
            "-o",
            &shown(&output),
            "-ta",
            "total",
            "-ff",
            "-rs",
            "liver",
            "spleen",
            "-s",
            "-sii",
            "-sx",
            "-p",
            "-rp",
            &shown(&report),
            "-d",
            "cpu",
        ],
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let written = ["spleen.nii.gz", "liver.nii.gz", "statistics.json", "preview_total.png"];
    let mut expected: Vec<String> = written.iter().map(|name| shown(&output.join(name))).collect();
    expected.push(shown(&report));
    assert_eq!(ran.stdout.lines().collect::<Vec<_>>(), expected);
    assert_eq!(names(&output), ["liver.nii.gz", "preview_total.png", "spleen.nii.gz", "statistics.json"]);

    let read = |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let statistics = std::fs::read_to_string(output.join("statistics.json")).unwrap();
    assert!(statistics.starts_with("{\n    \"spleen\": {\n        \"volume\": "), "{statistics}");
    let report = read(&report);
    let model = &report["models"][0];
    assert_eq!(model["sha256"].as_str().unwrap().len(), 64, "{model}");
    assert_eq!((&report["task"], &report["classes"][1]["name"]), (&"total".into(), &"liver".into()));
    assert_eq!(report["outputs"].as_array().unwrap().len(), 4);

    // The mask has as many voxels as the report and the statistics say.
    let liver =
        formats::read(&output.join("liver.nii.gz"), &ReadOptions::default(), &Progress::silent()).unwrap();
    let voxels = liver.volume.voxels.iter().filter(|&&value| value == 1.0).count();
    assert_eq!(report["classes"][1]["voxels"], voxels);
    assert_eq!(read(&output.join("statistics.json"))["liver"]["n_voxels"], voxels);
}

#[test]
fn one_file_with_all_structures_in_both_formats() {
    let home = home();
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("seg.nii.gz");
    let input = reference("golden/input/example_ct_sm.nii.gz");
    let arguments = [
        "segment",
        "-i",
        &input,
        "-o",
        output.to_str().unwrap(),
        "--ml",
        "-ta",
        "total",
        "-ff",
        "-ot",
        "nifti,nrrd",
        "-q",
    ];
    let ran = program::run(home.path(), &arguments);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(names(folder.path()), ["seg.nii.gz", "seg.seg.nrrd"]);
    let read = |name: &str| {
        let path = folder.path().join(name);
        formats::read_segmentation(&path, &ReadOptions::default(), &Progress::silent()).unwrap()
    };
    let (nifti, nrrd) = (read("seg.nii.gz"), read("seg.seg.nrrd"));
    assert_eq!(nifti.labels.counts(), nrrd.labels.counts());
    assert_eq!((nifti.segments.len(), nifti.segments[4].name.as_str()), (117, "liver"));
    assert_eq!((nrrd.segments.len(), nrrd.segments[4].name.as_str()), (117, "liver"));
}

/// Sends the signal of Ctrl-C once the networks run.
#[cfg(unix)]
#[test]
fn ctrl_c_stops_and_leaves_nothing() {
    let home = home();
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("seg");
    let input = reference("golden/input/example_ct.nii.gz");
    let mut child = program::command(home.path())
        .args(["segment", "-i", &input, "-o", output.to_str().unwrap(), "-ta", "total", "-f", "-d", "cpu"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let first = lines.find(|line| line.starts_with("reading"));
    assert!(first.is_some(), "the program says that it reads");
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let rest: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{rest:?}");
    assert!(rest.iter().any(|line| line.contains("nothing half-written")), "{rest:?}");
    assert_eq!(names(folder.path()), [""; 0]);
}
