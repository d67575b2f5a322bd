//! D25 to D34, D57: what stored numbers mean.

use dicom_dictionary_std::tags;

use super::phantom::{COLUMNS, Object, ROWS, magnetic, plain_truth, series, slice};
use super::{check_marker, check_refused, read};

/// Three slices with these stored values in the first pixels of each, the rest air.
fn with_values(values: &[i16], change: impl Fn(Object) -> Object) -> Vec<Object> {
    let mut pixels = vec![-1000i16; ROWS * COLUMNS];
    pixels[..values.len()].copy_from_slice(values);
    (0..3).map(|k| change(slice(k).pixels(&pixels))).collect()
}

/// The first intensities of the first slice.
#[track_caller]
fn check_values(objects: &[Object], expected: &[f32], warnings: &[&str]) {
    let series = read(objects).unwrap();
    let found: Vec<f32> = series.volume.voxels.iter().take(expected.len()).copied().collect();
    assert_eq!(found, expected);
    assert_eq!(super::codes(&series), warnings);
}

#[test]
fn d25_each_slice_has_its_own_slope() {
    let objects = series(|k, object| {
        let halved: Vec<i16> = object.values().iter().map(|value| value / 2).collect();
        if k % 2 == 0 { object.rescale("2.0", "0").pixels(&halved) } else { object }
    });
    check_marker(&objects, plain_truth(), 1e-6, &[]);
}

#[test]
fn d26_without_rescale() {
    let bare = |object: Object| object.without(tags::RESCALE_SLOPE).without(tags::RESCALE_INTERCEPT);
    check_marker(&series(|_, object| bare(object)), plain_truth(), 1e-6, &["W_NO_RESCALE"]);
    let raw = series(|_, object| {
        let raised: Vec<i16> = object.values().iter().map(|value| value + 1024).collect();
        bare(object).pixels(&raised)
    });
    check_refused(&raw, "E_INTENSITY");
    check_marker(&magnetic(|_, object| object), plain_truth(), 1e-6, &[]);
    check_refused(&series(|k, object| if k == 3 { bare(object) } else { object }), "E_INTENSITY");
}

#[test]
fn d27_rescales_that_mean_nothing() {
    for (slope, intercept) in [
        ("0", "-1024"),
        ("nan", "0"),
        ("inf", "0"),
        ("1,5", "0"),
        ("1\\2", "0"),
        ("2", ""),
        ("", "0"),
        ("x", "0"),
    ] {
        check_refused(&series(|_, object| object.rescale(slope, intercept)), "E_INTENSITY");
    }
    check_values(&with_values(&[100], |o| o.rescale("1.0e+00", "-1.024E3")), &[-924.0], &[]);
    check_values(&with_values(&[100], |o| o.rescale(" 2 ", " -24.5 ")), &[175.5], &[]);
    check_values(&with_values(&[100], |o| o.rescale("", "")), &[100.0], &["W_NO_RESCALE"]);
}

#[test]
fn d28_a_look_up_table_is_refused() {
    let objects = series(|_, object| {
        object.set(tags::MODALITY_LUT_SEQUENCE, "SQ", super::phantom::items(&[Vec::new()]))
    });
    check_refused(&objects, "E_INTENSITY");
}

#[test]
fn d29_d30_bits_and_signs() {
    let unsigned = |object: Object| {
        object.us(tags::PIXEL_REPRESENTATION, 0).us(tags::BITS_STORED, 12).us(tags::HIGH_BIT, 11)
    };
    let raised = with_values(&[0, 1024, 4095, 24], |o| unsigned(o).rescale("1", "-1024"));
    check_values(&raised, &[-1024.0, 0.0, 3071.0, -1000.0], &[]);
    // Overlays once lived in the unused high bits.
    let dirty = [0xF800u16, 0x0800, 0x07FF, 0x0FFF, 0xF001].map(|bits| bits as i16);
    let signed = with_values(&dirty, |o| o.us(tags::BITS_STORED, 12).us(tags::HIGH_BIT, 11));
    check_values(&signed, &[-2048.0, -2048.0, 2047.0, -1.0, 1.0], &[]);
    let full = with_values(&[-1, 0x7FFF, -0x8000], |o| o.us(tags::PIXEL_REPRESENTATION, 0));
    check_values(&full, &[65535.0, 32767.0, 32768.0], &[]);
    let high = with_values(&[0x0010, 0x7FF0, -0x8000], |o| o.us(tags::BITS_STORED, 12));
    check_values(&high, &[1.0, 2047.0, -2048.0], &[]);
}

