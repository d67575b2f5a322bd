"""Corrected cases out of real sessions: images are segmented by a task of the server, each result is corrected towards
reference labels over HTTP, accepted, and written by `vesalius dataset export`.

    python tests/reference/training/sessions.py target/release/vesalius IMAGES LABELS labels.json OUT --task headneck

IMAGES and LABELS hold NIfTI files of the same names (`NAME.nii.gz`; an image may end in `_0000.nii.gz`); labels.json is
`{"mandible": 5, ...}`, the value of each structure in LABELS. The user is made up: two clicks on the largest errors of
each structure, then the viewer's brush for what is left. So are the seconds: 4 for a click, 6 for each axial slice that
is painted, 3 to look at a structure. They stand for a pace, not for anybody's work. VESALIUS_HOME is used as it is, and
needs the task's model; the data set's folder is printed. Needs NumPy, SciPy and nibabel.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import nibabel
import numpy
from scipy import ndimage

CLICK, SLICE, LOOK = 4.0, 6.0, 3.0
CLICKS = 2
LEAST = 20  # voxels of an error that is worth a click


def benchmark():
    """The server's client that the benchmark of corrections has."""
    path = Path(__file__).parents[2] / "benchmarks" / "correction_server.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def number(value):
    """LEB128."""
    found = bytearray()
    while True:
        value, low = value >> 7, value & 127
        found.append(low | (128 if value else 0))
        if not value:
            return bytes(found)


def delta(old, new):
    """What leads from labels `[k, j, i]` to others, as docs/correction.md describes it, in hexadecimal."""
    changed = numpy.flatnonzero(old != new)
    pairs = sorted({(int(a), int(b)) for a, b in zip(old.flat[changed], new.flat[changed])})
    size = old.shape[::-1]
    head = b"VSD1" + b"".join(map(number, (0, 0, 0, *size)))
    head += number(len(pairs)) + b"".join(bytes(pair) for pair in pairs)
    runs, end = [], 0
    which = [pairs.index((int(a), int(b))) for a, b in zip(old.flat[changed], new.flat[changed])]
    start = 0
    for at in range(1, len(changed) + 1):
        if at < len(changed) and changed[at] == changed[at - 1] + 1 and which[at] == which[start]:
            continue
        length = at - start
        runs.append(number(int(changed[start]) - end) + number(length * len(pairs) + which[start]))
        end, start = int(changed[at - 1]) + 1, at
    return (head + number(len(runs)) + b"".join(runs)).hex()


