//! The tables of the page.

use super::plot::{colour, escape, number};
use crate::csv::is_share;
use crate::{Comparison, Detection, Line, Metric, Proportion, Report, Subset, Summary};

/// A table of rows of cells that are HTML already; a row that begins with a rule is marked.
pub(super) fn table(head: &[&str], rows: &[(bool, Vec<String>)]) -> String {
    let head: String = head.iter().map(|cell| format!("<th>{cell}</th>")).collect();
    let row = |(first, cells): &(bool, Vec<String>)| {
        let cells: String = cells.iter().map(|cell| format!("<td>{cell}</td>")).collect();
        format!("<tr{}>{cells}</tr>", if *first { " class=first" } else { "" })
    };
    let body: String = rows.iter().map(row).collect();
    format!("<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>")
}

/// The name of a rater, with its colour.
pub(super) fn rater(report: &Report, rater: usize) -> String {
    let name = escape(&report.raters[rater].name);
    format!("<span class=key style=\"background:{}\"></span>{name}", colour(rater))
}

fn decimals(metric: Metric) -> usize {
    if is_share(metric) { 3 } else { 2 }
}

/// A number with so many digits behind the point.
pub(super) fn fixed(value: f64, decimals: usize) -> String {
    format!("{value:.decimals$}").replace('-', "\u{2212}")
}

/// `0.812 [0.790, 0.831]`.
fn mean(summary: Option<&Summary>, decimals: usize) -> String {
    let Some(summary) = summary else { return "–".to_owned() };
    let interval = summary.mean_confidence.map_or_else(String::new, |[low, high]| {
        format!(" <small>[{}, {}]</small>", fixed(low, decimals), fixed(high, decimals))
    });
    format!("{}{interval}", fixed(summary.mean, decimals))
}

/// `0.82 (0.75, 0.88)`.
fn median(summary: Option<&Summary>, decimals: usize) -> String {
    let Some(summary) = summary else { return "–".to_owned() };
    let [low, high] = summary.quartiles.map(|value| fixed(value, decimals));
    format!("{} <small>({low}, {high})</small>", fixed(summary.median, decimals))
}

/// Mean with its interval; below it the median, the quartiles and the n.
fn both(summary: Option<&Summary>, decimals: usize) -> String {
    let Some(summary) = summary else { return "–<br><small>n = 0</small>".to_owned() };
    let [low, high] = summary.quartiles.map(|value| fixed(value, decimals));
    let median = fixed(summary.median, decimals);
    let below = format!("median {median} ({low}, {high}), n = {}", summary.n);
    format!("{}<br><small>{below}</small>", mean(Some(summary), decimals))
}

/// The three lines of every rater for one structure, side by side.
pub(super) fn lines(report: &Report, structure: Option<usize>) -> String {
    let tolerances = &report.options.tolerances_mm;
    let mut text = String::new();
    for which in 0..report.raters.len() {
        let subsets: Vec<&Line> =
            Subset::ALL.iter().filter_map(|&subset| report.line(which, structure, subset)).collect();
        let mut rows = Vec::new();
        for metric in report.metrics() {
            let summaries = subsets.iter().map(|line| line.metrics.get(&metric.key(tolerances)));
            let mut cells = vec![escape(&metric.name(tolerances))];
            cells.extend(summaries.map(|summary| both(summary, decimals(metric))));
            rows.push((false, cells));
        }
        let mut head = vec!["mean [95 % CI]<br><small>median (quartiles)</small>".to_owned()];
        head.extend(subsets.iter().map(|line| format!("{}<br>n = {}", line.subset.name(), line.cases)));
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        text.push_str(&format!("<h3>{}</h3>{}", rater(report, which), table(&head, &rows)));
    }
    text
}

