//! A segmentation while it is being corrected: the labels, everything that was done to them, and every way back.

use std::collections::BTreeMap;

use imaging::{IndexBox, LabelMap, Progress};

use crate::correct::{Answer, Subject, correct, preview, work_of};
use crate::delta::Delta;
use crate::effort::Effort;
use crate::history::{Action, Edit, Event, History, Prompted, Request};
use crate::image::Image;
use crate::prompt::{Limits, Prompt};
use crate::runner_up::RunnerUp;
use crate::suspicious::{Place, suspicious};
use crate::{Error, Result};

/// Bytes of changes that a session remembers unless told otherwise: some hundred thousand edits.
const BUDGET: usize = 256 << 20;

/// How far the review of a structure has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As the network left it.
    Automatic,
    /// Changed since.
    Edited,
    /// Found right.
    Accepted,
}

/// A segmentation while it is being corrected.
///
/// Every operation names the revision that the user saw and itself, and gives back an [`Event`] to be sent to viewers
/// and kept in a journal. An operation that comes again gives the same event and changes nothing. One made for an older
/// revision is carried over where nothing it looks at has changed since; otherwise it is refused as
/// [`Error::Stale`].
#[derive(Debug, Clone)]
pub struct Session {
    image: Image,
    labels: LabelMap,
    counts: [u64; 256],
    limits: Limits,
    runner_up: Option<RunnerUp>,
    history: History,
    /// The newest prompt's answer, for the wheel; forgotten by a restart, and found again when needed.
    answer: Option<Answer>,
    statuses: BTreeMap<u8, Status>,
    efforts: BTreeMap<u8, Effort>,
}

impl Session {
    /// Begins at revision 0.
    ///
    /// # Errors
    ///
    /// [`Error::SizesDiffer`].
    pub fn new(image: Image, labels: LabelMap, runner_up: Option<RunnerUp>) -> Result<Session> {
        let expected = image.volume().grid.size;
        if labels.grid.size != expected {
            return Err(Error::SizesDiffer { found: labels.grid.size, expected });
        }
        runner_up.iter().try_for_each(|runner_up| runner_up.check(&labels))?;
        let counts = labels.counts();
        Ok(Session {
            image,
            labels,
            counts,
            limits: Limits::default(),
            runner_up,
            history: History::new(BUDGET),
            answer: None,
            statuses: BTreeMap::new(),
            efforts: BTreeMap::new(),
        })
    }

    /// Remembers at most so many bytes of changes; the oldest are forgotten first.
    #[must_use]
    pub fn with_budget(mut self, bytes: usize) -> Session {
        self.history = History::new(bytes);
        self
    }

    /// Rebuilds a session from the labels it began with and its journal, without solving anything again.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`] if an event is missing, [`Error::OtherLabels`] if the labels are not those it began with.
    pub fn replay(
        image: Image,
        labels: LabelMap,
        runner_up: Option<RunnerUp>,
        journal: impl IntoIterator<Item = Event>,
    ) -> Result<Session> {
        let mut session = Session::new(image, labels, runner_up)?;
        for event in journal {
            let current = session.revision();
            if event.revision != current + 1 {
                return Err(Error::Stale { base: event.revision.saturating_sub(1), current });
            }
            session.again(event)?;
        }
        Ok(session)
    }

    /// The labels as they are.
    #[must_use]
    pub fn labels(&self) -> &LabelMap {
        &self.labels
    }

