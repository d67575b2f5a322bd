//! The grid that the frames of a segmentation lie on. Only slices with something on them have frames, so gaps are
//! whole numbers of steps.

use imaging::Grid;

use crate::dicom::error::Error;
use crate::dicom::stack::{Plane, dot, minus, norm};

/// Frames nearer than this, across the slices, lie on one slice, in millimetres.
const SAME_PLACE_MM: f64 = 0.01;
/// Direction cosines that differ by less belong to one orientation, and spacings that differ relatively by less are one.
const SAME: f64 = 1e-4;
/// A frame may lie this far from its place on the grid, in pixels within the slice.
const NEAR_PIXELS: f64 = 0.1;
/// And in steps across the slices.
const NEAR_STEPS: f64 = 0.05;
/// The least cosine between the stack and the normal of its slices.
const LEAST_UPRIGHT: f64 = std::f64::consts::FRAC_1_SQRT_2;
/// Where no frame is the neighbour of another, the smallest gap may be this many steps.
const MOST_STEPS: u32 = 2;

/// Where a frame lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    /// LPS millimetres of the centre of its first pixel.
    pub(crate) position: [f64; 3],
    /// Unit vectors of rising column, then of rising row index.
    pub(crate) orientation: [f64; 6],
    /// Millimetres between columns, between rows.
    pub(crate) spacing: [f64; 2],
}

/// The grid of frames of `size` `[columns, rows]`, and the plane of each. `stated` is the distance between slices in
/// millimetres, as the file says it.
pub(crate) fn grid(
    frames: &[Placed],
    size: [usize; 2],
    stated: Option<f64>,
) -> Result<(Grid, Vec<usize>), Error> {
    let first = frames.first().ok_or(Error::TooFewSlices { found: 0, least: 1 })?;
    for frame in frames {
        alike(first, frame)?;
    }
    let plane = Plane::new(first.orientation)?;
    let heights: Vec<f64> =
        frames.iter().map(|frame| plane.height(minus(frame.position, first.position))).collect();
    let lowest = (0..frames.len()).min_by(|a, b| heights[*a].total_cmp(&heights[*b])).unwrap_or(0);
    let highest = (0..frames.len()).max_by(|a, b| heights[*a].total_cmp(&heights[*b])).unwrap_or(0);
    let heights: Vec<f64> = heights.iter().map(|height| height - heights[lowest]).collect();
    let span = heights[highest];
    let origin = frames[lowest].position;
    let stated = stated.filter(|mm| mm.is_finite() && *mm > SAME_PLACE_MM);
    let (planes, axis) = if span < SAME_PLACE_MM {
        let step = stated.ok_or(Error::GeometryMissing { attribute: "SpacingBetweenSlices" })?;
        (vec![0; frames.len()], plane.normal.map(|component| component * step))
    } else {
        let planes = steps(&heights, span, stated)?;
        let count = planes[highest] as f64;
        (planes, minus(frames[highest].position, origin).map(|component| component / count))
    };
    let [width, height] = first.spacing;
    let pixel = width.min(height);
    for (frame, &index) in frames.iter().zip(&planes) {
        let there = std::array::from_fn(|a| origin[a] + axis[a] * index as f64);
        let off = minus(frame.position, there);
        let across = dot(off, plane.normal);
        let within = norm(std::array::from_fn(|a| off[a] - plane.normal[a] * across));
        if within.partial_cmp(&(NEAR_PIXELS * pixel)) != Some(std::cmp::Ordering::Less) {
            return Err(Error::GeometryInvalid {
                what: "the distance of a frame from the line of the others in millimetres",
                found: within,
                expected: "less than a tenth of a pixel",
            });
        }
    }
    if dot(axis, plane.normal) < LEAST_UPRIGHT * norm(axis) {
        let degrees = (dot(axis, plane.normal) / norm(axis)).acos().to_degrees();
        return Err(Error::Shear { degrees, limit: 45.0 });
    }
    let axes = [plane.row.map(|c| c * width), plane.column.map(|c| c * height), axis];
    let slices = planes.iter().max().map_or(1, |last| last + 1);
    let invalid = |_| Error::Corrupt { reason: "the frames span no space" };
    Ok((Grid::new([size[0], size[1], slices], axes, origin).map_err(invalid)?, planes))
}

/// Refuses a frame that is turned or scaled against the first.
fn alike(first: &Placed, frame: &Placed) -> Result<(), Error> {
    let turned = (0..6).map(|a| (frame.orientation[a] - first.orientation[a]).abs()).fold(0.0, f64::max);
    let scaled = (0..2).map(|a| (frame.spacing[a] / first.spacing[a] - 1.0).abs()).fold(0.0, f64::max);
    match (turned <= SAME, scaled <= SAME) {
        (true, true) => Ok(()),
        (false, _) => Err(Error::GeometryInvalid {
            what: "the difference between the orientations of two frames",
            found: turned,
            expected: "none",
        }),
        (true, false) => Err(Error::GeometryInvalid {
            what: "the relative difference between the pixel spacings of two frames",
            found: scaled,
            expected: "none",
        }),
    }
}

