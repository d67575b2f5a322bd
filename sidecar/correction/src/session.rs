//! A segmentation while it is being corrected: the labels, everything that was done to them, and every way back.

mod network;
mod steps;

use std::collections::BTreeMap;
use std::sync::Arc;

use imaging::{LabelMap, Progress};

use crate::correct::{Answer, correct, preview, work_of};
use crate::delta::Delta;
use crate::effort::Effort;
use crate::history::{Action, Edit, Event, History, Prompted, Request};
use crate::image::Image;
use crate::prompt::{Limits, Prompt};
use crate::runner_up::RunnerUp;
use crate::suspicious::{Place, suspicious};
use crate::tools::{Tool, used};
use crate::{Error, Result};

pub use network::{Asked, Drawn, Question};

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
    runner_up: Option<Arc<RunnerUp>>,
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
            runner_up: runner_up.map(Arc::new),
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

    /// The image.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The labels as they are.
    #[must_use]
    pub fn labels(&self) -> &LabelMap {
        &self.labels
    }

    /// Voxels of each label.
    #[must_use]
    pub fn counts(&self) -> &[u64; 256] {
        &self.counts
    }

    /// The network's second choice, where it is known.
    #[must_use]
    pub fn runner_up(&self) -> Option<&Arc<RunnerUp>> {
        self.runner_up.as_ref()
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
        let mut places = suspicious(&self.labels, self.runner_up.as_deref(), progress)?;
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

    /// Changes a structure as a whole.
    ///
    /// # Errors
    ///
    /// [`Error::Background`], [`Error::Locked`], [`Error::Outside`], [`Error::Prompt`] for what cannot be;
    /// [`Error::Nothing`] where nothing would change; [`Error::Stale`], [`Error::Reused`], [`Error::Cancelled`].
    pub fn tool(&mut self, request: &Request, tool: &Tool, progress: &Progress) -> Result<Event> {
        let action = Action::Tool(tool.clone());
        if let Some(event) = self.history.repeated(request, &action, None)? {
            return Ok(event.clone());
        }
        self.current(request, None)?;
        let delta = used(tool, &self.image, &self.labels, &self.limits, progress)?;
        let effort = Effort::new(request.seconds, 1, 0, delta.changes());
        let event = self.commit(request, action, delta.clone(), effort)?;
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
