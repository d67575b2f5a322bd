//! A stroke taken out of its patient: by how much it changes the signal, voxel by voxel.
//!
//! Our reading of Federau et al. 2020 ("warping the relative signal increase of real strokes to normal brain volumes"),
//! whose full text we have not had: the increase is signal over baseline less one, and the baseline is what the voxel
//! would be without the stroke.

use imaging::{Beyond, IndexBox, LabelMap, Volume, gaussian};
use ndarray::Array3;
use serde::{Deserialize, Serialize};

use crate::brain::{Brain, brain_mask};
use crate::contrast::{Contrast, halo, over_rest, surroundings};
use crate::register::register;
use crate::sample;
use crate::{Affine, Error, Result};

/// Smoothing of the mirrored side in millimetres.
const MIRRORED_MM: f64 = 3.0;
/// Least and greatest relative increase that is believed.
const CLIP: [f64; 2] = [-0.5, 5.0];

/// What the voxels of a lesion would be without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// The mean of the brain round about, by a Gaussian of 8 mm, the lesion and its halo left out.
    #[default]
    Surroundings,
    /// The same place on the other side of the brain, where that is free of lesion; else the surroundings.
    Mirror,
}

/// A case with a stroke, as it was imaged.
#[derive(Debug, Clone)]
pub struct StrokeCase {
    /// The trace image at b of about 1000 s/mm².
    pub dwi: Volume,
    /// The apparent diffusion coefficient, in any unit.
    pub adc: Option<Volume>,
    /// The lesion: 1.
    pub lesion: LabelMap,
    /// The brain, where it is known.
    pub brain: Option<LabelMap>,
}

/// A stroke without its patient.
#[derive(Debug, Clone)]
pub struct Donor {
    /// Lesion 1, rest 0, cut to the lesion with a rim, `[[k, j, i]]`.
    pub(crate) lesion: Array3<f32>,
    /// Relative signal increase inside the lesion, on the same voxels.
    pub(crate) increase: Array3<f32>,
    /// Relative increase of ADC (negative), where ADC is known.
    pub(crate) adc_increase: Option<Array3<f32>>,
    /// From millimetres to index of these voxels.
    pub(crate) index: Affine,
    /// Centre of the lesion in millimetres.
    pub(crate) centre: [f64; 3],
    /// Millimetres between voxels along i, j, k.
    pub(crate) spacing: [f64; 3],
    /// From index of these voxels to millimetres.
    pub(crate) world: Affine,
    /// The patient's brain.
    pub brain: Brain,
    /// What was measured.
    pub facts: DonorFacts,
}

/// What was measured of a donor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DonorFacts {
    /// Volume of the lesion.
    pub lesion_ml: f64,
    /// How the lesion stands out.
    pub contrast: Contrast,
    /// Mean ADC in the lesion over that in the rest of the brain.
    pub adc_contrast: Option<f64>,
    /// Mean relative increase, its 5th and its 95th percentile.
    pub increase: [f64; 3],
}

