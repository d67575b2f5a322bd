//! Gzip in and out, streamed: reading checks every checksum, writing uses every core and gives the same bytes on any
//! number of them.

use std::io::{self, BufRead, ErrorKind, Read, Write};

use flate2::bufread::GzDecoder;
use flate2::{Compress, Compression, Crc, FlushCompress};
use imaging::{Cancelled, Progress};
use rayon::prelude::*;

/// How a gzip stream begins (RFC 1952).
pub(crate) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The good point of zlib-rs: level 1 packs a third worse, level 6 takes half again as long.
const LEVEL: u32 = 3;

/// Blocks compressed between two writes, a bound on memory; it has no influence on the bytes.
const BATCH: usize = 32;

/// Header of a stream without name and date, of unknown operating system: the same bytes on every machine.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// The last block of a deflate stream, holding nothing (fixed codes, end of block).
const LAST_BLOCK: [u8; 2] = [0x03, 0x00];

/// The unpacked bytes of a gzip stream of one or more members.
///
/// Reads fail with [`ErrorKind::UnexpectedEof`] when the stream is cut short, and with [`ErrorKind::InvalidInput`] or
/// [`ErrorKind::InvalidData`] when a checksum is wrong or something other than zeros follows the last member.
#[derive(Debug)]
pub struct Unpacked<R> {
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Unpacked<R> {
    /// Unpacks `packed`, which starts at a member's header.
    pub fn new(packed: R) -> Unpacked<R> {
        Unpacked { member: Some(GzDecoder::new(packed)) }
    }

    /// Looks at what follows a member: nothing, padding, or another member.
    fn next_member(mut rest: R) -> io::Result<Option<GzDecoder<R>>> {
        loop {
            let bytes = rest.fill_buf()?;
            match bytes.first() {
                None => return Ok(None),
                Some(&first) if first == MAGIC[0] => return Ok(Some(GzDecoder::new(rest))),
                _ => {}
            }
            let length = bytes.len();
            if bytes.iter().any(|&byte| byte != 0) {
                return Err(io::Error::new(
                    ErrorKind::InvalidData,
                    "bytes that are not gzip follow the gzip data",
                ));
            }
            rest.consume(length);
        }
    }
}

impl<R: BufRead> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(member) = &mut self.member {
            let count = member.read(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            let ended = self.member.take().map(GzDecoder::into_inner);
            self.member = ended.map(Self::next_member).transpose()?.flatten();
        }
        Ok(0)
    }
}

/// What stopped a writer.
#[derive(Debug)]
pub enum Stopped {
    /// The bytes could not be written.
    Failed(io::Error),
    /// The work was asked to stop.
    Cancelled(Cancelled),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Stopped {
        Stopped::Failed(error)
    }
}

impl From<Cancelled> for Stopped {
    fn from(cancelled: Cancelled) -> Stopped {
        Stopped::Cancelled(cancelled)
    }
}

/// Writes `blocks` blocks as one gzip member that every reader takes; `fill(n)` makes the bytes of block `n`, from
/// any thread. Blocks are compressed side by side, each flushed to a byte border, so the bytes do not depend on the
/// number of threads. About 1 MiB a block is a good size.
///
/// # Errors
///
/// [`Stopped`] when `out` fails or `progress` is cancelled; it steps once a batch as `stage`.
pub fn write_blocks(
    out: &mut impl Write,
    blocks: usize,
    fill: impl Fn(usize) -> Vec<u8> + Sync,
    stage: &str,
    progress: &Progress,
) -> Result<(), Stopped> {
    out.write_all(&HEADER)?;
    let mut checksum = Crc::new();
    for start in (0..blocks).step_by(BATCH) {
        progress.step(stage, start as u64, blocks as u64)?;
        let batch: Vec<_> = (start..blocks.min(start + BATCH))
            .into_par_iter()
            .map_init(
                || Compress::new(Compression::new(LEVEL), false),
                |compress, block| {
                    let bytes = fill(block);
                    let mut crc = Crc::new();
                    crc.update(&bytes);
                    (pack(compress, &bytes), crc)
                },
            )
            .collect();
        for (packed, crc) in batch {
            out.write_all(&packed?)?;
            checksum.combine(&crc);
        }
    }
    out.write_all(&LAST_BLOCK)?;
    out.write_all(&checksum.sum().to_le_bytes())?;
    out.write_all(&checksum.amount().to_le_bytes())?;
    Ok(progress.step(stage, blocks as u64, blocks as u64)?)
}

