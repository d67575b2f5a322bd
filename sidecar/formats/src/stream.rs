//! The bytes of a file from first to last, unpacked when they are gzip, with every end and damage told apart.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::gzip;

/// Bytes after the declared end that a reader looks through before it calls the file a bomb.
pub(crate) const TRAILING_BYTES: u64 = 64 * 1024;

/// Bytes that tell every format apart: DICOM's mark stands at 128.
const HEAD: usize = 132;

/// Deflate cannot pack tighter than this (RFC 1951: 258 bytes in two bits, rounded up).
const MOST_DEFLATE_RATIO: u64 = 1032;

/// A file's bytes, read once from front to back.
pub(crate) struct Stream<'a> {
    path: PathBuf,
    reader: Box<dyn Read + Send + 'a>,
    /// Whether the bytes are being unpacked.
    pub(crate) gzip: bool,
    /// Unpacked bytes given out so far.
    pub(crate) position: u64,
    /// The first bytes, to tell the format by; given out again by `fill`.
    head: Vec<u8>,
    given: usize,
    /// Most bytes that can come out at all, from the length of the file.
    pub(crate) most: u64,
}

impl<'a> Stream<'a> {
    /// Opens a file; gzip is told by its first two bytes.
    pub(crate) fn open(path: &Path) -> Result<Stream<'static>> {
        let file = File::open(path).map_err(|source| Error::read(path, source))?;
        let length = file.metadata().map_err(|source| Error::read(path, source))?.len();
        Stream::new(path, BufReader::with_capacity(256 * 1024, file), length)
    }

    /// Reads bytes that are in memory already.
    pub(crate) fn of_bytes(bytes: &'a [u8]) -> Result<Stream<'a>> {
        Stream::new(Path::new("memory"), bytes, bytes.len() as u64)
    }

    fn new(path: &Path, mut reader: impl BufRead + Send + 'a, length: u64) -> Result<Stream<'a>> {
        let start = reader.fill_buf().map_err(|source| Error::read(path, source))?;
        let gzip = start.starts_with(&gzip::MAGIC);
        let most = if gzip { length.saturating_mul(MOST_DEFLATE_RATIO) } else { length };
        let reader: Box<dyn Read + Send + 'a> =
            if gzip { Box::new(gzip::Unpacked::new(reader)) } else { Box::new(reader) };
        let path = path.to_owned();
        let mut stream = Stream { path, reader, gzip, position: 0, head: Vec::new(), given: 0, most };
        let mut head = vec![0; HEAD];
        let length = stream.fill(&mut head)?;
        head.truncate(length);
        Ok(Stream { head, position: 0, ..stream })
    }

    /// The first 132 bytes, or all there are.
    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }

    /// The same stream with everything after this point unpacked, as NRRD packs its voxels only.
    pub(crate) fn unpacked(self) -> Stream<'a> {
        let again = self.head[self.given..].to_vec();
        let most =
            self.position.saturating_add((self.most - self.position).saturating_mul(MOST_DEFLATE_RATIO));
        let reader = BufReader::with_capacity(256 * 1024, Cursor::new(again).chain(self.reader));
        let reader = Box::new(gzip::Unpacked::new(reader));
        Stream { reader, gzip: true, most, head: Vec::new(), given: 0, ..self }
    }

    /// Refuses a header that promises more bytes than a file of this length can hold, before memory is asked for.
    pub(crate) fn expect(&self, end: u64) -> Result<()> {
        if end > self.most {
            return Err(Error::Truncated { expected: end, found: self.most });
        }
        Ok(())
    }

    /// Reads until `buffer` is full or the bytes end; returns how many there were.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let again = buffer.len().min(self.head.len() - self.given);
        buffer[..again].copy_from_slice(&self.head[self.given..self.given + again]);
        self.given += again;
        self.position += again as u64;
        let mut filled = again;
        while filled < buffer.len() {
            match self.reader.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => {
                    filled += count;
                    self.position += count as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failure(error, buffer.len())),
            }
        }
        Ok(filled)
    }

    /// Fills the whole of `buffer`; `end` is where the declared bytes end, for the message.
    pub(crate) fn read_exact(&mut self, buffer: &mut [u8], end: u64) -> Result<()> {
        if self.fill(buffer)? < buffer.len() {
            return Err(Error::Truncated { expected: end, found: self.position });
        }
        Ok(())
    }

    /// Drops `count` bytes.
    pub(crate) fn skip(&mut self, count: u64, end: u64) -> Result<()> {
        let mut scratch = vec![0; count.min(64 * 1024) as usize];
        let mut left = count;
        while left > 0 {
            let part = left.min(scratch.len() as u64) as usize;
            self.read_exact(&mut scratch[..part], end)?;
            left -= part as u64;
        }
        Ok(())
    }

    /// Reads to the end, so that checksums are verified; returns the bytes after the declared ones. More than
    /// 64 KiB of them are a bomb when packed, damage when not.
    pub(crate) fn finish(&mut self) -> Result<u64> {
        let declared = self.position;
        let mut scratch = vec![0; 16 * 1024];
        loop {
            let count = self.fill(&mut scratch)?;
            let beyond = self.position - declared;
            if beyond > TRAILING_BYTES && self.gzip {
                return Err(Error::Bomb { declared });
            }
            if beyond > TRAILING_BYTES {
                let detail =
                    format!("{} bytes follow the {declared} that the header declares", self.most - declared);
                return Err(Error::Corrupt { detail });
            }
            if count < scratch.len() {
                return Ok(beyond);
            }
        }
    }

    fn failure(&self, error: std::io::Error, wanted: usize) -> Error {
        match error.kind() {
            ErrorKind::UnexpectedEof => {
                Error::Truncated { expected: self.position + wanted as u64, found: self.position }
            }
            ErrorKind::InvalidData | ErrorKind::InvalidInput if self.gzip => {
                Error::Corrupt { detail: error.to_string() }
            }
            _ => Error::read(&self.path, error),
        }
    }
}
