//! What is done to a session in the worker, in the words of the API.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use correction::{Action, Delta, Error, Event, Request, RunnerUp, Status};
use imaging::{LabelMap, Progress, Segment, Segmentation};
use serde::Serialize;
use serde_json::Value;

use super::super::error::{Answer, Code, Refusal};
use super::super::protocol::{Format, LABELS};
use super::super::results::write_as;
use super::beginning::nameless;
use super::bodies::{Candidate, Done, Ghost, Operation, State, Structure, Suspicious, Wheel};
use super::desks::Open;
use super::orders::Begun;
use crate::making;

/// Longest name of an operation.
const LONGEST_NAME: usize = 128;

pub(super) fn json(value: &impl Serialize) -> Answer<Value> {
    serde_json::to_value(value).map_err(|_| Refusal::internal())
}

/// What the crate says, under its code.
pub(super) fn refusal(error: &Error) -> Refusal {
    let (code, hint) = match error {
        Error::Stale { .. } => {
            (Code::Stale, "fetch `events?since=` the revision that the viewer has, show them, and ask again")
        }
        Error::Locked { .. } => (Code::Locked, "unlock it, or point at another structure"),
        Error::Masked { .. } => (Code::Masked, "change the masking, or point where it allows changes"),
        Error::Reused { .. } => (Code::Conflict, "take a new name for each operation"),
        Error::Cancelled => (Code::Cancelled, ""),
        Error::SizesDiffer { .. } => (Code::GeometryInvalid, "send what belongs to this image"),
        _ => (Code::Invalid, "nothing was changed"),
    };
    Refusal::new(code, error.to_string(), hint)
}

/// Locks what is locked from the start; the events are the first of the journal.
pub(super) fn locks(open: &mut Open, locked: &BTreeSet<u8>) -> Answer<Vec<Event>> {
    let lock = |&label: &u8| {
        let base = open.session.revision();
        let request = Request { operation: format!("locked from the start: {label}"), base, seconds: 0.0 };
        check_label(label)?;
        open.session.lock(&request, label, true).map_err(|error| refusal(&error))
    };
    locked.iter().map(lock).collect()
}

/// The answer to a session that has begun.
pub(super) fn begun(open: &Open, events: &[Event]) -> Answer<Value> {
    let events = events.iter().map(json).collect::<Answer<Vec<_>>>()?;
    json(&Begun { events, state: state_of(open) })
}

/// Everything but the labels.
pub(super) fn state(open: &Open) -> Answer<Value> {
    json(&state_of(open))
}

fn state_of(open: &Open) -> State {
    let session = &open.session;
    let grid = &session.labels().grid;
    let (undo, redo) = session.ways_back();
    State {
        revision: session.revision(),
        dims: grid.size,
        space: "LPS".to_owned(),
        ijk_to_world: grid.matrix().concat(),
        structures: values(open).into_iter().map(|value| structure(open, value)).collect(),
        undo,
        redo,
        runner_up: session.runner_up().is_some(),
        wheel: wheel(open),
    }
}

/// All labels that have a name or voxels.
fn values(open: &Open) -> BTreeSet<u8> {
    let present = (1..=255u8).filter(|&value| open.session.counts()[usize::from(value)] > 0);
    present.chain(open.table.segments().map(|segment| segment.value)).collect()
}

fn segment(open: &Open, value: u8) -> Segment {
    open.table.segment(value).cloned().unwrap_or_else(|| nameless(value))
}

fn structure(open: &Open, value: u8) -> Structure {
    let session = &open.session;
    let Segment { value, name, color, terminology } = segment(open, value);
    let voxels = session.counts()[usize::from(value)];
    Structure {
        value,
        name,
        color,
        terminology,
        voxels,
        volume_ml: voxels as f64 * (session.labels().grid.determinant().abs() / 1000.0),
        status: session.status(value),
        locked: session.limits().locked.contains(&value),
        effort: session.efforts().get(&value).cloned().unwrap_or_default(),
    }
}

fn candidate(candidate: &correction::Candidate) -> Candidate {
    Candidate { source: candidate.source, voxels: candidate.voxels, score: candidate.score }
}

pub(super) fn wheel(open: &Open) -> Wheel {
    open.session.answer().map_or_else(Wheel::default, |answer| Wheel {
        label: Some(answer.label),
        under: Some(answer.under),
        candidates: answer.candidates.iter().map(candidate).collect(),
        chosen: Some(answer.chosen),
        elsewhere: answer.elsewhere,
    })
}

fn check_label(label: u8) -> Answer<()> {
    match label {
        0 => Err(refusal(&Error::Background)),
        _ => Ok(()),
    }
}

