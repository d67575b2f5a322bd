//! The images of a job: what a client asks for, what is written down of it, and how the worker reads them, each as the
//! channel that the task names.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use engine::{ModelStore, SegmentOptions, Task};
use formats::{ReadOptions, dicom};
use imaging::{Grid, Progress, Volume};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{Answer, Choice, Code, Refusal};
use super::id::Id;
use super::protocol::{JobRequest, Note, Used, Work};
use super::worker::of_formats;
use crate::channels::{self, About, Problem};

/// An image for one channel of a task.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChannelImage {
    /// A complete volume; may be the job's own.
    pub(super) volume: Id,
    /// One of the volume's groups; the usual one when left out.
    #[serde(default)]
    pub(super) group: Option<String>,
}

/// The probability above which a voxel is foreground.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged, expecting = "`operating_point` is neither a number nor a name of `GET /v1/tasks`")]
pub(super) enum OperatingPoint {
    /// Between 0 and 1.
    Threshold(f64),
    /// As `GET /v1/tasks` names it.
    Name(String),
}

/// Which image a channel of a job was.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = UsedChannel)]
pub(super) struct UsedChannel {
    /// As the task names it.
    pub(super) name: String,
    pub(super) volume: Id,
    /// The image of that volume.
    pub(super) group: Used,
}

/// A channel of a result, and where it came from.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ChannelSource)]
pub(super) struct ChannelSource {
    #[serde(flatten)]
    channel: UsedChannel,
    /// Series Instance UID, where the image is of a DICOM series.
    series: Option<String>,
    /// Whether it lay on another grid than the labels.
    resampled: bool,
}

/// An image that a worker works on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Input {
    pub(super) volume: Id,
    /// Of the volume's images.
    pub(super) group: Used,
    /// A NRRD file in the spool.
    pub(super) voxels: PathBuf,
    /// What derived objects repeat, where the image came with it.
    pub(super) origin: Option<PathBuf>,
    /// Of the reading.
    pub(super) warnings: Vec<Note>,
    pub(super) grid: Grid,
    /// DICOM's code, where the client knew it.
    pub(super) modality: Option<String>,
    /// Series Instance UID.
    pub(super) series: Option<String>,
}

/// The images of a job as the engine takes them.
pub(super) struct Channels {
    /// In the task's order, on the grid of the main image.
    pub(super) volumes: Vec<Volume>,
    pub(super) sources: Vec<ChannelSource>,
    /// What was mended, assumed or resampled.
    pub(super) warnings: Vec<String>,
}

impl Work {
    /// Each channel of the task, in order, with its image.
    pub(super) fn inputs(&self, task: &Task) -> Answer<Vec<(String, &Input)>> {
        let others = self.channels.iter().map(|(name, input)| (Some(name.clone()), input));
        let assigned = channels::assign(task, others).map_err(of_problem)?;
        Ok(assigned.into_iter().map(|(name, other)| (name, other.unwrap_or(&self.main))).collect())
    }

    /// The channels as they are written down.
    pub(super) fn used(&self, names: &[String]) -> Vec<UsedChannel> {
        let others: BTreeMap<String, &Input> =
            self.channels.iter().map(|(name, input)| (name.to_ascii_uppercase(), input)).collect();
        let used = |name: &String| {
            let input = others.get(&name.to_ascii_uppercase()).copied().unwrap_or(&self.main);
            UsedChannel { name: name.clone(), volume: input.volume.clone(), group: input.group.clone() }
        };
        names.iter().map(used).collect()
    }

    /// Refuses images that do not fit the task or each other. Reads no voxel.
    pub(super) fn check_inputs(&self, task: &Task) -> Answer<Vec<(String, &Input)>> {
        let inputs = self.inputs(task)?;
        for (name, input) in &inputs {
            let found = input.modality.as_ref().filter(|found| !channels::fits(task, name, found));
            let Some(found) = found.filter(|_| !self.request.force) else { continue };
            let message = match inputs.len() {
                1 => format!("task `{}` is for {}, and the image is {found}", task.id, task.modality),
                _ => Problem::Modality { name: name.clone(), found: found.clone() }.to_string(),
            };
            let hint = "choose another task or image, or send `force: true`";
            return Err(Refusal::new(Code::ModalityMismatch, message, hint));
        }
        let main = self.main.source()?;
        for (name, input) in inputs.iter().filter(|(_, input)| !std::ptr::eq(*input, &self.main)) {
            let source = input.source()?;
            let about = About { grid: &input.grid, source: source.as_ref() };
            let main = About { grid: &self.main.grid, source: main.as_ref() };
            channels::belong(name, main, about).map_err(of_problem)?;
        }
        Ok(inputs)
    }

