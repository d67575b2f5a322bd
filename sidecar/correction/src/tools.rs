//! Changes of a whole structure that need no prompt: its boundary snapped to edges, the slices between drawn ones
//! filled, the part at a position kept or dropped.

use imaging::{Components, Connectivity, Grid, IndexBox, LabelMap, Progress, distance_mm};
use ndarray::{Array3, Axis};
use serde::{Deserialize, Serialize};

use crate::delta::Delta;
use crate::image::Image;
use crate::prompt::{Editable, Limits, voxel};
use crate::snap::snapped;
use crate::{Error, Result};

/// A change of a whole structure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tool {
    /// Moves the boundary to where the image has edges and the brightness changes, for errors that go all round.
    Snap {
        /// Of the structure.
        label: u8,
        /// How far at most, up to 10 mm.
        within_mm: f64,
        /// Where the viewer allows it to change anything; `None` is everywhere.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        editable: Option<Editable>,
    },
    /// Fills slices that lie between drawn ones, whose outlines pass into one another.
    Fill {
        /// Of the structure.
        label: u8,
        /// Which slices were drawn: 0 those along i, 1 along j, 2 along k; `None` takes the axis with most gaps.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        axis: Option<usize>,
        /// Where the viewer allows it to change anything; `None` is everywhere.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        editable: Option<Editable>,
    },
    /// Keeps what hangs together with a position in LPS+ millimetres, and makes the rest background.
    Keep {
        /// Of the structure.
        label: u8,
        /// In the part to keep.
        at: [f64; 3],
        /// Where the viewer allows it to change anything; `None` is everywhere.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        editable: Option<Editable>,
    },
    /// Makes what hangs together with a position in LPS+ millimetres background.
    Drop {
        /// Of the structure.
        label: u8,
        /// In the part to drop.
        at: [f64; 3],
        /// Where the viewer allows it to change anything; `None` is everywhere.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        editable: Option<Editable>,
    },
}

impl Tool {
    /// The structure that it changes.
    #[must_use]
    pub fn label(&self) -> u8 {
        match self {
            Tool::Snap { label, .. }
            | Tool::Fill { label, .. }
            | Tool::Keep { label, .. }
            | Tool::Drop { label, .. } => *label,
        }
    }

    /// Where it may change anything.
    pub(crate) fn editable(&self) -> Option<&Editable> {
        match self {
            Tool::Snap { editable, .. }
            | Tool::Fill { editable, .. }
            | Tool::Keep { editable, .. }
            | Tool::Drop { editable, .. } => editable.as_ref(),
        }
    }
}

/// What a tool changes; only the structure and background, and only where changes are allowed.
pub(crate) fn used(
    tool: &Tool,
    image: &Image,
    labels: &LabelMap,
    limits: &Limits,
    progress: &Progress,
) -> Result<Delta> {
    let label = tool.label();
    if label == 0 {
        return Err(Error::Background);
    }
    if limits.locked.contains(&label) {
        return Err(Error::Locked { label });
    }
    let nothing = Error::Nothing { label };
    tool.editable().map_or(Ok(()), Editable::check)?;
    let object = labels.box_of(label).ok_or(nothing.clone())?;
    let (part, inside) = match tool {
        Tool::Snap { within_mm, .. } => {
            let allowed = |at: [usize; 3]| allows(tool, image, labels, at);
            snapped(image, labels, (label, object), *within_mm, &allowed, progress)?
        }
        Tool::Fill { axis, .. } => filled(labels, (label, object), *axis)?,
        Tool::Keep { at, .. } => (object, component(labels, (label, object), *at, true)?),
        Tool::Drop { at, .. } => (object, component(labels, (label, object), *at, false)?),
    };
    let old = part.view(labels.labels.view());
    let changed = |from: u8, inside: bool| match inside {
        true if from == 0 => label,
        false if from == label => 0,
        _ => from,
    };
    let mut masked = false;
    let mut pairs = Vec::with_capacity(old.len());
    for (((k, j, i), &from), &inside) in old.indexed_iter().zip(&inside) {
        let to = changed(from, inside);
        let at = [part.start[0] + i, part.start[1] + j, part.start[2] + k];
        let allowed = from == to || allows(tool, image, labels, at);
        masked |= !allowed;
        pairs.push((from, if allowed { to } else { from }));
    }
    match Delta::of(part, pairs.into_iter()) {
        delta if !delta.is_empty() => Ok(delta),
        _ if masked => Err(Error::Masked { label }),
        _ => Err(nothing),
    }
}