    /// How many changes were made so far.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.history.revision()
    }

    /// What may change. Locks are set by [`Session::lock`].
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Sets where the viewer allows changes at all; `None` is everywhere.
    ///
    /// # Errors
    ///
    /// [`Error::SizesDiffer`].
    pub fn set_editable(&mut self, editable: Option<ndarray::Array3<bool>>) -> Result<()> {
        let expected = self.labels.grid.size;
        let found = editable.as_ref().map(|editable| editable.dim()).map(|(k, j, i)| [i, j, k]);
        match found.filter(|found| *found != expected) {
            Some(found) => Err(Error::SizesDiffer { found, expected }),
            None => {
                self.limits.editable = editable;
                Ok(())
            }
        }
    }

    /// How far the review of a structure has come.
    #[must_use]
    pub fn status(&self, label: u8) -> Status {
        self.statuses.get(&label).copied().unwrap_or(Status::Automatic)
    }

    /// What each structure has cost so far.
    #[must_use]
    pub fn efforts(&self) -> &BTreeMap<u8, Effort> {
        &self.efforts
    }

    /// The newest prompt's candidates, if it was made since the session was opened or rebuilt.
    #[must_use]
    pub fn answer(&self) -> Option<&Answer> {
        self.answer.as_ref()
    }

    /// Changes that can be taken back, and that can be made again.
    #[must_use]
    pub fn ways_back(&self) -> (usize, usize) {
        (self.history.done.len(), self.history.undone.len())
    }

    /// The events after a revision; `None` if they are forgotten, and all labels must be sent again.
    pub fn since(&self, revision: u64) -> Option<impl Iterator<Item = &Event>> {
        self.history.since(revision)
    }

    /// What a prompt would do at least, quickly, without doing it.
    ///
    /// # Errors
    ///
    /// As [`correct`].
    pub fn hover(&self, prompt: &Prompt, progress: &Progress) -> Result<Answer> {
        let opposite = self.opposite(prompt);
        preview(&self.subject(&opposite), prompt, progress)
    }

    /// Places that deserve a look, the gravest first.
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`].
    pub fn suspicious(&self, most: usize, progress: &Progress) -> Result<Vec<Place>> {
        let mut places = suspicious(&self.labels, self.runner_up.as_ref(), progress)?;
        places.retain(|place| self.status(place.label) != Status::Accepted);
        places.truncate(most);
        Ok(places)
    }

    /// Answers a prompt and makes the likeliest change.
    ///
    /// # Errors
    ///
    /// As [`correct`]; [`Error::Stale`], [`Error::Reused`].
    pub fn prompt(&mut self, request: &Request, prompt: &Prompt, progress: &Progress) -> Result<Event> {
        let action = Action::Prompt(prompt.clone());
        if let Some(event) = self.history.repeated(request, &action, None)? {
            return Ok(event.clone());
        }
        let opposite = self.opposite(prompt);
        let subject = self.subject(&opposite);
        self.current(request, Some(work_of(&subject, prompt)?))?;
        let answer = correct(&subject, prompt, progress)?;
        let delta = answer.best()?.delta.clone();
        let prompted = Prompted { prompt: prompt.clone(), label: answer.label, seeds: answer.seeds.clone() };
        let effort = Effort::new(request.seconds, 1, 0, delta.changes());
        let event = self.commit(request, action, delta.clone(), effort)?;
        self.history.done.push_back(Edit { delta, prompted: Some(prompted) });
        self.history.undone.clear();
        self.answer = Some(answer);
        Ok(event)
    }

    /// Replaces the newest change, which must be a prompt's, by another of its candidates: a step of the wheel. It
    /// stays one change to take back.
    ///
    /// # Errors
    ///
    /// [`Error::None`] if there is no such candidate; [`Error::Stale`], [`Error::Reused`].
    pub fn choose(&mut self, request: &Request, candidate: usize, progress: &Progress) -> Result<Event> {
        let action = Action::Choose(candidate);
        if let Some(event) = self.history.repeated(request, &action, None)? {
            return Ok(event.clone());
        }
        self.current(request, None)?;
        let answer = self.recalled(progress)?;
        let missing = Error::None { what: "such candidate" };
        let chosen = answer.candidates.get(candidate).ok_or(missing)?.delta.clone();
        let before = self.history.done.back().map(|edit| edit.delta.clone()).unwrap_or_else(Delta::empty);
        let delta = self.joined([&before.inverted(), &chosen])?;
        let effort = Effort::new(request.seconds, 0, 0, delta.changes());
        let event = self.commit(request, action, delta, effort)?;
        if let Some(edit) = self.history.done.back_mut() {
            edit.delta = chosen;
        }
        self.history.undone.clear();
        self.answer = Some(Answer { chosen: candidate, ..answer });
        Ok(event)
    }

    /// Takes in what the viewer changed by itself.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`], [`Error::NotADelta`]; [`Error::Stale`] where the labels are not those that it replaces.
    pub fn foreign(&mut self, request: &Request, delta: Delta) -> Result<Event> {
        if let Some(event) = self.history.repeated(request, &Action::Foreign, Some(&delta))? {
            return Ok(event.clone());
        }
        let current = self.revision();
        let stale = Error::Stale { base: request.base, current };
        match delta.check(&self.labels) {
            Err(Error::OtherLabels { .. }) => return Err(stale),
            other => other?,
        }
        if request.base > current {
            return Err(stale);
        }
        let effort = Effort::new(request.seconds, 1, 0, delta.changes());
        let event = self.commit(request, Action::Foreign, delta.clone(), effort)?;
        self.history.done.push_back(Edit { delta, prompted: None });
        self.history.undone.clear();
        self.answer = None;
        Ok(event)
    }

    /// Takes back the newest change, whoever made it.
    ///
    /// # Errors
    ///
    /// [`Error::None`] if there is none; [`Error::Locked`], [`Error::Stale`], [`Error::Reused`].
    pub fn undo(&mut self, request: &Request) -> Result<Event> {
        if let Some(event) = self.history.repeated(request, &Action::Undo, None)? {
            return Ok(event.clone());
        }
        self.current(request, None)?;
        let edit = self.history.done.back().ok_or(Error::None { what: "change to take back" })?;
        let delta = edit.delta.inverted();
        let effort = Effort::new(request.seconds, 0, 1, delta.changes());
        let event = self.commit(request, Action::Undo, delta, effort)?;
        self.history.undone.extend(self.history.done.pop_back());
        self.answer = None;
        Ok(event)
    }

    /// Makes the newest change again that was taken back.
    ///
    /// # Errors
    ///
    /// As [`Session::undo`].
    pub fn redo(&mut self, request: &Request) -> Result<Event> {
        if let Some(event) = self.history.repeated(request, &Action::Redo, None)? {
            return Ok(event.clone());
        }
        self.current(request, None)?;
        let edit = self.history.undone.last().ok_or(Error::None { what: "change to make again" })?;
        let delta = edit.delta.clone();
        let effort = Effort::new(request.seconds, 0, 0, delta.changes());
        let event = self.commit(request, Action::Redo, delta, effort)?;
        self.history.done.extend(self.history.undone.pop());
        self.answer = None;
        Ok(event)
    }

    /// Locks or unlocks a label. A locked label neither grows nor shrinks, by whatever means.
    ///
    /// # Errors
    ///
    /// [`Error::Reused`].
    pub fn lock(&mut self, request: &Request, label: u8, locked: bool) -> Result<Event> {
        self.mark(request, Action::Lock(label, locked))
    }

    /// Says that a structure is right, or with `None` that all are.
    ///
    /// # Errors
    ///
    /// [`Error::Reused`].
    pub fn accept(&mut self, request: &Request, label: Option<u8>) -> Result<Event> {
        self.mark(request, Action::Accept(label))
    }

    fn mark(&mut self, request: &Request, action: Action) -> Result<Event> {
        if let Some(event) = self.history.repeated(request, &action, None)? {
            return Ok(event.clone());
        }
        self.commit(request, action, Delta::empty(), Effort::new(request.seconds, 0, 0, Vec::new()))
    }
}

