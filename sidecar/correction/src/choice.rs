//! Which of the scopes the user most likely meant.

use crate::correct::Subject;
use crate::prompt::{Located, Sign};
use crate::scopes::Scope;

/// No automatic answer is larger than this and larger than the structures it concerns.
const GUARD_MM3: f64 = 3000.0;
/// What growth from one scope to the next says against a scope.
const GROWTH: f64 = 0.3;
/// A boundary no more open than this is one, so what lies within it may be large: a structure that was missed.
const CLOSED: f32 = 0.35;

/// How open the boundary is, and how much the next scope would add: low on a plateau behind strong edges.
pub(crate) fn score(scopes: &[Scope], n: usize) -> f64 {
    let voxels = |scope: &Scope| scope.region.voxels as f64;
    let growth = scopes
        .get(n + 1)
        .map_or(1.0, |next| (voxels(next) - voxels(&scopes[n])) / voxels(&scopes[n]).max(1.0));
    f64::from(scopes[n].region.openness) + GROWTH * growth.min(2.0)
}

/// The scope with the lowest score whose region ends by itself and is in proportion; else, when a structure grows into
/// background, one that ends on edges, whatever its size; else the largest ball that fits between click and boundary,
/// `depth` millimetres away.
pub(crate) fn likeliest(subject: &Subject<'_>, located: &Located, scopes: &[Scope], depth: f64) -> usize {
    let most = most_voxels(subject, located);
    let best = |allowed: &dyn Fn(&Scope) -> bool| {
        let allowed = (0..scopes.len()).filter(|&n| scopes[n].held.is_none() && allowed(&scopes[n]));
        allowed.min_by(|&a, &b| score(scopes, a).total_cmp(&score(scopes, b)))
    };
    let grows = located.sign == Sign::Add && located.under == 0;
    best(&|scope| scope.region.voxels as f64 <= most)
        .or_else(|| best(&|scope| grows && scope.region.openness <= CLOSED))
        .or_else(|| scopes.iter().rposition(|scope| scope.held.is_some_and(|held| held <= depth)))
        .or_else(|| scopes.iter().position(|scope| scope.held.is_some()))
        .unwrap_or(0)
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
