//! Reads an image or a label map and writes it in the format that the second name asks for:
//! `cargo run -p formats --example convert -- [--labels] image.nrrd image.nii.gz [key=value ...]`.
//! Prints what was read as one line of JSON; `tests/reference/formats/check_writers.py` compares it with others.
#![expect(clippy::print_stdout, reason = "the line is what this program is for")]

use std::path::PathBuf;

use formats::{ReadOptions, Sample, read, read_segmentation, write_segmentation, write_volume};
use imaging::{Code, Progress, Segment, Terminology};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut paths, mut options, mut as_labels) = (Vec::new(), ReadOptions::default(), false);
    for argument in std::env::args().skip(1) {
        match argument.split_once('=') {
            _ if argument == "--labels" => as_labels = true,
            Some((key, value)) => options = options.resolved(key, value),
            None => paths.push(PathBuf::from(argument)),
        }
    }
    let [input, output] = paths.as_slice() else { return Err("two paths are needed".into()) };
    let silent = Progress::silent();
    let image = match read(input, &options, &silent) {
        Ok(image) => image,
        Err(error) => {
            println!("{{\"code\": \"{}\", \"message\": {:?}}}", error.code(), error.to_string());
            return Ok(());
        }
    };
    if as_labels {
        let mut segmentation = read_segmentation(input, &options, &silent)?;
        if segmentation.segments.is_empty() {
            segmentation.segments = (1..=3).map(example).collect();
        }
        write_segmentation(output, &segmentation, &image.source, &silent)?;
    } else {
        write_volume(output, &image.volume, Sample::F32, &image.source, &silent)?;
    }
    let rows = image.volume.grid.matrix();
    let warnings: Vec<&str> = image.warnings.iter().map(|warning| warning.code).collect();
    println!("{{\"size\": {:?}, \"matrix\": {rows:?}, \"warnings\": {warnings:?}}}", image.volume.grid.size);
    Ok(())
}

/// A structure to try names, colours and codes with.
fn example(value: u8) -> Segment {
    let code = |value: &str, meaning: &str| Code {
        scheme: "SCT".into(),
        value: value.into(),
        meaning: meaning.into(),
    };
    let terminology = Terminology {
        category: code("123037004", "Anatomical Structure"),
        kind: code("64033007", "Kidney"),
        modifier: Some(code("24028007", "Right")),
        region: None,
        region_modifier: None,
    };
    Segment {
        value,
        name: format!("part_{value}"),
        color: [value * 40, 255, 7],
        terminology: Some(terminology),
    }
}