class Case:
    """One session."""

    def __init__(self, server, image, task):
        file = nibabel.load(image)
        voxels = numpy.asarray(file.dataobj)
        voxels = voxels.astype(numpy.int16) if numpy.issubdtype(voxels.dtype, numpy.integer) else voxels.astype("f4")
        self.server, self.affine = server, file.affine
        header = {
            "dims": voxels.shape,
            "dtype": voxels.dtype.name,
            "space": "RAS",
            "ijk_to_world": self.affine.ravel().tolist(),
            "modality": "CT",
        }
        volume = server.post("/v1/volumes", header)[0]["id"]
        server.ask("PUT", f"/v1/volumes/{volume}/data?offset=0", voxels.tobytes(order="F"), "application/octet-stream")
        job = server.post("/v1/jobs", {"volume": volume, "task": task})[0]["id"]
        while (state := self.get(f"/v1/jobs/{job}"))["state"] not in ("done", "failed", "cancelled"):
            time.sleep(0.5)
        assert state["state"] == "done", state
        self.session = server.post("/v1/sessions", {"volume": volume, "job": job})[0]
        self.path, self.revision = f"/v1/sessions/{self.session['id']}", self.session["revision"]
        self.values = {row["name"]: row["value"] for row in self.session["structures"]}
        server.ask("DELETE", f"/v1/volumes/{volume}")
        server.ask("DELETE", f"/v1/jobs/{job}")

    def get(self, path):
        return json.loads(self.server.ask("GET", path)[0])

    def labels(self):
        self.server.connection.close()
        data, _ = self.server.ask("GET", self.path + "/labels")
        return numpy.frombuffer(data, numpy.uint8).reshape(self.session["dims"][::-1])

    def operate(self, action, seconds, **more):
        body = {"operation": str(uuid.uuid4()), "base": self.revision, "seconds": seconds, "action": action, **more}
        # The server hangs up on who has thought too long.
        self.server.connection.close()
        self.revision = self.server.post(self.path + "/operations", body)[0]["revision"]

    def world(self, kji):
        """LPS+ millimetres of a voxel."""
        right, anterior, superior = (self.affine @ [*kji[::-1], 1.0])[:3]
        return [-right, -anterior, superior]

    def correct(self, truth, value):
        """A structure, as the made-up user does it."""
        spent = LOOK
        for _ in range(CLICKS):
            labels = self.labels()
            click = worst(labels == value, truth == value)
            if click is None:
                break
            place, sign = click
            prompt = {"shape": {"point": self.world(place)}, "sign": sign, "label": value}
            try:
                self.operate({"prompt": prompt}, CLICK)
                spent += CLICK
            except AssertionError as refused:  # nothing can change there
                print("  a click was refused:", refused.args[0][1][:120], file=sys.stderr)
                break
        labels = self.labels()
        painted = numpy.where(truth == value, value, numpy.where(labels == value, 0, labels)).astype(numpy.uint8)
        slices = int((painted != labels).any(axis=(1, 2)).sum())
        if slices:
            # Of a longer pause 15 seconds count: the brush comes slice by slice.
            for k in numpy.flatnonzero((painted != labels).any(axis=(1, 2))):
                after = labels.copy()
                after[k] = painted[k]
                self.operate("foreign", SLICE, delta=delta(labels, after))
                labels = after
        self.operate({"accept": value}, LOOK)
        return spent + slices * SLICE


def worst(found, truth):
    """Where to click, `[k, j, i]`, and with which sign: deepest in the largest thing that is missing or too many."""
    best = None
    for wrong, sign in ((truth & ~found, "add"), (found & ~truth, "remove")):
        parts, count = ndimage.label(wrong)
        if not count:
            continue
        sizes = numpy.bincount(parts.ravel())[1:]
        part = int(sizes.argmax())
        if sizes[part] >= LEAST and (best is None or sizes[part] > best[0]):
            box = ndimage.find_objects(parts, part + 1)[part]
            deep = ndimage.distance_transform_edt(numpy.pad(parts[box] == part + 1, 1))[1:-1, 1:-1, 1:-1]
            place = numpy.unravel_index(deep.argmax(), deep.shape)
            best = (sizes[part], tuple(int(at) + side.start for at, side in zip(place, box)), sign)
    return best and (best[1], best[2])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("images", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("names", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--task", default="headneck")
    parser.add_argument("--first", type=int, help="only so many cases")
    asked = parser.parse_args()
    names = {name: value for name, value in json.loads(asked.names.read_text()).items() if value}
    server = benchmark().Server(asked.program, os.environ["VESALIUS_HOME"])
    try:
        for label in sorted(asked.labels.glob("*.nii.gz"))[: asked.first]:
            name = label.name.removesuffix(".nii.gz")
            image = next(path for path in (asked.images / f"{name}_0000.nii.gz", asked.images / label.name) if path.exists())
            truth = numpy.asarray(nibabel.load(label).dataobj).T
            case = Case(server, image, asked.task)
            wanted = numpy.zeros(truth.shape, numpy.uint8)
            for structure, value in case.values.items():
                wanted[truth == names[structure]] = value
            seconds = sum(case.correct(wanted, value) for value in case.values.values())
            assert (case.labels() == wanted).all()
            print(f"{name}: {seconds:.0f} s", file=sys.stderr)
    finally:
        server.process.terminate()
        server.process.wait()
    export = [asked.program, "dataset", "export", "-o", str(asked.output), "--id", "510", "--name", "Corrected"]
    print(subprocess.run(export, check=True, capture_output=True, text=True).stdout.strip())


if __name__ == "__main__":
    main()
