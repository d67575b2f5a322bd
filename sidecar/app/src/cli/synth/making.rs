//! One case after another, each from its number alone: which brain, which stroke, how changed, and the files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use formats::{Sample, Source};
use imaging::{Progress, Segment, Segmentation, Volume};
use rayon::prelude::*;
use serde::Serialize;
use stroke::{
    Donor, Draw, Normal, Placement, Quality, Registration, Rejection, Synthetic, Tile, Variation, compose,
    register, tile,
};

use super::recipe::{Member, Recipe};
use super::shelf::Shelf;
use crate::Result;

/// Draws for a case before it is given up.
const ATTEMPTS: u64 = 20;
/// Bytes of normals that are kept.
const NORMALS: usize = 128 << 20;
/// Bytes of maps between pairs that are kept.
const PAIRS: usize = 16 << 20;

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

/// Makes any case of a recipe.
pub(super) struct Maker<'a> {
    recipe: &'a Recipe,
    /// Those that can be used.
    donors: Vec<&'a Member>,
    normals: Vec<&'a Member>,
    /// What was read of them.
    donor_shelf: Shelf<usize, Donor>,
    normal_shelf: Shelf<usize, Normal>,
    /// Maps of pairs, donor and normal, that were registered directly.
    pairs: Shelf<(usize, usize), Result<Registration, Rejection>>,
}

