//! Where results go: a folder of structures, or files with all of them.

use std::path::{Path, PathBuf};

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
    if types.iter().any(|kind| matches!(kind, OutputType::DicomSeg | OutputType::DicomRtstruct)) {
        return Err(Error::usage(
            "DICOM results cannot be written yet",
            "use `--output-type nifti`, or `nrrd` for 3D Slicer",
        ));
    }
    let name = output.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let ending = ENDINGS.iter().find(|(ending, _)| name.len() > ending.len() && name.ends_with(ending));
    let ending = ending.filter(|_| !output.is_dir());
    if !ml && ending.is_none() && !types.contains(&OutputType::Nrrd) {
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
    let ending = if kind == OutputType::Nrrd { ".seg.nrrd" } else { ".nii.gz" };
    let mut name = stem.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use OutputType::{DicomSeg, Nifti, Nrrd};

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
            (".nii.gz", false, &[], Place::Folder(".nii.gz".into())),
        ] {
            assert_eq!(place(Path::new(output), ml, types).unwrap(), expected, "{output} {ml} {types:?}");
        }
        assert_eq!(place(Path::new("seg"), false, &[DicomSeg]).unwrap_err().exit_code(), 2);
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
