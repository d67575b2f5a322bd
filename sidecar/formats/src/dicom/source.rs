//! What a derived object (segmentation, contours) must repeat of the series it was made from.

use std::fmt;

use dicom_core::Tag;
use imaging::LabelMap;
use ndarray::{Array3, Axis};
use serde::{Deserialize, Serialize};

use super::error::Withheld;

/// An attribute to be repeated as it is: never decoded, so no character set can harm it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// Group and element.
    #[serde(with = "group_and_element")]
    pub tag: Tag,
    /// Value representation, two letters.
    pub vr: [u8; 2],
    /// The value as stored, in the character set of the attribute (0008,0005).
    pub value: Vec<u8>,
}

impl fmt::Debug for Attribute {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Attribute").field("tag", &self.tag).finish_non_exhaustive()
    }
}

/// One slice as it came: the truth that labels must lie on.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceSlice {
    /// Class of the object the slice is in.
    pub sop_class_uid: String,
    /// The object the slice is in.
    pub sop_instance_uid: String,
    /// Frame number from 1 in an enhanced object; `None` in a classic one.
    pub frame: Option<u32>,
    /// LPS position in millimetres of the centre of its first pixel.
    pub position: [f64; 3],
    /// Continuous index along k in the volume's grid: `slices[k].k == k` when the stack is even.
    pub k: f64,
}

/// What a derived object must repeat of its source. It identifies a patient: `Debug` says only how much there is.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// The study.
    pub study_instance_uid: String,
    /// The series.
    pub series_instance_uid: String,
    /// The frame of reference; empty when the series has none.
    pub frame_of_reference_uid: String,
    /// `CT`, `MR`, `PT`.
    pub modality: String,
    /// What the series is called; for people.
    pub series_description: Withheld,
    /// Patient, study and frame of reference attributes, by rising tag.
    pub attributes: Vec<Attribute>,
    /// The slices by rising k.
    pub slices: Vec<SourceSlice>,
}

impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Source").field("slices", &self.slices.len()).finish_non_exhaustive()
    }
}

impl Source {
    /// The value of an attribute to be repeated.
    #[must_use]
    pub fn attribute(&self, tag: Tag) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.tag == tag)
    }

    /// Patient ID (0010,0020) as stored, without its padding; `None` where there is none.
    #[must_use]
    pub fn patient_id(&self) -> Option<&[u8]> {
        let value = self.attribute(Tag(0x0010, 0x0020))?.value.trim_ascii();
        (!value.is_empty()).then_some(value)
    }

    /// Whether the volume's planes are the slices, one for one.
    #[must_use]
    pub fn is_even(&self) -> bool {
        self.slices.iter().enumerate().all(|(k, slice)| slice.k == k as f64)
    }

    /// The labels on the true slices, `[[slice, j, i]]` in the order of `slices`: of each the nearest plane of the
    /// volume's grid, on which `labels` must lie.
    #[must_use]
    pub fn labels_on_slices(&self, labels: &LabelMap) -> Array3<u8> {
        let [planes, rows, columns] = labels.grid.shape();
        let mut found = Array3::zeros([self.slices.len(), rows, columns]);
        for (mut plane, slice) in found.outer_iter_mut().zip(&self.slices) {
            let k = (slice.k.round().max(0.0) as usize).min(planes.saturating_sub(1));
            plane.assign(&labels.labels.index_axis(Axis(0), k));
        }
        found
    }
}

/// A tag as a pair of numbers.
mod group_and_element {
    use dicom_core::Tag;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(tag: &Tag, serializer: S) -> Result<S::Ok, S::Error> {
        (tag.0, tag.1).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tag, D::Error> {
        <(u16, u16)>::deserialize(deserializer).map(|(group, element)| Tag(group, element))
    }
}
