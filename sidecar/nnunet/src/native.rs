//! Our own model file: one file that holds the plan, the weights of all folds and where they are from. It is read
//! in one pass, from disk or from bytes inside the program, and there is nothing in it to interpret.
//!
//! # Layout
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `VESALIUS` |
//! | 8 | length of the header, little-endian |
//! | 32 | SHA-256 of the header |
//! | … | header: JSON, see [`Header`] |
//! | 0 to 63 | zeros up to a multiple of 64 bytes of the file |
//! | … | tensors in the header's order, each followed by zeros up to a multiple of 64 bytes |
//!
//! A tensor is f32 or f16, little-endian, C order. Nothing overlaps, nothing is left over, each fold has its hash.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use half::f16;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::layers::{Parameter, parameters};
use crate::plan::Plan;
use crate::weights::{Fold, Model, Source, Tensor, Weights};

/// First bytes of every model file.
pub const MAGIC: [u8; 8] = *b"VESALIUS";
/// Version of the layout that this program writes, the only one that it reads.
const FORMAT: u32 = 1;
/// Largest header; 117 labels and 700 tensors in 5 folds are 0.5 MB.
const HEADER_LIMIT: u64 = 8 << 20;
const FOLD_LIMIT: usize = 64;
const ALIGNMENT: u64 = 64;

/// How weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Without loss: f16 where every value of a tensor is exact in it, f32 otherwise.
    #[default]
    Exact,
    /// Rounded to f16 wherever that stays finite: half the size, scores change by about 1e-3.
    Half,
}

/// Everything of a model but its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    format: u32,
    /// What the model expects and gives.
    pub plan: Plan,
    /// Where it is from.
    pub source: Source,
    folds: Vec<FoldHeader>,
}

