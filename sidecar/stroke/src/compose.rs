//! A stroke put into a normal brain.
//!
//! A voxel gets the share of it that voxels of the donor's lesion fill, by sampling it finely, times their mean relative
//! increase: thick slices and borders come out as a scanner would average them, S = N (1 + gain * share * increase).
//! The label is ordered by the smoother share of the interpolated lesion. Nothing is added outside the lesion, outside
//! the brain, or in cerebrospinal fluid.

use imaging::{Components, Connectivity, LabelMap, Volume};
use ndarray::Array3;
use serde::Serialize;

use crate::brain::{Brain, brain_mask};
use crate::contrast::{Contrast, over_rest, sums};
use crate::warp::warp;
use crate::{Affine, Donor, Error, Rejection, Result, Variation};

/// Least share of the warped lesion that must fall into the brain.
pub const LEAST_KEPT: f64 = 0.8;
/// A part of the lesion that nowhere fills so much of a voxel is left out of the label.
const LEAST_PEAK: f64 = 0.3;
/// ADC of cerebrospinal fluid and above, in mm²/s.
const FLUID: f64 = 2.0e-3;
/// The increase is not made stronger by more than this factor, nor weaker by more than its inverse.
const MOST_GAIN: f64 = 2.0;

/// A brain without a stroke.
#[derive(Debug, Clone)]
pub struct Normal {
    /// The trace image.
    pub dwi: Volume,
    /// The apparent diffusion coefficient, in any unit.
    pub adc: Option<Volume>,
    /// Its brain.
    pub brain: Brain,
    /// Where no lesion can be: outside the brain, or fluid.
    closed: Array3<bool>,
}

impl Normal {
    /// Checks the images and finds the brain, unless it is given.
    ///
    /// # Errors
    ///
    /// [`Error`] when the images do not share a grid, there is a lesion, or no brain.
    pub fn of(
        dwi: Volume,
        adc: Option<Volume>,
        brain: Option<&LabelMap>,
        lesion: Option<&LabelMap>,
    ) -> Result<Normal> {
        if adc.as_ref().is_some_and(|adc| !dwi.grid.matches(&adc.grid, 1e-3)) {
            return Err(Error::Grid { what: "ADC" });
        }
        if brain.is_some_and(|brain| !dwi.grid.matches(&brain.grid, 1e-3)) {
            return Err(Error::Grid { what: "brain mask" });
        }
        if lesion.is_some_and(|lesion| lesion.labels.iter().any(|&label| label != 0)) {
            return Err(Error::NotNormal);
        }
        let mask = match brain {
            Some(brain) => brain.labels.mapv(|label| label != 0),
            None => brain_mask(&dwi)?,
        };
        let mut closed = mask.mapv(|inside| !inside);
        if let Some(adc) = &adc {
            let fluid = FLUID / unit(adc, &mask);
            ndarray::Zip::from(&mut closed)
                .and(&adc.voxels)
                .for_each(|closed, &value| *closed |= f64::from(value) > fluid);
        }
        let brain = Brain::of(mask, &dwi);
        Ok(Normal { dwi, adc, brain, closed })
    }

    /// What it takes of memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let adc = self.adc.as_ref().map_or(0, |adc| adc.voxels.len());
        size_of::<f32>() * (self.dwi.voxels.len() + adc) + self.brain.mask.len() + self.closed.len()
    }
}

/// The unit of an ADC image in mm²/s: 1, 1e-3 or 1e-6, by what brain has.
fn unit(adc: &Volume, brain: &Array3<bool>) -> f64 {
    let inside = adc.voxels.iter().zip(brain).filter(|(_, brain)| **brain);
    let mut values: Vec<f32> = inside.map(|(&value, _)| value).collect();
    values.sort_by(f32::total_cmp);
    match values.get(values.len() / 2) {
        Some(&median) if median > 50.0 => 1e-6,
        Some(&median) if median > 0.05 => 1e-3,
        _ => 1.0,
    }
}

/// A donor's stroke, and how it comes into the normal brain.
#[derive(Debug, Clone)]
pub struct Placement<'a> {
    /// Whose stroke.
    pub donor: &'a Donor,
    /// From the normal brain's world to the donor's.
    pub map: Affine,
    /// How it is changed.
    pub variation: Variation,
}