impl<'a> Maker<'a> {
    /// Keeps donors of up to so many bytes.
    pub(super) fn new(recipe: &'a Recipe, donor_bytes: usize) -> Maker<'a> {
        let usable = |members: &'a [Member]| members.iter().filter(|one| one.map.is_some()).collect();
        Maker {
            recipe,
            donors: usable(&recipe.donors),
            normals: usable(&recipe.normals),
            donor_shelf: Shelf::new(donor_bytes),
            normal_shelf: Shelf::new(NORMALS),
            pairs: Shelf::new(PAIRS),
        }
    }

    /// The first `count` cases, each given to `write` and to the montage; normal by normal, each read once.
    pub(super) fn first(
        &self,
        count: u64,
        montage: u64,
        write: impl Fn(&str, &Synthetic) -> Result<()> + Sync,
        progress: &Progress,
    ) -> Result<(Vec<Record>, Vec<Tile>)> {
        let done = AtomicU64::new(0);
        let of_normal = |which: usize| -> Result<Vec<(Record, Option<Tile>)>> {
            let cases: Vec<u64> = (which as u64..count).step_by(self.normals.len()).collect();
            if cases.is_empty() {
                return Ok(Vec::new());
            }
            let normal = self.normals[which].normal()?;
            let one = |case: u64| {
                let (record, made) = self.case_in(case, which, &normal)?;
                if let Some(made) = &made {
                    write(&record.name, made)?;
                }
                let shown = made.filter(|_| case < montage);
                let tile = shown.map(|made| tile(&normal.dwi, &made.dwi, &made.label));
                progress.step("synthesising", done.fetch_add(1, Ordering::Relaxed) + 1, count)?;
                Ok((record, tile))
            };
            cases.into_par_iter().map(one).collect()
        };
        let parts: Vec<Vec<_>> =
            (0..self.normals.len()).into_par_iter().map(of_normal).collect::<Result<_>>()?;
        let mut all: Vec<(Record, Option<Tile>)> = parts.into_iter().flatten().collect();
        all.sort_by_key(|(record, _)| record.case);
        let (records, tiles): (Vec<Record>, Vec<Option<Tile>>) = all.into_iter().unzip();
        Ok((records, tiles.into_iter().flatten().collect()))
    }

    /// Any case; no images where every draw was rejected.
    pub(super) fn case(&self, case: u64) -> Result<(Record, Option<Synthetic>)> {
        let which = (case % self.normals.len() as u64) as usize;
        let normal = self.normal_shelf.get(which, || {
            let normal = self.normals[which].normal()?;
            let bytes = normal.bytes();
            Ok((normal, bytes))
        })?;
        self.case_in(case, which, &normal)
    }

    fn case_in(&self, case: u64, which: usize, normal: &Normal) -> Result<(Record, Option<Synthetic>)> {
        let mut record = Record {
            case,
            name: super::case_name(case),
            normal: self.normals[which].case.clone(),
            donors: Vec::new(),
            registration: Vec::new(),
            draw: Draw { normal: which, donors: Vec::new() },
            quality: None,
            rejected: Vec::new(),
        };
        let (seed, vary) = (self.recipe.seed, !self.recipe.plain);
        // As they are, each stroke comes into a brain in one way only.
        let most = if vary { ATTEMPTS } else { ATTEMPTS.min(self.donors.len() as u64) };
        for attempt in 0..most {
            let draw = Draw::of(seed, case, attempt, self.donors.len(), self.normals.len(), vary);
            match self.made(&draw, which, normal)? {
                Ok((made, registration)) => {
                    let donors = draw.donors.iter().map(|(donor, _)| self.donors[*donor].case.clone());
                    record.donors = donors.collect();
                    (record.registration, record.draw) = (registration, draw);
                    record.quality = Some(made.quality.clone());
                    return Ok((record, Some(made)));
                }
                Err(rejection) => record.rejected.push(rejection),
            }
        }
        Ok((record, None))
    }

    /// One draw.
    fn made(
        &self,
        draw: &Draw,
        which: usize,
        normal: &Normal,
    ) -> Result<Result<(Synthetic, Vec<Registration>), Rejection>> {
        let mut drawn = Vec::new();
        for (number, variation) in &draw.donors {
            let donor = self.donor(*number)?;
            match self.pair(*number, &donor, which, normal)? {
                Ok(registration) => drawn.push((donor, registration, variation)),
                Err(rejection) => return Ok(Err(rejection)),
            }
        }
        let placement = drawn.iter().map(|(donor, found, variation)| Placement {
            donor,
            map: found.map,
            variation: Variation::clone(variation),
        });
        let placements: Vec<Placement<'_>> = placement.collect();
        let made = compose(normal, &placements)
            .and_then(|made| self.recipe.limits.judge(&made.quality).map(|()| made));
        Ok(made.map(|made| (made, drawn.into_iter().map(|(_, found, _)| found).collect())))
    }

    fn donor(&self, number: usize) -> Result<Arc<Donor>> {
        self.donor_shelf.get(number, || {
            let (donor, _) = self.donors[number].donor(self.recipe.baseline)?;
            let bytes = donor.bytes();
            Ok((donor, bytes))
        })
    }

    /// The map from a normal to a donor: over the meeting place; where that is not good enough, directly.
    fn pair(
        &self,
        number: usize,
        donor: &Donor,
        which: usize,
        normal: &Normal,
    ) -> Result<Result<Registration, Rejection>> {
        let map = |member: &Member| member.map.unwrap_or(stroke::Affine::IDENTITY);
        let over = map(self.donors[number]).after(&map(self.normals[which]));
        let judged = Registration::judged(over, &normal.brain, &donor.brain);
        if judged.is_ok() || self.recipe.map_given {
            return Ok(judged);
        }
        let directly = || {
            let (donor, filled) = self.donors[number].donor(self.recipe.baseline)?;
            let found = register((&normal.dwi, &normal.brain), (&filled, &donor.brain), Some(over));
            Ok((found, size_of::<Result<Registration, Rejection>>()))
        };
        Ok((*self.pairs.get((number, which), directly)?).clone())
    }
}

/// Files of a case.
#[derive(Debug, Default, Serialize)]
pub(super) struct Files {
    images: Vec<PathBuf>,
    label: Option<PathBuf>,
}

/// Writes images and label of a case, each whole or not at all. `ending` says whether they are packed.
pub(super) fn write(name: &str, made: &Synthetic, folders: [&Path; 2], ending: &str) -> Result<Files> {
    let (quiet, source) = (Progress::silent(), Source::Memory { modality: Some("MR".to_owned()) });
    let mut files = Files::default();
    for (channel, volume) in std::iter::once(&made.dwi).chain(&made.adc).enumerate() {
        let path = folders[0].join(format!("{name}_{channel:04}{ending}"));
        formats::write_volume(&path, volume, sample(volume), &source, &quiet)?;
        files.images.push(path);
    }
    let segment = Segment { value: 1, name: "lesion".to_owned(), color: [255, 74, 60], terminology: None };
    let segmentation = Segmentation { labels: made.label.clone(), segments: vec![segment] };
    let path = folders[1].join(format!("{name}{ending}"));
    formats::write_segmentation(&path, &segmentation, &source, &quiet)?;
    files.label = Some(path);
    Ok(files)
}

/// Whole numbers where a scanner's numbers are large enough that rounding is far below noise.
fn sample(volume: &Volume) -> Sample {
    match volume.range() {
        Some((low, high)) if low >= -32_768.0 && (100.0..=32_767.0).contains(&high) => Sample::I16,
        _ => Sample::F32,
    }
}