/// What the operations above are made of.
impl Session {
    fn subject<'a>(&'a self, opposite: &'a [[usize; 3]]) -> Subject<'a> {
        Subject {
            image: &self.image,
            labels: &self.labels,
            counts: &self.counts,
            limits: &self.limits,
            opposite,
            runner_up: self.runner_up.as_ref(),
        }
    }

    /// Voxels of prompts of the other sign that still stand, for the prompt's label where it names one.
    fn opposite(&self, prompt: &Prompt) -> Vec<[usize; 3]> {
        let prompts = self.history.done.iter().filter_map(|edit| edit.prompted.as_ref());
        let others = prompts.filter(|other| {
            other.prompt.sign != prompt.sign && prompt.label.is_none_or(|label| label == other.label)
        });
        others.flat_map(|other| other.seeds.iter().copied()).collect()
    }

    /// Whether the user saw the labels as they are, at least within `work`.
    fn current(&self, request: &Request, work: Option<IndexBox>) -> Result<()> {
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
    fn recalled(&mut self, progress: &Progress) -> Result<Answer> {
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
    fn recalled_from(&mut self, edit: &Edit, progress: &Progress) -> Result<Option<Answer>> {
        let Some(prompted) = &edit.prompted else { return Ok(None) };
        self.turn(&edit.delta.inverted())?;
        let opposite = self.opposite(&prompted.prompt);
        let answer = correct(&self.subject(&opposite), &prompted.prompt, progress);
        self.turn(&edit.delta)?;
        answer.map(Some)
    }

    /// Several changes in a row as one. The labels are as before in the end.
    fn joined(&mut self, changes: [&Delta; 2]) -> Result<Delta> {
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
    fn commit(&mut self, request: &Request, action: Action, delta: Delta, effort: Effort) -> Result<Event> {
        let operation = request.operation.clone();
        let event = Event { revision: self.revision() + 1, operation, action, delta, effort };
        self.enter(event.clone())?;
        Ok(event)
    }

    /// Changes labels and everything that is counted; nothing if the change is not possible.
    fn enter(&mut self, event: Event) -> Result<()> {
        let touched = event.delta.changes();
        let mut labels = touched.iter().flat_map(|&((from, to), _)| [from, to]);
        if let Some(label) = labels.find(|label| self.limits.locked.contains(label)) {
            return Err(Error::Locked { label });
        }
        self.turn(&event.delta)?;
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

    fn turn(&mut self, delta: &Delta) -> Result<()> {
        delta.apply(&mut self.labels)?;
        for ((from, to), voxels) in delta.changes() {
            self.counts[usize::from(from)] -= voxels;
            self.counts[usize::from(to)] += voxels;
        }
        Ok(())
    }

    /// Notes what an event means for the structures that it changed.
    fn account(&mut self, event: &Event, touched: &[((u8, u8), u64)]) {
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
    fn again(&mut self, event: Event) -> Result<()> {
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
            Action::Prompt(_) | Action::Foreign => {
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
