//! What a network of the user's own is asked about the newest prompt, and what becomes of its answer.

use imaging::{IndexBox, Progress};
use ndarray::Array3;

use super::Session;
use crate::correct::{Answer, Source, proposed, work_of};
use crate::gate::{NetworkMask, gated};
use crate::history::{Edit, Prompted};
use crate::prompt::{Shape, Sign, bounds, locate};
use crate::{Error, Result};

/// What a network is asked: an object and what was said of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The revision that it is about.
    pub revision: u64,
    /// The label of the object.
    pub label: u8,
    /// The object before the newest prompt, `[[k, j, i]]`.
    pub object: Array3<bool>,
    /// The prompts for it that still stand, the newest last.
    pub prompts: Vec<Asked>,
}

/// A prompt as voxels `[i, j, k]`, of which at least one may change.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Where.
    pub shape: Drawn,
    /// Whether it belongs to the object.
    pub inside: bool,
}

/// Where a prompt points.
#[derive(Debug, Clone, PartialEq)]
pub enum Drawn {
    /// A click.
    Point([usize; 3]),
    /// The voxels of a scribble.
    Stroke(Vec<[usize; 3]>),
    /// A box, and the voxel nearest to its middle that may change.
    Box(IndexBox, [usize; 3]),
}

impl Session {
    /// What a network is to be asked about the newest change; `None` if that is no prompt.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        let newest = self.history.done.back()?;
        let label = newest.prompted.as_ref()?.label;
        let mut object = self.labels.labels.mapv(|found| found == label);
        newest.delta.iter().for_each(|([i, j, k], before, _)| object[[k, j, i]] = before == label);
        let prompts = self.history.done.iter().filter_map(|edit| edit.prompted.as_ref());
        let prompts = prompts.filter(|prompted| prompted.label == label);
        let prompts = prompts.filter_map(|prompted| self.asked(prompted)).collect();
        Some(Question { revision: self.revision(), label, object, prompts })
    }

    fn asked(&self, prompted: &Prompted) -> Option<Asked> {
        let first = prompted.seeds.first().copied()?;
        let shape = match &prompted.prompt.shape {
            Shape::Point(_) => Drawn::Point(first),
            Shape::Scribble { .. } => Drawn::Stroke(prompted.seeds.clone()),
            Shape::Box { corners } => Drawn::Box(bounds(&self.labels.grid, corners).ok()?, first),
        };
        Some(Asked { shape, inside: prompted.prompt.sign == Sign::Add })
    }

    /// Adds what a network answered to the candidates of the newest prompt, as the last one: of its mask only what
    /// the prompt may change and what hangs together with it. What else differs is counted, never offered.
    ///
    /// Nothing changes yet; the answer is made again after a restart without this candidate.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`] if the question was about another revision, [`Error::None`] if the newest change is no prompt,
    /// [`Error::SizesDiffer`], [`Error::Cancelled`].
    pub fn offer(&mut self, revision: u64, mask: &NetworkMask, progress: &Progress) -> Result<&Answer> {
        if revision != self.revision() {
            return Err(Error::Stale { base: revision, current: self.revision() });
        }
        let mut answer = self.recalled(progress)?;
        let missing = Error::None { what: "prompt to answer" };
        let edit = self.history.done.pop_back().ok_or(missing)?;
        let back = self.turn(&edit.delta.inverted());
        let gated = back.and_then(|()| self.through_gate(&edit, &mut answer, mask));
        // The labels are again what they were, whatever came of it.
        self.turn(&edit.delta)?;
        self.history.done.push_back(edit);
        gated?;
        Ok(self.answer.insert(answer))
    }

    /// Adds what of a mask counts to an answer; the labels are those before the prompt.
    fn through_gate(&self, edit: &Edit, answer: &mut Answer, mask: &NetworkMask) -> Result<()> {
        let Some(prompted) = &edit.prompted else { return Err(Error::None { what: "prompt to answer" }) };
        let opposite = self.opposite(&prompted.prompt);
        let subject = self.subject(&opposite);
        let located = locate(&prompted.prompt, subject.image, subject.labels, subject.limits)?;
        let scene = located.scene(subject.image, subject.labels, &opposite);
        let reach = work_of(&subject, &prompted.prompt)?;
        let gated = gated(&scene, &located.seeds, reach, mask)?;
        // Asked again, the network answers anew; what was chosen stays.
        let chosen = answer.candidates.get(answer.chosen).map(|candidate| candidate.source);
        if chosen != Some(Source::Network) {
            answer.candidates.retain(|candidate| candidate.source != Source::Network);
            answer.candidates.extend(gated.region.map(|region| proposed(&scene, region)));
        }
        answer.elsewhere = gated.elsewhere;
        Ok(())
    }
}
