"""Compares label maps of the viewer with a NIfTI file of `vesalius segment`, in millimetres, by nibabel and pydicom.

    compare.py SERIES_FOLDER EXPECTED.nii.gz SHOWN.json

SHOWN.json holds `slices`: SOP Instance UID, with `#` and the number of the frame where there are several -> one byte a pixel in
base64. Every pixel of every image is put into the
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


def planes(folder: Path) -> dict[str, tuple]:
    """Rows and columns, orientation, spacing and first voxel of every image and frame."""
    found = {}
    for file in sorted(folder.glob("*.dcm")):
        data = pydicom.dcmread(file)
        count = int(data.get("NumberOfFrames", 1))
        for n in range(count):
            orientation = measures = position = data
            if count > 1:
                shared, frame = data.SharedFunctionalGroupsSequence[0], data.PerFrameFunctionalGroupsSequence[n]
                orientation, measures = shared.PlaneOrientationSequence[0], shared.PixelMeasuresSequence[0]
                position = frame.PlanePositionSequence[0]
            key = f"{data.SOPInstanceUID}#{n + 1}" if count > 1 else data.SOPInstanceUID
            values = (orientation.ImageOrientationPatient, measures.PixelSpacing, position.ImagePositionPatient)
            found[key] = ((data.Rows, data.Columns), *(np.asarray(value, float) for value in values))
    return found


def compare(folder: Path, expected: Path, shown: Path) -> dict:
    """Counts per label in the file and in the viewer, and pixels that differ."""
    image = nibabel.load(expected)
    truth = np.asarray(image.dataobj).astype(np.uint8)
    to_index = np.linalg.inv(image.affine) @ np.diag([-1.0, -1.0, 1.0, 1.0])
    slices = json.loads(shown.read_text())["slices"]
    differing, farthest, counts, seen = 0, 0.0, np.zeros(256, int), 0
    for key, (size, along, spacing, corner) in planes(folder).items():
        if key not in slices:
            continue
        seen += 1
        pixels = np.frombuffer(base64.b64decode(slices[key]), np.uint8).reshape(size)
        rows, columns = np.mgrid[: size[0], : size[1]].astype(float)
        height, width = spacing
        world = corner + columns[..., None] * width * along[:3] + rows[..., None] * height * along[3:]
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
