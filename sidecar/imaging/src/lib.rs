//! Images in patient space: voxels, where they lie in millimetres, and the operations that keep the two in step.
//!
//! # Conventions, everywhere in this repository
//!
//! * World coordinates are LPS+ millimetres, as in DICOM and ITK. RAS exists only inside `formats`
//!   and in the orientation letters.
//! * An index is `[i, j, k]`: column, row, slice. An array is `[[k, j, i]]`, C order. Both name the same bytes.
//! * This crate does no IO, spawns no tasks and knows no file format. Same input, same bytes out, whatever the
//!   number of threads.
//! * Functions on bare arrays (`zoom`, `resize`, `gaussian`, ...) are for code that holds the geometry beside them, and
//!   say which axis is which.
//!
//! # What to read first
//!
//! [`Grid`], then [`Volume`] and [`LabelMap`]; [`Volume::reoriented`] and [`Volume::resampled`] bring an image to a
//! network, [`LabelMap::stretched`] and [`LabelMap::reoriented_like`] bring its answer back.

#[cfg(test)]
mod bits;
mod components;
mod distance;
mod filter;
mod grid;
mod index_box;
mod interpolate;
mod labelmap;
mod morphology;
mod onto;
mod orientation;
mod pairwise;
mod progress;
mod random;
mod resample;
mod resize;
mod segmentation;
mod spline;
mod statistics;
mod taps;
mod volume;

pub use components::{Components, Connectivity};
pub use distance::distance_mm;
pub use filter::{Beyond, gaussian, gaussian_weights};
pub use grid::{Grid, GridError};
pub use index_box::IndexBox;
pub use labelmap::LabelMap;
pub use morphology::{close, dilate, erode, fill_holes, open};
pub use orientation::{Orientation, Reorientation};
pub use pairwise::{moments, moments_of};
pub use progress::{Cancelled, Progress, Report};
pub use random::Random;
pub use resample::zoom;
pub use resize::{LinearRows, MissingRows, resize, resize_slices, thick_axis};
pub use segmentation::{Code, Segment, Segmentation, Terminology};
pub use statistics::{Average, ExtraStatistics, LabelStatistics, StatisticsOptions, statistics};
pub use taps::Interpolation;
pub use volume::Volume;
