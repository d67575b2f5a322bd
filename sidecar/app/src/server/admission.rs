//! How much memory a job will need, told before it starts.
//!
//! The sum of what is alive together at the worst moment: the program and the runtime, the image and its labels, the
//! copy of the region turned to the model's axes, that region at the model's spacing before and after normalisation,
//! one slab of scores, the model's weights, and the network's own buffers. The constants were measured with
//! `tests/benchmarks/server.py`; they err on the high side.

use engine::{Mode, ModelStore, PlannedRun, SegmentOptions, Speed, Task};
use imaging::{Grid, IndexBox};

use super::error::{Answer, Code, Refusal};
use crate::{machine, output};

/// The program with the runtime and its threads.
const PROGRAM_BYTES: f64 = 200e6;
/// Feature maps of full size that live together in a U-Net's last stage: two inputs, their join, and the output.
const MAPS_ALIVE: f64 = 4.0;
/// Copies of the weights: as they were read, and as the runtime packs them.
const COPIES_OF_WEIGHTS: f64 = 2.5;

/// Grids of the images that a job reads.
pub(super) struct Images<'a> {
    /// That of the result.
    pub(super) main: &'a Grid,
    /// Those of all channels, the main image among them.
    pub(super) all: Vec<&'a Grid>,
}

/// Refuses a job that does not fit into the memory that is free now, with the figures and what would fit. `most` is
/// what workers may take at all.
pub(super) fn check(
    images: &Images<'_>,
    task: &Task,
    options: &SegmentOptions,
    store: &ModelStore,
    most: Option<u64>,
) -> Answer<()> {
    let grid = images.main;
    let need = |options: &SegmentOptions| need(images, &store.plan(grid, task, options), options);
    let needed = need(options);
    let free = machine::memory().map(|memory| memory.available);
    let Some(free) = free.into_iter().chain(most).min().filter(|free| needed > *free) else {
        return Ok(());
    };
    let mut fits = Vec::new();
    let faster = [
        ("fast", task.modes.fast.is_some(), Speed::Fast),
        ("fastest", task.modes.fastest.is_some(), Speed::Fastest),
    ];
    for (name, _, speed) in faster.into_iter().filter(|(_, exists, _)| *exists) {
        let needed = need(&SegmentOptions { speed, ..options.clone() });
        if needed <= free && speed != options.speed {
            fits.push(format!("`speed: {name}` needs about {}", output::size(needed)));
            break;
        }
    }
    let whole = options.region.unwrap_or_else(|| IndexBox::whole(grid));
    let slices = whole.size()[2];
    let part =
        [2, 3, 4, 8].into_iter().map(|parts| slices / parts).filter(|part| *part > 0).find_map(|part| {
            let mut region = whole;
            region.end[2] = region.start[2] + part;
            let needed = need(&SegmentOptions { region: Some(region), ..options.clone() });
            (needed <= free).then(|| format!("a region of {part} slices about {}", output::size(needed)))
        });
    fits.extend(part);
    let hint = if fits.is_empty() {
        "close other programs, or use a computer with more memory".to_owned()
    } else {
        format!("{}; or close other programs", fits.join(", "))
    };
    let (needed, free) = (output::size(needed), output::size(free));
    let message = format!("the job needs about {needed} of memory, and {free} are free");
    Err(Refusal::new(Code::NeedsTooMuchMemory, message, hint))
}

/// Bytes that these runs over images need, about.
fn need(images: &Images<'_>, runs: &[PlannedRun], options: &SegmentOptions) -> u64 {
    let score = if options.mode == Mode::Precise { 4.0 } else { 2.0 };
    let whole = images.main.len() as f64;
    let channels = images.all.len().max(1) as f64;
    let region = options
        .region
        .filter(|region| !region.is_empty())
        .map_or(whole, |region| region.size().iter().product::<usize>() as f64);
    // The images, and the one that is resampled as it was read; labels as they are found, painted and given back.
    // The second choice and its margin: on their way back, as they are given, and as they are written.
    let runner_up = if options.keep_runner_up { 6.0 * whole } else { 0.0 };
    let strange = images.all.iter().filter(|grid| ***grid != *images.main).map(|grid| grid.len()).max();
    let image = 4.0 * (channels * whole + strange.unwrap_or(0) as f64) + 3.0 * whole + runner_up;
    let of_runs = runs.iter().map(|run| of_run(run, region, score, channels)).fold(0.0, f64::max);
    (PROGRAM_BYTES + image + of_runs) as u64
}

/// Bytes for one model over `region` voxels of so many channels, with `score` bytes for each score.
fn of_run(run: &PlannedRun, region: f64, score: f64, channels: f64) -> f64 {
    let padded = |a: usize| run.shape[a].max(run.patch_size[a]) as f64;
    let (plane, depth) = (padded(1) * padded(2), padded(0));
    let prepared = 3.0 * 4.0 * plane * depth * channels;
    let slab = (run.classes as f64 * score + 4.0) * plane * depth.min(1.25 * run.patch_size[0] as f64);
    let network = run.patch_size.iter().product::<usize>() as f64 * run.features as f64 * 4.0 * MAPS_ALIVE;
    2.0 * 4.0 * region * channels + prepared + slab + network + COPIES_OF_WEIGHTS * run.bytes as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(shape: [usize; 3], classes: usize) -> PlannedRun {
        PlannedRun {
            task: "total".into(),
            weights: "291".into(),
            bytes: 250_000_000,
            patch_size: [128; 3],
            shape,
            patches: 1,
            classes,
            features: 32,
        }
    }

    fn one(grid: &Grid) -> Images<'_> {
        Images { main: grid, all: vec![grid] }
    }

    #[test]
    fn every_image_counts() {
        let grid = Grid::aligned([200; 3], [1.0; 3]);
        let other = Grid::aligned([400; 3], [0.5; 3]);
        let options = SegmentOptions::default();
        let need = |all: Vec<&Grid>| need(&Images { main: &grid, all }, &[run([200; 3], 2)], &options);
        let (one, two, resampled) = (need(vec![&grid]), need(vec![&grid, &grid]), need(vec![&grid, &other]));
        // As it is read, on the model's grid twice, and as the network sees it.
        assert!(two - one >= 4 * (8_000_000 + 16_000_000 + 24_000_000), "{one} {two}");
        assert_eq!(resampled - two, 4 * 64_000_000);
    }

    #[test]
    fn a_whole_body_needs_gigabytes_and_a_head_does_not() {
        // `total` at 1.5 mm: 25 classes in its largest part, 512 x 512 x 600 at 0.8 x 0.8 x 1.0 mm.
        let body = Grid::aligned([512, 512, 600], [0.8, 0.8, 1.0]);
        let needed = need(&one(&body), &[run([400, 273, 273], 25)], &SegmentOptions::default()) as f64;
        assert!((4.0e9..7.0e9).contains(&needed), "{needed}");
        let head = Grid::aligned([256, 256, 100], [1.0, 1.0, 2.5]);
        let needed = need(&one(&head), &[run([167, 171, 171], 6)], &SegmentOptions::default()) as f64;
        assert!((1.0e9..2.5e9).contains(&needed), "{needed}");
    }

    #[test]
    fn the_largest_run_counts() {
        let grid = Grid::aligned([100; 3], [1.0; 3]);
        let (small, large) = (run([100; 3], 2), run([300; 3], 30));
        let both = need(&one(&grid), &[small.clone(), large.clone()], &SegmentOptions::default());
        assert_eq!(both, need(&one(&grid), &[large], &SegmentOptions::default()));
        assert!(both > need(&one(&grid), &[small], &SegmentOptions::default()));
    }
}
