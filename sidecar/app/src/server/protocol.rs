//! What supervisor and worker say to each other: one JSON object a line, over the worker's standard input and output.
//! Voxels never pass here; they lie in the spool.

use std::collections::BTreeMap;
use std::path::PathBuf;

use engine::{Mode, SegmentOptions, Speed};
use imaging::{Grid, IndexBox};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::archive::Fetching;
use super::correcting::Correct;
use super::error::Refusal;
use super::id::Id;
use super::inputs::{ChannelImage, Input, OperatingPoint};

/// An order to the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    /// Answers carry the same number.
    pub(super) number: u64,
    pub(super) ask: Ask,
}

/// What the worker can do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ask {
    /// The device and the memory of this machine.
    Info,
    /// What can be segmented.
    Tasks,
    /// The models that are here.
    Models,
    /// Whether a job can be done: its task, images, structures, models, memory; [`Checked`] is the answer.
    Check(Work),
    /// Fetches the series of a volume; the boundary of its parts is the answer.
    Fetch(Fetching),
    /// Reads an upload; its images go to the volume's folder, [`Images`] are the answer.
    Read(Reading),
    /// Whether models can be installed, and how much there is to fetch.
    CheckInstall(InstallRequest),
    /// Fetches and imports what a task lacks.
    Install(InstallRequest),
    /// Deletes a model.
    Remove {
        /// Its name.
        model: String,
    },
    /// Segments; the labels go to `labels.u8` in the job's folder, the table is the answer.
    Segment(Work),
    /// Writes the labels of a finished job in another format, into its folder.
    Export {
        /// The job's folder.
        folder: PathBuf,
        /// Into which.
        format: Format,
    },
    /// Something about a session of corrections.
    Correct(Correct),
    /// Stops the order of that number within one patch.
    Cancel {
        /// Which.
        order: u64,
    },
}

/// What the worker says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Word {
    /// The order that it is about.
    pub(super) number: u64,
    pub(super) say: Say,
}

/// One thing said.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Say {
    /// How far a stage has come; `total` is 0 where nobody knows.
    Progress {
        /// In words for people.
        stage: String,
        /// Steps done.
        done: u64,
        /// Steps of this stage.
        total: u64,
        /// Of the whole order, 0 to 1; none where nobody knows yet.
        whole: Option<f64>,
        /// Seconds until the whole order is done; none where nobody knows yet.
        remaining: Option<f64>,
    },
    /// The order is done.
    Answer(Value),
    /// It could not be done.
    Refused(Refusal),
}

/// An upload to be read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Reading {
    /// The bytes as they came.
    pub(super) upload: PathBuf,
    /// Of a multipart body.
    pub(super) boundary: Option<String>,
    /// DICOM's code, where the client knows it and the file does not.
    pub(super) modality: Option<String>,
    /// Answers to what the file leaves open.
    pub(super) resolve: BTreeMap<String, String>,
    /// Where the images go.
    pub(super) folder: PathBuf,
}

/// What was read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Images {
    /// Image `n` lies in `n.nrrd`; see [`voxels`].
    pub(super) images: Vec<Image>,
    /// The one that is meant when nobody chooses.
    pub(super) usual: Option<usize>,
    pub(super) warnings: Vec<Note>,
}

/// One image of a volume.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Image {
    /// Unique in the volume.
    pub(super) id: String,
    /// What tells it from the others, for people.
    pub(super) label: String,
    /// In s/mm², of diffusion-weighted images.
    pub(super) b_value: Option<f64>,
    pub(super) grid: Grid,
    pub(super) dtype: String,
    /// DICOM's code, where known.
    pub(super) modality: Option<String>,
    /// SOP Instance UID of each plane k; none where no slice lies there.
    pub(super) sources: Vec<Option<String>>,
    /// Series Instance UID.
    pub(super) series: Option<String>,
    /// Whether [`origin`] is there.
    pub(super) has_origin: bool,
    pub(super) warnings: Vec<Note>,
}

/// Something that was found and dealt with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Note {
    /// Stable, for programs.
    pub(super) code: String,
    /// For people.
    pub(super) message: String,
}

/// The file of an image's voxels in a volume's folder.
pub(super) fn voxels(image: usize) -> String {
    format!("{image}.nrrd")
}

/// The file of what objects derived from an image repeat, in a volume's folder.
pub(super) fn origin(image: usize) -> String {
    format!("{image}.json")
}

/// Which of a volume's images a job works on.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = UsedGroup)]
pub(super) struct Used {
    /// Its name in the volume.
    pub(super) id: String,
    /// What tells it from the others, for people; empty where it is the only one.
    pub(super) label: String,
    /// In s/mm², of diffusion-weighted images.
    pub(super) b_value: Option<f64>,
}

impl Image {
    /// As a job names it.
    pub(super) fn used(&self) -> Used {
        Used { id: self.id.clone(), label: self.label.clone(), b_value: self.b_value }
    }
}

