"""Why something could not be done: a stable code for programs, a sentence and a hint for people."""

from __future__ import annotations


class VesaliusError(Exception):
    """Anything that went wrong; `str(error)` is the sentence.

    `code` is stable, those of the engine stand in `docs/server.md`; `hint` says what to do next and may be empty.
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


class Refused(VesaliusError):
    """The engine said no, or a job failed; in the engine's own words."""


class EngineMissing(VesaliusError):
    """No engine runs here, or it ended."""


class EngineUntrusted(VesaliusError):
    """What answers, or the file that tells where it is, may be somebody else's: nothing was sent."""


class VersionMismatch(VesaliusError):
    """Engine and client are of versions that do not understand each other."""


class ConnectionLost(VesaliusError):
    """The connection broke, or nothing came for too long."""


class Cancelled(VesaliusError):
    """The user asked to stop."""

    def __init__(self) -> None:
        super().__init__("cancelled", "cancelled")
