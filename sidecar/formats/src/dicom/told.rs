//! What a viewer tells of a series whose voxels it has decoded itself: enough to derive an object from it.

use std::collections::BTreeMap;

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::{StandardDataDictionary, tags, uids};
use imaging::Grid;

use super::attributes::REPEATED;
use super::error::{Error, Withheld};
use super::source::{Attribute, Source, SourceSlice};

/// A series as a viewer knows it.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// The study.
    pub study_instance_uid: String,
    /// The series.
    pub series_instance_uid: String,
    /// The frame of reference, where known.
    pub frame_of_reference_uid: Option<String>,
    /// Class of the slices; by the modality when left out.
    pub sop_class_uid: Option<String>,
    /// `CT`, `MR`, `PT`.
    pub modality: String,
    /// Patient and study attributes by their DICOM keywords.
    pub attributes: BTreeMap<String, Withheld>,
    /// The object that each slice k is in.
    pub sop_instance_uids: Vec<String>,
}

impl Told {
    /// The source of a volume on `grid`, whose planes are the slices.
    ///
    /// # Errors
    ///
    /// [`Error::Parse`] when something is no UID, no attribute that derived objects repeat, or there are not as many
    /// slices as planes.
    pub fn source(&self, grid: &Grid) -> Result<Source, Error> {
        let wrong = |reason| Err(Error::Parse { reason });
        if self.sop_instance_uids.len() != grid.size[2] {
            return wrong("there is not one source for each slice");
        }
        let class = match (&self.sop_class_uid, self.modality.as_str()) {
            (Some(class), _) => class.clone(),
            (None, "CT") => uids::CT_IMAGE_STORAGE.to_owned(),
            (None, "MR") => uids::MR_IMAGE_STORAGE.to_owned(),
            (None, "PT") => uids::POSITRON_EMISSION_TOMOGRAPHY_IMAGE_STORAGE.to_owned(),
            _ => return wrong("the class of the slices is not told"),
        };
        let uids = [&self.study_instance_uid, &self.series_instance_uid, &class];
        let more = self.frame_of_reference_uid.iter().chain(&self.sop_instance_uids);
        if !uids.into_iter().chain(more).all(|uid| is_uid(uid)) {
            return wrong("an identifier is no UID");
        }
        let slice = |(k, uid): (usize, &String)| SourceSlice {
            sop_class_uid: class.clone(),
            sop_instance_uid: uid.clone(),
            frame: None,
            position: grid.world([0.0, 0.0, k as f64]),
            k: k as f64,
        };
        Ok(Source {
            study_instance_uid: self.study_instance_uid.clone(),
            series_instance_uid: self.series_instance_uid.clone(),
            frame_of_reference_uid: self.frame_of_reference_uid.clone().unwrap_or_default(),
            modality: self.modality.clone(),
            series_description: Withheld::default(),
            attributes: self.repeated()?,
            slices: self.sop_instance_uids.iter().enumerate().map(slice).collect(),
        })
    }

    /// The attributes to repeat, by rising tag, in UTF-8.
    fn repeated(&self) -> Result<Vec<Attribute>, Error> {
        let mut all =
            vec![Attribute { tag: tags::SPECIFIC_CHARACTER_SET, vr: *b"CS", value: b"ISO_IR 192".to_vec() }];
        let mut add = |tag, vr: [u8; 2], text: &str| all.push(Attribute { tag, vr, value: text.into() });
        add(tags::STUDY_INSTANCE_UID, *b"UI", &self.study_instance_uid);
        if let Some(uid) = &self.frame_of_reference_uid {
            add(tags::FRAME_OF_REFERENCE_UID, *b"UI", uid);
        }
        for (keyword, Withheld(text)) in &self.attributes {
            // Identifiers and codes have fields of their own, or are not for a viewer to tell.
            let entry =
                StandardDataDictionary.by_name(keyword).filter(|entry| REPEATED.contains(&entry.tag()));
            let entry =
                entry.ok_or(Error::Parse { reason: "an attribute is none that derived objects repeat" })?;
            let vr = <[u8; 2]>::try_from(entry.vr().relaxed().to_string().as_bytes()).unwrap_or(*b"UN");
            let is_told = (&vr != b"UI" && &vr != b"CS") || entry.tag() == tags::PATIENT_SEX;
            if !is_told || text.len() > 1024 || text.chars().any(char::is_control) {
                return Err(Error::Parse { reason: "an attribute is no line of text" });
            }
            add(entry.tag(), vr, text);
        }
        all.sort_by_key(|attribute| attribute.tag);
        Ok(all)
    }
}

/// PS3.5 9.1: digits in groups, joined by dots.
fn is_uid(text: &str) -> bool {
    let is_group = |group: &str| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= 64 && text.split('.').all(is_group)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(change: impl FnOnce(&mut Told)) -> Result<Source, Error> {
        let attributes = [("PatientName", "Müller^Änne"), ("PatientID", "7"), ("PatientSex", "F")];
        let attributes = attributes.map(|(keyword, text)| (keyword.to_owned(), Withheld(text.to_owned())));
        let mut told = Told {
            study_instance_uid: "1.2.3".into(),
            series_instance_uid: "1.2.4".into(),
            modality: "CT".into(),
            attributes: attributes.into(),
            sop_instance_uids: vec!["1.2.5".into(), "1.2.6".into()],
            ..Told::default()
        };
        change(&mut told);
        told.source(&Grid::aligned([4, 5, 2], [1.0, 1.0, 2.5]))
    }

    #[test]
    fn what_a_viewer_tells_is_enough_for_a_derived_object() {
        let source = told(|_| ()).unwrap();
        assert!(source.is_even());
        assert_eq!(source.slices[1].position, [0.0, 0.0, 2.5]);
        assert_eq!(source.slices[1].sop_class_uid, uids::CT_IMAGE_STORAGE);
        assert_eq!(source.attribute(tags::PATIENT_NAME).unwrap().value, "Müller^Änne".as_bytes());
        assert_eq!(source.attribute(tags::PATIENT_ID).unwrap().vr, *b"LO");
        assert!(source.attributes.is_sorted_by_key(|attribute| attribute.tag));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let refused = |change: fn(&mut Told)| assert_eq!(told(change).unwrap_err().code(), "E_PARSE");
        refused(|told| told.sop_instance_uids.truncate(1));
        refused(|told| told.sop_instance_uids[0] = "1.2/../3".into());
        refused(|told| told.study_instance_uid.clear());
        refused(|told| told.modality = "XA".into());
        refused(|told| drop(told.attributes.insert("PixelData".into(), Withheld("0".into()))));
        refused(|told| drop(told.attributes.insert("PatientName".into(), Withheld("a\nb".into()))));
    }
}
