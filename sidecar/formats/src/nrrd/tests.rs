//! What is written comes back, bit by bit.

use imaging::{Code, Grid, LabelMap, Progress, Segment, Segmentation, Terminology, Volume};
use ndarray::Array3;
use proptest::prelude::*;

use super::{write_segmentation, write_volume};
use crate::{ReadOptions, Sample, read, read_header, read_segmentation};

fn code(value: &str, meaning: &str) -> Code {
    Code { scheme: "SCT".to_owned(), value: value.to_owned(), meaning: meaning.to_owned() }
}

fn segments() -> Vec<Segment> {
    let category = code("123037004", "Anatomical Structure");
    let kidney = Terminology {
        category: category.clone(),
        kind: code("64033007", "Kidney"),
        modifier: Some(code("24028007", "Right")),
        region: None,
        region_modifier: None,
    };
    let lesion = Terminology {
        category: code("49755003", "Morphologically Altered Structure"),
        kind: code("4147007", "Mass"),
        modifier: None,
        region: Some(code("12738006", "Brain")),
        region_modifier: Some(code("7771000", "Left")),
    };
    vec![
        Segment { value: 2, name: "kidney_right".into(), color: [185, 102, 83], terminology: Some(kidney) },
        Segment { value: 7, name: "a:=b \\ c".into(), color: [1, 255, 0], terminology: Some(lesion) },
        Segment { value: 255, name: "empty".into(), color: [0, 0, 128], terminology: None },
    ]
}

fn oblique() -> Grid {
    let axes = [[0.6, 0.8, 0.0], [-1.6, 1.2, 0.1 + 0.2], [0.0, 0.0, -2.999_999_999_999_9]];
    Grid::new([6, 5, 4], axes, [1.0 / 3.0, -200.1, 1e-7]).unwrap()
}

fn segmentation() -> Segmentation {
    let grid = oblique();
    let mut labels = Array3::zeros(grid.shape());
    labels[[1, 2, 3]] = 2;
    labels[[3, 4, 5]] = 2;
    labels[[0, 0, 0]] = 7;
    Segmentation { labels: LabelMap { grid, labels }, segments: segments() }
}

#[test]
fn a_segmentation_comes_back_with_its_terminology() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("result.seg.nrrd");
    let segmentation = segmentation();
    write_segmentation(&path, &segmentation, &Progress::silent()).unwrap();
    let back = read_segmentation(&path, &ReadOptions::default(), &Progress::silent()).unwrap();
    assert_eq!(back.labels, segmentation.labels);
    assert_eq!(back.segments, segmentation.segments);
}

/// The lines that Slicer looks for, as Slicer 5 writes them.
#[test]
fn the_fields_are_those_of_slicer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("result.seg.nrrd");
    write_segmentation(&path, &segmentation(), &Progress::silent()).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    for line in [
        "space: left-posterior-superior",
        "kinds: domain domain domain",
        "Segment0_ID:=Segment_2",
        "Segment0_Name:=kidney_right",
        "Segment0_LabelValue:=2",
        "Segment0_Layer:=0",
        "Segment0_Extent:=3 5 2 4 1 3",
        "Segment0_Tags:=TerminologyEntry:Segmentation category and type - 3D Slicer General Anatomy list\
         ~SCT^123037004^Anatomical Structure~SCT^64033007^Kidney~SCT^24028007^Right\
         ~Anatomic codes - DICOM master list~^^~^^|",
        "Segment2_Extent:=0 -1 0 -1 0 -1",
        "Segmentation_ContainedRepresentationNames:=Binary labelmap|",
        "Segmentation_ReferenceImageExtentOffset:=0 0 0",
    ] {
        assert!(text.lines().any(|found| found == line), "`{line}` is missing");
    }
}

/// Slicer before 4.11 wrote a layer for each segment, in which its voxels are 1.
#[test]
fn layers_of_old_files_can_be_chosen() {
    let mut bytes = b"NRRD0004\ntype: unsigned char\ndimension: 4\nspace: left-posterior-superior\nsizes: 2 2 2 2\n\
        space directions: none (1,0,0) (0,1,0) (0,0,1)\nkinds: list domain domain domain\nencoding: raw\n\
        space origin: (0,0,0)\nSegment0_ID:=one\nSegment0_Name:=first\nSegment1_ID:=two\nSegment1_Name:=second\n\
        Segment1_Color:=1 0.5 0\n\n"
        .to_vec();
    bytes.extend((0..16).map(|value| u8::from(value % 5 == 0)));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.seg.nrrd");
    std::fs::write(&path, bytes).unwrap();
    let options = ReadOptions::default();
    let error = read_segmentation(&path, &options, &Progress::silent()).unwrap_err();
    assert_eq!((error.code(), error.choices().len()), ("E_NOT_3D", 2));
    let options = options.resolved("volume", "1");
    let layer = read_segmentation(&path, &options, &Progress::silent()).unwrap();
    let second = Segment { value: 1, name: "second".into(), color: [255, 128, 0], terminology: None };
    assert_eq!(layer.segments, [second]);
    let expected: Vec<u8> = (0..8).map(|voxel| u8::from((2 * voxel + 1) % 5 == 0)).collect();
    assert_eq!(layer.labels.labels.iter().copied().collect::<Vec<u8>>(), expected);
}

#[test]
fn what_is_no_label_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for value in [0.5, -1.0, 256.0] {
        let path = folder.path().join("image.nrrd");
        let grid = Grid::aligned([2, 2, 2], [1.0; 3]);
        let volume = Volume { voxels: Array3::from_elem(grid.shape(), value), grid };
        write_volume(&path, &volume, Sample::F32, &Progress::silent()).unwrap();
        let error = read_segmentation(&path, &ReadOptions::default(), &Progress::silent()).unwrap_err();
        assert_eq!(error.code(), "E_INTENSITY");
    }
}

proptest! {
    #[test]
    fn every_grid_comes_back_exactly(
        diagonal in prop::array::uniform3(0.1..9.0f64),
        skew in prop::array::uniform3(-0.04..0.04f64),
        origin in prop::array::uniform3(-900.0..900.0f64),
        values in prop::collection::vec(-3000i16..3000, 24),
    ) {
        let [a, b, c] = diagonal;
        let [x, y, z] = skew;
        let grid = Grid::new([4, 3, 2], [[a, x, 0.0], [0.0, -b, y], [z, 0.0, c]], origin).unwrap();
        let values = values.iter().map(|&value| f32::from(value)).collect();
        let volume = Volume { voxels: Array3::from_shape_vec(grid.shape(), values).unwrap(), grid };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image.nrrd");
        for sample in [Sample::I16, Sample::F32] {
            write_volume(&path, &volume, sample, &Progress::silent()).unwrap();
            let back = read(&path, &ReadOptions::default(), &Progress::silent()).unwrap();
            prop_assert_eq!(&back.volume, &volume);
            let info = read_header(&path, &ReadOptions::default(), &Progress::silent()).unwrap();
            prop_assert_eq!(info.spacing, Some(volume.grid.spacing()));
        }
    }
}
