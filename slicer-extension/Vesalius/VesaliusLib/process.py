"""The engine as a program of this computer: where it lies, how it is started, and how it is installed on request.

The engine is one program, `vesalius`, that several viewers share. It is never installed into Slicer's own Python:
that would change packages that other extensions need. It gets a folder of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from .vesalius import Client, EngineMissing, Progress, VesaliusError, home_folder
from .vesalius.steps import Wait, Work

PACKAGE = "vesalius"
NAME = "vesalius.exe" if sys.platform == "win32" else "vesalius"
# Minutes without a question after which the engine ends by itself.
IDLE_MINUTES = 30
# Seconds that a cold disk and a virus scanner may need for the first start.
PATIENCE = 30.0
# A log that grew beyond this begins anew.
MOST_LOG = 1 << 20
NOT_INSTALLED = "engine_not_installed"


@dataclass(frozen=True)
class Place:
    """Where the program was looked for."""

    # In words: `on the search path`.
    what: str
    path: Path

    @property
    def is_there(self) -> bool:
        """Whether a program is there that this user may run."""
        return self.path.is_file() and os.access(self.path, os.X_OK)


def install_folder(home: Optional[os.PathLike] = None) -> Path:
    """The folder that `install` fills."""
    return (Path(home) if home is not None else home_folder()) / "program"


def log_path(home: Optional[os.PathLike] = None) -> Path:
    """What the engine says while it runs."""
    return (Path(home) if home is not None else home_folder()) / "engine.log"


def places(chosen: str = "", home: Optional[os.PathLike] = None) -> List[Place]:
    """Where the program may lie, in the order in which it is looked for; a chosen path is the only one then."""
    if chosen:
        return [Place("as chosen in the settings", Path(chosen))]
    found = []
    if os.environ.get("VESALIUS"):
        found.append(Place("named by the variable VESALIUS", Path(os.environ["VESALIUS"])))
    ours = install_folder(home)
    found += [Place("installed from this panel", ours / sub / NAME) for sub in ("bin", "Scripts")]
    on_path = shutil.which(PACKAGE, path=startup_environment().get("PATH"))
    if on_path:
        found.append(Place("on the search path", Path(on_path)))
    beside = Path(sys.executable).parent
    found += [Place("beside Python", folder / NAME) for folder in (beside, beside / "Scripts")]
    found += [Place("for this user", Path.home() / sub / NAME) for sub in (".local/bin", ".cargo/bin")]
    return found


def find(chosen: str = "", home: Optional[os.PathLike] = None) -> Optional[Place]:
    """The first place that holds the program."""
    return next((place for place in places(chosen, home) if place.is_there), None)


def startup_environment() -> Dict[str, str]:
    """The environment without what Slicer's launcher added: its libraries must not get into other programs."""
    try:
        import slicer.util

        return dict(slicer.util.startupEnvironment())
    except (ImportError, AttributeError):
        return dict(os.environ)


