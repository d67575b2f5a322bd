//! Values between voxels: trilinear interpolation, with its slope where registration needs it.

use ndarray::ArrayView3;

/// The value at a continuous index `[i, j, k]` of an array `[[k, j, i]]`; none outside the outermost voxel centres.
pub(crate) fn value(array: ArrayView3<'_, f32>, index: [f64; 3]) -> Option<f64> {
    let (corners, at) = corners(array, index)?;
    let [x, y, z] = at;
    let along = |a: f64, b: f64, t: f64| a + (b - a) * t;
    let plane = |c: &[f64]| along(along(c[0], c[1], x), along(c[2], c[3], x), y);
    Some(along(plane(&corners[..4]), plane(&corners[4..]), z))
}

/// The value, and how it changes per voxel along i, j, k.
pub(crate) fn value_and_slope(array: ArrayView3<'_, f32>, index: [f64; 3]) -> Option<(f64, [f64; 3])> {
    let (c, at) = corners(array, index)?;
    let [x, y, z] = at;
    let along = |a: f64, b: f64, t: f64| a + (b - a) * t;
    let rows = [along(c[0], c[1], x), along(c[2], c[3], x), along(c[4], c[5], x), along(c[6], c[7], x)];
    let planes = [along(rows[0], rows[1], y), along(rows[2], rows[3], y)];
    let di = along(along(c[1] - c[0], c[3] - c[2], y), along(c[5] - c[4], c[7] - c[6], y), z);
    let dj = along(rows[1] - rows[0], rows[3] - rows[2], z);
    Some((along(planes[0], planes[1], z), [di, dj, planes[1] - planes[0]]))
}

/// The eight voxels round an index, i fastest, and the place among them from 0 to 1.
fn corners(array: ArrayView3<'_, f32>, index: [f64; 3]) -> Option<([f64; 8], [f64; 3])> {
    let (nk, nj, ni) = array.dim();
    let (mut low, mut at) = ([0usize; 3], [0.0; 3]);
    for (axis, n) in [ni, nj, nk].into_iter().enumerate() {
        let last = n.checked_sub(1)? as f64;
        if !(0.0..=last).contains(&index[axis]) {
            return None;
        }
        low[axis] = (index[axis] as usize).min(n.saturating_sub(2));
        at[axis] = index[axis] - low[axis] as f64;
    }
    let step = |axis: usize, n: usize| (low[axis] + n).min([ni, nj, nk][axis] - 1);
    let corner = |n: usize| f64::from(array[[step(2, n >> 2), step(1, n >> 1 & 1), step(0, n & 1)]]);
    Some((std::array::from_fn(corner), at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    #[test]
    fn a_ramp_is_met_exactly_and_its_slope_too() {
        let ramp = Array3::from_shape_fn((4, 5, 6), |(k, j, i)| 2.0 * i as f32 - j as f32 + 0.5 * k as f32);
        let (found, slope) = value_and_slope(ramp.view(), [1.25, 2.5, 2.75]).unwrap();
        assert_eq!((found, slope), (2.5 - 2.5 + 1.375, [2.0, -1.0, 0.5]));
        assert_eq!(value(ramp.view(), [5.0, 4.0, 3.0]), Some(7.5));
        assert_eq!(value(ramp.view(), [5.01, 4.0, 3.0]), None);
        assert_eq!(value(ramp.view(), [f64::NAN, 0.0, 0.0]), None);
    }
}
