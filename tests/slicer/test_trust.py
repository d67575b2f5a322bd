"""Who may speak to whom: proofs, tokens, versions, and files that others could have written."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace

import pytest
from misbehaving import TOKEN, Server, proof, reply
from VesaliusLib.vesalius import (
    Client,
    Endpoint,
    EngineUntrusted,
    Refused,
    Steps,
    VersionMismatch,
    home_folder,
)
from VesaliusLib.vesalius import client as client_module


def test_a_wrong_token_is_refused(client, monkeypatch):
    stranger = Client(replace(client.endpoint, token="0" * 64))
    with pytest.raises(EngineUntrusted):
        Steps(stranger.jobs()).finish()
    # And where the proof is not asked for, the engine refuses.
    monkeypatch.setattr(Client, "_is_proof", lambda *_: True)
    with pytest.raises(Refused) as caught:
        Steps(stranger.jobs()).finish()
    assert caught.value.code == "unauthorized" and caught.value.hint


@pytest.mark.parametrize(
    "name, is_trusted",
    [("right", True), ("wrong token", False), ("wrong port", False), ("wrong instance", False), ("none", False)],
)
def test_an_engine_proves_itself_before_it_gets_the_token(name, is_trusted):
    def answer(line, headers, body):
        if "/v1/session" not in line:
            return reply(200, [])
        if name == "none":
            return reply(404, {})
        token, instance = (
            "0" * 64 if name == "wrong token" else TOKEN,
            "0" * 32 if name == "wrong instance" else "cd" * 16,
        )
        return proof(body, server.port + (name == "wrong port"), token, instance)

    server = Server(answer, proves=False)
    steps = Steps(Client(server.endpoint()).jobs())
    if is_trusted:
        assert steps.finish() == []
        assert server.tokens == [None, f"Bearer {TOKEN}"]
    else:
        with pytest.raises(EngineUntrusted, match="nothing was sent"):
            steps.finish()
        assert server.tokens == [None]
    server.close()


def test_versions_that_do_not_fit_are_told_in_words(engine, monkeypatch):
    text = json.loads((engine.home / "run" / "endpoint.json").read_text())
    for api, words, hint in (
        ({"min": "2.0", "max": "2.3"}, "speaks API 2.0 to 2.3, this client 1.0", "update this extension"),
        ({"min": "0.1", "max": "0.9"}, "speaks API 0.1 to 0.9, this client 1.0", "pip install --upgrade vesalius"),
    ):
        with pytest.raises(VersionMismatch, match=words) as caught:
            Endpoint.parse(json.dumps({**text, "api": api}).encode()).check_version()
        assert hint in caught.value.hint
    # And the engine says it when the file does not.
    monkeypatch.setattr(client_module, "API", (7, 0))
    with pytest.raises(Refused, match="speaks API 7.0") as caught:
        Steps(Client(Endpoint.find(engine.home)).info()).finish()
    assert caught.value.code == "version_unsupported" and caught.value.hint


@pytest.mark.skipif(os.name != "posix", reason="mode bits are those of POSIX")
@pytest.mark.parametrize("change", ["open file", "open folder", "link", "owner"])
def test_a_file_that_others_could_have_written_is_not_believed(engine, tmp_path, monkeypatch, change):
    home = tmp_path / "home"
    run = home / "run"
    run.mkdir(parents=True, mode=0o700)
    path = run / "endpoint.json"
    path.write_bytes((engine.home / "run" / "endpoint.json").read_bytes())
    path.chmod(0o600)
    assert Endpoint.find(home).port == engine.port
    if change == "open file":
        path.chmod(0o644)
    elif change == "open folder":
        run.chmod(0o750)
    elif change == "link":
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    else:
        monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(EngineUntrusted) as caught:
        Endpoint.find(home)
    assert "not yours alone" in caught.value.message


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": 2}', '{"schema": 1, "port": "x"}', "\x00\xff", "9" * 5000]
)
def test_a_file_that_is_damaged_is_told_in_words(text):
    with pytest.raises(VersionMismatch, match="not understood"):
        Endpoint.parse(text.encode("latin-1"))


def test_the_folder_is_the_engines(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("VESALIUS_HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for platform, place in (
        ("linux", ".local/share/vesalius"),
        ("darwin", "Library/Application Support/vesalius"),
        ("win32", "AppData/Local/vesalius/data"),
    ):
        monkeypatch.setattr(sys, "platform", platform)
        assert home_folder() == tmp_path / place
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert home_folder() == tmp_path / ".local/share/vesalius"
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert str(home_folder()) == "/data/vesalius"
    monkeypatch.setenv("VESALIUS_HOME", "/mine")
    assert str(home_folder()) == "/mine"
