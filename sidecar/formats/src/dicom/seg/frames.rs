//! Which structure is seen on which slice, and those masks as bits.

use imaging::{Cancelled, LabelMap, Progress};
use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

/// The lowest bit of each of eight bytes, gathered into the top byte of a product.
const GATHER: u64 = 0x0102_0408_1020_4080;

/// A mask to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Place of its segment in the list of segments that are written.
    pub(crate) segment: usize,
    /// Place of its slice in the source.
    pub(crate) slice: usize,
}

/// The labels of each plane, one flag a value.
pub(crate) fn present(labels: &LabelMap, progress: &Progress) -> Result<Vec<[bool; 256]>, Cancelled> {
    let planes = labels.labels.axis_iter(Axis(0)).into_par_iter();
    let found = |plane: ArrayView2<'_, u8>| {
        progress.step("writing", 0, 0)?;
        let mut flags = [false; 256];
        plane.iter().for_each(|&label| flags[usize::from(label)] = true);
        Ok(flags)
    };
    planes.map(found).collect()
}

/// Bits, the first in the lowest place of the first byte (PS3.5 8.1.1); frames follow each other without padding.
#[derive(Debug, Default)]
pub(crate) struct Bits {
    /// Bits that fill no byte yet, and how many.
    rest: u32,
    count: u32,
}

impl Bits {
    /// Appends where `plane`, row by row, is `value`.
    pub(crate) fn append(&mut self, plane: &[u8], value: u8, bytes: &mut Vec<u8>) {
        let (eights, rest) = plane.as_chunks::<8>();
        let pattern = u64::from_le_bytes([value; 8]);
        bytes.extend(eights.iter().map(|eight| {
            let difference = u64::from_le_bytes(*eight) ^ pattern;
            // The top bit of every byte that is not zero.
            let differs = ((difference & !TOPS) + !TOPS) | difference;
            let bits = ((!differs & TOPS) >> 7).wrapping_mul(GATHER) >> 56;
            self.rest |= (bits as u32) << self.count;
            let byte = self.rest as u8;
            self.rest >>= 8;
            byte
        }));
        for &label in rest {
            self.rest |= u32::from(label == value) << self.count;
            self.count += 1;
        }
        if self.count >= 8 {
            bytes.push(self.rest as u8);
            self.rest >>= 8;
            self.count -= 8;
        }
    }

    /// The last byte, filled up with zeros.
    pub(crate) fn finish(self, bytes: &mut Vec<u8>) {
        if self.count > 0 {
            bytes.push(self.rest as u8);
        }
    }
}

const TOPS: u64 = 0x8080_8080_8080_8080;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_follow_each_other_whatever_the_size(
            frames in proptest::collection::vec(proptest::collection::vec(prop_oneof![0u8..4, any::<u8>()], 29), 1..6),
            value in prop_oneof![0u8..4, any::<u8>()],
        ) {
            let (mut bits, mut bytes) = (Bits::default(), Vec::new());
            frames.iter().for_each(|frame| bits.append(frame, value, &mut bytes));
            bits.finish(&mut bytes);
            let all: Vec<u8> = frames.concat();
            prop_assert_eq!(bytes.len(), all.len().div_ceil(8));
            for (index, label) in all.iter().enumerate() {
                prop_assert_eq!(bytes[index / 8] >> (index % 8) & 1 == 1, *label == value);
            }
        }
    }
}
