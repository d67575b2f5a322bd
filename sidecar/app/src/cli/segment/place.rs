//! Where results go: a folder of structures, or files with all of them.

use std::path::{Path, PathBuf};

use formats::dicom::seg;
use formats::{Image, Source};

use super::arguments::{Arguments, OutputType};
use crate::cli::Context;
use crate::{Error, Result};

/// Where results go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// One file per structure in this folder.
    Folder(PathBuf),
    /// Label maps with all structures.
    Files(Vec<(OutputType, PathBuf)>),
}

/// Endings that tell a file from a folder, and what they stand for.
const ENDINGS: &[(&str, OutputType)] = &[
    (".nii.gz", OutputType::Nifti),
    (".nii", OutputType::Nifti),
    (".seg.nrrd", OutputType::Nrrd),
    (".nrrd", OutputType::Nrrd),
    (".dcm", OutputType::DicomSeg),
];

impl Place {
    /// What `output` and the flags mean.
    pub(super) fn of(output: &Path, arguments: &Arguments, context: &Context) -> Result<Place> {
        let place = place(output, arguments.ml, &arguments.output_type)?;
        if let (Place::Files(files), false) = (&place, arguments.ml)
            && let Some((_, file)) = files.first()
        {
            context.display.note(&format!("note: all structures go to one file, `{}`", file.display()));
        }
        Ok(place)
    }

    /// Refuses an image onto which no DICOM object can be laid, if one is asked for, before anything is computed.
    pub(super) fn fits(&self, image: &Image) -> Result<()> {
        let Place::Files(files) = self else { return Ok(()) };
        if files.iter().all(|(kind, _)| *kind != OutputType::DicomSeg) {
            return Ok(());
        }
        match &image.source {
            Source::Dicom(source) => Ok(seg::check(&image.volume.grid, source)?),
            _ => Err(Error::Refused {
                message: "a DICOM segmentation belongs to a DICOM series, and the image is none".to_owned(),
                hint: "give the folder of the series as `--input`, or ask for `nifti` or `nrrd`".to_owned(),
            }),
        }
    }

    /// Where statistics and preview go.
    pub(super) fn folder(&self) -> &Path {
        match self {
            Place::Folder(folder) => folder,
            Place::Files(files) => {
                let parent = files.first().and_then(|(_, file)| file.parent());
                parent.filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
            }
        }
    }
}

/// See [`Place::of`].
fn place(output: &Path, ml: bool, types: &[OutputType]) -> Result<Place> {
    if types.contains(&OutputType::DicomRtstruct) {
        return Err(Error::usage(
            "DICOM structure sets cannot be written yet",
            "use `--output-type dicom-seg` for DICOM, or `nrrd` for 3D Slicer",
        ));
    }
    let name = output.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let ending = ENDINGS.iter().find(|(ending, _)| name.len() > ending.len() && name.ends_with(ending));
    let ending = ending.filter(|_| !output.is_dir());
    let together = |kind: &OutputType| matches!(kind, OutputType::Nrrd | OutputType::DicomSeg);
    if !ml && ending.is_none() && !types.iter().any(together) {
        return Ok(Place::Folder(output.to_owned()));
    }
    let stem = match ending {
        Some((ending, _)) => output.with_file_name(&name[..name.len() - ending.len()]),
        None if output.is_dir() => output.join("segmentation"),
        None => output.to_owned(),
    };
    let implied = ending.map_or(OutputType::Nifti, |(_, kind)| *kind);
    let types = if types.is_empty() { vec![implied] } else { types.to_vec() };
    let mut files: Vec<(OutputType, PathBuf)> = Vec::new();
    for kind in types {
        let as_asked = ending.is_some_and(|(_, named)| *named == kind);
        let file = if as_asked { output.to_owned() } else { with_ending(&stem, kind) };
        if !files.contains(&(kind, file.clone())) {
            files.push((kind, file));
        }
    }
    Ok(Place::Files(files))
}

/// `seg` -> `seg.nii.gz`.
fn with_ending(stem: &Path, kind: OutputType) -> PathBuf {
    let ending = match kind {
        OutputType::Nrrd => ".seg.nrrd",
        OutputType::DicomSeg => ".dcm",
        _ => ".nii.gz",
    };
    let mut name = stem.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use OutputType::{DicomRtstruct, DicomSeg, Nifti, Nrrd};

    fn files(files: &[(OutputType, &str)]) -> Place {
        Place::Files(files.iter().map(|(kind, file)| (*kind, PathBuf::from(file))).collect())
    }

    #[test]
    fn output_and_flags_say_where_results_go() {
        let folder = Place::Folder("seg".into());
        for (output, ml, types, expected) in [
            ("seg", false, &[][..], folder.clone()),
            ("seg", false, &[Nifti], folder.clone()),
            ("seg.nii.gz", true, &[], files(&[(Nifti, "seg.nii.gz")])),
            ("seg.nii", false, &[], files(&[(Nifti, "seg.nii")])),
            ("a/seg.seg.nrrd", false, &[], files(&[(Nrrd, "a/seg.seg.nrrd")])),
            ("seg", true, &[], files(&[(Nifti, "seg.nii.gz")])),
            ("seg", false, &[Nrrd], files(&[(Nrrd, "seg.seg.nrrd")])),
            ("seg.v2", true, &[], files(&[(Nifti, "seg.v2.nii.gz")])),
            ("s.nii.gz", true, &[Nifti, Nrrd], files(&[(Nifti, "s.nii.gz"), (Nrrd, "s.seg.nrrd")])),
            ("seg.dcm", false, &[], files(&[(DicomSeg, "seg.dcm")])),
            ("seg", false, &[DicomSeg], files(&[(DicomSeg, "seg.dcm")])),
            ("s.nii.gz", true, &[Nifti, DicomSeg], files(&[(Nifti, "s.nii.gz"), (DicomSeg, "s.dcm")])),
            (".nii.gz", false, &[], Place::Folder(".nii.gz".into())),
        ] {
            assert_eq!(place(Path::new(output), ml, types).unwrap(), expected, "{output} {ml} {types:?}");
        }
        assert_eq!(place(Path::new("seg"), false, &[DicomRtstruct]).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn a_folder_that_is_there_gets_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let expected = Place::Files(vec![(Nifti, folder.path().join("segmentation.nii.gz"))]);
        assert_eq!(place(folder.path(), true, &[]).unwrap(), expected);
        assert_eq!(expected.folder(), folder.path());
        assert_eq!(files(&[(Nifti, "seg.nii.gz")]).folder(), Path::new("."));
    }
}
