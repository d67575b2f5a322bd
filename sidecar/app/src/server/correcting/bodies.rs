//! What clients say and hear about corrections. Fields are added, never renamed.

use std::collections::BTreeSet;

use correction::{Action, Effort, Event, Prompt, Source, Status};
use imaging::Terminology;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::id::Id;
use super::schema;

/// What `POST /v1/sessions` takes.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSession {
    /// The image; that of the job when left out.
    #[serde(default)]
    pub(crate) volume: Option<Id>,
    /// One of the volume's groups; that of the job, or the usual one, when left out.
    #[serde(default)]
    pub(crate) group: Option<String>,
    /// Whose labels and structures are corrected.
    #[serde(default)]
    pub(crate) job: Option<Id>,
    /// A volume on the same grid whose voxels are the labels to correct, where no job made them.
    #[serde(default)]
    pub(crate) labels: Option<Id>,
    /// What labels mean, in addition to the job's structures.
    #[serde(default)]
    pub(crate) structures: Vec<NewStructure>,
    /// Labels that may not change.
    #[serde(default)]
    pub(crate) locked: BTreeSet<u8>,
}

/// What a label means.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewStructure {
    /// 1 to 255.
    pub(crate) value: u8,
    pub(crate) name: String,
    /// sRGB; one of its own when left out.
    #[serde(default)]
    pub(crate) color: Option<[u8; 3]>,
    /// That of the name, where it is known, when left out.
    #[serde(default)]
    #[schema(value_type = Option<schema::Terminology>)]
    pub(crate) terminology: Option<Terminology>,
}

/// What `POST /v1/sessions/ID/operations` takes.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Operation {
    /// A new name for each, such as a UUID: 1 to 128 visible characters.
    pub(crate) operation: String,
    /// The revision that the user saw.
    pub(crate) base: u64,
    /// Seconds that the user spent on it.
    #[serde(default)]
    pub(crate) seconds: f64,
    #[schema(value_type = schema::Action)]
    pub(crate) action: Action,
    /// Of the action `foreign`: what changed, two hexadecimal digits a byte.
    #[serde(default)]
    pub(crate) delta: Option<String>,
}

/// What `POST /v1/sessions/ID/hover` takes.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hover {
    #[schema(value_type = schema::Prompt)]
    pub(crate) prompt: Prompt,
}

/// What `POST /v1/sessions/ID/propose` takes.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Propose {
    /// The revision whose prompt is to be answered: the newest.
    pub(crate) base: u64,
    /// A model that takes prompts; the one that is installed when left out.
    #[serde(default)]
    pub(crate) network: Option<String>,
}

/// What a network made of the newest prompt.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Proposed {
    /// The session's, unchanged.
    pub(crate) revision: u64,
    /// The network that was asked.
    pub(crate) network: String,
    #[serde(flatten)]
    pub(crate) wheel: Wheel,
}

/// A structure while it is being corrected.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = CorrectedStructure)]
pub(crate) struct Structure {
    pub(crate) value: u8,
    pub(crate) name: String,
    /// sRGB.
    pub(crate) color: [u8; 3],
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Terminology>)]
    pub(crate) terminology: Option<Terminology>,
    pub(crate) voxels: u64,
    pub(crate) volume_ml: f64,
    #[schema(value_type = schema::Status)]
    pub(crate) status: Status,
    pub(crate) locked: bool,
    /// What it has cost so far.
    #[schema(value_type = schema::Effort)]
    pub(crate) effort: Effort,
}

/// One possible answer to a prompt.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Candidate {
    #[schema(value_type = schema::Source)]
    pub(crate) source: Source,
    /// Voxels that it changes.
    pub(crate) voxels: u64,
    /// The lowest is the likeliest.
    pub(crate) score: f64,
}

/// The stops of the wheel, while the newest change is a prompt's.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct Wheel {
    /// The label that the prompt is about.
    pub(crate) label: Option<u8>,
    /// The label under it that may give voxels; 0 is background.
    pub(crate) under: Option<u8>,
    /// Smallest first; last the network's, where one was asked.
    pub(crate) candidates: Vec<Candidate>,
    /// Which of them the labels show.
    pub(crate) chosen: Option<usize>,
    /// Other places where a network that was asked sees the structure otherwise; nothing changes there.
    #[serde(default)]
    pub(crate) elsewhere: usize,
}

/// Everything that is known of a session but for its labels.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = CorrectionState)]
pub(crate) struct State {
    /// Events so far.
    pub(crate) revision: u64,
    /// Voxels along i, j, k.
    pub(crate) dims: [usize; 3],
    /// `LPS`.
    pub(crate) space: String,
    /// Rows of a 4x4 matrix.
    pub(crate) ijk_to_world: Vec<f64>,
    pub(crate) structures: Vec<Structure>,
    /// Steps that can be taken back.
    pub(crate) undo: usize,
    /// Steps that can be made again.
    pub(crate) redo: usize,
    /// Whether the network's second choice is known.
    pub(crate) runner_up: bool,
    #[serde(flatten)]
    pub(crate) wheel: Wheel,
}

/// What a session is about.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CorrectionSubject)]
pub(crate) struct About {
    pub(crate) id: Id,
    /// Seconds since 1970.
    pub(crate) created: u64,
    /// When somebody last asked for it, in seconds since 1970.
    pub(crate) touched: u64,
    pub(crate) volume: Id,
    pub(crate) job: Option<Id>,
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CorrectionSession)]
pub(crate) struct View {
    #[serde(flatten)]
    pub(crate) about: About,
    #[serde(flatten)]
    pub(crate) state: State,
}

/// A session in a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CorrectionSummary)]
pub(crate) struct Summary {
    #[serde(flatten)]
    pub(crate) about: About,
    /// Events so far.
    pub(crate) revision: u64,
    /// Voxels along i, j, k.
    pub(crate) dims: [usize; 3],
}

/// What an operation did.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Corrected)]
pub(crate) struct Done {
    /// The session's own, higher than the event's where an old operation was sent again.
    pub(crate) revision: u64,
    #[schema(value_type = schema::Event)]
    pub(crate) event: Event,
    #[serde(flatten)]
    pub(crate) wheel: Wheel,
    /// Those that changed.
    pub(crate) structures: Vec<Structure>,
    /// Steps that can be taken back.
    pub(crate) undo: usize,
    /// Steps that can be made again.
    pub(crate) redo: usize,
}

/// What a prompt would do at least.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Ghost {
    /// The labels that the delta fits.
    pub(crate) revision: u64,
    pub(crate) label: u8,
    pub(crate) under: u8,
    pub(crate) candidate: Candidate,
    /// Two hexadecimal digits a byte.
    pub(crate) delta: String,
}

/// Places that deserve a look.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Suspicious {
    /// The labels that were looked at.
    pub(crate) revision: u64,
    /// The gravest first.
    #[schema(value_type = Vec<schema::Place>)]
    pub(crate) places: Vec<correction::Place>,
}
