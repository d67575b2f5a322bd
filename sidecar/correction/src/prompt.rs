//! What the user points at: a click, a scribble or a box, in patient space, and whether it adds or removes.

use std::collections::BTreeSet;

use imaging::{Grid, IndexBox};
use serde::{Deserialize, Serialize};

use crate::block::{Role, Scene};
use crate::region::round_about;
use crate::{Error, Image, Result};
use imaging::LabelMap;

/// The most points of a scribble, and voxels along it.
const POINTS: usize = 4096;
/// The widest scribble, in millimetres.
const RADIUS_MM: f64 = 10.0;
/// How far from a prompt its label is looked for, in millimetres.
const NEAR_MM: f64 = 10.0;

/// Whether a prompt adds to a structure or removes from it. It never does the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// "This belongs to it": only background and the label under the prompt become the target.
    Add,
    /// "This does not belong to it": only the target becomes background.
    Remove,
}

/// Where the user points, in LPS+ millimetres.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// A click.
    Point([f64; 3]),
    /// A scribble on any plane.
    Scribble {
        /// The line, at most 4096 points.
        points: Vec<[f64; 3]>,
        /// Half its width in millimetres, at most 10; 0 takes only the voxels on the line.
        radius_mm: f64,
    },
    /// A box with two opposite corners, its faces along the image's axes. Nothing beyond it changes.
    Box {
        /// The corners.
        corners: [[f64; 3]; 2],
    },
}

/// One thing that the user asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prompt {
    /// Where.
    pub shape: Shape,
    /// Add or remove.
    pub sign: Sign,
    /// The structure; `None` takes the one under the prompt, or else the nearest within 10 mm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<u8>,
    /// Where the viewer allows the answer to change anything; `None` is everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub editable: Option<Editable>,
}

/// A viewer's masking: which voxels may change, by what stands there and how bright it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Editable {
    /// Labels that may give voxels, 0 is background; `None` is all. The structure itself may always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeSet<u8>>,
    /// The lowest and the highest intensity of a voxel that may change, as the image has it; `None` is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intensity: Option<[f64; 2]>,
}

impl Editable {
    /// Whether it is a range.
    pub(crate) fn check(&self) -> Result<()> {
        match self.intensity {
            Some([least, most]) if !(least.is_finite() && most.is_finite() && least <= most) => {
                Err(Error::Prompt {
                    reason: "intensities that may change run from a finite number to a higher one",
                })
            }
            _ => Ok(()),
        }
    }

    /// Whether a voxel of a label and an intensity may change for `target`.
    pub(crate) fn allows(&self, target: u8, label: u8, intensity: f32) -> bool {
        let by_label = label == target || self.labels.as_ref().is_none_or(|labels| labels.contains(&label));
        let within = |[least, most]: [f64; 2]| (least..=most).contains(&f64::from(intensity));
        by_label && self.intensity.is_none_or(within)
    }
}

impl Prompt {
    /// A click at an LPS position in millimetres.
    #[must_use]
    pub fn click(at: [f64; 3], sign: Sign, label: Option<u8>) -> Prompt {
        Prompt { shape: Shape::Point(at), sign, label, editable: None }
    }
}

/// What an edit may touch beyond the rules that always hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Limits {
    /// Labels that never change, neither grow nor shrink.
    pub locked: BTreeSet<u8>,
}

/// A prompt as voxels.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Located {
    pub(crate) sign: Sign,
    pub(crate) target: u8,
    /// The label under the prompt that may give voxels; 0 if that is only background.
    pub(crate) under: u8,
    /// Voxels that flip in any case, in order, each once.
    pub(crate) seeds: Vec<[usize; 3]>,
    pub(crate) bounds: Option<IndexBox>,
    editable: Option<Editable>,
}

/// The label under a position, or else the nearest within 10 mm, and how far that is in millimetres.
///
/// # Errors
///
/// [`Error::Outside`] beyond the image, [`Error::NoLabelNear`] if there is none.
pub fn label_near(labels: &LabelMap, position: [f64; 3]) -> Result<(u8, f64)> {
    let center = voxel(&labels.grid, position)?;
    let spacing = labels.grid.spacing();
    let part = round_about(std::iter::once(center))
        .grown(spacing.map(|spacing| (NEAR_MM / spacing) as usize), &labels.grid);
    let mut nearest: Option<(f64, u8)> = None;
    for ((k, j, i), &label) in
        part.view(labels.labels.view()).indexed_iter().filter(|(_, label)| **label != 0)
    {
        let at = [part.start[0] + i, part.start[1] + j, part.start[2] + k];
        let distance = apart(&labels.grid, at, center);
        if distance <= NEAR_MM && nearest.is_none_or(|nearest| (distance, label) < nearest) {
            nearest = Some((distance, label));
        }
    }
    let (distance, label) = nearest.ok_or(Error::NoLabelNear { within_mm: NEAR_MM })?;
    Ok((label, distance))
}

