//! The one table of refusals: a stable code, its HTTP status, a sentence, and what to do next.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use warp::http::{HeaderValue, StatusCode, header};
use warp::reply::{Reply, Response};

use crate::Error;

/// Why something was refused or failed. Codes never change their meaning; new ones may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Code {
    BadRequest,
    InvalidJson,
    Unauthorized,
    OriginRefused,
    LocalOnly,
    PairingClosed,
    PairingFailed,
    PairingRefused,
    ArchiveRefused,
    NotFound,
    MethodNotAllowed,
    Stalled,
    Conflict,
    WrongOffset,
    VolumeIncomplete,
    JobNotDone,
    ModelMissing,
    ModelUnavailable,
    LicenceNotAccepted,
    DownloadFailed,
    OutOfMemory,
    LengthRequired,
    TooLarge,
    NeedsTooMuchMemory,
    UnsupportedMediaType,
    HostRefused,
    GeometryInvalid,
    ChecksumMismatch,
    UnknownTask,
    UnknownStructure,
    UnknownOperatingPoint,
    UnknownChannel,
    ChannelMissing,
    ChannelMismatch,
    ModalityMismatch,
    InvalidRegion,
    VersionUnsupported,
    QueueFull,
    TooManyAttempts,
    HeadersTooLarge,
    Internal,
    WorkerDied,
    WorkerSilent,
    SegmentationFailed,
    ImageRefused,
    Ambiguous,
    RuntimeMissing,
    ShuttingDown,
    DiskFull,
    Cancelled,
    Interrupted,
    Stale,
    Forgotten,
    Invalid,
    Masked,
    Locked,
}

impl Code {
    /// The HTTP status that goes with it.
    fn status(self) -> StatusCode {
        let status = match self {
            Code::BadRequest | Code::InvalidJson => 400,
            Code::Unauthorized => 401,
            Code::OriginRefused
            | Code::LocalOnly
            | Code::PairingClosed
            | Code::PairingFailed
            | Code::PairingRefused
            | Code::ArchiveRefused => 403,
            Code::NotFound => 404,
            Code::MethodNotAllowed => 405,
            Code::Stalled => 408,
            Code::Conflict
            | Code::WrongOffset
            | Code::VolumeIncomplete
            | Code::JobNotDone
            | Code::ModelMissing
            | Code::ModelUnavailable
            | Code::LicenceNotAccepted
            | Code::Cancelled
            | Code::Interrupted
            | Code::Stale => 409,
            Code::Forgotten => 410,
            Code::LengthRequired => 411,
            Code::TooLarge | Code::NeedsTooMuchMemory => 413,
            Code::UnsupportedMediaType => 415,
            Code::HostRefused => 421,
            Code::GeometryInvalid
            | Code::ChecksumMismatch
            | Code::UnknownTask
            | Code::UnknownStructure
            | Code::UnknownOperatingPoint
            | Code::UnknownChannel
            | Code::ChannelMissing
            | Code::ChannelMismatch
            | Code::ModalityMismatch
            | Code::InvalidRegion
            | Code::ImageRefused
            | Code::Ambiguous
            | Code::Invalid
            | Code::Masked => 422,
            Code::Locked => 423,
            Code::VersionUnsupported => 426,
            Code::QueueFull | Code::TooManyAttempts => 429,
            Code::HeadersTooLarge => 431,
            Code::Internal
            | Code::OutOfMemory
            | Code::DownloadFailed
            | Code::SegmentationFailed
            | Code::WorkerDied
            | Code::WorkerSilent => 500,
            Code::RuntimeMissing | Code::ShuttingDown => 503,
            Code::DiskFull => 507,
        };
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// What a client reads instead of an answer, and what a failed job carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Refusal {
    /// Stable, for programs.
    pub(crate) code: Code,
    /// What was found and what was expected, for people.
    pub(crate) message: String,
    /// What to do next; may be empty.
    pub(crate) hint: String,
    /// What can be chosen, where somebody has to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) choices: Vec<Choice>,
}

/// One way out of an ambiguity: send it as `{"KEY": "VALUE"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Choice {
    /// What is to be chosen.
    pub(crate) key: String,
    /// The value that stands for this way out.
    pub(crate) value: String,
    /// What it means, for people.
    pub(crate) label: String,
}

/// Shorthand of the server.
pub(crate) type Answer<T> = std::result::Result<T, Refusal>;

impl Refusal {
    /// A refusal with its sentence and hint.
    pub(crate) fn new(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Refusal {
        Refusal { code, message: message.into(), hint: hint.into(), choices: Vec::new() }
    }

    /// A defect of this program.
    pub(crate) fn internal() -> Refusal {
        Refusal::new(
            Code::Internal,
            "the server met a defect of its own",
            "try again; restart the program if it stays",
        )
    }

    /// No token, a wrong one, an old one: the same words for all, so that nobody learns which.
    pub(crate) fn unauthorized() -> Refusal {
        Refusal::new(
            Code::Unauthorized,
            "the token is missing, wrong or too old",
            "send `Authorization: Bearer TOKEN`: programs, with the token of `endpoint.json`; web pages, of a new session",
        )
    }

    /// Nothing of that name, or nothing for this client to know of.
    pub(crate) fn not_found(what: &str) -> Refusal {
        Refusal::new(
            Code::NotFound,
            format!("there is no such {what}"),
            "it may have been deleted, or have expired",
        )
    }

    /// The spool could not be read or written. Paths stay out of it: the client cannot use them.
    pub(crate) fn spool(error: &std::io::Error) -> Refusal {
        match error.kind() {
            std::io::ErrorKind::StorageFull => {
                Refusal::new(Code::DiskFull, "the disk is full", "free some space, then try again")
            }
            kind => Refusal::new(
                Code::Internal,
                format!("the server cannot use its spool: {kind}"),
                "check the disk and the rights of the program's folder",
            ),
        }
    }

    /// A worker had no more memory to take.
    pub(crate) fn out_of_memory(why: &str) -> Refusal {
        Refusal::new(
            Code::OutOfMemory,
            format!("memory ran out: {why}"),
            "close other programs, or try `speed: fast`, fewer structures or a region",
        )
    }

    /// What the rest of the program says, under `code`.
    pub(crate) fn of(code: Code, error: &Error) -> Refusal {
        Refusal::new(code, error.sentence(), error.hint().unwrap_or_default())
    }

    /// As an answer.
    pub(crate) fn response(&self) -> Response {
        let mut response =
            warp::reply::with_status(warp::reply::json(self), self.code.status()).into_response();
        let headers = response.headers_mut();
        match self.code {
            Code::Unauthorized => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Code::QueueFull => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
            }
            Code::TooManyAttempts => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
            }
            _ => {}
        }
        response
    }
}
