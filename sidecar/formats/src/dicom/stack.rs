//! The geometry of a stack of parallel slices: evenly spaced, leaning, uneven or with gaps. Pure arithmetic in LPS
//! millimetres; nothing here knows DICOM.

use imaging::{Grid, Volume};
use ndarray::parallel::prelude::*;
use ndarray::{Array3, Axis, Zip};

use super::error::Error;
use super::warning::Warning;

/// Deviation from unit length and from a right angle that is put right.
const ORIENTATION_TOLERANCE: f64 = 1e-3;
/// Deviation of a gap that still counts as even: in parts of the usual gap, and in millimetres.
const EVEN: [f64; 2] = [0.01, 0.01];
/// Deviation of a position from a straight stack, in pixels.
const STRAIGHT_PIXELS: f64 = 0.1;
/// A gap wider than this many usual gaps, or this many millimetres, is not interpolated.
const WIDEST_GAP: [f64; 2] = [2.2, 10.0];
/// The most a stack may lean.
const MOST_LEAN_DEGREES: f64 = 45.0;
/// Voxel sizes accepted, in millimetres.
const SPACING_MM: std::ops::RangeInclusive<f64> = 0.05..=15.0;
/// Largest extent accepted along one axis, in millimetres.
const LARGEST_EXTENT_MM: f64 = 3000.0;

/// The plane of the slices.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plane {
    /// Unit vector of rising column index.
    pub(crate) row: [f64; 3],
    /// Unit vector of rising row index.
    pub(crate) column: [f64; 3],
    /// Unit vector across the slices: `row` x `column`.
    pub(crate) normal: [f64; 3],
    /// How far the directions as stored were from unit vectors at a right angle.
    pub(crate) deviation: f64,
}

/// Where the slices of a stack lie on a grid.
#[derive(Debug, Clone)]
pub(crate) struct Stack {
    /// The grid of the volume; its k axis leans when the stack does.
    pub(crate) grid: Grid,
    /// Index along k of each slice, rising; 0, 1, 2 ... when the stack is even.
    pub(crate) indices: Vec<f64>,
    pub(crate) warnings: Vec<Warning>,
}

impl Plane {
    /// The plane of direction cosines as DICOM stores them (PS3.3 C.7.6.2.1.1).
    pub(crate) fn new(cosines: [f64; 6]) -> Result<Plane, Error> {
        let [a, b, c, d, e, f] = cosines;
        let (row, column) = ([a, b, c], [d, e, f]);
        let angle = dot(row, column);
        let deviation =
            [norm(row) - 1.0, norm(column) - 1.0, angle].iter().fold(0.0, |most: f64, v| most.max(v.abs()));
        if deviation.partial_cmp(&ORIENTATION_TOLERANCE) != Some(std::cmp::Ordering::Less) {
            return Err(Error::GeometryInvalid {
                what: "the deviation of the image orientation from perpendicular unit vectors",
                found: deviation,
                expected: "at most 0.001",
            });
        }
        let row = scaled(row, 1.0 / norm(row));
        let column = minus(column, scaled(row, dot(row, column)));
        let column = scaled(column, 1.0 / norm(column));
        Ok(Plane { row, column, normal: cross(row, column), deviation })
    }

    /// Millimetres of a position across the slices.
    pub(crate) fn height(&self, position: [f64; 3]) -> f64 {
        dot(self.normal, position)
    }
}

