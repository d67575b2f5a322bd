//! `vesalius experiment`: the comparison of four databases from one manifest to one report, in one command.

mod conclusion;

use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::Context;
use crate::{Error, Result, output};

/// Runs an experiment of many steps; each can be given by hand, too.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// The experiments.
#[derive(Debug, Subcommand)]
enum Command {
    /// Clinical cases, n synthetic ones, both, and clinical with m synthetic ones: split, synthesise, train, measure
    FourDatabases(FourDatabases),
}

/// What to compare.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What stands after `--` goes to every `vesalius train`, so that all trainings have one budget:\n  \
    vesalius experiment four-databases study.csv -o out -n 2000 -m 40000 --seeds 1 2 3 -- --preset default -d cuda\n\n\
    A step whose result is there is left alone: the same command goes on where it was broken off."
)]
struct FourDatabases {
    /// Table of the study's cases; see `docs/stroke.md`
    manifest: PathBuf,
    /// Folder for everything
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Synthetic cases of the small databases
    #[arg(short = 'n', long, default_value_t = 2000)]
    small: u64,
    /// Synthetic cases of the large database
    #[arg(short = 'm', long, default_value_t = 40_000)]
    large: u64,
    /// Seeds: every database is trained once with each
    #[arg(long, num_args = 1.., default_values_t = [1, 2, 3])]
    seeds: Vec<u64>,
    /// Make synthetic cases while the networks train, but for a few to look at, instead of putting all on disk
    #[arg(long)]
    on_the_fly: bool,
    /// Print the commands, one on a line, and run nothing: the lines with `train` can run on many machines
    #[arg(long)]
    dry_run: bool,
    /// For every training: preset, device and so on
    #[arg(last = true, value_name = "TRAIN")]
    train: Vec<String>,
}

/// One command, and the file that says it is done.
struct Step {
    line: Vec<String>,
    done: PathBuf,
}

/// Runs an experiment; the report's folder is the answer.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let Command::FourDatabases(experiment) = &arguments.command;
    let steps = experiment.steps();
    if experiment.dry_run {
        return steps.iter().try_for_each(|step| {
            let words: Vec<String> = std::iter::once("vesalius".to_owned())
                .chain(step.line.iter().map(|word| quoted(word)))
                .collect();
            output::line(&words.join(" "))
        });
    }
    if experiment.seeds.is_empty() {
        return Err(Error::usage("no seeds are given", "such as `--seeds 1 2 3`"));
    }
    for (n, step) in steps.iter().enumerate() {
        if step.done.exists() {
            continue;
        }
        context.display.note(&format!("step {} of {}: vesalius {}", n + 1, steps.len(), step.line.join(" ")));
        super::run_quietly(&step.line, context)?;
    }
    let report = experiment.report();
    let text = conclusion::write(&report, &experiment.databases(), &experiment.seeds)?;
    context.display.clear();
    context.display.note(&text);
    output::line(&report.display().to_string())
}

impl FourDatabases {
    fn at(&self, name: &str) -> PathBuf {
        self.output.join(name)
    }

    fn report(&self) -> PathBuf {
        self.at("report")
    }

    /// The databases by their names in the data sets', and their numbers.
    fn databases(&self) -> [(String, u16); 4] {
        let (n, m) = (self.small, self.large);
        [("C".to_owned(), 501), (format!("S{n}"), 502), (format!("CS{n}"), 503), (format!("CS{m}"), 504)]
    }

    fn dataset(&self, (name, number): &(String, u16)) -> PathBuf {
        self.at("raw").join(format!("Dataset{number}_Stroke{name}"))
    }