/// One row per structure and rater.
pub(super) fn structures(report: &Report) -> String {
    let tolerances = &report.options.tolerances_mm;
    let surface = tolerances.len().checked_sub(1).map(Metric::SurfaceDice);
    let mut rows = Vec::new();
    for structure in 0..report.structures.len() {
        for which in 0..report.raters.len() {
            let Some(line) = report.line(which, Some(structure), Subset::TruthPositive) else { continue };
            let get = |metric: Metric| line.metrics.get(&metric.key(tolerances));
            let name = if which == 0 { escape(&report.structures[structure]) } else { String::new() };
            let negative = report.rows_of(which, structure).filter(|row| row.measures.truth_ml == 0.0);
            let falsely = Proportion::of(negative.map(|row| row.measures.prediction_ml > 0.0));
            let mut cells = vec![name, format!("<span class=left>{}</span>", rater(report, which))];
            cells.extend([line.cases.to_string(), both(get(Metric::Dice), 3)]);
            cells.extend(surface.map(|metric| mean(get(metric), 3).replacen(" <small>", "<br><small>", 1)));
            cells.extend(
                [median(get(Metric::Hd95), 2), mean(get(Metric::VolumeDifference), 2)]
                    .map(|cell| cell.replacen(" <small>", "<br><small>", 1)),
            );
            cells.push(if falsely.n == 0 {
                "–".to_owned()
            } else {
                format!("{} / {}", falsely.k, falsely.n)
            });
            rows.push((which == 0, cells));
        }
    }
    let surface = surface.map(|metric| metric.name(tolerances));
    let mut head = vec!["Structure", "Rater", "n", "Dice, mean [95 % CI]"];
    head.extend(surface.as_deref());
    head.extend([
        "HD95 mm, median<br>(quartiles)",
        "Volume difference mL,<br>mean [95 % CI]",
        "Predicted where the<br>truth has none",
    ]);
    table(&head, &rows)
}

/// A p value as journals print it.
pub(super) fn p_value(p: f64) -> String {
    if p < 0.001 { "&lt; .001".to_owned() } else { format!("{p:.3}").trim_start_matches('0').to_owned() }
}

/// Raters compared on the same cases.
pub(super) fn comparisons(report: &Report, comparisons: &[&Comparison]) -> String {
    let name = |key: &str| {
        let metric =
            report.metrics().into_iter().find(|metric| metric.key(&report.options.tolerances_mm) == key);
        metric.map_or_else(|| key.to_owned(), |metric| escape(&metric.name(&report.options.tolerances_mm)))
    };
    let row = |(at, comparison): (usize, &&Comparison)| {
        let [low, high] = comparison.t.confidence.map(|value| fixed(value, 3));
        let structure = comparison.structure.filter(|_| report.structures.len() > 1);
        let structure =
            structure.map_or_else(String::new, |n| format!(", {}", escape(&report.structures[n])));
        // What is compared stands once, over all its pairs.
        let what = |one: &Comparison| (one.metric.clone(), one.structure, one.subset.name());
        let before = at.checked_sub(1).and_then(|before| comparisons.get(before));
        let is_first = before.is_none_or(|before| what(before) != what(comparison));
        let of_what =
            format!("{}{structure}<br><small>{}</small>", name(&comparison.metric), comparison.subset.name());
        let cells = vec![
            if is_first { of_what } else { String::new() },
            format!(
                "{} − {}",
                escape(&report.raters[comparison.a].name),
                escape(&report.raters[comparison.b].name)
            ),
            comparison.n.to_string(),
            format!("{} <small>[{low}, {high}]</small>", fixed(comparison.t.mean_difference, 3)),
            comparison
                .t
                .t
                .map_or("–".to_owned(), |t| format!("{} ({})", fixed(t, 2), comparison.t.degrees)),
            p_value(comparison.t.p),
            p_value(comparison.holm_t_p),
            comparison.wilcoxon_p.map_or("–".to_owned(), p_value),
            comparison.holm_wilcoxon_p.map_or("–".to_owned(), p_value),
        ];
        (is_first && at > 0, cells)
    };
    let rows: Vec<(bool, Vec<String>)> = comparisons.iter().enumerate().map(row).collect();
    let head =
        ["Measure", "Difference", "n", "mean [95 % CI]", "t (df)", "p", "p, Holm", "Wilcoxon p", "p, Holm"];
    table(&head, &rows)
}

