//! How long a user waits, at the spacing of everyday images.

use std::sync::Arc;

use correction::{Image, Intensity, Prompt, Request, Session};
use imaging::{Cancelled, Progress};
use serde::Serialize;

use crate::clock::{Clock, Time};
use crate::phantom::phantom;
use crate::report::percentile;
use crate::spoil::{Fault, spoiled};
use crate::user::next_click;

/// Errors that are clicked once each, in each structure: those that are quickly made, however small the voxels.
const FAULTS: [Fault; 3] = [Fault::Cut, Fault::Swap, Fault::Shift];

/// Milliseconds of one kind of operation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Wait {
    /// On the wall: half of all operations are done.
    pub p50_ms: f64,
    /// On the wall: 19 of 20 are done.
    pub p95_ms: f64,
    /// Of the processor, all threads together; `None` where the system does not say.
    pub processor_p50_ms: Option<f64>,
    #[expect(missing_docs, reason = "as above")]
    pub processor_p95_ms: Option<f64>,
}

/// How long a user waits for a session over the phantom.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Latency {
    /// Millimetres between voxels.
    pub spacing_mm: f64,
    /// Voxels along i, j, k.
    pub size: [usize; 3],
    /// Clicks.
    pub clicks: usize,
    /// From a click to the changed labels, with all scopes.
    pub commit: Wait,
    /// A step of the wheel.
    pub wheel: Wait,
    /// To take a change back.
    pub undo: Wait,
    /// The outline under a hovering cursor.
    pub hover: Wait,
}

/// Clicks once into every error of the phantom at a spacing in millimetres.
///
/// # Errors
///
/// [`Cancelled`].
pub fn latency(spacing: f64, progress: &Progress) -> Result<Latency, Cancelled> {
    let (volume, truth) = phantom(spacing);
    let size = truth.grid.size;
    let image = Image::new(Arc::new(volume), Intensity::Hounsfield);
    let [mut commit, mut wheel, mut undo, mut hover] = [const { Vec::<Time>::new() }; 4];
    let silent = Progress::silent();
    for label in 1..=10u8 {
        for fault in FAULTS {
            progress.step("latency", u64::from(label), 10)?;
            let Some(labels) = spoiled(image.volume(), &truth, label, fault, 0) else { continue };
            let Some(click) = next_click(&truth, &labels, label, None) else { continue };
            let at = truth.grid.world(click.voxel.map(|n| n as f64));
            let prompt = Prompt::click(at, click.sign, Some(label));
            let Ok(mut session) = Session::new(image.clone(), labels, None) else { continue };
            let request =
                |operation: &str, base| Request { operation: operation.to_owned(), base, seconds: 0.0 };
            let clock = Clock::start();
            let seen = session.hover(&prompt, &silent);
            hover.push(clock.stop());
            let clock = Clock::start();
            let made = session.prompt(&request("commit", 0), &prompt, &silent);
            commit.push(clock.stop());
            let clock = Clock::start();
            let chosen = session.choose(&request("wheel", 1), 0, &silent);
            wheel.push(clock.stop());
            let clock = Clock::start();
            let back = session.undo(&request("undo", 2));
            undo.push(clock.stop());
            debug_assert!(seen.is_ok() && made.is_ok() && chosen.is_ok() && back.is_ok());
        }
    }
    let clicks = commit.len();
    let [commit, wheel, undo, hover] = [commit, wheel, undo, hover].map(|times| wait(&times));
    Ok(Latency { spacing_mm: spacing, size, clicks, commit, wheel, undo, hover })
}

fn wait(times: &[Time]) -> Wait {
    let wall: Vec<f64> = times.iter().map(|time| time.wall_ms).collect();
    let processor: Vec<f64> = times.iter().filter_map(|time| time.processor_ms).collect();
    Wait {
        p50_ms: percentile(&wall, 0.5).unwrap_or(0.0),
        p95_ms: percentile(&wall, 0.95).unwrap_or(0.0),
        processor_p50_ms: percentile(&processor, 0.5),
        processor_p95_ms: percentile(&processor, 0.95),
    }
}