    /// Reads all images, and brings them onto the grid of the main one.
    pub(super) fn read_inputs(&self, task: &Task, progress: &Progress) -> Answer<Channels> {
        let inputs = self.check_inputs(task)?;
        let is_one = inputs.len() == 1;
        let mut read = Channels { volumes: Vec::new(), sources: Vec::new(), warnings: Vec::new() };
        for (name, input) in inputs {
            let image =
                formats::read(&input.voxels, &ReadOptions::default(), progress).map_err(of_formats)?;
            let found = input.warnings.iter().map(|note| &note.message);
            let found = found.chain(image.warnings.iter().map(|warning| &warning.message));
            let named =
                |message: &String| if is_one { message.clone() } else { format!("{name}: {message}") };
            read.warnings.extend(found.map(named));
            let (volume, resampled) = channels::on_grid(&name, image.volume, &self.main.grid);
            let channel = UsedChannel { name, volume: input.volume.clone(), group: input.group.clone() };
            let series = input.series.clone();
            read.sources.push(ChannelSource { channel, series, resampled: resampled.is_some() });
            read.warnings.extend(resampled);
            read.volumes.push(volume);
        }
        Ok(read)
    }
}

impl Input {
    /// What it repeats of the DICOM series that it came from.
    fn source(&self) -> Answer<Option<dicom::Source>> {
        let Some(path) = &self.origin else { return Ok(None) };
        let bytes = fs::read(path).map_err(|error| Refusal::spool(&error))?;
        serde_json::from_slice(&bytes).map(Some).map_err(|error| Refusal::spool(&error.into()))
    }
}

impl JobRequest {
    /// In the engine's words.
    pub(super) fn options(&self, task: &Task, store: &ModelStore) -> Answer<SegmentOptions> {
        let asked = self.operating_point.as_ref().map(|point| match point {
            OperatingPoint::Threshold(number) => number.to_string(),
            OperatingPoint::Name(name) => name.clone(),
        });
        let threshold = asked.map(|asked| channels::threshold(&asked, task, store)).transpose();
        let threshold = threshold.map_err(|error| Refusal::of(Code::UnknownOperatingPoint, &error))?;
        Ok(SegmentOptions { threshold, ..self.plain_options() })
    }
}

/// A problem under its code, with what can be named where a name is missing.
fn of_problem(problem: Problem) -> Refusal {
    let (code, names) = match &problem {
        Problem::Count { missing, .. } => (Code::ChannelMissing, missing.clone()),
        Problem::Unknown { names, .. } => (Code::UnknownChannel, names.clone()),
        Problem::Twice { .. } => (Code::UnknownChannel, Vec::new()),
        Problem::Modality { .. } => (Code::ModalityMismatch, Vec::new()),
        Problem::Patient { .. }
        | Problem::Study { .. }
        | Problem::Frame { .. }
        | Problem::Elsewhere { .. } => (Code::ChannelMismatch, Vec::new()),
    };
    let hint = match &problem {
        Problem::Count { names, .. } if names.len() == 1 => "leave `channels` out".to_owned(),
        Problem::Count { missing, .. } if missing.len() > 1 => {
            let wanted: Vec<String> =
                missing.iter().skip(1).map(|name| format!("\"{name}\": {{\"volume\": ID}}")).collect();
            format!("send `channels: {{{}}}`; `volume` is then {}", wanted.join(", "), missing[0])
        }
        Problem::Count { .. } => {
            "leave the channel that `volume` is out of `channels`, and name all others".to_owned()
        }
        other => other.hint().to_owned(),
    };
    let choice = |name: String| Choice { key: "channels".to_owned(), value: name.clone(), label: name };
    Refusal {
        choices: names.into_iter().map(choice).collect(),
        ..Refusal::new(code, problem.to_string(), hint)
    }
}
