//! Bytes of a NIfTI file to an image.

use imaging::{LabelMap, Progress, Segment, Segmentation, Volume};
use ndarray::Array3;

use super::header::{Header, LENGTH_1, LENGTH_2, announced, invalid};
use super::{geometry, label_table};
use crate::error::{Choice, Error, Result, Warning};
use crate::samples::{self, Component, Layout, Sample};
use crate::stream::Stream;
use crate::{Format, Image, Info, ReadOptions, Source};

/// Bytes of extensions that are kept; label tables of 255 names take about 25 KiB.
const MOST_EXTENSION: u64 = 16 << 20;
/// Volumes of a series that are listed as choices.
const MOST_LISTED: u64 = 64;

/// Everything before the voxels.
struct Start {
    header: Header,
    sample: Sample,
    size: [usize; 3],
    volumes: u64,
    segments: Vec<Segment>,
}

/// Reads an image; `stream` stands at its first byte.
pub(crate) fn image(mut stream: Stream<'_>, options: &ReadOptions, progress: &Progress) -> Result<Image> {
    let mut warnings = Vec::new();
    let start = start(&mut stream, options)?;
    let grid = geometry::grid(&start.header, start.size, options, &mut warnings)?;
    let layout = layout(&start, &mut warnings)?;
    let voxels = one_volume(&mut stream, &start, options, |stream| {
        samples::read_volume(
            stream,
            layout,
            Component::ONLY,
            options.modality.as_deref(),
            &mut warnings,
            progress,
        )
    })?;
    finish(&mut stream, &mut warnings)?;
    let voxels = Array3::from_shape_vec(grid.shape(), voxels).map_err(|error| invalid(error.to_string()))?;
    let source = Source::Nifti(Box::new(start.header));
    Ok(Image { volume: Volume { grid, voxels }, source, warnings })
}

/// Reads a label map with the names of its label table, if it has one.
pub(crate) fn segmentation(
    mut stream: Stream<'_>,
    options: &ReadOptions,
    progress: &Progress,
) -> Result<Segmentation> {
    let mut warnings = Vec::new();
    let start = start(&mut stream, options)?;
    let grid = geometry::grid(&start.header, start.size, options, &mut warnings)?;
    let layout = layout(&start, &mut warnings)?;
    let labels = one_volume(&mut stream, &start, options, |stream| {
        samples::read_labels(stream, layout, Component::ONLY, progress)
    })?;
    finish(&mut stream, &mut warnings)?;
    let labels = Array3::from_shape_vec(grid.shape(), labels).map_err(|error| invalid(error.to_string()))?;
    Ok(Segmentation { labels: LabelMap { grid, labels }, segments: start.segments })
}

/// Reads the header only.
pub(crate) fn info(mut stream: Stream<'_>, options: &ReadOptions) -> Result<Info> {
    let start = start(&mut stream, options)?;
    let grid = geometry::grid(&start.header, start.size, options, &mut Vec::new())?;
    Ok(Info {
        format: Format::Nifti,
        size: start.size,
        spacing: Some(grid.spacing()),
        volumes: start.volumes as usize,
        sample: start.sample.name().to_owned(),
        modality: None,
    })
}

/// Reads up to the first voxel, and refuses what cannot be there before memory is asked for.
fn start(stream: &mut Stream<'_>, options: &ReadOptions) -> Result<Start> {
    let mut bytes = [0; LENGTH_2];
    stream.read_exact(&mut bytes[..LENGTH_1], LENGTH_1 as u64)?;
    let (version, big_endian) = announced(&bytes).ok_or_else(|| {
        invalid(format!("the first field is {:?}, expected the length 348 or 540", &bytes[..4]))
    })?;
    if version == super::Version::Two {
        stream.read_exact(&mut bytes[LENGTH_1..], LENGTH_2 as u64)?;
    }
    let header = Header::parse(&bytes, version, big_endian)?;
    if header.dim[0] < 3 {
        let detail = format!("the image has {} axes, expected 3", header.dim[0]);
        return Err(Error::NotThreeDimensional { detail, choices: Vec::new() });
    }
    let sample = header.sample()?;
    let offset = offset(&header, stream)?;
    let (lengths, volumes) = header.lengths()?;
    let bytes = lengths.iter().try_fold(volumes, |product, &length| product.checked_mul(length));
    let bytes = bytes.and_then(|voxels| voxels.checked_mul(sample.bytes() as u64));
    stream.expect(bytes.and_then(|bytes| bytes.checked_add(offset)).unwrap_or(u64::MAX))?;
    let size = crate::geometry::size(lengths, &options.limits)?;
    let segments = extensions(stream, &header, offset)?;
    Ok(Start { header, sample, size, volumes, segments })
}

