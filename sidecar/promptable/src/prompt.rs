//! What the user points at, as voxels of the image.

use imaging::IndexBox;
use ndarray::Array3;

use crate::block::{Block, Window};
use crate::image::Image;
use crate::model::Model;
use crate::{Error, Result};

/// One prompt and whether it lies in the object.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    /// Where.
    pub shape: Shape,
    /// Whether this belongs to the object, or is what does not.
    pub inside: bool,
}

/// Where a prompt points. Voxels are `[i, j, k]`, arrays `[[k, j, i]]`.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// A click, at a continuous index that is rounded to the nearest voxel.
    Point([f64; 3]),
    /// A box; best one voxel thick, as the networks were trained. What lies beyond the image is cut.
    Box(IndexBox),
    /// A stroke: a box and which of its voxels are on it.
    Scribble(IndexBox, Array3<bool>),
    /// The inside of a closed outline in one slice.
    Lasso(IndexBox, Array3<bool>),
}

impl Shape {
    /// A stroke of these voxels `[i, j, k]`; `None` without any.
    #[must_use]
    pub fn stroke(voxels: &[[usize; 3]]) -> Option<Shape> {
        let boxes = voxels.iter().map(|voxel| IndexBox { start: *voxel, end: voxel.map(|n| n + 1) });
        let part = boxes.reduce(|a, b| a.union(&b))?;
        let [ni, nj, nk] = part.size();
        let mut mask = Array3::from_elem((nk, nj, ni), false);
        for &[i, j, k] in voxels {
            mask[[k - part.start[2], j - part.start[1], i - part.start[0]]] = true;
        }
        Some(Shape::Scribble(part, mask))
    }

    /// The middle slice of a box.
    #[must_use]
    pub fn flat(part: &IndexBox) -> Shape {
        let mut flat = *part;
        flat.start[2] = part.start[2].midpoint(part.end[2].saturating_sub(1).max(part.start[2]));
        flat.end[2] = flat.start[2] + 1;
        Shape::Box(flat)
    }
}

/// Where the network looks first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct View {
    pub(crate) center: [isize; 3],
    /// Voxels of the image for one of the patch.
    pub(crate) zoom: f64,
}

/// A prompt in its channel.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) channel: usize,
    pub(crate) form: Form,
    pub(crate) view: View,
}

/// What is drawn, all of it within the image.
#[derive(Debug, Clone)]
pub(crate) enum Form {
    /// A ball round a voxel.
    Ball([isize; 3]),
    /// All of a box.
    Solid(Window),
    /// Some of a box.
    Mask(Block<u8>),
}

impl Prompt {
    /// Finds a prompt's voxels and where to look for the object.
    pub(crate) fn placed(&self, image: &Image, model: &Model) -> Result<Placed> {
        let [inside, outside] = model.channels(&self.shape)?;
        let channel = if self.inside { inside } else { outside };
        let (form, view) = match &self.shape {
            Shape::Point([i, j, k]) => {
                let center = [k, j, i].map(|n| n.round_ties_even());
                let here = (0..3).all(|a| center[a] >= 0.0 && center[a] < image.window.end[a] as f64);
                if !here {
                    return Err(Error::Prompt { problem: "lies beyond the image" });
                }
                let center = center.map(|n| n as isize);
                (Form::Ball(center), View { center, zoom: 1.0 })
            }
            Shape::Box(part) => {
                let window = inside_of(part, image)?;
                (Form::Solid(window), View::of(window, model.patch))
            }
            Shape::Scribble(part, mask) | Shape::Lasso(part, mask) => {
                let mask = masked(part, mask, image)?;
                let empty = Error::Prompt { problem: "has no voxel in the image" };
                let view = View::of(mask.hull().ok_or(empty)?, model.patch);
                (Form::Mask(mask), view)
            }
        };
        Ok(Placed { channel, form, view })
    }
}

fn inside_of(part: &IndexBox, image: &Image) -> Result<Window> {
    let fits = part.start.iter().chain(&part.end).all(|n| *n < 1 << 32);
    let window = fits.then(|| Window::of(part).and(&image.window)).flatten();
    window.ok_or(Error::Prompt { problem: "lies beyond the image" })
}

/// A mask as far as it lies in the image.
fn masked(part: &IndexBox, mask: &Array3<bool>, image: &Image) -> Result<Block<u8>> {
    let window = inside_of(part, image)?;
    let (k, j, i) = mask.dim();
    if [i, j, k] != part.size() {
        return Err(Error::SizesDiffer { found: [i, j, k], expected: part.size() });
    }
    let values = mask.iter().map(|inside| u8::from(*inside)).collect();
    Ok(Block { window: Window::of(part), values }.cropped(window))
}

impl View {
    /// Round an object, with a third of a patch more than it takes.
    pub(crate) fn of(object: Window, patch: [usize; 3]) -> View {
        let size = object.size();
        let wanted = |a: usize| (size[a] + patch[a] / 3) as f64 / patch[a] as f64;
        let middle = |a: usize| ((object.start[a] + object.end[a]) as f64 / 2.0).round_ties_even() as isize;
        View { center: std::array::from_fn(middle), zoom: (0..3).map(wanted).fold(1.0, f64::max) }
    }
}

impl Form {
    /// The voxels that are drawn at all; for a click near the rim also some beyond the image, which are not.
    pub(crate) fn window(&self, model: &Model) -> Window {
        match self {
            Form::Ball(center) => {
                Window { start: *center, end: center.map(|n| n + 1) }.grown(model.interactions.point_radius)
            }
            Form::Solid(window) => *window,
            Form::Mask(mask) => mask.window,
        }
    }

    /// How strongly a voxel of the form's window is drawn, 0 to 1.
    pub(crate) fn share(&self, model: &Model, place: [isize; 3]) -> f64 {
        match self {
            Form::Ball(center) => model.ball(std::array::from_fn(|a| place[a] - center[a])),
            Form::Solid(_) => 1.0,
            Form::Mask(mask) => f64::from(mask.values[mask.place(place)]),
        }
    }
}
