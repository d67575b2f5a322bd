//! Awkward and hostile files, one by one from a table whose truth comes from nibabel and ITK, and at random.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use imaging::Progress;
use proptest::prelude::*;

use crate::{Error, Image, Limits, ReadOptions, Result, read_bytes};

/// A row of the table that `tests/reference/formats/make.py` writes.
struct Case {
    row: String,
    name: String,
    /// `ok`, or the code of the error.
    expect: String,
    warnings: Vec<String>,
    modality: Option<String>,
    reads: Vec<Truth>,
    data: Vec<u8>,
}

/// What another program makes of a file.
struct Truth {
    choice: Option<[String; 2]>,
    /// Rows of the matrix from index to LPS+ millimetres.
    matrix: Vec<f64>,
    /// Sum, sum weighted by place, and the voxels 0, 5 and last.
    values: Vec<f64>,
}

fn numbers(value: &serde_json::Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn truth(value: &serde_json::Value) -> Truth {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    Truth {
        choice: value["choice"].as_array().map(|pair| [text(&pair[0]), text(&pair[1])]),
        matrix: value["matrix"].as_array().unwrap().iter().flat_map(numbers).collect(),
        values: numbers(&value["values"]),
    }
}

fn cases() -> Vec<Case> {
    let text = include_str!("../../../tests/reference/formats/cases.json");
    let table: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
    let string = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let case = |value: &serde_json::Value| Case {
        row: string(&value["row"]),
        name: string(&value["name"]),
        expect: string(&value["expect"]),
        warnings: value["warnings"].as_array().unwrap().iter().map(string).collect(),
        modality: value["modality"].as_str().map(str::to_owned),
        reads: value["reads"].as_array().unwrap().iter().map(truth).collect(),
        data: unhex(value["data"].as_str().unwrap()),
    };
    table.iter().map(case).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn read(bytes: &[u8], options: &ReadOptions) -> Result<Image> {
    read_bytes(bytes, options, &Progress::silent())
}

fn code(result: &Result<Image>) -> &str {
    result.as_ref().map_or_else(Error::code, |_| "ok")
}

fn check_truth(label: &str, image: &Image, truth: &Truth) {
    let rows = image.volume.grid.matrix();
    let matrix: Vec<f64> = rows[..3].iter().flatten().copied().collect();
    let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-5;
    assert!(matrix.iter().zip(&truth.matrix).all(close), "{label}: {matrix:?}, expected {:?}", truth.matrix);
    let voxels: Vec<f64> = image.volume.voxels.iter().map(|&value| f64::from(value)).collect();
    let weighted = voxels.iter().enumerate().map(|(index, value)| index as f64 * value).sum();
    let values = [voxels.iter().sum(), weighted, voxels[0], voxels[5], voxels[voxels.len() - 1]];
    let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-9 * (1.0 + b.abs());
    assert!(values.iter().zip(&truth.values).all(close), "{label}: {values:?}, expected {:?}", truth.values);
}

#[test]
fn every_awkward_file_is_read_right_or_refused() {
    let cases = cases();
    assert!(cases.len() > 150);
    for case in &cases {
        let label = format!("{} {}", case.row, case.name);
        let options = ReadOptions { modality: case.modality.clone(), ..ReadOptions::default() };
        let result = read(&case.data, &options);
        assert_eq!(code(&result), case.expect, "{label}: {result:?}");
        if let Ok(image) = &result {
            let codes: Vec<&str> = image.warnings.iter().map(|warning| warning.code).collect();
            assert_eq!(codes, case.warnings, "{label}");
        }
        let offered = result.as_ref().err().map(Error::choices).unwrap_or_default();
        for truth in &case.reads {
            let options = match &truth.choice {
                Some([key, value]) => {
                    let found = offered.iter().any(|choice| choice.key == key && choice.value == *value);
                    assert!(found, "{label}: {key}={value} is not among {offered:?}");
                    options.clone().resolved(key, value)
                }
                None => options.clone(),
            };
            let image = read(&case.data, &options).unwrap_or_else(|error| panic!("{label}: {error}"));
            check_truth(&label, &image, truth);
        }
    }
}

#[test]
fn a_choice_that_is_not_offered_is_refused() {
    for case in cases().iter().filter(|case| !case.reads.is_empty() && case.expect != "ok") {
        let key = if case.expect == "E_NOT_3D" { "volume" } else { "geometry" };
        let result = read(&case.data, &ReadOptions::default().resolved(key, "nonsense"));
        assert_eq!(code(&result), "E_CHOICE", "{} {}", case.row, case.name);
        assert!(!result.unwrap_err().choices().is_empty(), "{} {}", case.row, case.name);
    }
}

#[test]
fn every_cut_of_a_good_file_is_an_error() {
    for case in
        cases().iter().filter(|case| ["sform", "gz", "raw", "gzip", "nifti_2"].contains(&case.name.as_str()))
    {
        for length in 0..case.data.len() {
            let result = read(&case.data[..length], &ReadOptions::default());
            assert!(result.is_err(), "{} cut to {length} bytes", case.name);
        }
    }
}

/// A header for 8 x 6 x 4 voxels followed by zeros, packed.
fn packed_zeros(zeros: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let good = cases().into_iter().find(|case| case.name == "sform").unwrap();
    encoder.write_all(&good.data).unwrap();
    for _ in 0..zeros / (1 << 20) {
        encoder.write_all(&[0; 1 << 20]).unwrap();
    }
    encoder.finish().unwrap()
}

/// N23: what is unpacked is bounded by what is declared.
#[test]
fn a_bomb_is_refused_early() {
    let bomb = packed_zeros(256 << 20);
    let start = std::time::Instant::now();
    assert_eq!(code(&read(&bomb, &ReadOptions::default())), "E_BOMB");
    assert!(start.elapsed().as_millis() < 500, "most of the bomb was unpacked: {:?}", start.elapsed());
}

#[test]
fn limits_are_checked_before_memory_is_asked_for() {
    let good = cases().into_iter().find(|case| case.name == "sform").unwrap();
    let few = Limits { voxels: 191, ..Limits::default() };
    assert_eq!(code(&read(&good.data, &ReadOptions { limits: few, ..ReadOptions::default() })), "E_LIMIT");
    let short = Limits { side: 7, ..Limits::default() };
    assert_eq!(code(&read(&good.data, &ReadOptions { limits: short, ..ReadOptions::default() })), "E_LIMIT");
}

#[test]
fn a_reader_stops_when_asked() {
    let progress = Progress::silent();
    progress.cancel();
    let good = cases().into_iter().find(|case| case.name == "sform").unwrap();
    let result = read_bytes(&good.data, &ReadOptions::default(), &progress);
    assert_eq!(code(&result), "E_CANCELLED");
}

/// Any result is one that can be worked with, whatever the bytes were.
fn check_result(result: Result<Image>) {
    match result {
        Ok(image) => {
            let volume = image.volume;
            assert_eq!(volume.voxels.shape(), volume.grid.shape());
            assert!(volume.voxels.iter().all(|value| value.is_finite()));
            assert!(volume.grid.matrix().iter().flatten().all(|value| value.is_finite()));
        }
        Err(error) => assert!(error.code().starts_with("E_") && !error.to_string().is_empty()),
    }
}

#[test]
fn twenty_thousand_mutations_never_panic() {
    let cases = cases();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let interesting = [0, 1, 0x7f, 0x80, 0xff, b'-', b'9', b'e', b'(', b'\n'];
    for _ in 0..20_000 {
        let case = &cases[random(cases.len())];
        let mut bytes = case.data.clone();
        for _ in 0..=random(4) {
            if bytes.is_empty() {
                break;
            }
            let at = random(bytes.len());
            match random(4) {
                0 => bytes[at] = interesting[random(interesting.len())],
                1 => bytes[at] ^= 1 << random(8),
                2 => bytes.truncate(at),
                _ => bytes.insert(at, random(256) as u8),
            }
        }
        let options = ReadOptions::default();
        let options = match random(3) {
            0 => options.resolved("geometry", "sform").resolved("volume", "1"),
            1 => options.resolved("geometry", "slicer"),
            _ => options,
        };
        check_result(read(&bytes, &options));
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(start in 0usize..5, bytes in prop::collection::vec(any::<u8>(), 0..800)) {
        let magics: [&[u8]; 5] = [b"", &[0x5c, 1, 0, 0], &[0x1f, 0x8b, 8, 0], b"NRRD0004\n", b"PK\x03\x04"];
        let bytes = [magics[start], &bytes].concat();
        check_result(read(&bytes, &ReadOptions::default()));
    }
}
