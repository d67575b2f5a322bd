"""Keeps the segments of a node and the engine's session equal, whoever changes either.

The mirror holds the labels of the session at the revision that was seen last. What differs from it in the segments was
done by the user, with Slicer's own brush, and goes to the engine before anything else; what the engine changes is
written into both.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Set

import numpy as np
import slicer

from . import limits, scene
from .layers import Layers, between
from .process import Engine
from .vesalius import Client, ConnectionLost, EngineMissing, Refused, VesaliusError, geometry, sessions
from .vesalius import delta as deltas
from .vesalius.delta import Delta
from .vesalius.steps import GO_ON, Work

# Attribute and role of the segmentation: its session, and the volume that it is about.
SESSION, ABOUT = "Vesalius.Session", "Vesalius.SessionVolume"
OTHERS = "another viewer has changed something meanwhile"
# How often something is tried again that came at a bad moment.
PATIENCE = 4
GONE, STALE, FORGOTTEN, IS_LOCKED = "not_found", "stale", "forgotten", "locked"


class Link:
    """One session. Its work must be run one after the other."""

    def __init__(self, engine: Engine, job: str = "") -> None:
        """`job` made the segments from the volume as it is, and the engine may still know more about it."""
        self._engine = engine
        self._job = job
        self._client: Optional[Client] = None
        self._volume = ""
        self.session = ""
        # What the engine said last.
        self.revision = 0
        self.rows: Dict[int, Dict[str, Any]] = {}
        self.candidates: List[Dict[str, Any]] = []
        self.chosen: Optional[int] = None
        self.label: Optional[int] = None
        # Steps that can be taken back, and made again.
        self.undo, self.redo = 0, 0
        # Values that were changed since this was cleared, and what to tell the user about it.
        self.touched: Set[int] = set()
        self.notices: List[str] = []
        # Both are there from the first step of `open` on.
        self.layers: Layers = None  # type: ignore[assignment]
        self.mirror: np.ndarray = None  # type: ignore[assignment]

    # Beginning and end.

    def open(self, volume: Any, node: Any) -> Work[None]:
        """Goes on with the session that the node remembers, or begins one."""
        self._volume = volume.GetID()
        self.layers = Layers(volume, node)
        self.session = node.GetAttribute(SESSION) or ""
        if self.session and node.GetNodeReferenceID(ABOUT) == volume.GetID():
            try:
                if (yield from self._resume()):
                    return
            except Refused as error:
                if error.code != GONE:
                    raise
        yield from self._begin()

    def close(self) -> None:
        """Ends the connection; the engine keeps the session."""
        if self._client is not None:
            self._client.close()
        self._client = None

    def forget(self) -> Work[None]:
        """Has the engine delete the session, if an engine runs."""
        session, self.session = self.session, ""
        if session and self._engine.is_running():
            try:
                yield from self._ask(lambda client: sessions.end(client, session))
            except VesaliusError:
                # It goes by itself after some days.
                pass

    # What is done.

    def flush(self, seconds: float = 0.0) -> Work[bool]:
        """Sends what the user's own brush did; whether there was anything."""
        for _ in range(PATIENCE):
            found = yield from self.layers.changes(self.mirror)
            locked = {value for value, row in self.rows.items() if row.get("locked")}
            found, refused = limits.touching(found, locked, self.layers.dims) if locked else (found, None)
            if refused is not None and not refused.is_empty:
                yield from self._take_back(refused)
            if found.is_empty:
                return False
            try:
                yield from self._operate("foreign", seconds, found)
                return True
            except Refused as error:
                if error.code not in (STALE, IS_LOCKED):
                    raise
                yield from self._take_in_others()
        raise _unsettled()

    def operate(self, action: Any, seconds: float = 0.0, delta: Optional[Delta] = None) -> Work[Delta]:
        """Does something; gives what it changed. What the user has painted meanwhile is the caller's to flush first."""
        for _ in range(PATIENCE):
            before = self.revision
            try:
                return (yield from self._operate(action, seconds, delta))
            except Refused as error:
                if error.code != STALE:
                    raise
                yield from self._take_in_others()
                if self.revision == before or delta is not None:
                    raise _unsettled() from error
        raise _unsettled()

    def lock_as_wanted(self) -> Work[None]:
        """Tells the engine which structures the user has locked or unlocked in the scene."""
        wanted = limits.locked(self.layers)
        for value in sorted(set(self.layers.values.values())):
            if (value in wanted) != bool(self.rows.get(value, {}).get("locked")):
                yield from self.operate({"lock": [value, value in wanted]})
                self.rows.setdefault(value, {"value": value})["locked"] = value in wanted

    def places(self, most: int) -> Work[List[Dict[str, Any]]]:
        """Places that deserve a look, the gravest first."""
        answer = yield from self._in_session(lambda client, session: sessions.suspicious(client, session, most))
        return answer["places"]

    def propose(self, network: str) -> Work[Dict[str, Any]]:
        """Asks a network about the newest prompt; the labels stay as they are."""
        answer = yield from self._in_session(
            lambda client, session: sessions.propose(client, session, self.revision, network)
        )
        self.candidates, self.chosen, self.label = answer["candidates"], answer["chosen"], answer["label"]
        return answer

    def catch_up(self) -> Work[None]:
        """Takes in what happened to the session meanwhile, such as in another viewer."""
        try:
            missed = yield from self._in_session(lambda client, at: sessions.events(client, at, self.revision))
        except Refused as error:
            if error.code != FORGOTTEN:
                raise
            yield from self._all_again()
            missed = []
        for event in missed:
            yield from self._enter(event)
        view = yield from self._in_session(sessions.get)
        self._note(view)

    def _take_in_others(self) -> Work[None]:
        before = self.revision
        yield from self.catch_up()
        if self.revision != before:
            self.notices.append(OTHERS)

    # How it is done.

    def _operate(self, action: Any, seconds: float, delta: Optional[Delta] = None) -> Work[Delta]:
        made = sessions.operation(self.revision, action, seconds, delta)
        began = self.session

        def question(client: Client, session: str) -> Work[Dict[str, Any]]:
            if session != began:
                # The session was begun anew, from the segments as they are: the operation is for another revision.
                made["base"] = self.revision
            return sessions.operate(client, session, made)

        answer = yield from self._in_session(question)
        event = answer["event"]
        if event["revision"] > self.revision + 1:
            yield from self._take_in_others()
        yield from self._enter(event)
        self._note(answer)
        return deltas.decode(bytes.fromhex(event["delta"]))

    def _enter(self, event: Dict[str, Any]) -> Work[None]:
        """Makes the change of an event, if it is the next one."""
        if event["revision"] != self.revision + 1:
            return
        delta = deltas.decode(bytes.fromhex(event["delta"]))
        if not (yield from self._fits(delta)):
            yield from self._all_again()
            return
        self.touched |= yield from self.layers.write(delta, self.mirror)
        self.revision = event["revision"]

    def _fits(self, delta: Delta) -> Work[bool]:
        flat = self.mirror.reshape(-1)
        for place, old, _ in delta.pieces(self.layers.dims):
            if not (flat[place] == old).all():
                return False
            yield GO_ON
        return True

    def _take_back(self, delta: Delta) -> Work[None]:
        """Undoes what was painted over locked structures, in the segments only."""
        found = {value for change in delta.changes() for value in change}
        names = [self.layers.name(value) for value in sorted(found) if self.rows.get(value, {}).get("locked")]
        self.notices.append(f"{' and '.join(names)} is locked: what was painted there was taken back")
        self.touched |= yield from self.layers.write(delta.inverted())

    def _all_again(self) -> Work[None]:
        """Fetches all labels; what the user painted since stays."""
        fresh = np.empty_like(self.mirror)
        room = memoryview(fresh.reshape(-1))
        revision = yield from self._in_session(lambda client, session: sessions.labels(client, session, room))
        mirror = self.mirror
        change = yield from between(lambda k: mirror[k], lambda k: fresh[k], self.layers.dims)
        self.touched |= yield from self.layers.write(change, self.mirror)
        self.revision = revision

    def _note(self, view: Dict[str, Any]) -> None:
        """What the engine says besides labels."""
        for row in view.get("structures", ()):
            self.rows[row["value"]] = row
        self.candidates, self.chosen = view.get("candidates") or [], view.get("chosen")
        self.label = view.get("label")
        self.undo, self.redo = view.get("undo", 0), view.get("redo", 0)

    # The session.

    def _begin(self) -> Work[None]:
        """Begins a session with the segments as they are."""
        volume = self._image()
        if self._job and (yield from self._begin_with_job()):
            return
        image = scene.read_image(volume)
        self.mirror = yield from self.layers.compose()
        room, rows = memoryview(self.mirror.reshape(-1)), self.layers.structures()
        view = yield from self._ask(lambda client: sessions.begin(client, image.header, image.voxels, room, rows))
        if not image.is_current():
            raise VesaliusError("volume_changed", "the volume was changed while it was sent", "try again")
        self.rows = {}
        self.session, self.revision = view["id"], view["revision"]
        self._note(view)
        self._remember()

    def _begin_with_job(self) -> Work[bool]:
        """Begins with the labels of the job; what was painted since goes to the session like any other paint."""
        rows, job = self.layers.structures(ours=False), self._job
        try:
            view = yield from self._ask(lambda client: sessions.begin_with_job(client, job, rows))
        except Refused:
            # It was forgotten with its volume, after an hour.
            return False
        self.rows, self.session = {}, view["id"]
        if not (yield from self._go_on(view)):
            return False
        self._remember()
        return True

    def _resume(self) -> Work[bool]:
        """Goes on with the session that the node remembers, unless the segments were made anew since."""
        view = yield from self._ask(lambda client: sessions.get(client, self.session))
        if self._job and view.get("job") != self._job:
            yield from self.forget()
            return False
        return (yield from self._go_on(view))

    def _go_on(self, view: Dict[str, Any]) -> Work[bool]:
        """Takes the labels of a session; False when it is about another image."""
        matrix = geometry.other_space(scene.ijk_to_ras(self._image()))
        is_same = np.allclose(view["ijk_to_world"], matrix.ravel(), rtol=0.0, atol=1e-4)
        if list(view["dims"]) != list(self.layers.dims) or not is_same:
            return False
        self.mirror = np.empty(self.layers.dims[::-1], np.uint8)
        room = memoryview(self.mirror.reshape(-1))
        self.revision = yield from self._ask(lambda client: sessions.labels(client, self.session, room))
        self._note(view)
        yield from self.catch_up()
        return True

    def _remember(self) -> None:
        node = self.layers.node
        node.SetAttribute(SESSION, self.session)
        node.SetNodeReferenceID(ABOUT, self._volume)

    def _image(self) -> Any:
        return node_of(self._volume)

    def _in_session(self, question: Callable[[Client, str], Work]) -> Work[Any]:
        """Asks about the session; one that is gone is begun anew."""
        try:
            return (yield from self._ask(lambda client: question(client, self.session)))
        except Refused as error:
            if error.code != GONE:
                raise
        yield from self._begin()
        self.notices.append("the engine had forgotten the earlier steps, which cannot be undone any more")
        return (yield from self._ask(lambda client: question(client, self.session)))

    def _ask(self, question: Callable[[Client], Work]) -> Work[Any]:
        """Asks an engine, which is started again where it has ended."""
        for attempt in range(PATIENCE):
            try:
                if self._client is None:
                    self._client = yield from self._engine.connected()
                return (yield from question(self._client))
            except (EngineMissing, ConnectionLost) as error:
                self.close()
                if attempt + 1 == PATIENCE or error.code not in ("engine_missing", "connection_lost"):
                    raise
        raise _unsettled()


def node_of(node_id: str) -> Any:
    """A volume that must still be there."""
    volume = slicer.mrmlScene.GetNodeByID(node_id)
    if volume is None:
        raise VesaliusError("node_gone", "the volume is not in the scene any more", "choose another")
    return volume


def _unsettled() -> VesaliusError:
    message = "another viewer changes the same segmentation, faster than it can be followed"
    return VesaliusError(STALE, message, "nothing was changed; wait a moment, and try again")
