//! The laws, on a small patient with two organs and a lesion that touches both.

mod network;

use std::sync::Arc;

use imaging::{Grid, LabelMap, Progress, Volume};
use ndarray::Array3;
use proptest::prelude::*;

use crate::{
    Action, Answer, Delta, Editable, Error, Event, Image, Intensity, Limits, Prompt, Request, Session, Shape,
    Sign, Subject, Tool, correct,
};

const SIZE: [usize; 3] = [34, 30, 26];

/// Two bright organs, 1 and 2, that touch; a third, 3, apart. Of organ 1 a part is missing.
fn patient() -> (Image, LabelMap) {
    let axes = [[0.0, 2.0, 0.0], [-2.0, 0.0, 0.1], [0.0, 0.0, 2.5]];
    let grid = Grid::new(SIZE, axes, [-50.0, 20.0, 300.0]).unwrap();
    let mut labels = LabelMap::background(&grid);
    let mut voxels = Array3::zeros(grid.shape());
    for ((k, j, i), value) in voxels.indexed_iter_mut() {
        let off =
            |center: [f64; 3]| (0..3).map(|a| ([i, j, k][a] as f64 - center[a]).powi(2)).sum::<f64>().sqrt();
        let noise = ((i * 7 + j * 13 + k * 29) % 11) as f32 - 5.0;
        let (intensity, label) = if off([11.0, 14.0, 12.0]) < 8.0 {
            (120.0, u8::from(i < 14))
        } else if off([23.0, 14.0, 12.0]) < 6.0 {
            (200.0, 2)
        } else if off([15.0, 26.0, 22.0]) < 3.0 {
            (300.0, 3)
        } else {
            (0.0, 0)
        };
        *value = intensity + noise;
        labels.labels[[k, j, i]] = label;
    }
    (Image::new(Arc::new(Volume { grid, voxels }), Intensity::Hounsfield), labels)
}

fn answer(image: &Image, labels: &LabelMap, limits: &Limits, prompt: &Prompt) -> crate::Result<Answer> {
    let subject = Subject { image, labels, counts: &labels.counts(), limits, opposite: &[], runner_up: None };
    correct(&subject, prompt, &Progress::silent())
}

fn world(labels: &LabelMap, voxel: [usize; 3]) -> [f64; 3] {
    labels.grid.world(voxel.map(|n| n as f64))
}

fn request(operation: usize, base: u64) -> Request {
    Request { operation: format!("operation {operation}"), base, seconds: 2.0 }
}

fn prompts() -> impl Strategy<Value = (Sign, Option<u8>, Vec<[usize; 3]>, u8)> {
    let voxel = (0..SIZE[0], 0..SIZE[1], 0..SIZE[2]).prop_map(|(i, j, k)| [i, j, k]);
    let sign = prop_oneof![Just(Sign::Add), Just(Sign::Remove)];
    let label = prop_oneof![Just(None), (1..4u8).prop_map(Some)];
    (sign, label, prop::collection::vec(voxel, 1..4), 0..3u8)
}

fn prompt(labels: &LabelMap, (sign, label, voxels, kind): (Sign, Option<u8>, Vec<[usize; 3]>, u8)) -> Prompt {
    let points: Vec<_> = voxels.iter().map(|&voxel| world(labels, voxel)).collect();
    let shape = match (kind, points.as_slice()) {
        (1, _) => Shape::Scribble { points, radius_mm: 1.0 },
        (2, [first, .., last]) => Shape::Box { corners: [*first, *last] },
        (_, [first, ..]) => Shape::Point(*first),
        _ => unreachable!(),
    };
    Prompt { shape, sign, label, editable: None }
}

