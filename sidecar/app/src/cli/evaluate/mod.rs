//! `vesalius evaluate`: segmentations of models and readers against a truth, and a report about them.

mod files;
mod measuring;
mod names;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use evaluation::{Case, Input, Options, Rater, Report, Role};

use super::Context;
use crate::staging::{self, Staging};
use crate::{Error, Result, interrupt, output, table};
use files::{Folder, Place};

/// Measures segmentations against a truth.
///
/// A folder holds one label map per case (NIfTI or NRRD), or one folder of masks per case, as `vesalius segment`
/// writes them. Cases are told by the names of their files, which are the same in every folder.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The truth
    #[arg(long, value_name = "DIR")]
    truth: PathBuf,
    /// A model's segmentations; again for more. `NAME=DIR` names it
    #[arg(long, value_name = "DIR", required_unless_present = "reader")]
    prediction: Vec<String>,
    /// A reader's segmentations; again for more. `NAME=DIR` names it
    #[arg(long, value_name = "DIR")]
    reader: Vec<String>,
    /// Folder of the report: `report.html`, `report.json`, `cases.csv`, `summary.csv`
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Table with the columns `case`, `patient`, `centre`, `group`
    #[arg(long, value_name = "CSV")]
    manifest: Option<PathBuf>,
    /// JSON with the labels' names, such as nnU-Net's `dataset.json`; `labels.json` or `dataset.json` beside the truth
    /// when left out
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Only these structures
    #[arg(long, value_name = "NAME", num_args = 1..)]
    structure: Vec<String>,
    /// Tolerances of surface Dice in millimetres
    #[arg(long, value_name = "MM", num_args = 1.., default_values_t = [1.0, 2.0, 3.0])]
    tolerance: Vec<f64>,
    /// Whether structures are made of lesions that are to be found one by one; yes when there is a single structure
    #[arg(long, value_name = "YES", num_args = 0..=1, default_missing_value = "true")]
    lesions: Option<bool>,
    /// Take a case that a folder does not hold as one where nothing was found
    #[arg(long)]
    missing_as_empty: bool,
    /// Title of the report
    #[arg(long, default_value = "Segmentation report")]
    title: String,
}

/// Measures, and writes the report; the paths of what was written are the answer.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    if let Some(bad) = arguments.tolerance.iter().find(|mm| !mm.is_finite() || **mm < 0.0) {
        return Err(Error::usage(
            format!("a tolerance of {bad} mm is not possible"),
            "give millimetres, such as `--tolerance 1 3`",
        ));
    }
    let truth = Folder::open("truth", &arguments.truth)?;
    let mut raters = Vec::new();
    let mut folders = Vec::new();
    for (role, given) in [(Role::Prediction, &arguments.prediction), (Role::Reader, &arguments.reader)] {
        for text in given {
            let folder = Folder::parse(text)?;
            raters.push(Rater { name: folder.name.clone(), role });
            folders.push(folder);
        }
    }
    files::name_apart(&mut raters, &folders);
    let places = places(&truth, &folders, &raters, arguments)?;
    let names = names::Names::find(arguments.labels.as_deref(), &truth)?;
    staging::probe(&arguments.output)?;

    let progress = context.display.progress();
    interrupt::watch(&progress);
    let job = measuring::Job { truth: &truth, places: &places, raters: &raters, names: &names };
    let cases = cases(&truth, arguments)?;
    let lesions = match arguments.lesions {
        Some(lesions) => lesions,
        None => job.is_one_structure(&arguments.structure, &progress)?,
    };
    let options = Options { tolerances_mm: arguments.tolerance.clone(), lesions };
    let measured = job.measure(&options, &progress)?;
    let mut input = Input {
        cases,
        raters,
        names: measured.names,
        options,
        measured: measured.cases,
        pairs: measured.pairs,
    };
    names::keep(&mut input, &arguments.structure)?;
    if input.names.is_empty() && input.measured.iter().all(|one| one.measures.is_empty()) {
        input.names = BTreeMap::from([(1, "lesion".to_owned())]);
    }
    write(&input, arguments, context, &progress)
}

/// Where every rater's cases are; the first index is the case, the second the rater.
fn places(
    truth: &Folder,
    folders: &[Folder],
    raters: &[Rater],
    arguments: &Arguments,
) -> Result<Vec<Vec<Option<Place>>>> {
    let mut places = Vec::new();
    for case in truth.cases.keys() {
        let mut of_case = Vec::new();
        for (folder, rater) in folders.iter().zip(raters) {
            let place = folder.cases.get(case).cloned();
            if place.is_none() && !arguments.missing_as_empty {
                return Err(Error::refused(
                    format!(
                        "`{}` has no segmentation of case `{case}` in `{}`",
                        rater.name,
                        folder.path.display()
                    ),
                    "give it the name that the truth has, or `--missing-as-empty` where nothing was found",
                ));
            }
            of_case.push(place);
        }
        places.push(of_case);
    }
    Ok(places)
}

/// The cases in the order of their names, with what the manifest knows about them.
fn cases(truth: &Folder, arguments: &Arguments) -> Result<Vec<Case>> {
    let mut rows = BTreeMap::new();
    if let Some(path) = &arguments.manifest {
        for mut row in table::read(path)? {
            let Some(case) = row.remove("case") else {
                return Err(Error::refused(
                    format!("`{}` has a line without a `case`", path.display()),
                    "its header names the columns: `case,patient,centre,group`",
                ));
            };
            rows.insert(case, row);
        }
        if let Some(missing) = truth.cases.keys().find(|case| !rows.contains_key(*case)) {
            return Err(Error::refused(
                format!("`{}` does not hold case `{missing}` of the truth", path.display()),
                "add a line for it",
            ));
        }
    }
    let case = |name: &String| {
        let row = rows.get(name).cloned().unwrap_or_default();
        let get = |key: &str| row.get(key).cloned();
        Case {
            name: name.clone(),
            patient: get("patient").unwrap_or_else(|| name.clone()),
            centre: get("centre").or_else(|| get("center")),
            group: get("group"),
        }
    };
    Ok(truth.cases.keys().map(case).collect())
}

fn write(
    input: &Input,
    arguments: &Arguments,
    context: &Context,
    progress: &imaging::Progress,
) -> Result<()> {
    progress.step("computing statistics", 0, 0)?;
    let report = Report::new(input);
    let about = evaluation::page::About {
        title: arguments.title.clone(),
        made: today(),
        program: format!("Vesalius {}", env!("CARGO_PKG_VERSION")),
    };
    let json = serde_json::to_string_pretty(&report).map_err(|error| Error::Output(error.into()))?;
    let mut staging = Staging::new();
    for (name, text) in [
        ("report.html", evaluation::page::page(&report, &about)),
        ("report.json", json),
        ("cases.csv", evaluation::csv::cases(&report)),
        ("summary.csv", evaluation::csv::summaries(&report)),
    ] {
        let aside = staging.path(&arguments.output.join(name))?;
        std::fs::write(&aside, text).map_err(|error| Error::write(&aside, error))?;
    }
    progress.step("finishing", 0, 0)?;
    let written = staging.commit()?;
    context.display.clear();
    written.iter().try_for_each(|path| output::line(&path.display().to_string()))
}

/// The date in Greenwich, `2026-11-23` (Hinnant's days-to-civil).
fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    format!("{year}-{month:02}-{date:02}")
}
