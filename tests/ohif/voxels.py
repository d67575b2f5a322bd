"""Compares the one volume in the sidecar's spool with the numpy array that a series was written from.

    voxels.py SERIES_FOLDER SPOOL_VOLUMES [B_VALUE]

Prints slices, voxels and differing voxels as JSON. The spool holds NRRD headers with raw voxels beside them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pydicom

DTYPES = {"int16": "<i2", "uint16": "<u2", "int32": "<i4", "float": "<f4", "uint8": "u1", "int8": "i1"}


def received(spool: Path) -> tuple[np.ndarray, np.ndarray]:
    """Voxels `[k, j, i]` and the columns of the matrix to LPS+ millimetres, origin last."""
    (file,) = (path for path in spool.rglob("*") if path.is_file() and path.read_bytes()[:4] == b"NRRD")
    head, _, body = file.read_bytes().partition(b"\n\n")
    fields = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
    sizes = [int(side) for side in fields["sizes"].split()]
    vectors = [json.loads(f"[{part.strip('()')}]") for part in fields["space directions"].split()]
    origin = json.loads(f"[{fields['space origin'].strip('()')}]")
    voxels = np.frombuffer(body, DTYPES[fields["type"]]).reshape(sizes[::-1])
    return voxels, np.array([*vectors, origin])


def compare(folder: Path, spool: Path, b_value: float | None = None) -> dict:
    """Every pixel of every image against the voxel that lies where DICOM says that the pixel lies."""
    voxels, (i, j, k, origin) = received(spool)
    to_index = np.linalg.inv(np.array([i, j, k]).T)
    slices = 0
    wrong: list[list] = []
    for file in folder.glob("*.dcm"):
        data = pydicom.dcmread(file)
        if b_value is not None and data.DiffusionBValue != b_value:
            continue
        pixels = data.pixel_array * float(data.get("RescaleSlope", 1)) + float(data.get("RescaleIntercept", 0))
        along = np.asarray(data.ImageOrientationPatient, float)
        height, width = map(float, data.PixelSpacing)
        rows, columns = np.mgrid[: data.Rows, : data.Columns].astype(float)
        world = np.asarray(data.ImagePositionPatient, float)
        world = world + columns[..., None] * width * along[:3] + rows[..., None] * height * along[3:]
        index = (world - origin) @ to_index.T
        nearest = np.rint(index).astype(int)
        assert np.abs(index - nearest).max() < 1e-3
        found = voxels[tuple(np.moveaxis(nearest[..., ::-1], -1, 0))]
        at = np.argwhere(found != pixels)
        wrong += [[file.name, int(j), int(i), float(pixels[j, i]), float(found[j, i])] for j, i in at]
        slices += 1
    told = {"slices": slices, "voxels": int(voxels.size), "differing": len(wrong)}
    # Where, what DICOM has there, and what was received.
    return {**told, "first": wrong[:20]} if wrong else told


if __name__ == "__main__":
    print(json.dumps(compare(Path(sys.argv[1]), Path(sys.argv[2]), *map(float, sys.argv[3:4]))))
