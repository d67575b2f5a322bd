//! What users have corrected and accepted, as a raw data set on which nnU-Net can go on training.
//!
//! A case may be used as soon as one of its structures is accepted: the others are nnU-Net's `ignore` there, so that
//! nothing is learnt from what nobody has looked at.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use correction::{Delta, Status};
use formats::{Sample, Source};
use imaging::{LabelMap, Progress, Segment, Segmentation};
use serde_json::{Map, Value, json};

use crate::cli::Context;
use crate::server::stored::{self, Stored};
use crate::{Error, Result, interrupt, output};

/// Folds of nnU-Net's cross-validation.
const FOLDS: u8 = 5;
/// Digits of a session's name that name its case.
const DIGITS: usize = 12;

/// What to write.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// nnU-Net's folder of raw data sets
    #[arg(short, long, value_name = "DIR", env = "nnUNet_raw")]
    output: PathBuf,
    /// Number of the data set
    #[arg(long, default_value_t = 601)]
    id: u16,
    /// Name of the data set
    #[arg(long, default_value = "Corrections")]
    name: String,
    /// Structures to learn, by name; all that were accepted somewhere when left out
    #[arg(long, value_name = "NAME", num_args = 1..)]
    structure: Vec<String>,
    /// What the images are, as nnU-Net's `channel_names` say it: CT has a normalisation of its own
    #[arg(long, value_name = "NAME", default_value = "CT")]
    channel: String,
}

/// Writes the data set; its folder is the answer.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let progress = context.display.progress();
    interrupt::watch(&progress);
    let mut cases: Vec<Found> = Vec::new();
    let folders = stored::folders(&context.home)?;
    for (done, folder) in folders.iter().enumerate() {
        progress.step("reading sessions", done as u64, folders.len() as u64)?;
        let stored = stored::read(folder, &progress)?;
        let accepted = accepted(&stored);
        if !accepted.is_empty() {
            cases.push(Found { began: stored.created, folder: folder.clone(), accepted });
        }
    }
    // In the order in which they were corrected: who learns from them in turn sees them as they came.
    cases.sort_by(|a, b| (a.began, &a.folder).cmp(&(b.began, &b.folder)));
    let structures = structures(arguments, &cases)?;
    cases.retain(|case| structures.iter().any(|name| case.accepted.contains(name)));
    if cases.is_empty() {
        return Err(Error::refused(
            "no structure of any session is accepted",
            "say in the viewer that a structure is right, then export",
        ));
    }
    let folder = arguments.output.join(format!("Dataset{:03}_{}", arguments.id, arguments.name));
    if folder.exists() {
        let message = format!("`{}` is there already", folder.display());
        return Err(Error::refused(message, "choose another number with `--id`, or remove it"));
    }
    for name in ["imagesTr", "labelsTr", "automaticTr"] {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).map_err(|error| Error::write(&folder, error))?;
    }
    let mut set = Set { arguments, structures, folder, ignored: false, lines: Vec::new(), folds: Vec::new() };
    for (done, case) in cases.iter().enumerate() {
        progress.step("writing cases", done as u64, cases.len() as u64)?;
        set.add(&stored::read(&case.folder, &progress)?, &progress)?;
    }
    set.finish()?;
    context.display.clear();
    output::line(&set.folder.display().to_string())
}

/// A session with something accepted.
struct Found {
    began: Duration,
    folder: PathBuf,
    accepted: BTreeSet<String>,
}

/// Names of the structures that were found right.
fn accepted(stored: &Stored) -> BTreeSet<String> {
    let is_right = |segment: &&Segment| stored.session.status(segment.value) == Status::Accepted;
    stored.segments.iter().filter(is_right).map(|segment| segment.name.clone()).collect()
}

/// The structures of the data set, in the order of their names: label 1 is the first.
fn structures(arguments: &Arguments, cases: &[Found]) -> Result<Vec<String>> {
    let all: BTreeSet<String> = cases.iter().flat_map(|case| case.accepted.iter().cloned()).collect();
    if let Some(name) = arguments.structure.iter().find(|name| !all.contains(*name)) {
        let known: Vec<&str> = all.iter().map(String::as_str).collect();
        return Err(Error::refused(
            format!("`{name}` is accepted in no session"),
            format!("accepted are: {}", known.join(", ")),
        ));
    }
    let wanted = |name: &String| arguments.structure.is_empty() || arguments.structure.contains(name);
    let names: Vec<String> = all.into_iter().filter(wanted).collect();
    // One more label says what to ignore.
    if names.len() > 254 {
        let message = format!("{} structures are accepted, nnU-Net's label maps hold 254", names.len());
        return Err(Error::refused(message, "choose some with `--structure`"));
    }
    Ok(names)
}

/// A data set in the making.
struct Set<'a> {
    arguments: &'a Arguments,
    structures: Vec<String>,
    folder: PathBuf,
    /// Whether anything is to be ignored anywhere.
    ignored: bool,
    /// Of `corrections.jsonl`.
    lines: Vec<Value>,
    /// Each case and the fold in which it is held out.
    folds: Vec<(String, u8)>,
}

