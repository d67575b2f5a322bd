//! The cases of a study: one table that says which file is what, whose it is, and which part of the study it is in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, Result, table};

/// Part of a study. Patients stay together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Part {
    /// What models learn from.
    Train,
    /// What choices are made on.
    Validation,
    /// What is measured on in the end.
    Test,
}

impl Part {
    /// As tables and people write it.
    fn parse(text: &str) -> Option<Part> {
        match text.to_lowercase().as_str() {
            "train" | "training" => Some(Part::Train),
            "val" | "validation" => Some(Part::Validation),
            "test" => Some(Part::Test),
            _ => None,
        }
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Part::Train => "train",
            Part::Validation => "validation",
            Part::Test => "test",
        }
    }
}

/// A case of the study.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entry {
    /// Its name.
    pub(crate) case: String,
    /// Whose it is.
    pub(crate) patient: String,
    /// Whether it is a normal case that strokes are put into.
    pub(crate) normal: bool,
    /// The image; of several channels the first.
    pub(crate) dwi: PathBuf,
    /// The second channel.
    pub(crate) adc: Option<PathBuf>,
    /// The labels: a lesion mask.
    pub(crate) mask: Option<PathBuf>,
    /// The brain.
    pub(crate) brain: Option<PathBuf>,
    /// Where the labels were reviewed: a mask; the rest is to be ignored.
    pub(crate) reviewed: Option<PathBuf>,
    /// The part that the table names.
    pub(crate) part: Option<Part>,
}

/// All cases, in the order of the table.
#[derive(Debug)]
pub(crate) struct Manifest {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The cases.
    pub(crate) entries: Vec<Entry>,
}

/// Which patient is in which part; written once, then fixed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Splits {
    /// Seed of the draw.
    pub(crate) seed: u64,
    /// The parts by patient.
    pub(crate) patients: BTreeMap<String, Part>,
    /// SHA-256 of every image, by case.
    pub(crate) images: BTreeMap<String, String>,
    /// SHA-256 of the patients and images above.
    pub(crate) sha256: String,
}

impl Splits {
    /// Reads splits, and sees that nobody has changed them.
    pub(crate) fn read(path: &Path) -> Result<Splits> {
        let text = std::fs::read_to_string(path).map_err(|error| Error::read(path, error))?;
        let splits: Splits = serde_json::from_str(&text).map_err(|error| {
            Error::refused(
                format!("`{}` holds no splits: {error}", path.display()),
                "make them with `vesalius dataset split`",
            )
        })?;
        if splits.digest() != splits.sha256 {
            return Err(Error::refused(
                format!("`{}` was changed after it was made: its hash differs", path.display()),
                "splits stay fixed for a whole study; make new ones with `vesalius dataset split` for a new study",
            ));
        }
        Ok(splits)
    }

    /// The hash of what must not change.
    pub(crate) fn digest(&self) -> String {
        let mut text = format!("seed {}\n", self.seed);
        for (patient, part) in &self.patients {
            text.push_str(&format!("{patient}\t{}\n", part.name()));
        }
        for (case, sha256) in &self.images {
            text.push_str(&format!("{case}\t{sha256}\n"));
        }
        hexadecimal(&Sha256::digest(text.as_bytes()))
    }
}

