//! The measures by name, and the three sets of cases over which each is summed up.

use serde::Serialize;

use crate::{Measures, Rule};

/// A number that a case has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Dice's coefficient.
    Dice,
    /// Intersection over union.
    Iou,
    /// Voxel precision.
    Precision,
    /// Voxel recall.
    Recall,
    /// Prediction minus truth in millilitres.
    VolumeDifference,
    /// Its absolute value.
    AbsoluteVolumeDifference,
    /// 95 % Hausdorff distance in millimetres.
    Hd95,
    /// Average symmetric surface distance in millimetres.
    Assd,
    /// Surface Dice at the tolerance of this number.
    SurfaceDice(usize),
    /// F1 of lesions.
    LesionF1(Rule),
}

impl Metric {
    /// All that were measured, with so many tolerances.
    #[must_use]
    pub fn all(tolerances: usize, lesions: bool) -> Vec<Metric> {
        let mut all = vec![Metric::Dice, Metric::Iou, Metric::Precision, Metric::Recall];
        all.extend([Metric::VolumeDifference, Metric::AbsoluteVolumeDifference, Metric::Hd95, Metric::Assd]);
        all.extend((0..tolerances).map(Metric::SurfaceDice));
        if lesions {
            all.extend(Rule::ALL.map(Metric::LesionF1));
        }
        all
    }

    /// The key in JSON and CSV.
    #[must_use]
    pub fn key(self, tolerances_mm: &[f64]) -> String {
        match self {
            Metric::Dice => "dice".to_owned(),
            Metric::Iou => "iou".to_owned(),
            Metric::Precision => "precision".to_owned(),
            Metric::Recall => "recall".to_owned(),
            Metric::VolumeDifference => "volume_difference_ml".to_owned(),
            Metric::AbsoluteVolumeDifference => "absolute_volume_difference_ml".to_owned(),
            Metric::Hd95 => "hd95_mm".to_owned(),
            Metric::Assd => "assd_mm".to_owned(),
            Metric::SurfaceDice(n) => format!("surface_dice_{}mm", tolerance(tolerances_mm, n)),
            Metric::LesionF1(Rule::AnyOverlap) => "lesion_f1_any_overlap".to_owned(),
            Metric::LesionF1(Rule::OneToOne) => "lesion_f1_one_to_one".to_owned(),
        }
    }

    /// The name on the page, with its unit.
    #[must_use]
    pub fn name(self, tolerances_mm: &[f64]) -> String {
        match self {
            Metric::Dice => "Dice".to_owned(),
            Metric::Iou => "IoU".to_owned(),
            Metric::Precision => "Voxel precision".to_owned(),
            Metric::Recall => "Voxel recall".to_owned(),
            Metric::VolumeDifference => "Volume difference, mL".to_owned(),
            Metric::AbsoluteVolumeDifference => "Absolute volume difference, mL".to_owned(),
            Metric::Hd95 => "HD95, mm".to_owned(),
            Metric::Assd => "Average surface distance, mm".to_owned(),
            Metric::SurfaceDice(n) => format!("Surface Dice at {} mm", tolerance(tolerances_mm, n)),
            Metric::LesionF1(rule) => format!("Lesion F1, {}", rule.name()),
        }
    }

    /// The number; none where the case has none.
    #[must_use]
    pub fn of(self, measures: &Measures) -> Option<f64> {
        let difference = measures.prediction_ml - measures.truth_ml;
        match self {
            Metric::Dice => Some(measures.dice),
            Metric::Iou => Some(measures.iou),
            Metric::Precision => measures.precision,
            Metric::Recall => measures.recall,
            Metric::VolumeDifference => Some(difference),
            Metric::AbsoluteVolumeDifference => Some(difference.abs()),
            Metric::Hd95 => measures.hd95_mm,
            Metric::Assd => measures.assd_mm,
            Metric::SurfaceDice(n) => measures.surface_dice.get(n).copied().flatten(),
            Metric::LesionF1(rule) => measures.lesions.as_ref().map(|lesions| lesions.counts(rule).f1()),
        }
    }
}

fn tolerance(tolerances_mm: &[f64], n: usize) -> f64 {
    tolerances_mm.get(n).copied().unwrap_or(f64::NAN)
}

/// The cases of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subset {
    /// All.
    All,
    /// Those whose truth holds the structure.
    TruthPositive,
    /// Those whose truth does not.
    TruthNegative,
}

impl Subset {
    /// All three.
    pub const ALL: [Subset; 3] = [Subset::All, Subset::TruthPositive, Subset::TruthNegative];

    /// Whether a case belongs to it.
    #[must_use]
    pub fn holds(self, measures: &Measures) -> bool {
        match self {
            Subset::All => true,
            Subset::TruthPositive => measures.truth_ml > 0.0,
            Subset::TruthNegative => measures.truth_ml == 0.0,
        }
    }

    /// As people read it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Subset::All => "all cases",
            Subset::TruthPositive => "truth-positive",
            Subset::TruthNegative => "truth-negative",
        }
    }
}
