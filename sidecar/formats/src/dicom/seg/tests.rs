//! Objects of highdicom and dcmqi against what these read in them, round trips over awkward series, and damage.
//!
//! What others make of our own objects is checked by `tests/reference/dicom_seg/check`.

use std::path::{Path, PathBuf};

use imaging::{Code, Grid, LabelMap, Progress, Segment, Segmentation, Terminology};
use proptest::prelude::*;

use super::{By, Making, read, read_bytes, write};
use crate::dicom::{Attribute, Source, SourceSlice, Withheld};
use crate::error::{Error, Result};
use crate::{ReadOptions, read_segmentation};
use dicom_dictionary_std::tags;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/dicom_seg")
}

fn options() -> ReadOptions {
    ReadOptions::default()
}

/// Compares an object with what highdicom reads in it.
#[track_caller]
fn check(name: &str, options: &ReadOptions) {
    let text = std::fs::read_to_string(folder().join("expected.json")).unwrap();
    let expected = serde_json::from_str::<serde_json::Value>(&text).unwrap()[name].take();
    let path = folder().join(format!("{name}.dcm"));
    let Segmentation { labels, segments } = read_segmentation(&path, options, &Progress::silent()).unwrap();
    let size: [usize; 3] = serde_json::from_value(expected["size"].clone()).unwrap();
    assert_eq!(labels.grid.size, size, "{name}");
    let matrix: [[f64; 4]; 4] = serde_json::from_value(expected["matrix"].clone()).unwrap();
    let apart = labels.grid.matrix().into_iter().flatten().zip(matrix.into_iter().flatten());
    let apart = apart.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(apart < 1e-4, "{name}: {apart} from {matrix:?}");
    let found: String = labels.labels.iter().map(|label| format!("{label:02x}")).collect();
    assert_eq!(found, expected["labels"].as_str().unwrap(), "{name}");
    let mut listed = Vec::new();
    for segment in &segments {
        let terms = segment.terminology.as_ref().unwrap();
        let value = |code: &Option<Code>| code.as_ref().map(|code| code.value.clone());
        listed.push(serde_json::json!({
            "value": segment.value,
            "name": segment.name,
            "type": terms.kind.value,
            "modifier": value(&terms.modifier),
            "region": value(&terms.region),
            "color": segment.color,
        }));
    }
    assert_eq!(serde_json::Value::from(listed), expected["segments"], "{name}");
}

#[test]
fn objects_of_other_programs_are_read_as_they_read_them() {
    for name in ["binary", "labelmap", "fractional", "rle", "dcmqi"] {
        check(name, &options());
    }
}

#[test]
fn overlaps_are_refused_until_one_side_is_chosen() {
    let path = folder().join("overlap.dcm");
    let error = read(&path, &options(), &Progress::silent()).unwrap_err();
    assert_eq!((error.code(), error.choices().len()), ("E_OVERLAP", 2));
    assert!(error.to_string().contains("`Niere längs` and `structure 2` overlap"), "{error}");
    check("overlap", &options().resolved("overlap", "last"));
    let first = read(&path, &options().resolved("overlap", "first"), &Progress::silent()).unwrap();
    let last = read(&path, &options().resolved("overlap", "last"), &Progress::silent()).unwrap();
    let [first, last] = [first, last].map(|segmentation| segmentation.labels.counts());
    assert_eq!((first[1] + first[2], last[1], last[2]), (last[2], 0, first[1] + first[2]));
    let wrong = read(&path, &options().resolved("overlap", "largest"), &Progress::silent()).unwrap_err();
    assert_eq!(wrong.code(), "E_CHOICE");
}

fn segment(value: u8, name: &str, left: bool) -> Segment {
    let code = |value: &str, meaning: &str| Code {
        scheme: "SCT".to_owned(),
        value: value.to_owned(),
        meaning: meaning.to_owned(),
    };
    let terminology = left.then(|| Terminology {
        category: code("123037004", "Anatomical Structure"),
        kind: code("64033007", "Kidney"),
        modifier: Some(code("7771000", "Left")),
        region: Some(code("113345001", "Abdomen")),
        region_modifier: None,
    });
    Segment { value, name: name.to_owned(), color: [value, 200 - value, 77], terminology }
}

fn making() -> Making {
    Making {
        description: "result".to_owned(),
        by: By::Program,
        algorithm: "total".to_owned(),
        version: "1".to_owned(),
        origin: "here".to_owned(),
        parameters: "none".to_owned(),
        software: "0.1.0".to_owned(),
    }
}

