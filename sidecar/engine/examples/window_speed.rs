//! How long everything around the network takes: `cargo run --release -p engine --example window_speed`.
//!
//! A network that answers at once runs over an image of 3 mm voxels with the patch and classes of TotalSegmentator's
//! `total_fast`, so what is left is preparing, copying, weighting, adding, and deciding. Milliseconds a patch, by the
//! clock and of processor time (Linux), which other work on the machine disturbs less.

#![expect(clippy::print_stdout, reason = "an example that reports to the terminal")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use engine::{Mode, Network, PredictOptions, Result, TakeScores, predict};
use imaging::{Grid, Progress, Volume};
use ndarray::Array3;
use nnunet::{Architecture, Kind, Normalization, Outputs, Plan, Resampling};

const PATCH: [usize; 3] = [112, 112, 128];
const CLASSES: usize = 118;

/// Answers with the same scores always, some classes at a time, as the runtime does.
struct Ready(Vec<f32>);

impl Network for Ready {
    fn run(&mut self, _: &[f32], take: &mut TakeScores<'_>) -> Result<()> {
        let voxels: usize = PATCH.iter().product();
        let together = self.0.len() / voxels;
        (0..CLASSES).step_by(together).try_for_each(|first| {
            let classes = together.min(CLASSES - first);
            take(first, &self.0[..classes * voxels])
        })
    }
}

fn plan(spacing: [f64; 3]) -> Plan {
    let resampling = Resampling { order: 3, order_z: 0, force_separate_z: None };
    Plan {
        dataset: "speed".into(),
        configuration: "3d_fullres".into(),
        trainer: String::new(),
        channels: vec!["CT".into()],
        normalization: vec![Normalization::Ct { lower: -1004.0, upper: 1588.0, mean: -50.0, std: 503.0 }],
        labels: Vec::new(),
        outputs: Outputs::Classes { count: CLASSES },
        patch_size: PATCH,
        spacing,
        transpose_forward: [0, 1, 2],
        transpose_backward: [0, 1, 2],
        resampling,
        resampling_of_scores: Resampling { order: 1, ..resampling },
        reader: "NibabelIOWithReorient".into(),
        architecture: Architecture {
            kind: Kind::Plain,
            features: Vec::new(),
            kernels: Vec::new(),
            strides: Vec::new(),
            encoder: Vec::new(),
            decoder: Vec::new(),
            convolution_bias: true,
            epsilon: 1e-5,
            negative_slope: 0.01,
        },
        interactions: None,
    }
}

/// Runs once and tells milliseconds a patch.
fn measure(size: [usize; 3], mode: Mode) -> Result<()> {
    let grid = Grid::aligned(size, [3.0; 3]);
    let voxels =
        Array3::from_shape_fn(grid.shape(), |(k, j, i)| ((i * 7 + j * 5 + k * 3) % 2000) as f32 - 1000.0);
    let images = [Volume { grid, voxels }];
    let mut networks: [Box<dyn Network>; 1] = [Box::new(Ready(blocks()))];
    let patches = Arc::new(AtomicU64::new(0));
    let seen = patches.clone();
    let progress = Progress::new(move |report| {
        if report.stage == "inference" {
            seen.store(report.total, Ordering::Relaxed);
        }
    });
    let options = PredictOptions { step: 0.8, mode, ..PredictOptions::default() };
    let (start, before) = (Instant::now(), processor_seconds());
    std::hint::black_box(predict(&images, &plan([3.0; 3]), &mut networks, &options, &progress)?);
    let (clock, processor) = (start.elapsed().as_secs_f64(), processor_seconds() - before);
    let patches = patches.load(Ordering::Relaxed);
    let [clock, processor] = [clock, processor].map(|seconds| seconds * 1000.0 / patches as f64);
    println!("{size:?} {mode:?}: {patches} patches, {clock:.0} ms each, processor {processor:.0} ms");
    Ok(())
}

/// Scores of eight classes, of which each wins in blocks of 16 voxels: borders as rare as in a body.
fn blocks() -> Vec<f32> {
    let [_, height, width] = PATCH;
    let voxels: usize = PATCH.iter().product();
    let score = |n: usize| {
        let (class, n) = (n / voxels, n % voxels);
        let block = n / width / height / 16 + n / width % height / 16 + n % width / 16;
        if block % 8 == class { 7.5 } else { -2.5 }
    };
    (0..8 * voxels).map(score).collect()
}

/// User and system time of this process, counted by Linux in hundredths of a second; 0 elsewhere.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn main() -> Result<()> {
    for mode in [Mode::Compatible, Mode::Precise] {
        measure([128, 112, 112], mode)?;
        measure([170, 140, 240], mode)?;
    }
    Ok(())
}
