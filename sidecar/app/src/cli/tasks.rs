//! `vesalius tasks`: what can be segmented, and what each task needs.

use clap::Subcommand;
use engine::{ModelStore, Origin, Speed, Task, catalogue};
use imaging::Segment;
use serde::Serialize;

use super::Context;
use crate::{Error, Result, install, output};

/// What to list.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print JSON for scripts
    #[arg(long)]
    json: bool,
}

/// One task instead of all.
#[derive(Debug, Subcommand)]
enum Command {
    /// Show one task: structures, models, licence
    Show {
        /// The task
        id: String,
        /// Print JSON for scripts
        #[arg(long)]
        json: bool,
    },
}

/// A task as scripts see it; fields are added, never renamed.
#[derive(Debug, Serialize)]
struct View {
    id: String,
    title: String,
    modality: String,
    /// Whether it runs with nothing but this program.
    embedded: bool,
    /// Whether everything for its finest resolution is here.
    installed: bool,
    licence: String,
    terms: String,
    caution: String,
    /// `default`, and `fast` and `fastest` where the task has them.
    speeds: Vec<SpeedView>,
    segments: Vec<Segment>,
}

/// A task at one resolution.
#[derive(Debug, Serialize)]
struct SpeedView {
    speed: Speed,
    /// Millimetres along x, y, z; null where nnU-Net's own resampling is used.
    spacing_mm: Option<[f64; 3]>,
    /// TotalSegmentator's dataset numbers, or names of imported models.
    weights: Vec<String>,
    /// Bytes of the published archives; null where they are not published.
    download_bytes: Option<u64>,
    installed: bool,
}

/// Lists tasks.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let store = context.store();
    match &arguments.command {
        Some(Command::Show { id, json }) => show(&store, id, *json || arguments.json),
        None if arguments.json => {
            output::json(&store.tasks().iter().map(|task| View::of(task, &store)).collect::<Vec<_>>())
        }
        None => list(&store),
    }
}

/// A line for each task.
pub(super) fn list(store: &ModelStore) -> Result<()> {
    let heading = ["TASK", "OF", "NO.", "MM", "LICENCE", "SIZE", "HERE"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(store.tasks().iter().map(|task| row(&View::of(task, store))));
    output::line(output::table(&rows, &[2, 5]).trim_end())?;
    output::line("")?;
    output::line("`vesalius tasks show TASK` lists the structures of a task")?;
    output::line("`vesalius models install TASK` fetches its models")
}

/// Cells of the table.
fn row(view: &View) -> Vec<String> {
    let finest = view.speeds.first();
    vec![
        view.id.clone(),
        view.modality.clone(),
        view.segments.len().to_string(),
        finest.and_then(|speed| speed.spacing_mm).map_or_else(|| "as trained".to_owned(), millimetres),
        view.licence.clone(),
        finest.and_then(|speed| speed.download_bytes).map_or_else(|| "-".to_owned(), output::size),
        if view.installed { "yes" } else { "-" }.to_owned(),
    ]
}

/// `1.5`, or `0.75x0.75x1` where the axes differ.
fn millimetres(spacing: [f64; 3]) -> String {
    let text = spacing.map(|value| {
        let text = format!("{value:.2}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    });
    if text[0] == text[1] && text[1] == text[2] { text[0].clone() } else { text.join("x") }
}

/// Everything about one task.
fn show(store: &ModelStore, id: &str, json: bool) -> Result<()> {
    let task = find(store, id)?;
    let view = View::of(&task, store);
    if json {
        return output::json(&view);
    }
    output::line(&format!("{}: {}", view.id, view.title))?;
    output::line(&format!("modality  {}", view.modality))?;
    output::line(&format!("licence   {}", sentence(&view.licence, &view.terms)))?;
    if !view.caution.is_empty() {
        output::line(&format!("caution   {}", view.caution))?;
    }
    for speed in &view.speeds {
        let name = serde_json::to_string(&speed.speed).unwrap_or_default();
        let spacing = speed.spacing_mm.map_or_else(|| "as trained".to_owned(), |mm| millimetres(mm) + " mm");
        let state = if speed.installed { "installed" } else { "not installed" };
        let size =
            speed.download_bytes.map_or_else(String::new, |bytes| format!(", {}", output::size(bytes)));
        let weights = speed.weights.join(", ");
        output::line(&format!("{:<9} {spacing}, models {weights}{size}, {state}", name.trim_matches('"')))?;
    }
    output::line("")?;
    list_classes(store, id)
}

/// The structures of a task, for `segment --list-classes`.
pub(super) fn list_classes(store: &ModelStore, id: &str) -> Result<()> {
    let task = find(store, id)?;
    catalogue::segments(&task)
        .iter()
        .try_for_each(|segment| output::line(&format!("{:>3}  {}", segment.value, segment.name)))
}

/// `licensed: terms`.
pub(super) fn sentence(licence: &str, terms: &str) -> String {
    if terms.is_empty() { licence.to_owned() } else { format!("{licence}: {terms}") }
}

/// A task by name, or what it may have been meant to be.
pub(super) fn find(store: &ModelStore, id: &str) -> Result<Task> {
    store.task(id).ok_or_else(|| {
        let tasks = store.tasks();
        let near = output::nearest(id, tasks.iter().map(|task| task.id.as_str()));
        let hint = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
        Error::usage(format!("there is no task `{id}`"), hint + "`vesalius tasks` lists the tasks")
    })
}

impl View {
    fn of(task: &Task, store: &ModelStore) -> View {
        let mut speeds = vec![Speed::Default];
        speeds.extend(task.modes.fast.as_ref().map(|_| Speed::Fast));
        speeds.extend(task.modes.fastest.as_ref().map(|_| Speed::Fastest));
        let speeds: Vec<SpeedView> =
            speeds.into_iter().map(|speed| SpeedView::of(task, speed, store)).collect();
        let is_embedded =
            |weights: &str| store.find(weights).is_some_and(|model| model.origin == Origin::Embedded);
        View {
            id: task.id.clone(),
            title: task.title.clone(),
            modality: task.modality.clone(),
            embedded: task.modes.default.parts.iter().all(|part| is_embedded(&part.weights)),
            installed: speeds.first().is_some_and(|speed| speed.installed),
            licence: task.licence.clone(),
            terms: task.terms.clone(),
            caution: task.caution.clone(),
            speeds,
            segments: catalogue::segments(task),
        }
    }
}

impl SpeedView {
    fn of(task: &Task, speed: Speed, store: &ModelStore) -> SpeedView {
        let mode = task.mode(speed);
        let weights: Vec<String> = mode.parts.iter().map(|part| part.weights.clone()).collect();
        let published: Vec<_> = weights.iter().filter_map(|id| install::Wanted::find(id)).collect();
        let all = published.len() == weights.len();
        SpeedView {
            speed,
            spacing_mm: mode.spacing,
            weights,
            download_bytes: install::bytes(&published).filter(|_| all),
            installed: store.missing(task, speed).is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spacing_is_short() {
        for (spacing, text) in [
            ([1.5; 3], "1.5"),
            ([3.0; 3], "3"),
            ([0.75, 0.75, 1.0], "0.75x0.75x1"),
            ([0.390_625, 0.390_625, 0.500_001_6], "0.39x0.39x0.5"),
        ] {
            assert_eq!(millimetres(spacing), text);
        }
    }
}
