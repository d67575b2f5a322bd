//! The header of a volume: what a client says about the voxels or the file that it will send, checked.

use std::collections::BTreeMap;

use formats::dicom::{Source, Told, Withheld};
use imaging::Grid;
use serde::Deserialize;
use serde::de::IgnoredAny;
use utoipa::ToSchema;

use super::archive::{Archive, Remote};
use super::error::{Answer, Code, Refusal};
use super::id::is_hexadecimal;
use super::protocol::Image;

/// What `POST /v1/volumes` takes.
#[derive(Debug)]
pub(super) enum Header {
    /// Raw voxels.
    Raw(Box<NewVolume>),
    /// A file, or a series of files.
    File(NewFile),
    /// A series that the server fetches.
    Remote(NewRemote),
}

impl Header {
    /// By its `format`.
    pub(super) fn of(value: serde_json::Value) -> Answer<Header> {
        let header = match value.get("format").and_then(serde_json::Value::as_str) {
            Some("file") => serde_json::from_value(value).map(Header::File),
            Some("dicomweb") => serde_json::from_value(value).map(Header::Remote),
            _ => serde_json::from_value(value).map(|new| Header::Raw(Box::new(new))),
        };
        header.map_err(|error| {
            Refusal::new(Code::InvalidJson, error.to_string(), "check names and types of the fields")
        })
    }
}

/// The header of a file.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewFile {
    /// `file`.
    #[serde(rename = "format")]
    #[schema(value_type = String)]
    _format: IgnoredAny,
    /// `application/octet-stream` for a NIfTI, NRRD or DICOM file, `application/zip`, or `multipart/related` with its
    /// boundary for the answer of a DICOMweb server.
    content_type: String,
    /// In all; where they are not known before, `POST /v1/volumes/ID/complete` ends the upload.
    #[serde(default)]
    pub(super) bytes: Option<u64>,
    /// Of all bytes.
    #[serde(default)]
    pub(super) sha256: Option<String>,
    /// DICOM's code, for files that do not say it.
    #[serde(default)]
    pub(super) modality: Option<String>,
    /// Names can tell who the patient is: taken, and forgotten.
    #[serde(default, rename = "name")]
    #[schema(value_type = Option<String>)]
    _name: IgnoredAny,
}

impl NewFile {
    /// Checks everything, and gives the boundary of a multipart body.
    pub(super) fn boundary(&self) -> Answer<Option<String>> {
        check_words(self.modality.as_ref(), self.sha256.as_ref())?;
        let most = formats::Limits::default().bytes;
        match self.bytes {
            Some(0) => {
                return Err(Refusal::new(Code::BadRequest, "`bytes` is 0", "send a file that is not empty"));
            }
            Some(bytes) if bytes > most => {
                let message = format!("{bytes} bytes, at most {most} are taken");
                return Err(Refusal::new(Code::TooLarge, message, "send one series at a time"));
            }
            _ => {}
        }
        match self.content_type.as_str() {
            "application/octet-stream" | "application/zip" | "application/dicom" => Ok(None),
            other => formats::multipart::boundary(other).map(Some).ok_or_else(|| {
                let hint =
                    "`application/octet-stream`, `application/zip`, or `multipart/related; boundary=...`";
                Refusal::new(Code::UnsupportedMediaType, "`content_type` is none that is taken", hint)
            }),
        }
    }
}

/// The header of a series that the server fetches by itself.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRemote {
    /// `dicomweb`.
    #[serde(rename = "format")]
    #[schema(rename = "format", value_type = String)]
    _format: IgnoredAny,
    /// `.../studies/UID/series/UID`, below an address of the server's `info`.
    url: String,
    /// The header `Authorization` that the archive wants; kept until the series is there, and never written down.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    authorization: Option<Withheld>,
    /// DICOM's code, for files that do not say it.
    #[serde(default)]
    pub(super) modality: Option<String>,
}

