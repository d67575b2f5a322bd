//! Registration put to the test: an image is displaced by a known map, made noisy and of other contrast, and found
//! again.

use imaging::{Random, Volume};
use ndarray::Array3;
use serde::Serialize;

use crate::brain::{Brain, brain_mask};
use crate::{Affine, Rejection, Result, register, sample};

/// How a displaced image was found again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trial {
    /// Mean distance in millimetres, over the brain, by which it was displaced.
    pub displaced_mm: f64,
    /// Mean distance in millimetres, over the brain, between where a voxel is and where registration puts it.
    pub error_mm: Option<f64>,
    /// Why the result is not to be used.
    pub rejected: Option<Rejection>,
}

/// Displaces `volume` at random by the seed and registers it to what became of it: turned by up to 15 degrees about
/// each axis, moved by up to 20 mm, stretched by up to 10 % and sheared by up to 0.05 along each; noise of about 1 %
/// of the brightest, and intensities bent by a power of 0.7 to 1.4.
///
/// # Errors
///
/// [`crate::Error::NoBrain`] when there is none in either.
pub fn trial(volume: &Volume, seed: u64) -> Result<Trial> {
    let brain = Brain::of(brain_mask(volume)?, volume);
    let mut random = Random::of(&[seed, 0x7472_6961_6c00]);
    let truth = displacement(&brain, &mut random);
    let moving = displaced(volume, &truth, &mut random);
    let other = Brain::of(brain_mask(&moving)?, &moving);
    let displaced_mm = distance(&brain, &truth, &Affine::IDENTITY);
    Ok(match register((volume, &brain), (&moving, &other), None) {
        Ok(found) => {
            Trial { displaced_mm, error_mm: Some(distance(&brain, &truth, &found.map)), rejected: None }
        }
        Err(rejection) => Trial { displaced_mm, error_mm: None, rejected: Some(rejection) },
    })
}

fn displacement(brain: &Brain, random: &mut Random) -> Affine {
    let mut three = |most: f64| -> [f64; 3] { std::array::from_fn(|_| random.between(-most, most)) };
    let turn = Affine { matrix: Affine::rotation(three(15.0).map(f64::to_radians)), offset: [0.0; 3] };
    let (stretch, shear, shift) = (three(0.1).map(f64::exp), three(0.05), three(20.0));
    let bent = [[stretch[0], shear[0], shear[1]], [0.0, stretch[1], shear[2]], [0.0, 0.0, stretch[2]]];
    Affine::about(brain.centre, turn.after(&Affine { matrix: bent, offset: [0.0; 3] }).matrix, shift)
}

/// The image as it lies after `map`, on the same grid.
fn displaced(volume: &Volume, map: &Affine, random: &mut Random) -> Volume {
    let index = Affine::index_of(&volume.grid);
    let back = map.inverse().unwrap_or(Affine::IDENTITY);
    let from = index.after(&back).after(&Affine::world_of(&volume.grid));
    let top = volume.range().map_or(1.0, |(_, top)| f64::from(top)).max(1e-6);
    let power = random.between(0.7, 1.4);
    let voxels = Array3::from_shape_fn(volume.grid.shape(), |(k, j, i)| {
        let value =
            sample::value(volume.voxels.view(), from.apply([i as f64, j as f64, k as f64])).unwrap_or(0.0);
        let bent = top * (value.max(0.0) / top).powf(power);
        (bent + 0.03 * 0.3 * top * random.normal()).abs() as f32
    });
    Volume { grid: volume.grid.clone(), voxels }
}

/// Mean distance in millimetres between where two maps take the brain's voxels.
fn distance(brain: &Brain, a: &Affine, b: &Affine) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for ((k, j, i), _) in brain.mask.indexed_iter().filter(|(_, inside)| **inside) {
        let world = brain.world.apply([i as f64, j as f64, k as f64]);
        let (at, other) = (a.apply(world), b.apply(world));
        sum += (0..3).map(|r| (at[r] - other[r]).powi(2)).sum::<f64>().sqrt();
        count += 1.0;
    }
    sum / f64::max(count, 1.0)
}
