//! The axes pictures are cut along: the patient's left, back and head, turned with the scanner's own slices.

use imaging::Grid;

/// Three unit vectors at right angles, in LPS: the nearest to the grid's own axes, ordered and signed so that the
/// first points to the patient's left, the second to the back and the third to the head.
///
/// An oblique scan is shown in its own slices, as a reading station does; letters then name both directions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Frame {
    /// Left, back, head.
    axes: [[f64; 3]; 3],
    /// The grid axis nearest to each of them.
    pub(crate) grid_axis: [usize; 3],
}

impl Frame {
    /// The frame of a grid that spans space.
    pub(crate) fn of(grid: &Grid) -> Frame {
        let direction = grid.direction();
        let grid_axis = nearest_axes(&direction);
        let signed: [[f64; 3]; 3] = std::array::from_fn(|p| {
            let axis = direction[grid_axis[p]];
            if axis[p] < 0.0 { axis.map(|component| -component) } else { axis }
        });
        Frame { axes: nearest_rotation(signed), grid_axis }
    }

    /// Millimetres to the left, back and head of an LPS position.
    pub(crate) fn of_world(&self, world: [f64; 3]) -> [f64; 3] {
        self.axes.map(|axis| (0..3).map(|r| axis[r] * world[r]).sum())
    }

    /// The LPS position that lies so far to the left, back and head.
    pub(crate) fn to_world(&self, frame: [f64; 3]) -> [f64; 3] {
        std::array::from_fn(|r| (0..3).map(|p| self.axes[p][r] * frame[p]).sum())
    }

    /// The letters of the direction along `axis`, with the second one where it is tilted, as in PS3.3 C.7.6.1.1.1.
    pub(crate) fn letters(&self, axis: usize, positive: bool) -> String {
        let mut parts: Vec<(f64, char)> = (0..3)
            .map(|r| {
                let component = if positive { self.axes[axis][r] } else { -self.axes[axis][r] };
                (component.abs(), [['R', 'L'], ['A', 'P'], ['F', 'H']][r][usize::from(component > 0.0)])
            })
            .collect();
        parts.sort_by(|a, b| b.0.total_cmp(&a.0));
        // Under 12 degrees the second letter says nothing a reader would see.
        parts
            .iter()
            .enumerate()
            .filter(|(n, part)| *n == 0 || part.0 > 0.2)
            .take(2)
            .map(|(_, p)| p.1)
            .collect()
    }

    /// The box in this frame round the part of `grid` between two continuous indices, `[[low, high]; 3]`.
    pub(crate) fn bounds(&self, grid: &Grid, index: [[f64; 2]; 3]) -> [[f64; 2]; 3] {
        let mut bounds = [[f64::INFINITY, f64::NEG_INFINITY]; 3];
        for corner in 0..8 {
            let at = self.of_world(grid.world(std::array::from_fn(|a| index[a][corner >> a & 1])));
            for (range, value) in bounds.iter_mut().zip(at) {
                *range = [range[0].min(value), range[1].max(value)];
            }
        }
        bounds
    }
}

/// For left, back, head the grid axis that belongs to it: the assignment with the greatest sum of cosines.
fn nearest_axes(direction: &[[f64; 3]; 3]) -> [usize; 3] {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let cosines = |order: &[usize; 3]| (0..3).map(|p| direction[order[p]][p].abs()).sum::<f64>();
    orders
        .into_iter()
        .reduce(|best, order| if cosines(&order) > cosines(&best) { order } else { best })
        .unwrap_or([0, 1, 2])
}

/// The rotation nearest to three unit vectors, by Newton's iteration for the polar decomposition (Higham 1986).
fn nearest_rotation(axes: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    let identity = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    let mut turned = axes;
    for _ in 0..40 {
        let [a, b, c] = turned;
        let determinant = dot(a, cross(b, c));
        // A frame that turned left-handed, or nearly flat, has no honest anatomy: fall back on the patient's axes.
        if determinant.partial_cmp(&1e-9) != Some(std::cmp::Ordering::Greater) {
            return identity;
        }
        let dual = [cross(b, c), cross(c, a), cross(a, b)];
        turned =
            std::array::from_fn(|p| std::array::from_fn(|r| (turned[p][r] + dual[p][r] / determinant) / 2.0));
    }
    if turned.iter().flatten().all(|component| component.is_finite()) { turned } else { identity }
}

/// Vector product.
pub(crate) fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// Scalar product.
pub(crate) fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_order_and_sign_of_axes_gives_the_patients_frame() {
        // i to the feet, j to the right, k to the front.
        let axes = [[0.0, 0.0, -2.0], [-0.5, 0.0, 0.0], [0.0, -3.0, 0.0]];
        let frame = Frame::of(&Grid::new([4, 5, 6], axes, [7.0, 8.0, 9.0]).unwrap());
        assert_eq!(frame.grid_axis, [1, 2, 0]);
        assert_eq!(frame.of_world([1.0, 2.0, 3.0]), [1.0, 2.0, 3.0]);
        assert_eq!(frame.letters(0, true) + &frame.letters(1, false) + &frame.letters(2, true), "LAH");
    }

    #[test]
    fn a_tilted_scan_keeps_its_slices_and_names_both_directions() {
        let (sin, cos) = 0.35f64.sin_cos();
        let axes = [[1.0, 0.0, 0.0], [0.0, cos, sin], [0.0, -sin, cos]];
        let frame = Frame::of(&Grid::new([9, 9, 9], axes, [0.0; 3]).unwrap());
        assert_eq!((frame.letters(0, true), frame.letters(1, true)), ("L".into(), "PH".into()));
        let back = frame.to_world(frame.of_world([3.0, -4.0, 5.0]));
        assert!((0..3).all(|r| (back[r] - [3.0, -4.0, 5.0][r]).abs() < 1e-12));
        assert!((frame.of_world([0.0, cos, sin])[1] - 1.0).abs() < 1e-12);
    }
}
