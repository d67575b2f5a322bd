//! The zip archive of a PyTorch checkpoint, read strictly: where each entry's bytes lie in the file.
//!
//! PyTorch stores its entries without compression, so a tensor's bytes are a range of the file and nothing has to be
//! unpacked. The strictness closes what zip leaves open: the directory and the entries themselves must agree, no two
//! entries may share bytes or a name, and every name must be one that PyTorch writes.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::error::{Error, Result};
use crate::pickle::storage_key;

/// Most entries; the largest networks have about 2000.
const ENTRY_LIMIT: u64 = 20_000;
/// Most bytes of the directory.
const DIRECTORY_LIMIT: u64 = 8 << 20;
const END_BYTES: u64 = 22;
const END64_BYTES: u64 = 56;
const LOCATOR_BYTES: u64 = 20;
/// Bit 3: sizes and checksum follow the data. Bit 11: names are UTF-8.
const DESCRIPTOR: u16 = 1 << 3;
const UTF8: u16 = 1 << 11;

/// The bytes of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Offset of the first byte in the file.
    pub(crate) start: u64,
    /// How many.
    pub(crate) bytes: u64,
    /// CRC-32 of them.
    pub(crate) checksum: u32,
}

/// Entries by the part of their name after the first `/`: `data.pkl`, `data/17`.
pub(crate) type Archive = BTreeMap<String, Entry>;

/// Reads the directory of the archive that fills `reader` from 0 to its end.
///
/// # Errors
///
/// [`Error::Container`], [`Error::Entry`], [`Error::TooLarge`], [`Error::LegacyCheckpoint`], or [`Error::Read`] with
/// `path`.
pub(crate) fn read<R: Read + Seek>(reader: &mut R, path: &Path) -> Result<Archive> {
    let mut source = Source { reader, path };
    let length = source.reader.seek(SeekFrom::End(0)).map_err(Error::read(path))?;
    if length < END_BYTES {
        return Err(container("it is shorter than an empty archive"));
    }
    match source.bytes(0, 4)?[..] {
        [b'P', b'K', 3, 4] => {}
        [0x80, _, 0x8a, 0x0a] => return Err(Error::LegacyCheckpoint),
        _ => return Err(container("it does not begin with an entry")),
    }
    let directory = directory(&mut source, length)?;
    let mut archive = Archive::new();
    let mut ranges = Vec::new();
    let mut prefix = None;
    for found in listed(&mut source, &directory)? {
        let (folder, name) =
            found.name.split_once('/').ok_or_else(|| Error::entry(&found.name, "lies in no folder"))?;
        if *prefix.get_or_insert_with(|| folder.to_owned()) != folder {
            return Err(Error::entry(&found.name, "lies in another folder than the first"));
        }
        if !is_expected(name) {
            return Err(Error::entry(&found.name, "is none that PyTorch writes into a checkpoint"));
        }
        let entry = placed(&mut source, &found, directory.start)?;
        ranges.push((found.header, entry.start + entry.bytes, found.name.clone()));
        if archive.insert(name.to_owned(), entry).is_some() {
            return Err(Error::entry(&found.name, "is there twice"));
        }
    }
    ranges.sort();
    match ranges.windows(2).find(|pair| pair[0].1 > pair[1].0) {
        Some(pair) => Err(Error::entry(&pair[1].2, "shares bytes with another entry")),
        None => Ok(archive),
    }
}

fn container(problem: &'static str) -> Error {
    Error::Container { problem }
}

fn is_expected(name: &str) -> bool {
    let plain = [
        "data.pkl",
        "version",
        "byteorder",
        ".format_version",
        ".storage_alignment",
        ".data/serialization_id",
    ];
    plain.contains(&name) || name.strip_prefix("data/").is_some_and(|key| storage_key(key).is_some())
}

struct Source<'a, R> {
    reader: &'a mut R,
    path: &'a Path,
}

impl<R: Read + Seek> Source<'_, R> {
    /// `count` bytes from `start`; the caller has bounded `count`.
    fn bytes(&mut self, start: u64, count: u64) -> Result<Vec<u8>> {
        self.reader.seek(SeekFrom::Start(start)).map_err(Error::read(self.path))?;
        let mut bytes = Vec::new();
        self.reader.by_ref().take(count).read_to_end(&mut bytes).map_err(Error::read(self.path))?;
        if (bytes.len() as u64) < count {
            return Err(container("it ends before its entries do"));
        }
        Ok(bytes)
    }
}

