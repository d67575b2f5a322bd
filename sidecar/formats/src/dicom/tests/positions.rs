//! D01 to D24: slices in odd places, odd orders and odd directions.

use dicom_dictionary_std::tags;

use super::phantom::{
    AXIAL, COLUMNS, MARKER, ROWS, SLICES, again, marker, place, plain_truth, series, slice, truth,
};
use super::{Options, check_marker, check_mixed, check_refused, read, read_with};
use crate::dicom::{Error, Warning};

const EXACT: f64 = 1e-6;

#[test]
fn d01_a_clean_series_is_exact() {
    let read = check_marker(&series(|_, object| object), plain_truth(), EXACT, &[]);
    assert_eq!(read.volume.grid.size, [COLUMNS, ROWS, SLICES]);
    assert_eq!(read.volume.voxels[[6, 23, 9]], 1000.0);
    assert!(read.source.is_even());
    assert_eq!(read.source.slices[6].sop_instance_uid, "1.2.826.1.6");
    assert_eq!(read.source.attribute(tags::PATIENT_ID).unwrap().value, b"CANARY-ID ");
    assert!(!format!("{:?}", read.source).contains("CANARY"));
}

#[test]
fn d02_d03_names_and_instance_numbers_do_not_matter() {
    let mut objects = series(|k, object| object.set(tags::INSTANCE_NUMBER, "IS", format!("{}", SLICES - k)));
    objects.rotate_left(7);
    objects.swap(2, 11);
    check_marker(&objects, plain_truth(), EXACT, &[]);
}

#[test]
fn d04_a_missing_slice_is_a_gap_at_its_place() {
    let mut objects = series(|_, object| object);
    objects.remove(12);
    let read = check_marker(&objects, plain_truth(), EXACT, &["W_GAP"]);
    assert_eq!(read.volume.grid.size[2], SLICES);
    assert_eq!(read.source.slices.len(), SLICES - 1);
    assert_eq!((read.source.slices[11].k, read.source.slices[12].k), (11.0, 13.0));
    objects.drain(10..14);
    let error = check_refused(&objects, "E_SLICES_MISSING");
    let Error::SlicesMissing { gaps, usual_mm } = error else { panic!("{error}") };
    assert_eq!((gaps.as_slice(), usual_mm), ([[22.5, 15.0]].as_slice(), 2.5));
}

#[test]
fn d05_missing_ends_do_not_move_the_rest() {
    check_marker(&series(|_, object| object)[3..17], plain_truth(), EXACT, &[]);
}

#[test]
fn d06_a_slice_given_twice_is_taken_once() {
    let objects = series(|_, object| object);
    let copies = again(&objects[6..8], |_, object| object);
    let read = check_marker(&[objects, copies].concat(), plain_truth(), EXACT, &["W_DUPLICATE_DROPPED"]);
    assert_eq!(read.volume.grid.size[2], SLICES);
}

#[test]
fn d07_another_slice_in_the_same_place_is_refused() {
    let objects = series(|_, object| object);
    let other = again(&objects[12..13], |_, object| object.pixels(&vec![7; ROWS * COLUMNS]));
    check_refused(&[objects, other].concat(), "E_SLICES_DUPLICATE");
}

#[test]
fn d10_a_tilted_gantry_leans_the_grid() {
    for degrees in [15.0_f64, -20.0, 30.0] {
        let (sine, cosine) = degrees.to_radians().sin_cos();
        let cosines = [1.0, 0.0, 0.0, 0.0, cosine, -sine];
        let objects = series(|_, object| object.numbers(tags::IMAGE_ORIENTATION_PATIENT, &cosines));
        let at = truth(place(MARKER[2] as f64), cosines);
        let read = check_marker(&objects, at, EXACT, &["W_GANTRY_TILT"]);
        let [Warning::GantryTilt { degrees: found }] = read.warnings[..] else { panic!() };
        assert!((found - degrees.abs()).abs() < 1e-3, "{found}");
        assert!((read.volume.grid.shear() - sine.abs()).abs() < 1e-6);
    }
}

#[test]
fn d11_a_drift_in_the_plane_is_a_lean_too() {
    let at = |k: f64| [place(k)[0] + 0.3 * k, place(k)[1], place(k)[2]];
    let objects = series(|k, object| object.numbers(tags::IMAGE_POSITION_PATIENT, &at(k as f64)));
    check_marker(&objects, truth(at(MARKER[2] as f64), AXIAL), EXACT, &["W_GANTRY_TILT"]);
    let bent = |k: f64| [place(k)[0] + 0.02 * k * k, place(k)[1], place(k)[2]];
    let objects = series(|k, object| object.numbers(tags::IMAGE_POSITION_PATIENT, &bent(k as f64)));
    check_refused(&objects, "E_GEOM_INVALID");
    let steep = |k: f64| [place(k)[0] + 3.0 * k, place(k)[1], place(k)[2]];
    let objects = series(|k, object| object.numbers(tags::IMAGE_POSITION_PATIENT, &steep(k as f64)));
    check_refused(&objects, "E_GEOM_SHEAR");
}

