//! Names and dates of a new object that depend on nothing but what is in it: same input, same bytes out.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use sha2::{Digest, Sha256};

use super::Making;
use crate::dicom::Source;
use imaging::Segmentation;

/// The fingerprint from which the new unique identifiers are made.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    content: [u8; 32],
}

impl Identity {
    /// Of what is segmented, the result, and how it was made.
    pub(crate) fn of(segmentation: &Segmentation, source: &Source, making: &Making) -> Identity {
        let mut hash = Sha256::new();
        let mut text = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        let Making { description, by, algorithm, version, origin, parameters, software } = making;
        [description, by.term(), algorithm, version, origin, parameters, software]
            .iter()
            .for_each(|part| text(part));
        let Source { study_instance_uid, series_instance_uid, frame_of_reference_uid, .. } = source;
        [study_instance_uid, series_instance_uid, frame_of_reference_uid].iter().for_each(|uid| text(uid));
        // A name that was put right in the archive makes another object.
        for attribute in &source.attributes {
            text(&format!("{:?} {:?}", attribute.tag, attribute.value));
        }
        for slice in &source.slices {
            text(&slice.sop_instance_uid);
            text(&format!("{:?} {:?}", slice.frame, slice.position));
        }
        for segment in &segmentation.segments {
            text(&format!("{segment:?}"));
        }
        text(&format!("{:?}", segmentation.labels.grid));
        // In any layout, the voxels come in the order of their indices.
        for plane in segmentation.labels.labels.outer_iter() {
            for row in plane.outer_iter() {
                match row.as_slice() {
                    Some(row) => hash.update(row),
                    None => row.iter().for_each(|label| hash.update([*label])),
                }
            }
        }
        Identity { content: hash.finalize().into() }
    }

    /// A unique identifier for `what`: `2.25.` and a UUID of version 8 (PS3.5 B.2, RFC 9562).
    pub(crate) fn uid(&self, what: &str) -> String {
        uid(&self.content, what)
    }
}

/// A unique identifier made of a name.
pub(crate) fn uid(content: &[u8], what: &str) -> String {
    let hash = Sha256::new().chain_update(b"vesalius/dicom/1/").chain_update(what).chain_update(content);
    let hash: [u8; 32] = hash.finalize().into();
    let mut bytes = hash.first_chunk::<16>().copied().unwrap_or_default();
    bytes[6] = bytes[6] & 0x0F | 0x80;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    format!("2.25.{}", u128::from_be_bytes(bytes))
}

/// When a series says that it was made.
const MOMENTS: [[Tag; 2]; 4] = [
    [tags::SERIES_DATE, tags::SERIES_TIME],
    [tags::ACQUISITION_DATE, tags::ACQUISITION_TIME],
    [tags::CONTENT_DATE, tags::CONTENT_TIME],
    [tags::STUDY_DATE, tags::STUDY_TIME],
];

/// Date and time of the content: those of the source, since the clock would make every run another one; the beginning
/// of 1970 where the source has none.
pub(crate) fn moment(source: &Source) -> (String, String) {
    let text = |tag| {
        let attribute = source.attribute(tag)?;
        let text = std::str::from_utf8(&attribute.value).ok()?.trim_matches([' ', '\0']);
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')).then_some(text)
    };
    let found = MOMENTS.iter().find_map(|[date, time]| {
        let date = text(*date).filter(|date| date.len() == 8 && !date.contains('.'))?;
        let time = text(*time).filter(|time| time.len() <= 13).unwrap_or("000000");
        Some((date.to_owned(), time.to_owned()))
    });
    found.unwrap_or_else(|| ("19700101".to_owned(), "000000".to_owned()))
}
