//! The segments that a segmentation object lists.

use std::collections::BTreeMap;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_encoding::text::{SpecificCharacterSet, TextCodec};
use imaging::Segment;

use super::{color, terms};
use crate::dicom::attributes::Keep;
use crate::dicom::dataset::Dataset;
use crate::dicom::error::Error;

/// Labels of a label map.
const MOST_SEGMENTS: u64 = 255;
/// What is drawn when the file names no colour.
const GREY: [u8; 3] = [128, 174, 128];

/// The segments, and which number of the file became which value of the label map.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) segments: Vec<Segment>,
    values: BTreeMap<u16, u8>,
}

/// Whether and how an element of a segmentation object is kept.
pub(crate) fn keep(tag: Tag) -> Keep {
    match tag {
        tags::SEGMENT_SEQUENCE
        | tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE
        | tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE
        | tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE
        | tags::ANATOMIC_REGION_SEQUENCE
        | tags::ANATOMIC_REGION_MODIFIER_SEQUENCE
        | tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE
        | tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE
        | tags::PLANE_POSITION_SEQUENCE
        | tags::PLANE_ORIENTATION_SEQUENCE
        | tags::PIXEL_MEASURES_SEQUENCE
        | tags::SEGMENT_IDENTIFICATION_SEQUENCE => Keep::Items,
        tags::SPECIFIC_CHARACTER_SET
        | tags::SOP_CLASS_UID
        | tags::SEGMENTATION_TYPE
        | tags::MAXIMUM_FRACTIONAL_VALUE
        | tags::SEGMENT_NUMBER
        | tags::SEGMENT_LABEL
        | tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE
        | tags::CODE_VALUE
        | tags::LONG_CODE_VALUE
        | tags::CODING_SCHEME_DESIGNATOR
        | tags::CODE_MEANING
        | tags::REFERENCED_SEGMENT_NUMBER
        | tags::IMAGE_POSITION_PATIENT
        | tags::IMAGE_ORIENTATION_PATIENT
        | tags::PIXEL_SPACING
        | tags::SPACING_BETWEEN_SLICES
        | tags::SLICE_THICKNESS
        | tags::SAMPLES_PER_PIXEL
        | tags::NUMBER_OF_FRAMES
        | tags::ROWS
        | tags::COLUMNS
        | tags::BITS_ALLOCATED
        | tags::PIXEL_PADDING_VALUE => Keep::Value,
        _ => Keep::Nothing,
    }
}

impl Table {
    /// The segments of a data set, without a background (number 0), which label maps of highdicom and dcmqi list.
    pub(crate) fn of(dataset: &Dataset) -> Result<Table, Error> {
        let mut items: BTreeMap<u16, &Dataset> = BTreeMap::new();
        for item in dataset.items(tags::SEGMENT_SEQUENCE) {
            let number = item.integer(tags::SEGMENT_NUMBER)?;
            let number = number.and_then(|number| u16::try_from(number).ok());
            let number = number.ok_or(Error::Parse { reason: "a segment has no number" })?;
            if items.insert(number, item).is_some() {
                return Err(Error::Corrupt { reason: "two segments have the same number" });
            }
        }
        items.remove(&0);
        if items.is_empty() {
            return Err(Error::Parse { reason: "a segmentation lists no segments" });
        }
        let found = items.len() as u64;
        if found > MOST_SEGMENTS {
            return Err(Error::Limit { what: "segments", found, limit: MOST_SEGMENTS });
        }
        let as_they_are = items.keys().all(|number| *number <= 255);
        let charset = dataset.text(tags::SPECIFIC_CHARACTER_SET).unwrap_or_default();
        let (mut segments, mut values) = (Vec::new(), BTreeMap::new());
        for (place, (&number, item)) in (1u8..).zip(&items) {
            let value = if as_they_are { number as u8 } else { place };
            values.insert(number, value);
            segments.push(segment(value, item, charset)?);
        }
        Ok(Table { segments, values })
    }

    /// The label of a segment's number.
    pub(crate) fn value(&self, number: i64) -> Result<u8, Error> {
        let value = u16::try_from(number).ok().and_then(|number| self.values.get(&number));
        value.copied().ok_or(Error::Corrupt { reason: "a frame is of a segment that is not listed" })
    }

    /// The label of each pixel value of a label map, `None` where no segment has it; `background` is a further value
    /// that means nothing.
    pub(crate) fn lookup(&self, background: Option<i64>) -> Vec<Option<u8>> {
        let mut lookup = vec![None; 1 << 16];
        for (number, value) in &self.values {
            lookup[usize::from(*number)] = Some(*value);
        }
        lookup[0] = Some(0);
        if let Some(place) = background.and_then(|value| lookup.get_mut((value & 0xFFFF) as usize)) {
            *place = Some(0);
        }
        lookup
    }
}

/// One segment.
fn segment(value: u8, item: &Dataset, charset: &str) -> Result<Segment, Error> {
    let terminology = terms::read(item);
    let name = item.bytes(tags::SEGMENT_LABEL).map(|bytes| text(bytes, charset)).unwrap_or_default();
    let name = match (&terminology, name.is_empty()) {
        (_, false) => name,
        (Some(terms), true) => terms.kind.meaning.clone(),
        (None, true) => format!("segment {value}"),
    };
    let lab = item.shorts(tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE)?;
    let color = match lab.as_slice() {
        &[lightness, a, b] => color::to_rgb([lightness, a, b]),
        _ => GREY,
    };
    Ok(Segment { value, name, color, terminology })
}

/// Text in the character set of the file; what is not in it becomes a question mark.
fn text(bytes: &[u8], charset: &str) -> String {
    let end = bytes.iter().rposition(|&byte| byte != 0 && byte != b' ').map_or(0, |last| last + 1);
    let bytes = &bytes[..end];
    let decoded = SpecificCharacterSet::from_code(charset).and_then(|set| set.decode(bytes).ok());
    let decoded = decoded.unwrap_or_else(|| String::from_utf8_lossy(bytes).into_owned());
    decoded.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}
