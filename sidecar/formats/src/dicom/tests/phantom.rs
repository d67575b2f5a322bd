//! Small synthetic series, and the few lines of DICOM encoding that they need.

use std::collections::BTreeMap;

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};

use crate::dicom::Series;

pub(super) const ROWS: usize = 40;
pub(super) const COLUMNS: usize = 32;
pub(super) const SLICES: usize = 20;
/// Millimetres between columns, rows, slices.
pub(super) const SPACING: [f64; 3] = [1.0, 1.5, 2.5];
const ORIGIN: [f64; 3] = [-16.0, -30.0, 100.0];
/// Column, row, slice of the bright block's middle.
pub(super) const MARKER: [usize; 3] = [9, 23, 6];

/// A DICOM object to be written: explicit little endian unless changed.
#[derive(Clone)]
pub(super) struct Object {
    pub(super) elements: BTreeMap<Tag, (&'static str, Vec<u8>)>,
    pub(super) syntax: &'static str,
}

impl Object {
    pub(super) fn set(mut self, tag: Tag, vr: &'static str, value: impl Into<Vec<u8>>) -> Object {
        self.elements.insert(tag, (vr, value.into()));
        self
    }

    pub(super) fn us(self, tag: Tag, value: u16) -> Object {
        self.set(tag, "US", value.to_le_bytes())
    }

    pub(super) fn without(mut self, tag: Tag) -> Object {
        self.elements.remove(&tag);
        self
    }

    pub(super) fn numbers(self, tag: Tag, values: &[f64]) -> Object {
        let text: Vec<String> = values.iter().map(|value| format!("{value}")).collect();
        self.set(tag, "DS", text.join("\\"))
    }

    /// Pixels of 16 bits.
    pub(super) fn pixels(self, values: &[i16]) -> Object {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.set(tags::PIXEL_DATA, "OW", bytes)
    }

    /// The stored pixels.
    pub(super) fn values(&self) -> Vec<i16> {
        let (_, bytes) = &self.elements[&tags::PIXEL_DATA];
        bytes.chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]])).collect()
    }

    /// Rescale slope and intercept.
    pub(super) fn rescale(self, slope: &str, intercept: &str) -> Object {
        self.set(tags::RESCALE_SLOPE, "DS", slope).set(tags::RESCALE_INTERCEPT, "DS", intercept)
    }

    /// The elements alone.
    pub(super) fn body(&self) -> Vec<u8> {
        self.elements.iter().flat_map(|(tag, (vr, value))| element(*tag, vr, value)).collect()
    }

    /// The whole file.
    pub(super) fn bytes(&self) -> Vec<u8> {
        [head(self.syntax), self.body()].concat()
    }
}

/// Preamble and file meta group.
pub(super) fn head(syntax: &str) -> Vec<u8> {
    let class = element(tags::MEDIA_STORAGE_SOP_CLASS_UID, "UI", uids::CT_IMAGE_STORAGE.as_bytes());
    let instance = element(tags::MEDIA_STORAGE_SOP_INSTANCE_UID, "UI", b"1.2.3.4");
    let syntax = element(tags::TRANSFER_SYNTAX_UID, "UI", syntax.as_bytes());
    let group = [class, instance, syntax].concat();
    let length = element(Tag(2, 0), "UL", &(group.len() as u32).to_le_bytes());
    [vec![0; 128], b"DICM".to_vec(), length, group].concat()
}

/// One element, explicit little endian.
pub(super) fn element(tag: Tag, vr: &str, value: &[u8]) -> Vec<u8> {
    let mut value = value.to_vec();
    if value.len() % 2 == 1 {
        value.push(if matches!(vr, "UI" | "OB" | "UN") { 0 } else { b' ' });
    }
    let mut bytes = [tag.0.to_le_bytes(), tag.1.to_le_bytes()].concat();
    bytes.extend(vr.as_bytes());
    if matches!(vr, "OB" | "OW" | "OF" | "OD" | "SQ" | "UN" | "UT") {
        bytes.extend([0, 0]);
        bytes.extend((value.len() as u32).to_le_bytes());
    } else {
        bytes.extend((value.len() as u16).to_le_bytes());
    }
    bytes.extend(value);
    bytes
}

/// The value of a sequence with these items (each the bytes of its elements).
pub(super) fn items(items: &[Vec<u8>]) -> Vec<u8> {
    let item = |body: &Vec<u8>| {
        let head = [0xFE, 0xFF, 0x00, 0xE0].into_iter().chain((body.len() as u32).to_le_bytes());
        head.chain(body.iter().copied()).collect::<Vec<u8>>()
    };
    items.iter().flat_map(item).collect()
}

