//! Where a NIfTI file says its voxels lie: up to two affines and a table of spacings, which may disagree.
//!
//! Established readers resolve a disagreement differently, some into a mirrored patient, and in silence. Here it is
//! an error that lists the candidates. RAS+ turns into LPS+ here and nowhere else.

use imaging::Grid;

use super::header::{Header, Version};
use crate::ReadOptions;
use crate::error::{Choice, Error, Result, Warning};
use crate::geometry::{check, flip_xy};

/// Voxels by which the two affines may differ at a corner of the volume.
const SAME_CORNERS: f64 = 0.1;
/// Relative difference between a column of the matrix and its entry in `pixdim`.
const SAME_SPACING: f64 = 1e-3;
/// How far the quaternion may be longer than one.
const UNIT_QUATERNION: f64 = 1e-5;

/// A way to place the voxels, and what a user has to type to choose it.
struct Candidate {
    value: &'static str,
    label: &'static str,
    grid: Grid,
}

/// The grid of a header of `size` voxels, chosen by the caller where the header is ambiguous.
pub(crate) fn grid(
    header: &Header,
    size: [usize; 3],
    options: &ReadOptions,
    warnings: &mut Vec<Warning>,
) -> Result<Grid> {
    let sform = (header.sform_code > 0).then(|| sform(header, size));
    let qform = (header.qform_code > 0).then(|| qform(header, size));
    let (candidates, doubt) = match (sform, qform) {
        (None, None) => without_forms(header, size)?,
        (None, Some(qform)) => (vec![named_qform(qform?)], None),
        (Some(sform), None) => sform_against_spacing(header, size, sform?),
        (Some(sform), Some(qform)) => both(header, sform, qform)?,
    };
    let choices: Vec<Choice> = candidates.iter().map(Candidate::choice).collect();
    let grid = match (options.chosen("geometry", &choices)?, doubt) {
        (Some(value), _) => candidates.into_iter().find(|candidate| candidate.value == value),
        (None, None) => candidates.into_iter().next(),
        (None, Some(Doubt::Missing)) => {
            let detail = "`sform_code` and `qform_code` are both 0".to_owned();
            return Err(Error::GeometryMissing { detail, choices });
        }
        (None, Some(Doubt::Ambiguous(detail))) => return Err(Error::GeometryAmbiguous { detail, choices }),
    }
    .map(|candidate| candidate.grid)
    .ok_or_else(|| Error::GeometryInvalid { detail: "there is no affine".to_owned() })?;
    check(&grid, warnings)?;
    warn(header, warnings);
    Ok(grid)
}

/// Why the first candidate cannot simply be taken.
enum Doubt {
    Missing,
    Ambiguous(String),
}

type Candidates = (Vec<Candidate>, Option<Doubt>);

fn named_qform(grid: Grid) -> Candidate {
    Candidate { value: "qform", label: "the quaternion", grid }
}

fn named_sform(grid: Grid) -> Candidate {
    Candidate { value: "sform", label: "the matrix", grid }
}

/// No affine: what nibabel and what ITK would make of the spacings.
fn without_forms(header: &Header, size: [usize; 3]) -> Result<Candidates> {
    let [i, j, k] = spacing(header)?;
    // nibabel (`Nifti1Header.get_base_affine`): the first axis runs to the left, the centre of the volume is 0.
    let columns = [[-i, 0.0, 0.0], [0.0, j, 0.0], [0.0, 0.0, k]];
    let centre = |a: usize| -columns[a][a] * (size[a] as f64 - 1.0) / 2.0;
    let nibabel = lps(size, columns, [centre(0), centre(1), centre(2)])?;
    // ITK: the axes of an Analyze file are those of DICOM, the first voxel is 0.
    let slicer = lps(size, [[-i, 0.0, 0.0], [0.0, -j, 0.0], [0.0, 0.0, k]], [0.0; 3])?;
    let candidates = vec![
        Candidate { value: "nibabel", label: "as nibabel and TotalSegmentator assume", grid: nibabel },
        Candidate { value: "slicer", label: "as ITK and 3D Slicer assume", grid: slicer },
    ];
    Ok((candidates, Some(Doubt::Missing)))
}

/// A matrix alone: its columns must be as long as `pixdim` says, because ITK takes the lengths from there.
fn sform_against_spacing(header: &Header, size: [usize; 3], sform: Grid) -> Candidates {
    let pixdim = [1, 2, 3].map(|axis| header.pixdim[axis] * unit_mm(header));
    let lengths = sform.spacing();
    let same = |a: usize| (lengths[a] - pixdim[a]).abs() <= SAME_SPACING * lengths[a];
    if (0..3).all(same) {
        return (vec![named_sform(sform)], None);
    }
    let detail = format!("the matrix has a spacing of {lengths:.4?} mm, `pixdim` says {pixdim:.4?} mm");
    let scaled = spacing(header).ok().and_then(|spacing| {
        let direction = sform.direction();
        let axes = std::array::from_fn(|a| direction[a].map(|component| component * spacing[a]));
        Grid::new(size, axes, sform.origin).ok()
    });
    let mut candidates = vec![named_sform(sform)];
    if let Some(grid) = scaled {
        let label = "the directions of the matrix, the spacing of `pixdim`, as ITK and 3D Slicer do";
        candidates.push(Candidate { value: "slicer", label, grid });
    }
    (candidates, Some(Doubt::Ambiguous(detail)))
}

