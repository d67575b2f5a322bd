//! The lines before the voxels of a NRRD file: `field: value` and `key:=value`.

use std::collections::BTreeMap;

use imaging::Grid;

use crate::error::{Choice, Error, Result, Warning};
use crate::geometry::{check, flip_xy};
use crate::samples::Sample;
use crate::stream::Stream;
use crate::{Format, ReadOptions};

/// How every NRRD file begins.
pub(crate) const MAGIC: &[u8] = b"NRRD00";

/// Bytes of a header; 255 segments with terminology take about 150 KiB.
const MOST_BYTES: usize = 4 << 20;
/// More axes make no sense for an image.
const MOST_AXES: u64 = 16;

/// What the header of a NRRD file says.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Standard fields by lower-case name without blanks, such as `spacedirections`.
    pub fields: BTreeMap<String, String>,
    /// Key/value pairs, such as Slicer's `Segment0_Name`.
    pub pairs: BTreeMap<String, String>,
    /// DICOM's code of the modality, where a converter kept it.
    pub modality: Option<String>,
}

/// The axes of the array, fastest first.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axes {
    /// Lengths of the three axes of space.
    pub(crate) lengths: [u64; 3],
    /// Values that lie together at each voxel, from an axis before those of space.
    pub(crate) components: u64,
    /// Volumes one after the other, from axes behind those of space.
    pub(crate) volumes: u64,
    /// Columns of the matrix in the space of the file, if there are any.
    pub(crate) directions: Option<[[f64; 3]; 3]>,
}

fn invalid(detail: String) -> Error {
    Error::Parse { format: Format::Nrrd, detail }
}

impl Header {
    /// Reads up to and with the blank line that ends the header.
    pub(crate) fn read(stream: &mut Stream<'_>) -> Result<Header> {
        let magic = line(stream, MOST_BYTES)?;
        if !magic.starts_with("NRRD000") {
            return Err(invalid(format!(
                "the first line is `{}`, expected `NRRD000` and a digit",
                short(&magic)
            )));
        }
        let mut header = Header { fields: BTreeMap::new(), pairs: BTreeMap::new(), modality: None };
        loop {
            let left = MOST_BYTES.saturating_sub(stream.position as usize);
            let line = line(stream, left)?;
            if line.is_empty() {
                break;
            }
            if line.starts_with('#') {
                continue;
            }
            // A field's name holds no colon, so the first one decides.
            let (name, value) = line.split_once(':').ok_or_else(|| {
                invalid(format!("the line `{}` is neither a field nor a key", short(&line)))
            })?;
            match value.strip_prefix('=') {
                Some(value) => {
                    header.pairs.insert(unescape(name), unescape(value));
                }
                None => header.insert(name, value.trim())?,
            }
        }
        let modality = ["DICOM_0008_0060_Modality", "modality"].iter().find_map(|key| header.pairs.get(*key));
        header.modality = modality.cloned();
        Ok(header)
    }

    fn insert(&mut self, name: &str, value: &str) -> Result<()> {
        let name: String = name.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase();
        if name == "datafile" {
            let detail = "the header names another file for the voxels (`data file`)".to_owned();
            return Err(Error::UnsupportedType { detail });
        }
        match self.fields.insert(name.clone(), value.to_owned()) {
            Some(_) => Err(Error::Corrupt { detail: format!("the field `{}` stands twice", short(&name)) }),
            None => Ok(()),
        }
    }

    fn field(&self, name: &str) -> Result<&str> {
        let value = self.fields.get(name).map(String::as_str);
        value.ok_or_else(|| invalid(format!("the field `{name}` is missing")))
    }

    /// The type of the stored voxels.
    pub(crate) fn sample(&self) -> Result<Sample> {
        let name = self.field("type")?;
        Ok(match name.to_lowercase().as_str() {
            "signed char" | "int8" | "int8_t" => Sample::I8,
            "uchar" | "unsigned char" | "uint8" | "uint8_t" => Sample::U8,
            "short" | "short int" | "signed short" | "signed short int" | "int16" | "int16_t" => Sample::I16,
            "ushort" | "unsigned short" | "unsigned short int" | "uint16" | "uint16_t" => Sample::U16,
            "int" | "signed int" | "int32" | "int32_t" => Sample::I32,
            "uint" | "unsigned int" | "uint32" | "uint32_t" => Sample::U32,
            "longlong"
            | "long long"
            | "long long int"
            | "signed long long"
            | "signed long long int"
            | "int64"
            | "int64_t" => Sample::I64,
            "ulonglong" | "unsigned long long" | "unsigned long long int" | "uint64" | "uint64_t" => {
                Sample::U64
            }
            "float" => Sample::F32,
            "double" => Sample::F64,
            _ => {
                let detail = format!("NRRD `type` `{}`, expected a number type", short(name));
                return Err(Error::UnsupportedType { detail });
            }
        })
    }