#[test]
fn a_click_brings_back_what_is_missing() {
    let (image, labels) = patient();
    let missing = labels.grid.len() as u64;
    let prompt = Prompt::click(world(&labels, [16, 14, 12]), Sign::Add, Some(1));
    let answer = answer(&image, &labels, &Limits::default(), &prompt).unwrap();
    let mut mended = labels.clone();
    answer.best().unwrap().delta.apply(&mut mended).unwrap();
    let wrong = mended.labels.indexed_iter().filter(|((k, j, i), label)| {
        let inside =
            (0..3).map(|a| ([*i, *j, *k][a] as f64 - [11.0, 14.0, 12.0][a]).powi(2)).sum::<f64>() < 64.0;
        (**label == 1) != inside
    });
    let wrong = wrong.count() as u64;
    assert!(wrong < 60 && wrong < missing, "{wrong} voxels are wrong");
    assert!(answer.best().unwrap().delta.encode().len() < 1000);
}

#[test]
fn the_label_is_the_one_under_or_near_the_prompt() {
    let (image, labels) = patient();
    let prompt = Prompt::click(world(&labels, [15, 14, 12]), Sign::Add, None);
    assert_eq!(answer(&image, &labels, &Limits::default(), &prompt).unwrap().label, 1);
    let prompt = Prompt::click(world(&labels, [23, 14, 12]), Sign::Remove, None);
    assert_eq!(answer(&image, &labels, &Limits::default(), &prompt).unwrap().label, 2);
    let lost = Prompt::click(world(&labels, [0, 0, 0]), Sign::Add, None);
    let found = answer(&image, &labels, &Limits::default(), &lost);
    assert_eq!(found.err(), Some(Error::NoLabelNear { within_mm: 10.0 }));
}

#[test]
fn what_cannot_be_is_refused() {
    let (image, labels) = patient();
    let limits = Limits { locked: [2].into() };
    let at = |voxel| world(&labels, voxel);
    let check = |prompt: &Prompt, error: &Error| {
        assert_eq!(answer(&image, &labels, &limits, prompt).as_ref().err(), Some(error));
    };
    check(&Prompt::click(at([23, 14, 12]), Sign::Add, Some(1)), &Error::Locked { label: 2 });
    check(&Prompt::click(at([23, 14, 12]), Sign::Remove, Some(2)), &Error::Locked { label: 2 });
    check(&Prompt::click(at([8, 14, 12]), Sign::Add, Some(1)), &Error::Nothing { label: 1 });
    check(&Prompt::click(at([16, 14, 12]), Sign::Remove, Some(1)), &Error::Nothing { label: 1 });
    let dark = Some(Editable { labels: None, intensity: Some([-900.0, -800.0]) });
    let forbidden = Prompt { editable: dark, ..Prompt::click(at([16, 14, 12]), Sign::Add, Some(1)) };
    check(&forbidden, &Error::Masked { label: 1 });
    check(&Prompt::click(at([16, 14, 12]), Sign::Add, Some(0)), &Error::Background);
    check(&Prompt::click([1e9, 0.0, 0.0], Sign::Add, Some(1)), &Error::Outside);
    let not_finite = Prompt::click([f64::NAN, 0.0, 0.0], Sign::Add, Some(1));
    assert!(matches!(answer(&image, &labels, &limits, &not_finite), Err(Error::Prompt { .. })));
    let far = Shape::Scribble { points: vec![[-1e300; 3], [1e300; 3]], radius_mm: 1.0 };
    let long = Prompt { shape: far, sign: Sign::Add, label: Some(1), editable: None };
    assert!(matches!(answer(&image, &labels, &limits, &long), Err(Error::Prompt { .. })));
}

#[test]
fn threads_change_nothing() {
    let (image, labels) = patient();
    let prompt = Prompt::click(world(&labels, [16, 14, 12]), Sign::Add, Some(1));
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| answer(&image, &labels, &Limits::default(), &prompt).unwrap())
    };
    assert_eq!(with(1), with(7));
}

