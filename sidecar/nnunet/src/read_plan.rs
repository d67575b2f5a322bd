//! `plans.json` and `dataset.json` as nnU-Net v2 writes them, old form and new, -> [`Plan`].

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::error::{Error, Result, shortened};
use crate::json::Field;
use crate::plan::{Label, Normalization, Outputs, Plan, Resampling};
use crate::read_architecture::read_architecture;

/// Largest `plans.json` or `dataset.json`; a dataset's list of cases can make them long.
pub(crate) const JSON_LIMIT: u64 = 64 << 20;

/// Reads a plan from the bytes of `plans.json` and `dataset.json`.
///
/// `configuration` is the name within `plans.json` (`3d_fullres`), `trainer` is kept as a label.
/// Follows `PlansManager`, `ConfigurationManager` and `LabelManager` of nnU-Net 2.8.1.
///
/// # Errors
///
/// [`Error::Json`], [`Error::Field`], or [`Error::Unsupported`] for what is not run here: two-dimensional
/// configurations, cascades, other networks, normalisations or resamplings than nnU-Net's own.
pub fn read_plan(plans: &[u8], dataset: &[u8], configuration: &str, trainer: &str) -> Result<Plan> {
    let order = dataset;
    let plans = json("plans.json", plans)?;
    let dataset = json("dataset.json", dataset)?;
    let (plans, dataset) = (Field::root(&plans), Field::root(&dataset));
    let merged = inherited(&plans, configuration)?;
    let found = Field { path: format!("configurations.{configuration}"), value: Some(&merged) };
    supported(&plans, &found)?;
    let channels = channels(&dataset)?;
    let (labels, outputs) = labels(&dataset, order)?;
    let transpose_forward = plans.get("transpose_forward").triple()?;
    let plan = Plan {
        dataset: plans.get("dataset_name").text()?.to_owned(),
        configuration: configuration.to_owned(),
        trainer: trainer.to_owned(),
        normalization: normalizations(&plans, &found, channels.len())?,
        channels,
        labels,
        outputs,
        patch_size: found.get("patch_size").triple()?,
        spacing: spacing(&found.get("spacing"))?,
        transpose_forward,
        transpose_backward: plans.get("transpose_backward").triple()?,
        resampling: resampling(&found, "data")?,
        resampling_of_scores: resampling(&found, "probabilities")?,
        reader: plans.get("image_reader_writer").text()?.to_owned(),
        architecture: read_architecture(&found)?,
        interactions: None,
    };
    plan.check()?;
    Ok(plan)
}

pub(crate) fn json(file: &'static str, bytes: &[u8]) -> Result<Value> {
    if bytes.len() as u64 > JSON_LIMIT {
        let found = bytes.len() as u64;
        return Err(Error::TooLarge { what: format!("`{file}`"), unit: "bytes", found, limit: JSON_LIMIT });
    }
    serde_json::from_slice(bytes).map_err(|source| Error::Json { file, source })
}

