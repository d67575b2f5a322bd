//! Finding and scanning files: which of them are images of which series.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dicom_dictionary_std::tags;
use imaging::Progress;
use rayon::prelude::*;

use super::Options;
use super::attributes::REPEATED;
use super::dataset::Value;
use super::error::{Error, Withheld};
use super::image::{self, Image};
use super::pixels::{Content, Stored};
use super::preflight::{self, Scan};
use super::source::Attribute;

/// Folders within folders looked into.
const DEEPEST_FOLDER: usize = 8;

/// A file given by name, on the disk or in memory.
pub(crate) struct Given {
    pub(crate) name: String,
    pub(crate) content: Content,
}

/// A DICOM image object.
#[derive(Debug)]
pub(crate) struct Object {
    /// Its place in the sorted list of files, from 1, and its name.
    pub(crate) number: usize,
    pub(crate) name: Withheld,
    pub(crate) study: String,
    pub(crate) series: String,
    pub(crate) frame_of_reference: String,
    pub(crate) sop_class: String,
    pub(crate) sop_instance: String,
    pub(crate) modality: String,
    pub(crate) patient_position: Option<String>,
    pub(crate) series_number: Option<i64>,
    pub(crate) series_description: Withheld,
    pub(crate) attributes: Vec<Attribute>,
    /// Its slices and how to read them, or why it has none.
    pub(crate) slices: Result<(Stored, Image), Arc<Error>>,
}

/// What a set of files holds.
pub(crate) struct Found {
    pub(crate) objects: Vec<Object>,
    /// Files looked at.
    pub(crate) total: usize,
    /// Files that are not DICOM.
    pub(crate) strangers: usize,
}

/// The regular files below `path`, sorted by name; links to folders are not followed.
pub(crate) fn below(path: &Path, options: &Options) -> Result<Vec<Given>, Error> {
    let mut paths = Vec::new();
    let failed = |source| Error::Read { source };
    if std::fs::metadata(path).map_err(failed)?.is_file() {
        paths.push(path.to_owned());
    } else {
        collect(path, options.maximum_files, 0, &mut paths)?;
    }
    paths.sort();
    let name =
        |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(paths.into_iter().map(|path| Given { name: name(&path), content: Content::Path(path) }).collect())
}

fn collect(folder: &Path, limit: usize, depth: usize, paths: &mut Vec<PathBuf>) -> Result<(), Error> {
    let failed = |source| Error::Read { source };
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        let path = entry.path();
        if kind.is_dir() && depth < DEEPEST_FOLDER {
            collect(&path, limit, depth + 1, paths)?;
        } else if kind.is_file() || (kind.is_symlink() && path.is_file()) {
            paths.push(path);
        }
        if paths.len() > limit {
            return Err(Error::Limit { what: "files", found: paths.len() as u64, limit: limit as u64 });
        }
    }
    Ok(())
}

/// Scans all files; the first one (by name) that is damaged is the error.
pub(crate) fn scan(given: Vec<Given>, progress: &Progress) -> Result<Found, Error> {
    let total = given.len();
    let done = AtomicU64::new(0);
    let outcomes: Vec<Result<Option<Object>, Error>> = given
        .into_par_iter()
        .enumerate()
        .map(|(index, given)| {
            progress.step("scanning", done.fetch_add(1, Ordering::Relaxed), total as u64)?;
            let name = Withheld(given.name.clone());
            object(index + 1, given).map_err(|problem| in_file(index + 1, total, name, problem))
        })
        .collect();
    let mut found = Found { objects: Vec::new(), total, strangers: 0 };
    for outcome in outcomes {
        match outcome? {
            Some(object) => found.objects.push(object),
            None => found.strangers += 1,
        }
    }
    Ok(found)
}

/// Says which file an error is about.
pub(crate) fn in_file(number: usize, total: usize, name: Withheld, problem: Error) -> Error {
    match problem {
        Error::Cancelled(_) | Error::InFile { .. } => problem,
        problem => Error::InFile { number, total, name, problem: Arc::new(problem) },
    }
}

/// Scans one file; `None` when it is not DICOM, or a directory of DICOM files.
fn object(number: usize, given: Given) -> Result<Option<Object>, Error> {
    let scan = {
        let (source, length) = given.content.open()?;
        preflight::scan(source, length)?
    };
    let Some(mut scan) = scan else { return Ok(None) };
    let dataset = &scan.dataset;
    let uid = |tag| dataset.uid(tag).map(Option::unwrap_or_default);
    let [Some(sop_class), sop_instance] = scan.identity.clone() else { return Ok(None) };
    let code =
        |text: &str| text.len() <= 16 && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let short = |tag| dataset.text(tag).filter(|text| code(text)).map(str::to_owned);
    let description = dataset.bytes(tags::SERIES_DESCRIPTION).unwrap_or_default();
    let mut object = Object {
        number,
        name: Withheld(given.name),
        study: uid(tags::STUDY_INSTANCE_UID)?,
        series: uid(tags::SERIES_INSTANCE_UID)?,
        frame_of_reference: uid(tags::FRAME_OF_REFERENCE_UID)?,
        sop_class,
        sop_instance: sop_instance.unwrap_or_default(),
        modality: short(tags::MODALITY).unwrap_or_default(),
        patient_position: short(tags::PATIENT_POSITION),
        series_number: dataset.integer(tags::SERIES_NUMBER).ok().flatten(),
        series_description: Withheld(String::from_utf8_lossy(description).trim().to_owned()),
        attributes: repeated(&scan),
        slices: Err(Arc::new(Error::NoImages { files: 1 })),
    };
    let slices = image::image(&scan).and_then(|image| {
        let content = scan.inflated.take().map_or(given.content, Content::Memory);
        Ok((stored(&mut scan, content, &image)?, image))
    });
    object.slices = slices.map_err(Arc::new);
    Ok(Some(object))
}

/// How to read the pixels of a scanned file.
fn stored(scan: &mut Scan, content: Content, image: &Image) -> Result<Stored, Error> {
    let pixels = scan.pixels.take().ok_or(Error::UnsupportedType { what: "an object without pixels" })?;
    let transfer_syntax = std::mem::take(&mut scan.transfer_syntax);
    pixels.check(&transfer_syntax)?;
    Ok(Stored {
        content,
        pixels,
        transfer_syntax,
        frames: image.slices.len(),
        storage: image.storage.clone(),
    })
}

/// The attributes a derived object repeats, by rising tag.
fn repeated(scan: &Scan) -> Vec<Attribute> {
    let wanted = |(tag, value): &(dicom_core::Tag, Value)| match value {
        Value::Bytes { bytes, vr, .. } if REPEATED.contains(tag) => {
            Some(Attribute { tag: *tag, vr: *vr, value: bytes.clone() })
        }
        _ => None,
    };
    let mut attributes: Vec<Attribute> = scan.dataset.elements.iter().filter_map(wanted).collect();
    attributes.sort_by_key(|attribute| attribute.tag);
    attributes
}
