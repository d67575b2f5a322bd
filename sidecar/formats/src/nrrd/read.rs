//! Bytes of a NRRD file to an image.

use imaging::{LabelMap, Progress, Segmentation, Volume};
use ndarray::Array3;

use super::header::{Axes, Header, line};
use super::segments;
use crate::error::{Choice, Error, Result, Warning};
use crate::samples::{self, Component, Layout, Sample};
use crate::stream::Stream;
use crate::{Format, Image, Info, ReadOptions, Source};

/// Volumes of a series that are listed as choices.
const MOST_LISTED: u64 = 64;

/// Everything before the voxels.
struct Start {
    header: Header,
    axes: Axes,
    sample: Sample,
    size: [usize; 3],
    /// Bytes of all voxels.
    bytes: u64,
}

/// Reads an image; `stream` stands at its first byte.
pub(crate) fn image(mut stream: Stream<'_>, options: &ReadOptions, progress: &Progress) -> Result<Image> {
    let mut warnings = Vec::new();
    let start = start(&mut stream, options)?;
    let grid = start.header.grid(&start.axes, start.size, options, &mut warnings)?;
    let modality = start.header.modality.clone().or_else(|| options.modality.clone());
    let (voxels, _) = one_volume(stream, &start, options, |stream, layout, component| {
        samples::read_volume(stream, layout, component, modality.as_deref(), &mut warnings, progress)
    })?;
    let voxels = Array3::from_shape_vec(grid.shape(), voxels)
        .map_err(|error| Error::Corrupt { detail: error.to_string() })?;
    let source = Source::Nrrd(Box::new(start.header));
    Ok(Image { volume: Volume { grid, voxels }, source, warnings })
}

/// Reads a label map, with its segments if it is one of Slicer's; a layer of several is chosen as `volume`.
pub(crate) fn segmentation(
    mut stream: Stream<'_>,
    options: &ReadOptions,
    progress: &Progress,
) -> Result<Segmentation> {
    let mut warnings: Vec<Warning> = Vec::new();
    let start = start(&mut stream, options)?;
    let grid = start.header.grid(&start.axes, start.size, options, &mut warnings)?;
    let (labels, layer) = one_volume(stream, &start, options, |stream, layout, component| {
        samples::read_labels(stream, layout, component, progress)
    })?;
    let labels = Array3::from_shape_vec(grid.shape(), labels)
        .map_err(|error| Error::Corrupt { detail: error.to_string() })?;
    let segments = segments::from_pairs(&start.header.pairs, layer);
    Ok(Segmentation { labels: LabelMap { grid, labels }, segments })
}

/// Reads the header only.
pub(crate) fn info(mut stream: Stream<'_>, options: &ReadOptions) -> Result<Info> {
    let start = start(&mut stream, options)?;
    let grid = start.header.grid(&start.axes, start.size, options, &mut Vec::new())?;
    Ok(Info {
        format: Format::Nrrd,
        size: start.size,
        spacing: Some(grid.spacing()),
        volumes: (start.axes.components * start.axes.volumes) as usize,
        sample: start.sample.name().to_owned(),
        modality: start.header.modality,
    })
}

/// Reads the header, and refuses sizes that are too large before memory is asked for.
fn start(stream: &mut Stream<'_>, options: &ReadOptions) -> Result<Start> {
    let header = Header::read(stream)?;
    let axes = header.axes()?;
    let sample = header.sample()?;
    let size = crate::geometry::size(axes.lengths, &options.limits)?;
    let most = options.limits.voxels;
    let values = [axes.components, axes.volumes, sample.bytes() as u64];
    let bytes =
        values.iter().try_fold(size.iter().product::<usize>() as u64, |product, &n| product.checked_mul(n));
    let bytes = bytes.ok_or(Error::Limit { what: "bytes of voxels", found: u64::MAX, most })?;
    Ok(Start { header, axes, sample, size, bytes })
}

/// Stands the stream at the first voxel.
fn data<'a>(mut stream: Stream<'a>, start: &Start) -> Result<Stream<'a>> {
    let lines = start.header.integer("lineskip")?;
    let skip = start.header.integer("byteskip")?;
    let gzip = start.header.gzip()?;
    for _ in 0..lines {
        line(&mut stream, usize::MAX)?;
    }
    if gzip {
        stream = stream.unpacked();
    }
    let end = stream.position.saturating_add(start.bytes);
    stream.expect(end.saturating_add(skip.max(0) as u64))?;
    match skip {
        // The voxels are the last bytes of the file.
        -1 if !gzip => stream.skip(stream.most - end, stream.most)?,
        0.. => stream.skip(skip as u64, end.saturating_add(skip as u64))?,
        _ => {
            let detail = format!("`byte skip` {skip}, expected 0 or more, or -1 with raw voxels");
            return Err(Error::UnsupportedType { detail });
        }
    }
    Ok(stream)
}

/// Reads the only volume, or the chosen one of several, checks what follows, and says which it was.
fn one_volume<T>(
    stream: Stream<'_>,
    start: &Start,
    options: &ReadOptions,
    read: impl FnOnce(&mut Stream<'_>, Layout, Component) -> Result<T>,
) -> Result<(T, u64)> {
    let Axes { components, volumes, .. } = start.axes;
    let of = components.saturating_mul(volumes);
    let chosen = if of == 1 { 0 } else { chosen(of, options)? };
    let mut stream = data(stream, start)?;
    let big_endian = start.header.big_endian(start.sample)?;
    let voxels = start.size.iter().product::<usize>();
    let component = Component { index: (chosen % components) as usize, of: components as usize };
    let layout = Layout { sample: start.sample, big_endian, count: voxels * component.of, scale: None };
    let (volume, bytes) = (chosen / components, start.bytes / volumes);
    let end = stream.position + start.bytes;
    stream.skip(volume * bytes, end)?;
    let values = read(&mut stream, layout, component)?;
    stream.skip((volumes - 1 - volume) * bytes, end)?;
    let beyond = stream.finish()?;
    if beyond > 0 {
        let declared = start.bytes;
        let detail = format!("{beyond} bytes follow the {declared} that the header declares");
        return Err(Error::Corrupt { detail });
    }
    Ok((values, chosen))
}

/// The chosen one of several volumes.
fn chosen(of: u64, options: &ReadOptions) -> Result<u64> {
    let label = |index: u64| Choice::new("volume", index.to_string(), format!("volume {index} of {of}"));
    let choices: Vec<Choice> = (0..of.min(MOST_LISTED)).map(label).collect();
    let Some(value) = options.resolve.get("volume") else {
        let detail = format!("the file holds {of} values for each voxel, expected 1");
        return Err(Error::NotThreeDimensional { detail, choices });
    };
    let index = value.parse().ok().filter(|&index: &u64| index < of);
    index.ok_or_else(|| Error::Choice { key: "volume", value: value.clone(), choices })
}
