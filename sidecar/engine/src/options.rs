//! How a segmentation is asked for, and what is told about how it was made.

use imaging::IndexBox;
use serde::Serialize;

use crate::task::Speed;

/// How numbers are treated outside the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Every stage but the network is bit-exact with the published Python on a processor.
    #[default]
    Compatible,
    /// Sums in single instead of half precision; scores interpolated straight onto the image's own grid.
    Precise,
}

/// How labels come back from the model's grid to the image's own, in compatible mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Upsampling {
    /// Nearest voxel: TotalSegmentator's default.
    #[default]
    Nearest,
    /// Each structure's mask interpolated and cut at one half: `--higher_order_resampling_LEGACY`.
    Masks,
    /// nnU-Net resamples image and scores by itself: `-ho`.
    Scores,
}

/// How to segment; the default is TotalSegmentator's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SegmentOptions {
    /// Resolution.
    pub speed: Speed,
    /// Numerics.
    pub mode: Mode,
    /// Only these structures; empty: all.
    pub only: Vec<String>,
    /// Only this box of the image; nothing is searched for first.
    pub region: Option<IndexBox>,
    /// Find the crop of `only` or of the task with the 3 mm instead of the 6 mm model.
    pub robust_crop: bool,
    /// Find the body first and segment only the box around it.
    pub body_crop: bool,
    /// Spline order of the resampling to the model's spacing: 0, 1 or 3.
    pub resampling_order: u8,
    /// The way back.
    pub upsampling: Upsampling,
    /// Predict three overlapping thirds along the patient's axis, as TotalSegmentator does with very large images.
    pub force_split: bool,
    /// Drop components of every class up to this many mm³.
    pub remove_small_mm3: Option<f64>,
    /// Keep what the networks would have said second, for corrections. Two bytes a voxel more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keep_runner_up: bool,
    /// The probability above which a voxel is foreground, in (0, 1): sensitivity against specificity. One half, or
    /// what wins, when none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
}

impl Default for SegmentOptions {
    fn default() -> SegmentOptions {
        SegmentOptions {
            speed: Speed::Default,
            mode: Mode::Compatible,
            only: Vec::new(),
            region: None,
            robust_crop: false,
            body_crop: false,
            resampling_order: 1,
            upsampling: Upsampling::Nearest,
            force_split: false,
            remove_small_mm3: None,
            keep_runner_up: false,
            threshold: None,
        }
    }
}

/// Which model made a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelUsed {
    /// The name in the store.
    pub id: String,
    /// nnU-Net's dataset name.
    pub dataset: String,
    /// nnU-Net's trainer.
    pub trainer: String,
    /// SHA-256 of the model file.
    pub sha256: String,
    /// Folds averaged.
    pub folds: usize,
}

/// How a result was made: enough to make it again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Provenance {
    /// Version of this engine.
    pub version: &'static str,
    /// The task.
    pub task: String,
    /// What was asked for.
    pub options: SegmentOptions,
    /// The models, in the order they ran.
    pub models: Vec<ModelUsed>,
    /// What the user should know: a crop that was skipped, a device that failed.
    pub warnings: Vec<String>,
    /// Seconds of each stage, in order.
    pub seconds: Vec<(String, f64)>,
}
