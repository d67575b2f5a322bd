//! A `.pth` checkpoint of nnU-Net: a zip archive of a pickle, which says what the tensors are, and of raw storages.
//!
//! Only the storages that the network needs are read; optimiser state and training log never enter memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use imaging::Progress;

use crate::archive::{self, Archive, Entry};
use crate::error::{Error, Result};
use crate::layers::{Parameter, parameters, unused_heads};
use crate::pickle::Pickle;
use crate::plan::Plan;
use crate::value::{Scalar, Tensor as View, Value};
use crate::weights::{Tensor, Weights};

/// Most bytes of `data.pkl`; 4000 epochs of 117 classes are 32 MB of training log.
const PICKLE_LIMIT: u64 = 128 << 20;
/// Most weights of a checkpoint, aliases counted.
const NAME_LIMIT: usize = 20_000;

/// A checkpoint whose directory was read and checked; its weights still lie in the file.
#[derive(Debug)]
pub struct Checkpoint<R = File> {
    reader: R,
    path: PathBuf,
    archive: Archive,
    /// By name without aliases; more than one when aliases were stored.
    views: BTreeMap<String, Vec<View>>,
    /// Storages of several tensors whose checksum was found right.
    verified: BTreeSet<String>,
    /// Class name of the trainer, as a label.
    pub trainer: Option<String>,
    /// `3d_fullres`.
    pub configuration: Option<String>,
    /// Kinds of objects that were skipped, as `module.name`.
    pub skipped: Vec<String>,
}

impl Checkpoint<File> {
    /// Opens a file that `torch.save` wrote (PyTorch 1.6 or later).
    ///
    /// # Errors
    ///
    /// [`Error::Read`], [`Error::LegacyCheckpoint`], [`Error::Container`], [`Error::Entry`], [`Error::Pickle`],
    /// [`Error::Dangerous`], [`Error::Tensor`], [`Error::TooLarge`].
    pub fn open(path: &Path) -> Result<Checkpoint> {
        Checkpoint::new(File::open(path).map_err(Error::read(path))?, path)
    }
}

impl<R: Read + Seek> Checkpoint<R> {
    /// As [`Checkpoint::open`], from anything; `path` is for messages.
    ///
    /// # Errors
    ///
    /// As [`Checkpoint::open`].
    pub fn new(mut reader: R, path: &Path) -> Result<Checkpoint<R>> {
        let archive = archive::read(&mut reader, path)?;
        let mut checkpoint = Checkpoint {
            reader,
            path: path.to_path_buf(),
            archive,
            views: BTreeMap::new(),
            verified: BTreeSet::new(),
            trainer: None,
            configuration: None,
            skipped: Vec::new(),
        };
        // Files of PyTorch before 2.1 do not say and are little-endian.
        if checkpoint.archive.contains_key("byteorder") && checkpoint.small("byteorder", 16)? != b"little" {
            return Err(Error::entry("byteorder", "is not `little`"));
        }
        let bytes = checkpoint.small("data.pkl", PICKLE_LIMIT)?;
        let pickle = Pickle::read(&bytes)?;
        drop(bytes);
        checkpoint.describe(&pickle)?;
        checkpoint.skipped = pickle.unknown;
        Ok(checkpoint)
    }

    fn describe(&mut self, pickle: &Pickle) -> Result<()> {
        let root = pickle.root();
        let text = |value: Option<&Value>| match value {
            Some(Value::Text(text)) => Some(crate::error::shortened(text)),
            _ => None,
        };
        self.trainer = text(pickle.get(root, "trainer_name"));
        self.configuration =
            pickle.get(root, "init_args").and_then(|arguments| text(pickle.get(arguments, "configuration")));
        let missing = || Error::Container { problem: "its pickle has no `network_weights`" };
        let weights = pickle.get(root, "network_weights").ok_or_else(missing)?;
        let mut seen = BTreeSet::new();
        for (key, value) in pickle.pairs(weights).ok_or_else(missing)? {
            let Value::Text(name) = key else {
                return Err(Error::tensor("?", "has a name that is not text"));
            };
            if !seen.insert(name) {
                return Err(Error::tensor(name, "is there twice"));
            }
            if seen.len() > NAME_LIMIT {
                let found = seen.len() as u64;
                let limit = NAME_LIMIT as u64;
                return Err(Error::TooLarge {
                    what: "`network_weights`".into(),
                    unit: "entries",
                    found,
                    limit,
                });
            }
            let Value::Tensor(view) = value else {
                return Err(Error::tensor(name, "is not a tensor of a known kind"));
            };
            self.views.entry(canonical(name)).or_default().push((**view).clone());
        }
        Ok(())
    }

