//! `vesalius bench correction`: how far one click goes, against a perfect brush, grow-cut and interactive graph cut.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use correction::{Image, Intensity};
use formats::ReadOptions;
use imaging::{LabelMap, Progress, Volume};
use serde::Serialize;
use trials::{COMMON, Course, Fault, Figures, Latency, METHODS, Method, Suite, Wait};

use crate::cli::Context;
use crate::{Error, Result, interrupt, output};

/// Structures of an image that are spoiled.
const STRUCTURES: usize = 14;

/// Spacings at which waiting is measured, in millimetres.
const SPACINGS_MM: [f64; 3] = [3.0, 1.5, 0.7];

/// The same for a glance.
const GLANCE_MM: [f64; 1] = [5.0];

/// What to correct.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Also correct images of this folder: each with the segmentation of most structures on its grid (NIfTI, NRRD)
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Spoil these labels of the folder's images, instead of up to 14 spread over all
    #[arg(long, value_name = "LABEL", value_delimiter = ',')]
    structures: Vec<u8>,
    /// Only look whether all is well: four structures of a coarse phantom, in seconds
    #[arg(long, conflicts_with_all = ["data", "structures"])]
    quick: bool,
    /// Print JSON for scripts
    #[arg(long)]
    json: bool,
}

/// The figures as scripts see them; fields are added, never renamed.
#[derive(Debug, Serialize)]
struct View {
    /// Over all cases, by method.
    methods: BTreeMap<&'static str, Figures>,
    /// For each image.
    suites: Vec<SuiteView>,
    /// How long a user waits, on the phantom.
    latency: Vec<Latency>,
}

/// One image.
#[derive(Debug, Serialize)]
struct SuiteView {
    name: String,
    size: [usize; 3],
    spacing_mm: [f64; 3],
    methods: BTreeMap<&'static str, Figures>,
}

/// Corrects the phantom, and the folder's images.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let progress = context.display.progress();
    interrupt::watch(&progress);
    let mut suites = vec![if arguments.quick { glance() } else { phantom() }];
    if let Some(folder) = &arguments.data {
        suites.extend(found_in(folder, &arguments.structures, &progress)?);
    }
    let mut all: BTreeMap<Method, Vec<Course>> = BTreeMap::new();
    let mut views = Vec::new();
    for suite in &suites {
        let courses = trials::run(suite, &METHODS, &progress)?;
        let grid = &suite.truth.grid;
        views.push(SuiteView {
            name: suite.name.clone(),
            size: grid.size,
            spacing_mm: grid.spacing(),
            methods: courses.iter().map(|(method, courses)| (method.name(), Figures::of(courses))).collect(),
        });
        courses.into_iter().for_each(|(method, courses)| all.entry(method).or_default().extend(courses));
    }
    let methods = all.iter().map(|(method, courses)| (method.name(), Figures::of(courses))).collect();
    let spacings: &[f64] = if arguments.quick { &GLANCE_MM } else { &SPACINGS_MM };
    let latency = spacings.iter().map(|&spacing| trials::latency(spacing, &progress));
    let view = View { methods, suites: views, latency: latency.collect::<Result<_, _>>()? };
    context.display.clear();
    if arguments.json { output::json(&view) } else { print(&view) }
}

/// The phantom with all kinds of errors.
fn phantom() -> Suite {
    let (volume, truth) = trials::phantom(3.0);
    let structures = Suite::structures_of(&truth, STRUCTURES);
    suite(volume, truth, structures, COMMON.into_iter().chain([Fault::Island, Fault::Missed]).collect())
}

/// A few errors in coarse voxels.
fn glance() -> Suite {
    let (volume, truth) = trials::phantom(GLANCE_MM[0]);
    suite(volume, truth, vec![1, 3, 6, 7], vec![Fault::Cut, Fault::Hole, Fault::Leak])
}

fn suite(volume: Volume, truth: LabelMap, structures: Vec<u8>, faults: Vec<Fault>) -> Suite {
    let image = Arc::new(Image::new(Arc::new(volume), Intensity::Hounsfield));
    Suite { name: "phantom".to_owned(), image, truth: Arc::new(truth), structures, faults }
}

