//! One connection: ask for the rest of a file, see that the answer is a piece of it, and take it in.

use std::io::Read;
use std::time::Duration;

use imaging::Progress;
use ureq::http::{Response, Uri, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, Proxy};

use super::part::{Identity, Part};
use super::{Error, Options, Source};

/// Redirects followed in a row; the published addresses need one.
const REDIRECTS: usize = 4;

/// What connects to the host of `url`, by the proxy that is named or that the environment says. Redirects are answers.
pub(crate) fn agent(url: &str, proxy: Option<&str>, patience: Duration) -> Result<Agent, Error> {
    let proxy = match proxy {
        Some(address) => Some(Proxy::new(address).map_err(|error| Error::Address {
            address: without_password(address),
            detail: error.to_string(),
        })?),
        None if is_loopback(url) => None,
        None => Proxy::try_from_env(),
    };
    // Hospitals inspect TLS with a root of their own, which only the operating system knows.
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let config = Agent::config_builder()
        .proxy(proxy)
        .tls_config(tls)
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_connect(Some(patience.max(Duration::from_secs(1))))
        .timeout_recv_response(Some(patience))
        .timeout_per_read(Some(patience))
        .user_agent(concat!("vesalius/", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(config.new_agent())
}

/// What stays the same from connection to connection.
pub(super) struct Transfer<'a> {
    source: &'a Source,
    options: &'a Options,
    stage: &'a str,
    progress: &'a Progress,
    agent: Agent,
}

impl<'a> Transfer<'a> {
    /// Prepares connections to the host of `source`.
    pub(super) fn new(
        source: &'a Source,
        options: &'a Options,
        stage: &'a str,
        progress: &'a Progress,
    ) -> Result<Transfer<'a>, Error> {
        let agent = agent(&source.url, options.proxy.as_deref(), options.patience)?;
        Ok(Transfer { source, options, stage, progress, agent })
    }

    /// Brings `part` to the length of the whole file, or says what came in between.
    pub(super) fn run(&self, part: &mut Part) -> Result<(), Error> {
        self.progress.step(self.stage, part.len(), part.identity().total.unwrap_or(0))?;
        if part.len() > 0 && part.identity().validator.is_none() {
            // Nothing would tell whether the rest belongs to these bytes.
            part.restart(Identity { url: self.source.url.clone(), ..Identity::default() })?;
        }
        let resume = part.len() > 0;
        let (url, response) = self.request(part)?;
        match response.status().as_u16() {
            200 => {
                let identity = self.identity(&response, length(&response));
                self.check_total(&url, identity.total)?;
                part.restart(identity)?;
            }
            206 if resume => {
                let Some((start, total)) = range(&response) else {
                    let detail = "it sends a piece without saying which".to_owned();
                    return Err(Error::Protocol { url, detail });
                };
                let identity = self.identity(&response, total);
                if start != part.len() || identity != *part.identity() {
                    // Another file than the one we have the beginning of: throw that away and ask again.
                    return self.anew(part);
                }
            }
            416 if resume => return self.anew(part),
            status => return Err(Error::Status { url, status }),
        }
        self.check_space(part)?;
        self.take_in(part, &url, response)
    }

    /// Begins again from the first byte.
    fn anew(&self, part: &mut Part) -> Result<(), Error> {
        part.restart(Identity { url: self.source.url.clone(), ..Identity::default() })?;
        self.run(part)
    }

    /// The first answer that is no redirect, and the address that gave it.
    fn request(&self, part: &Part) -> Result<(String, Response<Body>), Error> {
        let mut url = self.source.url.clone();
        for _ in 0..=REDIRECTS {
            let mut request = self.agent.get(&url).header(header::ACCEPT_ENCODING, "identity");
            if part.len() > 0 {
                request = request.header(header::RANGE, format!("bytes={}-", part.len()));
                if let Some(validator) = &part.identity().validator {
                    request = request.header(header::IF_RANGE, validator);
                }
            }
            let response = request.call().map_err(|error| self.cut(&url, part, &error))?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok((url, response));
            }
            url = self.follow(&url, text(&response, &header::LOCATION).unwrap_or_default())?;
        }
        let detail = "too many redirects in a row";
        Err(Error::Redirect { from: self.source.url.clone(), to: url, detail })
    }

    /// The address that a redirect leads to, if we may go there.
    fn follow(&self, from: &str, location: &str) -> Result<String, Error> {
        let refused = |detail| Error::Redirect { from: from.to_owned(), to: location.to_owned(), detail };
        let base: Uri = from.parse().map_err(|_| refused("the address cannot be read"))?;
        let scheme = base.scheme_str().unwrap_or("https");
        let absolute = match location {
            path if path.starts_with("//") => format!("{scheme}:{path}"),
            path if path.starts_with('/') => {
                format!("{scheme}://{}{path}", base.authority().map_or("", |authority| authority.as_str()))
            }
            address => address.to_owned(),
        };
        let next: Uri = absolute.parse().map_err(|_| refused("the address cannot be read"))?;
        match next.scheme_str() {
            Some("https") => {}
            Some("http") if scheme == "http" => {}
            Some("http") => return Err(refused("from an encrypted connection to an open one")),
            _ => return Err(refused("the address is neither http nor https")),
        }
        let host = next.host().unwrap_or_default().to_ascii_lowercase();
        let admitted = |allowed: &String| match allowed.strip_prefix('.') {
            Some(domain) => host == domain || host.ends_with(allowed.as_str()),
            None => host == *allowed,
        };
        let same = base.host().is_some_and(|before| before.eq_ignore_ascii_case(&host));
        if same || self.options.hosts.is_empty() || self.options.hosts.iter().any(admitted) {
            Ok(absolute)
        } else {
            Err(refused("that host does not belong to the publisher"))
        }
    }

    /// What an answer says about the file that it is a piece of.
    fn identity(&self, response: &Response<Body>, total: Option<u64>) -> Identity {
        // A weak tag promises the same meaning, not the same bytes: useless for joining pieces.
        let tag = text(response, &header::ETAG).filter(|tag| !tag.starts_with("W/"));
        let validator = tag.or_else(|| text(response, &header::LAST_MODIFIED)).map(str::to_owned);
        Identity { url: self.source.url.clone(), validator, total }
    }

    /// Whether the server speaks of a file of the published length.
    fn check_total(&self, url: &str, total: Option<u64>) -> Result<(), Error> {
        match (total, self.source.bytes) {
            (Some(found), Some(expected)) if found != expected => {
                Err(Error::Length { url: url.to_owned(), found, expected })
            }
            _ => Ok(()),
        }
    }

    /// Whether the rest fits on the disk.
    fn check_space(&self, part: &Part) -> Result<(), Error> {
        let Some(total) = part.identity().total.or(self.source.bytes) else { return Ok(()) };
        let needed = total.saturating_sub(part.len());
        match fs4::available_space(part.folder()) {
            Ok(free) if free < needed => Err(Error::Space { folder: part.folder().to_owned(), needed, free }),
            _ => Ok(()),
        }
    }

    /// Writes the answer's bytes to the part, to the promised length and not a byte further.
    fn take_in(&self, part: &mut Part, url: &str, response: Response<Body>) -> Result<(), Error> {
        let total = part.identity().total.or(self.source.bytes);
        let mut reader = response.into_body().into_with_config().limit(u64::MAX).reader();
        let mut buffer = vec![0; 1 << 18];
        loop {
            let count = reader.read(&mut buffer).map_err(|error| self.cut(url, part, &error))?;
            let length = part.len() + count as u64;
            match total {
                Some(expected) if length > expected => {
                    part.discard();
                    return Err(Error::Length { url: url.to_owned(), found: length, expected });
                }
                Some(expected) if count == 0 && length < expected => {
                    return Err(self.cut(url, part, &format!("it ended before byte {expected}")));
                }
                _ if count == 0 => return Ok(()),
                _ => {}
            }
            part.append(&buffer[..count])?;
            self.progress.step(self.stage, length, total.unwrap_or(0))?;
        }
    }

    /// A connection that failed.
    fn cut(&self, url: &str, part: &Part, detail: &dyn std::fmt::Display) -> Error {
        let host = url.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
        let host = host.unwrap_or_else(|| url.to_owned());
        Error::Cut { host, received: part.len(), detail: detail.to_string() }
    }
}

