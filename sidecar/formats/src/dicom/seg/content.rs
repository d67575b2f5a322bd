//! Everything of a segmentation object but its pixels.

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use imaging::{Grid, Segment};

use super::elements::{Elements, concept};
use super::frames::Frame;
use super::identity::{Identity, moment, uid};
use super::{By, Making, color, terms};
use crate::dicom::elements::dictionary_vr;
use crate::dicom::{Source, SourceSlice};

/// What every result says of itself.
const CAUTION: &str = "Research use only, not for diagnosis or treatment";
/// Patient and study attributes that are always there, empty where the source has none (PS3.3 C.7.1.1, C.7.2.1).
const EMPTY: [(Tag, &[u8; 2]); 9] = [
    (tags::STUDY_DATE, b"DA"),
    (tags::STUDY_TIME, b"TM"),
    (tags::ACCESSION_NUMBER, b"SH"),
    (tags::REFERRING_PHYSICIAN_NAME, b"PN"),
    (tags::PATIENT_NAME, b"PN"),
    (tags::PATIENT_ID, b"LO"),
    (tags::PATIENT_BIRTH_DATE, b"DA"),
    (tags::PATIENT_SEX, b"CS"),
    (tags::STUDY_ID, b"SH"),
];
/// Attributes of the source that speak of its own pixels or make, not of the patient or the study.
const NOT_REPEATED: [Tag; 11] = [
    tags::SERIES_DATE,
    tags::SERIES_TIME,
    tags::ACQUISITION_DATE,
    tags::ACQUISITION_TIME,
    tags::CONTENT_DATE,
    tags::CONTENT_TIME,
    tags::SLICE_THICKNESS,
    tags::LATERALITY,
    tags::LOSSY_IMAGE_COMPRESSION,
    tags::LOSSY_IMAGE_COMPRESSION_RATIO,
    tags::LOSSY_IMAGE_COMPRESSION_METHOD,
];

/// What a new object is made of.
pub(crate) struct Content<'a> {
    pub(crate) source: &'a Source,
    pub(crate) grid: &'a Grid,
    pub(crate) making: &'a Making,
    pub(crate) identity: Identity,
    /// Those that are written.
    pub(crate) segments: Vec<&'a Segment>,
    /// By segment, then by slice.
    pub(crate) frames: Vec<Frame>,
}

