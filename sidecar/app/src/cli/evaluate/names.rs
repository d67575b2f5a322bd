//! Names of labels: from a file that the user has, or from the label maps themselves.

use std::collections::BTreeMap;
use std::path::Path;

use evaluation::Input;
use serde_json::Value;

use super::files::{Folder, Place};
use crate::{Error, Result, output};

/// Files that may lie beside the truth.
const FILES: [&str; 2] = ["labels.json", "dataset.json"];

/// Names that hold for every case.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// By label; empty where the label maps are to say.
    pub(super) by_label: BTreeMap<u8, String>,
}

impl Names {
    /// Reads the names from `file`, or one beside the truth, or lists the truth's masks.
    pub(super) fn find(file: Option<&Path>, truth: &Folder) -> Result<Names> {
        let beside = FILES.iter().map(|name| truth.path.join(name)).find(|path| path.is_file());
        if let Some(path) = file.map(Path::to_owned).or(beside) {
            return Ok(Names { by_label: read(&path)? });
        }
        let mut masks: Vec<&String> = Vec::new();
        for place in truth.cases.values() {
            if let Place::Masks(of_case) = place {
                masks.extend(of_case.keys());
            }
        }
        masks.sort_unstable();
        masks.dedup();
        if masks.len() > usize::from(u8::MAX) {
            return Err(Error::refused(
                format!("the masks of the truth have {} names, and 255 are possible", masks.len()),
                "keep one kind of structure per report",
            ));
        }
        Ok(Names { by_label: (1..=u8::MAX).zip(masks.into_iter().cloned()).collect() })
    }

    /// The label of a name.
    pub(super) fn label(&self, name: &str) -> Option<u8> {
        self.by_label.iter().find(|(_, known)| *known == name).map(|(label, _)| *label)
    }
}

/// Names from JSON: `{"1": "liver"}`, `{"liver": 1}`, or either under `labels`. Label 0 is background.
fn read(path: &Path) -> Result<BTreeMap<u8, String>> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::read(path, error))?;
    let bad = |detail: &str| {
        Error::refused(
            format!("`{}` names no labels: {detail}", path.display()),
            "expected `{\"1\": \"liver\"}`, or nnU-Net's `dataset.json`",
        )
    };
    let value: Value = serde_json::from_str(&text).map_err(|error| bad(&error.to_string()))?;
    let table = value.get("labels").unwrap_or(&value);
    let table = table.as_object().ok_or_else(|| bad("it holds no table"))?;
    let mut names = BTreeMap::new();
    for (key, value) in table {
        let (label, name) = match (key.parse::<u8>(), value) {
            (Ok(label), Value::String(name)) => (label, name.clone()),
            (_, Value::Number(label)) => {
                let label = label.as_u64().and_then(|label| u8::try_from(label).ok());
                (label.ok_or_else(|| bad(&format!("`{key}` has no label of 0 to 255")))?, key.clone())
            }
            _ => return Err(bad(&format!("`{key}` is neither a label nor has one"))),
        };
        if label != 0 && name != "ignore" {
            names.insert(label, name);
        }
    }
    Ok(names)
}

/// Keeps only the wanted structures.
pub(super) fn keep(input: &mut Input, wanted: &[String]) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let mut labels = Vec::new();
    for name in wanted {
        let known = input.names.iter().find(|(label, known)| *known == name || label.to_string() == *name);
        let Some((&label, _)) = known else {
            let near = output::nearest(name, input.names.values().map(String::as_str));
            let hint = near.map_or_else(
                || "names come from `--labels`, or from the label maps; a number will do".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            return Err(Error::usage(format!("no structure is called `{name}`"), hint));
        };
        labels.push(label);
    }
    input.names.retain(|label, _| labels.contains(label));
    input.measured.iter_mut().for_each(|one| one.measures.retain(|label, _| labels.contains(label)));
    input.pairs.iter_mut().for_each(|one| one.overlaps.retain(|label, _| labels.contains(label)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_understood() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.json");
        let expected = BTreeMap::from([(1, "liver".to_owned()), (2, "spleen".to_owned())]);
        for text in [
            r#"{"1": "liver", "2": "spleen"}"#,
            r#"{"labels": {"background": 0, "liver": 1, "spleen": 2, "ignore": 3}, "file_ending": ".nii.gz"}"#,
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&path).unwrap(), expected);
        }
        for text in ["[]", "{\"liver\": 300}", "{\"liver\": []}", "no json"] {
            std::fs::write(&path, text).unwrap();
            assert!(matches!(read(&path), Err(Error::Refused { .. })), "{text}");
        }
    }
}
