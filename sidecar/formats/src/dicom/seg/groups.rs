//! What the functional groups of a segmentation object say of its frames: where each lies, and of which segment it is.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::place::Placed;
use super::read::Meaning;
use super::table::Table;
use crate::dicom::dataset::Dataset;
use crate::dicom::error::Error;
use crate::dicom::image::look;

/// Where each frame lies, which label it has, and the distance between slices where it is said.
pub(super) type Groups = (Vec<Placed>, Vec<u8>, Option<f64>);

/// Reads the functional groups.
pub(super) fn groups(
    dataset: &Dataset,
    frames: usize,
    meaning: Meaning,
    table: &Table,
) -> Result<Groups, Error> {
    let shared = dataset.item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let own = dataset.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    if own.len() != frames {
        return Err(Error::Corrupt { reason: "there are not as many functional groups as frames" });
    }
    let (mut placed, mut values) = (Vec::with_capacity(frames), Vec::with_capacity(frames));
    let mut stated = None;
    for own in own {
        let levels: Vec<&Dataset> = [Some(own), shared].into_iter().flatten().collect();
        placed.push(place_of(&levels)?);
        stated = stated
            .or(number(&levels, tags::SPACING_BETWEEN_SLICES)?)
            .or(number(&levels, tags::SLICE_THICKNESS)?);
        let group = tags::SEGMENT_IDENTIFICATION_SEQUENCE;
        values.push(if meaning == Meaning::Label {
            0
        } else {
            let found = look(&levels, group, tags::REFERENCED_SEGMENT_NUMBER);
            let number = found.map(|item| item.integer(tags::REFERENCED_SEGMENT_NUMBER)).transpose()?;
            let missing = Error::Corrupt { reason: "a frame does not say which segment it is of" };
            table.value(number.flatten().ok_or(missing)?)?
        });
    }
    Ok((placed, values, stated))
}

/// A number among the pixel measures.
fn number(levels: &[&Dataset], tag: Tag) -> Result<Option<f64>, Error> {
    let found = look(levels, tags::PIXEL_MEASURES_SEQUENCE, tag);
    let values = found.map(|item| item.vector::<1>(tag)).transpose()?.flatten();
    Ok(values.map(|[value]| value.abs()))
}

/// Where a frame lies.
fn place_of(levels: &[&Dataset]) -> Result<Placed, Error> {
    let missing = |attribute| Error::GeometryMissing { attribute };
    let position = look(levels, tags::PLANE_POSITION_SEQUENCE, tags::IMAGE_POSITION_PATIENT)
        .ok_or(missing("ImagePositionPatient"))?
        .vector(tags::IMAGE_POSITION_PATIENT)?
        .ok_or(missing("ImagePositionPatient"))?;
    let orientation = look(levels, tags::PLANE_ORIENTATION_SEQUENCE, tags::IMAGE_ORIENTATION_PATIENT)
        .ok_or(missing("ImageOrientationPatient"))?
        .vector(tags::IMAGE_ORIENTATION_PATIENT)?
        .ok_or(missing("ImageOrientationPatient"))?;
    let [between_rows, between_columns]: [f64; 2] =
        look(levels, tags::PIXEL_MEASURES_SEQUENCE, tags::PIXEL_SPACING)
            .ok_or(missing("PixelSpacing"))?
            .vector(tags::PIXEL_SPACING)?
            .ok_or(missing("PixelSpacing"))?;
    if let Some(&found) = [between_rows, between_columns].iter().find(|mm| **mm <= 0.0) {
        let (what, expected) = ("the pixel spacing in millimetres", "more than 0");
        return Err(Error::GeometryInvalid { what, found, expected });
    }
    Ok(Placed { position, orientation, spacing: [between_columns, between_rows] })
}
