//! A synthetic case as a small picture: the normal slice, the same with the stroke, and the label's outline on it.

use imaging::{LabelMap, Orientation, Volume};
use ndarray::{Array2, Axis};

/// A picture: rows from the top, three bytes per pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// Pixels along a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Red, green, blue.
    pub rgb: Vec<u8>,
}

/// Pixels along each side of one of the three pictures.
const SIDE: usize = 160;
/// The outline.
const OUTLINE: [u8; 3] = [255, 74, 60];

/// Three pictures side by side of the axial slice with most of the lesion: before, after, after with the outline. The
/// patient's right is on the left, the front on top.
#[must_use]
pub fn tile(normal: &Volume, synthetic: &Volume, label: &LabelMap) -> Tile {
    let (before, after, label) = match Orientation::parse("LPS") {
        Ok(axial) => (normal.reoriented(axial), synthetic.reoriented(axial), label.reoriented(axial)),
        Err(_) => (normal.clone(), synthetic.clone(), label.clone()),
    };
    let lesion = |k: &usize| label.labels.index_axis(Axis(0), *k).iter().filter(|&&label| label != 0).count();
    let slice = (0..label.labels.dim().0).max_by_key(lesion).unwrap_or(0);
    let plane = |volume: &Volume| volume.voxels.index_axis(Axis(0), slice).to_owned();
    let (before, after) = (plane(&before), plane(&after));
    let label = label.labels.index_axis(Axis(0), slice).mapv(|label| label != 0);
    let mut levels: Vec<f32> = after.iter().copied().filter(|value| value.is_finite()).collect();
    levels.sort_by(f32::total_cmp);
    let white = levels.get(levels.len() * 995 / 1000).copied().unwrap_or(1.0).max(1e-6);
    let spacing = normal.grid.spacing();
    let width = 3 * SIDE;
    let mut rgb = vec![0; width * SIDE * 3];
    let (rows, columns) = label.dim();
    // Square in millimetres: the longer side fills the picture.
    let longest = (rows as f64 * spacing[1]).max(columns as f64 * spacing[0]) / SIDE as f64;
    for y in 0..SIDE {
        for x in 0..SIDE {
            let offset = |n: usize| (n as f64 + 0.5 - SIDE as f64 / 2.0) * longest;
            let j = offset(y) / spacing[1] + rows as f64 / 2.0;
            let i = offset(x) / spacing[0] + columns as f64 / 2.0;
            if i < 0.0 || j < 0.0 || i >= columns as f64 || j >= rows as f64 {
                continue;
            }
            let at = [j as usize, i as usize];
            let gray = |plane: &Array2<f32>| (plane[at] / white * 255.0).clamp(0.0, 255.0) as u8;
            for (picture, value) in [gray(&before), gray(&after), gray(&after)].into_iter().enumerate() {
                let outlined = picture == 2 && on_outline(&label, at);
                let colour = if outlined { OUTLINE } else { [value; 3] };
                let place = (y * width + picture * SIDE + x) * 3;
                rgb[place..place + 3].copy_from_slice(&colour);
            }
        }
    }
    Tile { width, height: SIDE, rgb }
}

/// Whether a pixel lies outside the label and touches it.
fn on_outline(label: &Array2<bool>, [j, i]: [usize; 2]) -> bool {
    let (rows, columns) = label.dim();
    let touches = |dj: isize, di: isize| {
        let (Some(j), Some(i)) = (j.checked_add_signed(dj), i.checked_add_signed(di)) else { return false };
        j < rows && i < columns && label[[j, i]]
    };
    !label[[j, i]] && (touches(-1, 0) || touches(1, 0) || touches(0, -1) || touches(0, 1))
}