#[test]
fn d12_uneven_slices_are_interpolated_at_true_positions() {
    let double = |k: usize| place(if k < 10 { k as f64 } else { 2.0 * k as f64 - 10.0 });
    let objects = series(|k, object| object.numbers(tags::IMAGE_POSITION_PATIENT, &double(k)));
    let doubled = check_marker(&objects, plain_truth(), EXACT, &["W_GAP"]);
    assert_eq!(doubled.volume.grid.size[2], 29);
    // Distances without a common measure: true to a tenth of a millimetre.
    let odd = |k: usize| place(k as f64 + [0.0, 0.13, 0.31][k % 3]);
    let objects = series(|k, object| object.numbers(tags::IMAGE_POSITION_PATIENT, &odd(k)));
    let objects: Vec<_> = objects.iter().map(|object| object.clone().pixels(&ramp(object))).collect();
    let interpolated = read(&objects).unwrap();
    assert_eq!(super::codes(&interpolated), ["W_NONUNIFORM"]);
    for k in 0..interpolated.volume.grid.size[2] {
        let world = interpolated.volume.grid.world([3.0, 5.0, k as f64]);
        let found = f64::from(interpolated.volume.voxels[[k, 5, 3]]);
        assert!((found - (world[2] * 10.0).round()).abs() <= 1.0, "{found} at {world:?}");
    }
    let far = |k: usize| place(if k < 15 { k as f64 } else { k as f64 + 5.0 });
    let objects = series(|k, object| object.numbers(tags::IMAGE_POSITION_PATIENT, &far(k)));
    check_refused(&objects, "E_SLICES_MISSING");
}

/// Pixels that say how high the slice lies, in tenths of a millimetre; the first one is air.
fn ramp(object: &super::Object) -> Vec<i16> {
    let text = String::from_utf8(object.elements[&tags::IMAGE_POSITION_PATIENT].1.clone()).unwrap();
    let height: f64 = text.split('\\').next_back().unwrap().trim().parse().unwrap();
    vec![(height * 10.0).round() as i16; ROWS * COLUMNS]
}

#[test]
fn labels_return_to_the_true_slices_of_an_uneven_stack() {
    let odd = |k: usize| place(k as f64 + [0.0, 0.13, 0.31][k % 3]);
    let objects = series(|k, object| object.numbers(tags::IMAGE_POSITION_PATIENT, &odd(k)));
    let read = read(&objects).unwrap();
    let mut labels = imaging::LabelMap::background(&read.volume.grid);
    for (k, mut plane) in labels.labels.outer_iter_mut().enumerate() {
        plane.fill(k as u8);
    }
    let on_slices = read.source.labels_on_slices(&labels);
    assert_eq!(on_slices.dim(), (SLICES, ROWS, COLUMNS));
    for (slice, found) in read.source.slices.iter().zip(on_slices.outer_iter()) {
        assert_eq!(f64::from(found[[0, 0]]), slice.k.round());
    }
}

#[test]
fn d13_d14_jitter_is_even_and_positions_beat_stated_spacing() {
    let jitter = |k: usize| place(k as f64 + 0.0016 * if k.is_multiple_of(2) { 1.0 } else { -1.0 });
    let objects = series(|k, object| object.numbers(tags::IMAGE_POSITION_PATIENT, &jitter(k)));
    check_marker(&objects, plain_truth(), 0.02, &[]);
    let objects = series(|_, object| object.numbers(tags::SPACING_BETWEEN_SLICES, &[5.0]));
    check_marker(&objects, plain_truth(), EXACT, &["W_SPACING"]);
}

#[test]
fn d15_to_d17_no_place_or_an_impossible_one() {
    check_refused(&series(|_, o| o.without(tags::IMAGE_POSITION_PATIENT)), "E_GEOM_MISSING");
    check_refused(&series(|_, o| o.without(tags::IMAGE_ORIENTATION_PATIENT)), "E_GEOM_MISSING");
    check_refused(&series(|_, o| o.without(tags::PIXEL_SPACING)), "E_GEOM_MISSING");
    for cosines in [[1.1, 0.0, 0.0, 0.0, 0.9, 0.0], [1.0, 0.0, 0.0, 0.19, 0.98, 0.0], [0.0; 6]] {
        check_refused(&series(|_, o| o.numbers(tags::IMAGE_ORIENTATION_PATIENT, &cosines)), "E_GEOM_INVALID");
    }
    let nearly =
        series(|_, o| o.numbers(tags::IMAGE_ORIENTATION_PATIENT, &[1.0005, 0.0, 0.0, 0.0, 1.0, 0.0]));
    check_marker(&nearly, plain_truth(), 0.01, &["W_IOP_NORMALISED"]);
}

