//! Volumes: what was uploaded, as far as it has come. The header comes first, as JSON; the bytes go straight to the spool.
//!
//! Each volume has a folder of its own. Raw voxels lie there as a NRRD file: the header that the client sent, in NRRD's
//! words, and behind it the bytes as they come. A file is read by a worker, which leaves such NRRD files behind. So a job
//! reads every volume alike, and nothing here looks at a voxel.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use super::archive::{Archive, Fetching, Remote};
use super::error::{Answer, Choice, Code, Refusal};
use super::header::{Header, NewFile, NewVolume};
use super::id::{Id, hexadecimal};
use super::inputs::Input;
use super::jobs::reused;
use super::protocol::{Image, Images, Reading, origin, voxels};
use super::rendezvous::{make_private, private, write_for_now};
use super::volume_view::View;

/// Volumes at a time.
const MOST_VOLUMES: usize = 16;

/// A volume in the spool.
#[derive(Debug)]
pub(super) struct Volume {
    pub(super) id: Id,
    folder: PathBuf,
    pub(super) content: Content,
    /// Bytes before those of the client.
    pub(super) header: u64,
    /// Bytes of the client, where they are known.
    pub(super) bytes: Option<u64>,
    pub(super) sha256: Option<String>,
    /// Held by the one upload at a time.
    pub(super) upload: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    /// The key that the client gave, and SHA-256 of what it asked for with it.
    key: Option<[String; 2]>,
    /// Told when nobody wants it any more.
    pub(super) gone: Notify,
}

/// What the bytes are.
#[derive(Debug)]
pub(super) enum Content {
    /// The voxels of this image.
    Raw(Box<Image>),
    /// A file, or many in a multipart body.
    File { boundary: Option<String>, modality: Option<String> },
    /// A series that is fetched: its multipart body, once that is there.
    Remote { remote: Mutex<Option<Remote>>, boundary: OnceLock<String>, modality: Option<String> },
}

/// How far a volume has come.
#[derive(Debug)]
pub(super) struct State {
    pub(super) received: u64,
    pub(super) phase: Phase,
    pub(super) touched: Instant,
}

/// See [`State`].
#[derive(Debug)]
pub(super) enum Phase {
    Receiving,
    /// A worker fetches the series.
    Fetching,
    /// A worker reads the file.
    Reading,
    Ready(Arc<Images>),
    Failed(Refusal),
}

/// An image that a job works on.
pub(super) struct Chosen {
    pub(super) image: Image,
    /// The NRRD file.
    pub(super) voxels: PathBuf,
    /// What derived objects repeat.
    pub(super) origin: Option<PathBuf>,
}

