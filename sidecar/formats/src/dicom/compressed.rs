//! One compressed frame to stored samples. RLE and JPEG-LS are decoded here; JPEG and JPEG 2000 by the decoders of
//! the DICOM packages, on an object built from values that were checked, after the size in the compressed stream
//! itself was compared with the header. A decoder that panics all the same is a damaged file, never a dead process.

use std::panic::{AssertUnwindSafe, catch_unwind};

use dicom_core::value::PixelFragmentSequence;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_encoding::Codec;
use dicom_encoding::transfer_syntax::TransferSyntaxIndex;
use dicom_object::{FileDicomObject, FileMetaTableBuilder, InMemDicomObject};
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::error::Error;
use super::image::{Kind, Storage};
use super::jpegls;

/// The most tiles of a JPEG 2000 image; slices have one.
const MOST_TILES: u64 = 4096;

const OTHER_SIZE: Error =
    Error::Corrupt { reason: "the compressed image has another size than its header says" };

/// Samples of a frame, row by row, little endian, and the number type they came in.
pub(crate) fn decode(syntax: &str, frame: Vec<u8>, storage: &Storage) -> Result<(Vec<u8>, Kind), Error> {
    match syntax {
        uids::RLE_LOSSLESS => Ok((run_lengths(&frame, storage)?, storage.kind)),
        uids::JPEGLS_LOSSLESS | uids::JPEGLS_NEAR_LOSSLESS => {
            let samples = jpegls::decode(&frame, storage.rows, storage.columns)?;
            Ok((samples.iter().flat_map(|sample| sample.to_le_bytes()).collect(), Kind::Integer16))
        }
        uids::JPEG_BASELINE8_BIT
        | uids::JPEG_EXTENDED12_BIT
        | uids::JPEG_LOSSLESS
        | uids::JPEG_LOSSLESS_SV1 => {
            let kind = jpeg_samples(syntax, &frame, storage)?;
            Ok((borrowed(syntax, frame, storage, kind)?, kind))
        }
        uids::JPEG2000_LOSSLESS | uids::JPEG2000 => {
            let kind = jpeg2000_samples(&frame, storage)?;
            Ok((borrowed(syntax, frame, storage, kind)?, kind))
        }
        _ => Err(unsupported(syntax)),
    }
}

/// Whether frames of this transfer syntax can be decoded.
pub(crate) fn is_supported(syntax: &str) -> bool {
    matches!(
        syntax,
        uids::RLE_LOSSLESS
            | uids::JPEGLS_LOSSLESS
            | uids::JPEGLS_NEAR_LOSSLESS
            | uids::JPEG_BASELINE8_BIT
            | uids::JPEG_EXTENDED12_BIT
            | uids::JPEG_LOSSLESS
            | uids::JPEG_LOSSLESS_SV1
            | uids::JPEG2000_LOSSLESS
            | uids::JPEG2000
    )
}

pub(crate) fn unsupported(syntax: &str) -> Error {
    Error::UnsupportedTransferSyntax { uid: syntax.to_owned() }
}

/// PS3.5 Annex G: one run-length coded segment for each byte of a sample, the highest byte first.
fn run_lengths(frame: &[u8], storage: &Storage) -> Result<Vec<u8>, Error> {
    let damaged = || Error::Corrupt { reason: "the RLE image cannot be decoded" };
    let (width, count) = (storage.kind.bytes(), storage.rows * storage.columns);
    let word =
        |at: usize| frame.get(at * 4..)?.first_chunk::<4>().map(|four| u32::from_le_bytes(*four) as usize);
    if word(0) != Some(width) || frame.len().saturating_mul(64) < count {
        return Err(damaged());
    }
    let mut samples = vec![0u8; count * width];
    for segment in 0..width {
        let start = word(segment + 1).ok_or_else(damaged)?;
        let end = if segment + 1 < width { word(segment + 2).ok_or_else(damaged)? } else { frame.len() };
        let mut coded = frame.get(start.max(64)..end).ok_or_else(damaged)?;
        let mut places = samples.iter_mut().skip(width - 1 - segment).step_by(width);
        let mut written = 0;
        while written < count {
            let (&head, rest) = coded.split_first().ok_or_else(damaged)?;
            let length = match head {
                0..=127 => usize::from(head) + 1,
                128 => 0,
                _ => 257 - usize::from(head),
            };
            let taken = if head <= 127 { length } else { usize::from(length > 0) };
            let bytes = rest.get(..taken).ok_or_else(damaged)?;
            coded = &rest[taken..];
            written += length;
            for (at, place) in (0..length).zip(&mut places) {
                *place = if head <= 127 { bytes[at] } else { bytes[0] };
            }
        }
    }
    Ok(samples)
}

