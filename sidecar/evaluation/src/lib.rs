//! How good a segmentation is: measures of one case, statistics over cases, and a report that one can publish.
//!
//! # Layout
//!
//! * One case: [`Overlap`], [`Surfaces`], [`Lesions`]; [`measure`] takes all of every structure.
//! * Many cases: [`summarise`], [`bland_altman`], [`pearson`], [`icc`], [`paired_t`], [`wilcoxon`], [`mcnemar`],
//!   [`holm`], [`Proportion`], [`roc`], [`precision_recall`], [`froc`].
//! * [`Report`]: all of it for predictions and readers against a truth; [`csv`] and [`page`] print it.
//!
//! # Conventions
//!
//! * Both empty: Dice, IoU and F1 are 1. One empty: 0. Distances are none when either is empty.
//! * Whatever depends on that convention is shown three times: over all cases, over those whose truth holds the
//!   structure, and over those whose truth does not. Each with its n.
//! * Volumes are in millilitres, distances in millimetres; a difference is prediction minus truth.
//!
//! Pure: no files, no clock, and the same numbers at any number of threads.

mod agreement;
mod bootstrap;
mod case;
pub mod csv;
mod curves;
mod detection;
mod distributions;
mod error;
mod groups;
mod lesions;
mod metric;
mod overlap;
pub mod page;
mod paired;
mod proportion;
mod readers;
mod records;
mod report;
mod summary;
mod surface;

pub use agreement::{BlandAltman, Correlation, bland_altman, icc, pearson};
pub use bootstrap::{RESAMPLES, SEED, bootstrap_mean};
pub use case::{Measures, Options, measure, overlaps};
pub use curves::{Point, PrecisionRecall, Roc, froc, precision_recall, roc};
pub use detection::{Detection, LesionDetection, McNemar, OperatingPoint, SizeBin};
pub use error::{Error, Result};
pub use lesions::{Counts, Lesions, PAIR_IOU, PredictedLesion, Rule, TrueLesion};
pub use metric::{Metric, Subset};
pub use overlap::Overlap;
pub use paired::{PairedT, holm, mcnemar, paired_t, wilcoxon};
pub use proportion::Proportion;
pub use readers::Pair;
pub use records::{
    Case, Comparison, Input, Line, Measured, MeasuredPair, Rater, Report, Role, Row, Subgroup,
    VolumeAgreement,
};
pub use summary::{Summary, summarise};
pub use surface::Surfaces;

#[cfg(test)]
mod tests;
