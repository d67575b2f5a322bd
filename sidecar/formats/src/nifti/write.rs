//! Label maps and volumes to NIfTI: one file, gzip when the name ends in `.gz`.

use std::io::Write;
use std::path::Path;

use imaging::{Grid, LabelMap, Progress, Segment, Segmentation, Volume};

use super::header::Header;
use super::{geometry, label_table};
use crate::error::{Error, Result};
use crate::samples::{self, Sample};
use crate::{atomic, gzip};

/// Voxels converted and compressed at a time.
const BLOCK_VOXELS: usize = 1 << 20;

/// Writes a label map. The header is a copy of `reference`, the header of the image that was segmented, as
/// TotalSegmentator does it: both affines keep their bits and codes. Without one, or when the labels lie on another
/// grid, it is made from the grid.
///
/// # Errors
///
/// [`Error::Write`], [`Error::DiskFull`] or [`Error::Cancelled`]; the file is whole or not there.
pub fn write_labels(
    path: &Path,
    labels: &LabelMap,
    reference: Option<&Header>,
    progress: &Progress,
) -> Result<()> {
    write_label_map(path, labels, &[], reference, progress)
}

/// Writes a label map with the names and colours of its segments, in the table that TotalSegmentator reads; see
/// [`write_labels`] for the header.
///
/// # Errors
///
/// As [`write_labels`].
pub fn write_segmentation(
    path: &Path,
    segmentation: &Segmentation,
    reference: Option<&Header>,
    progress: &Progress,
) -> Result<()> {
    write_label_map(path, &segmentation.labels, &segmentation.segments, reference, progress)
}

/// Writes intensities as `u8`, `u16`, `i16` (rounded) or `f32`; see [`write_labels`] for the header.
///
/// # Errors
///
/// [`Error::Encode`] when a voxel does not fit `sample`, else as [`write_labels`].
pub fn write_volume(
    path: &Path,
    volume: &Volume,
    sample: Sample,
    reference: Option<&Header>,
    progress: &Progress,
) -> Result<()> {
    samples::check_range(volume, sample)?;
    let voxels = volume.voxels.as_standard_layout();
    let voxels = voxels.as_slice().unwrap_or_default();
    let header = header(&volume.grid, sample, reference)?;
    write_blocks(path, &header, &[], progress, voxels.len(), |range, bytes| {
        samples::encode(&voxels[range], sample, bytes);
    })
}

fn write_label_map(
    path: &Path,
    labels: &LabelMap,
    segments: &[Segment],
    reference: Option<&Header>,
    progress: &Progress,
) -> Result<()> {
    let values = labels.labels.as_standard_layout();
    let values = values.as_slice().unwrap_or_default();
    let header = header(&labels.grid, Sample::U8, reference)?;
    let table = if segments.is_empty() { Vec::new() } else { label_table::to_xml(segments).into_bytes() };
    write_blocks(path, &header, &table, progress, values.len(), |range, bytes| {
        bytes.extend_from_slice(&values[range]);
    })
}

/// The header of a result on `grid`.
fn header(grid: &Grid, sample: Sample, reference: Option<&Header>) -> Result<Header> {
    let size = grid.size.map(|length| length as i64);
    let same_size = |header: &&Header| header.dim[1..4] == size;
    let mut header = match reference.filter(same_size) {
        // Every reader interprets a copy as it does the image, even a geometry that readers disagree about.
        Some(reference) if places_at(reference, grid) => Header {
            dim: [3, size[0], size[1], size[2], 1, 1, 1, 1],
            big_endian: false,
            intent_code: 0,
            intent_p: [0.0; 3],
            intent_name: [0; 16],
            cal_min: 0.0,
            cal_max: 0.0,
            scl_slope: 1.0,
            scl_inter: 0.0,
            ..reference.clone()
        },
        _ => {
            let mut header = Header { dim: [3, size[0], size[1], size[2], 1, 1, 1, 1], ..Header::default() };
            geometry::set(&mut header, grid);
            header
        }
    };
    header.set_sample(sample);
    if header.version == super::Version::One && size.iter().any(|&length| length > i64::from(i16::MAX)) {
        let detail = format!("{size:?} voxels do not fit NIfTI-1, which holds {} along an axis", i16::MAX);
        return Err(Error::Encode { detail });
    }
    Ok(header)
}

/// Whether one of the ways to read `header` gives exactly `grid`.
fn places_at(header: &Header, grid: &Grid) -> bool {
    ["sform", "qform", "nibabel", "slicer"].iter().any(|choice| {
        let options = crate::ReadOptions::default().resolved("geometry", choice);
        geometry::grid(header, grid.size, &options, &mut Vec::new()).is_ok_and(|found| found == *grid)
    })
}

/// Writes header, table and voxels; `fill` appends the bytes of a range of voxels.
fn write_blocks(
    path: &Path,
    header: &Header,
    table: &[u8],
    progress: &Progress,
    voxels: usize,
    fill: impl Fn(std::ops::Range<usize>, &mut Vec<u8>) + Sync,
) -> Result<()> {
    // An extension's length counts its own 8 bytes and is a multiple of 16; blanks are padding that XML allows.
    let padded = if table.is_empty() { 0 } else { (table.len() + 8).next_multiple_of(16) };
    let vox_offset = (header.length() + padded) as f64;
    let mut start = Header { vox_offset, ..header.clone() }.to_bytes(padded > 0);
    if padded > 0 {
        start.extend((padded as i32).to_le_bytes());
        start.extend(label_table::CODE.to_le_bytes());
        start.extend_from_slice(table);
        start.resize(header.length() + padded, b' ');
    }
    let blocks = 1 + voxels.div_ceil(BLOCK_VOXELS);
    let block = |index: usize| {
        let Some(index) = index.checked_sub(1) else { return start.clone() };
        let range = index * BLOCK_VOXELS..voxels.min((index + 1) * BLOCK_VOXELS);
        let mut bytes = Vec::new();
        fill(range, &mut bytes);
        bytes
    };
    let packed = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
    atomic::write(path, |out| {
        if packed {
            return gzip::write_blocks(out, blocks, block, "writing", progress);
        }
        for index in 0..blocks {
            progress.step("writing", index as u64, blocks as u64)?;
            out.write_all(&block(index))?;
        }
        Ok(())
    })
}