/// Whether an address means this machine: no proxy can reach that.
fn is_loopback(url: &str) -> bool {
    let host = url.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A header as text.
fn text<'r>(response: &'r Response<Body>, name: &header::HeaderName) -> Option<&'r str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

/// `Content-Length`.
fn length(response: &Response<Body>) -> Option<u64> {
    text(response, &header::CONTENT_LENGTH)?.trim().parse().ok()
}

/// `Content-Range: bytes 100-199/200` as the first byte and, unless it is `*`, the total.
fn range(response: &Response<Body>) -> Option<(u64, Option<u64>)> {
    let (span, total) = text(response, &header::CONTENT_RANGE)?.strip_prefix("bytes ")?.split_once('/')?;
    let start = span.split_once('-')?.0.parse().ok()?;
    Some((start, total.parse().ok()))
}

/// A proxy's address as it may be shown.
fn without_password(address: &str) -> String {
    match (address.find("://"), address.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 <= at => {
            format!("{}***{}", &address[..scheme + 3], &address[at..])
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_password_is_never_shown() {
        for (address, shown) in [
            ("http://user:secret@proxy:3128", "http://***@proxy:3128"),
            ("http://proxy:3128", "http://proxy:3128"),
            ("proxy", "proxy"),
        ] {
            assert_eq!(super::without_password(address), shown);
        }
    }
}
