//! What the supervisor asks of the worker that holds sessions, and the files of a session that both know.

use std::collections::BTreeSet;
use std::path::PathBuf;

use correction::Prompt;
use imaging::Grid;
use serde::{Deserialize, Serialize};

use super::super::protocol::Format;
use super::bodies::{NewStructure, Operation, Propose};

/// The image, in a session's folder.
pub(crate) const IMAGE: &str = "image.nrrd";
/// The labels that the session began with: one byte a voxel, i fastest.
pub(crate) const START: &str = "start.u8";
/// A volume whose voxels are to be those labels; gone once they are.
pub(crate) const START_VOLUME: &str = "start.nrrd";
/// The network's second choice, where it is known.
pub(crate) const RUNNER_UP: &str = "runner_up.u8";
/// All events.
pub(crate) const JOURNAL: &str = "journal.jsonl";

/// An order about one session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Correct {
    /// Where everything lies that the session is made of.
    pub(crate) folder: PathBuf,
    /// Events in its journal: a session that has gone on without them is read again.
    pub(crate) revision: u64,
    pub(crate) what: What,
}

/// See [`Correct`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// Checks the files of a new session and completes them; [`Begun`] is the answer.
    Begin(Beginning),
    /// A [`super::bodies::State`].
    State,
    /// A [`super::bodies::Done`].
    Operate(Operation),
    /// A [`super::bodies::Ghost`].
    Hover(Prompt),
    /// A [`super::bodies::Proposed`]; takes as long as the network does.
    Propose(Propose),
    /// A [`super::bodies::Suspicious`].
    Suspicious { most: usize },
    /// Writes the labels into the folder, raw or in a format; their revision is the answer.
    Labels { format: Option<Format> },
    /// Forgets the session; its folder is about to go.
    Close,
}

/// What a session begins with, beside the files in its folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Beginning {
    /// Of the image.
    pub(crate) grid: Grid,
    pub(crate) structures: Vec<NewStructure>,
    pub(crate) locked: BTreeSet<u8>,
}

/// The answer to [`What::Begin`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Begun {
    /// What goes into the journal before anything else.
    pub(crate) events: Vec<serde_json::Value>,
    pub(crate) state: super::bodies::State,
}
