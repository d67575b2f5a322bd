//! What a DICOM reader must get right or refuse: the rows D01 to D58 of the trust table, one test or more each.

mod codecs;
mod damage;
mod groups;
mod hostile;
mod intensity;
mod mixed;
mod phantom;
mod positions;

use imaging::Progress;

use super::{Error, Options, Series, read_files};
use phantom::Object;

/// Reads objects as files named by their order.
fn read_with(objects: &[Object], options: &Options) -> Result<Series, Error> {
    let files = objects.iter().enumerate().map(|(index, object)| (format!("{index:05}"), object.bytes()));
    read_files(files, options, &Progress::silent())
}

fn read(objects: &[Object]) -> Result<Series, Error> {
    read_with(objects, &Options::default())
}

/// Reads one file that is to be refused; tells the code.
fn code_of_file(bytes: Vec<u8>) -> &'static str {
    let outcome = read_files([("a".to_owned(), bytes)], &Options::default(), &Progress::silent());
    outcome.map_or_else(|error| error.code(), |_| "read")
}

/// The codes of the warnings.
fn codes(series: &Series) -> Vec<&'static str> {
    series.warnings.iter().map(super::Warning::code).collect()
}

/// Reads a series, and expects the middle of its bright voxels at `at` (LPS mm) to within `tolerance`.
#[track_caller]
fn check_marker(objects: &[Object], at: [f64; 3], tolerance: f64, warnings: &[&str]) -> Series {
    let series = read(objects).unwrap();
    let found = phantom::marker(&series);
    let off = (0..3).map(|axis| (found[axis] - at[axis]).powi(2)).sum::<f64>().sqrt();
    assert!(off <= tolerance, "the marker lies at {found:?}, {off:.3} mm from {at:?}");
    assert_eq!(codes(&series), warnings);
    let grid = &series.volume.grid;
    assert!(grid.determinant() > 0.0, "k does not rise along row x column");
    for slice in &series.source.slices {
        let world = grid.world([0.0, 0.0, slice.k]);
        let off = (0..3).map(|axis| (world[axis] - slice.position[axis]).abs()).fold(0.0, f64::max);
        assert!(off <= tolerance.max(0.01), "a slice lies {off} mm from its place on the grid");
    }
    series
}

/// Reads a series that is to be refused.
#[track_caller]
fn check_refused(objects: &[Object], code: &str) -> Error {
    match read(objects) {
        Ok(_) => panic!("read, but {code} was expected"),
        Err(error) => {
            assert_eq!(error.code(), code, "{error}");
            let text = format!("{error} {error:?} {:?}", error.hint());
            assert!(!text.contains("CANARY"), "the message holds text from the file: {text}");
            error
        }
    }
}

/// Reads a series whose slices differ in `property`; returns the values offered.
#[track_caller]
fn check_mixed(objects: &[Object], property: &str) -> Vec<String> {
    let error = check_refused(objects, "E_SERIES_MIXED");
    assert!(error.to_string().contains(property), "{error}");
    error.choices().iter().map(|choice| choice.value.0.clone()).collect()
}
