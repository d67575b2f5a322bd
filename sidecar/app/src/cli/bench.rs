//! `vesalius bench`: speed and memory on this machine.

use super::Context;
use crate::{Error, Result};

/// Nothing to choose yet.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

/// Runs the benchmarks.
pub(super) fn run(_arguments: &Arguments, _context: &Context) -> Result<()> {
    Err(Error::usage(
        "the benchmarks are a script for now",
        "run `tests/benchmarks/side_by_side.py` in a checkout of the repository",
    ))
}
