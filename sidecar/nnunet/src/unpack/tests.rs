//! Archives of models, honest and hostile.

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;
use crate::import::{ImportOptions, import};
use crate::testing::{Item, Lie, honest, model, residual_folder, zipped};

const FOLDER: &str = "Dataset902_Residual/MyTrainer__nnUNetPlans__3d_fullres";

/// An archive as TotalSegmentator publishes it: deflated, with things that no reader needs.
fn release(path: &Path) {
    let mut zip = ZipWriter::new(File::create(path).unwrap());
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    zip.add_directory("Dataset902_Residual/", options).unwrap();
    for name in ["plans.json", "dataset.json", "fold_all/checkpoint_final.pth"] {
        zip.start_file(format!("{FOLDER}/{name}"), options).unwrap();
        zip.write_all(&fs::read(residual_folder().join(name)).unwrap()).unwrap();
    }
    for name in
        ["__MACOSX/._plans.json", "Dataset902_Residual/fold_all/progress.png", "Dataset902_Residual/run.sh"]
    {
        zip.start_file(name, options).unwrap();
        zip.write_all(b"#!/bin/sh\n").unwrap();
    }
    zip.finish().unwrap();
}

fn unpacked(bytes: &[u8]) -> (Result<()>, tempfile::TempDir) {
    let home = tempfile::tempdir().unwrap();
    let archive = home.path().join("a.zip");
    fs::write(&archive, bytes).unwrap();
    fs::create_dir(home.path().join("models")).unwrap();
    let result = unpack_zip(&archive, &home.path().join("models/a"), &Progress::silent());
    (result, home)
}

#[test]
fn a_release_is_read_and_unpacked() {
    let home = tempfile::tempdir().unwrap();
    let archive = home.path().join("release.zip");
    release(&archive);
    let expected = model(&residual_folder());
    let read = import(&archive, &ImportOptions::default(), &Progress::silent()).unwrap();
    assert_eq!((&read.plan, &read.folds), (&expected.plan, &expected.folds));
    assert_eq!(read.source.files[0].path, "release.zip");
    let destination = home.path().join("models");
    unpack_zip(&archive, &destination, &Progress::silent()).unwrap();
    assert_eq!(model(&destination).folds, expected.folds);
    let names: Vec<_> = fs::read_dir(destination.join("Dataset902_Residual")).unwrap().collect();
    assert_eq!(names.len(), 1, "only the trainer's folder");
    assert!(matches!(unpack_zip(&archive, &destination, &Progress::silent()), Err(Error::Exists { .. })));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2, "nothing is left over");
}

#[track_caller]
fn check_refused(items: &[(&str, &[u8])], lie: Lie, message: &str) {
    let items: Vec<Item> =
        items.iter().map(|(name, bytes)| Item { name: (*name).into(), bytes: bytes.to_vec() }).collect();
    let (result, home) = unpacked(&zipped(&items, lie));
    let error = result.unwrap_err();
    assert!(error.to_string().contains(message), "{error}");
    assert_eq!(fs::read_dir(home.path().join("models")).unwrap().count(), 0, "nothing is left over");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2, "nothing lies outside");
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in [
        "../plans.json",
        "a/../../plans.json",
        "/etc/plans.json",
        "a/./plans.json",
        "a//plans.json",
        "..\\plans.json",
        "C:plans.json",
        "a/b/c/d/e/f/plans.json",
        "plans.json ",
        "con\u{0}/plans.json",
        "..",
        ".",
    ] {
        check_refused(&[("ok/plans.json", b"{}"), (name, b"{}")], honest, "leads out of the archive");
    }
}

#[test]
fn links_and_doubles_are_refused() {
    let link: Lie = |name, _, record| {
        if name == "a/plans.json" {
            record[38..42].copy_from_slice(&(0o120_777u32 << 16).to_le_bytes());
        }
    };
    check_refused(&[("a/dataset.json", b"{}"), ("a/plans.json", b"/etc/passwd")], link, "is a link");
    let damaged: Lie = |_, local, record| {
        local[14] ^= 1;
        record[16] ^= 1;
    };
    check_refused(&[("a/plans.json", b"{}")], damaged, "is damaged");
}

#[test]
fn a_bomb_is_stopped() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("bomb.zip");
    let mut zip = ZipWriter::new(File::create(&path).unwrap());
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    zip.start_file("a/plans.json", options).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..100 {
        zip.write_all(&zeros).unwrap();
    }
    zip.finish().unwrap();
    let (result, home) = unpacked(&fs::read(&path).unwrap());
    assert!(matches!(result, Err(Error::TooLarge { .. })));
    assert_eq!(fs::read_dir(home.path().join("models")).unwrap().count(), 0);
}

#[test]
fn what_is_no_archive_is_said_to_be_none() {
    for bytes in [&b""[..], b"PK", b"hello world, this is not an archive at all"] {
        assert!(matches!(unpacked(bytes).0, Err(Error::Container { .. })));
    }
}

#[test]
fn unpacking_can_be_cancelled() {
    let home = tempfile::tempdir().unwrap();
    let archive = home.path().join("release.zip");
    release(&archive);
    let progress = Progress::silent();
    progress.cancel();
    let result = unpack_zip(&archive, &home.path().join("models"), &progress);
    assert!(matches!(result, Err(Error::Cancelled)));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
}
