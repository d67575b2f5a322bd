//! A strict walk over the bytes of a DICOM file, before anything else may touch them.
//!
//! General DICOM parsers believe lengths: 277 bytes can make them ask for 4 GiB, and 54 kB of nested sequences can
//! end the process. This walk checks every length against the bytes that are there before it allocates, nests at
//! most [`DEEPEST`] sequences, steps over large values without reading them, inflates deflated files under a cap, and
//! keeps only the attributes named in `attributes.rs`. It understands implicit and explicit VR, big endian, deflate,
//! files without preamble or group length, and sequences hidden as UN (PS3.5 6.2.2, 7.5, PS3.10 7.1).

use std::io::{Read, Seek};

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_encoding::transfer_syntax::TransferSyntaxIndex;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::attributes::{self, Keep};
use super::dataset::{Dataset, Value};
use super::elements::{
    BIG_ENDIAN, Bytes, EXPLICIT, Encoding, Header, IMPLICIT, ITEM, ITEM_END, SEQUENCE_END, UNDEFINED,
};
use super::error::Error;

/// Sequences within sequences accepted.
const DEEPEST: usize = 32;
/// Kept elements of one file accepted.
const MOST_KEPT: u64 = 2_000_000;
/// Values longer than this are stepped over, never kept.
const LONGEST_VALUE: u64 = 64 * 1024;
/// Deflated files may grow by this factor ...
const MOST_INFLATION: u64 = 64;
/// ... and to this many bytes.
const MOST_INFLATED: u64 = 1 << 30;

/// What a file holds, and where its pixels are.
#[derive(Debug)]
pub(crate) struct Scan {
    /// The attributes kept.
    pub(crate) dataset: Dataset,
    /// Class and instance UID; of the file meta group where the data set, thinned out by some tool, has none.
    pub(crate) identity: [Option<String>; 2],
    /// The transfer syntax UID.
    pub(crate) transfer_syntax: String,
    /// Whether numbers of the data set, and native pixels, are big endian.
    pub(crate) big_endian: bool,
    /// Where the pixels are.
    pub(crate) pixels: Option<Pixels>,
    /// The whole content, when the file was deflated; offsets then count in here.
    pub(crate) inflated: Option<Vec<u8>>,
}

/// Where the pixels of a file are, as byte offsets from its start.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Pixels {
    /// Uncompressed; `element` tells integers from floats.
    Native { element: Tag, offset: u64, length: u64 },
    /// Compressed fragments `[offset, length]`, and the offset table in bytes from the first fragment's item tag.
    Encapsulated { table: Vec<u32>, fragments: Vec<[u64; 2]> },
}

/// Walks over `source` of `length` bytes; `Ok(None)` when it is not DICOM at all.
pub(crate) fn scan<R: Read + Seek>(source: R, length: u64) -> Result<Option<Scan>, Error> {
    scan_keeping(source, length, attributes::keep)
}

/// As [`scan`], keeping other attributes than those of images.
pub(crate) fn scan_keeping<R: Read + Seek>(
    source: R,
    length: u64,
    keep: fn(Tag) -> Keep,
) -> Result<Option<Scan>, Error> {
    let mut walker = Walker::new(source, length, keep);
    let mut head = [0u8; 132];
    let marked = length >= 132 && {
        walker.bytes.fill(&mut head)?;
        &head[128..] == b"DICM"
    };
    if !marked {
        walker.bytes.seek(0)?;
        return bare(walker);
    }
    let meta = walker.meta()?;
    walker.rest(&meta).map(Some)
}

/// A file without preamble: accepted when what it says makes sense from the first byte to the pixels.
fn bare<R: Read + Seek>(mut walker: Walker<R>) -> Result<Option<Scan>, Error> {
    let Some(_) = walker.bytes.guess()? else { return Ok(None) };
    let meta = walker.meta()?;
    match walker.rest(&meta) {
        Ok(scan) if scan.dataset.contains(tags::SOP_CLASS_UID) => Ok(Some(scan)),
        Err(error @ Error::Read { .. }) => Err(error),
        _ => Ok(None),
    }
}

