//! The built-in tasks, their published weights, and what each structure is called in SNOMED CT.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use imaging::{Code, Segment, Terminology};
use serde::{Deserialize, Serialize};

use crate::task::Task;

/// Includes `tasks/<id>.toml` for each id; a test holds the list against the folder.
macro_rules! built_in {
    ($($id:literal,)*) => { &[$(($id, include_str!(concat!("../tasks/", $id, ".toml")))),*] };
}

/// Task files by id: the model that ships first, then TotalSegmentator's by name.
const TASKS: &[(&str, &str)] = built_in![
    "headneck",
    "total",
    "abdominal_muscles",
    "aorta_annulus",
    "aortic_dissection",
    "aortic_sinuses",
    "appendicular_bones",
    "appendicular_bones_mr",
    "body",
    "body_mr",
    "brain_aneurysm",
    "brain_structures",
    "breasts",
    "cerebral_bleed",
    "coronary_arteries",
    "coronary_arteries_LEGACY",
    "craniofacial_structures",
    "face",
    "face_mr",
    "head_glands_cavities",
    "head_muscles",
    "headneck_bones_vessels",
    "headneck_muscles",
    "heartchambers_highres",
    "hip_implant",
    "kidney_cysts",
    "liver_lesions",
    "liver_lesions_mr",
    "liver_segments",
    "liver_segments_mr",
    "liver_vessels",
    "lung_nodules",
    "lung_vessels",
    "lung_vessels_LEGACY",
    "oculomotor_muscles",
    "pleural_pericard_effusion",
    "pulmonary_artery_landmarks",
    "renal_arteries",
    "teeth",
    "test",
    "thigh_shoulder_muscles",
    "thigh_shoulder_muscles_mr",
    "tissue_4_types",
    "tissue_types",
    "tissue_types_mr",
    "total_highres_test",
    "total_mr",
    "total_v3",
    "trunk_cavities",
    "ventricle_parts",
    "vertebrae_body",
    "vertebrae_mr",
    "vertebrae_pp",
    "vertebrae_pp_refined",
];

/// Where published weights come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// `Dataset297_TotalSegmentator_total_3mm_1559subj`.
    pub folder: String,
    /// The official zip, where it may be downloaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Bytes of the zip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Lower-case hexadecimal SHA-256 of the zip, where it was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// `licensed` or `unreleased` where there is no address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<String>,
}

/// All built-in tasks, the model that ships first.
///
/// A file that does not parse is a defect of the build; the tests below read every one.
#[must_use]
pub fn tasks() -> &'static [Task] {
    static ALL: LazyLock<Vec<Task>> =
        LazyLock::new(|| TASKS.iter().filter_map(|(_, text)| toml::from_str(text).ok()).collect());
    &ALL
}

/// A built-in task.
#[must_use]
pub fn task(id: &str) -> Option<&'static Task> {
    tasks().iter().find(|task| task.id == id)
}

/// Published weights by TotalSegmentator's dataset number.
#[must_use]
pub fn weights() -> &'static BTreeMap<String, Weights> {
    static ALL: LazyLock<BTreeMap<String, Weights>> =
        LazyLock::new(|| toml::from_str(include_str!("../tasks/weights.toml")).unwrap_or_default());
    &ALL
}

/// The segments of a task, by rising value, with colour and terminology.
#[must_use]
pub fn segments(task: &Task) -> Vec<Segment> {
    let name_and_value = task.classes.iter().zip(1u8..);
    name_and_value.map(|(name, value)| segment(name, value, task.colors.get(name).copied())).collect()
}

/// One structure with its codes, where the name is known; a colour that is given wins over the table's, and an unknown
/// structure gets one of its own.
#[must_use]
pub fn segment(name: &str, value: u8, color: Option<[u8; 3]>) -> Segment {
    let known = structures().get(name);
    Segment {
        value,
        name: name.to_owned(),
        color: color.or_else(|| known.and_then(|known| known.color)).unwrap_or_else(|| color_of(value)),
        terminology: known.map(|known| known.terminology.clone()),
    }
}

/// A row of `tasks/structures.tsv`.
struct Structure {
    color: Option<[u8; 3]>,
    terminology: Terminology,
}

/// Structures by name.
fn structures() -> &'static BTreeMap<String, Structure> {
    static ALL: LazyLock<BTreeMap<String, Structure>> = LazyLock::new(|| {
        let rows = include_str!("../tasks/structures.tsv").lines().skip(1);
        rows.filter_map(|row| structure(&row.split('\t').collect::<Vec<_>>())).collect()
    });
    &ALL
}

