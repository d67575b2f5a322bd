//! Which samples along one axis make up an interpolated one, and with what weights: tabulated once per axis.

use crate::spline;

/// How a value between voxel centres is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Interpolation {
    /// The nearest voxel (spline order 0).
    Nearest,
    /// Trilinear (order 1).
    Linear,
    /// Cubic B-spline through the voxels (order 3).
    Cubic,
}

/// Which positions of the source the new samples lie at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mapping {
    /// First centre on first centre, last on last: `scipy.ndimage.zoom`, TotalSegmentator.
    Corners,
    /// First edge on first edge, last on last: `skimage.transform.resize`, nnU-Net.
    Edges,
}

/// For each new sample along an axis: the indices it is made of, and their weights.
#[derive(Debug, Clone)]
pub(crate) struct Taps {
    /// Samples that make up a new one: 1, 2 or 4.
    pub(crate) count: usize,
    /// `count` indices per new sample, clamped to the source.
    pub(crate) index: Vec<usize>,
    /// `count` weights per new sample.
    pub(crate) weight: Vec<f64>,
}

impl Taps {
    /// Every sample stays what it is.
    pub(crate) fn identity(length: usize) -> Taps {
        Taps { count: 1, index: (0..length).collect(), weight: vec![1.0; length] }
    }

    /// `to` new samples over `from` old ones, as SciPy computes the coordinates (`NI_ZoomShift`).
    pub(crate) fn new(from: usize, to: usize, mapping: Mapping, interpolation: Interpolation) -> Taps {
        let coordinate = |k: usize| match mapping {
            Mapping::Corners if to > 1 => k as f64 * ((from - 1) as f64 / (to - 1) as f64),
            Mapping::Corners => k as f64,
            Mapping::Edges => (k as f64 + 0.5) * (from as f64 / to as f64) - 0.5,
        };
        Taps::at((0..to).map(coordinate), from, interpolation)
    }

    /// New samples at `coordinates` (0 is the first centre); beyond the ends the end sample counts. For cubic
    /// interpolation the indices are those of the padded coefficients of [`spline::of`].
    pub(crate) fn at(
        coordinates: impl Iterator<Item = f64>,
        from: usize,
        interpolation: Interpolation,
    ) -> Taps {
        match interpolation {
            Interpolation::Nearest => {
                let index: Vec<usize> = coordinates.map(|c| clamp((c + 0.5).floor() as i64, from)).collect();
                Taps { count: 1, weight: vec![1.0; index.len()], index }
            }
            Interpolation::Linear => Taps::spread(coordinates, from, 0, linear),
            Interpolation::Cubic => {
                let padded = coordinates.map(|c| c + spline::PAD as f64);
                Taps::spread(padded, from + 2 * spline::PAD, 1, cubic)
            }
        }
    }

    fn spread<const N: usize>(
        coordinates: impl Iterator<Item = f64>,
        from: usize,
        before: i64,
        weights: impl Fn(f64) -> [f64; N],
    ) -> Taps {
        let mut taps = Taps { count: N, index: Vec::new(), weight: Vec::new() };
        for coordinate in coordinates {
            let floor = coordinate.floor();
            let start = floor as i64 - before;
            taps.index.extend((0..N as i64).map(|tap| clamp(start + tap, from)));
            taps.weight.extend(weights(coordinate - floor));
        }
        taps
    }

    /// New samples.
    pub(crate) fn len(&self) -> usize {
        self.index.len() / self.count
    }

    /// Indices and weights of one new sample.
    pub(crate) fn of(&self, sample: usize) -> (&[usize], &[f64]) {
        let range = sample * self.count..(sample + 1) * self.count;
        (&self.index[range.clone()], &self.weight[range])
    }
}

fn clamp(index: i64, length: usize) -> usize {
    index.clamp(0, length as i64 - 1) as usize
}

/// Weights of the two neighbours, in SciPy's arithmetic: the last is what the others leave of 1.
pub(crate) fn linear(x: f64) -> [f64; 2] {
    let first = 1.0 - x;
    [first, 1.0 - first]
}

/// Weights of the four cubic B-spline coefficients around a point `x` past the second of them, in SciPy's arithmetic
/// (`get_spline_interpolation_weights`).
pub(crate) fn cubic(x: f64) -> [f64; 4] {
    let z = 1.0 - x;
    let first = z * z * z / 6.0;
    let second = (x * x * (x - 2.0) * 3.0 + 4.0) / 6.0;
    let third = (z * z * (z - 2.0) * 3.0 + 4.0) / 6.0;
    [first, second, third, 1.0 - first - second - third]
}
