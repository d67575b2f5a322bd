//! Where the brain is, in a diffusion-weighted image without skull signal.

use imaging::{Beyond, Components, Connectivity, Volume, close, fill_holes, gaussian, open};
use ndarray::{Array3, Axis};

use crate::{Affine, Error, Result};

/// Share of the bright tissue's level above which a voxel is tissue.
const THRESHOLD: f64 = 0.25;

/// A mask `[[k, j, i]]` of the brain: what is brighter than a quarter of bright tissue, thin bridges cut, the largest
/// piece, gaps closed and holes filled (slice by slice as well, since thick slices leave ventricles open to the end).
///
/// # Errors
///
/// [`Error::NoBrain`] when nothing or nearly everything is brighter.
pub fn brain_mask(volume: &Volume) -> Result<Array3<bool>> {
    let mut values: Vec<f32> = volume.voxels.iter().copied().filter(|value| value.is_finite()).collect();
    values.sort_by(f32::total_cmp);
    let upper = &values[values.len() / 2..];
    let bright = upper.get(upper.len() * 95 / 100).copied().unwrap_or(0.0);
    let level = (THRESHOLD * f64::from(bright)) as f32;
    let spacing = volume.grid.spacing();
    let sigma = [spacing[2], spacing[1], spacing[0]].map(|mm| (1.0 / mm).min(0.8));
    let smooth = gaussian(volume.voxels.view(), sigma, Beyond::Nearest);
    let mask = open(&smooth.mapv(|value| value > level && level > 0.0), 1);
    let components = Components::of(mask.view(), |&inside| inside, Connectivity::Faces);
    let mut brain = Array3::from_elem(mask.dim(), false);
    let largest = components.largest();
    components.paint(&mut brain, |n| (Some(n) == largest).then_some(true));
    let mut brain = fill_holes(&pad_and_close(&brain));
    for mut slice in brain.axis_iter_mut(Axis(0)) {
        let plane = slice.to_owned().insert_axis(Axis(0));
        slice.assign(&fill_holes(&plane).index_axis(Axis(0), 0));
    }
    let inside = brain.iter().filter(|&&inside| inside).count();
    let ml = inside as f64 * volume.grid.determinant().abs() / 1000.0;
    if ml < 200.0 || inside * 10 > brain.len() * 9 {
        return Err(Error::NoBrain { ml });
    }
    Ok(brain)
}

/// Closes gaps without eating into the mask where it meets the image's border.
fn pad_and_close(mask: &Array3<bool>) -> Array3<bool> {
    let (nk, nj, ni) = mask.dim();
    let mut padded = Array3::from_elem((nk + 4, nj + 4, ni + 4), false);
    for ((k, j, i), _) in mask.indexed_iter().filter(|(_, inside)| **inside) {
        padded[[k + 2, j + 2, i + 2]] = true;
    }
    let closed = close(&padded, 2);
    Array3::from_shape_fn(mask.dim(), |(k, j, i)| closed[[k + 2, j + 2, i + 2]])
}

/// A brain mask and where it lies: what two brains are compared by.
#[derive(Debug, Clone)]
pub struct Brain {
    /// The mask `[[k, j, i]]`.
    pub mask: Array3<bool>,
    /// From index to millimetres.
    pub(crate) world: Affine,
    /// From millimetres to index.
    pub(crate) index: Affine,
    /// Centre of mass in millimetres.
    pub(crate) centre: [f64; 3],
    /// Root mean square distance from the centre in millimetres.
    pub(crate) radius: f64,
    /// Volume of a voxel in mm³.
    voxel_mm3: f64,
}

impl Brain {
    /// Of a mask on the grid of `volume`.
    #[must_use]
    pub fn of(mask: Array3<bool>, volume: &Volume) -> Brain {
        let world = Affine::world_of(&volume.grid);
        let points = || {
            let inside = mask.indexed_iter().filter(|(_, inside)| **inside);
            inside.map(|((k, j, i), _)| world.apply([i as f64, j as f64, k as f64]))
        };
        let count = points().count().max(1) as f64;
        let sum = points().fold([0.0; 3], |sum, at| std::array::from_fn(|r| sum[r] + at[r]));
        let centre: [f64; 3] = sum.map(|sum| sum / count);
        let squares: f64 = points().map(|at| (0..3).map(|r| (at[r] - centre[r]).powi(2)).sum::<f64>()).sum();
        let index = Affine::index_of(&volume.grid);
        let voxel_mm3 = volume.grid.determinant().abs();
        Brain { world, index, centre, radius: (squares / count).sqrt().max(1.0), voxel_mm3, mask }
    }

    /// Whether a point in millimetres lies in it.
    pub(crate) fn holds(&self, point: [f64; 3]) -> bool {
        let index = self.index.apply(point).map(|value| value.round());
        let (nk, nj, ni) = self.mask.dim();
        let within = index.iter().zip([ni, nj, nk]).all(|(&at, n)| at >= 0.0 && at < n as f64);
        within && self.mask[[index[2] as usize, index[1] as usize, index[0] as usize]]
    }

    /// Dice of this brain and another that `map` leads to, from this world to the other's. What lies beyond the other's
    /// field of view does not count against it.
    #[must_use]
    pub fn dice(&self, other: &Brain, map: &Affine) -> f64 {
        let to_other = other.index.after(map).after(&self.world);
        let (nk, nj, ni) = other.mask.dim();
        let last = [ni, nj, nk].map(|n| n as f64 - 0.5);
        let (mut own, mut both) = (0u64, 0u64);
        for ((k, j, i), _) in self.mask.indexed_iter().filter(|(_, inside)| **inside) {
            let at = to_other.apply([i as f64, j as f64, k as f64]);
            if (0..3).all(|a| at[a] > -0.5 && at[a] < last[a]) {
                own += 1;
                let [i, j, k] = at.map(|value| value.round().max(0.0) as usize);
                both += u64::from(other.mask[[k, j, i]]);
            }
        }
        let Some(back) = map.inverse() else { return 0.0 };
        let to_own = self.index.after(&back).after(&other.world);
        let (nk, nj, ni) = self.mask.dim();
        let last = [ni, nj, nk].map(|n| n as f64 - 0.5);
        let seen = other.mask.indexed_iter().filter(|((k, j, i), inside)| {
            let at = to_own.apply([*i as f64, *j as f64, *k as f64]);
            **inside && (0..3).all(|a| at[a] > -0.5 && at[a] < last[a])
        });
        // The other's voxels as a volume in this world.
        let theirs = seen.count() as f64 * other.voxel_mm3 / map.determinant().abs() / self.voxel_mm3;
        let sum = own as f64 + theirs;
        if sum == 0.0 { 0.0 } else { 2.0 * both as f64 / sum }
    }
}
