//! The journal of a session: a line of JSON for each event, on the disk before anybody hears of it.
//!
//! Line `n` is the event of revision `n`. A line that was being written when the machine stopped has no end, and was
//! never acknowledged: it goes when the journal is opened again.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::super::rendezvous::private;

/// Bytes that are looked through at a time.
const PIECE: usize = 1 << 20;

/// An open journal.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// Where each line ends.
    ends: Vec<u64>,
}

impl Journal {
    /// The journal at `path`, or a new one.
    pub(super) fn open(path: &Path) -> io::Result<Journal> {
        let mut file = private(OpenOptions::new().read(true).create(true).truncate(false)).open(path)?;
        let (mut ends, mut at, mut piece) = (Vec::new(), 0u64, vec![0; PIECE]);
        loop {
            let length = file.read(&mut piece)?;
            if length == 0 {
                break;
            }
            let lines = piece[..length].iter().zip(at + 1..).filter(|(byte, _)| **byte == b'\n');
            ends.extend(lines.map(|(_, end)| end));
            at += length as u64;
        }
        let whole = ends.last().copied().unwrap_or(0);
        if whole < at {
            file.set_len(whole)?;
            file.sync_all()?;
        }
        Ok(Journal { path: path.to_owned(), file, ends })
    }

    /// Events so far.
    pub(super) fn revision(&self) -> u64 {
        self.ends.len() as u64
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes events down, all of them or none; once this returns, they outlive the machine.
    pub(super) fn append(&mut self, events: &[Vec<u8>]) -> io::Result<()> {
        let before = self.end();
        let lines: Vec<u8> = events.iter().flat_map(|event| event.iter().chain(b"\n")).copied().collect();
        let written = self.file.seek(SeekFrom::Start(before)).and_then(|_| self.file.write_all(&lines));
        if let Err(error) = written.and_then(|()| self.file.sync_data()) {
            // What may have come through must not be found later: nobody was told of it.
            let _ = self.file.set_len(before);
            return Err(error);
        }
        let mut end = before;
        for event in events {
            end += event.len() as u64 + 1;
            self.ends.push(end);
        }
        Ok(())
    }

    /// The bytes of the events after a revision; none where that has not come yet.
    pub(super) fn since(&self, revision: u64) -> Option<Range<u64>> {
        let begin = match revision {
            0 => 0,
            revision => *self.ends.get(usize::try_from(revision).ok()? - 1)?,
        };
        Some(begin..self.end())
    }

    fn end(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_line_was_never_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::open(&path).unwrap();
        assert_eq!((journal.revision(), journal.since(0), journal.since(1)), (0, Some(0..0), None));
        journal.append(&[b"{1}".to_vec(), b"{22}".to_vec()]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for torn in [b"".as_slice(), b"{", b"{333}"] {
            std::fs::write(&path, [&whole, torn].concat()).unwrap();
            let mut journal = Journal::open(&path).unwrap();
            assert_eq!((journal.revision(), journal.since(1)), (2, Some(4..9)));
            assert_eq!(std::fs::read(&path).unwrap(), whole);
            journal.append(&[b"{4}".to_vec()]).unwrap();
            assert_eq!(std::fs::read(journal.path()).unwrap(), b"{1}\n{22}\n{4}\n");
            assert_eq!((journal.revision(), journal.since(3), journal.since(4)), (3, Some(13..13), None));
        }
    }
}