/// Little-endian fields one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) =
            self.0.split_at_checked(count).ok_or_else(|| container("its directory is cut short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self, width: usize) -> Result<u64> {
        let mut wide = [0; 8];
        wide[..width].copy_from_slice(self.take(width)?);
        Ok(u64::from_le_bytes(wide))
    }

    fn small(&mut self) -> Result<u16> {
        Ok(u16::try_from(self.number(2)?).unwrap_or(u16::MAX))
    }
}

struct Directory {
    start: u64,
    bytes: u64,
    entries: u64,
}

/// Finds the directory: its end record must be the file's last 22 bytes, and both forms of it must agree.
fn directory<R: Read + Seek>(source: &mut Source<'_, R>, length: u64) -> Result<Directory> {
    let record = source.bytes(length - END_BYTES, END_BYTES)?;
    let mut fields = Fields(&record);
    if fields.take(4)? != b"PK\x05\x06" || record[20..] != [0, 0] {
        return Err(container("its last bytes are not the end of a directory"));
    }
    let short = [fields.number(2)?, fields.number(2)?, fields.number(2)?, fields.number(2)?];
    let (bytes, start) = (fields.number(4)?, fields.number(4)?);
    if short[0] != 0 || short[1] != 0 || short[2] != short[3] {
        return Err(container("it is spread over several disks"));
    }
    let mut directory = Directory { start, bytes, entries: short[3] };
    let mut end = length - END_BYTES;
    let locator = end.checked_sub(LOCATOR_BYTES + END64_BYTES);
    if let Some(place) = locator
        && source.bytes(end - LOCATOR_BYTES, 4)? == b"PK\x06\x07"
    {
        directory = wide_directory(source, place, &directory)?;
        end = place;
    }
    if directory.entries > ENTRY_LIMIT {
        return Err(too_many("archive directory", "entries", directory.entries, ENTRY_LIMIT));
    }
    if directory.bytes > DIRECTORY_LIMIT {
        return Err(too_many("archive directory", "bytes", directory.bytes, DIRECTORY_LIMIT));
    }
    if directory.start.checked_add(directory.bytes) != Some(end) {
        return Err(container("its directory does not end where the end record begins"));
    }
    Ok(directory)
}

fn too_many(what: &str, unit: &'static str, found: u64, limit: u64) -> Error {
    Error::TooLarge { what: what.to_owned(), unit, found, limit }
}

/// The 64-bit end record, which must lie right before its locator and agree with the short one.
fn wide_directory<R: Read + Seek>(
    source: &mut Source<'_, R>,
    place: u64,
    short: &Directory,
) -> Result<Directory> {
    let record = source.bytes(place, END64_BYTES + LOCATOR_BYTES)?;
    let mut fields = Fields(&record);
    let signature = fields.take(4)?;
    let size = fields.number(8)?;
    fields.take(4)?;
    let disks = [fields.number(4)?, fields.number(4)?];
    let (entries_here, entries) = (fields.number(8)?, fields.number(8)?);
    let wide = Directory { entries, bytes: fields.number(8)?, start: fields.number(8)? };
    fields.take(4)?;
    let (disk, located) = (fields.number(4)?, fields.number(8)?);
    let whole = signature == b"PK\x06\x06" && size == END64_BYTES - 12 && located == place;
    if !whole || disks != [0, 0] || disk != 0 || entries_here != entries {
        return Err(container("its 64-bit end record is broken"));
    }
    let agrees = |short: u64, wide: u64, full: u64| short == wide || short == full;
    let full = u64::from(u32::MAX);
    if !agrees(short.entries, wide.entries, u64::from(u16::MAX))
        || !agrees(short.bytes, wide.bytes, full)
        || !agrees(short.start, wide.start, full)
    {
        return Err(container("its two end records disagree"));
    }
    Ok(wide)
}

/// What the directory says of one entry.
struct Listed {
    name: String,
    flags: u16,
    checksum: u32,
    bytes: u64,
    /// Offset of its local header.
    header: u64,
}

fn listed<R: Read + Seek>(source: &mut Source<'_, R>, directory: &Directory) -> Result<Vec<Listed>> {
    let bytes = source.bytes(directory.start, directory.bytes)?;
    let mut fields = Fields(&bytes);
    let mut entries = Vec::new();
    for _ in 0..directory.entries {
        entries.push(listed_entry(&mut fields)?);
    }
    if !fields.0.is_empty() {
        return Err(container("its directory holds more than its entries"));
    }
    Ok(entries)
}

