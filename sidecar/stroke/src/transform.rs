//! Affine maps that other programs wrote: ITK and ANTs, elastix, FSL.

use imaging::Grid;

use crate::{Affine, Error, Result};

/// Reads a transform file into a map from the fixed (normal) world to the moving (donor) world, which is the direction
/// in which ITK, ANTs and elastix keep it; FSL's is turned round.
///
/// * ITK text (`#Insight Transform File`), as 3D Slicer and ANTs write it: affine, matrix-offset, translation, Euler.
/// * ANTs' `0GenericAffine.mat`: MATLAB level 4.
/// * elastix' `TransformParameters.txt` with an `AffineTransform`.
/// * FSL's `flirt -omat`: four rows of four numbers, from the moving (`-in`) to the fixed (`-ref`) image.
///
/// # Errors
///
/// [`Error::Transform`] when it is none of these, not affine, or flattens space.
pub fn read_transform(bytes: &[u8], fixed: &Grid, moving: &Grid) -> Result<Affine> {
    let text = String::from_utf8_lossy(bytes);
    let map = if text.starts_with("#Insight Transform File") {
        itk(&text)
    } else if text.contains("(Transform ") {
        elastix(&text)
    } else if let Some(found) = matlab(bytes) {
        matrix_offset(&found.0, &found.1, &found.2)
    } else {
        fsl(&text, fixed, moving)
    }?;
    if map.inverse().is_none() || map.determinant().abs() < 1e-6 {
        return Err(bad("it flattens space"));
    }
    Ok(map)
}

fn bad(detail: impl Into<String>) -> Error {
    Error::Transform { detail: detail.into() }
}

