//! What is written comes back, bit by bit, and the `nifti` crate agrees.

use imaging::{Grid, LabelMap, Progress, Segment, Segmentation, Volume};
use ndarray::Array3;
use proptest::prelude::*;

use super::header::{Header, Version};
use crate::{
    ReadOptions, Sample, Source, read, read_header, read_segmentation, write_segmentation, write_volume,
};

fn segment(value: u8, name: &str) -> Segment {
    Segment { value, name: name.to_owned(), color: [value, 2, 250], terminology: None }
}

fn labels(grid: &Grid) -> LabelMap {
    let [k, j, i] = grid.shape();
    let labels = Array3::from_shape_fn((k, j, i), |(k, j, i)| ((i * 3 + j * 5 + k * 7) % 4) as u8);
    LabelMap { grid: grid.clone(), labels }
}

fn none() -> Source {
    Source::Memory { modality: None }
}

/// Writes labels on the grid of `header`, reads them, and returns the header found.
fn there_and_back(header: &Header, name: &str, size: [usize; 3]) -> Header {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let options = ReadOptions::default();
    let grid = super::geometry::grid(header, size, &options, &mut Vec::new()).unwrap();
    let segmentation =
        Segmentation { labels: labels(&grid), segments: vec![segment(1, "a"), segment(3, "c")] };
    let source = Source::Nifti(Box::new(header.clone()));
    write_segmentation(&path, &segmentation, &source, &Progress::silent()).unwrap();
    let back = read_segmentation(&path, &options, &Progress::silent()).unwrap();
    assert_eq!(back.labels, segmentation.labels);
    assert_eq!(back.segments, segmentation.segments);
    let image = read(&path, &options, &Progress::silent()).unwrap();
    assert!(image.warnings.iter().all(|warning| warning.code == "W_UNITS"), "{:?}", image.warnings);
    image.source.nifti().unwrap().clone()
}

fn affine(header: &Header) -> (Vec<u64>, i32, i32, i32) {
    let numbers = header.pixdim[..4].iter().chain(header.srow.iter().flatten());
    let numbers =
        numbers.chain(&header.quatern).chain(&header.qoffset).map(|value| value.to_bits()).collect();
    (numbers, header.sform_code, header.qform_code, header.xyzt_units)
}

/// Numbers that 32-bit floating point holds only roughly, codes that we would not choose ourselves.
fn awkward_header(version: Version) -> Header {
    let mut header = Header { version, ..Header::default() };
    let grid = Grid::aligned([5, 4, 3], [0.7, 0.9, 2.3]);
    super::geometry::set(&mut header, &grid);
    header.dim = [4, 5, 4, 3, 1, 1, 1, 1];
    header.set_sample(Sample::I16);
    header.srow[1][3] = f64::from(-123.456_79_f32);
    header.qoffset[1] = header.srow[1][3];
    header.srow.iter_mut().flatten().for_each(|value| *value = f64::from(*value as f32));
    (header.sform_code, header.qform_code) = (4, 2);
    header.pixdim[1..4].copy_from_slice(&[0.7f32, 0.9, 2.3].map(f64::from));
    header.descrip[..4].copy_from_slice(b"text");
    (header.scl_slope, header.cal_max) = (2.0, 300.0);
    header
}

#[test]
fn the_header_of_the_input_is_repeated() {
    for version in [Version::One, Version::Two] {
        for name in ["labels.nii", "labels.nii.gz", "a.b.NII.GZ"] {
            let header = awkward_header(version);
            let back = there_and_back(&header, name, [5, 4, 3]);
            assert_eq!(affine(&back), affine(&header));
            assert_eq!((back.version, back.descrip), (header.version, header.descrip));
            assert_eq!((back.dim[0], back.datatype, back.scl_slope, back.cal_max), (3, 2, 1.0, 0.0));
        }
    }
}

#[test]
fn a_geometry_in_metres_stays_in_metres() {
    let mut header = awkward_header(Version::One);
    header.xyzt_units = 1;
    header.qform_code = 0;
    let thousandth = |value: &mut f64| *value = f64::from((*value / 1000.0) as f32);
    header.srow.iter_mut().flatten().for_each(thousandth);
    header.pixdim[1..4].iter_mut().for_each(thousandth);
    assert_eq!(affine(&there_and_back(&header, "labels.nii.gz", [5, 4, 3])), affine(&header));
}

#[test]
fn a_result_on_another_grid_gets_a_header_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels.nii");
    let grid = Grid::aligned([5, 4, 3], [1.0, 1.0, 1.0]);
    let source = Source::Nifti(Box::new(awkward_header(Version::One)));
    let segmentation = Segmentation { labels: labels(&grid), segments: Vec::new() };
    write_segmentation(&path, &segmentation, &source, &Progress::silent()).unwrap();
    let back = read_segmentation(&path, &ReadOptions::default(), &Progress::silent()).unwrap();
    assert_eq!(back.labels.grid, grid);
}

