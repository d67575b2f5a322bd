//! Vertebral bodies told apart: what TotalSegmentator does for the tasks `vertebrae_pp` and `vertebrae_pp_refined`.
//!
//! The model segments bodies only, so two different vertebrae never touch. Where they do, a label leaked: the bodies
//! are then counted anew, from the lowest one up, or from C1 down when there is no L5.
//! Results match totalsegmentator.postprocessing.postprocess_vertebrae_pp.

use imaging::{Components, Connectivity, LabelMap};
use ndarray::{Array3, Axis, Zip};

use crate::task::Task;

/// A body smaller than this is noise.
const SMALLEST_BODY_MM3: f64 = 100.0;
/// The labels were eroded by this much for training, so they are dilated by it.
const EROSION_MM: f64 = 3.0;
/// Dilation before the cut with the bodies' own segmentation.
const REFINEMENT_MM: f64 = 2.0;

/// Separates, renumbers where needed, and dilates the vertebrae of `labels`, whose grid is canonical (RAS).
pub(crate) fn separate(labels: &mut LabelMap, task: &Task) {
    if neighbours_differ(&labels.labels) {
        labels.labels = renumbered(labels, task);
    }
    labels.dilate_labels_mm(&values(task), EROSION_MM);
}

/// Dilates once more and keeps only what `bodies` calls a vertebral body (label 1), on the same grid.
pub(crate) fn refine(labels: &mut LabelMap, bodies: &LabelMap, task: &Task) {
    labels.dilate_labels_mm(&values(task), REFINEMENT_MM);
    Zip::from(&mut labels.labels).and(&bodies.labels).for_each(|label, &body| {
        if body != 1 {
            *label = 0;
        }
    });
}

/// All values of a task.
fn values(task: &Task) -> Vec<u8> {
    (1u8..=255).take(task.classes.len()).collect()
}

/// Whether two different structures share a face.
fn neighbours_differ(labels: &Array3<u8>) -> bool {
    (0..3).any(|axis| {
        let length = labels.len_of(Axis(axis));
        if length < 2 {
            return false;
        }
        let before = labels.slice_axis(Axis(axis), (0..length - 1).into());
        let after = labels.slice_axis(Axis(axis), (1..length).into());
        Zip::from(&before).and(&after).any(|&a, &b| a != 0 && b != 0 && a != b)
    })
}

/// Numbers the connected bodies along the patient's axis.
fn renumbered(labels: &LabelMap, task: &Task) -> Array3<u8> {
    let components = Components::of(labels.labels.view(), |&label| label != 0, Connectivity::Faces);
    let voxel_mm3 = f64::from(labels.grid.nifti_voxel_mm3());
    let kept: Vec<bool> =
        components.sizes().iter().map(|&size| size as f64 * voxel_mm3 >= SMALLEST_BODY_MM3).collect();

    let mut cleaned = labels.labels.clone();
    components.paint(&mut cleaned, |component| (!kept[component]).then_some(0));
    let mut present = [false; 256];
    cleaned.iter().for_each(|&label| present[usize::from(label)] = true);
    let is_present = |class: &str| task.value(class).is_some_and(|value| present[usize::from(value)]);

    let centers = components.centers();
    let mut bodies: Vec<usize> = (0..components.len()).filter(|&component| kept[component]).collect();
    let height = |&component: &usize| centers[component][2];
    let last = task.classes.len() as u8;
    let numbers: Vec<u8> = if !is_present("vertebrae_L5") && is_present("vertebrae_C1") {
        bodies.sort_by(|a, b| height(b).total_cmp(&height(a)));
        (task.value("vertebrae_C1").unwrap_or(1)..=last).collect()
    } else {
        bodies.sort_by(|a, b| height(a).total_cmp(&height(b)));
        let highest = (1..=last).rev().find(|&value| present[usize::from(value)]).unwrap_or(0);
        (1..=highest).rev().collect()
    };
    let mut number_of = vec![None; components.len()];
    bodies.into_iter().zip(numbers).for_each(|(component, number)| number_of[component] = Some(number));
    let mut result = Array3::zeros(labels.labels.dim());
    components.paint(&mut result, |component| number_of[component]);
    result
}

#[cfg(test)]
mod tests {
    use imaging::Grid;

    use super::*;
    use crate::catalogue;

    /// Boxes of 6 x 6 x 6 voxels of 1 mm, 4 apart along the patient's axis, with the labels given from below.
    fn column(values: &[&[u8]]) -> (LabelMap, &'static Task) {
        let task = catalogue::task("vertebrae_pp").unwrap();
        let mut labels = LabelMap::background(&Grid::aligned([20, 20, 10 * values.len() + 10], [1.0; 3]));
        for (n, mix) in values.iter().enumerate() {
            for (at, &value) in mix.iter().enumerate() {
                let rows = 10 * n + 5 + 6 * at / mix.len()..10 * n + 5 + 6 * (at + 1) / mix.len();
                labels.labels.slice_axis_mut(Axis(0), rows.into()).indexed_iter_mut().for_each(
                    |((_, j, i), label)| {
                        if (7..13).contains(&j) && (7..13).contains(&i) {
                            *label = value;
                        }
                    },
                );
            }
        }
        (labels, task)
    }

    fn check(before: &[&[u8]], after: &[u8]) {
        let (mut labels, task) = column(before);
        separate(&mut labels, task);
        let middles: Vec<u8> = (0..before.len()).map(|n| labels.labels[[10 * n + 8, 10, 10]]).collect();
        assert_eq!(middles, after);
    }

    #[test]
    fn leaked_labels_are_counted_from_below() {
        let five = catalogue::task("vertebrae_pp").unwrap().value("vertebrae_L5").unwrap();
        check(&[&[five], &[five - 1, five - 2], &[five - 2]], &[five, five - 1, five - 2]);
    }

    #[test]
    fn a_neck_is_counted_from_above() {
        let first = catalogue::task("vertebrae_pp").unwrap().value("vertebrae_C1").unwrap();
        check(&[&[first + 2, first + 1], &[first + 1], &[first]], &[first + 2, first + 1, first]);
    }

    #[test]
    fn separate_bodies_keep_their_labels_and_grow() {
        let (mut labels, task) = column(&[&[3], &[9]]);
        separate(&mut labels, task);
        assert_eq!((labels.labels[[8, 10, 10]], labels.labels[[18, 10, 10]]), (3, 9));
        assert_eq!((labels.labels[[8, 10, 15]], labels.labels[[8, 10, 16]]), (3, 0));
    }
}
