//! How a file stores a voxel, and the stream of bytes turned into intensities while it is still being unpacked.

use std::sync::mpsc::sync_channel;

use imaging::{Progress, Volume};
use rayon::prelude::*;

use crate::error::{Error, Result, Warning};
use crate::stream::Stream;

/// Bytes converted at a time: fits a processor's cache, and is a whole number of voxels of any sample.
const CHUNK_BYTES: usize = 256 * 1024;
/// Chunks that may lie unpacked and not yet converted.
const QUEUE: usize = 8;
/// Share of voxels that may be no numbers.
const MOST_NOT_FINITE: f64 = 0.01;
/// No Hounsfield unit is further from water.
const MOST_CT: f32 = 1e6;

/// The type of a stored voxel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as the types of Rust")]
pub enum Sample {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

impl Sample {
    /// Bytes of a voxel.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Sample::U8 | Sample::I8 => 1,
            Sample::U16 | Sample::I16 => 2,
            Sample::U32 | Sample::I32 | Sample::F32 => 4,
            Sample::U64 | Sample::I64 | Sample::F64 => 8,
        }
    }

    /// The name NumPy uses: `int16`, `float32`, ...
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Sample::U8 => "uint8",
            Sample::I8 => "int8",
            Sample::U16 => "uint16",
            Sample::I16 => "int16",
            Sample::U32 => "uint32",
            Sample::I32 => "int32",
            Sample::U64 => "uint64",
            Sample::I64 => "int64",
            Sample::F32 => "float32",
            Sample::F64 => "float64",
        }
    }
}

/// Samples of one volume within a stream that stands at the first of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) sample: Sample,
    pub(crate) big_endian: bool,
    /// Stored values: voxels times the values at each.
    pub(crate) count: usize,
    /// Intensity is `slope * stored + intercept`; `None` leaves stored values as they are.
    pub(crate) scale: Option<[f64; 2]>,
}

/// Which of the values that lie together at each voxel is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Component {
    pub(crate) index: usize,
    pub(crate) of: usize,
}

impl Component {
    /// One value a voxel.
    pub(crate) const ONLY: Component = Component { index: 0, of: 1 };

    /// Gives `take` this component of the values at `start` and on; whole voxels need not begin there.
    fn pick(self, start: usize, part: &[f32], take: impl FnMut(f32)) {
        let first = (self.index + self.of - start % self.of) % self.of;
        part.iter().copied().skip(first).step_by(self.of).for_each(take);
    }
}

/// Voxels that were no numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct NotFinite {
    /// Stored as NaN or infinite.
    stored: usize,
    /// Finite, but beyond what 32-bit floating point holds.
    overflowed: usize,
}

/// Reads a whole volume of intensities; voxels that are no numbers become the lowest intensity, or air in a CT.
pub(crate) fn read_volume(
    stream: &mut Stream<'_>,
    layout: Layout,
    component: Component,
    modality: Option<&str>,
    warnings: &mut Vec<Warning>,
    progress: &Progress,
) -> Result<Vec<f32>> {
    let mut voxels = reserve(layout.count / component.of)?;
    let not_finite = read(stream, layout, progress, |start, part| {
        if component.of == 1 {
            voxels.extend_from_slice(part);
        } else {
            component.pick(start, part, |value| voxels.push(value));
        }
        Ok(())
    })?;
    mend(&mut voxels, not_finite, modality, warnings)?;
    Ok(voxels)
}

/// Reads a whole volume of labels: integers of 0 to 255.
pub(crate) fn read_labels(
    stream: &mut Stream<'_>,
    layout: Layout,
    component: Component,
    progress: &Progress,
) -> Result<Vec<u8>> {
    let mut labels: Vec<u8> = reserve(layout.count / component.of)?;
    read(stream, layout, progress, |start, part| {
        let bad = |value: &&f32| f32::from(**value as u8) != **value;
        if let Some(value) = part.iter().find(bad) {
            let detail = format!("found the value {value}, expected labels 0 to 255");
            return Err(Error::Intensity { detail });
        }
        if component.of == 1 {
            labels.extend(part.iter().map(|&value| value as u8));
        } else {
            component.pick(start, part, |value| labels.push(value as u8));
        }
        Ok(())
    })?;
    Ok(labels)
}

/// Memory for `count` values, or an error instead of the end of the process.
fn reserve<T>(count: usize) -> Result<Vec<T>> {
    let mut values = Vec::new();
    let bytes = (count * size_of::<T>()) as u64;
    values.try_reserve_exact(count).map_err(|_| Error::OutOfMemory { bytes })?;
    Ok(values)
}

