//! All images of an upload: one as a rule, several of a diffusion series.

use std::path::Path;
use std::sync::Arc;

use imaging::Progress;

use crate::error::{Result, Warning};
use crate::read::{dicom_options, format, of_series};
use crate::stream::Stream;
use crate::{Format, Image, ReadOptions, dicom, multipart, read, zip};

/// How files lie in the bytes of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Container {
    /// It is one file: an image, or a zip archive of DICOM files.
    File,
    /// A `multipart/related` answer of DICOMweb, each part a DICOM file.
    Multipart {
        /// What stands between the parts.
        boundary: String,
    },
}

/// One image of an upload.
#[derive(Debug, Clone)]
pub struct Group {
    /// Short and unique among the images: `image`, `b1000`, `2`.
    pub id: String,
    /// For people: what tells it from the others.
    pub label: String,
    /// Strength of the diffusion weighting in s/mm², where the slices say it.
    pub b_value: Option<f64>,
    /// The image.
    pub image: Image,
}

/// All images of an upload.
#[derive(Debug, Clone)]
pub struct Groups {
    /// By rising b-value.
    pub groups: Vec<Group>,
    /// The one that is meant when nobody chooses, where that is clear.
    pub usual: Option<usize>,
    /// About the upload as a whole.
    pub warnings: Vec<Warning>,
}

/// Reads every image in the file at `path`: as [`read()`], but a mixed DICOM series gives all its images.
///
/// # Errors
///
/// As [`read()`].
pub fn read_groups(
    path: &Path,
    container: &Container,
    options: &ReadOptions,
    progress: &Progress,
) -> Result<Groups> {
    let files: Vec<(String, dicom::Content)> = match container {
        Container::Multipart { boundary } => {
            let parts = multipart::parts(path, boundary, &options.limits, progress)?;
            let path: Arc<Path> = Arc::from(path);
            let part =
                |[start, length]: [u64; 2]| dicom::Content::Part { path: Arc::clone(&path), start, length };
            (0..).zip(parts).map(|(index, place)| (format!("{index:05}"), part(place))).collect()
        }
        Container::File if matches!(format(&Stream::open(path)?)?, Format::Zip) => {
            let entries = zip::entries(path, &options.limits, progress)?;
            entries.into_iter().map(|(name, bytes)| (name, bytes.into())).collect()
        }
        Container::File => {
            let image = read(path, options, progress)?;
            let group = Group { id: "image".to_owned(), label: String::new(), b_value: None, image };
            return Ok(Groups { groups: vec![group], usual: Some(0), warnings: Vec::new() });
        }
    };
    let found = dicom::read_groups(files, &dicom_options(options), progress)?;
    let usual = found.usual();
    let warnings = found.left_out.iter().map(left_out).collect();
    let mut groups: Vec<Group> = Vec::new();
    for dicom::Group { apart, b_value, series } in found.groups {
        let mut id = b_value.map_or_else(|| "image".to_owned(), |b| format!("b{b}"));
        if apart.is_empty() {
            id = "image".to_owned();
        } else if b_value.is_none() || groups.iter().any(|group| group.id == id) {
            id = format!("{}", groups.len() + 1);
        }
        groups.push(Group { id, label: label(&apart), b_value, image: of_series(series) });
    }
    Ok(Groups { groups, usual, warnings })
}

/// What tells an image apart, in words.
fn label(apart: &[(dicom::Property, String)]) -> String {
    let word = |(property, value): &(dicom::Property, String)| match property {
        dicom::Property::DiffusionBValue => format!("b = {value} s/mm²"),
        property => format!("{} {value}", property.keyword()),
    };
    apart.iter().map(word).collect::<Vec<_>>().join(", ")
}

fn left_out((apart, error): &(Vec<(dicom::Property, String)>, dicom::Error)) -> Warning {
    Warning::new("W_IMAGE_LEFT_OUT", format!("the image of {} was left out: {error}", label(apart)))
}