/// A series whose slices lie on the planes of `grid`.
fn source(grid: &Grid) -> Source {
    let slice = |k: usize| SourceSlice {
        sop_class_uid: "1.2.840.10008.5.1.4.1.1.2".to_owned(),
        sop_instance_uid: format!("1.2.3.{k}"),
        frame: None,
        position: grid.world([0.0, 0.0, k as f64]),
        k: k as f64,
    };
    Source {
        study_instance_uid: "1.2.4".to_owned(),
        series_instance_uid: "1.2.5".to_owned(),
        frame_of_reference_uid: "1.2.6".to_owned(),
        modality: "CT".to_owned(),
        series_description: Withheld::default(),
        attributes: vec![Attribute { tag: tags::PATIENT_NAME, vr: *b"UN", value: b"CANARY".to_vec() }],
        slices: (0..grid.size[2]).map(slice).collect(),
    }
}

/// Labels that differ from voxel to voxel: 0, 1, 5 and, on few slices, 200.
fn labels(grid: &Grid) -> LabelMap {
    let mut labels = LabelMap::background(grid);
    for ((k, j, i), label) in labels.labels.indexed_iter_mut() {
        *label = match (i * 7 + j * 3 + k * 5) % 6 {
            0 | 1 => 1,
            2 => 5,
            3 if k % 3 == 1 => 200,
            _ => 0,
        };
    }
    labels
}

fn segmentation(grid: &Grid) -> Segmentation {
    let segments = vec![segment(1, "a", true), segment(5, "b", false), segment(200, "läsion 大", false)];
    Segmentation { labels: labels(grid), segments }
}

/// The bytes that are written.
fn bytes(segmentation: &Segmentation, source: &Source) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.dcm");
    write(&path, segmentation, source, &making(), &Progress::silent())?;
    Ok(std::fs::read(path).unwrap())
}

#[test]
fn what_is_written_comes_back_from_every_way_to_lie() {
    let (sine, cosine) = 0.3f64.sin_cos();
    let oblique = [[0.7 * cosine, 0.7 * sine, 0.0], [-0.9 * sine, 0.9 * cosine, 0.0], [0.4, 0.1, 2.5]];
    for (size, axes) in [
        ([8, 7, 5], [[0.5, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 1.0]]),
        // An odd number of pixels: masks begin within bytes.
        ([5, 7, 6], oblique),
        ([3, 3, 4], [[-1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, -3.0, 0.0]]),
        ([16, 1, 3], [[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-2.0, 0.0, 0.0]]),
    ] {
        let grid = Grid::new(size, axes, [-120.25, 33.5, 901.125]).unwrap();
        let segmentation = segmentation(&grid);
        let written = bytes(&segmentation, &source(&grid)).unwrap();
        assert_eq!(written, bytes(&segmentation, &source(&grid)).unwrap(), "same input, same bytes");
        assert_eq!(written.len() % 2, 0);
        let read = read_bytes(written, &options(), &Progress::silent()).unwrap();
        assert!(read.labels.grid.matches(&grid, 1e-6), "{grid:?} {:?}", read.labels.grid);
        // Numbers follow each other from 1.
        let mut renumbered = [0; 256];
        (renumbered[1], renumbered[5], renumbered[200]) = (1, 2, 3);
        let mut expected = segmentation.labels.clone();
        expected.translate(&renumbered);
        assert_eq!(read.labels.labels, expected.labels, "{size:?}");
        for (back, (value, given)) in read.segments.iter().zip((1..).zip(&segmentation.segments)) {
            assert_eq!(*back, Segment { value, ..given.clone() });
        }
    }
}

#[test]
fn labels_follow_the_slices_of_an_uneven_series() {
    let grid = Grid::aligned([8, 4, 9], [1.0, 1.0, 1.0]);
    let mut source = source(&grid);
    // Slices at 0, 2, 4.4 and 8 of a grid of 9 planes.
    source.slices.retain(|slice| [0.0, 2.0, 4.0, 8.0].contains(&slice.k));
    source.slices[2].k = 4.4;
    source.slices[2].position = grid.world([0.0, 0.0, 4.4]);
    let mut labels = LabelMap::background(&grid);
    for (k, mut plane) in labels.labels.outer_iter_mut().enumerate() {
        plane[[k % 4, k % 8]] = 1;
    }
    let segmentation = Segmentation { labels, segments: vec![segment(1, "a", true)] };
    let written = bytes(&segmentation, &source).unwrap();
    let error = read_bytes(written.clone(), &options(), &Progress::silent()).unwrap_err();
    assert_eq!(error.code(), "E_GEOM_INVALID", "such frames lie on no even grid");
    // 32 pixels a frame, the last bytes of the object.
    let masks = written[written.len() - 16..].as_chunks::<4>().0.iter();
    let set: Vec<u32> = masks.map(|mask| u32::from_le_bytes(*mask).trailing_zeros()).collect();
    assert_eq!(set, [0, 8 * 2 + 2, 4, 0].map(|at| at as u32), "planes 0, 2, 4 and 8");
}

