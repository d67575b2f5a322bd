//! Reads segmentation objects of any program: BINARY, FRACTIONAL and LABELMAP (PS3.3 C.8.20).

use std::io::{Read, SeekFrom};
use std::path::{Path, PathBuf};

use dicom_dictionary_std::{tags, uids};
use imaging::{Grid, LabelMap, Progress, Segmentation};
use ndarray::{ArrayViewMut2, Axis};

use super::groups::groups;
use super::place;
use super::table::{self, Table};
use crate::ReadOptions;
use crate::dicom::compressed;
use crate::dicom::error::Error as DicomError;
use crate::dicom::image::{self, Kind, Storage};
use crate::dicom::pixels::{Content, Seekable, fragments_of};
use crate::dicom::preflight::{self, Pixels, Scan};
use crate::error::{Choice, Error, Result};

/// Bytes of labels that are granted without asking, and for each stored byte.
const FREE_BYTES: u64 = 64 << 20;
const MOST_INFLATION: u64 = 4096;
/// Frames between two steps of the progress.
const STEP: usize = 16;
/// The key of the choice between structures that overlap.
const OVERLAP: &str = "overlap";

/// Reads a segmentation object from a file: labels on the even grid that its frames lie on, and what they mean. Numbers
/// of segments become labels as they are, or in their order where one is above 255. Fractions count from one half.
///
/// # Errors
///
/// [`Error::Overlap`], with [`Error::choices`], when structures overlap; [`Error::Dicom`] when the bytes are wrong, or
/// the frames lie on no even grid.
pub fn read(path: &Path, options: &ReadOptions, progress: &Progress) -> Result<Segmentation> {
    segmentation(Content::Path(PathBuf::from(path)), options, progress)
}

/// Reads a segmentation object that is in memory; see [`read`].
///
/// # Errors
///
/// As [`read`].
pub fn read_bytes(bytes: Vec<u8>, options: &ReadOptions, progress: &Progress) -> Result<Segmentation> {
    segmentation(Content::Memory(bytes), options, progress)
}

fn segmentation(content: Content, options: &ReadOptions, progress: &Progress) -> Result<Segmentation> {
    let scan = {
        let (source, length) = content.open()?;
        preflight::scan_keeping(source, length, table::keep)?
    };
    let mut scan = scan.ok_or(DicomError::NoImages { files: 1 })?;
    let content = scan.inflated.take().map_or(content, Content::Memory);
    let object = Object::of(&scan)?;
    let voxels = object.grid.len() as u64;
    if voxels > options.limits.voxels {
        return Err(Error::Limit { what: "voxels", found: voxels, most: options.limits.voxels });
    }
    let limit = FREE_BYTES + MOST_INFLATION * object.stored_bytes();
    if voxels > limit {
        return Err(DicomError::Bomb { limit }.into());
    }
    let preferred = Preferred::of(options)?;
    let mut labels = LabelMap::background(&object.grid);
    object.paint(&content, &mut labels, preferred, progress)?;
    Ok(Segmentation { labels, segments: object.table.segments })
}

/// Which of two structures has a voxel that both claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Preferred {
    Neither,
    First,
    Last,
}

impl Preferred {
    fn of(options: &ReadOptions) -> Result<Preferred> {
        Ok(match options.chosen(OVERLAP, &choices())? {
            Some("first") => Preferred::First,
            Some(_) => Preferred::Last,
            None => Preferred::Neither,
        })
    }
}

fn choices() -> Vec<Choice> {
    vec![
        Choice::new(OVERLAP, "first", "a voxel of two structures belongs to the one listed first"),
        Choice::new(OVERLAP, "last", "a voxel of two structures belongs to the one listed last"),
    ]
}

/// What the pixels of an object are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// One bit: inside or not.
    Mask,
    /// A share of this number.
    Share(u16),
    /// The number of a segment.
    Label,
}

/// A segmentation object, all but its pixels.
struct Object<'a> {
    meaning: Meaning,
    /// Bits of a stored pixel: 1, 8 or 16.
    bits: usize,
    columns: usize,
    rows: usize,
    frames: usize,
    table: Table,
    /// Label and plane of each frame; the label means nothing where the pixels are labels themselves.
    places: Vec<(u8, usize)>,
    grid: Grid,
    lookup: Vec<Option<u8>>,
    pixels: &'a Pixels,
    syntax: &'a str,
    big_endian: bool,
}

