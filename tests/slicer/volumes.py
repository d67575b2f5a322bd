"""Volume nodes for tests: a part of a real CT in every geometry that a scanner or a program can give it."""

from __future__ import annotations

import math
from typing import Dict, Tuple

import numpy as np


def rotation(x: float, y: float, z: float) -> np.ndarray:
    """Turns by angles about the three axes, in radians."""
    matrix = np.eye(3)
    for (a, b), angle in (((1, 2), x), ((2, 0), y), ((0, 1), z)):
        turn = np.eye(3)
        turn[[a, b], [a, b]] = math.cos(angle)
        turn[b, a], turn[a, b] = math.sin(angle), -math.sin(angle)
        matrix = turn @ matrix
    return matrix


def affine(directions: np.ndarray, spacing: Tuple[float, float, float]) -> np.ndarray:
    """A matrix from voxels to millimetres in RAS, away from the origin."""
    matrix = np.eye(4)
    matrix[:3, :3] = directions @ np.diag(spacing)
    matrix[:3, 3] = [12.5, -30.25, 700.0]
    return matrix


SHEAR = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, math.tan(math.radians(15.0))], [0.0, 0.0, 1.0]])
# Matrices in RAS, all of about the voxels of a small CT.
GEOMETRIES: Dict[str, np.ndarray] = {
    "straight": affine(np.diag([-1.0, -1.0, 1.0]), (3.0, 3.0, 3.0)),
    "oblique": affine(rotation(0.3, 0.2, 0.5), (3.0, 3.0, 3.0)),
    "left-handed": affine(np.diag([-1.0, 1.0, 1.0]), (3.0, 3.0, 3.0)),
    "permuted": affine(np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), (3.0, 3.0, 3.0)),
    "sheared": affine(SHEAR @ np.diag([-1.0, -1.0, 1.0]), (3.0, 3.0, 3.0)),
    "anisotropic": affine(np.diag([-1.0, -1.0, 1.0]), (2.0, 3.5, 5.0)),
    "transformed": affine(rotation(0.1, -0.2, 0.3), (3.0, 3.0, 4.0)),
}


def small_ct() -> np.ndarray:
    """A real CT at 3 mm, `[k, j, i]`, int16 Hounsfield units, 64 x 56 x 30 voxels of it."""
    import SimpleITK
    from engine import SMALL_CT

    array = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(SMALL_CT)))
    return np.ascontiguousarray(array[:, 20:76, 30:94]).astype(np.int16)


def as_type(voxels: np.ndarray, dtype: str) -> np.ndarray:
    """The voxels as another type, within its range."""
    if dtype == "uint8":
        return np.clip(voxels + 100, 0, 255).astype(np.uint8)
    return voxels.astype(dtype)


def add_volume(scene, voxels: np.ndarray, matrix: np.ndarray, name: str = "CT"):
    """A volume node of these voxels."""
    import slicer.util

    return slicer.util.addVolumeFromArray(voxels, matrix, name)