impl Content<'_> {
    /// The file meta group (PS3.10 7.1), with its preamble of zeros.
    pub(crate) fn head(&self) -> Vec<u8> {
        let version: String = self.making.software.chars().take(7).collect();
        let meta = Elements::new()
            .set(tags::FILE_META_INFORMATION_VERSION, b"OB", [0, 1])
            .set(tags::MEDIA_STORAGE_SOP_CLASS_UID, b"UI", uids::SEGMENTATION_STORAGE)
            .set(tags::MEDIA_STORAGE_SOP_INSTANCE_UID, b"UI", self.identity.uid("instance"))
            .set(tags::TRANSFER_SYNTAX_UID, b"UI", uids::EXPLICIT_VR_LITTLE_ENDIAN)
            .set(tags::IMPLEMENTATION_CLASS_UID, b"UI", uid(b"", "implementation"))
            .set(tags::IMPLEMENTATION_VERSION_NAME, b"SH", format!("VESALIUS_{version}"));
        let mut group = Vec::new();
        meta.append(&mut group);
        let mut bytes = vec![0; 128];
        bytes.extend(b"DICM");
        Elements::new()
            .set(tags::FILE_META_INFORMATION_GROUP_LENGTH, b"UL", (group.len() as u32).to_le_bytes())
            .append(&mut bytes);
        bytes.extend(group);
        bytes
    }

    /// The data set up to its pixels.
    pub(crate) fn body(&self) -> Vec<u8> {
        let repeated = self.repeated();
        let charset = Charset::of(&repeated, self.source, self.own_text());
        let elements = self.named(repeated, &charset);
        let elements = self.image(elements);
        let elements = elements
            .sequence(tags::SEGMENT_SEQUENCE, &self.segment_items(&charset))
            .sequence(tags::REFERENCED_SERIES_SEQUENCE, &[self.referenced_series()])
            .sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, &[self.shared()])
            .sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, &self.per_frame());
        let elements = match charset.name {
            Some(name) => elements.set(tags::SPECIFIC_CHARACTER_SET, b"CS", name),
            None => elements,
        };
        let mut bytes = Vec::new();
        elements.append(&mut bytes);
        bytes
    }

    /// The text that is not the source's.
    fn own_text(&self) -> impl Iterator<Item = &str> {
        let Making { description, algorithm, version, origin, parameters, software, .. } = self.making;
        let names = self.segments.iter().map(|segment| segment.name.as_str());
        names.chain([description, algorithm, version, origin, parameters, software].map(String::as_str))
    }

    /// Patient, study and frame of reference of the source, as they were stored.
    fn repeated(&self) -> Elements {
        let mut elements = Elements::new();
        for (tag, vr) in EMPTY {
            elements = elements.set(tag, vr, "");
        }
        for attribute in self.source.attributes.iter().filter(|attribute| attribute.value.len() < 0xFFFF) {
            if !NOT_REPEATED.contains(&attribute.tag) {
                // The VR of the standard: that of the file may be anything.
                elements =
                    elements.set(attribute.tag, &dictionary_vr(attribute.tag), attribute.value.clone());
            }
        }
        let sponsored = [tags::CLINICAL_TRIAL_SPONSOR_NAME, tags::CLINICAL_TRIAL_PROTOCOL_ID];
        if sponsored.iter().any(|tag| elements.contains(*tag)) {
            // One attribute of a trial asks for all of them (PS3.3 C.7.1.3).
            for tag in [sponsored[0], sponsored[1], tags::CLINICAL_TRIAL_SUBJECT_ID] {
                elements =
                    if elements.contains(tag) { elements } else { elements.set(tag, b"LO", "unknown") };
            }
            for tag in [
                tags::CLINICAL_TRIAL_PROTOCOL_NAME,
                tags::CLINICAL_TRIAL_SITE_ID,
                tags::CLINICAL_TRIAL_SITE_NAME,
            ] {
                elements = elements.set(tag, b"LO", "");
            }
        }
        let identity_removed = self.source.attribute(tags::PATIENT_IDENTITY_REMOVED);
        let removed = identity_removed.is_some_and(|attribute| attribute.value.starts_with(b"YES"));
        if removed && !elements.contains(tags::DEIDENTIFICATION_METHOD) {
            elements = elements.set(tags::DEIDENTIFICATION_METHOD, b"LO", "as in the source series");
        }
        elements
    }

    /// Series, equipment and what the object is.
    fn named(&self, elements: Elements, charset: &Charset) -> Elements {
        let (date, time) = moment(self.source);
        let Making { description, software, algorithm, .. } = self.making;
        let equipment = |elements: Elements| {
            elements
                .set(tags::MANUFACTURER, b"LO", "Vesalius")
                .set(tags::MANUFACTURER_MODEL_NAME, b"LO", "Vesalius")
                .set(tags::SOFTWARE_VERSIONS, b"LO", charset.text(software, 64))
        };
        let contribution = equipment(Elements::new())
            .concept(
                tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE,
                concept("109102", "DCM", "Processing Equipment"),
            )
            .set(
                tags::CONTRIBUTION_DESCRIPTION,
                b"ST",
                charset.text(&format!("Segmentation: {algorithm}"), 1024),
            );
        let frame_of_reference = match self.source.frame_of_reference_uid.as_str() {
            "" => uid(self.source.series_instance_uid.as_bytes(), "frame of reference"),
            known => known.to_owned(),
        };
        equipment(elements)
            .set(tags::SOP_CLASS_UID, b"UI", uids::SEGMENTATION_STORAGE)
            .set(tags::SOP_INSTANCE_UID, b"UI", self.identity.uid("instance"))
            .set(tags::CONTENT_DATE, b"DA", date)
            .set(tags::CONTENT_TIME, b"TM", time)
            .set(tags::MODALITY, b"CS", "SEG")
            .set(tags::SERIES_DESCRIPTION, b"LO", charset.text(description, 64))
            .set(tags::DEVICE_SERIAL_NUMBER, b"LO", "none")
            .sequence(tags::CONTRIBUTING_EQUIPMENT_SEQUENCE, &[contribution])
            .set(tags::STUDY_INSTANCE_UID, b"UI", self.source.study_instance_uid.as_str())
            .set(tags::SERIES_INSTANCE_UID, b"UI", self.identity.uid("series"))
            .set(tags::SERIES_NUMBER, b"IS", "100")
            .set(tags::INSTANCE_NUMBER, b"IS", "1")
            .set(tags::FRAME_OF_REFERENCE_UID, b"UI", frame_of_reference)
            .set(tags::POSITION_REFERENCE_INDICATOR, b"LO", self.value(tags::POSITION_REFERENCE_INDICATOR))
            .set(tags::CONTENT_LABEL, b"CS", "SEGMENTATION")
            .set(tags::CONTENT_DESCRIPTION, b"LO", CAUTION)
            .set(tags::CONTENT_CREATOR_NAME, b"PN", "")
    }

    /// How the pixels are stored, and in which dimensions the frames are ordered.
    fn image(&self, elements: Elements) -> Elements {
        let [columns, rows, _] = self.grid.size;
        let organization = self.identity.uid("dimensions");
        let dimension = |pointer, group, label: &str| {
            Elements::new()
                .set(tags::DIMENSION_ORGANIZATION_UID, b"UI", organization.as_str())
                .tag(tags::DIMENSION_INDEX_POINTER, pointer)
                .tag(tags::FUNCTIONAL_GROUP_POINTER, group)
                .set(tags::DIMENSION_DESCRIPTION_LABEL, b"LO", label)
        };
        let dimensions = [
            dimension(
                tags::REFERENCED_SEGMENT_NUMBER,
                tags::SEGMENT_IDENTIFICATION_SEQUENCE,
                "Segment Number",
            ),
            dimension(tags::IMAGE_POSITION_PATIENT, tags::PLANE_POSITION_SEQUENCE, "Position of the slice"),
        ];
        let organizations =
            [Elements::new().set(tags::DIMENSION_ORGANIZATION_UID, b"UI", organization.as_str())];
        let elements = elements
            .set(tags::IMAGE_TYPE, b"CS", "DERIVED\\PRIMARY")
            .sequence(tags::DIMENSION_ORGANIZATION_SEQUENCE, &organizations)
            .sequence(tags::DIMENSION_INDEX_SEQUENCE, &dimensions)
            .short(tags::SAMPLES_PER_PIXEL, &[1])
            .set(tags::PHOTOMETRIC_INTERPRETATION, b"CS", "MONOCHROME2")
            .set(tags::NUMBER_OF_FRAMES, b"IS", self.frames.len().to_string())
            .short(tags::ROWS, &[rows as u16])
            .short(tags::COLUMNS, &[columns as u16])
            .short(tags::BITS_ALLOCATED, &[1])
            .short(tags::BITS_STORED, &[1])
            .short(tags::HIGH_BIT, &[0])
            .short(tags::PIXEL_REPRESENTATION, &[0])
            .set(tags::SEGMENTATION_TYPE, b"CS", "BINARY")
            .set(tags::SEGMENTS_OVERLAP, b"CS", "NO");
        // What was lost once stays lost (PS3.3 C.7.6.1.1.5).
        if !self.value(tags::LOSSY_IMAGE_COMPRESSION).starts_with(b"01") {
            return elements.set(tags::LOSSY_IMAGE_COMPRESSION, b"CS", "00");
        }
        let ratio = self.value(tags::LOSSY_IMAGE_COMPRESSION_RATIO);
        elements
            .set(tags::LOSSY_IMAGE_COMPRESSION, b"CS", "01")
            .set(
                tags::LOSSY_IMAGE_COMPRESSION_RATIO,
                b"DS",
                if ratio.is_empty() { b"1".to_vec() } else { ratio },
            )
            .set(
                tags::LOSSY_IMAGE_COMPRESSION_METHOD,
                b"CS",
                self.value(tags::LOSSY_IMAGE_COMPRESSION_METHOD),
            )
    }

    /// A value of the source as it was stored; empty where it has none.
    fn value(&self, tag: Tag) -> Vec<u8> {
        self.source.attribute(tag).map(|attribute| attribute.value.clone()).unwrap_or_default()
    }

    /// One item for each segment, numbered from 1.
    fn segment_items(&self, charset: &Charset) -> Vec<Elements> {
        let Making { by, algorithm, version, origin, parameters, .. } = self.making;
        let identification = Elements::new()
            .concept(
                tags::ALGORITHM_FAMILY_CODE_SEQUENCE,
                concept("123110", "DCM", "Artificial Intelligence"),
            )
            .set(tags::ALGORITHM_NAME, b"LO", charset.text(algorithm, 64))
            .set(tags::ALGORITHM_VERSION, b"LO", charset.text(version, 64))
            .set(tags::ALGORITHM_PARAMETERS, b"LT", charset.text(parameters, 10_240))
            .set(tags::ALGORITHM_SOURCE, b"LO", charset.text(origin, 64));
        let item = |(number, segment): (u16, &&Segment)| {
            let item = Elements::new()
                .short(tags::SEGMENT_NUMBER, &[number])
                .set(tags::SEGMENT_LABEL, b"LO", charset.text(&segment.name, 64))
                .set(tags::SEGMENT_ALGORITHM_TYPE, b"CS", by.term())
                .short(tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE, &color::to_lab(segment.color));
            let item = match terms::in_words(segment) {
                Some(words) => item.set(tags::SEGMENT_DESCRIPTION, b"ST", charset.text(&words, 1024)),
                None => item,
            };
            let item = terms::append(item, segment);
            if *by == By::Person {
                return item;
            }
            item.set(tags::SEGMENT_ALGORITHM_NAME, b"LO", charset.text(algorithm, 64)).sequence(
                tags::SEGMENTATION_ALGORITHM_IDENTIFICATION_SEQUENCE,
                std::slice::from_ref(&identification),
            )
        };
        (1..).zip(&self.segments).map(item).collect()
    }

    /// The source, with each of its objects once.
    fn referenced_series(&self) -> Elements {
        let mut instances: Vec<Elements> = Vec::new();
        let mut last = "";
        for slice in &self.source.slices {
            // The frames of one object follow each other.
            if slice.sop_instance_uid != last {
                instances.push(reference(slice));
                last = &slice.sop_instance_uid;
            }
        }
        Elements::new()
            .set(tags::SERIES_INSTANCE_UID, b"UI", self.source.series_instance_uid.as_str())
            .sequence(tags::REFERENCED_INSTANCE_SEQUENCE, &instances)
    }

    /// What holds for every frame: direction and size of the pixels.
    fn shared(&self) -> Elements {
        let [row, column, _] = self.grid.direction();
        let [between_columns, between_rows, _] = self.grid.spacing();
        let normal = [
            row[1] * column[2] - row[2] * column[1],
            row[2] * column[0] - row[0] * column[2],
            row[0] * column[1] - row[1] * column[0],
        ];
        let across = (0..3).map(|axis| self.grid.axes[2][axis] * normal[axis]).sum::<f64>().abs();
        let stated = self.value(tags::SLICE_THICKNESS);
        let stated = std::str::from_utf8(&stated).ok().and_then(|text| text.trim().parse::<f64>().ok());
        let thickness = stated.filter(|mm| mm.is_finite() && *mm > 0.0).unwrap_or(across);
        let mut measures = Elements::new()
            .decimals(tags::PIXEL_SPACING, &[between_rows, between_columns])
            .decimals(tags::SLICE_THICKNESS, &[thickness]);
        // With a slice missing, the others still lie on whole steps.
        if self.source.slices.iter().all(|slice| slice.k.fract() == 0.0) {
            measures = measures.decimals(tags::SPACING_BETWEEN_SLICES, &[across]);
        }
        let cosines = [row, column].concat();
        let orientation = Elements::new().decimals(tags::IMAGE_ORIENTATION_PATIENT, &cosines);
        Elements::new()
            .sequence(tags::PIXEL_MEASURES_SEQUENCE, &[measures])
            .sequence(tags::PLANE_ORIENTATION_SEQUENCE, &[orientation])
    }

    /// Where each frame lies, of which segment it is, and from which slice it came.
    fn per_frame(&self) -> Vec<Elements> {
        // The places that have frames, counted from 1 without holes (PS3.3 C.7.6.17.1).
        let mut places = vec![0u32; self.source.slices.len()];
        self.frames.iter().for_each(|frame| places[frame.slice] = 1);
        let mut count = 0;
        for place in places.iter_mut().filter(|place| **place > 0) {
            count += 1;
            *place = count;
        }
        let item = |frame: &Frame| {
            let slice = &self.source.slices[frame.slice];
            let number = frame.segment as u32 + 1;
            let content = Elements::new().long(tags::DIMENSION_INDEX_VALUES, &[number, places[frame.slice]]);
            let position = Elements::new().decimals(tags::IMAGE_POSITION_PATIENT, &slice.position);
            let identification = Elements::new().short(tags::REFERENCED_SEGMENT_NUMBER, &[number as u16]);
            Elements::new()
                .sequence(tags::DERIVATION_IMAGE_SEQUENCE, &[derivation(slice)])
                .sequence(tags::FRAME_CONTENT_SEQUENCE, &[content])
                .sequence(tags::PLANE_POSITION_SEQUENCE, &[position])
                .sequence(tags::SEGMENT_IDENTIFICATION_SEQUENCE, &[identification])
        };
        self.frames.iter().map(item).collect()
    }
}

