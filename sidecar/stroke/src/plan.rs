//! Which stroke comes into which brain, drawn from a seed: case by case, so that any part of the cases can be made
//! alone, in any order, on any number of threads.

use imaging::Random;
use serde::Serialize;

use crate::Variation;

/// How often two donors' strokes are put into one brain.
const UNION: f64 = 0.1;

/// One draw for a synthetic case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Draw {
    /// Number of the normal case.
    pub normal: usize,
    /// Numbers of the donors, one or two, each with its change.
    pub donors: Vec<(usize, Variation)>,
}

impl Draw {
    /// The draw of a case; `attempt` counts those that were rejected before. Normals come in turn, so that all are used
    /// equally. Without variation the strokes stay as they are, one to a brain, donors in turn too.
    #[must_use]
    pub fn of(seed: u64, case: u64, attempt: u64, donors: usize, normals: usize, vary: bool) -> Draw {
        let mut random = Random::of(&[seed, case, attempt]);
        let normal = (case % normals.max(1) as u64) as usize;
        if !vary {
            let turn = (case / normals.max(1) as u64 + attempt) % donors.max(1) as u64;
            return Draw { normal, donors: vec![(turn as usize, Variation::none())] };
        }
        let count = if donors > 1 && random.unit() < UNION { 2 } else { 1 };
        let first = random.below(donors);
        let mut drawn = vec![(first, Variation::drawn(&mut random))];
        if count == 2 {
            let second = (first + 1 + random.below(donors - 1)) % donors;
            drawn.push((second, Variation::drawn(&mut random)));
        }
        Draw { normal, donors: drawn }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_depend_on_seed_case_and_attempt_alone() {
        let draw = |seed, case, attempt| Draw::of(seed, case, attempt, 7, 3, true);
        assert_eq!(draw(1, 5, 0), draw(1, 5, 0));
        assert_ne!(draw(1, 5, 0).donors, draw(2, 5, 0).donors);
        assert_ne!(draw(1, 5, 0).donors, draw(1, 5, 1).donors);
        let all: Vec<Draw> = (0..3000).map(|case| draw(1, case, 0)).collect();
        assert!(all.iter().enumerate().all(|(case, draw)| draw.normal == case % 3));
        let unions = all.iter().filter(|draw| draw.donors.len() == 2).count();
        assert!((230..370).contains(&unions), "{unions}");
        assert!(all.iter().all(|draw| draw.donors.len() == 1 || draw.donors[0].0 != draw.donors[1].0));
        assert_eq!(Draw::of(1, 4, 0, 2, 2, false).donors, [(0, Variation::none())]);
    }
}
