//! What can be asked for: a task, the models that it runs, and how their answers become one label map.

use std::collections::BTreeMap;

use nnunet::Plan;
use serde::{Deserialize, Serialize};

/// What to segment, and with which models. Built-in tasks are `tasks/*.toml`; an imported model makes its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// `total`, as TotalSegmentator's users know it.
    pub id: String,
    /// One line for people.
    pub title: String,
    /// `CT` or `MR`.
    pub modality: String,
    /// The images that it takes, in order, where they are several: `DWI`, `ADC`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
    /// Of the weights: an SPDX name, `licensed`, `unreleased` or `unknown`.
    pub licence: String,
    /// What the licence asks for, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub terms: String,
    /// What a user should know before trusting the result.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub caution: String,
    /// Names of the structures; value = position + 1.
    pub classes: Vec<String>,
    /// sRGB for structures that the terminology table has no colour for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub colors: BTreeMap<String, [u8; 3]>,
    /// Structures of which only the largest piece is kept, pieces joined through faces, edges or corners.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep_largest: Vec<String>,
    /// The same structures at several resolutions.
    pub modes: Modes,
}

/// The resolutions at which a task can be run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Modes {
    /// The finest.
    pub default: Mode,
    /// `--fast`: mostly 3 mm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fast: Option<Mode>,
    /// `--fastest`: 6 mm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fastest: Option<Mode>,
}

/// Which resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Speed {
    /// The finest that the task has.
    #[default]
    Default,
    /// `--fast`.
    Fast,
    /// `--fastest`.
    Fastest,
}

/// A task at one resolution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mode {
    /// Millimetres along x, y, z (canonical RAS axes) that images are resampled to; none: nnU-Net's own resampling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spacing: Option<[f64; 3]>,
    /// Step of the sliding window as a share of the patch.
    pub step: f64,
    /// Look first for these structures and segment only the box around them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<Crop>,
    /// Clear what lies far from these structures of the crop's own segmentation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove_outside: Option<RemoveOutside>,
    /// The models to run, in painting order: later ones overwrite.
    pub parts: Vec<Part>,
}

/// A rough segmentation that tells where to look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crop {
    /// The task that finds the structures.
    pub task: String,
    /// At this resolution.
    pub mode: Speed,
    /// The structures to find.
    pub classes: Vec<String>,
    /// Millimetres added on every side, as TotalSegmentator does in effect.
    pub margin_mm: f64,
    /// Millimetres that TotalSegmentator's configuration asks for (used in precise mode).
    pub configured_margin_mm: f64,
}

/// Where a result may not be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveOutside {
    /// Structures of the rough segmentation.
    pub classes: Vec<String>,
    /// Millimetres of dilation around them.
    pub margin_mm: f64,
}

/// One model of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Which weights: a dataset number of TotalSegmentator, or the name of an installed model.
    pub weights: String,
    /// Folds to average; empty: all that are there.
    #[serde(default = "first_fold")]
    pub folds: Vec<u32>,
    /// The task's value for the model's labels 1, 2, ...; 0 drops a label.
    pub labels: Vec<u8>,
}

/// TotalSegmentator runs fold 0 unless a task says otherwise.
fn first_fold() -> Vec<u32> {
    vec![0]
}

impl Task {
    /// The task at `speed`; a task without that resolution is run at its finest, as TotalSegmentator does.
    #[must_use]
    pub fn mode(&self, speed: Speed) -> &Mode {
        let Modes { default, fast, fastest } = &self.modes;
        match speed {
            Speed::Default => default,
            Speed::Fast => fast.as_ref().unwrap_or(default),
            Speed::Fastest => fastest.as_ref().or(fast.as_ref()).unwrap_or(default),
        }
    }

    /// The value of a structure.
    #[must_use]
    pub fn value(&self, class: &str) -> Option<u8> {
        self.classes.iter().position(|name| name == class).and_then(|at| u8::try_from(at + 1).ok())
    }

    /// The task that an imported model makes: its classes, nnU-Net's own resampling, every fold.
    #[must_use]
    pub fn of_model(name: &str, plan: &Plan, licence: &str) -> Task {
        let highest = plan.labels.iter().map(|label| label.value).max().unwrap_or(0);
        let classes = (1..=highest)
            .map(|value| {
                let label = plan.labels.iter().find(|label| label.value == value);
                label.map_or_else(|| format!("label_{value}"), |label| label.name.clone())
            })
            .collect();
        let is_ct = plan.channels.first().is_some_and(|channel| channel.eq_ignore_ascii_case("ct"));
        Task {
            id: name.to_owned(),
            title: format!("imported nnU-Net model {}", plan.dataset),
            modality: if is_ct { "CT" } else { "MR" }.to_owned(),
            channels: if plan.channels.len() > 1 { plan.channels.clone() } else { Vec::new() },
            licence: licence.to_owned(),
            terms: String::new(),
            caution: String::new(),
            classes,
            colors: BTreeMap::new(),
            keep_largest: Vec::new(),
            modes: Modes {
                default: Mode {
                    spacing: None,
                    step: 0.5,
                    crop: None,
                    remove_outside: None,
                    parts: vec![Part {
                        weights: name.to_owned(),
                        folds: Vec::new(),
                        labels: (1..=highest).collect(),
                    }],
                },
                fast: None,
                fastest: None,
            },
        }
    }
}
