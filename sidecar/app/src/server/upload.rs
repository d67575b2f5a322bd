//! The bytes of a volume, in as many pieces as the client likes, straight to the spool.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use warp::Buf;

use super::error::{Answer, Code, Refusal};
use super::id::hexadecimal;
use super::volumes::{Phase, Volume};

/// A client that sends nothing for so long is gone; it can go on where it stopped.
const STALLED_AFTER: Duration = Duration::from_secs(10);
/// A client that is slower than this, after a start of five seconds, is not one of this computer.
const LEAST_BYTES_PER_SECOND: u64 = 64 << 10;
/// Bytes that are written at a time.
const PIECE: usize = 1 << 20;

impl Volume {
    /// Writes a piece of `length` bytes that begins at `offset`.
    pub(super) async fn receive<B: Buf>(
        &self,
        offset: u64,
        length: u64,
        body: impl Stream<Item = Result<B, warp::Error>>,
    ) -> Answer<()> {
        let _upload = self.uploading()?;
        let received = self.received()?;
        // Sending a piece again is fine; leaving a hole is not.
        if offset > received {
            let message = format!("the piece begins at byte {offset}, the next one expected is {received}");
            return Err(Refusal::new(Code::WrongOffset, message, format!("go on with `offset={received}`")));
        }
        let most = self.bytes.unwrap_or(formats::Limits::default().bytes);
        if length > most - offset.min(most) {
            let message = format!("{length} bytes from {offset} go beyond the {most} of the volume");
            return Err(Refusal::new(Code::TooLarge, message, "check what the volume was created with"));
        }
        let mut written = 0;
        let result = self.write(offset, body, &mut written).await;
        {
            let mut state = self.state();
            state.received = offset + written;
            state.touched = Instant::now();
        }
        result?;
        if written < length {
            return Err(Refusal::new(
                Code::Stalled,
                "the body ended early",
                "go on with `offset` at `received`",
            ));
        }
        if Some(offset + written) == self.bytes {
            self.check_sum().await?;
            self.arrived();
        }
        Ok(())
    }

    /// Ends an upload whose length was not told before.
    pub(super) async fn complete(&self) -> Answer<()> {
        let _upload = self.uploading()?;
        let received = self.received()?;
        if received == 0 || self.bytes.is_some() {
            let message = format!("{received} bytes are there");
            return Err(Refusal::new(Code::VolumeIncomplete, message, "send the rest first"));
        }
        self.check_sum().await?;
        self.arrived();
        Ok(())
    }

    /// The right to write: one upload at a time.
    fn uploading(&self) -> Answer<tokio::sync::MutexGuard<'_, ()>> {
        self.upload.try_lock().map_err(|_| {
            Refusal::new(Code::Conflict, "another upload of this volume is under way", "wait for its end")
        })
    }

    /// Bytes that are there, of a volume that waits for more.
    fn received(&self) -> Answer<u64> {
        let state = self.state();
        match state.phase {
            Phase::Receiving => Ok(state.received),
            _ => Err(Refusal::new(Code::Conflict, "the volume is complete already", "create a new one")),
        }
    }

    /// Streams a body into the file; `written` counts what has reached it.
    async fn write<B: Buf>(
        &self,
        offset: u64,
        body: impl Stream<Item = Result<B, warp::Error>>,
        written: &mut u64,
    ) -> Answer<()> {
        let spool = |error: std::io::Error| Refusal::spool(&error);
        let mut file = tokio::fs::OpenOptions::new().write(true).open(self.data()).await.map_err(spool)?;
        file.seek(SeekFrom::Start(self.header + offset)).await.map_err(spool)?;
        let mut piece = Vec::with_capacity(PIECE);
        let mut result = Ok(());
        let (began, mut seen) = (Instant::now(), 0u64);
        tokio::pin!(body);
        loop {
            match tokio::time::timeout(STALLED_AFTER, body.next()).await {
                Ok(None) => break,
                Ok(Some(Ok(mut bytes))) => {
                    seen += bytes.remaining() as u64;
                    while bytes.has_remaining() {
                        let chunk = bytes.chunk();
                        piece.extend_from_slice(chunk);
                        let length = chunk.len();
                        bytes.advance(length);
                    }
                }
                _ => {
                    result = Err(stalled());
                    break;
                }
            }
            let seconds = began.elapsed().as_secs();
            if seconds > 5 && seen / seconds < LEAST_BYTES_PER_SECOND {
                result = Err(stalled());
                break;
            }
            if piece.len() >= PIECE {
                file.write_all(&piece).await.map_err(spool)?;
                *written += piece.len() as u64;
                piece.clear();
            }
        }
        file.write_all(&piece).await.map_err(spool)?;
        file.flush().await.map_err(spool)?;
        *written += piece.len() as u64;
        result
    }

    /// Checks the sum of all bytes, where the client gave one.
    async fn check_sum(&self) -> Answer<()> {
        let Some(expected) = &self.sha256 else { return Ok(()) };
        let (path, header) = (self.data(), self.header);
        let found = tokio::task::spawn_blocking(move || digest(&path, header)).await;
        let found = found.map_err(|_| Refusal::internal())?.map_err(|error| Refusal::spool(&error))?;
        if found == *expected {
            return Ok(());
        }
        self.state().received = 0;
        let message = "the bytes received have another SHA-256 than was declared";
        Err(Refusal::new(Code::ChecksumMismatch, message, "send them again from `offset=0`"))
    }
}

fn stalled() -> Refusal {
    Refusal::new(
        Code::Stalled,
        "the voxels came too slowly",
        "go on with `offset` at `received` of the volume",
    )
}

/// SHA-256 of a file from byte `from` on.
fn digest(path: &Path, from: u64) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let (mut sum, mut piece) = (Sha256::new(), vec![0; PIECE]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hexadecimal(&sum.finalize())),
            length => sum.update(&piece[..length]),
        }
    }
}
