"""A made-up abdomen for corrections: three organs of known shape, and a segmentation of them with known mistakes."""

from __future__ import annotations

import numpy as np
from VesaliusLib import segments
from VesaliusLib.vesalius import Steps

SHAPE = (40, 48, 56)
SPACING = 2.5
LIVER, KIDNEY, SPLEEN = 5, 2, 1
ROWS = [
    {"value": SPLEEN, "name": "spleen", "color": [157, 108, 162]},
    {"value": KIDNEY, "name": "kidney_left", "color": [212, 126, 151]},
    {"value": LIVER, "name": "liver", "color": [221, 130, 101]},
]


def ball(center, radius):
    k, j, i = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    return (k - center[0]) ** 2 + (j - center[1]) ** 2 + (i - center[2]) ** 2 <= radius**2


def truth():
    """Labels as they should be, `[k, j, i]`."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[ball((20, 20, 16), 12)] = LIVER
    labels[ball((20, 34, 40), 8)] = KIDNEY
    labels[ball((12, 14, 44), 6)] = SPLEEN
    return labels


def voxels():
    """The image: each organ has its intensity, with noise."""
    noise = np.random.default_rng(3).normal(0, 6, SHAPE)
    return (np.choose(np.searchsorted([0, 1, 2, 5], truth()), [-60, 140, 200, 60]) + noise).astype(np.int16)


def mistaken():
    """A third of the liver is missing, and the kidney has leaked beyond itself."""
    labels = truth()
    labels[:, :, 20:29][labels[:, :, 20:29] == LIVER] = 0
    labels[ball((20, 34, 48), 4) & (labels == 0)] = KIDNEY
    return labels


# Voxels [i, j, k]: in the missing part of the liver, and in the leak of the kidney.
MISSING, LEAKED = (22, 20, 20), (50, 34, 20)


def matrix(directions):
    made = np.eye(4)
    made[:3, :3] = directions * SPACING
    made[:3, 3] = [10.0, -20.0, 50.0]
    return made


def segmentation(volume, labels=None):
    """A segmentation node of the labels with their mistakes, as a job would have made it."""
    node = segments.new_segmentation(volume)
    image, room = segments.label_image(volume)
    room[:] = (mistaken() if labels is None else labels).tobytes()
    rows = [{**row, "id": f"total.{row['name']}"} for row in ROWS]
    table = {"task": "total", "segments": rows, "provenance": {"version": "0", "models": []}, "warnings": []}
    Steps(segments.put(volume, node, image, table)).finish()
    return node


def world(volume, voxel):
    """Where a voxel [i, j, k] is in the scene."""
    from VesaliusLib import panel_results, scene
    from VesaliusLib.vesalius import geometry

    point = geometry.to_world(scene.ijk_to_ras(volume), np.array([voxel]))[0]
    return panel_results.to_scene(volume, point)


def dice(labels, value):
    """How well a structure is met."""
    found, wanted = labels == value, truth() == value
    return 2 * (found & wanted).sum() / (found.sum() + wanted.sum())
