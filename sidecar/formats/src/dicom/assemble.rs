//! Reads the chosen slices, in parallel, into one volume, and makes sure that its numbers mean something.

use std::sync::atomic::{AtomicU64, Ordering};

use dicom_dictionary_std::uids;
use imaging::{Progress, Volume};
use ndarray::{Array3, ArrayViewMut3, Axis};
use rayon::prelude::*;

use super::error::Error;
use super::files::{self, Given, in_file};
use super::pixels::{self, Stored};
use super::series::{self, Chosen, Placed};
use super::source::{Source, SourceSlice};
use super::stack::{Stack, median};
use super::warning::Warning;
use super::{Options, Series};

/// Hounsfield units of what is outside the scanned circle.
const AIR_HU: f32 = -1024.0;
/// Padding above this value would be tissue: then the attribute is wrong, and not followed.
const HIGHEST_PADDING_HU: f64 = -900.0;
/// A CT without rescale is believed when its least value lies here.
const PLAUSIBLE_LEAST_HU: std::ops::RangeInclusive<f32> = -2048.0..=-900.0;
/// Bytes of voxels that are granted without asking, and for each stored byte.
const FREE_BYTES: u64 = 64 << 20;
const MOST_INFLATION: u64 = 4096;
/// More voxels that are not numbers than this part are too many.
const MOST_NOT_FINITE: f64 = 0.01;

/// Reads one series.
pub(crate) fn read(given: Vec<Given>, options: &Options, progress: &Progress) -> Result<Series, Error> {
    let found = files::scan(given, progress)?;
    let chosen = series::choose(&found, options)?;
    assemble(chosen, found.total, options, progress)
}

/// Reads the chosen slices, of `total` files.
pub(crate) fn assemble(
    chosen: Chosen,
    total: usize,
    options: &Options,
    progress: &Progress,
) -> Result<Series, Error> {
    let Chosen { slices, plane, mut warnings } = chosen;
    let least = options.minimum_slices.max(2);
    let (Some(first), true) = (slices.first(), slices.len() >= least) else {
        return Err(Error::TooFewSlices { found: slices.len(), least });
    };
    let storage = &first.stored.storage;
    let positions: Vec<[f64; 3]> = slices.iter().map(|placed| placed.slice.position).collect();
    let stack = Stack::new(&plane, &positions, [storage.columns, storage.rows], first.slice.spacing)?;
    let voxels = stack.grid.len().max(slices.len() * storage.rows * storage.columns);
    if voxels > options.maximum_voxels {
        let (found, limit) = (voxels as u64, options.maximum_voxels as u64);
        return Err(Error::Limit { what: "voxels", found, limit });
    }
    honest(&slices)?;
    warnings.extend(stack.warnings.iter().cloned());
    let context = Context { hounsfield: is_ct(first), total };
    context.remarks(&slices, &stack, &mut warnings)?;
    let shape = [slices.len(), storage.rows, storage.columns];
    let mut voxels = Array3::<f32>::zeros(shape);
    let statistics = context.fill(&slices, voxels.view_mut(), progress)?;
    context.settle(&slices, statistics, voxels.view_mut(), &mut warnings)?;
    let volume = if stack.is_even() {
        Volume { grid: stack.grid.clone(), voxels }
    } else {
        stack.interpolated(&voxels)
    };
    Ok(Series { volume, source: source(&slices, &stack), warnings })
}

/// Refuses to make room for far more voxels than the compressed slices can hold: even empty ones take some bytes.
fn honest(slices: &[Placed]) -> Result<(), Error> {
    let wanted: u64 = slices
        .iter()
        .map(|placed| 4 * (placed.stored.storage.rows * placed.stored.storage.columns) as u64)
        .sum();
    let there: u64 = slices.iter().map(|placed| placed.stored.bytes_of_a_frame()).sum();
    let limit = FREE_BYTES + MOST_INFLATION * there;
    if wanted > limit { Err(Error::Bomb { limit }) } else { Ok(()) }
}

