"""The client against the real engine, and against networks and programs that do not behave."""

from __future__ import annotations

import os
import subprocess
import time

import numpy as np
import pytest
from engine import Engine, import_small_networks
from misbehaving import Network, Server, reply
from runs import TASK, Run, is_clean, unfinished
from VesaliusLib.vesalius import (
    Cancelled,
    Client,
    ConnectionLost,
    EngineMissing,
    Refused,
    Steps,
    VesaliusError,
)
from VesaliusLib.vesalius import client as client_module
from volumes import small_ct


def test_a_run_gives_labels_and_a_table_and_leaves_nothing(engine, client, labels):
    run = Run(client)
    assert run.finish() == labels
    assert {"uploading", "running", "downloading"} <= run.states
    rows = {row["value"]: row for row in run.steps.result.table["segments"]}
    for value, count in zip(*np.unique(np.frombuffer(labels, np.uint8), return_counts=True)):
        if value:
            assert rows[value]["voxels"] == count
            assert rows[value]["volume_ml"] == pytest.approx(count * 27 / 1000)
    assert is_clean(engine, client)


def test_what_there_is_to_know(client):
    info, tasks = Steps(client.info()).finish(), Steps(client.tasks()).finish()
    assert info["name"] == "vesalius" and info["api"]["min"] == "1.0"
    assert len(next(task for task in tasks if task["id"] == "total")["segments"]) == 117
    assert "headneck" in [model["id"] for model in Steps(client.models()).finish()]


# The network.


@pytest.mark.parametrize("most", [1, 7, 1500])
def test_bytes_may_come_one_by_one(client, monkeypatch, labels, most):
    Network(most).install(monkeypatch)
    assert Steps(client.info()).finish()["name"] == "vesalius"
    if most > 1000:
        assert Run(client).finish() == labels


def test_an_upload_goes_on_after_the_connection_broke(client, monkeypatch, labels):
    monkeypatch.setattr(client_module, "PIECE", 40_000)
    total = small_ct().nbytes
    network = Network(10_000, [5_000, 50_000, 50_001, 95_000, 180_000]).install(monkeypatch)
    assert Run(client).finish() == labels
    assert network.broken == 5
    # No piece but the one that broke is sent again.
    assert network.sent < total + 5 * 40_000 + 30_000


def test_an_upload_that_gets_nowhere_is_given_up(monkeypatch):
    monkeypatch.setattr(client_module, "MOST_FAILURES", 3)

    def answer(line, headers, body):
        if line.startswith("PUT"):
            return b"\r\nX-Then: close"
        return reply(200, {"received": 0, "complete": False})

    server = Server(answer)
    with pytest.raises(ConnectionLost) as caught:
        Steps(Client(server.endpoint()).upload("0" * 32, memoryview(bytes(100)))).finish()
    assert caught.value.code == "connection_lost"
    assert sum(request.startswith("PUT") for request in server.requests) == 4
    server.close()


def test_an_early_no_is_read_in_the_middle_of_an_upload(engine, client):
    voxels = memoryview(bytes(16 << 20))
    for _ in range(5):
        with pytest.raises(Refused) as caught:
            Steps(client.upload("0" * 32, voxels)).finish()
        assert caught.value.code == "not_found" and "no such volume" in caught.value.message


def test_a_server_that_closes_idle_connections_is_asked_again():
    server = Server(lambda line, headers, body: reply(200, [], "X-Then: close\r\n"))
    client = Client(server.endpoint())
    for _ in range(3):
        assert Steps(client.jobs()).finish() == []
        time.sleep(0.05)
    server.close()


def test_no_proxy_is_asked(engine, client):
    # conftest.py sets every proxy variable to a port that nobody listens on.
    assert os.environ["HTTP_PROXY"] and os.environ["all_proxy"] and "NO_PROXY" not in os.environ
    assert Steps(client.info()).finish()["instance"] == client.endpoint.instance


# The engine is gone, or silent.


