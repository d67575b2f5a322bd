//! One training as a file: everything that `python/train.py` needs to know, and nothing that changes between starts.

use std::path::PathBuf;

use nnunet::Weights;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Settings;

/// Name of the file with all weights to start from, f32, little-endian.
pub const WEIGHTS_FILE: &str = "weights.f32";
/// Name of the file that tells what they are.
pub const WEIGHTS_TABLE: &str = "weights.json";

/// One training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// nnU-Net's folder of raw data sets.
    pub raw: PathBuf,
    /// nnU-Net's folder of preprocessed ones, shared by trainings of one plan.
    pub preprocessed: PathBuf,
    /// nnU-Net's folder of results; this training's alone.
    pub results: PathBuf,
    /// `Dataset501_StrokeC`.
    pub dataset: String,
    /// SHA-256 over the names and contents of its files.
    pub dataset_sha256: String,
    /// The data set whose plan is used, where databases are compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plans_of: Option<String>,
    /// A `plans.json` to use as it is, such as that of the model which is trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plans: Option<PathBuf>,
    /// Folder with weights to start from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_from: Option<PathBuf>,
    /// SHA-256 of the model that they are from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_sha256: Option<String>,
    /// For each label of the data set, background first: the label of the same structure in that model, whose row of the
    /// last layer is taken over; none where the model does not know it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub start_labels: Vec<Option<u8>>,
    /// How long and how.
    pub settings: Settings,
    /// Splits to use instead of the data set's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub splits: Option<Value>,
    /// Fold of `splits_final.json`, or `all`: every case, none to validate on.
    pub fold: Value,
    /// Seed of all chance.
    pub seed: u64,
    /// `cpu`, `cuda` or `mps`.
    pub device: String,
    /// Graphics cards, for nnU-Net's distributed training.
    pub gpus: u32,
    /// Processes that augment images; with 0 the same seed gives the same training on a processor.
    pub workers: u32,
    /// Processes that preprocess.
    pub processes: u32,
    /// Threads of PyTorch on a processor.
    pub threads: u32,
    /// Image files of the case that nnU-Net predicts itself.
    pub parity_case: Vec<PathBuf>,
    /// This program, which makes the cases that are not on disk.
    #[serde(default)]
    pub program: PathBuf,
    /// Whether to stop before the training.
    pub only_prepare: bool,
}

impl Job {
    /// What must be equal for one training to be the continuation of another; machines and places may differ.
    #[must_use]
    pub fn identity(&self) -> Value {
        json!({
            "dataset": self.dataset, "dataset_sha256": self.dataset_sha256, "plans_of": self.plans_of,
            "start_sha256": self.start_sha256, "settings": self.settings, "fold": self.fold, "seed": self.seed,
            "splits": self.splits,
        })
    }

    /// The first thing in which this job differs from another, for the user.
    #[must_use]
    pub fn difference(&self, other: &Job) -> Option<String> {
        let (ours, theirs) = (self.identity(), other.identity());
        let keys = ours.as_object()?.keys();
        let mut differing = keys.filter(|key| ours[key.as_str()] != theirs[key.as_str()]);
        differing.next().map(|key| format!("{key}: {} here, {} there", ours[key], theirs[key]))
    }
}

/// The table of weights and their bytes, as `python/vesalius_trainer.py` reads them.
#[must_use]
pub fn weights_table(weights: &Weights) -> (Value, Vec<u8>) {
    let (mut table, mut bytes, mut first) = (Vec::new(), Vec::new(), 0);
    for (name, tensor) in weights {
        let count = tensor.values.len();
        table.push(json!({ "name": name, "shape": tensor.shape, "first": first, "count": count }));
        bytes.extend(tensor.values.iter().flat_map(|value| value.to_le_bytes()));
        first += count;
    }
    (Value::Array(table), bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nnunet::Tensor;

    fn job() -> Job {
        Job {
            raw: "raw".into(),
            preprocessed: "preprocessed".into(),
            results: "results".into(),
            dataset: "Dataset501_Stroke".into(),
            dataset_sha256: "00".into(),
            plans_of: None,
            plans: None,
            start_from: None,
            start_sha256: None,
            start_labels: Vec::new(),
            settings: crate::Preset::Smoke.settings(),
            fold: json!(0),
            seed: 1,
            device: "cpu".into(),
            gpus: 1,
            workers: 0,
            processes: 2,
            threads: 1,
            splits: None,
            parity_case: Vec::new(),
            program: PathBuf::new(),
            only_prepare: false,
        }
    }

    #[test]
    fn machines_may_change_and_data_may_not() {
        let moved = Job { device: "cuda".into(), threads: 8, raw: "elsewhere".into(), ..job() };
        assert_eq!(job().difference(&moved), None);
        let other = Job { dataset_sha256: "11".into(), ..job() };
        assert_eq!(job().difference(&other).unwrap(), "dataset_sha256: \"00\" here, \"11\" there");
        let other = Job { seed: 2, ..job() };
        assert_eq!(job().difference(&other).unwrap(), "seed: 1 here, 2 there");
        let text = serde_json::to_string(&job()).unwrap();
        assert_eq!(serde_json::from_str::<Job>(&text).unwrap(), job());
    }

    #[test]
    fn weights_lie_one_after_another() {
        let tensor = |shape: &[usize], values: &[f32]| Tensor { shape: shape.into(), values: values.into() };
        let weights = Weights::from([
            ("a".to_owned(), tensor(&[2, 1], &[1.0, 2.0])),
            ("b".to_owned(), tensor(&[1], &[-3.0])),
        ]);
        let (table, bytes) = weights_table(&weights);
        assert_eq!(table[1], json!({"name": "b", "shape": [1], "first": 2, "count": 1}));
        assert_eq!(bytes.len(), 12);
        assert_eq!(bytes[8..], (-3.0f32).to_le_bytes());
    }
}
