//! Where a viewer finds the server: a folder that only the user can read, with a lock that says whether one runs, and a
//! file with its port and token.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use utoipa::ToSchema;

use super::{API_MAJOR, API_MINOR};
use crate::config::Home;
use crate::{Error, Result};

/// The folder of a running server; whoever holds it is the only one.
pub(super) struct Rendezvous {
    folder: PathBuf,
    /// Held for life: the lock, not a process number, says whether a server runs.
    _lock: File,
}

/// What `endpoint.json` says.
#[derive(Debug, Serialize)]
struct Endpoint<'a> {
    schema: u32,
    pid: u32,
    port: u16,
    token: &'a str,
    instance: &'a str,
    version: &'a str,
    api: Api,
}

/// Versions of the API that are spoken.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Api {
    min: String,
    max: String,
}

impl Api {
    /// What this program speaks.
    pub(super) fn spoken() -> Api {
        Api { min: format!("{API_MAJOR}.0"), max: format!("{API_MAJOR}.{API_MINOR}") }
    }
}

impl Rendezvous {
    /// Takes the folder `run` of `home`, or says that a server runs already.
    pub(super) fn claim(home: &Home) -> Result<Rendezvous> {
        let folder = home.root().join("run");
        make_private(&folder)?;
        let path = folder.join("lock");
        let lock = private(OpenOptions::new().create(true).truncate(false)).open(&path);
        let lock = lock.map_err(|error| Error::write(&path, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(Error::Refused {
                    message: "a server runs already".to_owned(),
                    hint: format!("its port and token are in `{}`", folder.join("endpoint.json").display()),
                });
            }
            Err(fs::TryLockError::Error(error)) => return Err(Error::write(&path, error)),
        }
        let rendezvous = Rendezvous { folder, _lock: lock };
        rendezvous.withdraw();
        rendezvous.check_owner()?;
        Ok(rendezvous)
    }

    /// The folder of volumes and jobs.
    pub(super) fn spool(&self) -> PathBuf {
        self.folder.join("spool")
    }

    /// The folder of corrections.
    pub(super) fn corrections(&self) -> PathBuf {
        self.spool().join("corrections")
    }

    /// Paired web pages.
    pub(super) fn clients(&self) -> PathBuf {
        self.folder.join("clients.json")
    }

    /// The file that viewers read.
    pub(super) fn endpoint(&self) -> PathBuf {
        self.folder.join("endpoint.json")
    }

    /// Tells viewers where the server is.
    pub(super) fn announce(&self, port: u16, token: &str, instance: &str) -> Result<()> {
        let endpoint = Endpoint {
            schema: 1,
            pid: std::process::id(),
            port,
            token,
            instance,
            version: env!("CARGO_PKG_VERSION"),
            api: Api::spoken(),
        };
        let path = self.endpoint();
        let text = serde_json::to_vec(&endpoint).map_err(|error| Error::write(&path, error.into()))?;
        write_whole(&path, &text).map_err(|error| Error::write(&path, error))
    }

    /// The server is gone.
    pub(super) fn withdraw(&self) {
        let _ = fs::remove_file(self.endpoint());
    }

    /// A folder that another user made could be exchanged under us.
    #[cfg(unix)]
    fn check_owner(&self) -> Result<()> {
        use std::os::unix::fs::MetadataExt;
        let path = self.folder.join("owner");
        let _ = fs::remove_file(&path);
        let ours = private(OpenOptions::new().create_new(true)).open(&path).and_then(|file| file.metadata());
        let theirs = fs::symlink_metadata(&self.folder);
        let _ = fs::remove_file(&path);
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) if ours.uid() == theirs.uid() => Ok(()),
            _ => Err(not_private(&self.folder)),
        }
    }

    #[cfg(not(unix))]
    fn check_owner(&self) -> Result<()> {
        Ok(())
    }
}

impl Drop for Rendezvous {
    fn drop(&mut self) {
        self.withdraw();
    }
}

/// Makes a folder that only the user can look into; one that others can look into is refused, not mended.
pub(super) fn make_private(folder: &Path) -> Result<()> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).map_err(|error| Error::write(parent, error))?;
    }
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(Error::write(folder, error));
        }
        _ => {}
    }
    let metadata = fs::symlink_metadata(folder).map_err(|error| Error::read(folder, error))?;
    #[cfg(unix)]
    let is_open = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0;
    #[cfg(not(unix))]
    let is_open = false;
    if metadata.is_dir() && !is_open { Ok(()) } else { Err(not_private(folder)) }
}

fn not_private(folder: &Path) -> Error {
    Error::Refused {
        message: format!("`{}` is no folder that only you can look into", folder.display()),
        hint: "remove it, or set `VESALIUS_HOME` to a folder of your own".to_owned(),
    }
}

/// A file to write that only the user can read.
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.write(true)
}

/// Writes a file that no later server looks for.
pub(super) fn write_for_now(path: &Path, bytes: &[u8]) -> io::Result<()> {
    private(OpenOptions::new().create(true).truncate(true)).open(path)?.write_all(bytes)
}

/// Writes a file so that after any interruption it is there whole, old or new.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("part");
    let mut file = private(OpenOptions::new().create(true).truncate(true)).open(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    sync_folder(path)
}

/// Makes a rename last.
#[cfg(unix)]
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Folders cannot be synced here; the file system's journal does it.
#[cfg(not(unix))]
pub(super) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
