//! What segments mean, in and out of the coded concepts of a Segment Sequence (PS3.3 C.8.20.4).

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use imaging::{Code, Segment, Terminology};

use super::elements::{Elements, coded, concept};
use crate::dicom::dataset::Dataset;

/// The scheme of structures that have no code of their own: their names.
pub(crate) const OWN_SCHEME: &str = "99VESALIUS";

/// The attributes that say what a segment is.
pub(crate) fn append(elements: Elements, segment: &Segment) -> Elements {
    let Some(terms) = &segment.terminology else {
        let name = format!("{:?}", segment.name);
        let code = super::identity::uid(name.as_bytes(), "code");
        // Sixteen digits of a hash of the name: the same name has the same code everywhere.
        let value = &code[code.len() - 16..];
        let meaning: String = segment.name.chars().map(|c| if plain(c) { c } else { '?' }).take(64).collect();
        return elements
            .concept(
                tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE,
                concept("123037004", "SCT", "Anatomical Structure"),
            )
            .concept(
                tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE,
                concept(value, OWN_SCHEME, if meaning.is_empty() { "?" } else { &meaning }),
            );
    };
    let with = |code: &Code, modifier: Option<&Code>, sequence: Tag| match modifier {
        Some(modifier) => coded(code).concept(sequence, coded(modifier)),
        None => coded(code),
    };
    let modifiers = tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE;
    let elements =
        elements.concept(tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, coded(&terms.category)).concept(
            tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE,
            with(&terms.kind, terms.modifier.as_ref(), modifiers),
        );
    match &terms.region {
        Some(region) => elements.concept(
            tags::ANATOMIC_REGION_SEQUENCE,
            with(region, terms.region_modifier.as_ref(), tags::ANATOMIC_REGION_MODIFIER_SEQUENCE),
        ),
        None => elements,
    }
}

/// What the codes say, in words: `Left Kidney`, `Cyst, Left Kidney`.
pub(crate) fn in_words(segment: &Segment) -> Option<String> {
    let terms = segment.terminology.as_ref()?;
    let with = |modifier: &Option<Code>, code: &Code| match modifier {
        Some(modifier) => format!("{} {}", modifier.meaning, code.meaning),
        None => code.meaning.clone(),
    };
    let kind = with(&terms.modifier, &terms.kind);
    Some(match &terms.region {
        Some(region) => format!("{kind}, {}", with(&terms.region_modifier, region)),
        None => kind,
    })
}

/// What the item of a segment says that it is; nothing where it only repeats the name in a scheme of ours.
pub(crate) fn read(item: &Dataset) -> Option<Terminology> {
    let (category, _) = code(item, tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE)?;
    let (kind, kind_item) = code(item, tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE)?;
    if kind.scheme == OWN_SCHEME {
        return None;
    }
    let modifier =
        |item: &Dataset, sequence| code(item, sequence).map(|(modifier, _): (Code, &Dataset)| modifier);
    let region = code(item, tags::ANATOMIC_REGION_SEQUENCE);
    Some(Terminology {
        category,
        kind,
        modifier: modifier(kind_item, tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE)
            // Where the standard of 2013 put it.
            .or_else(|| modifier(item, tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE)),
        region_modifier: region
            .as_ref()
            .and_then(|(_, item)| modifier(item, tags::ANATOMIC_REGION_MODIFIER_SEQUENCE)),
        region: region.map(|(region, _)| region),
    })
}

/// The first concept of a sequence, with the item it is in.
fn code(item: &Dataset, sequence: Tag) -> Option<(Code, &Dataset)> {
    let item = item.item(sequence)?;
    let text = |tag| item.text(tag).map(str::to_owned);
    let value = text(tags::CODE_VALUE).or_else(|| text(tags::LONG_CODE_VALUE))?;
    let meaning = text(tags::CODE_MEANING).unwrap_or_else(|| value.clone());
    Some((Code { scheme: text(tags::CODING_SCHEME_DESIGNATOR)?, value, meaning }, item))
}

fn plain(c: char) -> bool {
    (c.is_ascii_graphic() && c != '\\') || c == ' '
}
