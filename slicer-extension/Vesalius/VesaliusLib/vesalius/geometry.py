"""Where voxels lie: 4x4 matrices from `[i, j, k, 1]` to millimetres, boxes of voxels, and which way axes point.

A grid is `dims`, voxels along i, j, k, and `matrix`, in RAS (3D Slicer, NIfTI) or LPS (DICOM, ITK, SimpleITK).
"""

from __future__ import annotations

from typing import List, Sequence

import numpy as np

from .errors import VesaliusError

# Turns RAS into LPS, and LPS into RAS.
FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])
# Of the volume of a box with edges of the same lengths; axes this close to a plane are an error of the header.
FLAT = 1e-6
# Of a voxel; a box that touches a centre holds it, in spite of rounding.
TOLERANCE = 1e-6


def other_space(matrix: np.ndarray) -> np.ndarray:
    """The matrix to RAS from that to LPS, or the other way round."""
    return FLIP @ np.asarray(matrix, dtype=float)


def matrix_of(spacing: Sequence[float], direction: Sequence[float], origin: Sequence[float]) -> np.ndarray:
    """The matrix of an image as ITK keeps it: millimetres between voxels, rows of directions, centre of voxel 0."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(direction, (3, 3)) @ np.diag(spacing)
    matrix[:3, 3] = origin
    return matrix


def check(dims: Sequence[int], matrix: np.ndarray) -> None:
    """Refuses a grid without voxels, or one that does not fill space."""
    matrix = np.asarray(matrix, dtype=float)
    if len(dims) != 3 or min(dims) < 1:
        raise _refused(f"an image of three dimensions was expected, and {tuple(dims)} voxels were found")
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or tuple(matrix[3]) != (0.0, 0.0, 0.0, 1.0):
        raise _refused("the image has no valid matrix from voxels to millimetres")
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if abs(np.linalg.det(matrix[:3, :3])) <= FLAT * lengths.prod():
        raise _refused("the image is flat: two of its axes point the same way")


def voxel_ml(matrix: np.ndarray) -> float:
    """Millilitres of a voxel."""
    return abs(float(np.linalg.det(np.asarray(matrix, dtype=float)[:3, :3]))) / 1000.0


def to_ijk(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points in millimetres, `[n, 3]`, as fractions of voxels."""
    points = np.asarray(points, dtype=float).reshape(-1, 3)
    return np.linalg.solve(matrix[:3, :3], (points - matrix[:3, 3]).T).T


def to_world(matrix: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Voxels, `[n, 3]`, in millimetres."""
    return np.asarray(indices, dtype=float).reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]


def region(dims: Sequence[int], matrix: np.ndarray, points: np.ndarray) -> List[List[int]]:
    """The box of voxels whose centres lie between the points: `[[i, i_end], [j, j_end], [k, k_end]]`."""
    indices = to_ijk(matrix, points)
    first = np.maximum(np.ceil(indices.min(axis=0) - TOLERANCE), 0).astype(int)
    end = np.minimum(np.floor(indices.max(axis=0) + TOLERANCE) + 1, dims).astype(int)
    if (first >= end).any():
        message = "the box holds no voxel of the image"
        raise VesaliusError("invalid_region", message, "move the box over the image, or make it larger")
    return [[int(a), int(b)] for a, b in zip(first, end)]


def box_points(per_edge: int = 5) -> np.ndarray:
    """Points all over a box from -1/2 to 1/2: corners alone do not bound what a warped transform makes of it."""
    side = np.linspace(-0.5, 0.5, per_edge)
    return np.stack(np.meshgrid(side, side, side, indexing="ij"), axis=-1).reshape(-1, 3)


def _refused(message: str) -> VesaliusError:
    return VesaliusError("geometry_invalid", message, "choose another image")
