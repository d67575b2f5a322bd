//! `vesalius evaluate`, from folders of label maps to a report.

use std::path::Path;

use formats::Source;
use imaging::{Grid, LabelMap, Progress, Segmentation};
use serde_json::Value;

use crate::support::program;

/// Writes a label map with a box of each label: `(label, first i, last i)`.
fn write(path: &Path, boxes: &[(u8, usize, usize)], grid: &Grid) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut labels = LabelMap::background(grid);
    for ((_, _, i), label) in labels.labels.indexed_iter_mut() {
        if let Some((value, _, _)) = boxes.iter().find(|(_, first, last)| (*first..=*last).contains(&i)) {
            *label = *value;
        }
    }
    let segmentation = Segmentation { labels, segments: Vec::new() };
    let source = Source::Memory { modality: None };
    formats::write_segmentation(path, &segmentation, &source, &Progress::silent()).unwrap();
}

fn grid() -> Grid {
    Grid::aligned([20, 6, 5], [1.0, 1.0, 2.0])
}

#[test]
fn a_report_holds_every_rater_and_its_three_lines() {
    let home = tempfile::tempdir().unwrap();
    let at = |path: &str| home.path().join(path);
    // Five patients: found, half found, missed, rightly empty, falsely found.
    let truth: [&[_]; 5] = [&[(1, 2, 5)], &[(1, 2, 5)], &[(1, 2, 5)], &[], &[]];
    let model: [&[_]; 5] = [&[(1, 2, 5)], &[(1, 4, 7)], &[], &[], &[(1, 9, 9)]];
    for n in 0..5 {
        write(&at(&format!("truth/case{n}.nii.gz")), truth[n], &grid());
        write(&at(&format!("model/case{n}.nii.gz")), model[n], &grid());
        write(&at(&format!("reader/case{n}.nii.gz")), truth[n], &grid());
    }
    let path = |name: &str| at(name).display().to_string();
    let (t, m, r, o) = (path("truth"), format!("ours={}", path("model")), path("reader"), path("report"));
    let ran =
        program::run(home.path(), &["evaluate", "--truth", &t, "--prediction", &m, "--reader", &r, "-o", &o]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.stdout.lines().count(), 4, "{}", ran.stdout);
    let report: Value = serde_json::from_slice(&std::fs::read(at("report/report.json")).unwrap()).unwrap();
    let lines = report["lines"].as_array().unwrap();
    let dice = |rater: u64, subset: &str| {
        let line = lines.iter().find(|line| line["rater"] == rater && line["subset"] == subset).unwrap();
        (line["cases"].as_u64().unwrap(), line["metrics"]["dice"]["mean"].as_f64().unwrap())
    };
    assert_eq!(dice(0, "all"), (5, 0.5));
    assert_eq!(dice(0, "truth_positive"), (3, 0.5));
    assert_eq!(dice(0, "truth_negative"), (2, 0.5));
    assert_eq!(dice(1, "all"), (5, 1.0));
    let any_voxel = &report["detection"][0]["cases"][0];
    let share = |name: &str| (any_voxel[name]["k"].as_u64().unwrap(), any_voxel[name]["n"].as_u64().unwrap());
    assert_eq!((share("sensitivity"), share("specificity")), ((2, 3), (1, 2)));
    assert_eq!(report["mcnemar"][0]["only_reader"], 2);
    let page = std::fs::read_to_string(at("report/report.html")).unwrap();
    assert!(page.contains("ours") && page.contains("2 / 3 = 66.7 %"), "{page}");
    for outside in ["<script", "http://", "https://", "src=", "@import", "NaN", "inf"] {
        assert!(!page.contains(outside), "the page holds `{outside}`");
    }
    let table = std::fs::read_to_string(at("report/cases.csv")).unwrap();
    assert_eq!(table.lines().count(), 11);
}

#[test]
fn many_structures_from_files_and_from_folders_of_masks_are_the_same() {
    let home = tempfile::tempdir().unwrap();
    let at = |path: &str| home.path().join(path);
    write(&at("truth/a.nii.gz"), &[(1, 0, 3), (2, 6, 9)], &grid());
    std::fs::write(at("truth/labels.json"), r#"{"1": "liver", "2": "spleen"}"#).unwrap();
    write(&at("masks/a/liver.nii.gz"), &[(1, 0, 3)], &grid());
    write(&at("masks/a/spleen.nii.gz"), &[(1, 7, 10)], &grid());
    let path = |name: &str| at(name).display().to_string();
    let (truth, masks, report) = (path("truth"), path("masks"), path("report"));
    let arguments = ["evaluate", "--truth", &truth, "--prediction", &masks, "-o", &report];
    let ran = program::run(home.path(), &arguments);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let table = std::fs::read_to_string(at("report/cases.csv")).unwrap();
    let dice: Vec<&str> = table.lines().skip(1).map(|line| line.split(',').nth(9).unwrap()).collect();
    assert_eq!(dice, ["1", "0.75"]);
    write(&at("masks/a/spleen.nii.gz"), &[(1, 3, 10)], &grid());
    let ran = program::run(home.path(), &arguments);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("the masks `liver` and `spleen` overlap"), "{}", ran.stderr);
}

#[test]
fn what_does_not_fit_is_refused_in_a_sentence() {
    let home = tempfile::tempdir().unwrap();
    let at = |path: &str| home.path().join(path);
    write(&at("truth/a.nii.gz"), &[(1, 0, 3)], &grid());
    write(&at("model/a.nii.gz"), &[(1, 0, 3)], &Grid::aligned([20, 6, 5], [1.0, 1.0, 2.5]));
    write(&at("other/b.nii.gz"), &[(1, 0, 3)], &grid());
    let path = |name: &str| at(name).display().to_string();
    let (truth, report) = (path("truth"), path("report"));
    for (prediction, extra, says) in [
        ("model", None, "the grids differ: [20, 6, 5] voxels of 1.000 x 1.000 x 2.500 mm"),
        ("other", None, "`other` has no segmentation of case `a`"),
        ("nowhere", None, "cannot read"),
        ("model", Some("--structure=heart"), "the grids differ"),
    ] {
        let prediction = path(prediction);
        let mut arguments = vec!["evaluate", "--truth", &truth, "--prediction", &prediction, "-o", &report];
        arguments.extend(extra);
        let ran = program::run(home.path(), &arguments);
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        assert!(ran.stderr.contains(says) && ran.stderr.contains("hint: "), "{}", ran.stderr);
        assert!(!at("report").exists());
    }
    let other = path("other");
    let arguments =
        ["evaluate", "--truth", &truth, "--prediction", &other, "-o", &report, "--missing-as-empty"];
    assert_eq!(program::run(home.path(), &arguments).code, Some(0));
}