/// Where the voxels begin: a whole number, behind the header and within the file.
fn offset(header: &Header, stream: &Stream<'_>) -> Result<u64> {
    let (found, least) = (header.vox_offset, header.length() as f64);
    if found.fract() != 0.0 || !(least..=stream.most as f64).contains(&found) {
        let most = stream.most;
        let detail = format!("`vox_offset` is {found}, expected a whole number from {least} to {most}");
        return Err(Error::Corrupt { detail });
    }
    Ok(found as u64)
}

/// Reads the extensions up to `offset` for the label table among them.
fn extensions(stream: &mut Stream<'_>, header: &Header, offset: u64) -> Result<Vec<Segment>> {
    let mut flag = [0; 4];
    stream.read_exact(&mut flag, offset)?;
    let length = offset - stream.position;
    if flag[0] == 0 {
        stream.skip(length, offset)?;
        return Ok(Vec::new());
    }
    if length > MOST_EXTENSION {
        return Err(Error::Limit { what: "bytes of extensions", found: length, most: MOST_EXTENSION });
    }
    let mut bytes = vec![0; length as usize];
    stream.read_exact(&mut bytes, offset)?;
    let mut segments = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some((size, code_and_on)) = rest.split_first_chunk::<4>() {
        let size = if header.big_endian { i32::from_be_bytes(*size) } else { i32::from_le_bytes(*size) };
        // Zeros up to the voxels are padding that some writers leave.
        if size == 0 && rest.iter().all(|&byte| byte == 0) {
            break;
        }
        let content = usize::try_from(size).ok().filter(|&size| size >= 8).and_then(|size| {
            let content = code_and_on.get(4..size - 4)?;
            rest = &rest[size..];
            Some(content)
        });
        let Some(content) = content else {
            let detail = format!("an extension is {size} bytes long, expected 8 to {}", rest.len());
            return Err(Error::Corrupt { detail });
        };
        if segments.is_empty() {
            segments = std::str::from_utf8(content).map(label_table::from_xml).unwrap_or_default();
        }
    }
    Ok(segments)
}

/// How the voxels are stored, and whether they are scaled.
fn layout(start: &Start, warnings: &mut Vec<Warning>) -> Result<Layout> {
    let Header { scl_slope: slope, scl_inter: intercept, big_endian, .. } = start.header;
    let count = start.size.iter().product();
    let unscaled = Layout { sample: start.sample, big_endian, count, scale: None };
    if slope.is_nan() {
        if !intercept.is_nan() {
            let message = format!("`scl_slope` is no number, so `scl_inter` {intercept} was not applied");
            warnings.push(Warning::new("W_SLOPE", message));
        }
        return Ok(unscaled);
    }
    // The standard: a slope of 0 means that there is no scaling, whatever the intercept.
    if slope == 0.0 || (slope == 1.0 && intercept == 0.0) {
        return Ok(unscaled);
    }
    if !slope.is_finite() || !intercept.is_finite() {
        let detail = format!("`scl_slope` is {slope}, `scl_inter` is {intercept}, expected finite numbers");
        return Err(Error::Intensity { detail });
    }
    if slope < 0.0 {
        let message = format!("`scl_slope` is {slope}: the intensities are reversed");
        warnings.push(Warning::new("W_NEGATIVE_SLOPE", message));
    }
    Ok(Layout { scale: Some([slope, intercept]), ..unscaled })
}

/// Reads the only volume, or the chosen one of several, and leaves the stream behind the last.
fn one_volume<T>(
    stream: &mut Stream<'_>,
    start: &Start,
    options: &ReadOptions,
    read: impl FnOnce(&mut Stream<'_>) -> Result<T>,
) -> Result<T> {
    if start.volumes == 1 {
        return read(stream);
    }
    let volumes = start.volumes;
    let chosen = options.resolve.get("volume").and_then(|value| value.parse().ok());
    let chosen = chosen.filter(|&chosen: &u64| chosen < volumes);
    let Some(chosen) = chosen else {
        let label =
            |index: u64| Choice::new("volume", index.to_string(), format!("volume {index} of {volumes}"));
        let choices: Vec<Choice> = (0..volumes.min(MOST_LISTED)).map(label).collect();
        if let Some(value) = options.resolve.get("volume") {
            return Err(Error::Choice { key: "volume", value: value.clone(), choices });
        }
        let detail = format!("the file holds {volumes} volumes, expected 1");
        return Err(Error::NotThreeDimensional { detail, choices });
    };
    let bytes = start.size.iter().product::<usize>() as u64 * start.sample.bytes() as u64;
    let end = stream.position + bytes * volumes;
    stream.skip(bytes * chosen, end)?;
    let values = read(stream)?;
    stream.skip(bytes * (volumes - 1 - chosen), end)?;
    Ok(values)
}

/// Reads on to the end of the file, so that a checksum at its end is verified.
fn finish(stream: &mut Stream<'_>, warnings: &mut Vec<Warning>) -> Result<()> {
    let beyond = stream.finish()?;
    if beyond > 0 {
        let message = format!("{beyond} bytes after the last voxel were not read");
        warnings.push(Warning::new("W_TRAILING", message));
    }
    Ok(())
}
