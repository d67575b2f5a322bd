//! `vesalius train`: nnU-Net on a data set, and what it learned as a task of this program.

mod cases;
mod dataset;
mod environment;
mod finish;
mod gate;
mod plan;
mod points;
mod process;
mod start;

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use training::{Loss, Optimizer, Preset, Settings};

use super::Context;
use crate::{Error, Result, interrupt, output};

/// Trains nnU-Net on a data set, proves that the model runs here as it does there, measures it, and installs it.
///
/// nnU-Net lives in a Python environment of its own, made by `vesalius train setup`. A training that was broken off,
/// however hard, goes on from its last checkpoint when the same command is given again.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    train: Train,
}

/// What else can be done.
#[derive(Debug, Subcommand)]
enum Command {
    /// Make the Python environment with nnU-Net, every package locked by its hash
    Setup(environment::Setup),
}

/// What to train, and how.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Train {
    /// nnU-Net's raw data set: a folder such as `nnUNet_raw/Dataset501_Stroke`
    #[arg(long, value_name = "DIR", required = true)]
    dataset: Option<PathBuf>,
    /// Name of the task that the model becomes
    #[arg(long, required = true)]
    name: Option<String>,
    /// How long and how; `finetune` with `--from`, else `short`
    #[arg(long, value_enum)]
    preset: Option<PresetName>,
    /// Installed model to train on from, with its own plan
    #[arg(long, value_name = "MODEL")]
    from: Option<String>,
    /// Data set whose plan is used, so that compared databases train the same network
    #[arg(long, value_name = "DIR", conflicts_with = "from")]
    plans_of: Option<PathBuf>,
    /// Fold of the data set's `splits_final.json`, or `all`
    #[arg(long, default_value = "0", value_parser = fold)]
    fold: String,
    /// Seed of all chance
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Train in rounds, each on the cases before it, and measure each on the next N cases, which no model had seen;
    /// the last round learns from all. With `--from`, the gate
    #[arg(long, value_name = "N", requires = "from")]
    prequential: Option<usize>,
    /// Licence of the data, for the model's card
    #[arg(long, alias = "data-license", value_name = "TEXT", default_value = "unknown")]
    data_licence: String,
    /// Train, prove and measure, and install nothing
    #[arg(long)]
    no_install: bool,
    /// Replace a model of that name
    #[arg(long)]
    replace: bool,

    #[command(flatten)]
    shape: Shape,
    #[command(flatten)]
    machine: Machine,
}

/// What a preset says, said otherwise.
#[derive(Debug, Clone, Default, clap::Args)]
struct Shape {
    /// Epochs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Instead of the preset's")]
    epochs: Option<u32>,
    /// Steps of the optimiser in an epoch
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Instead of the preset's")]
    steps: Option<u32>,
    /// Voxels of a patch, z y x
    #[arg(long, num_args = 3, value_name = "N", help_heading = "Instead of the preset's")]
    patch: Vec<usize>,
    /// Features of the network's stages
    #[arg(long, num_args = 2.., value_name = "N", help_heading = "Instead of the preset's")]
    features: Vec<usize>,
    /// Patches in a step
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Instead of the preset's")]
    batch: Option<u32>,
    /// Millimetres that images are resampled to, z y x
    #[arg(long, num_args = 3, value_name = "MM", help_heading = "Instead of the preset's")]
    spacing: Vec<f64>,
    /// First rate of the optimiser
    #[arg(long, help_heading = "Instead of the preset's")]
    rate: Option<f64>,
    /// Optimiser
    #[arg(long, value_enum, help_heading = "Instead of the preset's")]
    optimizer: Option<OptimizerName>,
    /// Loss
    #[arg(long, value_enum, help_heading = "Instead of the preset's")]
    loss: Option<LossName>,
    /// Never mirror images: where left and right are told apart
    #[arg(long, help_heading = "Instead of the preset's")]
    no_mirror: bool,
}

/// Where and with what.
#[derive(Debug, Clone, clap::Args)]
struct Machine {
    /// Where the network trains; `cuda` and `mps` need a graphics card
    #[arg(short, long, value_enum, default_value_t = Place::Cpu, help_heading = "Computing")]
    device: Place,
    /// Graphics cards, for one training on several (nnU-Net's DDP)
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Computing")]
    gpus: u32,
    /// Threads of a processor; all cores when left out
    #[arg(long, value_name = "N", help_heading = "Computing")]
    threads: Option<u32>,
    /// Processes that prepare patches; 0 makes trainings on a processor repeatable
    #[arg(long, value_name = "N", help_heading = "Computing")]
    workers: Option<u32>,
    /// Python with nnU-Net, instead of the environment of `vesalius train setup`
    #[arg(
        long,
        value_name = "PATH",
        env = "VESALIUS_TRAINING_PYTHON",
        hide_env_values = true,
        help_heading = "Computing"
    )]
    python: Option<PathBuf>,
    /// Folder for preprocessed data and trainings; `training` in the folder of this program's data when left out
    #[arg(long, value_name = "DIR", help_heading = "Computing")]
    work: Option<PathBuf>,
    /// Only plan and preprocess: trainings that share the data can then begin together
    #[arg(long, help_heading = "Computing")]
    prepare_only: bool,
}

