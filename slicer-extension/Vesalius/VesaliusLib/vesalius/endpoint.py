"""Where the engine of this user can be found: the file that it writes when it starts, and who may have written it."""

from __future__ import annotations

import json
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Tuple

from .errors import EngineMissing, EngineUntrusted, VersionMismatch

# The API that this client was written for.
API = (1, 0)
MOST_BYTES = 64 << 10
NOT_RUNNING = "the engine is not running"


def home_folder() -> Path:
    """The folder that holds everything of the engine: `VESALIUS_HOME`, else the system's place for local data."""
    given = os.environ.get("VESALIUS_HOME")
    if given:
        return Path(given)
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "vesalius" / "data"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "vesalius"
    data = os.environ.get("XDG_DATA_HOME", "")
    return (Path(data) if os.path.isabs(data) else Path.home() / ".local" / "share") / "vesalius"


@dataclass(frozen=True)
class Endpoint:
    """A running engine, as its file tells."""

    port: int
    token: str
    instance: str
    version: str
    pid: int
    api_min: Tuple[int, int]
    api_max: Tuple[int, int]

    @staticmethod
    def find(home: Optional[os.PathLike] = None) -> Endpoint:
        """Reads `run/endpoint.json` of `home`.

        Raises EngineMissing when no engine runs, EngineUntrusted when others could have written the file, and
        VersionMismatch when engine and client are too far apart.
        """
        folder = Path(home) if home is not None else home_folder()
        try:
            text = _read_private(folder / "run", "endpoint.json")
        except FileNotFoundError:
            raise EngineMissing("engine_missing", NOT_RUNNING, "start it with `vesalius serve`") from None
        except OSError as error:
            # A link, among other things.
            raise _untrusted(folder / "run") from error
        endpoint = Endpoint.parse(text)
        endpoint.check_version()
        return endpoint

    @staticmethod
    def parse(text: bytes) -> Endpoint:
        """From the file's text."""
        try:
            value = json.loads(text)
            api = value["api"]
            if value["schema"] != 1 or not 0 < int(value["port"]) < 65536:
                raise ValueError("unknown schema or port")
            return Endpoint(
                port=int(value["port"]),
                token=str(value["token"]),
                instance=str(value["instance"]),
                version=str(value["version"]),
                pid=int(value["pid"]),
                api_min=_version(api["min"]),
                api_max=_version(api["max"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            message = "the engine's file `endpoint.json` is not understood"
            raise VersionMismatch("version_unsupported", message, "update this extension") from error

    def check_version(self) -> None:
        """Says in words which of the two is too old."""
        spoken = "engine {} speaks API {}.{} to {}.{}, this client {}.{}".format(
            self.version, *self.api_min, *self.api_max, *API
        )
        if self.api_max < API:
            hint = "update the engine: `pip install --upgrade vesalius`"
            raise VersionMismatch("version_unsupported", spoken, hint)
        if self.api_min > API:
            raise VersionMismatch("version_unsupported", spoken, "update this extension")


def _version(text: str) -> Tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)


def _read_private(folder: Path, name: str) -> bytes:
    """A file that only this user can have written, in a folder of the same kind."""
    _check_private(folder, folder.lstat(), stat.S_ISDIR)
    path = folder / name
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        _check_private(path, os.fstat(handle), stat.S_ISREG)
        return file.read(MOST_BYTES)


def _check_private(path: Path, found: os.stat_result, is_kind) -> None:
    """Windows keeps others out of a user's local data by itself; its mode bits tell nothing."""
    owner = getattr(os, "geteuid", lambda: found.st_uid)()
    is_open = os.name == "posix" and found.st_mode & 0o077
    if not is_kind(found.st_mode) or found.st_uid != owner or is_open:
        raise _untrusted(path)


def _untrusted(path: Path) -> EngineUntrusted:
    message = f"`{path}` is not yours alone: another user may have written it"
    return EngineUntrusted("engine_untrusted", message, "remove it, then start the engine again")
