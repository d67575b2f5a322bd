//! Fetches one large file: resumed where it was cut, checked against what was promised, in place only when whole.

mod error;
mod part;
mod transfer;

use std::path::Path;
use std::time::Duration;

use imaging::Progress;

pub use error::Error;
use part::Part;
pub(crate) use transfer::agent;

/// What to fetch, and what is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where it lies.
    pub url: String,
    /// Its length, where it was published.
    pub bytes: Option<u64>,
    /// Lower-case hexadecimal SHA-256, where it was published.
    pub sha256: Option<String>,
}

/// How to fetch.
#[derive(Debug, Clone)]
pub struct Options {
    /// `http://proxy:3128`; none: what the environment says (`HTTPS_PROXY`, `NO_PROXY`, ...).
    pub proxy: Option<String>,
    /// Give up on a connection that sends nothing for this long.
    pub patience: Duration,
    /// How often to go on after a connection that was cut without a single new byte.
    pub retries: u32,
    /// Pause before the first of these; doubled each time.
    pub pause: Duration,
    /// Hosts that a redirect may lead to; a leading dot admits subdomains; empty: any host.
    pub hosts: Vec<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            proxy: None,
            patience: Duration::from_secs(20),
            retries: 5,
            pause: Duration::from_secs(1),
            hosts: Vec::new(),
        }
    }
}

/// Fetches `source` into the file `target`; steps are bytes, under the name `stage`.
///
/// What was fetched so far lies beside the target as `*.part` and is taken up by the next call. The target appears
/// only when its length and hash are as promised. The caller sees to it that one process at a time fetches a target.
///
/// # Errors
///
/// [`Error::Cancelled`] when `progress` says so; the rest of [`Error`] says what the server did wrong. A part whose
/// content proved wrong is deleted, so that the next call begins anew.
pub fn fetch(
    source: &Source,
    target: &Path,
    options: &Options,
    stage: &str,
    progress: &Progress,
) -> Result<(), Error> {
    let transfer = transfer::Transfer::new(source, options, stage, progress)?;
    let mut part = Part::open(target, source)?;
    let mut failures = 0;
    loop {
        let before = part.len();
        match transfer.run(&mut part) {
            Ok(()) => break,
            Err(error) if error.is_passing() => {
                failures = if part.len() > before { 0 } else { failures + 1 };
                if failures > options.retries {
                    return Err(error);
                }
                pause(options.pause * 2u32.pow(failures.min(6)), progress)?;
            }
            Err(error) => return Err(error),
        }
    }
    part.finish(source, target)
}

/// Waits, and still hears the wish to stop.
fn pause(length: Duration, progress: &Progress) -> Result<(), Error> {
    let end = std::time::Instant::now() + length;
    while let Some(left) = end.checked_duration_since(std::time::Instant::now()) {
        if progress.is_cancelled() {
            return Err(Error::Cancelled);
        }
        std::thread::sleep(left.min(Duration::from_millis(50)));
    }
    Ok(())
}
