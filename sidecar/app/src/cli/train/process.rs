//! nnU-Net as a child of this program: started, followed line by line, and ended with all its workers.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use imaging::Progress;
use serde_json::Value;
use training::{Job, Log, Note};

use super::plan::Plan;
use crate::cli::Context;
use crate::staging::Staging;
use crate::{Error, Result};

/// How often a silent child is asked whether the user wants to stop.
const BEAT: Duration = Duration::from_millis(200);
/// How long a child may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(5);
/// Lines of its last words that the user is shown.
const LAST_WORDS: usize = 12;

/// What came of a job.
#[derive(Debug)]
pub(super) struct Trained {
    /// nnU-Net's folder of the model.
    pub(super) folder: PathBuf,
    /// Versions of nnU-Net's environment.
    pub(super) versions: Value,
    /// The job's own folder.
    pub(super) run: PathBuf,
}

/// Plans and preprocesses only; the folder of preprocessed data is the answer.
pub(super) fn prepare(plan: &Plan<'_>, progress: &Progress, context: &Context) -> Result<PathBuf> {
    // Not in the training's own folder, whose job may be under way.
    let run = plan.run.join("prepare");
    train(plan, &Job { only_prepare: true, ..plan.job.clone() }, &run, progress, context)?;
    Ok(plan.job.preprocessed.clone())
}

/// Runs a job in its folder, or goes on with it.
pub(super) fn train(
    plan: &Plan<'_>,
    job: &Job,
    run: &Path,
    progress: &Progress,
    context: &Context,
) -> Result<Trained> {
    for folder in [run, &job.preprocessed, &job.results] {
        std::fs::create_dir_all(folder).map_err(|error| Error::write(folder, error))?;
    }
    let _lock = lock(run)?;
    let path = run.join("job.json");
    same(&path, job)?;
    write(&path, &serde_json::to_vec_pretty(job).map_err(|error| Error::Output(error.into()))?)?;
    let log_path = run.join("log.txt");
    let mut kept = File::options()
        .create(true)
        .append(true)
        .open(&log_path)
        .map_err(|error| Error::write(&log_path, error))?;
    let mut log = Log::default();
    // What earlier starts said is part of the curve.
    for line in std::fs::read_to_string(&log_path).unwrap_or_default().lines() {
        log.read(line);
    }
    let mut child = Running::start(plan, &path)?;
    let (mut folder, mut versions) = (None, Value::Null);
    let mut last_words = Vec::new();
    while let Some(line) = child.next(progress)? {
        writeln!(kept, "{line}").map_err(|error| Error::write(&log_path, error))?;
        match log.read(&line) {
            Some(Note::Done(done)) => folder = Some(PathBuf::from(done)),
            Some(Note::Versions(found)) => versions = found,
            Some(Note::Epoch) => {
                if let Some(sentence) = log.sentence() {
                    context.display.detail(&sentence);
                }
                curve(run, &log, &plan.name)?;
            }
            Some(Note::Stage(_) | Note::Step) => {}
            None => last_words.push(line),
        }
        let (done, total) = if log.stage == "training" { log.progress() } else { (0, 0) };
        progress.step(&log.stage, done, total)?;
    }
    let status = child.wait()?;
    match folder {
        Some(folder) if status => Ok(Trained { folder, versions, run: run.to_owned() }),
        _ => {
            let from = last_words.len().saturating_sub(LAST_WORDS);
            context.display.note(&last_words[from..].join("\n"));
            Err(Error::refused(
                format!(
                    "nnU-Net stopped before it was done; its last words stand above, all in `{}`",
                    log_path.display()
                ),
                "the same command goes on from the last checkpoint",
            ))
        }
    }
}

/// Draws the curve anew.
fn curve(run: &Path, log: &Log, name: &str) -> Result<()> {
    write(&run.join("curve.html"), training::curves(&log.epochs, &format!("Training of {name}")).as_bytes())
}

/// Refuses to go on with another training in the folder of this one.
fn same(path: &Path, job: &Job) -> Result<()> {
    let Ok(text) = std::fs::read_to_string(path) else { return Ok(()) };
    let Ok(before) = serde_json::from_str::<Job>(&text) else { return Ok(()) };
    match job.difference(&before) {
        None => Ok(()),
        Some(difference) => Err(Error::refused(
            format!("another training lies in `{}`: {difference}", path.parent().unwrap_or(path).display()),
            "choose another `--name`, or remove that folder",
        )),
    }
}

/// One training at a time in a folder; a lock goes with its program, however that ends.
fn lock(run: &Path) -> Result<File> {
    let path = run.join("lock");
    let file = File::create(&path).map_err(|error| Error::write(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::refused(
            format!("another program trains in `{}`", run.display()),
            "wait for it, or choose another `--name`",
        )),
        Err(std::fs::TryLockError::Error(error)) => Err(Error::write(&path, error)),
    }
}

/// Writes a file whole or not at all.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut staging = Staging::new();
    let aside = staging.path(path)?;
    std::fs::write(&aside, bytes).map_err(|error| Error::write(path, error))?;
    staging.commit().map(|_| ())
}

/// A child with its lines; ended when dropped.
struct Running {
    child: Child,
    lines: Receiver<String>,
    over: bool,
}

impl Running {
    fn start(plan: &Plan<'_>, job: &Path) -> Result<Running> {
        let environment = plan.environment;
        let mut command = Command::new(&environment.python);
        command
            .arg("-u")
            .arg(environment.scripts.join("train.py"))
            .arg(job)
            // The child watches its input: when this program is gone, however it ended, so are its workers.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env("OMP_NUM_THREADS", plan.job.threads.to_string());
        own_group(&mut command);
        let mut child = command.spawn().map_err(|error| Error::read(&environment.python, error))?;
        let (sender, lines) = channel();
        let streams: [Option<Box<dyn std::io::Read + Send>>; 2] = [
            child.stdout.take().map(|stream| Box::new(stream) as _),
            child.stderr.take().map(|stream| Box::new(stream) as _),
        ];
        for stream in streams.into_iter().flatten() {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                let mut bytes = Vec::new();
                while reader.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
                    let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
                    bytes.clear();
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Running { child, lines, over: false })
    }

    /// The next line; none when all streams are closed.
    fn next(&mut self, progress: &Progress) -> Result<Option<String>> {
        loop {
            if progress.is_cancelled() {
                return Err(Error::Cancelled);
            }
            match self.lines.recv_timeout(BEAT) {
                Ok(line) => return Ok(Some(line)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Whether it ended well.
    fn wait(&mut self) -> Result<bool> {
        let status = self.child.wait().map_err(|error| Error::read(Path::new("nnU-Net"), error))?;
        self.over = true;
        Ok(status.success())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        end(&mut self.child, false);
        let began = std::time::Instant::now();
        while began.elapsed() < PATIENCE && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(50));
        }
        end(&mut self.child, true);
        let _ = self.child.wait();
    }
}

/// A group of its own, so that workers can be ended with it and a Ctrl-C of the terminal reaches this program first.
#[cfg(unix)]
fn own_group(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

#[cfg(not(unix))]
fn own_group(_command: &mut Command) {}

/// Asks the group to end, or ends it.
#[cfg(unix)]
fn end(child: &mut Child, by_force: bool) {
    use rustix::process::{Pid, Signal, kill_process_group};
    let signal = if by_force { Signal::KILL } else { Signal::TERM };
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, signal);
    }
}

#[cfg(not(unix))]
fn end(child: &mut Child, _by_force: bool) {
    let _ = child.kill();
}
