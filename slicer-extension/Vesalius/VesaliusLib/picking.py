"""Which structure is meant by a place in the image, and where it is."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional, Sequence

import numpy as np

from . import scene
from .layers import Layers
from .vesalius import geometry

# How far from the cursor a structure is looked for, in millimetres, as the engine does.
NEAR_MM = 10.0


class Picked(NamedTuple):
    """A structure's value, and a voxel of it in LPS millimetres of the volume."""

    value: int
    at: Sequence[float]


def near(volume: Any, layers: Layers, mirror: np.ndarray, point: Sequence[float], value: int = 0) -> Optional[Picked]:
    """The structure under a point of the scene, or else the nearest within 10 mm; `value`: only that one is meant."""
    grid, dims = scene.ijk_to_ras(volume), np.array(layers.dims)
    matrix = geometry.other_space(grid)
    center = np.rint(geometry.to_ijk(matrix, np.array(scene.world_to_lps(volume, [point])))[0]).astype(int)
    if (center < 0).any() or (center >= dims).any():
        return None
    reach = (NEAR_MM / np.linalg.norm(grid[:3, :3], axis=0)).astype(int)
    low, high = np.maximum(center - reach, 0), np.minimum(center + reach + 1, dims)
    part = layers.part(low, high, mirror)
    found = np.argwhere(part == value if value else part)
    if len(found) == 0:
        return None
    voxels, labels = found[:, ::-1] + low, part[tuple(found.T)]
    away = np.linalg.norm((voxels - center) @ grid[:3, :3].T, axis=1)
    # Of two as near, the engine takes the lower label.
    nearest = np.lexsort((labels, away))[0]
    if away[nearest] > NEAR_MM:
        return None
    return Picked(int(labels[nearest]), [float(mm) for mm in geometry.to_world(matrix, voxels[nearest])[0]])