/// A bright ball of 17 mm in voxels of 0.8 mm, of which `is_known` knows a part as label 1; 2 lies beside it.
fn fine_patient(is_known: impl Fn([usize; 3]) -> bool) -> (Image, LabelMap) {
    let grid = Grid::aligned([70, 66, 64], [0.8; 3]);
    let mut labels = LabelMap::background(&grid);
    let mut voxels = Array3::zeros(grid.shape());
    for ((k, j, i), value) in voxels.indexed_iter_mut() {
        let noise = ((i * 7 + j * 13 + k * 29) % 11) as f32 - 5.0;
        let inside = is_in_ball([i, j, k]);
        *value = if inside { 120.0 } else { 0.0 } + noise;
        labels.labels[[k, j, i]] = match (inside, is_known([i, j, k])) {
            (true, true) => 1,
            (false, _) if i > 62 => 2,
            _ => 0,
        };
    }
    (Image::new(Arc::new(Volume { grid, voxels }), Intensity::Hounsfield), labels)
}

fn is_in_ball(voxel: [usize; 3]) -> bool {
    (0..3).map(|a| (voxel[a] as f64 - [33.0, 33.0, 31.0][a]).powi(2)).sum::<f64>() < 21.0 * 21.0
}

#[test]
fn fine_images_are_solved_coarsely_first_and_no_law_is_broken() {
    let (image, labels) = fine_patient(|[i, ..]| i < 30);
    let prompt = Prompt::click(world(&labels, [42, 33, 31]), Sign::Add, Some(1));
    let earlier = [[40, 33, 31], [50, 20, 31]];
    let counts = labels.counts();
    let limits = Limits::default();
    let subject = Subject {
        image: &image,
        labels: &labels,
        counts: &counts,
        limits: &limits,
        opposite: &earlier,
        runner_up: None,
    };
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| correct(&subject, &prompt, &Progress::silent()).unwrap())
    };
    let answer = with(1);
    assert_eq!(answer, with(7));
    let mut smaller: Vec<[usize; 3]> = Vec::new();
    for candidate in &answer.candidates {
        let voxels: Vec<[usize; 3]> = candidate.delta.iter().map(|(voxel, ..)| voxel).collect();
        assert!(smaller.iter().all(|voxel| voxels.contains(voxel)), "scopes hold one another");
        assert!(earlier.iter().all(|voxel| !voxels.contains(voxel)), "an earlier prompt stands");
        assert!(candidate.delta.iter().all(|(_, from, to)| (from, to) == (0, 1)));
        smaller = voxels;
    }
    let mut mended = labels.clone();
    answer.best().unwrap().delta.apply(&mut mended).unwrap();
    let wrong =
        mended.labels.indexed_iter().filter(|((k, j, i), label)| (**label == 1) != is_in_ball([*i, *j, *k]));
    let wrong = wrong.count();
    let missing = labels.labels.indexed_iter().filter(|((k, j, i), l)| is_in_ball([*i, *j, *k]) && **l == 0);
    assert!(20 * wrong < missing.count(), "{wrong} voxels are wrong");
}

/// The wheel remembered its answer over a lock; a session that was replayed asked anew, and said something else.
#[test]
fn a_lock_holds_for_the_wheel_of_the_prompt_before_it() {
    let (image, labels) = patient();
    let silent = Progress::silent();
    let mut session = Session::new(image.clone(), labels.clone(), None).unwrap();
    let click = Prompt::click(world(&labels, [16, 20, 6]), Sign::Add, Some(3));
    let events = [
        session.prompt(&request(0, 0), &click, &silent).unwrap(),
        session.lock(&request(1, 1), 3, true).unwrap(),
    ];
    let mut replayed = Session::replay(image, labels, None, events).unwrap();
    for session in [&mut session, &mut replayed] {
        assert_eq!(session.choose(&request(2, 2), 0, &silent), Err(Error::Locked { label: 3 }));
    }
}

