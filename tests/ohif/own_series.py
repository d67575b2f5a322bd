"""Takes a folder of DICOM files as a series of the tests: its largest series, under names that the tests know.

    own_series.py FOLDER TARGET

Pixels keep their bytes. Identifiers that were taken out, and without which no archive takes a file, are made anew.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.uid import generate_uid


def take(folder: Path, target: Path) -> dict:
    """Puts the files into `target`, beside a description of them."""
    found = defaultdict(list)
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            data = pydicom.dcmread(file, stop_before_pixels=True)
        except InvalidDicomError:
            continue
        if "SeriesInstanceUID" in data and "Rows" in data:
            found[data.SeriesInstanceUID].append((file, data))
    if not found:
        raise SystemExit(f"there are no DICOM images in {folder}")
    series = max(found.values(), key=len)
    target.mkdir(parents=True, exist_ok=True)
    for old in target.iterdir():
        old.unlink()
    slices = []
    for number, (file, _) in enumerate(series):
        first = identified(pydicom.dcmread(file), str(number))
        name = f"{number:06d}.dcm"
        first.save_as(target / name)
        slices.append({"sop": first.SOPInstanceUID, "file": name})
    about = {
        "name": target.name,
        "study": first.StudyInstanceUID,
        "series": first.SeriesInstanceUID,
        "modality": first.Modality,
        "dims": [int(first.Columns), int(first.Rows), len(series)],
        "slices": slices,
    }
    (target / "series.json").write_text(json.dumps(about))
    return about


def identified(data: pydicom.Dataset, number: str) -> pydicom.Dataset:
    """With the identifiers that an archive wants."""
    for keyword, seed in (("StudyInstanceUID", "study"), ("SeriesInstanceUID", "series"), ("FrameOfReferenceUID", "frame")):
        if not data.get(keyword):
            setattr(data, keyword, generate_uid(entropy_srcs=["vesalius own series", seed]))
    if not data.get("SOPClassUID"):
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID
    if not data.get("SOPInstanceUID"):
        data.SOPInstanceUID = data.file_meta.get("MediaStorageSOPInstanceUID") or generate_uid(entropy_srcs=["slice", number])
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    if not data.get("PatientID"):
        data.PatientID = "OWN"
    return data


if __name__ == "__main__":
    taken = take(Path(sys.argv[1]), Path(sys.argv[2]))
    print(taken["modality"], *taken["dims"])