fn is_ct(placed: &Placed) -> bool {
    matches!(
        placed.object.sop_class.as_str(),
        uids::CT_IMAGE_STORAGE
            | uids::ENHANCED_CT_IMAGE_STORAGE
            | uids::LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE
    ) || placed.object.modality == "CT"
}

/// What holds for the whole series.
struct Context {
    /// The values are Hounsfield units.
    hounsfield: bool,
    /// Files looked at.
    total: usize,
}

/// What the values of a slice, or of all, are like.
#[derive(Debug, Clone, Copy)]
struct Statistics {
    least: f32,
    most: f32,
    /// Padding and values that are not numbers.
    not_finite: u64,
}

impl Statistics {
    const NONE: Statistics = Statistics { least: f32::INFINITY, most: f32::NEG_INFINITY, not_finite: 0 };

    /// Sixteen lanes side by side, so that the compiler can take them at once.
    fn of(values: &[f32]) -> Statistics {
        let (chunks, rest) = values.as_chunks::<16>();
        let mut lanes = [Statistics::NONE; 16];
        for chunk in chunks {
            lanes.iter_mut().zip(chunk).for_each(|(lane, value)| lane.take(*value));
        }
        rest.iter().for_each(|value| lanes[0].take(*value));
        lanes.into_iter().fold(Statistics::NONE, Statistics::and)
    }

    fn take(&mut self, value: f32) {
        let finite = value.is_finite();
        self.least = self.least.min(if finite { value } else { f32::INFINITY });
        self.most = self.most.max(if finite { value } else { f32::NEG_INFINITY });
        self.not_finite += u64::from(!finite);
    }

    fn and(self, other: Statistics) -> Statistics {
        Statistics {
            least: self.least.min(other.least),
            most: self.most.max(other.most),
            not_finite: self.not_finite + other.not_finite,
        }
    }
}

impl Context {
    /// Warnings that need no pixels, and rescale values that are there for some slices only.
    fn remarks(&self, slices: &[Placed], stack: &Stack, warnings: &mut Vec<Warning>) -> Result<(), Error> {
        let rescaled = slices.iter().filter(|placed| placed.slice.rescale.is_some()).count();
        if rescaled != 0 && rescaled != slices.len() {
            return Err(Error::Intensity { reason: "some slices have rescale values, others have none" });
        }
        if slices.iter().any(|placed| placed.image.lossy) {
            warnings.push(Warning::Lossy);
        }
        if slices.iter().any(|placed| placed.stored.storage.inverted) && !self.hounsfield {
            warnings.push(Warning::Inverted);
        }
        let lying =
            |placed: &Placed| placed.object.patient_position.as_deref().map(|code| code.ends_with('S'));
        if slices.iter().any(|placed| lying(placed) == Some(false)) {
            warnings.push(Warning::PatientPosition);
        }
        let step = stack.grid.spacing()[2];
        let across = step * stack.lean_cosine();
        let gaps: Vec<f64> = stack.indices.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let usual = median(&gaps);
        let near = |stated: f64, mm: f64| (stated - mm * usual).abs() <= (0.02 * mm * usual).max(0.02);
        let stated = slices.iter().find_map(|placed| placed.image.spacing_between);
        if let Some(stated_mm) = stated.filter(|&stated| !near(stated, step) && !near(stated, across)) {
            warnings.push(Warning::SpacingContradicts { stated_mm, measured_mm: across * usual });
        }
        Ok(())
    }

    /// Reads each slice into its plane; padding becomes NaN.
    fn fill(
        &self,
        slices: &[Placed],
        mut planes: ArrayViewMut3<f32>,
        progress: &Progress,
    ) -> Result<Statistics, Error> {
        let done = AtomicU64::new(0);
        let outcomes: Vec<Result<Statistics, Error>> = planes
            .axis_iter_mut(Axis(0))
            .into_par_iter()
            .zip(slices.par_iter())
            .map_init(Vec::new, |bytes, (mut plane, placed)| {
                progress.step("reading", done.fetch_add(1, Ordering::Relaxed), slices.len() as u64)?;
                let out =
                    plane.as_slice_mut().ok_or(Error::Corrupt { reason: "a plane is not contiguous" })?;
                let object = placed.object;
                self.slice(placed, out, bytes)
                    .map_err(|problem| in_file(object.number, self.total, object.name.clone(), problem))?;
                Ok(Statistics::of(out))
            })
            .collect();
        outcomes.into_iter().try_fold(Statistics::NONE, |sum, outcome| Ok(sum.and(outcome?)))
    }