/// Compares the frame header of a JPEG stream (ITU-T T.81 B.2.2) with the DICOM header; the type it decodes to.
fn jpeg_samples(syntax: &str, frame: &[u8], storage: &Storage) -> Result<Kind, Error> {
    let damaged = || Error::Corrupt { reason: "the JPEG image has no frame header" };
    let mut rest = frame.strip_prefix(&[0xFF, 0xD8]).ok_or_else(damaged)?;
    loop {
        let &[0xFF, marker, ref tail @ ..] = rest else { return Err(damaged()) };
        if marker == 0xFF {
            rest = &rest[1..];
            continue;
        }
        let &[high, low, ..] = tail else { return Err(damaged()) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let segment = tail.get(2..length).ok_or_else(damaged)?;
        match (marker, segment) {
            (0xC0..=0xC3, &[precision, y, z, x, w, components, ..]) => {
                let rows = usize::from(u16::from_be_bytes([y, z]));
                let columns = usize::from(u16::from_be_bytes([x, w]));
                if rows != storage.rows || columns != storage.columns || components != 1 {
                    return Err(OTHER_SIZE);
                }
                return match precision {
                    2..=8 => Ok(Kind::Integer8),
                    // No decoder here knows cosine transforms of more than 8 bits.
                    _ if marker != 0xC3 => Err(unsupported(syntax)),
                    9..=16 if storage.kind == Kind::Integer16 => Ok(Kind::Integer16),
                    _ => Err(OTHER_SIZE),
                };
            }
            (0xC0..=0xCF, _) if !matches!(marker, 0xC4 | 0xC8 | 0xCC) => return Err(damaged()),
            (0xDA | 0xD9, _) => return Err(damaged()),
            _ => rest = &tail[length..],
        }
    }
}

/// Compares the size segment of a JPEG 2000 stream (ITU-T T.800 A.5.1) with the DICOM header.
fn jpeg2000_samples(frame: &[u8], storage: &Storage) -> Result<Kind, Error> {
    let damaged = || Error::Corrupt { reason: "the JPEG 2000 image has no size segment" };
    let &[0xFF, 0x4F, 0xFF, 0x51, _, _, _, _, ref tail @ ..] = frame else { return Err(damaged()) };
    let (words, rest) = tail.split_first_chunk::<32>().ok_or_else(damaged)?;
    let word =
        |at: usize| words.as_chunks::<4>().0.get(at).map_or(0, |four| u64::from(u32::from_be_bytes(*four)));
    let [x, y, left, top, tile_x, tile_y, tile_left, tile_top] = [0, 1, 2, 3, 4, 5, 6, 7].map(word);
    let &[0, 1, precision, 1, 1, ..] = rest else { return Err(OTHER_SIZE) };
    let sized = x.checked_sub(left) == Some(storage.columns as u64)
        && y.checked_sub(top) == Some(storage.rows as u64);
    if !sized || tile_x == 0 || tile_y == 0 || tile_left > left || tile_top > top {
        return Err(OTHER_SIZE);
    }
    if (x - tile_left).div_ceil(tile_x) * (y - tile_top).div_ceil(tile_y) > MOST_TILES {
        return Err(damaged());
    }
    match u32::from(precision & 0x7F) + 1 {
        bits if bits as usize <= 8 * storage.kind.bytes().min(2) => Ok(storage.kind),
        _ => Err(OTHER_SIZE),
    }
}

/// Decodes with the DICOM packages: a one-frame object, built from checked values.
fn borrowed(syntax: &str, frame: Vec<u8>, storage: &Storage, kind: Kind) -> Result<Vec<u8>, Error> {
    let damaged = || Error::Corrupt { reason: "the compressed image cannot be decoded" };
    let codec = TransferSyntaxRegistry.get(syntax).map(|syntax| syntax.codec());
    let Some(Codec::EncapsulatedPixelData(Some(reader), _)) = codec else { return Err(unsupported(syntax)) };
    let object = one_frame(syntax, frame, storage, kind).ok_or_else(damaged)?;
    let mut samples = Vec::new();
    // The decoders are other people's: what they make of damaged bytes must not end the process.
    let outcome = catch_unwind(AssertUnwindSafe(|| reader.decode_frame(&object, 0, &mut samples)));
    match outcome {
        Ok(Ok(())) if samples.len() == storage.rows * storage.columns * kind.bytes() => Ok(samples),
        _ => Err(damaged()),
    }
}

/// A DICOM object of one compressed frame.
fn one_frame(
    syntax: &str,
    frame: Vec<u8>,
    storage: &Storage,
    kind: Kind,
) -> Option<FileDicomObject<InMemDicomObject>> {
    let short = |tag, value: usize| {
        DataElement::new(tag, VR::US, PrimitiveValue::from(u16::try_from(value).unwrap_or(u16::MAX)))
    };
    let bits = 8 * kind.bytes();
    let mut object = InMemDicomObject::from_element_iter([
        short(tags::SAMPLES_PER_PIXEL, 1),
        DataElement::new(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, PrimitiveValue::from("MONOCHROME2")),
        short(tags::ROWS, storage.rows),
        short(tags::COLUMNS, storage.columns),
        short(tags::BITS_ALLOCATED, bits),
        short(tags::BITS_STORED, bits),
        short(tags::HIGH_BIT, bits - 1),
        short(tags::PIXEL_REPRESENTATION, 0),
    ]);
    let pixels = PixelFragmentSequence::new(vec![0u32], vec![frame]);
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, pixels));
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(syntax)
        .media_storage_sop_class_uid(uids::CT_IMAGE_STORAGE)
        .media_storage_sop_instance_uid("2.25.0")
        .implementation_class_uid("2.25.0")
        .build()
        .ok()?;
    Some(object.with_exact_meta(meta))
}