impl Placement<'_> {
    /// From the normal brain's world to the donor's stroke as it was, the bend left out.
    pub(crate) fn to_donor(&self) -> Affine {
        self.variation.back(self.donor.centre, self.donor.brain.centre).after(&self.map)
    }

    /// The donor's volume times the Jacobian.
    pub(crate) fn expected_mm3(&self) -> f64 {
        self.donor.facts.lesion_ml * 1000.0 / self.to_donor().determinant().abs()
    }
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quality {
    /// Volume of the lesion in its donors together.
    pub donor_ml: f64,
    /// That times the Jacobian of the maps.
    pub expected_ml: f64,
    /// Volume of the label.
    pub label_ml: f64,
    /// Share of the warped lesion that fell where a lesion can be.
    pub kept: f64,
    /// Volume of a voxel.
    pub voxel_ml: f64,
    /// How the lesion stands out in its donors, at the strength that was drawn.
    pub donor_contrast: Contrast,
    /// How it stands out in the synthetic case.
    pub contrast: Contrast,
    /// Mean ADC in the lesion over the rest of the brain.
    pub adc_contrast: Option<f64>,
    /// Mean relative increase in the donor's lesion, times the change of its strength.
    pub donor_increase: f64,
    /// Mean relative increase in the label, over the normal image.
    pub increase: f64,
    /// The factor that the increase was given so that the lesion stands out from the brain round about as its donor's
    /// did.
    pub gain: f64,
    /// Share of a voxel from which it belongs to the label.
    pub threshold: f64,
}

/// A synthetic case.
#[derive(Debug, Clone)]
pub struct Synthetic {
    /// The normal image with the stroke.
    pub dwi: Volume,
    /// ADC with the stroke, where the normal and every donor have one.
    pub adc: Option<Volume>,
    /// The stroke: 1.
    pub label: LabelMap,
    /// How it came out.
    pub quality: Quality,
}

/// The warped lesion on the normal's grid: share of each voxel, and the mean increases over it.
pub(crate) struct Warped {
    pub(crate) share: Array3<f32>,
    pub(crate) increase: Array3<f32>,
    pub(crate) adc_increase: Option<Array3<f32>>,
    pub(crate) expected_mm3: f64,
}