impl Stack {
    /// The stack of slices at `positions` (rising along the normal, no two at one height), each `size` `[columns,
    /// rows]` of `spacing` `[between columns, between rows]`.
    pub(crate) fn new(
        plane: &Plane,
        positions: &[[f64; 3]],
        size: [usize; 2],
        spacing: [f64; 2],
    ) -> Result<Stack, Error> {
        let (Some(&first), Some(&last)) = (positions.first(), positions.last()) else {
            return Err(Error::TooFewSlices { found: 0, least: 2 });
        };
        let heights: Vec<f64> =
            positions.iter().map(|&position| plane.height(minus(position, first))).collect();
        let span = plane.height(minus(last, first));
        if positions.len() < 2 || span <= 0.0 {
            return Err(Error::TooFewSlices { found: positions.len(), least: 2 });
        }
        // The way from slice to slice, for each millimetre across them: the normal, unless the stack leans.
        let lean = scaled(minus(last, first), 1.0 / span);
        let pixel = spacing[0].min(spacing[1]);
        straight(positions, &heights, lean, pixel)?;
        let mut warnings = Vec::new();
        let drift = norm(minus(lean, plane.normal));
        let degrees = drift.atan().to_degrees();
        if degrees > MOST_LEAN_DEGREES {
            return Err(Error::Shear { degrees, limit: MOST_LEAN_DEGREES });
        }
        if drift * span > STRAIGHT_PIXELS * pixel {
            warnings.push(Warning::GantryTilt { degrees });
        }
        if plane.deviation > ORIENTATION_TOLERANCE / 10.0 {
            warnings.push(Warning::OrientationNormalised { deviation: plane.deviation });
        }
        let (step, indices) = even_grid(&heights, &mut warnings)?;
        let slices = indices.last().map_or(0, |last| last.round() as usize + 1);
        let axes = [scaled(plane.row, spacing[0]), scaled(plane.column, spacing[1]), scaled(lean, step)];
        let grid = plausible(Grid { size: [size[0], size[1], slices], axes, origin: first })?;
        Ok(Stack { grid, indices, warnings })
    }

    /// Cosine of the angle between the k axis and the normal of the slices: 1 unless the stack leans.
    pub(crate) fn lean_cosine(&self) -> f64 {
        let [row, column, along] = self.grid.direction();
        dot(cross(row, column), along).abs()
    }

    /// Whether the slices are the planes of the grid, one for one.
    pub(crate) fn is_even(&self) -> bool {
        self.indices.len() == self.grid.size[2]
            && self.indices.iter().enumerate().all(|(k, index)| *index == k as f64)
    }

    /// The volume on the grid from the slices `[[slice, j, i]]`, linear between the true positions of neighbours.
    pub(crate) fn interpolated(&self, slices: &Array3<f32>) -> Volume {
        let mut voxels = Array3::<f32>::zeros(self.grid.shape());
        voxels.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(k, mut plane)| {
            let at = k as f64;
            let above = self.indices.partition_point(|index| *index < at).min(self.indices.len() - 1);
            let below = above.saturating_sub(1);
            let width = self.indices[above] - self.indices[below];
            let weight = if width > 0.0 { ((at - self.indices[below]) / width).clamp(0.0, 1.0) } else { 1.0 };
            let (low, high) = (slices.index_axis(Axis(0), below), slices.index_axis(Axis(0), above));
            match weight {
                0.0 => plane.assign(&low),
                1.0 => plane.assign(&high),
                _ => Zip::from(&mut plane).and(&low).and(&high).for_each(|out, &low, &high| {
                    *out = (f64::from(low) * (1.0 - weight) + f64::from(high) * weight) as f32;
                }),
            }
        });
        Volume { grid: self.grid.clone(), voxels }
    }
}

/// Whether all slices lie on one line, leaning or not.
fn straight(positions: &[[f64; 3]], heights: &[f64], lean: [f64; 3], pixel: f64) -> Result<(), Error> {
    let first = positions.first().copied().unwrap_or_default();
    let off = positions
        .iter()
        .zip(heights)
        .map(|(&position, &height)| norm(minus(minus(position, first), scaled(lean, height))))
        .fold(0.0, f64::max);
    if off > STRAIGHT_PIXELS * pixel {
        return Err(Error::GeometryInvalid {
            what: "the sideways deviation of a slice from a straight stack in millimetres",
            found: off,
            expected: "at most a tenth of a pixel",
        });
    }
    Ok(())
}

