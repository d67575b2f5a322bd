//! `vesalius bench`: how good and how fast, measured on this machine.

mod correction;
mod registration;

use super::Context;
use crate::Result;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// The benchmarks.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Let simulated users correct spoiled segmentations, with our method and with its peers
    Correction(correction::Arguments),
    /// Displace images by known affine maps, and register them back; one line of JSON for each
    Registration(registration::Arguments),
}

/// Runs the benchmarks.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    match &arguments.command {
        Command::Correction(arguments) => correction::run(arguments, context),
        Command::Registration(arguments) => registration::run(arguments, context),
    }
}
