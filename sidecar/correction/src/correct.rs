//! From one prompt to its answers: every scope's region, and which of them the user most likely meant.

use imaging::{IndexBox, LabelMap, Progress};

use crate::block::Scene;
use crate::delta::Delta;
use crate::image::Image;
use crate::level::{Level, factor, reach_of};
use crate::more;
use crate::prompt::{Limits, Located, Prompt, Shape, Sign, locate};
use crate::region::Region;
use crate::runner_up::RunnerUp;
use crate::{Error, Result};

/// Sizes of the scopes in millimetres: how far, by the easiest way, an answer is expected to reach.
const SCOPES_MM: [f64; 4] = [8.0, 14.0, 24.0, 40.0];
/// One more for fine images, whose voxels are at most [`FINE_MM`] long, and for clicks near a boundary, where small
/// errors are: so many millimetres, or voxels where those are larger.
const SMALL_SCOPE_MM: f64 = 4.0;
const SMALL_SCOPE_VOXELS: f64 = 5.0 / 3.0;
const FINE_MM: f64 = 1.5;
/// A click is near a boundary of the target when that is at most so many voxels away.
const SHALLOW_VOXELS: f64 = 1.5;
/// The largest scope of a preview.
const PREVIEW_MM: f64 = 14.0;
/// No automatic answer is larger than this and larger than the structures it concerns.
const GUARD_MM3: f64 = 3000.0;
/// What growth from one scope to the next says against a scope.
const GROWTH: f64 = 0.3;

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
    answer(subject, prompt, PREVIEW_MM, progress)
}

/// The box of voxels that decide what a prompt does.
pub(crate) fn work_of(subject: &Subject<'_>, prompt: &Prompt) -> Result<IndexBox> {
    let located = locate(prompt, subject.image, subject.labels, subject.limits)?;
    let scene = located.scene(subject.image, subject.labels, subject.limits, subject.opposite);
    let largest = scopes(subject, prompt, &located).into_iter().fold(0.0, f64::max);
    Ok(reach_of(largest, &scene, &located.seeds))
}

/// The answer of the scopes up to `largest` millimetres, and of the smallest in any case.
fn answer(subject: &Subject<'_>, prompt: &Prompt, largest: f64, progress: &Progress) -> Result<Answer> {
    let located = locate(prompt, subject.image, subject.labels, subject.limits)?;
    let scopes = scopes(subject, prompt, &located);
    let within = scopes.iter().filter(|scope| **scope <= largest).count().max(1);
    let scopes = &scopes[..within];
    let scene = located.scene(subject.image, subject.labels, subject.limits, subject.opposite);
    let mut regions = Vec::new();
    let mut rest = scopes;
    while let Some(&first) = rest.first() {
        let spacing = subject.labels.grid.spacing();
        let same = rest.iter().take_while(|&&scope| factor(scope, spacing) == factor(first, spacing)).count();
        let level = Level::new(&scene, &located.seeds, &rest[..same], factor(first, spacing));
        for n in 0..same {
            progress.step("correcting", regions.len() as u64, scopes.len() as u64)?;
            let region = level.solve(n, regions.last());
            regions.push(region);
        }
        rest = &rest[same..];
    }
    let chosen = likeliest(subject, &located, &regions);
    let scores = (0..regions.len()).map(|n| score(&regions, n)).collect::<Vec<_>>();
    let proposals = scopes.iter().zip(regions).zip(scores);
    let proposals: Vec<Proposal> = proposals
        .map(|((&scope, region), score)| Proposal { source: Source::Scope(scope), region, score })
        .collect();
    Ok(gathered(subject, &scene, located, proposals, chosen))
}

/// The sizes of the scopes for a prompt, ascending.
fn scopes(subject: &Subject<'_>, prompt: &Prompt, located: &Located) -> Vec<f64> {
    if let Shape::Box { corners: [a, b] } = prompt.shape {
        let square = |n: usize| (a[n] - b[n]).powi(2);
        let half = ((square(0) + square(1) + square(2)).sqrt() / 2.0).clamp(1.0, 100.0);
        return [0.5, 0.75, 1.0, 1.5].map(|share| share * half).to_vec();
    }
    let coarsest = subject.labels.grid.spacing().into_iter().fold(0.0, f64::max);
    let small = SMALL_SCOPE_MM.max(SMALL_SCOPE_VOXELS * coarsest);
    let wanted = (coarsest <= FINE_MM || is_shallow(subject, located)) && small < SCOPES_MM[0];
    wanted.then_some(small).into_iter().chain(SCOPES_MM).collect()
}

/// Whether a single click lies near the target's boundary: then the error may be as small.
fn is_shallow(subject: &Subject<'_>, located: &Located) -> bool {
    let [seed] = located.seeds.as_slice() else { return false };
    let grid = &subject.labels.grid;
    let spacing = grid.spacing();
    let reach = SHALLOW_VOXELS * spacing.into_iter().fold(0.0, f64::max);
    let part = IndexBox { start: *seed, end: seed.map(|n| n + 1) }
        .grown(spacing.map(|spacing| (reach / spacing) as usize), grid);
    part.view(subject.labels.labels.view()).indexed_iter().any(|((k, j, i), &label)| {
        let off = |a: usize, n: usize| ((part.start[a] + n) as f64 - seed[a] as f64) * spacing[a];
        let near = off(0, i).powi(2) + off(1, j).powi(2) + off(2, k).powi(2) <= reach * reach;
        near && (label == located.target) == (located.sign == Sign::Add)
    })
}

/// How open the boundary is, and how much the next scope would add: low on a plateau behind strong edges.
fn score(regions: &[Region], n: usize) -> f64 {
    let growth = regions.get(n + 1).map_or(1.0, |next| {
        (next.voxels as f64 - regions[n].voxels as f64) / (regions[n].voxels as f64).max(1.0)
    });
    f64::from(regions[n].openness) + GROWTH * growth.min(2.0)
}

/// The scope with the lowest score whose region is not out of proportion.
fn likeliest(subject: &Subject<'_>, located: &Located, regions: &[Region]) -> usize {
    let voxel_mm3 = subject.labels.grid.determinant().abs();
    let least = GUARD_MM3 / voxel_mm3;
    let target = subject.counts[usize::from(located.target)] as f64;
    let most = match (located.sign, located.under) {
        _ if located.bounds.is_some() => f64::INFINITY,
        (Sign::Add, 0) => target.max(least),
        (Sign::Add, under) => {
            target.max(least).min((subject.counts[usize::from(under)] as f64 / 2.0).max(least))
        }
        (Sign::Remove, _) => (target / 2.0).max(least),
    };
    let allowed = (0..regions.len()).filter(|&n| regions[n].voxels as f64 <= most);
    allowed.min_by(|&a, &b| score(regions, a).total_cmp(&score(regions, b))).unwrap_or(0)
}

/// The scopes' regions and what else could be meant, by size, without repetitions.
fn gathered(
    subject: &Subject<'_>,
    scene: &Scene<'_>,
    located: Located,
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
    let candidates: Vec<Candidate> = proposals.iter().map(|proposal| candidate(scene, proposal)).collect();
    let position = candidates.iter().position(|candidate| Some(candidate.source) == chosen);
    Answer {
        label: located.target,
        under: located.under,
        seeds: located.seeds,
        candidates,
        chosen: position.unwrap_or(0),
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
