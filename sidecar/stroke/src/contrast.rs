//! How a lesion stands out, from the rest of the brain and from the brain round about, and whether a synthetic one does
//! so as its donor's did.

use imaging::{Beyond, IndexBox, LabelMap, Volume, dilate, gaussian};
use ndarray::Array3;
use serde::{Deserialize, Serialize};

use crate::{Quality, Rejection};

/// Smoothing of the surroundings in millimetres.
const SURROUNDINGS_MM: f64 = 8.0;
/// Voxels round the lesion that say nothing about the baseline.
const HALO: usize = 2;

/// Mean signal in a lesion over that of other brain.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Contrast {
    /// Over the mean of the rest of the brain. It leans on how bright the brain is at that place: the shade of a coil, or
    /// another b-value, changes it.
    pub rest: f64,
    /// Over the mean of what the lesion's voxels would be by the brain round about: what one sees at the place.
    pub surroundings: f64,
}

impl Contrast {
    /// Of label 1 in an image, on one grid with the brain's mask `[[k, j, i]]`.
    #[must_use]
    pub fn of(volume: &Volume, lesion: &LabelMap, brain: &Array3<bool>) -> Contrast {
        let (found, without) = sums(volume, lesion, brain);
        Contrast { rest: over_rest(volume, lesion, brain), surroundings: found / without }
    }

    /// That of the same lesion if it changed the signal so much more, or less.
    #[must_use]
    pub fn at_strength(&self, strength: f64) -> Contrast {
        let surroundings = 1.0 + strength * (self.surroundings - 1.0);
        Contrast { rest: self.rest / self.surroundings * surroundings, surroundings }
    }

    /// That of several lesions together, each with its volume.
    #[must_use]
    pub fn mean(parts: impl Iterator<Item = (Contrast, f64)>) -> Contrast {
        let (mut rest, mut surroundings, mut total) = (0.0, 0.0, 0.0);
        for (part, volume) in parts {
            rest += part.rest * volume;
            surroundings += part.surroundings * volume;
            total += volume;
        }
        Contrast { rest: rest / total, surroundings: surroundings / total }
    }
}

/// How far a synthetic case may be from its donor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Greatest relative difference of either contrast.
    pub contrast: f64,
    /// Greatest relative difference between the label and the donor's volume times the map's Jacobian; a difference of
    /// one voxel is never too much.
    pub volume: f64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { contrast: 0.1, volume: 0.05 }
    }
}

impl Limits {
    /// Whether a case may be used.
    ///
    /// # Errors
    ///
    /// [`Rejection`] that says what differs by how much.
    pub fn judge(&self, quality: &Quality) -> Result<(), Rejection> {
        let (expected_ml, label_ml) = (quality.expected_ml, quality.label_ml);
        let most_ml = (self.volume * expected_ml).max(quality.voxel_ml);
        if (label_ml - expected_ml).abs() > most_ml + 1e-9 {
            return Err(Rejection::Volume { label_ml, expected_ml });
        }
        let (found, wanted) = (quality.contrast, quality.donor_contrast);
        for (against, found, expected) in [
            ("the brain round about", found.surroundings, wanted.surroundings),
            ("the rest of the brain", found.rest, wanted.rest),
        ] {
            // What is no number is not near enough either.
            let is_near = (found / expected - 1.0).abs() <= self.contrast;
            if !is_near {
                return Err(Rejection::Contrast { against, found, expected });
            }
        }
        Ok(())
    }
}

/// Sums over label 1 of what the image shows, and of what it would show by the brain round about.
pub(crate) fn sums(volume: &Volume, lesion: &LabelMap, brain: &Array3<bool>) -> (f64, f64) {
    let grid = &volume.grid;
    let part = lesion.box_of(1).unwrap_or_else(|| IndexBox::whole(grid));
    // Beyond four deviations and the halo nothing weighs.
    let part = part.grown([HALO; 3], grid).grown_mm(4.0 * SURROUNDINGS_MM, grid);
    let near = volume.cropped(&part);
    let inside = lesion.cropped(&part).labels.mapv(|label| label == 1);
    let (_, healthy) = halo(&inside, &part.view(brain.view()).to_owned());
    let expected = surroundings(&near, &healthy);
    let of_lesion = near.voxels.iter().zip(&expected).zip(&inside).filter(|(_, inside)| **inside);
    of_lesion.fold((0.0, 0.0), |(found, without), ((value, expected), _)| {
        (found + f64::from(*value), without + f64::from(*expected))
    })
}

