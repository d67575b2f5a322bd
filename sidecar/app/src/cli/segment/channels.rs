//! Tasks of several images, such as DWI and ADC, and the threshold that their models were measured at.

use std::path::Path;

use engine::{ModelStore, Task};
use formats::{Image, ReadOptions};
use imaging::{Interpolation, Progress, Volume};

use super::arguments::Arguments;
use crate::cli::Context;
use crate::{Error, Result};

/// Grids of one scan agree to so many voxels: NIfTI headers hold single precision.
const SAME: f64 = 0.01;

/// All images of the task, on the grid of the first.
///
/// An image on another grid is resampled, and that is told; its geometry is never replaced by that of the first.
pub(super) fn read(
    image: &Image,
    task: &Task,
    arguments: &Arguments,
    options: &ReadOptions,
    progress: &Progress,
    context: &Context,
) -> Result<Vec<Volume>> {
    let expected = task.channels.len().max(1);
    if arguments.channel.len() + 1 != expected {
        let what = if expected == 1 {
            format!("task `{}` takes one image, and {} are given", task.id, arguments.channel.len() + 1)
        } else {
            format!(
                "task `{}` takes {expected} images ({}), and {} are given",
                task.id,
                task.channels.join(", "),
                arguments.channel.len() + 1
            )
        };
        let flags: Vec<String> =
            task.channels.iter().skip(1).map(|name| format!("--channel {name}")).collect();
        return Err(Error::usage(what, format!("`--input {}`", first(task)) + " " + &flags.join(" ")));
    }
    let mut channels = vec![image.volume.clone()];
    for (path, name) in arguments.channel.iter().zip(task.channels.iter().skip(1)) {
        channels.push(on_grid(path, name, &image.volume, options, progress, context)?);
    }
    Ok(channels)
}

fn first(task: &Task) -> &str {
    task.channels.first().map_or("IMAGE", String::as_str)
}

/// One more image, resampled where it must be.
fn on_grid(
    path: &Path,
    name: &str,
    reference: &Volume,
    options: &ReadOptions,
    progress: &Progress,
    context: &Context,
) -> Result<Volume> {
    let found = formats::read(path, options, progress)?;
    for warning in &found.warnings {
        context.display.warning(&format!("{name}: {}", warning.message));
    }
    if found.volume.grid.matches(&reference.grid, SAME) {
        return Ok(found.volume);
    }
    let moved = found.volume.onto(&reference.grid, Interpolation::Linear, f32::NAN);
    let outside = moved.voxels.iter().filter(|value| value.is_nan()).count();
    let share = outside as f64 / moved.voxels.len() as f64;
    if share > 0.5 {
        return Err(Error::refused(
            format!(
                "{name} (`{}`) covers only {:.0} % of the first image",
                path.display(),
                100.0 * (1.0 - share)
            ),
            "both must be of the same place in the same patient",
        ));
    }
    context.display.warning(&format!(
        "{name} lies on another grid and was resampled onto that of the first image{}",
        if outside > 0 { format!(" ({:.1} % lies outside of it)", 100.0 * share) } else { String::new() }
    ));
    Ok(Volume { voxels: moved.voxels.mapv_into(|value| if value.is_nan() { 0.0 } else { value }), ..moved })
}

/// The threshold that was asked for, by number or by the name that the model's card gives it.
pub(super) fn threshold(asked: &str, task: &Task, store: &ModelStore) -> Result<f64> {
    if let Ok(number) = asked.parse::<f64>() {
        if number > 0.0 && number < 1.0 {
            return Ok(number);
        }
        return Err(Error::usage(
            format!("{number} is no probability to decide at"),
            "a number between 0 and 1: less finds more, and more that is not there",
        ));
    }
    let card = store.card(&task.id).unwrap_or_default();
    let points = card["operating_points"].as_array().cloned().unwrap_or_default();
    let named: Vec<&str> = points.iter().filter_map(|point| point["name"].as_str()).collect();
    let point = points.iter().find(|point| point["name"] == asked);
    point.and_then(|point| point["threshold"].as_f64()).ok_or_else(|| {
        let hint = if named.is_empty() {
            "give a number between 0 and 1: less finds more, and more that is not there".to_owned()
        } else {
            format!(
                "its card has {}; `vesalius models card {}` shows what they give",
                named.join(", "),
                task.id
            )
        };
        Error::usage(format!("the model of `{}` has no operating point `{asked}`", task.id), hint)
    })
}
