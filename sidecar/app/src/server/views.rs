//! Tasks and models as clients see them. Fields are added, never renamed.

use engine::{ModelStore, Origin, Speed, Task, catalogue};
use imaging::Segment;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::correcting::schema::Terminology;
use super::error::{Answer, Code, Refusal};
use crate::channels;
use crate::install::{self, Wanted};

/// A structure, as [`Segment`] is written.
#[derive(ToSchema)]
#[schema(as = Segment)]
#[expect(dead_code, reason = "it is there for its schema")]
pub(super) struct SegmentShape {
    /// In the label map, 1 to 255.
    value: u8,
    name: String,
    /// sRGB.
    #[schema(min_items = 3, max_items = 3)]
    color: Vec<u8>,
    /// What it is, where that has a code.
    #[schema(required = false)]
    terminology: Option<Terminology>,
}

/// A task.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Task)]
pub(super) struct TaskView {
    id: String,
    title: String,
    modality: String,
    licence: String,
    terms: String,
    caution: String,
    /// The images that it takes, in order, by name; of a task of one image its modality.
    channels: Vec<String>,
    /// Thresholds on the foreground's probability that its model was measured at; jobs take them as `operating_point`.
    operating_points: Vec<OperatingPointView>,
    speeds: Vec<SpeedView>,
    #[schema(value_type = Vec<SegmentShape>)]
    segments: Vec<Segment>,
}

/// What one threshold gave on the cases that the model was validated on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OperatingPointMeasured)]
struct OperatingPointView {
    /// `sensitive`, `balanced` or `specific`; null where it has no name.
    name: Option<String>,
    threshold: f64,
    /// Mean Dice over cases with foreground.
    dice: f64,
    /// Share of the true voxels that are found.
    sensitivity: f64,
    /// Share of the found voxels that are true.
    precision: f64,
    /// False voxels per case, in millilitres.
    false_ml_per_case: f64,
    /// Cases.
    n: usize,
}

/// A task at one resolution.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskSpeed)]
struct SpeedView {
    /// `default`, `fast` or `fastest`.
    #[schema(value_type = String)]
    speed: Speed,
    /// Millimetres along x, y, z; null where nnU-Net's own resampling is used.
    #[schema(min_items = 3, max_items = 3)]
    spacing_mm: Option<[f64; 3]>,
    installed: bool,
    /// Weights that are not here.
    missing: Vec<String>,
    /// Bytes to fetch for them; null where a size is not published.
    bytes: Option<u64>,
    /// Licences of the weights that are not here, or else of the task.
    licence: String,
    /// Whether these licences let everybody use the weights for anything.
    permissive: bool,
    /// Why the weights that are not here cannot be fetched, and what to do instead.
    obstacle: Option<Refusal>,
}

/// A model on disk. Its place stays the server's affair.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Model)]
pub(super) struct ModelView {
    id: String,
    dataset: String,
    configuration: String,
    trainer: String,
    licence: String,
    folds: Vec<String>,
    bytes: u64,
    sha256: String,
    /// Whether it takes prompts: no task, but a network that corrections can ask.
    promptable: bool,
    /// `embedded`, `installed`, or `found` in a folder of TotalSegmentator.
    origin: &'static str,
}

/// All tasks.
pub(super) fn tasks(store: &ModelStore) -> Answer<Value> {
    let views: Vec<TaskView> = store.tasks().iter().map(|task| task_view(task, store)).collect();
    serde_json::to_value(views).map_err(|_| Refusal::internal())
}

/// All models that are here.
pub(super) fn models(store: &ModelStore) -> Answer<Value> {
    let view = |model: engine::InstalledModel| ModelView {
        id: model.id,
        dataset: model.dataset,
        configuration: model.configuration,
        trainer: model.trainer,
        licence: model.licence,
        folds: model.folds,
        bytes: model.bytes,
        sha256: model.sha256,
        promptable: model.promptable,
        origin: match model.origin {
            Origin::Embedded => "embedded",
            Origin::Installed(_) => "installed",
            Origin::Found(_) => "found",
        },
    };
    let views: Vec<ModelView> = store.list().into_iter().map(view).collect();
    serde_json::to_value(views).map_err(|_| Refusal::internal())
}

fn task_view(task: &Task, store: &ModelStore) -> TaskView {
    let all = [
        (Speed::Default, true),
        (Speed::Fast, task.modes.fast.is_some()),
        (Speed::Fastest, task.modes.fastest.is_some()),
    ];
    let speed_view = |(speed, _)| {
        let missing = store.missing(task, speed);
        let wanted: Vec<Wanted> = missing.iter().filter_map(|id| Wanted::find(id)).collect();
        let mut licences: Vec<&str> = wanted.iter().map(|wanted| wanted.licence.as_str()).collect();
        licences.sort_unstable();
        licences.dedup();
        SpeedView {
            speed,
            spacing_mm: task.mode(speed).spacing,
            installed: missing.is_empty(),
            bytes: install::bytes(&wanted).filter(|_| wanted.len() == missing.len()),
            licence: if licences.is_empty() { task.licence.clone() } else { licences.join(", ") },
            permissive: wanted.iter().all(Wanted::is_permissive),
            obstacle: wanted
                .iter()
                .find_map(Wanted::obstacle)
                .map(|error| Refusal::of(Code::ModelUnavailable, &error)),
            missing,
        }
    };
    TaskView {
        id: task.id.clone(),
        title: task.title.clone(),
        modality: task.modality.clone(),
        licence: task.licence.clone(),
        terms: task.terms.clone(),
        caution: task.caution.clone(),
        channels: channels::names(task),
        operating_points: channels::operating_points(task, store).into_iter().map(point_view).collect(),
        speeds: all.into_iter().filter(|(_, exists)| *exists).map(speed_view).collect(),
        segments: catalogue::segments(task),
    }
}

fn point_view(point: training::OperatingPoint) -> OperatingPointView {
    let training::OperatingPoint { threshold, dice, sensitivity, precision, false_ml_per_case, n, name } =
        point;
    OperatingPointView { name, threshold, dice, sensitivity, precision, false_ml_per_case, n }
}