    /// Whether voxels of more than one byte are big-endian.
    pub(crate) fn big_endian(&self, sample: Sample) -> Result<bool> {
        if sample.bytes() == 1 {
            return Ok(false);
        }
        match self.field("endian")? {
            "little" => Ok(false),
            "big" => Ok(true),
            other => Err(invalid(format!("`endian` is `{}`, expected `little` or `big`", short(other)))),
        }
    }

    /// Whether the voxels are packed with gzip.
    pub(crate) fn gzip(&self) -> Result<bool> {
        match self.field("encoding")?.to_lowercase().as_str() {
            "raw" => Ok(false),
            "gz" | "gzip" => Ok(true),
            other => {
                let detail = format!("NRRD `encoding` `{}`, expected `raw` or `gzip`", short(other));
                Err(Error::UnsupportedType { detail })
            }
        }
    }

    /// A whole number of a field that may be absent.
    pub(crate) fn integer(&self, name: &str) -> Result<i64> {
        let Some(value) = self.fields.get(name) else { return Ok(0) };
        value.parse().map_err(|_| invalid(format!("`{name}` is `{}`, expected a whole number", short(value))))
    }

    /// The axes, told apart by which have a direction in space.
    pub(crate) fn axes(&self) -> Result<Axes> {
        let dimension = self.integer("dimension")?;
        let sizes = self.field("sizes")?;
        let lengths: Option<Vec<u64>> = sizes.split_whitespace().map(|length| length.parse().ok()).collect();
        let lengths = lengths.filter(|lengths| !lengths.contains(&0)).ok_or_else(|| Error::Limit {
            what: "an axis that is no positive number",
            found: 0,
            most: u64::from(u32::MAX),
        })?;
        if lengths.len() as i64 != dimension || lengths.len() as u64 > MOST_AXES {
            let found = lengths.len();
            return Err(invalid(format!("`dimension` is {dimension}, but `sizes` holds {found} numbers")));
        }
        let directions = match self.fields.get("spacedirections") {
            Some(directions) => vectors(directions, lengths.len())?,
            None => vec![Some([0.0; 3]); lengths.len().min(3)]
                .into_iter()
                .chain(vec![None; lengths.len().saturating_sub(3)])
                .collect(),
        };
        let spatial: Vec<usize> = (0..lengths.len()).filter(|&axis| directions[axis].is_some()).collect();
        let &[i, j, k] = spatial.as_slice() else {
            let detail = format!("{} axes lie in space, expected 3", spatial.len());
            return Err(Error::NotThreeDimensional { detail, choices: Vec::new() });
        };
        if [j, k] != [i + 1, i + 2] {
            let detail = "an axis that is not of space lies between those that are".to_owned();
            return Err(Error::UnsupportedType { detail });
        }
        let product =
            |range: &[u64]| range.iter().try_fold(1u64, |product, &length| product.checked_mul(length));
        let most = u64::from(u32::MAX);
        let overflow = || Error::Limit { what: "values per voxel", found: u64::MAX, most };
        let given = self.fields.contains_key("spacedirections");
        let column = |axis: usize| directions[axis].unwrap_or_default();
        Ok(Axes {
            lengths: [lengths[i], lengths[j], lengths[k]],
            components: product(&lengths[..i]).ok_or_else(overflow)?,
            volumes: product(&lengths[k + 1..]).ok_or_else(overflow)?,
            directions: given.then(|| [column(i), column(j), column(k)]),
        })
    }

    /// The grid of `axes`, in LPS+ millimetres.
    pub(crate) fn grid(
        &self,
        axes: &Axes,
        size: [usize; 3],
        options: &ReadOptions,
        warnings: &mut Vec<Warning>,
    ) -> Result<Grid> {
        let grid = match axes.directions {
            Some(directions) => self.grid_of_directions(directions, size, options, warnings)?,
            None => self.grid_of_spacings(size, options)?,
        };
        check(&grid, warnings)?;
        Ok(grid)
    }

    fn grid_of_directions(
        &self,
        directions: [[f64; 3]; 3],
        size: [usize; 3],
        options: &ReadOptions,
        warnings: &mut Vec<Warning>,
    ) -> Result<Grid> {
        let mm = self.unit_mm(warnings);
        let origin = match self.fields.get("spaceorigin") {
            Some(origin) => vectors(origin, 1)?.first().copied().flatten().unwrap_or_default(),
            None => {
                warnings.push(Warning::new("W_ORIGIN", "`space origin` is missing and was taken as 0"));
                [0.0; 3]
            }
        };
        let scaled = |vector: [f64; 3]| vector.map(|component| component * mm);
        let (axes, origin) = (directions.map(scaled), scaled(origin));
        let space = self.fields.get("space").map(|space| space.to_lowercase());
        let lps = Grid::new(size, axes, origin)?;
        let ras = Grid::new(size, axes.map(flip_xy), flip_xy(origin))?;
        let flip_y = |[x, y, z]: [f64; 3]| [x, 0.0 - y, z];
        match space.as_deref() {
            Some("left-posterior-superior" | "lps") => Ok(lps),
            Some("right-anterior-superior" | "ras") => Ok(ras),
            Some("left-anterior-superior" | "las") => Ok(Grid::new(size, axes.map(flip_y), flip_y(origin))?),
            other => {
                let choices = vec![
                    Choice::new(
                        "geometry",
                        "lps",
                        format!("LPS, as ITK and 3D Slicer assume: {}", lps.orientation()),
                    ),
                    Choice::new("geometry", "ras", format!("RAS: {}", ras.orientation())),
                ];
                match options.chosen("geometry", &choices)? {
                    Some("lps") => Ok(lps),
                    Some(_) => Ok(ras),
                    None => {
                        let detail =
                            format!("the space is `{}`, not LPS, RAS or LAS", short(other.unwrap_or("")));
                        Err(Error::GeometryAmbiguous { detail, choices })
                    }
                }
            }
        }
    }

