//! D08, D18 to D21, D51, D52, D56: more than one image in what was given, and many images in one file.

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use imaging::Progress;

use super::phantom::{
    AXIAL, COLUMNS, MARKER, Object, ROWS, SLICES, again, element, items, magnetic, marker, place,
    plain_truth, plane, series, slice, truth,
};
use super::{Options, check_marker, check_mixed, check_refused, read_with};
use crate::dicom::{Property, list_files, read_files};

fn choosing(property: Property, value: &str) -> Options {
    let choose = [(property.keyword().to_owned(), value.to_owned())].into();
    Options { choose, ..Options::default() }
}

/// The pixels halved.
fn dimmed(object: Object) -> Object {
    let values: Vec<i16> = object.values().iter().map(|value| value / 2).collect();
    object.pixels(&values)
}

#[test]
fn d08_two_acquisitions_are_a_choice() {
    let objects = series(|_, object| object);
    let later = again(&objects, |_, object| dimmed(object).set(tags::ACQUISITION_NUMBER, "IS", "2"));
    let both = [objects, later].concat();
    assert_eq!(check_mixed(&both, "AcquisitionNumber"), ["1", "2"]);
    let first = read_with(&both, &choosing(Property::AcquisitionNumber, "1")).unwrap();
    assert_eq!(first.volume.voxels[[6, 23, 9]], 1000.0);
    let second = read_with(&both, &choosing(Property::AcquisitionNumber, "2")).unwrap();
    assert_eq!(second.volume.voxels[[6, 23, 9]], 500.0);
    let none = read_with(&both, &choosing(Property::AcquisitionNumber, "3")).unwrap_err();
    assert_eq!((none.code(), none.choices().len()), ("E_SERIES_MIXED", 2));
}

#[test]
fn d08_what_tells_images_apart() {
    let check = |tag, vr: &'static str, [a, b]: [&'static str; 2], property: Property, choices: [&str; 2]| {
        let objects = magnetic(|_, object| object.set(tag, vr, a));
        let other = again(&objects, |_, object| dimmed(object).set(tag, vr, b));
        let both = [objects, other].concat();
        assert_eq!(check_mixed(&both, property.keyword()), choices);
        assert!(read_with(&both, &choosing(property, choices[1])).is_ok());
    };
    check(tags::ECHO_TIME, "DS", ["4.92", "2.46"], Property::EchoTime, ["2.46", "4.92"]);
    check(tags::TEMPORAL_POSITION_IDENTIFIER, "IS", ["1", "2"], Property::TemporalPosition, ["1", "2"]);
    check(tags::INVERSION_TIME, "DS", ["900", "2500"], Property::InversionTime, ["2500", "900"]);
    let types = ["ORIGINAL\\PRIMARY\\M", "ORIGINAL\\PRIMARY\\P"];
    check(tags::IMAGE_TYPE, "CS", types, Property::ImageType, types);
}

#[test]
fn d08_b_values_of_every_vendor_are_known() {
    let owner = |object: Object, group: u16, name: &str| object.set(Tag(group, 0x10), "LO", name);
    let vendors: [&dyn Fn(Object, u32) -> Object; 4] = [
        &|object, b| object.set(tags::DIFFUSION_B_VALUE, "FD", f64::from(b).to_le_bytes()),
        &|object, b| owner(object, 0x19, "SIEMENS MR HEADER").set(Tag(0x19, 0x100C), "IS", format!("{b}")),
        &|object, b| {
            let stored = format!("{}\\8\\0\\0", 1_000_000_000 + b);
            owner(object, 0x43, "GEMS_PARM_01").set(Tag(0x43, 0x1039), "UN", stored)
        },
        &|object, b| {
            owner(object, 0x2001, "Philips Imaging DD 001").set(
                Tag(0x2001, 0x1003),
                "FL",
                (b as f32).to_le_bytes(),
            )
        },
    ];
    for vendor in vendors {
        let low = magnetic(|_, object| vendor(object, 0));
        let high = again(&low, |_, object| vendor(dimmed(object), 1000));
        let both = [low.clone(), high.clone()].concat();
        // The one nearest 1000 is taken, and said so.
        let read = check_marker_dim(&both, &["W_SELECTED"]);
        assert_eq!(read.volume.voxels[[6, 23, 9]], 500.0);
        let chosen = read_with(&both, &choosing(Property::DiffusionBValue, "0")).unwrap();
        assert_eq!(chosen.volume.voxels[[6, 23, 9]], 1000.0);
        // Two directions of the same b-value cannot be told by it.
        let twice: Vec<Object> = again(&high, |k, object| {
            dimmed(object).set(tags::SOP_INSTANCE_UID, "UI", format!("1.2.826.3.{k}"))
        });
        check_mixed(&[both, twice].concat(), "DiffusionBValue");
    }
    // A private element of somebody else is not a b-value.
    let foreign = |object: Object, b: u32| {
        owner(object, 0x19, "SOMEBODY ELSE").set(Tag(0x19, 0x100C), "IS", format!("{b}"))
    };
    let low = magnetic(|_, object| foreign(object, 0));
    let high = again(&low, |_, object| foreign(dimmed(object), 1000));
    check_refused(&[low, high].concat(), "E_SLICES_DUPLICATE");
}