/// The configuration with everything it inherits: the parent's fields first, its own over them.
pub(crate) fn inherited(plans: &Field<'_>, name: &str) -> Result<Value> {
    let mut lineage = Vec::new();
    let mut next = Some(name.to_owned());
    while let Some(name) = next {
        let field = plans.get("configurations").get(&name);
        let members = field.value.and_then(Value::as_object);
        let members = members.ok_or_else(|| field.error("a configuration of `plans.json`"))?;
        // Nobody inherits more often; a circle always does.
        if lineage.len() == 32 {
            return Err(field.error("a configuration that does not inherit from itself"));
        }
        lineage.push(members);
        next = members.get("inherits_from").and_then(Value::as_str).map(str::to_owned);
    }
    let mut merged = Map::new();
    for members in lineage.into_iter().rev() {
        merged.extend(members.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    Ok(Value::Object(merged))
}

/// Refuses what would silently be computed otherwise than nnU-Net does.
fn supported(plans: &Field<'_>, configuration: &Field<'_>) -> Result<()> {
    let refuse = |what, found: &Field<'_>, supported| {
        let found = found.value.map(Value::to_string).unwrap_or_default();
        Err(Error::Unsupported { what, found: shortened(found.trim_matches('"')), supported })
    };
    let patch = configuration.get("patch_size");
    if patch.items()?.len() != 3 {
        return refuse("a two-dimensional configuration with patch size", &patch, "three-dimensional ones");
    }
    let previous = configuration.get("previous_stage");
    if !previous.is_null() {
        return refuse("a cascade after configuration", &previous, "configurations of one stage");
    }
    let only = |field: Field<'_>, what, supported: &'static str| match field.value.and_then(Value::as_str) {
        None => Ok(()),
        Some(name) if name == supported => Ok(()),
        Some(_) => refuse(what, &field, supported),
    };
    only(plans.get("label_manager"), "label manager", "LabelManager")?;
    only(configuration.get("preprocessor_name"), "preprocessor", "DefaultPreprocessor")
}

pub(crate) fn channels(dataset: &Field<'_>) -> Result<Vec<String>> {
    // nnU-Net prefers the older name where both stand.
    let older = dataset.get("modality");
    let field = if older.is_null() { dataset.get("channel_names") } else { older };
    let mut names = field
        .members()?
        .into_iter()
        .map(|(index, name)| {
            Ok((index.parse::<usize>().map_err(|_| field.error("names by index"))?, name.text()?))
        })
        .collect::<Result<Vec<_>>>()?;
    names.sort_unstable();
    if names.iter().enumerate().any(|(position, (index, _))| position != *index) {
        return Err(field.error("names by index, from 0 without gaps"));
    }
    Ok(names.into_iter().map(|(_, name)| name.to_owned()).collect())
}

fn normalizations(
    plans: &Field<'_>,
    configuration: &Field<'_>,
    channels: usize,
) -> Result<Vec<Normalization>> {
    let field = configuration.get("normalization_schemes");
    let schemes = field.items()?;
    let masks = configuration.get("use_mask_for_norm").items()?;
    if schemes.len() != channels || masks.len() != channels {
        return Err(
            field.error("as many as `dataset.json` has channels, with as many in `use_mask_for_norm`")
        );
    }
    let newer = plans.get("foreground_intensity_properties_per_channel");
    let older = plans.get("foreground_intensity_properties_by_modality");
    let properties = if newer.is_null() { older } else { newer };
    let normalization = |(channel, (scheme, mask)): (usize, (&Field<'_>, &Field<'_>))| {
        let properties = properties.get(&channel.to_string());
        Ok(match scheme.text()? {
            "CTNormalization" => Normalization::Ct {
                lower: properties.get("percentile_00_5").number()?,
                upper: properties.get("percentile_99_5").number()?,
                mean: properties.get("mean").number()?,
                std: properties.get("std").number()?,
            },
            "ZScoreNormalization" => Normalization::ZScore { use_mask: mask.flag()? },
            "NoNormalization" => Normalization::None,
            "RescaleTo01Normalization" => Normalization::RescaleTo01,
            "RGBTo01Normalization" => Normalization::RgbTo01,
            other => {
                return Err(Error::Unsupported {
                    what: "normalisation",
                    found: shortened(other),
                    supported: "CT, ZScore, No, RescaleTo01 and RGBTo01",
                });
            }
        })
    };
    schemes.iter().zip(&masks).enumerate().map(normalization).collect()
}

fn spacing(field: &Field<'_>) -> Result<[f64; 3]> {
    let numbers = field.items()?.iter().map(Field::number).collect::<Result<Vec<_>>>()?;
    numbers.try_into().map_err(|_| field.error("three lengths in millimetres"))
}

/// `role` is `data` or `probabilities`; what is absent has the defaults of `resample_data_or_seg_to_shape`.
fn resampling(configuration: &Field<'_>, role: &str) -> Result<Resampling> {
    let function = configuration.get(&format!("resampling_fn_{role}"));
    let name = function.text()?;
    if name != "resample_data_or_seg_to_shape" {
        return Err(Error::Unsupported {
            what: "resampling function",
            found: shortened(name),
            supported: "resample_data_or_seg_to_shape",
        });
    }
    let arguments = configuration.get(&format!("resampling_fn_{role}_kwargs"));
    let threshold = arguments.get("separate_z_anisotropy_threshold");
    if !threshold.is_null() && (threshold.number()? - 3.0).abs() > 1e-9 {
        return Err(threshold.error("3"));
    }
    let order = |name: &str, default: u8| {
        let field = arguments.get(name);
        if field.value.is_none() {
            return Ok(default);
        }
        u8::try_from(field.count()?).map_err(|_| field.error("a spline order"))
    };
    let separate = arguments.get("force_separate_z");
    let force_separate_z = match separate.value {
        None => Some(false),
        Some(Value::Null) => None,
        Some(_) => Some(separate.flag()?),
    };
    Ok(Resampling { order: order("order", 3)?, order_z: order("order_z", 0)?, force_separate_z })
}

/// One entry of `labels`: a name, and the value or the values of a region.
type Entry<'a> = (&'a str, Vec<u8>, Field<'a>);

fn labels(dataset: &Field<'_>, bytes: &[u8]) -> Result<(Vec<Label>, Outputs)> {
    let field = dataset.get("labels");
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for (name, value) in field.members()? {
        // Trained around, never predicted.
        if name != "ignore" {
            entries.push((name, label_values(&value)?, value));
        }
    }
    let background = entries.iter().find(|(name, ..)| *name == "background");
    if background.is_none_or(|(_, values, _)| *values != [0]) {
        return Err(field.error("`background` with the value 0"));
    }
    if entries.iter().any(|(_, values, _)| values.len() > 1) {
        return regions(dataset, entries, bytes);
    }
    let mut labels: Vec<Label> = entries
        .iter()
        .filter_map(|(name, values, _)| {
            values.first().map(|value| Label { name: (*name).to_owned(), value: *value })
        })
        .filter(|label| label.value > 0)
        .collect();
    labels.sort_by_key(|label| label.value);
    // Two names of one value are one output channel.
    labels.dedup_by_key(|label| label.value);
    let count = labels.len() + 1;
    Ok((labels, Outputs::Classes { count }))
}

fn label_values(field: &Field<'_>) -> Result<Vec<u8>> {
    let value = |field: &Field<'_>| {
        let number = match field.value {
            Some(Value::String(text)) => text.parse().ok(),
            _ => field.count().ok(),
        };
        number
            .and_then(|number| u8::try_from(number).ok())
            .ok_or_else(|| field.error("a value from 0 to 255"))
    };
    if field.value.is_some_and(Value::is_array) {
        return field.items()?.iter().map(value).collect();
    }
    Ok(vec![value(field)?])
}

