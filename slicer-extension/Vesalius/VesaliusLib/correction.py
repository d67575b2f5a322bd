"""Correction of a segmentation, as the user goes about it: point, undo, lock, accept. A timer drives it.

    closed -> opening -> ready <-> working

What goes wrong leaves it ready for the next try, or closed where there is no session. Positions are those of the
scene, in RAS millimetres.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Sequence, Set, Tuple

import numpy as np
import slicer

from . import limits, picking, scene, surfaces
from .driver import Driver, is_cancellation
from .editing import Editing
from .layers import Layers
from .link import OTHERS, Link
from .process import Engine
from .vesalius import VesaliusError, geometry, sessions
from .vesalius.sessions import ADD
from .vesalius.steps import Work
from .watch import Watch

CLOSED, OPENING, READY, WORKING = "closed", "opening", "ready", "working"
Point = Sequence[float]
# How far the boundary of a structure is moved to edges, in millimetres.
SNAP_MM = 3.0


class Correction:
    """One segmentation under correction. `on_change` is called after each change of what the attributes tell."""

    def __init__(self, engine: Engine, on_change: Callable[[], None] = lambda: None) -> None:
        self.engine = engine
        self.on_change = on_change
        self.driver = Driver()
        self.state = CLOSED
        # One plain sentence about what happened last, without its period.
        self.message = ""
        self.error: Optional[VesaliusError] = None
        self._editing: Optional[Editing] = None
        self._volume, self._node = "", ""
        # Pieces of work that have not ended.
        self._waiting = 0
        self._watch = Watch(self._node_goes, self._scene_closes)

    # What can be seen.

    @property
    def is_open(self) -> bool:
        """Whether there is a session."""
        return self._editing is not None and self.state in (READY, WORKING)

    @property
    def _link(self) -> Optional[Link]:
        return self._editing.link if self._editing is not None else None

    @property
    def _layers(self) -> Optional[Layers]:
        """The segments, once they were looked at and while they are there."""
        return self._link.layers if self._link is not None and self.node is not None else None

    @property
    def node(self) -> Optional[Any]:
        """The segmentation, if it is still there."""
        return slicer.mrmlScene.GetNodeByID(self._node) if self._node else None

    @property
    def volume(self) -> Optional[Any]:
        """The image, if it is still there."""
        return slicer.mrmlScene.GetNodeByID(self._volume) if self._volume else None

    @property
    def steps(self) -> Tuple[int, int]:
        """Steps that can be taken back, and made again."""
        return (self._link.undo, self._link.redo) if self._link else (0, 0)

    @property
    def answers(self) -> Tuple[int, int]:
        """The answer that is shown, counted from 1, and how many there are for the last prompt."""
        return self._editing.answers if self._editing is not None else (0, 0)

    @property
    def places(self) -> List[Dict[str, Any]]:
        """Places that deserve a look, the gravest first, as they were when they were looked for."""
        return self._editing.places if self._editing is not None else []

    @property
    def place(self) -> Optional[Dict[str, Any]]:
        """The one that was gone to last."""
        editing = self._editing
        return editing.places[editing.place] if editing is not None and editing.place is not None else None

    def describe(self, place: Dict[str, Any]) -> str:
        """A doubtful place in words."""
        return self._editing.describe(place) if self._editing is not None else ""

    def point_of(self, place: Dict[str, Any]) -> Point:
        """Where it is."""
        return scene.lps_to_world(self.volume, place["position"])

    def progress(self) -> Tuple[int, int]:
        """Structures that are accepted, and all."""
        if self._link is None or self.node is None:
            return 0, 0
        logic, segmentation = slicer.vtkSlicerSegmentationsModuleLogic, self.node.GetSegmentation()
        statuses = [logic.GetSegmentStatus(segmentation.GetSegment(each)) for each in segmentation.GetSegmentIDs()]
        return statuses.count(logic.Completed), len(statuses)

    def name(self, value: int) -> str:
        """What the user calls a structure."""
        return self._layers.name(value) if self._layers is not None else str(value)

    def values(self) -> Dict[str, int]:
        """The structures' values, by ids of segments."""
        return dict(self._layers.values) if self._layers is not None else {}

    def is_locked(self, value: int) -> bool:
        """Whether the user has locked a structure."""
        return self._layers is not None and value in limits.locked(self._layers)

    def near(self, point: Point) -> int:
        """The structure under a point, or else the nearest within 10 mm; 0 where there is none."""
        picked = self._picked(point)
        return picked.value if picked is not None else 0

    # What the user wants.

    def open(self, volume: Any, node: Any, job: str = "") -> None:
        """Begins, or goes on, with these nodes; `job` is the engine's that made the one from the other, if known."""
        if self._editing is not None and (self._volume, self._node) == (volume.GetID(), node.GetID()):
            return
        self.close()
        self._volume, self._node = volume.GetID(), node.GetID()
        link = Link(self.engine, job)
        self._editing = Editing(link, volume)
        self._run(link.open(volume, node), OPENING, "preparing")

    def close(self, forgets: bool = False) -> None:
        """Ends it; what was painted last stays in the scene. `forgets`: the engine deletes the session, too."""
        link, self._editing = self._link, None
        self._waiting = 0
        self.driver.cancel()
        if link is not None:
            self.driver.run(_closed(link, forgets))
        self._volume = self._node = ""
        self.error = None
        self._set(CLOSED, "")

    def end(self) -> None:
        """For the end of the module."""
        self.close()
        self.driver.wait(timeout=1.0)
        self.driver.abandon()
        self._watch.end()

    def click(self, point: Point, sign: str = ADD, value: int = 0) -> None:
        """Adds what lies at a point to a structure, or removes it; 0: the structure under it or nearest."""
        if self.volume is not None:
            self._prompt(sessions.point(scene.world_to_lps(self.volume, [point])[0]), sign, value or self.near(point))

    def scribble(self, points: Sequence[Point], radius_mm: float, sign: str = ADD, value: int = 0) -> None:
        """The same for all along a line."""
        if self.volume is not None:
            shape = sessions.scribble(scene.world_to_lps(self.volume, points), radius_mm)
            self._prompt(shape, sign, value or self.near(points[0]))

    def box(self, roi: Any, sign: str = ADD, value: int = 0) -> None:
        """The same inside a box of the markups module, and nowhere else."""
        if self.volume is not None:
            region = scene.region_of(roi, self.volume)
            corners = np.array([[low for low, _ in region], [high - 1 for _, high in region]], float)
            middle = corners.mean(axis=0, keepdims=True)
            matrix = geometry.other_space(scene.ijk_to_ras(self.volume))
            at = scene.lps_to_world(self.volume, geometry.to_world(matrix, middle)[0])
            self._prompt(sessions.box(geometry.to_world(matrix, corners)), sign, value or self.near(at))

    def choose(self, step: int) -> bool:
        """Another answer to the last prompt, larger or smaller; whether there are any."""
        editing, (shown, count) = self._editing, self.answers
        if editing is None or count < 2:
            return False
        wanted = min(max(shown - 1 + step, 0), count - 1)
        if wanted != shown - 1:
            is_under_way, editing.wanted = editing.wanted is not None, wanted
            if is_under_way:
                self.on_change()
            else:
                self._do(Editing.choose, "looking at another answer")
        return True

    def undo(self) -> None:
        """Takes the last change back, whether a prompt made it or a brush."""
        self._do(Editing.undo, "taking back")

    def redo(self) -> None:
        """Makes the last change again that was taken back."""
        self._do(Editing.redo, "making again")

    def lock(self, value: int) -> None:
        """Locks a structure, or unlocks it: it neither grows nor shrinks."""
        segment = self._layers.segment(value) if self._layers is not None else None
        if segment is not None:
            is_locked = not self.is_locked(value)
            limits.lock(segment, is_locked)
            told = f"{segment.GetName()} is {'locked' if is_locked else 'unlocked'}"
            self._do(lambda editing: editing.lock(told), told)

    def accept(self, value: Optional[int] = None) -> None:
        """Says that a structure is right, or that all are."""
        self._do(lambda editing: editing.accept(value), "accepting")

    def refine(self) -> None:
        """Takes what was painted for a hint, and finds how far it goes."""
        self._do(Editing.refine, "refining what was painted")

    def next_place(self, step: int = 1) -> None:
        """Goes to the next place that deserves a look."""
        self._do(lambda editing: editing.next_place(step), "looking for doubtful places")

    def keep(self, point: Point, value: int = 0) -> None:
        """Keeps, of a structure, only the piece at a point; 0: of the structure under it or nearest."""
        self._piece(sessions.keep, point, value, "only this piece stays")

    def drop(self, point: Point, value: int = 0) -> None:
        """Removes the piece of a structure at a point."""
        self._piece(sessions.drop, point, value, "this piece goes")

    def snap(self, value: int) -> None:
        """Moves the boundary of a structure to edges of the image."""
        self._tool(sessions.snap(value, SNAP_MM), f"the boundary of {self.name(value)} moves to edges")

    def fill(self, value: int) -> None:
        """Fills the slices between those in which a structure was drawn."""
        self._tool(sessions.fill(value), f"slices of {self.name(value)} are filled")

    def ask(self, network: str) -> None:
        """Asks a network about the last prompt, and shows its answer; anything else that is done ends the question."""
        self._do(lambda editing: editing.ask(network), f"{network} is asked; a click or Esc ends that")

    def stop_asking(self) -> bool:
        """Waits no more for a network; whether it did."""
        is_asking = self._editing is not None and self._editing.is_asking
        if is_asking:
            self.driver.stop()
        return is_asking

    def would(self, point: Point, sign: str, value: int) -> Optional[Tuple[str, int, Dict[str, Any]]]:
        """The session, its revision, and the prompt that a click would be; None while there is something else to do."""
        link, layers = self._link, self._layers
        if link is None or layers is None or self.state != READY or self.driver.is_busy:
            return None
        if not value or self.is_locked(value):
            return None
        shape = sessions.point(scene.world_to_lps(self.volume, [point])[0])
        return link.session, link.revision, limits.of(layers, value).within(sessions.prompt(shape, sign, value))

    def follow(self) -> None:
        """Looks whether another viewer has changed something meanwhile; quietly, and only when nothing else is done."""
        editing = self._editing
        if editing is not None and self.state == READY and not self.driver.is_busy:
            self.driver.run(editing.link.catch_up(), lambda _: self._followed(editing))

    def _followed(self, editing: Editing) -> None:
        if editing is self._editing and editing.link.touched:
            touched, editing.link.touched = editing.link.touched, set()
            self._edited(editing.link, touched)
            self._set(self.state, OTHERS)

    def _picked(self, point: Point, value: int = 0) -> Optional[picking.Picked]:
        layers, mirror = self._layers, self._link.mirror if self._link is not None else None
        if layers is None or mirror is None or self.volume is None:
            return None
        return picking.near(self.volume, layers, mirror, point, value)

    def _piece(self, tool: Callable[[int, Point], Dict[str, Any]], point: Point, value: int, message: str) -> None:
        picked = self._picked(point, value)
        if picked is not None:
            self._tool(tool(*picked), f"{self.name(picked.value)}: {message}")
        elif self._editing is not None:
            self.error = VesaliusError("invalid", f"there is no {self.name(value) if value else 'structure'} near")
            self._set(self.state, self.error.message)

    def _tool(self, action: Dict[str, Any], message: str) -> None:
        self._do(lambda editing: editing.tool(action), message)

    def _do(self, work: Callable[[Editing], Work], message: str) -> None:
        self.stop_asking()
        if self._editing is not None:
            self._run(work(self._editing), WORKING, message)

    def _prompt(self, shape: Dict[str, Any], sign: str, value: int) -> None:
        what = self.name(value) if value else "what lies there"
        action = sessions.prompt(shape, sign, value or None)
        self._do(lambda editing: editing.prompt(action, value), f"{what} {'grows' if sign == ADD else 'shrinks'}")

    # What the driver tells.

    def _run(self, work: Work, state: str, message: str) -> None:
        editing, self.error = self._editing, None
        self._waiting += 1
        done = lambda told: self._finished(editing, told)  # noqa: E731
        self.driver.run(work, done, lambda error: self._failed(editing, error))
        self._set(OPENING if self.state == OPENING else state, message)

    def _finished(self, editing: Editing, told: Optional[str]) -> None:
        if editing is not self._editing:
            return
        self._waiting -= 1
        link = editing.link
        touched, link.touched = link.touched, set()
        notices, link.notices = link.notices, []
        self._edited(link, touched)
        self._set(READY if self._waiting == 0 else WORKING, "; ".join(filter(None, [told, *dict.fromkeys(notices)])))

    def _failed(self, editing: Editing, error: VesaliusError) -> None:
        if editing is not self._editing:
            return
        self._waiting, editing.wanted = max(0, self._waiting - 1), None
        if is_cancellation(error):
            is_last = self._waiting == 0
            self._set(READY if is_last else WORKING, "stopped" if is_last else self.message)
        elif self.state == OPENING or self.node is None or self.volume is None:
            self.close()
            self.error = error
            self._set(CLOSED, error.message)
        else:
            self.error = error
            self._set(READY if self._waiting == 0 else WORKING, error.message)

    def _edited(self, link: Link, touched: Set[int]) -> None:
        """What follows from changed voxels: the status, and the surfaces."""
        logic, segmentation = slicer.vtkSlicerSegmentationsModuleLogic, link.layers.segmentation
        ids = [each for each, value in link.layers.values.items() if value in touched]
        for each in ids:
            segment = segmentation.GetSegment(each)
            if segment is not None and logic.GetSegmentStatus(segment) != logic.InProgress:
                logic.SetSegmentStatus(segment, logic.InProgress)
        if ids:
            self.driver.run(surfaces.renew(link.layers.node, ids))

    def _set(self, state: str, message: str) -> None:
        self.state, self.message = state, message
        self.on_change()

    # What the user does meanwhile.

    def _node_goes(self, node: Any) -> None:
        if self._editing is not None and node.GetID() in (self._volume, self._node):
            self.close(forgets=True)

    def _scene_closes(self) -> None:
        if self._editing is not None:
            self.close(forgets=True)


def _closed(link: Link, forgets: bool) -> Work[None]:
    """Ends a session's connection, once nothing is asked over it any more."""
    if forgets:
        yield from link.forget()
    link.close()
