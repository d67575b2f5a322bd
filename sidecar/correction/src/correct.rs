//! From one prompt to its answers: every scope's region, and which of them the user most likely meant.

use imaging::{IndexBox, LabelMap, Progress};
use rayon::prelude::*;

use crate::block::Scene;
use crate::choice::{likeliest, score};
use crate::delta::Delta;
use crate::image::Image;
use crate::level::reach_of;
use crate::more;
use crate::prompt::{Limits, Located, Prompt, Sign, locate};
use crate::region::Region;
use crate::runner_up::RunnerUp;
use crate::scopes::{Solved, sizes, solved};
use crate::{Error, Result};

/// The largest scope of a preview, and in images whose voxels are all shorter than [`FINE_MM`].
const PREVIEW_MM: f64 = 14.0;
const FINE_PREVIEW_MM: f64 = 8.0;
const FINE_MM: f64 = 1.6;

/// What a prompt is about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The image.
    pub image: &'a Image,
    /// The labels as they are.
    pub labels: &'a LabelMap,
    /// Voxels of each label, as [`LabelMap::counts`] counts them.
    pub counts: &'a [u64; 256],
    /// What may change.
    pub limits: &'a Limits,
    /// Voxels of earlier prompts of the other sign for the same label, which stay what they are.
    pub opposite: &'a [[usize; 3]],
    /// What the network would have said second, if that is known.
    pub runner_up: Option<&'a RunnerUp>,
}

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The cut within a scope of so many millimetres.
    Scope(f64),
    /// The whole of what hangs together under the prompt.
    Component,
    /// Where the network's second choice is the target.
    RunnerUp,
    /// What a network that takes prompts sees there.
    Network,
}

/// One possible answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// What it is.
    pub source: Source,
    /// What it changes.
    pub delta: Delta,
    /// Voxels that it changes.
    pub voxels: u64,
    /// How open its new boundary is, plus how fast it grows with the scope: the lowest is the likeliest.
    pub score: f64,
}

/// All answers to a prompt, smallest first, each holding fewer voxels than the next: the stops of the mouse wheel.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The label that grows or shrinks.
    pub label: u8,
    /// The label under the prompt that may give voxels; 0 if that is only background.
    pub under: u8,
    /// The voxels `[i, j, k]` of the prompt that change in every answer.
    pub seeds: Vec<[usize; 3]>,
    /// The answers.
    pub candidates: Vec<Candidate>,
    /// The one to show first.
    pub chosen: usize,
    /// Other places of some size where a network that was asked sees the structure otherwise; nothing changes there.
    pub elsewhere: usize,
}

/// A region on its way to being a candidate.
pub(crate) struct Proposal {
    pub(crate) source: Source,
    pub(crate) region: Region,
    score: f64,
}

impl Proposal {
    /// A region that no scope competes with.
    pub(crate) fn beside(source: Source, region: Region) -> Proposal {
        Proposal { score: f64::from(region.openness), source, region }
    }
}

/// Answers a prompt. Nothing is changed yet.
///
/// Only the target, background and the label under the prompt change; "+" only adds to the target, "-" only removes
/// from it, and every changed voxel hangs together with the prompt. Same input, same answer, on any number of threads.
///
/// # Errors
///
/// [`Error`] when the prompt lies beyond the image, its label is locked or unknown, or nothing under it can change.
pub fn correct(subject: &Subject<'_>, prompt: &Prompt, progress: &Progress) -> Result<Answer> {
    answer(subject, prompt, f64::INFINITY, progress)
}

/// The answer of the small scopes alone: quick enough to follow a hovering cursor.
///
/// # Errors
///
/// As [`correct`].
pub fn preview(subject: &Subject<'_>, prompt: &Prompt, progress: &Progress) -> Result<Answer> {
    let coarsest = subject.labels.grid.spacing().into_iter().fold(0.0, f64::max);
    answer(subject, prompt, if coarsest < FINE_MM { FINE_PREVIEW_MM } else { PREVIEW_MM }, progress)
}

