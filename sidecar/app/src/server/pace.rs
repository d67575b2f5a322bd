//! How far a whole job has come, and how long it will take: from the steps of the stages that take nearly all of it.
//!
//! A job is a known number of runs, each of a stage whose steps are worth the same: the patches of each network, the
//! bytes of each download. Nothing is told before the first such step, and no time before two of them are done.

/// Part of a job before and between its runs.
const BEFORE: f64 = 0.04;
/// Part of a job in its runs.
const WITHIN: f64 = 0.92;
/// Seconds of running after which the pace is believed.
const BELIEVED_AFTER: f64 = 0.5;

/// The runs of a job and how far they have come.
#[derive(Debug)]
pub(super) struct Pace {
    /// How the names of the stages that count begin.
    stage: &'static str,
    /// Of each run: what a step is worth, and how many steps are expected.
    runs: Vec<(f64, u64)>,
    /// The run under way, or the last one.
    run: Option<usize>,
    /// The stage that the run under way is in; none between runs.
    inside: Option<String>,
    done: u64,
    /// Seconds of all runs so far, and when the one under way began.
    spent: f64,
    entered: f64,
    most: f64,
}

impl Pace {
    /// Of runs with a cost and an expected number of steps each.
    pub(super) fn new(stage: &'static str, runs: Vec<(f64, u64)>) -> Pace {
        let runs = runs.into_iter().map(|(cost, steps)| (cost / steps.max(1) as f64, steps)).collect();
        Pace { stage, runs, run: None, inside: None, done: 0, spent: 0.0, entered: 0.0, most: 0.0 }
    }

    /// Takes a step, `now` seconds after the job began. The part that is done, 0 to 1, and the seconds that are left.
    pub(super) fn hear(
        &mut self,
        stage: &str,
        done: u64,
        total: u64,
        now: f64,
    ) -> (Option<f64>, Option<f64>) {
        if stage.starts_with(self.stage) && total > 0 {
            if self.inside.as_deref() != Some(stage) {
                self.leave(now);
                self.run = Some(self.run.map_or(0, |run| run + 1).min(self.runs.len().saturating_sub(1)));
                (self.inside, self.entered) = (Some(stage.to_owned()), now);
            }
            // What was expected was a guess where a region was searched for first.
            if let Some(run) = self.run.and_then(|run| self.runs.get_mut(run)) {
                run.1 = total;
            }
            self.done = done.min(total);
        } else {
            self.leave(now);
        }
        let Some(run) = self.run.filter(|_| !self.runs.is_empty()) else { return (None, None) };
        let worth = |runs: &[(f64, u64)]| runs.iter().map(|(cost, steps)| cost * *steps as f64).sum::<f64>();
        let finished = worth(&self.runs[..run]) + self.runs[run].0 * self.done as f64;
        let all = worth(&self.runs);
        let part = if all > 0.0 { finished / all } else { 0.0 };
        self.most = self.most.max(BEFORE + WITHIN * part);
        let running = self.spent + if self.inside.is_some() { now - self.entered } else { 0.0 };
        let is_believed = finished > 0.0 && running >= BELIEVED_AFTER && (run > 0 || self.done > 1);
        let left = is_believed.then(|| {
            let between = (now - running) / (run + 1) as f64;
            (all - finished) * running / finished + between * (self.runs.len() - run) as f64
        });
        (Some(self.most), left)
    }

    /// The stage that counts is over.
    fn leave(&mut self, now: f64) {
        if self.inside.take().is_some() {
            self.spent += now - self.entered;
            if let Some((_, steps)) = self.run.and_then(|run| self.runs.get(run)) {
                self.done = *steps;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_known_before_the_first_run() {
        let mut pace = Pace::new("inference", vec![(1.0, 4)]);
        assert_eq!(pace.hear("reading", 3, 4, 1.0), (None, None));
        assert_eq!(pace.hear("inference", 0, 4, 2.0), (Some(BEFORE), None));
        assert_eq!(pace.hear("inference", 1, 4, 4.0), (Some(BEFORE + WITHIN / 4.0), None));
        let (part, left) = pace.hear("inference", 2, 4, 6.0);
        assert_eq!(part, Some(BEFORE + WITHIN / 2.0));
        // Two steps of 2 s are left, and what else a run takes: 2 s before the first.
        assert_eq!(left, Some(6.0));
    }

    #[test]
    fn a_region_that_is_smaller_than_expected_brings_the_end_nearer_and_nothing_back() {
        let mut pace = Pace::new("inference", vec![(10.0, 10), (90.0, 90)]);
        let mut last = 0.0;
        let mut heard = |stage: &str, done, total, now| {
            let (part, left) = pace.hear(stage, done, total, now);
            assert!(part.is_none_or(|part| part >= last && part <= 1.0), "{part:?} after {last}");
            last = part.unwrap_or(last);
            left
        };
        for done in 0..=10 {
            heard("inference", done, 10, done as f64);
        }
        heard("resampling", 0, 0, 11.0);
        // 30 patches of the same network, not 90.
        heard("inference", 0, 30, 12.0);
        let left = heard("inference", 15, 30, 27.0).unwrap();
        assert!((15.0..17.0).contains(&left), "{left}");
        heard("inference", 30, 30, 42.0);
        let left = heard("cleaning up", 0, 0, 43.0).unwrap();
        assert!(left < 4.0, "{left}");
        assert!(last > 0.9);
    }

    #[test]
    fn the_same_stage_twice_in_a_row_is_told_apart_by_what_lies_between() {
        let mut pace = Pace::new("downloading", vec![(100.0, 100), (300.0, 300)]);
        pace.hear("downloading 291", 100, 100, 1.0);
        let (part, _) = pace.hear("downloading 292", 150, 300, 2.5);
        let expected = BEFORE + WITHIN * 250.0 / 400.0;
        assert!(part.is_some_and(|part| (part - expected).abs() < 1e-12), "{part:?}");
    }
}
