"""Components, morphology, distances and smoothing of noise by SciPy and TotalSegmentator, for `imaging`.

Run: python masks.py > masks.json
"""

import json

import numpy as np
from scipy import ndimage
from totalsegmentator.postprocessing import dilate_vertebrae_labels

from bits import fingerprint, noise

SHAPES = [(12, 15, 20), (1, 9, 30), (25, 2, 3), (16, 16, 16)]


def masks(shares):
    for seed, shape in enumerate(SHAPES):
        for share in shares:
            yield {"seed": seed, "shape": shape, "share": share}, noise(shape, seed, 100, 0) < share


def components():
    for case, mask in masks((6, 15, 30, 55)):
        for connectivity in (1, 2, 3):
            structure = ndimage.generate_binary_structure(3, connectivity)
            labels, _ = ndimage.label(mask, structure)
            sizes = np.bincount(labels.ravel())[1:].tolist()
            yield {**case, "connectivity": connectivity, "sizes": sizes, "fingerprint": fingerprint(labels)}


def morphology():
    calls = {
        "dilate": ndimage.binary_dilation, "erode": ndimage.binary_erosion,
        "close": ndimage.binary_closing, "open": ndimage.binary_opening,
    }
    for case, mask in masks((3, 60, 90)):
        for name, call in calls.items():
            for iterations in (1, 2):
                changed = call(mask, iterations=iterations)
                yield {"name": name, **case, "iterations": iterations, "fingerprint": fingerprint(changed)}
        yield {"name": "fill", **case, "fingerprint": fingerprint(ndimage.binary_fill_holes(mask))}
    for seed, (spacing, radius) in enumerate(
        [((1.5, 1.5, 1.5), 3), ((0.7, 0.9, 2.5), 2), ((3, 3, 3), 3), ((1.0, 1.3, 2.1), 2), ((1.5, 1.5, 1.5), 0.5)]
    ):
        shape, share = (18, 21, 16), 1
        values = noise(shape, 50 + seed, 100, 0)
        labels = np.where(values < share, (values * 8).astype(np.uint8) % 3 + 1, 0).astype(np.uint8)
        single = tuple(np.float32(s) for s in spacing)
        grown = dilate_vertebrae_labels(labels, {1: "a", 2: "b", 3: "c"}, tuple(float(s) for s in single), radius)
        yield {
            "name": "ellipsoid", "seed": 50 + seed, "shape": shape, "share": share, "radius_mm": radius,
            "spacing": spacing, "fingerprint": fingerprint(grown),
        }


def distance():
    for seed, (shape, spacing, share) in enumerate(
        [((7, 8, 9), (1, 1, 1), 1), ((6, 9, 11), (2.5, 0.7, 0.9), 1), ((5, 5, 5), (1.3, 3.0, 0.4), 30), ((1, 1, 40), (1, 1, 0.3), 5)]
    ):
        mask = noise(shape, seed, 100, 0) < share
        assert mask.any()
        distances = ndimage.distance_transform_edt(~mask, spacing)
        yield {
            "seed": seed, "shape": shape, "spacing": spacing, "share": share,
            "distances": [float(f"{d:.7g}") for d in distances.ravel()],
        }


def gaussian():
    for seed, (shape, sigma, beyond) in enumerate(
        [((6, 7, 8), (1, 1, 1), None), ((6, 7, 20), (0.5, 0, 2.3), None), ((5, 6, 18), (1.5, 0.7, 3), 7.5), ((9, 3, 2), (4, 1, 1), 0)]
    ):
        values = noise(shape, seed, 100, 0).astype(np.float32)
        mode = "nearest" if beyond is None else "constant"
        smooth = ndimage.gaussian_filter(values, sigma, mode=mode, cval=beyond or 0)
        yield {
            "seed": seed, "shape": shape, "sigma": sigma, "beyond": beyond,
            "values": [float(f"{v:.7g}") for v in smooth.ravel()],
        }


parts = {"components": components, "morphology": morphology, "distance": distance, "gaussian": gaussian}
text = json.dumps({name: list(part()) for name, part in parts.items()}, separators=(",", ":"))
print(text.replace("},{", "},\n{"))
