//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::error::{Error, Result};
use crate::gzip::Stopped;

/// Writes a file through a temporary one in the same folder: `fill` gives the bytes, and only when it has succeeded
/// and the disk has them does the file appear at `path`, in place of any that was there. Folders are made as needed;
/// a symbolic link is followed, so the file that it points to is replaced.
pub(crate) fn write(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&File>) -> Result<(), Stopped>,
) -> Result<()> {
    put(path, true, fill)
}

/// As [`write`], for what nobody looks for when the power was cut: the disk may have the bytes later.
pub(crate) fn write_for_now(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&File>) -> Result<(), Stopped>,
) -> Result<()> {
    put(path, false, fill)
}

fn put(
    path: &Path,
    lasts: bool,
    fill: impl FnOnce(&mut BufWriter<&File>) -> Result<(), Stopped>,
) -> Result<()> {
    let failed = |source| Error::write(path, source);
    // A link to a file that is there is replaced at its target; a dangling one is replaced itself.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(failed)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".writing-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // What any program would create: the umask takes away what the user wants taken away.
        let mode = fs::metadata(&target).map_or(0o666, |metadata| metadata.permissions().mode() & 0o777);
        builder.permissions(fs::Permissions::from_mode(mode));
    }
    let temporary = builder.tempfile_in(folder).map_err(failed)?;
    let mut writer = BufWriter::with_capacity(1 << 20, temporary.as_file());
    fill(&mut writer).map_err(|stopped| match stopped {
        Stopped::Failed(source) => failed(source),
        Stopped::Cancelled(cancelled) => cancelled.into(),
    })?;
    writer.flush().map_err(failed)?;
    drop(writer);
    if lasts {
        temporary.as_file().sync_all().map_err(failed)?;
    }
    temporary.persist(&target).map_err(|error| failed(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use imaging::Cancelled;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn folders_are_made_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/out.bin");
        write(&path, |out| Ok(out.write_all(b"first")?)).unwrap();
        write(&path, |out| Ok(out.write_all(b"second")?)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(names(path.parent().unwrap()), ["out.bin"]);
    }

    #[test]
    fn what_was_there_stays_when_writing_fails() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.bin");
        write(&path, |out| Ok(out.write_all(b"old")?)).unwrap();
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let result = write(&path, |out| {
            out.write_all(b"half")?;
            Err(full.into())
        });
        assert_eq!(result.unwrap_err().code(), "E_DISK_FULL");
        let result = write(&path, |_| Err(Cancelled.into()));
        assert_eq!(result.unwrap_err().code(), "E_CANCELLED");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["out.bin"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, b"old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write(&link, |out| Ok(out.write_all(b"new")?)).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
