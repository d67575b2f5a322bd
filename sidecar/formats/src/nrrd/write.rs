//! Volumes and segmentations to NRRD, in LPS, packed with gzip.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use imaging::{Grid, Progress, Segmentation, Volume};
use rayon::prelude::*;

use super::segments;
use crate::error::Result;
use crate::samples::{self, Sample};
use crate::{atomic, gzip};

/// Voxels converted and compressed at a time.
const BLOCK_VOXELS: usize = 1 << 20;
/// Blocks converted side by side, where nothing is compressed.
const BLOCKS_TOGETHER: usize = 8;

/// Writes intensities as `u8`, `u16`, `i16` (rounded) or `f32`.
///
/// # Errors
///
/// [`crate::Error::Encode`] when a voxel does not fit `sample`; [`crate::Error::Write`], [`crate::Error::DiskFull`]
/// or [`crate::Error::Cancelled`]: the file is whole or not there.
pub fn write_volume(path: &Path, volume: &Volume, sample: Sample, progress: &Progress) -> Result<()> {
    samples::check_range(volume, sample)?;
    let voxels = volume.voxels.as_standard_layout();
    let voxels = voxels.as_slice().unwrap_or_default();
    let header = header(&volume.grid, sample, "gzip", "");
    write_blocks(path, &header, progress, voxels.len(), |range, bytes| {
        samples::encode(&voxels[range], sample, bytes);
    })
}

/// Writes intensities as they are, unpacked and in the smallest type that holds them, for a program of this computer
/// to read soon; gives that type. `modality` is DICOM's code. The disk may have the file only later.
///
/// # Errors
///
/// As [`write_volume`].
pub fn write_unpacked(
    path: &Path,
    volume: &Volume,
    modality: Option<&str>,
    progress: &Progress,
) -> Result<Sample> {
    let voxels = volume.voxels.as_standard_layout();
    let voxels = voxels.as_slice().unwrap_or_default();
    // A bit-exact return: a negative zero is no integer.
    let is_short = |value: &f32| f32::from(*value as i16).to_bits() == value.to_bits();
    let sample = if voxels.par_iter().all(is_short) { Sample::I16 } else { Sample::F32 };
    let pairs = modality.map_or_else(String::new, |modality| format!("modality:={modality}\n"));
    let header = header(&volume.grid, sample, "raw", &pairs);
    let together = BLOCKS_TOGETHER * BLOCK_VOXELS;
    let steps = voxels.len().div_ceil(together) as u64;
    atomic::write_for_now(path, |out| {
        out.write_all(header.as_bytes())?;
        let mut encoded = vec![Vec::new(); BLOCKS_TOGETHER];
        for (index, some) in voxels.chunks(together).enumerate() {
            progress.step("writing", index as u64, steps)?;
            let blocks = some.par_chunks(BLOCK_VOXELS).zip(&mut encoded);
            let written = blocks.map(|(block, bytes)| {
                bytes.clear();
                samples::encode(block, sample, bytes);
            });
            let written = written.count();
            encoded[..written].iter().try_for_each(|bytes| out.write_all(bytes))?;
        }
        Ok(())
    })?;
    Ok(sample)
}

/// Writes a segmentation as 3D Slicer does (`.seg.nrrd`): one layer, with names, colours and terminology.
///
/// # Errors
///
/// [`crate::Error::Write`], [`crate::Error::DiskFull`] or [`crate::Error::Cancelled`]: the file is whole or not
/// there.
pub fn write_segmentation(path: &Path, segmentation: &Segmentation, progress: &Progress) -> Result<()> {
    let labels = &segmentation.labels;
    let values = labels.labels.as_standard_layout();
    let values = values.as_slice().unwrap_or_default();
    let header =
        header(&labels.grid, Sample::U8, "gzip", &segments::to_pairs(labels, &segmentation.segments));
    write_blocks(path, &header, progress, values.len(), |range, bytes| {
        bytes.extend_from_slice(&values[range])
    })
}

/// The lines before the voxels. Numbers are written so that reading gives the same bits.
fn header(grid: &Grid, sample: Sample, encoding: &str, pairs: &str) -> String {
    let kind = match sample {
        Sample::U8 => "unsigned char",
        Sample::U16 => "unsigned short",
        Sample::I16 => "short",
        _ => "float",
    };
    let vector = |[x, y, z]: [f64; 3]| format!("({x},{y},{z})");
    let [i, j, k] = grid.size;
    let [a, b, c] = grid.axes.map(vector);
    let mut header = format!(
        "NRRD0004\n# Complete NRRD file format specification at:\n# http://teem.sourceforge.net/nrrd/format.html\n\
         type: {kind}\ndimension: 3\nspace: left-posterior-superior\nsizes: {i} {j} {k}\n\
         space directions: {a} {b} {c}\nkinds: domain domain domain\n"
    );
    if sample.bytes() > 1 {
        header += "endian: little\n";
    }
    // Writing to a string does not fail.
    let _ = write!(header, "encoding: {encoding}\nspace origin: {}\n{pairs}\n", vector(grid.origin));
    header
}

fn write_blocks(
    path: &Path,
    header: &str,
    progress: &Progress,
    voxels: usize,
    fill: impl Fn(std::ops::Range<usize>, &mut Vec<u8>) + Sync,
) -> Result<()> {
    atomic::write(path, |out| {
        out.write_all(header.as_bytes())?;
        let block = |index: usize| {
            let mut bytes = Vec::new();
            fill(index * BLOCK_VOXELS..voxels.min((index + 1) * BLOCK_VOXELS), &mut bytes);
            bytes
        };
        gzip::write_blocks(out, voxels.div_ceil(BLOCK_VOXELS), block, "writing", progress)
    })
}
