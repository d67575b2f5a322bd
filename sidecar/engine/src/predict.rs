//! One model over one image: what nnU-Net's predictor does, in rows that leave as soon as they are final.

use half::f16;
use imaging::{Grid, LabelMap, Progress, Volume};
use nnunet::{Outputs, Plan};

use crate::export::Export;
use crate::onto::Onto;
use crate::options::Mode;
use crate::preprocess::{Prepared, prepare};
use crate::runner_up::Doubt;
use crate::scores::scores;
use crate::shift::Shifted;
use crate::window::Window;
use crate::{Error, Network, Result};

/// How one model is run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PredictOptions {
    /// How far patches lie apart at most, in patches: nnU-Net's 0.5, TotalSegmentator's 0.8 for its `total` models.
    pub step: f64,
    /// Half or single precision; see [`Mode`].
    pub mode: Mode,
    /// Interpolate scores class by class around where it won (TotalSegmentator's `-ho`), not everywhere. Costs the
    /// memory of all scores at the network's resolution. No effect where nothing is resampled.
    pub higher_order: bool,
    /// The probability above which a voxel is foreground; what wins when none. With one structure exactly that; with
    /// several each one's odds against the background are shifted alike.
    pub threshold: Option<f64>,
}

impl Default for PredictOptions {
    fn default() -> PredictOptions {
        PredictOptions { step: 0.5, mode: Mode::Compatible, higher_order: false, threshold: None }
    }
}

/// Labels, as the model's `dataset.json` numbers them, on the grid of `channels[0]`.
///
/// `channels` are the model's inputs in order, on one grid in any orientation; `networks` are its folds. In
/// [`Mode::Compatible`] the labels are bit-equal to those of nnU-Net 2.8.1 on a processor if the networks' outputs
/// are; in [`Mode::Precise`] this is [`predict_onto`] the same grid. Stages: `preparing`, `inference`, `finishing`.
///
/// # Errors
///
/// [`Error::Cancelled`] within one patch, [`Error::Channels`], [`Error::ChannelGrid`], [`Error::Size`] or
/// [`Error::NotRgb`] when the image does not suit the model, [`Error::Resampling`] for a plan out of the ordinary,
/// [`Error::NoNetwork`], [`Error::Network`], [`Error::Scores`].
pub fn predict(
    channels: &[Volume],
    plan: &Plan,
    networks: &mut [Box<dyn Network>],
    options: &PredictOptions,
    progress: &Progress,
) -> Result<LabelMap> {
    run(&Asked { channels, target: None, plan, options }, networks, None, progress)
}

/// Labels on any grid: sums in single precision, scores interpolated linearly at each voxel of `target`, and only
/// then compared, so that borders are as smooth as the finer grid allows. Outside the network's field: 0.
///
/// # Errors
///
/// As [`predict`].
pub fn predict_onto(
    channels: &[Volume],
    target: &Grid,
    plan: &Plan,
    networks: &mut [Box<dyn Network>],
    options: &PredictOptions,
    progress: &Progress,
) -> Result<LabelMap> {
    run(&Asked { channels, target: Some(target), plan, options }, networks, None, progress)
}

/// What one model is run on, and how.
pub(crate) struct Asked<'a> {
    /// See [`predict`].
    pub(crate) channels: &'a [Volume],
    /// See [`predict_onto`]; none is the grid of the channels.
    pub(crate) target: Option<&'a Grid>,
    pub(crate) plan: &'a Plan,
    pub(crate) options: &'a PredictOptions,
}

/// [`predict`] or [`predict_onto`]; the model's second choices are added to `doubts`, where they are wanted.
pub(crate) fn run(
    asked: &Asked<'_>,
    networks: &mut [Box<dyn Network>],
    doubts: Option<&mut Vec<Doubt>>,
    progress: &Progress,
) -> Result<LabelMap> {
    let Asked { channels, target, plan, options } = *asked;
    let (prepared, window) = start(channels, plan, networks, options, progress)?;
    let classes = plan.outputs.channels();
    // Regions overlap: none is second to another.
    let is_doubted = doubts.is_some() && matches!(plan.outputs, Outputs::Classes { .. });
    let mut doubt = is_doubted.then(|| Doubt::new(prepared.grid()));
    let precise = channels.first().map(|first| &first.grid).filter(|_| options.mode == Mode::Precise);
    let mut networks = Shifted::all(networks, plan, options.threshold);
    let labels = if let Some(target) = target.or(precise) {
        let mut onto = Onto::new(&prepared.grid(), target, &plan.outputs);
        scores::<f32>(&prepared.data, &window, classes, &mut networks, progress, |first, rows| {
            doubt.iter_mut().for_each(|doubt| doubt.take(first, rows, classes));
            onto.take(first, rows);
            Ok(())
        })?;
        progress.step("finishing", 1, 1)?;
        onto.finish()
    } else {
        let mut export = Export::new(&prepared, plan, options.higher_order)?;
        scores::<f16>(&prepared.data, &window, classes, &mut networks, progress, |first, rows| {
            doubt.iter_mut().for_each(|doubt| doubt.take(first, rows, classes));
            export.take(first, rows);
            Ok(())
        })?;
        progress.step("finishing", 0, 1)?;
        let labels = prepared.back(export.finish());
        progress.step("finishing", 1, 1)?;
        labels
    };
    if let Some((doubts, doubt)) = doubts.zip(doubt) {
        doubts.push(doubt);
    }
    Ok(labels)
}

fn start(
    channels: &[Volume],
    plan: &Plan,
    networks: &[Box<dyn Network>],
    options: &PredictOptions,
    progress: &Progress,
) -> Result<(Prepared, Window)> {
    if networks.is_empty() {
        return Err(Error::NoNetwork);
    }
    let prepared = prepare(channels, plan, progress)?;
    // A step of nothing would need patches without end.
    let step = if options.step > 0.0 { options.step.clamp(0.05, 1.0) } else { 0.5 };
    let window = Window::new(prepared.shape(), plan.patch_size, step);
    Ok((prepared, window))
}

#[cfg(test)]
mod tests;
