//! Which way an image's axes run through the patient, and how to turn the array without touching a value.

use ndarray::{Array3, ArrayView3, Axis};
use rayon::prelude::*;

use crate::{Grid, GridError, LabelMap, Volume};

/// Where a voxel axis points, in the patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Toward {
    Left,
    Right,
    Posterior,
    Anterior,
    Inferior,
    Superior,
}

impl Toward {
    const ALL: [Toward; 6] = [
        Toward::Left,
        Toward::Right,
        Toward::Posterior,
        Toward::Anterior,
        Toward::Inferior,
        Toward::Superior,
    ];

    fn letter(self) -> char {
        match self {
            Toward::Left => 'L',
            Toward::Right => 'R',
            Toward::Posterior => 'P',
            Toward::Anterior => 'A',
            Toward::Inferior => 'I',
            Toward::Superior => 'S',
        }
    }

    /// The LPS axis it lies along: 0, 1 or 2.
    fn world_axis(self) -> usize {
        match self {
            Toward::Left | Toward::Right => 0,
            Toward::Posterior | Toward::Anterior => 1,
            Toward::Inferior | Toward::Superior => 2,
        }
    }

    fn along(world_axis: usize, ascends: bool) -> Toward {
        match (world_axis, ascends) {
            (0, true) => Toward::Left,
            (0, false) => Toward::Right,
            (1, true) => Toward::Posterior,
            (1, false) => Toward::Anterior,
            (_, true) => Toward::Superior,
            (_, false) => Toward::Inferior,
        }
    }
}

/// Three anatomical letters, one per voxel axis i, j, k: the way in which the index grows.
///
/// `RAS` is what nibabel calls canonical: i to the right, j to the front, k to the head.
///
/// ```
/// # use imaging::{Grid, Orientation};
/// let aligned = Grid::aligned([4, 5, 6], [1.0, 1.0, 2.5]);
/// assert_eq!(aligned.orientation(), Orientation::LPS);
/// assert_eq!(Orientation::parse("ras")?.to_string(), "RAS");
/// assert!(Orientation::parse("RLS").is_err());
/// # Ok::<(), imaging::GridError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Orientation([Toward; 3]);

impl Orientation {
    /// i to the right, j to the front, k to the head: nibabel's canonical order, the one nnU-Net models are trained in.
    pub const RAS: Orientation = Orientation([Toward::Right, Toward::Anterior, Toward::Superior]);
    /// i to the left, j to the back, k to the head: the order of axial DICOM slices.
    pub const LPS: Orientation = Orientation([Toward::Left, Toward::Posterior, Toward::Superior]);

    /// Reads three letters, one of L/R, one of P/A, one of I/S, in any order and case.
    ///
    /// # Errors
    ///
    /// [`GridError::Orientation`] for anything else.
    pub fn parse(letters: &str) -> Result<Orientation, GridError> {
        let error = || GridError::Orientation { found: letters.chars().take(16).collect() };
        let mut axes = letters.chars().map(|letter| {
            Toward::ALL.into_iter().find(|toward| toward.letter() == letter.to_ascii_uppercase())
        });
        let (Some(Some(i)), Some(Some(j)), Some(Some(k)), None) =
            (axes.next(), axes.next(), axes.next(), axes.next())
        else {
            return Err(error());
        };
        let seen = [i, j, k].iter().fold(0, |seen, toward| seen | 1 << toward.world_axis());
        if seen == 0b111 { Ok(Orientation([i, j, k])) } else { Err(error()) }
    }

    /// All 48 of them.
    pub fn all() -> impl Iterator<Item = Orientation> {
        PERMUTATIONS.into_iter().flat_map(|permutation| {
            (0..8).map(move |flips| {
                Orientation(std::array::from_fn(|a| Toward::along(permutation[a], flips >> a & 1 == 0)))
            })
        })
    }
}

impl std::fmt::Display for Orientation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|toward| write!(formatter, "{}", toward.letter()))
    }
}

impl std::str::FromStr for Orientation {
    type Err = GridError;
    fn from_str(letters: &str) -> Result<Orientation, GridError> {
        Orientation::parse(letters)
    }
}

const PERMUTATIONS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

