//! Parts of the cases: by centre, by group, by size.

use crate::detection::SIZES;
use crate::{Report, Row, Subgroup, Subset};

/// Least cases of a subgroup that is shown.
const SUBGROUP: usize = 5;

impl Report {
    pub(crate) fn all_subgroups(&self) -> Vec<Subgroup> {
        let single = (self.structures.len() == 1).then_some(0);
        let mut parts: Vec<(&str, Vec<Option<String>>)> = vec![
            ("centre", self.cases.iter().map(|case| case.centre.clone()).collect()),
            ("group", self.cases.iter().map(|case| case.group.clone()).collect()),
        ];
        if single.is_some() && !self.raters.is_empty() {
            let size = |row: &Row| (row.measures.truth_ml > 0.0).then(|| size_name(row.measures.truth_ml));
            parts.push(("volume of the truth", self.rows_of(0, 0).map(size).collect()));
        }
        let mut subgroups = Vec::new();
        for (by, members) in parts {
            let mut names: Vec<&String> = members.iter().flatten().collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                let among = |case: usize| members[case].as_ref() == Some(name);
                if (0..self.cases.len()).filter(|&case| among(case)).count() < SUBGROUP {
                    continue;
                }
                for rater in 0..self.raters.len() {
                    let subset = if single.is_some() { Subset::All } else { Subset::TruthPositive };
                    let line = self.make_line(rater, single, subset, &among);
                    subgroups.push(Subgroup { by: by.to_owned(), name: name.clone(), line });
                }
            }
        }
        subgroups
    }
}

/// The bin of a volume, named so that names sort by size.
fn size_name(ml: f64) -> String {
    match SIZES.iter().position(|&border| ml < border) {
        Some(0) => format!("below {} mL", SIZES[0]),
        Some(n) => format!("{} to {} mL", SIZES[n - 1], SIZES[n]),
        None => format!("from {} mL", SIZES[SIZES.len() - 1]),
    }
}