/// Gives `take` the intensities part by part, in order, with the index of the first, while another thread reads and unpacks what follows.
fn read(
    stream: &mut Stream<'_>,
    layout: Layout,
    progress: &Progress,
    mut take: impl FnMut(usize, &[f32]) -> Result<()>,
) -> Result<NotFinite> {
    let total = layout.count * layout.sample.bytes();
    let end = stream.position + total as u64;
    let mut not_finite = NotFinite::default();
    let mut part = Vec::with_capacity(CHUNK_BYTES);
    let mut done = 0;
    std::thread::scope(|scope| {
        let (full, filled) = sync_channel::<Result<Vec<u8>>>(QUEUE);
        let (empty, emptied) = sync_channel::<Vec<u8>>(QUEUE + 2);
        scope.spawn(move || {
            let mut left = total;
            while left > 0 {
                // The converter gives its buffers back; the first few are new. It hangs up when it fails.
                let mut chunk = emptied.try_recv().unwrap_or_default();
                chunk.resize(left.min(CHUNK_BYTES), 0);
                left -= chunk.len();
                let read = stream.read_exact(&mut chunk, end).map(|()| chunk);
                let failed = read.is_err();
                if full.send(read).is_err() || failed {
                    return;
                }
            }
        });
        for chunk in filled {
            let chunk = chunk?;
            progress.step("reading", done as u64, total as u64)?;
            convert(&chunk, layout, &mut part, &mut not_finite);
            take(done / layout.sample.bytes(), &part)?;
            done += chunk.len();
            // A full queue of spare buffers only means that this one is freed.
            drop(empty.try_send(chunk));
        }
        Ok(not_finite)
    })
}

/// Turns bytes into intensities, replacing the content of `part`.
fn convert(bytes: &[u8], layout: Layout, part: &mut Vec<f32>, not_finite: &mut NotFinite) {
    macro_rules! each {
        ($type:ty) => {
            each::<{ size_of::<$type>() }, $type>(
                bytes,
                layout.scale,
                part,
                |word| {
                    if layout.big_endian {
                        <$type>::from_be_bytes(word)
                    } else {
                        <$type>::from_le_bytes(word)
                    }
                },
                |value| (value as f32, value as f64),
            )
        };
    }
    part.clear();
    match layout.sample {
        Sample::U8 => each!(u8),
        Sample::I8 => each!(i8),
        Sample::U16 => each!(u16),
        Sample::I16 => each!(i16),
        Sample::U32 => each!(u32),
        Sample::I32 => each!(i32),
        Sample::U64 => each!(u64),
        Sample::I64 => each!(i64),
        Sample::F32 => each!(f32),
        Sample::F64 => each!(f64),
    }
    let may_overflow = matches!(layout.sample, Sample::F32 | Sample::F64) || layout.scale.is_some();
    if may_overflow && part.iter().any(|value| !value.is_finite()) {
        count_not_finite(bytes, layout, part, not_finite);
    }
}

/// The inner loop: `word` makes a value of bytes, `widen` gives it in single and in double precision.
fn each<const N: usize, T: Copy>(
    bytes: &[u8],
    scale: Option<[f64; 2]>,
    part: &mut Vec<f32>,
    word: impl Fn([u8; N]) -> T,
    widen: impl Fn(T) -> (f32, f64),
) {
    let words = bytes.as_chunks::<N>().0;
    match scale {
        None => part.extend(words.iter().map(|&bytes| widen(word(bytes)).0)),
        Some([slope, intercept]) => {
            part.extend(words.iter().map(|&bytes| (widen(word(bytes)).1 * slope + intercept) as f32));
        }
    }
}

/// Tells stored NaN and infinities from finite values that overflowed.
fn count_not_finite(bytes: &[u8], layout: Layout, part: &[f32], not_finite: &mut NotFinite) {
    let size = layout.sample.bytes();
    for (index, _) in part.iter().enumerate().filter(|(_, value)| !value.is_finite()) {
        let mut word = bytes[index * size..(index + 1) * size].to_vec();
        if layout.big_endian {
            word.reverse();
        }
        let stored_finite = match (layout.sample, word.as_slice()) {
            (Sample::F32, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]).is_finite(),
            (Sample::F64, &[a, b, c, d, e, f, g, h]) => {
                f64::from_le_bytes([a, b, c, d, e, f, g, h]).is_finite()
            }
            _ => true,
        };
        if stored_finite {
            not_finite.overflowed += 1;
        } else {
            not_finite.stored += 1;
        }
    }
}

