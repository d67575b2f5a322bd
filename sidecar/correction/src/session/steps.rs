//! What a session's operations are made of.

use imaging::{IndexBox, Progress};

use super::{Session, Status};
use crate::correct::{Answer, Subject, correct};
use crate::delta::Delta;
use crate::effort::Effort;
use crate::history::{Action, Edit, Event, Prompted, Request};
use crate::prompt::Prompt;
use crate::{Error, Result};

impl Session {
    pub(super) fn subject<'a>(&'a self, opposite: &'a [[usize; 3]]) -> Subject<'a> {
        Subject {
            image: &self.image,
            labels: &self.labels,
            counts: &self.counts,
            limits: &self.limits,
            opposite,
            runner_up: self.runner_up.as_deref(),
        }
    }

    /// Voxels of prompts of the other sign that still stand, for the prompt's label where it names one.
    pub(super) fn opposite(&self, prompt: &Prompt) -> Vec<[usize; 3]> {
        let prompts = self.history.done.iter().filter_map(|edit| edit.prompted.as_ref());
        let others = prompts.filter(|other| {
            other.prompt.sign != prompt.sign && prompt.label.is_none_or(|label| label == other.label)
        });
        others.flat_map(|other| other.seeds.iter().copied()).collect()
    }

    /// Whether the user saw the labels as they are, at least within `work`.
    pub(super) fn current(&self, request: &Request, work: Option<IndexBox>) -> Result<()> {
        let stale = Error::Stale { base: request.base, current: self.revision() };
        if request.base == self.revision() {
            return Ok(());
        }
        let (Some(work), Some(mut events)) = (work, self.since(request.base)) else { return Err(stale) };
        let meets =
            |part: IndexBox| (0..3).all(|a| part.start[a] < work.end[a] && work.start[a] < part.end[a]);
        if events.any(|event| meets(event.delta.part())) { Err(stale) } else { Ok(()) }
    }

    /// The newest prompt's answer, found again if it was forgotten.
    pub(super) fn recalled(&mut self, progress: &Progress) -> Result<Answer> {
        if let Some(answer) = self.answer.clone() {
            return Ok(answer);
        }
        let missing = Error::None { what: "prompt to choose for" };
        let edit = self.history.done.pop_back().ok_or(missing.clone())?;
        let answer = self.recalled_from(&edit, progress);
        self.history.done.push_back(edit);
        answer.and_then(|answer| answer.ok_or(missing))
    }

    /// The answer to the prompt of an edit that is no longer among those done; the labels are as before in the end.
    pub(super) fn recalled_from(&mut self, edit: &Edit, progress: &Progress) -> Result<Option<Answer>> {
        let Some(prompted) = &edit.prompted else { return Ok(None) };
        self.turn(&edit.delta.inverted())?;
        let opposite = self.opposite(&prompted.prompt);
        let answer = correct(&self.subject(&opposite), &prompted.prompt, progress);
        self.turn(&edit.delta)?;
        answer.map(Some)
    }

    /// Several changes in a row as one. The labels are as before in the end.
    pub(super) fn joined(&mut self, changes: [&Delta; 2]) -> Result<Delta> {
        let parts = changes.iter().filter(|change| !change.is_empty()).map(|change| change.part());
        let part = parts.reduce(|a, b| a.union(&b));
        let Some(part) = part else { return Ok(Delta::empty()) };
        let old = self.labels.cropped(&part);
        changes.iter().try_for_each(|delta| delta.apply(&mut self.labels))?;
        let new = self.labels.cropped(&part);
        changes.iter().rev().try_for_each(|delta| delta.inverted().apply(&mut self.labels))?;
        Ok(Delta::between(old.labels.view(), new.labels.view())?.moved(part.start))
    }

