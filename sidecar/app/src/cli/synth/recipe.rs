//! `synth.json`: everything that the cases of a seed depend on, so that each can be made again, alone and in any order.

use std::path::{Path, PathBuf};

use formats::ReadOptions;
use imaging::{LabelMap, Progress, Volume};
use serde::{Deserialize, Serialize};
use stroke::{Affine, Baseline, Donor, DonorFacts, Limits, Normal, StrokeCase};

use crate::manifest::{Entry, hash};
use crate::{Error, Result};

/// What cases are made of, and how.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Recipe {
    program: String,
    method: String,
    pub(super) seed: u64,
    pub(super) count: u64,
    pub(super) plain: bool,
    pub(super) baseline: Baseline,
    pub(super) limits: Limits,
    /// Whether all but the first cases are left to the training that asks for them.
    pub(super) on_the_fly: bool,
    /// Whether the user gave the map; then no other is tried.
    pub(super) map_given: bool,
    /// SHA-256 of the manifest and of the splits.
    pub(super) sources: Vec<(String, String)>,
    pub(super) donors: Vec<Member>,
    pub(super) normals: Vec<Member>,
    /// Cases on disk.
    pub(super) made: usize,
    pub(super) given_up: usize,
    pub(super) rejected_draws: usize,
}

/// A donor or a normal of the study.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) case: String,
    /// SHA-256 of its first image.
    pub(super) sha256: String,
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub(super) facts: Option<DonorFacts>,
    /// Why it is not used.
    pub(super) refused: Option<String>,
    /// From the meeting place to the donor, or from the normal to the meeting place; none when refused.
    pub(super) map: Option<Affine>,
    /// Its files; told only where others are to read them again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    files: Option<Files>,
}

/// Files of a case.
#[derive(Debug, Serialize, Deserialize)]
struct Files {
    dwi: File,
    adc: Option<File>,
    mask: Option<File>,
    brain: Option<File>,
}

/// A file, and what was in it.
#[derive(Debug, Serialize, Deserialize)]
struct File {
    path: PathBuf,
    sha256: String,
}

impl Recipe {
    /// Of nobody yet.
    pub(super) fn new(seed: u64, count: u64, plain: bool, baseline: Baseline) -> Recipe {
        Recipe {
            program: program(),
            method: "relative signal increase of real strokes warped into normal brains; our reading of Federau et al. \
                     2020"
                .to_owned(),
            seed,
            count,
            plain,
            baseline,
            limits: Limits::default(),
            on_the_fly: false,
            map_given: false,
            sources: Vec::new(),
            donors: Vec::new(),
            normals: Vec::new(),
            made: 0,
            given_up: 0,
            rejected_draws: 0,
        }
    }

    /// Reads what `vesalius synth --on-the-fly` wrote.
    pub(super) fn read(path: &Path) -> Result<Recipe> {
        let bytes = std::fs::read(path).map_err(|error| Error::read(path, error))?;
        let refuse = |what: String| Error::refused(what, "make it with `vesalius synth --on-the-fly`");
        let recipe: Recipe = serde_json::from_slice(&bytes)
            .map_err(|error| refuse(format!("`{}` is no recipe: {error}", path.display())))?;
        if !recipe.on_the_fly {
            return Err(refuse(format!("the cases of `{}` lie on disk", path.display())));
        }
        if recipe.program != program() {
            return Err(refuse(format!(
                "`{}` is by {}, and this is {}: the same cases cannot be promised",
                path.display(),
                recipe.program,
                program()
            )));
        }
        let usable = |members: &[Member]| members.iter().any(|one| one.map.is_some());
        if !usable(&recipe.donors) || !usable(&recipe.normals) {
            return Err(refuse(format!("`{}` names nobody to make cases of", path.display())));
        }
        Ok(recipe)
    }

    /// As it is written.
    pub(super) fn bytes(&mut self) -> Result<Vec<u8>> {
        if !self.on_the_fly {
            self.donors.iter_mut().chain(&mut self.normals).for_each(|one| one.files = None);
        }
        serde_json::to_vec_pretty(self).map_err(|error| Error::Output(error.into()))
    }
}

fn program() -> String {
    format!("Vesalius {}", env!("CARGO_PKG_VERSION"))
}

impl Member {
    /// A case of the manifest, not looked into yet.
    pub(super) fn of(entry: &Entry) -> Result<Member> {
        let optional = |path: &Option<PathBuf>| path.as_deref().map(File::of).transpose();
        let files = Files {
            dwi: File::of(&entry.dwi)?,
            adc: optional(&entry.adc)?,
            mask: optional(&entry.mask)?,
            brain: optional(&entry.brain)?,
        };
        let (case, sha256) = (entry.case.clone(), files.dwi.sha256.clone());
        Ok(Member { case, sha256, facts: None, refused: None, map: None, files: Some(files) })
    }

    fn files(&self) -> Result<&Files> {
        self.files.as_ref().ok_or_else(|| {
            Error::refused(
                format!("the recipe does not tell the files of `{}`", self.case),
                "make it anew with `vesalius synth --on-the-fly`",
            )
        })
    }

    /// Its stroke, and its image with the stroke filled in.
    pub(super) fn donor(&self, baseline: Baseline) -> Result<(Donor, Volume)> {
        let refuse = |what: String| Error::refused(what, "check its mask and its image");
        let files = self.files()?;
        let case = StrokeCase {
            dwi: files.dwi.volume()?,
            adc: files.adc.as_ref().map(File::volume).transpose()?,
            lesion: files.mask.as_ref().ok_or_else(|| refuse("it has no mask".to_owned()))?.mask()?,
            brain: files.brain.as_ref().map(File::mask).transpose()?,
        };
        Donor::of(&case, baseline).map_err(|error| refuse(error.to_string()))
    }

    /// Its brain without a stroke.
    pub(super) fn normal(&self) -> Result<Normal> {
        let files = self.files()?;
        let mask = |file: &Option<File>| file.as_ref().map(File::mask).transpose();
        let (brain, lesion) = (mask(&files.brain)?, mask(&files.mask)?);
        let adc = files.adc.as_ref().map(File::volume).transpose()?;
        Normal::of(files.dwi.volume()?, adc, brain.as_ref(), lesion.as_ref()).map_err(|error| {
            Error::refused(
                format!("normal case `{}`: {error}", self.case),
                "a brain mask can be given in column `brain`",
            )
        })
    }
}

impl File {
    fn of(path: &Path) -> Result<File> {
        let path = std::path::absolute(path).map_err(|error| Error::read(path, error))?;
        Ok(File { sha256: hash(&path)?, path })
    }

    /// Where it is, if it still holds what it held.
    fn unchanged(&self) -> Result<&Path> {
        if hash(&self.path)? == self.sha256 {
            return Ok(&self.path);
        }
        Err(Error::refused(
            format!("`{}` is not what it was when the recipe was written", self.path.display()),
            "bring it back, or make a new recipe with `vesalius synth --on-the-fly`",
        ))
    }

    fn volume(&self) -> Result<Volume> {
        Ok(formats::read(self.unchanged()?, &ReadOptions::default(), &Progress::silent())?.volume)
    }

    fn mask(&self) -> Result<LabelMap> {
        let read =
            formats::read_segmentation(self.unchanged()?, &ReadOptions::default(), &Progress::silent())?;
        Ok(read.labels)
    }
}
