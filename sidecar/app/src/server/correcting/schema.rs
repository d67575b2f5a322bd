//! The types of the crates `correction` and `imaging` as the API's document describes them: those crates know nothing
//! of HTTP. A test reads with these what those wrote.
#![expect(dead_code, reason = "they are described, and never made but by the test")]

use serde::Deserialize;
use utoipa::ToSchema;

/// Whether a prompt adds to a structure or removes from it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sign {
    /// Only background and the label under the prompt become the target.
    Add,
    /// Only the target becomes background.
    Remove,
}

/// Where the user points, in LPS+ millimetres.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Shape {
    /// A click.
    Point([f64; 3]),
    /// A scribble on any plane, of at most 4096 points, half its width in millimetres.
    Scribble { points: Vec<[f64; 3]>, radius_mm: f64 },
    /// A box with two opposite corners. Nothing beyond it changes.
    Box { corners: [[f64; 3]; 2] },
}

/// One thing that the user asks for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prompt {
    shape: Shape,
    sign: Sign,
    /// The structure; null takes the one under the prompt, or else the nearest within 10 mm.
    label: Option<u8>,
    /// Where the viewer's masking allows the answer to change anything; everywhere when left out.
    editable: Option<Editable>,
}

/// A viewer's masking.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Editable {
    /// Labels that may give voxels, 0 is background; all when left out. The structure itself may always.
    labels: Option<Vec<u8>>,
    /// The lowest and the highest intensity of a voxel that may change; any when left out.
    intensity: Option<[f64; 2]>,
}

/// A change of a whole structure, without a prompt.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = StructureTool)]
pub(crate) enum Tool {
    /// Moves the boundary to where the image has edges, by so many millimetres at most, up to 10.
    Snap { label: u8, within_mm: f64, editable: Option<Editable> },
    /// Fills slices between drawn ones: those along axis 0, 1 or 2 of the image, or along the one with most gaps.
    Fill { label: u8, axis: Option<usize>, editable: Option<Editable> },
    /// Keeps what hangs together with a position in LPS+ millimetres.
    Keep { label: u8, at: [f64; 3], editable: Option<Editable> },
    /// Makes what hangs together with a position in LPS+ millimetres background.
    Drop { label: u8, at: [f64; 3], editable: Option<Editable> },
}

/// What is done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// Answers a prompt.
    Prompt(Prompt),
    /// Replaces the newest prompt's answer by another of its candidates.
    Choose(usize),
    /// Changes a structure as a whole.
    Tool(Tool),
    /// Takes in what the viewer changed by itself.
    Foreign,
    /// Takes back the newest change.
    Undo,
    /// Makes the newest change again that was taken back.
    Redo,
    /// Locks or unlocks: the label, and `true` or `false`.
    Lock(u8, bool),
    /// Says that a structure is right, or with null that all are.
    Accept(Option<u8>),
}

/// One change of the session.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CorrectionEvent)]
pub(crate) struct Event {
    /// The revision after it; one more than before.
    revision: u64,
    /// The operation's name.
    operation: String,
    action: Action,
    /// What changed since the revision before, two hexadecimal digits a byte.
    delta: String,
    effort: Effort,
}

/// What an edit cost, or several.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Effort {
    /// Seconds of work; of a longer pause, 15 count.
    seconds: f64,
    /// Prompts and brush strokes.
    clicks: u64,
    /// Changes taken back.
    undos: u64,
    /// `[[old label, new label], voxels]` of all that changed.
    #[schema(value_type = Vec<Vec<serde_json::Value>>)]
    voxels: Vec<((u8, u8), u64)>,
}

/// Where an answer comes from.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CandidateSource)]
pub(crate) enum Source {
    /// The cut within a scope of so many millimetres.
    Scope(f64),
    /// The whole of what hangs together under the prompt.
    Component,
    /// Where the network's second choice is the label.
    RunnerUp,
    /// What a network that takes prompts sees there.
    Network,
}

/// How far the review of a structure has come.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReviewStatus)]
pub(crate) enum Status {
    /// As the network left it.
    Automatic,
    /// Changed since.
    Edited,
    /// Found right.
    Accepted,
}

