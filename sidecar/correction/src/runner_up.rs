//! What the network would have said second, and how sure it was of what it said first.

use imaging::LabelMap;
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
