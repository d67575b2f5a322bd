"""Takes a folder of DICOM files as a series of the tests: its largest series, under names that the tests know.

    own_series.py FOLDER TARGET

Files keep their bytes; pydicom reads them only to say what they are.
"""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError


def take(folder: Path, target: Path) -> dict:
    """Links the files into `target`, beside a description of them."""
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
    for number, (file, _) in enumerate(series):
        os.symlink(file.resolve(), target / f"{number:06d}.dcm")
    first = series[0][1]
    about = {
        "name": target.name,
        "study": first.StudyInstanceUID,
        "series": first.SeriesInstanceUID,
        "modality": first.Modality,
        "dims": [int(first.Columns), int(first.Rows), len(series)],
        "slices": [{"sop": data.SOPInstanceUID, "file": f"{n:06d}.dcm"} for n, (_, data) in enumerate(series)],
    }
    (target / "series.json").write_text(json.dumps(about))
    return about


if __name__ == "__main__":
    taken = take(Path(sys.argv[1]), Path(sys.argv[2]))
    print(taken["modality"], *taken["dims"])