/// Reads a row: name, red, green, blue, then five codes of scheme, value and meaning.
fn structure(columns: &[&str]) -> Option<(String, Structure)> {
    let [name, red, green, blue, codes @ ..] = columns else { return None };
    let channel = |text: &str| text.parse::<u8>().ok();
    let color = match (channel(red), channel(green), channel(blue)) {
        (Some(red), Some(green), Some(blue)) => Some([red, green, blue]),
        _ => None,
    };
    let code = |at: usize| match codes.get(3 * at..3 * at + 3) {
        Some([scheme, value, meaning]) if !value.is_empty() => {
            Some(Code { scheme: (*scheme).into(), value: (*value).into(), meaning: (*meaning).into() })
        }
        _ => None,
    };
    let terminology = Terminology {
        category: code(0)?,
        kind: code(1)?,
        modifier: code(2).or_else(|| laterality(name)),
        region: code(3),
        region_modifier: code(4),
    };
    Some(((*name).to_owned(), Structure { color, terminology }))
}

/// The side that a name tells, where the table has none: a left gland must not be coded as just "gland".
fn laterality(name: &str) -> Option<Code> {
    let (value, meaning) = match name.rsplit('_').next()? {
        "left" => ("7771000", "Left"),
        "right" => ("24028007", "Right"),
        _ => return None,
    };
    Some(Code { scheme: "SCT".into(), value: value.into(), meaning: meaning.into() })
}

/// A colour for a structure that has none: hues a golden angle apart, so that neighbours differ.
fn color_of(value: u8) -> [u8; 3] {
    let hue = (f64::from(value) * 137.507_764) % 360.0 / 60.0;
    let [strong, weak] = [225.0, 95.0];
    let middle = weak + (strong - weak) * (1.0 - (hue % 2.0 - 1.0).abs());
    let [red, green, blue] = match hue as u8 {
        0 => [strong, middle, weak],
        1 => [middle, strong, weak],
        2 => [weak, strong, middle],
        3 => [weak, middle, strong],
        4 => [middle, weak, strong],
        _ => [strong, weak, middle],
    };
    [red as u8, green as u8, blue as u8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_file_is_listed_and_parses() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tasks");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .filter_map(|entry| Some(entry.unwrap().file_name().to_str()?.strip_suffix(".toml")?.to_owned()))
            .filter(|name| name != "weights")
            .collect();
        files.sort();
        let mut listed: Vec<String> = TASKS.iter().map(|(id, _)| (*id).to_owned()).collect();
        listed.sort();
        assert_eq!(files, listed);
        for (id, text) in TASKS {
            let task: Task = toml::from_str(text).unwrap_or_else(|error| panic!("{id}: {error}"));
            assert_eq!(task.id, *id);
        }
        assert_eq!(tasks().len(), 54);
    }

    #[test]
    fn parts_name_weights_and_classes_that_exist() {
        for task in tasks() {
            for mode in [Some(&task.modes.default), task.modes.fast.as_ref(), task.modes.fastest.as_ref()] {
                for part in mode.into_iter().flat_map(|mode| &mode.parts) {
                    let shipped = part.weights == "headneck" || task.licence == "unreleased";
                    assert!(
                        shipped || weights().contains_key(&part.weights),
                        "{}: {}",
                        task.id,
                        part.weights
                    );
                    assert!(part.labels.iter().all(|&value| usize::from(value) <= task.classes.len()));
                }
                for crop in mode.into_iter().filter_map(|mode| mode.crop.as_ref()) {
                    let finder = task_named(&crop.task);
                    assert!(crop.classes.iter().all(|class| finder.value(class).is_some()), "{}", task.id);
                }
            }
        }
    }

    fn task_named(id: &str) -> &'static Task {
        task(id).unwrap_or_else(|| panic!("no task `{id}`"))
    }

    #[test]
    fn the_parts_of_total_cover_its_117_classes_once() {
        let mut values: Vec<u8> =
            task_named("total").modes.default.parts.iter().flat_map(|part| part.labels.clone()).collect();
        values.sort_unstable();
        assert_eq!(values, (1..=117).collect::<Vec<u8>>());
    }

    #[test]
    fn segments_carry_sides_codes_and_distinct_colours() {
        let segments = segments(task_named("total"));
        let kidney = &segments[2];
        let terminology = kidney.terminology.as_ref().unwrap();
        assert_eq!((kidney.name.as_str(), kidney.value), ("kidney_left", 3));
        assert_eq!(terminology.kind.value, "64033007");
        assert_eq!(terminology.modifier.as_ref().unwrap().meaning, "Left");
        assert!(segments.iter().all(|segment| segment.terminology.is_some()));
        let parotid = &super::segments(task_named("headneck"))[3];
        assert_eq!(parotid.terminology.as_ref().unwrap().modifier.as_ref().unwrap().meaning, "Left");
    }
}