impl Grid {
    /// The anatomical letters nearest to the axes, with nibabel 5.4's `aff2axcodes` as the model: the rotation
    /// nearest to the (possibly sheared) axes decides; the axis that points most clearly is named first.
    #[must_use]
    pub fn orientation(&self) -> Orientation {
        let mut rotation = nearest_rotation(self.direction());
        let strength = |column: [f64; 3]| column.iter().fold(0.0, |most: f64, c| most.max(c * c));
        let mut order = [0, 1, 2];
        let strengths = rotation.map(strength);
        order.sort_by(|&a, &b| strengths[b].total_cmp(&strengths[a]));
        let mut letters = [Toward::Left; 3];
        let mut free = [true; 3];
        for axis in order {
            let column = rotation[axis];
            let mut best = None;
            for row in (0..3).filter(|&row| free[row]) {
                if best.is_none_or(|best: usize| column[row].abs() > column[best].abs()) {
                    best = Some(row);
                }
            }
            let row = best.unwrap_or(axis);
            free[row] = false;
            rotation.iter_mut().for_each(|column| column[row] = 0.0);
            // nibabel works in RAS: an exact 0 there counts as positive, which is Right and Anterior.
            let ascends = if row == 2 { column[row] >= 0.0 } else { column[row] > 0.0 };
            letters[axis] = Toward::along(row, ascends);
        }
        Orientation(letters)
    }
}

