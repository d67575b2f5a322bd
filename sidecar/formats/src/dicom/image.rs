//! From the attributes of one file to the slices in it: where each lies, how its numbers are stored and what they
//! mean. A classic file is one slice, an enhanced one (PS3.3 A.36, A.38) as many as it has frames.

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};

use super::attributes;
use super::dataset::Dataset;
use super::error::{Error, Property};
use super::preflight::{Pixels, Scan};

/// Rows, columns accepted.
const LARGEST_SIDE: u64 = 4096;
/// Frames of one file accepted.
const MOST_FRAMES: u64 = 65_536;

/// How pixels are stored, the same for all frames of a file (PS3.3 C.7.6.3).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Storage {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) kind: Kind,
    /// Bits in use, and the lowest of them.
    pub(crate) bits_stored: u32,
    pub(crate) lowest_bit: u32,
    pub(crate) signed: bool,
    pub(crate) big_endian: bool,
    /// MONOCHROME1: small is bright.
    pub(crate) inverted: bool,
    /// Stored values from the first to the second are padding, not image.
    pub(crate) padding: Option<[i64; 2]>,
}

/// The number type of a stored pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer8,
    Integer16,
    Integer32,
    Float32,
    Float64,
}

impl Kind {
    pub(crate) fn bytes(self) -> usize {
        match self {
            Kind::Integer8 => 1,
            Kind::Integer16 => 2,
            Kind::Integer32 | Kind::Float32 => 4,
            Kind::Float64 => 8,
        }
    }
}

/// What a slice is and where it lies.
#[derive(Debug, Clone)]
pub(crate) struct Slice {
    /// Frame within its file, from 0.
    pub(crate) frame: usize,
    /// LPS millimetres of the centre of the first pixel.
    pub(crate) position: [f64; 3],
    /// Direction of rising column index, then of rising row index, as stored.
    pub(crate) orientation: [f64; 6],
    /// Millimetres between columns (along i), between rows (along j).
    pub(crate) spacing: [f64; 2],
    /// Slope and intercept; `None` when absent.
    pub(crate) rescale: Option<[f64; 2]>,
    /// The values of the properties that may tell images of a series apart.
    pub(crate) properties: Vec<(Property, String)>,
    /// Said to be a scout.
    pub(crate) localizer: bool,
}

/// One file of a series: what all its slices share.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) storage: Storage,
    pub(crate) slices: Vec<Slice>,
    pub(crate) spacing_between: Option<f64>,
    pub(crate) lossy: bool,
}

/// Whether a SOP class can be a slice or a stack of slices of a volume.
fn is_volume_class(class: &str) -> bool {
    matches!(
        class,
        uids::CT_IMAGE_STORAGE
            | uids::ENHANCED_CT_IMAGE_STORAGE
            | uids::LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE
            | uids::MR_IMAGE_STORAGE
            | uids::ENHANCED_MR_IMAGE_STORAGE
            | uids::LEGACY_CONVERTED_ENHANCED_MR_IMAGE_STORAGE
            | uids::POSITRON_EMISSION_TOMOGRAPHY_IMAGE_STORAGE
            | uids::ENHANCED_PET_IMAGE_STORAGE
            | uids::LEGACY_CONVERTED_ENHANCED_PET_IMAGE_STORAGE
    )
}

/// The slices of a file.
pub(crate) fn image(scan: &Scan) -> Result<Image, Error> {
    let dataset = &scan.dataset;
    let class = scan.identity[0].as_deref().ok_or(Error::Parse { reason: "the object has no class" })?;
    // A secondary capture with a place in the patient is a slice that some program has exported.
    let placed =
        class == uids::SECONDARY_CAPTURE_IMAGE_STORAGE && dataset.contains(tags::IMAGE_POSITION_PATIENT);
    if !is_volume_class(class) && !placed {
        return Err(Error::UnsupportedType { what: "an object that is not CT, MR or PET" });
    }
    if image_type(dataset, tags::IMAGE_TYPE).iter().any(|part| part == "MOSAIC") {
        return Err(Error::UnsupportedType { what: "a mosaic" });
    }
    let frames = frames(dataset)?;
    let storage = storage(scan, frames)?;
    let per_frame = dataset.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    let slices = if per_frame.is_empty() {
        if frames != 1 {
            return Err(Error::UnsupportedType {
                what: "a multi-frame image without a place for each frame",
            });
        }
        vec![slice(&[dataset], 0)?]
    } else {
        if per_frame.len() != frames {
            return Err(Error::Corrupt { reason: "there are not as many functional groups as frames" });
        }
        let shared = dataset.item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
        let levels = |own| [Some(own), shared, Some(dataset)].into_iter().flatten().collect::<Vec<_>>();
        per_frame
            .iter()
            .enumerate()
            .map(|(frame, own)| slice(&levels(own), frame))
            .collect::<Result<_, _>>()?
    };
    let lossy_syntax = matches!(
        scan.transfer_syntax.as_str(),
        uids::JPEG_BASELINE8_BIT | uids::JPEG_EXTENDED12_BIT | uids::JPEGLS_NEAR_LOSSLESS
    );
    Ok(Image {
        storage,
        slices,
        spacing_between: dataset.vector::<1>(tags::SPACING_BETWEEN_SLICES)?.map(|[mm]| mm.abs()),
        lossy: lossy_syntax || dataset.text(tags::LOSSY_IMAGE_COMPRESSION) == Some("01"),
    })
}

