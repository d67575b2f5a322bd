//! A set of cases from one image, and all methods over it.

use std::sync::Arc;

use correction::Image;
use imaging::{Cancelled, LabelMap, Progress};

use crate::contest::{Case, Course, Method, play};
use crate::spoil::{Fault, spoiled};
use crate::user::dice;

/// The smallest structure that is spoiled, in voxels.
const LEAST_VOXELS: u64 = 400;

/// What to spoil.
#[derive(Debug, Clone)]
pub struct Suite {
    /// Its name in reports.
    pub name: String,
    /// The image.
    pub image: Arc<Image>,
    /// What is right.
    pub truth: Arc<LabelMap>,
    /// The structures to spoil; those under 400 voxels are passed over.
    pub structures: Vec<u8>,
    /// The errors to put into each.
    pub faults: Vec<Fault>,
}

impl Suite {
    /// Every structure of at least 400 voxels, but at most `most`, evenly spread over them.
    #[must_use]
    pub fn structures_of(truth: &LabelMap, most: usize) -> Vec<u8> {
        let counts = truth.counts();
        let large: Vec<u8> = (1..=255).filter(|&label| counts[usize::from(label)] >= LEAST_VOXELS).collect();
        let step = (large.len() as f64 / most as f64).max(1.0);
        (0..large.len().min(most)).map(|n| large[(n as f64 * step) as usize]).collect()
    }

    /// The cases whose error leaves a Dice between 0.3 and 0.99, or is a missed structure.
    fn cases(&self) -> impl Iterator<Item = Case> + '_ {
        let counts = self.truth.counts();
        let structures =
            self.structures.iter().filter(move |&&label| counts[usize::from(label)] >= LEAST_VOXELS);
        structures
            .flat_map(move |&label| self.faults.iter().filter_map(move |&fault| self.case(label, fault)))
    }

    fn case(&self, label: u8, fault: Fault) -> Option<Case> {
        let spoiled = spoiled(self.image.volume(), &self.truth, label, fault, 0)?;
        let start = dice(&self.truth, &spoiled, label);
        let fair = fault == Fault::Missed || (0.3..0.99).contains(&start);
        fair.then(|| Case {
            image: Arc::clone(&self.image),
            truth: Arc::clone(&self.truth),
            spoiled,
            label,
            fault: fault.name(),
        })
    }
}

/// Lets every method mend every case.
///
/// # Errors
///
/// [`Cancelled`].
pub fn run(
    suite: &Suite,
    methods: &[Method],
    progress: &Progress,
) -> Result<Vec<(Method, Vec<Course>)>, Cancelled> {
    let total = (suite.structures.len() * suite.faults.len() * methods.len()) as u64;
    let mut courses: Vec<Vec<_>> = vec![Vec::new(); methods.len()];
    for (n, case) in suite.cases().enumerate() {
        for (method, (courses, name)) in courses.iter_mut().zip(methods).enumerate() {
            progress.step(&suite.name, (n * methods.len() + method) as u64, total)?;
            courses.push(play(&case, *name));
        }
    }
    Ok(methods.iter().copied().zip(courses).collect())
}