#[test]
fn one_click_finds_a_structure_that_was_missed() {
    let (image, labels) = fine_patient(|_| false);
    let prompt = Prompt::click(world(&labels, [31, 34, 30]), Sign::Add, Some(1));
    let answer = answer(&image, &labels, &Limits::default(), &prompt).unwrap();
    let found: Vec<bool> = answer.best().unwrap().delta.iter().map(|(voxel, ..)| is_in_ball(voxel)).collect();
    let right = found.iter().filter(|right| **right).count();
    assert!(right > 36_000 && found.len() - right < 600, "{right} of {} are right", found.len());
}

#[test]
fn where_no_edge_holds_a_click_the_wheel_offers_balls() {
    let grid = Grid::aligned([40, 40, 40], [2.0; 3]);
    let labels = LabelMap::background(&grid);
    let noise = |(k, j, i): (usize, usize, usize)| ((i * 7 + j * 13 + k * 29) % 11) as f32 - 5.0;
    let voxels = Array3::from_shape_fn(grid.shape(), noise);
    let image = Image::new(Arc::new(Volume { grid, voxels }), Intensity::Hounsfield);
    let prompt = Prompt::click(world(&labels, [20, 20, 20]), Sign::Add, Some(1));
    let answer = answer(&image, &labels, &Limits::default(), &prompt).unwrap();
    let voxels: Vec<u64> = answer.candidates.iter().map(|candidate| candidate.voxels).collect();
    assert!(voxels.len() > 2 && voxels[0] > 5 && voxels.is_sorted(), "{voxels:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_laws_hold(drawn in prompts(), locked in 1..4u8, masked in any::<bool>()) {
        let (image, labels) = patient();
        let editable = masked.then(|| Editable { labels: Some([0, 2].into()), intensity: Some([-20.0, 110.0]) });
        let prompt = Prompt { editable: editable.clone(), ..prompt(&labels, drawn) };
        let limits = Limits { locked: [locked].into() };
        let Ok(answer) = answer(&image, &labels, &limits, &prompt) else { return Ok(()) };
        prop_assert!(answer.chosen < answer.candidates.len());
        let mut smaller: Option<Vec<[usize; 3]>> = None;
        for candidate in &answer.candidates {
            for ([i, j, k], from, to) in candidate.delta.iter() {
                prop_assert!(from != locked && to != locked, "locked");
                let brightness = image.volume().voxels[[k, j, i]];
                let by_label = from == answer.label || from == 0 || from == 2;
                prop_assert!(!masked || (by_label && (-20.0..=110.0).contains(&brightness)), "masked");
                match prompt.sign {
                    Sign::Add => prop_assert!(to == answer.label && (from == 0 || from == answer.under)),
                    Sign::Remove => prop_assert!(to == 0 && from == answer.label),
                }
            }
            let voxels: Vec<[usize; 3]> = candidate.delta.iter().map(|(voxel, ..)| voxel).collect();
            prop_assert!(answer.seeds.iter().all(|seed| voxels.contains(seed)), "seeds");
            if let crate::Source::Scope(_) = candidate.source {
                let held = smaller.iter().flatten().all(|voxel| voxels.contains(voxel));
                prop_assert!(held, "scopes hold one another");
                smaller = Some(voxels);
            }
            let mut there = labels.clone();
            candidate.delta.apply(&mut there).unwrap();
            prop_assert_eq!(&Delta::between(labels.labels.view(), there.labels.view()).unwrap(), &candidate.delta);
            prop_assert_eq!(&Delta::decode(&candidate.delta.encode()).unwrap(), &candidate.delta);
            candidate.delta.inverted().apply(&mut there).unwrap();
            prop_assert_eq!(&there, &labels);
        }
    }

    #[test]
    fn any_session_is_undone_and_replayed(steps in prop::collection::vec((prompts(), 0..9u8), 1..8)) {
        let (image, labels) = patient();
        let mut session = Session::new(image.clone(), labels.clone(), None).unwrap();
        let silent = Progress::silent();
        let mut journal: Vec<Event> = Vec::new();
        for (n, (drawn, step)) in steps.into_iter().enumerate() {
            let request = request(n, session.revision());
            let before = session.labels().clone();
            let event = match step {
                0 => session.undo(&request),
                1 => session.redo(&request),
                2 => session.choose(&request, drawn.2[0][0] % 5, &silent),
                3 => session.foreign(&request, brush(session.labels(), drawn.2[0])),
                4 => session.lock(&request, 3, drawn.2[0][0] % 2 == 0),
                5 => session.tool(&request, &tool(&labels, &drawn), &silent),
                _ => session.prompt(&request, &prompt(&labels, drawn), &silent),
            };
            let Ok(event) = event else {
                prop_assert_eq!(session.labels(), &before, "an error changes nothing");
                continue;
            };
            let mut mirror = before;
            event.delta.apply(&mut mirror).unwrap();
            prop_assert_eq!(session.labels(), &mirror, "a viewer that applies deltas sees the labels");
            journal.push(serde_json::from_str(&serde_json::to_string(&event).unwrap()).unwrap());
        }
        let mut replayed = Session::replay(image, labels.clone(), None, journal).unwrap();
        prop_assert_eq!(replayed.labels(), session.labels());
        prop_assert_eq!(replayed.ways_back(), session.ways_back());
        prop_assert_eq!(replayed.efforts(), session.efforts());
        // The wheel goes on after a restart where it was.
        let wheel = request(1000, session.revision());
        prop_assert_eq!(session.choose(&wheel, 0, &silent), replayed.choose(&wheel, 0, &silent));
        for session in [&mut session, &mut replayed] {
            session.lock(&request(2000, session.revision()), 3, false).unwrap();
            let mut n = 3000;
            while session.ways_back().0 > 0 {
                session.undo(&request(n, session.revision())).unwrap();
                n += 1;
            }
            prop_assert_eq!(session.labels(), &labels);
        }
    }

    #[test]
    fn no_bytes_harm_the_decoder(bytes in prop::collection::vec(any::<u8>(), 0..80), at in 0..40usize, with in any::<u8>()) {
        let _ = Delta::decode(&bytes);
        let _ = Delta::decode(&[b"VSD1".as_slice(), &bytes].concat());
        let (_, mut labels) = patient();
        let mut encoded = brush(&labels, [10, 10, 10]).encode();
        let at = at % encoded.len();
        encoded[at] = with;
        if let Ok(delta) = Delta::decode(&encoded) {
            prop_assert_eq!(&Delta::decode(&delta.encode()).unwrap(), &delta);
            let before = labels.clone();
            if delta.apply(&mut labels).is_ok() {
                delta.inverted().apply(&mut labels).unwrap();
            }
            prop_assert_eq!(labels, before);
        }
    }
}