#[test]
fn d31_padding_becomes_air() {
    let padded = |object: Object| object.set(tags::PIXEL_PADDING_VALUE, "SS", (-2000i16).to_le_bytes());
    check_values(&with_values(&[-2000, 5], padded), &[-1024.0, 5.0], &["W_PADDING"]);
    // Said to be unsigned, and meant signed.
    let odd = |object: Object| object.us(tags::PIXEL_PADDING_VALUE, (-2000i16) as u16);
    check_values(&with_values(&[-2000, 5], odd), &[-1024.0, 5.0], &["W_PADDING"]);
    let range =
        |object: Object| padded(object).set(tags::PIXEL_PADDING_RANGE_LIMIT, "SS", (-1990i16).to_le_bytes());
    check_values(&with_values(&[-2000, -1995, -1989], range), &[-1024.0, -1024.0, -1989.0], &["W_PADDING"]);
    // A padding value that is water cannot be one.
    let water = |object: Object| object.us(tags::PIXEL_PADDING_VALUE, 0);
    check_values(&with_values(&[0, 5], water), &[0.0, 5.0], &[]);
}

#[test]
fn d32_inverted_display() {
    let inverted = |object: Object| object.set(tags::PHOTOMETRIC_INTERPRETATION, "CS", "MONOCHROME1");
    check_marker(&series(|_, object| inverted(object)), plain_truth(), 1e-6, &[]);
    let objects = magnetic(|_, object| inverted(object).pixels(&vec_of(&[5, 7, -3])));
    check_values(&objects, &[-6.0, -8.0, 2.0], &["W_INVERTED"]);
}

fn vec_of(values: &[i16]) -> Vec<i16> {
    values.iter().copied().chain(std::iter::repeat(0)).take(ROWS * COLUMNS).collect()
}

#[test]
fn d33_d34_kinds_of_pixels() {
    for colour in ["RGB", "YBR_FULL_422", "PALETTE COLOR"] {
        check_refused(
            &series(|_, o| o.set(tags::PHOTOMETRIC_INTERPRETATION, "CS", colour)),
            "E_UNSUPPORTED_TYPE",
        );
    }
    check_refused(&series(|_, object| object.us(tags::SAMPLES_PER_PIXEL, 3)), "E_UNSUPPORTED_TYPE");
    for bits in [1, 12, 64] {
        check_refused(&series(|_, object| object.us(tags::BITS_ALLOCATED, bits)), "E_UNSUPPORTED_TYPE");
    }
    let stored = |object: Object, bits: u16, bytes: Vec<u8>| {
        object.us(tags::BITS_ALLOCATED, bits).us(tags::BITS_STORED, bits).us(tags::HIGH_BIT, bits - 1).set(
            tags::PIXEL_DATA,
            "OW",
            bytes,
        )
    };
    let values: Vec<i32> = (0..(ROWS * COLUMNS) as i32).map(|n| n * 100 - 1000).collect();
    let wide: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let objects: Vec<Object> = (0..3).map(|k| stored(slice(k), 32, wide.clone())).collect();
    check_values(&objects, &[-1000.0, -900.0, -800.0], &[]);
    let bytes: Vec<u8> = values.iter().map(|value| *value as u8).collect();
    let narrow =
        |k| stored(slice(k), 8, bytes.clone()).us(tags::PIXEL_REPRESENTATION, 0).rescale("1", "-1024");
    let objects: Vec<Object> = (0..3).map(narrow).collect();
    check_values(&objects, &[-1000.0, -900.0, -800.0].map(|v: f32| (v as i32 as u8) as f32 - 1024.0), &[]);
    for inverse in [false, true] {
        let floats: Vec<f64> = values.iter().map(|value| f64::from(*value) + 0.25).collect();
        let single: Vec<u8> = floats.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect();
        let double: Vec<u8> = floats.iter().flat_map(|value| value.to_le_bytes()).collect();
        let of = |k: usize| {
            let object =
                slice(k).without(tags::PIXEL_DATA).us(tags::BITS_ALLOCATED, if inverse { 64 } else { 32 });
            match inverse {
                true => object.set(tags::DOUBLE_FLOAT_PIXEL_DATA, "OD", double.clone()),
                false => object.set(tags::FLOAT_PIXEL_DATA, "OF", single.clone()),
            }
        };
        check_values(&(0..3).map(of).collect::<Vec<_>>(), &[-999.75, -899.75], &[]);
    }
}

#[test]
fn d57_numbers_without_content() {
    check_refused(&series(|_, object| object.pixels(&vec![0; ROWS * COLUMNS])), "E_INTENSITY");
    let floats = |value: f32, count: usize| -> Vec<u8> {
        let ramp = (0..ROWS * COLUMNS).map(|n| if n < count { value } else { n as f32 });
        ramp.flat_map(f32::to_le_bytes).collect()
    };
    let of = |bytes: Vec<u8>| -> Vec<Object> {
        let change = |object: Object| {
            object.without(tags::PIXEL_DATA).us(tags::BITS_ALLOCATED, 32).set(
                tags::FLOAT_PIXEL_DATA,
                "OF",
                bytes.clone(),
            )
        };
        (0..3).map(|k| change(slice(k))).collect()
    };
    check_refused(&of(floats(f32::NAN, ROWS * COLUMNS)), "E_INTENSITY");
    check_refused(&of(floats(f32::INFINITY, 40)), "E_INTENSITY");
    check_values(&of(floats(f32::NAN, 5)), &[-1024.0, -1024.0], &["W_NAN"]);
}
