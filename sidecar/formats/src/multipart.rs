//! `multipart/related` bodies (RFC 2387, RFC 2046), as DICOMweb answers with a series: where the bytes of each part are.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use imaging::Progress;

use crate::Limits;
use crate::error::{Error, Result};

/// Bytes looked at together.
const BLOCK: usize = 1 << 20;
/// Longest headers of one part.
const MOST_HEADERS: u64 = 16 << 10;
/// Longest boundary (RFC 2046 5.1.1).
const LONGEST_BOUNDARY: usize = 70;

/// The boundary that a `Content-Type` of `multipart/related` names; none when it is none, or names no valid one.
#[must_use]
pub fn boundary(content_type: &str) -> Option<String> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/related") {
        return None;
    }
    let named = |parameter: &str| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"').to_owned())
    };
    parameters.split(';').find_map(named).filter(|boundary| is_boundary(boundary))
}

/// Whether a text can be a boundary (RFC 2046 5.1.1).
fn is_boundary(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    (1..=LONGEST_BOUNDARY).contains(&text.len()) && text.bytes().all(allowed) && !text.ends_with(' ')
}

/// The first byte and the length of every part of the body in the file at `path`, in order.
///
/// # Errors
///
/// [`Error::Truncated`] when the body does not end with its last boundary, [`Error::Corrupt`] when a part has no
/// headers, [`Error::Limit`] for more than `limits.files` parts, [`Error::Bomb`] for more than `limits.bytes` bytes.
pub fn parts(path: &Path, boundary: &str, limits: &Limits, progress: &Progress) -> Result<Vec<[u64; 2]>> {
    let read = |source| Error::read(path, source);
    let mut file = File::open(path).map_err(read)?;
    let length = file.metadata().map_err(read)?.len();
    if length > limits.bytes {
        return Err(Error::Bomb { declared: limits.bytes });
    }
    let delimiter = format!("\r\n--{boundary}").into_bytes();
    let places = delimiters(&mut file, &delimiter, limits.files, progress).map_err(|stop| match stop {
        Stop::Read(source) => read(source),
        Stop::Refused(error) => error,
    })?;
    let (mut parts, mut head) = (Vec::new(), Vec::new());
    for (index, pair) in places.windows(2).enumerate() {
        progress.step("unpacking", index as u64, places.len() as u64)?;
        file.seek(SeekFrom::Start(pair[0].after)).map_err(read)?;
        let length = pair[1].at.saturating_sub(pair[0].after);
        head.clear();
        (&file).take(length.min(MOST_HEADERS)).read_to_end(&mut head).map_err(read)?;
        let body = after_headers(&head)
            .ok_or_else(|| Error::Corrupt { detail: "a part of the multipart body has no headers".into() })?;
        parts.push([pair[0].after + body as u64, length - body as u64]);
    }
    match places.last() {
        Some(Place { is_last: true, .. }) => Ok(parts),
        _ => Err(Error::Truncated { expected: length + delimiter.len() as u64 + 2, found: length }),
    }
}

/// A delimiter in the body.
struct Place {
    /// Its first byte.
    at: u64,
    /// The first byte behind it.
    after: u64,
    /// Whether it closes the body.
    is_last: bool,
}

/// Why the search ended early.
enum Stop {
    Read(std::io::Error),
    Refused(Error),
}

/// Where the delimiters are, up to the one that closes the body.
fn delimiters(file: &mut File, delimiter: &[u8], most: u64, progress: &Progress) -> Result<Vec<Place>, Stop> {
    let mut reader = BufReader::with_capacity(BLOCK, file);
    // The first delimiter may lack the line break before it.
    let mut window = b"\r\n".to_vec();
    let (mut start, mut places) = (0u64, Vec::<Place>::new());
    loop {
        progress.step("unpacking", 0, 0).map_err(|cancelled| Stop::Refused(cancelled.into()))?;
        let before = window.len();
        (&mut reader).take(BLOCK as u64).read_to_end(&mut window).map_err(Stop::Read)?;
        let is_end = window.len() == before;
        let mut from = 0;
        while let Some(found) = find(&window[from..], delimiter).map(|found| from + found) {
            let end = found + delimiter.len();
            let Some(mark) = window.get(end..end + 2) else { break };
            from = end;
            let is_last = mark == b"--";
            // A longer boundary that begins like this one, or bytes of an image.
            if !is_last && mark != b"\r\n" {
                continue;
            }
            // Two bytes were put before the body.
            let (at, after) = ((start + found as u64).saturating_sub(2), start + end as u64);
            places.push(Place { at, after, is_last });
            if is_last {
                return Ok(places);
            }
            if places.len() as u64 > most {
                let error = Error::Limit { what: "parts of the body", found: most + 1, most };
                return Err(Stop::Refused(error));
            }
        }
        if is_end {
            return Ok(places);
        }
        // A delimiter may lie across two blocks.
        let keep = window.len().saturating_sub(delimiter.len() + 2).max(from);
        window.drain(..keep);
        start += keep as u64;
    }
}

