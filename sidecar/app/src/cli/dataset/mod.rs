//! `vesalius dataset`: the parts of a study, fixed once, and the data sets that nnU-Net trains on.

mod build;
mod export;
mod split;
mod synthetic;

use clap::Subcommand;

pub(super) use self::synthetic::RECIPE;
use super::Context;
use crate::Result;

/// Splits a study by patient, and makes nnU-Net's data sets, of studies and of corrections.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Command {
    /// Divide the patients of a manifest into training, validation and test, once and for all
    Split(split::Arguments),
    /// Write nnU-Net's raw data sets: clinical, synthetic, and both together
    Build(Box<build::Arguments>),
    /// Write what was corrected and accepted in the viewers as a raw data set of nnU-Net
    Export(export::Arguments),
}

/// Works on data sets.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    match &arguments.command {
        Command::Split(arguments) => split::run(arguments, context),
        Command::Build(arguments) => build::run(arguments, context),
        Command::Export(arguments) => export::run(arguments, context),
    }
}
