//! Downloads from a server on loopback that cuts, lies and redirects; no published address is ever contacted.

use std::path::PathBuf;
use std::time::Duration;

use imaging::Progress;
use vesalius::download::{Error, Options, Source, fetch};

use crate::support::server::{Answer, Request, Server};

/// 300 000 bytes that do not repeat.
fn file() -> Vec<u8> {
    (0..75_000u32).flat_map(|value| value.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

/// SHA-256 of [`file`], by `sha256sum`.
const HASH: &str = "e496e24b4de3ed92e3247412ae0a588a002b2e209bff58a8a138020cc8e75fed";

fn options() -> Options {
    Options { patience: Duration::from_secs(5), pause: Duration::ZERO, retries: 2, ..Options::default() }
}

/// A folder to download into.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("model.zip")
    }

    fn part(&self) -> PathBuf {
        self.folder.path().join("model.zip.part")
    }

    fn fetch(&self, source: &Source) -> Result<(), Error> {
        fetch(source, &self.target(), &options(), "downloading", &Progress::silent())
    }

    /// Nothing in the folder pretends to be the file.
    fn assert_nothing_installed(&self) {
        assert!(!self.target().exists());
    }
}

fn source(url: String) -> Source {
    Source { url, bytes: Some(300_000), sha256: Some(HASH.to_owned()) }
}

