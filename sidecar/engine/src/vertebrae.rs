//! Vertebral bodies told apart: TotalSegmentator's post-processing of the tasks `vertebrae_pp` and `vertebrae_pp_refined`.
//!
//! The model segments bodies only, so two different vertebrae never touch. Where they do, a label leaked: the bodies
//! are then counted anew, from the lowest one up, or from C1 down when there is no L5.
//! Results match totalsegmentator.postprocessing.postprocess_vertebrae_pp.

use imaging::{Components, Connectivity, LabelMap, components};
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
    dilate(labels, EROSION_MM);
}

/// Dilates once more and keeps only what `bodies` calls a vertebral body (label 1), on the same grid.
pub(crate) fn refine(labels: &mut LabelMap, bodies: &LabelMap) {
    dilate(labels, REFINEMENT_MM);
    Zip::from(&mut labels.labels).and(&bodies.labels).for_each(|label, &body| {
        if body != 1 {
            *label = 0;
        }
    });
}

/// Whether two different structures share a face.
fn neighbours_differ(labels: &Array3<u8>) -> bool {
    (0..3).any(|axis| {
        let length = labels.len_of(Axis(axis));
        if length < 2 {
            return false;
        }
        let (before, after) = (
            labels.slice_axis(Axis(axis), (0..length - 1).into()),
            labels.slice_axis(Axis(axis), (1..length).into()),
        );
        Zip::from(&before).and(&after).any(|&a, &b| a != 0 && b != 0 && a != b)
    })
}

/// Numbers the connected bodies along the patient's axis.
fn renumbered(labels: &LabelMap, task: &Task) -> Array3<u8> {
    let mut result = Array3::zeros(labels.labels.dim());
    let mask = labels.labels.mapv(|label| label != 0);
    let Components { ids, sizes } = components(&mask, Connectivity::Faces);
    let voxel_mm3 = labels.grid.determinant().abs();
    let kept = |id: u32| id != 0 && sizes[id as usize] as f64 * voxel_mm3 >= SMALLEST_BODY_MM3;

    let mut heights = vec![0.0f64; sizes.len()];
    let mut present = [false; 256];
    for ((k, _, _), &id) in ids.indexed_iter() {
        heights[id as usize] += k as f64;
    }
    Zip::from(&ids).and(&labels.labels).for_each(|&id, &label| present[usize::from(label)] |= kept(id));
    let mut bodies: Vec<(u32, f64)> = (1..sizes.len() as u32)
        .filter(|&id| kept(id))
        .map(|id| (id, heights[id as usize] / sizes[id as usize] as f64))
        .collect();

    let is_present = |class: &str| task.value(class).is_some_and(|value| present[usize::from(value)]);
    let from_the_top = !is_present("vertebrae_L5") && is_present("vertebrae_C1");
    let last = task.classes.len() as u8;
    let values: Vec<u8> = if from_the_top {
        bodies.sort_by(|a, b| b.1.total_cmp(&a.1));
        (task.value("vertebrae_C1").unwrap_or(1)..=last).collect()
    } else {
        bodies.sort_by(|a, b| a.1.total_cmp(&b.1));
        let highest = (1..=last).rev().find(|&value| present[usize::from(value)]).unwrap_or(0);
        (1..=highest).rev().collect()
    };
    let mut value_of = vec![0u8; sizes.len()];
    for ((id, _), value) in bodies.into_iter().zip(values) {
        value_of[id as usize] = value;
    }
    Zip::from(&mut result).and(&ids).for_each(|label, &id| *label = value_of[id as usize]);
    result
}

/// Grows every structure into the background, lowest label first; masks are taken before any has grown.
fn dilate(labels: &mut LabelMap, radius_mm: f64) {
    let original = labels.clone();
    for value in 1..=255u8 {
        imaging::dilate_label(&original, labels, value, radius_mm);
    }
}