/// Puts one or more strokes into a normal brain.
///
/// # Errors
///
/// [`Rejection`] when too much falls outside the brain, or nothing is left.
pub fn compose(normal: &Normal, placements: &[Placement<'_>]) -> Result<Synthetic, Rejection> {
    let with_adc = normal.adc.is_some() && placements.iter().all(|one| one.donor.adc_increase.is_some());
    let shape = normal.dwi.grid.shape();
    let zeros = || Array3::<f32>::zeros(shape);
    let mut whole =
        Warped { share: zeros(), increase: zeros(), adc_increase: with_adc.then(zeros), expected_mm3: 0.0 };
    placements.iter().for_each(|placement| warp(normal, placement, &mut whole));
    let total: f64 = whole.share.iter().map(|&share| f64::from(share)).sum();
    for (share, _) in whole.share.iter_mut().zip(&normal.closed).filter(|(_, closed)| **closed) {
        *share = 0.0;
    }
    let inside: f64 = whole.share.iter().map(|&share| f64::from(share)).sum();
    if total <= 0.0 || inside.round() < 1.0 {
        return Err(Rejection::Vanished);
    }
    let kept = inside / total;
    if kept < LEAST_KEPT {
        return Err(Rejection::Outside { kept, least: LEAST_KEPT });
    }
    let voxel_ml = normal.dwi.grid.determinant().abs() / 1000.0;
    let wanted = whole.expected_mm3 / 1000.0 / voxel_ml * kept;
    let (label, threshold) = label(&whole.share, wanted.round().max(1.0) as usize);
    let label_ml = label.iter().filter(|&&inside| inside).count() as f64 * voxel_ml;
    let label = LabelMap { grid: normal.dwi.grid.clone(), labels: label.mapv(u8::from) };
    let donors = placements
        .iter()
        .map(|one| (one.donor.facts.contrast.at_strength(one.variation.amplitude), one.expected_mm3()));
    let wanted = Contrast::mean(donors);
    let gain = gain(normal, &whole, &label, &wanted)?;
    whole.increase.mapv_inplace(|increase| (f64::from(increase) * gain) as f32);
    let dwi = added(&normal.dwi, &whole.increase, &whole.share);
    let adc = normal.adc.as_ref().zip(whole.adc_increase.as_ref());
    let adc = adc.map(|(adc, increase)| added(adc, increase, &whole.share));
    let quality = Quality {
        donor_ml: placements.iter().map(|one| one.donor.facts.lesion_ml).sum(),
        expected_ml: whole.expected_mm3 / 1000.0,
        label_ml,
        kept,
        voxel_ml,
        donor_contrast: wanted,
        contrast: Contrast::of(&dwi, &label, &normal.brain.mask),
        adc_contrast: adc.as_ref().map(|adc| over_rest(adc, &label, &normal.brain.mask)),
        donor_increase: placements
            .first()
            .map_or(f64::NAN, |one| one.donor.facts.increase[0] * one.variation.amplitude),
        increase: mean_inside(&whole.increase, &label),
        gain,
        threshold,
    };
    Ok(Synthetic { dwi, adc, label, quality })
}

/// The image with the lesion in it.
fn added(volume: &Volume, increase: &Array3<f32>, share: &Array3<f32>) -> Volume {
    let mut made = volume.clone();
    ndarray::Zip::from(&mut made.voxels).and(increase).and(share).for_each(|value, &increase, &share| {
        if share > 0.0 {
            *value *= 1.0 + increase;
        }
    });
    made
}

/// The factor of the increase with which the lesion stands out from the brain round about as it should. The increase
/// holds the tissue under the donor's lesion too, and voxels that the lesion fills in part dilute it: by their mean
/// alone it would come out too strong in bright tissue, and too weak in thick slices.
fn gain(normal: &Normal, whole: &Warped, label: &LabelMap, wanted: &Contrast) -> Result<f64, Rejection> {
    let (found, without) = sums(&normal.dwi, label, &normal.brain.mask);
    let voxels = normal.dwi.voxels.iter().zip(&whole.increase).zip(&label.labels);
    let inside = voxels.filter(|(_, label)| **label == 1);
    let rise: f64 = inside.map(|((value, increase), _)| f64::from(*value) * f64::from(*increase)).sum();
    let factor = (wanted.surroundings * without - found) / rise;
    // Not within bounds, too, when it is no number.
    if !(1.0 / MOST_GAIN..=MOST_GAIN).contains(&factor) {
        return Err(Rejection::Strength { factor, most: MOST_GAIN });
    }
    Ok(factor)
}

fn mean_inside(values: &Array3<f32>, label: &LabelMap) -> f64 {
    let inside = values.iter().zip(&label.labels).filter(|(_, label)| **label == 1);
    let (sum, count) =
        inside.fold((0.0, 0.0), |(sum, count), (value, _)| (sum + f64::from(*value), count + 1.0));
    sum / f64::max(count, 1.0)
}

/// As many of the fullest voxels as the lesion has volume, but of each part that fills a good share of a voxel at least
/// that one. Returns the label and the least share in it.
fn label(share: &Array3<f32>, wanted: usize) -> (Array3<bool>, f64) {
    let parts = Components::of(share.view(), |&share| share > 0.05, Connectivity::Corners);
    let numbers = parts.labels();
    // Of each part the fullest voxel.
    let mut peaks: Vec<(f32, usize)> = vec![(0.0, 0); parts.len()];
    let mut voxels: Vec<(f32, usize)> = Vec::new();
    for (n, (&share, &part)) in share.iter().zip(&numbers).enumerate() {
        if share > 0.0 {
            voxels.push((share, n));
        }
        if part > 0 && share > peaks[part as usize - 1].0 {
            peaks[part as usize - 1] = (share, n);
        }
    }
    peaks.retain(|peak| f64::from(peak.0) >= LEAST_PEAK);
    // Equal ones in the order of memory.
    voxels.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut flat = vec![false; share.len()];
    peaks.iter().for_each(|&(_, n)| flat[n] = true);
    let mut count = peaks.len();
    let mut threshold = peaks.iter().map(|peak| peak.0).fold(f32::INFINITY, f32::min);
    for (share, n) in voxels {
        if count >= wanted {
            break;
        }
        if !flat[n] {
            flat[n] = true;
            count += 1;
            threshold = threshold.min(share);
        }
    }
    // The flags are as many as the voxels, so this never falls back.
    (Array3::from_shape_vec(share.dim(), flat).unwrap_or_default(), f64::from(threshold))
}
