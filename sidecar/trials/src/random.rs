//! Numbers by chance that are the same every time.

/// SplitMix64 (Steele, Lea and Flood 2014).
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// A stream of its own for each list of seeds.
    pub(crate) fn new(seeds: &[u64]) -> Random {
        let mut random = Random(0);
        for &seed in seeds {
            random.0 ^= seed;
            random.0 = random.next();
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Evenly in `[low, high)`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A place in a list of `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.between(0.0, 1.0) * n as f64) as usize
    }

    /// From a normal distribution of mean 0 and deviation 1 (Box and Muller 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.between(f64::MIN_POSITIVE, 1.0).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.between(0.0, 1.0)).cos()
    }

    /// A direction in space, of length 1.
    pub(crate) fn direction(&mut self) -> [f64; 3] {
        let vector: [f64; 3] = std::array::from_fn(|_| self.normal());
        let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
        vector.map(|x| x / length)
    }
}

/// A smooth field of mean 0 and deviation about 1 that wavers over about 16 voxels: waves in chance directions.
#[derive(Debug, Clone)]
pub(crate) struct Waves(Vec<([f64; 3], f64)>);

impl Waves {
    pub(crate) fn new(random: &mut Random) -> Waves {
        let wave = |random: &mut Random| {
            let frequency = std::array::from_fn(|_| random.normal() / 3.5);
            (frequency, random.between(0.0, std::f64::consts::TAU))
        };
        Waves((0..32).map(|_| wave(random)).collect())
    }

    pub(crate) fn at(&self, voxel: [usize; 3]) -> f64 {
        let wave = |(frequency, phase): &([f64; 3], f64)| {
            ((0..3).map(|a| frequency[a] * voxel[a] as f64).sum::<f64>() + phase).cos()
        };
        self.0.iter().map(wave).sum::<f64>() * (2.0 / self.0.len() as f64).sqrt()
    }
}
