//! From nnU-Net's checkpoint to an installed task: imported, held to nnU-Net's own answer, measured, described, kept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use engine::{ImportRequest, ModelStore};
use imaging::Progress;
use serde_json::json;
use training::{Card, GateResult, Parity, Score};

use super::cases::{self, Runner};
use super::plan::Plan;
use super::points;
use super::process::Trained;
use crate::cli::Context;
use crate::{Error, Result, output};

/// The name of the model in its training's own store, while nobody knows yet whether it is good.
const CANDIDATE: &str = "candidate";
/// Share of differing voxels from which on the two engines do not agree: single voxels of a tie may differ.
const MOST_DIFFERING: f64 = 1e-4;

/// The model of a training in a store of its own.
pub(super) fn import(trained: &Trained, progress: &Progress) -> Result<ModelStore> {
    let store = ModelStore::new(trained.run.join("models"), Vec::new());
    let request = ImportRequest { name: Some(CANDIDATE.to_owned()), ..ImportRequest::default() };
    store.import(&trained.folder, &request, progress)?;
    Ok(store)
}

/// Segments cases with the candidate.
pub(super) fn runner(store: &ModelStore, plan: &Plan<'_>, context: &Context) -> Result<Runner> {
    Runner::new(store.clone(), CANDIDATE, plan.dataset, context)
}

/// Does everything that is left, and installs the model; its name, or the training's folder, is the answer.
pub(super) fn finish(
    plan: &Plan<'_>,
    trained: &Trained,
    gate: Option<GateResult>,
    progress: &Progress,
    context: &Context,
) -> Result<String> {
    let dataset = plan.dataset;
    let store = import(trained, progress)?;
    let runner = runner(&store, plan, context)?;
    let parity = parity(plan, trained, &runner, progress, context)?;
    let [train, validation] = parts(plan);
    // Thresholds are for whoever uses the model.
    let points = match plan.train.no_install {
        true => Vec::new(),
        false => points::measure(&runner, dataset, &validation, progress)?,
    };
    let test = test(plan, &runner, progress, context)?;
    let versions = json!({ "vesalius": env!("CARGO_PKG_VERSION"), "training": trained.versions });
    let card = Card {
        purpose: "research only; not for diagnosis or treatment, not a medical device".to_owned(),
        dataset: dataset.name.clone(),
        dataset_sha256: dataset.sha256.clone(),
        cases: [train.len(), validation.len(), dataset.tests.len()],
        data_licence: plan.train.data_licence.clone(),
        configuration_sha256: plan.configuration_sha256(&versions),
        settings: serde_json::to_value(&plan.job.settings).unwrap_or_default(),
        budget: plan.job.settings.budget(),
        seed: plan.job.seed,
        fold: plan.job.fold.clone(),
        start: plan.train.from.clone().zip(plan.job.start_sha256.clone()).map(|(id, hash)| [id, hash]),
        versions,
        parity: Some(parity),
        test,
        operating_points: points,
        gate,
    };
    let (_, mut model) = store.read(CANDIDATE, progress)?;
    model.source.licence = Some(format!("research only; data: {}", plan.train.data_licence));
    model.source.card = serde_json::to_value(&card).ok();
    super::process::write(
        &plan.run.join("card.json"),
        &serde_json::to_vec_pretty(&card).map_err(|error| Error::Output(error.into()))?,
    )?;
    tell(&card, plan, context);
    if plan.train.no_install {
        return Ok(plan.run.display().to_string());
    }
    Ok(context.store().keep(&plan.name, &model)?.id)
}

/// Cases that the training learned from and validated on.
pub(super) fn parts(plan: &Plan<'_>) -> [Vec<String>; 2] {
    let fold = plan.job.fold.as_u64().and_then(|fold| usize::try_from(fold).ok());
    let of = |splits: &serde_json::Value, fold: usize, key: &str| -> Vec<String> {
        let names = splits[fold][key].as_array().into_iter().flatten();
        names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
    };
    match (fold, &plan.job.splits) {
        (Some(fold), Some(splits)) => [of(splits, fold, "train"), of(splits, fold, "val")],
        (Some(fold), None) => {
            plan.dataset.fold(fold).unwrap_or_else(|| [plan.dataset.cases.clone(), Vec::new()])
        }
        (None, _) => [plan.dataset.cases.clone(), Vec::new()],
    }
}

