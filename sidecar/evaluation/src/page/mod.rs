//! The report as one page of HTML that needs nothing else: no script, no font, no picture from elsewhere.

mod figures;
mod plot;
mod tables;

use std::fmt::Write;

use plot::{colour, escape, number};
use tables::{fixed, p_value, rater, table};

use crate::{Comparison, Detection, Metric, Report, Role, Subset};

/// What the page says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Its title.
    pub title: String,
    /// When it was made, as it shall be printed.
    pub made: String,
    /// The program that made it, with its version.
    pub program: String,
}

/// The page.
#[must_use]
pub fn page(report: &Report, about: &About) -> String {
    let mut text = format!(
        "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport \
         content=\"width=device-width,initial-scale=1\"><title>{title}</title><style>{style}</style></head>\
         <body><main><h1>{title}</h1>",
        title = escape(&about.title),
        style = include_str!("style.css"),
    );
    let single = report.structures.len() == 1;
    head(&mut text, report);
    cards(&mut text, report);
    if single {
        overlap_of_one(&mut text, report);
    } else {
        overlap_of_many(&mut text, report);
    }
    volumes(&mut text, report);
    comparisons(&mut text, report);
    detection(&mut text, report);
    readers(&mut text, report);
    subgroups(&mut text, report);
    let _ = write!(
        text,
        "<h2>Every case</h2><p class=soft>The worst first. All numbers are in <code>cases.csv</code>.</p>{}",
        tables::cases(report)
    );
    methods(&mut text, report);
    let _ = writeln!(
        text,
        "<footer>{} · {}. For research use; not a medical device.</footer></main></body></html>",
        escape(&about.program),
        escape(&about.made)
    );
    text
}

fn head(text: &mut String, report: &Report) {
    let patients: std::collections::BTreeSet<&str> =
        report.cases.iter().map(|case| case.patient.as_str()).collect();
    let count = |role| report.raters.iter().filter(|rater| rater.role == role).count();
    let plural = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    let _ = write!(
        text,
        "<p class=lead>{} of {}, {}, {}, {}.</p>",
        plural(report.cases.len(), "case"),
        plural(patients.len(), "patient"),
        plural(report.structures.len(), "structure"),
        plural(count(Role::Prediction), "prediction"),
        plural(count(Role::Reader), "reader"),
    );
}

/// The one line per rater that one remembers.
fn cards(text: &mut String, report: &Report) {
    text.push_str("<div class=cards>");
    let single = (report.structures.len() == 1).then_some(0);
    for which in 0..report.raters.len() {
        let Some(line) = report.line(which, single, Subset::TruthPositive) else { continue };
        let Some(dice) = line.metrics.get("dice") else { continue };
        let interval = dice.mean_confidence.map_or_else(String::new, |[low, high]| {
            format!("95 % CI {} to {}, ", fixed(low, 3), fixed(high, 3))
        });
        let role = match report.raters[which].role {
            Role::Prediction => "prediction",
            Role::Reader => "reader",
        };
        let mut more = format!("{interval}n = {}", dice.n);
        if let Some(all) = report.line(which, single, Subset::All).filter(|_| single.is_some())
            && let Some(dice) = all.metrics.get("dice")
        {
            let _ = write!(more, "<br>over all cases {}, n = {}", fixed(dice.mean, 3), dice.n);
        }
        let of = if single.is_some() { "truth-positive cases" } else { "mean over structures, then cases" };
        let _ = write!(
            text,
            "<div class=card style=\"--mark:{}\"><b>{}</b><small>{role}</small><div class=big>{}</div>\
             <small>mean Dice, {of}<br>{more}</small></div>",
            colour(which),
            escape(&report.raters[which].name),
            fixed(dice.mean, 3),
        );
    }
    text.push_str("</div>");
}

fn legend(report: &Report) -> String {
    let keys: String =
        (0..report.raters.len()).map(|which| format!("<span>{}</span>", rater(report, which))).collect();
    format!("<div class=legend>{keys}</div>")
}

