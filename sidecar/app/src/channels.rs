//! Tasks of several images, such as DWI and ADC: which image is which, whether they are of one patient in one place, how
//! they come onto one grid, and the threshold that their models were measured at.

use engine::{ModelStore, Task};
use formats::dicom;
use imaging::{Grid, Interpolation, Volume};

use crate::Error;

/// Grids of one scan agree to so many voxels: NIfTI headers hold single precision.
const SAME: f64 = 0.01;
/// Most of the first image that may lie outside of another.
const MOST_OUTSIDE: f64 = 0.5;

/// Why images cannot be the channels of one segmentation.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum Problem {
    /// Not as many as the task has channels.
    #[error("task `{task}` takes {}, and {found} {} given", takes(names), if *found == 1 { "is" } else { "are" })]
    Count {
        task: String,
        /// Of all channels, in order.
        names: Vec<String>,
        /// Those that no image was named for; the first is that of the main image.
        missing: Vec<String>,
        found: usize,
    },
    #[error("task `{task}` has no channel `{name}`, it takes {}", names.join(", "))]
    Unknown { task: String, name: String, names: Vec<String> },
    #[error("two images are given for channel `{name}`")]
    Twice { name: String },
    #[error("the image for `{name}` is {found}")]
    Modality { name: String, found: String },
    #[error("the image for `{name}` is of another patient than the first image")]
    Patient { name: String },
    #[error("the image for `{name}` is of another study than the first image")]
    Study { name: String },
    #[error("the image for `{name}` has another frame of reference than the first image")]
    Frame { name: String },
    #[error("the image for `{name}` covers only {percent:.0} % of the first image")]
    Elsewhere { name: String, percent: f64 },
}

fn takes(names: &[String]) -> String {
    match names {
        [_] => "one image".to_owned(),
        names => format!("{} images ({})", names.len(), names.join(", ")),
    }
}

impl Problem {
    /// What to do about it, where that does not depend on how images are given.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Problem::Count { .. } | Problem::Unknown { .. } => "name an image for each channel of the task",
            Problem::Twice { .. } => "leave one of them out",
            Problem::Modality { .. } => "choose the image that the channel is for, or force it",
            Problem::Patient { .. } | Problem::Study { .. } => {
                "all images must be of the same patient in the same examination"
            }
            Problem::Frame { .. } => {
                "positions of the one mean nothing in the other: register it to the first image, and give the result"
            }
            Problem::Elsewhere { .. } => "both must be of the same place in the same patient",
        }
    }
}

/// The names of a task's channels, in order: of a task of one image its modality.
pub(crate) fn names(task: &Task) -> Vec<String> {
    if task.channels.is_empty() { vec![task.modality.clone()] } else { task.channels.clone() }
}

/// For each channel of a task, in order, the image that it takes; `None` is the main image.
///
/// The main image is the first channel that no other image is named for; images without a name follow it in order.
pub(crate) fn assign<T>(
    task: &Task,
    images: impl IntoIterator<Item = (Option<String>, T)>,
) -> Result<Vec<(String, Option<T>)>, Problem> {
    let names = names(task);
    let mut taken: Vec<(String, Option<T>)> = names.iter().map(|name| (name.clone(), None)).collect();
    let mut nameless = Vec::new();
    let mut found = 1;
    for (name, image) in images {
        found += 1;
        let Some(name) = name else {
            nameless.push(image);
            continue;
        };
        let place = taken.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&name));
        let Some((_, place)) = place.filter(|_| names.len() > 1) else {
            if names.len() == 1 {
                return Err(Problem::Count { task: task.id.clone(), names, missing: Vec::new(), found });
            }
            return Err(Problem::Unknown { task: task.id.clone(), name, names });
        };
        if place.replace(image).is_some() {
            return Err(Problem::Twice { name });
        }
    }
    let missing: Vec<String> =
        taken.iter().filter(|(_, image)| image.is_none()).map(|(name, _)| name.clone()).collect();
    if missing.len() != nameless.len() + 1 {
        return Err(Problem::Count { task: task.id.clone(), names, missing, found });
    }
    let free = taken.iter_mut().filter(|(_, image)| image.is_none()).skip(1);
    free.zip(nameless).for_each(|((_, place), image)| *place = Some(image));
    Ok(taken)
}

/// Whether a DICOM modality can be that of a channel: CT and PET are told by their names, and nothing else is them.
pub(crate) fn fits(task: &Task, name: &str, modality: &str) -> bool {
    if task.channels.is_empty() {
        return modality == task.modality;
    }
    match name.to_ascii_uppercase().as_str() {
        "CT" => modality == "CT",
        "PET" | "PT" => modality == "PT",
        _ => modality == task.modality || task.modality == "CT",
    }
}

