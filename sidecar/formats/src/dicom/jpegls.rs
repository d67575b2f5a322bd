//! JPEG-LS (ITU-T T.87), lossless and near-lossless, for one grey component of up to 16 bits.
//!
//! Written here because the decoder that the DICOM packages offer is C++ and needs a C++ tool chain at build time.

use super::error::Error;

/// Length codes of runs, T.87 A.7.1.
const RUN_BITS: [u32; 32] =
    [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15];

fn damaged() -> Error {
    Error::Corrupt { reason: "the JPEG-LS image cannot be decoded" }
}

/// What the markers before the scan say.
#[derive(Debug, Default)]
struct Frame {
    precision: u32,
    rows: usize,
    columns: usize,
    near: i32,
    /// MAXVAL, T1, T2, T3, RESET of an LSE segment; 0 where the default holds.
    preset: [i32; 5],
}

/// Decodes a `rows` x `columns` image into samples, row by row.
pub(crate) fn decode(bytes: &[u8], rows: usize, columns: usize) -> Result<Vec<u16>, Error> {
    let (frame, scan) = markers(bytes)?;
    if frame.rows != rows || frame.columns != columns || !(2..=16).contains(&frame.precision) {
        return Err(Error::Corrupt { reason: "the compressed image has another size than its header says" });
    }
    // Even the best run code spends a bit on 2^15 samples: less cannot be an image of this size.
    if (bytes.len() as u64) << 20 < (rows * columns) as u64 {
        return Err(damaged());
    }
    Coder::new(&frame, scan)?.image(rows, columns)
}

/// Reads the marker segments up to the scan data.
fn markers(bytes: &[u8]) -> Result<(Frame, &[u8]), Error> {
    let mut frame = Frame::default();
    let mut rest = bytes.strip_prefix(&[0xFF, 0xD8]).ok_or_else(damaged)?;
    loop {
        let &[0xFF, marker, high, low, ref tail @ ..] = rest else { return Err(damaged()) };
        let length = usize::from(u16::from_be_bytes([high, low])).checked_sub(2).ok_or_else(damaged)?;
        let (segment, after) = tail.split_at_checked(length).ok_or_else(damaged)?;
        rest = after;
        match (marker, segment) {
            (0xF7, &[precision, y, z, x, w, 1, ..]) => {
                frame.precision = u32::from(precision);
                frame.rows = usize::from(u16::from_be_bytes([y, z]));
                frame.columns = usize::from(u16::from_be_bytes([x, w]));
            }
            (0xF8, &[1, ref five @ ..]) if five.len() == 10 => {
                for (value, two) in frame.preset.iter_mut().zip(five.as_chunks::<2>().0) {
                    *value = i32::from(u16::from_be_bytes(*two));
                }
            }
            (0xDA, &[1, _, _, near, 0, 0]) => {
                frame.near = i32::from(near);
                return Ok((frame, rest));
            }
            // Restart intervals, colour, interleaving and mapping tables are not used for grey images.
            (0xF7 | 0xF8 | 0xDA | 0xDD, _) => return Err(damaged()),
            _ => (),
        }
    }
}

/// Bits of the scan; a byte after 0xFF carries seven.
struct Bits<'a> {
    bytes: &'a [u8],
    next: usize,
    buffer: u64,
    count: u32,
}

impl Bits<'_> {
    /// Fills the buffer to more than 32 bits; past the end come zeros, and `next` tells.
    fn fill(&mut self) {
        while self.count <= 48 {
            let byte = self.bytes.get(self.next).copied().unwrap_or(0);
            let stuffed = self.next > 0 && self.bytes.get(self.next - 1) == Some(&0xFF);
            let width = if stuffed { 7 } else { 8 };
            self.buffer = self.buffer << width | u64::from(byte & (0xFF >> (8 - width)));
            self.count += width;
            self.next += 1;
        }
    }

    /// The next `width` bits, at most 16.
    fn take(&mut self, width: u32) -> u32 {
        self.fill();
        self.count -= width;
        (self.buffer >> self.count) as u32 & ((1 << width) - 1)
    }

    /// Zeros before the next one, which is taken too; at most `limit`.
    fn zeros(&mut self, limit: u32) -> Result<u32, Error> {
        let mut zeros = 0;
        while self.take(1) == 0 {
            zeros += 1;
            if zeros > limit {
                return Err(damaged());
            }
        }
        Ok(zeros)
    }

    /// Whether more was taken than is there (eight bytes lie in the buffer).
    fn exhausted(&self) -> bool {
        self.next > self.bytes.len() + 8
    }
}

/// Statistics of a context, T.87 A.8.
#[derive(Clone, Copy)]
struct Context {
    a: i32,
    b: i32,
    c: i32,
    n: i32,
}

