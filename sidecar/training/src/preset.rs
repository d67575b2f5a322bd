//! How long a training takes and how it is done: nnU-Net's own way, or a shorter one.

use serde::{Deserialize, Serialize};

/// Which way is chosen by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Twenty steps of a tiny network: to see that everything works.
    Smoke,
    /// A small network in a time that a processor can give.
    Short,
    /// A generic 3D U-Net as in published stroke work, our reading: Adam, Dice loss, patches of 128 x 128 x 40.
    Paper,
    /// nnU-Net as its authors made it: 1000 epochs of 250 steps.
    Default,
    /// On from an installed model: few steps at a low rate, the model's own plan.
    Finetune,
}

/// What nnU-Net's plan and trainer are told; what is absent stays as nnU-Net has it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u32>,
    /// Steps of the optimiser in each epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// Batches that each epoch's loss and Dice are estimated on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_steps: Option<u32>,
    /// Epochs between checkpoints to go on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub save_every: Option<u32>,
    /// Which optimiser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimizer: Option<Optimizer>,
    /// Its first rate; it falls to 0 as `(1 - epoch / epochs)^0.9`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// What is made small.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
    /// Whether images are mirrored; not where left and right are told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<bool>,
    /// Voxels of a patch along the network's axes, mostly z, y, x.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch_size: Option<[usize; 3]>,
    /// Features of the network's stages; as many stages as the patch allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<Vec<usize>>,
    /// Patches in a step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<u32>,
    /// Millimetres that images are resampled to, z, y, x.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spacing: Option<[f64; 3]>,
}

/// An optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// nnU-Net's: momentum 0.99, Nesterov.
    Sgd,
    /// Adam.
    Adam,
    /// Adam with decoupled decay of the weights, 0.01.
    Adamw,
}

/// A loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// nnU-Net's.
    DiceAndCrossEntropy,
    /// Dice alone.
    Dice,
}

/// nnU-Net's own numbers.
const EPOCHS: u32 = 1000;
const STEPS: u32 = 250;

impl Preset {
    /// What the preset says.
    #[must_use]
    pub fn settings(self) -> Settings {
        let nothing = Settings::default();
        match self {
            Preset::Smoke => Settings {
                epochs: Some(2),
                steps: Some(10),
                validation_steps: Some(2),
                save_every: Some(1),
                optimizer: Some(Optimizer::Adamw),
                rate: Some(1e-3),
                patch_size: Some([32; 3]),
                features: Some(vec![8, 16, 32]),
                batch_size: Some(2),
                ..nothing
            },
            Preset::Short => Settings {
                epochs: Some(40),
                steps: Some(50),
                validation_steps: Some(5),
                save_every: Some(1),
                optimizer: Some(Optimizer::Adamw),
                rate: Some(1.5e-3),
                patch_size: Some([64; 3]),
                features: Some(vec![16, 32, 64, 128, 128]),
                batch_size: Some(2),
                ..nothing
            },
            Preset::Paper => Settings {
                epochs: Some(200),
                steps: Some(STEPS),
                validation_steps: Some(20),
                save_every: Some(5),
                optimizer: Some(Optimizer::Adam),
                rate: Some(1e-4),
                loss: Some(Loss::Dice),
                patch_size: Some([40, 128, 128]),
                features: Some(vec![32, 64, 128, 256, 512]),
                batch_size: Some(2),
                ..nothing
            },
            Preset::Default => nothing,
            Preset::Finetune => Settings {
                epochs: Some(10),
                steps: Some(20),
                validation_steps: Some(2),
                save_every: Some(1),
                optimizer: Some(Optimizer::Adamw),
                rate: Some(2e-4),
                ..nothing
            },
        }
    }
}

impl Settings {
    /// Steps of the optimiser in all: what compared trainings must have in common.
    #[must_use]
    pub fn budget(&self) -> u64 {
        u64::from(self.epochs.unwrap_or(EPOCHS)) * u64::from(self.steps.unwrap_or(STEPS))
    }

    /// Epochs in all.
    #[must_use]
    pub fn epochs(&self) -> u32 {
        self.epochs.unwrap_or(EPOCHS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets() {
        for (preset, steps) in [
            (Preset::Smoke, 20),
            (Preset::Short, 2_000),
            (Preset::Paper, 50_000),
            (Preset::Default, 250_000),
            (Preset::Finetune, 200),
        ] {
            assert_eq!(preset.settings().budget(), steps, "{preset:?}");
        }
    }

    #[test]
    fn what_is_not_set_is_not_written() {
        assert_eq!(serde_json::to_string(&Preset::Default.settings()).unwrap(), "{}");
    }
}