/// What is known of an image before its voxels are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) grid: &'a Grid,
    /// Where it came as DICOM.
    pub(crate) source: Option<&'a dicom::Source>,
}

/// Whether the image for channel `name` is of the same patient, study and place as the main image.
pub(crate) fn belong(name: &str, main: About<'_>, other: About<'_>) -> Result<(), Problem> {
    let name = || name.to_owned();
    if let (Some(main), Some(other)) = (main.source, other.source) {
        let differ = |a: &str, b: &str| !a.is_empty() && !b.is_empty() && a != b;
        if main.patient_id().zip(other.patient_id()).is_some_and(|(main, other)| main != other) {
            return Err(Problem::Patient { name: name() });
        }
        if differ(&main.study_instance_uid, &other.study_instance_uid) {
            return Err(Problem::Study { name: name() });
        }
        if differ(&main.frame_of_reference_uid, &other.frame_of_reference_uid) {
            return Err(Problem::Frame { name: name() });
        }
    }
    if other.grid.matches(main.grid, SAME) {
        return Ok(());
    }
    let outside = main.grid.share_outside(other.grid);
    if outside > MOST_OUTSIDE {
        return Err(Problem::Elsewhere { name: name(), percent: 100.0 * (1.0 - outside) });
    }
    Ok(())
}

/// An image on the grid of the main one, and what had to be done for that.
///
/// An image on another grid is resampled; its geometry is never replaced by that of the main image but for the
/// rounding of headers.
pub(crate) fn on_grid(name: &str, image: Volume, main: &Grid) -> (Volume, Option<String>) {
    if image.grid.matches(main, SAME) {
        return (Volume { grid: main.clone(), ..image }, None);
    }
    let moved = image.onto(main, Interpolation::Linear, f32::NAN);
    let outside = moved.voxels.iter().filter(|value| value.is_nan()).count();
    let share = outside as f64 / moved.voxels.len() as f64;
    let outside =
        if outside > 0 { format!(" ({:.1} % lies outside of it)", 100.0 * share) } else { String::new() };
    let warning =
        format!("{name} lies on another grid and was resampled onto that of the first image{outside}");
    let voxels = moved.voxels.mapv_into(|value| if value.is_nan() { 0.0 } else { value });
    (Volume { voxels, ..moved }, Some(warning))
}

/// The threshold that is asked for, by number or by the name that the model's card gives it.
pub(crate) fn threshold(asked: &str, task: &Task, store: &ModelStore) -> Result<f64, Error> {
    if let Ok(number) = asked.parse::<f64>() {
        if number > 0.0 && number < 1.0 {
            return Ok(number);
        }
        return Err(Error::usage(
            format!("{number} is no probability to decide at"),
            "a number between 0 and 1: less finds more, and more that is not there",
        ));
    }
    let points = operating_points(task, store);
    let point = points.iter().find(|point| point.name.as_deref() == Some(asked));
    point.map(|point| point.threshold).ok_or_else(|| {
        let named: Vec<&str> = points.iter().filter_map(|point| point.name.as_deref()).collect();
        let hint = if named.is_empty() {
            "give a number between 0 and 1: less finds more, and more that is not there".to_owned()
        } else {
            format!(
                "its card has {}; `vesalius models card {}` shows what they give",
                named.join(", "),
                task.id
            )
        };
        Error::usage(format!("the model of `{}` has no operating point `{asked}`", task.id), hint)
    })
}