/// Refuses intensities that cannot be right, and fills the few voxels that are no numbers.
fn mend(
    voxels: &mut [f32],
    not_finite: NotFinite,
    modality: Option<&str>,
    warnings: &mut Vec<Warning>,
) -> Result<()> {
    let NotFinite { stored, overflowed } = not_finite;
    let invalid = |detail| Err(Error::Intensity { detail });
    if overflowed > 0 {
        return invalid(format!("{overflowed} voxels are beyond 3.4e38"));
    }
    if stored as f64 > MOST_NOT_FINITE * voxels.len() as f64 {
        return invalid(format!(
            "{stored} of {} voxels are no numbers, at most 1 % are mended",
            voxels.len()
        ));
    }
    if modality == Some("CT") {
        let beyond = voxels.par_iter().filter(|value| value.is_finite() && value.abs() > MOST_CT).count();
        if beyond > 0 {
            return invalid(format!("{beyond} voxels of a CT are beyond 1e6 Hounsfield units"));
        }
    }
    if stored > 0 {
        let lowest = match modality {
            Some("CT") => -1024.0,
            _ => voxels.iter().copied().filter(|value| value.is_finite()).fold(f32::INFINITY, f32::min),
        };
        voxels.iter_mut().filter(|value| !value.is_finite()).for_each(|value| *value = lowest);
        let message = format!("{stored} voxels were no numbers and were set to {lowest}");
        warnings.push(Warning::new("W_NAN", message));
    }
    Ok(())
}

/// Refuses to write intensities that `sample` cannot hold.
pub(crate) fn check_range(volume: &Volume, sample: Sample) -> Result<()> {
    let [low, high] = match sample {
        Sample::U8 => [0.0, f32::from(u8::MAX)],
        Sample::U16 => [0.0, f32::from(u16::MAX)],
        Sample::I16 => [f32::from(i16::MIN), f32::from(i16::MAX)],
        Sample::F32 => return Ok(()),
        _ => return Err(Error::Encode { detail: format!("volumes are not written as {}", sample.name()) }),
    };
    let outside = |value: &f32| !(low..=high).contains(&value.round_ties_even());
    let found = volume.voxels.as_slice().map_or(0, |voxels| voxels.par_iter().filter(|v| outside(v)).count());
    if found > 0 {
        let detail = format!("{found} voxels do not fit {}, which holds {low} to {high}", sample.name());
        return Err(Error::Encode { detail });
    }
    Ok(())
}

/// Appends intensities to `bytes`, little-endian, integers rounded to nearest, ties to even.
pub(crate) fn encode(voxels: &[f32], sample: Sample, bytes: &mut Vec<u8>) {
    match sample {
        Sample::U8 => put(voxels, bytes, |value| [rounded(value) as u8]),
        Sample::U16 => put(voxels, bytes, |value| (rounded(value) as u16).to_le_bytes()),
        Sample::I16 => put(voxels, bytes, |value| (rounded(value) as i16).to_le_bytes()),
        _ => put(voxels, bytes, f32::to_le_bytes),
    }
}

/// `value` to the nearest integer, ties to even, as [`f32::round_ties_even`]; of use where what lies beyond 2²² is cut off
/// all the same. Without a function of the system's for each voxel: the sum has no room for fractions, and is rounded so.
fn rounded(value: f32) -> f32 {
    const NO_ROOM: f32 = 12_582_912.0;
    (value + NO_ROOM) - NO_ROOM
}

/// Appends all values, each as `N` bytes.
fn put<const N: usize>(voxels: &[f32], bytes: &mut Vec<u8>, encode: impl Fn(f32) -> [u8; N]) {
    let start = bytes.len();
    bytes.resize(start + N * voxels.len(), 0);
    let places = bytes[start..].as_chunks_mut::<N>().0;
    places.iter_mut().zip(voxels).for_each(|(place, &value)| *place = encode(value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_rounded_as_the_standard_library_rounds() {
        let halves = (-140_000..=140_000).map(|half| half as f32 / 2.0);
        let between = (0..200_000).map(|step| (step as f32 - 100_000.0) * 0.731);
        let extremes =
            [0.0, -0.0, -0.2, 4e6, 5e6, 9e6, 2e7, -3e9, 1e30, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
        let values: Vec<f32> = halves.chain(between).chain(extremes).collect();
        let check = |sample, expected: Vec<u8>| {
            let mut bytes = Vec::new();
            encode(&values, sample, &mut bytes);
            assert_eq!(bytes, expected, "{}", sample.name());
        };
        let rounded = || values.iter().map(|value| value.round_ties_even());
        check(Sample::U8, rounded().map(|value| value as u8).collect());
        check(Sample::U16, rounded().flat_map(|value| (value as u16).to_le_bytes()).collect());
        check(Sample::I16, rounded().flat_map(|value| (value as i16).to_le_bytes()).collect());
    }
}
