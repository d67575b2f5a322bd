//! How strongly each prompt is drawn: the newest at 1, each one before it fainter by the same factor.
//!
//! nnInteractive draws every prompt stronger than the last and divides by the newest before the network looks, in half
//! precision; it fades all that is drawn when the numbers grow too large. The same roundings are made here.

use half::f16;

/// The largest number of half precision, and the one that a strength begins again from.
const LARGEST: f64 = 65504.0;
const AGAIN: f64 = LARGEST / 10.0;

/// Strengths of a list of prompts, as of the newest.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Strengths {
    drawn: Vec<f64>,
    /// Before which prompt all earlier ones were faded, and by what.
    faded: Vec<(usize, f16)>,
    newest: f64,
}

impl Strengths {
    /// Of `count` prompts, where one weighs `decay` against the next.
    pub(crate) fn new(decay: f64, count: usize) -> Strengths {
        let mut strengths = Strengths { drawn: Vec::new(), faded: Vec::new(), newest: 1.0 };
        for n in 0..count {
            if decay < 1.0 {
                strengths.newest *= 1.0 / decay;
            }
            if strengths.newest > LARGEST {
                strengths.faded.push((n, f16::from_f64(AGAIN / strengths.newest)));
                strengths.newest = AGAIN;
            }
            strengths.drawn.push(strengths.newest);
        }
        strengths
    }

    /// What stands in a channel where prompt `n` was drawn at `share` of its strength, 0 to 1.
    pub(crate) fn drawn(&self, n: usize, share: f64) -> f16 {
        let value = f16::from_f64(share * self.drawn.get(n).copied().unwrap_or(1.0));
        let later = self.faded.iter().filter(|(before, _)| *before > n);
        later.fold(value, |value, (_, by)| f16::from_f32(value.to_f32() * by.to_f32()))
    }

    /// What the network sees of a value in a channel.
    pub(crate) fn seen(&self, value: f16) -> f32 {
        if self.newest == 1.0 {
            return value.to_f32();
        }
        f16::from_f32(value.to_f32() / self.newest as f32).to_f32()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_prompts_are_fainter_by_a_factor() {
        for (decay, count) in [(0.9, 30), (0.98, 60), (0.9, 300), (1.0, 5)] {
            let strengths = Strengths::new(decay, count);
            for n in count.saturating_sub(40)..count {
                let seen = f64::from(strengths.seen(strengths.drawn(n, 1.0)));
                let expected = f64::powi(decay, (count - 1 - n) as i32);
                assert!((seen - expected).abs() < 2e-3, "{decay} {count} {n}: {seen} {expected}");
            }
        }
    }
}
