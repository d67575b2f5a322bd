//! The header of a volume: what a client says about the voxels that it will send, checked, and in NRRD's words.

use imaging::Grid;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::error::{Answer, Code, Refusal};
use super::id::is_hexadecimal;

/// The header of a volume: what `POST /v1/volumes` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewVolume {
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
    _name: IgnoredAny,
}

/// Types of samples: those that 3D Slicer holds.
#[derive(Debug, Clone, Copy, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
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
        let bad = |message: &str| Err(Refusal::new(Code::BadRequest, message, ""));
        let is_code = |code: &String| code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase());
        if self.modality.as_ref().is_some_and(|modality| !is_code(modality)) {
            return bad("`modality` is no code of DICOM such as `CT` or `MR`");
        }
        if self.sha256.as_ref().is_some_and(|digits| !is_hexadecimal(digits, 64)) {
            return bad("`sha256` is not 64 lower-case hexadecimal digits");
        }
        Ok(())
    }
}
