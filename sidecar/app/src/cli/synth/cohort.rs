//! Donors and normals brought together: every donor and every normal is registered once, to one of the normals, and any
//! two meet there. Normals are read again when their cases are made, so that memory does not grow with the study.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use formats::{ReadOptions, Sample, Source};
use imaging::{LabelMap, Progress, Segment, Segmentation, Volume};
use rayon::prelude::*;
use serde::Serialize;
use stroke::{
    Affine, Brain, Donor, DonorFacts, Draw, Normal, Placement, Quality, Registration, Rejection, StrokeCase,
    Synthetic, Tile, compose, register, tile,
};

use super::{Arguments, Study};
use crate::manifest::{Entry, hash};
use crate::{Error, Result};

/// Draws for a case before it is given up.
const ATTEMPTS: u64 = 10;

/// A donor that can be used.
pub(super) struct Usable {
    /// Its place in the study.
    pub(super) number: usize,
    donor: Donor,
    /// From the meeting place to this donor.
    map: Affine,
}

/// What is told of a donor.
#[derive(Debug, Serialize)]
pub(super) struct DonorRecord {
    pub(super) case: String,
    pub(super) sha256: String,
    pub(super) facts: Option<DonorFacts>,
    pub(super) refused: Option<String>,
}

/// What is told of a normal.
#[derive(Debug, Serialize)]
pub(super) struct NormalRecord {
    pub(super) case: String,
    pub(super) sha256: String,
    pub(super) refused: Option<String>,
}

/// What is told of a synthetic case.
#[derive(Debug, Serialize)]
pub(super) struct Record {
    pub(super) case: u64,
    pub(super) name: String,
    pub(super) normal: String,
    pub(super) donors: Vec<String>,
    pub(super) registration: Vec<Registration>,
    pub(super) draw: Draw,
    pub(super) quality: Option<Quality>,
    /// Why earlier draws were not used.
    pub(super) rejected: Vec<Rejection>,
}

/// Everything that was made.
pub(super) struct Made {
    pub(super) donors: Vec<DonorRecord>,
    pub(super) normals: Vec<NormalRecord>,
    pub(super) records: Vec<Record>,
    pub(super) tiles: Vec<Tile>,
}

/// Makes all cases and writes them as they come.
pub(super) fn make(study: &Study, arguments: &Arguments, progress: &Progress) -> Result<Made> {
    progress.step("reading normals", 0, study.normals.len() as u64)?;
    let (template, first) = template(study)?;
    let (normal_records, maps) = normals(study, &template, first, progress)?;
    let (donor_records, donors) = donors(study, arguments, &template, progress)?;
    drop(template);
    let usable: Vec<usize> = (0..maps.len()).filter(|&n| maps[n].is_some()).collect();
    if donors.is_empty() {
        let why = donor_records.iter().find_map(|record| record.refused.clone()).unwrap_or_default();
        return Err(Error::refused(format!("no donor can be used: {why}"), "check its mask and its image"));
    }
    for folder in ["images", "labels"] {
        let folder = arguments.output.join(folder);
        std::fs::create_dir_all(&folder).map_err(|error| Error::write(&folder, error))?;
    }
    let work = Work {
        study,
        arguments,
        donors: &donors,
        usable: &usable,
        maps: &maps,
        done: AtomicU64::new(0),
        progress,
    };
    let parts: Vec<Vec<(Record, Option<Tile>)>> =
        (0..usable.len()).into_par_iter().map(|n| work.of_normal(n)).collect::<Result<_>>()?;
    let mut all: Vec<(Record, Option<Tile>)> = parts.into_iter().flatten().collect();
    all.sort_by_key(|(record, _)| record.case);
    let (records, tiles): (Vec<Record>, Vec<Option<Tile>>) = all.into_iter().unzip();
    Ok(Made {
        donors: donor_records,
        normals: normal_records,
        records,
        tiles: tiles.into_iter().flatten().collect(),
    })
}

/// The first normal that can be read: where all meet.
fn template(study: &Study) -> Result<(Normal, usize)> {
    let mut why = None;
    for (n, entry) in study.normals.iter().enumerate() {
        match read_normal(entry) {
            Ok(normal) => return Ok((normal, n)),
            Err(error) => why = Some(error),
        }
    }
    Err(why.unwrap_or(Error::Cancelled))
}

/// The map of every normal to the meeting place, where it can be used.
fn normals(
    study: &Study,
    template: &Normal,
    first: usize,
    progress: &Progress,
) -> Result<(Vec<NormalRecord>, Vec<Option<Affine>>)> {
    let done = AtomicU64::new(0);
    let check = |(n, entry): (usize, &Entry)| -> Result<(NormalRecord, Option<Affine>)> {
        let found = if n == first {
            Ok(Affine::IDENTITY)
        } else {
            read_normal(entry).map_err(|error| error.sentence()).and_then(|normal| {
                let found = register((&normal.dwi, &normal.brain), (&template.dwi, &template.brain), None);
                found.map(|found| found.map).map_err(|rejection| rejection.to_string())
            })
        };
        progress.step(
            "registering normals",
            done.fetch_add(1, Ordering::Relaxed) + 1,
            study.normals.len() as u64,
        )?;
        let refused = found.as_ref().err().cloned();
        let record = NormalRecord { case: entry.case.clone(), sha256: hash(&entry.dwi)?, refused };
        Ok((record, found.ok()))
    };
    let found: Vec<_> = study.normals.par_iter().enumerate().map(check).collect::<Result<_>>()?;
    Ok(found.into_iter().unzip())
}

