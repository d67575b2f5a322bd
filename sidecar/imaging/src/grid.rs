//! Where voxels lie: the grid of an image, without its values.

use serde::{Deserialize, Serialize};

/// A lattice of voxel centres in LPS+ millimetres: any invertible affine, oblique, left-handed or sheared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Grid {
    /// Voxels along i, j, k.
    pub size: [usize; 3],
    /// `axes[a]` is the LPS vector in millimetres from a voxel to the next one along axis `a` (i, j, k).
    pub axes: [[f64; 3]; 3],
    /// LPS position in millimetres of the centre of voxel `[0, 0, 0]`.
    pub origin: [f64; 3],
}

/// Why a grid cannot be right.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GridError {
    /// An axis or the origin is not a finite number.
    #[error("the geometry holds a value that is not a finite number")]
    NotFinite,
    /// The three axes do not span space.
    #[error("the voxel axes do not span space (volume of a voxel {voxel_mm3:.3e} mm³)")]
    Singular {
        /// Absolute determinant of the axes.
        voxel_mm3: f64,
    },
    /// An axis has no voxels, or the product overflows.
    #[error("a grid of {size:?} voxels is not possible")]
    Size {
        /// Voxels along i, j, k.
        size: [usize; 3],
    },
    /// Letters that name no orientation.
    #[error(
        "`{found}` is no orientation: expected three letters, one of L/R, one of A/P, one of I/S, such as `RAS`"
    )]
    Orientation {
        /// What stood there, at most 16 characters of it.
        found: String,
    },
    /// Two grids that differ by more than the order of their axes.
    #[error("the grids differ by more than exchanged and reversed axes")]
    NotATurn,
    /// Two images that should have the same number of voxels have not.
    #[error("{found:?} voxels, where {expected:?} were expected")]
    SizesDiffer {
        /// Voxels along i, j, k that were found.
        found: [usize; 3],
        /// Voxels along i, j, k that were expected.
        expected: [usize; 3],
    },
    /// A spacing to resample to that is not possible.
    #[error("a spacing of {spacing:?} mm is not possible: expected three positive numbers")]
    Spacing {
        /// What was asked for, millimetres along i, j, k.
        spacing: [f64; 3],
    },
}

impl Grid {
    /// A grid that spans space.
    ///
    /// # Errors
    ///
    /// [`GridError`] when a number is not finite, the axes are not independent, or a size is 0 or overflows.
    pub fn new(size: [usize; 3], axes: [[f64; 3]; 3], origin: [f64; 3]) -> Result<Grid, GridError> {
        if axes.iter().flatten().chain(&origin).any(|value| !value.is_finite()) {
            return Err(GridError::NotFinite);
        }
        if size.contains(&0) || size.iter().try_fold(1usize, |n, &s| n.checked_mul(s)).is_none() {
            return Err(GridError::Size { size });
        }
        let grid = Grid { size, axes, origin };
        let voxel_mm3 = grid.determinant().abs();
        let [a, b, c] = grid.spacing();
        if voxel_mm3.partial_cmp(&(1e-6 * a * b * c)) != Some(std::cmp::Ordering::Greater) {
            return Err(GridError::Singular { voxel_mm3 });
        }
        Ok(grid)
    }

    /// An axis-aligned grid: i to the patient's left, j to the back, k to the head, `spacing` in millimetres.
    #[must_use]
    pub fn aligned(size: [usize; 3], spacing: [f64; 3]) -> Grid {
        let [a, b, c] = spacing;
        Grid { size, axes: [[a, 0.0, 0.0], [0.0, b, 0.0], [0.0, 0.0, c]], origin: [0.0; 3] }
    }

    /// Millimetres between voxel centres along i, j, k; all positive.
    #[must_use]
    pub fn spacing(&self) -> [f64; 3] {
        self.axes.map(|[x, y, z]| (x * x + y * y + z * z).sqrt())
    }

