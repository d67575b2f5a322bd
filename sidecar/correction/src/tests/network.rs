//! What a network proposes passes a gate, whatever it proposes.

use imaging::IndexBox;

use super::*;
use crate::{Asked, Candidate, Drawn, NetworkMask, Source};

fn inside_ball(voxel: [usize; 3], center: [f64; 3], radius: f64) -> bool {
    (0..3).map(|a| (voxel[a] as f64 - center[a]).powi(2)).sum::<f64>() < radius * radius
}

/// All of the first organ's ball, a bite into the second organ, and a blob far away.
fn sees([i, j, k]: [usize; 3]) -> bool {
    let balls = [([11.0, 14.0, 12.0], 8.0), ([19.0, 14.0, 12.0], 4.0), ([3.0, 3.0, 3.0], 3.5)];
    balls.iter().any(|(center, radius)| inside_ball([i, j, k], *center, *radius))
}

fn mask(part: IndexBox, sees: impl Fn([usize; 3]) -> bool) -> NetworkMask {
    let [ni, nj, nk] = part.size();
    let at = |(k, j, i): (usize, usize, usize)| [part.start[0] + i, part.start[1] + j, part.start[2] + k];
    NetworkMask { part, inside: Array3::from_shape_fn((nk, nj, ni), |place| sees(at(place))) }
}

fn clicked(sign: Sign, at: [usize; 3]) -> (Session, LabelMap, Event) {
    let (image, labels) = patient();
    let mut session = Session::new(image, labels.clone(), None).unwrap();
    let click = Prompt::click(world(&labels, at), sign, Some(1));
    let event = session.prompt(&request(1, 0), &click, &Progress::silent()).unwrap();
    (session, labels, event)
}

fn networks(answer: &Answer) -> Vec<&Candidate> {
    answer.candidates.iter().filter(|candidate| candidate.source == Source::Network).collect()
}

#[test]
fn only_what_hangs_together_with_the_click_is_offered() {
    let (mut session, labels, _) = clicked(Sign::Add, [16, 14, 12]);
    let question = session.question().unwrap();
    assert_eq!((question.revision, question.label, question.prompts.len()), (1, 1, 1));
    assert_eq!(question.prompts, [Asked { shape: Drawn::Point([16, 14, 12]), inside: true }]);
    assert_eq!(question.object, labels.labels.mapv(|label| label == 1));
    let silent = Progress::silent();
    let before = session.labels().clone();
    let scopes = session.answer().unwrap().clone();
    let answer = session.offer(1, &mask(IndexBox::whole(&labels.grid), sees), &silent).unwrap().clone();
    assert_eq!(session.labels(), &before);
    assert_eq!(answer.candidates[..scopes.candidates.len()], scopes.candidates);
    assert_eq!((answer.chosen, answer.elsewhere), (scopes.chosen, 1));
    let [network] = networks(&answer)[..] else { panic!("one candidate") };
    let changed: Vec<_> = network.delta.iter().collect();
    // The missing part, and of the bite what is background.
    let expected = labels.labels.indexed_iter().filter(|((k, j, i), label)| {
        let voxel = [*i, *j, *k];
        **label == 0 && sees(voxel) && !inside_ball(voxel, [3.0; 3], 3.5)
    });
    assert_eq!(changed.len(), expected.count());
    assert!(changed.iter().all(|(voxel, from, to)| (*from, *to) == (0, 1) && sees(*voxel)));

    let last = answer.candidates.len() - 1;
    session.choose(&request(2, 1), last, &silent).unwrap();
    assert_eq!(session.labels().counts()[1], labels.counts()[1] + changed.len() as u64);
    // Asked once more, the choice stays what it is.
    assert_eq!(
        session.offer(2, &mask(IndexBox::whole(&labels.grid), |_| false), &silent).unwrap().chosen,
        last
    );
    session.undo(&request(3, 2)).unwrap();
    assert_eq!(session.labels(), &labels);
    let nothing = session.offer(3, &mask(IndexBox::whole(&labels.grid), sees), &silent);
    assert_eq!(nothing.unwrap_err(), Error::None { what: "prompt to choose for" });
}

#[test]
fn a_network_that_contradicts_the_click_offers_nothing() {
    let (mut session, labels, _) = clicked(Sign::Remove, [10, 14, 12]);
    let silent = Progress::silent();
    // It would keep what the user removes, and add far away.
    let answer = session.offer(1, &mask(IndexBox::whole(&labels.grid), sees), &silent).unwrap();
    assert_eq!((networks(answer).len(), answer.elsewhere), (0, 2));
    let part = IndexBox { start: [8, 12, 10], end: [13, 17, 15] };
    let answer = session.offer(1, &mask(part, |_| false), &silent).unwrap();
    assert_eq!((networks(answer)[0].voxels, answer.elsewhere), (125, 0));
    let stale = Error::Stale { base: 0, current: 1 };
    assert_eq!(session.offer(0, &mask(part, |_| false), &silent).unwrap_err(), stale);
    let beyond =
        NetworkMask { part: IndexBox { start: [30; 3], end: [35; 3] }, inside: Array3::default((5, 5, 5)) };
    assert!(matches!(session.offer(1, &beyond, &silent), Err(Error::SizesDiffer { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_laws_hold_for_any_mask(drawn in prompts(), balls in prop::collection::vec((0..34usize, 0..30usize, 0..26usize, 1..12usize), 0..4)) {
        let (image, labels) = patient();
        let mut session = Session::new(image, labels.clone(), None).unwrap();
        let silent = Progress::silent();
        session.lock(&request(0, 0), 3, true).unwrap();
        let prompt = prompt(&labels, drawn);
        if session.prompt(&request(1, 1), &prompt, &silent).is_err() {
            return Ok(());
        }
        let inside = |voxel: [usize; 3]| {
            balls.iter().any(|&(i, j, k, radius)| inside_ball(voxel, [i as f64, j as f64, k as f64], radius as f64))
        };
        let after = session.labels().clone();
        let answer = session.offer(2, &mask(IndexBox::whole(&labels.grid), inside), &silent).unwrap().clone();
        prop_assert_eq!(session.labels(), &after);
        for candidate in networks(&answer) {
            let mut there = labels.clone();
            candidate.delta.apply(&mut there).unwrap();
            let voxels: Vec<[usize; 3]> = candidate.delta.iter().map(|(voxel, ..)| voxel).collect();
            prop_assert!(answer.seeds.iter().all(|seed| voxels.contains(seed)), "seeds");
            for (voxel, from, to) in candidate.delta.iter() {
                prop_assert!(from != 3 && to != 3, "locked");
                let wanted = prompt.sign == Sign::Add;
                prop_assert!(inside(voxel) == wanted || answer.seeds.contains(&voxel), "the network's");
                match prompt.sign {
                    Sign::Add => prop_assert!(to == answer.label && (from == 0 || from == answer.under)),
                    Sign::Remove => prop_assert!(to == 0 && from == answer.label),
                }
            }
        }
    }
}
