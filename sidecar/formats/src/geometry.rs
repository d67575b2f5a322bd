//! What every reader asks of a geometry, whatever file it came from.

use imaging::Grid;

use crate::error::{Error, Result, Warning};

/// Millimetres between voxel centres that a scanner of patients makes.
const SPACING_MM: [f64; 2] = [0.05, 15.0];
/// Millimetres from one end of an image to the other, at most.
const EXTENT_MM: f64 = 3000.0;
/// Largest cosine between two axes that is still rounding.
const ORTHOGONAL: f64 = 1e-3;
/// Largest shear, in degrees, that is resampled.
const SHEAR_DEGREES: f64 = 30.0;

/// Refuses a grid that cannot be a patient's; tells of shear.
pub(crate) fn check(grid: &Grid, warnings: &mut Vec<Warning>) -> Result<()> {
    let spacing = grid.spacing();
    if spacing.iter().any(|mm| !(SPACING_MM[0]..=SPACING_MM[1]).contains(mm)) {
        let [low, high] = SPACING_MM;
        let detail = format!("the spacing is {spacing:?} mm, expected {low} to {high} mm");
        return Err(Error::GeometryInvalid { detail });
    }
    let extent: [f64; 3] = std::array::from_fn(|a| spacing[a] * grid.size[a] as f64);
    if extent.iter().any(|&mm| mm > EXTENT_MM) {
        let detail = format!("the image extends over {extent:.0?} mm, expected at most {EXTENT_MM} mm");
        return Err(Error::GeometryInvalid { detail });
    }
    let shear = grid.shear();
    if shear > ORTHOGONAL {
        let degrees = shear.min(1.0).asin().to_degrees();
        if degrees > SHEAR_DEGREES {
            return Err(Error::GeometryShear { degrees, most: SHEAR_DEGREES });
        }
        warnings.push(Warning::new("W_SHEAR", format!("the axes are {degrees:.2}° off perpendicular")));
    }
    Ok(())
}

/// Turns an affine between RAS+ and LPS+: the first two world axes change sign. Zero stays positive zero, so that a
/// grid prints and hashes the same whichever way it came.
pub(crate) fn flip_xy([x, y, z]: [f64; 3]) -> [f64; 3] {
    [0.0 - x, 0.0 - y, z]
}

/// The size of a grid from the lengths in a header.
pub(crate) fn size(lengths: [u64; 3], limits: &crate::Limits) -> Result<[usize; 3]> {
    for found in lengths {
        if found > limits.side {
            return Err(Error::Limit { what: "voxels along an axis", found, most: limits.side });
        }
    }
    let voxels = lengths.iter().try_fold(1u64, |product, &length| product.checked_mul(length));
    match voxels {
        Some(found) if found <= limits.voxels => Ok(lengths.map(|length| length as usize)),
        found => Err(Error::Limit { what: "voxels", found: found.unwrap_or(u64::MAX), most: limits.voxels }),
    }
}