    /// Unit vectors of i, j, k in LPS: `direction()[a]` belongs to axis `a`.
    #[must_use]
    pub fn direction(&self) -> [[f64; 3]; 3] {
        let spacing = self.spacing();
        std::array::from_fn(|a| self.axes[a].map(|component| component / spacing[a]))
    }

    /// Voxels in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.size.iter().product()
    }

    /// Whether there are no voxels.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The array shape `[k, j, i]`.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        [self.size[2], self.size[1], self.size[0]]
    }

    /// Signed volume of a voxel in mm³: negative for a left-handed grid.
    #[must_use]
    pub fn determinant(&self) -> f64 {
        let [[a, b, c], [d, e, f], [g, h, i]] = self.axes;
        a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    }

    /// LPS position in millimetres of a continuous index `[i, j, k]`.
    #[must_use]
    pub fn world(&self, index: [f64; 3]) -> [f64; 3] {
        std::array::from_fn(|r| {
            self.origin[r]
                + self.axes[0][r] * index[0]
                + self.axes[1][r] * index[1]
                + self.axes[2][r] * index[2]
        })
    }

    /// Continuous index `[i, j, k]` of an LPS position in millimetres.
    #[must_use]
    pub fn index(&self, world: [f64; 3]) -> [f64; 3] {
        let offset: [f64; 3] = std::array::from_fn(|r| world[r] - self.origin[r]);
        let determinant = self.determinant();
        let [a, b, c] = self.axes;
        [triple(offset, b, c), triple(a, offset, c), triple(a, b, offset)].map(|t| t / determinant)
    }

    /// The affine as rows of a 4x4 matrix from `[i, j, k, 1]` to LPS+ millimetres.
    #[must_use]
    pub fn matrix(&self) -> [[f64; 4]; 4] {
        let row = |r: usize| [self.axes[0][r], self.axes[1][r], self.axes[2][r], self.origin[r]];
        [row(0), row(1), row(2), [0.0, 0.0, 0.0, 1.0]]
    }

    /// Largest |cos| of the angle between two axes: 0 for a rectangular grid, more when sheared.
    #[must_use]
    pub fn shear(&self) -> f64 {
        let d = self.direction();
        [(0, 1), (0, 2), (1, 2)].iter().map(|&(a, b)| dot(d[a], d[b]).abs()).fold(0.0, f64::max)
    }

    /// Whether both grids have the same size and every corner lies within `tolerance` voxels of its twin.
    #[must_use]
    pub fn matches(&self, other: &Grid, tolerance: f64) -> bool {
        self.size == other.size
            && (0..8).all(|corner| {
                let index =
                    std::array::from_fn(
                        |a| {
                            if corner >> a & 1 == 1 { self.size[a] as f64 - 1.0 } else { 0.0 }
                        },
                    );
                let back = other.index(self.world(index));
                (0..3).all(|a| (back[a] - index[a]).abs() <= tolerance)
            })
    }
}

/// Scalar product.
fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// Determinant of the matrix whose columns are `a`, `b`, `c`.
fn triple(a: [f64; 3], b: [f64; 3], c: [f64; 3]) -> f64 {
    a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0])
        + a[2] * (b[0] * c[1] - b[1] * c[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_undoes_world_on_a_sheared_left_handed_grid() {
        let axes = [[-0.7, 0.1, 0.0], [0.0, 0.9, 0.3], [0.2, 0.5, 2.5]];
        let grid = Grid::new([40, 50, 60], axes, [-120.5, 33.25, 900.0]).unwrap();
        let index = [3.25, -7.5, 58.0];
        let back = grid.index(grid.world(index));
        assert!((0..3).all(|a| (back[a] - index[a]).abs() < 1e-12), "{back:?}");
        assert!(grid.determinant() < 0.0 && grid.shear() > 0.1);
    }

    #[test]
    fn a_flat_grid_is_refused() {
        let axes = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0]];
        assert!(matches!(Grid::new([2, 2, 2], axes, [0.0; 3]), Err(GridError::Singular { .. })));
        assert_eq!(Grid::new([2, 2, 2], [[f64::NAN; 3]; 3], [0.0; 3]), Err(GridError::NotFinite));
    }
}
