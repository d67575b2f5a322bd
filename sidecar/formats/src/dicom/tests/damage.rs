//! Random bytes and damaged files: never a panic, never a long wait, never far more memory than the file.

use dicom_dictionary_std::{tags, uids};
use imaging::Progress;
use proptest::prelude::*;

use super::phantom::{Object, element, encapsulated, head, items, slice};
use crate::dicom::{Options, jpegls, read_files};

fn reads(files: Vec<Vec<u8>>) {
    let files = files.into_iter().enumerate().map(|(k, bytes)| (format!("{k}"), bytes));
    if let Err(error) = read_files(files, &Options::default(), &Progress::silent()) {
        assert!(error.code().starts_with("E_"));
    }
}

/// Good files of every kind, to be damaged.
fn seeds() -> Vec<Vec<u8>> {
    let mut rle = slice(1).us(tags::ROWS, 8).us(tags::COLUMNS, 8);
    rle.syntax = uids::RLE_LOSSLESS;
    let words = [2u32, 64, 66].into_iter().chain([0; 13]).flat_map(u32::to_le_bytes);
    let segment: Vec<u8> = words.chain([0xC1, 0, 0xC1, 5]).collect();
    let spacing = items(&[element(tags::PIXEL_SPACING, "DS", b"1.5\\1")]);
    let measures = element(tags::PIXEL_MEASURES_SEQUENCE, "SQ", &spacing);
    let groups = slice(2)
        .set(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, "SQ", items(std::slice::from_ref(&measures)))
        .set(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, "SQ", items(&[measures]));
    let mut small = slice(0).us(tags::ROWS, 2).us(tags::COLUMNS, 2).pixels(&[1, 2, 3, 4]);
    small.syntax = uids::EXPLICIT_VR_LITTLE_ENDIAN;
    vec![small.bytes(), encapsulated(&rle, &[segment]), groups.bytes(), small.body()]
}

/// A change to a file: where (as a part of its length), and what.
fn damage() -> impl Strategy<Value = Vec<(f64, u8, u8)>> {
    prop::collection::vec((0.0..1.0, any::<u8>(), 0u8..6), 1..6)
}

fn damaged(mut bytes: Vec<u8>, changes: &[(f64, u8, u8)]) -> Vec<u8> {
    // What counts is in the first kilobytes; pixels are pixels.
    for &(place, value, kind) in changes {
        let at = (place * bytes.len().min(1400) as f64) as usize;
        match (kind, bytes.get_mut(at)) {
            (0, Some(byte)) => *byte = value,
            (1, Some(byte)) => *byte ^= 1 << (value % 8),
            (2, Some(byte)) => *byte = 0xFF,
            (3, _) => bytes.truncate(at.max(1)),
            (4, _) => bytes.iter_mut().skip(at).take(4).for_each(|byte| *byte = value | 0x80),
            (5, _) => {
                let copy: Vec<u8> =
                    bytes.iter().skip(at / 2).take(usize::from(value % 32)).copied().collect();
                bytes.splice(at..at, copy);
            }
            _ => (),
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn damaged_files_never_panic(seed in 0usize..4, changes in damage()) {
        let bytes = damaged(seeds().swap_remove(seed), &changes);
        let second = slice(9).us(tags::ROWS, 2).us(tags::COLUMNS, 2).pixels(&[1, 2, 3, 4]).bytes();
        reads(vec![bytes, second]);
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), kind in 0usize..6) {
        let syntaxes = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"];
        let file = match syntaxes.get(kind) {
            Some(syntax) => [head(syntax), bytes].concat(),
            None => bytes,
        };
        reads(vec![file]);
    }

    #[test]
    fn random_scans_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), near in 0u8..4) {
        let head = [0xFF, 0xD8, 0xFF, 0xF7, 0, 11, 12, 0, 16, 0, 16, 1, 1, 0x11, 0, 0xFF, 0xDA, 0, 8, 1, 1, 0, near, 0, 0];
        if let Ok(samples) = jpegls::decode(&[&head[..], &bytes].concat(), 16, 16) {
            prop_assert_eq!(samples.len(), 256);
            prop_assert!(samples.iter().all(|sample| *sample < 4096));
        }
    }

    #[test]
    fn random_compressed_pixels_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), kind in 0usize..5) {
        let syntaxes = [
            uids::RLE_LOSSLESS, uids::JPEG_LOSSLESS_SV1, uids::JPEG_BASELINE8_BIT, uids::JPEG2000_LOSSLESS,
            uids::JPEGLS_LOSSLESS,
        ];
        // The size is right, so that the decoder itself sees the rest.
        let head: &[u8] = match kind {
            1 => &[0xFF, 0xD8, 0xFF, 0xC3, 0, 11, 16, 0, 2, 0, 2, 1, 1, 0x11, 0],
            2 => &[0xFF, 0xD8, 0xFF, 0xC0, 0, 11, 8, 0, 2, 0, 2, 1, 1, 0x11, 0],
            3 => &[
                0xFF, 0x4F, 0xFF, 0x51, 0, 41, 0, 0, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0,
                2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 15, 1, 1,
            ],
            _ => &[],
        };
        let file = |k| -> Vec<u8> {
            let mut object: Object = slice(k).us(tags::ROWS, 2).us(tags::COLUMNS, 2);
            object.syntax = syntaxes[kind];
            encapsulated(&object, &[[head, &bytes].concat()])
        };
        reads(vec![file(0), file(1)]);
    }
}