/// Why a place deserves a look.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PlaceReason)]
pub(crate) enum Reason {
    /// It does not hang together with the rest of its structure.
    Island,
    /// It is background, enclosed by the structure.
    Hole,
    /// The network nearly said this other label.
    Unsure(u8),
}

/// A place that deserves a look.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    label: u8,
    reason: Reason,
    /// A voxel of it near its middle.
    voxel: [usize; 3],
    /// That voxel's centre in LPS+ millimetres.
    position: [f64; 3],
    /// Its size in millilitres.
    ml: f64,
    /// Millilitres that are expected to be wrong: the order of the list.
    score: f64,
}

/// A concept of a coding scheme.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Concept {
    /// Mostly `SCT`.
    scheme: String,
    value: String,
    meaning: String,
}

/// What a structure is, in the terms of DICOM Segmentation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Terminology {
    category: Concept,
    #[serde(rename = "type")]
    kind: Concept,
    type_modifier: Option<Concept>,
    anatomic_region: Option<Concept>,
    anatomic_region_modifier: Option<Concept>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json, to_value};

    use super::*;

    #[test]
    fn what_is_described_is_what_is_written() {
        let grid = imaging::Grid::aligned([4, 4, 4], [1.0; 3]);
        let labels = imaging::LabelMap::background(&grid);
        let delta = correction::Delta::between(labels.labels.view(), labels.labels.view()).unwrap();
        let point = correction::Shape::Point([1.0, 2.0, 0.1]);
        let scribble = correction::Shape::Scribble { points: vec![[0.0; 3]], radius_mm: 1.5 };
        let shapes = [point, scribble, correction::Shape::Box { corners: [[0.0; 3], [1.0; 3]] }];
        let signs = [correction::Sign::Add, correction::Sign::Remove];
        let prompts = shapes.into_iter().flat_map(|shape| {
            let labels = Some([0, 7].into());
            let editable = Some(correction::Editable { labels, intensity: Some([-20.5, 110.0]) });
            signs.map(|sign| {
                let (shape, editable) = (shape.clone(), editable.clone());
                correction::Prompt { shape, sign, label: Some(5), editable }
            })
        });
        use correction::Action::{Accept, Choose, Foreign, Lock, Redo, Undo};
        use correction::Tool::{Drop, Fill, Keep, Snap};
        let others =
            [Choose(2), Foreign, Undo, Redo, Lock(5, true), Accept(Some(5)), Accept(None)].into_iter();
        let at = [1.0, 2.0, 0.1];
        let editable = Some(correction::Editable { labels: None, intensity: Some([-20.5, 110.0]) });
        let fills = [None, Some(2)].map(|axis| Fill { label: 5, axis, editable: None });
        let snap = Snap { label: 5, within_mm: 3.0, editable: editable.clone() };
        let drop = Drop { label: 5, at, editable: editable.clone() };
        let tools = [snap, drop, Keep { label: 5, at, editable }];
        let others = others.chain(tools.into_iter().chain(fills).map(correction::Action::Tool));
        for action in prompts.map(correction::Action::Prompt).chain(others) {
            let effort = correction::Effort { voxels: vec![((0, 5), 7)], ..Default::default() };
            let operation = "a".to_owned();
            let event = correction::Event { revision: 1, operation, action, delta: delta.clone(), effort };
            from_value::<Event>(to_value(&event).unwrap()).unwrap();
        }
        use correction::Source::{Component, Network, RunnerUp, Scope};
        for source in [Scope(8.0), Component, RunnerUp, Network] {
            from_value::<super::Source>(to_value(source).unwrap()).unwrap();
        }
        for reason in [correction::Reason::Island, correction::Reason::Hole, correction::Reason::Unsure(7)] {
            let place = correction::Place {
                label: 5,
                reason,
                voxel: [1; 3],
                position: [1.0; 3],
                ml: 1.0,
                score: 1.0,
            };
            from_value::<Place>(to_value(&place).unwrap()).unwrap();
        }
        let known = engine::catalogue::segment("kidney_left", 3, None);
        from_value::<Terminology>(to_value(known.terminology).unwrap()).unwrap();
        assert!(from_value::<Prompt>(json!({"shape": {"point": [1, 2]}, "sign": "add"})).is_err());
        assert!(from_value::<Event>(Value::Null).is_err());
    }
}
