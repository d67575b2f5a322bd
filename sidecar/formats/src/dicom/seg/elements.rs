//! Attributes of a data set to be written, explicit VR little endian (PS3.5 7.1.2), by rising tag.

use std::collections::BTreeMap;

use dicom_core::Tag;
use imaging::Code;

/// Characters that fit into one decimal string (PS3.5 6.2).
const LONGEST_DECIMAL: usize = 16;

/// A data set, or an item of a sequence.
#[derive(Debug, Clone, Default)]
pub(crate) struct Elements {
    elements: BTreeMap<Tag, ([u8; 2], Vec<u8>)>,
}

impl Elements {
    /// None yet.
    pub(crate) fn new() -> Elements {
        Elements::default()
    }

    /// One attribute more, or another value of it. Text is in the character set of the data set.
    pub(crate) fn set(mut self, tag: Tag, vr: &[u8; 2], value: impl Into<Vec<u8>>) -> Elements {
        self.elements.insert(tag, (*vr, value.into()));
        self
    }

    /// Whole numbers of 16 bits.
    pub(crate) fn short(self, tag: Tag, values: &[u16]) -> Elements {
        self.set(tag, b"US", values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
    }

    /// Whole numbers of 32 bits.
    pub(crate) fn long(self, tag: Tag, values: &[u32]) -> Elements {
        self.set(tag, b"UL", values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
    }

    /// The tag of another attribute.
    pub(crate) fn tag(self, tag: Tag, value: Tag) -> Elements {
        self.set(tag, b"AT", [value.0.to_le_bytes(), value.1.to_le_bytes()].concat())
    }

    /// Decimal strings, each as exact as its 16 characters allow.
    pub(crate) fn decimals(self, tag: Tag, values: &[f64]) -> Elements {
        let text: Vec<String> = values.iter().map(|value| decimal(*value)).collect();
        self.set(tag, b"DS", text.join("\\"))
    }

    /// A sequence.
    pub(crate) fn sequence(self, tag: Tag, items: &[Elements]) -> Elements {
        let mut value = Vec::new();
        items.iter().for_each(|item| item.append_as_item(&mut value));
        self.set(tag, b"SQ", value)
    }

    /// A sequence of one coded concept (PS3.3 Table 8.8-1), whose meaning is `meaning` in the character set.
    pub(crate) fn concept(self, tag: Tag, concept: Elements) -> Elements {
        self.sequence(tag, &[concept])
    }

    /// Whether the attribute is there.
    pub(crate) fn contains(&self, tag: Tag) -> bool {
        self.elements.contains_key(&tag)
    }

    /// Whether every value is plain ASCII without escapes.
    pub(crate) fn is_ascii(&self) -> bool {
        self.elements.values().all(|(_, value)| value.iter().all(|&byte| byte.is_ascii() && byte != 0x1B))
    }

    /// The bytes of the attributes.
    pub(crate) fn append(&self, bytes: &mut Vec<u8>) {
        for (tag, (vr, value)) in &self.elements {
            let padded = value.len() + value.len() % 2;
            append_header(*tag, vr, padded as u32, bytes);
            bytes.extend_from_slice(value);
            if padded > value.len() {
                bytes.push(if matches!(vr, b"UI" | b"OB") { 0 } else { b' ' });
            }
        }
    }

    /// The bytes of an item that holds the attributes.
    pub(crate) fn append_as_item(&self, bytes: &mut Vec<u8>) {
        bytes.extend([0xFE, 0xFF, 0x00, 0xE0, 0, 0, 0, 0]);
        let start = bytes.len();
        self.append(bytes);
        let length = (bytes.len() - start) as u32;
        bytes[start - 4..start].copy_from_slice(&length.to_le_bytes());
    }
}

/// Tag, VR and length of an element.
pub(crate) fn append_header(tag: Tag, vr: &[u8; 2], length: u32, bytes: &mut Vec<u8>) {
    bytes.extend(tag.0.to_le_bytes());
    bytes.extend(tag.1.to_le_bytes());
    bytes.extend(vr);
    if matches!(vr, b"OB" | b"OW" | b"SQ" | b"UT") {
        bytes.extend([0, 0]);
        bytes.extend(length.to_le_bytes());
    } else {
        bytes.extend((length as u16).to_le_bytes());
    }
}

/// A coded concept of ASCII text.
pub(crate) fn concept(value: &str, scheme: &str, meaning: &str) -> Elements {
    use dicom_dictionary_std::tags;
    Elements::new()
        .set(tags::CODE_VALUE, b"SH", value)
        .set(tags::CODING_SCHEME_DESIGNATOR, b"SH", scheme)
        .set(tags::CODE_MEANING, b"LO", meaning)
}

/// A coded concept as [`imaging`] knows it.
pub(crate) fn coded(code: &Code) -> Elements {
    let plain = |text: &str, most: usize| -> String {
        text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).take(most).collect()
    };
    concept(&plain(&code.value, 16), &plain(&code.scheme, 16), &plain(&code.meaning, 64))
}

/// A number in at most 16 characters, as exact as they allow.
fn decimal(value: f64) -> String {
    let shortest = format!("{value}");
    if shortest.len() <= LONGEST_DECIMAL {
        return if shortest == "-0" { "0".to_owned() } else { shortest };
    }
    let fixed = (0..=LONGEST_DECIMAL).rev().map(|digits| format!("{value:.digits$}"));
    let scientific = (0..=LONGEST_DECIMAL).rev().map(|digits| format!("{value:.digits$e}"));
    let fitting = fixed.chain(scientific).filter(|text| text.len() <= LONGEST_DECIMAL);
    let error = |text: &str| text.parse().map_or(f64::INFINITY, |number: f64| (number - value).abs());
    let best = fitting.min_by(|a, b| error(a).total_cmp(&error(b))).unwrap_or_default();
    if best.contains('.') && !best.contains('e') {
        return best.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_fit_and_are_as_exact_as_they_can_be() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-177.75, "-177.75"),
            (0.1 + 0.2, "0.3"),
            (-0.123_456_789_012_345_68, "-0.1234567890123"),
            (1.0 / 3.0, "0.33333333333333"),
            (1.0e-7 / 3.0, "3.3333333333e-8"),
            (-123_456_789.123_456_79, "-123456789.12346"),
        ] {
            let found = decimal(value);
            assert!(found.len() <= LONGEST_DECIMAL, "{found}");
            assert!((found.parse::<f64>().unwrap() - text.parse::<f64>().unwrap()).abs() < 1e-13, "{found}");
        }
        assert_eq!(decimal(0.1 + 0.2), "0.3");
        assert_eq!(decimal(0.7), "0.7");
    }

    #[test]
    fn attributes_are_written_by_rising_tag_and_padded() {
        let mut bytes = Vec::new();
        let item = Elements::new().set(Tag(0x62, 5), b"LO", "abc");
        Elements::new().sequence(Tag(0x62, 2), &[item]).set(Tag(8, 0x16), b"UI", "1.2").append(&mut bytes);
        let mut expected = vec![8, 0, 0x16, 0, b'U', b'I', 4, 0, b'1', b'.', b'2', 0];
        expected.extend([0x62, 0, 2, 0, b'S', b'Q', 0, 0, 20, 0, 0, 0]);
        expected.extend([0xFE, 0xFF, 0, 0xE0, 12, 0, 0, 0]);
        expected.extend([0x62, 0, 5, 0, b'L', b'O', 4, 0, b'a', b'b', b'c', b' ']);
        assert_eq!(bytes, expected);
    }
}
