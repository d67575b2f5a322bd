//! What TotalSegmentator does to a label map before it goes back to the image's own grid.

use imaging::{Connectivity, LabelMap};

use crate::task::Task;
use crate::vertebrae;

/// Body extremities up to this are noise (totalsegmentator.nnunet, task `body`).
const SMALLEST_EXTREMITY_MM3: f64 = 50_000.0;

/// Cleans `labels` in the way that `task` asks for; `remove_small_mm3` drops small components of every class.
///
/// Follows totalsegmentator.postprocessing on the grid that the model worked on; a component of exactly the limit
/// goes too.
pub(crate) fn postprocess(labels: &mut LabelMap, task: &Task, remove_small_mm3: Option<f64>) {
    if task.id == "body" {
        if let Some(trunk) = task.value("body_trunc") {
            labels.keep_largest(trunk, Connectivity::Faces);
        }
        if let Some(extremities) = task.value("body_extremities") {
            labels.drop_small_mm3(extremities, SMALLEST_EXTREMITY_MM3, Connectivity::Faces);
        }
    }
    if task.id.starts_with("vertebrae_pp") {
        vertebrae::separate(labels, task);
    }
    if let Some(limit) = remove_small_mm3 {
        for value in (1u8..=255).take(task.classes.len()) {
            labels.drop_small_mm3(value, limit, Connectivity::Faces);
        }
    }
}