    /// Every command, in order.
    fn steps(&self) -> Vec<Step> {
        let text = |path: &Path| path.display().to_string();
        let (manifest, splits) = (text(&self.manifest), text(&self.at("splits.json")));
        let (synthetic, raw) = (text(&self.at("synthetic")), text(&self.at("raw")));
        let (n, m) = (self.small.to_string(), self.large.to_string());
        let most = self.small.max(self.large).to_string();
        let step = |line: &[&str], done: PathBuf| Step {
            line: line.iter().map(|word| (*word).to_owned()).collect(),
            done,
        };
        let databases = self.databases();
        let mut steps = vec![
            step(&["dataset", "split", &manifest, "-o", &splits], self.at("splits.json")),
            step(
                &["synth", "--manifest", &manifest, "--splits", &splits, "-o", &synthetic, "-n", &most],
                self.at("synthetic").join("synth.json"),
            ),
            step(
                &[
                    "dataset",
                    "build",
                    &manifest,
                    "--splits",
                    &splits,
                    "--synthetic",
                    &synthetic,
                    "-o",
                    &raw,
                    "-n",
                    &n,
                    "-m",
                    &m,
                ],
                self.dataset(&databases[3]).join("dataset.json"),
            ),
        ];
        if self.on_the_fly {
            steps[1].line.push("--on-the-fly".to_owned());
        }
        let work = text(&self.at("work"));
        // The network is planned for the largest database, and is the same for all.
        let plans = text(&self.dataset(&databases[3]));
        let mut predictions = Vec::new();
        for database in &databases {
            for seed in &self.seeds {
                let name = format!("{}_seed{seed}", database.0);
                let (dataset, seed) = (text(&self.dataset(database)), seed.to_string());
                let run = self.at("work").join("runs").join(&name);
                predictions.push(format!("{name}={}", text(&run.join("test").join("predictions"))));
                let line = [
                    "train",
                    "--dataset",
                    &dataset,
                    "--plans-of",
                    &plans,
                    "--name",
                    &name,
                    "--seed",
                    &seed,
                    "--work",
                    &work,
                    "--no-install",
                ];
                let mut train = step(&line, run.join("card.json"));
                train.line.extend(self.train.iter().cloned());
                steps.push(train);
            }
        }
        let (truth, report) = (text(&self.dataset(&databases[0]).join("labelsTs")), text(&self.report()));
        let labels = text(&self.dataset(&databases[0]).join("dataset.json"));
        let title = "Four databases: clinical, synthetic, and both";
        let mut evaluate = step(
            &[
                "evaluate",
                "--truth",
                &truth,
                "--manifest",
                &manifest,
                "--labels",
                &labels,
                "--title",
                title,
                "-o",
                &report,
            ],
            self.report().join("report.json"),
        );
        for prediction in predictions {
            evaluate.line.extend(["--prediction".to_owned(), prediction]);
        }
        steps.push(evaluate);
        steps
    }
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn experiment() -> FourDatabases {
        FourDatabases {
            manifest: "a study.csv".into(),
            output: "out".into(),
            small: 4,
            large: 12,
            seeds: vec![1, 2, 3],
            on_the_fly: true,
            dry_run: true,
            train: vec!["--preset".to_owned(), "smoke".to_owned()],
        }
    }

    #[test]
    fn every_database_has_one_budget_one_network_and_every_seed() {
        let steps = experiment().steps();
        let trains: Vec<_> = steps.iter().filter(|step| step.line[0] == "train").collect();
        assert_eq!((steps.len(), trains.len()), (16, 12));
        for train in &trains {
            assert!(train.line.ends_with(&["--preset".to_owned(), "smoke".to_owned()]));
            let at = train.line.iter().position(|word| word == "--plans-of").unwrap();
            assert!(train.line[at + 1].ends_with("Dataset504_StrokeCS12"));
        }
        let mut names: Vec<_> = trains.iter().map(|train| train.done.clone()).collect();
        names.dedup();
        assert_eq!(names.len(), 12);
        let evaluate = steps.last().unwrap();
        assert_eq!(evaluate.line.iter().filter(|word| *word == "--prediction").count(), 12);
    }

    #[test]
    fn every_line_is_one_that_the_program_understands() {
        for step in experiment().steps() {
            let line = std::iter::once("vesalius".to_owned()).chain(step.line).map(std::ffi::OsString::from);
            assert!(crate::cli::parse(line).is_ok());
        }
        assert_eq!(quoted("a study.csv"), "'a study.csv'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}
