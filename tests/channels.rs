//! `vesalius segment --channel` on DICOM: folders, archives and whole examinations, and which series is which.

use std::fs;
use std::path::Path;

use formats::ReadOptions;
use imaging::Progress;
use serde_json::Value;

use crate::server::uploads::zipped;
use crate::support::channels::{command_line, home, slices, study};
use crate::support::{dicom, program};

/// Writes files into a folder.
fn folder(path: &Path, name: &str, series: &[&[Vec<u8>]]) -> String {
    let folder = path.join(name);
    fs::create_dir_all(&folder).unwrap();
    for (number, file) in series.iter().copied().flatten().enumerate() {
        fs::write(folder.join(format!("{number:03}.dcm")), file).unwrap();
    }
    folder.display().to_string()
}

/// What a run that is refused says.
fn refusal(home: &Path, arguments: &[&str]) -> String {
    let output = home.join("refused.seg.nrrd").display().to_string();
    let fixed = ["segment", "-o", &output, "--task", "stroke", "-d", "cpu"];
    let ran = program::run(home, &[&fixed[..], arguments].concat());
    assert!(ran.code != Some(0) && !Path::new(&output).exists(), "{ran:?}");
    ran.stderr
}

#[test]
fn a_diffusion_series_and_its_adc_map_come_as_folders_archives_or_a_whole_examination() {
    let home = home();
    let path = home.path();
    let (dwi, adc) = study();
    let (dwi_folder, adc_folder) = (folder(path, "dwi", &[&dwi]), folder(path, "adc", &[&adc]));
    let (expected, said) =
        command_line(path, &["-i", &dwi_folder, "--channel", &format!("ADC={adc_folder}")]);
    assert!(expected.counts()[1..].iter().sum::<u64>() > 100, "the network finds something");
    assert!(said.contains("`DiffusionBValue`: 1000"), "which b-value was taken is told: {said}");
    let both = folder(path, "study", &[&dwi, &adc]);
    let archive = path.join("study.zip").display().to_string();
    fs::write(&archive, zipped(&[dwi, adc].concat())).unwrap();
    for input in [&both, &archive] {
        let (labels, said) = command_line(path, &["-i", input]);
        assert_eq!(labels, expected, "{input}");
        assert!(said.contains("note: ADC is the series of 8 slices, MR `ep2d_diff_ADC`"), "{said}");
    }
    let (labels, _) = command_line(path, &["-i", &both, "--channel", &format!("ADC={adc_folder}")]);
    assert_eq!(labels, expected);
    // Two images of one series, one of which is chosen.
    let line =
        ["-i", &dwi_folder, "--channel", &format!("ADC={dwi_folder}"), "--choose", "ADC:DiffusionBValue=0"];
    let (others, _) = command_line(path, &line);
    assert_ne!(others.labels, expected.labels);
}

#[test]
fn series_that_cannot_be_told_apart_are_asked_for() {
    let home = home();
    let path = home.path();
    let (dwi, adc) = study();
    let second = dicom::Slice {
        series: "1.2.826.19",
        patient: "7",
        description: "ADC again",
        image_type: "DERIVED\\SECONDARY",
        ..dicom::Slice::at(0)
    };
    let both = folder(path, "study", &[&dwi, &adc, &slices(false, &second)]);
    let said = refusal(path, &["-i", &both]);
    assert!(said.contains("holds 3 series, and 2 of them are called like ADC"), "{said}");
    assert!(said.contains("--choose ADC:SeriesInstanceUID=1.2.826.19   8 slices, MR `ADC again`"), "{said}");
    let (_, offered) = said.split_once("hint:").unwrap();
    assert!(!offered.contains("ep2d_diff_trace"), "{said}");
    let choose = |uid: &str| format!("ADC:SeriesInstanceUID={uid}");
    let (first, _) = command_line(path, &["-i", &both, "--choose", &choose("1.2.826.18")]);
    let (other, _) = command_line(path, &["-i", &both, "--choose", &choose("1.2.826.19")]);
    assert_ne!(first.labels, other.labels);
    let said = refusal(path, &["-i", &both, "--choose", &choose("1.2.3")]);
    assert!(said.contains("--choose ADC:SeriesInstanceUID=1.2.826.18"), "{said}");
    let said = refusal(path, &["-i", &both, "--choose", "T2:EchoTime=90"]);
    assert!(said.contains("task `stroke` has no channel `T2`"), "{said}");
}

#[test]
fn images_of_others_are_refused() {
    let home = home();
    let path = home.path();
    let (dwi, _) = study();
    let input = folder(path, "dwi", &[&dwi]);
    let series = |patient, study, frame_of_reference, origin| {
        let of = dicom::Slice {
            series: "1.2.826.18",
            patient,
            study,
            frame_of_reference,
            origin,
            ..dicom::Slice::at(0)
        };
        slices(true, &of)
    };
    for (name, files, message) in [
        ("patient", series("8", "1.2.826.7", "1.2.826.9", [-32, -32, 0]), "is of another patient"),
        ("study", series("7", "1.2.826.6", "1.2.826.9", [-32, -32, 0]), "is of another study"),
        ("frame", series("7", "1.2.826.7", "1.2.826.8", [-32, -32, 0]), "has another frame of reference"),
        (
            "place",
            series("7", "1.2.826.7", "1.2.826.9", [-32, -32, 30]),
            "covers only 25 % of the first image",
        ),
    ] {
        let adc = folder(path, name, &[&files]);
        let said = refusal(path, &["-i", &input, "--channel", &format!("ADC={adc}")]);
        assert!(said.contains(&format!("the image for `ADC` {message}")) && said.contains("hint:"), "{said}");
    }
    let said = refusal(path, &["-i", &input]);
    assert!(said.contains("`--input DWI` --channel ADC=PATH"), "{said}");
}

#[test]
fn the_dicom_result_belongs_to_the_first_series_and_the_report_names_both() {
    let home = home();
    let path = home.path();
    let (dwi, adc) = study();
    let input = folder(path, "study", &[&dwi, &adc]);
    let (expected, _) = command_line(path, &["-i", &input]);
    let (output, report) = (path.join("seg.dcm"), path.join("report.json"));
    let (output_text, report_text) = (output.display().to_string(), report.display().to_string());
    let line = [
        "segment",
        "-i",
        &input,
        "-o",
        &output_text,
        "--report",
        &report_text,
        "--task",
        "stroke",
        "-d",
        "cpu",
    ];
    let ran = program::run(path, &line);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let read = formats::read_segmentation(&output, &ReadOptions::default(), &Progress::silent()).unwrap();
    assert_eq!(read.labels.counts()[1..], expected.counts()[1..]);
    let bytes = fs::read(&output).unwrap();
    let has = |uid: &str| bytes.windows(uid.len()).any(|window| window == uid.as_bytes());
    assert!(has(&format!("{}.1000.3", dicom::SERIES)) && !has(&format!("{}.0.3", dicom::SERIES)));
    let report: Value = serde_json::from_slice(&fs::read(&report).unwrap()).unwrap();
    assert_eq!(report["channels"][0]["series"], dicom::SERIES);
    assert_eq!(report["channels"][1]["series"], "1.2.826.18");
    assert_eq!(report["channels"][1]["name"], "ADC");
    assert_eq!(report["channels"][1]["resampled"], false);
}
