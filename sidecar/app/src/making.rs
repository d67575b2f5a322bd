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
}
