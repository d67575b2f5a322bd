//! Draws a preview for the eye: `look IMAGE.nii.gz LABELS.nii.gz SEGMENTS.json OUT.png [TITLE] [WIDTH]`.
//!
//! `SEGMENTS.json` is a list of `{"value": 1, "name": "liver", "color": [221, 130, 101]}`. `-` for the image draws
//! the labels alone. Reads just enough of NIfTI-1 for that; the product reads files through `formats`.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Read};
use std::time::Instant;

use imaging::{Grid, LabelMap, Progress, Segment, Segmentation, Volume};
use ndarray::Array3;
use preview::{PreviewOptions, Window};

#[expect(clippy::print_stderr, reason = "an example speaks to the person who runs it")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [image, labels, segments, out, rest @ ..] = arguments.as_slice() else {
        return Err("usage: look IMAGE.nii.gz|- LABELS.nii.gz SEGMENTS.json OUT.png [TITLE] [WIDTH]".into());
    };
    let segments: Vec<Segment> = serde_json::from_reader(File::open(segments)?)?;
    let labels = read(labels)?;
    let volume = if image == "-" {
        Volume { grid: labels.grid.clone(), voxels: Array3::from_elem(labels.voxels.dim(), -1000.0) }
    } else {
        read(image)?
    };
    let labels = LabelMap { grid: labels.grid, labels: labels.voxels.mapv(|value| value as u8) };
    let mut options = PreviewOptions::default();
    options.title = rest.first().cloned().unwrap_or_default();
    // Without an image there is only air: let it be black.
    options.window = (image == "-").then_some(Window { center: 40.0, width: 400.0 });
    options.width = rest.get(1).map_or(Ok(options.width), |width| width.parse())?;
    let start = Instant::now();
    let segmentation = Segmentation { labels, segments };
    let picture = preview::render(&volume, &segmentation, &options, &Progress::silent())?;
    eprintln!("{} x {} in {:.2} s", picture.width, picture.height, start.elapsed().as_secs_f64());
    let (width, height) = (u32::try_from(picture.width)?, u32::try_from(picture.height)?);
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(out)?), width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(&picture.rgb)?;
    Ok(())
}

/// A little-endian NIfTI-1 file with an sform.
fn read(path: &str) -> Result<Volume, Box<dyn Error>> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    if path.ends_with(".gz") {
        flate2::read::MultiGzDecoder::new(file).read_to_end(&mut bytes)?;
    } else {
        std::io::BufReader::new(file).read_to_end(&mut bytes)?;
    }
    let short = |at: usize| i16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let float = |at: usize| f32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let size: [usize; 3] = std::array::from_fn(|a| short(42 + 2 * a).max(1) as usize);
    let (slope, offset) = if float(112) == 0.0 { (1.0, 0.0) } else { (float(112), float(116)) };
    let data = &bytes[float(108) as usize..];
    let values: Vec<f32> = match short(70) {
        2 => data.iter().map(|&byte| f32::from(byte)).collect(),
        4 => data.chunks_exact(2).map(|b| f32::from(i16::from_le_bytes([b[0], b[1]]))).collect(),
        512 => data.chunks_exact(2).map(|b| f32::from(u16::from_le_bytes([b[0], b[1]]))).collect(),
        8 => data.chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]) as f32).collect(),
        16 => data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        kind => return Err(format!("datatype {kind} of `{path}` is not read here").into()),
    };
    // Rows of the sform are RAS; ours is LPS.
    let sign = [-1.0, -1.0, 1.0];
    let entry = |row: usize, column: usize| sign[row] * f64::from(float(280 + 16 * row + 4 * column));
    let axes = std::array::from_fn(|column| std::array::from_fn(|row| entry(row, column)));
    let grid = Grid::new(size, axes, std::array::from_fn(|row| entry(row, 3)))?;
    let count = grid.len();
    let voxels = values.into_iter().take(count).map(|value| value * slope + offset).collect();
    Ok(Volume { voxels: Array3::from_shape_vec(grid.shape(), voxels)?, grid })
}
