//! Very large images in three overlapping thirds, as TotalSegmentator predicts them.
//!
//! Memory does not need it here; results would differ without it.

use imaging::{IndexBox, LabelMap, Volume};
use ndarray::Axis;

use crate::Result;
use crate::run::Run;

/// Rows that neighbouring thirds share on each side.
const MARGIN: usize = 20;
/// More voxels than this are split where several models run.
const MOST_VOXELS: usize = 512 * 512 * 900;
/// Fewer rows than this are never split.
const FEWEST_ROWS: usize = 200;

/// Labels of canonical images on one grid, which may be many, on that grid.
pub(crate) fn predict(run: &mut Run<'_>, images: &[Volume]) -> Result<LabelMap> {
    let grid = &images[0].grid;
    let rows = grid.size[2];
    let large = grid.len() > MOST_VOXELS && rows > FEWEST_ROWS && run.parts().len() > 1;
    let third = rows / 3;
    if !(large || run.options.force_split) || third <= MARGIN {
        return run.predict_parts(images, None);
    }
    let mut labels = LabelMap::background(grid);
    // Rows that are predicted, and which of them are kept.
    let pieces = [
        (0, third + MARGIN, 0, third),
        (third + 1 - MARGIN, 2 * third + MARGIN, third, 2 * third),
        (2 * third + 1 - MARGIN, rows, 2 * third, rows),
    ];
    for (start, end, from, to) in pieces {
        let rows = IndexBox { start: [0, 0, start], ..IndexBox::whole(grid) };
        let rows = IndexBox { end: [rows.end[0], rows.end[1], end], ..rows };
        let pieces: Vec<Volume> = images.iter().map(|image| image.cropped(&rows)).collect();
        let piece = run.predict_parts(&pieces, None)?;
        let kept = piece.labels.slice_axis(Axis(0), (from - start..to - start).into());
        labels.labels.slice_axis_mut(Axis(0), (from..to).into()).assign(&kept);
    }
    Ok(labels)
}
