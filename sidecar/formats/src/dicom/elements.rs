//! The bytes of a DICOM file, element by element: tags, value representations and lengths, never read past the end.

use std::io::{BufReader, Read, Seek, SeekFrom};

use dicom_core::Tag;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::StandardDataDictionary;

use super::attributes;
use super::error::Error;

/// Elements of one file accepted: far beyond an enhanced image of 10,000 frames.
const MOST_ELEMENTS: u64 = 8_000_000;

pub(crate) const ITEM: Tag = Tag(0xFFFE, 0xE000);
pub(crate) const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
pub(crate) const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);
pub(crate) const UNDEFINED: u32 = u32::MAX;

/// How elements are encoded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Encoding {
    pub(crate) explicit: bool,
    pub(crate) big_endian: bool,
}

pub(crate) const EXPLICIT: Encoding = Encoding { explicit: true, big_endian: false };
pub(crate) const BIG_ENDIAN: Encoding = Encoding { explicit: true, big_endian: true };
pub(crate) const IMPLICIT: Encoding = Encoding { explicit: false, big_endian: false };

/// Bytes with a position; every read is checked against the length first.
pub(crate) struct Bytes<R> {
    pub(crate) source: BufReader<R>,
    pub(crate) position: u64,
    pub(crate) length: u64,
    /// Elements begun.
    elements: u64,
}

/// One element's beginning.
pub(crate) struct Header {
    pub(crate) tag: Tag,
    /// As said, or as the dictionary says where it is not.
    pub(crate) vr: [u8; 2],
    pub(crate) length: u32,
    /// Said to be UN: whatever is inside is implicit little endian (PS3.5 6.2.2).
    pub(crate) unknown: bool,
}

impl<R: Read + Seek> Bytes<R> {
    /// `source` of `length` bytes, from its start.
    pub(crate) fn new(source: R, length: u64) -> Bytes<R> {
        Bytes { source: BufReader::with_capacity(16 * 1024, source), position: 0, length, elements: 0 }
    }

    /// Fills `buffer` from the current position.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        self.need(buffer.len() as u64)?;
        self.source.read_exact(buffer).map_err(|source| Error::Read { source })?;
        self.position += buffer.len() as u64;
        Ok(())
    }

    /// Whether `count` more bytes are there.
    pub(crate) fn need(&self, count: u64) -> Result<(), Error> {
        let expected = self.position.saturating_add(count);
        if expected > self.length { Err(Error::Truncated { expected, found: self.length }) } else { Ok(()) }
    }

    /// Steps over `count` bytes.
    pub(crate) fn skip(&mut self, count: u64) -> Result<(), Error> {
        self.need(count)?;
        let step = i64::try_from(count).map_err(|_| Error::Corrupt { reason: "a length overflows" })?;
        self.source.seek_relative(step).map_err(|source| Error::Read { source })?;
        self.position += count;
        Ok(())
    }

    /// Goes to a position from the start.
    pub(crate) fn seek(&mut self, position: u64) -> Result<(), Error> {
        self.source.seek(SeekFrom::Start(position)).map_err(|source| Error::Read { source })?;
        self.position = position;
        Ok(())
    }

    /// `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Tag, VR and length of the next element.
    pub(crate) fn header(&mut self, encoding: Encoding) -> Result<Header, Error> {
        self.elements += 1;
        if self.elements > MOST_ELEMENTS {
            return Err(Error::Limit { what: "elements", found: self.elements, limit: MOST_ELEMENTS });
        }
        let [a, b, c, d, rest @ ..] = self.array::<8>()?;
        let big = encoding.big_endian;
        let half = |bytes| if big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
        let whole = |bytes| if big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
        let tag = Tag(half([a, b]), half([c, d]));
        if tag.0 == 0xFFFE || !encoding.explicit {
            return Ok(Header { tag, vr: dictionary_vr(tag), length: whole(rest), unknown: false });
        }
        let [v, w, x, y] = rest;
        let vr = [v, w];
        if !vr.iter().all(u8::is_ascii_uppercase) {
            return Err(Error::Parse { reason: "an element has no value representation" });
        }
        // PS3.5 7.1.2: the old short forms; everything else, also any future VR, has four bytes of length.
        let short = matches!(
            &vr,
            b"AE"
                | b"AS"
                | b"AT"
                | b"CS"
                | b"DA"
                | b"DS"
                | b"DT"
                | b"FL"
                | b"FD"
                | b"IS"
                | b"LO"
                | b"LT"
                | b"PN"
                | b"SH"
                | b"SL"
                | b"SS"
                | b"ST"
                | b"TM"
                | b"UI"
                | b"UL"
                | b"US"
        );
        let length = if short { u32::from(half([x, y])) } else { whole(self.array::<4>()?) };
        let unknown = &vr == b"UN";
        let vr = if unknown { dictionary_vr(tag) } else { vr };
        Ok(Header { tag, vr, length, unknown })
    }

    /// Whether the bytes here begin like a data set, and with which encoding; the position does not move.
    pub(crate) fn guess(&mut self) -> Result<Option<Encoding>, Error> {
        let start = self.position;
        if self.length < start + 8 {
            return Ok(None);
        }
        let [a, b, _, _, e, f, ..] = self.array::<8>()?;
        self.seek(start)?;
        let group = u16::from_le_bytes([a, b]);
        if !matches!(group, 2 | 8) {
            return Ok(None);
        }
        let length = u64::from(u16::from_le_bytes([e, f]));
        let explicit = e.is_ascii_uppercase() && f.is_ascii_uppercase();
        Ok(match (explicit, group) {
            (true, _) => Some(EXPLICIT),
            (false, 8) if length <= 256 => Some(IMPLICIT),
            _ => None,
        })
    }
}

/// The VR that the standard, or a vendor, gives to a tag; `UN` when unknown.
pub(crate) fn dictionary_vr(tag: Tag) -> [u8; 2] {
    if let Some(vr) = attributes::private_vr(tag) {
        return vr;
    }
    let Some(entry) = StandardDataDictionary.by_tag(tag) else { return *b"UN" };
    let name = entry.vr().relaxed().to_string();
    <[u8; 2]>::try_from(name.as_bytes()).unwrap_or(*b"UN")
}