/// Regions in the order of the file, each painted with the value at its place in `regions_class_order`.
fn regions(dataset: &Field<'_>, mut entries: Vec<Entry<'_>>, bytes: &[u8]) -> Result<(Vec<Label>, Outputs)> {
    let written = written_order(bytes)?;
    entries.sort_by_key(|(name, ..)| written.iter().position(|written| written == name));
    let names: Vec<&str> = entries
        .iter()
        .filter(|(_, values, _)| values.iter().any(|value| *value != 0))
        .map(|(name, ..)| *name)
        .collect();
    let order = dataset.get("regions_class_order");
    let values = order.items()?.iter().map(label_values).collect::<Result<Vec<_>>>()?.concat();
    if values.len() != names.len() {
        return Err(order.error("as many values as `labels` has regions"));
    }
    let mut labels: Vec<Label> = names
        .iter()
        .zip(&values)
        .map(|(name, value)| Label { name: (*name).to_owned(), value: *value })
        .collect();
    labels.sort_by_key(|label| label.value);
    Ok((labels, Outputs::Regions { values }))
}

/// The names of `labels` in the order of the file, which is the order of the network's outputs; serde_json's own
/// objects are sorted.
fn written_order(dataset: &[u8]) -> Result<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Dataset {
        labels: Names,
    }
    let dataset: Dataset =
        serde_json::from_slice(dataset).map_err(|source| Error::Json { file: "dataset.json", source })?;
    Ok(dataset.labels.0)
}

struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Names, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Names;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("labels by name")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Names, M::Error> {
                let mut names = Vec::new();
                while let Some((name, IgnoredAny)) = map.next_entry()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests;
