//! How much memory a job will need, told before it starts.
//!
//! The sum of what is alive together at the worst moment: the image and its copy turned to the model's axes, the image
//! at the model's spacing twice (before and after normalisation), one slab of scores, and the network's own buffers.
//! It errs on the high side for models whose plan is not known before they are read.

use engine::{ModelStore, Origin, SegmentOptions, Task};
use imaging::{Grid, Orientation, Reorientation};
use nnunet::Plan;

use super::error::{Answer, Code, Refusal};
use crate::{machine, output};

/// Feature maps of the first stage of the published networks.
const FEATURES: f64 = 32.0;
/// Feature maps of full size that live together in a U-Net's last stage: two inputs, their join, and the output.
const MAPS_ALIVE: f64 = 4.0;
/// What is assumed of a model whose plan is not known: a patch of 128³ at 1.5 mm.
const UNKNOWN_PATCH: [usize; 3] = [128; 3];
const UNKNOWN_SPACING: f64 = 1.5;

/// Refuses a job that does not fit into the memory that is free now, with the figures and what would fit.
pub(super) fn check(grid: &Grid, task: &Task, options: &SegmentOptions, store: &ModelStore) -> Answer<u64> {
    let need = need(grid, task, options, store);
    let Some(free) = machine::memory().map(|memory| memory.available) else { return Ok(need) };
    if need <= free {
        return Ok(need);
    }
    let faster = [
        ("fast", task.modes.fast.is_some(), engine::Speed::Fast),
        ("fastest", task.modes.fastest.is_some(), engine::Speed::Fastest),
    ];
    let fits = faster.into_iter().filter(|(_, exists, _)| *exists).find_map(|(name, _, speed)| {
        let need = self::need(grid, task, &SegmentOptions { speed, ..options.clone() }, store);
        (need <= free)
            .then(|| format!("`speed: {name}` needs about {}; or choose a region", output::size(need)))
    });
    Err(Refusal::new(
        Code::NeedsTooMuchMemory,
        format!("the job needs about {} of memory, and {} are free", output::size(need), output::size(free)),
        fits.unwrap_or_else(|| "choose a smaller region, or close other programs".to_owned()),
    ))
}

/// Bytes that a job needs, about.
pub(super) fn need(grid: &Grid, task: &Task, options: &SegmentOptions, store: &ModelStore) -> u64 {
    let mode = task.mode(options.speed);
    let grid = options
        .region
        .filter(|region| !region.is_empty())
        .map_or_else(|| grid.clone(), |region| Grid { size: region.size(), ..grid.clone() });
    let parts = mode.parts.iter().map(|part| {
        let plan = plan(store, &part.weights);
        let classes = plan.as_ref().map_or(part.labels.len() + 1, |plan| plan.outputs.channels());
        let patch = plan.as_ref().map_or(UNKNOWN_PATCH, |plan| plan.patch_size);
        let spacing = mode.spacing.or(plan.as_ref().map(|plan| plan.spacing)).unwrap_or([UNKNOWN_SPACING; 3]);
        let score = if options.mode == engine::Mode::Precise { 4.0 } else { 2.0 };
        of_part(&grid, spacing, patch, classes as f64 * score)
    });
    parts.fold(0.0, f64::max) as u64
}

/// Bytes for one model: `spacing` in millimetres, `patch` in voxels, `scores` bytes of all scores of one voxel.
fn of_part(grid: &Grid, spacing: [f64; 3], patch: [usize; 3], scores: f64) -> f64 {
    let turned = Reorientation::new(grid, Orientation::RAS);
    let turned = turned.target();
    let extent = turned.spacing();
    let side = |a: usize| (turned.size[a] as f64 * extent[a] / spacing[a]).max(patch[2 - a] as f64);
    let (plane, depth) = (side(0) * side(1), side(2));
    let input = grid.len() as f64;
    let slab = scores * plane * depth.min(1.5 * patch[0] as f64);
    let network = patch.iter().product::<usize>() as f64 * FEATURES * 4.0 * MAPS_ALIVE;
    2.0 * 4.0 * input + 2.0 * input + 2.0 * 4.0 * plane * depth + slab + network
}

/// The plan of a model, where it can be told without reading all of it.
fn plan(store: &ModelStore, weights: &str) -> Option<Plan> {
    match store.find(weights)?.origin {
        Origin::Installed(path) => nnunet::describe(&path).ok().map(|header| header.plan),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_body_needs_gigabytes_and_a_head_does_not() {
        // `total` at 1.5 mm: 25 classes in its largest part, patches of 128³, 512 x 512 x 600 at 0.8 x 0.8 x 1.0 mm.
        let body = Grid::aligned([512, 512, 600], [0.8, 0.8, 1.0]);
        let need = of_part(&body, [1.5; 3], [128; 3], 25.0 * 2.0);
        assert!((3.0e9..6.0e9).contains(&need), "{need}");
        let head = Grid::aligned([256, 256, 100], [1.0, 1.0, 2.5]);
        let need = of_part(&head, [1.5; 3], [128; 3], 6.0 * 2.0);
        assert!((0.5e9..2.0e9).contains(&need), "{need}");
    }
}
