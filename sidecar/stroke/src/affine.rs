//! Affine maps between points in millimetres or voxels.

use imaging::Grid;
use serde::{Deserialize, Serialize};

/// A map `x -> matrix x + offset`. From world to world both sides are LPS+ millimetres.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Affine {
    /// Rows of the linear part.
    pub matrix: [[f64; 3]; 3],
    /// What is added.
    pub offset: [f64; 3],
}

impl Affine {
    /// The map that changes nothing.
    pub const IDENTITY: Affine =
        Affine { matrix: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], offset: [0.0; 3] };

    /// Where a point goes.
    #[must_use]
    pub fn apply(&self, point: [f64; 3]) -> [f64; 3] {
        std::array::from_fn(|r| dot(self.matrix[r], point) + self.offset[r])
    }

    /// First `first`, then this.
    #[must_use]
    pub fn after(&self, first: &Affine) -> Affine {
        let column = |c: usize| std::array::from_fn(|r| first.matrix[r][c]);
        Affine {
            matrix: std::array::from_fn(|r| std::array::from_fn(|c| dot(self.matrix[r], column(c)))),
            offset: self.apply(first.offset),
        }
    }

    /// By how much volumes grow; negative when left and right are exchanged.
    #[must_use]
    pub fn determinant(&self) -> f64 {
        let [a, b, c] = self.matrix;
        dot(a, cross(b, c))
    }

    /// The way back; none when the map flattens space.
    #[must_use]
    pub fn inverse(&self) -> Option<Affine> {
        let determinant = self.determinant();
        let [a, b, c] = self.matrix;
        let columns = [cross(b, c), cross(c, a), cross(a, b)];
        let matrix = std::array::from_fn(|r| std::array::from_fn(|n| columns[n][r] / determinant));
        let linear = Affine { matrix, offset: [0.0; 3] };
        let offset = linear.apply(self.offset).map(|value| -value);
        let found = Affine { matrix, offset };
        let finite = found.matrix.iter().flatten().chain(&found.offset).all(|value| value.is_finite());
        finite.then_some(found)
    }

    /// From index `[i, j, k]` to millimetres.
    #[must_use]
    pub fn world_of(grid: &Grid) -> Affine {
        Affine { matrix: std::array::from_fn(|r| grid.axes.map(|axis| axis[r])), offset: grid.origin }
    }

    /// From millimetres to index `[i, j, k]`.
    #[must_use]
    pub fn index_of(grid: &Grid) -> Affine {
        // A grid spans space, so there is a way back.
        Affine::world_of(grid).inverse().unwrap_or(Affine::IDENTITY)
    }

    /// A map about a centre: `centre + matrix (x - centre) + translation`.
    #[must_use]
    pub fn about(centre: [f64; 3], matrix: [[f64; 3]; 3], translation: [f64; 3]) -> Affine {
        let linear = Affine { matrix, offset: [0.0; 3] };
        let moved = linear.apply(centre);
        Affine { matrix, offset: std::array::from_fn(|r| centre[r] - moved[r] + translation[r]) }
    }

    /// Rotation about the axes x, y, z by angles in radians, one after the other.
    #[must_use]
    pub fn rotation(angles: [f64; 3]) -> [[f64; 3]; 3] {
        let [(sx, cx), (sy, cy), (sz, cz)] = angles.map(f64::sin_cos);
        let part = |matrix| Affine { matrix, offset: [0.0; 3] };
        let x = part([[1.0, 0.0, 0.0], [0.0, cx, -sx], [0.0, sx, cx]]);
        let y = part([[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]]);
        let z = part([[cz, -sz, 0.0], [sz, cz, 0.0], [0.0, 0.0, 1.0]]);
        z.after(&y).after(&x).matrix
    }
}

/// Scalar product.
pub(crate) fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let map = Affine::about([3.0, -2.0, 9.0], Affine::rotation([0.3, -0.2, 1.1]), [1.0, 2.0, 3.0]);
        let back = map.inverse().unwrap();
        let point = [10.0, -20.0, 30.0];
        let there = back.apply(map.apply(point));
        assert!((0..3).all(|r| (there[r] - point[r]).abs() < 1e-12), "{there:?}");
        assert!((map.determinant() - 1.0).abs() < 1e-12);
        assert_eq!(map.apply([3.0, -2.0, 9.0]).map(|x| x.round()), [4.0, 0.0, 12.0]);
        let grid =
            Grid::new([4, 5, 6], [[0.0, 2.0, 0.0], [-1.0, 0.0, 0.0], [0.1, 0.0, 3.0]], [7.0, 8.0, 9.0])
                .unwrap();
        let index = Affine::index_of(&grid).apply(grid.world([1.0, 2.0, 3.0]));
        assert!((0..3).all(|a| (index[a] - [1.0, 2.0, 3.0][a]).abs() < 1e-12));
        assert_eq!(Affine { matrix: [[0.0; 3]; 3], offset: [0.0; 3] }.inverse(), None);
    }
}