/// [`Preset`] by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PresetName {
    /// 20 steps of a tiny network: to see that everything works
    Smoke,
    /// 2,000 steps of a small network
    Short,
    /// 50,000 steps of a generic 3D U-Net as in published stroke work, in our reading
    Paper,
    /// nnU-Net as its authors made it: 250,000 steps
    Default,
    /// 200 steps at a low rate, on from a model
    Finetune,
}

/// [`Optimizer`] by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OptimizerName {
    Sgd,
    Adam,
    Adamw,
}

/// [`Loss`] by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LossName {
    DiceAndCrossEntropy,
    Dice,
}

/// Where a network trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Place {
    Cpu,
    Cuda,
    Mps,
}

/// A number, or `all`.
fn fold(text: &str) -> Result<String, String> {
    if text == "all" || text.parse::<u8>().is_ok() {
        return Ok(text.to_owned());
    }
    Err("a number such as 0, or `all`".to_owned())
}

/// Trains, or makes the environment for it.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    match &arguments.command {
        Some(Command::Setup(setup)) => environment::setup(setup, context),
        None => train(&arguments.train, context),
    }
}

fn train(train: &Train, context: &Context) -> Result<()> {
    let (Some(folder), Some(name)) = (&train.dataset, &train.name) else {
        return Err(Error::usage("`--dataset` and `--name` are needed", "`vesalius train --help` shows how"));
    };
    let store = context.store();
    let installs = !train.no_install && !train.machine.prepare_only;
    if installs && store.find(name).is_some() && !train.replace {
        return Err(Error::refused(
            format!("a model `{name}` is installed already"),
            "choose another `--name`, or replace it with `--replace`",
        ));
    }
    let progress = context.display.progress();
    interrupt::watch(&progress);
    let dataset = dataset::Dataset::open(folder, &progress)?;
    let environment = environment::Environment::find(train.machine.python.as_deref(), context)?;
    let plan = plan::Plan::new(train, &dataset, &environment, context)?;
    if train.machine.prepare_only {
        let folder = process::prepare(&plan, &progress, context)?;
        return output::line(&folder.display().to_string());
    }
    // What is missing at the end is told before the training, not after.
    cases::runtime(context)?;
    let installed = match train.prequential {
        Some(batch) => gate::prequential(&plan, batch, &progress, context)?,
        None => {
            let trained = process::train(&plan, &plan.job, &plan.run, &progress, context)?;
            finish::finish(&plan, &trained, None, &progress, context)?
        }
    };
    context.display.clear();
    output::line(&installed)
}

impl Train {
    /// The preset, and what was said instead.
    fn settings(&self) -> Result<Settings> {
        let usual = if self.from.is_some() { PresetName::Finetune } else { PresetName::Short };
        let mut settings = match self.preset.unwrap_or(usual) {
            PresetName::Smoke => Preset::Smoke,
            PresetName::Short => Preset::Short,
            PresetName::Paper => Preset::Paper,
            PresetName::Default => Preset::Default,
            PresetName::Finetune => Preset::Finetune,
        }
        .settings();
        let shape = &self.shape;
        if self.from.is_some() {
            if !shape.patch.is_empty() || !shape.features.is_empty() || !shape.spacing.is_empty() {
                return Err(Error::usage(
                    "`--patch`, `--features` and `--spacing` do not go with `--from`",
                    "a model that is trained on keeps its own plan",
                ));
            }
            settings = Settings { patch_size: None, features: None, ..settings };
        }
        settings.epochs = shape.epochs.or(settings.epochs);
        settings.steps = shape.steps.or(settings.steps);
        settings.batch_size = shape.batch.or(settings.batch_size);
        settings.rate = shape.rate.or(settings.rate);
        settings.patch_size = shape.patch.clone().try_into().ok().or(settings.patch_size);
        settings.spacing = shape.spacing.clone().try_into().ok().or(settings.spacing);
        if !shape.features.is_empty() {
            settings.features = Some(shape.features.clone());
        }
        settings.optimizer = shape.optimizer.map(Into::into).or(settings.optimizer);
        settings.loss = shape.loss.map(Into::into).or(settings.loss);
        if shape.no_mirror {
            settings.mirror = Some(false);
        }
        Ok(settings)
    }
}

impl From<OptimizerName> for Optimizer {
    fn from(name: OptimizerName) -> Optimizer {
        match name {
            OptimizerName::Sgd => Optimizer::Sgd,
            OptimizerName::Adam => Optimizer::Adam,
            OptimizerName::Adamw => Optimizer::Adamw,
        }
    }
}

impl From<LossName> for Loss {
    fn from(name: LossName) -> Loss {
        match name {
            LossName::DiceAndCrossEntropy => Loss::DiceAndCrossEntropy,
            LossName::Dice => Loss::Dice,
        }
    }
}

impl Place {
    /// As PyTorch calls it.
    fn name(self) -> &'static str {
        match self {
            Place::Cpu => "cpu",
            Place::Cuda => "cuda",
            Place::Mps => "mps",
        }
    }
}
