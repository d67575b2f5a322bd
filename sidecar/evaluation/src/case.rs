//! One case: every structure of a prediction measured against the truth.

use std::collections::BTreeMap;

use imaging::{Grid, IndexBox, LabelMap};
use ndarray::Array3;
use rayon::prelude::*;
use serde::Serialize;

use crate::{Error, Lesions, Overlap, Result, Surfaces};

/// Corners of two grids may lie so many voxels apart: NIfTI headers hold single precision.
const TOLERANCE: f64 = 0.01;

/// What to measure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Options {
    /// Tolerances of surface Dice in millimetres.
    pub tolerances_mm: Vec<f64>,
    /// Whether a structure is made of lesions, each to be found.
    pub lesions: bool,
}

/// A structure of a case, measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measures {
    /// Volume of the truth in millilitres.
    pub truth_ml: f64,
    /// Volume of the prediction in millilitres.
    pub prediction_ml: f64,
    /// Dice's coefficient.
    pub dice: f64,
    /// Intersection over union.
    pub iou: f64,
    /// Share of the predicted voxels that are true.
    pub precision: Option<f64>,
    /// Share of the true voxels that were predicted.
    pub recall: Option<f64>,
    /// 95 % Hausdorff distance.
    pub hd95_mm: Option<f64>,
    /// Average symmetric surface distance.
    pub assd_mm: Option<f64>,
    /// Surface Dice at each of the tolerances.
    pub surface_dice: Vec<Option<f64>>,
    /// Lesion by lesion, where asked for.
    pub lesions: Option<Lesions>,
}

impl Measures {
    /// Of a structure that neither holds.
    #[must_use]
    pub fn empty(options: &Options) -> Measures {
        Measures {
            truth_ml: 0.0,
            prediction_ml: 0.0,
            dice: 1.0,
            iou: 1.0,
            precision: None,
            recall: None,
            hd95_mm: None,
            assd_mm: None,
            surface_dice: vec![None; options.tolerances_mm.len()],
            lesions: options.lesions.then(Lesions::default),
        }
    }
}

/// Measures every structure that the truth or the prediction holds, by label.
///
/// # Errors
///
/// [`Error::Grids`] when they do not lie on one grid.
pub fn measure(truth: &LabelMap, prediction: &LabelMap, options: &Options) -> Result<BTreeMap<u8, Measures>> {
    same_grid(&truth.grid, &prediction.grid)?;
    let parts = boxes(truth, prediction);
    Ok(parts
        .into_par_iter()
        .map(|(label, part)| (label, structure(truth, prediction, label, &part, options)))
        .collect())
}

/// Counts what two raters share, by label, for every structure that either holds.
///
/// # Errors
///
/// [`Error::Grids`] when they do not lie on one grid.
pub fn overlaps(a: &LabelMap, b: &LabelMap) -> Result<BTreeMap<u8, Overlap>> {
    same_grid(&a.grid, &b.grid)?;
    let overlap = |(label, part): (u8, IndexBox)| {
        (label, Overlap::of(mask(a, label, &part).view(), mask(b, label, &part).view()))
    };
    Ok(boxes(a, b).into_par_iter().map(overlap).collect())
}

/// The box round both, for each label that either holds.
fn boxes(a: &LabelMap, b: &LabelMap) -> Vec<(u8, IndexBox)> {
    let joined = a.boxes().into_iter().zip(b.boxes()).enumerate();
    let part = |(label, (a, b)): (usize, (Option<IndexBox>, Option<IndexBox>))| {
        let part = match (a, b) {
            (Some(a), Some(b)) => a.union(&b),
            (a, b) => a.or(b)?,
        };
        Some((label as u8, part))
    };
    joined.filter_map(part).collect()
}

fn mask(labels: &LabelMap, label: u8, part: &IndexBox) -> Array3<bool> {
    part.view(labels.labels.view()).mapv(|value| value == label)
}

fn structure(
    truth: &LabelMap,
    prediction: &LabelMap,
    label: u8,
    part: &IndexBox,
    options: &Options,
) -> Measures {
    let (a, b) = (mask(truth, label, part), mask(prediction, label, part));
    let overlap = Overlap::of(a.view(), b.view());
    let surfaces = Surfaces::between(a.view(), b.view(), &truth.grid);
    let voxel_ml = voxel_mm3(&truth.grid) / 1000.0;
    Measures {
        truth_ml: overlap.truth as f64 * voxel_ml,
        prediction_ml: overlap.prediction as f64 * voxel_ml,
        dice: overlap.dice(),
        iou: overlap.iou(),
        precision: overlap.precision(),
        recall: overlap.recall(),
        hd95_mm: surfaces.hd95_mm(),
        assd_mm: surfaces.assd_mm(),
        surface_dice: options.tolerances_mm.iter().map(|&mm| surfaces.surface_dice(mm)).collect(),
        lesions: options.lesions.then(|| Lesions::of(a.view(), b.view(), voxel_ml)),
    }
}

/// Volume of a voxel. Matrices in headers hold the products of directions and spacings in single precision; the
/// spacings are rounded back to it, so that 2 mm stays 2 mm.
fn voxel_mm3(grid: &Grid) -> f64 {
    if grid.shear() > 1e-4 {
        return grid.determinant().abs();
    }
    grid.spacing().iter().map(|&mm| f64::from(mm as f32)).product()
}

fn same_grid(truth: &Grid, prediction: &Grid) -> Result<()> {
    if truth.matches(prediction, TOLERANCE) {
        return Ok(());
    }
    let last = |grid: &Grid| grid.world(grid.size.map(|n| n as f64 - 1.0));
    let apart = |a: [f64; 3], b: [f64; 3]| (0..3).map(|r| (a[r] - b[r]).powi(2)).sum::<f64>().sqrt();
    let text = |grid: &Grid| grid.spacing().map(|mm| format!("{mm:.3}")).join(" x ");
    Err(Error::Grids {
        found: prediction.size,
        found_mm: text(prediction),
        expected: truth.size,
        expected_mm: text(truth),
        apart_mm: apart(truth.origin, prediction.origin).max(apart(last(truth), last(prediction))),
    })
}