class Engine:
    """The engine of this user: the one that runs, or the one that can be started."""

    def __init__(self, home: Optional[os.PathLike] = None) -> None:
        self.home = Path(home) if home is not None else home_folder()
        # A path that the user chose; empty: look for it.
        self.chosen = ""
        # More arguments of `vesalius serve`, such as `--device cpu`.
        self.arguments: Tuple[str, ...] = ()

    def place(self) -> Optional[Place]:
        """Where the program lies."""
        return find(self.chosen, self.home)

    def is_running(self) -> bool:
        """Whether a running engine left its address; it may still turn out to be gone."""
        return (self.home / "run" / "endpoint.json").is_file()

    def connected(self) -> Work[Client]:
        """A client of the running engine; starts it when none runs."""
        try:
            return (yield from self._reached())
        except EngineMissing:
            place = self.place()
        if place is None:
            raise self._not_installed()
        yield Progress("starting", "starting the engine")
        process, until = self._start(place), time.monotonic() + PATIENCE
        while time.monotonic() < until:
            yield Wait(seconds=0.05)
            try:
                return (yield from self._reached())
            except EngineMissing as error:
                # Another program may have started one meanwhile; then ours ended, and the other answers.
                if process.poll() is not None and not self.is_running():
                    raise self._did_not_start(place) from error
        process.kill()
        message = f"the engine gave no sign of life for {PATIENCE:.0f} seconds"
        raise EngineMissing("engine_did_not_start", message, f"its log is `{log_path(self.home)}`")

    def _reached(self) -> Work[Client]:
        """A client of an engine that answers."""
        client = Client.find(self.home)
        try:
            yield from client.info()
        except BaseException:
            client.close()
            raise
        return client

    def _start(self, place: Place) -> "subprocess.Popen[bytes]":
        """Starts the program so that it outlives Slicer, with its words in the log."""
        self.home.mkdir(parents=True, exist_ok=True)
        log = log_path(self.home)
        mode = "ab" if log.is_file() and log.stat().st_size < MOST_LOG else "wb"
        command = [str(place.path), "serve", "--exit-when-idle", str(IDLE_MINUTES), *self.arguments]
        environment = {**startup_environment(), "VESALIUS_HOME": str(self.home)}
        with open(log, mode) as output:
            try:
                return subprocess.Popen(
                    command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=str(self.home),
                    **apart(),
                )
            except OSError as error:
                message = f"`{place.path}` cannot be started: {error.strerror or error}"
                raise EngineMissing("engine_did_not_start", message, "choose another in the Engine section") from error

    def _not_installed(self) -> EngineMissing:
        if self.chosen:
            message = f"there is no program at `{self.chosen}`"
            return EngineMissing(NOT_INSTALLED, message, "choose it again in the Engine section")
        looked = "; ".join(f"{place.what}: {place.path}" for place in places("", self.home))
        return EngineMissing(NOT_INSTALLED, "the engine is not installed", f"looked for it {looked}")

    def _did_not_start(self, place: Place) -> EngineMissing:
        said = last_lines(log_path(self.home), 3) or "it said nothing"
        message = f"`{place.path}` ended at once: {said}"
        return EngineMissing("engine_did_not_start", message, "run `vesalius doctor` to see what is missing")

    # Installing.

    def install(self, wheel: str = "") -> Work[Place]:
        """Installs the program with pip into `install_folder`, from PyPI or from a wheel file that the user has.

        An earlier installation stays whole until the new one is.
        """
        target = install_folder(self.home)
        fresh, old = target.with_name("program.new"), target.with_name("program.old")
        for folder in (fresh, old):
            shutil.rmtree(folder, ignore_errors=True)
        self.home.mkdir(parents=True, exist_ok=True)
        log = log_path(self.home).with_name("install.log")
        yield Progress("installing", "asking pip for the engine")
        yield from self._pip(["install", "--target", str(fresh), *pip_source(wheel)], log)
        if target.exists():
            target.rename(old)
        fresh.rename(target)
        shutil.rmtree(old, ignore_errors=True)
        place = find("", self.home)
        if place is None:
            message = "pip installed something, but no engine is in it"
            raise VesaliusError("install_failed", message, f"pip's words are in `{log}`")
        return place

    def _pip(self, arguments: Sequence[str], log: Path) -> Work[None]:
        """Runs Slicer's pip beside Slicer; cancelled, it leaves nothing."""
        python = shutil.which("PythonSlicer") or sys.executable
        command = [python, "-m", "pip", "--disable-pip-version-check", *arguments]
        with open(log, "wb") as output:
            quiet = apart() if os.name == "nt" else {}
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, **quiet
            )
        try:
            while process.poll() is None:
                yield Progress("installing", last_lines(log, 1) or "pip is starting")
                yield Wait(seconds=0.2)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
                shutil.rmtree(install_folder(self.home).with_name("program.new"), ignore_errors=True)
        if process.returncode != 0:
            said = next((line for line in read_lines(log) if line.startswith("ERROR")), last_lines(log, 1))
            message = f"pip could not install the engine: {said}"
            hint = f"without internet, choose a wheel file in the Engine section; pip's words are in `{log}`"
            raise VesaliusError("install_failed", message, hint)


def pip_source(wheel: str) -> List[str]:
    """What pip installs from: never source code, which would be compiled."""
    if not wheel:
        return ["--only-binary", ":all:", PACKAGE]
    # Wheels of what the engine needs may lie in the same folder.
    return ["--no-index", "--find-links", str(Path(wheel).parent), wheel]


def apart() -> Dict[str, Any]:
    """How a process is started that has no window and does not end with Slicer."""
    if os.name != "nt":
        return {"start_new_session": True}
    # CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW: the engine's worker inherits a console that nobody sees.
    return {"creationflags": 0x00000200 | 0x08000000}


def read_lines(path: Path) -> List[str]:
    """The lines of a log that are not empty; its last 64 KiB."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - (64 << 10)))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()]


def last_lines(path: Path, count: int) -> str:
    """The end of a log, in one line."""
    return " ".join(read_lines(path)[-count:])