impl Manifest {
    /// Reads a table with the columns `case`, `patient`, `kind` (`clinical` or `normal`), `dwi` (or `image`), `adc`,
    /// `mask` (or `label`), `brain`, `reviewed`, `split`. Paths are relative to the table.
    pub(crate) fn read(path: &Path) -> Result<Manifest> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut entries: Vec<Entry> = Vec::new();
        for (n, row) in table::read(path)?.into_iter().enumerate() {
            let bad = |what: &str| {
                Error::refused(
                    format!("line {} of `{}`: {what}", n + 2, path.display()),
                    "columns: `case`, `patient`, `kind`, `dwi`, `adc`, `mask`, `brain`, `reviewed`, `split`",
                )
            };
            let get = |names: &[&str]| names.iter().find_map(|name| row.get(*name).cloned());
            let file = |names: &[&str]| get(names).map(|name| folder.join(name));
            let case = get(&["case"]).ok_or_else(|| bad("no `case`"))?;
            let normal = match get(&["kind"]).unwrap_or_else(|| "clinical".to_owned()).as_str() {
                "normal" => true,
                "clinical" => false,
                other => return Err(bad(&format!("`{other}` is no kind, `clinical` and `normal` are"))),
            };
            let part = get(&["split", "part"]);
            let part =
                part.map(|text| Part::parse(&text).ok_or_else(|| bad(&format!("`{text}` is no split"))));
            if entries.iter().any(|entry| entry.case == case) {
                return Err(bad(&format!("case `{case}` was there before")));
            }
            entries.push(Entry {
                patient: get(&["patient"]).ok_or_else(|| bad("no `patient`"))?,
                normal,
                dwi: file(&["dwi", "image"]).ok_or_else(|| bad("no `dwi`"))?,
                adc: file(&["adc"]),
                mask: file(&["mask", "label"]),
                brain: file(&["brain"]),
                reviewed: file(&["reviewed"]),
                part: part.transpose()?,
                case,
            });
        }
        Ok(Manifest { path: path.to_owned(), entries })
    }

    /// SHA-256 of every image by case.
    pub(crate) fn hashes(&self) -> Result<BTreeMap<String, String>> {
        let hash = |entry: &Entry| Ok((entry.case.clone(), hash(&entry.dwi)?));
        self.entries.par_iter().map(hash).collect()
    }

    /// The part of every case, and nothing leaks: by `splits`, or else by the table's column.
    ///
    /// Refuses when a patient or an image is in two parts, or a case in none.
    pub(crate) fn parts(&self, splits: Option<&Splits>) -> Result<BTreeMap<String, Part>> {
        let hashes = self.hashes()?;
        let mut parts = BTreeMap::new();
        let mut of_patient: BTreeMap<&str, Part> = BTreeMap::new();
        let mut of_image: BTreeMap<&str, (Part, &str)> = BTreeMap::new();
        let hint = "make splits with `vesalius dataset split`, and give them with `--splits`";
        for entry in &self.entries {
            let part = match splits {
                Some(splits) => splits.patients.get(&entry.patient).copied(),
                None => entry.part,
            };
            let Some(part) = part else {
                return Err(Error::refused(
                    format!("patient `{}` (case `{}`) is in no part of the study", entry.patient, entry.case),
                    hint,
                ));
            };
            if let Some(known) = splits.and_then(|splits| splits.images.get(&entry.case))
                && hashes.get(&entry.case) != Some(known)
            {
                return Err(Error::refused(
                    format!(
                        "the image of case `{}` is not the one that the splits were made with",
                        entry.case
                    ),
                    "bring it back, or make new splits for a new study",
                ));
            }
            let before = *of_patient.entry(&entry.patient).or_insert(part);
            if before != part {
                return Err(leak(&format!("patient `{}`", entry.patient), before, part));
            }
            let (before, case) = *of_image.entry(&hashes[&entry.case]).or_insert((part, &entry.case));
            if before != part {
                return Err(leak(&format!("the image of `{case}` and `{}`", entry.case), before, part));
            }
            parts.insert(entry.case.clone(), part);
        }
        Ok(parts)
    }
}

fn leak(what: &str, one: Part, other: Part) -> Error {
    Error::refused(
        format!("{what} is in the parts `{}` and `{}`: the test would know it", one.name(), other.name()),
        "a patient belongs to one part",
    )
}

/// SHA-256 of a file, 64 hexadecimal digits.
pub(crate) fn hash(path: &Path) -> Result<String> {
    let mut file = std::fs::File::open(path).map_err(|error| Error::read(path, error))?;
    let mut digest = Sha256::new();
    let mut block = vec![0; 1 << 16];
    loop {
        let read = std::io::Read::read(&mut file, &mut block).map_err(|error| Error::read(path, error))?;
        if read == 0 {
            return Ok(hexadecimal(&digest.finalize()));
        }
        digest.update(&block[..read]);
    }
}

/// Two digits a byte.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
