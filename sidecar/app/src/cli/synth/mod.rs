//! `vesalius synth`: strokes of patients put into normal brains, many, from a seed.

mod asked;
mod cohort;
mod making;
mod recipe;
mod sheet;
mod shelf;

use std::path::PathBuf;

use clap::ValueEnum;
use imaging::Progress;
use stroke::{Baseline, Limits, Synthetic};

use self::making::Maker;
use self::recipe::Recipe;
use self::sheet::Made;
use super::Context;
use crate::manifest::{Entry, Manifest, Part, Splits};
use crate::{Error, Result, interrupt, staging};

/// Makes synthetic stroke cases: the relative signal increase of real strokes, warped into normal brains.
///
/// Give a manifest with donors (`clinical`, with a mask) and normals, or one of each by hand. The same seed gives the
/// same files.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Table of the study's cases; see `docs/stroke.md`
    #[arg(long, value_name = "CSV", conflicts_with = "donor")]
    manifest: Option<PathBuf>,
    /// Which patient is in which part, by `vesalius dataset split`; only the training part is used
    #[arg(long, value_name = "JSON", requires = "manifest")]
    splits: Option<PathBuf>,
    /// A patient's diffusion-weighted image
    #[arg(
        long,
        value_name = "FILE",
        requires = "lesion",
        requires = "normal",
        required_unless_present_any = ["manifest", "recipe"]
    )]
    donor: Option<PathBuf>,
    /// The patient's lesion mask
    #[arg(long, value_name = "FILE")]
    lesion: Option<PathBuf>,
    /// The patient's ADC
    #[arg(long, value_name = "FILE")]
    donor_adc: Option<PathBuf>,
    /// A normal diffusion-weighted image
    #[arg(long, value_name = "FILE")]
    normal: Option<PathBuf>,
    /// The normal's ADC
    #[arg(long, value_name = "FILE")]
    normal_adc: Option<PathBuf>,
    /// Affine transform from normal to donor by ITK, 3D Slicer, ANTs, elastix or FSL, instead of our registration
    #[arg(long, value_name = "FILE", requires = "donor")]
    transform: Option<PathBuf>,
    /// Folder for the cases: `images`, `labels`, `cases.jsonl`, `quality.csv`, `montage.png`, `synth.json`
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// How many cases
    #[arg(short = 'n', long, default_value_t = 1)]
    count: u64,
    /// Seed of all chance
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Leave the strokes as they are: no mirror images, no change of size, place or strength, no unions
    #[arg(long)]
    plain: bool,
    /// What a voxel would be without the stroke
    #[arg(long, value_enum, default_value_t = Side::Surroundings)]
    baseline: Side,
    /// A draw is rejected when the lesion's contrast to the brain is further from its donor's than this share
    #[arg(long, value_name = "SHARE", default_value_t = Limits::default().contrast)]
    contrast_tolerance: f64,
    /// A draw is rejected when its label is further from the donor's volume times the Jacobian than this share
    #[arg(long, value_name = "SHARE", default_value_t = Limits::default().volume)]
    volume_tolerance: f64,
    /// Make the cases of the montage only, and write `synth.json` as a recipe for the others: a training makes them
    /// when it wants them
    #[arg(long, requires = "manifest")]
    on_the_fly: bool,
    /// Make cases of a recipe as they are asked for: numbers are read from standard input, one a line; each case is
    /// written into the folder, not compressed, and answered by a line of JSON
    #[arg(
        long,
        value_name = "JSON",
        conflicts_with_all = ["manifest", "donor", "count", "seed", "plain", "baseline", "montage", "contrast_tolerance", "volume_tolerance"],
        hide_short_help = true
    )]
    recipe: Option<PathBuf>,
    /// Cases on the montage
    #[arg(long, value_name = "N", default_value_t = 24)]
    montage: usize,
    /// Threads; all cores when left out
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

/// What a voxel would be without the stroke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Side {
    /// The mean of the brain round about
    Surroundings,
    /// The same place on the other side
    Mirror,
}

/// What to make, and from what.
pub(super) struct Study {
    /// Patients with strokes.
    donors: Vec<Entry>,
    /// Brains without.
    normals: Vec<Entry>,
    /// A map from the one normal to the one donor.
    transform: Option<PathBuf>,
    /// SHA-256 of the manifest and of the splits.
    sources: Vec<(String, String)>,
}

/// The name of a case, which its files begin with.
pub(super) fn case_name(case: u64) -> String {
    format!("synth_{case:06}")
}

