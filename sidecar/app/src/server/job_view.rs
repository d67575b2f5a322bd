//! A job as clients see it. Fields are added, never renamed.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::Refusal;
use super::id::Id;
use super::inputs::UsedChannel;
use super::protocol::{Kind, Request, Used};

/// What has become of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = JobState)]
pub(super) enum State {
    Queued,
    Running,
    Done,
    Failed,
    Cancelled,
}

impl State {
    /// Whether nothing more will come.
    pub(super) fn is_final(self) -> bool {
        matches!(self, State::Done | State::Failed | State::Cancelled)
    }
}

/// What clients see of a job.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Job)]
pub(super) struct View {
    pub(super) id: Id,
    /// `segment` or `install`.
    kind: Kind,
    /// What is segmented.
    volume: Option<Id>,
    /// The image of the volume that is segmented.
    group: Option<String>,
    /// What tells that image from the others of its volume, for people, such as `b = 1000 s/mm²`.
    group_label: Option<String>,
    /// The images of all channels of the task, in its order.
    channels: Vec<UsedChannel>,
    task: String,
    pub(super) created: u64,
    pub(super) state: State,
    /// What is being done, in words for people.
    stage: Option<String>,
    /// Of this stage, 0 to 1; null where nobody knows.
    fraction: Option<f64>,
    /// Of this stage, from its pace so far.
    seconds_left: Option<f64>,
    /// Of the whole job, 0 to 1; never less than before; null where nobody knows yet.
    progress: Option<f64>,
    /// Of the whole job, from its pace so far; null where nobody knows yet.
    remaining_seconds: Option<f64>,
    /// One plain sentence.
    message: String,
    pub(super) error: Option<Refusal>,
}

/// How far a job has come, as its worker tells it.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) stage: String,
    pub(super) done: u64,
    pub(super) total: u64,
    /// Of the whole job, 0 to 1.
    pub(super) whole: Option<f64>,
    /// Seconds until the job is done.
    pub(super) remaining: Option<f64>,
}

impl View {
    /// A job in a state, before anything is known of its progress.
    pub(super) fn new(
        id: &Id,
        request: &Request,
        group: Option<&Used>,
        created: u64,
        state: State,
        error: Option<&Refusal>,
    ) -> View {
        let message = match (state, error) {
            (_, Some(error)) => error.message.clone(),
            (State::Queued, _) => "waiting for other jobs".to_owned(),
            (State::Running, _) => "starting".to_owned(),
            (State::Done, _) => "done".to_owned(),
            (State::Failed | State::Cancelled, _) => "stopped".to_owned(),
        };
        let all = (state == State::Done).then_some(1.0);
        View {
            id: id.clone(),
            kind: request.kind(),
            volume: request.volume().cloned(),
            group: group.map(|group| group.id.clone()),
            group_label: group.map(|group| group.label.clone()).filter(|label| !label.is_empty()),
            channels: Vec::new(),
            task: request.task().to_owned(),
            created,
            state,
            stage: None,
            fraction: all,
            seconds_left: None,
            progress: all,
            remaining_seconds: None,
            message,
            error: error.cloned(),
        }
    }

    /// With the images of its channels.
    pub(super) fn with_channels(self, channels: &[UsedChannel]) -> View {
        View { channels: channels.to_vec(), ..self }
    }

    /// Shows how far a stage, which began `elapsed` seconds ago, and the job have come.
    pub(super) fn advance(&mut self, step: Step, elapsed: f64) {
        let Step { stage, done, total, whole, remaining } = step;
        let pace = (total > 0 && done > 0).then(|| elapsed / done as f64);
        self.fraction = (total > 0).then(|| done as f64 / total as f64);
        self.seconds_left = pace.map(|pace| (pace * total.saturating_sub(done) as f64).round());
        self.progress = whole.map_or(self.progress, |whole| Some(whole.max(self.progress.unwrap_or(0.0))));
        self.remaining_seconds = remaining.map(f64::round).or(self.remaining_seconds);
        self.message = match (self.remaining_seconds, self.progress) {
            (Some(seconds), Some(progress)) => {
                format!("{stage}: {:.0} %, about {seconds:.0} s left", 100.0 * progress)
            }
            _ if total > 1 => format!("{stage}: {done} of {total}"),
            _ => stage.clone(),
        };
        self.stage = Some(stage);
    }
}
