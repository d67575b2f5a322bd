//! Places that hold several series, such as a diffusion series and the ADC map that was made of it: which one is meant.

use std::collections::BTreeSet;
use std::path::Path;

use formats::dicom::Summary;
use formats::{Image, ReadOptions};
use imaging::Progress;

use crate::cli::Context;
use crate::{Error, Result};

/// What decides between series.
const KEY: &str = "SeriesInstanceUID";
/// Words that tell a map computed of a diffusion series from the series itself.
const MAPS: [&str; 7] = ["ADC", "DADC", "EADC", "EXP", "FA", "COLFA", "TENSOR"];
/// Words for a diffusion-weighted series.
const DIFFUSION: [&str; 6] = ["DWI", "TRACE", "TRACEW", "DIFF", "DIFFUSION", "ISODWI"];

/// Reads the image for a channel; of several series in one place, the one that is called like the channel.
pub(super) fn read(
    path: &Path,
    channel: Option<&str>,
    options: &ReadOptions,
    progress: &Progress,
    context: &Context,
) -> Result<Image> {
    let (error, name) = match (formats::read(path, options, progress), channel) {
        (Err(error), Some(name)) if !error.choices().is_empty() => (error, name),
        (read, _) => return Ok(read?),
    };
    if options.resolve.contains_key(KEY) || error.choices().iter().any(|choice| choice.key != KEY) {
        let choices = error.choices().iter();
        let ways = choices.map(|choice| (choice.key, choice.value.as_str(), choice.label.clone()));
        return Err(Error::refused(format!("{name}: {error}"), hint(name, ways)));
    }
    let series = formats::list_series(path, options, progress)?;
    let volumes: Vec<&Summary> = series.iter().filter(|series| series.slices > 1).collect();
    let candidates: Vec<&Summary> = volumes.iter().copied().filter(|series| is(name, series)).collect();
    if let [one] = candidates[..] {
        context.display.note(&format!("note: {name} is the series of {}", label(one)));
        let options = options.clone().resolved(KEY, &one.series_instance_uid.0);
        return Ok(formats::read(path, &options, progress)?);
    }
    let number = match candidates.len() {
        0 => "none of them is".to_owned(),
        number => format!("{number} of them are"),
    };
    let message =
        format!("`{}` holds {} series, and {number} called like {name}", path.display(), volumes.len());
    let ways = if candidates.is_empty() { volumes } else { candidates };
    let ways = ways.iter().map(|series| (KEY, series.series_instance_uid.0.as_str(), label(series)));
    Err(Error::refused(message, hint(name, ways)))
}

/// Whether a place holds more than one series that could be a volume.
pub(super) fn are_several(path: &Path, progress: &Progress) -> bool {
    let series = formats::list_series(path, &ReadOptions::default(), progress);
    series.is_ok_and(|series| series.iter().filter(|series| series.slices > 1).count() > 1)
}

/// The ways out of an ambiguity, as flags to copy.
fn hint<'a>(name: &str, ways: impl Iterator<Item = (&'a str, &'a str, String)>) -> String {
    let mut hint = "choose what is right and run again with one of".to_owned();
    for (key, value, label) in ways {
        hint.push_str(&format!("\n  --choose {name}:{key}={value}   {label}"));
    }
    hint
}

fn label(series: &Summary) -> String {
    let Summary { modality, slices, description, .. } = series;
    format!("{slices} slices, {modality} `{}`", description.0)
}

/// Whether a series is called like a channel, by its description and image type.
fn is(channel: &str, series: &Summary) -> bool {
    let channel = channel.to_ascii_uppercase();
    let texts = series.image_types.iter().chain([&series.description.0]);
    let words: BTreeSet<String> = texts
        .flat_map(|text| text.split(|c: char| !c.is_alphanumeric()))
        .map(str::to_uppercase)
        .filter(|word| !word.is_empty())
        .collect();
    let has = |wanted: &[&str]| wanted.iter().any(|word| words.contains(*word));
    let is_adc = has(&["ADC", "DADC"]) || (has(&["APPARENT"]) && has(&["DIFFUSION"]));
    match channel.as_str() {
        "ADC" => is_adc,
        "DWI" | "TRACE" | "DIFFUSION" | "B1000" => {
            !is_adc && !has(&MAPS) && (has(&DIFFUSION) || series.is_weighted)
        }
        other => has(&[other, &format!("{other}W")]),
    }
}

#[cfg(test)]
mod tests {
    use formats::dicom::Withheld;

    use super::*;

    #[test]
    fn series_are_told_by_what_scanners_call_them() {
        let series = |description: &str, image_type: &str, is_weighted: bool| Summary {
            series_instance_uid: Withheld("1.2".into()),
            modality: "MR".into(),
            series_number: None,
            description: Withheld(description.into()),
            slices: 24,
            matrix: None,
            image_types: [image_type.to_owned()].into(),
            is_weighted,
        };
        for (description, image_type, is_weighted, expected) in [
            ("ep2d_diff_3scan_trace_p2_ADC", "DERIVED\\PRIMARY\\DIFFUSION\\ADC\\ND", false, "ADC"),
            ("ep2d_diff_3scan_trace_p2_TRACEW", "DERIVED\\PRIMARY\\DIFFUSION\\TRACEW\\ND", true, "DWI"),
            ("Apparent Diffusion Coefficient (mm2/s)", "DERIVED\\SECONDARY\\OTHER", false, "ADC"),
            ("dADC", "DERIVED\\PRIMARY\\M", false, "ADC"),
            ("eADC", "DERIVED\\PRIMARY\\M", false, ""),
            ("Ax DWI Asset", "ORIGINAL\\PRIMARY\\OTHER", true, "DWI"),
            ("Reg - sDIFF", "ORIGINAL\\PRIMARY\\M_SE", true, "DWI"),
            ("t2_flair_tra", "ORIGINAL\\PRIMARY\\M", false, "FLAIR T2"),
            ("T1w MPRAGE", "ORIGINAL\\PRIMARY\\M", false, "T1"),
        ] {
            let series = series(description, image_type, is_weighted);
            let found: Vec<&str> =
                ["ADC", "DWI", "FLAIR", "T1", "T2"].into_iter().filter(|name| is(name, &series)).collect();
            assert_eq!(found.join(" "), expected, "{description}");
        }
    }
}