/// Does an operation.
pub(super) fn operate(open: &mut Open, operation: &Operation, progress: &Progress) -> Answer<Value> {
    let name = &operation.operation;
    if !(1..=LONGEST_NAME).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message = format!("`operation` is not 1 to {LONGEST_NAME} visible characters");
        return Err(Refusal::new(Code::Invalid, message, "a UUID is a good one"));
    }
    let request = Request { operation: name.clone(), base: operation.base, seconds: operation.seconds };
    let session = &mut open.session;
    let event = match &operation.action {
        Action::Prompt(prompt) => session.prompt(&request, prompt, progress),
        Action::Choose(candidate) => session.choose(&request, *candidate, progress),
        Action::Tool(tool) => session.tool(&request, tool, progress),
        Action::Foreign => session.foreign(&request, delta(operation.delta.as_deref())?),
        Action::Undo => session.undo(&request),
        Action::Redo => session.redo(&request),
        Action::Lock(label, locked) => {
            check_label(*label)?;
            session.lock(&request, *label, *locked)
        }
        Action::Accept(label) => {
            label.map_or(Ok(()), check_label)?;
            session.accept(&request, *label)
        }
    };
    let event = event.map_err(|error| refusal(&error))?;
    let revision = open.session.revision();
    let (undo, redo) = open.session.ways_back();
    let touched = match &event.action {
        Action::Lock(label, _) | Action::Accept(Some(label)) => BTreeSet::from([*label]),
        Action::Accept(None) => values(open),
        _ => event.delta.changes().iter().flat_map(|&((from, to), _)| [from, to]).collect(),
    };
    let structures = touched.into_iter().filter(|&label| label != 0).map(|label| structure(open, label));
    let structures = structures.collect();
    json(&Done { revision, wheel: wheel(open), structures, undo, redo, event })
}

/// A delta from its hexadecimal digits.
fn delta(digits: Option<&str>) -> Answer<Delta> {
    let invalid = |message: &str| Refusal::new(Code::Invalid, message, "see docs/correction.md, `A delta`");
    let digits = digits.ok_or_else(|| invalid("the action `foreign` needs a `delta`"))?;
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let (pairs, odd) = digits.as_bytes().as_chunks::<2>();
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect();
    let bytes =
        bytes.filter(|_| odd.is_empty()).ok_or_else(|| invalid("`delta` is no hexadecimal digits"))?;
    Delta::decode(&bytes).map_err(|error| refusal(&error))
}

/// What a prompt would do at least.
pub(super) fn hover(open: &Open, prompt: &correction::Prompt, progress: &Progress) -> Answer<Value> {
    let answer = open.session.hover(prompt, progress).map_err(|error| refusal(&error))?;
    let best = answer.best().map_err(|error| refusal(&error))?;
    json(&Ghost {
        revision: open.session.revision(),
        label: answer.label,
        under: answer.under,
        candidate: candidate(best),
        delta: best.delta.encode().iter().map(|byte| format!("{byte:02x}")).collect(),
    })
}

/// What is looked through for doubtful places, so that nobody waits for it.
pub(super) struct Looked {
    revision: u64,
    labels: LabelMap,
    runner_up: Option<Arc<RunnerUp>>,
    accepted: BTreeSet<u8>,
}

impl Looked {
    /// A copy.
    pub(super) fn of(open: &Open) -> Looked {
        let session = &open.session;
        let accepted = (1..=255).filter(|&label| session.status(label) == Status::Accepted).collect();
        Looked {
            revision: session.revision(),
            labels: session.labels().clone(),
            runner_up: session.runner_up().cloned(),
            accepted,
        }
    }
}

/// Places that deserve a look.
pub(super) fn suspicious(looked: &Looked, most: usize, progress: &Progress) -> Answer<Value> {
    let places = correction::suspicious(&looked.labels, looked.runner_up.as_deref(), progress);
    let mut places = places.map_err(|error| refusal(&error))?;
    places.retain(|place| !looked.accepted.contains(&place.label));
    places.truncate(most);
    json(&Suspicious { revision: looked.revision, places })
}

/// Writes the labels into the folder; their revision is the answer.
pub(super) fn labels(
    open: &Open,
    folder: &Path,
    format: Option<Format>,
    progress: &Progress,
) -> Answer<Value> {
    let labels = open.session.labels();
    match format {
        None => {
            let bytes = labels.labels.as_slice().ok_or_else(Refusal::internal)?;
            let aside = folder.join("part-labels");
            let written = std::fs::write(&aside, bytes);
            let written = written.and_then(|()| std::fs::rename(&aside, folder.join(LABELS)));
            written.map_err(|error| Refusal::spool(&error))?;
        }
        Some(format) => {
            let segments = values(open).into_iter().map(|value| segment(open, value)).collect();
            let segmentation = Segmentation { labels: labels.clone(), segments };
            let making = making::corrected(&open.table.provenance, open.session.revision() > 0);
            write_as(folder, &segmentation, format, &making, progress)?;
        }
    }
    json(&open.session.revision())
}
