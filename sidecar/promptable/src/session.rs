//! One object while it is being pointed at: its mask, the prompts that stand, and every way back.

use imaging::{IndexBox, Progress};
use ndarray::{Array3, ArrayView3};

use crate::block::{Block, Window};
use crate::image::Image;
use crate::model::Model;
use crate::predict::{Found, Question, predict};
use crate::prompt::{Placed, Prompt, View};
use crate::{Error, Result};

/// One object of one image. Prompts add up; each can be taken back.
#[derive(Debug, Clone)]
pub struct Session {
    image: Image,
    mask: Block<u8>,
    prompts: Vec<Placed>,
    steps: Vec<Step>,
}

/// What leads back: the voxels that changed sides, and the prompts that stood.
#[derive(Debug, Clone)]
struct Step {
    flips: Vec<std::ops::Range<usize>>,
    prompts: Prompts,
}

#[derive(Debug, Clone)]
enum Prompts {
    /// One fewer.
    Fewer,
    /// These instead.
    Other(Vec<Placed>),
}

impl Session {
    /// Begins with nothing.
    #[must_use]
    pub fn new(image: Image) -> Session {
        let mask = Block::new(image.window);
        Session { image, mask, prompts: Vec::new(), steps: Vec::new() }
    }

    /// The object within a box, `[[k, j, i]]`; nothing beyond the image.
    #[must_use]
    pub fn object(&self, part: &IndexBox) -> Array3<bool> {
        let part = Window::of(part);
        let start = part.start;
        Array3::from_shape_fn(part.size(), |(k, j, i)| {
            let place = [start[0] + k as isize, start[1] + j as isize, start[2] + i as isize];
            self.mask.window.holds(place) && self.mask.values[self.mask.place(place)] > 0
        })
    }

    /// Voxels of the object.
    #[must_use]
    pub fn voxels(&self) -> usize {
        self.mask.values.iter().filter(|value| **value > 0).count()
    }

    /// How many prompts stand.
    #[must_use]
    pub fn prompts(&self) -> usize {
        self.prompts.len()
    }

    /// Takes an object as it is; earlier prompts are forgotten.
    ///
    /// # Errors
    ///
    /// [`Error::SizesDiffer`].
    pub fn start(&mut self, mask: ArrayView3<'_, bool>) -> Result<()> {
        let (k, j, i) = mask.dim();
        if [i, j, k] != self.image.size() {
            return Err(Error::SizesDiffer { found: [i, j, k], expected: self.image.size() });
        }
        let values = mask.iter().map(|inside| u8::from(*inside)).collect();
        let before = std::mem::take(&mut self.prompts);
        self.change(Block { window: self.image.window, values }, Prompts::Other(before));
        Ok(())
    }

    /// Looks at all of the object again and mends it, as [`Session::start`] leaves it.
    ///
    /// # Errors
    ///
    /// [`Error::Prompt`] where there is no object; [`Error::Engine`], [`Error::Cancelled`].
    pub fn mend(&mut self, model: &mut Model, progress: &Progress) -> Result<Found> {
        let object = self.mask.hull().ok_or(Error::Prompt { problem: "has no object to mend" })?;
        let view = View::of(object, model.patch);
        let (mask, found) = predict(model, self.question(view, true), progress)?;
        self.change(mask, Prompts::Other(self.prompts.clone()));
        Ok(found)
    }

    /// Notes a prompt without asking the network yet.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`], [`Error::Prompt`], [`Error::SizesDiffer`].
    pub fn note(&mut self, model: &Model, prompt: &Prompt) -> Result<()> {
        let placed = prompt.placed(&self.image, model)?;
        self.prompts.push(placed);
        self.steps.push(Step { flips: Vec::new(), prompts: Prompts::Fewer });
        Ok(())
    }

    /// Takes a prompt and segments anew what it is about.
    ///
    /// Same model, prompts and threads: same mask.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`], [`Error::Prompt`], [`Error::SizesDiffer`]; [`Error::Engine`], [`Error::Cancelled`].
    /// Nothing has changed then.
    pub fn prompt(&mut self, model: &mut Model, prompt: &Prompt, progress: &Progress) -> Result<Found> {
        let placed = prompt.placed(&self.image, model)?;
        let view = placed.view;
        self.prompts.push(placed);
        let answer = predict(model, self.question(view, false), progress);
        let (mask, found) = answer.inspect_err(|_| _ = self.prompts.pop())?;
        self.change(mask, Prompts::Fewer);
        Ok(found)
    }

    /// Takes back the newest prompt or start; `false` if there is none.
    pub fn undo(&mut self) -> bool {
        let Some(step) = self.steps.pop() else { return false };
        for range in step.flips {
            self.mask.values[range].iter_mut().for_each(|value| *value = 1 - *value);
        }
        match step.prompts {
            Prompts::Fewer => _ = self.prompts.pop(),
            Prompts::Other(prompts) => self.prompts = prompts,
        }
        true
    }

    fn question(&self, view: View, whole: bool) -> Question<'_> {
        Question { image: &self.image, previous: &self.mask, prompts: &self.prompts, view, whole }
    }

    /// Takes over a mask and remembers what differs.
    fn change(&mut self, mask: Block<u8>, prompts: Prompts) {
        let mut flips: Vec<std::ops::Range<usize>> = Vec::new();
        let columns = mask.window.columns();
        for row in mask.window.rows() {
            let span = self.mask.span(row, &columns);
            let values = self.mask.values[span.clone()].iter().zip(mask.row(row, &columns));
            for (n, _) in span.zip(values).filter(|(_, (before, now))| before != now) {
                match flips.last_mut() {
                    Some(last) if last.end == n => last.end += 1,
                    _ => flips.push(n..n + 1),
                }
            }
        }
        for range in &flips {
            self.mask.values[range.clone()].iter_mut().for_each(|value| *value = 1 - *value);
        }
        self.steps.push(Step { flips, prompts });
    }
}
