//! The simulated user: sees the truth, and clicks where the largest error is.

use imaging::{Components, Connectivity, Grid, IndexBox, LabelMap, distance_mm};
use ndarray::Array3;

use correction::Sign;

use crate::random::Random;

/// Where the user clicks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Click {
    /// `[i, j, k]`.
    pub(crate) voxel: [usize; 3],
    pub(crate) sign: Sign,
    /// Radius in millimetres of the largest ball round the voxel that lies in the error.
    pub(crate) depth_mm: f64,
}

/// The deepest voxel of the largest connected error in `label`; with `chance`, any voxel that lies 1.5 voxels deep.
/// `None` if there is no error.
pub(crate) fn next_click(
    truth: &LabelMap,
    labels: &LabelMap,
    label: u8,
    chance: Option<&mut Random>,
) -> Option<Click> {
    let part =
        [truth, labels].iter().filter_map(|labels| box_of(labels, label)).reduce(|a, b| a.union(&b))?;
    let part = part.grown([1; 3], &truth.grid);
    let (wanted, found) = (part.view(truth.labels.view()), part.view(labels.labels.view()));
    let error = |sign: Sign| {
        let mut error = Array3::from_elem(wanted.dim(), false);
        ndarray::Zip::from(&mut error).and(wanted).and(found).for_each(|error, &wanted, &found| {
            *error = match sign {
                Sign::Add => wanted == label && found != label,
                Sign::Remove => wanted != label && found == label,
            };
        });
        error
    };
    let mut largest: Option<(u64, Sign, Array3<bool>)> = None;
    for sign in [Sign::Add, Sign::Remove] {
        let components = Components::of(error(sign).view(), |&inside| inside, Connectivity::Corners);
        let Some(most) = components.largest() else { continue };
        if largest.as_ref().is_none_or(|(size, ..)| components.sizes()[most] > *size) {
            let mut mask = Array3::from_elem(wanted.dim(), false);
            components.paint(&mut mask, |component| (component == most).then_some(true));
            largest = Some((components.sizes()[most], sign, mask));
        }
    }
    let (_, sign, mask) = largest?;
    let depth = depths(&mask, &truth.grid.cropped(&part));
    let deepest = depth.iter().copied().fold(0.0, f32::max);
    let enough = match &chance {
        Some(_) => deepest.min(1.5 * truth.grid.spacing().iter().sum::<f64>() as f32 / 3.0),
        None => deepest,
    };
    let places: Vec<_> = depth.indexed_iter().filter(|(_, depth)| **depth >= enough).collect();
    let ((k, j, i), &depth) = places[chance.map_or(0, |random| random.below(places.len()))];
    let voxel = [part.start[0] + i, part.start[1] + j, part.start[2] + k];
    Some(Click { voxel, sign, depth_mm: f64::from(depth) })
}

/// The box round a label; quicker than boxes of all labels.
fn box_of(labels: &LabelMap, label: u8) -> Option<IndexBox> {
    let mut found: Option<IndexBox> = None;
    for ((k, j, i), _) in labels.labels.indexed_iter().filter(|(_, found)| **found == label) {
        let voxel = IndexBox { start: [i, j, k], end: [i + 1, j + 1, k + 1] };
        found = Some(found.map_or(voxel, |found| found.union(&voxel)));
    }
    found
}

/// Distance in millimetres from each voxel of a mask to the nearest voxel beyond it; the array's end is beyond.
pub(crate) fn depths(mask: &Array3<bool>, grid: &Grid) -> Array3<f32> {
    let (nk, nj, ni) = mask.dim();
    let outside = Array3::from_shape_fn((nk + 2, nj + 2, ni + 2), |(k, j, i)| {
        let inner = (1..=nk).contains(&k) && (1..=nj).contains(&j) && (1..=ni).contains(&i);
        !(inner && mask[[k - 1, j - 1, i - 1]])
    });
    let grid = Grid { size: [ni + 2, nj + 2, nk + 2], ..grid.clone() };
    let distance = distance_mm(&outside, &grid);
    Array3::from_shape_fn((nk, nj, ni), |(k, j, i)| distance[[k + 1, j + 1, i + 1]])
}

/// Dice of one label.
pub(crate) fn dice(truth: &LabelMap, labels: &LabelMap, label: u8) -> f64 {
    let (mut both, mut either) = (0u64, 0u64);
    for (&a, &b) in truth.labels.iter().zip(&labels.labels) {
        let (a, b) = (a == label, b == label);
        both += u64::from(a && b);
        either += u64::from(a) + u64::from(b);
    }
    if either == 0 { 1.0 } else { 2.0 * both as f64 / either as f64 }
}
