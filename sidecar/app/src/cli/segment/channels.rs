//! `--channel`: the further images of tasks that take several, each read, checked and brought onto the grid of the first.

use std::path::Path;

use engine::Task;
use formats::{Image, ReadOptions, Source};
use imaging::{Progress, Volume};

use super::arguments::Arguments;
use crate::channels::{self, About, Problem};
use crate::cli::Context;
use crate::{Error, Result};

/// All images of the task, in its order, on the grid of the input.
pub(super) fn read(
    image: &Image,
    task: &Task,
    arguments: &Arguments,
    options: &ReadOptions,
    progress: &Progress,
    context: &Context,
) -> Result<Vec<Volume>> {
    let names = channels::names(task);
    let given = arguments.channel.iter().map(|text| named(text, &names));
    let assigned = channels::assign(task, given).map_err(usage)?;
    let mut volumes = Vec::new();
    for (name, path) in assigned {
        let Some(path) = path else {
            check_modality(task, &name, image, arguments.force, context)?;
            volumes.push(image.volume.clone());
            continue;
        };
        let found = formats::read(path, options, progress)?;
        for warning in &found.warnings {
            context.display.warning(&format!("{name}: {}", warning.message));
        }
        check_modality(task, &name, &found, arguments.force, context)?;
        channels::belong(&name, about(image), about(&found)).map_err(refused)?;
        let (volume, warning) = channels::on_grid(&name, found.volume, &image.volume.grid);
        if let Some(warning) = warning {
            context.display.warning(&warning);
        }
        volumes.push(volume);
    }
    Ok(volumes)
}

/// `NAME=PATH`, or a path alone; a file that is called so is one.
fn named<'a>(text: &'a str, names: &[String]) -> (Option<String>, &'a Path) {
    let split = text.split_once('=');
    let is_name = |name: &str| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    match split.filter(|(name, _)| is_name(name) || !Path::new(text).exists()) {
        Some((name, path)) => (Some(name.to_owned()), Path::new(path)),
        None => (None, Path::new(text)),
    }
}

fn about(image: &Image) -> About<'_> {
    let source = match &image.source {
        Source::Dicom(source) => Some(&**source),
        _ => None,
    };
    About { grid: &image.volume.grid, source }
}

/// Refuses an image of a modality that the channel cannot be; tasks of one image were checked before.
fn check_modality(task: &Task, name: &str, image: &Image, force: bool, context: &Context) -> Result<()> {
    let found = super::modality(image).filter(|found| !channels::fits(task, name, found));
    let Some(found) = found.filter(|_| !task.channels.is_empty()) else { return Ok(()) };
    let problem = Problem::Modality { name: name.to_owned(), found: found.to_owned() };
    if !force {
        let hint = "choose the image that the channel is for; `--force` runs it all the same";
        return Err(Error::refused(problem.to_string(), hint));
    }
    context.display.warning(&problem.to_string());
    Ok(())
}

/// Images and channels do not go together.
fn usage(problem: Problem) -> Error {
    let hint = match &problem {
        Problem::Count { names, .. } if names.len() == 1 => "leave `--channel` out".to_owned(),
        Problem::Count { names, .. } => {
            let flags: Vec<String> =
                names.iter().skip(1).map(|name| format!("--channel {name}=PATH")).collect();
            format!("`--input {}` {}", names[0], flags.join(" "))
        }
        other => other.hint().to_owned(),
    };
    Error::usage(problem.to_string(), hint)
}

fn refused(problem: Problem) -> Error {
    Error::refused(problem.to_string(), problem.hint())
}
