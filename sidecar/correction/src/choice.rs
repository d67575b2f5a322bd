//! Which of the scopes the user most likely meant.

use std::f64::consts::PI;

use crate::correct::Subject;
use crate::prompt::{Located, Sign};
use crate::scopes::Scope;

/// No automatic answer is larger than this and larger than the structures it concerns.
const GUARD_MM3: f64 = 3000.0;
/// What growth from one scope to the next says against a scope.
const GROWTH: f64 = 0.3;
/// A boundary no more open than this is one, so what lies within it may be large: a structure that was missed.
const CLOSED: f32 = 0.35;
/// The largest scope that a click means, in its depths: one just inside a boundary means something small.
const SCOPE_DEPTHS: f64 = 8.0;

/// How open the boundary is, and how much the next scope would add: low on a plateau behind strong edges.
pub(crate) fn score(scopes: &[Scope], n: usize) -> f64 {
    let voxels = |scope: &Scope| scope.region.voxels as f64;
    let growth = scopes
        .get(n + 1)
        .map_or(1.0, |next| (voxels(next) - voxels(&scopes[n])) / voxels(&scopes[n]).max(1.0));
    f64::from(scopes[n].region.openness) + GROWTH * growth.min(2.0)
}

/// The scope with the lowest score whose region ends by itself and is in proportion to click and structures; else, when
/// a structure grows into background, one that ends on edges, whatever its size; else the largest ball that fits
/// between click and boundary, `depth` millimetres away.
pub(crate) fn likeliest(subject: &Subject<'_>, located: &Located, scopes: &[Scope], depth: f64) -> usize {
    let most = most_voxels(subject, located);
    let click = Depth::of(subject, located, depth);
    let best = |allowed: &dyn Fn(&Scope) -> bool| {
        let held = |n: usize| scopes[n].held.is_some();
        let allowed =
            (0..scopes.len()).filter(|&n| !held(n) && click.reaches(n, &scopes[n]) && allowed(&scopes[n]));
        allowed.min_by(|&a, &b| score(scopes, a).total_cmp(&score(scopes, b)))
    };
    let grows = located.sign == Sign::Add && located.under == 0;
    let fits = |scope: &Scope| scope.region.voxels as f64 <= most;
    best(&|scope| fits(scope) && click.is_filled(scope))
        .or_else(|| best(&fits))
        .or_else(|| best(&|scope| grows && scope.region.openness <= CLOSED))
        .or_else(|| scopes.iter().rposition(|scope| scope.held.is_some_and(|held| held <= depth)))
        .or_else(|| scopes.iter().position(|scope| scope.held.is_some()))
        .unwrap_or(0)
}

/// How deep a click lies in what is wrong, at most: users point at its middle, so it reaches about as far all round.
struct Depth {
    /// Millimetres to the boundary.
    mm: f64,
    voxel_mm3: f64,
    is_click: bool,
}

impl Depth {
    /// Of a click `depth` millimetres from the nearest voxel that cannot change; the boundary lies half a voxel before
    /// it. Scribbles and boxes say by themselves how large they are.
    fn of(subject: &Subject<'_>, located: &Located, depth: f64) -> Depth {
        let grid = &subject.labels.grid;
        let half = grid.spacing().into_iter().fold(f64::INFINITY, f64::min) / 2.0;
        let is_click = located.seeds.len() == 1 && located.bounds.is_none();
        Depth { mm: depth - half, voxel_mm3: grid.determinant().abs(), is_click }
    }

    /// Whether a scope is no larger than a click so deep means; the smallest always is.
    fn reaches(&self, n: usize, scope: &Scope) -> bool {
        !self.is_click || n == 0 || scope.size <= SCOPE_DEPTHS * self.mm
    }

    /// Whether a region holds as much as the ball round the click, as far as the scope goes.
    fn is_filled(&self, scope: &Scope) -> bool {
        let ball = 4.0 / 3.0 * PI * self.mm.min(scope.size).powi(3);
        !self.is_click || scope.region.voxels as f64 * self.voxel_mm3 >= ball
    }
}

/// Voxels of the largest region in proportion to the structures concerned.
fn most_voxels(subject: &Subject<'_>, located: &Located) -> f64 {
    let least = GUARD_MM3 / subject.labels.grid.determinant().abs();
    let target = subject.counts[usize::from(located.target)] as f64;
    match (located.sign, located.under) {
        _ if located.bounds.is_some() => f64::INFINITY,
        (Sign::Add, 0) => target.max(least),
        (Sign::Add, under) => {
            target.max(least).min((subject.counts[usize::from(under)] as f64 / 2.0).max(least))
        }
        (Sign::Remove, _) => (target / 2.0).max(least),
    }
}

#[cfg(test)]
mod tests {
    use imaging::IndexBox;

    use super::*;
    use crate::region::Region;

    fn scope(size: f64, voxels: usize) -> Scope {
        let part = IndexBox { start: [0; 3], end: [voxels, 1, 1] };
        Scope { size, region: Region::of(part, |_| true), held: None }
    }

    #[test]
    fn a_click_just_inside_a_boundary_means_something_small() {
        let shallow = Depth { mm: 1.5, voxel_mm3: 27.0, is_click: true };
        assert!(shallow.reaches(1, &scope(12.0, 1)) && !shallow.reaches(1, &scope(14.0, 1)));
        assert!(shallow.reaches(0, &scope(14.0, 1)), "something must be shown");
        assert!(Depth { is_click: false, ..shallow }.reaches(3, &scope(40.0, 1)));
    }

    #[test]
    fn a_deep_click_means_at_least_the_ball_round_it() {
        // 4/3 pi 3^3 is 113 mm³, a bit more than four voxels.
        let deep = Depth { mm: 3.0, voxel_mm3: 27.0, is_click: true };
        assert!(!deep.is_filled(&scope(8.0, 4)) && deep.is_filled(&scope(8.0, 5)));
        let deeper = Depth { mm: f64::INFINITY, ..deep };
        assert!(deeper.is_filled(&scope(3.0, 5)), "a scope fills no more than itself");
        assert!(Depth { is_click: false, ..deeper }.is_filled(&scope(8.0, 1)));
    }
}
