"""Fingerprints of resampled noise by SciPy, scikit-image, TotalSegmentator and nnU-Net, for `imaging`.

Run: python resample.py > resample.json
"""

import json
import warnings

import nibabel
import numpy as np
import scipy
import skimage
from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape
from scipy import ndimage
from skimage.transform import resize
from totalsegmentator.resampling import change_spacing, resample_one_hot_crop

from bits import fingerprint, noise

warnings.filterwarnings("ignore")
SHAPES = [
    ((9, 11, 13), (5, 23, 13)),
    ((20, 33, 41), (12, 9, 17)),
    ((7, 8, 5), (19, 17, 31)),
    ((1, 6, 40), (3, 1, 70)),
    ((40, 3, 2), (41, 3, 1)),
    ((70, 5, 35), (66, 9, 33)),
]


def array(name, values):
    return {"name": name, "shape": list(values.shape), "fingerprint": fingerprint(values)}


def zoomed():
    for seed, (before, after) in enumerate(SHAPES):
        for order in (0, 1, 3):
            source = noise(before, seed)
            factors = [b / a for a, b in zip(before, after)]
            result = ndimage.zoom(source, factors, mode="nearest", order=order)
            assert result.shape == after
            yield {"seed": seed, "before": before, "order": order, **array("zoom", result)}
            resized = resize(source, after, order, mode="edge", anti_aliasing=False, preserve_range=True)
            yield {"seed": seed, "before": before, "order": order, **array("resize", resized.astype(np.float32))}


def separate():
    for seed, (before, after) in enumerate(SHAPES):
        for axis in range(3):
            for order, order_z in ((3, 0), (1, 0), (1, 1)):
                spacing = [1.0, 1.0, 1.0]
                spacing[axis] = 5.0
                source = noise(before, 100 + seed).astype(np.float32)
                result = resample_data_or_seg_to_shape(
                    source[None], after, spacing, spacing, order=order, order_z=order_z, force_separate_z=None
                )[0]
                name = f"separate {axis} {order_z}"
                yield {"seed": 100 + seed, "before": before, "order": order, **array(name, result)}


def spacings():
    """Images in RAS, `[i, j, k]`, through TotalSegmentator's own function, values cut to integers."""
    cases = [
        ((23, 19, 17), (0.78125, 0.78125, 1.0), 1.5),
        ((31, 22, 12), (0.9765625, 0.9765625, 2.5), 3.0),
        ((12, 13, 14), (1.5, 1.5, 1.5), 1.5),
        ((12, 10, 5), (0.7, 0.7, 5.0), (0.75, 0.75, 1.0)),
        ((9, 9, 9), (1.3, 1.1, 0.1), 0.9),
    ]
    rotation = np.array([[0.96, -0.28, 0.0], [0.28, 0.96, 0.0], [0.0, 0.0, 1.0]])
    for seed, (shape, spacing, target) in enumerate(cases):
        affine = np.eye(4)
        affine[:3, :3] = rotation * spacing
        affine[:3, 3] = [-100.5, 20.25, 7.0]
        for order in (0, 1, 3):
            source = noise(shape, 200 + seed)
            image = nibabel.Nifti1Image(source, affine)
            result = change_spacing(image, target if isinstance(target, tuple) else float(target), order=order, dtype=np.int32, nr_cpus=1)
            goal = list(target) if isinstance(target, tuple) else [target] * 3
            values = np.asanyarray(result.dataobj)
            lps = np.diag([-1, -1, 1]) @ result.affine[:3, :3]
            yield {
                "seed": 200 + seed, "before": shape, "order": order, "spacing": spacing, "target": goal,
                "axes": lps.T.tolist(), **array("spacing", values),
            }


def labels():
    for seed, (before, after) in enumerate(SHAPES + [((9, 10, 11), (27, 20, 16)), ((30, 28, 26), (11, 14, 9))]):
        cells = np.floor(noise([max(1, n // 4) for n in before], 300 + seed, 6, 0))
        source = np.kron(cells, np.ones((4, 4, 4)))
        source = np.pad(source, [(0, max(0, n - s)) for n, s in zip(before, source.shape)])
        source = source[: before[0], : before[1], : before[2]].astype(np.uint8)
        factors = np.array(after) / np.array(before)
        yield {
            "seed": 300 + seed, "before": before, "order": 0,
            **array("labels", ndimage.zoom(source, factors, mode="nearest", order=0)),
        }
        yield {
            "seed": 300 + seed, "before": before, "order": 1,
            **array("one-hot", resample_one_hot_crop(source, after, order=1)),
        }


cases = [*zoomed(), *separate(), *spacings(), *labels()]
versions = {"scipy": scipy.__version__, "skimage": skimage.__version__, "numpy": np.__version__}
print(json.dumps({"versions": versions, "cases": cases}, separators=(",", ":")).replace('},{', '},\n{'))