/// Makes the cases; the folder is the answer.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let threads = arguments.threads.or(context.settings.threads).unwrap_or(0);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(|error| {
        Error::refused(format!("{threads} threads cannot be had: {error}"), "ask for fewer with `--threads`")
    })?;
    if let Some(recipe) = &arguments.recipe {
        return pool.install(|| asked::answer(recipe, &arguments.output));
    }
    let study = study(arguments, context)?;
    staging::probe(&arguments.output)?;
    let images = arguments.output.join("images");
    if std::fs::read_dir(&images).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Error::refused(
            format!("`{}` holds cases already", images.display()),
            "choose another folder, so that cases of different seeds do not mix",
        ));
    }
    let progress = context.display.progress();
    interrupt::watch(&progress);
    let began = std::time::Instant::now();
    let mut made = pool.install(|| make(&study, arguments, &progress))?;
    let seconds = began.elapsed().as_secs_f64();
    sheet::write(&mut made, &arguments.output, &progress)?;
    context.display.clear();
    sheet::tell(&made, seconds, context);
    if arguments.on_the_fly {
        let name = arguments.output.join("synth.json");
        context.display.note(&format!("{} cases can be made from `{}`", arguments.count, name.display()));
    }
    crate::output::line(&arguments.output.display().to_string())
}

/// Registers everybody, and makes the cases that are to lie on disk.
fn make(study: &Study, arguments: &Arguments, progress: &Progress) -> Result<Made> {
    let mut recipe = Recipe::new(arguments.seed, arguments.count, arguments.plain, arguments.baseline());
    (recipe.on_the_fly, recipe.map_given) = (arguments.on_the_fly, study.transform.is_some());
    recipe.limits = Limits { contrast: arguments.contrast_tolerance, volume: arguments.volume_tolerance };
    recipe.sources.clone_from(&study.sources);
    (recipe.donors, recipe.normals) = cohort::gather(study, arguments, progress)?;
    let folders = ["images", "labels"].map(|folder| arguments.output.join(folder));
    for folder in &folders {
        std::fs::create_dir_all(folder).map_err(|error| Error::write(folder, error))?;
    }
    let write = |name: &str, made: &Synthetic| {
        making::write(name, made, [&folders[0], &folders[1]], ".nii.gz").map(|_| ())
    };
    let montage = arguments.montage as u64;
    let count = if arguments.on_the_fly { arguments.count.min(montage) } else { arguments.count };
    // All donors are kept: nearly every case wants another.
    let (records, tiles) = Maker::new(&recipe, usize::MAX).first(count, montage, write, progress)?;
    Ok(Made { recipe, records, tiles })
}

impl Arguments {
    fn baseline(&self) -> Baseline {
        match self.baseline {
            Side::Surroundings => Baseline::Surroundings,
            Side::Mirror => Baseline::Mirror,
        }
    }
}

/// Donors and normals of the training part, or the two that were named.
fn study(arguments: &Arguments, context: &Context) -> Result<Study> {
    let Some(path) = &arguments.manifest else {
        return pair(arguments);
    };
    let manifest = Manifest::read(path)?;
    let splits = arguments.splits.as_deref().map(Splits::read).transpose()?;
    let parts = manifest.parts(splits.as_ref())?;
    let mut sources = vec![("manifest".to_owned(), crate::manifest::hash(path)?)];
    if let Some(splits) = splits {
        sources.push(("splits".to_owned(), splits.sha256));
    }
    let (all, mut donors, mut normals) = (manifest.entries.len(), Vec::new(), Vec::new());
    for entry in manifest.entries {
        if parts.get(&entry.case) != Some(&Part::Train) {
            continue;
        }
        match (entry.normal, &entry.mask) {
            (true, _) => normals.push(entry),
            (false, Some(_)) => donors.push(entry),
            (false, None) => {}
        }
    }
    if donors.is_empty() || normals.is_empty() {
        return Err(Error::refused(
            format!(
                "the training part of `{}` holds {} donors with masks and {} normals",
                manifest.path.display(),
                donors.len(),
                normals.len()
            ),
            "at least one of each is needed; `kind` is `clinical` or `normal`",
        ));
    }
    context.display.note(&format!(
        "{} donors and {} normals of the training part; {} other cases are not touched",
        donors.len(),
        normals.len(),
        all - donors.len() - normals.len()
    ));
    Ok(Study { donors, normals, transform: None, sources })
}

/// One donor and one normal by hand.
fn pair(arguments: &Arguments) -> Result<Study> {
    let (Some(donor), Some(lesion), Some(normal)) = (&arguments.donor, &arguments.lesion, &arguments.normal)
    else {
        return Err(Error::usage(
            "a manifest, or `--donor`, `--lesion` and `--normal` are needed",
            "`vesalius synth --help` shows how",
        ));
    };
    let entry = |case: &str, normal: bool, dwi: &PathBuf, adc: &Option<PathBuf>| Entry {
        case: case.to_owned(),
        patient: case.to_owned(),
        normal,
        dwi: dwi.clone(),
        adc: adc.clone(),
        ..Entry::default()
    };
    let mut of_donor = entry("donor", false, donor, &arguments.donor_adc);
    of_donor.mask = Some(lesion.clone());
    Ok(Study {
        donors: vec![of_donor],
        normals: vec![entry("normal", true, normal, &arguments.normal_adc)],
        transform: arguments.transform.clone(),
        sources: Vec::new(),
    })
}
