"""What the user painted, as lines that a prompt can take: a stroke says where, and the engine finds how far."""

from __future__ import annotations

from typing import List, Tuple

import numpy as np

from .vesalius.delta import Delta

# Lines of one stroke that are worth a question each.
MOST = 8


def by_label(delta: Delta, dims: Tuple[int, ...]) -> List[Tuple[int, bool, np.ndarray]]:
    """Painted voxels by structure: its value, whether they were added to it, and where, `[n, 3]` of i, j, k."""
    found = []
    parts = [np.concatenate(column) for column in zip(*delta.pieces(dims))] if not delta.is_empty else []
    if not parts:
        return []
    place, old, new = parts
    for adds, labels, where in ((True, new, new != 0), (False, old, new == 0)):
        for value in np.unique(labels[where]):
            row, i = np.divmod(place[where & (labels == value)], dims[0])
            found.append((int(value), adds, np.stack([i, *np.divmod(row, dims[1])[::-1]], axis=1)))
    return found


def lines(voxels: np.ndarray) -> List[np.ndarray]:
    """Lines of voxels `[n, 3]` along the middle of a painted region that never leave it, the longest first."""
    first = voxels.min(axis=0)
    size = voxels.max(axis=0) - first + 1
    # Strokes are flat: go through them plane by plane, and row by row along the longer edge.
    axes = np.argsort(size, kind="stable")
    mask = np.zeros(size[axes], bool)
    mask[tuple((voxels - first)[:, axes].T)] = True
    finished: List[List[Tuple[int, int, int]]] = []
    for a, plane in enumerate(mask):
        is_turned = plane.shape[0] < plane.shape[1]
        rows = plane.T if is_turned else plane
        open_lines: List[List[Tuple[int, int, int]]] = []
        for b, row in enumerate(rows):
            edges = np.flatnonzero(np.diff(np.concatenate(([0], row.view(np.int8), [0]))))
            going_on = []
            for begin, end in zip(edges[0::2], edges[1::2]):
                c = int(begin + end - 1) // 2
                line = next((each for each in open_lines if _is_inside(rows, each[-1][1:], (b, c))), None)
                if line is None:
                    line = []
                    finished.append(line)
                else:
                    open_lines.remove(line)
                line.append((a, b, c))
                going_on.append(line)
            open_lines = going_on
        if is_turned:
            for line in finished:
                line[:] = [(n, c, b) if n == a else (n, b, c) for n, b, c in line]
    finished.sort(key=len, reverse=True)
    back = np.argsort(axes)
    return [np.array(line)[:, back] + first for line in finished[:MOST]]


def _is_inside(rows: np.ndarray, start: Tuple[int, int], end: Tuple[int, int]) -> bool:
    """Whether the straight line between two voxels of neighbouring rows stays inside."""
    steps = 2 * max(abs(end[0] - start[0]), abs(end[1] - start[1])) + 1
    b, c = (np.rint(np.linspace(start[n], end[n], steps)).astype(int) for n in (0, 1))
    return bool(rows[b, c].all())
