//! The joint histogram of two images, smooth in the moving one's values, and the information that they share.

/// Bins along each image.
const BINS: usize = 32;
/// Bins of the moving image that one value can reach beyond the first and last.
const MARGIN: f64 = 2.0;

/// How values fall into bins.
pub(crate) struct Histogram {
    fixed: [f64; 2],
    moving: [f64; 2],
    /// Bins of the moving image per unit of its value.
    scale: f64,
}

impl Histogram {
    /// Bins between the given values; what lies beyond falls into the first or last.
    pub(crate) fn new(fixed: [f64; 2], moving: [f64; 2]) -> Histogram {
        let scale = (BINS as f64 - 1.0 - 2.0 * MARGIN) / (moving[1] - moving[0]);
        Histogram { fixed, moving, scale }
    }

    /// The bin of a value of the fixed image.
    pub(crate) fn fixed_bin(&self, value: f64) -> usize {
        let share = (value - self.fixed[0]) / (self.fixed[1] - self.fixed[0]);
        (share.clamp(0.0, 1.0) * (BINS - 1) as f64).round() as usize
    }

    /// The continuous bin of a value of the moving image, and whether it lies between the bounds.
    pub(crate) fn moving_place(&self, value: f64) -> (f64, bool) {
        let inside = (self.moving[0]..=self.moving[1]).contains(&value);
        (MARGIN + (value.clamp(self.moving[0], self.moving[1]) - self.moving[0]) * self.scale, inside)
    }

    /// Counts pairs of a bin and a continuous bin.
    pub(crate) fn joint(&self, pairs: impl Iterator<Item = (usize, f64)>) -> Joint {
        let mut mass = vec![[0.0; BINS]; BINS];
        let mut count = 0.0;
        for (bin, place) in pairs {
            let (first, weights) = window(place);
            for (n, weight) in weights.into_iter().enumerate() {
                mass[bin][first + n] += weight;
            }
            count += 1.0;
        }
        let mut of_moving = [0.0; BINS];
        for row in &mut mass {
            for (total, value) in of_moving.iter_mut().zip(row.iter_mut()) {
                *value /= count;
                *total += *value;
            }
        }
        let (mut information, mut ratios) = (0.0, vec![[0.0; BINS]; BINS]);
        for (row, ratios) in mass.iter().zip(&mut ratios) {
            let of_fixed: f64 = row.iter().sum();
            for n in 0..BINS {
                if row[n] > 1e-12 && of_moving[n] > 1e-12 {
                    ratios[n] = (row[n] / of_moving[n]).ln();
                    information += row[n] * (row[n] / (of_fixed * of_moving[n])).ln();
                }
            }
        }
        Joint { ratios, information, by_value: self.scale / count }
    }
}

/// A counted joint histogram.
pub(crate) struct Joint {
    /// Logarithm of each bin over its moving margin.
    ratios: Vec<[f64; BINS]>,
    information: f64,
    by_value: f64,
}

impl Joint {
    /// Mutual information in nats.
    pub(crate) fn information(&self) -> f64 {
        self.information
    }

    /// By how much the information grows per unit of a sample's moving value. The fixed margin does not change with
    /// it, so that the slope of p ln(p / (f m)) is that of p times ln(p / m).
    pub(crate) fn slope(&self, bin: usize, place: f64) -> f64 {
        let (first, weights) = slopes(place);
        let ratios = &self.ratios[bin][first..first + 4];
        weights.iter().zip(ratios).map(|(weight, ratio)| weight * ratio).sum::<f64>() * self.by_value
    }
}

/// The first of four bins that a place reaches, and how far it lies past the second.
fn first(place: f64) -> (usize, f64) {
    let low = place.floor();
    ((low as usize).saturating_sub(1).min(BINS - 4), place - low)
}

/// Cubic B-spline weights of four bins.
fn window(place: f64) -> (usize, [f64; 4]) {
    let (first, t) = first(place);
    let s = 1.0 - t;
    let middle = |t: f64| (4.0 - 6.0 * t * t + 3.0 * t * t * t) / 6.0;
    (first, [s * s * s / 6.0, middle(t), middle(s), t * t * t / 6.0])
}

/// By how much those weights grow with the place.
fn slopes(place: f64) -> (usize, [f64; 4]) {
    let (first, t) = first(place);
    let s = 1.0 - t;
    let middle = |t: f64| (-12.0 * t + 9.0 * t * t) / 6.0;
    (first, [-s * s / 2.0, middle(t), -middle(s), t * t / 2.0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_that_of_the_information() {
        let histogram = Histogram::new([0.0, 10.0], [0.0, 100.0]);
        let mut random = imaging::Random::new(3);
        let samples: Vec<(usize, f64)> = (0..500)
            .map(|_| {
                let value = random.between(0.0, 10.0);
                (histogram.fixed_bin(value), value * 8.0 + random.between(5.0, 15.0))
            })
            .collect();
        let joint = |shift: f64| {
            let places = samples.iter().enumerate().map(|(n, &(bin, value))| {
                (bin, histogram.moving_place(if n == 7 { value + shift } else { value }).0)
            });
            histogram.joint(places)
        };
        let (bin, value) = samples[7];
        let found = joint(0.0).slope(bin, histogram.moving_place(value).0);
        let measured = (joint(1e-3).information() - joint(-1e-3).information()) / 2e-3;
        assert!((found - measured).abs() < 1e-4 * measured.abs(), "{found} {measured}");
        let (_, weights) = window(7.3);
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
}
