//! D45: real slices in every transfer syntax, against pixels decoded by other people's decoders (see
//! `tests/reference/dicom/make.py`).

use std::path::Path;

use serde_json::Value;

use crate::dicom::files::{Given, scan};
use crate::dicom::pixels::{self, Content};
use imaging::Progress;

/// The intensities of the only slice of a file.
fn intensities(path: &Path) -> Result<Vec<f32>, &'static str> {
    let given = Given { name: String::new(), content: Content::Path(path.to_owned()) };
    let found = scan(vec![given], &Progress::silent()).map_err(|error| error.code())?;
    let (stored, image) = found.objects[0].slices.as_ref().map_err(|error| error.code())?;
    let mut values = vec![0.0; stored.storage.rows * stored.storage.columns];
    let mut storage = stored.storage.clone();
    storage.padding = None;
    pixels::read_as(stored, &storage, &image.slices[0], &mut values, &mut Vec::new())
        .map_err(|error| error.code())?;
    Ok(values)
}

#[test]
fn d45_every_transfer_syntax_decodes_as_elsewhere() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/dicom");
    let text = std::fs::read_to_string(folder.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let files = expected.as_object().unwrap();
    assert!(files.len() >= 9);
    for (name, wanted) in files {
        let found = intensities(&folder.join(name));
        if let Some(code) = wanted["code"].as_str() {
            assert_eq!(found.unwrap_err(), code, "{name}");
            continue;
        }
        let found = found.unwrap_or_else(|code| panic!("{name}: {code}"));
        let mut checksum = flate2::Crc::new();
        checksum.update(&found.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>());
        let sum: f64 = found.iter().map(|value| f64::from(*value)).sum();
        let middle = wanted["mean"].as_f64().unwrap();
        let mean = sum / found.len() as f64;
        assert!((mean - middle).abs() <= wanted["within"].as_f64().unwrap(), "{name}: {mean}, not {middle}");
        if let Some(crc) = wanted["crc32"].as_str() {
            assert_eq!(format!("{:08x}", checksum.sum()), crc, "{name}");
        }
    }
}
