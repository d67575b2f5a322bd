//! How far two surfaces lie apart: HD95, average surface distance, surface Dice at a tolerance.
//!
//! The definition is that of DeepMind's `surface-distance` (Nikolov et al., arXiv 1809.04430), and numbers are equal
//! to it: the surface passes between voxel centres, through every cell of 2x2x2 voxels that is neither empty nor
//! full. A cell counts with the area of its marching-cubes triangles, so that neither voxel size nor slice thickness
//! weighs. Distances run from cell to nearest cell, in millimetres; a sheared grid is measured as if its axes were
//! perpendicular.

use std::sync::LazyLock;

use imaging::{Grid, distance_mm};
use ndarray::{Array3, ArrayView3};

/// Area of the surface in a cell of unit voxels, for one representative of each kind of cell: the corners that are
/// inside (bit `4 a + 2 b + c` for the corner at `[a, b, c]`) and one vector per flat piece, whose components are the
/// piece's areas as seen along the three axes. The other cells are turned, mirrored or inverted ones of these.
const KINDS: [(u8, &[[f64; 3]]); 13] = [
    (0b0000_0001, &[[0.125, 0.125, 0.125]]),
    (0b0000_0011, &[[0.5, 0.5, 0.0]]),
    (0b0000_0110, &[[0.25, 0.25, 0.25]]),
    (0b0000_0111, &[[0.5, 0.0, 0.0], [0.375, 0.375, 0.375]]),
    (0b0000_1111, &[[1.0, 0.0, 0.0]]),
    (0b0001_0110, &[[0.375, 0.375, 0.375]]),
    (0b0001_0111, &[[0.75, 0.75, 0.75]]),
    (0b0001_1000, &[[0.25, 0.25, 0.25]]),
    (0b0001_1001, &[[0.0, 0.5, 0.5], [0.125, 0.125, 0.125]]),
    (0b0001_1011, &[[0.5, 0.5, 0.5], [0.0, 0.25, 0.25], [0.25, 0.0, 0.25]]),
    (0b0001_1110, &[[0.5, 0.0, 0.0], [0.5, 0.5, 0.5]]),
    (0b0011_1100, &[[1.0, 1.0, 0.0]]),
    (0b0110_1001, &[[0.5, 0.5, 0.5]]),
];
/// The orders that three axes can have.
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// The kind of a cell, and the order of axes that turns it into that; none without surface.
type Cell = Option<(usize, [usize; 3])>;

/// The 256 cells.
static CELLS: LazyLock<[Cell; 256]> = LazyLock::new(|| {
    let mut cells = [None; 256];
    for (kind, &(code, _)) in KINDS.iter().enumerate() {
        for order in ORDERS {
            for mirrored in 0..8 {
                let cell = turned(code, order, mirrored);
                cells[usize::from(cell)] = Some((kind, order));
                cells[usize::from(!cell)] = Some((kind, order));
            }
        }
    }
    cells
});

/// The cell whose corner `[a, b, c]` is the corner of `code` whose axis `n` is this one's axis `order[n]`, mirrored
/// along the axes whose bits are set.
fn turned(code: u8, order: [usize; 3], mirrored: u8) -> u8 {
    let mut cell = 0;
    for corner in 0..8u8 {
        let at = |axis: usize| (corner ^ mirrored) >> (2 - axis) & 1;
        let source = at(order[0]) << 2 | at(order[1]) << 1 | at(order[2]);
        cell |= (code >> source & 1) << corner;
    }
    cell
}

/// Area in mm² of the surface in each of the 256 cells; `sides` are the cell's sides along the array's axes.
fn areas(sides: [f64; 3]) -> [f64; 256] {
    let face = [sides[1] * sides[2], sides[0] * sides[2], sides[0] * sides[1]];
    std::array::from_fn(|cell| {
        let Some((kind, order)) = CELLS[cell] else { return 0.0 };
        let norm = |piece: &[f64; 3]| (0..3).map(|n| (piece[n] * face[order[n]]).powi(2)).sum::<f64>().sqrt();
        KINDS[kind].1.iter().map(norm).sum()
    })
}

/// One direction: distances in millimetres from the cells of one surface to the other, ascending, with their areas.
#[derive(Debug, Clone, Default)]
struct Direction {
    cells: Vec<(f64, f64)>,
    area: f64,
}

impl Direction {
    fn new(mut cells: Vec<(f64, f64)>) -> Direction {
        cells.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let area = cells.iter().map(|cell| cell.1).sum();
        Direction { cells, area }
    }

    /// The distance within which so much of the area (0 to 1) lies.
    fn within(&self, share: f64) -> f64 {
        let mut sum = 0.0;
        for &(distance, area) in &self.cells {
            sum += area;
            if sum / self.area >= share {
                return distance;
            }
        }
        self.cells.last().map_or(f64::INFINITY, |cell| cell.0)
    }

    fn sum(&self) -> f64 {
        self.cells.iter().map(|(distance, area)| distance * area).sum()
    }

    fn area_within(&self, tolerance_mm: f64) -> f64 {
        let near = self.cells.iter().take_while(|cell| cell.0 <= tolerance_mm);
        near.map(|cell| cell.1).sum()
    }
}

/// Two surfaces, measured against each other.
#[derive(Debug, Clone, Default)]
pub struct Surfaces {
    truth: Direction,
    prediction: Direction,
}

