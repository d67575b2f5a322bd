//! Everything about predictions and readers against a truth, ready to be printed.

use std::collections::BTreeMap;

use crate::records::patient;
use crate::{
    Comparison, Input, Line, Measures, Metric, Report, Role, Row, Rule, Subset, VolumeAgreement,
    bland_altman, detection, holm, icc, paired_t, pearson, readers, summarise, wilcoxon,
};

impl Report {
    /// Computes everything.
    #[must_use]
    pub fn new(input: &Input) -> Report {
        let mut labels: Vec<u8> = input.names.keys().copied().collect();
        labels.extend(input.measured.iter().flat_map(|measured| measured.measures.keys().copied()));
        labels.sort_unstable();
        labels.dedup();
        // A structure that is nowhere says nothing; of a single one, its absence does.
        let present =
            |label: &u8| input.measured.iter().any(|measured| measured.measures.contains_key(label));
        if labels.len() > 1 {
            labels.retain(present);
        }
        let name = |label: &u8| input.names.get(label).cloned().unwrap_or_else(|| format!("label {label}"));
        let mut report = Report {
            cases: input.cases.clone(),
            raters: input.raters.clone(),
            structures: labels.iter().map(name).collect(),
            options: input.options.clone(),
            lines: Vec::new(),
            volumes: Vec::new(),
            comparisons: Vec::new(),
            detection: Vec::new(),
            mcnemar: Vec::new(),
            pairs: readers::pairs(input),
            subgroups: Vec::new(),
            rows: rows(input, &labels),
        };
        report.lines = report.all_lines();
        report.volumes = report.all_volumes();
        report.comparisons = report.all_comparisons();
        report.detection = detection::detection(&report);
        report.mcnemar = detection::mcnemars(&report);
        report.subgroups = report.all_subgroups();
        report
    }

