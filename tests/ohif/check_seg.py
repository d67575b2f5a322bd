"""Reads a DICOM SEG by highdicom, and writes its labels in the form that compare.py takes.

    check_seg.py SEG.dcm SERIES_FOLDER NAMES.json OUT.json

NAMES.json gives the value for each name of a structure. Prints what a reader of the object sees as JSON.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import highdicom
import numpy as np
import pydicom


def read(file: Path, folder: Path, values: dict[str, int]) -> tuple[dict, dict]:
    """Labels by image or frame, as compare.py names them, and a description."""
    seg = highdicom.seg.segread(file)
    images = [pydicom.dcmread(image, stop_before_pixels=True) for image in sorted(folder.glob("*.dcm"))]
    uids = [image.SOPInstanceUID for image in images]
    numbers = list(seg.segment_numbers)
    choice = {"segment_numbers": numbers, "ignore_spatial_locations": True, "assert_missing_frames_are_empty": True}
    if "NumberOfFrames" in images[0]:
        frames = range(1, int(images[0].NumberOfFrames) + 1)
        masks = seg.get_pixels_by_source_frame(uids[0], frames, **choice)
        uids = [f"{uids[0]}#{frame}" for frame in frames]
    else:
        masks = seg.get_pixels_by_source_instance(uids, **choice)
    labels = np.zeros(masks.shape[:3], np.uint8)
    codes = {}
    for n, number in enumerate(numbers):
        about = seg.get_segment_description(number)
        labels[masks[..., n] > 0] = values[about.segment_label]
        laterality = about.get("SegmentedPropertyTypeCodeSequence")[0].get("SegmentedPropertyTypeModifierCodeSequence")
        codes[about.segment_label] = [
            about.segmented_property_type.scheme_designator,
            about.segmented_property_type.value,
            laterality[0].CodeMeaning if laterality else None,
            about.algorithm_type.value,
        ]
    slices = {uid: base64.b64encode(plane.tobytes()).decode() for uid, plane in zip(uids, labels)}
    about = {"type": seg.segmentation_type.value, "codes": codes, "patient": str(seg.PatientID), "study": seg.StudyInstanceUID,
             "overlapping": bool((masks.sum(-1) > 1).any())}
    return slices, about


if __name__ == "__main__":
    seg, folder, names, out = map(Path, sys.argv[1:5])
    slices, about = read(seg, folder, json.loads(names.read_text()))
    out.write_text(json.dumps({"slices": slices}))
    print(json.dumps(about))
