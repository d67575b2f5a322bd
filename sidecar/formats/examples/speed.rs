//! How fast an image is read and a label map written, beside the time that inflating alone takes:
//! `cargo run --release -p formats --example speed -- image.nii.gz result.nii.gz`.
#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use formats::{ReadOptions, read, write_segmentation};
use imaging::{LabelMap, Progress, Segmentation};

/// The fastest of three, as other work on the machine only ever adds time; one value is alive at a time.
fn best<T>(mut work: impl FnMut() -> Outcome<T>) -> Outcome<(Duration, T)> {
    let mut fastest = Duration::MAX;
    for _ in 0..2 {
        let start = Instant::now();
        work()?;
        fastest = fastest.min(start.elapsed());
    }
    let start = Instant::now();
    let value = work()?;
    Ok((fastest.min(start.elapsed()), value))
}

/// Any error will do for a program of this size.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let mut paths = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(input), Some(output)) = (paths.next(), paths.next()) else {
        return Err("two paths are needed: an image and where to write labels".into());
    };
    let (inflate, bytes) = best(|| {
        let mut source = BufReader::new(File::open(&input)?);
        let mut bytes = 0;
        let mut magic = [0; 2];
        source.read_exact(&mut magic)?;
        source.rewind()?;
        let mut inner: Box<dyn Read> = if magic == [0x1f, 0x8b] {
            Box::new(formats::gzip::Unpacked::new(source))
        } else {
            Box::new(source)
        };
        let mut chunk = vec![0; 256 * 1024];
        loop {
            match inner.read(&mut chunk)? {
                0 => return Ok(bytes),
                count => bytes += count,
            }
        }
    })?;
    println!("{:8.3} s  inflate {bytes} bytes", inflate.as_secs_f64());
    let silent = Progress::silent();
    let (reading, image) = best(|| Ok(read(&input, &ReadOptions::default(), &silent)?))?;
    println!("{:8.3} s  read into f32, {:?} voxels", reading.as_secs_f64(), image.volume.grid.size);
    let grid = image.volume.grid;
    // Shells of a few labels, about as many borders as an organ segmentation has.
    let labels = image.volume.voxels.mapv(|value| ((value / 200.0) as i32).clamp(0, 20) as u8);
    let segmentation = Segmentation { labels: LabelMap { grid, labels }, segments: Vec::new() };
    let (writing, ()) = best(|| Ok(write_segmentation(&output, &segmentation, &image.source, &silent)?))?;
    let length = std::fs::metadata(&output)?.len();
    println!("{:8.3} s  write a label map, {length} bytes", writing.as_secs_f64());
    Ok(())
}
