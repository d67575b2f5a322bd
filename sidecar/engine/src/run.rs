//! One segmentation under way: what was asked for, which models have run, and where time went.

use std::array::from_fn;
use std::borrow::Cow;
use std::time::Instant;

use imaging::{Grid, IndexBox, Interpolation, LabelMap, Progress, Segmentation, Volume};
use ndarray::Zip;

use crate::catalogue;
use crate::engine::Engine;
use crate::options::{Mode, ModelUsed, Provenance, SegmentOptions, Upsampling};
use crate::predict::{self, Asked, PredictOptions};
use crate::runner_up::{Doubt, RunnerUp, merged};
use crate::segment::Outcome;
use crate::task::{self, Crop, Part, Speed, Task};
use crate::vertebrae;
use crate::{Error, Result};

/// Millimetres around the structures asked for: TotalSegmentator's for `roi_subset`.
const SUBSET_MARGIN_MM: f64 = 20.0;
/// Millimetres around the body: TotalSegmentator's for `body_seg`.
const BODY_MARGIN_MM: f64 = 3.0;

/// A segmentation under way.
pub(crate) struct Run<'a> {
    engine: &'a Engine,
    pub(crate) task: &'a Task,
    pub(crate) options: &'a SegmentOptions,
    progress: &'a Progress,
    mode: &'a task::Mode,
    models: Vec<ModelUsed>,
    warnings: Vec<String>,
    seconds: Vec<(String, f64)>,
    since: Option<(String, Instant)>,
    /// Of the models that have run, where they are to be kept.
    doubts: Vec<Doubt>,
    runner_up: Option<RunnerUp>,
}

/// A rough segmentation and what is looked for in it.
pub(crate) struct Rough {
    labels: LabelMap,
    /// Values of the structures that the box goes round.
    wanted: Vec<u8>,
    margin_mm: f64,
    /// Values that a result must lie near, and how near in millimetres.
    near: Option<(Vec<u8>, f64)>,
}