/// As `check_marker`, for a dimmed marker whose place does not matter here.
fn check_marker_dim(objects: &[Object], warnings: &[&str]) -> crate::dicom::Series {
    let read = super::read(objects).unwrap();
    assert_eq!(super::codes(&read), warnings);
    read
}

#[test]
fn d08_equally_near_b_values_are_a_choice() {
    let with = |object: Object, b: f64| object.set(tags::DIFFUSION_B_VALUE, "FD", b.to_le_bytes());
    let low = magnetic(|_, object| with(object, 800.0));
    let high = again(&low, |_, object| with(dimmed(object), 1200.0));
    assert_eq!(check_mixed(&[low, high].concat(), "DiffusionBValue"), ["1200", "800"]);
}

#[test]
fn two_images_between_each_other_are_not_one() {
    let objects = series(|_, object| object);
    let between = again(&objects, |k, object| {
        let at = place(k as f64 + 0.3);
        object.numbers(tags::IMAGE_POSITION_PATIENT, &at).set(tags::ACQUISITION_NUMBER, "IS", "2")
    });
    check_mixed(&[objects, between].concat(), "AcquisitionNumber");
}

#[test]
fn d18_to_d21_slices_that_cannot_be_one_volume() {
    let other = series(|k, o| if k == 7 { o.numbers(tags::PIXEL_SPACING, &[1.8, 1.0]) } else { o });
    check_mixed(&other, "PixelSpacing");
    let other = series(|k, o| {
        if k == 15 { o.us(tags::ROWS, ROWS as u16 + 4).pixels(&vec![0; (ROWS + 4) * COLUMNS]) } else { o }
    });
    check_mixed(&other, "Rows");
    let other = series(|k, o| if k < 10 { o } else { o.set(tags::SERIES_INSTANCE_UID, "UI", "1.2.826.88") });
    let choices = check_mixed(&other, "SeriesInstanceUID");
    let read = read_with(&other, &choosing(Property::SeriesInstanceUid, &choices[0])).unwrap();
    assert_eq!(read.volume.grid.size[2], 10);
    let other =
        series(|k, o| if k < 10 { o } else { o.set(tags::FRAME_OF_REFERENCE_UID, "UI", "1.2.826.99") });
    check_mixed(&other, "FrameOfReferenceUID");
}

#[test]
fn other_objects_and_other_files_are_passed_over() {
    let report = slice(0)
        .set(tags::SOP_CLASS_UID, "UI", uids::BASIC_TEXT_SR_STORAGE)
        .set(tags::SERIES_INSTANCE_UID, "UI", "1.2.826.5")
        .without(tags::PIXEL_DATA);
    let mut files: Vec<(String, Vec<u8>)> =
        series(|_, o| o).iter().enumerate().map(|(k, o)| (format!("{k}"), o.bytes())).collect();
    files.push(("readme.txt".to_owned(), b"not an image at all".to_vec()));
    files.push(("empty".to_owned(), Vec::new()));
    files.push(("report".to_owned(), report.bytes()));
    let read = read_files(files.clone(), &Options::default(), &Progress::silent()).unwrap();
    assert_eq!(super::codes(&read), ["W_SERIES_IGNORED", "W_FILES_IGNORED"]);
    assert_eq!(marker(&read), plain_truth());
    let listed = list_files(files.clone(), &Options::default(), &Progress::silent()).unwrap();
    let counts: Vec<usize> = listed.iter().map(|summary| summary.slices).collect();
    assert_eq!(counts, [0, SLICES]);
    assert_eq!(listed[1].matrix, Some([ROWS, COLUMNS]));
    let few = Options { maximum_files: 10, ..Options::default() };
    assert_eq!(read_files(files, &few, &Progress::silent()).unwrap_err().code(), "E_LIMIT");
}

/// An enhanced CT: all slices in one file, frames in the order of `ks`, what differs in functional groups.
fn enhanced(ks: &[usize], group: impl Fn(usize) -> Vec<u8>) -> Object {
    let shared = [
        element(
            tags::PIXEL_MEASURES_SEQUENCE,
            "SQ",
            &items(&[element(tags::PIXEL_SPACING, "DS", b"1.5\\1")]),
        ),
        element(
            tags::PLANE_ORIENTATION_SEQUENCE,
            "SQ",
            &items(&[element(tags::IMAGE_ORIENTATION_PATIENT, "DS", b"1\\0\\0\\0\\1\\0")]),
        ),
    ];
    let pixels: Vec<i16> = ks.iter().flat_map(|&k| plane(k)).collect();
    slice(0)
        .set(tags::SOP_CLASS_UID, "UI", uids::ENHANCED_CT_IMAGE_STORAGE)
        .without(tags::IMAGE_POSITION_PATIENT)
        .without(tags::IMAGE_ORIENTATION_PATIENT)
        .without(tags::PIXEL_SPACING)
        .without(tags::RESCALE_SLOPE)
        .without(tags::RESCALE_INTERCEPT)
        .set(tags::NUMBER_OF_FRAMES, "IS", format!("{}", ks.len()))
        .set(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, "SQ", items(&[shared.concat()]))
        .set(
            tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
            "SQ",
            items(&ks.iter().map(|&k| group(k)).collect::<Vec<_>>()),
        )
        .pixels(&pixels)
}

