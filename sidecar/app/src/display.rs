//! Shows how far the work is: a bar with the time left on a terminal, a line now and then in a file or pipe.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use imaging::{Progress, Report};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output;

/// A bar for patches and slices.
const STEPS: &str = "{msg:<24} [{bar:30}] {pos}/{len}  {eta} left";
/// A bar for bytes.
const BYTES: &str = "{msg:<24} [{bar:30}] {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";
/// Work of unknown length.
const SPINNER: &str = "{msg:<24} {spinner} {elapsed}";
/// How long a pipe hears nothing.
const SILENCE: Duration = Duration::from_secs(10);

/// How much the user wants to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verbosity {
    /// Errors only.
    Quiet,
    /// Notes, warnings and progress.
    Normal,
    /// Also what was chosen and why.
    Verbose,
}

/// Notes and progress, in the measure that the user wants.
#[derive(Clone)]
pub(crate) struct Display {
    pub(crate) verbosity: Verbosity,
    stage: Arc<Mutex<Option<Stage>>>,
}

/// The stage that is going on.
struct Stage {
    name: String,
    bar: Option<ProgressBar>,
    began: Instant,
    spoke: Instant,
}

impl Display {
    /// Shows as much as `verbosity` says.
    pub(crate) fn new(verbosity: Verbosity) -> Display {
        Display { verbosity, stage: Arc::default() }
    }

    /// Tells the user something, unless quiet.
    pub(crate) fn note(&self, text: &str) {
        if self.verbosity != Verbosity::Quiet {
            self.clear();
            output::note(text);
        }
    }

    /// Tells a detail, to those who asked for details.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbosity == Verbosity::Verbose {
            self.clear();
            output::note(text);
        }
    }

    /// Tells a doubt, unless quiet.
    pub(crate) fn warning(&self, text: &str) {
        self.note(&format!("warning: {text}"));
    }

    /// Ends the bar, so that what follows begins on a clean line.
    pub(crate) fn clear(&self) {
        if let Some(Stage { bar: Some(bar), .. }) = self.lock().take() {
            bar.finish_and_clear();
        }
    }

    /// A [`Progress`] that is shown here.
    pub(crate) fn progress(&self) -> Progress {
        if self.verbosity == Verbosity::Quiet {
            return Progress::silent();
        }
        let display = self.clone();
        let terminal = std::io::stderr().is_terminal();
        Progress::new(move |report| display.show(report, terminal))
    }

    /// Takes in one step.
    fn show(&self, report: Report<'_>, terminal: bool) {
        let mut current = self.lock();
        if current.as_ref().is_none_or(|stage| stage.name != report.stage) {
            if let Some(Stage { bar: Some(bar), .. }) = current.take() {
                bar.finish_and_clear();
            }
            let bar = terminal.then(|| bar(report));
            if !terminal {
                output::note(report.stage);
            }
            let now = Instant::now();
            *current = Some(Stage { name: report.stage.to_owned(), bar, began: now, spoke: now });
        }
        let Some(stage) = current.as_mut() else { return };
        match &stage.bar {
            Some(bar) => {
                if bar.length() == Some(0) && report.total > 0 {
                    bar.set_style(style(report));
                }
                bar.set_length(report.total);
                bar.set_position(report.done);
            }
            None if stage.spoke.elapsed() >= SILENCE => {
                stage.spoke = Instant::now();
                output::note(&sentence(report, stage.began.elapsed()));
            }
            None => {}
        }
    }

    /// The stage, whatever happened to another thread that held it.
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Stage>> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A bar on standard error.
fn bar(report: Report<'_>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(report.total), ProgressDrawTarget::stderr());
    bar.set_style(style(report));
    bar.set_message(report.stage.to_owned());
    bar
}

/// What suits that which is counted: bytes where something is downloaded.
fn style(report: Report<'_>) -> ProgressStyle {
    let template = match report.total {
        0 => SPINNER,
        _ if is_bytes(report.stage) => BYTES,
        _ => STEPS,
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("=> ")
}

/// Downloads count bytes; the rest counts patches, slices or files.
fn is_bytes(stage: &str) -> bool {
    stage.starts_with("downloading")
}

/// `inference: 120 of 480, 35 s left`.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn sentence(report: Report<'_>, elapsed: Duration) -> String {
    let Report { stage, done, total } = report;
    let count = |value| if is_bytes(stage) { output::size(value) } else { value.to_string() };
    if total == 0 || done == 0 {
        return format!("{stage}: {} s so far", elapsed.as_secs());
    }
    let left = elapsed.as_secs_f64() / done as f64 * total.saturating_sub(done) as f64;
    format!("{stage}: {} of {}, {left:.0} s left", count(done), count(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_for_pipes_tell_the_time_left() {
        let report = |stage, done, total| Report { stage, done, total };
        let ten = Duration::from_secs(10);
        for (report, text) in [
            (report("inference", 120, 480), "inference: 120 of 480, 30 s left"),
            (
                report("downloading 297", 50_000_000, 150_000_000),
                "downloading 297: 50 MB of 150 MB, 20 s left",
            ),
            (report("reading", 0, 10), "reading: 10 s so far"),
            (report("reading", 3, 0), "reading: 10 s so far"),
        ] {
            assert_eq!(sentence(report, ten), text);
        }
    }
}
