"""Segment medical images with the Vesalius engine of this computer.

`segment` does it in one call; `Client` and `Steps` do it in short steps, for programs with a window.
Only the standard library is used, and NumPy by `segment`.
"""

from .client import Client, Image, Result
from .endpoint import Endpoint, home_folder
from .errors import (
    Cancelled,
    ConnectionLost,
    EngineMissing,
    EngineUntrusted,
    Refused,
    VersionMismatch,
    VesaliusError,
)
from .steps import Progress, Steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .script import segment


def __getattr__(name: str):
    """NumPy is only loaded for `segment`."""
    if name == "segment":
        from .script import segment

        return segment
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "Cancelled",
    "Client",
    "ConnectionLost",
    "Endpoint",
    "EngineMissing",
    "EngineUntrusted",
    "Image",
    "Progress",
    "Refused",
    "Result",
    "Steps",
    "VersionMismatch",
    "VesaliusError",
    "home_folder",
    "segment",
]