fn listed_entry(fields: &mut Fields<'_>) -> Result<Listed> {
    if fields.take(4)? != b"PK\x01\x02" {
        return Err(container("its directory is broken"));
    }
    let by_unix = fields.small()? >> 8 == 3;
    fields.take(2)?;
    let (flags, method) = (fields.small()?, fields.small()?);
    fields.take(4)?;
    let checksum = u32::try_from(fields.number(4)?).unwrap_or(0);
    let (mut packed, mut bytes) = (fields.number(4)?, fields.number(4)?);
    let [name, extra, comment] =
        [usize::from(fields.small()?), usize::from(fields.small()?), usize::from(fields.small()?)];
    let disk = fields.number(2)?;
    fields.take(2)?;
    let attributes = fields.number(4)?;
    let mut header = fields.number(4)?;
    let name = std::str::from_utf8(fields.take(name)?)
        .map_err(|_| container("a name in its directory is not UTF-8"))?
        .to_owned();
    widen(Fields(fields.take(extra)?), [&mut bytes, &mut packed, &mut header])
        .map_err(|_| Error::entry(&name, "has broken 64-bit sizes"))?;
    fields.take(comment)?;
    let problem = match () {
        () if method != 0 || packed != bytes => "is compressed, PyTorch stores its entries as they are",
        () if flags & !(DESCRIPTOR | UTF8) != 0 => "is encrypted or otherwise special",
        () if disk != 0 => "lies on another disk",
        () if by_unix && attributes >> 28 == 0o12 => "is a link",
        () => return Ok(Listed { name, flags, checksum, bytes, header }),
    };
    Err(Error::entry(&name, problem))
}

/// Replaces the sizes that did not fit into 32 bits by those of the zip64 extra field, in its order.
fn widen(mut extra: Fields<'_>, sizes: [&mut u64; 3]) -> Result<()> {
    let mut wanting: Vec<&mut u64> = sizes.into_iter().filter(|size| **size == u64::from(u32::MAX)).collect();
    while !extra.0.is_empty() && !wanting.is_empty() {
        let (id, length) = (extra.number(2)?, extra.small()?);
        let mut field = Fields(extra.take(usize::from(length))?);
        if id == 1 {
            for size in wanting.drain(..) {
                *size = field.number(8)?;
            }
        }
    }
    if wanting.is_empty() { Ok(()) } else { Err(container("a 64-bit size is missing")) }
}

/// Reads the entry's own header, checks that it says what the directory says, and gives the range of its data.
fn placed<R: Read + Seek>(source: &mut Source<'_, R>, listed: &Listed, directory: u64) -> Result<Entry> {
    let outside = || Error::entry(&listed.name, "lies outside the file");
    let differs = || Error::entry(&listed.name, "is described differently in the directory and at its place");
    if listed.header.checked_add(30).is_none_or(|end| end > directory) {
        return Err(outside());
    }
    let header = source.bytes(listed.header, 30)?;
    let mut fields = Fields(&header);
    let signature = fields.take(4)?;
    fields.take(2)?;
    let (flags, method) = (fields.small()?, fields.small()?);
    fields.take(4)?;
    let (checksum, mut packed, mut bytes) = (fields.number(4)?, fields.number(4)?, fields.number(4)?);
    let (name, extra) = (fields.number(2)?, fields.number(2)?);
    let start = listed.header + 30 + name + extra;
    let end = start.checked_add(listed.bytes).filter(|end| *end <= directory).ok_or_else(outside)?;
    let rest = source.bytes(listed.header + 30, name + extra)?;
    let (own_name, extra) = rest.split_at(usize::try_from(name).unwrap_or(0).min(rest.len()));
    widen(Fields(extra), [&mut bytes, &mut packed, &mut 0]).map_err(|_| differs())?;
    if signature != b"PK\x03\x04"
        || flags != listed.flags
        || method != 0
        || own_name != listed.name.as_bytes()
    {
        return Err(differs());
    }
    let here = (checksum, packed, bytes) == (u64::from(listed.checksum), listed.bytes, listed.bytes);
    let later = flags & DESCRIPTOR != 0 && (checksum, packed, bytes) == (0, 0, 0);
    // Nothing is read behind the data unless the header says that the checksum stands there.
    let agrees = here || (later && follows(source, listed, end)?);
    if !agrees {
        return Err(differs());
    }
    Ok(Entry { start, bytes: listed.bytes, checksum: listed.checksum })
}

/// Whether the record after the data repeats the checksum of the directory.
fn follows<R: Read + Seek>(source: &mut Source<'_, R>, listed: &Listed, end: u64) -> Result<bool> {
    let record = source.bytes(end, 8)?;
    Ok(record[..4] == *b"PK\x07\x08" && record[4..] == listed.checksum.to_le_bytes())
}
