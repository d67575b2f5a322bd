//! How far a prompt may mean to reach: several scopes, and what would change in each.

use imaging::{IndexBox, Progress};
use rayon::prelude::*;

use crate::Result;
use crate::block::Scene;
use crate::correct::Subject;
use crate::level::{Level, factor};
use crate::prompt::{Located, Prompt, Shape, Sign};
use crate::region::Region;

/// Sizes of the scopes in millimetres: how far, by the easiest way, an answer is expected to reach.
const SCOPES_MM: [f64; 4] = [8.0, 14.0, 24.0, 40.0];
/// One more for fine images, whose voxels are at most [`FINE_MM`] long, and for clicks near a boundary, where small
/// errors are: so many millimetres, or voxels where those are larger.
const SMALL_SCOPE_MM: f64 = 4.0;
const SMALL_SCOPE_VOXELS: f64 = 5.0 / 3.0;
const FINE_MM: f64 = 1.5;
/// A click is near a boundary of the target when that is at most so many voxels away.
const SHALLOW_VOXELS: f64 = 1.5;

/// What would change within a scope.
pub(crate) struct Scope {
    /// Its size in millimetres.
    pub(crate) size: f64,
    pub(crate) region: Region,
    /// Where no edge holds the cut within the scope, it shrinks to the click; then all this near in millimetres, by the
    /// easiest way, changes in its stead.
    pub(crate) held: Option<f64>,
}

/// What would change within each scope, each holding the one before.
pub(crate) struct Solved {
    pub(crate) scopes: Vec<Scope>,
    /// Millimetres from the click to the nearest voxel that cannot change.
    pub(crate) depth: f64,
}

/// The sizes of the scopes for a prompt in millimetres, ascending.
pub(crate) fn sizes(subject: &Subject<'_>, prompt: &Prompt, located: &Located) -> Vec<f64> {
    if let Shape::Box { corners: [a, b] } = prompt.shape {
        let square = |n: usize| (a[n] - b[n]).powi(2);
        let half = ((square(0) + square(1) + square(2)).sqrt() / 2.0).clamp(1.0, 100.0);
        return [0.5, 0.75, 1.0, 1.5].map(|share| share * half).to_vec();
    }
    let coarsest = subject.labels.grid.spacing().into_iter().fold(0.0, f64::max);
    let small = SMALL_SCOPE_MM.max(SMALL_SCOPE_VOXELS * coarsest);
    let wanted = (coarsest <= FINE_MM || is_shallow(subject, located)) && small < SCOPES_MM[0];
    wanted.then_some(small).into_iter().chain(SCOPES_MM).collect()
}

/// Whether a single click lies near the target's boundary: then the error may be as small.
fn is_shallow(subject: &Subject<'_>, located: &Located) -> bool {
    let [seed] = located.seeds.as_slice() else { return false };
    let grid = &subject.labels.grid;
    let spacing = grid.spacing();
    let reach = SHALLOW_VOXELS * spacing.into_iter().fold(0.0, f64::max);
    let part = IndexBox { start: *seed, end: seed.map(|n| n + 1) }
        .grown(spacing.map(|spacing| (reach / spacing) as usize), grid);
    part.view(subject.labels.labels.view()).indexed_iter().any(|((k, j, i), &label)| {
        let off = |a: usize, n: usize| ((part.start[a] + n) as f64 - seed[a] as f64) * spacing[a];
        let near = off(0, i).powi(2) + off(1, j).powi(2) + off(2, k).powi(2) <= reach * reach;
        near && (label == located.target) == (located.sign == Sign::Add)
    })
}

/// Solves scopes of ascending sizes in millimetres.
pub(crate) fn solved(
    scene: &Scene<'_>,
    seeds: &[[usize; 3]],
    sizes: &[f64],
    progress: &Progress,
) -> Result<Solved> {
    let spacing = scene.labels.grid.spacing();
    let parts: Vec<&[f64]> = sizes.chunk_by(|&a, &b| factor(a, spacing) == factor(b, spacing)).collect();
    let total = sizes.len() as u64;
    // Resolutions know nothing of one another: so they can be solved side by side.
    let found: Vec<_> = parts
        .par_iter()
        .map(|part| {
            progress.step("correcting", 0, total)?;
            let level = Level::new(scene, seeds, part, factor(part[0], spacing));
            progress.step("correcting", 0, total)?;
            let regions = level.solve();
            Ok((level, regions))
        })
        .collect::<Result<_>>()?;
    let (levels, regions): (Vec<Level<'_>>, Vec<_>) = found.into_iter().unzip();
    let mut scopes: Vec<Scope> = Vec::new();
    let mut shrunk = Vec::new();
    for (of, (regions, part)) in regions.into_iter().zip(parts).enumerate() {
        for (n, ((region, is_whole), &size)) in regions.into_iter().zip(part).enumerate() {
            if !is_whole {
                shrunk.push((scopes.len(), of, n));
            }
            let region = match scopes.last() {
                Some(smaller) => region.joined(&smaller.region),
                None => region,
            };
            scopes.push(Scope { size, region, held: None });
        }
    }
    let depth = levels.first().map_or(0.0, Level::depth);
    progress.step("correcting", 0, total)?;
    let held = shrunk.par_iter().enumerate().map(|(first, &(n, level, of_level))| {
        let level = &levels[level];
        // The smallest is no larger than fits between click and boundary.
        let held = match first {
            0 => level.held(of_level).min(depth.max(level.least())),
            _ => level.held(of_level),
        };
        let next = (n + 1..scopes.len()).find(|n| shrunk.iter().all(|(shrunk, ..)| shrunk != n));
        (n, held, level.hold(of_level, held, next.map(|next| &scopes[next].region)))
    });
    for (n, held, region) in held.collect::<Vec<_>>() {
        let before = n.checked_sub(1).map(|before| &scopes[before].region);
        let region = match before {
            Some(before) => region.joined(before),
            None => region,
        };
        (scopes[n].region, scopes[n].held) = (region, Some(held));
    }
    let judged = |scope: Scope| Scope { region: scope.region.judged(scene), ..scope };
    Ok(Solved { scopes: scopes.into_par_iter().map(judged).collect(), depth })
}
