//! The result lies on the voxels it came from: 48 orientations of straight, oblique and sheared grids, from file to file.
//!
//! Each image is the same patient stored in another axis order. However it is stored, the canonical image that the
//! network sees is the same, so every voxel of the result must be the same too, exactly.

use std::path::Path;

use engine::{
    Device, Engine, ModelStore, Precision, Runtime, RuntimeOptions, SegmentOptions, Speed, catalogue,
};
use formats::{ReadOptions, Sample, Source};
use imaging::{Grid, LabelMap, Orientation, Progress, Volume};
use ndarray::Array3;

/// A patient of 30 x 26 x 22 voxels that no turn and no reflection leaves as it is.
fn patient(grid: Grid) -> Volume {
    let [nk, nj, ni] = grid.shape();
    let voxels = Array3::from_shape_fn((nk, nj, ni), |(k, j, i)| {
        let [x, y, z] = [i as f32, j as f32, k as f32];
        (400.0 * (0.31 * x + 0.05 * y).sin() + 300.0 * (0.23 * y + 0.11 * z).cos() + 9.0 * x - 7.0 * y
            + 5.0 * z)
            .round()
    });
    Volume { grid, voxels }
}

/// Through a NIfTI file, the engine, and a NIfTI label map.
fn segmented(engine: &Engine, volume: &Volume, folder: &Path) -> LabelMap {
    let (silent, options) = (Progress::silent(), ReadOptions::default());
    let (image_path, labels_path) = (folder.join("image.nii"), folder.join("labels.nii.gz"));
    formats::write_volume(&image_path, volume, Sample::I16, &Source::Memory { modality: None }, &silent)
        .unwrap();
    let image = formats::read(&image_path, &options, &silent).unwrap();
    assert_eq!(image.volume.voxels, volume.voxels);
    let fastest = SegmentOptions { speed: Speed::Fastest, ..SegmentOptions::default() };
    let task = catalogue::task("total").unwrap();
    let outcome = engine.segment(&image.volume, task, &fastest, &silent).unwrap();
    assert_eq!(outcome.segmentation.labels.grid, image.volume.grid);
    formats::write_segmentation(&labels_path, &outcome.segmentation, &image.source, &silent).unwrap();
    let read = formats::read_segmentation(&labels_path, &options, &silent).unwrap().labels;
    assert!(read.grid.matches(&volume.grid, 1e-3), "{:?} instead of {:?}", read.grid, volume.grid);
    LabelMap { grid: volume.grid.clone(), labels: read.labels }
}

fn check(axes: [[f64; 3]; 3]) {
    let home = tempfile::tempdir().unwrap();
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/golden/weights");
    let options =
        RuntimeOptions { device: Device::Cpu, precision: Precision::Fp32, ..RuntimeOptions::default() };
    let store = ModelStore::new(home.path().join("models"), vec![weights]);
    let engine = Engine::new(store, Runtime::open(&options).unwrap());

    let base = patient(Grid::new([30, 26, 22], axes, [-87.5, 61.0, 415.25]).unwrap());
    let truth = segmented(&engine, &base, home.path());
    assert!(truth.counts().iter().filter(|&&count| count > 0).count() > 10, "the phantom shows too little");
    for orientation in Orientation::all() {
        let turned = base.reoriented(orientation);
        let labels = segmented(&engine, &turned, home.path()).reoriented_like(&base.grid).unwrap();
        assert!(labels.labels == truth.labels, "{orientation}: labels moved");
    }
}

#[test]
fn straight_in_48_orientations() {
    check([[-6.0, 0.0, 0.0], [0.0, -6.0, 0.0], [0.0, 0.0, 6.0]]);
}

#[test]
fn oblique_in_48_orientations() {
    let (sine, cosine) = (0.3f64.sin() * 6.0, 0.3f64.cos() * 6.0);
    check([[-cosine, sine, 0.0], [-sine, -cosine, 0.0], [0.0, 0.0, 6.0]]);
}

#[test]
fn sheared_in_48_orientations() {
    check([[-6.0, 0.0, 0.0], [0.0, -6.0, 0.0], [0.0, 1.5, 6.0]]);
}
