//! Random numbers that are the same on every machine: a seed in, a fixed sequence out.

/// A sequence of random numbers from a seed: SplitMix64 (Steele, Lea and Flood 2014), 64 bits of state.
///
/// ```
/// # use imaging::Random;
/// let mut random = Random::new(1234567);
/// assert_eq!(random.bits(), 6_457_827_717_110_365_317);
/// ```
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The sequence of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Random {
        Random { state: seed }
    }

    /// The sequence of several numbers together, such as a seed and the number of a case: no two are alike.
    #[must_use]
    pub fn of(parts: &[u64]) -> Random {
        let mix = |state: u64, &part: &u64| Random::new(state ^ part).bits();
        Random::new(parts.iter().fold(0, mix))
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    }

    /// A number from 0 up to but without 1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number from `low` up to but without `high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A whole number below `bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// A number of the standard normal distribution (Box and Muller 1958).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut random = Random::of(&[1, 2]);
        let mean = |mut draw: Box<dyn FnMut() -> f64>| (0..20_000).map(|_| draw()).sum::<f64>() / 20_000.0;
        let mut other = Random::of(&[2, 1]);
        assert_ne!(random.clone().bits(), other.bits());
        assert!((mean(Box::new(move || random.between(2.0, 4.0))) - 3.0).abs() < 0.02);
        let mut normal = Random::new(5);
        assert!((mean(Box::new(move || normal.normal().powi(2))) - 1.0).abs() < 0.05);
        assert!((0..1000).map(|_| other.below(7)).all(|n| n < 7));
        assert_eq!(other.below(0), 0);
    }
}
