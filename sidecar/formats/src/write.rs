//! A result in the format that its file name asks for.

use std::path::Path;

use imaging::{Progress, Segmentation, Volume};

use crate::error::{Error, Result};
use crate::samples::Sample;
use crate::{Source, nifti, nrrd};

/// Writes a segmentation as NIfTI (`.nii`, `.nii.gz`) or as Slicer does (`.seg.nrrd`, `.nrrd`), with the names and
/// colours of its segments. `source` is that of the image that was segmented: a NIfTI result repeats its header.
///
/// # Errors
///
/// [`Error::Encode`] when the name ends otherwise; else as [`nifti::write_segmentation`].
pub fn write_segmentation(
    path: &Path,
    segmentation: &Segmentation,
    source: &Source,
    progress: &Progress,
) -> Result<()> {
    if is_nifti(path)? {
        nifti::write_segmentation(path, segmentation, source.nifti(), progress)
    } else {
        nrrd::write_segmentation(path, segmentation, progress)
    }
}

/// Writes intensities as NIfTI or NRRD, as `u8`, `u16`, `i16` (rounded) or `f32`; see [`write_segmentation`].
///
/// # Errors
///
/// [`Error::Encode`] when the name ends otherwise or a voxel does not fit `sample`; else as
/// [`nifti::write_volume`].
pub fn write_volume(
    path: &Path,
    volume: &Volume,
    sample: Sample,
    source: &Source,
    progress: &Progress,
) -> Result<()> {
    if is_nifti(path)? {
        nifti::write_volume(path, volume, sample, source.nifti(), progress)
    } else {
        nrrd::write_volume(path, volume, sample, progress)
    }
}

/// NIfTI or NRRD, by the end of the name.
fn is_nifti(path: &Path) -> Result<bool> {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    if name.ends_with(".nii") || name.ends_with(".nii.gz") {
        Ok(true)
    } else if name.ends_with(".nrrd") {
        Ok(false)
    } else {
        let detail = "the name ends in none of `.nii`, `.nii.gz`, `.nrrd`, `.seg.nrrd`".to_owned();
        Err(Error::Encode { detail })
    }
}
