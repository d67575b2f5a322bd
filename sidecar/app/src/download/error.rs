//! Why a file could not be fetched, and whether trying again can help.

use std::path::PathBuf;

/// Why a file could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No connection, or one that was cut or fell silent.
    #[error("the connection to `{host}` failed after {received} bytes: {detail}")]
    Cut {
        /// Whom we spoke to.
        host: String,
        /// Bytes that are safe on disk.
        received: u64,
        /// What the network said.
        detail: String,
    },
    /// The server answered with an error.
    #[error("`{url}` answered {status}")]
    Status {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The server wants to send another number of bytes than was published.
    #[error("`{url}` offers {found} bytes, the published file has {expected}")]
    Length {
        /// The address.
        url: String,
        /// What the server announces or has sent.
        found: u64,
        /// What was published or announced before.
        expected: u64,
    },
    /// The bytes are not those that were published.
    #[error("the file from `{url}` has the wrong content: SHA-256 is {found}, published is {expected}")]
    Hash {
        /// The address.
        url: String,
        /// The hash of what came.
        found: String,
        /// The hash that was published.
        expected: String,
    },
    /// The server sends us to a place where we will not go.
    #[error("`{from}` redirects to `{to}`: {detail}")]
    Redirect {
        /// The address asked for.
        from: String,
        /// Where it leads.
        to: String,
        /// Why not.
        detail: &'static str,
    },
    /// The answer breaks the rules of HTTP.
    #[error("`{url}` gave an answer that makes no sense: {detail}")]
    Protocol {
        /// The address.
        url: String,
        /// What is wrong.
        detail: String,
    },
    /// The address or proxy cannot be used.
    #[error("`{address}` is not an address that can be used: {detail}")]
    Address {
        /// The address.
        address: String,
        /// Why not.
        detail: String,
    },
    /// Not enough room before the download has begun.
    #[error("{needed} bytes are needed in `{}`, {free} are free", folder.display())]
    Space {
        /// Where.
        folder: PathBuf,
        /// Bytes still to come.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// The disk did not take the bytes.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The user asked to stop; what has come so far is kept.
    #[error("stopped; what was downloaded so far is kept and taken up next time")]
    Cancelled,
}

impl Error {
    /// Whether the same request may succeed a little later.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Error::Cut { .. } => true,
            Error::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504),
            _ => false,
        }
    }

    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Error::Cut { .. } => "run the same command again: it goes on where it stopped; behind a proxy set \
                 `--proxy` or `HTTPS_PROXY`; without internet use `vesalius models import FILE`"
                .to_owned(),
            Error::Status { status: 401 | 403 | 407, .. } => {
                "the network wants a login: set `--proxy http://user:password@host:port`, or download the file in \
                 a browser and use `vesalius models import FILE`"
                    .to_owned()
            }
            Error::Status { status: 404, .. } => {
                "check the mirror, or download the file elsewhere and use `vesalius models import FILE`".to_owned()
            }
            Error::Status { .. } => "try again later".to_owned(),
            Error::Length { .. } | Error::Hash { .. } => {
                "nothing was installed; a proxy or mirror may have changed the file. Try again, or another mirror; \
                 a file that you trust can be installed with `vesalius models import FILE`"
                    .to_owned()
            }
            Error::Redirect { .. } | Error::Protocol { .. } => {
                "check the mirror and the proxy; a login page of the network can be the cause".to_owned()
            }
            Error::Address { .. } => "an address looks like `https://mirror.example.org`".to_owned(),
            Error::Space { .. } => "free some space, or set `VESALIUS_HOME` to a folder on a larger disk".to_owned(),
            Error::Write { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                "free some space and run the same command again: it goes on where it stopped".to_owned()
            }
            Error::Write { .. } => "check that you may write there, or set `VESALIUS_HOME`".to_owned(),
            Error::Cancelled => return None,
        })
    }
}

impl From<imaging::Cancelled> for Error {
    fn from(_: imaging::Cancelled) -> Error {
        Error::Cancelled
    }
}
