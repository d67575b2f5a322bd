"""Load and violence against a running `vesalius serve`, over plain sockets: how fast it answers while it works, what
copying a volume costs, and what is lost when its processes are killed. Standard library only.

    python tests/benchmarks/server.py target/release/vesalius [KILLS]
"""

import atexit
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

IDENTITY = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]


class Server:
    """A server that was started here."""

    def __init__(self, binary, home):
        self.process = subprocess.Popen(
            [binary, "serve", "--port", "0"], env=os.environ | {"VESALIUS_HOME": home}, stdout=subprocess.PIPE
        )
        # Not left behind when something here fails.
        atexit.register(self.process.kill)
        said = json.loads(self.process.stdout.readline())
        with open(said["endpoint"]) as file:
            self.endpoint = json.load(file)

    def ask(self, method, path, body=None, kind="application/json"):
        """Status and bytes of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.endpoint["port"], timeout=60)
        headers = {"Authorization": "Bearer " + self.endpoint["token"]}
        if body is not None:
            headers["Content-Type"] = kind
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        data = response.read()
        connection.close()
        return response.status, data

    def head(self, method, path, kind=None, length=0):
        """The head of a request with the token."""
        port, token = self.endpoint["port"], self.endpoint["token"]
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Authorization: Bearer {token}"]
        lines += [f"Content-Type: {kind}", f"Content-Length: {length}"] if kind else []
        return "\r\n".join([*lines, "", ""]).encode()

    def create(self, dims):
        """The id of a volume without voxels."""
        header = {"dims": dims, "dtype": "int16", "space": "LPS", "ijk_to_world": IDENTITY, "modality": "CT"}
        return json.loads(self.ask("POST", "/v1/volumes", json.dumps(header))[1])["id"]

    def upload(self, dims, data):
        """The id of a volume with these voxels."""
        volume = self.create(dims)
        status, _ = self.ask("PUT", f"/v1/volumes/{volume}/data?offset=0", data, "application/octet-stream")
        assert status == 200, status
        return volume

    def start(self, volume):
        """Status and view of a new job."""
        status, data = self.ask("POST", "/v1/jobs", json.dumps({"volume": volume, "task": "headneck"}))
        return status, json.loads(data)

    def job(self, job):
        return json.loads(self.ask("GET", f"/v1/jobs/{job}")[1])

    def worker(self):
        """The worker's process number, if there is one."""
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True).stdout.split()
        return int(found[0]) if found else None

    def held(self):
        """Open files and threads of the supervisor, and its memory in MiB."""
        folder = f"/proc/{self.process.pid}"
        with open(f"{folder}/status") as file:
            resident = next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS"))
        return len(os.listdir(f"{folder}/fd")), len(os.listdir(f"{folder}/task")), resident

    def peak_mib(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))


def latency(server, title, seconds=10):
    """Times of `/v1/live`, each on a connection of its own."""
    times, end = [], time.time() + seconds
    while time.time() < end:
        began = time.perf_counter()
        assert server.ask("GET", "/v1/live") == (200, b"ok")
        times.append(1000 * (time.perf_counter() - began))
        time.sleep(0.005)
    times.sort()
    share = lambda part: times[min(len(times) - 1, int(part * len(times)))]
    print(f"{title}: {len(times)} answers, p50 {share(0.5):.1f} ms, p99 {share(0.99):.1f} ms, most {times[-1]:.1f} ms")


def half_open(server, count, stop):
    """Keeps `count` connections that have sent half a head; those that are closed are opened again."""
    held = []
    while not stop.is_set():
        if len(held) >= count:
            held.pop(0).close()
        connection = socket.create_connection(("127.0.0.1", server.endpoint["port"]))
        connection.send(b"GET /v1/live HTTP/1.1\r\nHost:")
        held.append(connection)
        time.sleep(0.002)


def slow_bodies(server, count, stop):
    """Keeps `count` connections that have announced a body and do not send it: half of them have the token."""
    held = []
    while not stop.is_set():
        if len(held) >= count:
            held.pop(0).close()
        connection = socket.create_connection(("127.0.0.1", server.endpoint["port"]))
        path = "jobs" if len(held) % 2 else "session"
        connection.send(server.head("POST", f"/v1/{path}", "application/json", 900) + b"{")
        held.append(connection)
        time.sleep(0.02)


