//! Which task runs: the one asked for, or the best that is here and fits the image.

use engine::{ModelStore, SegmentOptions, Speed, Task};
use formats::Image;

use super::Arguments;
use crate::cli::{Context, tasks};
use crate::install::{self, Wanted};
use crate::{Error, Result, channels, output};

/// The task that ships with its model.
const EMBEDDED: &str = "headneck";
/// The task that users expect, and its twin for MR: TotalSegmentator exchanges them by the modality of DICOM files.
const TOTAL: [(&str, &str); 2] = [("CT", "total"), ("MR", "total_mr")];

/// What the user asked for.
#[derive(Debug)]
pub(super) struct Wish {
    /// A task by flag or settings.
    task: Option<Task>,
    only: Vec<String>,
}

impl Wish {
    /// The task that was asked for.
    pub(super) fn task(&self) -> Option<&Task> {
        self.task.as_ref()
    }

    /// Reads the wish and refuses, before anything is read, what can never be fulfilled.
    pub(super) fn of(arguments: &Arguments, store: &ModelStore, context: &Context) -> Result<Wish> {
        let id = arguments.task.as_ref().or(context.settings.task.as_ref());
        let task = id.map(|id| tasks::find(store, id)).transpose()?;
        let mut only = arguments.roi_subset.clone();
        only.extend(arguments.roi_subset_robust.iter().cloned());
        if let Some(task) = &task {
            check_names(task, &only)?;
            if !TOTAL.iter().any(|(_, total)| *total == task.id) {
                check_models(task, arguments.speed(), store)?;
            }
        }
        Ok(Wish { task, only })
    }
}

/// The task that runs on `image`.
pub(super) fn decide(
    wish: &Wish,
    image: &Image,
    options: &SegmentOptions,
    force: bool,
    store: &ModelStore,
    context: &Context,
) -> Result<Task> {
    let modality = super::modality(image);
    let task = match &wish.task {
        Some(task) => exchanged(task, modality, store, context)?,
        None => default(modality, options.speed, &wish.only, store, context)?,
    };
    check_names(&task, &wish.only)?;
    // Which of several images it is will be seen when all are there.
    let fits = |found: &str| channels::names(&task).iter().any(|name| channels::fits(&task, name, found));
    if let Some(found) = modality.filter(|found| !fits(found)) {
        let message = format!("task `{}` is for {}, and the image is {found}", task.id, task.modality);
        if !force {
            let hint = "`vesalius tasks` lists the tasks; `--force` runs it all the same".to_owned();
            return Err(Error::Refused { message, hint });
        }
        context.display.warning(&message);
    }
    check_models(&task, options.speed, store)?;
    if !task.caution.is_empty() {
        context.display.note(&format!("note: task `{}`: {}", task.id, task.caution));
    }
    Ok(task)
}

/// `total` on an MR image becomes `total_mr`, and the other way round.
fn exchanged(task: &Task, modality: Option<&str>, store: &ModelStore, context: &Context) -> Result<Task> {
    let is_total = TOTAL.iter().any(|(_, total)| *total == task.id);
    let twin = TOTAL.iter().find(|(of, _)| modality == Some(*of)).map(|(_, twin)| *twin);
    match twin.filter(|twin| is_total && *twin != task.id) {
        Some(twin) => {
            let modality = modality.unwrap_or_default();
            context
                .display
                .note(&format!("note: the image is {modality}: `{twin}` runs instead of `{}`", task.id));
            tasks::find(store, twin)
        }
        None => Ok(task.clone()),
    }
}

/// Without a wish: `total` or `total_mr` where its models are here, else the task that is built in, and says so.
fn default(
    modality: Option<&str>,
    speed: Speed,
    only: &[String],
    store: &ModelStore,
    context: &Context,
) -> Result<Task> {
    let (_, total) = TOTAL.iter().find(|(of, _)| modality == Some(*of)).unwrap_or(&TOTAL[0]);
    let task = tasks::find(store, total)?;
    let embedded = tasks::find(store, EMBEDDED)?;
    let fits = modality.is_none_or(|modality| modality == embedded.modality)
        && only.iter().all(|name| embedded.value(name).is_some());
    // With `total` missing and the built-in model of no use, the error about `total` is the right one.
    if !fits || store.missing(&task, speed).is_empty() {
        return Ok(task);
    }
    context.display.note(&format!(
        "note: `{total}` is not installed, so the built-in task `{EMBEDDED}` runs: {}\n\
         note: for {}, run `{}` first",
        embedded.classes.join(", "),
        task.title,
        command(&task, speed),
    ));
    Ok(embedded)
}

/// `vesalius models install total --fast (135 MB, Apache-2.0)`.
fn command(task: &Task, speed: Speed) -> String {
    let flag = match speed {
        Speed::Default => "",
        Speed::Fast => " --fast",
        Speed::Fastest => " --fastest",
    };
    format!("vesalius models install {}{flag}", task.id)
}

/// Refuses names that are no structures of the task.
fn check_names(task: &Task, only: &[String]) -> Result<()> {
    let Some(name) = only.iter().find(|name| task.value(name).is_none()) else { return Ok(()) };
    let near = output::nearest(name, task.classes.iter().map(String::as_str));
    let hint = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
    Err(Error::usage(
        format!("task `{}` has no structure `{name}`", task.id),
        format!("{hint}`vesalius tasks show {}` lists the structures", task.id),
    ))
}

/// Refuses a task whose models are not here, with the command that brings them.
fn check_models(task: &Task, speed: Speed, store: &ModelStore) -> Result<()> {
    let missing = store.missing(task, speed);
    if missing.is_empty() {
        return Ok(());
    }
    let wanted: Vec<Wanted> = missing.iter().filter_map(|id| Wanted::find(id)).collect();
    if let Some(obstacle) = wanted.iter().find_map(Wanted::obstacle) {
        return Err(obstacle);
    }
    let size = install::bytes(&wanted).map_or_else(|| "size unknown".to_owned(), output::size);
    let mut licences: Vec<&str> = wanted.iter().map(|wanted| wanted.licence.as_str()).collect();
    licences.sort_unstable();
    licences.dedup();
    Err(Error::Refused {
        message: format!("task `{}` needs models that are not installed: {}", task.id, missing.join(", ")),
        hint: format!(
            "run `{}` ({size}, {}), or `vesalius models import PATH` with a folder or zip that you have",
            command(task, speed),
            licences.join(" and ")
        ),
    })
}
