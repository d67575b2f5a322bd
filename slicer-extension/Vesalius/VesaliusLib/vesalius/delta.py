"""What a correction changed: a box of voxels, and in it runs with their old and new labels, as the engine writes it.

`docs/correction.md` describes the bytes. Label maps are `[k, j, i]`, boxes and places `i, j, k`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterator, Sequence, Tuple

import numpy as np

from .errors import VesaliusError

MAGIC = b"VSD1"
# The largest image, along any axis and in all, that a delta may speak of.
LONGEST, MOST_VOXELS = 1 << 16, 1 << 40
# Bytes of the longest number: seven bits each.
MOST_BYTES = 9
# Voxels that are handled in one piece, in about a millisecond.
PIECE = 1 << 17
Triple = Tuple[int, int, int]
Runs = Tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Delta:
    """Changed labels, exactly. It fits only the labels that it was made for."""

    # Of the smallest box that holds all changes, along i, j, k.
    start: Triple
    size: Triple
    # For each run its first voxel, counted through the box with i fastest, its voxels, and their labels.
    first: np.ndarray
    length: np.ndarray
    old: np.ndarray
    new: np.ndarray

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes."""
        return len(self.first) == 0

    @property
    def voxels(self) -> int:
        """How many voxels change."""
        return int(self.length.sum())

    def changes(self) -> Dict[Tuple[int, int], int]:
        """How many voxels change from one label to another, in ascending order."""
        pairs, which = np.unique(self.old.astype(np.int64) << 8 | self.new, return_inverse=True)
        counts = np.bincount(which.ravel(), weights=self.length, minlength=len(pairs))
        return {(int(pair) >> 8, int(pair) & 255): int(count) for pair, count in zip(pairs, counts)}

    def inverted(self) -> Delta:
        """The way back."""
        return Delta(self.start, self.size, self.first, self.length, self.new, self.old)

    def pieces(self, dims: Sequence[int]) -> Iterator[Tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Flat places in a label map of `dims` voxels along i, j, k, with old and new labels, a piece at a time."""
        if any(at + size > most for at, size, most in zip(self.start, self.size, dims)):
            raise _wrong("it reaches beyond the image")
        ends = np.cumsum(self.length)
        begin = 0
        while begin < len(ends):
            done = int(ends[begin - 1]) if begin else 0
            end = max(begin + 1, int(np.searchsorted(ends, done + PIECE, side="right")))
            lengths = self.length[begin:end]
            before = np.repeat(self.first[begin:end] - np.concatenate(([0], np.cumsum(lengths)[:-1])), lengths)
            row, i = np.divmod(before + np.arange(len(before)), self.size[0])
            k, j = np.divmod(row, self.size[1])
            place = ((k + self.start[2]) * dims[1] + j + self.start[1]) * dims[0] + i + self.start[0]
            yield place, np.repeat(self.old[begin:end], lengths), np.repeat(self.new[begin:end], lengths)
            begin = end

    def fits(self, labels: np.ndarray) -> bool:
        """Whether a label map `[k, j, i]` holds what would be replaced."""
        flat = labels.reshape(-1)
        return all((flat[place] == old).all() for place, old, _ in self.pieces(labels.shape[::-1]))

    def apply(self, labels: np.ndarray) -> None:
        """Changes a label map `[k, j, i]` that it fits."""
        flat = labels.reshape(-1)
        for place, _, new in self.pieces(labels.shape[::-1]):
            flat[place] = new

    def encode(self) -> bytes:
        """As bytes."""
        changes = list(self.changes())
        head = _numbers(np.array([*self.start, *self.size, len(changes)]))
        table = bytes(label for change in changes for label in change)
        codes = np.array([old << 8 | new for old, new in changes], dtype=np.int64)
        which = np.searchsorted(codes, self.old.astype(np.int64) << 8 | self.new)
        runs = np.empty((len(self.first), 2), dtype=np.int64)
        runs[:, 0] = self.first - np.concatenate(([0], (self.first + self.length)[:-1]))[: len(self.first)]
        runs[:, 1] = self.length * len(changes) + which
        return MAGIC + head + table + _numbers(np.concatenate(([len(self.first)], runs.ravel())))


def empty() -> Delta:
    """Nothing changes."""
    none = np.zeros(0, dtype=np.int64)
    return Delta((0, 0, 0), (0, 0, 0), none, none, none.astype(np.uint8), none.astype(np.uint8))


def between(old: np.ndarray, new: np.ndarray, start: Sequence[int] = (0, 0, 0)) -> Delta:
    """What leads from `old` to `new` labels, `[k, j, i]`, of a box that begins at `start` along i, j, k."""
    changed = old != new
    if not changed.any():
        return empty()
    begins, ends = [], []
    for others in ((0, 1), (0, 2), (1, 2)):
        inside = np.flatnonzero(changed.any(axis=others))
        begins.append(int(inside[0]))
        ends.append(int(inside[-1]) + 1)
    box = tuple(slice(begins[axis], ends[axis]) for axis in (2, 1, 0))
    size = tuple(b - a for a, b in zip(begins, ends))
    at = tuple(int(a + b) for a, b in zip(start, begins))
    return of_runs(at, size, [runs(old[box], new[box])])  # type: ignore[arg-type]


def of_places(place: np.ndarray, old: np.ndarray, new: np.ndarray, dims: Sequence[int]) -> Delta:
    """The changes of some voxels, by ascending flat places in a label map of `dims` voxels along i, j, k."""
    if len(place) == 0:
        return empty()
    row, i = np.divmod(place, dims[0])
    k, j = np.divmod(row, dims[1])
    start = tuple(int(axis.min()) for axis in (i, j, k))
    size = tuple(int(axis.max()) + 1 - at for axis, at in zip((i, j, k), start))
    inside = ((k - start[2]) * size[1] + j - start[1]) * size[0] + i - start[0]
    single = np.ones(len(place), dtype=np.int64)
    return of_runs(start, size, [(inside, single, old, new)])  # type: ignore[arg-type]


def runs(old: np.ndarray, new: np.ndarray, before: int = 0) -> Runs:
    """Runs of a part of a box, which `before` voxels of the box precede: first voxel, voxels, old and new label."""
    place = np.flatnonzero(old != new)
    was, becomes = (np.ascontiguousarray(labels).ravel()[place].astype(np.uint8) for labels in (old, new))
    breaks = (np.diff(place) != 1) | (was[1:] != was[:-1]) | (becomes[1:] != becomes[:-1])
    first = np.concatenate(([0], np.flatnonzero(breaks) + 1))[: len(place)]
    length = np.diff(np.concatenate((first, [len(place)])))
    return place[first].astype(np.int64) + before, length.astype(np.int64), was[first], becomes[first]


def of_runs(start: Triple, size: Triple, parts: Sequence[Runs]) -> Delta:
    """A delta of runs of parts in order; the box must be the smallest. Runs that meet become one."""
    first, length, old, new = (np.concatenate(columns) for columns in zip(*parts))
    if len(first) == 0:
        return empty()
    meets = (first[1:] == (first + length)[:-1]) & (old[1:] == old[:-1]) & (new[1:] == new[:-1])
    begins = np.concatenate(([0], np.flatnonzero(~meets) + 1))
    return Delta(start, size, first[begins], np.add.reduceat(length, begins), old[begins], new[begins])


def decode(data: bytes) -> Delta:
    """Reads what the engine wrote; any bytes may come, and what is no delta is refused."""
    if data[:4] != MAGIC:
        raise _wrong("it does not begin with `VSD1`")
    rest = np.frombuffer(data, dtype=np.uint8)[4:]
    head, rest = _take(rest, 7)
    start, size, count = head[:3], head[3:6], int(head[6])
    if (head[:6] > LONGEST).any():
        raise _wrong("its box is not possible")
    volume = int(size[0]) * int(size[1]) * int(size[2])
    if 2 * count > len(rest):
        raise _wrong("it ends too early")
    table, rest = rest[: 2 * count].reshape(-1, 2).astype(np.int64), rest[2 * count :]
    codes = table[:, 0] << 8 | table[:, 1]
    if (np.diff(codes) <= 0).any() or (table[:, 0] == table[:, 1]).any():
        raise _wrong("its table of changes is out of order")
    (many,), rest = _take(rest, 1)
    if many == 0 and len(rest) == 0:
        return empty()
    if count == 0 or volume > MOST_VOXELS or many > len(rest) // 2:
        raise _wrong("its runs cannot be as many")
    numbers, rest = _take(rest, 2 * int(many))
    if len(rest):
        raise _wrong("bytes follow its end")
    skip, (length, which) = numbers[0::2], np.divmod(numbers[1::2], count)
    # Each below 2^40 before they are summed, so that no sum of them can overflow.
    if (length == 0).any() or (skip > volume).any() or (length > volume).any():
        raise _wrong("its runs leave its box")
    ends = np.cumsum(skip + length)
    if (np.diff(ends) < 0).any() or ends[-1] > volume:
        raise _wrong("its runs leave its box")
    old, new = (table[which, column].astype(np.uint8) for column in (0, 1))
    return Delta(_triple(start), _triple(size), ends - length, length, old, new)


def _triple(numbers: np.ndarray) -> Triple:
    i, j, k = (int(number) for number in numbers)
    return i, j, k


def _numbers(values: np.ndarray) -> bytes:
    """LEB128: seven bits to a byte, the lowest first."""
    values = values.astype(np.uint64)
    sevens = values[:, None] >> (np.uint64(7) * np.arange(MOST_BYTES, dtype=np.uint64))
    lengths = np.maximum(1, (sevens > 0).sum(axis=1))
    after = lengths[:, None] - 1 - np.arange(MOST_BYTES)
    found = (sevens & np.uint64(127)).astype(np.uint8) | np.where(after > 0, 128, 0).astype(np.uint8)
    return found[after >= 0].tobytes()


def _take(data: np.ndarray, count: int) -> Tuple[np.ndarray, np.ndarray]:
    """So many numbers off the front, and what follows them."""
    if count == 0:
        return np.zeros(0, dtype=np.int64), data
    # No number needs more than its nine bytes.
    ends = np.flatnonzero(data[: count * MOST_BYTES] < 128)[:count]
    if len(ends) < count:
        raise _wrong("it ends too early")
    begins = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - begins + 1
    if (lengths > MOST_BYTES).any():
        raise _wrong("one of its numbers is too large")
    used = data[: ends[-1] + 1].astype(np.int64)
    shift = 7 * (np.arange(len(used)) - np.repeat(begins, lengths))
    return np.add.reduceat((used & 127) << shift, begins), data[ends[-1] + 1 :]


def _wrong(reason: str) -> VesaliusError:
    return VesaliusError("not_a_delta", f"this is no delta: {reason}", "please report it")