impl Set<'_> {
    /// The label of a structure in the data set.
    fn label(&self, name: &str) -> u8 {
        self.structures.iter().zip(1..).find(|(known, _)| *known == name).map_or(0, |(_, label)| label)
    }

    /// The label of what is to be ignored: the highest.
    fn ignore(&self) -> u8 {
        self.structures.len() as u8 + 1
    }

    /// Writes a case.
    fn add(&mut self, stored: &Stored, progress: &Progress) -> Result<()> {
        let case = format!("case_{}", stored.id.chars().take(DIGITS).collect::<String>());
        let unknown = |name: &&String| !stored.segments.iter().any(|segment| segment.name == **name);
        if let Some(name) = self.structures.iter().find(unknown) {
            return Err(Error::refused(
                format!("`{name}` was never looked for in session {}", stored.id),
                "export structures of one task at a time: name them with `--structure`",
            ));
        }
        let (mut corrected, mut automatic) = ([0; 256], [0; 256]);
        for segment in &stored.segments {
            let label = self.label(&segment.name);
            let is_right = stored.session.status(segment.value) == Status::Accepted;
            automatic[usize::from(segment.value)] = label;
            corrected[usize::from(segment.value)] =
                if label == 0 || is_right { label } else { self.ignore() };
            self.ignored |= label != 0 && !is_right;
        }
        let session = &stored.session;
        let source = Source::Memory { modality: None };
        let image = self.folder.join("imagesTr").join(format!("{case}_0000.nii.gz"));
        formats::write_volume(&image, session.image().volume(), Sample::F32, &source, progress)?;
        for (folder, labels, translate) in
            [("labelsTr", session.labels(), corrected), ("automaticTr", &stored.start, automatic)]
        {
            let mut labels: LabelMap = labels.clone();
            labels.translate(&translate);
            let path = self.folder.join(folder).join(format!("{case}.nii.gz"));
            let segmentation = Segmentation { labels, segments: Vec::new() };
            formats::write_segmentation(&path, &segmentation, &source, progress)?;
        }
        let changes = Delta::between(stored.start.labels.view(), session.labels().labels.view());
        let changes = changes.map(|delta| delta.changes()).unwrap_or_default();
        let lines: Vec<Value> =
            self.structures.iter().map(|name| self.line(&case, stored, &changes, name)).collect();
        self.lines.extend(lines);
        self.folds.push((case, stored.patient[0] % FOLDS));
        Ok(())
    }

    /// What a structure of a case has cost, and what became of it.
    fn line(&self, case: &str, stored: &Stored, changes: &[((u8, u8), u64)], name: &str) -> Value {
        let session = &stored.session;
        let segment = stored.segments.iter().find(|segment| segment.name == *name);
        let value = segment.map_or(0, |segment| segment.value);
        let called = |value: u8| {
            let segment = stored.segments.iter().find(|segment| segment.value == value);
            segment.map_or("background", |segment| segment.name.as_str())
        };
        let effort = session.efforts().get(&value).cloned().unwrap_or_default();
        let about = |((from, to), _): &&((u8, u8), u64)| *from == value || *to == value;
        let changed: Vec<Value> = changes
            .iter()
            .filter(about)
            .map(|&((from, to), voxels)| json!({ "from": called(from), "to": called(to), "voxels": voxels }))
            .collect();
        let lost: u64 = changes.iter().filter(|((from, _), _)| *from == value).map(|(_, n)| n).sum();
        let [before, after] = [stored.start.counts(), *session.counts()].map(|n| n[usize::from(value)]);
        let dice = 2.0 * (before - lost) as f64 / (before + after).max(1) as f64;
        json!({
            "case": case,
            "structure": name,
            "label": self.label(name),
            "status": session.status(value),
            "seconds": effort.seconds,
            "clicks": effort.clicks,
            "undos": effort.undos,
            "changed": changed,
            "automatic_voxels": before,
            "corrected_voxels": after,
            "dice_of_automatic": dice,
            "voxel_ml": session.labels().grid.determinant().abs() / 1000.0,
            "revision": session.revision(),
            "created": stored.created.as_secs(),
            "models": stored.provenance["models"],
            "version": stored.provenance["version"],
        })
    }

    /// Writes what is about all cases. `dataset.json` comes last, so that it says the folder is whole.
    fn finish(&self) -> Result<()> {
        let path = self.folder.join("corrections.jsonl");
        let lines = self.lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        write(&path, lines.as_bytes())?;
        let folds: Vec<Value> = (0..FOLDS)
            .map(|fold| {
                let part = |is_held_out: bool| -> Vec<&String> {
                    let wanted = self.folds.iter().filter(|(_, of)| (*of == fold) == is_held_out);
                    wanted.map(|(case, _)| case).collect()
                };
                json!({ "train": part(false), "val": part(true) })
            })
            .collect();
        write_json(&self.folder.join("splits_final.json"), &json!(folds))?;
        let mut labels = Map::from_iter([("background".to_owned(), json!(0))]);
        labels.extend(self.structures.iter().map(|name| (name.clone(), json!(self.label(name)))));
        if self.ignored {
            labels.insert("ignore".to_owned(), json!(self.ignore()));
        }
        let value = json!({
            "channel_names": { "0": self.arguments.channel },
            "labels": labels,
            "numTraining": self.folds.len(),
            "file_ending": ".nii.gz",
            "name": self.arguments.name,
            "description": "corrected and accepted in a viewer; what nobody has looked at is to be ignored",
            "made_by": format!("Vesalius {}", env!("CARGO_PKG_VERSION")),
        });
        write_json(&self.folder.join("dataset.json"), &value)
    }
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Error::Output(error.into()))?;
    write(path, text.as_bytes())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let file = std::fs::File::create(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(|error| Error::write(path, error))
}