fn overlap_of_one(text: &mut String, report: &Report) {
    let _ = write!(
        text,
        "<h2>Overlap and distance</h2><figure>{}<figcaption>Dice of the truth-positive cases. A dot is a case, the box \
         holds the middle half, the line is the median; the large dot below is the mean with its 95 % \
         interval.</figcaption></figure>\
         <p>Where truth and prediction are both empty, Dice and F1 are 1 by convention; where one is, 0. Means over all \
         cases lean on that convention, so the three columns are always shown side by side.</p>{}",
        figures::strips(report, Some(0), Subset::TruthPositive),
        tables::lines(report, Some(0)),
    );
}

fn overlap_of_many(text: &mut String, report: &Report) {
    let _ = write!(
        text,
        "<h2>Cases</h2><figure>{}<figcaption>Each dot is a case: the mean Dice over the structures that its truth \
         holds.</figcaption></figure><h2>Structures</h2><figure>{}{}<figcaption>Cases whose truth holds the structure. \
         Dot: median. Box: middle half. Line: range.</figcaption></figure>",
        figures::strips(report, None, Subset::TruthPositive),
        legend(report),
        figures::structures(report, Metric::Dice),
    );
    if let Some(last) = report.options.tolerances_mm.len().checked_sub(1) {
        let _ = write!(
            text,
            "<figure>{}<figcaption>Surface Dice of the same cases.</figcaption></figure>",
            figures::structures(report, Metric::SurfaceDice(last))
        );
    }
    text.push_str(&tables::structures(report));
}

fn volumes(text: &mut String, report: &Report) {
    let shown: Vec<&crate::VolumeAgreement> =
        report.volumes.iter().filter(|one| one.bland_altman.is_some()).collect();
    if shown.is_empty() {
        return;
    }
    text.push_str("<h2>Volumes</h2>");
    if report.structures.len() == 1 {
        for one in &shown {
            let _ = write!(
                text,
                "<figure><div class=two>{}{}</div><figcaption>{}: all cases. Bands are 95 % confidence intervals of bias \
                 and limits of agreement.</figcaption></figure>",
                figures::bland_altman(report, one),
                figures::scatter(report, one),
                rater(report, one.rater),
            );
        }
    }
    let correlation = |found: Option<crate::Correlation>| {
        found.map_or("–".to_owned(), |found| {
            let interval = found.confidence.map_or_else(String::new, |[low, high]| {
                format!(" <small>[{}, {}]</small>", fixed(low, 3), fixed(high, 3))
            });
            format!("{}{interval}", fixed(found.r, 3))
        })
    };
    let row = |one: &&crate::VolumeAgreement| {
        let analysis = one.bland_altman?;
        let pair = |[low, high]: [f64; 2]| format!("[{}, {}]", fixed(low, 2), fixed(high, 2));
        let name = format!("{} {}", rater(report, one.rater), escape(&report.structures[one.structure]));
        let cells = vec![
            if report.structures.len() == 1 { rater(report, one.rater) } else { name },
            analysis.n.to_string(),
            format!("{} <small>{}</small>", fixed(analysis.bias, 2), pair(analysis.bias_confidence)),
            format!("{} to {}", fixed(analysis.limits[0], 2), fixed(analysis.limits[1], 2)),
            correlation(one.icc),
            correlation(one.pearson),
        ];
        Some((false, cells))
    };
    let rows: Vec<(bool, Vec<String>)> = shown.iter().filter_map(row).collect();
    let head = ["Rater", "n", "Bias mL [95 % CI]", "Limits of agreement mL", "ICC(2,1)", "Pearson r"];
    let table = table(&head, &rows);
    if rows.len() > 8 {
        let _ = write!(
            text,
            "<details><summary>Volumes of {} structures and raters</summary>{table}</details>",
            rows.len()
        );
    } else {
        text.push_str(&table);
    }
}