    /// Reads the weights that the plan's network uses, as f32, whatever precision they were stored in.
    ///
    /// Memory is that of the weights plus the largest of them.
    ///
    /// # Errors
    ///
    /// [`Error::MissingWeight`], [`Error::UnexpectedWeight`], [`Error::Shape`] when plan and checkpoint are not of
    /// one training; [`Error::Tensor`], [`Error::Entry`], [`Error::NotFinite`] for damaged files;
    /// [`Error::Cancelled`].
    pub fn weights(&mut self, plan: &Plan, progress: &Progress) -> Result<Weights> {
        plan.check()?;
        let outputs = plan.outputs.channels();
        let wanted = parameters(plan);
        let unused = unused_heads(&plan.architecture, outputs);
        self.compare(&wanted, &unused)?;
        let mut weights = Weights::new();
        for (done, parameter) in wanted.iter().enumerate() {
            progress.step("reading weights", done as u64, wanted.len() as u64)?;
            weights.insert(parameter.name.clone(), self.tensor(parameter)?);
        }
        Ok(weights)
    }

    /// Names and shapes must be exactly the plan's, and the weights no more than the file can hold.
    fn compare(&self, wanted: &[Parameter], unused: &[Parameter]) -> Result<()> {
        let mut known: BTreeMap<&str, &Parameter> = BTreeMap::new();
        known.extend(wanted.iter().chain(unused).map(|parameter| (parameter.name.as_str(), parameter)));
        for (name, views) in &self.views {
            let parameter =
                known.get(name.as_str()).ok_or_else(|| Error::UnexpectedWeight { name: name.clone() })?;
            for view in views {
                let equal = view.shape.len() == parameter.shape.len()
                    && view
                        .shape
                        .iter()
                        .zip(&parameter.shape)
                        .all(|(found, wanted)| *found == *wanted as u64);
                if !equal {
                    let (name, found) = (name.clone(), view.shape.clone());
                    return Err(Error::Shape { name, found, expected: parameter.shape.clone() });
                }
            }
        }
        let mut total = 0u64;
        for parameter in wanted {
            let Some(view) = self.views.get(&parameter.name).and_then(|views| views.first()) else {
                return Err(Error::MissingWeight { name: parameter.name.clone() });
            };
            total = total.saturating_add(checked(&parameter.name, view)?.bytes);
        }
        let stored: u64 = self.archive.values().map(|entry| entry.bytes).sum();
        if total > stored {
            return Err(Error::Container { problem: "its weights are larger than its storages" });
        }
        Ok(())
    }

    fn tensor(&mut self, parameter: &Parameter) -> Result<Tensor> {
        let name = &parameter.name;
        let views = self.views.get(name).cloned().unwrap_or_default();
        let mut values: Option<Vec<f32>> = None;
        for (index, view) in views.iter().enumerate() {
            if views[..index].contains(view) {
                continue;
            }
            let read = self.values(name, view)?;
            // PyTorch would load all of them, one over the other.
            if values.as_ref().is_some_and(|first| *first != read) {
                return Err(Error::tensor(name, "differs from its alias"));
            }
            values = Some(read);
        }
        let values = values.ok_or_else(|| Error::MissingWeight { name: name.clone() })?;
        if !values.iter().all(|value| value.is_finite()) {
            return Err(Error::NotFinite { name: name.clone() });
        }
        Ok(Tensor { shape: parameter.shape.clone(), values })
    }

    fn values(&mut self, name: &str, view: &View) -> Result<Vec<f32>> {
        let range = checked(name, view)?;
        let key = format!("data/{}", view.storage.key);
        let entry = self
            .archive
            .get(&key)
            .cloned()
            .ok_or_else(|| Error::entry(&key, "is missing from the archive"))?;
        if Some(entry.bytes) != view.storage.count.checked_mul(range.size) {
            return Err(Error::entry(&key, "has another length than the pickle says"));
        }
        let bytes = if range.bytes == entry.bytes {
            self.entry(&key, &entry)?
        } else {
            self.part(&key, &entry, view.offset * range.size, range.bytes)?
        };
        let all = decoded(view.storage.scalar, &bytes);
        Ok(if range.contiguous { all } else { gathered(&all, view) })
    }

    /// Some bytes of an entry; the checksum of the whole is verified once, so that many views of one storage cost
    /// no more than the file.
    fn part(&mut self, name: &str, entry: &Entry, start: u64, count: u64) -> Result<Vec<u8>> {
        if !self.verified.contains(name) {
            let mut checksum = flate2::Crc::new();
            let mut chunk = vec![0; 64 << 10];
            self.reader.seek(SeekFrom::Start(entry.start)).map_err(Error::read(&self.path))?;
            let mut reader = self.reader.by_ref().take(entry.bytes);
            loop {
                match reader.read(&mut chunk).map_err(Error::read(&self.path))? {
                    0 => break,
                    read => checksum.update(&chunk[..read]),
                }
            }
            if checksum.sum() != entry.checksum {
                return Err(Error::entry(name, "is damaged: its checksum does not fit"));
            }
            self.verified.insert(name.to_owned());
        }
        self.reader.seek(SeekFrom::Start(entry.start + start)).map_err(Error::read(&self.path))?;
        let mut bytes = Vec::new();
        self.reader.by_ref().take(count).read_to_end(&mut bytes).map_err(Error::read(&self.path))?;
        Ok(bytes)
    }

