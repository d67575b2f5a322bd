//! The quality sheet: what was made of what, how well, and how it looks.

use std::fmt::Write;
use std::path::Path;

use imaging::Progress;
use stroke::{Rejection, Tile};

use super::making::Record;
use super::recipe::Recipe;
use crate::cli::Context;
use crate::staging::Staging;
use crate::{Error, Result};

/// Tiles side by side.
const COLUMNS: usize = 2;
/// Cases that were given up are told one by one up to so many; `cases.jsonl` has all.
const MOST_TOLD: usize = 5;
/// Pixels between tiles.
const GAP: usize = 6;

/// What lies on disk, and what it was made of.
pub(super) struct Made {
    pub(super) recipe: Recipe,
    pub(super) records: Vec<Record>,
    pub(super) tiles: Vec<Tile>,
}

/// Writes everything but the cases; `synth.json` last, so that it says the folder is whole.
pub(super) fn write(made: &mut Made, output: &Path, progress: &Progress) -> Result<()> {
    let given_up = made.records.iter().filter(|record| record.quality.is_none()).count();
    let recipe = &mut made.recipe;
    (recipe.made, recipe.given_up) = (made.records.len() - given_up, given_up);
    recipe.rejected_draws = made.records.iter().map(|record| record.rejected.len()).sum();
    let recipe = recipe.bytes()?;
    let json = |error: serde_json::Error| Error::Output(error.into());
    let mut lines = String::new();
    for record in &made.records {
        lines.push_str(&serde_json::to_string(record).map_err(json)?);
        lines.push('\n');
    }
    let mut staging = Staging::new();
    let mut files =
        vec![("cases.jsonl", lines.into_bytes()), ("quality.csv", quality(&made.records).into_bytes())];
    if let Some(montage) = montage(made)? {
        files.push(("montage.png", montage));
    }
    files.push(("synth.json", recipe));
    for (name, bytes) in files {
        let aside = staging.path(&output.join(name))?;
        std::fs::write(&aside, bytes).map_err(|error| Error::write(&aside, error))?;
    }
    progress.step("finishing", 0, 0)?;
    staging.commit().map(|_| ())
}

/// One line per case.
fn quality(records: &[Record]) -> String {
    let mut text = String::from(
        "name,normal,donors,brain_dice,donor_ml,expected_ml,label_ml,kept,donor_contrast,contrast,\
         donor_contrast_near,contrast_near,adc_contrast,donor_increase,increase,gain,threshold,rejected_draws,given_up\n",
    );
    for record in records {
        let dice = record.registration.iter().map(|found| found.dice).fold(f64::INFINITY, f64::min);
        let _ = write!(text, "{},{},{},", record.name, record.normal, record.donors.join("+"));
        match &record.quality {
            Some(found) => {
                let adc = found.adc_contrast.map_or_else(String::new, |adc| format!("{adc:.4}"));
                let _ = write!(
                    text,
                    "{dice:.4},{:.4},{:.4},{:.4},{:.4},{:.4},{:.4},{:.4},{:.4},{adc},{:.4},{:.4},{:.4},{:.3}",
                    found.donor_ml,
                    found.expected_ml,
                    found.label_ml,
                    found.kept,
                    found.donor_contrast.rest,
                    found.contrast.rest,
                    found.donor_contrast.surroundings,
                    found.contrast.surroundings,
                    found.donor_increase,
                    found.increase,
                    found.gain,
                    found.threshold
                );
            }
            None => text.push_str(",,,,,,,,,,,,,"),
        }
        let _ = writeln!(text, ",{},{}", record.rejected.len(), u8::from(record.quality.is_none()));
    }
    text
}

/// The tiles, row by row: before, after, and the outline.
fn montage(made: &Made) -> Result<Option<Vec<u8>>> {
    let Some(first) = made.tiles.first() else { return Ok(None) };
    let columns = COLUMNS.min(made.tiles.len());
    let rows = made.tiles.len().div_ceil(columns);
    let (width, height) = (columns * (first.width + GAP) - GAP, rows * (first.height + GAP) - GAP);
    let mut rgb = vec![40u8; width * height * 3];
    for (n, tile) in made.tiles.iter().enumerate() {
        let (top, left) = (n / columns * (first.height + GAP), n % columns * (first.width + GAP));
        for (row, line) in tile.rgb.chunks_exact(tile.width * 3).enumerate() {
            let start = ((top + row) * width + left) * 3;
            rgb[start..start + line.len()].copy_from_slice(line);
        }
    }
    let names: Vec<&str> =
        made.records.iter().take(made.tiles.len()).map(|record| record.name.as_str()).collect();
    let text = format!("normal, synthetic, synthetic with outline: {}", names.join(", "));
    Ok(Some(formats::png::encode_rgb(width, height, &rgb, &[("Description", &text)])?))
}

/// Tells how it went.
pub(super) fn tell(made: &Made, seconds: f64, context: &Context) {
    let members = made.recipe.donors.iter().chain(&made.recipe.normals);
    for (case, why) in members.filter_map(|one| Some((&one.case, one.refused.as_ref()?))) {
        context.display.warning(&format!("`{case}` is not used: {why}"));
    }
    let found: Vec<_> = made.records.iter().filter_map(|record| record.quality.as_ref()).collect();
    let median = |value: &dyn Fn(&stroke::Quality) -> f64| {
        let mut values: Vec<f64> = found.iter().map(|quality| value(quality)).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    context.display.note(&format!(
        "{} cases in {seconds:.1} s; contrast over the donor's {:.3}, label over expected volume {:.3} (medians)",
        found.len(),
        median(&|quality| quality.contrast.rest / quality.donor_contrast.rest),
        median(&|quality| quality.label_ml / quality.expected_ml),
    ));
    rejections(made, context);
}

/// Tells what was rejected, and why.
fn rejections(made: &Made, context: &Context) {
    let rejected: Vec<&Rejection> = made.records.iter().flat_map(|record| &record.rejected).collect();
    if let Some(last) = rejected.last() {
        let count = |which: &dyn Fn(&Rejection) -> bool| rejected.iter().filter(|one| which(one)).count();
        let contrast = count(&|one| matches!(one, Rejection::Contrast { .. } | Rejection::Strength { .. }));
        let volume = count(&|one| matches!(one, Rejection::Volume { .. } | Rejection::Outside { .. }));
        context.display.note(&format!(
            "{} draws were rejected and drawn again: {contrast} for their contrast, {volume} for their volume, {} for \
             other reasons; the last: {last}",
            rejected.len(),
            rejected.len() - contrast - volume,
        ));
    }
    for record in made.records.iter().filter(|record| record.quality.is_none()).take(MOST_TOLD) {
        let why = record.rejected.last().map(ToString::to_string).unwrap_or_default();
        let draws = record.rejected.len();
        context.display.warning(&format!(
            "`{}` was given up; {draws} draws were rejected, the last: {why}",
            record.name
        ));
    }
}
