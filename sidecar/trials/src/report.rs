//! What the trials show: one row of figures for each method.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::clock::Time;
use crate::contest::{Course, PATIENCE};

/// Clicks that count for a case that never got there.
const NEVER: f64 = 20.0;

/// The figures of one method over some cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Cases.
    pub cases: usize,
    /// Mean Dice before the first interaction.
    pub dice_before: f64,
    /// Mean Dice after one, two, three, five and ten interactions.
    pub dice_after_1: f64,
    #[expect(missing_docs, reason = "as above")]
    pub dice_after_2: f64,
    #[expect(missing_docs, reason = "as above")]
    pub dice_after_3: f64,
    #[expect(missing_docs, reason = "as above")]
    pub dice_after_5: f64,
    #[expect(missing_docs, reason = "as above")]
    pub dice_after_10: f64,
    /// Mean interactions to a Dice of 0.90, of cases that start below; 20 for those that do not get there in ten.
    pub noc90: f64,
    /// Share of those that do not get there.
    pub noc90_failed: f64,
    /// The same for 0.95.
    pub noc95: f64,
    #[expect(missing_docs, reason = "as above")]
    pub noc95_failed: f64,
    /// Share of clicks that lower Dice.
    pub harm: f64,
    /// Clicks taken back for each case.
    pub undos: f64,
    /// Voxels changed that no click may touch: a locked label's.
    pub locked_touched: u64,
    /// Voxels of other structures that were right and became wrong, for each case.
    pub collateral: f64,
    /// Milliseconds from the click to the answer.
    pub latency_p50_ms: f64,
    #[expect(missing_docs, reason = "as above")]
    pub latency_p95_ms: f64,
    /// Milliseconds of processor time for it, all threads together.
    pub processor_p50_ms: Option<f64>,
    #[expect(missing_docs, reason = "as above")]
    pub processor_p95_ms: Option<f64>,
    /// Milliseconds to take an answer back.
    pub undo_p95_ms: Option<f64>,
    /// Bytes of an encoded answer.
    pub bytes_p50: f64,
    #[expect(missing_docs, reason = "as above")]
    pub bytes_p95: f64,
    /// Mean Dice before and after the first interaction by kind of error.
    pub by_fault: BTreeMap<&'static str, [f64; 2]>,
}

impl Figures {
    /// Counts.
    #[must_use]
    pub fn of(courses: &[Course]) -> Figures {
        let after = |n: usize| mean(courses.iter().map(|course| course.dice[n.min(PATIENCE)]));
        let times: Vec<Time> = courses.iter().flat_map(|course| course.times.clone()).collect();
        let wall: Vec<f64> = times.iter().map(|time| time.wall_ms).collect();
        let processor: Vec<f64> = times.iter().filter_map(|time| time.processor_ms).collect();
        let undo: Vec<f64> =
            courses.iter().flat_map(|course| course.undo_times.iter().map(|time| time.wall_ms)).collect();
        let bytes: Vec<f64> =
            courses.iter().flat_map(|course| course.bytes.iter().map(|&n| n as f64)).collect();
        let clicks: usize = courses.iter().map(|course| course.clicks).sum();
        let harmful: usize = courses.iter().map(|course| course.harmful).sum();
        let (noc90, noc90_failed) = clicks_to(courses, 0.90);
        let (noc95, noc95_failed) = clicks_to(courses, 0.95);
        Figures {
            cases: courses.len(),
            dice_before: after(0),
            dice_after_1: after(1),
            dice_after_2: after(2),
            dice_after_3: after(3),
            dice_after_5: after(5),
            dice_after_10: after(10),
            noc90,
            noc90_failed,
            noc95,
            noc95_failed,
            harm: harmful as f64 / clicks.max(1) as f64,
            undos: harmful as f64 / courses.len().max(1) as f64,
            locked_touched: courses.iter().map(|course| course.locked_touched).sum(),
            collateral: mean(courses.iter().map(|course| course.collateral as f64)),
            latency_p50_ms: percentile(&wall, 0.5).unwrap_or(0.0),
            latency_p95_ms: percentile(&wall, 0.95).unwrap_or(0.0),
            processor_p50_ms: percentile(&processor, 0.5),
            processor_p95_ms: percentile(&processor, 0.95),
            undo_p95_ms: percentile(&undo, 0.95),
            bytes_p50: percentile(&bytes, 0.5).unwrap_or(0.0),
            bytes_p95: percentile(&bytes, 0.95).unwrap_or(0.0),
            by_fault: by_fault(courses),
        }
    }
}

fn by_fault(courses: &[Course]) -> BTreeMap<&'static str, [f64; 2]> {
    let mut faults: BTreeMap<&'static str, Vec<&Course>> = BTreeMap::new();
    courses.iter().for_each(|course| faults.entry(course.fault).or_default().push(course));
    let first = |courses: &[&Course], n: usize| mean(courses.iter().map(|course| course.dice[n]));
    faults.into_iter().map(|(fault, courses)| (fault, [first(&courses, 0), first(&courses, 1)])).collect()
}

/// Mean interactions to a Dice, and the share of cases that never reach it.
fn clicks_to(courses: &[Course], wanted: f64) -> (f64, f64) {
    let below = courses.iter().filter(|course| course.dice[0] < wanted);
    let clicks: Vec<f64> = below
        .map(|course| course.dice.iter().position(|&dice| dice >= wanted).map_or(NEVER, |n| n as f64))
        .collect();
    (mean(clicks.iter().copied()), mean(clicks.iter().map(|&clicks| f64::from(clicks == NEVER))))
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0u32), |(sum, n), value| (sum + value, n + 1));
    sum / f64::from(n.max(1))
}

/// The value below which a share of all lies; `None` of nothing.
pub(crate) fn percentile(values: &[f64], share: f64) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    values.get((last as f64 * share).round() as usize).copied()
}