@pytest.fixture
def mortal(tmp_path):
    """An engine that a test may kill."""
    tmp_path.chmod(0o700)
    import_small_networks(tmp_path)
    engine = Engine(tmp_path)
    yield engine
    engine.stop()


@pytest.mark.parametrize("phase", ["uploading", "running"])
def test_an_engine_that_is_killed_is_told_in_words(mortal, monkeypatch, phase):
    monkeypatch.setattr(client_module, "PIECE", 20_000)
    run = Run(Client.find(mortal.home), request={"task": "headneck"})
    while not (run.steps.progress and run.steps.progress.state == phase):
        run.steps.advance()
    mortal.kill()
    began = time.monotonic()
    with pytest.raises(EngineMissing) as caught:
        run.finish()
    assert caught.value.code == "engine_ended" and "start it and run again" in caught.value.hint
    assert time.monotonic() - began < 5.0


def test_a_worker_that_dies_fails_the_job_and_the_next_one_runs(mortal, labels):
    client = Client.find(mortal.home)
    # Enough to do that it is not done before the worker is killed, however busy the machine.
    run = Run(client, np.tile(small_ct(), (4, 3, 3)), request={"task": "headneck"})
    while not (run.steps.progress and run.steps.progress.state == "running"):
        run.steps.advance()
    children = subprocess.run(["pgrep", "-P", str(mortal.process.pid)], capture_output=True, text=True, check=True)
    for child in children.stdout.split():
        os.kill(int(child), 9)
    with pytest.raises(Refused) as caught:
        run.finish()
    assert caught.value.code == "worker_died" and caught.value.message
    assert is_clean(mortal, client)
    assert Run(client).finish() == labels


def test_no_engine_is_told_at_once(tmp_path):
    tmp_path.chmod(0o700)
    with pytest.raises(EngineMissing, match="not running") as caught:
        Client.find(tmp_path)
    assert "vesalius serve" in caught.value.hint
    server = Server(lambda *_: None)
    server.close()
    began = time.monotonic()
    with pytest.raises(EngineMissing):
        Steps(Client(server.endpoint()).info()).finish()
    assert time.monotonic() - began < 3.0


def test_a_silent_server_never_holds_the_viewer():
    server = Server(lambda *_: None)
    steps = Steps(Client(server.endpoint(), patience=0.5).info())
    longest, began = 0.0, time.monotonic()
    with pytest.raises(ConnectionLost) as caught:
        while True:
            tick = time.monotonic()
            assert not steps.advance(budget=0.01)
            longest = max(longest, time.monotonic() - tick)
            time.sleep(0.01)
    assert caught.value.code == "no_answer" and 0.4 < time.monotonic() - began < 5.0
    # A tick that waited for the answer would have lasted half a second.
    assert longest < 0.3
    server.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n[1, 2, 3]",
        b"HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\n<h1>",
        b"HTTP/1.1 OK\r\n\r\n",
        b"A" * 100_000,
    ],
)
def test_what_is_no_engine_is_told_in_words(answer):
    server = Server(lambda *_: answer + b"\r\nX-Then: close")
    with pytest.raises(VesaliusError) as caught:
        Steps(Client(server.endpoint(), patience=1.0).info()).finish()
    assert caught.value.message and "Error" not in caught.value.message
    server.close()


def test_labels_of_another_size_are_refused(client, labels):
    run = Run(client)
    run.room = bytearray(len(labels) - 1)
    with pytest.raises(ConnectionLost, match=f"{len(labels) - 1} bytes were expected"):
        run.finish()


# Stopping.


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 5, 8, 12, 16, 20, 25, 30, 40, 60])
def test_whenever_a_run_is_cancelled_nothing_is_left(engine, client, monkeypatch, steps):
    monkeypatch.setattr(client_module, "PIECE", 50_000)
    run = Run(client, request={"task": "headneck"})
    for _ in range(steps):
        assert not run.steps.advance(budget=0.0)
    began = time.monotonic()
    run.steps.cancel()
    with pytest.raises(Cancelled):
        run.finish()
    assert time.monotonic() - began < 3.0
    assert is_clean(engine, client)