fn position(k: usize) -> Vec<u8> {
    let text = place(k as f64).map(|mm| format!("{mm}")).join("\\");
    let inner = element(tags::IMAGE_POSITION_PATIENT, "DS", text.as_bytes());
    element(tags::PLANE_POSITION_SEQUENCE, "SQ", &items(&[inner]))
}

fn transformation(slope: &str) -> Vec<u8> {
    let inner =
        [element(tags::RESCALE_INTERCEPT, "DS", b"0"), element(tags::RESCALE_SLOPE, "DS", slope.as_bytes())];
    element(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, "SQ", &items(&[inner.concat()]))
}

#[test]
fn d51_frames_of_an_enhanced_object_have_their_own_places_and_rescales() {
    let mut ks: Vec<usize> = (0..SLICES).collect();
    ks.swap(3, 17);
    let slope = |k: usize| if k == MARKER[2] { "1.5" } else { "1" };
    let object = enhanced(&ks, |k| [position(k), transformation(slope(k))].concat());
    let read = check_marker(std::slice::from_ref(&object), plain_truth(), 1e-6, &[]);
    assert_eq!(read.volume.voxels[[6, 23, 9]], 1500.0);
    assert_eq!(read.volume.voxels[[7, 0, 0]], -1000.0);
    assert_eq!(read.source.slices[3].frame, Some(18));
    // Groups for fewer frames than there are.
    let broken = object.clone().set(tags::NUMBER_OF_FRAMES, "IS", "19");
    check_refused(&[broken], "E_CORRUPT");
    // The same rules as for single slices.
    let gap: Vec<usize> = (0..SLICES).filter(|k| *k != 12).collect();
    let frames = |k| [position(k), transformation("1")].concat();
    check_marker(&[enhanced(&gap, frames)], plain_truth(), 1e-6, &["W_GAP"]);
    check_refused(&[enhanced(&[1, 2, 3, 3], |k| [position(k), transformation("0")].concat())], "E_INTENSITY");
    // A frame without a rescale among frames that have one.
    let holes = |k| if k == 4 { position(k) } else { [position(k), transformation("1")].concat() };
    check_refused(&[enhanced(&ks, holes)], "E_INTENSITY");
    // Phases.
    let phase = |k: usize, phase: &str| {
        let inner =
            element(tags::TEMPORAL_POSITION_INDEX, "UL", &phase.parse::<u32>().unwrap().to_le_bytes());
        [element(tags::FRAME_CONTENT_SEQUENCE, "SQ", &items(&[inner])), frames(k)].concat()
    };
    let first = enhanced(&ks, |k| phase(k, "1"));
    let second = enhanced(&ks, |k| phase(k, "2")).set(tags::SOP_INSTANCE_UID, "UI", "1.2.826.55");
    let dim: Vec<i16> = second.values().iter().map(|value| value / 2).collect();
    check_mixed(&[first, second.pixels(&dim)], "TemporalPosition");
}

#[test]
fn d52_what_is_no_stack_of_slices() {
    let mosaic = magnetic(|_, o| o.set(tags::IMAGE_TYPE, "CS", "ORIGINAL\\PRIMARY\\M\\ND\\MOSAIC"));
    check_refused(&mosaic, "E_UNSUPPORTED_TYPE");
    let nuclear = series(|_, o| o.set(tags::SOP_CLASS_UID, "UI", uids::NUCLEAR_MEDICINE_IMAGE_STORAGE));
    check_refused(&nuclear, "E_UNSUPPORTED_TYPE");
    let frames = slice(0).set(tags::NUMBER_OF_FRAMES, "IS", "2").pixels(&vec![0; 2 * ROWS * COLUMNS]);
    check_refused(&[frames], "E_UNSUPPORTED_TYPE");
}

#[test]
fn objects_thinned_out_by_anonymisers_are_read() {
    let thin = series(|_, object| {
        object
            .set(tags::SOP_CLASS_UID, "UI", "")
            .set(tags::SOP_INSTANCE_UID, "UI", "")
            .without(tags::PATIENT_NAME)
            .without(tags::PATIENT_ID)
    });
    let read = check_marker(&thin, truth(place(MARKER[2] as f64), AXIAL), 1e-6, &[]);
    assert_eq!(read.source.slices[0].sop_instance_uid, "1.2.3.4");
}

#[test]
fn a_wish_to_stop_is_heard() {
    let files = |objects: &[Object]| -> Vec<(String, Vec<u8>)> {
        objects.iter().enumerate().map(|(k, o)| (format!("{k}"), o.bytes())).collect()
    };
    let progress = Progress::silent();
    progress.cancel();
    let error = read_files(files(&series(|_, o| o)), &Options::default(), &progress).unwrap_err();
    assert_eq!(error.code(), "E_CANCELLED");
}
