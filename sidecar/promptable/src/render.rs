//! The network's input: image, the object so far, and prompts, each in a channel. Only what the patch sees is drawn.

use half::f16;

use crate::block::{Block, Window};
use crate::image::Image;
use crate::model::Model;
use crate::pool::pooled;
use crate::prompt::{Form, Placed};
use crate::resample::{averaged, linear};
use crate::strength::Strengths;

/// What the network is shown patches of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) image: &'a Image,
    pub(crate) prompts: &'a [Placed],
    pub(crate) strengths: &'a Strengths,
}

/// A prompt's part in a window, as it stands in its channel.
enum Stamp {
    Solid(Window, f16),
    Values(Block<f16>),
}

impl Stamp {
    fn window(&self) -> Window {
        match self {
            Stamp::Solid(window, _) => *window,
            Stamp::Values(block) => block.window,
        }
    }

    /// Writes over a row what is stronger; the row begins at column `first`.
    fn draw(&self, [k, j]: [isize; 2], first: isize, row: &mut [f32]) {
        let window = self.window();
        if !window.holds([k, j, window.start[2]]) {
            return;
        }
        let columns = window.columns();
        let values = &mut row[(columns.start - first) as usize..(columns.end - first) as usize];
        match self {
            Stamp::Solid(_, strength) => {
                values.iter_mut().for_each(|value| *value = value.max(strength.to_f32()));
            }
            Stamp::Values(block) => {
                let drawn = block.row([k, j], &columns);
                values.iter_mut().zip(drawn).for_each(|(value, drawn)| *value = value.max(drawn.to_f32()));
            }
        }
    }
}

impl Scene<'_> {
    /// The input for a window of the patch's own size, with the object so far from `previous`.
    pub(crate) fn plain(&self, model: &Model, window: Window, previous: &Block<u8>) -> Vec<f32> {
        let mut input = self.image.patch(window).values;
        let voxels = input.len();
        input.resize(voxels * (model.interactions.channels + 1), 0.0);
        for (channel, values) in input.chunks_mut(voxels).skip(1).enumerate() {
            if channel == model.interactions.previous {
                let previous = previous.cropped(window).values;
                values.iter_mut().zip(previous).for_each(|(value, previous)| *value = f32::from(previous));
                continue;
            }
            let width = window.size()[2];
            for stamp in self.stamps(model, channel, window, 0) {
                let [from, to] = [window.start, stamp.window().start];
                let rows = stamp.window().rows();
                for [k, j] in rows {
                    let row = (k - from[0]) as usize * window.size()[1] + (j - from[1]) as usize;
                    debug_assert!(to[2] >= from[2]);
                    stamp.draw([k, j], from[2], &mut values[row * width..(row + 1) * width]);
                }
            }
            values.iter_mut().filter(|value| **value != 0.0).for_each(|value| {
                *value = self.strengths.seen(f16::from_f32(*value));
            });
        }
        input
    }

    /// The input for a window `zoom` times as wide as the patch.
    pub(crate) fn coarse(&self, model: &Model, window: Window, zoom: f64, previous: &Block<u8>) -> Vec<f32> {
        let patch = model.patch;
        let mut input = linear(window, patch, |place| self.image.at(place));
        let radius = odd(2.0 * zoom - 1.0) / 2;
        for channel in 0..model.interactions.channels {
            if channel == model.interactions.previous {
                input.extend(shrunk(window, patch, previous));
                continue;
            }
            let radius = if model.is_thin(channel) { radius } else { 0 };
            let stamps: Vec<Stamp> = self.stamps(model, channel, window, radius).collect();
            let hull = stamps.iter().map(Stamp::window).reduce(|a, b| a.hull(&b));
            let Some(hull) = hull else {
                input.resize(input.len() + patch.iter().product::<usize>(), 0.0);
                continue;
            };
            let means = averaged(window, patch, hull, |place, row| {
                stamps.iter().for_each(|stamp| stamp.draw(place, hull.start[2], row));
            });
            input.extend(means.into_iter().map(|mean| self.strengths.seen(mean)));
        }
        input
    }

    /// The prompts of a channel that a window sees, thick by `radius` more voxels.
    fn stamps(
        &self,
        model: &Model,
        channel: usize,
        window: Window,
        radius: usize,
    ) -> impl Iterator<Item = Stamp> {
        let here = self.prompts.iter().enumerate().filter(move |(_, prompt)| prompt.channel == channel);
        here.filter_map(move |(n, prompt)| {
            let all = prompt.form.window(model).and(&self.image.window)?.and(&window)?;
            if let (Form::Solid(_), 0) = (&prompt.form, radius) {
                return Some(Stamp::Solid(all, self.strengths.drawn(n, 1.0)));
            }
            let thick = all.grown(radius).and(&window)?;
            let mut drawn = Block::new(thick);
            for [k, j] in all.rows() {
                for i in all.columns() {
                    let place = drawn.place([k, j, i]);
                    drawn.values[place] = self.strengths.drawn(n, prompt.form.share(model, [k, j, i]));
                }
            }
            let greater = |a: f16, b: f16| if a.to_f32() >= b.to_f32() { a } else { b };
            Some(Stamp::Values(if radius == 0 { drawn } else { pooled(&drawn, radius, greater) }))
        })
    }
}

/// The object so far in a coarse patch, as the share of each cell that it fills.
fn shrunk(window: Window, patch: [usize; 3], previous: &Block<u8>) -> Vec<f32> {
    let Some(hull) = previous.window.and(&window).and_then(|part| previous.cropped(part).hull()) else {
        return vec![0.0; patch.iter().product()];
    };
    let means = averaged(window, patch, hull, |place, row| {
        let values = previous.row(place, &hull.columns());
        row.iter_mut().zip(values).for_each(|(row, value)| *row = f32::from(*value));
    });
    means.into_iter().map(f16::to_f32).collect()
}

/// The nearest odd number, the larger of two.
fn odd(number: f64) -> usize {
    let (up, down) = (number.ceil() as usize, number.floor() as usize);
    if up % 2 == 1 {
        up
    } else if down % 2 == 1 {
        down
    } else {
        number.round_ties_even() as usize + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_have_odd_lengths() {
        for (number, expected) in [(1.0, 1), (1.2, 1), (2.0, 3), (2.5, 3), (4.0, 5), (5.3, 5), (7.0, 7)] {
            assert_eq!(odd(number), expected, "{number}");
        }
    }
}
