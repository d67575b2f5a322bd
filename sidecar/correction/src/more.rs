//! Answers that need no cut: the whole component under the prompt, and where the network's second choice was the
//! target.

use std::collections::HashSet;

use crate::block::{Role, Scene};
use crate::correct::{Proposal, Source};
use crate::prompt::Sign;
use crate::region::{Region, round_about};
use crate::runner_up::{RunnerUp, UNSURE};

/// The largest component that is offered, in mm³ and in voxels.
const LARGEST_MM3: f64 = 50_000.0;
const MOST_VOXELS: usize = 100_000;

/// What else the user may mean.
pub(crate) fn proposals(
    scene: &Scene<'_>,
    seeds: &[[usize; 3]],
    runner_up: Option<&RunnerUp>,
) -> Vec<Proposal> {
    let mut proposals = Vec::new();
    if scene.sign == Sign::Remove {
        let whole = grown(scene, seeds, |_| true);
        proposals.extend(whole.map(|region| Proposal::beside(Source::Component, region)));
    }
    if let Some(runner_up) = runner_up.filter(|runner_up| runner_up.check(scene.labels).is_ok()) {
        let unsure = |[i, j, k]: [usize; 3]| {
            let losing = runner_up.margin[[k, j, i]] < UNSURE;
            let second = runner_up.second[[k, j, i]];
            losing && (scene.sign == Sign::Remove || second == scene.target)
        };
        let region = grown(scene, seeds, unsure);
        proposals.extend(region.map(|region| Proposal::beside(Source::RunnerUp, region)));
    }
    proposals
}

/// The free voxels that hang together, through faces, with the seeds and satisfy `holds`; `None` when they are too
/// many, or the seeds do not satisfy it.
fn grown(scene: &Scene<'_>, seeds: &[[usize; 3]], holds: impl Fn([usize; 3]) -> bool) -> Option<Region> {
    let grid = &scene.labels.grid;
    let most = ((LARGEST_MM3 / grid.determinant().abs()) as usize).min(MOST_VOXELS);
    let opposite: HashSet<[usize; 3]> = scene.opposite.iter().copied().collect();
    let allowed =
        |voxel: [usize; 3]| scene.role(voxel) == Role::Free && !opposite.contains(&voxel) && holds(voxel);
    if !seeds.iter().all(|&seed| allowed(seed)) {
        return None;
    }
    let mut found: HashSet<[usize; 3]> = seeds.iter().copied().collect();
    let mut waiting: Vec<[usize; 3]> = seeds.to_vec();
    while let Some(voxel) = waiting.pop() {
        for axis in 0..3 {
            let before = voxel[axis].checked_sub(1);
            let after = Some(voxel[axis] + 1).filter(|&n| n < grid.size[axis]);
            for n in [before, after].into_iter().flatten() {
                let mut next = voxel;
                next[axis] = n;
                if allowed(next) && found.insert(next) {
                    waiting.push(next);
                }
            }
        }
        if found.len() > most {
            return None;
        }
    }
    let part = round_about(found.iter().copied());
    Some(Region::of(part, |voxel| found.contains(&voxel)))
}