    fn small(&mut self, name: &str, limit: u64) -> Result<Vec<u8>> {
        let entry = self
            .archive
            .get(name)
            .cloned()
            .ok_or_else(|| Error::entry(name, "is missing from the archive"))?;
        if entry.bytes > limit {
            return Err(Error::TooLarge {
                what: format!("archive entry `{name}`"),
                unit: "bytes",
                found: entry.bytes,
                limit,
            });
        }
        self.entry(name, &entry)
    }

    /// The bytes of an entry, whose length the file was found to cover; its checksum must fit.
    fn entry(&mut self, name: &str, entry: &Entry) -> Result<Vec<u8>> {
        self.reader.seek(SeekFrom::Start(entry.start)).map_err(Error::read(&self.path))?;
        let mut bytes = Vec::with_capacity(usize::try_from(entry.bytes).unwrap_or(0));
        self.reader.by_ref().take(entry.bytes).read_to_end(&mut bytes).map_err(Error::read(&self.path))?;
        let mut checksum = flate2::Crc::new();
        checksum.update(&bytes);
        if bytes.len() as u64 != entry.bytes || checksum.sum() != entry.checksum {
            return Err(Error::entry(name, "is damaged: its checksum does not fit"));
        }
        Ok(bytes)
    }
}

/// The one name under which a weight is kept.
///
/// `ConvDropoutNormReLU` registers its parts twice, the decoder registers the encoder again, and wrappers for several
/// GPUs or compilation put their name in front.
fn canonical(name: &str) -> String {
    let mut name = name;
    while let Some(rest) = name.strip_prefix("module.").or_else(|| name.strip_prefix("_orig_mod.")) {
        name = rest;
    }
    let name = name
        .strip_prefix("decoder.encoder.")
        .map_or_else(|| name.to_owned(), |rest| format!("encoder.{rest}"));
    // The norm stands second, or third behind dropout.
    name.replace(".all_modules.0.", ".conv.")
        .replace(".all_modules.1.", ".norm.")
        .replace(".all_modules.2.", ".norm.")
}

/// What of a storage a tensor covers.
struct Range {
    /// Bytes of one element.
    size: u64,
    /// Bytes of all elements.
    bytes: u64,
    /// Whether the elements lie in C order without gaps.
    contiguous: bool,
}

/// Checks that a tensor lies within its storage and does not expand it (CVE-2026-24747 was a storage that lied).
fn checked(name: &str, view: &View) -> Result<Range> {
    let outside = || Error::tensor(name, "lies outside its storage");
    let size = view
        .storage
        .scalar
        .size()
        .ok_or_else(|| Error::tensor(name, "is of whole numbers, expected floating point"))?;
    let count = view
        .shape
        .iter()
        .try_fold(1u64, |product, length| product.checked_mul(*length))
        .filter(|count| (1..=view.storage.count).contains(count))
        .ok_or_else(outside)?;
    let mut last = view.offset;
    let mut contiguous = true;
    let mut step = 1;
    for (&length, &stride) in view.shape.iter().zip(&view.strides).rev() {
        let reach = (length - 1).checked_mul(stride).ok_or_else(outside)?;
        last = last.checked_add(reach).ok_or_else(outside)?;
        contiguous &= length == 1 || stride == step;
        step *= length;
    }
    if last >= view.storage.count {
        return Err(outside());
    }
    // State dictionaries hold whole tensors, at most with their axes in another order.
    if last - view.offset + 1 != count {
        return Err(Error::tensor(name, "skips or repeats elements of its storage"));
    }
    let bytes = count.checked_mul(size).ok_or_else(outside)?;
    Ok(Range { size, bytes, contiguous })
}

/// The elements as f32; f64 is rounded to the nearest.
fn decoded(scalar: Scalar, bytes: &[u8]) -> Vec<f32> {
    fn each<const N: usize>(bytes: &[u8], decode: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes.as_chunks::<N>().0.iter().map(|chunk| decode(*chunk)).collect()
    }
    match scalar {
        Scalar::F32 => each(bytes, f32::from_le_bytes),
        Scalar::F16 => each(bytes, |chunk| f16::from_le_bytes(chunk).to_f32()),
        Scalar::BF16 => each(bytes, |chunk| bf16::from_le_bytes(chunk).to_f32()),
        #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is what is asked for")]
        Scalar::F64 => each(bytes, |chunk| f64::from_le_bytes(chunk) as f32),
        Scalar::Other => Vec::new(),
    }
}

/// The elements of a view in C order; `all` are those from its first to its last.
fn gathered(all: &[f32], view: &View) -> Vec<f32> {
    let count: u64 = view.shape.iter().product();
    let mut index = vec![0u64; view.shape.len()];
    let mut values = Vec::new();
    for _ in 0..count {
        let offset: u64 = index.iter().zip(&view.strides).map(|(index, stride)| index * stride).sum();
        values.push(
            usize::try_from(offset).ok().and_then(|offset| all.get(offset)).copied().unwrap_or(f32::NAN),
        );
        for (position, length) in index.iter_mut().zip(&view.shape).rev() {
            *position += 1;
            if *position < *length {
                break;
            }
            *position = 0;
        }
    }
    values
}

#[cfg(test)]
mod tests;
