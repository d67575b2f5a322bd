"""A segmentation under correction, as the engine keeps it: see "Sessions over HTTP" in `docs/correction.md`.

All of it is work for `Steps`, as in `client`. Points are LPS millimetres in the frame of the volume that was sent.
"""

from __future__ import annotations

import uuid
from typing import Any, Dict, List, Mapping, Optional, Sequence

from .client import Client
from .delta import Delta
from .errors import VesaliusError
from .steps import Work, whole

Point = Sequence[float]
ADD, REMOVE = "add", "remove"
# Seconds that a large network may take without a graphics card.
NETWORK_PATIENCE = 1800.0


def begin(
    client: Client,
    header: Mapping[str, Any],
    voxels: memoryview,
    labels: memoryview,
    structures: Sequence[Mapping[str, Any]],
) -> Work[Dict[str, Any]]:
    """Begins a session about a volume and a label map of as many bytes; gives what `GET /v1/sessions/ID` does.

    `header` is that of `POST /v1/volumes`. The session keeps what it needs: neither volume stays behind.
    """
    volumes: List[str] = []
    try:
        plain = {name: value for name, value in header.items() if name != "modality"}
        for head, data in ((header, voxels), ({**plain, "dtype": "uint8"}, labels)):
            created, cancelled = yield from whole(client.ask("POST", "/v1/volumes", head))
            volumes.append(created["id"])
            if cancelled:
                raise cancelled
            yield from client.upload(created["id"], data.cast("B"))
        asked = {"volume": volumes[0], "labels": volumes[1], "structures": list(structures)}
        session, cancelled = yield from whole(client.ask("POST", "/v1/sessions", asked))
        if cancelled:
            yield from end(client, session["id"])
            raise cancelled
    except VesaliusError:
        yield from _forget(client, volumes)
        raise
    yield from _forget(client, volumes)
    return session


def begin_with_job(client: Client, job: str, structures: Sequence[Mapping[str, Any]]) -> Work[Dict[str, Any]]:
    """Begins a session with what a job found and with the volume it was given, if the engine still has both.

    The engine may know then what the network would have said second, and nothing is sent again.
    """
    asked = {"job": job, "structures": list(structures)}
    session, cancelled = yield from whole(client.ask("POST", "/v1/sessions", asked))
    if cancelled:
        yield from end(client, session["id"])
        raise cancelled
    return session


def _forget(client: Client, volumes: Sequence[str]) -> Work[None]:
    for volume in volumes:
        try:
            yield from client.forget(volume)
        except VesaliusError:
            # It goes by itself after an hour.
            pass


def get(client: Client, session: str) -> Work[Dict[str, Any]]:
    """A session as it is now."""
    return client.ask("GET", f"/v1/sessions/{session}")


def end(client: Client, session: str) -> Work[None]:
    """Forgets labels and history."""
    return client.ask("DELETE", f"/v1/sessions/{session}")


def labels(client: Client, session: str, into: memoryview) -> Work[int]:
    """Puts all labels into memory, one byte a voxel; gives their revision."""
    headers = yield from client.read(f"/v1/sessions/{session}/labels", into)
    return int(headers["X-Vesalius-Revision"])


def events(client: Client, session: str, since: int) -> Work[List[Dict[str, Any]]]:
    """What happened after a revision; refused as `forgotten` where that is not known any more."""
    return client.lines(f"/v1/sessions/{session}/events?since={since}")


def suspicious(client: Client, session: str, most: int) -> Work[Dict[str, Any]]:
    """Places that deserve a look, the gravest first."""
    return client.ask("GET", f"/v1/sessions/{session}/suspicious?most={most}")


def hover(client: Client, session: str, action: Mapping[str, Any]) -> Work[Dict[str, Any]]:
    """What the action of a prompt would do at least, without doing it."""
    return client.ask("POST", f"/v1/sessions/{session}/hover", action)


def propose(client: Client, session: str, base: int, network: str) -> Work[Dict[str, Any]]:
    """Asks a network about the newest prompt; its answer is the last of the candidates, where it has one."""
    with client.patient(NETWORK_PATIENCE):
        return (yield from client.ask("POST", f"/v1/sessions/{session}/propose", {"base": base, "network": network}))


def operate(client: Client, session: str, operation: Mapping[str, Any]) -> Work[Dict[str, Any]]:
    """Does what `operation` made; the same one may be sent again after an answer was lost."""
    return client.ask("POST", f"/v1/sessions/{session}/operations", operation)


def operation(base: int, action: Any, seconds: float = 0.0, delta: Optional[Delta] = None) -> Dict[str, Any]:
    """An operation with a name of its own, for the revision that the user saw."""
    made = {"operation": str(uuid.uuid4()), "base": base, "seconds": round(seconds, 2), "action": action}
    return made if delta is None else {**made, "delta": delta.encode().hex()}


def point(at: Point) -> Dict[str, Any]:
    """The shape of a click."""
    return {"point": _numbers(at)}


def scribble(points: Sequence[Point], radius_mm: float) -> Dict[str, Any]:
    """The shape of a line with half its width."""
    return {"scribble": {"points": [_numbers(each) for each in points], "radius_mm": float(radius_mm)}}


def box(corners: Sequence[Point]) -> Dict[str, Any]:
    """The shape of a box with two opposite corners, its faces along the image's axes."""
    return {"box": {"corners": [_numbers(each) for each in corners]}}


def prompt(shape: Mapping[str, Any], sign: str, label: Optional[int]) -> Dict[str, Any]:
    """The action that answers a prompt; without a label it is about what lies there, or nearest within 10 mm."""
    return {"prompt": {"shape": dict(shape), "sign": sign, "label": label}}


def snap(label: int, within_mm: float) -> Dict[str, Any]:
    """The action that moves a structure's boundary to edges of the image."""
    return {"tool": {"snap": {"label": label, "within_mm": within_mm}}}


def fill(label: int) -> Dict[str, Any]:
    """The action that fills the slices between those in which a structure was drawn."""
    return {"tool": {"fill": {"label": label}}}


def keep(label: int, at: Point) -> Dict[str, Any]:
    """The action that keeps only what hangs together with a place in a structure."""
    return {"tool": {"keep": {"label": label, "at": _numbers(at)}}}


def drop(label: int, at: Point) -> Dict[str, Any]:
    """The action that drops what hangs together with a place in a structure."""
    return {"tool": {"drop": {"label": label, "at": _numbers(at)}}}


def _numbers(at: Point) -> List[float]:
    return [float(value) for value in at]