def test_asking_twice_does_not_stop_the_cleaning_up(engine, client):
    run = Run(client, request={"task": "headneck"})
    while not (run.steps.progress and run.steps.progress.state == "running"):
        assert not run.steps.advance(budget=0.0)
    with pytest.raises(Cancelled):
        while True:
            run.steps.cancel()
            run.steps.advance(budget=0.0)
    assert is_clean(engine, client)


@pytest.mark.parametrize("state", ["uploading", "running", "downloading"])
def test_a_run_is_cancelled_in_every_state(engine, client, state):
    run = Run(client, request={"task": "headneck"} if state == "running" else TASK)
    while not (run.steps.progress and run.steps.progress.state == state):
        assert not run.steps.advance(budget=0.0)
    run.steps.cancel()
    with pytest.raises(Cancelled):
        run.finish()
    assert is_clean(engine, client)


def test_a_time_limit_cancels(engine, client):
    run = Run(client, voxels=np.zeros((90, 90, 90), np.int16), request={"task": "headneck"})
    with pytest.raises(Cancelled):
        run.steps.finish(timeout=0.2)
    assert is_clean(engine, client)


def test_a_job_that_another_program_stops_is_told(client):
    run = Run(client, voxels=np.zeros((90, 90, 90), np.int16), request={"task": "headneck"})
    while not (run.steps.progress and run.steps.progress.state == "running"):
        run.steps.advance()
    other = Client(client.endpoint)
    Steps(other.stop(unfinished(other)[0]["id"])).finish()
    with pytest.raises(Refused) as caught:
        run.finish()
    assert caught.value.code == "cancelled"


# What the engine refuses, and what is kept.


@pytest.mark.parametrize(
    "request_, code",
    [
        ({"task": "nonsense"}, "unknown_task"),
        ({**TASK, "structures": ["unicorn"]}, "unknown_structure"),
        ({**TASK, "region": [[0, 1], [0, 1], [5, 5]]}, "invalid_region"),
        ({"task": "total"}, "model_missing"),
    ],
)
def test_refusals_come_with_code_sentence_and_hint(engine, client, request_, code):
    with pytest.raises(Refused) as caught:
        Run(client, request=request_).finish()
    assert caught.value.code == code and caught.value.message == str(caught.value) and caught.value.hint
    assert is_clean(engine, client)


def test_voxels_with_a_key_are_sent_once(engine, client, labels):
    first = Run(client, key="a")
    assert first.finish() == labels and "uploading" in first.states and len(engine.spooled()) == 1
    second = Run(client, key="a", request={**TASK, "structures": ["liver"]})
    second.finish()
    assert "uploading" not in second.states and len(engine.spooled()) == 1
    # What the engine forgot is sent again.
    Steps(client.forget(client._kept["a"])).finish()
    third = Run(client, key="a")
    assert third.finish() == labels and "uploading" in third.states
    fourth = Run(client, key="b")
    assert fourth.finish() == labels and "uploading" in fourth.states and len(engine.spooled()) == 1
    assert Run(client).finish() == labels
    assert is_clean(engine, client)


def test_a_cancelled_run_keeps_the_voxels_that_were_there(engine, client, labels):
    Run(client, key="a").finish()
    run = Run(client, key="a", request={"task": "headneck"})
    while not (run.steps.progress and run.steps.progress.state == "running"):
        run.steps.advance()
    run.steps.cancel()
    with pytest.raises(Cancelled):
        run.finish()
    again = Run(client, key="a")
    assert again.finish() == labels and "uploading" not in again.states
    Run(client).finish()
    assert is_clean(engine, client)


def test_a_volume_that_changes_while_it_is_sent_is_not_segmented(engine, client):
    with pytest.raises(VesaliusError) as caught:
        Run(client, is_current=lambda: False).finish()
    assert caught.value.code == "volume_changed"
    assert is_clean(engine, client) and not unfinished(client)