fn tool(labels: &LabelMap, (_, label, voxels, _): &(Sign, Option<u8>, Vec<[usize; 3]>, u8)) -> Tool {
    let masked = voxels[0][2] % 2 == 1;
    let editable = masked.then(|| Editable { labels: Some([0, 2].into()), intensity: Some([-20.0, 110.0]) });
    let (label, at) = (label.unwrap_or(1), world(labels, voxels[0]));
    match voxels[0][1] % 4 {
        0 => Tool::Snap { label, within_mm: 3.0, editable },
        1 => Tool::Fill { label, axis: None, editable },
        2 => Tool::Keep { label, at, editable },
        _ => Tool::Drop { label, at, editable },
    }
}

/// A viewer's brush: background within two voxels of a voxel becomes label 3.
fn brush(labels: &LabelMap, at: [usize; 3]) -> Delta {
    let mut painted = labels.labels.clone();
    for ((k, j, i), label) in painted.indexed_iter_mut() {
        let near = (0..3).all(|a| [i, j, k][a].abs_diff(at[a]) <= 2);
        if near && *label == 0 {
            *label = 3;
        }
    }
    Delta::between(labels.labels.view(), painted.view()).unwrap()
}

#[test]
fn the_same_operation_is_made_once() {
    let (image, labels) = patient();
    let mut session = Session::new(image, labels.clone(), None).unwrap();
    let silent = Progress::silent();
    let click = Prompt::click(world(&labels, [16, 14, 12]), Sign::Add, Some(1));
    let first = session.prompt(&request(1, 0), &click, &silent).unwrap();
    let after = session.labels().clone();
    assert_eq!(session.prompt(&request(1, 0), &click, &silent).unwrap(), first);
    assert_eq!((session.revision(), session.labels()), (1, &after));
    let other = Prompt { sign: Sign::Remove, ..click };
    let reused = Error::Reused { operation: "operation 1".to_owned() };
    assert_eq!(session.prompt(&request(1, 1), &other, &silent).unwrap_err(), reused);
    assert_eq!(session.undo(&request(1, 1)).unwrap_err(), reused);
}

