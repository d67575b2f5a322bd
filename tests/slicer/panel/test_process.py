"""Finding, starting and installing the engine's program: with the real program, and with nothing at all."""

from __future__ import annotations

import os
import stat
import sys
import zipfile
from pathlib import Path

import loop
import pytest
from engine import binary
from test_jobs import stop

# Before a test hides it.
PROGRAM = Path(binary()).resolve()
NAME = "vesalius.exe" if os.name == "nt" else "vesalius"


@pytest.fixture
def nowhere(application, tmp_path, monkeypatch):
    """A computer without the engine; its data folder."""
    home = tmp_path / "data"
    for name in ("VESALIUS", "VESALIUS_HOME"):
        monkeypatch.delenv(name, raising=False)
    runtime = os.environ.get("VESALIUS_ONNXRUNTIME", sys.prefix)
    for name, value in {"PATH": str(tmp_path), "HOME": str(tmp_path), "VESALIUS_HOME": str(home)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("VESALIUS_ONNXRUNTIME", runtime)
    return home


def wheel(folder: Path, name: str = "vesalius", extra: str = "") -> Path:
    """The program as a wheel, without what it needs from PyPI."""
    path = folder / f"{name}-0.1.0-py3-none-any.whl"
    info = f"{name}-0.1.0.dist-info"
    files = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n{extra}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: false\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        program = zipfile.ZipInfo(f"{name}-0.1.0.data/scripts/{NAME}")
        program.external_attr = (stat.S_IFREG | 0o755) << 16
        archive.writestr(program, PROGRAM.read_bytes())
        for each, text in files.items():
            archive.writestr(each, text)
        record = "".join(f"{each},,\n" for each in [*archive.namelist(), f"{info}/RECORD"])
        archive.writestr(f"{info}/RECORD", record)
    return path


def drive(work):
    """Runs work as the panel does; gives its result or its error."""
    from VesaliusLib.driver import Driver

    ended, told, driver = [], [], Driver()
    driver.run(work, ended.append, ended.append, told.append)
    turns = loop.until(lambda: ended)
    return ended[0], told, turns


def test_nothing_installed_is_said_with_all_places(nowhere):
    from VesaliusLib.process import Engine

    error, _, _ = drive(Engine().connected())
    assert (error.code, error.message) == ("engine_not_installed", "the engine is not installed")
    for place in ("installed from this panel", "beside Python", "for this user"):
        assert place in error.hint


def test_a_chosen_program_that_is_not_there_is_named(nowhere):
    from VesaliusLib.process import Engine

    engine = Engine()
    engine.chosen = str(nowhere / "gone")
    error, _, _ = drive(engine.connected())
    assert error.message == f"there is no program at `{nowhere / 'gone'}`"


def test_a_program_that_ends_at_once_is_quoted(nowhere):
    from VesaliusLib.process import Engine

    nowhere.mkdir()
    broken = nowhere / "vesalius"
    broken.write_text("#!/bin/sh\necho the disk is on fire\nexit 3\n")
    broken.chmod(0o755)
    engine = Engine()
    engine.chosen = str(broken)
    error, _, _ = drive(engine.connected())
    assert error.code == "engine_did_not_start" and "the disk is on fire" in error.message


def test_a_file_that_is_no_program_is_named(nowhere):
    from VesaliusLib.process import Engine

    nowhere.mkdir()
    text = nowhere / "vesalius"
    text.write_bytes(b"\x00\x01")
    text.chmod(0o755)
    engine = Engine()
    engine.chosen = str(text)
    error, _, _ = drive(engine.connected())
    assert error.code == "engine_did_not_start" and "cannot be started" in error.message


@pytest.mark.parametrize("where", ["the variable", "the path", "the user", "the settings"])
def test_the_program_is_found_and_started_apart(nowhere, tmp_path, monkeypatch, where):
    from VesaliusLib.process import Engine, log_path

    engine = Engine()
    if where == "the variable":
        monkeypatch.setenv("VESALIUS", str(PROGRAM))
    elif where == "the settings":
        engine.chosen = str(PROGRAM)
    else:
        folder = tmp_path / ("elsewhere" if where == "the path" else ".local/bin")
        folder.mkdir(parents=True)
        (folder / NAME).symlink_to(PROGRAM)
        monkeypatch.setenv("PATH", str(folder) if where == "the path" else str(tmp_path))
    client, told, turns = drive(engine.connected())
    try:
        assert client.endpoint.pid != os.getpid()
        assert any(progress.state == "starting" for progress in told)
        # It must not end with Slicer: neither its group nor its session is ours.
        assert os.getsid(client.endpoint.pid) != os.getsid(0)
        assert str(client.endpoint.port) in log_path(nowhere).read_text()
        assert turns.longest < 0.05
        again, told, _ = drive(engine.connected())
        assert again.endpoint == client.endpoint and not told
    finally:
        client.close()
        stop(nowhere)


def test_an_address_that_nobody_answers_is_replaced(nowhere, monkeypatch):
    """After a power failure the file is still there."""
    from engine import Engine as Started
    from VesaliusLib.process import Engine

    monkeypatch.setenv("VESALIUS", str(PROGRAM))
    nowhere.mkdir(mode=0o700)
    old = Started(nowhere)
    pid = old.process.pid
    old.kill()
    assert (nowhere / "run" / "endpoint.json").exists()
    client, _, _ = drive(Engine().connected())
    assert client.endpoint.pid != pid
    client.close()
    stop(nowhere)


def test_a_wheel_file_is_installed_into_a_folder_of_its_own(nowhere, tmp_path):
    from VesaliusLib.process import Engine, install_folder

    place, told, turns = drive(Engine().install(str(wheel(tmp_path))))
    assert place.what == "installed from this panel"
    assert place.path.read_bytes() == PROGRAM.read_bytes()
    assert install_folder(nowhere) in place.path.parents
    assert any("wheel" in progress.message.lower() or "installing" in progress.message.lower() for progress in told)
    assert turns.longest < 0.05
    # Slicer's own packages are as they were.
    assert not any("vesalius" in name.lower() for name in os.listdir(Path(pytest.__file__).parent.parent))


def test_a_failed_installation_leaves_the_earlier_one(nowhere, tmp_path):
    from VesaliusLib.process import Engine, find

    good, _, _ = drive(Engine().install(str(wheel(tmp_path))))
    other = tmp_path / "other"
    other.mkdir()
    error, _, _ = drive(Engine().install(str(wheel(other, extra="Requires-Dist: no-such-package-anywhere\n"))))
    assert error.code == "install_failed" and "no-such-package-anywhere" in error.message
    assert find("", nowhere) == good


def test_a_cancelled_installation_leaves_nothing(nowhere, tmp_path):
    from VesaliusLib.driver import Driver
    from VesaliusLib.process import Engine

    ended, driver = [], Driver()
    driver.run(Engine().install(str(wheel(tmp_path))), ended.append, ended.append, lambda progress: driver.cancel())
    loop.until(lambda: ended)
    assert ended[0].code == "cancelled"
    assert not [path for path in nowhere.iterdir() if path.name.startswith("program")]


def test_the_launcher_of_slicer_stays_out_of_the_engine(nowhere, monkeypatch):
    """The environment is the one from before Slicer started, as Slicer gives it."""
    import slicer
    from VesaliusLib.process import startup_environment

    monkeypatch.setenv("LD_LIBRARY_PATH", "/slicer/lib")
    before = {"PATH": "/usr/bin", "HOME": "/home/x"}
    import types

    given = types.SimpleNamespace(keys=lambda: list(before), value=before.get)
    monkeypatch.setattr(slicer.app, "startupEnvironment", lambda: given)
    assert startup_environment() == before
