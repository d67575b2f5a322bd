//! Writes what was asked for, all of it or nothing, and tells where it is.

use std::path::Path;

use engine::{Outcome, Task};
use formats::dicom::seg;
use formats::{Image, Source};
use imaging::{LabelMap, Progress, Segment};
use preview::PreviewOptions;
use serde::Serialize;

use super::arguments::{Arguments, OutputType};
use super::channels::Channel;
use super::place::Place;
use super::report::{Report, Surroundings};
use super::statistics::Table;
use crate::cli::Context;
use crate::staging::Staging;
use crate::{Error, making, output};

/// A segmentation, and what is to become of it.
pub(super) struct Result<'a> {
    pub(super) arguments: &'a Arguments,
    pub(super) place: &'a Place,
    pub(super) image: &'a Image,
    pub(super) channels: &'a [Channel],
    pub(super) task: &'a Task,
    pub(super) outcome: &'a Outcome,
}

impl Result<'_> {
    /// Writes all files aside, then gives them their names and prints these.
    pub(super) fn write(
        &self,
        surroundings: &Surroundings<'_>,
        progress: &Progress,
        context: &Context,
    ) -> crate::Result<()> {
        let began = std::time::Instant::now();
        let mut staging = Staging::new();
        if !self.arguments.skip_saving {
            self.segmentation(&mut staging, progress)?;
        }
        if let Some(file) = &self.arguments.statistics {
            let file = file.clone().unwrap_or_else(|| self.place.folder().join("statistics.json"));
            self.statistics(&staging.path(&file)?, progress)?;
        }
        if self.arguments.preview {
            let file = self.place.folder().join(format!("preview_{}.png", self.task.id));
            self.preview(&staging.path(&file)?, progress)?;
        }
        if let Some(file) = &self.arguments.report {
            let writing = began.elapsed().as_secs_f64();
            let report = Report::of(self, surroundings, writing, staging.targets());
            let aside = staging.path(file)?;
            write_json(&aside, &report, b"  ")?;
        }
        progress.step("finishing", 0, 0)?;
        let written = staging.commit()?;
        context.display.clear();
        written.iter().try_for_each(|path| output::line(&path.display().to_string()))
    }

    /// One file per structure, or one per kind.
    fn segmentation(&self, staging: &mut Staging, progress: &Progress) -> crate::Result<()> {
        let segmentation = &self.outcome.segmentation;
        match self.place {
            Place::Files(files) => {
                for (kind, file) in files {
                    let aside = staging.path(file)?;
                    match (kind, &self.image.source) {
                        (OutputType::DicomSeg, Source::Dicom(source)) => {
                            let making = making::of(&self.provenance()?);
                            seg::write(&aside, segmentation, source, &making, progress)?;
                        }
                        (_, source) => formats::write_segmentation(&aside, segmentation, source, progress)?,
                    }
                }
            }
            Place::Folder(folder) => {
                let total = segmentation.segments.len() as u64;
                for (done, segment) in (0..).zip(&segmentation.segments) {
                    progress.step("writing", done, total)?;
                    let aside = staging.path(&folder.join(format!("{}.nii.gz", file_name(&segment.name))))?;
                    self.structure(&aside, segment, &segmentation.labels)?;
                }
            }
        }
        Ok(())
    }

    /// How the result was made.
    fn provenance(&self) -> crate::Result<serde_json::Value> {
        serde_json::to_value(&self.outcome.provenance).map_err(|error| Error::Output(error.into()))
    }

    /// The mask of one structure, 1 inside.
    fn structure(&self, path: &Path, segment: &Segment, labels: &LabelMap) -> crate::Result<()> {
        let mut table = [0; 256];
        table[usize::from(segment.value)] = 1;
        let mut mask = labels.clone();
        mask.translate(&table);
        // Progress is counted in structures here.
        Ok(formats::nifti::write_labels(path, &mask, self.image.source.nifti(), &Progress::silent())?)
    }

    fn statistics(&self, path: &Path, progress: &Progress) -> crate::Result<()> {
        progress.step("measuring", 0, 0)?;
        let table = Table::of(&self.image.volume, &self.outcome.segmentation, self.arguments)?;
        write_json(path, &table, b"    ")
    }

    fn preview(&self, path: &Path, progress: &Progress) -> crate::Result<()> {
        let options = PreviewOptions { title: self.task.id.clone(), ..PreviewOptions::default() };
        let picture = preview::render(&self.image.volume, &self.outcome.segmentation, &options, progress)?;
        let software = concat!("Vesalius ", env!("CARGO_PKG_VERSION"));
        let text = [("Software", software), ("Comment", "for research only")];
        Ok(formats::png::write_rgb(path, picture.width, picture.height, &picture.rgb, &text)?)
    }
}

/// A structure's name as that of a file: imported models may hold anything in theirs.
fn file_name(name: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() || "-_.+ ()".contains(c) { c } else { '_' };
    let name: String = name.chars().map(safe).collect();
    if name.starts_with('.') || name.is_empty() { format!("_{name}") } else { name }
}

/// Writes `value` as JSON.
fn write_json(path: &Path, value: &impl Serialize, indent: &[u8]) -> crate::Result<()> {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent);
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    value.serialize(&mut serializer).map_err(|error| Error::write(path, error.into()))?;
    bytes.push(b'\n');
    std::fs::write(path, bytes).map_err(|error| Error::write(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_structures_become_names_of_files() {
        for (name, file) in [
            ("kidney_left", "kidney_left"),
            ("../../etc/passwd", "_.._.._etc_passwd"),
            ("left/right", "left_right"),
            ("läsion", "läsion"),
            ("", "_"),
        ] {
            assert_eq!(file_name(name), file);
        }
    }
}
