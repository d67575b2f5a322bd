//! The heart: one volume in, one segmentation out. Read [`Engine::segment`] first; every other file serves it.

use std::borrow::Cow;

use imaging::{LabelMap, Orientation, Progress, Reorientation, Segmentation, Volume};

use crate::engine::Engine;
use crate::options::{Mode, Provenance, SegmentOptions};
use crate::postprocess::postprocess;
use crate::run::Run;
use crate::runner_up::RunnerUp;
use crate::task::Task;
use crate::{Error, Result, thirds};

/// A segmentation and how it was made.
#[derive(Debug)]
pub struct Outcome {
    /// Labels on the volume's own grid.
    pub segmentation: Segmentation,
    /// What came second, on the same grid; where [`SegmentOptions::keep_runner_up`] asks for it.
    pub runner_up: Option<RunnerUp>,
    /// Models, options, warnings, seconds.
    pub provenance: Provenance,
}

impl Engine {
    /// Segments `volume` as `task` describes; the result lies on the volume's own grid.
    ///
    /// In compatible mode equal to TotalSegmentator 2.18 on a processor, but for the last digits of the networks.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Cancelled`] within one patch of the request to stop, [`crate::Error::ModelMissing`] and
    /// [`crate::Error::UnknownStructure`] before anything is computed, or what the runtime says.
    pub fn segment(
        &self,
        volume: &Volume,
        task: &Task,
        options: &SegmentOptions,
        progress: &Progress,
    ) -> Result<Outcome> {
        self.segment_channels(std::slice::from_ref(volume), task, options, progress)
    }

    /// As [`Engine::segment`], for models of several channels: images on one grid, in the order that
    /// [`Task::channels`] names them.
    ///
    /// # Errors
    ///
    /// As [`Engine::segment`]; [`crate::Error::Channels`] and [`crate::Error::ChannelGrid`] when the images are not
    /// those of the task.
    pub fn segment_channels(
        &self,
        channels: &[Volume],
        task: &Task,
        options: &SegmentOptions,
        progress: &Progress,
    ) -> Result<Outcome> {
        let expected = task.channels.len().max(1);
        let (Some(volume), true) = (channels.first(), channels.len() == expected) else {
            return Err(Error::Channels { found: channels.len(), expected });
        };
        if let Some(channel) = channels.iter().position(|channel| !channel.grid.matches(&volume.grid, 0.01)) {
            return Err(Error::ChannelGrid { channel });
        }
        let mut run = Run::new(self, task, options, progress)?;
        let mut labels = LabelMap::background(&volume.grid);
        let rough = run.rough_segmentation(volume)?;
        if let Some(region) = run.region(&volume.grid, rough.as_ref())? {
            let images: Vec<_> = channels.iter().map(|channel| run.cropped(channel, &region)).collect();
            let (found, runner_up) = segment_box(&mut run, &images)?;
            labels = found.pasted(&volume.grid, region.start);
            if let Some(runner_up) = runner_up {
                run.keep(runner_up, &volume.grid, region.start);
            }
        }
        run.finish(volume, &mut labels, rough.as_ref())?;
        Ok(run.outcome(labels))
    }
}

/// Labels of the images on their own grid, and what came second: to the model's grid, through the networks, and back.
fn segment_box(run: &mut Run<'_>, images: &[Cow<'_, Volume>]) -> Result<(LabelMap, Option<RunnerUp>)> {
    run.stage("resampling")?;
    let grid = &images[0].grid;
    let turn = Reorientation::new(grid, Orientation::RAS);
    let mut canonical: Vec<Volume> = images.iter().map(|image| turn.volume(image)).collect();
    if let Some(spacing) = run.spacing() {
        for channel in &mut canonical {
            *channel = channel.resampled(spacing, run.interpolation())?;
        }
    }
    if run.options.mode == Mode::Precise {
        let mut labels = run.predict_parts(&canonical, Some(grid))?;
        postprocess(&mut labels, run.task, run.options.remove_small_mm3);
        let runner_up = run.second_choice(&labels);
        return Ok((labels, runner_up));
    }
    let mut labels = thirds::predict(run, &canonical)?;
    run.stage("cleaning up")?;
    postprocess(&mut labels, run.task, run.options.remove_small_mm3);
    run.stage("resampling back")?;
    let runner_up = run.second_choice(&labels).map(|RunnerUp { second, margin }| {
        let [second, margin] =
            [second, margin].map(|map| turn.inverse().labels(&map.stretched(turn.target())));
        RunnerUp { second, margin }
    });
    Ok((turn.inverse().labels(&run.upsampled(labels, turn.target())), runner_up))
}
