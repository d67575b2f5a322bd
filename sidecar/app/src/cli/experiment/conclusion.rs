//! What the numbers of the four databases support, in sentences that say no more.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use evaluation::{bootstrap_mean, holm, wilcoxon};

use crate::{Error, Result, table};

/// Below this a difference is called shown, after Holm's correction.
const LEVEL: f64 = 0.05;

/// Dice of every test case that holds a lesion: by group, database and case, of each seed.
type Groups = BTreeMap<String, BTreeMap<String, Cases>>;
/// By case, of each seed.
type Cases = BTreeMap<String, BTreeMap<String, f64>>;

/// Reads the report's cases and writes `conclusion.md` beside; the text is the answer.
pub(super) fn write(report: &Path, databases: &[(String, u16); 4], seeds: &[u64]) -> Result<String> {
    let names: Vec<&str> = databases.iter().map(|(name, _)| name.as_str()).collect();
    let rows = table::read(&report.join("cases.csv"))?;
    let groups = grouped(&rows, &names);
    let mut text = format!(
        "# Four databases\n\n{} seeds each ({}); every training had the same steps, network and test cases. Dice of a \
         case is the mean over seeds. Cases without a lesion are not in these means; the report has them.\n",
        seeds.len(),
        seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
    );
    for (group, found) in &groups {
        section(&mut text, group, found, &names);
    }
    let path = report.join("conclusion.md");
    std::fs::write(&path, &text).map_err(|error| Error::write(&path, error))?;
    Ok(text)
}

