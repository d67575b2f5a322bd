//! Series that the server fetches by itself from an archive (DICOMweb, PS3.18 10.4), where whoever started it allows that:
//! from addresses below the named ones, and nowhere else. The bytes are fetched in a worker.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use formats::dicom::Withheld;
use imaging::Progress;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use ureq::http::{Uri, header};

use super::Server;
use super::error::{Answer, Code, Refusal};
use super::protocol::{Ask, Say};
use super::rendezvous::private;
use super::supervisor::Heard;
use super::volumes::Volume;
use crate::download;

/// An archive that says nothing for so long does not answer; it may put a series together first.
const PATIENCE: Duration = Duration::from_secs(60);
/// A series comes within this, or not at all.
const WITHIN: Duration = Duration::from_secs(1800);
/// Longest UID (PS3.5 9.1).
const LONGEST_UID: usize = 64;
/// Bytes taken in at a time.
const PIECE: usize = 256 << 10;

/// What the addresses of an archive begin with: `https://pacs.example/dicom-web/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Archive(String);

/// What is no address of an archive.
#[derive(Debug, thiserror::Error)]
#[error("expected an address such as `https://pacs.example/dicom-web`, without a login, `?` or `#`")]
pub(crate) struct NoArchive;

impl FromStr for Archive {
    type Err = NoArchive;

    fn from_str(text: &str) -> Result<Archive, NoArchive> {
        let address: Uri = text.parse().map_err(|_| NoArchive)?;
        let has_scheme = matches!(address.scheme_str(), Some("http" | "https"));
        let has_login = address.authority().is_some_and(|authority| authority.as_str().contains('@'));
        let is_plain =
            !text.contains(['?', '#', '\\', '%']) && !text.contains("/..") && !text.contains("/./");
        if !has_scheme || has_login || address.host().is_none_or(str::is_empty) || !is_plain {
            return Err(NoArchive);
        }
        Ok(Archive(format!("{}/", text.trim_end_matches('/'))))
    }
}

impl fmt::Display for Archive {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Whether an address is that of a series of one of these archives, and of nothing else there.
fn is_series(url: &str, archives: &[Archive]) -> bool {
    let is_uid = |text: &str| {
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        text.len() <= LONGEST_UID && text.split('.').all(is_number)
    };
    archives.iter().filter_map(|archive| url.strip_prefix(&archive.0)).any(|rest| {
        let parts: Vec<&str> = rest.split('/').collect();
        matches!(parts[..], ["studies", study, "series", series] if is_uid(study) && is_uid(series))
    })
}

/// A series of an archive.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Remote {
    pub(super) url: String,
    /// The header `Authorization`, as the viewer has it.
    pub(super) authorization: Option<Withheld>,
}

impl Remote {
    /// Refuses what the server does not fetch.
    pub(super) fn check(&self, archives: &[Archive]) -> Answer<()> {
        if !is_series(&self.url, archives) {
            return Err(Refusal::new(
                Code::ArchiveRefused,
                "this server does not fetch from that address",
                "send the images, or start it with `vesalius serve --allow-dicomweb URL`",
            ));
        }
        let is_header = |Withheld(text): &Withheld| {
            (1..=16 << 10).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        };
        if self.authorization.as_ref().is_some_and(|text| !is_header(text)) {
            return Err(Refusal::new(Code::BadRequest, "`authorization` is no header", ""));
        }
        Ok(())
    }
}

/// An order to fetch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Fetching {
    pub(super) remote: Remote,
    /// The file that the body goes to.
    pub(super) target: PathBuf,
}

/// Fetches a series, in the worker; the boundary of the multipart body is the answer.
pub(super) fn fetch(
    Fetching { remote, target }: &Fetching,
    archives: &[Archive],
    proxy: Option<&str>,
    progress: &Progress,
) -> Answer<Value> {
    // The supervisor has looked already; whoever holds the login looks again.
    remote.check(archives)?;
    let agent = download::agent(&remote.url, proxy, PATIENCE).map_err(|error| failed(&error.to_string()))?;
    let mut request = agent
        .get(&remote.url)
        .header(header::ACCEPT, "multipart/related; type=\"application/dicom\"; transfer-syntax=*")
        .header(header::ACCEPT_ENCODING, "identity");
    if let Some(Withheld(login)) = &remote.authorization {
        request = request.header(header::AUTHORIZATION, login);
    }
    // What the network says may repeat the address, and that names a patient's study.
    let response = request.call().map_err(|_| failed("it does not answer"))?;
    match response.status().as_u16() {
        200 => {}
        300..=399 => return Err(failed("it sends us elsewhere")),
        401 | 403 => return Err(failed("it wants another login")),
        404 | 410 => return Err(failed("it does not have the series")),
        status => return Err(failed(&format!("it answered {status}"))),
    }
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary =
        kind.and_then(formats::multipart::boundary).ok_or_else(|| failed("it gave no DICOM files"))?;
    let length =
        response.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let reader = response.into_body().into_with_config().limit(u64::MAX).reader();
    take_in(reader, length.unwrap_or(0), target, progress)?;
    Ok(json!({ "boundary": boundary }))
}

