//! `vesalius bench`: quality, speed and memory on this machine.

mod correction;
mod registration;

use super::Context;
use crate::{Error, Result};

/// What to measure.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
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
        Some(Command::Correction(arguments)) => correction::run(arguments, context),
        Some(Command::Registration(arguments)) => registration::run(arguments, context),
        None => Err(Error::usage(
            "the benchmarks of segmentation are a script for now",
            "run `tests/benchmarks/side_by_side.py` in a checkout of the repository, or `vesalius bench correction`",
        )),
    }
}
