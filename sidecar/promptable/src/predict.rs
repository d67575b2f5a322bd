//! From prompts to a mask: one patch where the newest prompt is, wider ones while the object goes on at the rim, and
//! then what changed once more at full resolution. Follows `_predict` of nnInteractive 2.6.0.

use imaging::{IndexBox, Progress};

use crate::block::{Block, Window};
use crate::cover::cover;
use crate::image::Image;
use crate::model::Model;
use crate::pool::opened;
use crate::prompt::{Placed, View};
use crate::render::Scene;
use crate::resample::{sampled, stretched};
use crate::strength::Strengths;
use crate::{Error, Result};

/// The widest patch against the network's own, and how much wider each is than the last.
const WIDEST: f64 = 4.0;
const WIDENING: f64 = 1.5;
/// Voxels of a face that must change so that the object counts as going on beyond it: so many in any case, or fewer
/// if they are this share of it.
const FACE_VOXELS: usize = 1500;
const FEW_VOXELS: usize = 100;
const FACE_SHARE: f64 = 0.2;

/// What a prompt has changed and what that took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Where the object may have changed.
    pub part: IndexBox,
    /// Voxels of the image for one of the widest patch, along each axis: 1 to 4.
    pub zoom: f64,
    /// Patches that were looked at again at full resolution.
    pub refined: usize,
    /// Patches that went through the network.
    pub forwards: usize,
}

/// What the network is asked about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) image: &'a Image,
    /// The object so far, over all of the image.
    pub(crate) previous: &'a Block<u8>,
    /// From the oldest to the newest.
    pub(crate) prompts: &'a [Placed],
    pub(crate) view: View,
    /// Whether all of the object is looked at again, not only what changed.
    pub(crate) whole: bool,
}

/// A patch's mask and the window that it stands for.
struct Look {
    mask: Vec<u8>,
    window: Window,
    zoom: f64,
}

/// The network at work on one question.
struct Run<'a> {
    model: &'a mut Model,
    scene: Scene<'a>,
    question: Question<'a>,
    progress: &'a Progress,
    forwards: usize,
}

/// Asks the network: the object within a box, and what it took. The box begins and ends within the image.
pub(crate) fn predict(
    model: &mut Model,
    question: Question<'_>,
    progress: &Progress,
) -> Result<(Block<u8>, Found)> {
    let strengths = Strengths::new(model.interactions.decay, question.prompts.len());
    let scene = Scene { image: question.image, prompts: question.prompts, strengths: &strengths };
    let mut run = Run { model, scene, question, progress, forwards: 0 };
    let look = run.widened()?;
    let (mask, refined) = match look.zoom {
        zoom if zoom <= 1.0 => (Block { window: look.window, values: look.mask }, 0),
        _ => run.refined(&look)?,
    };
    let outside = Error::Prompt { problem: "lies beyond the image" };
    let part = mask.window.and(&question.image.window).ok_or(outside)?;
    let found = Found { part: part.part(), zoom: look.zoom, refined, forwards: run.forwards };
    Ok((mask.cropped(part), found))
}

impl Run<'_> {
    /// Looks where the newest prompt is, and wider as long as the object changes at the rim.
    fn widened(&mut self) -> Result<Look> {
        let mut zoom = self.question.view.zoom.min(WIDEST);
        loop {
            let size = self.model.patch.map(|length| (length as f64 * zoom).round_ties_even() as usize);
            let window = Window::round_about(self.question.view.center, size);
            let before = self.question.previous.cropped(window);
            let (input, before) = if size == self.model.patch {
                (self.scene.plain(self.model, window, self.question.previous), before.values)
            } else {
                let input = self.scene.coarse(self.model, window, zoom, self.question.previous);
                (input, sampled(&before, self.model.patch))
            };
            let mask = self.forward(&input)?;
            let done = zoom >= WIDEST || !goes_on(&before, &mask, self.model.patch);
            if done {
                return Ok(Look { mask, window, zoom });
            }
            zoom = (zoom * WIDENING).min(WIDEST);
        }
    }

    /// Does what changed in a coarse look again at full resolution, patch by patch; later patches see what earlier
    /// ones found. Between them, everything stays as it was.
    fn refined(&mut self, look: &Look) -> Result<(Block<u8>, usize)> {
        let Question { image, previous, view, .. } = self.question;
        let outside = Error::Prompt { problem: "lies beyond the image" };
        let seen = look.window.and(&image.window).ok_or(outside)?;
        let coarse = stretched(&look.mask, self.model.patch, look.window, seen);
        let mut patches = cover(&self.changed(&coarse), self.model.patch);
        let count = patches.len();
        if patches.is_empty() {
            patches.push(Window::round_about(view.center, self.model.patch));
        }
        let hull = patches.iter().copied().reduce(|a, b| a.hull(&b)).unwrap_or(look.window);
        let mut sight = previous.cropped(hull);
        sight.paste(&coarse, seen);
        for patch in &patches {
            let input = self.scene.plain(self.model, *patch, &sight);
            let found = Block { window: *patch, values: self.forward(&input)? };
            sight.paste(&found, *patch);
        }
        let mut mask = previous.cropped(hull);
        patches.iter().for_each(|patch| mask.paste(&sight, *patch));
        Ok((mask, count))
    }

    /// Where a coarse mask differs from the object so far by more than a thin layer; with `whole`, all of the object
    /// so far besides.
    fn changed(&self, coarse: &Block<u8>) -> Block<u8> {
        let previous = self.question.previous;
        let mut changed = previous.cropped(coarse.window);
        changed.values.iter_mut().zip(&coarse.values).for_each(|(a, b)| *a = u8::from(*a != *b));
        let changed = opened(&changed);
        let Some(object) = self.question.whole.then(|| previous.hull()).flatten() else { return changed };
        let mut all = changed.cropped(changed.window.hull(&object));
        for row in object.rows() {
            let span = all.span(row, &object.columns());
            let values = previous.row(row, &object.columns());
            all.values[span].iter_mut().zip(values).for_each(|(all, value)| *all |= value);
        }
        all
    }

    fn forward(&mut self, input: &[f32]) -> Result<Vec<u8>> {
        self.progress.step("segmenting", self.forwards as u64, 0)?;
        self.forwards += 1;
        self.model.run(input, self.progress)
    }
}

/// Whether a mask differs at a face of the patch by so much that the object goes on beyond it.
fn goes_on(before: &[u8], now: &[u8], patch: [usize; 3]) -> bool {
    let strides = [patch[1] * patch[2], patch[2], 1];
    (0..3).any(|axis| {
        let [a, b] = [(axis + 1) % 3, (axis + 2) % 3];
        [0, (patch[axis] - 1) * strides[axis]].into_iter().any(|face| {
            let (mut differing, mut earlier, mut later) = (0, 0, 0);
            for m in 0..patch[a] {
                for n in 0..patch[b] {
                    let place = face + m * strides[a] + n * strides[b];
                    differing += usize::from(before[place] != now[place]);
                    earlier += usize::from(before[place] > 0);
                    later += usize::from(now[place] > 0);
                }
            }
            let (more, less) = (earlier.max(later) as f64, (earlier.min(later) as f64).max(1e-5));
            differing > FACE_VOXELS || (differing > FEW_VOXELS && more / less - 1.0 > FACE_SHARE)
        })
    })
}