impl<'a> Run<'a> {
    /// Checks the request against the task and the store before anything is computed.
    pub(crate) fn new(
        engine: &'a Engine,
        task: &'a Task,
        options: &'a SegmentOptions,
        progress: &'a Progress,
    ) -> Result<Run<'a>> {
        for name in &options.only {
            if task.value(name).is_none() {
                return Err(Error::UnknownStructure { name: name.clone(), task: task.id.clone() });
            }
        }
        let mode = task.mode(options.speed);
        let missing = engine.store().missing(task, options.speed);
        if !missing.is_empty() {
            return Err(Error::ModelMissing { task: task.id.clone(), weights: missing });
        }
        let (models, warnings, seconds) = (Vec::new(), Vec::new(), Vec::new());
        let (doubts, runner_up) = (Vec::new(), None);
        Ok(Run {
            engine,
            task,
            options,
            progress,
            mode,
            models,
            warnings,
            seconds,
            since: None,
            doubts,
            runner_up,
        })
    }

    /// Starts a stage: tells the observer, and the clock.
    pub(crate) fn stage(&mut self, name: &str) -> Result<()> {
        self.stop_clock();
        self.since = Some((name.to_owned(), Instant::now()));
        Ok(self.progress.step(name, 0, 0)?)
    }

    fn stop_clock(&mut self) {
        let Some((name, since)) = self.since.take() else { return };
        let spent = since.elapsed().as_secs_f64();
        match self.seconds.iter_mut().find(|(stage, _)| *stage == name) {
            Some((_, seconds)) => *seconds += spent,
            None => self.seconds.push((name, spent)),
        }
    }

    /// Millimetres to resample to before nnU-Net sees the image.
    pub(crate) fn spacing(&self) -> Option<[f64; 3]> {
        self.mode.spacing.filter(|_| self.options.upsampling != Upsampling::Scores)
    }

    pub(crate) fn interpolation(&self) -> Interpolation {
        match self.options.resampling_order {
            0 => Interpolation::Nearest,
            1 => Interpolation::Linear,
            _ => Interpolation::Cubic,
        }
    }

    /// The models that can find something asked for.
    pub(crate) fn parts(&self) -> Vec<&'a Part> {
        let wanted = self.values();
        self.mode.parts.iter().filter(|part| part.labels.iter().any(|value| wanted.contains(value))).collect()
    }

    /// Values of the structures asked for.
    fn values(&self) -> Vec<u8> {
        if self.options.only.is_empty() {
            return (1..=255).take(self.task.classes.len()).collect();
        }
        self.options.only.iter().filter_map(|name| self.task.value(name)).collect()
    }

    /// The search that comes first, where the task or the request has one and no box was given.
    pub(crate) fn rough_segmentation(&mut self, volume: &Volume) -> Result<Option<Rough>> {
        let Some((crop, margin_mm)) = self.crop() else { return Ok(None) };
        let Some(task) = catalogue::task(&crop.task) else { return Ok(None) };
        if self.mode.crop.is_none() && !self.engine.store().missing(task, crop.mode).is_empty() {
            // Here the search only saves time.
            self.warnings.push(format!(
                "the whole image was segmented: the model of `{}` that finds the region is not installed",
                crop.task
            ));
            return Ok(None);
        }
        let options = SegmentOptions {
            speed: crop.mode,
            mode: self.options.mode,
            resampling_order: self.options.resampling_order,
            ..SegmentOptions::default()
        };
        let Outcome { segmentation, provenance, .. } =
            self.engine.segment(volume, task, &options, self.progress)?;
        self.models.extend(provenance.models);
        self.seconds.push(("finding the region".into(), provenance.seconds.iter().map(|(_, s)| s).sum()));
        let values = |names: &[String]| names.iter().filter_map(|name| task.value(name)).collect();
        let near = self.mode.remove_outside.as_ref().map(|near| (values(&near.classes), near.margin_mm));
        Ok(Some(Rough { wanted: values(&crop.classes), labels: segmentation.labels, margin_mm, near }))
    }

    fn crop(&self) -> Option<(Crop, f64)> {
        crop_of(self.task, self.options)
    }

    /// The box to segment; none when what was looked for is not in the image.
    pub(crate) fn region(&self, grid: &Grid, rough: Option<&Rough>) -> Result<Option<IndexBox>> {
        let whole = IndexBox::whole(grid);
        if let Some(region) = self.options.region {
            let fits = !region.is_empty() && region.union(&whole) == whole;
            return if fits { Ok(Some(region)) } else { Err(Error::Region { region, size: grid.size }) };
        }
        let Some(rough) = rough else { return Ok(Some(whole)) };
        let boxes = rough.labels.boxes();
        let found =
            rough.wanted.iter().filter_map(|&value| boxes[usize::from(value)]).reduce(|a, b| a.union(&b));
        Ok(found.map(|found| found.grown_mm(rough.margin_mm, grid)))
    }

    /// The image in the box; where upstream crops, it also cuts values to integers.
    pub(crate) fn cropped<'v>(&self, volume: &'v Volume, region: &IndexBox) -> Cow<'v, Volume> {
        if *region == IndexBox::whole(&volume.grid) && self.options.region.is_none() && self.crop().is_none()
        {
            return Cow::Borrowed(volume);
        }
        let mut image = volume.cropped(region);
        if self.options.mode == Mode::Compatible {
            // A cast cuts towards zero, saturates, and maps NaN to 0.
            image.voxels.mapv_inplace(|value| value as i32 as f32);
        }
        Cow::Owned(image)
    }

    /// Runs every part over the channels and paints the answers into one label map: on their grid, or in precise mode
    /// on `target`.
    pub(crate) fn predict_parts(&mut self, channels: &[Volume], target: Option<&Grid>) -> Result<LabelMap> {
        let mut labels = LabelMap::background(target.unwrap_or(&channels[0].grid));
        for part in self.parts() {
            self.stage("loading the model")?;
            let mut model = self.engine.open(&part.weights, &part.folds, self.progress)?;
            self.stage("inference")?;
            let options = PredictOptions {
                step: self.mode.step,
                mode: self.options.mode,
                higher_order: self.options.upsampling == Upsampling::Scores,
                threshold: self.options.threshold,
            };
            let asked = Asked { channels, target, plan: &model.plan, options: &options };
            let mut doubts = self.options.keep_runner_up.then(Vec::new);
            let found = predict::run(&asked, &mut model.networks, doubts.as_mut(), self.progress)?;
            let translate = lookup(&part.labels);
            labels.paint(&found, &translate);
            let doubts = doubts.into_iter().flatten().map(|doubt| doubt.translated(&translate));
            self.doubts.extend(doubts);
            self.models.push(model.used.clone());
            self.engine.keep(model);
        }
        self.stop_clock();
        Ok(labels)
    }

    /// The second choice for labels that all models have made together, where it is to be kept.
    pub(crate) fn second_choice(&mut self, labels: &LabelMap) -> Option<RunnerUp> {
        let doubts = std::mem::take(&mut self.doubts);
        self.options.keep_runner_up.then(|| merged(&doubts, labels))
    }

    /// Keeps the second choice in a box of the image that begins at `start`.
    pub(crate) fn keep(&mut self, found: RunnerUp, grid: &Grid, start: [usize; 3]) {
        let wanted = self.values();
        let is_whole = found.second.grid.size == grid.size;
        let mut second = if is_whole { found.second } else { found.second.pasted(grid, start) };
        second.translate(&from_fn(|value| if wanted.contains(&(value as u8)) { value as u8 } else { 0 }));
        // Beyond the box nobody was asked: as sure as can be. Margins are turned over, since pasting fills with 0.
        let turned = |mut margin: LabelMap| {
            margin.translate(&from_fn(|margin| 255 - margin as u8));
            margin
        };
        let margin = if is_whole { found.margin } else { turned(turned(found.margin).pasted(grid, start)) };
        self.runner_up = Some(RunnerUp { second, margin });
    }

    /// What is left to do on the image's own grid.
    pub(crate) fn finish(
        &mut self,
        volume: &Volume,
        labels: &mut LabelMap,
        rough: Option<&Rough>,
    ) -> Result<()> {
        if self.task.id == "vertebrae_pp_refined" {
            self.refine_vertebrae(volume, labels)?;
        }
        if !self.options.only.is_empty() {
            let wanted = self.values();
            labels.translate(&from_fn(|value| if wanted.contains(&(value as u8)) { value as u8 } else { 0 }));
        }
        if let Some(Rough { labels: found, near: Some((values, margin_mm)), .. }) = rough {
            let spacing = volume.grid.spacing().map(|s| s as f32);
            let mean = (spacing[0] + spacing[1] + spacing[2]) / 3.0;
            let near = imaging::dilate(&found.mask(values), (margin_mm / f64::from(mean)) as usize);
            Zip::from(&mut labels.labels).and(&near).par_for_each(|label, &near| {
                if !near {
                    *label = 0;
                }
            });
        }
        Ok(())
    }

    /// Cuts the vertebrae with the bodies that a second model finds (totalsegmentator task `vertebrae_pp_refined`).
    fn refine_vertebrae(&mut self, volume: &Volume, labels: &mut LabelMap) -> Result<()> {
        let Some(bodies) = catalogue::task("vertebrae_body") else { return Ok(()) };
        let options = SegmentOptions { mode: self.options.mode, ..SegmentOptions::default() };
        let Outcome { segmentation, provenance, .. } =
            self.engine.segment(volume, bodies, &options, self.progress)?;
        self.models.extend(provenance.models);
        vertebrae::refine(labels, &segmentation.labels, self.task);
        Ok(())
    }

    /// The answer, with everything that should be known about it.
    pub(crate) fn outcome(mut self, labels: LabelMap) -> Outcome {
        self.stop_clock();
        let mut segments = catalogue::segments(self.task);
        if !self.options.only.is_empty() {
            segments.retain(|segment| self.options.only.contains(&segment.name));
        }
        let provenance = Provenance {
            version: env!("CARGO_PKG_VERSION"),
            task: self.task.id.clone(),
            options: self.options.clone(),
            models: self.models,
            warnings: self.warnings,
            seconds: self.seconds,
        };
        let runner_up = self.runner_up;
        Outcome { segmentation: Segmentation { labels, segments }, runner_up, provenance }
    }

    /// Labels of the model's grid on the canonical grid of the image.
    pub(crate) fn upsampled(&self, labels: LabelMap, grid: &Grid) -> LabelMap {
        if self.spacing().is_none() || labels.grid == *grid {
            return labels;
        }
        match self.options.upsampling {
            Upsampling::Masks => labels.stretched_smoothly(grid),
            _ => labels.stretched(grid),
        }
    }
}