/// Whether the viewer lets a tool change a voxel.
fn allows(tool: &Tool, image: &Image, labels: &LabelMap, [i, j, k]: [usize; 3]) -> bool {
    let at = [k, j, i];
    let allows =
        |editable: &Editable| editable.allows(tool.label(), labels.labels[at], image.volume().voxels[at]);
    tool.editable().is_none_or(allows)
}

/// The structure with or without the component at a position, within its box.
fn component(
    labels: &LabelMap,
    (label, object): (u8, IndexBox),
    at: [f64; 3],
    keep: bool,
) -> Result<Array3<bool>> {
    let [i, j, k] = voxel(&labels.grid, at)?;
    let view = object.view(labels.labels.view());
    let found = Components::of(view, |found| *found == label, Connectivity::Corners).labels();
    let place = |a: usize, n: usize| n.checked_sub(object.start[a]);
    let here = place(2, k).zip(place(1, j)).zip(place(0, i));
    let here = here.and_then(|((k, j), i)| found.get([k, j, i])).copied().filter(|number| *number > 0);
    let here = here.ok_or(Error::Nothing { label })?;
    Ok(found.mapv(|number| number > 0 && (number == here) == keep))
}

/// The structure with its gaps filled, within its box.
fn filled(
    labels: &LabelMap,
    (label, object): (u8, IndexBox),
    axis: Option<usize>,
) -> Result<(IndexBox, Array3<bool>)> {
    let mut inside = object.view(labels.labels.view()).mapv(|found| found == label);
    let drawn = |axis: usize| -> Vec<usize> {
        // Array axes run k, j, i.
        let slices = inside.axis_iter(Axis(2 - axis)).enumerate();
        slices.filter(|(_, slice)| slice.iter().any(|inside| *inside)).map(|(n, _)| n).collect()
    };
    let gaps = |axis: usize| object.size()[axis] - drawn(axis).len();
    let axis = match axis {
        Some(axis) if axis > 2 => return Err(Error::Prompt { reason: "axes are 0, 1 and 2" }),
        Some(axis) => axis,
        // Of equals the slices that most viewers show.
        None => [2, 1, 0].into_iter().fold(2, |best, axis| if gaps(axis) > gaps(best) { axis } else { best }),
    };
    let slices = drawn(axis);
    let grid = labels.grid.cropped(&object);
    for pair in slices.windows(2).filter(|pair| pair[1] - pair[0] > 1) {
        let [from, to] = [pair[0], pair[1]].map(|n| depth(&inside, &grid, axis, n));
        for n in pair[0] + 1..pair[1] {
            let share = (n - pair[0]) as f32 / (pair[1] - pair[0]) as f32;
            let mut slice = inside.index_axis_mut(Axis(2 - axis), n);
            let depths = from.iter().zip(&to).map(|(from, to)| from * (1.0 - share) + to * share);
            slice.iter_mut().zip(depths).for_each(|(inside, depth)| *inside = depth > 0.0);
        }
    }
    Ok((object, inside))
}

