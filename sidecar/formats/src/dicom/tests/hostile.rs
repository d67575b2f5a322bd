//! D35 to D55: files that lie about themselves. Each must be refused for the right reason, at once.

use std::io::Write;
use std::time::{Duration, Instant};

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};

use super::phantom::{
    COLUMNS, Object, ROWS, SLICES, element, encapsulated, head, items, plain_truth, series, slice,
};
use super::{check_marker, code_of_file};
use crate::dicom::{Options, read_files};
use imaging::Progress;

/// One file is to be refused with `code`, quickly.
#[track_caller]
fn check(name: &str, bytes: Vec<u8>, code: &str) {
    let start = Instant::now();
    assert_eq!(code_of_file(bytes), code, "{name}");
    assert!(start.elapsed() < Duration::from_secs(5), "{name} took {:?}", start.elapsed());
}

/// A long element that announces `length` bytes and has three.
fn liar(tag: Tag, vr: &str, length: u32) -> Vec<u8> {
    let mut bytes = [tag.0.to_le_bytes(), tag.1.to_le_bytes()].concat();
    bytes.extend(vr.as_bytes());
    bytes.extend([0, 0]);
    bytes.extend(length.to_le_bytes());
    bytes.extend(b"abc");
    bytes
}

#[test]
fn d35_to_d38_sizes_that_cannot_be() {
    let one = |object: Object| object.bytes();
    for tag in [tags::ROWS, tags::COLUMNS, tags::SAMPLES_PER_PIXEL] {
        check("zero", one(slice(0).us(tag, 0)), "E_PARSE");
        check(
            "empty",
            one(slice(0).set(tag, "US", "").set(tags::SAMPLES_PER_PIXEL, "US", [0, 0])),
            "E_PARSE",
        );
    }
    check("rows of 4 bytes", one(slice(0).set(tags::ROWS, "UL", u32::MAX.to_le_bytes())), "E_LIMIT");
    check("huge", one(slice(0).us(tags::ROWS, 65535).us(tags::COLUMNS, 65535)), "E_LIMIT");
    for (frames, code) in [("2147483647", "E_LIMIT"), ("-5", "E_PARSE"), ("abc", "E_PARSE"), ("0", "E_PARSE")]
    {
        check(frames, one(slice(0).set(tags::NUMBER_OF_FRAMES, "IS", frames)), code);
    }
    let count = ROWS * COLUMNS;
    check("short", one(slice(0).pixels(&vec![0; count - 1])), "E_TRUNCATED");
    check("long", one(slice(0).pixels(&vec![0; count + 1])), "E_CORRUPT");
    check("no pixels", one(slice(0).without(tags::PIXEL_DATA)), "E_UNSUPPORTED_TYPE");
    check("bits", one(slice(0).us(tags::BITS_STORED, 17)), "E_CORRUPT");
    check("no bits", one(slice(0).us(tags::BITS_STORED, 0)), "E_CORRUPT");
    // One byte of padding is honest.
    let odd = |k: usize| {
        let pixels = vec![k as u8; 25].into_iter().chain([0]).collect::<Vec<u8>>();
        slice(k)
            .us(tags::ROWS, 5)
            .us(tags::COLUMNS, 5)
            .us(tags::BITS_ALLOCATED, 8)
            .us(tags::BITS_STORED, 8)
            .us(tags::HIGH_BIT, 7)
            .set(tags::PIXEL_DATA, "OB", pixels)
    };
    let read = super::read(&[odd(0), odd(1), odd(2)]).unwrap();
    assert_eq!(read.volume.voxels[[2, 4, 4]], 2.0);
}

#[test]
fn d39_lengths_beyond_the_end() {
    let start = [head(uids::EXPLICIT_VR_LITTLE_ENDIAN), element(tags::SOP_CLASS_UID, "UI", b"1.2")].concat();
    for (tag, vr, length) in [
        (Tag(9, 0x1001), "OB", 0xFFFF_FFFE),
        (Tag(9, 0x1001), "OB", 0x7FFF_FFFE),
        (Tag(0x40, 0xA160), "UT", 0x7FFF_FFFE),
        (Tag(9, 0x1001), "OL", 0x7FFF_FFFC),
        (tags::PATIENT_NAME, "OB", 0x7FFF_FFFC),
        (tags::PIXEL_DATA, "OW", 0x7FFF_FFFE),
        (tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, "SQ", 0x7FFF_FFFE),
        (tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, "UN", 0xFFFF_FFF0),
    ] {
        check(vr, [start.clone(), liar(tag, vr, length)].concat(), "E_TRUNCATED");
    }
    let inner = items(&[liar(tags::FRAME_CONTENT_SEQUENCE, "SQ", 4000)]);
    let nested = element(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, "SQ", &inner);
    check("beyond its item", [start, nested, vec![0; 8000]].concat(), "E_CORRUPT");
}