impl Object<'_> {
    fn of(scan: &Scan) -> Result<Object<'_>, DicomError> {
        let dataset = &scan.dataset;
        let (meaning, bits) = meaning(scan)?;
        let (rows, columns) = (image::side(dataset, tags::ROWS)?, image::side(dataset, tags::COLUMNS)?);
        let frames = image::frames(dataset)?;
        if dataset.integer(tags::SAMPLES_PER_PIXEL)?.unwrap_or(1) != 1 {
            return Err(DicomError::UnsupportedType {
                what: "a segmentation of more than one sample a pixel",
            });
        }
        let table = Table::of(dataset)?;
        let pixels =
            scan.pixels.as_ref().ok_or(DicomError::UnsupportedType { what: "an object without pixels" })?;
        let syntax = scan.transfer_syntax.as_str();
        if syntax != uids::DEFLATED_IMAGE_FRAME_COMPRESSION {
            pixels.check(syntax)?;
        }
        let (placed, values, stated) = groups(dataset, frames, meaning, &table)?;
        let (grid, planes) = place::grid(&placed, [columns, rows], stated)?;
        let places = values.into_iter().zip(planes).collect();
        let lookup = table.lookup(dataset.integer(tags::PIXEL_PADDING_VALUE)?);
        let big_endian = scan.big_endian;
        let object = Object {
            meaning,
            bits,
            columns,
            rows,
            frames,
            table,
            places,
            grid,
            lookup,
            pixels,
            syntax,
            big_endian,
        };
        object.complete()?;
        Ok(object)
    }

    /// Whether all native pixels are there.
    fn complete(&self) -> Result<(), DicomError> {
        let Pixels::Native { length, .. } = self.pixels else { return Ok(()) };
        let expected = (self.pixels_of_a_frame() * self.frames * self.bits).div_ceil(8) as u64;
        if *length < expected {
            return Err(DicomError::Truncated { expected, found: *length });
        }
        if *length > expected + 1 {
            return Err(DicomError::Corrupt {
                reason: "there are more pixels than rows, columns and frames say",
            });
        }
        Ok(())
    }

    fn pixels_of_a_frame(&self) -> usize {
        self.rows * self.columns
    }

    fn stored_bytes(&self) -> u64 {
        match self.pixels {
            Pixels::Native { length, .. } => *length,
            Pixels::Encapsulated { fragments, .. } => fragments.iter().map(|[_, length]| length).sum(),
        }
    }

    /// Paints all frames.
    fn paint(
        &self,
        content: &Content,
        labels: &mut LabelMap,
        preferred: Preferred,
        progress: &Progress,
    ) -> Result<()> {
        let (mut source, _) = content.open()?;
        let mut bytes = Vec::new();
        for (frame, &(value, plane)) in self.places.iter().enumerate() {
            if frame % STEP == 0 {
                progress.step("reading", frame as u64, self.frames as u64)?;
            }
            let (first_bit, bits) = self.load(frame, source.as_mut(), &mut bytes)?;
            let mut plane = labels.labels.index_axis_mut(Axis(0), plane);
            let mut brush = Brush { plane: plane.view_mut(), preferred, table: &self.table };
            match bits {
                1 => self.mask(&bytes, first_bit, |at| brush.touch(at, value))?,
                _ => self.samples(&bytes, bits, value, |at, value| brush.touch(at, value))?,
            }
        }
        Ok(())
    }

    /// Calls `touch` for each pixel of a mask that is set.
    fn mask(&self, bytes: &[u8], first_bit: usize, mut touch: impl FnMut(usize) -> Result<()>) -> Result<()> {
        let end = first_bit + self.pixels_of_a_frame();
        for (place, &byte) in bytes.iter().enumerate().filter(|(_, byte)| **byte != 0) {
            for bit in (0..8).filter(|bit| byte >> bit & 1 == 1) {
                let at = place * 8 + bit;
                if (first_bit..end).contains(&at) {
                    touch(at - first_bit)?;
                }
            }
        }
        Ok(())
    }

    /// Calls `touch` for each pixel that is part of a structure, with its label.
    fn samples(
        &self,
        bytes: &[u8],
        bits: usize,
        value: u8,
        mut touch: impl FnMut(usize, u8) -> Result<()>,
    ) -> Result<()> {
        let count = self.pixels_of_a_frame();
        for at in 0..count {
            let sample = match (bits, self.big_endian) {
                (8, _) => bytes.get(at).copied().map(u16::from),
                (_, big) => bytes.get(2 * at..2 * at + 2).map(|two| {
                    let two = [two[0], two[1]];
                    if big { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) }
                }),
            };
            let sample = sample.ok_or(DicomError::Corrupt { reason: "a frame is too short" })?;
            let label = match self.meaning {
                Meaning::Mask => (sample != 0).then_some(value),
                Meaning::Share(whole) => (u32::from(sample) * 2 >= u32::from(whole)).then_some(value),
                Meaning::Label => {
                    let label = self.lookup.get(usize::from(sample)).copied().flatten();
                    let unlisted =
                        DicomError::Corrupt { reason: "a pixel is of a segment that is not listed" };
                    Some(label.ok_or(unlisted)?).filter(|label| *label != 0)
                }
            };
            if let Some(label) = label {
                touch(at, label)?;
            }
        }
        Ok(())
    }

    /// The bytes of a frame, in which bit it begins, and how many bits a pixel has in them.
    fn load(
        &self,
        frame: usize,
        source: &mut dyn Seekable,
        bytes: &mut Vec<u8>,
    ) -> Result<(usize, usize), DicomError> {
        let count = self.pixels_of_a_frame();
        bytes.clear();
        match self.pixels {
            Pixels::Native { offset, .. } => {
                let first = frame * count * self.bits;
                let end = (first + count * self.bits).div_ceil(8);
                append(source, *offset + (first / 8) as u64, end - first / 8, bytes)?;
                Ok((first % 8, self.bits))
            }
            Pixels::Encapsulated { table, fragments } => {
                let mut coded = Vec::new();
                for [offset, length] in fragments_of(frame, self.frames, table, fragments)? {
                    append(source, *offset, *length as usize, &mut coded)?;
                }
                self.decode(coded, bytes)
            }
        }
    }

    /// A compressed frame, each of which begins with its own byte.
    fn decode(&self, coded: Vec<u8>, bytes: &mut Vec<u8>) -> Result<(usize, usize), DicomError> {
        let packed = (self.pixels_of_a_frame() * self.bits).div_ceil(8);
        if self.syntax == uids::DEFLATED_IMAGE_FRAME_COMPRESSION {
            let damaged = DicomError::Corrupt { reason: "a deflated frame cannot be inflated" };
            let inflater = flate2::read::DeflateDecoder::new(coded.as_slice());
            inflater.take(packed as u64).read_to_end(bytes).map_err(|_| damaged)?;
            return Ok((0, self.bits));
        }
        // RLE packs bytes, whatever the pixels; the other codecs know single bits.
        let run_lengths = self.syntax == uids::RLE_LOSSLESS;
        let (rows, columns) =
            if run_lengths && self.bits == 1 { (1, packed) } else { (self.rows, self.columns) };
        let kind = if self.bits == 16 { Kind::Integer16 } else { Kind::Integer8 };
        let storage = Storage {
            rows,
            columns,
            kind,
            bits_stored: 8 * kind.bytes() as u32,
            lowest_bit: 0,
            signed: false,
            big_endian: false,
            inverted: false,
            padding: None,
        };
        let (samples, kind) = compressed::decode(self.syntax, coded, &storage)?;
        *bytes = samples;
        Ok((0, if run_lengths && self.bits == 1 { 1 } else { 8 * kind.bytes() }))
    }
}

