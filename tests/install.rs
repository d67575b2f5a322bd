//! From an address to a model that can be run, and nothing at all when the archive is bad.

use std::io::{BufRead, BufReader, Cursor, Write};
use std::path::Path;
use std::process::Stdio;

use engine::catalogue::{Weights, task};
use engine::{ModelStore, Speed};
use imaging::Progress;
use vesalius::install::{Lock, Network, Wanted, install};

use crate::cli::reference;
use crate::support::program;
use crate::support::server::{Answer, Server};

const FOLDER: &str = "Dataset300_body_6mm_1559subj";

/// A zip of these entries.
fn archive(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// The files of a model folder, named as in the published archives.
fn entries() -> Vec<(String, Vec<u8>)> {
    let root = reference("golden/weights");
    let mut found = Vec::new();
    let mut folders = vec![Path::new(&root).join(FOLDER)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
                found.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    found
}

/// Installs `bytes` as the published weights 300 from a server; gives the home and what came of it.
fn try_install(bytes: Vec<u8>) -> (tempfile::TempDir, ModelStore, vesalius::Result<engine::InstalledModel>) {
    let length = bytes.len() as u64;
    let server = Server::start(move |request| Answer::file(&bytes, "a", request));
    let home = tempfile::tempdir().unwrap();
    let store = ModelStore::new(home.path().join("models"), Vec::new());
    let mut wanted = Wanted::find("300").unwrap();
    let Weights { folder, .. } = wanted.weights.clone();
    assert_eq!(folder, FOLDER);
    wanted.weights.url = Some(server.url("/weights.zip"));
    wanted.weights.bytes = Some(length);
    wanted.weights.sha256 = None;
    let downloads = home.path().join("downloads");
    let result = install(&store, &downloads, &wanted, &Network::default(), &Progress::silent());
    let left: Vec<_> = std::fs::read_dir(&downloads).unwrap().collect();
    assert!(left.is_empty(), "the archive is not kept: {left:?}");
    (home, store, result)
}

#[test]
fn a_published_archive_becomes_a_model() {
    let (_home, store, result) = try_install(archive(&entries()));
    let model = result.unwrap();
    assert_eq!((model.id.as_str(), model.licence.as_str()), (FOLDER, "Apache-2.0"));
    assert!(store.missing(task("body").unwrap(), Speed::Fast).is_empty());
    assert_eq!(store.verify(FOLDER).unwrap().sha256, model.sha256);
}

/// The archive must be refused, with nothing installed and nothing written outside the home's own folders.
fn check_refused(bytes: Vec<u8>) {
    let (home, store, result) = try_install(bytes);
    let error = result.unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert!(store.find("300").is_none());
    let mut left: Vec<_> =
        std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.retain(|name| name != "downloads" && name != "models");
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_archive_that_escapes_its_folder_is_refused() {
    let own = entries();
    for name in ["../evil.pth", "../../evil.pth", "/evil.pth", "a/../../evil.pth", "..\\evil.pth"] {
        let mut entries = own.clone();
        entries.push((name.to_owned(), b"evil".to_vec()));
        check_refused(archive(&entries));
    }
}

#[test]
fn what_is_no_archive_is_refused() {
    check_refused(b"<html>Please log in to the hospital's network</html>".to_vec());
    check_refused(Vec::from(&archive(&entries())[..10_000]));
    check_refused(archive(&[("readme.txt".to_owned(), b"nothing here".to_vec())]));
}

#[test]
fn the_second_installer_waits_for_the_first() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(|_| Answer::empty(404));
    let lock =
        Lock::wait(&home.path().join("downloads"), || panic!("it is free"), &Progress::silent()).unwrap();
    let mut child = program::command(home.path())
        .args(["models", "install", "300", "--mirror", &server.url("")])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("another program is installing")));
    assert!(server.requests().is_empty(), "it waits");
    drop(lock);
    assert!(lines.any(|line| line.contains("answered 404")));
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let path = server.requests()[0].path.clone();
    assert!(path.starts_with("/wasserth/TotalSegmentator/releases/download/"), "{path}");
}

#[test]
fn a_mirror_that_lies_about_published_weights_installs_nothing() {
    let bytes = archive(&entries());
    let server = Server::start(move |request| Answer::file(&bytes, "a", request));
    let home = tempfile::tempdir().unwrap();
    let ran = program::run(home.path(), &["models", "install", "300", "--mirror", &server.url("")]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("the published file has 124286256"), "{ran:?}");
    assert_eq!(ran.stdout, "");
    assert!(!home.path().join("models").exists());
}

#[test]
fn what_is_here_is_not_fetched_again() {
    let home = tempfile::tempdir().unwrap();
    let ran = program::run(home.path(), &["models", "import", &reference("golden/weights")]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stdout.lines().count(), 11, "{ran:?}");
    let ran = program::run(home.path(), &["models", "install", "total", "--fast"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran:?}");
    assert!(ran.stderr.contains("`total` is already installed"), "{ran:?}");
}
