//! nnU-Net's raw data sets from one manifest: clinical, n synthetic, clinical and n, clinical and m.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use formats::{ReadOptions, Sample, Source};
use imaging::{Interpolation, LabelMap, Progress, Segmentation, Volume};
use serde_json::{Value, json};

use super::synthetic::Synthetic;
use crate::cli::Context;
use crate::manifest::{Entry, Manifest, Part, Splits};
use crate::{Error, Result, interrupt, output};

/// What to write.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Table of the study's cases
    manifest: PathBuf,
    /// The splits
    #[arg(long, value_name = "JSON")]
    splits: PathBuf,
    /// Synthetic cases by `vesalius synth`, made with the same splits
    #[arg(long, value_name = "DIR")]
    synthetic: Option<PathBuf>,
    /// nnU-Net's folder of raw data sets
    #[arg(short, long, value_name = "DIR", env = "nnUNet_raw")]
    output: PathBuf,
    /// Which data sets; all four when left out
    #[arg(long, value_enum, num_args = 1..)]
    database: Vec<Database>,
    /// Synthetic cases of the small databases
    #[arg(short = 'n', long, default_value_t = 2000)]
    small: usize,
    /// Synthetic cases of the large database
    #[arg(short = 'm', long, default_value_t = 40_000)]
    large: usize,
    /// Number of the first data set
    #[arg(long, default_value_t = 501)]
    first_id: u16,
    /// Name of the data sets
    #[arg(long, default_value = "Stroke")]
    name: String,
    /// Name of label 1
    #[arg(long, default_value = "lesion")]
    label: String,
}

/// The databases of the published comparison (Federau et al. 2020), with numbers of one's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Database {
    /// Clinical cases
    Clinical,
    /// n synthetic cases
    Synthetic,
    /// Clinical cases and n synthetic ones
    Small,
    /// Clinical cases and m synthetic ones
    Large,
}

impl Database {
    const ALL: [Database; 4] = [Database::Clinical, Database::Synthetic, Database::Small, Database::Large];

    /// Its name in the data set's, and whether it holds clinical cases.
    fn of(self, arguments: &Arguments) -> (String, bool, usize) {
        match self {
            Database::Clinical => ("C".to_owned(), true, 0),
            Database::Synthetic => (format!("S{}", arguments.small), false, arguments.small),
            Database::Small => (format!("CS{}", arguments.small), true, arguments.small),
            Database::Large => (format!("CS{}", arguments.large), true, arguments.large),
        }
    }
}

/// Writes the data sets; their folders are the answer.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let manifest = Manifest::read(&arguments.manifest)?;
    let splits = Splits::read(&arguments.splits)?;
    let parts = manifest.parts(Some(&splits))?;
    let progress = context.display.progress();
    interrupt::watch(&progress);
    let wanted =
        if arguments.database.is_empty() { Database::ALL.to_vec() } else { arguments.database.clone() };
    let most = wanted.iter().map(|database| database.of(arguments).2).max().unwrap_or(0);
    let synthetic = arguments
        .synthetic
        .as_deref()
        .map(|folder| Synthetic::open(folder, &splits, &manifest, &parts))
        .transpose()?;
    let at_hand = synthetic.as_ref().map_or(0, |synthetic| synthetic.names.len());
    if at_hand < most {
        return Err(Error::refused(
            format!("{most} synthetic cases are needed, {at_hand} are there"),
            "make more with `vesalius synth --count`, or ask for fewer with `--small`, `--large` or `--database`",
        ));
    }
    let labelled: Vec<&Entry> =
        manifest.entries.iter().filter(|entry| !entry.normal && entry.mask.is_some()).collect();
    let with_adc = labelled.iter().all(|entry| entry.adc.is_some())
        && synthetic.as_ref().is_none_or(|synthetic| most == 0 || synthetic.channels == 2);
    let study =
        Study { arguments, parts: &parts, splits: &splits, labelled, with_adc, context, progress: &progress };
    let mut written = Vec::new();
    for database in wanted {
        let number = Database::ALL.iter().position(|one| *one == database).unwrap_or(0) as u16;
        written.push(study.write(database, arguments.first_id + number, synthetic.as_ref())?);
    }
    context.display.clear();
    written.iter().try_for_each(|path| output::line(&path.display().to_string()))
}

/// What all data sets share.
struct Study<'a> {
    arguments: &'a Arguments,
    parts: &'a BTreeMap<String, Part>,
    splits: &'a Splits,
    /// Clinical cases with labels.
    labelled: Vec<&'a Entry>,
    with_adc: bool,
    context: &'a Context,
    progress: &'a Progress,
}