/// The walk: where it is, and how much it has kept.
struct Walker<R> {
    bytes: Bytes<R>,
    keep: fn(Tag) -> Keep,
    kept: u64,
}

impl<R: Read + Seek> Walker<R> {
    fn new(source: R, length: u64, keep: fn(Tag) -> Keep) -> Walker<R> {
        Walker { bytes: Bytes::new(source, length), keep, kept: 0 }
    }

    /// Walks over the file meta group (always explicit little endian); its group length is not believed.
    fn meta(&mut self) -> Result<Dataset, Error> {
        let mut found = Dataset::default();
        loop {
            let start = self.bytes.position;
            if self.bytes.length - start < 8 {
                break;
            }
            let group = u16::from_le_bytes(self.bytes.array::<2>()?);
            self.bytes.seek(start)?;
            if group != 2 {
                break;
            }
            let header = self.bytes.header(EXPLICIT)?;
            if header.length == UNDEFINED {
                return Err(Error::Parse { reason: "the file meta group holds a sequence" });
            }
            let keep = matches!(
                header.tag,
                tags::TRANSFER_SYNTAX_UID
                    | tags::MEDIA_STORAGE_SOP_CLASS_UID
                    | tags::MEDIA_STORAGE_SOP_INSTANCE_UID
            );
            self.value(&header, EXPLICIT, &mut found, keep)?;
        }
        Ok(found)
    }

    /// Walks over the data set that follows the meta group.
    fn rest(mut self, meta: &Dataset) -> Result<Scan, Error> {
        let syntax = meta.uid(tags::TRANSFER_SYNTAX_UID)?;
        let (encoding, syntax) = match syntax.as_deref() {
            Some(uids::IMPLICIT_VR_LITTLE_ENDIAN) => (IMPLICIT, uids::IMPLICIT_VR_LITTLE_ENDIAN),
            #[expect(deprecated, reason = "retired by the standard, still found in archives")]
            Some(uids::EXPLICIT_VR_BIG_ENDIAN) => (BIG_ENDIAN, uids::EXPLICIT_VR_BIG_ENDIAN),
            Some(other) if TransferSyntaxRegistry.get(other).is_some() => (EXPLICIT, other),
            Some(other) => return Err(Error::UnsupportedTransferSyntax { uid: other.to_owned() }),
            None => match self.bytes.guess()? {
                Some(EXPLICIT) => (EXPLICIT, uids::EXPLICIT_VR_LITTLE_ENDIAN),
                Some(_) => (IMPLICIT, uids::IMPLICIT_VR_LITTLE_ENDIAN),
                None => return Err(Error::Parse { reason: "the file names no transfer syntax" }),
            },
        };
        let mut dataset = Dataset::default();
        let mut inflated = None;
        let pixels = if syntax == uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN {
            let keep = self.keep;
            let bytes = self.inflate()?;
            let source = std::io::Cursor::new(bytes.as_slice());
            let pixels = Walker::new(source, bytes.len() as u64, keep).main(EXPLICIT, &mut dataset)?;
            inflated = Some(bytes);
            pixels
        } else {
            self.main(encoding, &mut dataset)?
        };
        let identity = [
            dataset.uid(tags::SOP_CLASS_UID)?.or(meta.uid(tags::MEDIA_STORAGE_SOP_CLASS_UID)?),
            dataset.uid(tags::SOP_INSTANCE_UID)?.or(meta.uid(tags::MEDIA_STORAGE_SOP_INSTANCE_UID)?),
        ];
        let (transfer_syntax, big_endian) = (syntax.to_owned(), encoding.big_endian);
        Ok(Scan { dataset, identity, transfer_syntax, big_endian, pixels, inflated })
    }