/// What a job works on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Work {
    /// The image whose grid is that of the result.
    pub(super) main: Input,
    /// Further images by the names of their channels.
    pub(super) channels: BTreeMap<String, Input>,
    /// Where results go.
    pub(super) folder: PathBuf,
    /// What is asked for.
    pub(super) request: JobRequest,
}

/// What a worker says of work that can be done.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Checked {
    /// Names of the task's channels, in order.
    pub(super) channels: Vec<String>,
}

/// What a job was asked to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Request {
    Segment(JobRequest),
    Install(InstallRequest),
}

impl Request {
    /// For clients.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Request::Segment(_) => Kind::Segment,
            Request::Install(_) => Kind::Install,
        }
    }

    /// The task that is run, or whose models are installed.
    pub(super) fn task(&self) -> &str {
        match self {
            Request::Segment(request) => &request.task,
            Request::Install(request) => &request.task,
        }
    }

    /// The volume that is segmented.
    pub(super) fn volume(&self) -> Option<&Id> {
        match self {
            Request::Segment(request) => Some(&request.volume),
            Request::Install(_) => None,
        }
    }
}

/// Kinds of jobs. Each kind is done one at a time, in a worker of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Segment,
    Install,
}

/// What `POST /v1/models` takes.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InstallRequest {
    /// A task; also a dataset number or the name of published weights.
    pub(super) task: String,
    /// `default`, `fast` or `fastest`.
    #[serde(default)]
    #[schema(value_type = String)]
    pub(super) speed: Speed,
    /// Agree to the terms of weights that are not free for every use.
    #[serde(default, alias = "accept_license")]
    pub(super) accept_licence: bool,
}

/// What `POST /v1/jobs` takes.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct JobRequest {
    /// A complete volume: the result lies on its grid.
    pub(super) volume: Id,
    /// One of the volume's groups; the usual one when left out.
    #[serde(default)]
    pub(super) group: Option<String>,
    /// Further images of a task that takes several, by the names of their channels; `volume` is the channel that is left.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) channels: BTreeMap<String, ChannelImage>,
    /// As `GET /v1/tasks` names it.
    pub(super) task: String,
    /// `default`, `fast` or `fastest`.
    #[serde(default)]
    #[schema(value_type = String)]
    pub(super) speed: Speed,
    /// Only these; empty: all.
    #[serde(default)]
    pub(super) structures: Vec<String>,
    /// Only this box: first voxel and the one after the last, along i, j, k.
    #[serde(default)]
    pub(super) region: Option<[[usize; 2]; 3]>,
    /// As the command line's `--robust-crop`.
    #[serde(default)]
    pub(super) robust_crop: bool,
    /// As `--body-seg`.
    #[serde(default)]
    pub(super) body_crop: bool,
    /// As `--remove-small-blobs`: cubic millimetres.
    #[serde(default)]
    pub(super) remove_small_mm3: Option<f64>,
    /// As `--mode precise`.
    #[serde(default)]
    pub(super) precise: bool,
    /// As `--operating-point`: the probability above which a voxel is foreground, or a name that the task has for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) operating_point: Option<OperatingPoint>,
    /// Keep the networks' second choice for corrections: two bytes a voxel more.
    #[serde(default)]
    pub(super) keep_runner_up: bool,
    /// Run although the image is of another modality than the task.
    #[serde(default)]
    pub(super) force: bool,
}

impl JobRequest {
    /// In the engine's words, but for the operating point, which the model's card explains.
    pub(super) fn plain_options(&self) -> SegmentOptions {
        let region = self
            .region
            .map(|sides| IndexBox { start: sides.map(|[from, _]| from), end: sides.map(|[_, to]| to) });
        SegmentOptions {
            speed: self.speed,
            mode: if self.precise { Mode::Precise } else { Mode::Compatible },
            only: self.structures.clone(),
            region,
            robust_crop: self.robust_crop,
            body_crop: self.body_crop,
            remove_small_mm3: self.remove_small_mm3,
            keep_runner_up: self.keep_runner_up,
            ..SegmentOptions::default()
        }
    }
}

/// Formats of files that labels are given in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Format {
    /// NIfTI, packed with gzip.
    #[serde(rename = "nifti")]
    Nifti,
    /// 3D Slicer's segmentation file.
    #[serde(rename = "seg.nrrd")]
    SegNrrd,
    /// A DICOM Segmentation object, where the image came as a DICOM series.
    #[serde(rename = "dicom-seg")]
    DicomSeg,
}

impl Format {
    /// The file in the job's folder.
    pub(super) fn file(self) -> &'static str {
        match self {
            Format::Nifti => "labels.nii.gz",
            Format::SegNrrd => "labels.seg.nrrd",
            Format::DicomSeg => "labels.dcm",
        }
    }
}

/// Raw labels in the job's folder: one byte a voxel, i fastest, in the input's own grid and order.
pub(super) const LABELS: &str = "labels.u8";
/// The table in the job's folder.
pub(super) const TABLE: &str = "table.json";
/// A [`formats::dicom::Source`] in the job's folder, where the image came with one.
pub(super) const ORIGIN: &str = "origin.json";