/// Finds the voxels of a prompt, its target and what it may touch.
pub(crate) fn locate(prompt: &Prompt, image: &Image, labels: &LabelMap, limits: &Limits) -> Result<Located> {
    check(prompt, image, labels)?;
    let grid = &labels.grid;
    let (voxels, first, bounds) = match &prompt.shape {
        Shape::Point(at) => (vec![voxel(grid, *at)?], *at, None),
        Shape::Scribble { points, radius_mm } => {
            let first = *points.first().ok_or(Error::Prompt { reason: "a scribble without points" })?;
            (scribble(grid, points, *radius_mm)?, first, None)
        }
        Shape::Box { corners } => {
            let bounds = bounds(grid, corners)?;
            let center = std::array::from_fn(|a| (bounds.start[a] + bounds.end[a] - 1) / 2);
            (vec![center], grid.world(center.map(|n| n as f64)), Some(bounds))
        }
    };
    let target = match prompt.label {
        Some(label) => label,
        None => label_near(labels, first)?.0,
    };
    if target == 0 {
        return Err(Error::Background);
    }
    let under = match prompt.sign {
        Sign::Add => most_frequent(labels, &voxels, target),
        Sign::Remove => 0,
    };
    if let Some(&label) = [target, under].iter().find(|label| limits.locked.contains(label)) {
        return Err(Error::Locked { label });
    }
    let (sign, editable) = (prompt.sign, prompt.editable.clone());
    let mut located = Located { sign, target, under, seeds: Vec::new(), bounds, editable };
    let scene = located.scene(image, labels, &[]);
    let free = |voxel: &[usize; 3]| scene.role(*voxel) == Role::Free;
    let unmasked = Scene { editable: None, ..scene };
    let only_masked = voxels.iter().any(|voxel| unmasked.role(*voxel) == Role::Free);
    let seeds: Vec<_> = match bounds {
        Some(bounds) => nearest_in(grid, &bounds, voxels[0], free).into_iter().collect(),
        None => voxels.into_iter().filter(free).collect(),
    };
    if seeds.is_empty() {
        let masked = Error::Masked { label: target };
        return Err(if only_masked { masked } else { Error::Nothing { label: target } });
    }
    located.seeds = seeds;
    Ok(located)
}

impl Located {
    pub(crate) fn scene<'a>(
        &'a self,
        image: &'a Image,
        labels: &'a LabelMap,
        opposite: &'a [[usize; 3]],
    ) -> Scene<'a> {
        Scene {
            image,
            labels,
            sign: self.sign,
            target: self.target,
            under: self.under,
            editable: self.editable.as_ref(),
            opposite,
            bounds: self.bounds,
        }
    }
}

/// Whether labels lie on the image's grid, and what may change is a range.
fn check(prompt: &Prompt, image: &Image, labels: &LabelMap) -> Result<()> {
    let expected = image.volume().grid.size;
    let (k, j, i) = labels.labels.dim();
    if let Some(found) = [[i, j, k], labels.grid.size].into_iter().find(|found| *found != expected) {
        return Err(Error::SizesDiffer { found, expected });
    }
    prompt.editable.as_ref().map_or(Ok(()), Editable::check)
}

/// The voxel that holds a position.
pub(crate) fn voxel(grid: &Grid, position: [f64; 3]) -> Result<[usize; 3]> {
    if position.iter().any(|value| !value.is_finite()) {
        return Err(Error::Prompt { reason: "a position is not a finite number" });
    }
    let index = grid.index(position).map(f64::round);
    let inside = (0..3).all(|a| index[a] >= 0.0 && index[a] < grid.size[a] as f64);
    if inside { Ok(index.map(|n| n as usize)) } else { Err(Error::Outside) }
}

/// Millimetres between two voxels.
fn apart(grid: &Grid, a: [usize; 3], b: [usize; 3]) -> f64 {
    let (a, b) = (grid.world(a.map(|n| n as f64)), grid.world(b.map(|n| n as f64)));
    (0..3).map(|n| (a[n] - b[n]).powi(2)).sum::<f64>().sqrt()
}