/// Every donor that can be used.
fn donors(
    study: &Study,
    arguments: &Arguments,
    template: &Normal,
    progress: &Progress,
) -> Result<(Vec<DonorRecord>, Vec<Usable>)> {
    let done = AtomicU64::new(0);
    let total = study.donors.len() as u64;
    let take = |(number, entry): (usize, &Entry)| -> Result<(DonorRecord, Option<Usable>)> {
        let found = donor(entry, study, arguments, template);
        progress.step("registering donors", done.fetch_add(1, Ordering::Relaxed) + 1, total)?;
        let mut record =
            DonorRecord { case: entry.case.clone(), sha256: hash(&entry.dwi)?, facts: None, refused: None };
        match found {
            Ok((donor, map)) => {
                record.facts = Some(donor.facts.clone());
                Ok((record, Some(Usable { number, donor, map })))
            }
            Err(why) => {
                record.refused = Some(why);
                Ok((record, None))
            }
        }
    };
    let found: Vec<_> = study.donors.par_iter().enumerate().map(take).collect::<Result<_>>()?;
    let (records, donors): (Vec<DonorRecord>, Vec<Option<Usable>>) = found.into_iter().unzip();
    Ok((records, donors.into_iter().flatten().collect()))
}

/// A donor, and the map from the meeting place to it.
fn donor(
    entry: &Entry,
    study: &Study,
    arguments: &Arguments,
    template: &Normal,
) -> Result<(Donor, Affine), String> {
    let (donor, filled) = read_donor(entry, arguments)?;
    let own = (&template.dwi, &template.brain);
    let found = match &study.transform {
        Some(path) => {
            let bytes = std::fs::read(path).map_err(|error| Error::read(path, error).sentence())?;
            let map = stroke::read_transform(&bytes, &template.dwi.grid, &filled.grid);
            Registration::judged(map.map_err(|error| error.to_string())?, own.1, &donor.brain)
        }
        None => register(own, (&filled, &donor.brain), None),
    };
    let map = found.map_err(|rejection| rejection.to_string())?.map;
    Ok((donor, map))
}

fn read_donor(entry: &Entry, arguments: &Arguments) -> Result<(Donor, Volume), String> {
    let sentence = |error: Error| error.sentence();
    let lesion = entry.mask.as_deref().ok_or("it has no mask")?;
    let case = StrokeCase {
        dwi: read_volume(&entry.dwi).map_err(sentence)?,
        adc: entry.adc.as_deref().map(read_volume).transpose().map_err(sentence)?,
        lesion: read_mask(lesion).map_err(sentence)?,
        brain: entry.brain.as_deref().map(read_mask).transpose().map_err(sentence)?,
    };
    Donor::of(&case, arguments.baseline()).map_err(|error| error.to_string())
}

fn read_normal(entry: &Entry) -> Result<Normal> {
    let brain = entry.brain.as_deref().map(read_mask).transpose()?;
    let lesion = entry.mask.as_deref().map(read_mask).transpose()?;
    let adc = entry.adc.as_deref().map(read_volume).transpose()?;
    Normal::of(read_volume(&entry.dwi)?, adc, brain.as_ref(), lesion.as_ref()).map_err(|error| {
        Error::refused(
            format!("normal case `{}`: {error}", entry.case),
            "a brain mask can be given in column `brain`",
        )
    })
}

fn read_volume(path: &Path) -> Result<Volume> {
    Ok(formats::read(path, &ReadOptions::default(), &Progress::silent())?.volume)
}

fn read_mask(path: &Path) -> Result<LabelMap> {
    Ok(formats::read_segmentation(path, &ReadOptions::default(), &Progress::silent())?.labels)
}

/// What the making of a case needs.
struct Work<'a> {
    study: &'a Study,
    arguments: &'a Arguments,
    donors: &'a [Usable],
    /// Numbers of the normals that can be used.
    usable: &'a [usize],
    maps: &'a [Option<Affine>],
    done: AtomicU64,
    progress: &'a Progress,
}

/// For each donor the judged map from the normal at hand, made when first wanted.
type Pairs = Vec<OnceLock<Result<Registration, Rejection>>>;