impl NewRemote {
    /// Checks everything.
    pub(super) fn remote(&self, archives: &[Archive]) -> Answer<Remote> {
        check_words(self.modality.as_ref(), None)?;
        let remote = Remote { url: self.url.clone(), authorization: self.authorization.clone() };
        remote.check(archives).map(|()| remote)
    }
}

/// The header of a volume: what `POST /v1/volumes` takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewVolume {
    /// `raw`, or left out.
    #[serde(default, rename = "format")]
    _format: RawFormat,
    /// Voxels along i, j, k; i runs fastest in the data.
    dims: [usize; 3],
    /// Of the samples, little endian.
    dtype: Dtype,
    /// What the matrix maps to.
    space: Space,
    /// Rows of the 4x4 matrix from `[i, j, k, 1]` to millimetres.
    ijk_to_world: [f64; 16],
    /// DICOM's code, where known.
    #[serde(default)]
    pub(super) modality: Option<String>,
    /// Of all voxels, in hexadecimal digits; checked when the last byte is there.
    #[serde(default)]
    pub(super) sha256: Option<String>,
    /// Samples per voxel; only 1 can be segmented.
    #[serde(default)]
    components: Option<u32>,
    /// Names can tell who the patient is: taken, and forgotten.
    #[serde(default, rename = "name")]
    #[schema(value_type = Option<String>)]
    _name: IgnoredAny,
    /// SOP Instance UID of each slice k, where a viewer holds a DICOM series.
    #[serde(default)]
    sources: Vec<String>,
    /// That series.
    #[serde(default)]
    series: Option<NewSeries>,
}

/// The only other format.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum RawFormat {
    #[default]
    Raw,
}

/// The DICOM series that voxels were decoded from.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSeries {
    study_instance_uid: String,
    series_instance_uid: String,
    #[serde(default)]
    frame_of_reference_uid: Option<String>,
    /// By the modality when left out.
    #[serde(default)]
    sop_class_uid: Option<String>,
    /// What a derived object repeats, by DICOM keyword: `PatientName`, `PatientID`, `StudyDate`, ...
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    attributes: BTreeMap<String, Withheld>,
}

/// Types of samples: those that 3D Slicer holds.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Dtype {
    Uint8,
    Int8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Float32,
    Float64,
}

impl Dtype {
    /// NRRD's name, and bytes of a sample.
    fn nrrd(self) -> (&'static str, u64) {
        match self {
            Dtype::Uint8 => ("uint8", 1),
            Dtype::Int8 => ("int8", 1),
            Dtype::Int16 => ("int16", 2),
            Dtype::Uint16 => ("uint16", 2),
            Dtype::Int32 => ("int32", 4),
            Dtype::Uint32 => ("uint32", 4),
            Dtype::Float32 => ("float", 4),
            Dtype::Float64 => ("double", 8),
        }
    }
}

/// Which way the world's axes point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
enum Space {
    /// Right, anterior, superior: 3D Slicer, NIfTI.
    #[serde(rename = "RAS")]
    Ras,
    /// Left, posterior, superior: DICOM, OHIF.
    #[serde(rename = "LPS")]
    Lps,
}

impl NewVolume {
    /// The grid in LPS, or what is wrong with the header.
    pub(super) fn grid(&self) -> Answer<Grid> {
        let refused = |message: String| {
            Refusal::new(
                Code::GeometryInvalid,
                message,
                "send `dims` and `ijk_to_world` as the viewer holds them",
            )
        };
        let limits = formats::Limits::default();
        let voxels = self.dims.iter().try_fold(1u64, |product, &side| product.checked_mul(side as u64));
        if self.components.is_some_and(|components| components != 1) {
            return Err(refused("images of several values per voxel cannot be segmented".to_owned()));
        }
        if self.dims.iter().any(|&side| side as u64 > limits.side) || voxels.is_none_or(|v| v > limits.voxels)
        {
            let message = format!(
                "{:?} voxels, at most {} along an axis and {} in all are taken",
                self.dims, limits.side, limits.voxels
            );
            return Err(Refusal::new(Code::TooLarge, message, "send a part of the image"));
        }
        let matrix = &self.ijk_to_world;
        if matrix[12..] != [0.0, 0.0, 0.0, 1.0] {
            return Err(refused("the last row of `ijk_to_world` is not 0 0 0 1".to_owned()));
        }
        let sign = if self.space == Space::Ras { [-1.0, -1.0, 1.0] } else { [1.0; 3] };
        // Adding 0 turns a negative zero into a zero.
        let column = |c: usize| std::array::from_fn(|r| matrix[4 * r + c] * sign[r] + 0.0);
        Grid::new(self.dims, [column(0), column(1), column(2)], column(3))
            .map_err(|error| refused(error.to_string()))
    }

