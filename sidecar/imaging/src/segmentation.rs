//! What labels mean: structures, their codes and colours, and the answer that carries them.

use serde::{Deserialize, Serialize};

use crate::LabelMap;

/// A concept of a coding scheme, as DICOM writes it (PS3.3 Table 8.8-1): `(SCT, 10200004, "Liver")`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Code {
    /// Coding scheme designator, mostly `SCT`.
    pub scheme: String,
    /// Code value.
    pub value: String,
    /// Code meaning.
    pub meaning: String,
}

/// What a structure is, in the terms of DICOM Segmentation (PS3.3 C.8.20.2) and 3D Slicer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Terminology {
    /// Segmented property category, such as "Anatomical Structure".
    pub category: Code,
    /// Segmented property type, such as "Kidney".
    #[serde(rename = "type")]
    pub kind: Code,
    /// Laterality or other modifier of the type.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "type_modifier")]
    pub modifier: Option<Code>,
    /// Anatomic region.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "anatomic_region")]
    pub region: Option<Code>,
    /// Laterality or other modifier of the region.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "anatomic_region_modifier")]
    pub region_modifier: Option<Code>,
}

/// A structure: the value that marks it, what it is called, what it means, how it is drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// The value in the label map, 1 to 255.
    pub value: u8,
    /// The name, as in the paper: `kidney_left`.
    pub name: String,
    /// sRGB.
    pub color: [u8; 3],
    /// The coded meaning, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminology: Option<Terminology>,
}

/// The answer: a label map on the grid of the question, and what each label means.
#[derive(Debug, Clone)]
pub struct Segmentation {
    /// The voxels.
    pub labels: LabelMap,
    /// The structures, by rising value; every label in `labels` is listed, not every segment has voxels.
    pub segments: Vec<Segment>,
}