    /// Inflates the rest of the file, under a cap.
    fn inflate(self) -> Result<Vec<u8>, Error> {
        let limit =
            (self.bytes.length - self.bytes.position).saturating_mul(MOST_INFLATION).min(MOST_INFLATED);
        let mut bytes = Vec::new();
        flate2::read::DeflateDecoder::new(self.bytes.source)
            .take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(|_| Error::Corrupt { reason: "the deflated data set cannot be inflated" })?;
        if bytes.len() as u64 > limit { Err(Error::Bomb { limit }) } else { Ok(bytes) }
    }

    /// Walks over the outermost data set, up to its pixels or the end of the file.
    fn main(&mut self, encoding: Encoding, dataset: &mut Dataset) -> Result<Option<Pixels>, Error> {
        while self.bytes.position < self.bytes.length {
            let header = self.bytes.header(encoding)?;
            match header.tag {
                tags::PIXEL_DATA | tags::FLOAT_PIXEL_DATA | tags::DOUBLE_FLOAT_PIXEL_DATA => {
                    return self.pixels(&header, encoding).map(Some);
                }
                Tag(0xFFFE, _) => return Err(Error::Corrupt { reason: "an item lies outside a sequence" }),
                Tag(2, _) => {
                    return Err(Error::Corrupt { reason: "a file meta element lies in the data set" });
                }
                _ => self.element(&header, encoding, Some(dataset), (self.bytes.length, 0))?,
            }
        }
        Ok(None)
    }