    /// No directions: an error, or the spacings along the axes of DICOM when the user says so.
    fn grid_of_spacings(&self, size: [usize; 3], options: &ReadOptions) -> Result<Grid> {
        let spacings: Option<Vec<f64>> = self
            .fields
            .get("spacings")
            .and_then(|spacings| spacings.split_whitespace().map(|spacing| spacing.parse().ok()).collect());
        let assumed = match spacings.as_deref() {
            Some(&[i, j, k]) => Grid::new(size, [[i, 0.0, 0.0], [0.0, j, 0.0], [0.0, 0.0, k]], [0.0; 3]).ok(),
            _ => None,
        };
        let choices: Vec<Choice> = assumed
            .iter()
            .map(|grid| {
                let label = format!(
                    "as ITK and 3D Slicer assume: {} with {:?} mm",
                    grid.orientation(),
                    grid.spacing()
                );
                Choice::new("geometry", "slicer", label)
            })
            .collect();
        match (options.chosen("geometry", &choices)?, assumed) {
            (Some(_), Some(grid)) => Ok(grid),
            _ => Err(Error::GeometryMissing { detail: "`space directions` is missing".to_owned(), choices }),
        }
    }

    /// Millimetres in the unit of the directions.
    fn unit_mm(&self, warnings: &mut Vec<Warning>) -> f64 {
        let Some(units) = self.fields.get("spaceunits") else { return 1.0 };
        let mut names = units.split('"').map(str::trim).filter(|name| !name.is_empty());
        let first = names.next().unwrap_or("");
        let same = names.all(|name| name == first);
        let (mm, message) = match first {
            "mm" | "millimeter" | "millimetre" if same => return 1.0,
            "m" if same => (1000.0, "the geometry is in metres and was converted to millimetres"),
            "cm" if same => (10.0, "the geometry is in centimetres and was converted to millimetres"),
            "um" | "µm" if same => (1e-3, "the geometry is in micrometres and was converted to millimetres"),
            _ => (1.0, "the unit of length is unknown, millimetres were assumed"),
        };
        warnings.push(Warning::new("W_UNITS", message));
        mm
    }
}

/// The vectors of `(1,0,0) none (0,1,0)`, one for each of `count` axes.
fn vectors(text: &str, count: usize) -> Result<Vec<Option<[f64; 3]>>> {
    let mut vectors = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() && vectors.len() <= count {
        if let Some(after) = rest.strip_prefix("none") {
            vectors.push(None);
            rest = after.trim_start();
            continue;
        }
        let vector = rest.strip_prefix('(').and_then(|after| after.split_once(')'));
        let (numbers, after) =
            vector.ok_or_else(|| invalid(format!("`{}` is no vector such as `(1,0,0)`", short(rest))))?;
        let numbers: Option<Vec<f64>> = numbers.split(',').map(|number| number.trim().parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[x, y, z]) => vectors.push(Some([x, y, z])),
            _ => return Err(invalid(format!("`{}` does not begin with three numbers", short(rest)))),
        }
        rest = after.trim_start();
    }
    if vectors.len() != count {
        return Err(invalid(format!("{} vectors for {count} axes", vectors.len())));
    }
    Ok(vectors)
}

/// The next line without its end; at most `most` bytes.
pub(crate) fn line(stream: &mut Stream<'_>, most: usize) -> Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        let end = stream.position + 1;
        stream.read_exact(&mut byte, end)?;
        if byte[0] == b'\n' {
            break;
        }
        if line.len() >= most {
            let (found, most) = (MOST_BYTES as u64 + 1, MOST_BYTES as u64);
            return Err(Error::Limit { what: "bytes of a NRRD header", found, most });
        }
        line.push(byte[0]);
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    // Text of any encoding: what is no UTF-8 is only ever shown.
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// Undoes the escapes of keys and values: `\n` and `\\`.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, character == '\\') {
            (_, true) => match characters.next() {
                Some('n') => out.push('\n'),
                Some(other) => out.push(other),
                None => {}
            },
            (other, false) => out.push(other),
        }
    }
    out
}

/// Text from a file, short enough for a message.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}