/// The step in millimetres of an even grid, and the place of each slice on it.
fn even_grid(heights: &[f64], warnings: &mut Vec<Warning>) -> Result<(f64, Vec<f64>), Error> {
    let gaps: Vec<f64> = heights.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let usual = median(&gaps);
    let tolerance = |step: f64| (EVEN[0] * step).max(EVEN[1]);
    let span = heights.last().copied().unwrap_or_default();
    if gaps.iter().all(|gap| (gap - usual).abs() <= tolerance(usual)) {
        return Ok((span / gaps.len() as f64, (0..heights.len()).map(|k| k as f64).collect()));
    }
    let wide = |gap: f64| gap > WIDEST_GAP[0] * usual || gap > WIDEST_GAP[1].max(usual + tolerance(usual));
    let wide: Vec<[f64; 2]> =
        heights.iter().zip(&gaps).filter(|(_, gap)| wide(**gap)).map(|(at, gap)| [*at, *gap]).collect();
    if !wide.is_empty() {
        return Err(Error::SlicesMissing { gaps: wide, usual_mm: usual });
    }
    // Whole numbers of steps between slices: then every slice is a plane of the grid, and stays as it is.
    let whole = |step: f64| {
        let planes = (span / step).round();
        let step = span / planes;
        let fits =
            heights.iter().all(|height| (height - (height / step).round() * step).abs() <= tolerance(step));
        fits.then(|| (step, heights.iter().map(|height| (height / step).round()).collect::<Vec<f64>>()))
    };
    let least = gaps.iter().copied().fold(f64::INFINITY, f64::min);
    let most = gaps.iter().copied().fold(0.0, f64::max);
    if let Some((step, indices)) = whole(usual).filter(|(_, indices)| rising(indices)) {
        let missing = indices.last().map_or(0, |last| *last as usize + 1 - indices.len());
        warnings.push(Warning::Gap { missing, usual_mm: usual });
        return Ok((step, indices));
    }
    warnings.push(Warning::Nonuniform { least_mm: least, most_mm: most });
    // At most four planes for each slice, however close two of them are.
    let finest = span / (4.0 * gaps.len() as f64);
    let found = (1..=4).map(|parts| least / f64::from(parts)).filter(|step| *step >= finest).find_map(whole);
    Ok(found.filter(|(_, indices)| rising(indices)).unwrap_or_else(|| {
        let planes = (span / least.max(finest)).ceil().max(1.0);
        let step = span / planes;
        let snapped = |index: f64| {
            if (index - index.round()).abs() * step <= EVEN[1] { index.round() } else { index }
        };
        (step, heights.iter().map(|height| snapped(height / step)).collect())
    }))
}

/// Whether no two slices share a plane.
fn rising(indices: &[f64]) -> bool {
    indices.windows(2).all(|pair| pair[0] < pair[1])
}

/// The middle value; of an even number the lower of the two in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

/// Refuses voxel sizes and extents that no scanner makes.
fn plausible(grid: Grid) -> Result<Grid, Error> {
    let invalid = |what, found, expected| Err(Error::GeometryInvalid { what, found, expected });
    let spacing = grid.spacing();
    for (spacing, size) in spacing.into_iter().zip(grid.size) {
        if !SPACING_MM.contains(&spacing) {
            return invalid("the voxel size in millimetres", spacing, "0.05 to 15");
        }
        let extent = spacing * size as f64;
        if extent > LARGEST_EXTENT_MM {
            return invalid("the extent in millimetres", extent, "at most 3000");
        }
    }
    let determinant = grid.determinant();
    Grid::new(grid.size, grid.axes, grid.origin)
        .or_else(|_| invalid("the volume of a voxel in mm³", determinant, "a grid that spans space"))
}

pub(crate) fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

fn scaled(a: [f64; 3], factor: f64) -> [f64; 3] {
    a.map(|component| component * factor)
}

pub(crate) fn minus(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

pub(crate) fn norm(a: [f64; 3]) -> f64 {
    dot(a, a).sqrt()
}
