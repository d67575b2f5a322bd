"""Orientations and reoriented affines by nibabel, for `imaging::orientation`.

Run: python orientation.py > orientation.json
"""

import itertools
import json

import nibabel
import numpy as np
from nibabel.orientations import (
    aff2axcodes, apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform,
)

FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])  # RAS <-> LPS
random = np.random.default_rng(2026)


def rotation(degrees, axis):
    a = np.deg2rad(degrees)
    i, j = [n for n in range(3) if n != axis]
    r = np.eye(3)
    r[i, i] = r[j, j] = np.cos(a)
    r[i, j], r[j, i] = -np.sin(a), np.sin(a)
    return r


def affines():
    tilt = np.eye(3)
    tilt[1, 2] = np.tan(np.deg2rad(22.0))  # gantry tilt
    bases = {
        "straight": np.eye(3),
        "oblique": rotation(17, 0) @ rotation(-9, 1) @ rotation(25, 2),
        "sheared": tilt,
        "oblique sheared": rotation(31, 2) @ rotation(12, 0) @ (np.eye(3) + [[0, 0.2, -0.1], [0.05, 0, 0.3], [0, 0.1, 0]]),
    }
    for name, base in bases.items():
        for permutation in itertools.permutations(range(3)):
            for signs in itertools.product((1, -1), repeat=3):
                m = (base * [0.7, 0.9, 2.5])[:, permutation] * signs
                yield name, m
    for _ in range(60):
        m, _ = np.linalg.qr(random.normal(size=(3, 3)))
        m = m @ (np.eye(3) + random.normal(size=(3, 3)) * 0.25) * random.uniform(0.3, 5.0, 3)
        yield "random", m


def cases():
    shape = (5, 3, 4)
    for name, m in affines():
        affine = np.eye(4)
        affine[:3, :3], affine[:3, 3] = m, random.normal(size=3).round(3) * 100
        present = io_orientation(affine)
        letters = [random.choice(["L", "R"]), random.choice(["A", "P"]), random.choice(["I", "S"])]
        random.shuffle(letters)
        turn = ornt_transform(present, axcodes2ornt(letters))
        voxels = np.arange(np.prod(shape)).reshape(shape)
        turned = apply_orientation(voxels, turn)
        lps = FLIP @ affine
        after = FLIP @ affine @ inv_ornt_aff(turn, shape)
        yield {
            "kind": name,
            "affine": lps[:3].tolist(),
            "letters": "".join(aff2axcodes(affine)),
            "target": "".join(letters),
            "turned_affine": after[:3].tolist(),
            "turned_size": list(turned.shape),
            # Fortran order: i fastest, as memory runs here.
            "turned": turned.ravel(order="F").tolist(),
        }


print(json.dumps({"nibabel": nibabel.__version__, "cases": list(cases())}, separators=(",", ":")).replace('},{', '},\n{'))