/// Number of frames, within limits.
pub(crate) fn frames(dataset: &Dataset) -> Result<usize, Error> {
    let frames = dataset.integer(tags::NUMBER_OF_FRAMES)?.unwrap_or(1);
    let found =
        u64::try_from(frames).map_err(|_| Error::Parse { reason: "the number of frames is negative" })?;
    match found {
        0 => Err(Error::Parse { reason: "the number of frames is 0" }),
        _ if found > MOST_FRAMES => Err(Error::Limit { what: "frames", found, limit: MOST_FRAMES }),
        _ => Ok(found as usize),
    }
}

/// Rows or columns, within limits.
pub(crate) fn side(dataset: &Dataset, tag: Tag) -> Result<usize, Error> {
    let found = dataset.integer(tag)?.ok_or(Error::Parse { reason: "the image has no size" })?;
    match u64::try_from(found) {
        Ok(0) | Err(_) => Err(Error::Parse { reason: "the image has no rows or no columns" }),
        Ok(found) if found > LARGEST_SIDE => {
            Err(Error::Limit { what: "rows or columns", found, limit: LARGEST_SIDE })
        }
        Ok(found) => Ok(found as usize),
    }
}

/// How the pixels are stored, checked against the bytes that are there.
fn storage(scan: &Scan, frames: usize) -> Result<Storage, Error> {
    let dataset = &scan.dataset;
    let (rows, columns) = (side(dataset, tags::ROWS)?, side(dataset, tags::COLUMNS)?);
    let inverted = match dataset.text(tags::PHOTOMETRIC_INTERPRETATION) {
        Some("MONOCHROME2") | None => false,
        Some("MONOCHROME1") => true,
        _ => return Err(Error::UnsupportedType { what: "a colour image" }),
    };
    match dataset.integer(tags::SAMPLES_PER_PIXEL)?.unwrap_or(1) {
        1 => (),
        0 => return Err(Error::Parse { reason: "a pixel has no samples" }),
        _ => return Err(Error::UnsupportedType { what: "a colour image" }),
    }
    let pixels = scan.pixels.as_ref().ok_or(Error::UnsupportedType { what: "an object without pixels" })?;
    let kind = kind(dataset, pixels)?;
    let allocated = kind.bytes() as i64 * 8;
    let stored = dataset.integer(tags::BITS_STORED)?.unwrap_or(allocated);
    let high = dataset.integer(tags::HIGH_BIT)?.unwrap_or(stored - 1);
    if stored < 1 || stored > allocated || high >= allocated || high < stored - 1 {
        return Err(Error::Corrupt { reason: "the bits of a pixel do not fit its size" });
    }
    if let Pixels::Native { length, .. } = pixels {
        let expected = (rows * columns * frames * kind.bytes()) as u64;
        if *length < expected {
            return Err(Error::Truncated { expected, found: *length });
        }
        if *length > expected + 1 {
            return Err(Error::Corrupt { reason: "there are more pixels than rows, columns and frames say" });
        }
    }
    Ok(Storage {
        rows,
        columns,
        kind,
        bits_stored: stored as u32,
        lowest_bit: (high + 1 - stored) as u32,
        signed: dataset.integer(tags::PIXEL_REPRESENTATION)?.unwrap_or(0) == 1,
        big_endian: scan.big_endian,
        inverted,
        padding: padding(dataset)?,
    })
}

/// The number type of the pixels.
fn kind(dataset: &Dataset, pixels: &Pixels) -> Result<Kind, Error> {
    match pixels {
        Pixels::Native { element, .. } if *element == tags::FLOAT_PIXEL_DATA => return Ok(Kind::Float32),
        Pixels::Native { element, .. } if *element == tags::DOUBLE_FLOAT_PIXEL_DATA => {
            return Ok(Kind::Float64);
        }
        _ => (),
    }
    match dataset.integer(tags::BITS_ALLOCATED)? {
        Some(8) => Ok(Kind::Integer8),
        Some(16) => Ok(Kind::Integer16),
        Some(32) => Ok(Kind::Integer32),
        _ => Err(Error::UnsupportedType { what: "an image whose pixels are not 8, 16 or 32 bits" }),
    }
}

