//! How a result came about, as DICOM tells it: from the engine's provenance.

use formats::dicom::seg::{By, Making};
use serde_json::Value;

/// Longest list of parameters that DICOM holds.
const PARAMETERS: usize = 10_000;

/// What a DICOM object says of a result with this provenance (an [`engine::Provenance`] as JSON).
pub(crate) fn of(provenance: &Value) -> Making {
    let text = |value: &Value| value.as_str().unwrap_or("unknown").to_owned();
    let models: Vec<&Value> = provenance["models"].as_array().into_iter().flatten().collect();
    let hashed =
        models.iter().map(|model| format!("model={} sha256={}", text(&model["id"]), text(&model["sha256"])));
    let options = format!("options={}", provenance["options"]);
    let parameters = hashed.chain([options]).collect::<Vec<_>>().join("; ");
    let task = text(&provenance["task"]);
    let version = text(&provenance["version"]);
    // The first eight digits tell models apart; all digits are among the parameters.
    let first = models.first().map(|model| text(&model["sha256"]).chars().take(8).collect::<String>());
    Making {
        description: format!("Vesalius {task}"),
        by: By::Program,
        algorithm: task,
        version: first.map_or_else(|| version.clone(), |first| format!("{version}+{first}")),
        origin: "nnU-Net models, run by Vesalius".to_owned(),
        parameters: parameters.chars().take(PARAMETERS).collect(),
        software: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// The same of a result that a person has worked on, if `is_edited`; null provenance is no network's.
pub(crate) fn corrected(provenance: &Value, is_edited: bool) -> Making {
    let making = of(provenance);
    match (provenance.is_null(), is_edited) {
        (true, _) => Making { by: By::Person, description: "Vesalius corrections".to_owned(), ..making },
        (false, true) => {
            Making { by: By::Both, description: format!("{}, corrected", making.description), ..making }
        }
        (false, false) => making,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn models_and_their_hashes_are_named() {
        let models = json!([{"id": "a", "sha256": "0123456789"}, {"id": "b", "sha256": "ff"}]);
        let making =
            of(&json!({"task": "total", "version": "0.1.0", "models": models, "options": {"speed": "fast"}}));
        assert_eq!((making.algorithm.as_str(), making.version.as_str()), ("total", "0.1.0+01234567"));
        let expected = "model=a sha256=0123456789; model=b sha256=ff; options={\"speed\":\"fast\"}";
        assert_eq!(making.parameters, expected);
        assert_eq!(of(&Value::Null).algorithm, "unknown");
    }

    #[test]
    fn a_person_is_named_where_one_has_worked() {
        let provenance = json!({"task": "total", "version": "0.1.0"});
        let by = |provenance: &Value, is_edited| corrected(provenance, is_edited).by;
        assert_eq!(by(&provenance, false), By::Program);
        assert_eq!(by(&provenance, true), By::Both);
        assert_eq!(by(&Value::Null, true), By::Person);
        assert_eq!(corrected(&provenance, true).description, "Vesalius total, corrected");
    }
}