/// `depth` sequences within each other, of undefined length.
fn nested(depth: usize, closed: bool) -> Vec<u8> {
    let open =
        [0x08, 0, 0x40, 0x11, b'S', b'Q', 0, 0, 255, 255, 255, 255, 0xFE, 0xFF, 0, 0xE0, 255, 255, 255, 255];
    let close = [0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0, 0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0];
    let mut bytes =
        [head(uids::EXPLICIT_VR_LITTLE_ENDIAN), element(tags::SOP_CLASS_UID, "UI", b"1.2")].concat();
    bytes.extend(open.repeat(depth));
    bytes.extend(close.repeat(if closed { depth } else { 0 }));
    bytes
}

#[test]
fn d40_nesting_ends_at_32() {
    for depth in [33, 1500, 100_000] {
        check("nested", nested(depth, true), "E_LIMIT");
        check("nested, open", nested(depth, false), "E_LIMIT");
    }
    check("nested, legal", nested(30, true), "E_UNSUPPORTED_TYPE");
    check("nested, cut off", nested(30, false), "E_TRUNCATED");
}

#[test]
fn d41_many_elements_take_little_time() {
    let head = head(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let delimiters = [0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0].repeat(500_000);
    check("stray delimiters", [head.clone(), delimiters].concat(), "E_CORRUPT");
    let private: Vec<u8> = (0x1000..0xFFFF).flat_map(|e| element(Tag(9, e), "LO", b"x")).collect();
    let object = slice(0).without(tags::PIXEL_DATA);
    check("61 thousand elements", [head, object.body(), private].concat(), "E_UNSUPPORTED_TYPE");
}

fn deflated(body: &[u8]) -> Vec<u8> {
    let mut deflater = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    deflater.write_all(body).unwrap();
    [head(uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN), deflater.finish().unwrap()].concat()
}

#[test]
fn d42_deflated_files_and_bombs() {
    let files = series(|_, o| o)
        .iter()
        .enumerate()
        .map(|(k, o)| (format!("{k}"), deflated(&o.body())))
        .collect::<Vec<_>>();
    let read = read_files(files, &Options::default(), &Progress::silent()).unwrap();
    assert_eq!(super::phantom::marker(&read), plain_truth());
    let bomb =
        [element(tags::SOP_CLASS_UID, "UI", b"1.2"), element(Tag(9, 0x1001), "OB", &vec![0; 64 << 20])]
            .concat();
    check("bomb", deflated(&bomb), "E_BOMB");
    let mut cut = deflated(&slice(0).body());
    cut.truncate(cut.len() / 2);
    check("deflate cut off", cut, "E_CORRUPT");
}

#[test]
fn d43_d44_compressed_streams_that_lie() {
    let with = |syntax, side: u16, fragments: &[Vec<u8>]| {
        let mut object = slice(0).us(tags::ROWS, side).us(tags::COLUMNS, side);
        object.syntax = syntax;
        let bytes = encapsulated(&object, fragments);
        let second = object
            .set(tags::SOP_INSTANCE_UID, "UI", "1.9")
            .numbers(tags::IMAGE_POSITION_PATIENT, &[-16.0, -30.0, 102.5]);
        let files = [("a".to_owned(), bytes), ("b".to_owned(), encapsulated(&second, fragments))];
        read_files(files, &Options::default(), &Progress::silent()).map_or_else(|e| e.code(), |_| "read")
    };
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let offsets =
        |first: u32, rest: u32| words(&std::iter::once(first).chain([rest; 15]).collect::<Vec<_>>());
    let run = [0x81, 0].repeat(100);
    for (count, offset) in [(255, 0xFFFF_FFF0), (2, 0xFFFF_FFF0), (2, 64), (2, 0), (0, 64), (2, 265)] {
        let segment = [offsets(count, offset), run.clone()].concat();
        assert_eq!(with(uids::RLE_LOSSLESS, 10, std::slice::from_ref(&segment)), "E_CORRUPT");
        assert_eq!(with(uids::RLE_LOSSLESS, 1900, &[segment]), "E_CORRUPT");
    }
    let sof = |side: u16| {
        let [high, low] = side.to_be_bytes();
        vec![
            0xFF, 0xD8, 0xFF, 0xC3, 0, 11, 16, high, low, high, low, 1, 1, 0x11, 0, 0xFF, 0xDA, 0, 8, 1, 1,
            0, 1, 0, 0, 0xFF, 0xD9,
        ]
    };
    let syntaxes = [
        uids::JPEG_LOSSLESS_SV1,
        uids::JPEG_BASELINE8_BIT,
        uids::JPEG_EXTENDED12_BIT,
        uids::JPEG2000_LOSSLESS,
        uids::JPEGLS_LOSSLESS,
        uids::RLE_LOSSLESS,
    ];
    for syntax in syntaxes {
        for stream in [Vec::new(), vec![0xFF, 0xD8], sof(65535), sof(10), vec![0xFF; 400], vec![0; 400]] {
            assert_eq!(with(syntax, 10, &[stream]), "E_CORRUPT", "{syntax}");
        }
        assert_eq!(with(syntax, 10, &[]), "E_CORRUPT", "{syntax} without fragments");
    }
}

#[test]
fn d43_little_data_cannot_ask_for_much_memory() {
    let files = (0..40).map(|k| {
        let mut object = slice(k).us(tags::ROWS, 1900).us(tags::COLUMNS, 1900);
        object.syntax = uids::RLE_LOSSLESS;
        (format!("{k:02}"), encapsulated(&object, &[vec![2, 0, 0, 0]]))
    });
    let error = read_files(files, &Options::default(), &Progress::silent()).unwrap_err();
    assert_eq!(error.code(), "E_BOMB");
}

#[test]
fn d45_d50_transfer_syntaxes_that_cannot_be_undone() {
    for syntax in ["1.2.3.999", uids::MPEG4HP41, "1.2.840.10008.1.2.4.55", uids::HTJ2K] {
        let mut object = slice(0);
        object.syntax = syntax;
        check(syntax, encapsulated(&object, &[vec![0; 16]]), "E_UNSUPPORTED_TS");
    }
    let mut object = slice(0);
    object.syntax = uids::JPEG2000;
    check("native pixels", object.bytes(), "E_CORRUPT");
    check("compressed pixels", encapsulated(&slice(0), &[vec![0; 16]]), "E_CORRUPT");
}

/// The elements as implicit little endian, or explicit big endian.
fn encoded(object: &Object, implicit: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (tag, (vr, value)) in &object.elements {
        let mut value = value.clone();
        value.resize(value.len().next_multiple_of(2), b' ');
        if implicit {
            bytes.extend([tag.0.to_le_bytes(), tag.1.to_le_bytes()].concat());
            bytes.extend((value.len() as u32).to_le_bytes());
        } else {
            if matches!(*vr, "US" | "OW") {
                value.chunks_exact_mut(2).for_each(|two| two.swap(0, 1));
            }
            bytes.extend([tag.0.to_be_bytes(), tag.1.to_be_bytes()].concat());
            bytes.extend(vr.as_bytes());
            match *vr {
                "OW" => bytes.extend([0, 0]),
                _ => bytes.extend((value.len() as u16).to_be_bytes()),
            }
            if *vr == "OW" {
                bytes.extend((value.len() as u32).to_be_bytes());
            }
        }
        bytes.extend(value);
    }
    bytes
}

/// How an object becomes a file.
type Encode<'a> = &'a dyn Fn(&Object) -> Vec<u8>;

#[test]
fn d46_every_encoding_of_the_same_series() {
    let read = |encode: Encode| {
        let files =
            series(|_, o| o).iter().enumerate().map(|(k, o)| (format!("{k}"), encode(o))).collect::<Vec<_>>();
        read_files(files, &Options::default(), &Progress::silent()).map(|read| super::phantom::marker(&read))
    };
    let big = "1.2.840.10008.1.2.2";
    let without_length = |object: &Object| {
        let mut bytes = object.bytes();
        bytes.drain(132..144);
        bytes
    };
    let encodings: [Encode; 6] = [
        &|object| [head(uids::IMPLICIT_VR_LITTLE_ENDIAN), encoded(object, true)].concat(),
        &|object| [head(big), encoded(object, false)].concat(),
        &|object| encoded(object, true),
        &|object| object.body(),
        &|object| object.bytes()[132..].to_vec(),
        &without_length,
    ];
    for encode in encodings {
        assert_eq!(read(encode).unwrap(), plain_truth());
    }
    check("text", b"hello world ".repeat(100), "E_PARSE");
    check("nothing", Vec::new(), "E_PARSE");
    check("no syntax", [vec![0; 128], b"DICM".to_vec(), vec![7; 400]].concat(), "E_PARSE");
}

#[test]
fn d47_sequences_of_unknown_kind() {
    // A sequence said to be UN is implicit little endian inside, here with both kinds of length.
    let inner = [&[0x08, 0, 0x50, 0x11, 4, 0, 0, 0], b"1.2\0".as_slice()].concat();
    let open = [
        vec![
            0x08, 0, 0x40, 0x11, b'U', b'N', 0, 0, 255, 255, 255, 255, 0xFE, 0xFF, 0, 0xE0, 255, 255, 255,
            255,
        ],
        inner.clone(),
        vec![0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0, 0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0],
    ];
    let closed = element(Tag(0x0008, 0x1140), "UN", &items(&[inner]));
    for sequence in [open.concat(), closed] {
        let files = series(|_, o| o).into_iter().enumerate().map(|(k, object)| {
            let (mut early, mut late) = (object.clone(), object);
            early.elements.retain(|tag, _| *tag < Tag(0x0008, 0x1140));
            late.elements.retain(|tag, _| *tag > Tag(0x0008, 0x1140));
            (format!("{k}"), [early.bytes(), sequence.clone(), late.body()].concat())
        });
        let read = read_files(files, &Options::default(), &Progress::silent()).unwrap();
        assert_eq!(super::phantom::marker(&read), plain_truth());
    }
}

#[test]
fn d48_d49_cut_off_and_said_twice() {
    let bytes = slice(0).bytes();
    for end in [140, 300, 500, bytes.len() - 1, bytes.len() - 2000] {
        let code = code_of_file(bytes[..end].to_vec());
        assert!(matches!(code, "E_TRUNCATED" | "E_UNSUPPORTED_TYPE" | "E_PARSE"), "{end}: {code}");
    }
    check("cut in the pixels", bytes[..bytes.len() - 50].to_vec(), "E_TRUNCATED");
    let mut object = slice(0);
    let (_, pixels) = object.elements.remove(&tags::PIXEL_DATA).unwrap();
    let again = element(tags::RESCALE_SLOPE, "DS", b"5");
    let pixels = element(tags::PIXEL_DATA, "OW", &pixels);
    check("two slopes", [object.bytes(), again, pixels].concat(), "E_CORRUPT");
}

#[test]
fn d53_to_d55_text_and_private_data_are_left_alone() {
    let objects = series(|_, object| {
        object
            .set(tags::SPECIFIC_CHARACTER_SET, "CS", "\\ISO 2022 IR 999\\nonsense")
            .set(tags::PATIENT_NAME, "PN", vec![0x1B, 0x24, 0x29, 0x43, 0xFB, 0xF3, b'=', 0xFF, 0xFE, 0])
            .set(tags::PATIENT_ID, "LO", format!("../../etc/passwd\nCANARY{}", "x".repeat(9000)))
            .set(Tag(9, 0x10), "LO", "CANARY VENDOR")
            .set(Tag(9, 0x1001), "OB", vec![7; 300_000])
    });
    let read = check_marker(&objects, plain_truth(), 1e-6, &[]);
    assert_eq!(read.source.attribute(tags::PATIENT_NAME).unwrap().value[0], 0x1B);
    assert_eq!(read.volume.grid.size[2], SLICES);
    for uid in ["../../etc", "1.2.x", &"1.2".repeat(30)] {
        check(uid, slice(0).set(tags::SOP_INSTANCE_UID, "UI", uid).bytes(), "E_PARSE");
    }
    let mut executable = slice(0).bytes();
    executable[..4].copy_from_slice(b"\x7FELF");
    check("a program in the preamble", executable, "E_TOO_FEW_SLICES");
}