    /// Reads one slice. In CT, inverted display says nothing about Hounsfield units, and padding must lie below air.
    fn slice(&self, placed: &Placed, out: &mut [f32], bytes: &mut Vec<u8>) -> Result<(), Error> {
        let stored = placed.stored;
        let [slope, intercept] = placed.slice.rescale.unwrap_or([1.0, 0.0]);
        let sensible = |range: &[i64; 2]| range[1] as f64 * slope + intercept <= HIGHEST_PADDING_HU;
        let storage = &stored.storage;
        if self.hounsfield && (storage.inverted || storage.padding.is_some_and(|range| !sensible(&range))) {
            let mut changed = storage.clone();
            changed.inverted = false;
            changed.padding = changed.padding.filter(sensible);
            return pixels::read_as(stored, &changed, placed.slice, out, bytes);
        }
        pixels::read(stored, placed.slice, out, bytes)
    }

    /// Refuses numbers without meaning; gives padding a value.
    fn settle(
        &self,
        slices: &[Placed],
        statistics: Statistics,
        mut voxels: ArrayViewMut3<f32>,
        warnings: &mut Vec<Warning>,
    ) -> Result<(), Error> {
        let Statistics { least, most, not_finite } = statistics;
        if least >= most {
            return Err(Error::Intensity { reason: "all voxels have the same value" });
        }
        let rescaled = slices.iter().any(|placed| placed.slice.rescale.is_some());
        if self.hounsfield && !rescaled {
            if !PLAUSIBLE_LEAST_HU.contains(&least) {
                return Err(Error::Intensity { reason: "a CT has no rescale slope and intercept" });
            }
            warnings.push(Warning::NoRescale);
        }
        if not_finite == 0 {
            return Ok(());
        }
        let padded = slices.iter().any(|placed| placed.stored.storage.padding.is_some());
        if !padded && not_finite as f64 > MOST_NOT_FINITE * voxels.len() as f64 {
            return Err(Error::Intensity { reason: "more than 1 % of the voxels are not numbers" });
        }
        let value = if self.hounsfield { AIR_HU } else { least };
        voxels.axis_iter_mut(Axis(0)).into_par_iter().for_each(|mut plane| {
            plane.iter_mut().filter(|voxel| !voxel.is_finite()).for_each(|voxel| *voxel = value);
        });
        let voxels = not_finite;
        warnings.push(if padded { Warning::Padding { voxels } } else { Warning::NotFinite { voxels } });
        Ok(())
    }
}

/// What a derived object must repeat.
fn source(slices: &[Placed], stack: &Stack) -> Source {
    let object = slices.first().map(|placed| placed.object);
    let text = |of: fn(&files::Object) -> &String| object.map(of).cloned().unwrap_or_default();
    Source {
        study_instance_uid: text(|object| &object.study),
        series_instance_uid: text(|object| &object.series),
        frame_of_reference_uid: text(|object| &object.frame_of_reference),
        modality: text(|object| &object.modality),
        series_description: object.map(|object| object.series_description.clone()).unwrap_or_default(),
        attributes: object.map(|object| object.attributes.clone()).unwrap_or_default(),
        slices: slices.iter().zip(&stack.indices).map(|(placed, &k)| source_slice(placed, k)).collect(),
    }
}

fn source_slice(placed: &Placed, k: f64) -> SourceSlice {
    let Stored { frames, .. } = placed.stored;
    SourceSlice {
        sop_class_uid: placed.object.sop_class.clone(),
        sop_instance_uid: placed.object.sop_instance.clone(),
        frame: (*frames > 1).then_some(placed.slice.frame as u32 + 1),
        position: placed.slice.position,
        k,
    }
}
