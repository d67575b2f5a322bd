//! `vesalius models`: what is installed, and how it comes and goes.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use engine::{ImportRequest, InstalledModel, ModelStore, Origin, Speed};
use imaging::Progress;

use super::Context;
use super::tasks::sentence;
use crate::install::{self, Lock, Network, Wanted};
use crate::{Error, Result, download, interrupt, output};

/// What to do with models.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// What to do with models.
#[derive(Debug, Subcommand)]
enum Command {
    /// List the models on this machine
    List {
        /// Print JSON for scripts
        #[arg(long)]
        json: bool,
    },
    /// Download the published models of tasks
    Install(InstallArguments),
    /// Import an nnU-Net results folder, or a zip of one
    Import(ImportArguments),
    /// Print the card of a model that was trained here: data, settings, seeds, what it reached
    Card {
        /// Name, as `vesalius models list` shows it
        id: String,
    },
    /// Remove models
    Remove {
        /// Names, as `vesalius models list` shows them
        #[arg(required = true)]
        id: Vec<String>,
    },
    /// Check models against the hashes that they were installed with
    Verify {
        /// Names; all when left out
        id: Vec<String>,
    },
}

/// What to install.
#[derive(Debug, clap::Args)]
struct InstallArguments {
    /// Tasks, dataset numbers or names of published weights
    #[arg(required = true)]
    target: Vec<String>,
    /// The models of the 3 mm resolution instead of the finest
    #[arg(short, long)]
    fast: bool,
    /// The models of the 6 mm resolution instead of the finest
    #[arg(long, conflicts_with = "fast")]
    fastest: bool,
    /// Agree to the terms of weights that are not free for every use
    #[arg(long, alias = "accept-license")]
    accept_licence: bool,
    /// Address that replaces `https://github.com`
    #[arg(long, value_name = "URL", env = "VESALIUS_MIRROR", hide_env_values = true)]
    mirror: Option<String>,
    /// Proxy, instead of what `HTTPS_PROXY` and `NO_PROXY` say
    #[arg(long, value_name = "URL", env = "VESALIUS_PROXY", hide_env_values = true)]
    proxy: Option<String>,
}

/// What to import.
#[derive(Debug, clap::Args)]
struct ImportArguments {
    /// Folders or zip archives: of one data set, of one trainer, or a results folder with several data sets
    #[arg(required = true)]
    path: Vec<PathBuf>,
    /// Name of the task that the model becomes; nnU-Net's name of the data set when left out
    #[arg(long)]
    name: Option<String>,
    /// Licence of the weights, to be shown with every use
    #[arg(long, alias = "license", value_name = "TEXT")]
    licence: Option<String>,
    /// Agree to the licence of a promptable network, which its folder states
    #[arg(long, alias = "accept-license")]
    accept_licence: bool,
}

/// Works on models.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let store = context.store();
    match &arguments.command {
        Command::List { json } => list(&store, *json),
        Command::Install(arguments) => install(arguments, &store, context),
        Command::Import(arguments) => import(arguments, &store, context),
        Command::Card { id } => match store.card(id) {
            Some(card) => output::json(&card),
            None => Err(Error::refused(
                format!("`{id}` has no card"),
                "models that `vesalius train` made have one; `vesalius models list` lists all",
            )),
        },
        Command::Remove { id } => id.iter().try_for_each(|id| {
            store.remove(id)?;
            context.display.note(&format!("removed `{id}`"));
            Ok(())
        }),
        Command::Verify { id } => verify(&store, id, context),
    }
}

/// The models on this machine.
fn list(store: &ModelStore, json: bool) -> Result<()> {
    let models = store.list();
    if json {
        return output::json(&models);
    }
    let mut rows = vec![["MODEL", "LICENCE", "SIZE", "FROM"].map(str::to_owned).to_vec()];
    rows.extend(models.iter().map(|model| {
        let from = match &model.origin {
            Origin::Embedded => "built in".to_owned(),
            Origin::Installed(_) if model.promptable => "installed, takes prompts".to_owned(),
            Origin::Installed(_) => "installed".to_owned(),
            Origin::Found(folder) => folder.display().to_string(),
        };
        let size = if model.bytes == 0 { "-".to_owned() } else { output::size(model.bytes) };
        vec![model.id.clone(), model.licence.clone(), size, from]
    }));
    output::line(output::table(&rows, &[2]).trim_end())
}

/// Downloads and imports what is missing.
fn install(arguments: &InstallArguments, store: &ModelStore, context: &Context) -> Result<()> {
    let speed = match (arguments.fast, arguments.fastest) {
        (true, _) => Speed::Fast,
        (_, true) => Speed::Fastest,
        _ => Speed::Default,
    };
    let progress = context.display.progress();
    interrupt::watch(&progress);
    let wanted = plan(&arguments.target, speed, store, context)?;
    if wanted.is_empty() {
        return Ok(());
    }
    consent(&wanted, arguments.accept_licence, context)?;
    let network = Network {
        mirror: arguments.mirror.clone().or_else(|| context.settings.mirror.clone()),
        options: download::Options {
            proxy: arguments.proxy.clone().or_else(|| context.settings.proxy.clone()),
            ..download::Options::default()
        },
    };
    let downloads = context.home.downloads();
    let told = || context.display.note("another program is installing models; waiting for it");
    let _lock = Lock::wait(&downloads, told, &progress)?;
    for wanted in &wanted {
        // The other program may have brought it.
        if store.find(&wanted.id).is_some() {
            context.display.note(&format!("`{}` is already installed", wanted.weights.folder));
            continue;
        }
        let model = install::install(store, &downloads, wanted, &network, &progress)?;
        context.display.clear();
        output::line(&model.id)?;
    }
    Ok(())
}

