//! The command line: what was typed, and which command it is for.

mod bench;
mod clients;
mod dataset;
mod device;
mod doctor;
mod evaluate;
mod experiment;
mod models;
mod pair;
mod segment;
mod serve;
mod synth;
mod tasks;
mod train;
mod translate;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use engine::ModelStore;
use tracing::Metadata;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Home, Settings};
use crate::display::{Display, Verbosity};
use crate::{Error, Result, output};

/// Segments any CT or MR image into named structures, on this machine, offline.
#[derive(Debug, Parser)]
#[command(name = "vesalius", bin_name = "vesalius", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "For research use; not a medical device. Nothing leaves this machine but a model download \
                        that you ask for."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

/// What every command takes.
#[derive(Debug, clap::Args)]
struct Global {
    /// Print nothing but the answer and errors
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Print what is chosen, and why
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    verbose: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
enum Command {
    /// Segment one image
    Segment(Box<segment::Arguments>),
    /// List what can be segmented
    Tasks(tasks::Arguments),
    /// Install, import, list, verify and remove models
    Models(models::Arguments),
    /// Measure segmentations against a truth, and write a report
    Evaluate(evaluate::Arguments),
    /// Make synthetic stroke cases from real strokes and normal brains
    Synth(Box<synth::Arguments>),
    /// Split a study by patient, and make nnU-Net's data sets
    Dataset(dataset::Arguments),
    /// Train nnU-Net on a data set, and install what it learned
    Train(Box<train::Arguments>),
    /// Compare databases, from a manifest to a report
    Experiment(experiment::Arguments),
    /// Serve viewers on this computer, such as 3D Slicer
    Serve(serve::Arguments),
    /// Pair a web viewer with the server
    Pair(pair::Arguments),
    /// List and revoke paired web viewers
    Clients(clients::Arguments),
    /// Say what was found on this machine, and how to mend what is missing
    Doctor(doctor::Arguments),
    /// Measure how good and how fast correction and registration are here
    Bench(bench::Arguments),
}

/// What a command works with.
pub(crate) struct Context {
    /// Where models and settings are.
    pub(crate) home: Home,
    /// What the user has set for good.
    pub(crate) settings: Settings,
    /// Notes and progress.
    pub(crate) display: Display,
}

impl Context {
    /// The models of this user.
    pub(crate) fn store(&self) -> ModelStore {
        ModelStore::new(self.home.models(), self.settings.weight_folders())
    }
}

/// Runs the program with the arguments it was started with.
#[must_use]
pub fn main() -> ExitCode {
    start_log();
    let arguments = match parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(Unparsed::Clap(error)) => {
            // Help and version are answers; broken pipes and the like are not worth a word.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
        Err(Unparsed::Ours(error)) => return fail(&error),
    };
    match run(arguments) {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

/// Prints an error and its hint, and gives the exit code.
fn fail(error: &Error) -> ExitCode {
    let code = error.exit_code();
    if code != 0 {
        output::note(&format!("error: {}", error.sentence()));
        if let Some(hint) = error.hint() {
            output::note(&format!("hint: {hint}"));
        }
    }
    ExitCode::from(code)
}

/// Why arguments were not understood, or need no command.
enum Unparsed {
    Clap(clap::Error),
    Ours(Error),
}

/// Reads the arguments, TotalSegmentator's spelling included.
fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Arguments, Unparsed> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "segment") {
        let theirs = arguments.split_off(at + 1);
        arguments.extend(translate::translate(theirs).map_err(Unparsed::Ours)?);
    }
    Arguments::try_parse_from(arguments).map_err(Unparsed::Clap)
}

/// Runs one command.
fn run(arguments: Arguments) -> Result<ExitCode> {
    let verbosity = match arguments.global {
        Global { quiet: true, .. } => Verbosity::Quiet,
        Global { verbose: true, .. } => Verbosity::Verbose,
        Global { .. } => Verbosity::Normal,
    };
    let home = Home::find()?;
    let settings = Settings::read(&home)?;
    let context = Context { home, settings, display: Display::new(verbosity) };
    let result = match arguments.command {
        Command::Segment(arguments) => segment::run(&arguments, &context).map(|()| ExitCode::SUCCESS),
        Command::Tasks(arguments) => tasks::run(&arguments, &context).map(|()| ExitCode::SUCCESS),
        Command::Models(arguments) => models::run(&arguments, &context).map(|()| ExitCode::SUCCESS),
        Command::Evaluate(arguments) => evaluate::run(&arguments, &context).map(|()| ExitCode::SUCCESS),
        Command::Synth(arguments) => synth::run(&arguments, &context).map(|()| ExitCode::SUCCESS),
        Command::Dataset(arguments) => dataset::run(&arguments, &context).map(|()| ExitCode::SUCCESS),
        Command::Train(arguments) => train::run(&arguments, &context).map(|()| ExitCode::SUCCESS),
        Command::Experiment(arguments) => experiment::run(&arguments, &context).map(|()| ExitCode::SUCCESS),
        Command::Serve(arguments) => serve::run(&arguments, &context).map(|()| ExitCode::SUCCESS),
        Command::Pair(_) => pair::run(&context).map(|()| ExitCode::SUCCESS),
        Command::Clients(arguments) => clients::run(&arguments, &context).map(|()| ExitCode::SUCCESS),
        Command::Doctor(arguments) => doctor::run(&arguments, &context),
        Command::Bench(arguments) => bench::run(&arguments, &context).map(|()| ExitCode::SUCCESS),
    };
    context.display.clear();
    result
}

/// Runs another command of this program as a part of one; its answers are not printed.
fn run_quietly(arguments: &[String], context: &Context) -> Result<()> {
    let line = std::iter::once("vesalius".to_owned()).chain(arguments.iter().cloned()).map(OsString::from);
    let arguments = match parse(line) {
        Ok(arguments) => arguments,
        Err(Unparsed::Clap(error)) => return Err(Error::usage(error.to_string(), "a fault of this program")),
        Err(Unparsed::Ours(error)) => return Err(error),
    };
    output::without_answers(|| match arguments.command {
        Command::Evaluate(arguments) => evaluate::run(&arguments, context),
        Command::Synth(arguments) => synth::run(&arguments, context),
        Command::Dataset(arguments) => dataset::run(&arguments, context),
        Command::Train(arguments) => train::run(&arguments, context),
        _ => Err(Error::usage("another command was expected", "a fault of this program")),
    })
}

/// Where lines of the log may come from. Other libraries write down what they are given: the web server's, the paths
/// that it is asked for; the DICOM reader's, what stands in a file. Whatever `RUST_LOG` asks, that is never logged.
const LOGGED: [&str; 5] = ["vesalius", "engine", "nnunet", "imaging", "ort"];

/// Logs go to standard error, as `RUST_LOG` asks; errors otherwise.
fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error"));
    let is_ours = |metadata: &Metadata<'_>| {
        let root = metadata.target().split("::").next().unwrap_or_default();
        LOGGED.contains(&root)
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time();
    log.finish().with(filter_fn(is_ours)).init();
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn their_command_line_is_understood() {
        let line =
            "vesalius segment -i ct.nii.gz -o seg -ta total -f -ml -rs liver spleen -s -p -d gpu:1 -rmb -q";
        let arguments = parse(line.split(' ').map(OsString::from)).ok().unwrap();
        assert!(arguments.global.quiet);
        let Command::Segment(segment) = arguments.command else { panic!("another command") };
        assert_eq!(segment.task.as_deref(), Some("total"));
        assert_eq!(segment.roi_subset, ["liver", "spleen"]);
        assert_eq!(segment.remove_small_blobs, Some(200.0));
    }
}
