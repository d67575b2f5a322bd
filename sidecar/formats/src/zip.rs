//! Zip archives of small files: read in memory entry by entry, with limits, and never unpacked to a disk.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::Path;

use imaging::Progress;
use zip::ZipArchive;
use zip::result::ZipError;

use crate::error::{Error, Result};
use crate::{Format, Limits};

/// How a zip archive with entries begins.
pub(crate) const MAGIC: &[u8] = b"PK\x03\x04";

/// The name and the bytes of every file in the archive at `path`, in the order of its directory. Names are labels:
/// nothing is opened by them.
///
/// # Errors
///
/// [`Error::Limit`] when there are more than `limits.files` entries, [`Error::Bomb`] when they unpack to more than
/// `limits.bytes` together or to more than they declare, [`Error::Corrupt`] when a checksum or the directory is wrong,
/// [`Error::UnsupportedType`] when an entry is encrypted or packed with anything but deflate.
pub fn entries(path: &Path, limits: &Limits, progress: &Progress) -> Result<Vec<(String, Vec<u8>)>> {
    let file = File::open(path).map_err(|source| Error::read(path, source))?;
    entries_of(BufReader::with_capacity(1 << 20, file), path, limits, progress)
}

/// [`entries`] of an archive that is in memory.
///
/// # Errors
///
/// As [`entries`].
pub fn entries_of_bytes(
    bytes: &[u8],
    limits: &Limits,
    progress: &Progress,
) -> Result<Vec<(String, Vec<u8>)>> {
    entries_of(Cursor::new(bytes), Path::new("memory"), limits, progress)
}

fn entries_of(
    source: impl Read + Seek,
    path: &Path,
    limits: &Limits,
    progress: &Progress,
) -> Result<Vec<(String, Vec<u8>)>> {
    let mut archive = ZipArchive::new(source).map_err(|error| failure(path, error))?;
    let count = archive.len() as u64;
    if count > limits.files {
        return Err(Error::Limit { what: "files in the archive", found: count, most: limits.files });
    }
    let mut entries = Vec::new();
    let mut left = limits.bytes;
    for index in 0..archive.len() {
        progress.step("unpacking", index as u64, count)?;
        let entry = archive.by_index(index).map_err(|error| failure(path, error))?;
        if !entry.is_file() {
            continue;
        }
        if entry.size() > left {
            return Err(Error::Bomb { declared: limits.bytes });
        }
        let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
        let declared = entry.size();
        // The declared size is a claim: one byte more shows that it is false, and memory grows as bytes come.
        let mut bytes = Vec::new();
        entry.take(declared + 1).read_to_end(&mut bytes).map_err(|error| failure(path, error.into()))?;
        if bytes.len() as u64 > declared {
            return Err(Error::Bomb { declared });
        }
        left -= bytes.len() as u64;
        entries.push((name, bytes));
    }
    Ok(entries)
}

/// What the archive's reader reported, in the terms of this crate.
fn failure(path: &Path, error: ZipError) -> Error {
    use std::io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    match error {
        ZipError::Io(error) if matches!(error.kind(), InvalidData | InvalidInput | Other | UnexpectedEof) => {
            Error::Corrupt { detail: format!("an entry of the zip archive: {error}").to_lowercase() }
        }
        ZipError::Io(error) => Error::read(path, error),
        ZipError::UnsupportedArchive(what) => {
            Error::UnsupportedType { detail: format!("a zip archive: {what}").to_lowercase() }
        }
        ZipError::CompressionMethodNotSupported(method) => Error::UnsupportedType {
            detail: format!("a zip archive packed by method {method}, expected deflate"),
        },
        error => Error::Parse { format: Format::Zip, detail: error.to_string().to_lowercase() },
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;
    use zip::write::{SimpleFileOptions, ZipWriter};

    use super::*;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in files {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn read(bytes: &[u8], limits: &Limits) -> Result<Vec<(String, Vec<u8>)>> {
        entries_of_bytes(bytes, limits, &Progress::silent())
    }

    #[test]
    fn names_are_only_labels() {
        let bytes = archive(&[("../../etc/passwd", b"one"), ("/b", b"two"), ("folder/", b"")]);
        let entries = read(&bytes, &Limits::default()).unwrap();
        let expected = [("../../etc/passwd", b"one"), ("/b", b"two")];
        assert_eq!(entries, expected.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())));
    }

    #[test]
    fn limits_hold() {
        let zeros = vec![0; 1 << 20];
        let bytes = archive(&[("a", &zeros), ("b", &zeros)]);
        let limits = Limits { bytes: 1 << 20, ..Limits::default() };
        assert_eq!(read(&bytes, &limits).unwrap_err().code(), "E_BOMB");
        let limits = Limits { files: 1, ..Limits::default() };
        assert_eq!(read(&bytes, &limits).unwrap_err().code(), "E_LIMIT");
        assert!(read(&bytes, &Limits::default()).is_ok());
    }

    #[test]
    fn a_false_size_is_no_way_round_the_limits() {
        let mut bytes = archive(&[("a", &vec![7; 100_000])]);
        let sizes: Vec<usize> = bytes
            .windows(4)
            .enumerate()
            .filter(|(_, w)| *w == 100_000u32.to_le_bytes())
            .map(|(at, _)| at)
            .collect();
        assert_eq!(sizes.len(), 2, "the local and the central header");
        for at in sizes {
            bytes[at..at + 4].copy_from_slice(&10u32.to_le_bytes());
        }
        let code = read(&bytes, &Limits::default()).unwrap_err().code();
        assert!(["E_BOMB", "E_CORRUPT"].contains(&code), "{code}");
    }

    #[test]
    fn a_damaged_entry_is_noticed() {
        let mut bytes = archive(&[("a", b"the content of a file, which is stored")]);
        let at = 30 + 1 + 8;
        bytes[at] ^= 0x20;
        assert_eq!(read(&bytes, &Limits::default()).unwrap_err().code(), "E_CORRUPT");
    }

    proptest! {
        #[test]
        fn damage_never_panics(at in 0usize..400, byte: u8) {
            let mut bytes = archive(&[("a.dcm", &[1; 300]), ("b/c.dcm", b"text")]);
            let at = at % bytes.len();
            bytes[at] = byte;
            let limits = Limits { bytes: 1 << 20, ..Limits::default() };
            drop(read(&bytes, &limits));
        }
    }
}