#[test]
fn what_was_made_for_older_labels_is_carried_over_or_refused() {
    let (image, labels) = patient();
    let mut session = Session::new(image, labels.clone(), None).unwrap();
    let silent = Progress::silent();
    let stroke = brush(&labels, [2, 2, 2]);
    session.foreign(&request(1, 0), stroke.clone()).unwrap();
    let stale = |base, current| Error::Stale { base, current };
    // The same stroke again under another name: what it would replace is no longer there.
    assert_eq!(session.foreign(&request(2, 0), stroke).unwrap_err(), stale(0, 1));
    assert!(session.foreign(&request(3, 0), brush(&labels, [30, 2, 20])).is_ok());
    // The prompt's box reaches into what was painted meanwhile.
    let click = Prompt::click(world(&labels, [16, 14, 12]), Sign::Add, Some(1));
    assert_eq!(session.prompt(&request(4, 0), &click, &silent).unwrap_err(), stale(0, 2));
    assert!(session.prompt(&request(4, 2), &click, &silent).is_ok());
    assert_eq!(session.undo(&request(5, 2)).unwrap_err(), stale(2, 3));
    assert_eq!(session.undo(&request(5, 9)).unwrap_err(), stale(9, 3));
    let revisions: Vec<u64> = session.since(1).unwrap().map(|event| event.revision).collect();
    assert_eq!(revisions, [2, 3]);
    assert!(session.since(4).is_none());
}

#[test]
fn a_budget_forgets_the_oldest_first() {
    let (image, labels) = patient();
    let mut session = Session::new(image, labels.clone(), None).unwrap().with_budget(4000);
    for n in 0..20 {
        let stroke = brush(session.labels(), [n, n, n]);
        session.foreign(&request(n, n as u64), stroke).unwrap();
    }
    let (kept, _) = session.ways_back();
    assert!((1..20).contains(&kept), "{kept}");
    assert!(session.since(0).is_none());
    assert!(session.since(19).is_some());
}

#[test]
fn effort_is_counted_by_structure() {
    let (image, labels) = patient();
    let mut session = Session::new(image, labels.clone(), None).unwrap();
    let click = Prompt::click(world(&labels, [16, 14, 12]), Sign::Add, Some(1));
    let slow = Request { seconds: 1e6, ..request(1, 0) };
    let event = session.prompt(&slow, &click, &Progress::silent()).unwrap();
    session.undo(&request(2, 1)).unwrap();
    let effort = &session.efforts()[&1];
    assert_eq!((effort.seconds, effort.clicks, effort.undos), (17.0, 1, 1));
    let voxels = event.delta.voxels();
    assert_eq!(effort.voxels, [((0, 1), voxels), ((1, 0), voxels)]);
    assert_eq!(session.status(1), crate::Status::Edited);
    let accepted = session.accept(&request(3, 2), None).unwrap();
    assert_eq!((accepted.action, session.status(1)), (Action::Accept(None), crate::Status::Accepted));
}