/// Everything that the targets lack, once each; says so where they lack nothing.
fn plan(targets: &[String], speed: Speed, store: &ModelStore, context: &Context) -> Result<Vec<Wanted>> {
    let mut all: Vec<Wanted> = Vec::new();
    for target in targets {
        let wanted = install::wanted(store, target, speed)?;
        if wanted.is_empty() {
            context.display.note(&format!("`{target}` is already installed"));
        }
        for wanted in wanted {
            if let Some(obstacle) = wanted.obstacle() {
                return Err(obstacle);
            }
            if !all.contains(&wanted) {
                all.push(wanted);
            }
        }
    }
    Ok(all)
}

/// Shows what will be downloaded and under which licences, and stops where these ask for consent.
fn consent(wanted: &[Wanted], accepted: bool, context: &Context) -> Result<()> {
    for wanted in wanted {
        let size = wanted.weights.bytes.map_or_else(|| "size unknown".to_owned(), output::size);
        let licence = sentence(&wanted.licence, &wanted.terms);
        context.display.note(&format!("{:>4}  {}  {size}, {licence}", wanted.id, wanted.weights.folder));
    }
    if let Some(bytes) = install::bytes(wanted).filter(|_| wanted.len() > 1) {
        context.display.note(&format!("      {} in all", output::size(bytes)));
    }
    match wanted.iter().find(|wanted| !wanted.is_permissive()) {
        Some(wanted) if !accepted => Err(Error::Refused {
            message: format!(
                "the weights `{}` are not free for every use: {}",
                wanted.weights.folder,
                sentence(&wanted.licence, &wanted.terms)
            ),
            hint: "if you agree to these terms, run the command again with `--accept-licence`".to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Takes in folders and archives.
fn import(arguments: &ImportArguments, store: &ModelStore, context: &Context) -> Result<()> {
    let progress = context.display.progress();
    interrupt::watch(&progress);
    let mut paths = Vec::new();
    for path in &arguments.path {
        std::fs::metadata(path).map_err(|error| Error::read(path, error))?;
        paths.extend(data_sets(path)?);
    }
    if paths.len() > 1 && arguments.name.is_some() {
        return Err(Error::usage(
            format!("`--name` fits one model, and {} are given", paths.len()),
            "import them one by one, or leave `--name` out",
        ));
    }
    for path in &paths {
        let model = import_one(path, arguments, store, &progress)?;
        context.display.clear();
        if model.promptable {
            let note = format!("`{}` takes prompts, under the licence `{}`", model.id, model.licence);
            context.display.note(&note);
        }
        output::line(&model.id)?;
    }
    Ok(())
}

/// The data sets of a results folder; any other path stands for itself.
fn data_sets(path: &Path) -> Result<Vec<PathBuf>> {
    let is_data_set = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let digits = name.strip_prefix("Dataset").unwrap_or_default();
        digits.len() > 3 && digits.bytes().take(3).all(|byte| byte.is_ascii_digit()) && path.is_dir()
    };
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).map_err(|error| Error::read(path, error))?;
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_data_set).collect();
    found.sort();
    Ok(if found.is_empty() { vec![path.to_owned()] } else { found })
}

/// Takes in one model.
fn import_one(
    path: &Path,
    arguments: &ImportArguments,
    store: &ModelStore,
    progress: &Progress,
) -> Result<InstalledModel> {
    let request = ImportRequest {
        name: arguments.name.clone(),
        licence: arguments.licence.clone(),
        licence_accepted: arguments.accept_licence,
    };
    Ok(store.import(path, &request, progress)?)
}

/// Checks models; the first that is damaged is the error.
fn verify(store: &ModelStore, ids: &[String], context: &Context) -> Result<()> {
    let installed = store.list();
    let is_file = |model: &&InstalledModel| !matches!(model.origin, Origin::Found(_));
    let all = installed.iter().filter(is_file).map(|model| model.id.clone());
    let ids = if ids.is_empty() { all.collect() } else { ids.to_vec() };
    for id in ids {
        store.verify(&id)?;
        context.display.note(&format!("`{id}` is as it was installed"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_results_folder_stands_for_its_data_sets() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["Dataset297_total", "Dataset298_total", "notes", "Dataset"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let found = data_sets(folder.path()).unwrap();
        assert_eq!(found, ["Dataset297_total", "Dataset298_total"].map(|name| folder.path().join(name)));
        let one = folder.path().join("Dataset297_total");
        assert_eq!(data_sets(&one).unwrap(), [one]);
    }
}