/// The task's value for each label of a model; labels that a part does not name are dropped.
fn lookup(labels: &[u8]) -> [u8; 256] {
    from_fn(|label| label.checked_sub(1).and_then(|at| labels.get(at)).copied().unwrap_or(0))
}

/// What to look for first, and how much margin to leave.
pub(crate) fn crop_of(task: &Task, options: &SegmentOptions) -> Option<(Crop, f64)> {
    let mode = task.mode(options.speed);
    if options.region.is_some() {
        return None;
    }
    let is_mr = task.modality == "MR";
    if let Some(crop) = &mode.crop {
        let mut crop = crop.clone();
        if options.robust_crop && crop.mode == Speed::Fastest {
            crop.mode = Speed::Fast;
        }
        let precise = options.mode == Mode::Precise;
        let margin = if precise { crop.configured_margin_mm } else { crop.margin_mm };
        return Some((crop, margin));
    }
    let total = if is_mr { "total_mr" } else { "total" };
    let rough = |task: &str, mode, classes: &[String], margin_mm| {
        let (task, classes) = (task.to_owned(), classes.to_vec());
        Some((Crop { task, mode, classes, margin_mm, configured_margin_mm: margin_mm }, margin_mm))
    };
    if !options.only.is_empty() && task.id.starts_with("total") {
        let known = catalogue::task(total)?;
        let classes: Vec<String> =
            options.only.iter().filter(|name| known.value(name).is_some()).cloned().collect();
        let speed = if options.robust_crop || is_mr { Speed::Fast } else { Speed::Fastest };
        return if classes.len() == options.only.len() {
            rough(total, speed, &classes, SUBSET_MARGIN_MM)
        } else {
            None
        };
    }
    if options.body_crop && !is_mr {
        let classes = ["body_trunc".to_owned(), "body_extremities".to_owned()];
        return rough("body", Speed::Fast, &classes, BODY_MARGIN_MM);
    }
    None
}