#[test]
fn what_cannot_be_right_is_refused() {
    let grid = Grid::aligned([8, 4, 3], [1.0, 1.0, 2.0]);
    let code = |segmentation: &Segmentation, source: &Source| match bytes(segmentation, source) {
        Err(Error::Encode { detail }) => detail,
        other => panic!("{other:?}"),
    };
    let good = segmentation(&grid);
    let mut unlisted = good.clone();
    unlisted.segments.remove(1);
    assert_eq!(code(&unlisted, &source(&grid)), "label 5 belongs to no segment");
    let mut elsewhere = source(&grid);
    elsewhere.slices[1].position[0] += 1.0;
    assert!(code(&good, &elsewhere).contains("slice 2 is 1.00 mm away"));
    elsewhere.slices[1].position[0] = f64::NAN;
    code(&good, &elsewhere);
    let mut nameless = source(&grid);
    nameless.slices[2].sop_instance_uid.clear();
    assert!(code(&good, &nameless).contains("slice 3"));
    nameless = source(&grid);
    nameless.series_instance_uid.clear();
    code(&good, &nameless);
    let skewed = Grid::new([8, 4, 3], [[1.0, 0.0, 0.0], [0.1, 1.0, 0.0], [0.0, 0.0, 2.0]], [0.0; 3]).unwrap();
    assert!(code(&segmentation(&skewed), &source(&skewed)).contains("perpendicular"));
    let cancelled = Progress::silent();
    cancelled.cancel();
    let path = tempfile::tempdir().unwrap();
    let path = path.path().join("out.dcm");
    let error = write(&path, &good, &source(&grid), &making(), &cancelled).unwrap_err();
    assert_eq!((error.code(), path.exists()), ("E_CANCELLED", false));
}

#[test]
fn nothing_found_is_an_answer_too() {
    let grid = Grid::aligned([4, 4, 3], [1.0, 1.0, 2.0]);
    let empty = Segmentation { labels: LabelMap::background(&grid), ..segmentation(&grid) };
    // One frame each, all on the first slice, so the distance between slices comes from the object.
    let read = read_bytes(bytes(&empty, &source(&grid)).unwrap(), &options(), &Progress::silent()).unwrap();
    assert_eq!(read.segments.len(), 3);
    assert!(read.labels.labels.iter().all(|label| *label == 0));
    assert_eq!(read.labels.grid.spacing(), [1.0, 1.0, 2.0]);
}

#[test]
fn other_content_has_other_identifiers() {
    let grid = Grid::aligned([4, 4, 3], [1.0, 1.0, 2.0]);
    let identifier = |segmentation: &Segmentation, source: &Source| {
        let bytes = bytes(segmentation, source).unwrap();
        let at = bytes.windows(8).position(|eight| eight == [8, 0, 0x18, 0, b'U', b'I', 44, 0]);
        String::from_utf8(bytes[at.unwrap() + 8..at.unwrap() + 52].to_vec()).unwrap()
    };
    let one = segmentation(&grid);
    let mut two = one.clone();
    two.labels.labels[[0, 0, 0]] ^= 1;
    let mut three = one.clone();
    three.segments[0].name = "c".to_owned();
    let mut renamed = source(&grid);
    renamed.attributes[0].value = b"OTHER ".to_vec();
    let first = identifier(&one, &source(&grid));
    assert!(first.starts_with("2.25."), "{first}");
    for other in
        [identifier(&two, &source(&grid)), identifier(&three, &source(&grid)), identifier(&one, &renamed)]
    {
        assert_ne!(first, other);
    }
}

#[test]
fn what_is_no_segmentation_is_refused() {
    let code = |bytes: Vec<u8>| read_bytes(bytes, &options(), &Progress::silent()).unwrap_err().code();
    assert_eq!(code(b"not DICOM".to_vec()), "E_PARSE");
    let image = folder().join("../dicom/mr_rle.dcm");
    assert_eq!(code(std::fs::read(image).unwrap()), "E_UNSUPPORTED_TYPE");
    let whole = std::fs::read(folder().join("binary.dcm")).unwrap();
    assert_eq!(code(whole[..whole.len() - 100].to_vec()), "E_TRUNCATED");
    let path = folder().join("binary.dcm");
    let mut small = options();
    small.limits.voxels = 100;
    assert_eq!(read(&path, &small, &Progress::silent()).unwrap_err().code(), "E_LIMIT");
}

/// Cases for each property, as elsewhere in this crate: more with `PROPTEST_CASES`.
fn fixtures() -> Vec<Vec<u8>> {
    let names = ["binary", "labelmap", "fractional", "rle", "overlap", "dcmqi"];
    names.iter().map(|name| std::fs::read(folder().join(format!("{name}.dcm"))).unwrap()).collect()
}

proptest! {
    #[test]
    fn damaged_objects_are_errors_never_panics(
        which in 0usize..6,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = fixtures().swap_remove(which);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(segmentation) = read_bytes(bytes, &options(), &Progress::silent()) {
            let highest = segmentation.labels.labels.iter().max().copied().unwrap_or(0);
            prop_assert!(segmentation.segments.iter().any(|segment| segment.value == highest) || highest == 0);
        }
    }
}
