//! Learning from corrected cases in rounds, each model measured on cases that none had seen, and the gate at the end.

use std::collections::BTreeMap;
use std::path::Path;

use imaging::Progress;
use serde_json::{Value, json};
use training::{GateResult, Job, Point};

use super::cases::{self, Runner};
use super::plan::Plan;
use super::{finish, process};
use crate::cli::Context;
use crate::{Error, Result};

/// A model may be so much worse in mean Dice, and no more.
const MARGIN: f64 = 0.005;

/// A case that neither model had seen, scored by both.
#[derive(Debug, Clone)]
struct Scored {
    case: String,
    /// Mean Dice of the model that was trained on, and of the one before.
    new: f64,
    old: f64,
    /// New minus old, by label.
    by_label: BTreeMap<u8, f64>,
    /// Millilitres that are missing or too many, of the new model and of the one before.
    wrong_ml: [f64; 2],
    /// Seconds of correction, where they were recorded from what the model before had found.
    seconds: Option<f64>,
}

/// Trains in rounds of `batch` cases; installs the last model if it passes.
pub(super) fn prequential(
    plan: &Plan<'_>,
    batch: usize,
    progress: &Progress,
    context: &Context,
) -> Result<String> {
    let old_id = plan.train.from.clone().unwrap_or_default();
    let (order, seconds) = order(plan, &old_id);
    let rounds = order.len().checked_sub(1).map_or(0, |most| most / batch.max(1));
    if rounds == 0 {
        return Err(Error::refused(
            format!("{} cases are too few for rounds of {batch}", order.len()),
            "a round learns from one batch and is measured on the next: correct more cases, or take smaller batches",
        ));
    }
    let splits = splits(&order, batch, rounds);
    let old = Runner::new(context.store(), &old_id, plan.dataset, context)?;
    let (mut points, mut all): (Vec<Point>, Vec<Scored>) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let run = plan.run.join(format!("round{}", round + 1));
        let job = job(plan, &splits, round, &run);
        let trained = process::train(plan, &job, &run, progress, context)?;
        let store = finish::import(&trained, progress)?;
        let new = finish::runner(&store, plan, context)?;
        let next = &order[(round + 1) * batch..((round + 2) * batch).min(order.len())];
        let mut scored = score(plan, next, &new, &old, progress)?;
        scored.iter_mut().for_each(|one| one.seconds = seconds.get(&one.case).copied());
        points.push(point((round + 1) * batch, &scored));
        all.extend(scored);
        draw(plan, &points, &old_id)?;
        let Some(point) = points.last() else { continue };
        context.display.note(&format!(
            "after {} corrected cases: mean Dice {:.4} on the next {} (`{old_id}`: {:.4}); {:.1} mL a case to correct \
             ({:.1}){}",
            point.cases,
            point.new,
            point.n,
            point.old,
            point.wrong_ml[0],
            point.wrong_ml[1],
            effort(point)
        ));
    }
    let result = gate(plan, &all);
    let text = serde_json::to_vec_pretty(&result).map_err(|error| Error::Output(error.into()))?;
    process::write(&plan.run.join("gate.json"), &text)?;
    tell(&result, &old_id, context);
    if !result.passed {
        return Err(refusal(&result, &old_id, &plan.run));
    }
    let run = plan.run.join("final");
    let job = job(plan, &splits, rounds, &run);
    let trained = process::train(plan, &job, &run, progress, context)?;
    let last = Plan { job, run: plan.run.clone(), name: plan.name.clone(), ..*plan };
    finish::finish(&last, &trained, Some(result), progress, context)
}

