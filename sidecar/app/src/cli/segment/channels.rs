//! `--channel`: the further images of tasks that take several, each read, checked and brought onto the grid of the first.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use engine::Task;
use formats::{Image, ReadOptions, Source};
use imaging::{Progress, Volume};

use super::arguments::Arguments;
use super::series;
use crate::channels::{self, About, Problem};
use crate::cli::Context;
use crate::{Error, Result};

/// The images that the user has named, and what was chosen of each.
pub(super) struct Given<'a> {
    input: &'a Path,
    channels: &'a [String],
    force: bool,
    /// `--choose`: of the channel, or with no name of the input.
    choices: BTreeMap<String, BTreeMap<String, String>>,
    progress: &'a Progress,
    context: &'a Context,
}

/// A channel as it went into the networks.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// Series Instance UID, of DICOM.
    pub(super) series: Option<String>,
    /// Whether it lay on another grid.
    pub(super) resampled: bool,
}

impl<'a> Given<'a> {
    /// Reads the flags.
    pub(super) fn of(
        arguments: &'a Arguments,
        input: &'a Path,
        progress: &'a Progress,
        context: &'a Context,
    ) -> Result<Given<'a>> {
        let mut choices: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for choice in &arguments.choose {
            let Some((key, value)) = choice.split_once('=') else {
                return Err(Error::usage(
                    format!("`--choose {choice}` is not of the form KEY=VALUE"),
                    "the error of an ambiguous image lists the choices",
                ));
            };
            let (channel, key) = key.split_once(':').unwrap_or(("", key));
            let of_channel = choices.entry(channel.to_ascii_uppercase()).or_default();
            of_channel.insert(key.to_owned(), value.to_owned());
        }
        let (channels, force) = (&arguments.channel, arguments.force);
        Ok(Given { input, channels, force, choices, progress, context })
    }

    /// The channels of a task and where their images are; none is the input.
    fn assigned(&self, task: &Task) -> Result<Vec<(String, Option<&Path>)>> {
        let names = channels::names(task);
        let unknown = self.choices.keys().find(|channel| {
            !channel.is_empty() && !names.iter().any(|name| name.eq_ignore_ascii_case(channel))
        });
        if let Some(name) = unknown {
            let problem = Problem::Unknown { task: task.id.clone(), name: name.clone(), names };
            return Err(usage(problem));
        }
        if self.channels.is_empty() && names.len() > 1 && series::are_several(self.input, self.progress) {
            // A whole examination.
            let others = names.iter().skip(1).map(|name| (Some(name.clone()), self.input));
            return channels::assign(task, others).map_err(usage);
        }
        channels::assign(task, self.channels.iter().map(|text| named(text, &names))).map_err(usage)
    }

    /// Reads the input; with a task of several images as the channel that nobody else is named for.
    pub(super) fn input(&self, task: Option<&Task>) -> Result<Image> {
        let several = task.filter(|task| !task.channels.is_empty());
        let name = several
            .map(|task| self.assigned(task))
            .transpose()?
            .and_then(|assigned| assigned.into_iter().find(|(_, path)| path.is_none()).map(|(name, _)| name));
        let image = self.image(self.input, name.as_deref().unwrap_or_default(), true)?;
        for warning in &image.warnings {
            self.context.display.warning(&warning.message);
        }
        Ok(image)
    }

    /// Reads an image for a channel, which has a name where there are several.
    fn image(&self, path: &Path, channel: &str, is_input: bool) -> Result<Image> {
        let mut resolve = self.choices.get(&channel.to_ascii_uppercase()).cloned().unwrap_or_default();
        if is_input {
            resolve.extend(self.choices.get("").cloned().unwrap_or_default());
        }
        let options = ReadOptions { resolve, ..ReadOptions::default() };
        let channel = Some(channel).filter(|channel| !channel.is_empty());
        series::read(path, channel, &options, self.progress, self.context)
    }

    /// All images of the task, in its order, on the grid of the input.
    pub(super) fn read(&self, image: &Image, task: &Task) -> Result<(Vec<Volume>, Vec<Channel>)> {
        let (mut volumes, mut used) = (Vec::new(), Vec::new());
        for (name, path) in self.assigned(task)? {
            let Some(path) = path else {
                self.check_modality(task, &name, image)?;
                volumes.push(image.volume.clone());
                used.push(Channel::of(name, self.input, image, false));
                continue;
            };
            let found = self.image(path, &name, false)?;
            for warning in &found.warnings {
                self.context.display.warning(&format!("{name}: {}", warning.message));
            }
            self.check_modality(task, &name, &found)?;
            channels::belong(&name, about(image), about(&found)).map_err(refused)?;
            let mut channel = Channel::of(name, path, &found, false);
            let (volume, warning) = channels::on_grid(&channel.name, found.volume, &image.volume.grid);
            if let Some(warning) = warning {
                self.context.display.warning(&warning);
                channel.resampled = true;
            }
            volumes.push(volume);
            used.push(channel);
        }
        Ok((volumes, used))
    }

    /// Refuses an image of a modality that the channel cannot be; tasks of one image were checked before.
    fn check_modality(&self, task: &Task, name: &str, image: &Image) -> Result<()> {
        let found = super::modality(image).filter(|found| !channels::fits(task, name, found));
        let Some(found) = found.filter(|_| !task.channels.is_empty()) else { return Ok(()) };
        let problem = Problem::Modality { name: name.to_owned(), found: found.to_owned() };
        if !self.force {
            let hint = "choose the image that the channel is for; `--force` runs it all the same";
            return Err(Error::refused(problem.to_string(), hint));
        }
        self.context.display.warning(&problem.to_string());
        Ok(())
    }
}

impl Channel {
    fn of(name: String, path: &Path, image: &Image, resampled: bool) -> Channel {
        let series = about(image).source.map(|source| source.series_instance_uid.clone());
        Channel { name, path: path.to_owned(), series, resampled }
    }
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
