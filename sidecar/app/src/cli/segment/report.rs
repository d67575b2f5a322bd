//! `--report`: how a result was made, for pipelines and for making it again.

use std::path::{Path, PathBuf};
use std::time::Instant;

use engine::{ModelUsed, Runtime, RuntimeInfo, SegmentOptions};
use imaging::Segment;
use serde::Serialize;

use super::channels::Channel;
use super::write;

/// What is known outside the engine.
pub(super) struct Surroundings<'a> {
    /// When the command began.
    pub(super) began: Instant,
    /// Seconds of reading the image.
    pub(super) reading: f64,
    /// What the networks ran on.
    pub(super) runtime: &'a Runtime,
}

/// The report; fields are added, never renamed.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    vesalius_version: &'static str,
    task: &'a str,
    modality: &'a str,
    licence: &'a str,
    /// What the networks ran on, and what was tried before.
    device: RuntimeInfo,
    options: &'a SegmentOptions,
    /// Name, trainer and SHA-256 of every model that ran.
    models: &'a [ModelUsed],
    input: Input<'a>,
    /// The images of all channels of the task, in its order.
    channels: Vec<ChannelUsed<'a>>,
    classes: Vec<Class<'a>>,
    /// Seconds of each stage, in order.
    timings: Vec<Timing>,
    runtime_seconds: f64,
    outputs: Vec<PathBuf>,
    warnings: Vec<String>,
}

/// The image.
#[derive(Debug, Serialize)]
struct Input<'a> {
    path: Option<&'a Path>,
    modality: Option<&'a str>,
    /// Voxels along i, j, k.
    size: [usize; 3],
    /// Millimetres along i, j, k.
    spacing_mm: [f64; 3],
    /// Rows of the affine from `[i, j, k, 1]` to LPS+ millimetres.
    matrix_lps: [[f64; 4]; 4],
}

/// An image of a task.
#[derive(Debug, Serialize)]
struct ChannelUsed<'a> {
    name: &'a str,
    path: &'a Path,
    /// Series Instance UID, of DICOM.
    series: Option<&'a str>,
    /// Whether it lay on another grid than the first image.
    resampled: bool,
}

/// A structure.
#[derive(Debug, Serialize)]
struct Class<'a> {
    value: u8,
    name: &'a str,
    voxels: u64,
}

/// A stage.
#[derive(Debug, Serialize)]
struct Timing {
    stage: String,
    seconds: f64,
}

impl<'a> Report<'a> {
    /// The report of `result`; writing took `writing` seconds so far, and gave `outputs`.
    pub(super) fn of(
        result: &write::Result<'a>,
        surroundings: &Surroundings<'_>,
        writing: f64,
        outputs: Vec<PathBuf>,
    ) -> Report<'a> {
        let provenance = &result.outcome.provenance;
        let segmentation = &result.outcome.segmentation;
        let counts = segmentation.labels.counts();
        let class = |segment: &'a Segment| {
            let Segment { value, name, .. } = segment;
            Class { value: *value, name, voxels: counts[usize::from(*value)] }
        };
        let stages = provenance.seconds.iter().map(|(stage, seconds)| (stage.clone(), *seconds));
        let timings = std::iter::once(("reading".to_owned(), surroundings.reading))
            .chain(stages)
            .chain([("writing".to_owned(), writing)])
            .map(|(stage, seconds)| Timing { stage, seconds: milliseconds(seconds) });
        let read = result.image.warnings.iter().map(|warning| warning.message.clone());
        let fallbacks = surroundings.runtime.fallbacks().into_iter().map(|fallback| fallback.to_string());
        let grid = &result.image.volume.grid;
        Report {
            vesalius_version: env!("CARGO_PKG_VERSION"),
            task: &result.task.id,
            modality: &result.task.modality,
            licence: &result.task.licence,
            device: surroundings.runtime.info(),
            options: &provenance.options,
            models: &provenance.models,
            input: Input {
                path: result.arguments.input.as_deref(),
                modality: super::modality(result.image),
                size: grid.size,
                spacing_mm: grid.spacing(),
                matrix_lps: grid.matrix(),
            },
            channels: result.channels.iter().map(channel).collect(),
            classes: segmentation.segments.iter().map(class).collect(),
            timings: timings.collect(),
            runtime_seconds: milliseconds(surroundings.began.elapsed().as_secs_f64()),
            outputs,
            warnings: read.chain(provenance.warnings.iter().cloned()).chain(fallbacks).collect(),
        }
    }
}

fn channel(channel: &Channel) -> ChannelUsed<'_> {
    let Channel { name, path, series, resampled } = channel;
    ChannelUsed { name, path, series: series.as_deref(), resampled: *resampled }
}

/// Seconds, to the millisecond.
fn milliseconds(seconds: f64) -> f64 {
    (seconds * 1e3).round() / 1e3
}
