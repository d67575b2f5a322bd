//! What keeps a case from being measured.

/// Why a case cannot be measured.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Truth and prediction do not lie on one grid.
    #[error(
        "the grids differ: {found:?} voxels of {found_mm} mm where the truth has {expected:?} of {expected_mm} mm, \
         corners up to {apart_mm:.2} mm apart"
    )]
    Grids {
        /// Voxels along i, j, k of the prediction.
        found: [usize; 3],
        /// Its spacing, as text.
        found_mm: String,
        /// Voxels along i, j, k of the truth.
        expected: [usize; 3],
        /// Its spacing, as text.
        expected_mm: String,
        /// Greatest distance between the first or last voxels of both.
        apart_mm: f64,
    },
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] imaging::Cancelled),
}

/// Shorthand for this crate's results.
pub type Result<T, E = Error> = std::result::Result<T, E>;