/// Paints labels onto one plane.
struct Brush<'a> {
    plane: ArrayViewMut2<'a, u8>,
    preferred: Preferred,
    table: &'a Table,
}

impl Brush<'_> {
    fn touch(&mut self, at: usize, value: u8) -> Result<()> {
        let columns = self.plane.ncols().max(1);
        let Some(label) = self.plane.get_mut([at / columns, at % columns]) else { return Ok(()) };
        *label = match (*label, self.preferred) {
            (0, _) => value,
            (known, _) if known == value => value,
            (known, Preferred::First) => known.min(value),
            (known, Preferred::Last) => known.max(value),
            (known, Preferred::Neither) => {
                let name = |value| {
                    let segment = self.table.segments.iter().find(|segment| segment.value == value);
                    segment.map(|segment| segment.name.clone()).unwrap_or_default()
                };
                let (first, second) = (name(known.min(value)), name(known.max(value)));
                return Err(Error::Overlap { first, second, choices: choices() });
            }
        };
        Ok(())
    }
}

/// What the pixels mean, and how many bits each has.
fn meaning(scan: &Scan) -> Result<(Meaning, usize), DicomError> {
    let dataset = &scan.dataset;
    let class = scan.identity[0].as_deref().unwrap_or_default();
    if !matches!(class, uids::SEGMENTATION_STORAGE | uids::LABEL_MAP_SEGMENTATION_STORAGE) {
        return Err(DicomError::UnsupportedType { what: "an object that is no segmentation" });
    }
    let whole = match dataset.integer(tags::MAXIMUM_FRACTIONAL_VALUE)? {
        None => 255,
        Some(whole) => u16::try_from(whole)
            .ok()
            .filter(|whole| (1..=255).contains(whole))
            .ok_or(DicomError::Parse { reason: "the largest fraction is not a number of 1 to 255" })?,
    };
    let bits = dataset.integer(tags::BITS_ALLOCATED)?;
    match (dataset.text(tags::SEGMENTATION_TYPE), bits) {
        (Some("BINARY"), Some(1)) => Ok((Meaning::Mask, 1)),
        (Some("FRACTIONAL"), Some(8)) => Ok((Meaning::Share(whole), 8)),
        (Some("LABELMAP"), Some(8)) => Ok((Meaning::Label, 8)),
        (Some("LABELMAP"), Some(16)) => Ok((Meaning::Label, 16)),
        (Some("BINARY" | "FRACTIONAL" | "LABELMAP"), _) => {
            Err(DicomError::Corrupt { reason: "the bits of a pixel do not fit the type of the segmentation" })
        }
        _ => Err(DicomError::Parse { reason: "the object does not say which type of segmentation it is" }),
    }
}

/// Appends `count` bytes from `offset`, which the walk has found to be there.
fn append(
    source: &mut dyn Seekable,
    offset: u64,
    count: usize,
    bytes: &mut Vec<u8>,
) -> Result<(), DicomError> {
    let failed = |source| DicomError::Read { source };
    let start = bytes.len();
    bytes.resize(start + count, 0);
    source.seek(SeekFrom::Start(offset)).map_err(failed)?;
    source.read_exact(&mut bytes[start..]).map_err(failed)
}
