//! One case, one method: clicks until nothing is wrong or patience ends, and everything counted.

use std::sync::Arc;

use correction::{Answer, Delta, Image, Limits, Prompt, Sign, Subject, correct};
use imaging::{LabelMap, Progress};

use crate::clock::{Clock, Time};
use crate::peer::{Situation, brush, graph_cut, grow_cut};
use crate::random::Random;
use crate::user::{Click, dice, next_click};

/// Interactions of a user with one structure.
pub(crate) const PATIENCE: usize = 10;
/// A click that lowers Dice by more than this is taken back.
const HARM: f64 = 1e-4;

/// Who answers the clicks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// The product, as it chooses by itself.
    ScopedCut,
    /// The product with a user who turns the wheel to the best stop.
    ScopedCutWheel,
    /// The product, clicked anywhere in the error.
    ScopedCutAnywhere,
    /// A hand that paints the largest ball within the error.
    PerfectBrush,
    /// Grow from seeds.
    GrowCut,
    /// Interactive graph cut.
    GraphCut,
}

/// All methods, in the order of reports.
pub const METHODS: [Method; 6] = [
    Method::ScopedCut,
    Method::ScopedCutWheel,
    Method::ScopedCutAnywhere,
    Method::PerfectBrush,
    Method::GrowCut,
    Method::GraphCut,
];

impl Method {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Method::ScopedCut => "scoped_cut",
            Method::ScopedCutWheel => "scoped_cut_wheel",
            Method::ScopedCutAnywhere => "scoped_cut_anywhere",
            Method::PerfectBrush => "perfect_brush",
            Method::GrowCut => "grow_cut",
            Method::GraphCut => "graph_cut",
        }
    }
}

/// A structure that is wrong.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) image: Arc<Image>,
    pub(crate) truth: Arc<LabelMap>,
    pub(crate) spoiled: LabelMap,
    pub(crate) label: u8,
    pub(crate) fault: &'static str,
}

/// What happened.
#[derive(Debug, Clone)]
pub struct Course {
    pub(crate) fault: &'static str,
    /// Dice before, and after each interaction.
    pub(crate) dice: Vec<f64>,
    pub(crate) clicks: usize,
    pub(crate) harmful: usize,
    pub(crate) times: Vec<Time>,
    pub(crate) undo_times: Vec<Time>,
    pub(crate) bytes: Vec<usize>,
    /// Voxels of labels that no click may touch, and did.
    pub(crate) locked_touched: u64,
    /// Voxels of other structures that were right and are wrong now.
    pub(crate) collateral: u64,
}

/// Lets a method correct a case.
pub(crate) fn play(case: &Case, method: Method) -> Course {
    let mut labels = case.spoiled.clone();
    let mut course = Course {
        fault: case.fault,
        dice: vec![dice(&case.truth, &labels, case.label)],
        clicks: 0,
        harmful: 0,
        times: Vec::new(),
        undo_times: Vec::new(),
        bytes: Vec::new(),
        locked_touched: 0,
        collateral: 0,
    };
    let mut random = Random::new(&[u64::from(case.label), 77]);
    let mut clicks: Vec<Click> = Vec::new();
    while course.dice.len() <= PATIENCE {
        let last = course.dice[course.dice.len() - 1];
        let chance = (method == Method::ScopedCutAnywhere).then_some(&mut random);
        let Some(click) = next_click(&case.truth, &labels, case.label, chance) else {
            course.dice.push(1.0);
            continue;
        };
        clicks.push(click);
        let clock = Clock::start();
        let delta = answer(case, &labels, &clicks, method);
        course.times.push(clock.stop());
        course.clicks += 1;
        course.bytes.push(delta.encode().len());
        course.locked_touched += touched(&delta, case.label, &labels, &click);
        let _ = delta.apply(&mut labels);
        let mut found = dice(&case.truth, &labels, case.label);
        if found < last - HARM {
            course.harmful += 1;
            let clock = Clock::start();
            let _ = delta.inverted().apply(&mut labels);
            course.undo_times.push(clock.stop());
            // One interaction to take it back, one to paint by hand.
            course.dice.push(last);
            let situation =
                Situation { image: &case.image, labels: &labels, label: case.label, clicks: &clicks };
            let stroke = brush(&situation);
            let _ = stroke.apply(&mut labels);
            found = dice(&case.truth, &labels, case.label);
        }
        course.dice.push(found);
    }
    course.dice.truncate(PATIENCE + 1);
    course.collateral = collateral(case, &labels);
    course
}

/// What a method changes after the newest click.
fn answer(case: &Case, labels: &LabelMap, clicks: &[Click], method: Method) -> Delta {
    let situation = Situation { image: &case.image, labels, label: case.label, clicks };
    match method {
        Method::PerfectBrush => brush(&situation),
        Method::GrowCut => grow_cut(&situation),
        Method::GraphCut => graph_cut(&situation),
        Method::ScopedCut | Method::ScopedCutAnywhere => scoped(&situation)
            .and_then(|answer| Some(answer.best().ok()?.delta.clone()))
            .unwrap_or_else(Delta::empty),
        Method::ScopedCutWheel => {
            let candidates = scoped(&situation).map(|answer| answer.candidates).unwrap_or_default();
            let tried = candidates.into_iter().map(|candidate| {
                let mut tried = labels.clone();
                let _ = candidate.delta.apply(&mut tried);
                (dice(&case.truth, &tried, case.label), candidate.delta)
            });
            tried.max_by(|a, b| a.0.total_cmp(&b.0)).map_or_else(Delta::empty, |(_, delta)| delta)
        }
    }
}

/// The product's answer to the newest click.
fn scoped(situation: &Situation<'_>) -> Option<Answer> {
    let (click, earlier) = situation.clicks.split_last()?;
    let opposite: Vec<[usize; 3]> =
        earlier.iter().filter(|other| other.sign != click.sign).map(|other| other.voxel).collect();
    let prompt = Prompt::click(
        situation.labels.grid.world(click.voxel.map(|n| n as f64)),
        click.sign,
        Some(situation.label),
    );
    let subject = Subject {
        image: situation.image,
        labels: situation.labels,
        counts: &situation.labels.counts(),
        limits: &Limits::default(),
        opposite: &opposite,
        runner_up: None,
    };
    correct(&subject, &prompt, &Progress::silent()).ok()
}

/// Changed voxels that were neither the target, nor background, nor the label under the click.
fn touched(delta: &Delta, label: u8, labels: &LabelMap, click: &Click) -> u64 {
    let [i, j, k] = click.voxel;
    let under = if click.sign == Sign::Add { labels.labels[[k, j, i]] } else { 0 };
    let allowed = [0, label, under];
    let wrong = delta
        .changes()
        .into_iter()
        .filter(|((from, to), _)| !allowed.contains(from) || !allowed.contains(to));
    wrong.map(|(_, voxels)| voxels).sum()
}

fn collateral(case: &Case, labels: &LabelMap) -> u64 {
    let voxels = case.truth.labels.iter().zip(&case.spoiled.labels).zip(&labels.labels);
    let harmed = |((truth, before), after): ((&u8, &u8), &u8)| {
        *truth != 0 && *truth != case.label && before == truth && after != truth
    };
    voxels.filter(|&voxel| harmed(voxel)).count() as u64
}