impl Surfaces {
    /// Measures two masks `[[k, j, i]]` on `grid`. Pass them cropped to the box round both: what lies beyond counts
    /// as outside.
    #[must_use]
    pub fn between(truth: ArrayView3<'_, bool>, prediction: ArrayView3<'_, bool>, grid: &Grid) -> Surfaces {
        let [i, j, k] = grid.spacing();
        let areas = areas([k, j, i]);
        let (truth, prediction) = (cells(truth), cells(prediction));
        let border = |cells: &Array3<u8>| cells.mapv(|cell| cell != 0 && cell != u8::MAX);
        let (truth_border, prediction_border) = (border(&truth), border(&prediction));
        let [nk, nj, ni] = [truth.dim().0, truth.dim().1, truth.dim().2];
        let lattice = Grid::aligned([ni, nj, nk], [i, j, k]);
        let direction = |cells: &Array3<u8>, own: &Array3<bool>, other: &Array3<bool>| {
            if !own.iter().any(|&inside| inside) {
                return Direction::default();
            }
            let distance = distance_mm(other, &lattice);
            let surface = cells.iter().zip(own).zip(&distance).filter(|((_, own), _)| **own);
            let found =
                surface.map(|((&cell, _), &distance)| (f64::from(distance), areas[usize::from(cell)]));
            Direction::new(found.collect())
        };
        Surfaces {
            truth: direction(&truth, &truth_border, &prediction_border),
            prediction: direction(&prediction, &prediction_border, &truth_border),
        }
    }

    /// Whether there are two surfaces.
    fn both(&self) -> bool {
        !self.truth.cells.is_empty() && !self.prediction.cells.is_empty()
    }

    /// The greater of the two distances in millimetres within which 95 % of a surface lie from the other; none when
    /// a mask is empty.
    #[must_use]
    pub fn hd95_mm(&self) -> Option<f64> {
        self.both().then(|| self.truth.within(0.95).max(self.prediction.within(0.95)))
    }

    /// Average symmetric surface distance in millimetres: the mean over both surfaces by area; none when a mask is
    /// empty.
    #[must_use]
    pub fn assd_mm(&self) -> Option<f64> {
        let area = self.truth.area + self.prediction.area;
        self.both().then(|| (self.truth.sum() + self.prediction.sum()) / area)
    }

    /// Share of both surfaces that lies within `tolerance_mm` of the other: surface Dice, also called NSD. 0 when one
    /// mask is empty, none when both are.
    #[must_use]
    pub fn surface_dice(&self, tolerance_mm: f64) -> Option<f64> {
        let area = self.truth.area + self.prediction.area;
        let near = self.truth.area_within(tolerance_mm) + self.prediction.area_within(tolerance_mm);
        // Nothing near is 0, not the -0 that Rust's sum over nothing gives.
        (area > 0.0).then(|| near / area + 0.0)
    }
}

/// Which of its 8 voxels are inside, for every cell between voxels, of a mask with one voxel of outside round it.
fn cells(mask: ArrayView3<'_, bool>) -> Array3<u8> {
    let (nk, nj, ni) = mask.dim();
    let mut cells = Array3::zeros((nk + 1, nj + 1, ni + 1));
    for ((k, j, i), _) in mask.indexed_iter().filter(|(_, inside)| **inside) {
        for corner in 0..8u8 {
            let at = |axis: u8, n: usize| n + usize::from(corner >> axis & 1);
            cells[[at(2, k), at(1, j), at(0, i)]] |= 0x80 >> corner;
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_is_of_one_kind() {
        let empty = CELLS.iter().filter(|cell| cell.is_none()).count();
        assert_eq!(empty, 2, "only the empty and the full cell hold no surface");
        assert_eq!(CELLS[0], None);
        let area = areas([1.0, 2.0, 3.0]);
        assert_eq!((area[0b0000_1111], area[0b0101_0101], area[0b0011_0011]), (6.0, 2.0, 3.0));
    }

    #[test]
    fn a_shifted_cube() {
        let cube = |from: usize| {
            Array3::from_shape_fn((12, 12, 24), |(k, j, i)| {
                (1..11).contains(&k) && (1..11).contains(&j) && (from..from + 10).contains(&i)
            })
        };
        let grid = Grid::aligned([24, 12, 12], [0.5, 1.0, 2.0]);
        let surfaces = Surfaces::between(cube(1).view(), cube(5).view(), &grid);
        assert_eq!(surfaces.hd95_mm(), Some(2.0));
        let same = Surfaces::between(cube(1).view(), cube(1).view(), &grid);
        assert_eq!(
            (same.hd95_mm(), same.assd_mm(), same.surface_dice(0.0)),
            (Some(0.0), Some(0.0), Some(1.0))
        );
        let empty = Array3::from_elem((12, 12, 24), false);
        let missed = Surfaces::between(cube(1).view(), empty.view(), &grid);
        assert_eq!((missed.hd95_mm(), missed.assd_mm(), missed.surface_dice(3.0)), (None, None, Some(0.0)));
        assert_eq!(missed.surface_dice(3.0).map(|dice| dice.to_string()).as_deref(), Some("0"));
        assert_eq!(Surfaces::between(empty.view(), empty.view(), &grid).surface_dice(3.0), None);
    }
}