/// The range of stored values that is padding. Its VR is often wrong, so 16 bits are kept as they are and read with
/// the sign of the pixels when these are compared.
fn padding(dataset: &Dataset) -> Result<Option<[i64; 2]>, Error> {
    let Some(value) = dataset.integer(tags::PIXEL_PADDING_VALUE)? else { return Ok(None) };
    let limit = dataset.integer(tags::PIXEL_PADDING_RANGE_LIMIT)?.unwrap_or(value);
    let signed = dataset.integer(tags::PIXEL_REPRESENTATION)?.unwrap_or(0) == 1;
    let narrow = |value: i64| match (value, signed) {
        (0x8000..=0xFFFF, true) => value - 0x1_0000,
        (-0x8000..=-1, false) => value + 0x1_0000,
        _ => value,
    };
    let (a, b) = (narrow(value), narrow(limit));
    Ok(Some([a.min(b), a.max(b)]))
}

/// The parts of an image type: upper case codes, never free text.
fn image_type(dataset: &Dataset, tag: Tag) -> Vec<String> {
    let code =
        |part: &str| part.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b" _".contains(&b));
    let text = dataset.text(tag).unwrap_or_default();
    let parts = text.split('\\').map(str::trim);
    parts.filter(|part| part.len() <= 16 && code(part)).map(str::to_owned).collect()
}

/// The first level that has a value, looked for in a functional group sequence or directly.
pub(crate) fn look<'a>(levels: &[&'a Dataset], group: Tag, tag: Tag) -> Option<&'a Dataset> {
    let within = levels.iter().filter_map(|level| level.item(group)).find(|item| item.bytes(tag).is_some());
    within.or_else(|| levels.iter().copied().find(|level| level.bytes(tag).is_some()))
}

/// One slice: of a classic file when `levels` is its data set, or a frame with its own, shared and common attributes.
fn slice(levels: &[&Dataset], frame: usize) -> Result<Slice, Error> {
    let vector3 = look(levels, tags::PLANE_POSITION_SEQUENCE, tags::IMAGE_POSITION_PATIENT)
        .map(|found| found.vector::<3>(tags::IMAGE_POSITION_PATIENT))
        .transpose()?
        .flatten();
    let vector6 = look(levels, tags::PLANE_ORIENTATION_SEQUENCE, tags::IMAGE_ORIENTATION_PATIENT)
        .map(|found| found.vector::<6>(tags::IMAGE_ORIENTATION_PATIENT))
        .transpose()?
        .flatten();
    let between = look(levels, tags::PIXEL_MEASURES_SEQUENCE, tags::PIXEL_SPACING)
        .map(|found| found.vector::<2>(tags::PIXEL_SPACING))
        .transpose()?
        .flatten();
    let missing = |attribute| Error::GeometryMissing { attribute };
    let [between_rows, between_columns] = between.ok_or(missing("PixelSpacing"))?;
    if let Some(&found) = [between_rows, between_columns].iter().find(|mm| **mm <= 0.0) {
        return Err(Error::GeometryInvalid {
            what: "the pixel spacing in millimetres",
            found,
            expected: "more than 0",
        });
    }
    let types = look(levels, tags::MR_IMAGE_FRAME_TYPE_SEQUENCE, tags::FRAME_TYPE)
        .or_else(|| look(levels, tags::CT_IMAGE_FRAME_TYPE_SEQUENCE, tags::FRAME_TYPE))
        .map(|found| image_type(found, tags::FRAME_TYPE))
        .or_else(|| levels.last().map(|dataset| image_type(dataset, tags::IMAGE_TYPE)))
        .unwrap_or_default();
    Ok(Slice {
        frame,
        position: vector3.ok_or(missing("ImagePositionPatient"))?,
        orientation: vector6.ok_or(missing("ImageOrientationPatient"))?,
        spacing: [between_columns, between_rows],
        rescale: rescale(levels)?,
        localizer: types.iter().any(|part| part == "LOCALIZER"),
        properties: properties(levels, &types)?,
    })
}

