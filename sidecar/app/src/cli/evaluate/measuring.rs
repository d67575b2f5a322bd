//! Cases measured side by side, a few at a time so that memory stays bounded.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use evaluation::{Measured, MeasuredPair, Options, Rater};
use formats::ReadOptions;
use imaging::{LabelMap, Progress, Segment};

use super::files::{Folder, Place};
use super::names::Names;
use crate::{Error, Result};

/// Cases in memory at a time.
const AT_A_TIME: usize = 4;

/// What to measure.
pub(super) struct Job<'a> {
    pub(super) truth: &'a Folder,
    /// By case and rater.
    pub(super) places: &'a [Vec<Option<Place>>],
    pub(super) raters: &'a [Rater],
    pub(super) names: &'a Names,
}

/// What was measured.
#[derive(Debug, Default)]
pub(super) struct All {
    pub(super) cases: Vec<Measured>,
    pub(super) pairs: Vec<MeasuredPair>,
    pub(super) names: BTreeMap<u8, String>,
}

/// A label map as it lies in its file, and the names in it.
struct Labels {
    map: LabelMap,
    segments: Vec<Segment>,
}

impl Job<'_> {
    /// Whether the truth knows of a single structure, or one was asked for.
    pub(super) fn is_one_structure(&self, wanted: &[String], progress: &Progress) -> Result<bool> {
        if !wanted.is_empty() || !self.names.by_label.is_empty() {
            let known = if wanted.is_empty() { self.names.by_label.len() } else { wanted.len() };
            return Ok(known == 1);
        }
        // Without names, the label maps say: more than one label in any of the first cases is more than one structure.
        for (case, place) in self.truth.cases.iter().take(AT_A_TIME) {
            let labels = self.read(place, case, "the truth", progress)?;
            if labels.map.counts().iter().skip(1).filter(|&&count| count > 0).count() > 1 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Measures every case of every rater; the order of the result does not depend on the threads.
    pub(super) fn measure(&self, options: &Options, progress: &Progress) -> Result<All> {
        let cases: Vec<(&String, &Place)> = self.truth.cases.iter().collect();
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let results: Mutex<BTreeMap<usize, Result<All>>> = Mutex::default();
        let work = || {
            loop {
                let case = next.fetch_add(1, Ordering::Relaxed);
                let Some(&(name, place)) = cases.get(case) else { return };
                let result = self.case(case, name, place, options, progress).and_then(|all| {
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    progress.step("measuring", done as u64, cases.len() as u64)?;
                    Ok(all)
                });
                if result.is_err() {
                    // The others need not go on.
                    next.store(cases.len(), Ordering::Relaxed);
                }
                results.lock().unwrap_or_else(PoisonError::into_inner).insert(case, result);
            }
        };
        progress.step("measuring", 0, cases.len() as u64)?;
        let workers = AT_A_TIME.min(rayon::current_num_threads()).min(cases.len());
        std::thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(work))));
        let mut all = All { names: self.names.by_label.clone(), ..All::default() };
        for result in results.into_inner().unwrap_or_else(PoisonError::into_inner).into_values() {
            let case = result?;
            all.cases.extend(case.cases);
            all.pairs.extend(case.pairs);
            for (label, name) in case.names {
                all.names.entry(label).or_insert(name);
            }
        }
        Ok(all)
    }

    fn case(
        &self,
        case: usize,
        name: &str,
        place: &Place,
        options: &Options,
        progress: &Progress,
    ) -> Result<All> {
        let truth = self.read(place, name, "the truth", progress)?;
        let mut all = All::default();
        if self.names.by_label.is_empty() {
            all.names = truth.segments.iter().map(|segment| (segment.value, segment.name.clone())).collect();
        }
        let mut maps: Vec<LabelMap> = Vec::new();
        for (rater, place) in self.places[case].iter().enumerate() {
            let map = match place {
                Some(place) => {
                    let labels =
                        self.read(place, name, &format!("`{}`", self.raters[rater].name), progress)?;
                    self.translated(labels, &truth.segments)
                }
                None => LabelMap::background(&truth.map.grid),
            };
            let measures = evaluation::measure(&truth.map, &map, options)
                .map_err(|error| self.refusal(&error, name, rater))?;
            all.cases.push(Measured { case, rater, measures });
            for (a, other) in maps.iter().enumerate() {
                let overlaps =
                    evaluation::overlaps(other, &map).map_err(|error| self.refusal(&error, name, rater))?;
                all.pairs.push(MeasuredPair { case, a, b: rater, voxels: map.grid.len() as u64, overlaps });
            }
            maps.push(map);
        }
        Ok(all)
    }

    fn refusal(&self, error: &evaluation::Error, case: &str, rater: usize) -> Error {
        match error {
            evaluation::Error::Cancelled(_) => Error::Cancelled,
            other => Error::refused(
                format!("case `{case}` of `{}`: {other}", self.raters[rater].name),
                "bring both onto one grid first; nothing is resampled here, since that would change the numbers",
            ),
        }
    }

    /// Labels of the same name as in the truth get the truth's value.
    fn translated(&self, labels: Labels, truth: &[Segment]) -> LabelMap {
        let mut map = labels.map;
        let mut translate: [u8; 256] = std::array::from_fn(|label| label as u8);
        if self.names.by_label.is_empty() {
            for segment in &labels.segments {
                if let Some(same) = truth.iter().find(|one| one.name == segment.name) {
                    translate[usize::from(segment.value)] = same.value;
                }
            }
        }
        if translate.iter().enumerate().any(|(label, &to)| label != usize::from(to)) {
            map.translate(&translate);
        }
        map
    }

    fn read(&self, place: &Place, case: &str, whose: &str, progress: &Progress) -> Result<Labels> {
        match place {
            Place::File(path) => {
                // The reader's own steps would hide how many cases are done.
                let quiet = Progress::silent();
                if progress.is_cancelled() {
                    return Err(Error::Cancelled);
                }
                let found =
                    formats::read_segmentation(path, &ReadOptions::default(), &quiet).map_err(|error| {
                        Error::refused(
                            format!("case `{case}` of {whose} (`{}`): {error}", path.display()),
                            "label maps hold whole numbers from 0 to 255",
                        )
                    })?;
                Ok(Labels { map: found.labels, segments: found.segments })
            }
            Place::Masks(masks) => self.masks(masks, case, whose, progress),
        }
    }

    /// Paints masks into one label map; two that overlap cannot be.
    fn masks(
        &self,
        masks: &BTreeMap<String, std::path::PathBuf>,
        case: &str,
        whose: &str,
        progress: &Progress,
    ) -> Result<Labels> {
        let mut whole: Option<LabelMap> = None;
        for (name, path) in masks {
            let Some(label) = self.names.label(name) else { continue };
            let mask = self.read(&Place::File(path.clone()), case, whose, progress)?.map;
            let map = whole.get_or_insert_with(|| LabelMap::background(&mask.grid));
            if !map.grid.matches(&mask.grid, 0.01) {
                return Err(Error::refused(
                    format!("case `{case}` of {whose}: mask `{name}` lies on another grid than the others"),
                    "the masks of a case share one grid",
                ));
            }
            let taken = map.labels.iter().zip(&mask.labels).find(|(taken, mask)| **taken != 0 && **mask != 0);
            if let Some((taken, _)) = taken {
                let other = self.names.by_label.get(taken).map_or("another", String::as_str);
                return Err(Error::refused(
                    format!("case `{case}` of {whose}: the masks `{other}` and `{name}` overlap"),
                    "measure them in two runs with `--structure`, or as label maps",
                ));
            }
            let mut translate = [label; 256];
            translate[0] = 0;
            map.paint(&mask, &translate);
        }
        whole.map(|map| Labels { map, segments: Vec::new() }).ok_or_else(|| {
            Error::refused(
                format!("case `{case}` of {whose} has no mask with a name that the truth knows"),
                "masks are named after their structures, such as `liver.nii.gz`",
            )
        })
    }
}