    /// One element of a data set that ends at `end`; kept when it is wanted and there is a place for it.
    fn element(
        &mut self,
        header: &Header,
        encoding: Encoding,
        into: Option<&mut Dataset>,
        (end, depth): (u64, usize),
    ) -> Result<(), Error> {
        let keep = if into.is_some() { (self.keep)(header.tag) } else { Keep::Nothing };
        let sequence = header.length == UNDEFINED || (keep == Keep::Items);
        if header.length != UNDEFINED && self.bytes.position + u64::from(header.length) > end {
            self.bytes.need(u64::from(header.length))?;
            return Err(Error::Corrupt { reason: "an element is longer than the item it lies in" });
        }
        if !sequence {
            let mut nowhere = Dataset::default();
            return self.value(header, encoding, into.unwrap_or(&mut nowhere), keep == Keep::Value);
        }
        let inner = if header.unknown { IMPLICIT } else { encoding };
        let items = self.sequence(header, inner, keep == Keep::Items, (end, depth + 1))?;
        match (into, items) {
            (Some(dataset), Some(items)) => {
                self.single(dataset, header.tag)?;
                dataset.elements.push((header.tag, Value::Items(items)));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Reads or steps over a value of defined length.
    fn value(
        &mut self,
        header: &Header,
        encoding: Encoding,
        into: &mut Dataset,
        keep: bool,
    ) -> Result<(), Error> {
        let length = u64::from(header.length);
        if !keep || length > LONGEST_VALUE {
            return self.bytes.skip(length);
        }
        self.bytes.need(length)?;
        self.single(into, header.tag)?;
        let mut bytes = vec![0; length as usize];
        self.bytes.fill(&mut bytes)?;
        let value = Value::Bytes { bytes, big_endian: encoding.big_endian, vr: header.vr };
        into.elements.push((header.tag, value));
        Ok(())
    }

    /// Refuses a second element with the same tag: which of two positions or slopes would be the right one?
    fn single(&mut self, dataset: &Dataset, tag: Tag) -> Result<(), Error> {
        self.kept += 1;
        if self.kept > MOST_KEPT {
            return Err(Error::Limit { what: "attributes", found: self.kept, limit: MOST_KEPT });
        }
        if dataset.contains(tag) {
            return Err(Error::Corrupt { reason: "an attribute is given twice" });
        }
        Ok(())
    }

    /// Walks over the items of a sequence; returns them when `keep`.
    fn sequence(
        &mut self,
        header: &Header,
        encoding: Encoding,
        keep: bool,
        (end, depth): (u64, usize),
    ) -> Result<Option<Vec<Dataset>>, Error> {
        if depth > DEEPEST {
            return Err(Error::Limit {
                what: "nested sequences",
                found: depth as u64,
                limit: DEEPEST as u64,
            });
        }
        let defined = header.length != UNDEFINED;
        let end = if defined { self.bytes.position + u64::from(header.length) } else { end };
        let mut items = Vec::new();
        while !(defined && self.bytes.position >= end) {
            self.within(end, 8)?;
            let next = self.bytes.header(encoding)?;
            match next.tag {
                SEQUENCE_END if !defined => break,
                ITEM => {
                    let mut item = Dataset::default();
                    self.item(&next, encoding, keep.then_some(&mut item), (end, depth))?;
                    if keep {
                        items.push(item);
                    }
                }
                _ => return Err(Error::Corrupt { reason: "a sequence holds something other than items" }),
            }
        }
        Ok(keep.then_some(items))
    }

    /// Walks over one item.
    fn item(
        &mut self,
        header: &Header,
        encoding: Encoding,
        mut into: Option<&mut Dataset>,
        (end, depth): (u64, usize),
    ) -> Result<(), Error> {
        let defined = header.length != UNDEFINED;
        if defined && into.is_none() {
            self.within(end, u64::from(header.length))?;
            return self.bytes.skip(u64::from(header.length));
        }
        let end = if defined { self.bytes.position + u64::from(header.length) } else { end };
        if defined {
            self.bytes.need(u64::from(header.length))?;
        }
        while !(defined && self.bytes.position >= end) {
            self.within(end, 8)?;
            let next = self.bytes.header(encoding)?;
            match next.tag {
                ITEM_END if !defined => break,
                Tag(0xFFFE, _) => return Err(Error::Corrupt { reason: "an item ends where it should not" }),
                _ => self.element(&next, encoding, into.as_deref_mut(), (end, depth))?,
            }
        }
        Ok(())
    }

    /// Whether `count` more bytes fit before `end`.
    fn within(&self, end: u64, count: u64) -> Result<(), Error> {
        self.bytes.need(count)?;
        if self.bytes.position + count > end {
            return Err(Error::Corrupt { reason: "an item is longer than the sequence it lies in" });
        }
        Ok(())
    }

    /// Where the pixels are; they themselves are not read.
    fn pixels(&mut self, header: &Header, encoding: Encoding) -> Result<Pixels, Error> {
        if header.length != UNDEFINED {
            self.bytes.need(u64::from(header.length))?;
            let (offset, length) = (self.bytes.position, u64::from(header.length));
            return Ok(Pixels::Native { element: header.tag, offset, length });
        }
        let table = self.bytes.header(encoding)?;
        if table.tag != ITEM || table.length == UNDEFINED || table.length % 4 != 0 {
            return Err(Error::Corrupt { reason: "compressed pixels do not begin with an offset table" });
        }
        self.bytes.need(u64::from(table.length))?;
        let mut bytes = vec![0; table.length as usize];
        self.bytes.fill(&mut bytes)?;
        let table = bytes.as_chunks::<4>().0.iter().map(|&four| u32::from_le_bytes(four)).collect();
        let mut fragments = Vec::new();
        loop {
            let next = self.bytes.header(encoding)?;
            match next.tag {
                SEQUENCE_END => return Ok(Pixels::Encapsulated { table, fragments }),
                ITEM if next.length != UNDEFINED => {
                    fragments.push([self.bytes.position, u64::from(next.length)]);
                    self.bytes.skip(u64::from(next.length))?;
                }
                _ => {
                    return Err(Error::Corrupt {
                        reason: "compressed pixels hold something other than fragments",
                    });
                }
            }
        }
    }
}