#[test]
fn volumes_come_back_and_the_nifti_crate_agrees() {
    use nifti::{NiftiObject, NiftiVolume, RandomAccessNiftiVolume};
    let grid = Grid::aligned([7, 6, 5], [1.5, 2.5, 3.0]);
    let voxels = Array3::from_shape_fn(grid.shape(), |(k, j, i)| (i + 10 * j + 40 * k) as f32);
    let volume = Volume { grid, voxels };
    let folder = tempfile::tempdir().unwrap();
    for sample in [Sample::U8, Sample::U16, Sample::I16, Sample::F32] {
        for name in ["image.nii", "image.nii.gz"] {
            let path = folder.path().join(name);
            write_volume(&path, &volume, sample, &none(), &Progress::silent()).unwrap();
            let back = read(&path, &ReadOptions::default(), &Progress::silent()).unwrap();
            assert_eq!(back.volume, volume);
            let info = read_header(&path, &ReadOptions::default(), &Progress::silent()).unwrap();
            assert_eq!((info.size, info.spacing, info.volumes), ([7, 6, 5], Some([1.5, 2.5, 3.0]), 1));
            assert_eq!(info.sample, sample.name());
            let object = nifti::ReaderOptions::new().read_file(&path).unwrap();
            assert_eq!(object.volume().dim(), [7, 6, 5]);
            assert_eq!(object.volume().get_f32(&[3, 4, 2]).unwrap(), volume.voxels[[2, 4, 3]]);
        }
    }
}

#[test]
fn intensities_that_do_not_fit_are_refused() {
    let grid = Grid::aligned([2, 2, 2], [1.0; 3]);
    let check = |value: f32, sample: Sample, expected: &str| {
        let folder = tempfile::tempdir().unwrap();
        let volume = Volume { grid: grid.clone(), voxels: Array3::from_elem(grid.shape(), value) };
        let path = folder.path().join("image.nii");
        let result = write_volume(&path, &volume, sample, &none(), &Progress::silent());
        assert_eq!(
            result.as_ref().map_or_else(crate::Error::code, |()| "ok"),
            expected,
            "{value} {sample:?}"
        );
        assert_eq!(path.exists(), expected == "ok");
    };
    check(255.4, Sample::U8, "ok");
    check(255.6, Sample::U8, "E_ENCODE");
    check(-1.0, Sample::U16, "E_ENCODE");
    check(-32768.0, Sample::I16, "ok");
    check(32768.0, Sample::I16, "E_ENCODE");
    check(f32::NAN, Sample::I16, "E_ENCODE");
    check(1.0, Sample::I64, "E_ENCODE");
}

#[test]
fn an_unknown_ending_is_refused() {
    let grid = Grid::aligned([2, 2, 2], [1.0; 3]);
    let segmentation = Segmentation { labels: labels(&grid), segments: Vec::new() };
    let path = std::path::Path::new("labels.mha");
    let error = write_segmentation(path, &segmentation, &none(), &Progress::silent()).unwrap_err();
    assert_eq!(error.code(), "E_ENCODE");
}

fn rotation([a, b, c]: [f64; 3]) -> [[f64; 3]; 3] {
    let ((sa, ca), (sb, cb), (sc, cc)) = (a.sin_cos(), b.sin_cos(), c.sin_cos());
    [
        [ca * cb, sa * cb, -sb],
        [ca * sb * sc - sa * cc, sa * sb * sc + ca * cc, cb * sc],
        [ca * sb * cc + sa * sc, sa * sb * cc - ca * sc, cb * cc],
    ]
}

proptest! {
    /// Matrix and quaternion of a made header are the same place, for every rotation and handedness.
    #[test]
    fn both_affines_of_a_made_header_agree(
        angles in prop::array::uniform3(-4.0..4.0f64),
        spacing in prop::array::uniform3(0.1..10.0f64),
        origin in prop::array::uniform3(-900.0..900.0f64),
        left_handed: bool,
    ) {
        let mut axes = rotation(angles);
        for (axis, spacing) in axes.iter_mut().zip(spacing) {
            *axis = axis.map(|component| component * spacing);
        }
        if left_handed {
            axes[1] = axes[1].map(|component| -component);
        }
        let size = [60, 50, 40];
        let grid = Grid::new(size, axes, origin).unwrap();
        let mut header = Header::default();
        super::geometry::set(&mut header, &grid);
        // As it will be after a file of single precision.
        let bytes = header.to_bytes(false);
        let header = Header::parse(&bytes, Version::One, false).unwrap();
        // Without a choice: an ambiguity would be an error.
        super::geometry::grid(&header, size, &ReadOptions::default(), &mut Vec::new()).unwrap();
        for form in ["sform", "qform"].into_iter().take(1 + header.qform_code as usize) {
            let options = ReadOptions::default().resolved("geometry", form);
            let found = super::geometry::grid(&header, size, &options, &mut Vec::new()).unwrap();
            prop_assert!(found.matches(&grid, 0.06), "{form} {found:?} {grid:?}");
        }
    }

    #[test]
    fn every_header_comes_back(bytes in prop::collection::vec(any::<u8>(), 348), two: bool) {
        let version = if two { Version::Two } else { Version::One };
        let mut header = Header { version, ..Header::default() };
        header.descrip.copy_from_slice(&bytes[..80]);
        header.dim_info = bytes[80];
        header.slice_end = i64::from(bytes[81]);
        header.srow[2][1] = f64::from(bytes[82]) / 8.0;
        header.quatern[2] = f64::from(bytes[83]) / 512.0;
        header.toffset = f64::from(bytes[84]);
        header.intent_name.copy_from_slice(&bytes[90..106]);
        if two {
            header.vox_offset = 544.0;
        }
        prop_assert_eq!(Header::parse(&header.to_bytes(false), version, false).unwrap(), header);
    }
}