/// The rows of a report by group (and all together), database and case.
fn grouped(rows: &[BTreeMap<String, String>], names: &[&str]) -> Groups {
    let mut groups = Groups::new();
    for row in rows {
        let get = |key: &str| row.get(key).cloned().unwrap_or_default();
        let number = |key: &str| get(key).parse::<f64>().ok();
        let rater = get("rater");
        let Some((database, seed)) = rater.rsplit_once("_seed") else { continue };
        let (Some(dice), Some(truth)) = (number("dice"), number("truth_ml")) else { continue };
        if truth <= 0.0 || !names.contains(&database) {
            continue;
        }
        for group in [Some("all test cases".to_owned()), row.get("group").cloned()].into_iter().flatten() {
            let cases = groups.entry(group).or_default().entry(database.to_owned()).or_default();
            cases.entry(get("case")).or_default().insert(seed.to_owned(), dice);
        }
    }
    // A single group is the same as all.
    if groups.len() == 2 {
        groups.retain(|group, _| group == "all test cases");
    }
    groups
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Of each case the mean over seeds.
fn over_seeds(cases: &Cases) -> BTreeMap<&str, f64> {
    let of = |seeds: &BTreeMap<String, f64>| mean(&seeds.values().copied().collect::<Vec<_>>());
    cases.iter().map(|(case, seeds)| (case.as_str(), of(seeds))).collect()
}

/// Of each seed the mean over cases: how much chance alone moves the result.
fn of_each_seed(cases: &Cases) -> String {
    let mut seeds: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (seed, dice) in cases.values().flatten() {
        seeds.entry(seed).or_default().push(*dice);
    }
    seeds.values().map(|values| format!("{:.3}", mean(values))).collect::<Vec<_>>().join(", ")
}

fn interval(values: &[f64]) -> String {
    let numbered: Vec<(usize, f64)> = values.iter().copied().enumerate().collect();
    bootstrap_mean(&numbered)
        .map_or_else(|| "none: too few cases".to_owned(), |[low, high]| format!("{low:.3} to {high:.3}"))
}

/// One group of cases: means, differences, and what they support.
fn section(text: &mut String, group: &str, found: &BTreeMap<String, Cases>, names: &[&str]) {
    let n = found.values().map(BTreeMap::len).max().unwrap_or(0);
    let _ = write!(
        text,
        "\n## {group} (n = {n})\n\n| database | n | mean Dice | 95 % interval | of each seed |\n|---|--:|--:|---|---|\n"
    );
    let means: BTreeMap<&str, BTreeMap<&str, f64>> =
        found.iter().map(|(name, cases)| (name.as_str(), over_seeds(cases))).collect();
    for name in names {
        let values: Vec<f64> = means.get(name).into_iter().flat_map(BTreeMap::values).copied().collect();
        let _ = writeln!(
            text,
            "| {name} | {} | {:.3} | {} | {} |",
            values.len(),
            mean(&values),
            interval(&values),
            found.get(*name).map(of_each_seed).unwrap_or_default()
        );
    }
    let mut pairs = Vec::new();
    for (at, one) in names.iter().enumerate() {
        for other in &names[at + 1..] {
            let (Some(one_cases), Some(other_cases)) = (means.get(one), means.get(other)) else { continue };
            let differences: Vec<f64> =
                one_cases.iter().filter_map(|(case, dice)| Some(other_cases.get(case)? - dice)).collect();
            let p = wilcoxon(&differences);
            pairs.push((*one, *other, differences, p));
        }
    }
    let corrected = holm(&pairs.iter().map(|pair| pair.3.unwrap_or(1.0)).collect::<Vec<_>>());
    text.push_str(
        "\n| difference | n | mean | 95 % interval | Wilcoxon p | with Holm |\n|---|--:|--:|---|--:|--:|\n",
    );
    let mut shown = Vec::new();
    for ((one, other, differences, p), corrected) in pairs.iter().zip(&corrected) {
        let p = p.map_or_else(|| "-".to_owned(), |p| format!("{p:.3}"));
        let _ = writeln!(
            text,
            "| {other} - {one} | {} | {:+.3} | {} | {p} | {corrected:.3} |",
            differences.len(),
            mean(differences),
            interval(differences)
        );
        if *corrected < LEVEL {
            let better = if mean(differences) > 0.0 { (other, one) } else { (one, other) };
            shown.push(format!("{} was better than {}", better.0, better.1));
        }
    }
    let _ = write!(text, "\n{}\n", verdict(n, pairs.len(), &shown));
}

/// What may be said.
fn verdict(n: usize, pairs: usize, shown: &[String]) -> String {
    // The least p of Wilcoxon's exact two-sided test, when all differences have one sign.
    let least = 2.0 * 0.5f64.powi(i32::try_from(n).unwrap_or(i32::MAX)) * pairs.max(1) as f64;
    if least >= LEVEL {
        return format!(
            "**Conclusion:** none. With n = {n} and {pairs} comparisons the smallest p that could have come out is \
             {:.2} after correction: no difference between databases could have been shown, whatever its size.",
            least.min(1.0)
        );
    }
    if shown.is_empty() {
        return format!(
            "**Conclusion:** no difference between databases was shown on these {n} cases. That is not evidence that \
             there is none; the intervals say how large one may be."
        );
    }
    format!(
        "**Conclusion:** on these {n} cases {} (Wilcoxon, Holm's correction, p < {LEVEL}). It holds for these data, \
         this network and this budget.",
        shown.join("; ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_cases_support_nothing() {
        assert!(verdict(2, 6, &[]).contains("none. With n = 2"));
        assert!(verdict(7, 6, &[]).contains("could have been shown"), "2 * 2^-7 * 6 = 0.09");
        assert!(verdict(8, 6, &[]).contains("no difference between databases was shown"));
        let shown = ["CS12 was better than C".to_owned()];
        assert!(verdict(20, 6, &shown).contains("on these 20 cases CS12 was better than C"));
    }

    #[test]
    fn a_case_counts_once_however_many_seeds() {
        let folder = tempfile::tempdir().unwrap();
        let mut csv = String::from("case,group,rater,dice,truth_ml\n");
        for case in 0..9 {
            for (database, dice) in [("C", 0.4), ("S4", 0.2), ("CS4", 0.5), ("CS12", 0.6)] {
                for seed in [1, 2] {
                    let group = if case == 0 { "real" } else { "phantom" };
                    let dice = dice + 0.001 * f64::from(case) + 0.01 * f64::from(seed);
                    csv.push_str(&format!("case{case},{group},{database}_seed{seed},{dice},1.0\n"));
                }
            }
            csv.push_str(&format!("empty{case},phantom,C_seed1,1.0,0.0\n"));
        }
        std::fs::write(folder.path().join("cases.csv"), csv).unwrap();
        let databases = ["C", "S4", "CS4", "CS12"].map(|name| (name.to_owned(), 501));
        let text = write(folder.path(), &databases, &[1, 2]).unwrap();
        assert!(text.contains("| C | 9 | 0.419 |") && text.contains("| 0.414, 0.424 |"), "{text}");
        assert!(text.contains("## real (n = 1)") && text.contains("## phantom (n = 8)"), "{text}");
        assert!(text.contains("on these 9 cases"), "{text}");
        assert!(text.contains("CS12 was better than C"), "{text}");
        assert_eq!(std::fs::read_to_string(folder.path().join("conclusion.md")).unwrap(), text);
    }
}
