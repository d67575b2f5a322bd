//! The network, what its channels are, and the shape of a click.

use engine::{Engine, Network, PromptableNetwork};
use imaging::Progress;
use nnunet::{Interactions, Pair, Plan};

use crate::prompt::Shape;
use crate::{Error, Result};

/// A network that takes prompts. One thread at a time runs it; it keeps nothing between patches.
pub struct Model {
    network: Box<dyn Network>,
    /// Voxels along k, j, i.
    pub(crate) patch: [usize; 3],
    pub(crate) interactions: Interactions,
    /// Strength of a click round its centre, `[k, j, i]`, C order.
    ball: Vec<f64>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("Model");
        shown.field("patch", &self.patch).field("interactions", &self.interactions).finish_non_exhaustive()
    }
}

impl Model {
    /// Opens an installed model by name.
    ///
    /// # Errors
    ///
    /// What [`Engine::promptable`] says; [`Error::NoPrompts`].
    pub fn open(engine: &Engine, name: &str, progress: &Progress) -> Result<Model> {
        let PromptableNetwork { plan, network, .. } = engine.promptable(name, progress)?;
        Model::new(&plan, network)
    }

    /// A network of this plan.
    ///
    /// # Errors
    ///
    /// [`Error::NoPrompts`] if the plan does not say which of its channels are prompts.
    pub fn new(plan: &Plan, network: Box<dyn Network>) -> Result<Model> {
        let interactions = plan.interactions.clone().ok_or(Error::NoPrompts)?;
        if plan.channels.len() != interactions.channels + 1 || plan.outputs.channels() != 2 {
            return Err(Error::NoPrompts);
        }
        let ball = ball(interactions.point_radius);
        Ok(Model { network, patch: plan.patch_size, interactions, ball })
    }

    /// Whether a kind of prompt is one that the network was trained for.
    #[must_use]
    pub fn takes(&self, shape: &Shape) -> bool {
        self.channels(shape).is_ok()
    }

    /// The channels of a kind of prompt.
    pub(crate) fn channels(&self, shape: &Shape) -> Result<Pair> {
        let known = &self.interactions;
        let (pair, kind) = match shape {
            Shape::Point(_) => (known.point, "points"),
            Shape::Scribble(..) => (known.scribble, "scribbles"),
            Shape::Lasso(..) => (known.lasso, "lassos"),
            // A box of one slice is given as such where the network knows the difference.
            Shape::Box(part) if part.size().contains(&1) => (known.flat_box.or(known.solid_box), "boxes"),
            Shape::Box(_) => (known.solid_box, "boxes of more than one slice"),
        };
        pair.ok_or(Error::Unsupported { kind })
    }

    /// Channels of thin prompts, which would vanish in a coarse patch and are widened first.
    pub(crate) fn is_thin(&self, channel: usize) -> bool {
        let pairs = [self.interactions.point, self.interactions.scribble];
        pairs.iter().flatten().any(|pair| pair.contains(&channel))
    }

    /// Strength of a click at an offset from its centre along k, j, i; 0 beyond its rim.
    pub(crate) fn ball(&self, offset: [isize; 3]) -> f64 {
        let radius = self.interactions.point_radius as isize;
        let place = |n: isize| (n.abs() <= radius).then_some((n + radius) as usize);
        let [Some(k), Some(j), Some(i)] = offset.map(place) else { return 0.0 };
        let side = 2 * self.interactions.point_radius + 1;
        self.ball[(k * side + j) * side + i]
    }

    /// Where the network sees the object: 1 where its score is higher than background's.
    pub(crate) fn run(&mut self, input: &[f32], progress: &Progress) -> Result<Vec<u8>> {
        self.network.watch(progress);
        let voxels: usize = self.patch.iter().product();
        let mut scores = vec![0.0; 2 * voxels];
        self.network.run(input, &mut |first, given| {
            let part = scores.get_mut(first * voxels..first * voxels + given.len());
            part.ok_or(engine::Error::Scores)?.copy_from_slice(given);
            Ok(())
        })?;
        let (background, object) = scores.split_at(voxels);
        if !scores.iter().all(|score| score.is_finite()) {
            return Err(engine::Error::Scores.into());
        }
        Ok(object.iter().zip(background).map(|(object, background)| u8::from(object > background)).collect())
    }
}

/// A ball's distances to the nearest voxel beyond it, the centre's being 1, in a cube just round it.
fn ball(radius: usize) -> Vec<f64> {
    let reach = radius as isize;
    let all: Vec<[isize; 3]> = (-reach..=reach)
        .flat_map(|k| (-reach..=reach).flat_map(move |j| (-reach..=reach).map(move |i| [k, j, i])))
        .collect();
    let square = |a: [isize; 3], b: [isize; 3]| (0..3).map(|n| (a[n] - b[n]).pow(2)).sum::<isize>();
    let (inside, outside): (Vec<_>, Vec<_>) =
        all.iter().copied().partition(|place| square(*place, [0; 3]) <= reach * reach);
    let distance = |place: &[isize; 3]| {
        if !inside.contains(place) {
            return 0.0;
        }
        let nearest = outside.iter().map(|other| square(*place, *other)).min();
        (nearest.unwrap_or(0) as f64).sqrt()
    };
    let distances: Vec<f64> = all.iter().map(distance).collect();
    let most = distances.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    distances.iter().map(|distance| distance / most).collect()
}