impl Header {
    /// Names of the folds, in order.
    pub fn folds(&self) -> impl Iterator<Item = &str> {
        self.folds.iter().map(|fold| fold.name.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FoldHeader {
    name: String,
    /// Of the fold's tensors with the zeros between them.
    sha256: String,
    tensors: Vec<TensorHeader>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TensorHeader {
    name: String,
    element: Element,
    shape: Vec<usize>,
    /// Bytes after the padded header.
    offset: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Element {
    F32,
    F16,
}

/// Writes a model to `path`, whole or not at all: the file appears under its name when it is complete.
///
/// # Errors
///
/// [`Error::Write`]; [`Error::MissingWeight`] or [`Error::Shape`] when the weights are not the plan's.
pub fn save(model: &Model, path: &Path, precision: Precision) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = tempfile::NamedTempFile::new_in(folder).map_err(Error::write(path))?;
    let mut writer = BufWriter::new(&file);
    write(model, precision, &mut writer, path)?;
    writer.flush().map_err(Error::write(path))?;
    drop(writer);
    file.as_file().sync_all().map_err(Error::write(path))?;
    file.persist(path).map_err(|failed| Error::Write { path: path.to_path_buf(), source: failed.error })?;
    Ok(())
}

fn write(model: &Model, precision: Precision, writer: &mut impl Write, path: &Path) -> Result<()> {
    model.plan.check()?;
    let parameters = sorted(&model.plan);
    let mut offset = 0;
    let mut folds = Vec::new();
    for fold in &model.folds {
        folds.push(describe_fold(fold, &parameters, precision, &mut offset)?);
    }
    let header = Header { format: FORMAT, plan: model.plan.clone(), source: model.source.clone(), folds };
    let json = serde_json::to_vec(&header).map_err(|source| Error::Json { file: "header", source })?;
    let start = MAGIC.len() + 8 + 32 + json.len();
    let mut head = MAGIC.to_vec();
    head.extend((json.len() as u64).to_le_bytes());
    head.extend(Sha256::digest(&json));
    head.extend(json);
    head.resize(start + padding(start as u64), 0);
    writer.write_all(&head).map_err(Error::write(path))?;
    for (fold, described) in model.folds.iter().zip(&header.folds) {
        let put = |bytes: &[u8]| writer.write_all(bytes);
        each_piece(fold, described, put).map_err(Error::write(path))?;
    }
    Ok(())
}

fn describe_fold(
    fold: &Fold,
    parameters: &[Parameter],
    precision: Precision,
    offset: &mut u64,
) -> Result<FoldHeader> {
    let mut tensors = Vec::new();
    for Parameter { name, shape } in parameters {
        let tensor = fold.weights.get(name).ok_or_else(|| Error::MissingWeight { name: name.clone() })?;
        if tensor.shape != *shape || tensor.values.len() != shape.iter().product::<usize>() {
            let found = tensor.shape.iter().map(|length| *length as u64).collect();
            return Err(Error::Shape { name: name.clone(), found, expected: shape.clone() });
        }
        let element = element(&tensor.values, precision);
        tensors.push(TensorHeader { name: name.clone(), element, shape: shape.clone(), offset: *offset });
        let length = tensor.values.len() as u64 * element.size();
        *offset += length + padding(length) as u64;
    }
    if let Some(name) = fold.weights.keys().find(|name| !parameters.iter().any(|known| known.name == **name))
    {
        return Err(Error::UnexpectedWeight { name: name.clone() });
    }
    let mut described = FoldHeader { name: fold.name.clone(), sha256: String::new(), tensors };
    let mut hash = Sha256::new();
    // Hashing cannot fail.
    let _ = each_piece(fold, &described, |bytes| {
        hash.update(bytes);
        Ok(())
    });
    described.sha256 = hexadecimal(&hash.finalize());
    Ok(described)
}

fn element(values: &[f32], precision: Precision) -> Element {
    let fits = |value: &f32| match precision {
        Precision::Exact => f16::from_f32(*value).to_f32().to_bits() == value.to_bits(),
        Precision::Half => f16::from_f32(*value).is_finite(),
    };
    if values.iter().all(fits) { Element::F16 } else { Element::F32 }
}

impl Element {
    fn size(self) -> u64 {
        match self {
            Element::F32 => 4,
            Element::F16 => 2,
        }
    }
}

/// Hands a fold's bytes to `take`, tensor by tensor, in pieces of a modest size.
fn each_piece(
    fold: &Fold,
    described: &FoldHeader,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut piece = Vec::new();
    for header in &described.tensors {
        let values =
            fold.weights.get(&header.name).map(|tensor| tensor.values.as_slice()).unwrap_or_default();
        for values in values.chunks(PIECE) {
            piece.clear();
            match header.element {
                Element::F32 => piece.extend(values.iter().flat_map(|value| value.to_le_bytes())),
                Element::F16 => {
                    piece.extend(values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()))
                }
            }
            take(&piece)?;
        }
        take(&[0; 64][..padding(values.len() as u64 * header.element.size())])?;
    }
    Ok(())
}

/// Values handled at a time.
const PIECE: usize = 16 << 10;

/// Zeros that bring `length` to a multiple of 64.
fn padding(length: u64) -> usize {
    usize::try_from(length.next_multiple_of(ALIGNMENT) - length).unwrap_or(0)
}

fn sorted(plan: &Plan) -> Vec<Parameter> {
    let mut parameters = parameters(plan);
    parameters.sort_by(|one, other| one.name.cmp(&other.name));
    parameters
}

/// Lower-case hexadecimal, as `sha256sum` prints it.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads what a model file says of itself, without its weights; quick.
///
/// # Errors
///
/// [`Error::Read`]; [`Error::Native`], [`Error::Corrupt`], [`Error::Json`] or [`Error::Field`] for anything that
/// [`save`] does not write.
pub fn describe(path: &Path) -> Result<Header> {
    let file = File::open(path).map_err(Error::read(path))?;
    read_header(&mut BufReader::new(file)).map_err(|failure| failure.at(path))
}

/// As [`describe`], of a model that is embedded in the program.
///
/// # Errors
///
/// As [`describe`].
pub fn describe_bytes(mut bytes: &[u8]) -> Result<Header> {
    read_header(&mut bytes).map_err(|failure| failure.at(Path::new("model")))
}

/// Reads a model file and verifies every hash in it.
///
/// # Errors
///
/// As [`describe`].
pub fn load(path: &Path) -> Result<Model> {
    let file = File::open(path).map_err(Error::read(path))?;
    read_model(&mut BufReader::with_capacity(1 << 20, file)).map_err(|failure| failure.at(path))
}

/// Reads the bytes of a model file, as `include_bytes!` embeds them.
///
/// # Errors
///
/// As [`describe`].
pub fn load_bytes(mut bytes: &[u8]) -> Result<Model> {
    read_model(&mut bytes).map_err(|failure| failure.at(Path::new("model")))
}

/// An error that may lack the name of its file.
enum Failure {
    Io(io::Error),
    Model(Error),
}

impl Failure {
    fn at(self, path: &Path) -> Error {
        match self {
            Failure::Io(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
                Error::Native { problem: "it is cut short" }
            }
            Failure::Io(source) => Error::Read { path: path.to_path_buf(), source },
            Failure::Model(error) => error,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Io(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Model(error)
    }
}

fn native(problem: &'static str) -> Failure {
    Failure::Model(Error::Native { problem })
}

fn read_header(reader: &mut impl Read) -> Result<Header, Failure> {
    let (mut magic, mut length, mut hash) = ([0; 8], [0; 8], [0; 32]);
    reader.read_exact(&mut magic)?;
    if magic != MAGIC {
        return Err(native("it does not begin with `VESALIUS`"));
    }
    reader.read_exact(&mut length)?;
    reader.read_exact(&mut hash)?;
    let found = u64::from_le_bytes(length);
    if found > HEADER_LIMIT {
        let what = "the header of the model file".to_owned();
        return Err(Failure::Model(Error::TooLarge { what, unit: "bytes", found, limit: HEADER_LIMIT }));
    }
    let mut json = Vec::new();
    reader.by_ref().take(found).read_to_end(&mut json)?;
    if (json.len() as u64) < found {
        return Err(native("it is cut short"));
    }
    verify("the header of the model file", &hexadecimal(&Sha256::digest(&json)), &hexadecimal(&hash))?;
    let header: Header = serde_json::from_slice(&json)
        .map_err(|source| Error::Json { file: "header of the model file", source })?;
    if header.format != FORMAT {
        return Err(native("it has another format version than 1: a newer program wrote it"));
    }
    header.plan.check()?;
    check_tensors(&header)?;
    skip_zeros(reader, padding(48 + found))?;
    Ok(header)
}

/// The tensors must be exactly the plan's, in order of their names, one behind the other.
fn check_tensors(header: &Header) -> Result<(), Failure> {
    if header.folds.is_empty() || header.folds.len() > FOLD_LIMIT {
        return Err(native("it holds no fold or more than 64"));
    }
    let parameters = sorted(&header.plan);
    let mut offset = 0u64;
    for fold in &header.folds {
        if fold.tensors.len() != parameters.len() {
            return Err(native("it holds other tensors than its plan needs"));
        }
        for (tensor, parameter) in fold.tensors.iter().zip(&parameters) {
            if tensor.name != parameter.name || tensor.shape != parameter.shape || tensor.offset != offset {
                return Err(native("a tensor is not where and what its plan needs"));
            }
            // Shapes are the plan's, whose limits keep this far from overflow.
            let length = tensor.shape.iter().product::<usize>() as u64 * tensor.element.size();
            offset += length + padding(length) as u64;
        }
    }
    Ok(())
}

fn verify(what: &str, found: &str, expected: &str) -> Result<(), Failure> {
    if found == expected {
        return Ok(());
    }
    let (what, found, expected) = (what.to_owned(), found.to_owned(), expected.to_owned());
    Err(Failure::Model(Error::Corrupt { what, found, expected }))
}

fn skip_zeros(reader: &mut impl Read, count: usize) -> Result<(), Failure> {
    let mut zeros = [0; ALIGNMENT as usize];
    reader.read_exact(&mut zeros[..count])?;
    if zeros == [0; ALIGNMENT as usize] { Ok(()) } else { Err(native("it hides bytes between its parts")) }
}

fn read_model(reader: &mut impl Read) -> Result<Model, Failure> {
    let header = read_header(reader)?;
    let mut folds = Vec::new();
    for described in &header.folds {
        let mut hashed = Hashed { reader, hash: Sha256::new() };
        let mut weights = Weights::new();
        for tensor in &described.tensors {
            let values = read_values(&mut hashed, tensor)?;
            if !values.iter().all(|value| value.is_finite()) {
                return Err(Failure::Model(Error::NotFinite { name: tensor.name.clone() }));
            }
            weights.insert(tensor.name.clone(), Tensor { shape: tensor.shape.clone(), values });
        }
        verify(&described.name, &hexadecimal(&hashed.hash.finalize()), &described.sha256)?;
        folds.push(Fold { name: described.name.clone(), weights });
    }
    if reader.read(&mut [0])? != 0 {
        return Err(native("it goes on behind its last tensor"));
    }
    Ok(Model { plan: header.plan, folds, source: header.source })
}

/// Hashes what passes through.
struct Hashed<'a, R> {
    reader: &'a mut R,
    hash: Sha256,
}

impl<R: Read> Read for Hashed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.hash.update(&buffer[..count]);
        Ok(count)
    }
}

/// Piece by piece, so that a short file never makes the program reserve what its header promises.
fn read_values(reader: &mut impl Read, tensor: &TensorHeader) -> Result<Vec<f32>, Failure> {
    let count: usize = tensor.shape.iter().product();
    let size = usize::try_from(tensor.element.size()).unwrap_or(4);
    let mut values = Vec::new();
    let mut bytes = Vec::new();
    while values.len() < count {
        let piece = PIECE.min(count - values.len());
        bytes.resize(piece * size, 0);
        reader.read_exact(&mut bytes)?;
        match tensor.element {
            Element::F32 => values.extend(bytes.as_chunks().0.iter().map(|chunk| f32::from_le_bytes(*chunk))),
            Element::F16 => {
                values.extend(bytes.as_chunks().0.iter().map(|chunk| f16::from_le_bytes(*chunk).to_f32()));
            }
        }
    }
    skip_zeros(reader, padding((count * size) as u64))?;
    Ok(values)
}

#[cfg(test)]
mod tests;
