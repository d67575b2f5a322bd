//! Images displaced by known affine maps, and registered back.

use std::path::PathBuf;
use std::time::Instant;

use formats::ReadOptions;

use crate::cli::Context;
use crate::{Error, Result, interrupt, output};

/// What to register.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Diffusion-weighted images
    #[arg(required = true)]
    image: Vec<PathBuf>,
    /// Displacements of each
    #[arg(short = 'n', long, default_value_t = 50)]
    count: u64,
}

/// Prints one line of JSON for each displacement.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let progress = context.display.progress();
    interrupt::watch(&progress);
    for path in &arguments.image {
        let volume = formats::read(path, &ReadOptions::default(), &progress)?.volume;
        for seed in 0..arguments.count {
            progress.step("registering", seed, arguments.count)?;
            let began = Instant::now();
            let found = stroke::trial(&volume, seed).map_err(|error| {
                Error::refused(format!("`{}`: {error}", path.display()), "take a diffusion-weighted image")
            })?;
            let seconds = began.elapsed().as_secs_f64();
            let line = serde_json::json!({ "image": path, "seed": seed, "seconds": seconds, "trial": found });
            output::line(&line.to_string())?;
        }
    }
    Ok(())
}