/// Where `needle` first stands in `bytes`: looked for from its end, so that few of the bytes are looked at (Horspool 1980).
fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let (&last, before) = needle.split_last()?;
    let mut shift = [needle.len(); 256];
    for (at, &byte) in before.iter().enumerate() {
        shift[usize::from(byte)] = before.len() - at;
    }
    let mut end = before.len();
    while let Some(&byte) = bytes.get(end) {
        if byte == last && bytes[end - before.len()..end] == *before {
            return Some(end - before.len());
        }
        end += shift[usize::from(byte)];
    }
    None
}

/// Where the content of a part begins: behind the line break and the empty line that end its headers.
fn after_headers(head: &[u8]) -> Option<usize> {
    if head.starts_with(b"\r\n") { Some(2) } else { find(head, b"\r\n\r\n").map(|at| at + 4) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn check(body: &[u8], boundary: &str) -> Result<Vec<Vec<u8>>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(body).unwrap();
        let limits = Limits { files: 3, bytes: 8 << 20, ..Limits::default() };
        let parts = parts(file.path(), boundary, &limits, &Progress::silent())?;
        Ok(parts
            .into_iter()
            .map(|[start, length]| body[start as usize..][..length as usize].to_vec())
            .collect())
    }

    fn body(boundary: &str, parts: &[&[u8]]) -> Vec<u8> {
        let mut body = Vec::new();
        for part in parts {
            body.extend(format!("\r\n--{boundary}\r\nContent-Type: application/dicom\r\n\r\n").bytes());
            body.extend(*part);
        }
        body.extend(format!("\r\n--{boundary}--").bytes());
        body
    }

    #[test]
    fn boundaries_are_told() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(boundary(text).as_deref(), expected);
        check("multipart/related; type=\"application/dicom\"; boundary=abc", Some("abc"));
        check("Multipart/Related;boundary=\"a-b:c\"", Some("a-b:c"));
        check("multipart/related", None);
        check("multipart/related; boundary=", None);
        check("multipart/related; boundary=a\r\nb", None);
        check("multipart/form-data; boundary=abc", None);
    }

    #[test]
    fn parts_come_out_byte_for_byte() {
        let tricky: &[u8] = b"\r\n--abcd\r\n--ab\r\r\n--ab";
        let parts: [&[u8]; 3] = [b"one", b"", tricky];
        assert_eq!(check(&body("abc", &parts), "abc").unwrap(), parts);
        // Without the first line break, and with a preamble.
        assert_eq!(check(&body("abc", &parts)[2..], "abc").unwrap(), parts);
        assert_eq!(check(&[b"hello".as_slice(), &body("abc", &parts)].concat(), "abc").unwrap(), parts);
    }

    #[test]
    fn a_delimiter_may_lie_across_blocks() {
        for excess in 0..12 {
            let long = vec![b'\r'; BLOCK - 50 + excess];
            let parts: [&[u8]; 2] = [&long, b"two"];
            assert_eq!(check(&body("abc", &parts), "abc").unwrap(), parts, "{excess}");
        }
    }

    #[test]
    fn what_is_cut_or_too_much_is_refused() {
        let whole = body("abc", &[b"one", b"two"]);
        for length in 0..whole.len() {
            assert_eq!(check(&whole[..length], "abc").unwrap_err().code(), "E_TRUNCATED", "{length}");
        }
        assert_eq!(check(&body("abc", &[b"1".as_slice(); 4]), "abc").unwrap_err().code(), "E_LIMIT");
        assert_eq!(check(&vec![0; 9 << 20], "abc").unwrap_err().code(), "E_BOMB");
        assert_eq!(check(b"--abc\r\nno headers\r\n--abc--", "abc").unwrap_err().code(), "E_CORRUPT");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(prop::sample::select(b"\r\n-ab".to_vec()), 0..200)) {
            drop(check(&bytes, "ab"));
        }
    }
}
