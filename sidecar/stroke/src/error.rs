//! What cannot be done, and what is not good enough to be used.

use serde::Serialize;

/// Why something cannot be done at all.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No brain was found.
    #[error("no brain was found: {ml:.0} mL are brighter than a quarter of the bright tissue")]
    NoBrain {
        /// What was found.
        ml: f64,
    },
    /// Two images of a case do not share a grid.
    #[error("the {what} lies on another grid than the diffusion-weighted image")]
    Grid {
        /// Which.
        what: &'static str,
    },
    /// The lesion mask holds nothing.
    #[error("the lesion mask is empty")]
    NoLesion,
    /// The lesion mask holds more than 0 and 1.
    #[error("the lesion mask holds the value {found}, only 0 and 1 were expected")]
    NotBinary {
        /// The greatest label.
        found: u8,
    },
    /// The lesion is not in the brain.
    #[error("only {percent:.0} % of the lesion lie in the brain, at least 90 % were expected")]
    OutsideBrain {
        /// Share inside.
        percent: f64,
    },
    /// A normal case has a lesion.
    #[error("the normal case has a lesion mask that is not empty")]
    NotNormal,
    /// A transform file cannot be read.
    #[error("no transform: {detail}")]
    Transform {
        /// What was found and what was expected.
        detail: String,
    },
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] imaging::Cancelled),
}

/// Shorthand for this crate's results.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a synthetic case is not used.
#[derive(Debug, Clone, PartialEq, Serialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rejection {
    /// The brains do not lie on each other.
    #[error(
        "registration failed: the brains overlap with a Dice of {dice:.3}, at least {least} was expected"
    )]
    Registration {
        /// Dice of the brain masks.
        dice: f64,
        /// What was expected.
        least: f64,
    },
    /// The map stretches or flattens the brain.
    #[error("registration failed: it changes volumes by a factor of {factor:.2}")]
    Stretched {
        /// By how much.
        factor: f64,
    },
    /// Too much of the lesion falls outside the brain.
    #[error("only {kept:.2} of the lesion fall into the brain, at least {least} was expected")]
    Outside {
        /// Share inside.
        kept: f64,
        /// What was expected.
        least: f64,
    },
    /// The label is not as large as the lesion.
    #[error(
        "the label has {label_ml:.2} mL, the donor's lesion would have {expected_ml:.2} mL there: the rest falls out of \
         the brain or into fluid"
    )]
    Volume {
        /// Volume of the label.
        label_ml: f64,
        /// The donor's times the Jacobian of the map.
        expected_ml: f64,
    },
    /// The lesion does not stand out as it did.
    #[error("the lesion is {found:.2} times as bright as {against}, in the donor it is {expected:.2} times")]
    Contrast {
        /// What it was held against.
        against: &'static str,
        /// In the synthetic case.
        found: f64,
        /// In the donor, at the strength that was drawn.
        expected: f64,
    },
    /// The lesion would have to be made much stronger or weaker.
    #[error(
        "the signal's increase would need a factor of {factor:.2} for the lesion to stand out as in its donor, {most} at \
         most was expected"
    )]
    Strength {
        /// The factor.
        factor: f64,
        /// The greatest; the least is its inverse.
        most: f64,
    },
    /// Nothing is left of the lesion.
    #[error("the lesion is smaller than half a voxel")]
    Vanished,
}