impl Chosen {
    /// As a worker takes it.
    pub(super) fn input(self, volume: &Id) -> Input {
        let Chosen { image, voxels, origin } = self;
        Input {
            volume: volume.clone(),
            group: image.used(),
            voxels,
            origin,
            warnings: image.warnings,
            grid: image.grid,
            modality: image.modality,
            series: image.series,
        }
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Nothing of a patient stays longer than it is needed.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Volume {
    /// Makes the folder, and what goes before the bytes of the client.
    fn create(header: Header, spool: &Path, archives: &[Archive]) -> Answer<Volume> {
        match header {
            Header::Raw(new) => Volume::raw(*new, spool),
            Header::File(new) => Volume::file(new, spool),
            Header::Remote(new) => {
                let (remote, modality) = (new.remote(archives)?, new.modality);
                let remote = Mutex::new(Some(remote));
                let content = Content::Remote { remote, boundary: OnceLock::new(), modality };
                let volume = Volume::new(spool, content)?;
                volume.state().phase = Phase::Fetching;
                Ok(volume)
            }
        }
    }

    fn raw(new: NewVolume, spool: &Path) -> Answer<Volume> {
        new.check_words()?;
        let grid = new.grid()?;
        let source = new.origin(&grid)?;
        let (header, bytes) = (new.nrrd(&grid), new.bytes(&grid));
        let content = Content::Raw(Box::new(new.image(grid, source.is_some())));
        let mut volume = Volume::new(spool, content)?;
        (volume.header, volume.bytes) = (header.len() as u64, Some(bytes));
        volume.sha256 = new.sha256;
        if let Some(source) = source {
            let bytes = serde_json::to_vec(&source).map_err(|_| Refusal::internal())?;
            write_for_now(&volume.folder.join(origin(0)), &bytes).map_err(|error| Refusal::spool(&error))?;
        }
        volume.begin(header.as_bytes())
    }

    fn file(new: NewFile, spool: &Path) -> Answer<Volume> {
        let content = Content::File { boundary: new.boundary()?, modality: new.modality };
        let mut volume = Volume::new(spool, content)?;
        (volume.bytes, volume.sha256) = (new.bytes, new.sha256);
        volume.begin(&[])
    }

    /// A volume with a folder, and nothing in it.
    fn new(spool: &Path, content: Content) -> Answer<Volume> {
        let id = Id::new().map_err(|_| Refusal::internal())?;
        let folder = spool.join(id.as_str());
        make_private(&folder).map_err(|error| Refusal::of(Code::Internal, &error))?;
        let state = State { received: 0, phase: Phase::Receiving, touched: Instant::now() };
        Ok(Volume {
            id,
            folder,
            content,
            header: 0,
            bytes: None,
            sha256: None,
            upload: tokio::sync::Mutex::new(()),
            state: Mutex::new(state),
            key: None,
            gone: Notify::new(),
        })
    }

    /// Makes the file that the client's bytes go to.
    fn begin(self, header: &[u8]) -> Answer<Volume> {
        let file = private(OpenOptions::new().create_new(true)).open(self.data());
        file.and_then(|mut file| file.write_all(header)).map_err(|error| Refusal::spool(&error))?;
        Ok(self)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file that the client's bytes go to.
    pub(super) fn data(&self) -> PathBuf {
        match self.content {
            Content::Raw(_) => self.folder.join(voxels(0)),
            Content::File { .. } | Content::Remote { .. } => self.folder.join("upload"),
        }
    }

    /// All bytes are there.
    pub(super) fn arrived(&self) {
        self.state().phase = match &self.content {
            Content::Raw(image) => Phase::Ready(Arc::new(Images::of(image))),
            Content::File { .. } | Content::Remote { .. } => Phase::Reading,
        };
    }

    /// The order to fetch the series, where there is one; once, since the login is forgotten with it.
    pub(super) fn fetching(&self) -> Option<Fetching> {
        let Content::Remote { remote, .. } = &self.content else { return None };
        let remote = remote.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(Fetching { remote, target: self.data() })
    }

    /// So many bytes of a series that is fetched are there.
    pub(super) fn has_come(&self, bytes: u64) {
        self.state().received = bytes;
    }

    /// The series is there, a multipart body with this boundary.
    pub(super) fn was_fetched(&self, between: String) {
        if let Content::Remote { boundary, .. } = &self.content {
            let _ = boundary.set(between);
        }
        self.arrived();
    }

    /// The order to read the file, while it waits for that.
    pub(super) fn reading(&self, resolve: BTreeMap<String, String>) -> Option<Reading> {
        let (boundary, modality) = match &self.content {
            Content::Raw(_) => return None,
            Content::File { boundary, modality } => (boundary.as_ref(), modality),
            Content::Remote { boundary, modality, .. } => (boundary.get(), modality),
        };
        matches!(self.state().phase, Phase::Reading).then(|| Reading {
            upload: self.data(),
            boundary: boundary.cloned(),
            modality: modality.clone(),
            resolve,
            folder: self.folder.clone(),
        })
    }

    /// The file was read, or not. Its bytes stay only while somebody may still choose how to read them.
    pub(super) fn was_read(&self, images: Answer<Images>) {
        let stays = images.as_ref().is_err_and(|refusal| !refusal.choices.is_empty());
        if !stays {
            let _ = fs::remove_file(self.data());
        }
        let mut state = self.state();
        state.touched = Instant::now();
        state.phase = images.map_or_else(Phase::Failed, |images| Phase::Ready(Arc::new(images)));
    }

    /// Reads again what left a choice; `false` when there is nothing to choose.
    pub(super) fn choose(&self) -> bool {
        let mut state = self.state();
        let is_open = matches!(&state.phase, Phase::Failed(refusal) if !refusal.choices.is_empty());
        if is_open {
            state.phase = Phase::Reading;
        }
        is_open
    }

    /// The image that a job asks for, or the usual one.
    pub(super) fn choose_image(&self, group: Option<&str>) -> Answer<Chosen> {
        let images = match &self.state().phase {
            Phase::Ready(images) => Arc::clone(images),
            Phase::Failed(refusal) => return Err(refusal.clone()),
            Phase::Receiving | Phase::Fetching | Phase::Reading => {
                let message = "the volume is not there yet";
                return Err(Refusal::new(
                    Code::VolumeIncomplete,
                    message,
                    "`GET /v1/volumes/ID` tells how far it is",
                ));
            }
        };
        let at = match group {
            Some(group) => images.images.iter().position(|image| image.id == group),
            None => images.usual,
        };
        let Some((at, image)) = at.and_then(|at| Some((at, images.images.get(at)?))) else {
            let choice = |image: &Image| Choice {
                key: "group".to_owned(),
                value: image.id.clone(),
                label: image.label.clone(),
            };
            let message = format!("the volume holds {} images, and none is meant", images.images.len());
            return Err(Refusal {
                choices: images.images.iter().map(choice).collect(),
                ..Refusal::new(Code::Ambiguous, message, "send one of the volume's groups as `group`")
            });
        };
        Ok(Chosen {
            image: image.clone(),
            voxels: self.folder.join(voxels(at)),
            origin: image.has_origin.then(|| self.folder.join(origin(at))),
        })
    }
}

impl Images {
    /// One image.
    pub(super) fn of(image: &Image) -> Images {
        Images { images: vec![image.clone()], usual: Some(0), warnings: Vec::new() }
    }
}

/// The volumes of this server.
#[derive(Debug)]
pub(super) struct Volumes {
    folder: PathBuf,
    /// Where series may be fetched from.
    archives: Vec<Archive>,
    volumes: Mutex<BTreeMap<Id, Arc<Volume>>>,
}

impl Volumes {
    /// None yet; what an earlier server left in `folder` is removed by the caller.
    pub(super) fn new(folder: PathBuf, archives: Vec<Archive>) -> Volumes {
        Volumes { folder, archives, volumes: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Id, Arc<Volume>>> {
        self.volumes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a volume that waits for its bytes. Under a key that is known it is the volume of that key.
    pub(super) fn create(&self, header: serde_json::Value, key: Option<String>) -> Answer<View> {
        let key = key.map(|key| [key, hexadecimal(&Sha256::digest(header.to_string().as_bytes()))]);
        let header = Header::of(header)?;
        let mut volumes = self.lock();
        let is_known = |known: &[String; 2]| key.as_ref().is_some_and(|key| key[0] == known[0]);
        let known = volumes.values().find(|volume| volume.key.as_ref().is_some_and(is_known));
        if let Some(volume) = known {
            return if volume.key == key { Ok(volume.view()) } else { Err(reused()) };
        }
        if volumes.len() >= MOST_VOLUMES {
            let message = format!("there are {MOST_VOLUMES} volumes already");
            return Err(Refusal::new(Code::QueueFull, message, "delete one that is no longer needed"));
        }
        let mut volume = Volume::create(header, &self.folder, &self.archives)?;
        volume.key = key;
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

    /// Forgets a volume; a job that uses it keeps its files until it has ended.
    pub(super) fn remove(&self, id: &Id) -> Answer<()> {
        let volume = self.lock().remove(id).ok_or_else(|| Refusal::not_found("volume"))?;
        volume.gone.notify_one();
        Ok(())
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
    use serde_json::json;

    fn new(json: &str) -> Header {
        Header::of(serde_json::from_str(json).unwrap()).unwrap()
    }

    #[test]
    fn a_volume_in_the_spool_is_a_file_that_the_reader_knows() {
        let folder = tempfile::tempdir().unwrap();
        let header = r#"{"dims": [3, 2, 2], "dtype": "int16", "space": "RAS", "modality": "CT", "name": "Doe^Jane",
            "ijk_to_world": [-0.7, 0, 0.1, 12.25, 0, 0.9, 0.30000000000000004, -3, 0, 0, 2.5, 1e-7, 0, 0, 0, 1]}"#;
        let volume = Volume::create(new(header), folder.path(), &[]).unwrap();
        let mut file = OpenOptions::new().append(true).open(volume.data()).unwrap();
        (0..12i16).for_each(|value| file.write_all(&(value - 3).to_le_bytes()).unwrap());
        volume.arrived();
        let chosen = volume.choose_image(None).ok().unwrap();
        let text = std::fs::read(volume.data()).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains("Doe"));
        let image =
            formats::read(&volume.data(), &formats::ReadOptions::default(), &imaging::Progress::silent())
                .unwrap();
        assert_eq!(image.volume.grid, chosen.image.grid);
        assert_eq!(
            chosen.image.grid.axes,
            [[0.7, 0.0, 0.0], [0.0, -0.9, 0.0], [-0.1, -0.300_000_000_000_000_04, 2.5]]
        );
        assert_eq!(chosen.image.grid.origin, [-12.25, 3.0, 1e-7]);
        assert_eq!((image.volume.voxels[[1, 1, 2]], image.source.modality()), (8.0, Some("CT")));
        let path = volume.data();
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
            assert_eq!(Volume::create(new(&json), folder.path(), &[]).unwrap_err().code, code, "{json}");
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
        assert!(Header::of(json!({"dims": [1, 1, 1], "shape": 3})).is_err());
    }
}
