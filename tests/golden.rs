//! End to end against the real TotalSegmentator: fourteen results with small random-weight models.
//!
//! Every stage but the network is bit-exact, so what differs comes from the last digits of the network alone; random
//! weights put near-ties everywhere, and still at least 99.9 % of the voxels must be equal.

use std::path::{Path, PathBuf};

use engine::{
    Device, Engine, ModelStore, Precision, Runtime, RuntimeOptions, SegmentOptions, Speed, Upsampling,
    catalogue,
};
use imaging::{IndexBox, LabelMap, Orientation, Progress, Volume};

/// Voxels that must be equal.
const EQUAL: f64 = 0.999;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/golden")
}

fn volume(input: &str) -> Volume {
    let image = formats::read(
        &folder().join("input").join(input),
        &formats::ReadOptions::default(),
        &Progress::silent(),
    );
    image.unwrap().volume
}

fn labels(path: &str) -> LabelMap {
    let image = formats::read(&folder().join(path), &formats::ReadOptions::default(), &Progress::silent());
    let Volume { grid, voxels } = image.unwrap().volume;
    LabelMap { grid, labels: voxels.mapv(|value| value as u8) }
}

/// Segments `input` with `task` and compares with `out/<name>.nii.gz`.
fn check(name: &str, input: &str, task: &str, options: SegmentOptions) {
    let home = tempfile::tempdir().unwrap();
    let store = ModelStore::new(home.path().join("models"), vec![folder().join("weights")]);
    let options_of_runtime =
        RuntimeOptions { device: Device::Cpu, precision: Precision::Fp32, ..RuntimeOptions::default() };
    let runtime = Runtime::open(&options_of_runtime).unwrap();
    let engine = Engine::new(store, runtime);
    let volume = volume(input);
    let task = catalogue::task(task).unwrap();
    let outcome = engine.segment(&volume, task, &options, &Progress::silent()).unwrap();
    let ours = outcome.segmentation.labels;
    assert_eq!(ours.grid, volume.grid, "the result lies on the grid of the question");

    let truth = labels(&format!("out/{name}.nii.gz"));
    let canonical = |labels: &LabelMap| labels.reoriented(Orientation::RAS);
    let (ours, truth) = (canonical(&ours), canonical(&truth));
    assert_eq!(ours.labels.dim(), truth.labels.dim());
    let equal = ours.labels.iter().zip(&truth.labels).filter(|(a, b)| a == b).count() as f64;
    let share = equal / truth.labels.len() as f64;
    println!("{name}: {:.4} % of the voxels are equal", 100.0 * share);
    assert!(share >= EQUAL, "{name}: only {:.4} % equal", 100.0 * share);
}

fn fast() -> SegmentOptions {
    SegmentOptions { speed: Speed::Fast, ..SegmentOptions::default() }
}

#[test]
fn padded() {
    check("fast_ct_sm", "example_ct_sm.nii.gz", "total", fast());
}

#[test]
fn windows_in_three_axes() {
    check("fast_ct", "example_ct.nii.gz", "total", fast());
}

#[test]
fn another_orientation() {
    check("fast_mr_lps", "example_mr_sm.nii.gz", "total", fast());
}

#[test]
fn dicom() {
    check("fast_dicom", "example_ct_dicom", "total", fast());
}

#[test]
fn dicom_with_cubic_resampling() {
    check("fast_dicom_order3", "example_ct_dicom", "total", SegmentOptions { resampling_order: 3, ..fast() });
}

#[test]
fn dicom_with_masks_interpolated_back() {
    check(
        "fast_dicom_legacy_ho",
        "example_ct_dicom",
        "total",
        SegmentOptions { upsampling: Upsampling::Masks, ..fast() },
    );
}

#[test]
fn dicom_with_scores_interpolated_back() {
    check(
        "fast_dicom_ho",
        "example_ct_dicom",
        "total",
        SegmentOptions { upsampling: Upsampling::Scores, ..fast() },
    );
}

#[test]
fn three_thirds() {
    check("fast_ct_split", "example_ct.nii.gz", "total", SegmentOptions { force_split: true, ..fast() });
}

#[test]
fn six_millimetres() {
    check(
        "fastest_ct_sm",
        "example_ct_sm.nii.gz",
        "total",
        SegmentOptions { speed: Speed::Fastest, ..fast() },
    );
}

#[test]
fn five_models_merged() {
    check("total_ct_sm", "example_ct_sm.nii.gz", "total", SegmentOptions::default());
}

#[test]
fn residual_encoder() {
    check("resenc_ct_sm", "example_ct_sm.nii.gz", "total_v3", fast());
}

#[test]
fn two_folds_in_the_box_of_the_liver() {
    let liver = labels("input/liver.nii.gz");
    let region = liver.foreground_box().unwrap().grown_mm(20.0, &liver.grid);
    let options = SegmentOptions { region: Some(region), ..SegmentOptions::default() };
    check("aniso_2folds_crop", "example_ct_sm.nii.gz", "pleural_pericard_effusion", options);
}

#[test]
fn resampling_by_nnunet() {
    let region = Some(IndexBox::whole(&volume("example_ct_dicom").grid));
    check(
        "iso_nnunet_resample_crop",
        "example_ct_dicom",
        "hip_implant",
        SegmentOptions { region, ..SegmentOptions::default() },
    );
}

#[test]
fn body_cleaned_up() {
    check("body6", "example_ct.nii.gz", "body", fast());
}