    /// The header in NRRD's words. Rust writes numbers so that reading them gives the same bits.
    pub(super) fn nrrd(&self, grid: &Grid) -> String {
        let vector = |[x, y, z]: [f64; 3]| format!("({x},{y},{z})");
        let [a, b, c] = grid.axes.map(vector);
        let [i, j, k] = grid.size;
        let (kind, _) = self.dtype.nrrd();
        let modality =
            self.modality.as_ref().map_or_else(String::new, |modality| format!("modality:={modality}\n"));
        format!(
            "NRRD0005\ntype: {kind}\ndimension: 3\nspace: left-posterior-superior\nsizes: {i} {j} {k}\n\
             space directions: {a} {b} {c}\nspace origin: {}\nendian: little\nencoding: raw\n{modality}\n",
            vector(grid.origin)
        )
    }

    /// Bytes of all voxels.
    pub(super) fn bytes(&self, grid: &Grid) -> u64 {
        grid.len() as u64 * self.dtype.nrrd().1
    }

    /// What is not checked elsewhere, since it goes into a file.
    pub(super) fn check_words(&self) -> Answer<()> {
        check_words(self.modality.as_ref(), self.sha256.as_ref())
    }

    /// What objects derived from these voxels repeat, where the client tells it.
    pub(super) fn origin(&self, grid: &Grid) -> Answer<Option<Source>> {
        let refused =
            |message: &str| Err(Refusal::new(Code::BadRequest, message, "leave out what is not known"));
        let slices = self.sources.len();
        if slices != 0 && slices != grid.size[2] {
            return refused("`sources` does not name one object for each slice k");
        }
        let Some(series) = self.series.clone() else { return Ok(None) };
        let told = Told {
            study_instance_uid: series.study_instance_uid,
            series_instance_uid: series.series_instance_uid,
            frame_of_reference_uid: series.frame_of_reference_uid,
            sop_class_uid: series.sop_class_uid,
            modality: self.modality.clone().unwrap_or_default(),
            attributes: series.attributes,
            sop_instance_uids: self.sources.clone(),
        };
        if slices == 0 {
            return Ok(None);
        }
        told.source(grid).map(Some).or_else(|error| refused(&error.to_string()))
    }

    /// As an image of a volume.
    pub(super) fn image(&self, grid: Grid, has_origin: bool) -> Image {
        let (dtype, _) = self.dtype.nrrd();
        let dtype = match dtype {
            "float" => "float32",
            "double" => "float64",
            other => other,
        };
        Image {
            id: "image".to_owned(),
            label: String::new(),
            b_value: None,
            grid,
            dtype: dtype.to_owned(),
            modality: self.modality.clone(),
            sources: self.sources.iter().cloned().map(Some).collect(),
            series: self.series.as_ref().map(|series| series.series_instance_uid.clone()),
            has_origin,
            warnings: Vec::new(),
        }
    }
}

/// Checks what goes into files and into comparisons.
fn check_words(modality: Option<&String>, sha256: Option<&String>) -> Answer<()> {
    let bad = |message: &str| Err(Refusal::new(Code::BadRequest, message, ""));
    let is_code = |code: &String| code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    if modality.is_some_and(|modality| !is_code(modality)) {
        return bad("`modality` is no code of DICOM such as `CT` or `MR`");
    }
    if sha256.is_some_and(|digits| !is_hexadecimal(digits, 64)) {
        return bad("`sha256` is not 64 lower-case hexadecimal digits");
    }
    Ok(())
}