impl Study<'_> {
    /// One data set. `dataset.json` comes last, so that it says the folder is whole.
    fn write(&self, database: Database, id: u16, synthetic: Option<&Synthetic>) -> Result<PathBuf> {
        let (suffix, clinical, count) = database.of(self.arguments);
        let folder = self.arguments.output.join(format!("Dataset{id:03}_{}{suffix}", self.arguments.name));
        if folder.exists() {
            return Err(Error::refused(
                format!("`{}` is there already", folder.display()),
                "choose another number with `--first-id`, or remove it",
            ));
        }
        for name in ["imagesTr", "labelsTr", "imagesTs", "labelsTs"] {
            let folder = folder.join(name);
            std::fs::create_dir_all(&folder).map_err(|error| Error::write(&folder, error))?;
        }
        let (mut train, mut validation, mut ignored) = (Vec::new(), Vec::new(), false);
        for (done, entry) in self.labelled.iter().enumerate() {
            self.progress.step("writing cases", done as u64, self.labelled.len() as u64)?;
            match self.parts.get(&entry.case) {
                Some(Part::Test) => ignored |= self.case(entry, &folder, "Ts")?,
                Some(Part::Validation) => {
                    ignored |= self.case(entry, &folder, "Tr")?;
                    validation.push(entry.case.clone());
                }
                Some(Part::Train) if clinical => {
                    ignored |= self.case(entry, &folder, "Tr")?;
                    train.push(entry.case.clone());
                }
                _ => {}
            }
        }
        let mut on_disk = train.len() + validation.len();
        if let Some(synthetic) = synthetic {
            for (done, name) in synthetic.names.iter().take(count).enumerate() {
                self.progress.step("linking synthetic cases", done as u64, count as u64)?;
                let channels = 1 + usize::from(self.with_adc);
                on_disk += usize::from(synthetic.link(name, channels, &folder)?);
                train.push(name.clone());
            }
            if on_disk < train.len() + validation.len() {
                synthetic.hand_over(&folder)?;
            }
        }
        let splits = json!([{ "train": train, "val": validation }]);
        write_json(&folder.join("splits_final.json"), &splits)?;
        let mut labels = serde_json::Map::from_iter([
            ("background".to_owned(), json!(0)),
            (self.arguments.label.clone(), json!(1)),
        ]);
        if ignored {
            labels.insert("ignore".to_owned(), json!(2));
        }
        let channels = if self.with_adc { json!({"0": "DWI", "1": "ADC"}) } else { json!({"0": "DWI"}) };
        let value = json!({
            "channel_names": channels,
            "labels": labels,
            // nnU-Net counts the files.
            "numTraining": on_disk,
            "file_ending": ".nii.gz",
            "name": self.arguments.name,
            "description": format!("{suffix}: {} training cases, {count} of them synthetic", train.len()),
            "splits_sha256": self.splits.sha256,
            "made_by": format!("Vesalius {}", env!("CARGO_PKG_VERSION")),
        });
        write_json(&folder.join("dataset.json"), &value)?;
        Ok(folder)
    }

    /// Writes a clinical case on the grid of its first channel; returns whether a part of it is to be ignored.
    fn case(&self, entry: &Entry, folder: &Path, part: &str) -> Result<bool> {
        let read = |path: &Path| -> Result<Volume> {
            Ok(formats::read(path, &ReadOptions::default(), &Progress::silent())?.volume)
        };
        let labels = |path: &Path| -> Result<LabelMap> {
            Ok(formats::read_segmentation(path, &ReadOptions::default(), &Progress::silent())?.labels)
        };
        let dwi = read(&entry.dwi)?;
        let mut channels = Vec::new();
        if let Some(path) = entry.adc.as_deref().filter(|_| self.with_adc) {
            let adc = read(path)?;
            if adc.grid.matches(&dwi.grid, 1e-3) {
                channels.push(adc);
            } else {
                self.context
                    .display
                    .warning(&format!("ADC of `{}` was resampled onto the grid of its DWI", entry.case));
                channels.push(adc.onto(&dwi.grid, Interpolation::Linear, 0.0));
            }
        }
        let Some(mask) = &entry.mask else { return Ok(false) };
        let mut label = labels(mask)?;
        let other_grid = |what: &str| {
            Error::refused(
                format!("the {what} of `{}` lies on another grid than its image", entry.case),
                "labels are never resampled here; bring them onto the image's grid first",
            )
        };
        if !label.grid.matches(&dwi.grid, 1e-3) {
            return Err(other_grid("mask"));
        }
        if let Some(found) = label.labels.iter().find(|&&label| label > 1) {
            return Err(Error::refused(
                format!("the mask of `{}` holds the value {found}", entry.case),
                "only 0 and 1 were expected; what is not reviewed goes into the column `reviewed`",
            ));
        }
        if let Some(path) = &entry.reviewed {
            let reviewed = labels(path)?;
            if !reviewed.grid.matches(&dwi.grid, 1e-3) {
                return Err(other_grid("review mask"));
            }
            let mut translate = [0; 256];
            translate[0] = 2;
            label.paint(&reviewed, &translate);
        }
        channels.insert(0, dwi);
        let (quiet, source) = (Progress::silent(), Source::Memory { modality: Some("MR".to_owned()) });
        for (channel, volume) in channels.iter().enumerate() {
            let path =
                folder.join(format!("images{part}")).join(format!("{}_{channel:04}.nii.gz", entry.case));
            formats::write_volume(&path, volume, Sample::F32, &source, &quiet)?;
        }
        let path = folder.join(format!("labels{part}")).join(format!("{}.nii.gz", entry.case));
        let segmentation = Segmentation { labels: label, segments: Vec::new() };
        formats::write_segmentation(&path, &segmentation, &source, &quiet)?;
        Ok(entry.reviewed.is_some())
    }
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Error::Output(error.into()))?;
    std::fs::write(path, text).map_err(|error| Error::write(path, error))
}
