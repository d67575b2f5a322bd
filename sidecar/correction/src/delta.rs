//! What an edit changed: a box, and in it runs of voxels with their old and new labels. Hundreds of bytes, where the
//! label map has millions.

use imaging::{IndexBox, LabelMap};
use ndarray::ArrayView3;
use rayon::prelude::*;

use crate::region::round_about;
use crate::{Error, Result};

/// Begins an encoded delta.
const MAGIC: &[u8; 4] = b"VSD1";
/// The largest image, along any axis and in all, that a delta may speak of.
const LONGEST: u64 = 1 << 16;
const MOST_VOXELS: u64 = 1 << 40;

/// Voxels in a row of the box that change alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    /// Voxels of the box between the run before, or the box's start, and this one.
    skip: u64,
    length: u64,
    from: u8,
    to: u8,
}

/// Changed labels, exactly. The box is the smallest; runs go through it with i fastest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    part: IndexBox,
    runs: Vec<Run>,
}

impl Delta {
    /// Nothing changes.
    #[must_use]
    pub fn empty() -> Delta {
        Delta { part: IndexBox { start: [0; 3], end: [0; 3] }, runs: Vec::new() }
    }

    /// What leads from `old` to `new` labels, `[[k, j, i]]`, such as after a stroke of a viewer's own brush.
    ///
    /// # Errors
    ///
    /// [`Error::SizesDiffer`].
    pub fn between(old: ArrayView3<'_, u8>, new: ArrayView3<'_, u8>) -> Result<Delta> {
        if old.dim() != new.dim() {
            let size = |(k, j, i): (usize, usize, usize)| [i, j, k];
            return Err(Error::SizesDiffer { found: size(new.dim()), expected: size(old.dim()) });
        }
        let planes = old.outer_iter().into_par_iter().zip(new.outer_iter()).enumerate();
        let boxes = planes.filter(|(_, (old, new))| old != new).map(|(k, (old, new))| {
            let pairs = old.into_iter().zip(new).enumerate().filter(|(_, (old, new))| old != new);
            let width = old.dim().1;
            round_about(pairs.map(|(n, _)| [n % width, n / width, k]))
        });
        let Some(part) = boxes.reduce_with(|a, b| a.union(&b)) else { return Ok(Delta::empty()) };
        let (old, new) = (part.view(old), part.view(new));
        Ok(Delta::of(part, old.into_iter().zip(new).map(|(&old, &new)| (old, new))))
    }

    /// The changes among old and new labels of all voxels of `part`, i fastest. The box must be the smallest.
    pub(crate) fn of(part: IndexBox, pairs: impl Iterator<Item = (u8, u8)>) -> Delta {
        let mut runs: Vec<Run> = Vec::new();
        let mut skip = 0;
        for (from, to) in pairs {
            match runs.last_mut() {
                _ if from == to => skip += 1,
                Some(run) if skip == 0 && (run.from, run.to) == (from, to) => run.length += 1,
                _ => {
                    runs.push(Run { skip, length: 1, from, to });
                    skip = 0;
                }
            }
        }
        if runs.is_empty() { Delta::empty() } else { Delta { part, runs } }
    }

    /// The same changes, so many voxels further along i, j, k.
    pub(crate) fn moved(mut self, by: [usize; 3]) -> Delta {
        if !self.is_empty() {
            self.part
                .start
                .iter_mut()
                .chain(&mut self.part.end)
                .zip(by.into_iter().chain(by))
                .for_each(|(n, by)| *n += by);
        }
        self
    }

    /// The smallest box round all changes.
    #[must_use]
    pub fn part(&self) -> IndexBox {
        self.part
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Voxels that change from one label to another, as `((from, to), voxels)` in ascending order.
    #[must_use]
    pub fn changes(&self) -> Vec<((u8, u8), u64)> {
        let mut changes = std::collections::BTreeMap::new();
        for run in &self.runs {
            *changes.entry((run.from, run.to)).or_insert(0) += run.length;
        }
        changes.into_iter().collect()
    }

    /// Voxels that change.
    #[must_use]
    pub fn voxels(&self) -> u64 {
        self.runs.iter().map(|run| run.length).sum()
    }

    /// Bytes that it takes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Delta>() + self.runs.len() * size_of::<Run>()
    }

    /// The delta that leads back.
    #[must_use]
    pub fn inverted(&self) -> Delta {
        let runs = self.runs.iter().map(|run| Run { from: run.to, to: run.from, ..*run }).collect();
        Delta { part: self.part, runs }
    }

    /// Whether it fits these labels: they are large enough, and hold everywhere what it would replace.
    ///
    /// # Errors
    ///
    /// [`Error::NotADelta`] if it reaches beyond them, [`Error::OtherLabels`] if they hold something else.
    pub fn check(&self, labels: &LabelMap) -> Result<()> {
        if (0..3).any(|a| self.part.end[a] > labels.grid.size[a]) {
            return Err(Error::NotADelta { reason: "it reaches beyond the image" });
        }
        let different = self.places().find_map(|([i, j, k], run)| {
            let found = labels.labels[[k, j, i]];
            (found != run.from).then_some(Error::OtherLabels { found, expected: run.from })
        });
        different.map_or(Ok(()), Err)
    }