struct Coder<'a> {
    bits: Bits<'a>,
    contexts: Vec<Context>,
    /// Contexts of interrupted runs; `b` counts negative errors.
    runs: [Context; 2],
    run_index: usize,
    near: i32,
    greatest: i32,
    range: i32,
    thresholds: [i32; 3],
    reset: i32,
    limit: u32,
    /// Bits of an escaped error.
    escape: u32,
}

impl<'a> Coder<'a> {
    fn new(frame: &Frame, scan: &'a [u8]) -> Result<Coder<'a>, Error> {
        let [preset_greatest, t1, t2, t3, reset] = frame.preset;
        let full = (1 << frame.precision) - 1;
        let greatest = if preset_greatest == 0 { full } else { preset_greatest };
        let near = frame.near;
        if greatest > full || near > greatest / 2 || greatest < 1 {
            return Err(damaged());
        }
        let range = (greatest + 2 * near) / (2 * near + 1) + 1;
        let bits = |values: i32| (values as u32).next_power_of_two().trailing_zeros();
        let depth = bits(greatest + 1).max(2);
        let start = Context { a: ((range + 32) / 64).max(2), b: 0, c: 0, n: 1 };
        let usual = default_thresholds(greatest, near);
        let thresholds = [(t1, usual[0]), (t2, usual[1]), (t3, usual[2])];
        Ok(Coder {
            bits: Bits { bytes: scan, next: 0, buffer: 0, count: 0 },
            contexts: vec![start; 365],
            runs: [start; 2],
            run_index: 0,
            near,
            greatest,
            range,
            thresholds: thresholds.map(|(given, usual)| if given == 0 { usual } else { given }),
            reset: if reset == 0 { 64 } else { reset.max(3) },
            limit: 2 * (depth + depth.max(8)),
            escape: bits(range),
        })
    }

    /// All rows. Each line is held with one sample on the left and one on the right, T.87 A.2.1.
    fn image(mut self, rows: usize, columns: usize) -> Result<Vec<u16>, Error> {
        let mut samples = Vec::with_capacity(rows * columns);
        let mut above = vec![0i32; columns + 2];
        let mut line = vec![0i32; columns + 2];
        for _ in 0..rows {
            line[0] = above[1];
            above[columns + 1] = above[columns];
            self.line(&above, &mut line, columns)?;
            if self.bits.exhausted() {
                return Err(damaged());
            }
            samples.extend(line[1..=columns].iter().map(|&sample| sample as u16));
            std::mem::swap(&mut above, &mut line);
        }
        Ok(samples)
    }

    fn line(&mut self, above: &[i32], line: &mut [i32], columns: usize) -> Result<(), Error> {
        let mut at = 1;
        while at <= columns {
            let (a, b, c, d) = (line[at - 1], above[at], above[at - 1], above[at + 1]);
            let gradients = [d - b, b - c, c - a];
            if gradients.iter().all(|gradient| gradient.abs() <= self.near) {
                at = self.run(above, line, at, columns)?;
                continue;
            }
            let [q1, q2, q3] = gradients.map(|gradient| self.quantise(gradient));
            let context = 81 * q1 + 9 * q2 + q3;
            line[at] = self.regular(context, [a, b, c])?;
            at += 1;
        }
        Ok(())
    }

    /// T.87 A.3.3.
    fn quantise(&self, gradient: i32) -> i32 {
        let [t1, t2, t3] = self.thresholds;
        let size = gradient.abs();
        let level = match size {
            _ if size <= self.near => 0,
            _ if size < t1 => 1,
            _ if size < t2 => 2,
            _ if size < t3 => 3,
            _ => 4,
        };
        level * gradient.signum()
    }

    /// One sample outside runs, T.87 A.4 to A.6.
    fn regular(&mut self, context: i32, [a, b, c]: [i32; 3]) -> Result<i32, Error> {
        let sign = context.signum();
        let index = context.unsigned_abs() as usize;
        let predicted = if c >= a.max(b) {
            a.min(b)
        } else if c <= a.min(b) {
            a.max(b)
        } else {
            a + b - c
        };
        let state = *self.contexts.get(index).ok_or_else(damaged)?;
        let predicted = (predicted + sign * state.c).clamp(0, self.greatest);
        let width = width(state.n, state.a);
        let mapped = self.error(width, self.limit)?;
        let folded = if mapped & 1 == 0 { mapped >> 1 } else { -((mapped + 1) >> 1) };
        let error =
            if self.near == 0 && width == 0 && 2 * state.b <= -state.n { -folded - 1 } else { folded };
        self.contexts[index] = self.learn(state, error);
        Ok(self.reconstruct(predicted, sign * error))
    }

    /// T.87 A.6: the context after an error.
    fn learn(&self, mut state: Context, error: i32) -> Context {
        state.b += error * (2 * self.near + 1);
        state.a += error.abs();
        if state.n == self.reset {
            state.a >>= 1;
            state.b >>= 1;
            state.n >>= 1;
        }
        state.n += 1;
        if state.b <= -state.n {
            state.b = (state.b + state.n).max(1 - state.n);
            state.c = (state.c - 1).max(-128);
        } else if state.b > 0 {
            state.b = (state.b - state.n).min(0);
            state.c = (state.c + 1).min(127);
        }
        state
    }

    /// A Golomb code of limited length, T.87 A.5.3.
    fn error(&mut self, width: u32, limit: u32) -> Result<i32, Error> {
        let most = limit.checked_sub(self.escape + 1).ok_or_else(damaged)?;
        let zeros = self.bits.zeros(most)?;
        Ok(if zeros < most {
            (zeros << width | self.bits.take(width)) as i32
        } else {
            self.bits.take(self.escape) as i32 + 1
        })
    }

    /// T.87 A.4.5: prediction plus error, modulo the range.
    fn reconstruct(&self, predicted: i32, error: i32) -> i32 {
        let step = 2 * self.near + 1;
        let sample = predicted + error * step;
        let sample = if sample < -self.near {
            sample + self.range * step
        } else if sample > self.greatest + self.near {
            sample - self.range * step
        } else {
            sample
        };
        sample.clamp(0, self.greatest)
    }

    /// A run of equal samples from `at`, and the sample that ends it; returns where to go on. T.87 A.7.
    fn run(&mut self, above: &[i32], line: &mut [i32], at: usize, columns: usize) -> Result<usize, Error> {
        let value = line[at - 1];
        let mut at = at;
        while self.bits.take(1) == 1 {
            let whole = 1usize << RUN_BITS[self.run_index];
            let count = whole.min(columns + 1 - at);
            line[at..at + count].fill(value);
            at += count;
            if count == whole {
                self.run_index = (self.run_index + 1).min(31);
            }
            if at > columns {
                return Ok(at);
            }
        }
        let count = self.bits.take(RUN_BITS[self.run_index]) as usize;
        if count > columns - at {
            return Err(damaged());
        }
        line[at..at + count].fill(value);
        at += count;
        line[at] = self.interruption(value, above[at])?;
        self.run_index = self.run_index.saturating_sub(1);
        Ok(at + 1)
    }

    /// The sample that ends a run, T.87 A.7.2.
    fn interruption(&mut self, a: i32, b: i32) -> Result<i32, Error> {
        let alike = (a - b).abs() <= self.near;
        let kind = i32::from(alike);
        let mut state = self.runs[usize::from(alike)];
        let width = width(state.n, if alike { state.a + (state.n >> 1) } else { state.a });
        let mapped = self.error(width, self.limit - RUN_BITS[self.run_index] - 1)?;
        let doubled = mapped + kind;
        let odd = doubled & 1 == 1;
        let size = (doubled + i32::from(odd)) / 2;
        let error = if (width != 0 || 2 * state.b >= state.n) == odd { -size } else { size };
        state.b += i32::from(error < 0);
        state.a += (mapped + 1 - kind) >> 1;
        if state.n == self.reset {
            state.a >>= 1;
            state.b >>= 1;
            state.n >>= 1;
        }
        state.n += 1;
        self.runs[usize::from(alike)] = state;
        Ok(if alike {
            self.reconstruct(a, error)
        } else {
            self.reconstruct(b, error * if a > b { -1 } else { 1 })
        })
    }
}

/// Bits of a Golomb remainder: the least k with n·2^k >= a, T.87 A.5.1.
fn width(n: i32, a: i32) -> u32 {
    (0..16).find(|&width| n << width >= a).unwrap_or(16)
}

/// T.87 C.2.4.1.1.1.
fn default_thresholds(greatest: i32, near: i32) -> [i32; 3] {
    let clamp = |value: i32, least: i32| if value > greatest || value < least { least } else { value };
    let [a, b, c] = if greatest >= 128 {
        let factor = (greatest.min(4095) + 128) / 256;
        [factor + 2 + 3 * near, 4 * factor + 3 + 5 * near, 17 * factor + 4 + 7 * near]
    } else {
        let factor = 256 / (greatest + 1);
        [(3 / factor + 3 * near).max(2), (7 / factor + 5 * near).max(3), (21 / factor + 7 * near).max(4)]
    };
    let first = clamp(a, near + 1);
    let second = clamp(b, first);
    [first, second, clamp(c, second)]
}