/// Slope and intercept. Only one of them, several values or a slope of 0 cannot mean anything.
fn rescale(levels: &[&Dataset]) -> Result<Option<[f64; 2]>, Error> {
    let strict = |error: Error| match error {
        Error::Parse { .. } => Error::Intensity { reason: "a rescale value is not one decimal number" },
        other => other,
    };
    if levels.iter().any(|level| !level.items(tags::MODALITY_LUT_SEQUENCE).is_empty()) {
        return Err(Error::Intensity { reason: "the values go through a modality look-up table" });
    }
    let one = |tag| -> Result<Option<f64>, Error> {
        let Some(found) = look(levels, tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, tag) else {
            return Ok(None);
        };
        Ok(found.vector::<1>(tag).map_err(strict)?.map(|[value]| value))
    };
    match (one(tags::RESCALE_SLOPE)?, one(tags::RESCALE_INTERCEPT)?) {
        (None, None) => Ok(None),
        (Some(0.0), Some(_)) => Err(Error::Intensity { reason: "the rescale slope is 0" }),
        (Some(slope), Some(intercept)) => Ok(Some([slope, intercept])),
        _ => Err(Error::Intensity { reason: "there is a rescale slope or intercept without the other" }),
    }
}

/// What may tell this slice from another at the same place.
fn properties(levels: &[&Dataset], types: &[String]) -> Result<Vec<(Property, String)>, Error> {
    let number = |group: Tag, tag: Tag| -> Option<String> {
        let values = look(levels, group, tag)?.decimals(tag).ok().flatten()?;
        Some(values.iter().map(|value| format!("{value}")).collect::<Vec<_>>().join("\\"))
    };
    let whole = |tag: Tag| look(levels, tags::FRAME_CONTENT_SEQUENCE, tag)?.integer(tag).ok().flatten();
    let stack = look(levels, tags::FRAME_CONTENT_SEQUENCE, tags::STACK_ID)
        .and_then(|found| found.text(tags::STACK_ID))
        .filter(|text| text.len() <= 16 && text.bytes().all(|b| b.is_ascii_alphanumeric()));
    let time = whole(tags::TEMPORAL_POSITION_IDENTIFIER).or_else(|| whole(tags::TEMPORAL_POSITION_INDEX));
    let none = tags::PIXEL_MEASURES_SEQUENCE;
    let gradient = levels
        .iter()
        .filter_map(|level| level.item(tags::MR_DIFFUSION_SEQUENCE))
        .filter_map(|item| item.item(tags::DIFFUSION_GRADIENT_DIRECTION_SEQUENCE))
        .find_map(|item| item.vector::<3>(tags::DIFFUSION_GRADIENT_ORIENTATION).ok().flatten())
        .map(|[x, y, z]| format!("{x}\\{y}\\{z}"));
    let found = [
        (Property::DiffusionBValue, b_value(levels).map(|b| format!("{b}"))),
        (
            Property::EchoTime,
            number(tags::MR_ECHO_SEQUENCE, tags::EFFECTIVE_ECHO_TIME)
                .or_else(|| number(none, tags::ECHO_TIME)),
        ),
        (Property::TemporalPosition, time.map(|n| n.to_string())),
        (Property::ImageType, Some(types.join("\\"))),
        (Property::StackId, stack.map(str::to_owned)),
        (Property::AcquisitionNumber, whole(tags::ACQUISITION_NUMBER).map(|n| n.to_string())),
        (Property::InversionTime, number(none, tags::INVERSION_TIME)),
        (Property::FlipAngle, number(none, tags::FLIP_ANGLE)),
        (Property::TriggerTime, number(none, tags::TRIGGER_TIME)),
        (
            Property::DiffusionGradient,
            gradient.or_else(|| number(none, tags::DIFFUSION_GRADIENT_ORIENTATION)),
        ),
    ];
    Ok(found.into_iter().filter_map(|(property, value)| Some((property, value?))).collect())
}

/// The b-value in s/mm²: where the standard puts it, or where Siemens, GE and Philips put it before.
fn b_value(levels: &[&Dataset]) -> Option<f64> {
    let standard = look(levels, tags::MR_DIFFUSION_SEQUENCE, tags::DIFFUSION_B_VALUE)
        .and_then(|found| found.decimals(tags::DIFFUSION_B_VALUE).ok().flatten());
    let private = |(owner, name, tag): (Tag, &str, Tag)| {
        let owned = levels.iter().copied().find(|level| level.text(owner) == Some(name))?;
        // GE writes whole numbers with 10^9 added for some sequences; decimals or integers elsewhere.
        owned.decimals(tag).ok().flatten()
    };
    let values = standard
        .or_else(|| private(attributes::SIEMENS_MR))
        .or_else(|| private(attributes::PHILIPS_IMAGING))
        .or_else(|| {
            private(attributes::GE_PARAMETERS).map(|values| values.iter().map(|b| b % 1e5).collect())
        });
    values.and_then(|values| values.first().copied()).filter(|b| (0.0..1e5).contains(b))
}