/// `67 / 74 = 90.5 % [81.7, 95.3] [81.5, 96.1]`.
pub(super) fn share(proportion: &Proportion) -> String {
    let Some(share) = proportion.share else { return "0 / 0".to_owned() };
    let interval = |bounds: Option<[f64; 2]>| {
        bounds.map_or_else(String::new, |[low, high]| {
            format!(" <small>[{}, {}]</small>", fixed(low * 100.0, 1), fixed(high * 100.0, 1))
        })
    };
    format!(
        "{} / {} = {} %<br>{}{}",
        proportion.k,
        proportion.n,
        fixed(share * 100.0, 1),
        interval(proportion.wilson),
        interval(proportion.clopper_pearson)
    )
}

/// Cases found, at any voxel and at greater volumes.
pub(super) fn operating_points(report: &Report, found: &[&Detection]) -> String {
    let mut rows = Vec::new();
    for detection in found {
        for (n, point) in detection.cases.iter().enumerate() {
            let least =
                if n == 0 { "any voxel".to_owned() } else { format!("≥ {} mL", number(point.at_least_ml)) };
            let cells = vec![
                if n == 0 { rater(report, detection.rater) } else { String::new() },
                least,
                share(&point.sensitivity),
                share(&point.specificity),
                share(&point.positive_predictive_value),
                share(&point.negative_predictive_value),
            ];
            rows.push((n == 0, cells));
        }
    }
    table(&["Rater", "Positive when", "Sensitivity", "Specificity", "PPV", "NPV"], &rows)
}

/// Lesions found under both rules.
pub(super) fn lesions(report: &Report, found: &[&Detection]) -> String {
    let mut rows = Vec::new();
    for detection in found {
        for (n, lesions) in detection.lesions.iter().enumerate() {
            let cells = vec![
                if n == 0 { rater(report, detection.rater) } else { String::new() },
                lesions.rule.name().to_owned(),
                fixed(lesions.f1, 3),
                share(&lesions.sensitivity),
                share(&lesions.precision),
                fixed(lesions.false_per_case, 2),
            ];
            rows.push((n == 0, cells));
        }
    }
    table(
        &[
            "Rater",
            "Rule",
            "F1, pooled",
            "Lesions found",
            "Predicted lesions that are right",
            "False per case",
        ],
        &rows,
    )
}

/// Dice of every case, the worst first.
pub(super) fn cases(report: &Report) -> String {
    let single = (report.structures.len() == 1).then_some(0);
    let subset = if single.is_some() { Subset::All } else { Subset::TruthPositive };
    let dice: Vec<Vec<Option<f64>>> =
        (0..report.raters.len()).map(|rater| report.values(Metric::Dice, rater, single, subset)).collect();
    let worst = |case: usize| dice.iter().filter_map(|values| values[case]).fold(f64::INFINITY, f64::min);
    let mut order: Vec<usize> = (0..report.cases.len()).collect();
    order.sort_by(|&a, &b| worst(a).total_cmp(&worst(b)));
    let row = |&case: &usize| {
        let mut cells = vec![escape(&report.cases[case].name)];
        for (rater, dice) in dice.iter().enumerate() {
            cells.push(dice[case].map_or("–".to_owned(), |value| fixed(value, 3)));
            let rows = || report.rows.iter().filter(|row| (row.case, row.rater) == (case, rater));
            let truth: f64 = rows().map(|row| row.measures.truth_ml).sum();
            let prediction: f64 = rows().map(|row| row.measures.prediction_ml).sum();
            cells.push(format!("{} <small>of {}</small>", fixed(prediction, 2), fixed(truth, 2)));
        }
        (false, cells)
    };
    let rows: Vec<(bool, Vec<String>)> = order.iter().map(row).collect();
    let mut head = vec!["Case".to_owned()];
    for which in 0..report.raters.len() {
        head.extend([
            format!("Dice<br>{}", rater(report, which)),
            "mL predicted <small>of truth</small>".to_owned(),
        ]);
    }
    table(&head.iter().map(String::as_str).collect::<Vec<&str>>(), &rows)
}
