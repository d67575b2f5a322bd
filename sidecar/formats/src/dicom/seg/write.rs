//! Writes a segmentation onto the slices of its source.

use std::io::Write;
use std::path::Path;

use dicom_dictionary_std::tags;
use imaging::{Grid, LabelMap, Progress, Segment, Segmentation};
use ndarray::Axis;

use super::Making;
use super::content::Content;
use super::elements::append_header;
use super::frames::{self, Bits, Frame};
use super::identity::Identity;
use crate::atomic;
use crate::dicom::Source;
use crate::error::{Error, Result};
use crate::gzip::Stopped;

/// The longest value of one element (PS3.5 7.1): even, and not the mark of an undefined length.
const LONGEST_VALUE: u64 = 0xFFFF_FFFE;
/// A slice may lie this far from its place on the grid, in pixels.
const NEAR_PIXELS: f64 = 0.15;
/// Cosine between rows and columns that still counts as a right angle.
const SQUARE: f64 = 1e-3;
/// Bytes between two steps of the progress.
const BLOCK: usize = 1 << 22;

/// Writes `segmentation` as a DICOM Segmentation object (BINARY, explicit little endian) of the study that `source`
/// belongs to: one frame for each structure and slice on which it has voxels, at the true position of that slice and
/// with a reference to it. Structures without voxels are left out; when none has any, all are listed with one empty
/// frame each. The same arguments give the same bytes: unique identifiers are made from the content, and the date is
/// that of the source.
///
/// # Errors
///
/// [`Error::Encode`] when the labels do not lie on the slices of `source`, a label has no segment, or the object would
/// be too large for DICOM; [`Error::Write`], [`Error::DiskFull`], [`Error::Cancelled`].
pub fn write(
    path: &Path,
    segmentation: &Segmentation,
    source: &Source,
    making: &Making,
    progress: &Progress,
) -> Result<()> {
    let labels = &segmentation.labels;
    check(&labels.grid, source)?;
    let planes = planes(labels, source);
    let (segments, frames) = contents(segmentation, &planes, progress)?;
    let [columns, rows, _] = labels.grid.size;
    let bytes = (frames.len() as u64 * (rows * columns) as u64).div_ceil(8);
    if bytes > LONGEST_VALUE || frames.is_empty() {
        let detail =
            format!("{} masks of {rows} x {columns} pixels do not fit into one DICOM object", frames.len());
        return Err(Error::Encode { detail });
    }
    let identity = Identity::of(segmentation, source, making);
    let content = Content { source, grid: &labels.grid, making, identity, segments, frames };
    atomic::write(path, |out| {
        out.write_all(&content.head())?;
        out.write_all(&content.body())?;
        let mut header = Vec::new();
        append_header(tags::PIXEL_DATA, b"OB", (bytes + bytes % 2) as u32, &mut header);
        out.write_all(&header)?;
        pixels(labels, &planes, &content, out, progress)?;
        if bytes % 2 == 1 {
            out.write_all(&[0])?;
        }
        Ok(())
    })
}

/// Whether labels on `grid` can become an object that refers to `source`: worth knowing before they are computed.
///
/// # Errors
///
/// [`Error::Encode`] when they do not lie on the slices of `source`, or these cannot be named or told apart.
pub fn check(grid: &Grid, source: &Source) -> Result<()> {
    let refuse = |detail: String| Err(Error::Encode { detail });
    let [columns, rows, _] = grid.size;
    if rows.max(columns) > usize::from(u16::MAX) {
        return refuse(format!("{rows} x {columns} pixels are more than DICOM has numbers for"));
    }
    let [row, column, _] = grid.direction();
    let cosine: f64 = row.iter().zip(&column).map(|(a, b)| a * b).sum();
    if cosine.abs() > SQUARE {
        return refuse(
            "rows and columns of the labels are not perpendicular, as those of DICOM are".to_owned(),
        );
    }
    if source.study_instance_uid.is_empty() || source.series_instance_uid.is_empty() {
        return refuse("the source series has no study or series instance UID".to_owned());
    }
    let [width, height, _] = grid.spacing();
    let near = NEAR_PIXELS * width.min(height);
    for (number, slice) in (1..).zip(&source.slices) {
        if slice.sop_instance_uid.is_empty() || slice.sop_class_uid.is_empty() {
            return refuse(format!("slice {number} of the source has no SOP instance or class UID"));
        }
        let place = grid.world([0.0, 0.0, slice.k]);
        let off = (0..3).map(|axis| (place[axis] - slice.position[axis]).powi(2)).sum::<f64>().sqrt();
        if off.partial_cmp(&near) != Some(std::cmp::Ordering::Less) {
            return refuse(format!(
                "the labels do not lie on the slices of the series: slice {number} is {off:.2} mm away"
            ));
        }
    }
    Ok(())
}

/// For each slice of the source the plane of the labels that lies nearest.
fn planes(labels: &LabelMap, source: &Source) -> Vec<usize> {
    let last = labels.grid.size[2].saturating_sub(1);
    source.slices.iter().map(|slice| (slice.k.round().max(0.0) as usize).min(last)).collect()
}

/// The segments that are written, and their frames.
fn contents<'a>(
    segmentation: &'a Segmentation,
    planes: &[usize],
    progress: &Progress,
) -> Result<(Vec<&'a Segment>, Vec<Frame>)> {
    let present = frames::present(&segmentation.labels, progress)?;
    let segments = &segmentation.segments;
    let listed = |value: usize| segments.iter().any(|segment| usize::from(segment.value) == value);
    let unlisted = (1..256).find(|&value| !listed(value) && present.iter().any(|plane| plane[value]));
    if let Some(value) = unlisted {
        return Err(Error::Encode { detail: format!("label {value} belongs to no segment") });
    }
    let (mut written, mut frames) = (Vec::new(), Vec::new());
    for segment in segments.iter().filter(|segment| segment.value > 0) {
        let before = frames.len();
        let on = |plane: usize| present.get(plane).is_some_and(|flags| flags[usize::from(segment.value)]);
        let slices = planes.iter().enumerate().filter(|(_, plane)| on(**plane));
        frames.extend(slices.map(|(slice, _)| Frame { segment: written.len(), slice }));
        if frames.len() > before {
            written.push(segment);
        }
    }
    if frames.is_empty() {
        written = segments.iter().filter(|segment| segment.value > 0).collect();
        frames = (0..written.len()).map(|segment| Frame { segment, slice: 0 }).collect();
    }
    Ok((written, frames))
}

/// The masks, one after the other.
fn pixels(
    labels: &LabelMap,
    planes: &[usize],
    content: &Content<'_>,
    out: &mut impl Write,
    progress: &Progress,
) -> Result<(), Stopped> {
    let total = content.frames.len() as u64;
    let (mut bits, mut bytes) = (Bits::default(), Vec::new());
    for (done, frame) in (0..).zip(&content.frames) {
        let plane = labels.labels.index_axis(Axis(0), planes[frame.slice]);
        let value = content.segments[frame.segment].value;
        match plane.as_slice() {
            Some(plane) => bits.append(plane, value, &mut bytes),
            None => bits.append(&plane.iter().copied().collect::<Vec<u8>>(), value, &mut bytes),
        }
        if bytes.len() >= BLOCK || done + 1 == total {
            progress.step("writing", done, total)?;
            out.write_all(&bytes)?;
            bytes.clear();
        }
    }
    bits.finish(&mut bytes);
    Ok(out.write_all(&bytes)?)
}