/// Fetches from a server that answers by `handler`; the file must come out whole. Gives the requests it took.
fn check_whole(handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Vec<Request> {
    let server = Server::start(handler);
    let place = Place::new();
    place.fetch(&source(server.url("/model.zip"))).unwrap();
    assert_eq!(std::fs::read(place.target()).unwrap(), file());
    let left: Vec<_> = std::fs::read_dir(place.folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    server.requests()
}

/// Fetches from a server that answers by `handler`; it must fail, with nothing installed.
fn check_fails(handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> (Error, Place) {
    let server = Server::start(handler);
    let place = Place::new();
    let error = place.fetch(&source(server.url("/model.zip"))).unwrap_err();
    place.assert_nothing_installed();
    (error, place)
}

#[test]
fn a_good_server() {
    assert_eq!(check_whole(|request| Answer::file(&file(), "a", request)).len(), 1);
}

#[test]
fn a_connection_cut_in_the_middle_is_taken_up_where_it_was_cut() {
    let requests = check_whole(|request| {
        let answer = Answer::file(&file(), "a", request);
        if request.before < 2 { answer.cut(100_000) } else { answer }
    });
    let starts: Vec<_> = requests.iter().map(|request| request.start).collect();
    assert_eq!(starts, [None, Some(100_000), Some(200_000)]);
    assert_eq!(requests[1].if_range.as_deref(), Some("\"a\""));
}

#[test]
fn a_cut_download_is_taken_up_by_the_next_run() {
    let place = Place::new();
    let bad = Server::start(|request| {
        let answer = Answer::file(&file(), "a", request);
        if request.before == 0 { answer.cut(123_456) } else { Answer::empty(503) }
    });
    let mut source = source(bad.url("/model.zip"));
    let error = place.fetch(&source).unwrap_err();
    assert!(matches!(error, Error::Status { status: 503, .. }), "{error}");
    place.assert_nothing_installed();
    assert_eq!(std::fs::metadata(place.part()).unwrap().len(), 123_456);

    // Another address is another file, and begins anew.
    let good = Server::start(|request| Answer::file(&file(), "a", request));
    source.url = good.url("/model.zip");
    let record = std::fs::read_to_string(place.folder.path().join("model.zip.part.json")).unwrap();
    let moved = record.replace(&bad.url(""), &good.url(""));
    std::fs::write(place.folder.path().join("model.zip.part.json"), moved).unwrap();
    place.fetch(&source).unwrap();
    assert_eq!(std::fs::read(place.target()).unwrap(), file());
    assert_eq!(good.requests()[0].start, Some(123_456));
}

#[test]
fn a_part_of_another_address_is_not_used() {
    let place = Place::new();
    std::fs::write(place.part(), b"something else").unwrap();
    let record = r#"{"url":"http://127.0.0.1:9/other.zip","validator":"\"a\"","total":300000}"#;
    std::fs::write(place.folder.path().join("model.zip.part.json"), record).unwrap();
    let server = Server::start(|request| Answer::file(&file(), "a", request));
    place.fetch(&source(server.url("/model.zip"))).unwrap();
    assert_eq!(std::fs::read(place.target()).unwrap(), file());
    assert_eq!(server.requests()[0].start, None);
}

#[test]
fn a_server_that_knows_no_ranges_begins_anew() {
    let requests = check_whole(|request| {
        let whole = Answer::file(&file(), "a", &Request::default());
        if request.before == 0 { whole.cut(150_000) } else { whole }
    });
    assert_eq!(requests[1].start, Some(150_000));
}

#[test]
fn a_file_that_changed_meanwhile_begins_anew() {
    // The old file's beginning must not be joined with the new file's end, whatever the server answers.
    let old = vec![7; 300_000];
    let requests = check_whole(move |request| match request.before {
        0 => Answer::file(&old, "old", request).cut(150_000),
        1 => {
            let ignores_if_range = Request { if_range: None, ..request.clone() };
            Answer::file(&file(), "new", &ignores_if_range)
        }
        _ => Answer::file(&file(), "new", request),
    });
    let starts: Vec<_> = requests.iter().map(|request| request.start).collect();
    assert_eq!(starts, [None, Some(150_000), None]);
}

#[test]
fn without_a_validator_nothing_is_joined() {
    let requests = check_whole(|request| {
        let answer = Answer::file(&file(), "a", request).without("ETag");
        if request.before == 0 { answer.cut(150_000) } else { answer }
    });
    assert_eq!(requests[1].start, None);
}

#[test]
fn a_weak_tag_joins_nothing() {
    let requests = check_whole(|request| {
        let answer = Answer::file(&file(), "a", request).with("ETag", "W/\"a\"");
        if request.before == 0 { answer.cut(150_000) } else { answer }
    });
    assert_eq!(requests[1].start, None);
}

#[test]
fn a_piece_from_the_wrong_place_is_not_joined() {
    check_whole(|request| match request.before {
        0 => Answer::file(&file(), "a", request).cut(150_000),
        1 => Answer::file(&file(), "a", request).with("Content-Range", "bytes 0-149999/300000"),
        _ => Answer::file(&file(), "a", request),
    });
}

#[test]
fn a_shorter_file_than_published_is_refused_at_once() {
    let (error, _) = check_fails(|request| Answer::file(&file()[..299_999], "a", request));
    assert!(matches!(error, Error::Length { found: 299_999, expected: 300_000, .. }), "{error}");
}

#[test]
fn a_longer_file_than_published_is_refused_at_once() {
    let (error, _) = check_fails(|request| Answer::file(&[file(), vec![0]].concat(), "a", request));
    assert!(matches!(error, Error::Length { found: 300_001, expected: 300_000, .. }), "{error}");
}

#[test]
fn bytes_past_the_end_are_refused_where_the_server_declares_no_length() {
    let (error, place) = check_fails(|request| {
        Answer::file(&[file(), vec![0; 100_000]].concat(), "a", request).without("Content-Length")
    });
    assert!(matches!(error, Error::Length { expected: 300_000, .. }), "{error}");
    assert!(!place.part().exists(), "bytes that are known to be wrong are not kept");
}

#[test]
fn a_server_that_declares_more_than_it_sends_is_asked_again_and_given_up() {
    let (error, place) = check_fails(|request| Answer::file(&file(), "a", request).cut(0));
    assert!(matches!(error, Error::Cut { received: 0, .. }), "{error}");
    assert_eq!(std::fs::metadata(place.part()).unwrap().len(), 0);
}

#[test]
fn a_server_that_falls_silent_is_left() {
    let server = Server::start(|request| {
        let answer = Answer::file(&file(), "a", request);
        if request.before == 0 { Answer { hang: true, ..answer.cut(100_000) } } else { answer }
    });
    let place = Place::new();
    let options = Options { patience: Duration::from_secs(2), ..options() };
    let source = source(server.url("/model.zip"));
    fetch(&source, &place.target(), &options, "downloading", &Progress::silent()).unwrap();
    assert_eq!(std::fs::read(place.target()).unwrap(), file());
}

#[test]
fn wrong_content_is_refused_and_not_taken_up_again() {
    let (error, place) = check_fails(|request| Answer::file(&vec![7; 300_000], "a", request));
    assert!(matches!(error, Error::Hash { .. }), "{error}");
    assert!(!place.part().exists());
}

#[test]
fn errors_of_the_server_are_told() {
    for status in [401, 403, 404, 407, 418] {
        let (error, _) = check_fails(move |_| Answer::empty(status));
        assert!(matches!(error, Error::Status { status: found, .. } if found == status), "{error}");
        assert!(error.hint().is_some());
    }
    assert_eq!(
        check_whole(|request| match request.before {
            0 => Answer::empty(503),
            1 => Answer::empty(429),
            _ => Answer::file(&file(), "a", request),
        })
        .len(),
        3
    );
}

#[test]
fn redirects_are_followed_a_few_times_and_never_in_circles() {
    check_whole(|request| match request.path.as_str() {
        "/model.zip" => Answer::empty(302).with("Location", "/elsewhere.zip"),
        _ => Answer::file(&file(), "a", request),
    });
    let (error, _) = check_fails(|_| Answer::empty(302).with("Location", "/model.zip"));
    assert!(matches!(error, Error::Redirect { detail: "too many redirects in a row", .. }), "{error}");
}

#[test]
fn redirects_to_strange_places_are_refused() {
    for location in ["ftp://127.0.0.1/model.zip", "file:///etc/passwd", "", "http://"] {
        let (error, _) = check_fails(move |_| Answer::empty(302).with("Location", location));
        assert!(matches!(error, Error::Redirect { .. }), "`{location}`: {error}");
    }
    let server = Server::start(|_| Answer::empty(302).with("Location", "http://localhost:9/model.zip"));
    let place = Place::new();
    let options = Options { hosts: vec!["github.com".to_owned()], ..options() };
    let source = source(server.url("/model.zip"));
    let error = fetch(&source, &place.target(), &options, "downloading", &Progress::silent()).unwrap_err();
    assert!(error.to_string().contains("does not belong to the publisher"), "{error}");
}

#[test]
fn a_proxy_is_asked_where_one_is_given() {
    let proxy = Server::start(|request| Answer::file(&file(), "a", request));
    let place = Place::new();
    let options = Options { proxy: Some(proxy.url("")), ..options() };
    let source = source("http://models.invalid/model.zip".to_owned());
    fetch(&source, &place.target(), &options, "downloading", &Progress::silent()).unwrap();
    assert_eq!(std::fs::read(place.target()).unwrap(), file());
    assert_eq!(proxy.requests().len(), 1);
}

#[test]
fn more_than_the_disk_holds_is_refused_before_a_byte_is_written() {
    let server = Server::start(|_| {
        Answer { status: 200, ..Answer::default() }.with("Content-Length", (1u64 << 60).to_string())
    });
    let place = Place::new();
    let source = Source { url: server.url("/model.zip"), bytes: Some(1 << 60), sha256: None };
    let error = place.fetch(&source).unwrap_err();
    assert!(matches!(error, Error::Space { .. }), "{error}");
    assert_eq!(std::fs::metadata(place.part()).unwrap().len(), 0);
}

/// `/dev/full` is the kernel's own full disk: every write to it fails as on a full one.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_and_installs_nothing() {
    let server = Server::start(|request| Answer::file(&file(), "a", request));
    let place = Place::new();
    std::os::unix::fs::symlink("/dev/full", place.part()).unwrap();
    let error = place.fetch(&source(server.url("/model.zip"))).unwrap_err();
    let Error::Write { source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
    assert!(error.hint().unwrap().contains("free some space"));
    place.assert_nothing_installed();
}

#[test]
fn stopping_keeps_what_has_come() {
    let server = Server::start(|request| Answer::file(&file(), "a", request));
    let place = Place::new();
    let stopper = std::sync::Arc::new(std::sync::OnceLock::<Progress>::new());
    let own = std::sync::Arc::clone(&stopper);
    let progress = Progress::new(move |report| {
        if report.done > 0 {
            own.get().unwrap().cancel();
        }
    });
    stopper.set(progress.clone()).unwrap();
    let source = source(server.url("/model.zip"));
    let error = fetch(&source, &place.target(), &options(), "downloading", &progress).unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    place.assert_nothing_installed();
    let kept = std::fs::metadata(place.part()).unwrap().len();
    assert!(kept > 0);
    place.fetch(&source).unwrap();
    assert_eq!(std::fs::read(place.target()).unwrap(), file());
    let resumed = server.requests()[1].start;
    assert!(resumed.is_none_or(|start| start as u64 == kept), "{resumed:?} {kept}");
}
