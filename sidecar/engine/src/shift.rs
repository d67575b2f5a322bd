//! Another threshold than one half: the scores of the foreground, shifted before they are averaged.

use nnunet::{Outputs, Plan};

use crate::network::TakeScores;
use crate::{Network, Result};

/// A network whose foreground scores are raised or lowered by a constant.
///
/// With two classes the foreground wins where its probability exceeds `t` exactly when its score plus `-logit(t)`
/// exceeds that of the background, since softmax of two scores is the sigmoid of their difference. Means over patches
/// and folds and linear interpolation leave a constant what it is.
pub(crate) struct Shifted<'a> {
    network: &'a mut Box<dyn Network>,
    shift: f32,
    /// The first class that is foreground.
    first: usize,
    /// Scores of a class.
    voxels: usize,
    shifted: Vec<f32>,
}

impl<'a> Shifted<'a> {
    /// The networks with the shift that `threshold` asks for; without one they are what they were.
    pub(crate) fn all(
        networks: &'a mut [Box<dyn Network>],
        plan: &Plan,
        threshold: Option<f64>,
    ) -> Vec<Shifted<'a>> {
        // A threshold of 0 or 1 would be no number; beyond these the scores themselves have no digits left.
        let logit = |t: f64| {
            let t = t.clamp(1e-6, 1.0 - 1e-6);
            (t / (1.0 - t)).ln()
        };
        let shift = threshold.map_or(0.0, |t| -logit(t)) as f32;
        let first = match plan.outputs {
            Outputs::Classes { .. } => 1,
            // Every region is foreground.
            Outputs::Regions { .. } => 0,
        };
        let voxels = plan.patch_size.iter().product();
        let shifted = |network| Shifted { network, shift, first, voxels, shifted: Vec::new() };
        networks.iter_mut().map(shifted).collect()
    }
}

impl Network for Shifted<'_> {
    fn run(&mut self, patch: &[f32], take: &mut TakeScores<'_>) -> Result<()> {
        if self.shift == 0.0 {
            return self.network.run(patch, take);
        }
        let (shift, first, voxels, shifted) = (self.shift, self.first, self.voxels, &mut self.shifted);
        self.network.run(patch, &mut |class, scores| {
            shifted.clear();
            let shift_of = |n: usize| if class + n / voxels >= first { shift } else { 0.0 };
            shifted.extend(scores.iter().enumerate().map(|(n, score)| score + shift_of(n)));
            take(class, shifted)
        })
    }

    fn watch(&mut self, progress: &imaging::Progress) {
        self.network.watch(progress);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModelStore;

    /// Gives the scores it was made with, one class at a time.
    struct Fixed(Vec<f32>, usize);

    impl Network for Fixed {
        fn run(&mut self, _: &[f32], take: &mut TakeScores<'_>) -> Result<()> {
            self.0.chunks(self.1).enumerate().try_for_each(|(class, scores)| take(class, scores))
        }
    }

    #[test]
    fn a_threshold_decides_at_that_probability() {
        let embedded = ModelStore::embedded("headneck").unwrap();
        let mut plan = nnunet::describe_bytes(embedded).unwrap().plan;
        (plan.patch_size, plan.outputs) = ([1, 1, 41], Outputs::Classes { count: 2 });
        let logits: Vec<f32> = (0..41).map(|n| n as f32 * 0.25 - 5.0).collect();
        let scores = [vec![0.5; 41], logits.iter().map(|logit| logit + 0.5).collect()].concat();
        for threshold in [None, Some(0.5), Some(0.05), Some(0.9)] {
            let mut networks: Vec<Box<dyn Network>> = vec![Box::new(Fixed(scores.clone(), 41))];
            let mut found = Vec::new();
            let mut shifted = Shifted::all(&mut networks, &plan, threshold);
            shifted[0]
                .run(&[], &mut |_, scores| {
                    found.extend_from_slice(scores);
                    Ok(())
                })
                .unwrap();
            for (n, logit) in logits.iter().enumerate() {
                let probability = 1.0 / (1.0 + (-f64::from(*logit)).exp());
                let expected = probability > threshold.unwrap_or(0.5) + 1e-9;
                assert_eq!(found[41 + n] > found[n], expected, "{threshold:?} at {probability}");
            }
            assert_eq!(found[..41], scores[..41], "the background stays");
        }
    }
}