fn comparisons(text: &mut String, report: &Report) {
    let single = report.structures.len() == 1;
    let (whole, each): (Vec<&Comparison>, Vec<&Comparison>) =
        report.comparisons.iter().partition(|comparison| single || comparison.structure.is_none());
    if whole.is_empty() {
        return;
    }
    let _ = write!(
        text,
        "<h2>Comparisons on the same cases</h2><p>Paired two-tailed t test and Wilcoxon's signed rank test; Holm's \
         correction over all pairs of the same measure and cases.</p>{}",
        tables::comparisons(report, &whole)
    );
    if !each.is_empty() {
        let _ = write!(
            text,
            "<details><summary>Structure by structure (corrected over all of them)</summary>{}</details>",
            tables::comparisons(report, &each)
        );
    }
}

fn detection(text: &mut String, report: &Report) {
    for structure in 0..report.structures.len() {
        let found: Vec<&Detection> =
            report.detection.iter().filter(|one| one.structure == structure).collect();
        if found.is_empty() {
            continue;
        }
        let of = if report.structures.len() > 1 {
            format!(": {}", escape(&report.structures[structure]))
        } else {
            String::new()
        };
        let _ = write!(
            text,
            "<h2>Cases found{of}</h2><p>Every share with its numerator and denominator, then Wilson's and Clopper and \
             Pearson's 95 % interval. The rows below the first show what a least volume would do; it is to be chosen on \
             other cases than these.</p>{}",
            tables::operating_points(report, &found)
        );
        let curves: Vec<&Detection> = found.iter().copied().filter(|one| one.roc.is_some()).collect();
        if curves.is_empty() {
            text.push_str("<p class=soft>No ROC: it needs cases with and without lesions in the truth.</p>");
        } else {
            let areas: Vec<String> = curves.iter().map(|one| areas(report, one)).collect();
            let _ = write!(
                text,
                "<figure>{}<div class=two>{}{}</div><figcaption>By predicted volume; the dot is any voxel. {}\
                 </figcaption></figure>",
                legend(report),
                figures::roc(&curves),
                figures::precision_recall(&curves),
                areas.join("; ")
            );
        }
        let _ = write!(
            text,
            "<h2>Lesions found{of}</h2>{}<figure>{}<div class=two>{}{}</div><figcaption>Left: as the least volume of a \
             predicted lesion falls to any voxel (dot). Right: by size of the true lesion, with Wilson's \
             intervals.</figcaption></figure>",
            tables::lesions(report, &found),
            legend(report),
            figures::froc(&found),
            figures::sizes(&found),
        );
    }
    if report.mcnemar.is_empty() {
        return;
    }
    let row = |test: &crate::McNemar| {
        let cells = vec![
            format!("{} and {}", rater(report, test.prediction), rater(report, test.reader)),
            test.only_prediction.to_string(),
            test.only_reader.to_string(),
            p_value(test.p),
        ];
        (false, cells)
    };
    let rows: Vec<(bool, Vec<String>)> = report.mcnemar.iter().map(row).collect();
    let head = [
        "Cases called rightly (any voxel)",
        "only by the prediction",
        "only by the reader",
        "McNemar, exact p",
    ];
    let _ = write!(text, "<h3>Predictions and readers</h3>{}", table(&head, &rows));
}

fn areas(report: &Report, one: &Detection) -> String {
    let area = one.roc.as_ref().map_or(f64::NAN, |roc| roc.area);
    let precision = one.precision_recall.as_ref().map_or(f64::NAN, |curve| curve.average_precision);
    format!("{}: AUC {area:.3}, average precision {precision:.3}", rater(report, one.rater))
}