/// The images of a folder, each with the segmentation of most structures on its grid.
fn found_in(folder: &Path, structures: &[u8], progress: &Progress) -> Result<Vec<Suite>> {
    let mut images: Vec<(String, Volume)> = Vec::new();
    let mut segmentations: Vec<LabelMap> = Vec::new();
    for path in files(folder)? {
        let options = ReadOptions::default();
        // A file that is neither is not for us: the folder may hold anything.
        let Ok(image) = formats::read(&path, &options, progress) else { continue };
        let is_image = image.volume.range().is_some_and(|(least, greatest)| least < 0.0 || greatest > 255.0);
        match formats::read_segmentation(&path, &options, progress) {
            Ok(segmentation) if !is_image => segmentations.push(segmentation.labels),
            _ => {
                let name = path.strip_prefix(folder).unwrap_or(&path);
                images.push((name.display().to_string(), image.volume));
            }
        }
    }
    let mut suites = Vec::new();
    for (name, volume) in images {
        let fitting = segmentations.iter().filter(|labels| labels.grid.matches(&volume.grid, 0.1));
        let kinds = |labels: &&LabelMap| labels.counts().iter().filter(|count| **count > 0).count();
        let Some(truth) = fitting.max_by_key(kinds) else { continue };
        let intensity = Intensity::guess(&volume);
        let chosen =
            if structures.is_empty() { Suite::structures_of(truth, STRUCTURES) } else { structures.to_vec() };
        suites.push(Suite {
            name,
            image: Arc::new(Image::new(Arc::new(volume), intensity)),
            truth: Arc::new(truth.clone()),
            structures: chosen,
            faults: COMMON.to_vec(),
        });
    }
    if suites.is_empty() {
        return Err(Error::usage(
            format!("`{}` holds no image with a segmentation on its grid", folder.display()),
            "put NIfTI or NRRD files of both into it",
        ));
    }
    Ok(suites)
}

/// All files of a folder and its folders whose names end as images do, in order.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| Error::read(folder, error))? {
        let path = entry.map_err(|error| Error::read(folder, error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if [".nii", ".nii.gz", ".nrrd"].iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// A table for each image.
fn print(view: &View) -> Result<()> {
    let heading = [
        "METHOD", "CASES", "DICE", "1", "2", "3", "5", "10", "NOC90", "NEVER", "NOC95", "HARM", "P50 MS",
        "P95 MS", "CPU P95", "BYTES",
    ];
    let tables = view.suites.iter().map(|suite| (suite.name.as_str(), &suite.methods));
    for (name, methods) in tables.chain((view.suites.len() > 1).then_some(("all", &view.methods))) {
        output::line(name)?;
        let mut rows = vec![heading.map(str::to_owned).to_vec()];
        rows.extend(
            METHODS.iter().filter_map(|method| Some(row(method.name(), methods.get(method.name())?))),
        );
        output::line(&output::table(&rows, &(1..heading.len()).collect::<Vec<_>>()))?;
    }
    let heading = ["MM", "CLICKS", "COMMIT P50 MS", "P95", "CPU P95", "HOVER P95", "WHEEL P95", "UNDO P95"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(view.latency.iter().map(|latency| {
        let Latency { commit, hover, wheel, undo, .. } = latency;
        let p95 = |wait: &Wait| format!("{:.1}", wait.p95_ms);
        let processor = commit.processor_p95_ms.map_or_else(String::new, |ms| format!("{ms:.1}"));
        let first =
            [latency.spacing_mm.to_string(), latency.clicks.to_string(), format!("{:.1}", commit.p50_ms)];
        first.into_iter().chain([p95(commit), processor, p95(hover), p95(wheel), p95(undo)]).collect()
    }));
    output::line(&output::table(&rows, &(0..heading.len()).collect::<Vec<_>>()))
}

fn row(name: &str, figures: &Figures) -> Vec<String> {
    let dice = [
        figures.dice_before,
        figures.dice_after_1,
        figures.dice_after_2,
        figures.dice_after_3,
        figures.dice_after_5,
        figures.dice_after_10,
    ];
    let mut row = vec![name.to_owned(), figures.cases.to_string()];
    row.extend(dice.map(|dice| format!("{dice:.3}")));
    row.extend([
        format!("{:.1}", figures.noc90),
        format!("{:.0} %", 100.0 * figures.noc90_failed),
        format!("{:.1}", figures.noc95),
        format!("{:.1} %", 100.0 * figures.harm),
        format!("{:.0}", figures.latency_p50_ms),
        format!("{:.0}", figures.latency_p95_ms),
        figures.processor_p95_ms.map_or_else(String::new, |ms| format!("{ms:.0}")),
        format!("{:.0}", figures.bytes_p50),
    ]);
    row
}
