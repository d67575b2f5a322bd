//! The trials themselves: they are fair, they repeat, and they show what they are for.

use std::sync::Arc;

use correction::{Image, Intensity};
use imaging::{LabelMap, Progress, Volume};

use crate::user::dice;
use crate::{COMMON, Fault, Figures, Method, Suite, phantom, run, spoiled};

/// The phantom at 5 mm: large enough for errors, small enough for a test.
fn coarse() -> (Volume, LabelMap) {
    phantom(5.0)
}

#[test]
fn every_fault_leaves_a_structure_wrong_and_others_alone() {
    let (volume, truth) = coarse();
    for fault in COMMON.into_iter().chain([Fault::Island, Fault::Missed]) {
        let spoiled_labels = spoiled(&volume, &truth, 3, fault, 0).unwrap();
        let found = dice(&truth, &spoiled_labels, 3);
        let expected = if fault == Fault::Missed { 0.0..0.01 } else { 0.3..0.99 };
        assert!(expected.contains(&found), "{fault:?} leaves a Dice of {found}");
        for (before, after) in truth.labels.iter().zip(&spoiled_labels.labels) {
            assert!(before == after || *before == 3 || *after == 3);
        }
        assert_eq!(spoiled(&volume, &truth, 3, fault, 0).unwrap(), spoiled_labels);
    }
}

#[test]
fn a_structure_that_was_missed_takes_few_clicks() {
    let (volume, truth) = coarse();
    let suite = Suite {
        name: "missed".to_owned(),
        image: Arc::new(Image::new(Arc::new(volume), Intensity::Hounsfield)),
        structures: vec![2, 6],
        truth: Arc::new(truth),
        faults: vec![Fault::Missed],
    };
    let played = run(&suite, &[Method::ScopedCut], &Progress::silent()).unwrap();
    let figures = Figures::of(&played[0].1);
    assert!(figures.cases == 2 && figures.dice_after_3 > 0.9, "{figures:?}");
}

#[test]
fn one_click_gains_more_than_a_perfect_brush_and_twice_gives_the_same() {
    let (volume, truth) = coarse();
    let suite = Suite {
        name: "coarse".to_owned(),
        image: Arc::new(Image::new(Arc::new(volume), Intensity::Hounsfield)),
        structures: vec![1, 3, 6],
        truth: Arc::new(truth),
        faults: vec![Fault::Hole, Fault::Leak],
    };
    let methods = [Method::ScopedCut, Method::PerfectBrush, Method::GrowCut, Method::GraphCut];
    let played = || run(&suite, &methods, &Progress::silent()).unwrap();
    let figures: Vec<Figures> = played().iter().map(|(_, courses)| Figures::of(courses)).collect();
    let again: Vec<Figures> = played().iter().map(|(_, courses)| Figures::of(courses)).collect();
    for (first, second) in figures.iter().zip(&again) {
        assert_eq!((first.cases, first.dice_after_1, first.noc90), (6, second.dice_after_1, second.noc90));
        assert_eq!(first.locked_touched, 0);
    }
    // Scripts read these; they are never renamed.
    let names = [
        "dice_before",
        "dice_after_1",
        "dice_after_3",
        "noc90",
        "harm",
        "latency_p50_ms",
        "latency_p95_ms",
        "locked_touched",
        "by_fault",
    ];
    for row in &figures {
        let row = serde_json::to_value(row).unwrap();
        names.iter().for_each(|name| assert!(!row[name].is_null(), "{name}"));
    }
    let gain = |n: usize| figures[n].dice_after_1 - figures[n].dice_before;
    assert!(gain(0) > gain(1) && gain(1) > 0.0, "{} after {}", gain(0), gain(1));
}