fn readers(text: &mut String, report: &Report) {
    if report.pairs.is_empty() {
        return;
    }
    let row = |pair: &crate::Pair| {
        let value = |summary: &Option<crate::Summary>| {
            summary.map_or("–".to_owned(), |summary| {
                let interval = summary.mean_confidence.map_or_else(String::new, |[low, high]| {
                    format!(" <small>[{}, {}]</small>", fixed(low, 3), fixed(high, 3))
                });
                format!("{}{interval} <small>n = {}</small>", fixed(summary.mean, 3), summary.n)
            })
        };
        let roles = (report.raters[pair.a].role, report.raters[pair.b].role);
        let kind = match roles {
            (Role::Reader, Role::Reader) => "reader and reader",
            (Role::Prediction, Role::Prediction) => "prediction and prediction",
            _ => "prediction and reader",
        };
        let names = format!("{} and {}", rater(report, pair.a), rater(report, pair.b));
        (false, vec![names, kind.to_owned(), value(&pair.dice), value(&pair.kappa)])
    };
    let rows: Vec<(bool, Vec<String>)> = report.pairs.iter().map(row).collect();
    let _ = write!(
        text,
        "<h2>Raters among themselves</h2><p>Dice and kappa of two raters with each other, the truth left out: a \
         prediction that agrees with the readers as they do with each other lies within their range.</p>{}",
        table(&["Pair", "Kind", "Dice, mean [95 % CI]", "Cohen's kappa over voxels"], &rows)
    );
}

fn subgroups(text: &mut String, report: &Report) {
    if report.subgroups.is_empty() {
        return;
    }
    let row = |group: &crate::Subgroup| {
        let dice = group.line.metrics.get("dice");
        let volume = group.line.metrics.get("absolute_volume_difference_ml");
        let is_first = group.line.rater == 0;
        let name = format!("{}: {}", escape(&group.by), escape(&group.name));
        let cells = vec![
            if is_first { name } else { String::new() },
            rater(report, group.line.rater),
            group.line.cases.to_string(),
            dice.map_or("–".to_owned(), |dice| fixed(dice.mean, 3)),
            dice.map_or("–".to_owned(), |dice| fixed(dice.median, 3)),
            volume.map_or("–".to_owned(), |volume| fixed(volume.mean, 2)),
        ];
        (is_first, cells)
    };
    let rows: Vec<(bool, Vec<String>)> = report.subgroups.iter().map(row).collect();
    let head =
        ["Subgroup", "Rater", "n", "Dice, mean", "Dice, median", "Absolute volume difference mL, mean"];
    let _ = write!(
        text,
        "<h2>Subgroups</h2><p class=soft>Those of at least five cases: {}.</p>{}",
        report.subgroups[0].line.subset.name(),
        table(&head, &rows)
    );
}

fn methods(text: &mut String, report: &Report) {
    let tolerances: Vec<String> = report.options.tolerances_mm.iter().map(|&mm| number(mm)).collect();
    let lesions = if report.options.lesions {
        "<dt>Lesions</dt><dd>Voxels that hang together through faces, edges or corners. Any overlap: a true lesion is \
         found when one voxel of it is predicted, a predicted one is false when no voxel of it is true. One to one: \
         pairs of intersection over union of at least 0.25, the best first.</dd><dt>Curves</dt><dd>The score of a case \
         is its predicted volume, that of a predicted lesion its own.</dd>"
    } else {
        ""
    };
    let _ = write!(
        text,
        "<h2>How it was measured</h2><dl><dt>Empty cases</dt><dd>Both empty: Dice, IoU and F1 are 1. One empty: 0. \
         Distances are left out when either is empty; surface Dice is 0 when one is.</dd>\
         <dt>HD95, average surface distance, surface Dice</dt><dd>Surfaces between voxel centres, weighted by area, as \
         in DeepMind's surface-distance (Nikolov et al. 2018). HD95 is the greater of the two directions, the average \
         is over both surfaces by area. Tolerances: {} mm.</dd>{lesions}\
         <dt>Intervals</dt><dd>Of means: BCa bootstrap by patient, {} resamples, seed {}. Of shares: Wilson, and Clopper \
         and Pearson. Of Bland and Altman's limits: their approximation of 1986.</dd>\
         <dt>Wilcoxon</dt><dd>Zeros dropped, ties at mean ranks; exact up to 50 differences, else normal.</dd></dl>",
        tolerances.join(", "),
        crate::RESAMPLES,
        crate::SEED,
    );
}
