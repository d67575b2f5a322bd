//! What a model expects and gives, as values: read from nnU-Net's `plans.json` and `dataset.json`.

use serde::{Deserialize, Serialize};

use crate::architecture::Architecture;
use crate::interactions::Interactions;

/// Everything needed to prepare an image for a network and to read its answer, whichever form it was written in.
///
/// "Network axes" are nnU-Net's: the image's axes `(z, y, x)` = our `[[k, j, i]]`, permuted by `transpose_forward`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// `Dataset297_TotalSegmentator_total_3mm_1559subj`.
    pub dataset: String,
    /// `3d_fullres`.
    pub configuration: String,
    /// `nnUNetTrainerNoMirroring`; names the recipe, nothing is run from it.
    pub trainer: String,
    /// Input channels in order: `CT`.
    pub channels: Vec<String>,
    /// How each channel is normalised, as many as `channels`.
    pub normalization: Vec<Normalization>,
    /// Foreground labels of `dataset.json` (without `ignore`), by rising value; of regions, the value each one paints.
    pub labels: Vec<Label>,
    /// What the network's output channels stand for.
    pub outputs: Outputs,
    /// Voxels of one patch along the network axes.
    pub patch_size: [usize; 3],
    /// Millimetres along the network axes at which the network was trained.
    pub spacing: [f64; 3],
    /// Network axis `a` is image axis `transpose_forward[a]` of `(z, y, x)`.
    pub transpose_forward: [usize; 3],
    /// Image axis `a` is network axis `transpose_backward[a]`.
    pub transpose_backward: [usize; 3],
    /// How images are brought to `spacing`.
    pub resampling: Resampling,
    /// How scores are brought back to the grid that was given.
    pub resampling_of_scores: Resampling,
    /// nnU-Net's reader: `NibabelIOWithReorient` turns images to RAS first, `SimpleITKIO` and `NibabelIO` do not.
    pub reader: String,
    /// The network.
    pub architecture: Architecture,
    /// How it takes prompts, which are its channels behind the first; `None` for networks that segment by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interactions: Option<Interactions>,
}

/// One class of `dataset.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The name as written there.
    pub name: String,
    /// The value in the label map.
    pub value: u8,
}

/// How one channel's intensities become the network's input, all in f32 (nnunetv2.preprocessing.normalization).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalization {
    /// Clip to `[lower, upper]`, subtract `mean`, divide by `std` (of the training set's foreground).
    Ct {
        /// 0.5 percentile.
        lower: f64,
        /// 99.5 percentile.
        upper: f64,
        /// Mean.
        mean: f64,
        /// Standard deviation.
        std: f64,
    },
    /// Subtract the image's own mean, divide by its own standard deviation.
    ZScore {
        /// Over the nonzero region only, the rest set to 0.
        use_mask: bool,
    },
    /// As it is.
    None,
    /// Minimum to 0, maximum to 1.
    RescaleTo01,
    /// Divide by 255.
    RgbTo01,
}

/// What the output channels stand for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outputs {
    /// Channel `c` is label `c`, channel 0 the background; the largest wins.
    Classes {
        /// Number of channels, background included.
        count: usize,
    },
    /// Channel `c` is a region; where its score is above 0 it paints `values[c]`, in this order.
    Regions {
        /// `regions_class_order` of `dataset.json`.
        values: Vec<u8>,
    },
}

impl Outputs {
    /// Number of output channels.
    #[must_use]
    pub fn channels(&self) -> usize {
        match self {
            Outputs::Classes { count } => *count,
            Outputs::Regions { values } => values.len(),
        }
    }
}

/// Parameters of nnU-Net's `resample_data_or_seg_to_shape`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resampling {
    /// Spline order in general and within slices.
    pub order: u8,
    /// Spline order across slices where these are treated apart.
    pub order_z: u8,
    /// Whether slices are treated apart: always, never, or (None) when the spacing's ratio exceeds 3.
    pub force_separate_z: Option<bool>,
}
