//! Patients divided into parts: by chance from a seed, alike in lesion volume.

use std::collections::BTreeMap;
use std::path::PathBuf;

use formats::ReadOptions;
use imaging::{Progress, Random};
use rayon::prelude::*;

use crate::cli::Context;
use crate::manifest::{Entry, Manifest, Part, Splits};
use crate::staging::Staging;
use crate::{Error, Result, output};

/// How to divide.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Table of the study's cases
    manifest: PathBuf,
    /// File for the splits
    #[arg(short, long, value_name = "JSON")]
    output: PathBuf,
    /// Share of the patients to test on
    #[arg(long, default_value_t = 0.2)]
    test: f64,
    /// Share of the patients to make choices on
    #[arg(long, default_value_t = 0.1)]
    validation: f64,
    /// Seed of the draw
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Patients that are alike: normal, without a lesion, or by the third of lesion volumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stratum {
    Normal,
    Negative,
    Third(usize),
}

/// Divides, writes, and tells how many are where.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let (test, validation) = (arguments.test, arguments.validation);
    if !(0.0..1.0).contains(&test) || !(0.0..1.0).contains(&validation) || test + validation >= 1.0 {
        return Err(Error::usage(
            format!("{test} to test and {validation} to validate leave nothing to train"),
            "give shares such as `--test 0.2 --validation 0.1`",
        ));
    }
    if arguments.output.exists() {
        return Err(Error::refused(
            format!("`{}` is there already", arguments.output.display()),
            "splits stay fixed for a whole study; remove the file to begin a new one",
        ));
    }
    let manifest = Manifest::read(&arguments.manifest)?;
    let patients = match named(&manifest) {
        Some(patients) => {
            context.display.note("note: the parts are those of the table's column `split`");
            patients
        }
        None => draw(&strata(&manifest)?, test, validation, arguments.seed),
    };
    let images = manifest.hashes()?;
    let mut splits = Splits { seed: arguments.seed, patients, images, sha256: String::new() };
    splits.sha256 = splits.digest();
    // The same image in two parts is a leak even when patients have different names.
    manifest.parts(Some(&splits))?;
    let mut staging = Staging::new();
    let aside = staging.path(&arguments.output)?;
    let text = serde_json::to_string_pretty(&splits).map_err(|error| Error::Output(error.into()))?;
    std::fs::write(&aside, text).map_err(|error| Error::write(&aside, error))?;
    staging.commit()?;
    for part in [Part::Train, Part::Validation, Part::Test] {
        let count = splits.patients.values().filter(|one| **one == part).count();
        context.display.note(&format!("{}: {count} patients", part.name()));
    }
    output::line(&arguments.output.display().to_string())
}

/// The parts that the table names, where it names one for every case; a patient in two of them is refused later.
fn named(manifest: &Manifest) -> Option<BTreeMap<String, Part>> {
    manifest.entries.iter().map(|entry| Some((entry.patient.clone(), entry.part?))).collect()
}

/// The stratum of every patient.
fn strata(manifest: &Manifest) -> Result<BTreeMap<String, Stratum>> {
    let volume = |entry: &Entry| -> Result<(String, bool, f64)> {
        let ml = match &entry.mask {
            Some(mask) => {
                let labels =
                    formats::read_segmentation(mask, &ReadOptions::default(), &Progress::silent())?.labels;
                let voxels: u64 = labels.counts().iter().skip(1).sum();
                voxels as f64 * labels.grid.determinant().abs() / 1000.0
            }
            None => 0.0,
        };
        Ok((entry.patient.clone(), entry.normal, ml))
    };
    let found: Vec<(String, bool, f64)> = manifest.entries.par_iter().map(volume).collect::<Result<_>>()?;
    let mut of_patient: BTreeMap<String, (bool, f64)> = BTreeMap::new();
    for (patient, normal, ml) in found {
        let known = of_patient.entry(patient).or_insert((true, 0.0));
        *known = (known.0 && normal, known.1 + ml);
    }
    let mut volumes: Vec<f64> = of_patient.values().map(|known| known.1).filter(|ml| *ml > 0.0).collect();
    volumes.sort_by(f64::total_cmp);
    let stratum = |(normal, ml): (bool, f64)| match (normal, ml > 0.0) {
        (true, _) => Stratum::Normal,
        (false, false) => Stratum::Negative,
        (false, true) => {
            Stratum::Third(volumes.partition_point(|other| *other < ml) * 3 / volumes.len().max(1))
        }
    };
    Ok(of_patient.into_iter().map(|(patient, known)| (patient, stratum(known))).collect())
}

/// Draws within each stratum; what rounding leaves over is carried to the next, so that the shares hold in all.
fn draw(strata: &BTreeMap<String, Stratum>, test: f64, validation: f64, seed: u64) -> BTreeMap<String, Part> {
    let mut groups: BTreeMap<Stratum, Vec<&String>> = BTreeMap::new();
    for (patient, stratum) in strata {
        groups.entry(*stratum).or_default().push(patient);
    }
    let mut random = Random::of(&[seed, 0x7370_6c69_7400]);
    let mut parts = BTreeMap::new();
    let (mut owed_test, mut owed_validation) = (0.0, 0.0);
    for (_, mut group) in groups {
        for last in (1..group.len()).rev() {
            group.swap(last, random.below(last + 1));
        }
        owed_test += test * group.len() as f64;
        owed_validation += validation * group.len() as f64;
        let to_test = f64::round(owed_test).max(0.0) as usize;
        let to_validation = f64::round(owed_validation).max(0.0) as usize;
        owed_test -= to_test as f64;
        owed_validation -= to_validation as f64;
        for (n, patient) in group.into_iter().enumerate() {
            let part = match n {
                _ if n < to_test => Part::Test,
                _ if n < to_test + to_validation => Part::Validation,
                _ => Part::Train,
            };
            parts.insert(patient.clone(), part);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stratum_gives_its_share_and_a_seed_fixes_all() {
        let strata: BTreeMap<String, Stratum> = (0..90)
            .map(|n| {
                let stratum = match n % 3 {
                    0 => Stratum::Normal,
                    1 => Stratum::Third(0),
                    _ => Stratum::Third(2),
                };
                (format!("p{n:02}"), stratum)
            })
            .collect();
        let parts = draw(&strata, 0.2, 0.1, 7);
        assert_eq!(parts, draw(&strata, 0.2, 0.1, 7));
        assert_ne!(parts, draw(&strata, 0.2, 0.1, 8));
        for stratum in [Stratum::Normal, Stratum::Third(0), Stratum::Third(2)] {
            let count = |part| parts.iter().filter(|(p, q)| strata[*p] == stratum && **q == part).count();
            assert_eq!((count(Part::Test), count(Part::Validation), count(Part::Train)), (6, 3, 21));
        }
    }
}