def vanishing(server, job, stop):
    """Goes away in every phase of a request, in turn: before it, in its head, before and in its body, before and in
    its answer. Counts what it did."""
    port, told, count = server.endpoint["port"], b"", 0
    voxels = bytes(2 * 64 * 64 * 64)
    while not stop.is_set():
        phase = count % 7
        count += 1
        connection = socket.create_connection(("127.0.0.1", port))
        volume = server.create([64, 64, 64]) if phase in (3, 4) else None
        put = server.head("PUT", f"/v1/volumes/{volume}/data", "application/octet-stream", len(voxels))
        told = {
            0: b"",
            1: b"GET /v1/jobs HTTP/1.1\r\nHo",
            2: server.head("POST", "/v1/jobs", "application/json", 100),
            3: put,
            4: put + voxels[: len(voxels) // 2],
            5: server.head("GET", "/v1/tasks"),
            6: server.head("GET", f"/v1/jobs/{job}/events"),
        }[phase]
        connection.sendall(told)
        if phase == 6:
            connection.recv(100)
        connection.close()
        if volume:
            server.ask("DELETE", f"/v1/volumes/{volume}")
        time.sleep(0.01)
    print(f"{count} clients vanished")


def clients(server, stop):
    """Asks for the jobs again and again."""
    while not stop.is_set():
        assert server.ask("GET", "/v1/jobs")[0] == 200
        time.sleep(0.5)


def load(server):
    """Latency alone, with a job, and with a job and a crowd; and what the crowd leaves behind."""
    latency(server, "idle")
    dims = [512, 512, 400]
    volume = server.upload(dims, bytes(2 * 512 * 512 * 400))
    status, job = server.start(volume)
    assert status == 202, job
    latency(server, "a job runs")
    held = [server.held()]
    for _ in range(2):
        crowd(server, job["id"])
        held.append(server.held())
    state = server.job(job["id"])["state"]
    server.ask("DELETE", f"/v1/jobs/{job['id']}")
    print(f"the job was {state}; most memory of the supervisor {server.peak_mib():.1f} MiB")
    told = ", ".join(f"{files} files {threads} threads {resident:.1f} MiB" for files, threads, resident in held)
    print(f"before the crowd, after it, after another: {told}")
    # Threads that write files end by and by.
    assert held[2][0] <= held[0][0] and held[2][1] <= held[0][1] + 8, "something leaks"


def crowd(server, job):
    """Latency among everybody who can make trouble."""
    stop = threading.Event()
    threads = [threading.Thread(target=clients, args=(server, stop)) for _ in range(100)]
    threads.append(threading.Thread(target=half_open, args=(server, 900, stop)))
    threads.append(threading.Thread(target=slow_bodies, args=(server, 100, stop)))
    threads.append(threading.Thread(target=vanishing, args=(server, job, stop)))
    for thread in threads:
        thread.start()
    try:
        latency(server, "a job, 100 clients, 900 half-open connections, 100 slow bodies, clients that vanish")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    # Nothing is waited for longer than this.
    time.sleep(12)


def copying(server):
    """A volume of 300 MiB against a plain socket."""
    data = bytes(2 * 512 * 512 * 600)
    listener = socket.create_server(("127.0.0.1", 0))

    def sink():
        connection, _ = listener.accept()
        with tempfile.TemporaryFile() as file:
            while piece := connection.recv(1 << 20):
                file.write(piece)
        connection.send(b"x")

    plain, ours = [], []
    for _ in range(5):
        thread = threading.Thread(target=sink)
        thread.start()
        began = time.perf_counter()
        connection = socket.create_connection(listener.getsockname())
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
        plain.append(time.perf_counter() - began)
        thread.join()
        began = time.perf_counter()
        volume = server.upload([512, 512, 600], data)
        ours.append(time.perf_counter() - began)
        server.ask("DELETE", f"/v1/volumes/{volume}")
    plain, ours = sorted(plain)[2], sorted(ours)[2]
    print(f"300 MiB: {ours:.2f} s, plain socket to file {plain:.2f} s, {ours / plain:.2f} times; "
          f"supervisor {server.peak_mib():.1f} MiB")


def violence(binary, home, kills):
    """Kills worker or supervisor at random moments; every acknowledged job must have an honest end."""
    seeds, ends, lost = random.Random(1), {}, 0
    server = Server(binary, home)
    dims, data = [96, 96, 64], os.urandom(2 * 96 * 96 * 64)
    for _ in range(kills):
        volume = server.upload(dims, data)
        status, job = server.start(volume)
        assert status == 202, job
        time.sleep(seeds.random() * 1.2)
        if seeds.random() < 0.5:
            if worker := server.worker():
                os.kill(worker, signal.SIGKILL)
        else:
            server.process.kill()
            server.process.wait()
            server = Server(binary, home)
        while (view := server.job(job["id"])).get("state") in ("queued", "running"):
            time.sleep(0.05)
        end = (view.get("error") or {}).get("code") or view.get("state")
        ends[end] = ends.get(end, 0) + 1
        if view.get("state") == "done":
            labels = server.ask("GET", f"/v1/jobs/{job['id']}/labels")[1]
            lost += len(labels) != 96 * 96 * 64
        lost += end not in ("done", "worker_died", "interrupted")
        if server.ask("GET", f"/v1/volumes/{volume}")[0] == 200:
            server.ask("DELETE", f"/v1/volumes/{volume}")
    print(f"{kills} kills: {ends}, lost or half-written {lost}")
    server.process.terminate()
    assert server.process.wait() == 0


def main():
    binary = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as home:
        began = time.perf_counter()
        server = Server(binary, home)
        print(f"up in {1000 * (time.perf_counter() - began):.0f} ms, {server.peak_mib():.1f} MiB")
        copying(server)
        load(server)
        server.process.terminate()
        assert server.process.wait() == 0
        violence(binary, home, int(sys.argv[2]) if len(sys.argv) > 2 else 30)


if __name__ == "__main__":
    main()