/// A file of compressed pixels with these fragments.
pub(super) fn encapsulated(object: &Object, fragments: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = object.clone().without(tags::PIXEL_DATA).bytes();
    bytes.extend([0xE0, 0x7F, 0x10, 0x00, b'O', b'B', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
    bytes.extend(items(&[Vec::new()]));
    bytes.extend(items(fragments));
    bytes.extend([0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
    bytes
}

/// Stored values of slice `k`: air, a body, and a bright block of 3 x 3 pixels in one slice.
pub(super) fn plane(k: usize) -> Vec<i16> {
    let value = |at: usize| {
        let (row, column) = (at / COLUMNS, at % COLUMNS);
        let near = |a: usize, b: usize| a.abs_diff(b) <= 1;
        if k == MARKER[2] && near(row, MARKER[1]) && near(column, MARKER[0]) {
            1000
        } else if (5..15).contains(&k) && (10..30).contains(&row) && (8..24).contains(&column) {
            50
        } else {
            -1000
        }
    };
    (0..ROWS * COLUMNS).map(value).collect()
}

/// A slice of a plain axial CT.
pub(super) fn slice(k: usize) -> Object {
    let object = Object { elements: BTreeMap::new(), syntax: uids::EXPLICIT_VR_LITTLE_ENDIAN };
    object
        .set(tags::SOP_CLASS_UID, "UI", uids::CT_IMAGE_STORAGE)
        .set(tags::SOP_INSTANCE_UID, "UI", format!("1.2.826.1.{k}"))
        .set(tags::STUDY_INSTANCE_UID, "UI", "1.2.826.7")
        .set(tags::SERIES_INSTANCE_UID, "UI", "1.2.826.8")
        .set(tags::FRAME_OF_REFERENCE_UID, "UI", "1.2.826.9")
        .set(tags::IMAGE_TYPE, "CS", "ORIGINAL\\PRIMARY\\AXIAL")
        .set(tags::MODALITY, "CS", "CT")
        .set(tags::PATIENT_NAME, "PN", "CANARY^PATIENT")
        .set(tags::PATIENT_ID, "LO", "CANARY-ID")
        .set(tags::SERIES_DESCRIPTION, "LO", "CANARY series")
        .set(tags::PATIENT_POSITION, "CS", "HFS")
        .set(tags::INSTANCE_NUMBER, "IS", format!("{}", k + 1))
        .set(tags::ACQUISITION_NUMBER, "IS", "1")
        .numbers(tags::IMAGE_POSITION_PATIENT, &[ORIGIN[0], ORIGIN[1], ORIGIN[2] + k as f64 * SPACING[2]])
        .numbers(tags::IMAGE_ORIENTATION_PATIENT, &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
        .numbers(tags::PIXEL_SPACING, &[SPACING[1], SPACING[0]])
        .us(tags::SAMPLES_PER_PIXEL, 1)
        .set(tags::PHOTOMETRIC_INTERPRETATION, "CS", "MONOCHROME2")
        .us(tags::ROWS, ROWS as u16)
        .us(tags::COLUMNS, COLUMNS as u16)
        .us(tags::BITS_ALLOCATED, 16)
        .us(tags::BITS_STORED, 16)
        .us(tags::HIGH_BIT, 15)
        .us(tags::PIXEL_REPRESENTATION, 1)
        .rescale("1", "0")
        .pixels(&plane(k))
}

/// The whole series, each slice changed.
pub(super) fn series(change: impl Fn(usize, Object) -> Object) -> Vec<Object> {
    (0..SLICES).map(|k| change(k, slice(k))).collect()
}

/// The series as an MR, changed.
pub(super) fn magnetic(change: impl Fn(usize, Object) -> Object) -> Vec<Object> {
    series(|k, object| {
        let object =
            object.set(tags::SOP_CLASS_UID, "UI", uids::MR_IMAGE_STORAGE).set(tags::MODALITY, "CS", "MR");
        change(k, object.without(tags::RESCALE_SLOPE).without(tags::RESCALE_INTERCEPT))
    })
}

/// The same objects under other instance UIDs, changed.
pub(super) fn again(objects: &[Object], change: impl Fn(usize, Object) -> Object) -> Vec<Object> {
    let other = |(k, object): (usize, &Object)| {
        change(k, object.clone().set(tags::SOP_INSTANCE_UID, "UI", format!("1.2.826.2.{k}")))
    };
    objects.iter().enumerate().map(other).collect()
}

/// Position of slice `k` of the plain series.
pub(super) fn place(k: f64) -> [f64; 3] {
    [ORIGIN[0], ORIGIN[1], ORIGIN[2] + k * SPACING[2]]
}

/// Where the marker lies, of a slice at `position` with these direction cosines.
pub(super) fn truth(position: [f64; 3], cosines: [f64; 6]) -> [f64; 3] {
    let (i, j) = (SPACING[0] * MARKER[0] as f64, SPACING[1] * MARKER[1] as f64);
    std::array::from_fn(|axis| position[axis] + cosines[axis] * i + cosines[axis + 3] * j)
}

pub(super) const AXIAL: [f64; 6] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];

/// Where the marker lies in the plain series.
pub(super) fn plain_truth() -> [f64; 3] {
    truth(place(MARKER[2] as f64), AXIAL)
}

/// The middle of the voxels above 900, in LPS mm.
pub(super) fn marker(series: &Series) -> [f64; 3] {
    let mut sum = [0.0; 3];
    let mut count = 0.0;
    for ((k, j, i), value) in series.volume.voxels.indexed_iter() {
        if *value > 900.0 {
            let world = series.volume.grid.world([i as f64, j as f64, k as f64]);
            (0..3).for_each(|axis| sum[axis] += world[axis]);
            count += 1.0;
        }
    }
    assert!(count > 0.0, "the marker is gone");
    sum.map(|sum| sum / count)
}
