//! Which cuts to show: those where the most structures are at their largest.

use crate::frame::Frame;
use crate::names::Material;
use crate::slice::Plane;
use crate::study::Study;

/// A chosen cut: its position along the normal in millimetres of the frame, and its slice of the image, from 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cut {
    pub(crate) at: f64,
    pub(crate) slice: usize,
    pub(crate) of: usize,
}

/// Up to `count` cuts through the structures, by falling position (head first, for axial ones); one through the
/// middle of the image where there are no structures.
pub(crate) fn choose(study: &Study<'_>, plane: Plane, count: usize) -> Vec<Cut> {
    let ([.., through], _) = plane.axes();
    let axis = Frame::of(&study.label_grid).grid_axis[through];
    let mut planes = spread(&scores(study, axis), count);
    if planes.is_empty() {
        planes.push((study.labels.size[axis] - 1) / 2);
    }
    let mut cuts: Vec<Cut> = planes.into_iter().map(|index| cut(study, through, axis, index)).collect();
    cuts.sort_by(|a, b| b.at.total_cmp(&a.at));
    cuts
}

/// The cut through voxel plane `index` across `axis` of the label map.
fn cut(study: &Study<'_>, through: usize, axis: usize, index: usize) -> Cut {
    let mut at = study.label_grid.size.map(|length| (length as f64 - 1.0) / 2.0);
    at[axis] = index as f64;
    let world = study.label_grid.world(at);
    let image_axis = study.frame.grid_axis[through];
    let last = study.grid.size[image_axis] - 1;
    let slice = study.grid.index(world)[image_axis].round().clamp(0.0, last as f64) as usize + 1;
    Cut { at: study.frame.of_world(world)[through], slice, of: last + 1 }
}

/// For each plane across `axis` the sum over structures of the root of the share of its largest section.
fn scores(study: &Study<'_>, axis: usize) -> Vec<f64> {
    let inner = study.found.iter().any(|found| found.material != Material::Envelope);
    let mut scores = vec![0.0; study.labels.size[axis]];
    for found in study.found.iter().filter(|found| !inner || found.material != Material::Envelope) {
        let largest = found.profile[axis].iter().copied().max().unwrap_or(0).max(1) as f64;
        for (score, &count) in scores.iter_mut().zip(&found.profile[axis]) {
            *score += (count as f64 / largest).sqrt();
        }
    }
    scores
}

/// `count` planes, or as many as have a score: the best of the middle of each of `count` parts with equal sums, so
/// that two cuts never lie side by side where there is more to show.
fn spread(scores: &[f64], count: usize) -> Vec<usize> {
    let filled = scores.iter().filter(|&&score| score > 0.0).count();
    let count = count.min(filled);
    let total: f64 = scores.iter().sum();
    let mut before = 0.0;
    let mut best: Vec<Option<(f64, usize)>> = vec![None; count];
    for (plane, &score) in scores.iter().enumerate() {
        let place = (before + score / 2.0) / total * count as f64;
        before += score;
        let part = place as usize;
        if score <= 0.0 || part >= count {
            continue;
        }
        // Outside the middle a plane is only taken when the part has no other.
        let merit = if (0.2..=0.8).contains(&place.fract()) { score } else { score * 1e-3 };
        if best[part].is_none_or(|(other, _)| merit > other) {
            best[part] = Some((merit, plane));
        }
    }
    best.into_iter().flatten().map(|(_, plane)| plane).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_are_spread_and_prefer_the_fullest_plane() {
        let mut scores = vec![0.0; 100];
        scores[20..60].fill(1.0);
        scores[25] = 1.5;
        scores[50] = 1.5;
        assert_eq!(spread(&scores, 2), [25, 50]);
        assert_eq!(spread(&scores, 0), [] as [usize; 0]);
        assert_eq!(spread(&[0.0, 3.0, 0.0], 4), [1]);
        assert_eq!(spread(&[0.0; 5], 4), [] as [usize; 0]);
    }
}
