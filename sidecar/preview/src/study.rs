//! Everything the parts of the picture share: the image, the structures found in it, and where to look.

use imaging::{Cancelled, Grid, Progress, Segmentation, Volume};

use crate::canvas::Color;
use crate::frame::Frame;
use crate::names::Material;
use crate::survey::{self, Field, Found};
use crate::window::{self, Tone, Window};

/// An image with its structures, ready to be drawn.
#[derive(Debug)]
pub(crate) struct Study<'a> {
    /// Where the voxels lie; its size is that of `voxels`.
    pub(crate) grid: Grid,
    /// Where the labels lie; mostly the same grid.
    pub(crate) label_grid: Grid,
    /// False where the geometry cannot be drawn and voxels of 1 mm stand in for it.
    pub(crate) true_geometry: bool,
    pub(crate) frame: Frame,
    pub(crate) voxels: Field<'a, f32>,
    pub(crate) labels: Field<'a, u8>,
    pub(crate) found: Vec<Found>,
    pub(crate) tone: Tone,
    /// What to show, in millimetres to the left, back and head: the structures with room around them, without air.
    pub(crate) focus: [[f64; 2]; 3],
}

impl<'a> Study<'a> {
    /// Surveys image and labels; `None` when either has no voxels.
    ///
    /// # Errors
    ///
    /// [`Cancelled`] when asked to stop.
    pub(crate) fn of(
        volume: &'a Volume,
        segmentation: &'a Segmentation,
        wanted: Option<Window>,
        progress: &Progress,
    ) -> Result<Option<Study<'a>>, Cancelled> {
        let (voxels, labels) = (Field::of(&volume.voxels), Field::of(&segmentation.labels.labels));
        if voxels.values.is_empty() || labels.values.is_empty() {
            return Ok(None);
        }
        let found = survey::survey(&labels, segmentation, progress)?;
        let grids = [drawable(&volume.grid, voxels.size), drawable(&segmentation.labels.grid, labels.size)];
        let true_geometry = grids.iter().all(Option::is_some);
        let [grid, label_grid] = match grids {
            [Some(grid), Some(label_grid)] => [grid, label_grid],
            _ => [voxels.size, labels.size].map(|size| Grid::aligned(size, [1.0; 3])),
        };
        let tone = window::choose(&voxels, &labels, wanted);
        let frame = Frame::of(&grid);
        let focus = focus(&frame, &grid, &label_grid, tissue(&voxels, tone.air), survey::extent(&found));
        Ok(Some(Study { grid, label_grid, true_geometry, frame, voxels, labels, found, tone, focus }))
    }

    /// The colour of every label.
    pub(crate) fn colors(&self) -> [Color; 256] {
        let mut colors = [[160; 3]; 256];
        self.found.iter().for_each(|found| colors[usize::from(found.value)] = found.color);
        colors
    }

    /// For every label, whether it is of one of these materials.
    pub(crate) fn made_of(&self, wanted: impl Fn(Material) -> bool) -> [bool; 256] {
        let mut table = [false; 256];
        self.found.iter().for_each(|found| table[usize::from(found.value)] = wanted(found.material));
        table
    }

    /// Cubic millimetres of one voxel of the label map.
    pub(crate) fn voxel_mm3(&self) -> f64 {
        self.label_grid.determinant().abs()
    }
}

/// `grid` with the size the array really has, if pictures can be made of it: it spans space, and its voxels are
/// between a micrometre and a kilometre.
fn drawable(grid: &Grid, size: [usize; 3]) -> Option<Grid> {
    let grid = Grid::new(size, grid.axes, grid.origin).ok()?;
    let sane = grid.spacing().iter().all(|step| (1e-3..1e6).contains(step))
        && grid.origin.iter().all(|x| x.abs() < 1e9);
    sane.then_some(grid)
}

/// The index box of what is not air: the planes in which at least two voxels in a hundred are brighter than `air`.
fn tissue(voxels: &Field<'_, f32>, air: f32) -> [[usize; 2]; 3] {
    let size = voxels.size;
    let step = size.map(|length| length / 160 + 1);
    let mut counts = size.map(|length| vec![[0u32; 2]; length]);
    for k in (0..size[2]).step_by(step[2]) {
        for j in (0..size[1]).step_by(step[1]) {
            let row = voxels.row(j, k);
            for i in (0..size[0]).step_by(step[0]) {
                let bright = u32::from(row[i] > air);
                for (count, at) in counts.iter_mut().zip([i, j, k]) {
                    count[at] = [count[at][0] + bright, count[at][1] + 1];
                }
            }
        }
    }
    std::array::from_fn(|axis| {
        let filled = |&[bright, all]: &[u32; 2]| all > 0 && bright * 50 > all;
        match (counts[axis].iter().position(filled), counts[axis].iter().rposition(filled)) {
            (Some(first), Some(last)) => [first, (last + step[axis]).min(size[axis])],
            _ => [0, size[axis]],
        }
    })
}

/// Where to look: the patient, and of the patient what lies round the structures.
fn focus(
    frame: &Frame,
    grid: &Grid,
    label_grid: &Grid,
    tissue: [[usize; 2]; 3],
    extent: Option<[[usize; 2]; 3]>,
) -> [[f64; 2]; 3] {
    let edges = |range: [usize; 2]| [range[0] as f64 - 0.5, range[1] as f64 - 0.5];
    let whole = frame.bounds(grid, grid.size.map(|length| edges([0, length])));
    let body = frame.bounds(grid, tissue.map(edges));
    let structures = extent.map(|extent| frame.bounds(label_grid, extent.map(edges)));
    std::array::from_fn(|axis| {
        let inside = |value: f64| value.clamp(whole[axis][0], whole[axis][1]);
        let [mut low, mut high] = [inside(body[axis][0] - 8.0), inside(body[axis][1] + 8.0)];
        if let Some(structures) = structures {
            let longest = structures.iter().map(|range| range[1] - range[0]).fold(0.0, f64::max);
            let room = (0.16 * longest).max(12.0);
            // The structures are always inside, even where a threshold took them for air.
            low = inside((structures[axis][0] - room).max(low.min(structures[axis][0])));
            high = inside((structures[axis][1] + room).min(high.max(structures[axis][1])));
        }
        if high > low { [low, high] } else { whole[axis] }
    })
}