/// Matrix and quaternion: they must place the corners of the volume at the same points.
fn both(header: &Header, sform: Result<Grid>, qform: Result<Grid>) -> Result<Candidates> {
    let (sform, qform) = match (sform, qform) {
        (Ok(sform), Ok(qform)) => (sform, qform),
        (Ok(sform), Err(error)) => {
            let doubt = Doubt::Ambiguous(format!("the quaternion is unusable ({error})"));
            return Ok((vec![named_sform(sform)], Some(doubt)));
        }
        (Err(error), Ok(qform)) => {
            let doubt = Doubt::Ambiguous(format!("the matrix is unusable ({error})"));
            return Ok((vec![named_qform(qform)], Some(doubt)));
        }
        (Err(error), Err(_)) => return Err(error),
    };
    if sform.matches(&qform, SAME_CORNERS + rounding(header, &sform)) {
        return Ok((vec![named_sform(sform), named_qform(qform)], None));
    }
    let (s, q) = (letters(&sform), letters(&qform));
    let detail = format!("the corners differ by more than {SAME_CORNERS} voxels (sform {s}, qform {q})");
    Ok((vec![named_sform(sform), named_qform(qform)], Some(Doubt::Ambiguous(detail))))
}

/// Voxels by which the rounding of the quaternion alone can move a corner.
///
/// Its first component is not stored but follows from the length of 1, so near a half turn, which is where most
/// images from DICOM lie, single precision leaves it uncertain.
fn rounding(header: &Header, grid: &Grid) -> f64 {
    if header.version == Version::Two {
        return 0.0;
    }
    let squared: f64 = header.quatern.iter().map(|component| component * component).sum();
    let uncertain = f64::from(f32::EPSILON);
    let radians = 2.0 * uncertain / (1.0 - squared).max(uncertain).sqrt();
    let spacing = grid.spacing();
    let extents = (0..3).map(|a| spacing[a] * grid.size[a] as f64);
    radians * extents.fold(0.0, f64::max) / spacing.into_iter().fold(f64::INFINITY, f64::min)
}

/// The affine of `srow_x`, `srow_y`, `srow_z`.
fn sform(header: &Header, size: [usize; 3]) -> Result<Grid> {
    let mm = unit_mm(header);
    let column = |c: usize| [0, 1, 2].map(|row| header.srow[row][c] * mm);
    lps(size, [column(0), column(1), column(2)], column(3))
}

/// The affine of the quaternion, the spacings and the offset (nifti1.h, method 2).
fn qform(header: &Header, size: [usize; 3]) -> Result<Grid> {
    let spacing = spacing(header)?;
    let [b, c, d] = header.quatern;
    let squared = b * b + c * c + d * d;
    if !squared.is_finite() || squared.sqrt() > 1.0 + UNIT_QUATERNION {
        let detail = format!("the quaternion {:?} is longer than 1", header.quatern);
        return Err(Error::GeometryInvalid { detail });
    }
    let a = (1.0 - squared).max(0.0).sqrt();
    // Twice the inverse of the squared length: a quaternion that rounding made too long still turns without scaling.
    let s = 2.0 / (a * a + squared);
    let qfac = if header.pixdim[0] == -1.0 { -1.0 } else { 1.0 };
    let columns = [
        [1.0 - s * (c * c + d * d), s * (b * c + a * d), s * (b * d - a * c)],
        [s * (b * c - a * d), 1.0 - s * (b * b + d * d), s * (c * d + a * b)],
        [s * (b * d + a * c), s * (c * d - a * b), 1.0 - s * (b * b + c * c)],
    ];
    let lengths = [spacing[0], spacing[1], spacing[2] * qfac];
    let columns = std::array::from_fn(|a| columns[a].map(|component| component * lengths[a]));
    lps(size, columns, header.qoffset.map(|offset| offset * unit_mm(header)))
}

/// The entries of `pixdim` for the axes of space, in millimetres.
fn spacing(header: &Header) -> Result<[f64; 3]> {
    let spacing = [1, 2, 3].map(|axis| header.pixdim[axis] * unit_mm(header));
    if spacing.iter().any(|mm| !mm.is_finite() || *mm <= 0.0) {
        let detail = format!("`pixdim` is {spacing:?} mm, expected three positive numbers");
        return Err(Error::GeometryInvalid { detail });
    }
    Ok(spacing)
}

