"""How long a viewer waits for corrections through `vesalius serve`: hover, commit, wheel, undo, lock, over HTTP.

    python tests/benchmarks/correction_server.py target/release/vesalius [SPACING_MM ...]

The image is a phantom of ten organs with noise, each organ cut behind a plane; every organ is clicked where it is
missing, three times with other cuts. A lock computes nothing: its time is that of the wire, the worker's pipe and the
disk. Needs NumPy for the phantom; the client is the standard library.
"""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid

import numpy

SIZE_MM = (300, 240, 300)
ORGANS = 10
CUTS = 3
WAYS = ("hover", "commit", "wheel", "undo", "lock")


class Server:
    """A server that was started here, and one connection to it."""

    def __init__(self, binary, home):
        environment = os.environ | {"VESALIUS_HOME": home}
        self.process = subprocess.Popen([binary, "serve", "--port", "0"], env=environment, stdout=subprocess.PIPE)
        said = json.loads(self.process.stdout.readline())
        with open(said["endpoint"]) as file:
            endpoint = json.load(file)
        self.headers = {"Authorization": "Bearer " + endpoint["token"]}
        self.connection = http.client.HTTPConnection("127.0.0.1", endpoint["port"], timeout=120)
        self.connection.connect()

    def ask(self, method, path, body=None, kind="application/json"):
        """The answer, which must be a good one, and the milliseconds until all of it was there."""
        began = time.perf_counter()
        headers = self.headers | ({"Content-Type": kind} if body is not None else {})
        self.connection.request(method, path, body, headers)
        response = self.connection.getresponse()
        data = response.read()
        waited = 1000 * (time.perf_counter() - began)
        assert response.status < 300, (response.status, data[:300])
        return data, waited

    def post(self, path, value):
        data, waited = self.ask("POST", path, json.dumps(value))
        return json.loads(data), waited

    def upload(self, voxels, spacing):
        """The name of a volume with these voxels, `[k, j, i]`."""
        s = spacing
        header = {
            "dims": voxels.shape[::-1],
            "dtype": voxels.dtype.name,
            "space": "LPS",
            "ijk_to_world": [s, 0, 0, 0, 0, s, 0, 0, 0, 0, s, 0, 0, 0, 0, 1],
            "modality": "CT",
        }
        volume = self.post("/v1/volumes", header)[0]["id"]
        data, piece = voxels.tobytes(), 64 << 20
        for offset in range(0, len(data), piece):
            path = f"/v1/volumes/{volume}/data?offset={offset}"
            self.ask("PUT", path, data[offset : offset + piece], "application/octet-stream")
        return volume

    def worker_seconds(self):
        """Processor seconds of all workers so far."""
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True).stdout.split()
        total = 0.0
        for process in found:
            with open(f"/proc/{process}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return total


def phantom(spacing):
    """Intensities and labels, `[k, j, i]`, and the organs' centres and radii in millimetres along i, j, k."""
    random = numpy.random.default_rng(7)
    shape = [round(side / spacing) for side in SIZE_MM][::-1]
    image = random.normal(0, 15, shape).astype(numpy.int16)
    labels = numpy.zeros(shape, numpy.uint8)
    organs = []
    for n in range(ORGANS):
        row, column = divmod(n, 5)
        center = numpy.array([40 + 55 * column, 80 + 80 * row, 90 + 20 * column + 60 * row], float)
        radii = numpy.array([18 + 2 * column, 22 + row * 8, 25 + 3 * column], float)
        low = numpy.maximum(((center - radii) / spacing).astype(int), 0)
        high = numpy.minimum(((center + radii) / spacing).astype(int) + 2, shape[::-1])
        box = tuple(slice(a, b) for a, b in zip(low[::-1], high[::-1]))
        grid = numpy.meshgrid(*(numpy.arange(a, b) * spacing for a, b in zip(low[::-1], high[::-1])), indexing="ij")
        far = sum(((axis - c) / r) ** 2 for axis, c, r in zip(grid, center[::-1], radii[::-1]))
        inside = (far <= 1) & (labels[box] == 0)
        image[box][inside] += 60 + 15 * n
        labels[box][inside] = n + 1
        organs.append((center, radii))
    return image, labels, organs


def cut(labels, organs, spacing, which):
    """Labels without a part of each organ, and where to click for each: in the middle of what is missing."""
    spoiled, clicks = labels.copy(), []
    for n, (center, radii) in enumerate(organs):
        axis = (n + which) % 3
        share = 0.25 + 0.15 * which
        edge = center[axis] + share * radii[axis]
        where = [slice(None)] * 3
        where[2 - axis] = slice(int(edge / spacing) + 1, None)
        part = spoiled[tuple(where)]
        part[part == n + 1] = 0
        click = center.copy()
        click[axis] = edge + 0.5 * (1 - share) * radii[axis]
        clicks.append((n + 1, click.tolist()))
    return spoiled, clicks


def measure(server, spacing):
    """Prints how long everything takes at this spacing."""
    image, labels, organs = phantom(spacing)
    volume = server.upload(image, spacing)
    times = {way: [] for way in WAYS}
    opening, seconds = [], 0.0
    for which in range(CUTS):
        spoiled, clicks = cut(labels, organs, spacing, which)
        start = server.upload(spoiled, spacing)
        session, waited = server.post("/v1/sessions", {"volume": volume, "labels": start})
        server.ask("DELETE", f"/v1/volumes/{start}")
        opening.append(waited)
        path, revision = f"/v1/sessions/{session['id']}", 0

        def operate(way, action):
            nonlocal revision
            body = {"operation": str(uuid.uuid4()), "base": revision, "seconds": 1, "action": action}
            done, waited = server.post(path + "/operations", body)
            revision = done["revision"]
            times[way].append(waited)

        for label, click in clicks:
            prompt = {"shape": {"point": click}, "sign": "add", "label": label}
            times["hover"].append(server.post(path + "/hover", {"prompt": prompt})[1])
            before = server.worker_seconds()
            operate("commit", {"prompt": prompt})
            seconds += server.worker_seconds() - before
            operate("wheel", {"choose": 0})
            operate("undo", "undo")
            operate("lock", {"lock": [label, True]})
            operate("lock", {"lock": [label, False]})
        server.ask("DELETE", path)
    size = "x".join(map(str, image.shape[::-1]))
    mean = 1000 * seconds / len(times["commit"])
    print(f"{spacing} mm, {size}: opened in {min(opening):.0f} to {max(opening):.0f} ms; a commit takes {mean:.0f} ms of the processor")
    for way, waits in times.items():
        p50, p95 = numpy.percentile(waits, [50, 95])
        print(f"  {way:6} p50 {p50:6.1f} ms, p95 {p95:6.1f} ms, most {max(waits):6.1f} ms ({len(waits)})")


def main():
    binary, spacings = sys.argv[1], [float(spacing) for spacing in sys.argv[2:]] or [3.0, 1.5, 0.7]
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} before", flush=True)
    with tempfile.TemporaryDirectory() as home:
        server = Server(binary, home)
        try:
            for spacing in spacings:
                measure(server, spacing)
        finally:
            server.process.terminate()
            server.process.wait()
    print(f"load {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