impl Work<'_> {
    /// All cases of a normal.
    fn of_normal(&self, which: usize) -> Result<Vec<(Record, Option<Tile>)>> {
        let number = self.usable[which];
        let normal = read_normal(&self.study.normals[number])?;
        let pairs: Pairs = (0..self.donors.len()).map(|_| OnceLock::new()).collect();
        let cases = (which as u64..self.arguments.count).step_by(self.usable.len());
        let cases: Vec<u64> = cases.collect();
        cases.into_par_iter().map(|case| self.case(case, number, &normal, &pairs)).collect()
    }

    fn case(
        &self,
        case: u64,
        number: usize,
        normal: &Normal,
        pairs: &Pairs,
    ) -> Result<(Record, Option<Tile>)> {
        let name = format!("synth_{case:06}");
        let mut rejected = Vec::new();
        for attempt in 0..ATTEMPTS {
            let vary = !self.arguments.plain;
            let draw =
                Draw::of(self.arguments.seed, case, attempt, self.donors.len(), self.usable.len(), vary);
            let maps: Result<Vec<Registration>, Rejection> =
                draw.donors.iter().map(|(donor, _)| self.pair(*donor, number, normal, pairs)).collect();
            let made = maps.and_then(|registration| {
                let placements: Vec<Placement<'_>> = draw
                    .donors
                    .iter()
                    .zip(&registration)
                    .map(|((donor, variation), found)| Placement {
                        donor: &self.donors[*donor].donor,
                        map: found.map,
                        variation: variation.clone(),
                    })
                    .collect();
                compose(normal, &placements).map(|made| (made, registration))
            });
            let (made, registration) = match made {
                Ok(made) => made,
                Err(rejection) => {
                    rejected.push(rejection);
                    continue;
                }
            };
            self.write(&name, &made)?;
            let tile =
                (case < self.arguments.montage as u64).then(|| tile(&normal.dwi, &made.dwi, &made.label));
            self.step()?;
            let record = self.record(case, name, number, draw, registration, Some(made.quality), rejected);
            return Ok((record, tile));
        }
        self.step()?;
        let draw = Draw { normal: number, donors: Vec::new() };
        Ok((self.record(case, name, number, draw, Vec::new(), None, rejected), None))
    }

    #[expect(clippy::too_many_arguments, reason = "they are the record")]
    fn record(
        &self,
        case: u64,
        name: String,
        number: usize,
        draw: Draw,
        registration: Vec<Registration>,
        quality: Option<Quality>,
        rejected: Vec<Rejection>,
    ) -> Record {
        let donor = |(donor, _): &(usize, stroke::Variation)| {
            self.study.donors[self.donors[*donor].number].case.clone()
        };
        Record {
            case,
            name,
            normal: self.study.normals[number].case.clone(),
            donors: draw.donors.iter().map(donor).collect(),
            registration,
            draw,
            quality,
            rejected,
        }
    }

    fn step(&self) -> Result<()> {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(self.progress.step("synthesising", done, self.arguments.count)?)
    }

    /// The map from a normal to a donor: over the meeting place; where that is not good enough, directly.
    fn pair(
        &self,
        donor: usize,
        number: usize,
        normal: &Normal,
        pairs: &Pairs,
    ) -> Result<Registration, Rejection> {
        let find = || {
            let Usable { donor, map, number: place } = &self.donors[donor];
            let map = map.after(&self.maps[number].unwrap_or(Affine::IDENTITY));
            let judged = Registration::judged(map, &normal.brain, &donor.brain);
            if judged.is_ok() || self.study.transform.is_some() {
                return judged;
            }
            let own: (&Volume, &Brain) = (&normal.dwi, &normal.brain);
            match read_donor(&self.study.donors[*place], self.arguments) {
                Ok((donor, filled)) => register(own, (&filled, &donor.brain), Some(map)),
                Err(_) => judged,
            }
        };
        pairs[donor].get_or_init(find).clone()
    }

    /// Writes the images and the label of a case; whole files or none.
    fn write(&self, name: &str, made: &Synthetic) -> Result<()> {
        let (quiet, source) = (Progress::silent(), Source::Memory { modality: Some("MR".to_owned()) });
        let images = self.arguments.output.join("images");
        let channels = std::iter::once(&made.dwi).chain(&made.adc);
        for (channel, volume) in channels.enumerate() {
            let path = images.join(format!("{name}_{channel:04}.nii.gz"));
            formats::write_volume(&path, volume, sample(volume), &source, &quiet)?;
        }
        let segment =
            Segment { value: 1, name: "lesion".to_owned(), color: [255, 74, 60], terminology: None };
        let segmentation = Segmentation { labels: made.label.clone(), segments: vec![segment] };
        let path = self.arguments.output.join("labels").join(format!("{name}.nii.gz"));
        Ok(formats::write_segmentation(&path, &segmentation, &source, &quiet)?)
    }
}

/// Whole numbers where a scanner's numbers are large enough that rounding is far below noise.
fn sample(volume: &Volume) -> Sample {
    match volume.range() {
        Some((low, high)) if low >= -32_768.0 && (100.0..=32_767.0).contains(&high) => Sample::I16,
        _ => Sample::F32,
    }
}
