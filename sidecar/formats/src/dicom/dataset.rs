//! The attributes of a DICOM file that matter here, and strict ways to read their values.

use dicom_core::Tag;

use super::error::Error;

/// Attributes kept from a data set, in file order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dataset {
    pub(crate) elements: Vec<(Tag, Value)>,
}

/// The value of a kept attribute.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Bytes as stored.
    Bytes { bytes: Vec<u8>, big_endian: bool, vr: [u8; 2] },
    /// The items of a sequence.
    Items(Vec<Dataset>),
}

impl Dataset {
    /// The stored bytes; `None` when absent or empty.
    pub(crate) fn bytes(&self, tag: Tag) -> Option<&[u8]> {
        self.elements.iter().find_map(|(at, value)| match value {
            Value::Bytes { bytes, .. } if *at == tag && !bytes.is_empty() => Some(bytes.as_slice()),
            _ => None,
        })
    }

    /// Whether a value or a sequence is there, even an empty one.
    pub(crate) fn contains(&self, tag: Tag) -> bool {
        self.elements.iter().any(|(at, _)| *at == tag)
    }

    /// The items of a sequence; none when absent.
    pub(crate) fn items(&self, tag: Tag) -> &[Dataset] {
        let found = self.elements.iter().find_map(|(at, value)| match value {
            Value::Items(items) if *at == tag => Some(items.as_slice()),
            _ => None,
        });
        found.unwrap_or_default()
    }

    /// The first item of a sequence.
    pub(crate) fn item(&self, tag: Tag) -> Option<&Dataset> {
        self.items(tag).first()
    }

    /// ASCII text without its padding; `None` when absent, empty or not ASCII.
    pub(crate) fn text(&self, tag: Tag) -> Option<&str> {
        let text = std::str::from_utf8(self.bytes(tag)?).ok().filter(|text| text.is_ascii())?;
        Some(text.trim_matches([' ', '\0'])).filter(|text| !text.is_empty())
    }

    /// A UID: digits and dots, at most 64 characters.
    pub(crate) fn uid(&self, tag: Tag) -> Result<Option<String>, Error> {
        let Some(bytes) = self.bytes(tag) else { return Ok(None) };
        let end = bytes.iter().rposition(|&b| b != 0 && b != b' ').map_or(0, |last| last + 1);
        let uid = &bytes[..end];
        if uid.len() > 64 || !uid.iter().all(|b| b.is_ascii_digit() || *b == b'.') {
            return Err(Error::Parse {
                reason: "a unique identifier is not digits and dots, at most 64 of them",
            });
        }
        Ok(Some(String::from_utf8_lossy(uid).into_owned()).filter(|uid| !uid.is_empty()))
    }

    /// Decimal strings (DS) or binary floats (FD, FL): all values, or `None` when absent or empty.
    ///
    /// `1,5`, `nan`, `inf` and stray text are refused: a guess would be silently wrong.
    pub(crate) fn decimals(&self, tag: Tag) -> Result<Option<Vec<f64>>, Error> {
        let Some((bytes, big_endian, vr)) = self.elements.iter().find_map(|(at, value)| match value {
            Value::Bytes { bytes, big_endian, vr } if *at == tag && !bytes.is_empty() => {
                Some((bytes, *big_endian, vr))
            }
            _ => None,
        }) else {
            return Ok(None);
        };
        let values: Vec<f64> = match vr {
            b"FD" => bytes.chunks_exact(8).map(|b| f64_of(b, big_endian)).collect(),
            b"FL" => bytes.chunks_exact(4).map(|b| f64::from(f32_of(b, big_endian))).collect(),
            _ => return decimal_strings(bytes),
        };
        if values.iter().any(|value| !value.is_finite()) {
            return Err(Error::Parse { reason: "a number is not finite" });
        }
        Ok(Some(values).filter(|values| !values.is_empty()))
    }

