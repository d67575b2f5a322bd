//! From the bytes of a file to the intensities of a slice: stored value, sign, padding, inversion, rescale.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dicom_dictionary_std::uids;

use super::compressed;
use super::error::Error;
use super::image::{Kind, Slice, Storage};
use super::preflight::Pixels;

/// Where the bytes of a file are.
#[derive(Debug)]
pub enum Content {
    /// On the disk.
    Path(PathBuf),
    /// In a larger file on the disk, such as a part of a multipart body.
    Part {
        /// The larger file.
        path: Arc<Path>,
        /// Its first byte there.
        start: u64,
        /// How many bytes it has.
        length: u64,
    },
    /// Here.
    Memory(Vec<u8>),
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Content {
        Content::Memory(bytes)
    }
}

/// Something to read from any place.
pub(crate) trait Seekable: Read + Seek {}
impl<T: Read + Seek> Seekable for T {}

impl Content {
    /// Opens the bytes, and says how many there are.
    pub(crate) fn open(&self) -> Result<(Box<dyn Seekable + '_>, u64), Error> {
        let read = |source| Error::Read { source };
        match self {
            Content::Memory(bytes) => Ok((Box::new(Cursor::new(bytes.as_slice())), bytes.len() as u64)),
            Content::Path(path) => {
                let file = File::open(path).map_err(read)?;
                let length = file.metadata().map_err(read)?.len();
                Ok((Box::new(file), length))
            }
            Content::Part { path, start, length } => {
                let mut file = File::open(path).map_err(read)?;
                file.seek(SeekFrom::Start(*start)).map_err(read)?;
                Ok((Box::new(Part { file, start: *start, length: *length, at: 0 }), *length))
            }
        }
    }
}

/// Some bytes of a file, as a file.
struct Part {
    file: File,
    start: u64,
    length: u64,
    /// The next byte, of the part.
    at: u64,
}

impl Read for Part {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let most = left.min(bytes.len());
        let count = self.file.read(&mut bytes[..most])?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Part {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let wanted = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
        };
        let outside = || io::Error::from(io::ErrorKind::InvalidInput);
        let at = wanted.filter(|at| self.start.checked_add(*at).is_some()).ok_or_else(outside)?;
        self.file.seek(SeekFrom::Start(self.start + at))?;
        self.at = at;
        Ok(at)
    }
}

impl Pixels {
    /// Whether pixels stored this way, under this transfer syntax, can be read.
    pub(crate) fn check(&self, syntax: &str) -> Result<(), Error> {
        #[expect(deprecated, reason = "retired by the standard, still found in archives")]
        let native = matches!(
            syntax,
            uids::IMPLICIT_VR_LITTLE_ENDIAN
                | uids::EXPLICIT_VR_LITTLE_ENDIAN
                | uids::EXPLICIT_VR_BIG_ENDIAN
                | uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
        );
        match self {
            Pixels::Native { .. } if native => Ok(()),
            Pixels::Encapsulated { .. } if compressed::is_supported(syntax) => Ok(()),
            Pixels::Encapsulated { .. } if native => {
                Err(Error::Corrupt { reason: "compressed pixels in an uncompressed transfer syntax" })
            }
            Pixels::Native { .. } if compressed::is_supported(syntax) => {
                Err(Error::Corrupt { reason: "uncompressed pixels in a compressed transfer syntax" })
            }
            _ => Err(compressed::unsupported(syntax)),
        }
    }
}

/// One file with pixels.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) content: Content,
    pub(crate) pixels: Pixels,
    pub(crate) transfer_syntax: String,
    /// Frames in the file.
    pub(crate) frames: usize,
    pub(crate) storage: Storage,
}

/// Writes the intensities of `slice`, row by row, to `out`; padding becomes NaN. `bytes` is a buffer to reuse.
pub(crate) fn read(file: &Stored, slice: &Slice, out: &mut [f32], bytes: &mut Vec<u8>) -> Result<(), Error> {
    read_as(file, &file.storage, slice, out, bytes)
}

/// As [`read`], with another meaning of the same stored bytes.
pub(crate) fn read_as(
    file: &Stored,
    storage: &Storage,
    slice: &Slice,
    out: &mut [f32],
    bytes: &mut Vec<u8>,
) -> Result<(), Error> {
    let rescale = slice.rescale.unwrap_or([1.0, 0.0]);
    match &file.pixels {
        Pixels::Native { offset, .. } => {
            let length = storage.rows * storage.columns * storage.kind.bytes();
            let start = offset + (length * slice.frame) as u64;
            bytes.clear();
            append(&file.content, &[[start, length as u64]], bytes)?;
            convert(bytes, storage, rescale, out);
        }
        Pixels::Encapsulated { table, fragments } => {
            let mut frame = Vec::new();
            append(&file.content, fragments_of(slice.frame, file.frames, table, fragments)?, &mut frame)?;
            let (samples, kind) = compressed::decode(&file.transfer_syntax, frame, storage)?;
            let decoded = Storage { kind, big_endian: false, ..storage.clone() };
            convert(&samples, &decoded, rescale, out);
        }
    }
    Ok(())
}

impl Stored {
    /// Stored bytes of one frame, on average.
    pub(crate) fn bytes_of_a_frame(&self) -> u64 {
        let bytes = match &self.pixels {
            Pixels::Native { length, .. } => *length,
            Pixels::Encapsulated { fragments, .. } => fragments.iter().map(|[_, length]| length).sum(),
        };
        bytes / self.frames as u64
    }
}

