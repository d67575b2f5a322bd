//! How long resampling takes: a CT of 512 x 512 x 275 voxels to 3 mm and 1.5 mm, linear and cubic.
//!
//! Run: `RAYON_NUM_THREADS=2 cargo run --release -p imaging --example resampling_speed`.
//! Seconds by the clock, best of three, and of processor time (Linux), which other work on the machine disturbs less.
//! The same by SciPy: `tests/reference/imaging/resampling_speed.py`.
#![expect(clippy::print_stdout, reason = "an example speaks to the person who runs it")]

use std::time::Instant;

use imaging::{Grid, GridError, Interpolation, LabelMap, Orientation, Volume, resize};
use ndarray::Array3;

fn main() -> Result<(), GridError> {
    let grid = Grid::aligned([512, 512, 275], [0.78, 0.78, 1.0]);
    let mut state = 1u32;
    let voxels = Array3::from_shape_simple_fn(grid.shape(), || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 21) as f32 - 1024.0
    });
    let volume = Volume { grid, voxels };
    let volume = timed("reoriented LPS -> RAS", || volume.reoriented(Orientation::RAS));
    for spacing in [3.0, 1.5] {
        for interpolation in [Interpolation::Linear, Interpolation::Cubic] {
            let name = format!("resampled to {spacing} mm, {interpolation:?}");
            let resampled = timed(&name, || volume.resampled([spacing; 3], interpolation))?;
            if interpolation == Interpolation::Linear {
                let mut labels = LabelMap::background(&resampled.grid);
                labels.labels.zip_mut_with(&resampled.voxels, |label, &value| *label = value as u8);
                timed("labels stretched back", || labels.stretched(&volume.grid));
            } else {
                timed("resized to 1.2x, Cubic", || {
                    let shape = resampled.grid.shape().map(|n| n * 6 / 5);
                    resize(resampled.voxels.view(), shape, interpolation)
                });
            }
        }
    }
    Ok(())
}

fn timed<T>(name: &str, work: impl Fn() -> T) -> T {
    let (mut clock, mut processor) = (f64::INFINITY, f64::INFINITY);
    let mut result = None;
    for _ in 0..3 {
        let (start, before) = (Instant::now(), processor_seconds());
        result = Some(work());
        clock = clock.min(start.elapsed().as_secs_f64());
        processor = processor.min(processor_seconds() - before);
    }
    println!("{name:36} {clock:7.2} s   processor {processor:7.2} s");
    result.unwrap_or_else(work)
}

/// User and system time of this process, counted by Linux in hundredths of a second; 0 elsewhere.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