#[test]
fn d22_d23_every_direction_is_exact() {
    let axes: Vec<[f64; 3]> = (0..6)
        .map(|a| {
            std::array::from_fn(|axis| {
                if axis != a % 3 {
                    0.0
                } else if a < 3 {
                    1.0
                } else {
                    -1.0
                }
            })
        })
        .collect();
    let dot = |a: &[f64; 3], b: &[f64; 3]| (0..3).map(|axis| a[axis] * b[axis]).sum::<f64>();
    let pairs = axes.iter().flat_map(|row| axes.iter().map(move |column| (row, column)));
    let mut checked = 0;
    for (row, column) in pairs.filter(|(row, column)| dot(row, column) == 0.0) {
        let cosines = [row[0], row[1], row[2], column[0], column[1], column[2]];
        let normal: [f64; 3] = std::array::from_fn(|axis| {
            let (a, b) = ((axis + 1) % 3, (axis + 2) % 3);
            row[a] * column[b] - row[b] * column[a]
        });
        for (away, lean, warnings) in
            [(1.0, 0.0, vec![]), (-1.0, 0.0, vec![]), (1.0, 0.36, vec!["W_GANTRY_TILT"])]
        {
            let at = |k: f64| -> [f64; 3] {
                std::array::from_fn(|axis| {
                    7.5 * axis as f64 + 2.5 * k * (away * normal[axis] + lean * column[axis])
                })
            };
            let objects = series(|k, object| {
                object
                    .numbers(tags::IMAGE_POSITION_PATIENT, &at(k as f64))
                    .numbers(tags::IMAGE_ORIENTATION_PATIENT, &cosines)
            });
            check_marker(&objects, truth(at(MARKER[2] as f64), cosines), EXACT, &warnings);
            checked += 1;
        }
    }
    assert_eq!(checked, 72);
    let prone = series(|_, object| object.set(tags::PATIENT_POSITION, "CS", "HFP"));
    check_marker(&prone, plain_truth(), EXACT, &["W_POSITION"]);
}

#[test]
fn d24_one_slice_is_no_volume() {
    check_refused(&[slice(6)], "E_TOO_FEW_SLICES");
    let options = Options { minimum_slices: 21, ..Options::default() };
    let error = read_with(&series(|_, object| object), &options).unwrap_err();
    assert_eq!(error.code(), "E_TOO_FEW_SLICES");
}

#[test]
fn d57_impossible_sizes_are_refused() {
    for between in [0.0, 0.001, 200.0, -1.0] {
        check_refused(&series(|_, o| o.numbers(tags::PIXEL_SPACING, &[between, between])), "E_GEOM_INVALID");
    }
}

#[test]
fn d09_scouts_are_left_out() {
    let scout = |object: super::Object| {
        object
            .numbers(tags::IMAGE_ORIENTATION_PATIENT, &[1.0, 0.0, 0.0, 0.0, 0.0, -1.0])
            .numbers(tags::IMAGE_POSITION_PATIENT, &[-16.0, 0.0, 150.0])
    };
    let objects = series(|_, object| object);
    let silent = again(&objects[..1], |_, object| scout(object));
    let said = again(&objects[..1], |_, object| {
        scout(object).set(tags::IMAGE_TYPE, "CS", "ORIGINAL\\PRIMARY\\LOCALIZER").us(tags::ROWS, 20)
    });
    let small = said[0].clone().pixels(&plane_of(20 * COLUMNS));
    check_marker(&[objects.clone(), silent].concat(), plain_truth(), EXACT, &["W_LOCALIZER_DROPPED"]);
    check_marker(&[objects.clone(), vec![small]].concat(), plain_truth(), EXACT, &["W_LOCALIZER_DROPPED"]);
    let coronal = again(&objects, |_, object| scout(object));
    check_mixed(&[objects, coronal].concat(), "ImageOrientationPatient");
}

fn plane_of(count: usize) -> Vec<i16> {
    vec![-1000; count]
}

#[test]
fn the_marker_is_where_the_phantom_says() {
    let read = read(&series(|_, object| object)).unwrap();
    assert_eq!(marker(&read), [-7.0, 4.5, 115.0]);
}