/// The lesion with its rim, and the brain beyond it.
pub(crate) fn halo(lesion: &Array3<bool>, brain: &Array3<bool>) -> (Array3<bool>, Array3<bool>) {
    let halo = dilate(lesion, HALO);
    let healthy = ndarray::Zip::from(brain).and(&halo).map_collect(|&brain, &halo| brain && !halo);
    (halo, healthy)
}

/// The mean of healthy brain round each voxel, by a Gaussian that knows what is missing.
pub(crate) fn surroundings(volume: &Volume, healthy: &Array3<bool>) -> Array3<f32> {
    let [i, j, k] = volume.grid.spacing().map(|mm| SURROUNDINGS_MM / mm);
    let smooth = |values: Array3<f32>| gaussian(values.view(), [k, j, i], Beyond::Constant(0.0));
    let values = ndarray::Zip::from(&volume.voxels).and(healthy);
    let sums = smooth(values.map_collect(|&value, &healthy| if healthy { value } else { 0.0 }));
    let weights = smooth(healthy.mapv(|healthy| f32::from(u8::from(healthy))));
    let (total, count) = volume
        .voxels
        .iter()
        .zip(healthy)
        .filter(|(_, healthy)| **healthy)
        .fold((0.0, 0.0), |(total, count), (value, _)| (total + f64::from(*value), count + 1.0));
    let overall = (total / f64::max(count, 1.0)) as f32;
    ndarray::Zip::from(&sums)
        .and(&weights)
        .map_collect(|&sum, &weight| if weight > 1e-3 { sum / weight } else { overall })
}

/// Mean of label 1 over mean of the rest of the brain.
pub(crate) fn over_rest(volume: &Volume, lesion: &LabelMap, brain: &Array3<bool>) -> f64 {
    let (mut inside, mut rest) = ((0.0, 0.0), (0.0, 0.0));
    for ((&value, &label), &brain) in volume.voxels.iter().zip(&lesion.labels).zip(brain) {
        let side = if label == 1 { &mut inside } else { &mut rest };
        if label == 1 || brain {
            *side = (side.0 + f64::from(value), side.1 + 1.0);
        }
    }
    (inside.0 / f64::max(inside.1, 1.0)) / (rest.0 / f64::max(rest.1, 1.0))
}

#[cfg(test)]
mod tests {
    use imaging::Grid;

    use super::*;

    #[test]
    fn a_shade_changes_one_contrast_and_not_the_other() {
        let grid = Grid::aligned([40, 40, 40], [2.0; 3]);
        let mut lesion = LabelMap::background(&grid);
        let shaded = Array3::from_shape_fn(grid.shape(), |(_, _, i)| 100.0 + 5.0 * i as f32);
        let mut volume = Volume { grid, voxels: shaded };
        for ((k, j, i), label) in lesion.labels.indexed_iter_mut() {
            if (26..32).contains(&i) && (17..23).contains(&j) && (17..23).contains(&k) {
                *label = 1;
                volume.voxels[[k, j, i]] *= 1.5;
            }
        }
        let brain = Array3::from_elem(volume.grid.shape(), true);
        let found = Contrast::of(&volume, &lesion, &brain);
        assert!((found.surroundings - 1.5).abs() < 0.01, "{found:?}");
        // By hand: 1.5 times 242.5 over the mean of the brain without it, 197.4.
        assert!((found.rest - 1.5 * 242.5 / 197.346).abs() < 1e-3, "{found:?}");
        let twice = found.at_strength(2.0);
        assert!((twice.surroundings - (2.0 * found.surroundings - 1.0)).abs() < 1e-12);
        assert!((twice.rest / found.rest - twice.surroundings / found.surroundings).abs() < 1e-12);
        let both = Contrast::mean([(found, 3.0), (twice, 1.0)].into_iter());
        assert!((both.rest - (0.75 * found.rest + 0.25 * twice.rest)).abs() < 1e-12);
    }
}
