//! A small network of two channels, DWI and ADC, with random weights, and images for it.

use std::fs;
use std::path::{Path, PathBuf};

use formats::{ReadOptions, Sample, Source};
use imaging::{Grid, LabelMap, Progress, Volume};
use ndarray::Array3;
use serde_json::json;

use super::{dicom, program};
use crate::cli::reference;

/// A home with the task `stroke`, whose card names two thresholds.
pub fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("made/Dataset501_Stroke");
    copy(Path::new(&reference("nnunet/variants/Dataset901_Regions")), &folder, &|text| {
        let text = text.replace("\"CT\"", "\"DWI\"").replace("\"PET\"", "\"ADC\"");
        text.replace("CTNormalization", "ZScoreNormalization")
            .replace("Dataset901_Regions", "Dataset501_Stroke")
    });
    let import =
        ["models", "import", &folder.display().to_string(), "--licence", "CC0-1.0", "--name", "stroke"];
    let ran = program::run(home.path(), &import);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let kept = models(home.path()).into_iter().find(|path| path.ends_with("stroke.vesalius")).unwrap();
    let mut model = nnunet::load(&kept).unwrap();
    let point = |name: &str, threshold: f64| {
        json!({ "name": name, "threshold": threshold, "dice": 0.5, "sensitivity": 0.75, "precision": 0.5,
            "false_ml_per_case": 1.5, "n": 3 })
    };
    model.source.card =
        Some(json!({ "operating_points": [point("sensitive", 0.25), point("specific", 0.75)] }));
    nnunet::save(&model, &kept, nnunet::Precision::Exact).unwrap();
    home
}

/// All files below the folder of models.
fn models(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(models(&path)) } else { found.push(path) }
    }
    found
}

fn copy(from: &Path, to: &Path, change: &dyn Fn(String) -> String) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy(&path, &to, change);
        } else if path.extension().is_some_and(|ending| ending == "json") {
            fs::write(&to, change(fs::read_to_string(&path).unwrap())).unwrap();
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

/// The value of a made-up brain at a place in LPS millimetres: DWI bright where ADC is dark.
pub fn value(is_adc: bool, [x, y, z]: [f64; 3]) -> f32 {
    let off = |center: [f64; 3]| -> f64 {
        [x, y, z].iter().zip(center).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    };
    let head = off([0.0, 0.0, 18.0]) < 28.0;
    let lesion = off([9.0, -4.0, 16.0]) < 9.0;
    let noise = ((x * 1.7 + y * 2.3 + z * 3.1).sin() * 12.0).round() as f32;
    let level = match (is_adc, lesion) {
        (false, false) => 60.0,
        (false, true) => 160.0,
        (true, false) => 120.0,
        (true, true) => 40.0,
    };
    if head { level + noise } else { 0.0 }
}

/// That brain on a grid.
pub fn brain(is_adc: bool, grid: &Grid) -> Volume {
    let shape = grid.shape();
    let voxels =
        Array3::from_shape_fn(shape, |(k, j, i)| value(is_adc, grid.world([i, j, k].map(|a| a as f64))));
    Volume { grid: grid.clone(), voxels }
}

/// The grid of the main image.
pub fn grid() -> Grid {
    Grid::new([30, 28, 9], [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 4.0]], [-29.0, -27.0, 0.0]).unwrap()
}

/// Another one that holds most of it: turned about z, finer, cut at one end.
pub fn other_grid() -> Grid {
    Grid::new([40, 44, 10], [[0.0, 1.5, 0.0], [-1.5, 0.0, 0.0], [0.0, 0.0, 3.0]], [31.0, -31.0, 2.0]).unwrap()
}

/// Writes a volume as NRRD, which keeps every digit of its grid.
pub fn write(path: &Path, volume: &Volume) -> String {
    let source = Source::Memory { modality: None };
    formats::write_volume(path, volume, Sample::F32, &source, &Progress::silent()).unwrap();
    path.display().to_string()
}

/// The labels of the command line, and what it says.
pub fn command_line(home: &Path, arguments: &[&str]) -> (LabelMap, String) {
    let output = home.join("expected.seg.nrrd");
    let output_text = output.display().to_string();
    let fixed = ["segment", "-o", &output_text, "--ml", "--task", "stroke", "-d", "cpu"];
    let ran = program::run(home, &[&fixed[..], arguments].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let read = formats::read_segmentation(&output, &ReadOptions::default(), &Progress::silent()).unwrap();
    (read.labels, ran.stderr)
}

/// Slices of the made-up brain, whose grid is that of the DICOM writer; `more` is what the series is called.
pub fn slices(is_adc: bool, more: &dicom::Slice) -> Vec<Vec<u8>> {
    let b = more.b.unwrap_or(1000.0);
    let slice = |k: usize| {
        let uid = format!("{}.{b}.{k}", more.series);
        let place = |at: usize| [(at % dicom::SIDE) as f64, (at / dicom::SIDE) as f64, k as f64];
        let [x, y, z] = more.origin.map(f64::from);
        let level = |at: usize| {
            let [i, j, k] = place(at);
            let bright = value(is_adc, [x + 2.0 * i, y + 2.0 * j, z + 5.0 * k]);
            // Diffusion weighting darkens everything.
            (f64::from(bright.max(0.0)) * if b < 1.0 { 2.0 } else { 1.0 }) as u16
        };
        dicom::Slice { k, uid, ..more.clone() }.file(level)
    };
    (0..8).map(slice).collect()
}

/// A diffusion series with b 0 and 1000, and the ADC map made of it.
pub fn study() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let of = |b: f64| dicom::Slice {
        b: Some(b),
        patient: "7",
        description: "ep2d_diff_trace",
        ..dicom::Slice::at(0)
    };
    let adc = dicom::Slice {
        series: "1.2.826.18",
        patient: "7",
        description: "ep2d_diff_ADC",
        image_type: "DERIVED\\PRIMARY\\DIFFUSION\\ADC",
        ..dicom::Slice::at(0)
    };
    let dwi = [0.0, 1000.0].into_iter().flat_map(|b| slices(false, &of(b))).collect();
    (dwi, slices(true, &adc))
}
