"""Compares label maps of the viewer with a NIfTI file of `vesalius segment`, in millimetres, by nibabel and pydicom.

    compare.py SERIES_FOLDER EXPECTED.nii.gz SHOWN.json

SHOWN.json holds `slices`: SOP Instance UID -> one byte a pixel in base64. Every pixel of every image is put into the
patient by its own DICOM attributes, and looked up in the file by its affine. Prints voxels and differences as JSON.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import nibabel
import numpy as np
import pydicom


def compare(folder: Path, expected: Path, shown: Path) -> dict:
    """Counts per label in the file and in the viewer, and pixels that differ."""
    image = nibabel.load(expected)
    truth = np.asarray(image.dataobj).astype(np.uint8)
    to_index = np.linalg.inv(image.affine) @ np.diag([-1.0, -1.0, 1.0, 1.0])
    slices = json.loads(shown.read_text())["slices"]
    differing, farthest, counts, seen = 0, 0.0, np.zeros(256, int), 0
    for file in sorted(folder.glob("*.dcm")):
        data = pydicom.dcmread(file)
        if data.SOPInstanceUID not in slices:
            continue
        seen += 1
        pixels = np.frombuffer(base64.b64decode(slices[data.SOPInstanceUID]), np.uint8)
        pixels = pixels.reshape(data.Rows, data.Columns)
        rows, columns = np.mgrid[: data.Rows, : data.Columns].astype(float)
        along = np.asarray(data.ImageOrientationPatient, float)
        height, width = map(float, data.PixelSpacing)
        world = np.asarray(data.ImagePositionPatient, float)
        world = world + columns[..., None] * width * along[:3] + rows[..., None] * height * along[3:]
        index = np.concatenate([world, np.ones((*rows.shape, 1))], -1) @ to_index.T
        nearest = np.rint(index[..., :3]).astype(int)
        farthest = max(farthest, float(np.abs(index[..., :3] - nearest).max()))
        differing += int((truth[tuple(np.moveaxis(nearest, -1, 0))] != pixels).sum())
        counts += np.bincount(pixels.ravel(), minlength=256)
    expected_counts = np.bincount(truth.ravel(), minlength=256)
    return {
        "images": seen,
        "pixels": int(counts.sum()),
        "labelled": int(counts[1:].sum()),
        "differing": differing,
        "same_counts": bool((counts == expected_counts).all()),
        "farthest_voxels": farthest,
    }


if __name__ == "__main__":
    print(json.dumps(compare(*map(Path, sys.argv[1:4]))))