/// The place of each height as a whole number of steps from the lowest.
fn steps(heights: &[f64], span: f64, stated: Option<f64>) -> Result<Vec<usize>, Error> {
    let mut sorted = heights.to_vec();
    sorted.sort_by(f64::total_cmp);
    let gaps = sorted.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap >= SAME_PLACE_MM);
    let least = gaps.fold(span, f64::min);
    let parts = (1..=MOST_STEPS).map(|parts| least / f64::from(parts));
    let mut worst = 0.0f64;
    for step in stated.into_iter().chain(parts) {
        let count = (span / step).round();
        if !(1.0..=1e6).contains(&count) {
            continue;
        }
        let even = span / count;
        let off = heights.iter().map(|height| (height / even - (height / even).round()).abs());
        let off = off.fold(0.0, f64::max);
        // Frames of two slices must not fall onto one.
        if off <= NEAR_STEPS && least > 0.5 * even {
            return Ok(heights.iter().map(|height| (height / even).round() as usize).collect());
        }
        worst = worst.max(off * even);
    }
    Err(Error::GeometryInvalid {
        what: "the deviation of a frame from even distances in millimetres",
        found: worst,
        expected: "less than a twentieth of the distance",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AXIAL: [f64; 6] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];

    fn frames(positions: &[[f64; 3]]) -> Vec<Placed> {
        positions
            .iter()
            .map(|&position| Placed { position, orientation: AXIAL, spacing: [0.5, 0.7] })
            .collect()
    }

    #[test]
    fn frames_lie_on_whole_steps() {
        let check = |heights: &[f64], stated, expected: &[usize], step: f64| {
            let positions: Vec<_> = heights.iter().map(|z| [1.0, 2.0, *z]).collect();
            let (grid, planes) = grid(&frames(&positions), [4, 3], stated).unwrap();
            assert_eq!(planes, expected);
            assert!((grid.axes[2][2] - step).abs() < 1e-9, "{grid:?}");
            let least = heights.iter().copied().fold(f64::INFINITY, f64::min);
            assert_eq!((grid.origin, grid.size[2]), ([1.0, 2.0, least], expected.iter().max().unwrap() + 1));
        };
        check(&[0.0, 2.5, 5.0], None, &[0, 1, 2], 2.5);
        check(&[5.0, -2.5, 5.0, 2.5], Some(2.5), &[3, 0, 3, 2], 2.5);
        check(&[0.0, 5.0], Some(2.5), &[0, 2], 2.5);
        check(&[0.0, 5.0], None, &[0, 1], 5.0);
        check(&[0.0, 5.0, 12.5], None, &[0, 2, 5], 2.5);
        // What the file states is wrong.
        check(&[0.0, 2.5, 5.0], Some(4.0), &[0, 1, 2], 2.5);
        check(&[7.0, 7.0], Some(3.0), &[0, 0], 3.0);
    }

    #[test]
    fn what_lies_on_no_grid_is_refused() {
        let code = |frames: &[Placed], stated| grid(frames, [4, 3], stated).unwrap_err().code();
        assert_eq!(code(&frames(&[[0.0; 3]]), None), "E_GEOM_MISSING");
        assert_eq!(code(&[], None), "E_TOO_FEW_SLICES");
        let uneven = frames(&[[0.0; 3], [0.0, 0.0, 2.0], [0.0, 0.0, 5.3]]);
        assert_eq!(code(&uneven, Some(2.0)), "E_GEOM_INVALID");
        let bent = frames(&[[0.0; 3], [0.3, 0.0, 2.0], [0.0, 0.0, 4.0]]);
        assert_eq!(code(&bent, None), "E_GEOM_INVALID");
        let leaning = frames(&[[0.0; 3], [5.0, 0.0, 2.0], [10.0, 0.0, 4.0]]);
        assert_eq!(code(&leaning, None), "E_GEOM_SHEAR");
        let mut turned = frames(&[[0.0; 3], [0.0, 0.0, 2.0]]);
        turned[1].orientation = [0.0, 1.0, 0.0, 1.0, 0.0, 0.0];
        assert_eq!(code(&turned, None), "E_GEOM_INVALID");
        turned[1].orientation = AXIAL;
        turned[1].spacing = [0.5, 0.5];
        assert_eq!(code(&turned, None), "E_GEOM_INVALID");
        let nowhere = frames(&[[0.0; 3], [f64::NAN, 0.0, 2.0]]);
        assert_eq!(code(&nowhere, None), "E_GEOM_INVALID");
    }
}