/// The cases in the order in which they were corrected, by `corrections.jsonl`, and by name where there is none; and the
/// seconds that each took, where model `old` had found what was corrected.
fn order(plan: &Plan<'_>, old: &str) -> (Vec<String>, BTreeMap<String, f64>) {
    let path = plan.dataset.folder().join("corrections.jsonl");
    let (mut order, mut seconds) = (Vec::new(), BTreeMap::new());
    for line in std::fs::read_to_string(path).unwrap_or_default().lines() {
        let Ok(value) = serde_json::from_str::<Value>(line) else { continue };
        let Some(case) =
            value["case"].as_str().filter(|case| plan.dataset.cases.iter().any(|one| one == case))
        else {
            continue;
        };
        if !order.iter().any(|one| one == case) {
            order.push(case.to_owned());
        }
        // Seconds tell of the model that found what was corrected.
        let models = value["models"].as_array();
        let by_old = models.is_some_and(|models| models.iter().any(|model| model["id"] == old));
        if let Some(spent) = value["seconds"].as_f64().filter(|_| by_old) {
            *seconds.entry(case.to_owned()).or_insert(0.0) += spent;
        }
    }
    let rest: Vec<String> = plan.dataset.cases.iter().filter(|case| !order.contains(case)).cloned().collect();
    order.extend(rest);
    (order, seconds)
}

/// One fold for each round, and one for the end that learns from all; it validates on the last batch for its log only.
fn splits(order: &[String], batch: usize, rounds: usize) -> Value {
    let mut folds: Vec<Value> = (1..=rounds)
        .map(|round| {
            let (before, after) = order.split_at(round * batch);
            json!({ "train": before, "val": after.iter().take(batch).collect::<Vec<_>>() })
        })
        .collect();
    folds.push(json!({ "train": order, "val": order.iter().rev().take(batch).collect::<Vec<_>>() }));
    Value::Array(folds)
}

fn job(plan: &Plan<'_>, splits: &Value, round: usize, run: &Path) -> Job {
    let mut job = Job {
        splits: Some(splits.clone()),
        fold: json!(round),
        results: run.join("results"),
        ..plan.job.clone()
    };
    // Other rounds than the data set's own folds: preprocessed apart, since nnU-Net keeps the splits there.
    job.preprocessed = plan.job.preprocessed.with_file_name(super::plan::key(&job));
    job
}