    /// Exactly `N` numbers; `None` when absent or empty.
    pub(crate) fn vector<const N: usize>(&self, tag: Tag) -> Result<Option<[f64; N]>, Error> {
        let Some(values) = self.decimals(tag)? else { return Ok(None) };
        let wrong = Error::Parse { reason: "an attribute has the wrong number of values" };
        Ok(Some(<[f64; N]>::try_from(values).map_err(|_| wrong)?))
    }

    /// Whole numbers of 16 bits (US); none when absent.
    pub(crate) fn shorts(&self, tag: Tag) -> Result<Vec<u16>, Error> {
        let found = self.elements.iter().find_map(|(at, value)| match value {
            Value::Bytes { bytes, big_endian, .. } if *at == tag => Some((bytes, *big_endian)),
            _ => None,
        });
        let Some((bytes, big_endian)) = found else { return Ok(Vec::new()) };
        let (twos, rest) = bytes.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(Error::Parse { reason: "an attribute is not made of whole numbers" });
        }
        let one =
            |two: &[u8; 2]| if big_endian { u16::from_be_bytes(*two) } else { u16::from_le_bytes(*two) };
        Ok(twos.iter().map(one).collect())
    }

    /// A whole number of an integer string (IS) or US, UL, SS, SL value.
    pub(crate) fn integer(&self, tag: Tag) -> Result<Option<i64>, Error> {
        let found = self.elements.iter().find_map(|(at, value)| match value {
            Value::Bytes { bytes, big_endian, vr } if *at == tag && !bytes.is_empty() => {
                Some((bytes, *big_endian, *vr))
            }
            _ => None,
        });
        let Some((bytes, big_endian, vr)) = found else { return Ok(None) };
        let wrong = Error::Parse { reason: "an attribute is not one whole number" };
        if matches!(&vr, b"IS" | b"DS") {
            let text = std::str::from_utf8(bytes).unwrap_or("?").trim_matches([' ', '\0']);
            return if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(|_| wrong) };
        }
        let unsigned = match (bytes.as_slice(), big_endian) {
            (&[a, b], false) => u32::from(u16::from_le_bytes([a, b])),
            (&[a, b], true) => u32::from(u16::from_be_bytes([a, b])),
            (&[a, b, c, d], false) => u32::from_le_bytes([a, b, c, d]),
            (&[a, b, c, d], true) => u32::from_be_bytes([a, b, c, d]),
            _ => return Err(wrong),
        };
        Ok(Some(match &vr {
            b"SS" => i64::from(unsigned as u16 as i16),
            b"SL" => i64::from(unsigned as i32),
            _ => i64::from(unsigned),
        }))
    }
}

/// Decimal strings separated by backslashes, each strict.
fn decimal_strings(bytes: &[u8]) -> Result<Option<Vec<f64>>, Error> {
    let wrong = || Error::Parse { reason: "an attribute is not a decimal number" };
    let text = std::str::from_utf8(bytes).map_err(|_| wrong())?;
    let text = text.trim_matches([' ', '\0']);
    if text.is_empty() {
        return Ok(None);
    }
    let one = |part: &str| -> Option<f64> {
        let part = part.trim_matches([' ', '\0']);
        let plain = part.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
        part.parse().ok().filter(|value: &f64| plain && value.is_finite())
    };
    text.split('\\').map(one).collect::<Option<Vec<f64>>>().map(Some).ok_or_else(wrong)
}

/// Eight bytes as a number.
fn f64_of(bytes: &[u8], big_endian: bool) -> f64 {
    let array = <[u8; 8]>::try_from(bytes).unwrap_or_default();
    if big_endian { f64::from_be_bytes(array) } else { f64::from_le_bytes(array) }
}

/// Four bytes as a number.
fn f32_of(bytes: &[u8], big_endian: bool) -> f32 {
    let array = <[u8; 4]>::try_from(bytes).unwrap_or_default();
    if big_endian { f32::from_be_bytes(array) } else { f32::from_le_bytes(array) }
}