/// Our labels of one case against those of nnU-Net itself.
fn parity(
    plan: &Plan<'_>,
    trained: &Trained,
    runner: &Runner,
    progress: &Progress,
    context: &Context,
) -> Result<Parity> {
    progress.step("comparing with nnU-Net", 0, 0)?;
    let ending = &plan.dataset.ending;
    let results = trained.folder.ancestors().nth(2).unwrap_or(Path::new("."));
    let theirs = cases::read(&results.join("parity").join(format!("nnunet{ending}")))?;
    let ours = runner.segment(&plan.job.parity_case, None, progress)?.map;
    let differing = ours.labels.iter().zip(&theirs.labels).filter(|(a, b)| a != b).count() as u64;
    let voxels = ours.labels.len() as u64;
    let first = plan.job.parity_case.first().and_then(|path| path.file_name());
    let name = first.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let case = name.trim_end_matches(ending.as_str()).trim_end_matches("_0000").to_owned();
    context.display.note(&format!(
        "parity with nnU-Net on `{case}`: {differing} of {voxels} voxels differ ({} labelled)",
        theirs.labels.iter().filter(|label| **label != 0).count()
    ));
    if ours.grid.size != theirs.grid.size || differing as f64 > MOST_DIFFERING * voxels as f64 {
        return Err(Error::refused(
            format!(
                "nnU-Net and this program do not agree on `{case}`: {differing} of {voxels} voxels differ"
            ),
            format!("the model is not installed; both answers are in `{}`", trained.run.display()),
        ));
    }
    Ok(Parity { case, differing, voxels })
}

/// Segments the test cases, writes the report, and gives each structure's mean Dice.
fn test(
    plan: &Plan<'_>,
    runner: &Runner,
    progress: &Progress,
    context: &Context,
) -> Result<BTreeMap<String, Score>> {
    let dataset = plan.dataset;
    if dataset.tests.is_empty() {
        return Ok(BTreeMap::new());
    }
    let folder = plan.run.join("test").join("predictions");
    let mut dices: BTreeMap<u8, Vec<f64>> = BTreeMap::new();
    for (done, case) in dataset.tests.iter().enumerate() {
        progress.step("segmenting the test cases", done as u64, dataset.tests.len() as u64)?;
        let found = runner.segment(&dataset.images(case, "Ts"), None, progress)?;
        let truth = cases::read(&dataset.truth(case, "Ts"))?;
        let overlaps = cases::overlaps(&truth, &found.map, dataset.ignore)?;
        if let Some((_, of)) = cases::dice(&overlaps, &runner.known()) {
            of.into_iter().for_each(|(label, dice)| dices.entry(label).or_default().push(dice));
        }
        found.write(&folder.join(format!("{case}{}", dataset.ending)))?;
    }
    report(plan, &folder, context)?;
    let name = |label: u8| dataset.labels.get(&label).cloned().unwrap_or_else(|| label.to_string());
    let score =
        |dices: Vec<f64>| Score { dice: dices.iter().sum::<f64>() / dices.len() as f64, n: dices.len() };
    Ok(dices.into_iter().map(|(label, dices)| (name(label), score(dices))).collect())
}

/// `vesalius evaluate` on the test cases.
fn report(plan: &Plan<'_>, predictions: &Path, context: &Context) -> Result<()> {
    let text = |path: PathBuf| path.display().to_string();
    let arguments = [
        "--truth".to_owned(),
        text(plan.dataset.folder().join("labelsTs")),
        "--prediction".to_owned(),
        format!("{}={}", plan.name, predictions.display()),
        "--labels".to_owned(),
        text(plan.dataset.folder().join("dataset.json")),
        "--title".to_owned(),
        format!("Test cases of {}", plan.name),
        "-o".to_owned(),
        text(plan.run.join("test")),
    ];
    let mut line = vec!["evaluate".to_owned()];
    line.extend(arguments);
    crate::cli::run_quietly(&line, context)
}

/// What the user reads at the end.
fn tell(card: &Card, plan: &Plan<'_>, context: &Context) {
    let [train, validation, test] = card.cases;
    context.display.note(&format!(
        "`{}`: {} steps on {train} cases, validated on {validation}, tested on {test}",
        plan.name, card.budget
    ));
    for (name, score) in &card.test {
        context.display.note(&format!("test, {name}: mean Dice {:.3} (n = {})", score.dice, score.n));
    }
    if !card.operating_points.is_empty() {
        let mut rows = vec![
            ["THRESHOLD", "DICE", "SENSITIVITY", "PRECISION", "FALSE ML", "N", "NAME"]
                .map(str::to_owned)
                .to_vec(),
        ];
        rows.extend(card.operating_points.iter().map(|point| {
            vec![
                format!("{}", point.threshold),
                format!("{:.3}", point.dice),
                format!("{:.3}", point.sensitivity),
                format!("{:.3}", point.precision),
                format!("{:.2}", point.false_ml_per_case),
                point.n.to_string(),
                point.name.clone().unwrap_or_default(),
            ]
        }));
        context.display.note(output::table(&rows, &[0, 1, 2, 3, 4, 5]).trim_end());
    }
    context.display.note(&format!("card, curve and report: `{}`", plan.run.display()));
}