/// Both models on cases that neither had seen.
fn score(
    plan: &Plan<'_>,
    cases: &[String],
    new: &Runner,
    old: &Runner,
    progress: &Progress,
) -> Result<Vec<Scored>> {
    let dataset = plan.dataset;
    let known: Vec<u8> = new.known().into_iter().filter(|label| old.known().contains(label)).collect();
    let mut scored = Vec::new();
    for (done, case) in cases.iter().enumerate() {
        progress.step("measuring on the next cases", done as u64, cases.len() as u64)?;
        let truth = cases::read(&dataset.truth(case, "Tr"))?;
        let voxel_ml = truth.grid.determinant().abs() / 1000.0;
        let measure = |runner: &Runner| -> Result<_> {
            let found = runner.segment(&dataset.images(case, "Tr"), None, progress)?.map;
            let overlaps = cases::overlaps(&truth, &found, dataset.ignore)?;
            let wrong = |overlap: &evaluation::Overlap| overlap.truth + overlap.prediction - 2 * overlap.both;
            let of_known = overlaps.iter().filter(|(label, _)| known.contains(label));
            let wrong: u64 = of_known.map(|(_, overlap)| wrong(overlap)).sum();
            Ok((cases::dice(&overlaps, &known), wrong as f64 * voxel_ml))
        };
        let ((new, new_ml), (old, old_ml)) = (measure(new)?, measure(old)?);
        if let (Some((new, by_new)), Some((old, by_old))) = (new, old) {
            let difference = |(label, dice): (u8, f64)| Some((label, dice - by_old.get(&label)?));
            scored.push(Scored {
                case: case.clone(),
                new,
                old,
                by_label: by_new.into_iter().filter_map(difference).collect(),
                wrong_ml: [new_ml, old_ml],
                seconds: None,
            });
        }
    }
    Ok(scored)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

fn interval(differences: impl Iterator<Item = f64>) -> Option<[f64; 2]> {
    evaluation::bootstrap_mean(&differences.enumerate().collect::<Vec<_>>())
}

fn point(cases: usize, scored: &[Scored]) -> Point {
    let of_all = |value: &dyn Fn(&Scored) -> f64| mean(scored.iter().map(value));
    let recorded: Vec<f64> = scored.iter().filter_map(|one| one.seconds).collect();
    let saved: Vec<f64> = scored.iter().filter_map(Scored::saved).collect();
    let some = |values: &[f64]| (!values.is_empty()).then(|| mean(values.iter().copied()));
    Point {
        cases,
        n: scored.len(),
        new: of_all(&|one| one.new),
        old: of_all(&|one| one.old),
        interval: interval(scored.iter().map(|one| one.new - one.old)),
        wrong_ml: [0, 1].map(|model| of_all(&|one| one.wrong_ml[model])),
        seconds: some(&recorded),
        saved: some(&saved),
    }
}

impl Scored {
    /// Seconds that the new model would have saved in this case, at the pace at which the old one's labels were
    /// corrected: looking costs nothing in this estimate, and every millilitre the same.
    fn saved(&self) -> Option<f64> {
        let [new, old] = self.wrong_ml;
        self.seconds.filter(|_| old > 0.0).map(|seconds| seconds * (1.0 - new / old))
    }
}

/// Passes when the interval of the mean difference lies above the margin; with too few cases for one, the mean itself.
fn gate(plan: &Plan<'_>, scored: &[Scored]) -> GateResult {
    let differences = || scored.iter().map(|one| one.new - one.old);
    let (difference, interval) = (mean(differences()), interval(differences()));
    let mut structures = BTreeMap::new();
    for (label, name) in &plan.dataset.labels {
        let of: Vec<f64> = scored.iter().filter_map(|one| one.by_label.get(label)).copied().collect();
        if !of.is_empty() {
            structures.insert(name.clone(), mean(of.iter().copied()));
        }
    }
    GateResult { difference, interval, n: scored.len(), structures, passed: passes(difference, interval) }
}

/// Not shown to be worse by more than the margin: neither the mean, nor where the interval still reaches.
fn passes(difference: f64, interval: Option<[f64; 2]>) -> bool {
    difference >= -MARGIN && interval.is_none_or(|[low, _]| low >= -MARGIN)
}

/// Seconds that were spent, and saved by estimate.
fn effort(point: &Point) -> String {
    let (Some(seconds), Some(saved)) = (point.seconds, point.saved) else { return String::new() };
    let saved = if saved >= 0.0 { format!("{saved:.0} s fewer") } else { format!("{:.0} s more", -saved) };
    format!("; {seconds:.0} s a case were spent, by estimate {saved} now")
}

fn draw(plan: &Plan<'_>, points: &[Point], old: &str) -> Result<()> {
    let title = format!("{}: learning from corrected cases", plan.name);
    let notes = format!(
        "Each point: the model trained on from `{old}` on that many corrected cases, measured on the next ones, which \
         no model had seen."
    );
    let page = training::learning_curve(points, &title, &notes);
    process::write(&plan.run.join("learning.html"), page.as_bytes())?;
    let text = serde_json::to_vec_pretty(points).map_err(|error| Error::Output(error.into()))?;
    process::write(&plan.run.join("learning.json"), &text)
}

fn tell(result: &GateResult, old: &str, context: &Context) {
    let interval = result
        .interval
        .map_or_else(String::new, |[low, high]| format!(", 95 % interval {low:+.4} to {high:+.4}"));
    context.display.note(&format!(
        "gate: mean Dice {:+.4} against `{old}` over {} cases{interval}; least that passes: {:+}: {}",
        result.difference,
        result.n,
        -MARGIN,
        if result.passed { "passed" } else { "refused" }
    ));
    for (name, difference) in &result.structures {
        let worse = if *difference < -MARGIN { "  worse" } else { "" };
        context.display.note(&format!("  {name}: {difference:+.4}{worse}"));
    }
    let worse = worse(result);
    if result.passed && !worse.is_empty() {
        context.display.note(&format!(
            "what became worse, the old model still tells: `vesalius segment --task {old} -rs {}`",
            worse.join(" ")
        ));
    }
}

/// Structures whose mean Dice fell by more than the margin.
fn worse(result: &GateResult) -> Vec<&str> {
    let is_worse = |(_, difference): &(&String, &f64)| **difference < -MARGIN;
    result.structures.iter().filter(is_worse).map(|(name, _)| name.as_str()).collect()
}

/// Why the model was not installed, and what to do about it.
fn refusal(result: &GateResult, old: &str, run: &Path) -> Error {
    let worse = worse(result);
    let where_to = format!("`{old}` stays as it was; curve and numbers are in `{}`", run.display());
    let what = format!("the new model is not good enough to replace `{old}`, and was not installed");
    if worse.is_empty() {
        return Error::refused(
            format!("{what}: over {} cases it cannot be told from a worse one", result.n),
            format!("correct more cases and train again; {where_to}"),
        );
    }
    Error::refused(
        format!("{what}: worse at {}", worse.join(", ")),
        format!("correct more cases that hold {}, and train again; {where_to}", worse.join(", ")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_refuses_what_may_be_worse() {
        for (difference, interval, passed) in [
            (0.02, Some([0.001, 0.04]), true),
            (0.0, Some([-0.004, 0.004]), true),
            (0.01, Some([-0.02, 0.04]), false),
            (-0.01, Some([-0.02, 0.0]), false),
            (-0.004, None, true),
            (-0.006, None, false),
        ] {
            assert_eq!(passes(difference, interval), passed, "{difference} {interval:?}");
        }
    }

    #[test]
    fn a_refusal_names_the_structures_and_the_way_out() {
        let result = |worse: f64| GateResult {
            difference: -0.01,
            interval: None,
            n: 8,
            structures: BTreeMap::from([("liver".to_owned(), worse), ("spleen".to_owned(), 0.02)]),
            passed: false,
        };
        let said = |worse: f64| format!("{:?}", refusal(&result(worse), "total", Path::new("run")));
        let text = said(-0.02);
        assert!(
            text.contains("worse at liver\"") && text.contains("more cases that hold liver, and"),
            "{text}"
        );
        assert!(text.contains("`total` stays as it was; curve and numbers are in `run`"), "{text}");
        let text = said(-0.001);
        assert!(text.contains("over 8 cases it cannot be told from a worse one"), "{text}");
    }

    #[test]
    fn seconds_are_saved_as_far_as_less_is_to_be_corrected() {
        let scored = |wrong_ml, seconds| Scored {
            case: "a".to_owned(),
            new: 0.8,
            old: 0.7,
            by_label: BTreeMap::new(),
            wrong_ml,
            seconds,
        };
        assert_eq!(scored([3.0, 4.0], Some(60.0)).saved(), Some(15.0));
        assert_eq!(scored([5.0, 4.0], Some(60.0)).saved(), Some(-15.0), "more is to be corrected");
        assert_eq!(scored([0.0, 0.0], Some(60.0)).saved(), None);
        let point = point(4, &[scored([3.0, 4.0], Some(60.0)), scored([1.0, 2.0], None)]);
        assert_eq!((point.wrong_ml, point.seconds, point.saved), ([2.0, 3.0], Some(60.0), Some(15.0)));
        assert_eq!(effort(&point), "; 60 s a case were spent, by estimate 15 s fewer now");
    }

    #[test]
    fn a_round_never_learns_from_what_it_is_measured_on() {
        let order: Vec<String> = (0..10).map(|n| format!("case{n}")).collect();
        let splits = splits(&order, 3, 3);
        let folds = splits.as_array().unwrap();
        assert_eq!(folds.len(), 4);
        for fold in &folds[..3] {
            let (train, next) = (fold["train"].as_array().unwrap(), fold["val"].as_array().unwrap());
            assert!(!next.is_empty() && next.iter().all(|case| !train.contains(case)), "{fold}");
        }
        assert_eq!(folds[3]["train"].as_array().unwrap().len(), 10);
    }
}
