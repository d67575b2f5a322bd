//! Writes and reads DICOM segmentations, for `tests/reference/dicom_seg/check`.
//!
//! `write SERIES OUT`: a segmentation whose labels are the intensities of the series. `read IN`: what it holds, as
//! JSON, with the labels in hexadecimal. `speed OUT [SLICES]`: 117 structures on 512 x 512 x 300 voxels.

use std::path::Path;
use std::time::Instant;

use formats::dicom::{self, Source, SourceSlice, seg};
use formats::{ReadOptions, Result};
use imaging::{Code, Grid, LabelMap, Progress, Segment, Segmentation, Terminology};
use ndarray::Zip;
use serde_json::json;

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["write", series, out] => write(Path::new(series), Path::new(out)),
        ["read", path, choices @ ..] => read(Path::new(path), choices),
        ["speed", out] => speed(Path::new(out), 300),
        ["speed", out, slices] => speed(Path::new(out), slices.parse().unwrap_or(300)),
        _ => {
            say("usage: write SERIES OUT | read IN [KEY=VALUE] | speed OUT [SLICES]");
            return std::process::ExitCode::from(2);
        }
    };
    match done {
        Ok(text) => {
            say(&text);
            std::process::ExitCode::SUCCESS
        }
        Err(error) => {
            say(&json!({"code": error.code(), "error": error.to_string()}).to_string());
            std::process::ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "an example")]
fn say(text: &str) {
    println!("{text}");
}

/// The structures that the labels 1 to 6 stand for: plain, left and right, a lesion in a region, and one without codes.
fn segments() -> Vec<Segment> {
    let code = |value: &str, meaning: &str| Code {
        scheme: "SCT".to_owned(),
        value: value.to_owned(),
        meaning: meaning.to_owned(),
    };
    let anatomy = || code("123037004", "Anatomical Structure");
    let terms = |category, kind, modifier, region, region_modifier| {
        Some(Terminology { category, kind, modifier, region, region_modifier })
    };
    let (left, right) = (|| code("7771000", "Left"), || code("24028007", "Right"));
    let kidney = || code("64033007", "Kidney");
    let lesion = code("49755003", "Morphologically Altered Structure");
    let segment =
        |value, name: &str, color, terminology| Segment { value, name: name.to_owned(), color, terminology };
    vec![
        segment(1, "spleen", [157, 108, 162], terms(anatomy(), code("78961009", "Spleen"), None, None, None)),
        segment(2, "kidney_right", [212, 126, 151], terms(anatomy(), kidney(), Some(right()), None, None)),
        segment(3, "kidney_left", [212, 126, 151], terms(anatomy(), kidney(), Some(left()), None, None)),
        segment(
            4,
            "kidney_cyst_left",
            [205, 205, 100],
            terms(lesion, code("367643001", "Cyst"), None, Some(kidney()), Some(left())),
        ),
        segment(7, "own_structure", [0, 255, 0], None),
        segment(200, "never_there", [255, 255, 255], None),
    ]
}

fn making() -> seg::Making {
    seg::Making {
        description: "Vesalius phantom".to_owned(),
        by: seg::By::Program,
        algorithm: "phantom".to_owned(),
        version: "0.1.0".to_owned(),
        origin: "https://example.org".to_owned(),
        parameters: "model_sha256=0".to_owned(),
        software: "0.1.0".to_owned(),
    }
}

fn write(series: &Path, out: &Path) -> Result<String> {
    let progress = Progress::silent();
    let series = dicom::read_folder(series, &dicom::Options::default(), &progress)?;
    let mut labels = LabelMap::background(&series.volume.grid);
    Zip::from(&mut labels.labels)
        .and(&series.volume.voxels)
        .for_each(|label, value| *label = value.round().clamp(0.0, 255.0) as u8);
    let segmentation = Segmentation { labels, segments: segments() };
    seg::write(out, &segmentation, &series.source, &making(), &progress)?;
    Ok(json!({"slices": series.source.slices.len(), "grid": series.volume.grid}).to_string())
}

fn read(path: &Path, choices: &[&str]) -> Result<String> {
    let options = choices
        .iter()
        .filter_map(|choice| choice.split_once('='))
        .fold(ReadOptions::default(), |options, (key, value)| options.resolved(key, value));
    let began = Instant::now();
    let Segmentation { labels, segments } = formats::read_segmentation(path, &options, &Progress::silent())?;
    let seconds = began.elapsed().as_secs_f64();
    let large = labels.labels.len() > 1 << 20;
    let voxels = || labels.labels.iter().map(|label| format!("{label:02x}")).collect::<String>();
    let voxels = if large { String::new() } else { voxels() };
    let counts = labels.counts();
    let counts: Vec<u64> = segments.iter().map(|segment| counts[usize::from(segment.value)]).collect();
    let grid = &labels.grid;
    Ok(json!({"grid": grid, "segments": segments, "counts": counts, "labels": voxels, "seconds": seconds})
        .to_string())
}

/// Blobs side by side, 117 of them, most of the volume, as in the whole body.
fn speed(out: &Path, slices: usize) -> Result<String> {
    let grid = Grid::aligned([512, 512, slices], [0.8, 0.8, 1.5]);
    let mut labels = LabelMap::background(&grid);
    for ((k, j, i), label) in labels.labels.indexed_iter_mut() {
        let (u, v, w) = (i / 60, j / 60, k * 5 / slices.max(1));
        let away = (i % 60).abs_diff(30).pow(2) + (j % 60).abs_diff(30).pow(2);
        let which = (u + 8 * v + 29 * w) % 117 + 1;
        *label = if u < 8 && v < 8 && away < 700 { which as u8 } else { 0 };
    }
    let slice = |k: usize| SourceSlice {
        sop_class_uid: "1.2.840.10008.5.1.4.1.1.2".to_owned(),
        sop_instance_uid: format!("1.2.826.0.1.3680043.10.543.1.{k}"),
        frame: None,
        position: [0.0, 0.0, 1.5 * k as f64],
        k: k as f64,
    };
    let source = Source {
        study_instance_uid: "1.2.826.0.1.3680043.10.543.2".to_owned(),
        series_instance_uid: "1.2.826.0.1.3680043.10.543.3".to_owned(),
        frame_of_reference_uid: "1.2.826.0.1.3680043.10.543.4".to_owned(),
        modality: "CT".to_owned(),
        series_description: dicom::Withheld::default(),
        attributes: Vec::new(),
        slices: (0..slices).map(slice).collect(),
    };
    let all = segments();
    let segments = (1..=117u8).map(|value| Segment {
        value,
        name: format!("structure_{value}"),
        ..all[usize::from(value) % 4].clone()
    });
    let segmentation = Segmentation { labels, segments: segments.collect() };
    let began = Instant::now();
    seg::write(out, &segmentation, &source, &making(), &Progress::silent())?;
    Ok(format!("{:.2} s", began.elapsed().as_secs_f64()))
}