    /// Changes the labels.
    ///
    /// # Errors
    ///
    /// As [`Delta::check`]; nothing is changed then.
    pub fn apply(&self, labels: &mut LabelMap) -> Result<()> {
        self.check(labels)?;
        self.places().for_each(|([i, j, k], run)| labels.labels[[k, j, i]] = run.to);
        Ok(())
    }

    /// Every changed voxel with its run, in order.
    fn places(&self) -> impl Iterator<Item = ([usize; 3], &Run)> {
        let (start, size) = (self.part.start, self.part.size().map(|n| n as u64));
        let mut next = 0;
        self.runs.iter().flat_map(move |run| {
            let first = next + run.skip;
            next = first + run.length;
            (first..next).map(move |n| {
                let row = n / size[0];
                let at = [n % size[0], row % size[1], row / size[1]];
                (std::array::from_fn(|a| start[a] + at[a] as usize), run)
            })
        })
    }

    /// The changed voxels `[i, j, k]` with their old and new labels, in order.
    pub fn iter(&self) -> impl Iterator<Item = ([usize; 3], u8, u8)> + '_ {
        self.places().map(|(voxel, run)| (voxel, run.from, run.to))
    }

    /// As bytes: `VSD1`, the box's start and size along i, j, k, the number of different changes, their old and new
    /// labels, the number of runs, and for each how many voxels it skips and `length * changes + which change`.
    /// Numbers are in LEB128 but for labels, which are bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let changes: Vec<(u8, u8)> = self.changes().into_iter().map(|(change, _)| change).collect();
        let mut bytes = MAGIC.to_vec();
        let numbers = self.part.start.into_iter().chain(self.part.size());
        numbers.for_each(|number| put(&mut bytes, number as u64));
        put(&mut bytes, changes.len() as u64);
        changes.iter().for_each(|&(from, to)| bytes.extend([from, to]));
        put(&mut bytes, self.runs.len() as u64);
        for run in &self.runs {
            let which = changes.iter().position(|&change| change == (run.from, run.to)).unwrap_or(0);
            put(&mut bytes, run.skip);
            put(&mut bytes, run.length * changes.len() as u64 + which as u64);
        }
        bytes
    }

    /// Reads what [`Delta::encode`] wrote. Any bytes are allowed; memory stays within ten times their number.
    ///
    /// # Errors
    ///
    /// [`Error::NotADelta`].
    pub fn decode(bytes: &[u8]) -> Result<Delta> {
        let wrong = |reason| Error::NotADelta { reason };
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(wrong("it does not begin with `VSD1`"))?;
        let mut numbers = [0u64; 6];
        for number in &mut numbers {
            *number = take(&mut rest)
                .filter(|&number| number <= LONGEST)
                .ok_or(wrong("its box is not possible"))?;
        }
        let [i, j, k, ni, nj, nk] = numbers.map(|number| number as usize);
        let part = IndexBox { start: [i, j, k], end: [i + ni, j + nj, k + nk] };
        let volume = numbers[3..].iter().product::<u64>();
        let changes = changes(&mut rest)?;
        let count = take(&mut rest).ok_or(wrong("it ends too early"))?;
        if count == 0 && rest.is_empty() {
            return Ok(Delta::empty());
        }
        if changes.is_empty() || volume > MOST_VOXELS || count > rest.len() as u64 / 2 {
            return Err(wrong("its runs cannot be as many"));
        }
        let mut runs = Vec::with_capacity(count as usize);
        let mut end = 0u64;
        for _ in 0..count {
            let (skip, token) = take(&mut rest).zip(take(&mut rest)).ok_or(wrong("it ends too early"))?;
            let length = token / changes.len() as u64;
            let (from, to) = changes[(token % changes.len() as u64) as usize];
            end = end.checked_add(skip).and_then(|end| end.checked_add(length)).unwrap_or(u64::MAX);
            if length == 0 || end > volume {
                return Err(wrong("its runs leave its box"));
            }
            runs.push(Run { skip, length, from, to });
        }
        if !rest.is_empty() {
            return Err(wrong("bytes follow its end"));
        }
        Ok(Delta { part, runs })
    }
}

/// The table of different changes.
fn changes(rest: &mut &[u8]) -> Result<Vec<(u8, u8)>> {
    let count = take(rest).filter(|&count| count <= rest.len() as u64 / 2);
    let count = count.ok_or(Error::NotADelta { reason: "it ends too early" })? as usize;
    let (table, after) = rest.split_at(2 * count);
    *rest = after;
    let changes: Vec<(u8, u8)> = table.as_chunks().0.iter().map(|&[from, to]| (from, to)).collect();
    let sorted = changes.windows(2).all(|pair| pair[0] < pair[1]);
    if !sorted || changes.iter().any(|(from, to)| from == to) {
        return Err(Error::NotADelta { reason: "its table of changes is out of order" });
    }
    Ok(changes)
}

/// Appends a number, seven bits to a byte, least significant first.
fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Takes a number off the front; `None` if there is none below 2^63.
fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..63).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}