fn numbers(text: &str) -> Vec<f64> {
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// ITK's text format: one transform.
fn itk(text: &str) -> Result<Affine> {
    let field = |name: &str| {
        let lines = text.lines().filter_map(|line| line.strip_prefix(name));
        lines.map(str::trim).collect::<Vec<&str>>()
    };
    let kinds = field("Transform:");
    let [kind] = kinds[..] else {
        return Err(bad(format!("the file holds {} transforms, one was expected", kinds.len())));
    };
    let parameters = numbers(field("Parameters:").first().unwrap_or(&""));
    let centre = numbers(field("FixedParameters:").first().unwrap_or(&""));
    matrix_offset(kind, &parameters, &centre)
}

/// A map by ITK's name of its kind, its parameters and its centre.
fn matrix_offset(kind: &str, parameters: &[f64], centre: &[f64]) -> Result<Affine> {
    let centre = <[f64; 3]>::try_from(centre.get(..3).unwrap_or(&[0.0; 3])).unwrap_or_default();
    let short = || bad(format!("`{kind}` with {} parameters", parameters.len()));
    let three = |from: usize| {
        let slice = parameters.get(from..from + 3).ok_or_else(short)?;
        <[f64; 3]>::try_from(slice).map_err(|_| short())
    };
    let name = kind.split('_').next().unwrap_or_default();
    match name {
        "AffineTransform" | "MatrixOffsetTransformBase" => {
            Ok(Affine::about(centre, [three(0)?, three(3)?, three(6)?], three(9)?))
        }
        "TranslationTransform" => Ok(Affine { offset: three(0)?, ..Affine::IDENTITY }),
        "Euler3DTransform" => {
            // ITK turns about z, then x, then y (its default order ZXY: R = Rz Rx Ry).
            let [x, y, z] = three(0)?;
            let part = |angles| Affine { matrix: Affine::rotation(angles), offset: [0.0; 3] };
            let turn = part([0.0, 0.0, z]).after(&part([x, 0.0, 0.0])).after(&part([0.0, y, 0.0]));
            Ok(Affine::about(centre, turn.matrix, three(3)?))
        }
        _ => Err(bad(format!("`{kind}` is not affine, or of a kind that is not read"))),
    }
}

/// elastix: an affine transform that stands alone.
fn elastix(text: &str) -> Result<Affine> {
    let field = |name: &str| {
        let start = text.find(&format!("({name} "))? + name.len() + 2;
        let end = text[start..].find(')')?;
        Some(text[start..start + end].trim().trim_matches('"').to_owned())
    };
    let kind = field("Transform").unwrap_or_default();
    if field("InitialTransformParametersFileName").is_some_and(|first| first != "NoInitialTransform")
        || field("InitialTransformParameterFileName").is_some_and(|first| first != "NoInitialTransform")
    {
        return Err(bad("it builds on another transform file; write the composed one"));
    }
    let parameters = numbers(&field("TransformParameters").unwrap_or_default());
    let centre = numbers(&field("CenterOfRotationPoint").unwrap_or_default());
    match kind.as_str() {
        "AffineTransform" | "TranslationTransform" => matrix_offset(&kind, &parameters, &centre),
        _ => Err(bad(format!("elastix' `{kind}` is not read, `AffineTransform` is"))),
    }
}

/// MATLAB level 4 as ANTs writes it: a column of parameters named after the kind, and one named `fixed`.
fn matlab(bytes: &[u8]) -> Option<(String, Vec<f64>, Vec<f64>)> {
    let (kind, parameters, rest) = matrix(bytes)?;
    let (name, fixed, _) = matrix(rest)?;
    (name == "fixed").then_some((kind, parameters, fixed))
}

/// One matrix: five little-endian words (type, rows, columns, imaginary, length of the name), the name, the numbers.
fn matrix(bytes: &[u8]) -> Option<(String, Vec<f64>, &[u8])> {
    let word = |n: usize| {
        let four = bytes.get(4 * n..4 * n + 4)?;
        Some(u32::from_le_bytes(four.try_into().ok()?) as usize)
    };
    let (kind, rows, columns, imaginary, length) = (word(0)?, word(1)?, word(2)?, word(3)?, word(4)?);
    let size = match kind {
        0 => 8,
        10 => 4,
        _ => return None,
    };
    let count = rows.checked_mul(columns).filter(|&count| imaginary == 0 && count <= 64 && length <= 128)?;
    let name = bytes.get(20..20 + length)?;
    let name = String::from_utf8_lossy(name).trim_end_matches('\0').to_owned();
    let values = bytes.get(20 + length..20 + length + count * size)?;
    let values = values.chunks_exact(size).filter_map(|value| match value.len() {
        8 => Some(f64::from_le_bytes(value.try_into().ok()?)),
        _ => Some(f64::from(f32::from_le_bytes(value.try_into().ok()?))),
    });
    Some((name, values.collect(), &bytes[20 + length + count * size..]))
}

/// FSL: scaled voxel to scaled voxel, i reversed where the header is right-handed in RAS.
fn fsl(text: &str, fixed: &Grid, moving: &Grid) -> Result<Affine> {
    let values = numbers(text);
    let rows: Vec<&[f64]> = values.chunks_exact(4).collect();
    let last_is_unit = rows.get(3).is_some_and(|row| **row == [0.0, 0.0, 0.0, 1.0]);
    if values.len() != 16 || !last_is_unit {
        let detail = "neither ITK, ANTs, elastix nor FSL: expected `#Insight Transform File`, a MATLAB 4 file, \
                      `(Transform ...)`, or four rows of four numbers";
        return Err(bad(detail));
    }
    let forward = Affine {
        matrix: std::array::from_fn(|r| [rows[r][0], rows[r][1], rows[r][2]]),
        offset: std::array::from_fn(|r| rows[r][3]),
    };
    let back = forward.inverse().ok_or_else(|| bad("it flattens space"))?;
    let (to_fixed, to_moving) = (scaled(fixed), scaled(moving));
    let from_moving = to_moving.inverse().ok_or_else(|| bad("it flattens space"))?;
    Ok(Affine::world_of(moving)
        .after(&from_moving)
        .after(&back)
        .after(&to_fixed)
        .after(&Affine::index_of(fixed)))
}

/// From index to FSL's millimetres.
fn scaled(grid: &Grid) -> Affine {
    let [x, y, z] = grid.spacing();
    // LPS has the handedness of RAS: two axes are reversed.
    if grid.determinant() > 0.0 {
        let matrix = [[-x, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, z]];
        return Affine { matrix, offset: [x * (grid.size[0] as f64 - 1.0), 0.0, 0.0] };
    }
    Affine { matrix: [[x, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, z]], offset: [0.0; 3] }
}