/// Millimetres in the unit of the header.
fn unit_mm(header: &Header) -> f64 {
    match header.xyzt_units & 7 {
        1 => 1000.0,
        3 => 1e-3,
        _ => 1.0,
    }
}

/// Columns and offset in RAS+ as a grid in LPS+.
fn lps(size: [usize; 3], columns: [[f64; 3]; 3], offset: [f64; 3]) -> Result<Grid> {
    Ok(Grid::new(size, columns.map(flip_xy), flip_xy(offset))?)
}

/// Tells what was assumed.
fn warn(header: &Header, warnings: &mut Vec<Warning>) {
    let unit = header.xyzt_units & 7;
    match unit {
        2 => {}
        1 | 3 => {
            let name = if unit == 1 { "metres" } else { "micrometres" };
            let message = format!("the geometry is in {name} and was converted to millimetres");
            warnings.push(Warning::new("W_UNITS", message));
        }
        _ => {
            let message = format!("the unit of length is unknown ({unit}), millimetres were assumed");
            warnings.push(Warning::new("W_UNITS", message));
        }
    }
    if header.qform_code > 0 && header.pixdim[0].abs() != 1.0 {
        let message = format!("`pixdim[0]` is {}, neither 1 nor -1, and was taken as 1", header.pixdim[0]);
        warnings.push(Warning::new("W_QFAC", message));
    }
}

/// Where the axes point, as three letters.
fn letters(grid: &Grid) -> String {
    grid.orientation().to_string()
}

impl Candidate {
    fn choice(&self) -> Choice {
        let rows = self.grid.matrix();
        let label = format!("{}: {}, index to LPS {:.4?}", self.label, letters(&self.grid), &rows[..3]);
        Choice::new("geometry", self.value, label)
    }
}

/// Sets both affines of `header` to `grid`, in millimetres; the quaternion only where the axes are perpendicular.
pub(crate) fn set(header: &mut Header, grid: &Grid) {
    let columns = grid.axes.map(flip_xy);
    let offset = flip_xy(grid.origin);
    let spacing = grid.spacing();
    header.srow = std::array::from_fn(|r| [columns[0][r], columns[1][r], columns[2][r], offset[r]]);
    // "Scanner anatomical": what the grid of a DICOM series is, and what ITK writes as well.
    header.sform_code = 1;
    header.xyzt_units = 2;
    header.pixdim = [1.0, spacing[0], spacing[1], spacing[2], 1.0, 1.0, 1.0, 1.0];
    header.qoffset = offset;
    header.qform_code = 0;
    if grid.shear() < 1e-4 {
        header.qform_code = 1;
        // A quaternion only turns; a left-handed grid is turned with its third axis reversed.
        let left_handed = grid.determinant() < 0.0;
        header.pixdim[0] = if left_handed { -1.0 } else { 1.0 };
        let mut direction: [[f64; 3]; 3] =
            std::array::from_fn(|a| columns[a].map(|component| component / spacing[a]));
        if left_handed {
            direction[2] = direction[2].map(|component| -component);
        }
        header.quatern = quaternion(direction).map(|component| f64::from(component as f32));
        // Near a half turn single precision can be too coarse; then the matrix stands alone.
        let close = qform(header, grid.size).is_ok_and(|qform| qform.matches(grid, SAME_CORNERS / 2.0));
        header.qform_code = i32::from(close);
    }
}

/// The last three components of the unit quaternion, its first being at least 0, that turns the world's axes onto
/// `direction` (columns, right-handed): the eigenvector approach is not needed, as the columns are perpendicular.
fn quaternion(direction: [[f64; 3]; 3]) -> [f64; 3] {
    let r = |row: usize, column: usize| direction[column][row];
    let trace = r(0, 0) + r(1, 1) + r(2, 2);
    // Four times the squares of a, b, c, d; the largest one is the safe divisor.
    let squares = [
        1.0 + trace,
        1.0 + r(0, 0) - r(1, 1) - r(2, 2),
        1.0 - r(0, 0) + r(1, 1) - r(2, 2),
        1.0 - r(0, 0) - r(1, 1) + r(2, 2),
    ];
    let [ab, ac, ad] = [r(2, 1) - r(1, 2), r(0, 2) - r(2, 0), r(1, 0) - r(0, 1)];
    let [bc, bd, cd] = [r(0, 1) + r(1, 0), r(0, 2) + r(2, 0), r(1, 2) + r(2, 1)];
    let largest = (0..4).max_by(|&x, &y| squares[x].total_cmp(&squares[y])).unwrap_or(0);
    let [a, b, c, d] = match largest {
        0 => [squares[0], ab, ac, ad],
        1 => [ab, squares[1], bc, bd],
        2 => [ac, bc, squares[2], cd],
        _ => [ad, bd, cd, squares[3]],
    };
    let scale = (a * a + b * b + c * c + d * d).sqrt() * if a < 0.0 { -1.0 } else { 1.0 };
    [b / scale, c / scale, d / scale]
}