/// That a frame was segmented on this slice, pixel for pixel.
fn derivation(slice: &SourceSlice) -> Elements {
    let source = reference(slice)
        .concept(
            tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE,
            concept("121322", "DCM", "Source image for image processing operation"),
        )
        .set(tags::SPATIAL_LOCATIONS_PRESERVED, b"CS", "YES");
    let source = match slice.frame {
        Some(frame) => source.set(tags::REFERENCED_FRAME_NUMBER, b"IS", frame.to_string()),
        None => source,
    };
    Elements::new()
        .concept(tags::DERIVATION_CODE_SEQUENCE, concept("113076", "DCM", "Segmentation"))
        .sequence(tags::SOURCE_IMAGE_SEQUENCE, &[source])
}

/// The object that a slice is in.
fn reference(slice: &SourceSlice) -> Elements {
    Elements::new().set(tags::REFERENCED_SOP_CLASS_UID, b"UI", slice.sop_class_uid.as_str()).set(
        tags::REFERENCED_SOP_INSTANCE_UID,
        b"UI",
        slice.sop_instance_uid.as_str(),
    )
}

/// How text of ours goes into a data set whose other text is repeated as it was stored.
struct Charset {
    /// Value of (0008,0005), where it is not that of the source.
    name: Option<&'static str>,
    unicode: bool,
}

impl Charset {
    /// That of the source; Unicode where `own` text needs it and the source has nothing that would look different in
    /// it; else plain ASCII.
    fn of<'a>(repeated: &Elements, source: &Source, mut own: impl Iterator<Item = &'a str>) -> Charset {
        let stored = source.attribute(tags::SPECIFIC_CHARACTER_SET);
        let stored = stored.map(|attribute| String::from_utf8_lossy(&attribute.value).trim().to_owned());
        let unicode = stored.as_deref() == Some("ISO_IR 192");
        if !unicode && repeated.is_ascii() && own.any(|text| !text.is_ascii()) {
            return Charset { name: Some("ISO_IR 192"), unicode: true };
        }
        Charset { name: None, unicode }
    }

    /// `text` as a value of at most `most` characters.
    fn text(&self, text: &str, most: usize) -> String {
        let fit = |c: char| match c {
            '\\' => '/',
            c if c.is_control() => ' ',
            c if c.is_ascii() || self.unicode => c,
            _ => '?',
        };
        text.chars().map(fit).take(most).collect()
    }
}
