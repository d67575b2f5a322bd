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
    for value in task.keep_largest.iter().filter_map(|class| task.value(class)) {
        labels.keep_largest(value, Connectivity::Corners);
    }
    if let Some(limit) = remove_small_mm3 {
        for value in (1u8..=255).take(task.classes.len()) {
            labels.drop_small_mm3(value, limit, Connectivity::Faces);
        }
    }
}

#[cfg(test)]
mod tests {
    use imaging::Grid;

    use super::*;
    use crate::catalogue;

    #[test]
    fn the_built_in_task_keeps_one_piece_of_each_organ() {
        let task = catalogue::task("headneck").unwrap();
        let cord = task.value("spinal_cord").unwrap();
        let mut labels = LabelMap::background(&Grid::aligned([6, 6, 6], [1.0; 3]));
        // A cord that leans, joined by a corner only, and a stray voxel far from it.
        labels.labels[[0, 0, 0]] = cord;
        labels.labels[[1, 1, 1]] = cord;
        labels.labels[[5, 5, 0]] = cord;
        postprocess(&mut labels, task, None);
        assert_eq!(
            (labels.labels[[0, 0, 0]], labels.labels[[1, 1, 1]], labels.labels[[5, 5, 0]]),
            (cord, cord, 0)
        );
    }
}
