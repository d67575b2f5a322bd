//! Names that nobody can guess: 128 random bits for volumes and jobs, 256 for the token.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Error, Result};

/// Digits of an id.
const DIGITS: usize = 32;

/// The name of a volume or a job: 32 lower-case hexadecimal digits, so that it can name a file as well.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Id(String);

/// What is no id.
#[derive(Debug, thiserror::Error)]
#[error("expected 32 hexadecimal digits")]
pub(crate) struct NoId;

impl Id {
    /// A new one.
    pub(crate) fn new() -> Result<Id> {
        secret::<16>().map(Id)
    }

    /// As text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// `BYTES` random bytes from the operating system, in hexadecimal digits.
pub(super) fn secret<const BYTES: usize>() -> Result<String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| Error::Refused {
        message: format!("this system gives no random numbers: {error}"),
        hint: "the server cannot be run safely here".to_owned(),
    })?;
    Ok(hexadecimal(&bytes))
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether `text` is `digits` lower-case hexadecimal digits.
pub(super) fn is_hexadecimal(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl TryFrom<String> for Id {
    type Error = NoId;

    fn try_from(text: String) -> Result<Id, NoId> {
        if is_hexadecimal(&text, DIGITS) { Ok(Id(text)) } else { Err(NoId) }
    }
}

impl FromStr for Id {
    type Err = NoId;

    fn from_str(text: &str) -> Result<Id, NoId> {
        Id::try_from(text.to_owned())
    }
}

impl From<Id> for String {
    fn from(id: Id) -> String {
        id.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_names_of_files_and_nothing_else() {
        let id = Id::new().unwrap();
        assert_eq!(id.as_str().parse::<Id>().unwrap(), id);
        assert_ne!(Id::new().unwrap(), id);
        for text in ["", "..", "0123456789abcdef0123456789abcdeF", "0123456789abcdef0123456789abcde/"] {
            assert!(text.parse::<Id>().is_err(), "{text}");
        }
    }
}
