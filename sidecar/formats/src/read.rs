//! Any image, told by its bytes.

use std::path::Path;

use imaging::{Progress, Segmentation};

use crate::error::{Choice, Error, Result, Warning};
use crate::stream::Stream;
use crate::{Format, Image, Info, ReadOptions, Source, dicom, nifti, nrrd, zip};

/// Reads an image: a NIfTI file, a NRRD file, a folder of DICOM files, one such file, or a zip archive of them. Names
/// play no part.
///
/// # Errors
///
/// [`Error`]; with [`Error::choices`] when the file can be read in more than one way.
pub fn read(path: &Path, options: &ReadOptions, progress: &Progress) -> Result<Image> {
    if path.is_dir() {
        return dicom_folder(path, options, progress);
    }
    let stream = Stream::open(path)?;
    match format(&stream)? {
        Format::Nifti => nifti::image(stream, options, progress),
        Format::Nrrd => nrrd::image(stream, options, progress),
        Format::Zip => of_files(zip::entries(path, &options.limits, progress)?, options, progress),
        _ => dicom_folder(path, options, progress),
    }
}

/// Reads an image whose file is in memory already; see [`read`].
///
/// # Errors
///
/// As [`read`].
pub fn read_bytes(bytes: &[u8], options: &ReadOptions, progress: &Progress) -> Result<Image> {
    let stream = Stream::of_bytes(bytes)?;
    match format(&stream)? {
        Format::Nifti => nifti::image(stream, options, progress),
        Format::Nrrd => nrrd::image(stream, options, progress),
        Format::Zip => of_files(zip::entries_of_bytes(bytes, &options.limits, progress)?, options, progress),
        _ => of_files(vec![(String::new(), bytes.to_vec())], options, progress),
    }
}

/// Reads a label map from NIfTI, NRRD or a DICOM Segmentation object, with the segments that its label table, Slicer's
/// fields or DICOM's Segment Sequence name. Labels without a name are not listed.
///
/// # Errors
///
/// [`Error`]; [`Error::Intensity`] when a value is no integer of 0 to 255; [`Error::Overlap`] when structures of a
/// DICOM object share voxels.
pub fn read_segmentation(path: &Path, options: &ReadOptions, progress: &Progress) -> Result<Segmentation> {
    let stream = Stream::open(path)?;
    match format(&stream)? {
        Format::Nifti => nifti::segmentation(stream, options, progress),
        Format::Nrrd => nrrd::segmentation(stream, options, progress),
        Format::Dicom => dicom::seg::read(path, options, progress),
        other => {
            let detail = format!("label maps are read from NIfTI, NRRD and DICOM, this is {other}");
            Err(Error::UnsupportedType { detail })
        }
    }
}

/// Reads what the headers tell: size, spacing, modality. Of DICOM, the headers of all files are read.
///
/// # Errors
///
/// As [`read`].
pub fn read_header(path: &Path, options: &ReadOptions, progress: &Progress) -> Result<Info> {
    if path.is_dir() {
        return dicom_info(dicom::list_series(path, &dicom_options(options), progress)?, options);
    }
    let stream = Stream::open(path)?;
    match format(&stream)? {
        Format::Nifti => nifti::info(stream, options),
        Format::Nrrd => nrrd::info(stream, options),
        Format::Zip => {
            let entries = zip::entries(path, &options.limits, progress)?;
            dicom_info(dicom::list_files(entries, &dicom_options(options), progress)?, options)
        }
        _ => dicom_info(dicom::list_series(path, &dicom_options(options), progress)?, options),
    }
}

/// What DICOM series lie at `path`, a folder, a file or a zip archive, by rising series number.
///
/// # Errors
///
/// As [`read`]; nothing that is not DICOM holds series.
pub fn list_series(path: &Path, options: &ReadOptions, progress: &Progress) -> Result<Vec<dicom::Summary>> {
    if !path.is_dir() && matches!(format(&Stream::open(path)?)?, Format::Zip) {
        let entries = zip::entries(path, &options.limits, progress)?;
        return Ok(dicom::list_files(entries, &dicom_options(options), progress)?);
    }
    Ok(dicom::list_series(path, &dicom_options(options), progress)?)
}

