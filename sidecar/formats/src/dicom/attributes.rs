//! Which attributes of a file are kept: those that say where its pixels lie and what they mean, those that tell the
//! images of a mixed series apart, and those a derived object must repeat.

use dicom_core::Tag;
use dicom_dictionary_std::tags::*;

/// What the walk keeps of an element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Keep {
    /// Nothing: it is stepped over.
    Nothing,
    /// Its value.
    Value,
    /// Its items, and in them whatever is to be kept.
    Items,
}

/// Owner and block of Siemens' private MR header, and its b-value.
pub(crate) const SIEMENS_MR: (Tag, &str, Tag) =
    (Tag(0x0019, 0x0010), "SIEMENS MR HEADER", Tag(0x0019, 0x100C));
/// Owner and block of GE's private parameters, and its b-value (first of several).
pub(crate) const GE_PARAMETERS: (Tag, &str, Tag) = (Tag(0x0043, 0x0010), "GEMS_PARM_01", Tag(0x0043, 0x1039));
/// Owner and block of Philips' private imaging group, and its b-value.
pub(crate) const PHILIPS_IMAGING: (Tag, &str, Tag) =
    (Tag(0x2001, 0x0010), "Philips Imaging DD 001", Tag(0x2001, 0x1003));

/// Patient, study, equipment and frame of reference modules, as far as a derived object repeats them
/// (PS3.3 A.51: Segmentation; A.19: RT Structure Set), and what it must know of the images: when they were made, how
/// thick their slices are, and whether they went through lossy compression.
pub(crate) const REPEATED: &[Tag] = &[
    SPECIFIC_CHARACTER_SET,
    STUDY_DATE,
    STUDY_TIME,
    ACCESSION_NUMBER,
    REFERRING_PHYSICIAN_NAME,
    STUDY_DESCRIPTION,
    PATIENT_NAME,
    PATIENT_ID,
    ISSUER_OF_PATIENT_ID,
    PATIENT_BIRTH_DATE,
    PATIENT_SEX,
    PATIENT_AGE,
    PATIENT_SIZE,
    PATIENT_WEIGHT,
    PATIENT_IDENTITY_REMOVED,
    DEIDENTIFICATION_METHOD,
    STUDY_INSTANCE_UID,
    STUDY_ID,
    FRAME_OF_REFERENCE_UID,
    POSITION_REFERENCE_INDICATOR,
    BODY_PART_EXAMINED,
    LATERALITY,
    TIMEZONE_OFFSET_FROM_UTC,
    SERIES_DATE,
    SERIES_TIME,
    ACQUISITION_DATE,
    ACQUISITION_TIME,
    CONTENT_DATE,
    CONTENT_TIME,
    SLICE_THICKNESS,
    LOSSY_IMAGE_COMPRESSION,
    LOSSY_IMAGE_COMPRESSION_RATIO,
    LOSSY_IMAGE_COMPRESSION_METHOD,
    CLINICAL_TRIAL_SPONSOR_NAME,
    CLINICAL_TRIAL_PROTOCOL_ID,
    CLINICAL_TRIAL_SUBJECT_ID,
];

/// Whether and how an element is kept.
pub(crate) fn keep(tag: Tag) -> Keep {
    if REPEATED.contains(&tag) || private_vr(tag).is_some() {
        return Keep::Value;
    }
    match tag {
        SHARED_FUNCTIONAL_GROUPS_SEQUENCE
        | PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE
        | FRAME_CONTENT_SEQUENCE
        | PLANE_POSITION_SEQUENCE
        | PLANE_ORIENTATION_SEQUENCE
        | PIXEL_MEASURES_SEQUENCE
        | PIXEL_VALUE_TRANSFORMATION_SEQUENCE
        | MR_DIFFUSION_SEQUENCE
        | DIFFUSION_GRADIENT_DIRECTION_SEQUENCE
        | MR_ECHO_SEQUENCE
        | MR_IMAGE_FRAME_TYPE_SEQUENCE
        | CT_IMAGE_FRAME_TYPE_SEQUENCE
        | MODALITY_LUT_SEQUENCE => Keep::Items,
        IMAGE_TYPE
        | SOP_CLASS_UID
        | SOP_INSTANCE_UID
        | MODALITY
        | SERIES_DESCRIPTION
        | SERIES_INSTANCE_UID
        | SERIES_NUMBER
        | INSTANCE_NUMBER
        | ACQUISITION_NUMBER
        | IMAGE_POSITION_PATIENT
        | IMAGE_ORIENTATION_PATIENT
        | PATIENT_POSITION
        | PIXEL_SPACING
        | SPACING_BETWEEN_SLICES
        | SLICE_THICKNESS
        | TEMPORAL_POSITION_IDENTIFIER
        | TEMPORAL_POSITION_INDEX
        | STACK_ID
        | ECHO_TIME
        | EFFECTIVE_ECHO_TIME
        | INVERSION_TIME
        | FLIP_ANGLE
        | TRIGGER_TIME
        | DIFFUSION_B_VALUE
        | DIFFUSION_GRADIENT_ORIENTATION
        | FRAME_TYPE
        | SAMPLES_PER_PIXEL
        | PHOTOMETRIC_INTERPRETATION
        | NUMBER_OF_FRAMES
        | ROWS
        | COLUMNS
        | BITS_ALLOCATED
        | BITS_STORED
        | HIGH_BIT
        | PIXEL_REPRESENTATION
        | PIXEL_PADDING_VALUE
        | PIXEL_PADDING_RANGE_LIMIT
        | RESCALE_INTERCEPT
        | RESCALE_SLOPE
        | LOSSY_IMAGE_COMPRESSION => Keep::Value,
        _ => Keep::Nothing,
    }
}

/// The VR of a private element that is kept, for files where it is not said or said to be unknown.
pub(crate) fn private_vr(tag: Tag) -> Option<[u8; 2]> {
    let [siemens, ge, philips] = [SIEMENS_MR, GE_PARAMETERS, PHILIPS_IMAGING];
    if tag == siemens.2 || tag == ge.2 {
        return Some(*b"IS");
    }
    if tag == philips.2 {
        return Some(*b"FL");
    }
    [siemens.0, ge.0, philips.0].contains(&tag).then_some(*b"LO")
}
