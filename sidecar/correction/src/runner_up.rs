//! What the network would have said second, and how sure it was of what it said first.

use imaging::{Grid, LabelMap};
use ndarray::Array3;

use crate::{Error, Result};

/// The network's second choice for every voxel and how narrowly it lost, from the inference that made the labels.
#[derive(Debug, Clone, PartialEq)]
pub struct RunnerUp {
    /// The second label, `[[k, j, i]]`.
    pub second: Array3<u8>,
    /// Probability of the first less that of the second in 1/255, `[[k, j, i]]`: 0 is a toss-up.
    pub margin: Array3<u8>,
}

/// A margin below this is unsure: 0.4.
pub(crate) const UNSURE: u8 = 102;

impl RunnerUp {
    /// Reads what [`RunnerUp::encode`] wrote for this grid.
    ///
    /// # Errors
    ///
    /// [`Error::NotARunnerUp`] if there are too few or too many bytes.
    pub fn decode(grid: &Grid, mut bytes: Vec<u8>) -> Result<RunnerUp> {
        let wrong = Error::NotARunnerUp { found: bytes.len(), expected: 2 * grid.len() };
        let margin = bytes.split_off(grid.len().min(bytes.len()));
        let shaped = |bytes| Array3::from_shape_vec(grid.shape(), bytes).map_err(|_| wrong.clone());
        Ok(RunnerUp { second: shaped(bytes)?, margin: shaped(margin)? })
    }

    /// As bytes: all second labels, then all margins, i fastest.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.second.len() + self.margin.len());
        for map in [&self.second, &self.margin] {
            match map.as_slice() {
                Some(voxels) => bytes.extend_from_slice(voxels),
                None => bytes.extend(map),
            }
        }
        bytes
    }

    /// Whether it lies on the labels' grid.
    ///
    /// # Errors
    ///
    /// [`Error::SizesDiffer`].
    pub fn check(&self, labels: &LabelMap) -> Result<()> {
        let size = |(k, j, i): (usize, usize, usize)| [i, j, k];
        let expected = size(labels.labels.dim());
        match [self.second.dim(), self.margin.dim()].into_iter().map(size).find(|found| *found != expected) {
            Some(found) => Err(Error::SizesDiffer { found, expected }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back() {
        let grid = Grid::aligned([4, 3, 2], [1.0; 3]);
        let second = Array3::from_shape_fn((2, 3, 4), |(k, j, i)| (i + 4 * j + 12 * k) as u8);
        let runner_up = RunnerUp { margin: second.mapv(|label| 255 - label), second };
        let bytes = runner_up.encode();
        assert_eq!((bytes[5], bytes[24 + 5]), (5, 250));
        assert_eq!(RunnerUp::decode(&grid, bytes), Ok(runner_up));
        for found in [0, 5, 24, 47, 49] {
            let expected = Err(Error::NotARunnerUp { found, expected: 48 });
            assert_eq!(RunnerUp::decode(&grid, vec![0; found]), expected);
        }
    }
}