/// The format of the bytes that a stream begins with.
pub(crate) fn format(stream: &Stream<'_>) -> Result<Format> {
    let head = stream.head();
    let unknown = |detail: &str| Err(Error::UnknownFormat { detail: detail.to_owned() });
    if nifti::announced(head).is_some() {
        return Ok(Format::Nifti);
    }
    if stream.gzip {
        return unknown("the gzip data hold no NIfTI image");
    }
    // A data set without preamble begins with an element of group 2 or 8.
    let bare = matches!(head, [2 | 8, 0, _, 0, ..]);
    if dicom::is_dicom(head) || bare {
        return Ok(Format::Dicom);
    }
    for (magic, format) in [(nrrd::MAGIC, Format::Nrrd), (zip::MAGIC, Format::Zip)] {
        if head.starts_with(magic) {
            return Ok(format);
        }
    }
    let guesses: [(&[u8], &str); 6] = [
        (b"\x89PNG", "a PNG picture"),
        (b"\xff\xd8\xff", "a JPEG picture"),
        (b"ObjectType", "a MetaImage header"),
        (b"\x89HDF", "an HDF5 file"),
        (b"%PDF", "a PDF document"),
        (b"PK\x05\x06", "an empty zip archive"),
    ];
    match guesses.iter().find(|(magic, _)| head.starts_with(magic)) {
        Some((_, guess)) => unknown(guess),
        None if head.is_empty() => unknown("the file is empty"),
        None => unknown("its first bytes are those of no known format"),
    }
}

fn dicom_folder(path: &Path, options: &ReadOptions, progress: &Progress) -> Result<Image> {
    Ok(of_series(dicom::read_folder(path, &dicom_options(options), progress)?))
}

fn of_files(files: Vec<(String, Vec<u8>)>, options: &ReadOptions, progress: &Progress) -> Result<Image> {
    Ok(of_series(dicom::read_files(files, &dicom_options(options), progress)?))
}

pub(crate) fn of_series(series: dicom::Series) -> Image {
    let dicom::Series { volume, source, warnings } = series;
    let warnings = warnings.iter().map(|warning| Warning::new(warning.code(), warning.to_string())).collect();
    Image { volume, source: Source::Dicom(Box::new(source)), warnings }
}

pub(crate) fn dicom_options(options: &ReadOptions) -> dicom::Options {
    dicom::Options {
        choose: options.resolve.clone(),
        maximum_files: options.limits.files as usize,
        maximum_voxels: options.limits.voxels as usize,
        ..dicom::Options::default()
    }
}

/// The one series, or the chosen one.
fn dicom_info(mut series: Vec<dicom::Summary>, options: &ReadOptions) -> Result<Info> {
    let key = dicom::Property::SeriesInstanceUid.keyword();
    series.retain(|series| series.slices > 0);
    if let Some(uid) = options.resolve.get(key) {
        series.retain(|series| series.series_instance_uid.0 == *uid);
    }
    match series.as_slice() {
        [series] => {
            let [rows, columns] = series.matrix.unwrap_or_default();
            Ok(Info {
                format: Format::Dicom,
                size: [columns, rows, series.slices],
                spacing: None,
                volumes: 1,
                sample: String::new(),
                modality: Some(series.modality.clone()),
            })
        }
        [] => Err(dicom::Error::NoImages { files: 0 }.into()),
        several => {
            let choice = |series: &dicom::Summary| {
                let label = format!("{} with {} slices", series.modality, series.slices);
                Choice::new(key, &series.series_instance_uid.0, label)
            };
            let detail = format!("{} series", several.len());
            Err(Error::NotThreeDimensional { detail, choices: several.iter().map(choice).collect() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_bytes() {
        let check = |bytes: &[u8], expected: std::result::Result<Format, &str>| {
            let found = format(&Stream::of_bytes(bytes).unwrap());
            assert_eq!(found.as_ref().map_err(Error::code).copied(), expected, "{bytes:?}");
        };
        let mut preamble = vec![0; 128];
        preamble.extend(b"DICM");
        check(&348i32.to_le_bytes(), Ok(Format::Nifti));
        check(&540i32.to_be_bytes(), Ok(Format::Nifti));
        check(b"NRRD0005\n", Ok(Format::Nrrd));
        check(&preamble, Ok(Format::Dicom));
        check(&[8, 0, 5, 0, b'C', b'S'], Ok(Format::Dicom));
        check(b"PK\x03\x04", Ok(Format::Zip));
        check(b"\x89PNG", Err("E_PARSE"));
        check(b"", Err("E_PARSE"));
        check(&[0; 132], Err("E_PARSE"));
    }

    #[test]
    fn what_is_not_there_cannot_be_read() {
        let result = read(Path::new("no/such/file"), &ReadOptions::default(), &Progress::silent());
        assert_eq!(result.unwrap_err().code(), "E_READ");
    }
}