impl Donor {
    /// Takes the stroke out. Returns it with the image in which its place is filled by the baseline, for registration.
    ///
    /// # Errors
    ///
    /// [`Error`] when the images do not share a grid, the mask is empty or no mask, or lies outside the brain.
    pub fn of(case: &StrokeCase, baseline: Baseline) -> Result<(Donor, Volume)> {
        let lesion = checked_lesion(case)?;
        let mask = match &case.brain {
            Some(brain) => brain.labels.mapv(|label| label != 0),
            None => brain_mask(&case.dwi)?,
        };
        let inside = lesion.iter().zip(&mask).filter(|(lesion, brain)| **lesion && **brain).count();
        let voxels = lesion.iter().filter(|&&lesion| lesion).count();
        let percent = 100.0 * inside as f64 / voxels as f64;
        if percent < 90.0 {
            return Err(Error::OutsideBrain { percent });
        }
        // Infarcts are brain, also where a threshold takes them for something else.
        let mask = ndarray::Zip::from(&mask).and(&lesion).map_collect(|&brain, &lesion| brain || lesion);
        let (halo, healthy) = halo(&lesion, &mask);
        let brain = Brain::of(mask, &case.dwi);
        let mut expected = surroundings(&case.dwi, &healthy);
        let filled = fill(&case.dwi, &halo, &brain, &expected);
        let mut adc_expected = case.adc.as_ref().map(|adc| surroundings(adc, &healthy));
        if baseline == Baseline::Mirror
            && let Some(mirror) = mirror(&filled, &brain)
        {
            mirrored(&mut expected, &case.dwi, &brain, &healthy, &mirror);
            if let (Some(expected), Some(adc)) = (&mut adc_expected, &case.adc) {
                mirrored(expected, adc, &brain, &healthy, &mirror);
            }
        }
        let increase = relative(&case.dwi, &expected, &lesion);
        let adc_increase =
            case.adc.as_ref().zip(adc_expected).map(|(adc, expected)| relative(adc, &expected, &lesion));
        let facts = facts(case, &lesion, &brain, &increase);
        Ok((cut(case, &lesion, increase, adc_increase, brain, facts), filled))
    }

    /// What it takes of memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let adc = self.adc_increase.as_ref().map_or(0, Array3::len);
        size_of::<f32>() * (self.lesion.len() + self.increase.len() + adc) + self.brain.mask.len()
    }
}

fn checked_lesion(case: &StrokeCase) -> Result<Array3<bool>> {
    let same = |grid: &imaging::Grid| case.dwi.grid.matches(grid, 1e-3);
    if !same(&case.lesion.grid) {
        return Err(Error::Grid { what: "lesion mask" });
    }
    if case.adc.as_ref().is_some_and(|adc| !same(&adc.grid)) {
        return Err(Error::Grid { what: "ADC" });
    }
    if case.brain.as_ref().is_some_and(|brain| !same(&brain.grid)) {
        return Err(Error::Grid { what: "brain mask" });
    }
    let found = case.lesion.labels.iter().copied().max().unwrap_or(0);
    match found {
        0 => Err(Error::NoLesion),
        1 => Ok(case.lesion.labels.mapv(|label| label == 1)),
        _ => Err(Error::NotBinary { found }),
    }
}

/// The image with the lesion and its halo, as far as it is brain, replaced by the baseline.
fn fill(volume: &Volume, halo: &Array3<bool>, brain: &Brain, expected: &Array3<f32>) -> Volume {
    let mut filled = volume.clone();
    ndarray::Zip::from(&mut filled.voxels).and(halo).and(&brain.mask).and(expected).for_each(
        |value, &halo, &brain, &expected| {
            if halo && brain {
                *value = expected;
            }
        },
    );
    filled
}

/// From each point to its twin on the other side: the image registered to its own mirror image.
fn mirror(filled: &Volume, brain: &Brain) -> Option<Affine> {
    let mut matrix = Affine::IDENTITY.matrix;
    matrix[0][0] = -1.0;
    let across = Affine::about(brain.centre, matrix, [0.0; 3]);
    let mut flipped = filled.clone();
    let placed = across.after(&Affine::world_of(&filled.grid));
    flipped.grid.axes = std::array::from_fn(|a| std::array::from_fn(|r| placed.matrix[r][a]));
    flipped.grid.origin = placed.offset;
    let other = Brain::of(brain.mask.clone(), &flipped);
    let found = register((filled, brain), (&flipped, &other), None).ok()?;
    // Into the mirror image, and from there back to where that voxel lies in the patient.
    Some(across.after(&found.map))
}