    /// Makes a change and writes it down.
    pub(super) fn commit(
        &mut self,
        request: &Request,
        action: Action,
        delta: Delta,
        effort: Effort,
    ) -> Result<Event> {
        let operation = request.operation.clone();
        let event = Event { revision: self.revision() + 1, operation, action, delta, effort };
        self.enter(event.clone())?;
        Ok(event)
    }

    /// Changes labels and everything that is counted; nothing if the change is not possible.
    pub(super) fn enter(&mut self, event: Event) -> Result<()> {
        let touched = event.delta.changes();
        let mut labels = touched.iter().flat_map(|&((from, to), _)| [from, to]);
        if let Some(label) = labels.find(|label| self.limits.locked.contains(label)) {
            return Err(Error::Locked { label });
        }
        self.turn(&event.delta)?;
        if matches!(event.action, Action::Lock(..)) {
            // What the wheel may offer now is another answer.
            self.answer = None;
        }
        match event.action {
            Action::Lock(label, true) => _ = self.limits.locked.insert(label),
            Action::Lock(label, false) => _ = self.limits.locked.remove(&label),
            Action::Accept(Some(label)) => _ = self.statuses.insert(label, Status::Accepted),
            Action::Accept(None) => {
                let present = (1..=255).filter(|&label| self.counts[usize::from(label)] > 0);
                self.statuses.extend(present.map(|label| (label, Status::Accepted)));
            }
            _ => {}
        }
        self.account(&event, &touched);
        self.history.push(event);
        Ok(())
    }

    pub(super) fn turn(&mut self, delta: &Delta) -> Result<()> {
        delta.apply(&mut self.labels)?;
        for ((from, to), voxels) in delta.changes() {
            self.counts[usize::from(from)] -= voxels;
            self.counts[usize::from(to)] += voxels;
        }
        Ok(())
    }

    /// Notes what an event means for the structures that it changed.
    pub(super) fn account(&mut self, event: &Event, touched: &[((u8, u8), u64)]) {
        let mut labels: Vec<u8> = match &event.action {
            Action::Accept(label) => label.iter().copied().collect(),
            _ => touched.iter().flat_map(|&((from, to), _)| [from, to]).filter(|&label| label != 0).collect(),
        };
        labels.sort_unstable();
        labels.dedup();
        for label in labels {
            self.efforts.entry(label).or_default().add(&event.effort);
            if !matches!(event.action, Action::Accept(_)) {
                self.statuses.insert(label, Status::Edited);
            }
        }
    }

    /// Enters an event of a journal, and keeps what can be taken back as it was.
    pub(super) fn again(&mut self, event: Event) -> Result<()> {
        let (action, delta) = (event.action.clone(), event.delta.clone());
        let prompted = match &action {
            Action::Prompt(prompt) => {
                let located = crate::prompt::locate(prompt, &self.image, &self.labels, &self.limits)?;
                Some(Prompted { prompt: prompt.clone(), label: located.target, seeds: located.seeds })
            }
            _ => None,
        };
        let chosen = match (&action, self.history.done.back().map(|edit| edit.delta.clone())) {
            (Action::Choose(_), Some(before)) => {
                // The journal holds what the wheel's step changed; the edit is all that changed since before the prompt.
                self.turn(&before.inverted())?;
                let chosen = self.joined([&before, &delta]);
                self.turn(&before)?;
                Some(chosen?)
            }
            _ => None,
        };
        self.enter(event)?;
        match action {
            Action::Prompt(_) | Action::Tool(_) | Action::Foreign => {
                self.history.done.push_back(Edit { delta, prompted });
                self.history.undone.clear();
            }
            Action::Choose(_) => {
                self.history.undone.clear();
                if let Some((edit, chosen)) = self.history.done.back_mut().zip(chosen) {
                    edit.delta = chosen;
                }
            }
            Action::Undo => self.history.undone.extend(self.history.done.pop_back()),
            Action::Redo => self.history.done.extend(self.history.undone.pop()),
            Action::Lock(..) | Action::Accept(_) => {}
        }
        Ok(())
    }
}
