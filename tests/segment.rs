//! `vesalius segment` from file to file, with a small model of random weights.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use formats::ReadOptions;
use imaging::Progress;
use serde_json::Value;

use crate::cli::reference;
use crate::support::{dicom, program};

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

#[test]
fn a_dicom_series_gives_a_dicom_segmentation() {
    let home = home();
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("seg.dcm");
    let run = |input: &str, types: &str| {
        let path = output.to_str().unwrap();
        let model = ["-ta", "total", "-ff", "-d", "cpu", "-q", "-ot", types];
        program::run(home.path(), &[&["segment", "-i", input, "-o", path], &model[..]].concat())
    };
    let series = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(reference("golden/input/example_ct_dicom")).unwrap() {
        let path = entry.unwrap().path();
        let file = dicom::identified(&std::fs::read(&path).unwrap());
        std::fs::write(series.path().join(path.file_name().unwrap()), file).unwrap();
    }
    let series = series.path().to_str().unwrap();
    let ran = run(series, "dicom-seg,nrrd");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(names(folder.path()), ["seg.dcm", "seg.seg.nrrd"]);
    let read = |name: &str| {
        let path = folder.path().join(name);
        formats::read_segmentation(&path, &ReadOptions::default(), &Progress::silent()).unwrap()
    };
    let (object, nrrd) = (read("seg.dcm"), read("seg.seg.nrrd"));
    let voxels = |segmentation: &imaging::Segmentation| {
        let counts = segmentation.labels.counts();
        let of = |segment: &imaging::Segment| (segment.name.clone(), counts[usize::from(segment.value)]);
        segmentation.segments.iter().map(of).filter(|(_, count)| *count > 0).collect::<Vec<_>>()
    };
    assert_eq!(voxels(&object), voxels(&nrrd));
    assert!(object.segments.iter().all(|segment| segment.terminology.is_some()));
    // Empty slices have no frames, so the grid may begin later; its voxels lie where those of the image do.
    let first = nrrd.labels.grid.index(object.labels.grid.origin);
    assert!(first.iter().all(|index| (index - index.round()).abs() < 1e-6), "{first:?}");
    let once = std::fs::read(&output).unwrap();
    run(series, "dicom_seg");
    assert!(once == std::fs::read(&output).unwrap(), "the same input gave other bytes");
    let ran = run(&reference("golden/input/example_ct_sm.nii.gz"), "dicom-seg");
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("a DICOM segmentation belongs to a DICOM series"), "{ran:?}");
    let ran = run(&reference("golden/input/example_ct_dicom"), "dicom-seg");
    assert!(ran.stderr.contains("no study or series instance UID"), "{ran:?}");
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