/// The box of voxels that decide what a prompt does.
pub(crate) fn work_of(subject: &Subject<'_>, prompt: &Prompt) -> Result<IndexBox> {
    let located = locate(prompt, subject.image, subject.labels, subject.limits)?;
    let scene = located.scene(subject.image, subject.labels, subject.opposite);
    let largest = sizes(subject, prompt, &located).into_iter().fold(0.0, f64::max);
    Ok(reach_of(largest, &scene, &located.seeds))
}

/// The answer of the scopes up to `largest` millimetres, and of the smallest in any case.
fn answer(subject: &Subject<'_>, prompt: &Prompt, largest: f64, progress: &Progress) -> Result<Answer> {
    let located = locate(prompt, subject.image, subject.labels, subject.limits)?;
    let sizes = sizes(subject, prompt, &located);
    let within = sizes.iter().filter(|size| **size <= largest).count().max(1);
    let scene = located.scene(subject.image, subject.labels, subject.opposite);
    let Solved { scopes, depth } = solved(&scene, &located.seeds, &sizes[..within], progress)?;
    let chosen = likeliest(subject, &located, &scopes, depth);
    let scores: Vec<f64> = (0..scopes.len()).map(|n| score(&scopes, n)).collect();
    let proposals = scopes.into_iter().zip(scores).map(|(scope, score)| Proposal {
        source: Source::Scope(scope.size),
        region: scope.region,
        score,
    });
    Ok(gathered(subject, &scene, &located, proposals.collect(), chosen))
}

/// The scopes' regions and what else could be meant, by size, without repetitions.
fn gathered(
    subject: &Subject<'_>,
    scene: &Scene<'_>,
    located: &Located,
    scopes: Vec<Proposal>,
    chosen: usize,
) -> Answer {
    let chosen = scopes.get(chosen).map(|proposal| proposal.source);
    let mut proposals = scopes;
    for proposal in more::proposals(scene, &located.seeds, subject.runner_up) {
        if proposals.iter().all(|known| known.region.likeness(&proposal.region) <= 0.95) {
            proposals.push(proposal);
        }
    }
    // Scopes may agree voxel by voxel; the automatic choice stands for its equals.
    proposals.sort_by_key(|proposal| (proposal.region.voxels, Some(proposal.source) != chosen));
    proposals.dedup_by(|later, earlier| later.region == earlier.region);
    let candidates: Vec<Candidate> =
        proposals.par_iter().map(|proposal| candidate(scene, proposal)).collect();
    let position = candidates.iter().position(|candidate| Some(candidate.source) == chosen);
    Answer {
        label: located.target,
        under: located.under,
        seeds: located.seeds.clone(),
        candidates,
        chosen: position.unwrap_or(0),
        elsewhere: 0,
    }
}

fn candidate(scene: &Scene<'_>, proposal: &Proposal) -> Candidate {
    let region = &proposal.region;
    let to = if scene.sign == Sign::Add { scene.target } else { 0 };
    let old = region.part.view(scene.labels.labels.view());
    let pairs = old.iter().zip(&region.inside).map(|(&from, &inside)| (from, if inside { to } else { from }));
    let delta = Delta::of(region.part, pairs);
    Candidate { source: proposal.source, voxels: delta.voxels(), delta, score: proposal.score }
}

/// A network's region as a candidate.
pub(crate) fn proposed(scene: &Scene<'_>, region: Region) -> Candidate {
    candidate(scene, &Proposal::beside(Source::Network, region))
}

impl Answer {
    /// The answer to show first.
    ///
    /// # Errors
    ///
    /// [`Error::Nothing`] if there is no answer at all.
    pub fn best(&self) -> Result<&Candidate> {
        self.candidates.get(self.chosen).ok_or(Error::Nothing { label: self.label })
    }
}
