//! Reads a DICOM series and prints its geometry, warnings, a checksum of its voxels and the time it took:
//! `cargo run --release -p formats --example read_dicom -- FOLDER [PROPERTY=VALUE ...]`.
#![expect(clippy::print_stdout, reason = "a command")]

use std::path::Path;
use std::time::Instant;

use formats::dicom::{self, Options};
use imaging::Progress;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| ".".to_owned());
    let choose = arguments.filter_map(|pair| {
        pair.split_once('=').map(|(property, value)| (property.to_owned(), value.to_owned()))
    });
    let options = Options { choose: choose.collect(), ..Options::default() };
    let start = Instant::now();
    let outcome = dicom::read_folder(Path::new(&folder), &options, &Progress::silent());
    let seconds = start.elapsed().as_secs_f64();
    match outcome {
        Ok(series) => {
            let grid = &series.volume.grid;
            let mut checksum = flate2::Crc::new();
            for plane in series.volume.voxels.outer_iter() {
                let bytes: Vec<u8> = plane.iter().flat_map(|voxel| voxel.to_le_bytes()).collect();
                checksum.update(&bytes);
            }
            println!("size {:?} spacing {:?} shear {:.4}", grid.size, grid.spacing(), grid.shear());
            println!("origin {:?} axes {:?}", grid.origin, grid.axes);
            println!("warnings {:?}", series.warnings);
            println!("{} slices, crc32 {:08x}, {seconds:.3} s", series.source.slices.len(), checksum.sum());
        }
        Err(error) => {
            println!("{}: {error}", error.code());
            for choice in error.choices() {
                println!("  choice {} ({} slices)", choice.value.0, choice.slices);
            }
        }
    }
}
