//! Cases of a data set through this program's own engine, and what their labels come to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use engine::{Device, Engine, ModelStore, Precision, Runtime, RuntimeOptions, SegmentOptions, Task};
use evaluation::Overlap;
use formats::{ReadOptions, Source};
use imaging::{LabelMap, Progress, Segmentation, Volume};

use super::dataset::Dataset;
use crate::cli::Context;
use crate::{Error, Result, config};

/// A model, ready to segment the cases of a data set.
pub(super) struct Runner {
    engine: Engine,
    task: Task,
    /// The data set's label for each of the model's; 0 drops it.
    translate: [u8; 256],
}

/// The labels of a case, and how its files were written.
pub(super) struct Labels {
    pub(super) map: LabelMap,
    source: Source,
}

/// What models are run with once they are trained.
pub(super) fn runtime(context: &Context) -> Result<Runtime> {
    let settings = &context.settings;
    Ok(Runtime::open(&RuntimeOptions {
        library: settings.runtime.clone().filter(|_| config::set("VESALIUS_ONNXRUNTIME").is_none()),
        data: Some(context.home.root().to_owned()),
        device: Device::Cpu,
        precision: Precision::Fp32,
        threads: settings.threads.unwrap_or(0),
        spinning: true,
    })?)
}

impl Runner {
    /// The model `id` of `store`; its structures become the data set's by their names.
    ///
    /// Numbers are exact, single precision on the processor: what is measured must not depend on the machine.
    pub(super) fn new(store: ModelStore, id: &str, dataset: &Dataset, context: &Context) -> Result<Runner> {
        let task = store.task(id).ok_or_else(|| {
            Error::refused(format!("there is no task `{id}`"), "`vesalius tasks` lists the tasks")
        })?;
        let runtime = runtime(context)?;
        let mut translate = [0; 256];
        for (at, class) in task.classes.iter().enumerate() {
            let label = dataset.labels.iter().find(|(_, name)| *name == class).map(|(label, _)| *label);
            translate[(at + 1).min(255)] = label.unwrap_or(0);
        }
        Ok(Runner { engine: Engine::new(store, runtime), task, translate })
    }

    /// Labels that the model knows, as the data set numbers them.
    pub(super) fn known(&self) -> Vec<u8> {
        self.translate.iter().copied().filter(|label| *label != 0).collect()
    }

    /// Segments a case.
    pub(super) fn segment(
        &self,
        images: &[PathBuf],
        threshold: Option<f64>,
        progress: &Progress,
    ) -> Result<Labels> {
        let quiet = Progress::silent();
        let mut channels: Vec<Volume> = Vec::new();
        let mut source = None;
        for path in images {
            let image = formats::read(path, &ReadOptions::default(), &quiet)?;
            source.get_or_insert(image.source);
            channels.push(image.volume);
        }
        let options = SegmentOptions { threshold, ..SegmentOptions::default() };
        if progress.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let outcome = self.engine.segment_channels(&channels, &self.task, &options, &quiet)?;
        let mut map = outcome.segmentation.labels;
        map.translate(&self.translate);
        Ok(Labels { map, source: source.unwrap_or(Source::Memory { modality: None }) })
    }
}

impl Labels {
    /// Writes them as the case's own files are written.
    pub(super) fn write(self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| Error::write(folder, error))?;
        }
        let segmentation = Segmentation { labels: self.map, segments: Vec::new() };
        Ok(formats::write_segmentation(path, &segmentation, &self.source, &Progress::silent())?)
    }
}

/// Reads the labels of a case.
pub(super) fn read(path: &Path) -> Result<LabelMap> {
    Ok(formats::read_segmentation(path, &ReadOptions::default(), &Progress::silent())?.labels)
}

/// What truth and prediction share, by label; voxels that were not reviewed count for neither.
pub(super) fn overlaps(
    truth: &LabelMap,
    prediction: &LabelMap,
    ignore: Option<u8>,
) -> Result<BTreeMap<u8, Overlap>> {
    let (mut truth, mut prediction) = (truth.clone(), prediction.clone());
    if let Some(ignore) = ignore {
        prediction.clear_where(&truth, ignore);
        let itself = truth.clone();
        truth.clear_where(&itself, ignore);
    }
    evaluation::overlaps(&truth, &prediction).map_err(|error| {
        Error::refused(error.to_string(), "labels lie on the grid of their image, or the data set is broken")
    })
}

/// Mean Dice over the structures that the truth holds, and that of each; none where it holds none.
pub(super) fn dice(overlaps: &BTreeMap<u8, Overlap>, known: &[u8]) -> Option<(f64, BTreeMap<u8, f64>)> {
    let of: BTreeMap<u8, f64> = overlaps
        .iter()
        .filter(|(label, overlap)| overlap.truth > 0 && known.contains(label))
        .map(|(label, overlap)| (*label, overlap.dice()))
        .collect();
    (!of.is_empty()).then(|| (of.values().sum::<f64>() / of.len() as f64, of))
}