/// Replaces the baseline by the other side's where that is healthy brain.
fn mirrored(
    expected: &mut Array3<f32>,
    volume: &Volume,
    brain: &Brain,
    healthy: &Array3<bool>,
    mirror: &Affine,
) {
    let [i, j, k] = volume.grid.spacing().map(|mm| MIRRORED_MM / mm);
    let smooth = |values: Array3<f32>| gaussian(values.view(), [k, j, i], Beyond::Constant(0.0));
    let values = ndarray::Zip::from(&volume.voxels).and(healthy);
    let sums = smooth(values.map_collect(|&value, &healthy| if healthy { value } else { 0.0 }));
    let weights = smooth(healthy.mapv(|healthy| f32::from(u8::from(healthy))));
    let to_twin = brain.index.after(mirror).after(&brain.world);
    for ((k, j, i), expected) in expected.indexed_iter_mut() {
        let twin = to_twin.apply([i as f64, j as f64, k as f64]);
        let found = sample::value(sums.view(), twin).zip(sample::value(weights.view(), twin));
        if let Some((sum, weight)) = found.filter(|(_, weight)| *weight > 0.5) {
            *expected = (sum / weight) as f32;
        }
    }
}

/// Signal over baseline less one, inside the lesion.
fn relative(volume: &Volume, expected: &Array3<f32>, lesion: &Array3<bool>) -> Array3<f32> {
    ndarray::Zip::from(&volume.voxels).and(expected).and(lesion).map_collect(|&value, &expected, &lesion| {
        if !lesion || expected <= 0.0 {
            return 0.0;
        }
        (f64::from(value) / f64::from(expected) - 1.0).clamp(CLIP[0], CLIP[1]) as f32
    })
}

fn facts(case: &StrokeCase, lesion: &Array3<bool>, brain: &Brain, increase: &Array3<f32>) -> DonorFacts {
    let mut inside: Vec<f32> =
        increase.iter().zip(lesion).filter(|(_, lesion)| **lesion).map(|(&value, _)| value).collect();
    inside.sort_by(f32::total_cmp);
    let at = |share: f64| inside.get(((inside.len() - 1) as f64 * share).round() as usize).copied();
    let mean = inside.iter().map(|&value| f64::from(value)).sum::<f64>() / inside.len() as f64;
    DonorFacts {
        lesion_ml: inside.len() as f64 * case.dwi.grid.determinant().abs() / 1000.0,
        contrast: Contrast::of(&case.dwi, &case.lesion, &brain.mask),
        adc_contrast: case.adc.as_ref().map(|adc| over_rest(adc, &case.lesion, &brain.mask)),
        increase: [mean, f64::from(at(0.05).unwrap_or(0.0)), f64::from(at(0.95).unwrap_or(0.0))],
    }
}

/// Cuts everything to the lesion with a rim of two voxels.
fn cut(
    case: &StrokeCase,
    lesion: &Array3<bool>,
    increase: Array3<f32>,
    adc_increase: Option<Array3<f32>>,
    brain: Brain,
    facts: DonorFacts,
) -> Donor {
    let grid = &case.dwi.grid;
    let part = case.lesion.box_of(1).unwrap_or_else(|| IndexBox::whole(grid)).grown([2; 3], grid);
    let lesion = part.view(lesion.view()).mapv(|lesion| f32::from(u8::from(lesion)));
    let cropped = grid.cropped(&part);
    let world = Affine::world_of(&cropped);
    let (mut sum, mut count) = ([0.0; 3], 0.0);
    for ((k, j, i), _) in lesion.indexed_iter().filter(|(_, value)| **value > 0.0) {
        let at = world.apply([i as f64, j as f64, k as f64]);
        sum = std::array::from_fn(|r| sum[r] + at[r]);
        count += 1.0;
    }
    Donor {
        lesion,
        increase: part.view(increase.view()).to_owned(),
        adc_increase: adc_increase.map(|increase| part.view(increase.view()).to_owned()),
        index: Affine::index_of(&cropped),
        centre: sum.map(|sum: f64| sum / f64::max(count, 1.0)),
        spacing: grid.spacing(),
        world,
        brain,
        facts,
    }
}