/// The thresholds that the model of a task was measured at, from its card.
pub(crate) fn operating_points(task: &Task, store: &ModelStore) -> Vec<training::OperatingPoint> {
    let card = store.card(&task.id).unwrap_or_default();
    let points = card["operating_points"].as_array().cloned().unwrap_or_default();
    points.into_iter().filter_map(|point| serde_json::from_value(point).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(channels: &[&str]) -> Task {
        let mut task = engine::catalogue::task("headneck").unwrap().clone();
        task.id = "mine".into();
        task.modality = "MR".into();
        task.channels = channels.iter().map(|name| (*name).to_owned()).collect();
        task
    }

    /// Channels and their images; `main` is none.
    fn assigned(channels: &[&str], images: &[(&str, u8)]) -> Result<Vec<Option<u8>>, String> {
        let images =
            images.iter().map(|(name, at)| (Some((*name).to_owned()).filter(|n| !n.is_empty()), *at));
        let found = assign(&task(channels), images).map_err(|problem| problem.to_string())?;
        Ok(found.into_iter().map(|(_, image)| image).collect())
    }

    #[test]
    fn the_main_image_is_the_first_channel_that_nobody_names() {
        let three = ["T1", "T2", "FLAIR"];
        for (images, expected) in [
            (vec![("", 1), ("", 2)], [None, Some(1), Some(2)]),
            (vec![("FLAIR", 1), ("", 2)], [None, Some(2), Some(1)]),
            (vec![("T1", 1), ("", 2)], [Some(1), None, Some(2)]),
            (vec![("t2", 1), ("t1", 2)], [Some(2), Some(1), None]),
        ] {
            assert_eq!(assigned(&three, &images), Ok(expected.to_vec()), "{images:?}");
        }
        assert_eq!(assigned(&[], &[]), Ok(vec![None]));
    }

    #[test]
    fn what_is_missing_or_too_much_is_named() {
        let two = ["DWI", "ADC"];
        for (channels, images, message) in [
            (&two[..], vec![], "task `mine` takes 2 images (DWI, ADC), and 1 is given"),
            (&two, vec![("ADC", 1), ("", 2)], "task `mine` takes 2 images (DWI, ADC), and 3 are given"),
            (&two, vec![("ADC", 1), ("DWI", 2)], "task `mine` takes 2 images (DWI, ADC), and 3 are given"),
            (&two, vec![("T2", 1)], "task `mine` has no channel `T2`, it takes DWI, ADC"),
            (&two, vec![("ADC", 1), ("adc", 2)], "two images are given for channel `adc`"),
            (&[], vec![("", 1)], "task `mine` takes one image, and 2 are given"),
            (&[], vec![("MR", 1)], "task `mine` takes one image, and 2 are given"),
        ] {
            assert_eq!(assigned(channels, &images), Err(message.to_owned()));
        }
    }

    #[test]
    fn modalities_are_told_by_the_names_of_channels() {
        for (channels, modality, name, found, expected) in [
            (&["DWI", "ADC"][..], "MR", "ADC", "MR", true),
            (&["DWI", "ADC"], "MR", "ADC", "CT", false),
            (&["CT", "PET"], "CT", "PET", "PT", true),
            (&["CT", "PET"], "CT", "PET", "CT", false),
            (&["CT", "PET"], "CT", "CT", "PT", false),
            (&["CT", "dose"], "CT", "dose", "RTDOSE", true),
            (&[], "MR", "MR", "CT", false),
        ] {
            let task = Task { modality: modality.to_owned(), ..task(channels) };
            assert_eq!(fits(&task, name, found), expected, "{name} {found}");
        }
    }

    #[test]
    fn images_of_others_are_refused() {
        let grid = Grid::aligned([8, 8, 8], [1.0; 3]);
        let source = |patient: &str, study: &str, frame: &str| {
            let told = dicom::Told {
                study_instance_uid: study.to_owned(),
                series_instance_uid: "1.2.3".to_owned(),
                frame_of_reference_uid: Some(frame.to_owned()).filter(|frame| !frame.is_empty()),
                sop_class_uid: None,
                modality: "MR".to_owned(),
                attributes: [("PatientID".to_owned(), dicom::Withheld(patient.to_owned()))].into(),
                sop_instance_uids: (0..8).map(|k| format!("1.2.4.{k}")).collect(),
            };
            told.source(&grid).unwrap()
        };
        let main = source("7", "1.2", "1.9");
        let check = |other: &dicom::Source| {
            let about = |source| About { grid: &grid, source: Some(source) };
            belong("ADC", about(&main), about(other)).err()
        };
        let name = || "ADC".to_owned();
        assert_eq!(check(&main), None);
        assert_eq!(check(&source("8", "1.2", "1.9")), Some(Problem::Patient { name: name() }));
        assert_eq!(check(&source("7", "1.3", "1.9")), Some(Problem::Study { name: name() }));
        assert_eq!(check(&source("7", "1.2", "1.8")), Some(Problem::Frame { name: name() }));
        let far = Grid { origin: [6.0, 0.0, 0.0], ..grid.clone() };
        let about = |grid| About { grid, source: None };
        let problem = belong("ADC", about(&grid), about(&far));
        assert_eq!(problem, Err(Problem::Elsewhere { name: name(), percent: 25.0 }));
        let near = Grid { origin: [2.0, 0.0, 0.0], ..grid.clone() };
        assert_eq!(belong("ADC", about(&grid), about(&near)), Ok(()));
    }
}
