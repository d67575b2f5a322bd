//! The numbers of every case as a table for other programs.

use std::fmt::Write;

use crate::{Metric, Report, Rule};

/// One line per structure, case and rater; what a case does not have is an empty field.
#[must_use]
pub fn cases(report: &Report) -> String {
    let tolerances = &report.options.tolerances_mm;
    let mut text = String::from("case,patient,centre,group,rater,role,structure,truth_ml,prediction_ml");
    for metric in report.metrics() {
        let _ = write!(text, ",{}", metric.key(tolerances));
    }
    let counts: &[(Rule, &str)] =
        if report.options.lesions { &[(Rule::AnyOverlap, "any"), (Rule::OneToOne, "paired")] } else { &[] };
    for (_, name) in counts {
        let _ = write!(text, ",lesions_{name}_tp,lesions_{name}_fp,lesions_{name}_fn");
    }
    text.push('\n');
    for row in &report.rows {
        let (case, rater) = (&report.cases[row.case], &report.raters[row.rater]);
        let optional = |value: &Option<String>| field(value.as_deref().unwrap_or_default());
        let role = match rater.role {
            crate::Role::Prediction => "prediction",
            crate::Role::Reader => "reader",
        };
        let names = [field(&case.name), field(&case.patient), optional(&case.centre), optional(&case.group)];
        let _ = write!(
            text,
            "{},{},{role},{}",
            names.join(","),
            field(&rater.name),
            field(&report.structures[row.structure])
        );
        let _ = write!(text, ",{},{}", row.measures.truth_ml, row.measures.prediction_ml);
        for metric in report.metrics() {
            let value = metric.of(&row.measures).map_or_else(String::new, number);
            let _ = write!(text, ",{value}");
        }
        for (rule, _) in counts {
            let counts =
                row.measures.lesions.as_ref().map(|lesions| lesions.counts(*rule)).unwrap_or_default();
            let _ =
                write!(text, ",{},{},{}", counts.true_positive, counts.false_positive, counts.false_negative);
        }
        text.push('\n');
    }
    text
}

/// A table of the sums: one line per rater, structure, set of cases and metric.
#[must_use]
pub fn summaries(report: &Report) -> String {
    let mut text =
        String::from("rater,structure,cases,metric,n,mean,mean_low,mean_high,sd,median,q1,q3,min,max\n");
    for line in &report.lines {
        let structure = line.structure.map_or("mean over structures", |n| &report.structures[n]);
        for metric in report.metrics() {
            let key = metric.key(&report.options.tolerances_mm);
            let Some(summary) = line.metrics.get(&key) else { continue };
            let [low, high] = summary.mean_confidence.map_or_else(Default::default, |ci| ci.map(number));
            let _ = writeln!(
                text,
                "{},{},{},{key},{},{},{low},{high},{},{},{},{},{},{}",
                field(&report.raters[line.rater].name),
                field(structure),
                line.subset.name(),
                summary.n,
                number(summary.mean),
                number(summary.deviation),
                number(summary.median),
                number(summary.quartiles[0]),
                number(summary.quartiles[1]),
                number(summary.range[0]),
                number(summary.range[1]),
            );
        }
    }
    text
}

/// A number in full; zero has no sign, which sums of nothing and of small negatives may have.
fn number(value: f64) -> String {
    (value + 0.0).to_string()
}

/// A field of RFC 4180: quoted where it must be. What a spreadsheet would take for a formula begins with a quote mark.
fn field(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// Whether a metric is a share from 0 to 1.
pub(crate) fn is_share(metric: Metric) -> bool {
    !matches!(
        metric,
        Metric::VolumeDifference | Metric::AbsoluteVolumeDifference | Metric::Hd95 | Metric::Assd
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_has_no_sign_and_a_name_is_no_formula() {
        assert_eq!([-0.0, 0.0, -0.5].map(number), ["0", "0", "-0.5"]);
        assert_eq!(["=1+1", "a,b", "plain"].map(field), ["'=1+1", "\"a,b\"", "plain"]);
    }
}