/// Deflates `bytes` on its own and flushes to a byte border.
fn pack(compress: &mut Compress, bytes: &[u8]) -> io::Result<Vec<u8>> {
    compress.reset();
    let mut packed = Vec::with_capacity(bytes.len() / 4 + 1024);
    loop {
        let consumed = compress.total_in() as usize;
        let before = packed.len();
        compress.compress_vec(&bytes[consumed..], &mut packed, FlushCompress::Sync)?;
        // A flush is complete once deflate leaves room in the output (zlib's manual on Z_SYNC_FLUSH).
        if compress.total_in() as usize == bytes.len() && packed.len() < packed.capacity() {
            return Ok(packed);
        }
        if packed.len() == packed.capacity() || packed.len() == before {
            packed.reserve(packed.capacity().max(1024));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that compress, but not to nothing.
    fn some_bytes(length: usize) -> Vec<u8> {
        (0..length).map(|n| ((n * n) >> 11) as u8 ^ (n % 7) as u8).collect()
    }

    fn packed(bytes: &[u8], block: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let fill = |n: usize| bytes[n * block..bytes.len().min((n + 1) * block)].to_vec();
        write_blocks(&mut out, bytes.len().div_ceil(block), fill, "writing", &Progress::silent()).unwrap();
        out
    }

    fn unpacked(packed: &[u8]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        Unpacked::new(packed).read_to_end(&mut bytes).map(|_| bytes)
    }

    #[test]
    fn any_size_and_block_comes_back() {
        for length in [0, 1, 999, 1000, 1001, 65_536, 1_000_000] {
            for block in [1000, 65_536, 1 << 20] {
                let bytes = some_bytes(length);
                assert_eq!(
                    unpacked(&packed(&bytes, block)).unwrap(),
                    bytes,
                    "{length} bytes, blocks of {block}"
                );
            }
        }
    }

    #[test]
    fn incompressible_bytes_come_back() {
        let mut state = 1u64;
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .take(300_000)
        .collect();
        assert_eq!(unpacked(&packed(&bytes, 65_536)).unwrap(), bytes);
    }

    #[test]
    fn the_bytes_do_not_depend_on_the_threads() {
        let bytes = some_bytes(5_000_000);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| packed(&bytes, 65_536))
        };
        assert_eq!(with(1), with(3));
    }

    #[test]
    fn members_and_padding_are_one_stream_and_junk_is_not() {
        let (first, second) = (packed(b"abc", 10), packed(b"def", 10));
        let joined = |parts: &[&[u8]]| unpacked(&parts.concat());
        assert_eq!(joined(&[&first, &second]).unwrap(), b"abcdef");
        assert_eq!(joined(&[&first, &[0; 700]]).unwrap(), b"abc");
        assert_eq!(joined(&[&first, b"junk"]).unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(joined(&[&first[..first.len() - 9]]).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        let mut wrong = first.clone();
        let checksum = wrong.len() - 8;
        wrong[checksum] ^= 1;
        assert_eq!(unpacked(&wrong).unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn cancelling_stops_at_the_next_batch() {
        let progress = Progress::silent();
        progress.cancel();
        let stopped = write_blocks(&mut Vec::new(), 1, |_| vec![0], "writing", &progress);
        assert!(matches!(stopped, Err(Stopped::Cancelled(_))));
    }
}