/// How deep each voxel of a slice lies in the structure, in millimetres within the slice; negative outside.
fn depth(inside: &Array3<bool>, grid: &Grid, axis: usize, n: usize) -> Array3<f32> {
    let mut part = IndexBox::whole(grid);
    (part.start[axis], part.end[axis]) = (n, n + 1);
    // One voxel more all round, so that there is an outside.
    let mut size = grid.size.map(|n| n + 2);
    size[axis] = 1;
    let axes = std::array::from_fn(|row| grid.axes[row]);
    let wider = Grid { size, axes, origin: grid.origin };
    let start: [usize; 3] = std::array::from_fn(|a| usize::from(a != axis));
    let slice = part.view(inside.view());
    let mut mask = Array3::from_elem(wider.shape(), false);
    let target = IndexBox { start, end: std::array::from_fn(|a| start[a] + part.size()[a]) };
    target.view_mut(mask.view_mut()).assign(&slice);
    let [outward, inward] = [distance_mm(&mask, &wider), distance_mm(&mask.mapv(|inside| !inside), &wider)];
    target.view((inward - outward).view()).to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use imaging::Volume;

    use super::*;
    use crate::Intensity;

    const SIZE: [usize; 3] = [40, 44, 36];

    fn grid() -> Grid {
        // 0.8 mm along i, 1 mm along j, 2 mm along k, turned.
        Grid::new(SIZE, [[0.0, 1.0, 0.0], [-0.8, 0.0, 0.0], [0.0, 0.0, 2.0]], [5.0, -3.0, 100.0]).unwrap()
    }

    fn painted(label: impl Fn([f64; 3]) -> u8) -> LabelMap {
        let mut labels = LabelMap::background(&grid());
        for ((k, j, i), value) in labels.labels.indexed_iter_mut() {
            *value = label([0.8 * i as f64, j as f64, 2.0 * k as f64]);
        }
        labels
    }

    fn image(labels: &LabelMap) -> Image {
        let mut noise = imaging::Random::new(7);
        let voxels = labels.labels.mapv(|label| 100.0 * f32::from(label) + (noise.normal() * 12.0) as f32);
        Image::new(Arc::new(Volume { grid: labels.grid.clone(), voxels }), Intensity::Hounsfield)
    }

    fn after(tool: &Tool, labels: &LabelMap) -> Result<LabelMap> {
        let delta = used(tool, &image(labels), labels, &Limits::default(), &Progress::silent())?;
        let mut changed = labels.clone();
        delta.apply(&mut changed)?;
        Ok(changed)
    }

    fn far([x, y, z]: [f64; 3], center: [f64; 3]) -> f64 {
        ((x - center[0]).powi(2) + (y - center[1]).powi(2) + (z - center[2]).powi(2)).sqrt()
    }

    /// Outlines of concentric circles pass into one another linearly: a cone.
    #[test]
    fn slices_between_two_circles_are_those_of_a_cone() {
        let radius = |z: f64| 4.0 + (z - 10.0) / 40.0 * 8.0;
        let cone = |[x, y, z]: [f64; 3]| {
            (10.0..=50.0).contains(&z) && far([x, y, 0.0], [16.0, 22.0, 0.0]) < radius(z)
        };
        let drawn = painted(|at| u8::from(cone(at) && [10.0, 30.0, 50.0].contains(&at[2])));
        let whole = painted(|at| u8::from(cone(at)));
        let filled = after(&Tool::Fill { label: 1, axis: None, editable: None }, &drawn).unwrap();
        let mut wrong = 0;
        for ((k, j, i), label) in
            filled.labels.indexed_iter().filter(|(at, label)| whole.labels[*at] != **label)
        {
            let off = far([0.8 * i as f64, j as f64, 0.0], [16.0, 22.0, 0.0]) - radius(2.0 * k as f64);
            // Whole voxels cannot tell where within them an outline runs.
            assert!(off.abs() < 1.0, "{off} mm from the cone, label {label}");
            wrong += 1;
        }
        assert!(wrong * 15 < whole.counts()[1], "{wrong} voxels");
        assert_eq!(after(&Tool::Fill { label: 1, axis: Some(2), editable: None }, &drawn).unwrap(), filled);
        assert_eq!(
            after(&Tool::Fill { label: 1, axis: None, editable: None }, &whole).unwrap_err(),
            Error::Nothing { label: 1 }
        );
    }

    #[test]
    fn filling_spares_other_structures() {
        let labels = painted(|[x, y, z]| match z {
            10.0 | 20.0 if far([x, y, 0.0], [16.0, 22.0, 0.0]) < 8.0 => 1,
            14.0 if x < 12.0 => 2,
            _ => 0,
        });
        let filled = after(&Tool::Fill { label: 1, axis: None, editable: None }, &labels).unwrap();
        assert_eq!(filled.counts()[2], labels.counts()[2]);
        assert!(filled.counts()[1] > 4 * labels.counts()[1] / 2);
    }

    #[test]
    fn a_part_is_kept_or_dropped() {
        let two = [[8.0, 12.0, 20.0], [24.0, 30.0, 50.0]];
        let labels = painted(|at| u8::from(two.iter().any(|center| far(at, *center) < 6.0)));
        let at = labels.grid.world([10.0, 12.0, 10.0]);
        let first = painted(|at| u8::from(far(at, two[0]) < 6.0));
        let second = painted(|at| u8::from(far(at, two[1]) < 6.0));
        assert_eq!(after(&Tool::Keep { label: 1, at, editable: None }, &labels).unwrap(), first);
        assert_eq!(after(&Tool::Drop { label: 1, at, editable: None }, &labels).unwrap(), second);
        let beside = labels.grid.world([0.0, 0.0, 0.0]);
        assert_eq!(
            after(&Tool::Keep { label: 1, at: beside, editable: None }, &labels).unwrap_err(),
            Error::Nothing { label: 1 }
        );
        assert_eq!(
            after(&Tool::Keep { label: 2, at, editable: None }, &labels).unwrap_err(),
            Error::Nothing { label: 2 }
        );
        assert_eq!(
            after(&Tool::Drop { label: 0, at, editable: None }, &labels).unwrap_err(),
            Error::Background
        );
    }

    #[test]
    fn a_shifted_boundary_snaps_to_the_edge() {
        let truth = painted(|at| u8::from(far(at, [16.0, 22.0, 36.0]) < 11.0));
        let shifted = painted(|at| match far(at, [18.4, 22.0, 38.0]) < 11.0 {
            true => 1,
            false => 2 * u8::from(at[0] < 2.0),
        });
        let image = image(&truth);
        let tool = Tool::Snap { label: 1, within_mm: 5.0, editable: None };
        let limits = Limits::default();
        let delta = used(&tool, &image, &shifted, &limits, &Progress::silent()).unwrap();
        let mut snapped = shifted.clone();
        delta.apply(&mut snapped).unwrap();
        let dice = |labels: &LabelMap| {
            let both = labels.labels.iter().zip(&truth.labels).filter(|(a, b)| (**a, **b) == (1, 1)).count();
            2.0 * both as f64 / (labels.counts()[1] + truth.counts()[1]) as f64
        };
        let (before, now) = (dice(&shifted), dice(&snapped));
        assert!(before < 0.83 && now > 0.97, "{before} {now}");
        assert_eq!(snapped.counts()[2], shifted.counts()[2]);
        let again = used(&tool, &image, &shifted, &limits, &Progress::silent()).unwrap();
        assert_eq!(again, delta);
        let far = Tool::Snap { label: 1, within_mm: 1e9, editable: None };
        assert!(matches!(after(&far, &shifted), Err(Error::Prompt { .. })));
    }

    /// A sphere that is too large along +x and too small along -x, and a mask that lets only one side be mended.
    #[test]
    fn tools_change_only_what_the_viewer_allows() {
        let truth = painted(|at| u8::from(far(at, [16.0, 22.0, 36.0]) < 11.0));
        let shifted = painted(|at| u8::from(far(at, [18.4, 22.0, 36.0]) < 11.0));
        let image = image(&truth);
        let snap = |editable| Tool::Snap { label: 1, within_mm: 5.0, editable };
        let limits = Limits::default();
        let used = |tool: &Tool| used(tool, &image, &shifted, &limits, &Progress::silent());
        let bright = Editable { labels: None, intensity: Some([60.0, 1000.0]) };
        let all = used(&snap(None)).unwrap();
        let masked = used(&snap(Some(bright.clone()))).unwrap();
        let darkest = |delta: &Delta| {
            let values = delta.iter().map(|([i, j, k], ..)| image.volume().voxels[[k, j, i]]);
            values.fold(f32::INFINITY, f32::min)
        };
        assert!(darkest(&all) < 0.0 && darkest(&masked) >= 60.0, "{} {}", darkest(&all), darkest(&masked));
        assert!(masked.voxels() > 100 && masked.voxels() < all.voxels());
        // The structure itself may change, background may not: it can only shrink.
        let inside = Editable { labels: Some([1].into()), intensity: None };
        let shrunk = used(&snap(Some(inside))).unwrap();
        assert!(shrunk.changes().iter().all(|((from, to), _)| (*from, *to) == (1, 0)));
        let at = shifted.grid.world([23.0, 22.0, 18.0]);
        let drop = |editable| Tool::Drop { label: 1, at, editable };
        let none = Editable { labels: None, intensity: Some([5000.0, 6000.0]) };
        assert_eq!(used(&drop(Some(none))).unwrap_err(), Error::Masked { label: 1 });
        assert!(used(&drop(Some(bright))).unwrap().voxels() < shifted.counts()[1]);
        let backwards = Editable { labels: None, intensity: Some([2.0, 1.0]) };
        assert!(matches!(used(&drop(Some(backwards))), Err(Error::Prompt { .. })));
    }
}