    /// All metrics that were measured.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        Metric::all(self.options.tolerances_mm.len(), self.options.lesions)
    }

    /// The line of a rater.
    #[must_use]
    pub fn line(&self, rater: usize, structure: Option<usize>, subset: Subset) -> Option<&Line> {
        self.lines.iter().find(|line| (line.rater, line.structure, line.subset) == (rater, structure, subset))
    }

    /// The rows of a rater and structure, one for each case, in the cases' order.
    pub fn rows_of(&self, rater: usize, structure: usize) -> impl Iterator<Item = &Row> {
        let structures = self.structures.len();
        let first = rater * self.cases.len() * structures + structure;
        self.rows.iter().skip(first).step_by(structures.max(1)).take(self.cases.len())
    }

    /// The number that each case has: of one structure, or the mean over those that its truth holds.
    #[must_use]
    pub fn values(
        &self,
        metric: Metric,
        rater: usize,
        structure: Option<usize>,
        subset: Subset,
    ) -> Vec<Option<f64>> {
        let Some(structure) = structure else {
            return self.means(metric, rater);
        };
        let value = |row: &Row| subset.holds(&row.measures).then(|| metric.of(&row.measures)).flatten();
        self.rows_of(rater, structure).map(value).collect()
    }

    fn means(&self, metric: Metric, rater: usize) -> Vec<Option<f64>> {
        let mut sums = vec![(0.0, 0.0); self.cases.len()];
        for row in self.rows.iter().filter(|row| row.rater == rater && row.measures.truth_ml > 0.0) {
            if let Some(value) = metric.of(&row.measures) {
                let sum = &mut sums[row.case];
                *sum = (sum.0 + value, sum.1 + 1.0);
            }
        }
        sums.into_iter().map(|(sum, count)| (count > 0.0).then(|| sum / count)).collect()
    }

    pub(crate) fn make_line(
        &self,
        rater: usize,
        structure: Option<usize>,
        subset: Subset,
        among: &dyn Fn(usize) -> bool,
    ) -> Line {
        let patients: Vec<usize> = (0..self.cases.len()).map(|case| patient(&self.cases, case)).collect();
        let mut metrics = BTreeMap::new();
        for metric in self.metrics() {
            let values = self.values(metric, rater, structure, subset).into_iter().enumerate();
            let values = values.filter(|(case, _)| among(*case));
            let values: Vec<(usize, f64)> =
                values.filter_map(|(case, value)| Some((patients[case], value?))).collect();
            if let Some(summary) = summarise(&values) {
                metrics.insert(metric.key(&self.options.tolerances_mm), summary);
            }
        }
        let holds = self.values(Metric::Dice, rater, structure, subset);
        let cases =
            holds.iter().enumerate().filter(|(case, value)| value.is_some() && among(*case)).count() as u64;
        Line { rater, structure, subset, cases, metrics }
    }

    fn all_lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for rater in 0..self.raters.len() {
            if self.structures.len() > 1 {
                lines.push(self.make_line(rater, None, Subset::TruthPositive, &|_| true));
            }
            for structure in 0..self.structures.len() {
                lines.extend(
                    Subset::ALL.map(|subset| self.make_line(rater, Some(structure), subset, &|_| true)),
                );
            }
        }
        lines
    }

    fn all_volumes(&self) -> Vec<VolumeAgreement> {
        let mut volumes = Vec::new();
        for rater in 0..self.raters.len() {
            for structure in 0..self.structures.len() {
                let rows = || self.rows_of(rater, structure);
                let truth: Vec<f64> = rows().map(|row| row.measures.truth_ml).collect();
                let prediction: Vec<f64> = rows().map(|row| row.measures.prediction_ml).collect();
                volumes.push(VolumeAgreement {
                    rater,
                    structure,
                    bland_altman: bland_altman(&truth, &prediction),
                    pearson: pearson(&truth, &prediction),
                    icc: icc(&truth, &prediction),
                });
            }
        }
        volumes
    }

    /// Every prediction against the later ones and every reader.
    fn rivals(&self) -> Vec<(usize, usize)> {
        let raters = self.raters.len();
        let all = (0..raters).flat_map(|a| (a + 1..raters).map(move |b| (a, b)));
        all.filter(|&(a, _)| self.raters[a].role == Role::Prediction).collect()
    }

    fn all_comparisons(&self) -> Vec<Comparison> {
        let mut metrics = vec![Metric::Dice, Metric::AbsoluteVolumeDifference, Metric::Hd95];
        metrics.extend((0..self.options.tolerances_mm.len()).map(Metric::SurfaceDice));
        if self.options.lesions {
            metrics.extend(Rule::ALL.map(Metric::LesionF1));
        }
        let single = self.structures.len() == 1;
        let mut comparisons = Vec::new();
        for metric in metrics {
            if single {
                comparisons.extend(self.family(metric, &[Some(0)], Subset::All));
                comparisons.extend(self.family(metric, &[Some(0)], Subset::TruthPositive));
            } else {
                comparisons.extend(self.family(metric, &[None], Subset::TruthPositive));
                let each: Vec<Option<usize>> = (0..self.structures.len()).map(Some).collect();
                comparisons.extend(self.family(metric, &each, Subset::TruthPositive));
            }
        }
        comparisons
    }

    /// Comparisons that are corrected together.
    fn family(&self, metric: Metric, structures: &[Option<usize>], subset: Subset) -> Vec<Comparison> {
        let mut family = Vec::new();
        for &structure in structures {
            for (a, b) in self.rivals() {
                let values = |rater: usize| self.values(metric, rater, structure, subset).into_iter();
                let differences: Vec<f64> =
                    values(a).zip(values(b)).filter_map(|(a, b)| Some(a? - b?)).collect();
                let Some(t) = paired_t(&differences) else { continue };
                family.push(Comparison {
                    metric: metric.key(&self.options.tolerances_mm),
                    structure,
                    subset,
                    a,
                    b,
                    n: differences.len() as u64,
                    t,
                    wilcoxon_p: wilcoxon(&differences),
                    holm_t_p: 0.0,
                    holm_wilcoxon_p: None,
                });
            }
        }
        let t_ps = holm(&family.iter().map(|comparison| comparison.t.p).collect::<Vec<f64>>());
        // Where nothing differs there is no evidence: p is 1.
        let ranks =
            holm(&family.iter().map(|comparison| comparison.wilcoxon_p.unwrap_or(1.0)).collect::<Vec<f64>>());
        for ((comparison, t_p), ranks_p) in family.iter_mut().zip(t_ps).zip(ranks) {
            comparison.holm_t_p = t_p;
            comparison.holm_wilcoxon_p = comparison.wilcoxon_p.map(|_| ranks_p);
        }
        family
    }
}

/// All rows: rater by rater, case by case, structure by structure; what is empty in both included.
fn rows(input: &Input, labels: &[u8]) -> Vec<Row> {
    let mut rows = Vec::new();
    for rater in 0..input.raters.len() {
        for case in 0..input.cases.len() {
            let measured =
                input.measured.iter().find(|measured| (measured.case, measured.rater) == (case, rater));
            for (structure, label) in labels.iter().enumerate() {
                let measures = measured.and_then(|measured| measured.measures.get(label));
                let measures = measures.cloned().unwrap_or_else(|| Measures::empty(&input.options));
                rows.push(Row { case, rater, structure, measures });
            }
        }
    }
    rows
}
