"""Kills a running `vesalius serve` or one of its workers at random moments of every phase (upload, reading, job, export,
install) and checks what is left: no acknowledged job is lost, nothing is half-written, the restart says what happened,
and no worker outlives the server. Standard library only.

    python tests/benchmarks/kills.py target/release/vesalius [KILLS]
"""

import collections
import gzip
import hashlib
import http.client
import http.server
import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path

from server import IDENTITY, Server

# Weights whose length is published and whose hash is not, the task that they are for, and that length.
WEIGHTS, TASK, LENGTH = "Dataset598_mri_body_6mm_139subj", "body_mr", 42_741_891
MODEL = Path(__file__).parent.parent / "reference/golden/weights/Dataset300_body_6mm_1559subj"
DIMS = [96, 96, 64]


def archive():
    """A small model in a zip archive of the published length."""

    def packed(padding):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as file:
            for path in sorted(MODEL.rglob("*")):
                if path.is_file():
                    info = zipfile.ZipInfo(f"{WEIGHTS}/{path.relative_to(MODEL)}")
                    file.writestr(info, path.read_bytes())
            file.writestr(zipfile.ZipInfo("padding"), bytes(padding))
        return out.getvalue()

    return packed(LENGTH - len(packed(0)))


def publisher(data):
    """The address of a server on loopback that gives `data`, or the rest of it, slowly."""

    class Handler(http.server.BaseHTTPRequestHandler):
        """One file."""

        def do_GET(self):
            """Gives it."""
            span = self.headers.get("Range")
            start = int(span.removeprefix("bytes=").removesuffix("-")) if span else 0
            self.send_response(206 if span else 200)
            self.send_header("Content-Length", str(len(data) - start))
            self.send_header("ETag", '"1"')
            if span:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.end_headers()
            try:
                for at in range(start, len(data), 1 << 20):
                    self.wfile.write(data[at : at + (1 << 20)])
                    time.sleep(0.01)
            except OSError:
                pass

        def log_message(self, *_):
            """Nobody reads it."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


def workers(pid):
    """Children of a process."""
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
    return list(map(int, found))


def is_alive(pid):
    """Whether a process runs; one that is dead and was not buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Trial:
    """A server that is killed again and again, and all that it has ever acknowledged."""

    def __init__(self, binary, home, seed):
        self.binary, self.home = binary, home
        self.random = random.Random(seed)
        self.voxels = self.random.randbytes(2 * DIMS[0] * DIMS[1] * DIMS[2])
        self.acknowledged, self.faults = {}, []
        self.table = collections.defaultdict(collections.Counter)
        self.orphans, self.slowest = 0, 0.0
        self.server = Server(binary, home)
        self.done = self._finished()
        self.labels = self._get(f"/v1/jobs/{self.done}/labels")[1]

    def _get(self, path):
        return self.server.ask("GET", path)

    def _post(self, path, body):
        status, data = self.server.ask("POST", path, json.dumps(body))
        return status, json.loads(data)

    def _finished(self):
        volume = self.server.upload(DIMS, self.voxels)
        job = self.server.start(volume)[1]["id"]
        assert self._ended(job)["state"] == "done"
        self.server.ask("DELETE", f"/v1/volumes/{volume}")
        return job

    def _ended(self, job):
        while (view := self.server.job(job)).get("state") in ("queued", "running"):
            time.sleep(0.03)
        return view

    def kill(self):
        """Kills the server or one of its workers; `True` when it was the server, which is started again."""
        children = workers(self.server.process.pid)
        if children and self.random.random() < 0.6:
            try:
                os.kill(self.random.choice(children), signal.SIGKILL)
            except ProcessLookupError:
                pass
            return False
        self.server.process.kill()
        self.server.process.wait()
        deadline = time.time() + 2
        while any(map(is_alive, children)) and time.time() < deadline:
            time.sleep(0.01)
        self.orphans += sum(map(is_alive, children))
        began = time.perf_counter()
        self.server = Server(self.binary, self.home)
        self.slowest = max(self.slowest, time.perf_counter() - began)
        left = list((Path(self.home) / "run/spool/volumes").iterdir())
        if left:
            self.faults.append(f"volumes left after a restart: {len(left)}")
        return True

    def check(self, is_right, what):
        """Notes a fault."""
        if not is_right:
            self.faults.append(what)

    def background(self, work):
        """Runs `work` aside; what the kill does to it is its own affair."""

        def run():
            try:
                work()
            except (OSError, ValueError, KeyError, AssertionError, http.client.HTTPException):
                pass

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def upload(self):
        """In the middle of the voxels."""
        data = self.voxels * 30
        header = {"dims": [DIMS[0], DIMS[1], DIMS[2] * 30], "dtype": "int16", "space": "LPS", "ijk_to_world": IDENTITY,
                  "sha256": hashlib.sha256(data).hexdigest()}
        volume = self._post("/v1/volumes", header)[1]["id"]
        send = lambda: self.server.ask("PUT", f"/v1/volumes/{volume}/data", data, "application/octet-stream")
        thread = self.background(send)
        time.sleep(self.random.random() * 0.08)
        was_server = self.kill()
        thread.join()
        status, view = self._get(f"/v1/volumes/{volume}")
        self.check(status == (404 if was_server else 200), f"upload: {status} after a kill")
        view = json.loads(view)
        if status == 200:
            self.check(view["complete"] == (view["received"] == view["bytes"]), f"upload: {view}")
            self.server.ask("DELETE", f"/v1/volumes/{volume}")
        return "gone, said so" if status == 404 else view["state"]

    def reading(self):
        """While a worker reads a file."""
        head = (f"NRRD0004\ntype: int16\ndimension: 3\nspace: LPS\nsizes: {DIMS[0]} {DIMS[1]} {DIMS[2] * 30}\n"
                "space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nendian: little\nencoding: raw\n\n")
        data = head.encode() + self.voxels * 30
        header = {"format": "file", "content_type": "application/octet-stream", "bytes": len(data)}
        volume = self._post("/v1/volumes", header)[1]["id"]
        self.server.ask("PUT", f"/v1/volumes/{volume}/data", data, "application/octet-stream")
        time.sleep(self.random.random() * 0.3)
        was_server = self.kill()
        while True:
            status, view = self._get(f"/v1/volumes/{volume}")
            view = json.loads(view)
            if view.get("state") != "reading":
                break
            time.sleep(0.03)
        self.check(status == (404 if was_server else 200), f"reading: {status} after a kill")
        end = "gone, said so" if status == 404 else (view["error"] or {}).get("code") or view["state"]
        self.check(end in ("gone, said so", "ready", "worker_died"), f"reading: {end}")
        self.server.ask("DELETE", f"/v1/volumes/{volume}")
        return end

    def job(self):
        """While a job waits, runs or ends."""
        volume = self.server.upload(DIMS, self.voxels)
        status, view = self.server.start(volume)
        self.check(status == 202, f"job: {view}")
        job = view["id"]
        time.sleep(self.random.random() * 2.5)
        self.kill()
        view = self._ended(job)
        end = (view.get("error") or {}).get("code") or view.get("state")
        self.check(end in ("done", "worker_died", "interrupted"), f"job: {end}")
        if end == "done":
            self.check(self._get(f"/v1/jobs/{job}/labels")[1] == self.labels, "job: other labels")
        self.acknowledged[job] = view.get("state")
        self.server.ask("DELETE", f"/v1/volumes/{volume}")
        return end

    def export(self):
        """While labels are written in another format."""
        for file in Path(self.home, "run/spool/jobs", self.done).glob("labels.*z"):
            file.unlink()
        path = f"/v1/jobs/{self.done}/labels?format=nifti"
        thread = self.background(lambda: self._get(path))
        time.sleep(self.random.random() * 0.04)
        self.kill()
        thread.join()
        status, data = self._get(path)
        whole = gzip.decompress(data)[-len(self.labels):] if status == 200 else b""
        self.check(sorted(whole) == sorted(self.labels), f"export: {status}, {len(whole)} bytes")
        return "whole" if whole else str(status)

    def install(self):
        """While a model is fetched and imported."""
        self.server.ask("DELETE", f"/v1/models/{WEIGHTS}")
        request = {"task": TASK, "speed": "fast", "accept_licence": True}
        status, view = self._post("/v1/models", request)
        self.check(status == 202, f"install: {view}")
        job = view["id"]
        time.sleep(self.random.random() * 0.8)
        self.kill()
        view = self._ended(job)
        end = (view.get("error") or {}).get("code") or view.get("state")
        self.check(end in ("done", "worker_died", "interrupted"), f"install: {end} {view}")
        names = {model["id"] for model in json.loads(self._get("/v1/models")[1])}
        self.check(end != "done" or WEIGHTS in names, "install: done, and not there")
        if WEIGHTS in names:
            ran = subprocess.run([self.binary, "models", "verify", WEIGHTS], capture_output=True, env=environment(self.home))
            self.check(ran.returncode == 0, f"install: {ran.stderr}")
        self.acknowledged[job] = view.get("state")
        return end

    def last(self):
        """Everything that was acknowledged is still there, as it was; and all still works."""
        for job, state in self.acknowledged.items():
            self.check(self.server.job(job).get("state") == state, f"job {job} was {state}")
        self.check(self._get(f"/v1/jobs/{self.done}/labels")[1] == self.labels, "the first job's labels")
        view = self._post("/v1/models", {"task": TASK, "speed": "fast"})[1]
        self.check(self._ended(view["id"])["state"] == "done", "the last installation")
        self.server.process.terminate()
        self.check(self.server.process.wait() == 0, "the end")


def environment(home):
    """For the command line with the same home."""
    return os.environ | {"VESALIUS_HOME": home}


def main():
    """Prints the table."""
    binary, kills = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 300
    os.environ["VESALIUS_MIRROR"] = publisher(archive())
    with tempfile.TemporaryDirectory() as home:
        trial = Trial(binary, home, seed=1)
        phases = [trial.upload, trial.reading, trial.job, trial.export, trial.install]
        for kill in range(kills):
            phase = phases[kill % len(phases)]
            trial.table[phase.__name__][phase()] += 1
        trial.last()
        for name, ends in trial.table.items():
            print(f"{name:8} {sum(ends.values()):4} kills: {dict(ends)}")
        print(f"acknowledged jobs {len(trial.acknowledged)}, lost or half-written {len(trial.faults)}, "
              f"orphans {trial.orphans}, slowest restart {trial.slowest:.2f} s")
        for fault in trial.faults:
            print(fault)
    sys.exit(bool(trial.faults))


if __name__ == "__main__":
    main()
