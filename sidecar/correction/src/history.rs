//! What happened, in order: every change as an event with a revision, and which of them can be taken back.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::delta::Delta;
use crate::effort::Effort;
use crate::prompt::Prompt;
use crate::tools::Tool;
use crate::{Error, Result};

/// Who asks, and for which labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The operation's name, such as a UUID. Asking again by the same name gives the same answer and changes nothing.
    pub operation: String,
    /// The revision that the user saw.
    pub base: u64,
    /// Seconds that the user spent on it.
    #[serde(default)]
    pub seconds: f64,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A prompt was answered.
    Prompt(Prompt),
    /// The newest prompt's answer was replaced by another of its candidates.
    Choose(usize),
    /// A structure was changed as a whole.
    Tool(Tool),
    /// The viewer changed labels by itself, such as with its own brush.
    Foreign,
    /// The newest change was taken back.
    Undo,
    /// The newest change that was taken back was made again.
    Redo,
    /// A label was locked or unlocked.
    Lock(u8, bool),
    /// A structure was found right, or with `None` all of the case.
    Accept(Option<u8>),
}

/// One change of the session. Events in order are the journal: with the labels at the start they rebuild the session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The revision after it; one more than before.
    pub revision: u64,
    /// The operation's name.
    pub operation: String,
    /// What was asked for.
    pub action: Action,
    /// What changed, as [`Delta::encode`] writes it.
    #[serde(with = "hexadecimal")]
    pub delta: Delta,
    /// What it cost the user.
    pub effort: Effort,
}

/// A change that can be taken back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Edit {
    pub(crate) delta: Delta,
    /// The prompt, where it was one: with the label, and the voxels that it says something about.
    pub(crate) prompted: Option<Prompted>,
}

/// What a prompt says for good.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Prompted {
    pub(crate) prompt: Prompt,
    pub(crate) label: u8,
    pub(crate) seeds: Vec<[usize; 3]>,
}

/// Events, and what can be taken back and made again, within a budget of bytes.
#[derive(Debug, Clone)]
pub(crate) struct History {
    budget: usize,
    bytes: usize,
    revision: u64,
    events: VecDeque<Event>,
    names: HashMap<String, u64>,
    pub(crate) done: VecDeque<Edit>,
    pub(crate) undone: Vec<Edit>,
}

/// What an event weighs beyond its delta.
const EVENT_BYTES: usize = 256;

impl History {
    pub(crate) fn new(budget: usize) -> History {
        History {
            budget,
            bytes: 0,
            revision: 0,
            events: VecDeque::new(),
            names: HashMap::new(),
            done: VecDeque::new(),
            undone: Vec::new(),
        }
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The event of an operation that was made before; an error if it was another.
    pub(crate) fn repeated(
        &self,
        request: &Request,
        action: &Action,
        delta: Option<&Delta>,
    ) -> Result<Option<&Event>> {
        let Some(event) = self.names.get(&request.operation).and_then(|&revision| self.event(revision))
        else {
            return Ok(None);
        };
        if event.action == *action && delta.is_none_or(|delta| *delta == event.delta) {
            Ok(Some(event))
        } else {
            Err(Error::Reused { operation: request.operation.clone() })
        }
    }

    fn event(&self, revision: u64) -> Option<&Event> {
        let first = self.events.front()?.revision;
        self.events.get(revision.checked_sub(first)? as usize)
    }

    /// The events after a revision; `None` if that is not known any more, or not yet.
    pub(crate) fn since(&self, revision: u64) -> Option<impl Iterator<Item = &Event>> {
        let kept = self.events.front().map_or(self.revision, |event| event.revision - 1);
        let skip = revision.checked_sub(kept)?;
        (revision <= self.revision).then(|| self.events.iter().skip(skip as usize))
    }

    /// Appends an event; its revision must be the next one.
    pub(crate) fn push(&mut self, event: Event) {
        self.revision = event.revision;
        self.bytes += event.delta.bytes() + EVENT_BYTES;
        self.names.insert(event.operation.clone(), event.revision);
        self.events.push_back(event);
        while self.bytes > self.budget && self.events.len() > 1 {
            if let Some(oldest) = self.events.pop_front() {
                self.bytes -= oldest.delta.bytes() + EVENT_BYTES;
                self.names.remove(&oldest.operation);
            }
        }
        let weight = |edit: &Edit| edit.delta.bytes() + EVENT_BYTES;
        let mut edits: usize = self.done.iter().map(weight).sum();
        while edits > self.budget && self.done.len() > 1 {
            edits -= self.done.pop_front().as_ref().map_or(0, weight);
        }
    }
}

/// A delta as text, so that a line of the journal is a line of JSON.
mod hexadecimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::delta::Delta;

    pub(super) fn serialize<S: Serializer>(delta: &Delta, serializer: S) -> Result<S::Ok, S::Error> {
        let digits = |byte: u8| [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16));
        let text: String = delta.encode().into_iter().flat_map(digits).flatten().collect();
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Delta, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        let (pairs, odd) = text.as_bytes().as_chunks::<2>();
        let bytes = pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?));
        let bytes: Option<Vec<u8>> = bytes.collect();
        let bytes = bytes
            .filter(|_| odd.is_empty())
            .ok_or_else(|| D::Error::custom("a delta is pairs of hexadecimal digits"))?;
        Delta::decode(&bytes).map_err(D::Error::custom)
    }
}