/// Writes a body of `length` bytes (0: nobody knows) down, as long as it is one that would be taken from a client, too.
fn take_in(mut body: impl Read, length: u64, target: &Path, progress: &Progress) -> Answer<()> {
    let spool = |error: std::io::Error| Refusal::spool(&error);
    let most = formats::Limits::default().bytes;
    let mut file =
        private(OpenOptions::new().write(true).create(true).truncate(true)).open(target).map_err(spool)?;
    let (began, mut received, mut piece) = (Instant::now(), 0u64, vec![0; PIECE]);
    loop {
        progress
            .step("fetching", received, length.max(received))
            .map_err(|_| Refusal::new(Code::Cancelled, "the volume was deleted", ""))?;
        if began.elapsed() > WITHIN {
            return Err(failed("the series did not come within half an hour"));
        }
        match body.read(&mut piece).map_err(|_| failed("it broke off"))? {
            0 if received < length => return Err(failed("it broke off")),
            0 => return file.flush().map_err(spool),
            count => {
                received += count as u64;
                if received > most {
                    let message = format!("the series has more than {most} bytes");
                    return Err(Refusal::new(Code::TooLarge, message, "choose a smaller series"));
                }
                file.write_all(&piece[..count]).map_err(spool)?;
            }
        }
    }
}

/// The archive gave no series.
fn failed(why: &str) -> Refusal {
    Refusal::new(
        Code::DownloadFailed,
        format!("the archive gave no series: {why}"),
        "a viewer that can show the series can send it instead",
    )
}

impl Server {
    /// Fetches the series of a volume in the background, then reads it.
    pub(super) fn begin_fetching(self: &Arc<Server>, volume: &Arc<Volume>) {
        let Some(fetching) = volume.fetching() else { return };
        let (server, volume) = (Arc::clone(self), Arc::clone(volume));
        tokio::spawn(async move {
            match server.fetch(fetching, &volume).await {
                Ok(boundary) => {
                    volume.was_fetched(boundary);
                    server.begin_reading(&volume, std::collections::BTreeMap::new());
                }
                Err(refusal) => volume.was_read(Err(refusal)),
            }
        });
    }

    /// The worker that installs models has the network; the one that reads files has not.
    async fn fetch(&self, fetching: Fetching, volume: &Volume) -> Answer<String> {
        let mut conversation = self.installer.order(Ask::Fetch(fetching)).await?;
        loop {
            let heard = tokio::select! {
                heard = tokio::time::timeout(PATIENCE + PATIENCE, conversation.next()) => heard,
                () = volume.gone.notified() => {
                    drop(self.installer.order(Ask::Cancel { order: conversation.number }).await);
                    return Err(Refusal::not_found("volume"));
                }
            };
            match heard {
                Ok(Heard::Say(Say::Progress { done, .. })) => volume.has_come(done),
                Ok(Heard::Say(Say::Answer(answer))) => {
                    return answer["boundary"].as_str().map(str::to_owned).ok_or_else(Refusal::internal);
                }
                Ok(Heard::Say(Say::Refused(refusal))) => return Err(refusal),
                Ok(Heard::Died(_)) => return Err(failed("the worker that fetched it ended")),
                Err(_) => {
                    drop(self.installer.order(Ask::Cancel { order: conversation.number }).await);
                    return Err(failed("it does not answer"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_addresses_and_nothing_more() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(text.parse::<Archive>().ok().map(|archive| archive.0).as_deref(), expected, "{text}");
        };
        check("https://pacs.example/dicom-web", Some("https://pacs.example/dicom-web/"));
        check("http://127.0.0.1:8042/dicom-web/", Some("http://127.0.0.1:8042/dicom-web/"));
        for text in [
            "",
            "pacs.example",
            "ftp://pacs.example",
            "https://",
            "https://user:word@pacs.example",
            "https://pacs.example?a",
            "https://pacs.example/a/../b",
            "https://pacs.example/%2e%2e",
            "https://pacs.example\\a",
            "file:///etc",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn only_series_below_a_named_address_are_fetched() {
        let archives = ["https://pacs.example/dicom-web".parse().unwrap()];
        let check = |url: &str, expected: bool| assert_eq!(is_series(url, &archives), expected, "{url}");
        check("https://pacs.example/dicom-web/studies/1.2/series/1.2.3", true);
        for url in [
            "https://pacs.example/dicom-web/studies/1.2/series/1.2.3/",
            "https://pacs.example/dicom-web/studies/1.2/series/1.2.3?accept=x",
            "https://pacs.example/dicom-web/studies/1.2",
            "https://pacs.example/dicom-web/studies/../series/1.2",
            "https://pacs.example/dicom-web/../admin/studies/1.2/series/1.2.3",
            "https://pacs.example/dicom-webs/studies/1.2/series/1.2.3",
            "https://pacs.example.evil.example/dicom-web/studies/1.2/series/1.2.3",
            "http://pacs.example/dicom-web/studies/1.2/series/1.2.3",
            "https://user@pacs.example/dicom-web/studies/1.2/series/1.2.3",
        ] {
            check(url, false);
        }
    }
}
