//! Uploaded volumes: the header as JSON, then raw voxels in as many pieces as the client likes, straight to the spool.
//!
//! A volume in the spool is a NRRD file: the header that the client sent, in NRRD's words, and behind it the bytes as
//! they come. So the worker reads it as it reads any file, and nothing here looks at a voxel.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt};
use imaging::Grid;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use warp::Buf;

use super::error::{Answer, Code, Refusal};
use super::header::NewVolume;
use super::id::{Id, hexadecimal};
use super::rendezvous::private;

/// Volumes at a time.
const MOST_VOLUMES: usize = 16;
/// A client that sends nothing for so long is gone; it can go on where it stopped.
const STALLED_AFTER: Duration = Duration::from_secs(10);
/// A client that is slower than this, after a start of five seconds, is not one of this computer.
const LEAST_BYTES_PER_SECOND: u64 = 64 << 10;
/// Bytes that are written at a time.
const PIECE: usize = 1 << 20;

/// A volume in the spool.
#[derive(Debug)]
pub(super) struct Volume {
    pub(super) id: Id,
    /// The NRRD file.
    pub(super) path: PathBuf,
    pub(super) grid: Grid,
    pub(super) modality: Option<String>,
    /// Bytes before the voxels.
    header: u64,
    /// Bytes of all voxels.
    bytes: u64,
    sha256: Option<String>,
    /// Held by the one upload at a time.
    upload: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

/// How much of a volume is there.
#[derive(Debug)]
struct State {
    received: u64,
    complete: bool,
    touched: Instant,
}

/// What clients see of a volume.
#[derive(Debug, Serialize)]
pub(super) struct View {
    id: Id,
    /// Bytes of all voxels.
    bytes: u64,
    /// Bytes that are there: go on from here.
    received: u64,
    /// Whether a job can use it.
    complete: bool,
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Nothing of a patient stays longer than it is needed.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Volume {
    /// Makes the file, with its header.
    fn create(new: NewVolume, folder: &Path) -> Answer<Volume> {
        new.check_words()?;
        let grid = new.grid()?;
        let header = new.nrrd(&grid);
        let id = Id::new().map_err(|_| Refusal::internal())?;
        let path = folder.join(format!("{id}.nrrd"));
        let file = private(OpenOptions::new().create_new(true)).open(&path);
        file.and_then(|mut file| file.write_all(header.as_bytes()))
            .map_err(|error| Refusal::spool(&error))?;
        let bytes = new.bytes(&grid);
        let state = State { received: 0, complete: false, touched: Instant::now() };
        Ok(Volume {
            id,
            path,
            grid,
            modality: new.modality,
            header: header.len() as u64,
            bytes,
            sha256: new.sha256,
            upload: tokio::sync::Mutex::new(()),
            state: Mutex::new(state),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What clients see.
    pub(super) fn view(&self) -> View {
        let state = self.state();
        View { id: self.id.clone(), bytes: self.bytes, received: state.received, complete: state.complete }
    }

    /// Whether all voxels are there.
    pub(super) fn is_complete(&self) -> bool {
        self.state().complete
    }

    /// Writes a piece of `length` bytes that begins at `offset` of the voxels.
    pub(super) async fn receive<B: Buf>(
        &self,
        offset: u64,
        length: u64,
        body: impl Stream<Item = Result<B, warp::Error>>,
    ) -> Answer<View> {
        let Ok(_upload) = self.upload.try_lock() else {
            return Err(Refusal::new(
                Code::Conflict,
                "another upload of this volume is under way",
                "wait for its end",
            ));
        };
        let View { received, complete, .. } = self.view();
        if complete {
            return Err(Refusal::new(Code::Conflict, "the volume is complete already", "create a new one"));
        }
        // Sending a piece again is fine; leaving a hole is not.
        if offset > received {
            let message = format!("the piece begins at byte {offset}, the next one expected is {received}");
            return Err(Refusal::new(Code::WrongOffset, message, format!("go on with `offset={received}`")));
        }
        if length > self.bytes - offset {
            let message = format!("{length} bytes from {offset} go beyond the {} of the volume", self.bytes);
            return Err(Refusal::new(Code::TooLarge, message, "check `dims` and `dtype`"));
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
        if offset + written == self.bytes {
            self.finish().await?;
        }
        Ok(self.view())
    }

    /// Streams a body into the file; `written` counts what has reached it.
    async fn write<B: Buf>(
        &self,
        offset: u64,
        body: impl Stream<Item = Result<B, warp::Error>>,
        written: &mut u64,
    ) -> Answer<()> {
        let spool = |error: std::io::Error| Refusal::spool(&error);
        let mut file = tokio::fs::OpenOptions::new().write(true).open(&self.path).await.map_err(spool)?;
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

    /// All bytes are there: checks their sum, where the client gave one.
    async fn finish(&self) -> Answer<()> {
        if let Some(expected) = &self.sha256 {
            let (path, header) = (self.path.clone(), self.header);
            let found = tokio::task::spawn_blocking(move || digest(&path, header)).await;
            let found = found.map_err(|_| Refusal::internal())?.map_err(|error| Refusal::spool(&error))?;
            if found != *expected {
                self.state().received = 0;
                let message = "the bytes received have another SHA-256 than was declared";
                return Err(Refusal::new(Code::ChecksumMismatch, message, "send them again from `offset=0`"));
            }
        }
        self.state().complete = true;
        Ok(())
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

/// The volumes of this server.
#[derive(Debug)]
pub(super) struct Volumes {
    folder: PathBuf,
    volumes: Mutex<BTreeMap<Id, Arc<Volume>>>,
}

impl Volumes {
    /// None yet; what an earlier server left in `folder` is removed by the caller.
    pub(super) fn new(folder: PathBuf) -> Volumes {
        Volumes { folder, volumes: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Id, Arc<Volume>>> {
        self.volumes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a volume that waits for its voxels.
    pub(super) fn create(&self, new: NewVolume) -> Answer<View> {
        let mut volumes = self.lock();
        if volumes.len() >= MOST_VOLUMES {
            let message = format!("there are {MOST_VOLUMES} volumes already");
            return Err(Refusal::new(Code::QueueFull, message, "delete one that is no longer needed"));
        }
        let volume = Volume::create(new, &self.folder)?;
        let view = volume.view();
        volumes.insert(volume.id.clone(), Arc::new(volume));
        Ok(view)
    }

    /// A volume by name.
    pub(super) fn get(&self, id: &Id) -> Answer<Arc<Volume>> {
        let volume = self.lock().get(id).cloned().ok_or_else(|| Refusal::not_found("volume"))?;
        volume.state().touched = Instant::now();
        Ok(volume)
    }

    /// Forgets a volume; a job that uses it keeps its file until it has ended.
    pub(super) fn remove(&self, id: &Id) -> Answer<()> {
        self.lock().remove(id).map(drop).ok_or_else(|| Refusal::not_found("volume"))
    }

    /// Forgets volumes that nobody has asked for in `age`.
    pub(super) fn expire(&self, age: Duration) {
        self.lock()
            .retain(|_, volume| Arc::strong_count(volume) > 1 || volume.state().touched.elapsed() < age);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(json: &str) -> NewVolume {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_volume_in_the_spool_is_a_file_that_the_reader_knows() {
        let folder = tempfile::tempdir().unwrap();
        let header = r#"{"dims": [3, 2, 2], "dtype": "int16", "space": "RAS", "modality": "CT", "name": "Doe^Jane",
            "ijk_to_world": [-0.7, 0, 0.1, 12.25, 0, 0.9, 0.30000000000000004, -3, 0, 0, 2.5, 1e-7, 0, 0, 0, 1]}"#;
        let volume = Volume::create(new(header), folder.path()).unwrap();
        let mut file = OpenOptions::new().append(true).open(&volume.path).unwrap();
        (0..12i16).for_each(|value| file.write_all(&(value - 3).to_le_bytes()).unwrap());
        let text = std::fs::read(&volume.path).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains("Doe"));
        let image =
            formats::read(&volume.path, &formats::ReadOptions::default(), &imaging::Progress::silent())
                .unwrap();
        assert_eq!(image.volume.grid, volume.grid);
        assert_eq!(
            volume.grid.axes,
            [[0.7, 0.0, 0.0], [0.0, -0.9, 0.0], [-0.1, -0.300_000_000_000_000_04, 2.5]]
        );
        assert_eq!(volume.grid.origin, [-12.25, 3.0, 1e-7]);
        assert_eq!((image.volume.voxels[[1, 1, 2]], image.source.modality()), (8.0, Some("CT")));
        let path = volume.path.clone();
        drop(volume);
        assert!(!path.exists());
    }

    #[test]
    fn headers_that_cannot_be_right_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let identity = "[1,0,0,0, 0,1,0,0, 0,0,1,0, 0,0,0,1]";
        let check = |dims: &str, matrix: &str, more: &str, code: Code| {
            let json = format!(
                r#"{{"dims": {dims}, "dtype": "uint8", "space": "LPS", "ijk_to_world": {matrix}{more}}}"#
            );
            assert_eq!(Volume::create(new(&json), folder.path()).unwrap_err().code, code, "{json}");
        };
        check("[0, 2, 2]", identity, "", Code::GeometryInvalid);
        check("[5000, 2, 2]", identity, "", Code::TooLarge);
        check("[4096, 4096, 4096]", identity, "", Code::TooLarge);
        check("[2, 2, 2]", "[1,0,0,0, 2,0,0,0, 0,0,1,0, 0,0,0,1]", "", Code::GeometryInvalid);
        check("[2, 2, 2]", "[1,0,0,0, 0,1,0,0, 0,0,1,0, 0,0,1,1]", "", Code::GeometryInvalid);
        check("[2, 2, 2]", identity, r#", "components": 3"#, Code::GeometryInvalid);
        check("[2, 2, 2]", identity, r#", "modality": "C\nT""#, Code::BadRequest);
        check("[2, 2, 2]", identity, r#", "sha256": "00""#, Code::BadRequest);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(serde_json::from_str::<NewVolume>(r#"{"dims": [1, 1, 1], "shape": 3}"#).is_err());
    }
}
