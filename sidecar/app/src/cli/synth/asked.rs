//! Cases by number, as a training asks for them: a number on standard input, the case's files and a line of JSON back.

use std::io::BufRead;
use std::path::Path;

use serde::Serialize;
use stroke::Rejection;

use super::making::{Files, Maker, write};
use super::recipe::Recipe;
use crate::{Error, Result, output};

/// Bytes of donors that are kept.
const DONORS: usize = 512 << 20;

/// A line of the answer.
#[derive(Debug, Serialize)]
struct Answer {
    case: u64,
    name: String,
    /// None where every draw was rejected.
    #[serde(flatten)]
    files: Files,
    rejected: Vec<Rejection>,
}

/// Answers until standard input ends.
pub(super) fn answer(path: &Path, folder: &Path) -> Result<()> {
    let recipe = Recipe::read(path)?;
    let maker = Maker::new(&recipe, DONORS);
    std::fs::create_dir_all(folder).map_err(|error| Error::write(folder, error))?;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| Error::read(Path::new("standard input"), error))?;
        let case: u64 = line.trim().parse().map_err(|_| {
            Error::usage(
                format!("`{line}` is no number of a case"),
                "one number a line is read, such as `17`",
            )
        })?;
        let (record, made) = maker.case(case)?;
        // Unpacked: they are read once, and soon.
        let files = made.map(|made| write(&record.name, &made, [folder; 2], ".nii")).transpose()?;
        let answer =
            Answer { case, name: record.name, files: files.unwrap_or_default(), rejected: record.rejected };
        output::line(&serde_json::to_string(&answer).map_err(|error| Error::Output(error.into()))?)?;
    }
    Ok(())
}