/// The fragments of a frame: all of a single frame, one each, or those between two entries of the offset table.
pub(crate) fn fragments_of<'a>(
    frame: usize,
    frames: usize,
    table: &[u32],
    fragments: &'a [[u64; 2]],
) -> Result<&'a [[u64; 2]], Error> {
    let damaged = Error::Corrupt { reason: "the compressed frames cannot be told apart" };
    let found = if frames == 1 {
        Some(fragments)
    } else if fragments.len() == frames {
        fragments.get(frame..=frame)
    } else if table.len() == frames {
        let base = fragments.first().map_or(0, |first| first[0]);
        let index = |offset: &u32| fragments.partition_point(|[start, _]| start - base < u64::from(*offset));
        let end = table.get(frame + 1).map_or(fragments.len(), index);
        fragments.get(table.get(frame).map_or(0, index)..end)
    } else {
        None
    };
    found.filter(|fragments| !fragments.is_empty()).ok_or(damaged)
}

/// Appends ranges `[offset, length]` of the content, which the walk has found to be there.
fn append(content: &Content, ranges: &[[u64; 2]], bytes: &mut Vec<u8>) -> Result<(), Error> {
    let read = |source| Error::Read { source };
    let (mut source, length) = content.open()?;
    for &[offset, count] in ranges {
        let expected = offset + count;
        if expected > length {
            // The file was changed since.
            return Err(Error::Truncated { expected, found: length });
        }
        let start = bytes.len();
        bytes.resize(start + count as usize, 0);
        source.seek(SeekFrom::Start(offset)).map_err(read)?;
        source.read_exact(&mut bytes[start..]).map_err(read)?;
    }
    Ok(())
}

/// Stored samples to intensities.
fn convert(bytes: &[u8], storage: &Storage, rescale: [f64; 2], out: &mut [f32]) {
    let value = Meaning::new(storage, rescale);
    match (storage.kind, storage.big_endian) {
        (Kind::Integer8, _) => value.integers(bytes, |[a]: [u8; 1]| u32::from(a), out),
        (Kind::Integer16, false) => value.integers(bytes, |two| u32::from(u16::from_le_bytes(two)), out),
        (Kind::Integer16, true) => value.integers(bytes, |two| u32::from(u16::from_be_bytes(two)), out),
        (Kind::Integer32, false) => value.integers(bytes, u32::from_le_bytes, out),
        (Kind::Integer32, true) => value.integers(bytes, u32::from_be_bytes, out),
        (Kind::Float32, false) => value.floats(bytes, |four| f64::from(f32::from_le_bytes(four)), out),
        (Kind::Float32, true) => value.floats(bytes, |four| f64::from(f32::from_be_bytes(four)), out),
        (Kind::Float64, false) => value.floats(bytes, f64::from_le_bytes, out),
        (Kind::Float64, true) => value.floats(bytes, f64::from_be_bytes, out),
    }
}

/// What a stored number means.
struct Meaning {
    /// Shifts that leave the stored bits, sign-extended where signed.
    left: u32,
    right: u32,
    signed: bool,
    /// The sum of a value and its inverse.
    inverse: Option<f64>,
    padding: [f64; 2],
    slope: f64,
    intercept: f64,
}

impl Meaning {
    fn new(storage: &Storage, [slope, intercept]: [f64; 2]) -> Meaning {
        let stored = storage.bits_stored.min(32);
        let float = matches!(storage.kind, Kind::Float32 | Kind::Float64);
        let inverse = if storage.signed { -1.0 } else { (1u64 << stored) as f64 - 1.0 };
        Meaning {
            left: 32 - stored.saturating_add(storage.lowest_bit).min(32),
            right: 32 - stored,
            signed: storage.signed,
            inverse: (storage.inverted && !float).then_some(inverse),
            padding: storage.padding.map_or([f64::NAN; 2], |range| range.map(|value| value as f64)),
            slope,
            intercept,
        }
    }

    fn integers<const N: usize>(&self, bytes: &[u8], raw: impl Fn([u8; N]) -> u32, out: &mut [f32]) {
        let samples = bytes.as_chunks::<N>().0.iter().map(|sample| raw(*sample) << self.left);
        if self.signed {
            self.finish(samples.map(|bits| f64::from(bits as i32 >> self.right)), out);
        } else {
            self.finish(samples.map(|bits| f64::from(bits >> self.right)), out);
        }
    }

    fn floats<const N: usize>(&self, bytes: &[u8], raw: impl Fn([u8; N]) -> f64, out: &mut [f32]) {
        self.finish(bytes.as_chunks::<N>().0.iter().map(|sample| raw(*sample)), out);
    }

    fn finish(&self, values: impl Iterator<Item = f64>, out: &mut [f32]) {
        let &Meaning { padding: [low, high], slope, intercept, .. } = self;
        let rescaled = |value: f64| (value * slope + intercept) as f32;
        let padded = |value: f64| value >= low && value <= high;
        match self.inverse {
            None if low.is_nan() => {
                out.iter_mut().zip(values).for_each(|(out, value)| *out = rescaled(value))
            }
            None => out
                .iter_mut()
                .zip(values)
                .for_each(|(out, value)| *out = if padded(value) { f32::NAN } else { rescaled(value) }),
            Some(sum) => out.iter_mut().zip(values).for_each(|(out, value)| {
                *out = if padded(value) { f32::NAN } else { rescaled(sum - value) };
            }),
        }
    }
}