/// The orthogonal factor of the polar decomposition of a matrix given by its columns (what `U·Vᵀ` of the SVD is),
/// by Newton's iteration `X <- (X + X^-T) / 2`; quadratic, and exact to a few ulp for every grid that spans space.
fn nearest_rotation(columns: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    let mut x = columns;
    for _ in 0..64 {
        // Rows of the inverse are the cross products over the determinant, so these are the columns of X^-T.
        let cofactors = [cross(x[1], x[2]), cross(x[2], x[0]), cross(x[0], x[1])];
        let determinant: f64 = (0..3).map(|r| x[0][r] * cofactors[0][r]).sum();
        if determinant == 0.0 || !determinant.is_finite() {
            break;
        }
        let next: [[f64; 3]; 3] =
            std::array::from_fn(|c| std::array::from_fn(|r| 0.5 * (x[c][r] + cofactors[c][r] / determinant)));
        let change = (0..9).map(|n| (next[n / 3][n % 3] - x[n / 3][n % 3]).abs()).fold(0.0, f64::max);
        x = next;
        if change < 1e-15 {
            break;
        }
    }
    x
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// A way to turn an array: axes exchanged and flipped, no value touched, undone exactly.
#[derive(Debug, Clone, PartialEq)]
pub struct Reorientation {
    source: Grid,
    target: Grid,
    /// Axis of the source that becomes axis `a` (i, j, k) of the target.
    from: [usize; 3],
    /// Whether that axis is reversed.
    flip: [bool; 3],
}

impl Reorientation {
    /// The turn that makes a grid run along `orientation`.
    #[must_use]
    pub fn new(source: &Grid, orientation: Orientation) -> Reorientation {
        let present = source.orientation();
        let from = orientation.0.map(|wanted| {
            present.0.iter().position(|toward| toward.world_axis() == wanted.world_axis()).unwrap_or(0)
        });
        let flip = std::array::from_fn(|a| orientation.0[a] != present.0[from[a]]);
        Reorientation { target: turned(source, from, flip), source: source.clone(), from, flip }
    }

    /// The turn that brings `source` to `target`, exactly that grid.
    ///
    /// # Errors
    ///
    /// [`GridError::NotATurn`] if no exchange and reversal of axes brings every corner within 0.001 voxels.
    pub fn between(source: &Grid, target: &Grid) -> Result<Reorientation, GridError> {
        for from in PERMUTATIONS {
            for flips in 0..8 {
                let flip = std::array::from_fn(|a| flips >> a & 1 == 1);
                if turned(source, from, flip).matches(target, 1e-3) {
                    let (source, target) = (source.clone(), target.clone());
                    return Ok(Reorientation { source, target, from, flip });
                }
            }
        }
        Err(GridError::NotATurn)
    }

    /// The grid it starts from.
    #[must_use]
    pub fn source(&self) -> &Grid {
        &self.source
    }

    /// The grid it leads to.
    #[must_use]
    pub fn target(&self) -> &Grid {
        &self.target
    }

    /// The way back: to the very bits of the source grid.
    #[must_use]
    pub fn inverse(&self) -> Reorientation {
        let mut from = [0; 3];
        let mut flip = [false; 3];
        for a in 0..3 {
            from[self.from[a]] = a;
            flip[self.from[a]] = self.flip[a];
        }
        Reorientation { source: self.target.clone(), target: self.source.clone(), from, flip }
    }

    /// Turns an array `[[k, j, i]]` on the source grid; the result lies on the target grid.
    #[must_use]
    pub fn apply<T: Copy + Default + Send + Sync>(&self, array: ArrayView3<'_, T>) -> Array3<T> {
        // Array axis `n` is voxel axis `2 - n`.
        let mut view = array.permuted_axes([2 - self.from[2], 2 - self.from[1], 2 - self.from[0]]);
        (0..3).filter(|&a| self.flip[a]).for_each(|a| view.invert_axis(Axis(2 - a)));
        let mut turned = Array3::default(view.raw_dim());
        turned
            .axis_iter_mut(Axis(0))
            .into_par_iter()
            .zip(view.axis_iter(Axis(0)))
            .for_each(|(mut to, from)| to.assign(&from));
        turned
    }

    /// Turns an image that lies on the source grid.
    #[must_use]
    pub fn volume(&self, volume: &Volume) -> Volume {
        Volume { grid: self.target.clone(), voxels: self.apply(volume.voxels.view()) }
    }

    /// Turns labels that lie on the source grid.
    #[must_use]
    pub fn labels(&self, labels: &LabelMap) -> LabelMap {
        LabelMap { grid: self.target.clone(), labels: self.apply(labels.labels.view()) }
    }
}

/// The grid after the exchange and reversal of axes; the origin moves to the other end of a reversed axis, as
/// nibabel's `inv_ornt_aff` has it.
fn turned(source: &Grid, from: [usize; 3], flip: [bool; 3]) -> Grid {
    let mut origin = source.origin;
    for a in 0..3 {
        // In the order of the source's axes, the order of the sum in a matrix product.
        let Some(axis) = (0..3).find(|&n| from[n] == a && flip[n]) else { continue };
        let last = (source.size[from[axis]] - 1) as f64;
        (0..3).for_each(|r| origin[r] += source.axes[a][r] * last);
    }
    let axes = std::array::from_fn(|a| {
        let axis = source.axes[from[a]];
        // 0 - x, not -x: no negative zeros in the affine.
        if flip[a] { axis.map(|component| 0.0 - component) } else { axis }
    });
    Grid { size: from.map(|axis| source.size[axis]), axes, origin }
}

impl Volume {
    /// The same image with its axes along `orientation`: permuted and flipped, never interpolated.
    #[must_use]
    pub fn reoriented(&self, orientation: Orientation) -> Volume {
        Reorientation::new(&self.grid, orientation).volume(self)
    }

    /// The same image turned back onto `grid`, to the bit.
    ///
    /// # Errors
    ///
    /// [`GridError::NotATurn`] if `grid` is not this grid with axes exchanged and reversed.
    pub fn reoriented_like(&self, grid: &Grid) -> Result<Volume, GridError> {
        Ok(Reorientation::between(&self.grid, grid)?.volume(self))
    }
}

impl LabelMap {
    /// The same labels with their axes along `orientation`: permuted and flipped, never interpolated.
    #[must_use]
    pub fn reoriented(&self, orientation: Orientation) -> LabelMap {
        Reorientation::new(&self.grid, orientation).labels(self)
    }

    /// The same labels turned back onto `grid`, to the bit.
    ///
    /// # Errors
    ///
    /// [`GridError::NotATurn`] if `grid` is not this grid with axes exchanged and reversed.
    pub fn reoriented_like(&self, grid: &Grid) -> Result<LabelMap, GridError> {
        Ok(Reorientation::between(&self.grid, grid)?.labels(self))
    }
}

#[cfg(test)]
#[path = "orientation/tests.rs"]
mod tests;
