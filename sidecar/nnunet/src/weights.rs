//! The weights of a trained network, by PyTorch's names.

use std::collections::BTreeMap;

use crate::plan::Plan;

/// One weight: values in C order over `shape`.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Length of each axis; a convolution's is `[out, in, z, y, x]`, a transposed one's `[in, out, z, y, x]`.
    pub shape: Vec<usize>,
    /// All finite.
    pub values: Vec<f32>,
}

/// Weights by name, without the aliases that PyTorch stores: `encoder.stages.0.0.convs.0.conv.weight`.
pub type Weights = BTreeMap<String, Tensor>;

/// One trained network of a cross-validation; predictions of several are averaged.
#[derive(Debug, Clone, PartialEq)]
pub struct Fold {
    /// `fold_0`.
    pub name: String,
    /// Exactly those that the plan's network uses.
    pub weights: Weights,
}

/// A trained model: what it expects, its networks, and where they are from.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// What it expects and gives.
    pub plan: Plan,
    /// At least one, in order of their numbers.
    pub folds: Vec<Fold>,
    /// Where it is from.
    pub source: Source,
}

/// Where a model is from; goes into every result's provenance.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// `Dataset297_TotalSegmentator_total_3mm_1559subj/nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres`.
    pub name: String,
    /// The files that were read.
    pub files: Vec<SourceFile>,
    /// The program that read them, with its version.
    pub converter: String,
    /// SPDX identifier or sentence; the importer cannot know it, whoever packs the model writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Anything a user should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The model's card, where it was trained with one: JSON whose form its writer knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<serde_json::Value>,
    /// Kinds of objects that the checkpoints held besides and that were skipped: `pathlib.PosixPath`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<String>,
}

/// A file that a model was read from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceFile {
    /// Relative to the trainer folder, with `/`: `fold_0/checkpoint_final.pth`.
    pub path: String,
    /// Lower-case hexadecimal.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
}
