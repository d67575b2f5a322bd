"""Noise sampled on other grids by SimpleITK (nearest, linear) and SciPy (cubic), for `imaging::Volume::onto`.

Run: python onto.py > onto.json
"""

import json

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from bits import noise

OUTSIDE = -5000
random = np.random.default_rng(7)


def grid(size, tilt):
    rotation, _ = np.linalg.qr(np.eye(3) + random.normal(size=(3, 3)) * tilt)
    rotation *= np.sign(np.diag(rotation))
    spacing = random.uniform(0.6, 2.0, 3)
    return size, rotation, spacing, random.normal(size=3) * 2


def image(values, rotation, spacing, origin):
    result = sitk.GetImageFromArray(values)
    result.SetDirection(rotation.ravel())
    result.SetSpacing(spacing)
    result.SetOrigin(origin)
    return result


results = []
for seed in range(3):
    size, rotation, spacing, origin = grid((9, 8, 7), 0.2)
    values = noise(size[::-1], seed, 100, 0).astype(np.float32)
    t_size, t_rotation, t_spacing, t_origin = grid((7, 9, 6), 0.4)
    axes, t_axes = rotation * spacing, t_rotation * t_spacing  # columns
    # Centre upon centre, nearly.
    t_origin = origin + axes @ (np.array(size) - 1) / 2 - t_axes @ (np.array(t_size) - 1) / 2 + [0.3, -0.2, 0.4]
    moving = image(values, rotation, spacing, origin)
    fixed = image(np.zeros(t_size[::-1], np.float32), t_rotation, t_spacing, t_origin)
    k, j, i = np.indices(t_size[::-1])
    index = np.stack([i, j, k], -1).reshape(-1, 3)
    at = (index @ t_axes.T + t_origin - origin) @ np.linalg.inv(axes).T
    # Too near to the edge of the image, or for `nearest` between two voxels, to say which side it is on.
    edge = (np.abs(at + 0.5) < 1e-4) | (np.abs(at - np.array(size) + 0.5) < 1e-4)
    tie = np.abs(at - np.floor(at) - 0.5) < 1e-4
    inside = ((at >= -0.5) & (at <= np.array(size) - 0.5)).all(1)
    for order in (0, 1, 3):
        if order < 3:
            kind = sitk.sitkLinear if order else sitk.sitkNearestNeighbor
            sampled = sitk.GetArrayFromImage(sitk.Resample(moving, fixed, sitk.Transform(), kind, OUTSIDE)).ravel()
        else:
            sampled = ndimage.map_coordinates(values.astype(float), at[:, ::-1].T, order=3, mode="nearest")
            sampled = np.where(inside, sampled, OUTSIDE)
        unsure = edge.any(1) | (tie.any(1) if order == 0 else False)
        results.append({
            "seed": seed, "size": size, "axes": axes.T.tolist(), "origin": origin.tolist(),
            "target_size": t_size, "target_axes": t_axes.T.tolist(), "target_origin": t_origin.tolist(), "order": order,
            "values": [None if u else round(float(v), 4) for v, u in zip(sampled, unsure)],
        })
print(json.dumps(results, separators=(",", ":")).replace("},{", "},\n{"))