/// The voxels of a scribble that lie in the image, in order.
fn scribble(grid: &Grid, points: &[[f64; 3]], radius_mm: f64) -> Result<Vec<[usize; 3]>> {
    if points.iter().flatten().any(|value| !value.is_finite()) || !(0.0..=RADIUS_MM).contains(&radius_mm) {
        return Err(Error::Prompt {
            reason: "a scribble of finite points, at most 10 mm wide to each side, was expected",
        });
    }
    let step = grid.spacing().into_iter().fold(f64::INFINITY, f64::min) / 2.0;
    let mut line = BTreeSet::new();
    let mut samples = points.len();
    for (n, &to) in points.iter().enumerate() {
        let from = points[n.saturating_sub(1)];
        let length = (0..3).map(|a| (to[a] - from[a]).powi(2)).sum::<f64>().sqrt();
        let parts = (length / step).ceil().max(1.0);
        if parts + samples as f64 > 8.0 * POINTS as f64 {
            return Err(Error::Prompt { reason: "the scribble is too long" });
        }
        samples += parts as usize;
        for part in 0..=parts as usize {
            let share = part as f64 / parts;
            let position = std::array::from_fn(|a| from[a] + share * (to[a] - from[a]));
            line.extend(voxel(grid, position).ok().map(|[i, j, k]| [k, j, i]));
        }
    }
    if line.is_empty() {
        return Err(Error::Outside);
    }
    if line.len() > POINTS {
        return Err(Error::Prompt { reason: "the scribble is too long" });
    }
    let margin = grid.spacing().map(|spacing| (radius_mm / spacing) as usize);
    let mut voxels = BTreeSet::new();
    for &[k, j, i] in &line {
        let part = round_about(std::iter::once([i, j, k])).grown(margin, grid);
        for k2 in part.start[2]..part.end[2] {
            for j2 in part.start[1]..part.end[1] {
                let row = (part.start[0]..part.end[0])
                    .filter(|&i2| margin == [0; 3] || apart(grid, [i2, j2, k2], [i, j, k]) <= radius_mm);
                voxels.extend(row.map(|i2| [k2, j2, i2]));
            }
        }
    }
    Ok(voxels.into_iter().map(|[k, j, i]| [i, j, k]).collect())
}

/// The voxels between two corners, as far as the image goes.
pub(crate) fn bounds(grid: &Grid, corners: &[[f64; 3]; 2]) -> Result<IndexBox> {
    if corners.iter().flatten().any(|value| !value.is_finite()) {
        return Err(Error::Prompt { reason: "a corner is not a finite number" });
    }
    let [a, b] = corners.map(|corner| grid.index(corner).map(f64::round));
    let clip = |n: usize, value: f64| value.clamp(0.0, grid.size[n] as f64) as usize;
    let found = IndexBox {
        start: std::array::from_fn(|n| clip(n, a[n].min(b[n]))),
        end: std::array::from_fn(|n| clip(n, a[n].max(b[n]) + 1.0)),
    };
    if found.is_empty() { Err(Error::Outside) } else { Ok(found) }
}

/// The voxel of a box nearest to its centre that `free` allows.
fn nearest_in(
    grid: &Grid,
    bounds: &IndexBox,
    center: [usize; 3],
    free: impl Fn(&[usize; 3]) -> bool,
) -> Option<[usize; 3]> {
    let mut nearest: Option<(f64, [usize; 3])> = None;
    for k in bounds.start[2]..bounds.end[2] {
        for j in bounds.start[1]..bounds.end[1] {
            for voxel in (bounds.start[0]..bounds.end[0]).map(|i| [i, j, k]).filter(&free) {
                let distance = apart(grid, voxel, center);
                if nearest.is_none_or(|(least, _)| distance < least) {
                    nearest = Some((distance, voxel));
                }
            }
        }
    }
    nearest.map(|(_, voxel)| voxel)
}

/// The most frequent label under some voxels that is neither background nor `target`; 0 if there is none.
fn most_frequent(labels: &LabelMap, voxels: &[[usize; 3]], target: u8) -> u8 {
    let mut counts = [0u32; 256];
    voxels.iter().for_each(|&[i, j, k]| counts[usize::from(labels.labels[[k, j, i]])] += 1);
    (counts[0], counts[usize::from(target)]) = (0, 0);
    let most = counts.iter().copied().max().filter(|&most| most > 0);
    most.and_then(|most| counts.iter().position(|&count| count == most)).map_or(0, |label| label as u8)
}
