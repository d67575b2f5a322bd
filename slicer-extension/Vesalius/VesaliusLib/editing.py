"""What a user does to a segmentation, as work for a driver: prompts and their other answers, undo, accept, refine.

Each work gives a sentence, without its period, about what it did.
"""

from __future__ import annotations

import time
from typing import Any, Dict, List, Optional, Tuple

import slicer

from . import limits, link, scene, strokes
from .link import Link
from .vesalius import Refused, geometry, sessions
from .vesalius.delta import Delta
from .vesalius.sessions import ADD, REMOVE
from .vesalius.steps import Work

# Longer pauses between two actions are no work.
LONGEST_PAUSE = 15.0
PLACES = 20


class Editing:
    """The steps of one user in one session."""

    def __init__(self, link_: Link, volume: Any) -> None:
        self.link = link_
        self._volume = volume.GetID()
        # Places that deserve a look, and which of them is shown.
        self.places: List[Dict[str, Any]] = []
        self.place: Optional[int] = None
        # The answer that the wheel stands at, until it is there.
        self.wanted: Optional[int] = None
        self._target = 0
        # What the last prompt and the wheel changed.
        self._changes: List[Delta] = []
        # Steps of the engine that are one step to the user, with the revision after them.
        self._done: List[Tuple[int, int]] = []
        self._undone: List[int] = []
        self._acted = time.monotonic()

    @property
    def answers(self) -> Tuple[int, int]:
        """The answer that is shown, counted from 1, and how many there are for the last prompt."""
        if self.link.chosen is None:
            return 0, 0
        return (self.link.chosen if self.wanted is None else self.wanted) + 1, len(self.link.candidates)

    def prompt(self, action: Dict[str, Any], value: int) -> Work[str]:
        """Answers a prompt about a structure."""
        yield from self.settle()
        yield from self._locked()
        self.wanted = None
        delta = yield from self._prompt(action, value)
        return self._told(delta)

    def choose(self) -> Work[str]:
        """Other answers to the last prompt, until it is the one that the wheel stands at."""
        link_, told = self.link, ""
        while self.wanted is not None and self.wanted != link_.chosen:
            wanted, candidates = self.wanted, link_.candidates
            if self._done and self._done[-1][0] == 2:
                # What the masking forbids was taken back in a step of its own.
                yield from link_.operate("undo")
            delta = yield from link_.operate({"choose": wanted}, self._seconds())
            candidates = link_.candidates or candidates
            count = yield from self._trim(delta)
            link_.candidates, link_.chosen = candidates, wanted
            self._done[-1:] = [(1 + count, link_.revision)]
            told = self._told(delta)
        self.wanted = None
        return told

    def undo(self) -> Work[str]:
        """Takes the last change back, whether a prompt made it or a brush."""
        yield from self.settle()
        is_newest = self._is_newest
        count = self._done.pop()[0] if is_newest else 1
        for _ in range(count):
            yield from self.link.operate("undo", self._seconds())
        self._undone.append(count)
        self._stays_newest(is_newest)
        return "taken back"

    def redo(self) -> Work[str]:
        """Makes the last change again that was taken back."""
        yield from self.settle()
        count = self._undone.pop() if self._undone else 1
        for _ in range(count):
            yield from self.link.operate("redo", self._seconds())
        self._done.append((count, self.link.revision))
        return "made again"

    def lock(self, told: str) -> Work[str]:
        """Tells the engine what the user has locked in the scene."""
        yield from self.settle()
        yield from self._locked()
        return told

    def accept(self, value: Optional[int]) -> Work[str]:
        """Says that a structure is right, or that all are; Slicer shows it as the segment's status."""
        yield from self.settle()
        is_newest = self._is_newest
        yield from self.link.operate({"accept": value}, self._seconds())
        self._stays_newest(is_newest)
        logic, layers = slicer.vtkSlicerSegmentationsModuleLogic, self.link.layers
        for each, other in layers.values.items():
            if value in (None, other):
                logic.SetSegmentStatus(layers.segmentation.GetSegment(each), logic.Completed)
        return f"{layers.name(value)} is accepted" if value else "all structures are accepted"

    def refine(self) -> Work[str]:
        """Takes what was painted for scribbles, and finds how far they go."""
        link_, grown = self.link, 0
        painted = yield from link_.layers.changes(link_.mirror)
        if painted.is_empty:
            return "nothing was painted since the correction began: use Paint or Erase of the Segment Editor"
        yield from self._locked()
        matrix = geometry.other_space(scene.ijk_to_ras(self._image))
        for value, adds, voxels in strokes.by_label(painted, tuple(link_.layers.dims)):
            for line in strokes.lines(voxels):
                shape = sessions.scribble(geometry.to_world(matrix, line), 0.0)
                try:
                    delta = yield from self._prompt(sessions.prompt(shape, ADD if adds else REMOVE, value), value)
                    grown += delta.voxels
                except Refused as error:
                    # Where nothing can follow from the paint, it stays as it is.
                    if error.code not in ("invalid", link.IS_LOCKED):
                        raise
        yield from self.settle()
        return f"{self._ml(painted.voxels)} were painted, and {self._ml(grown)} followed"

    def next_place(self, step: int) -> Work[str]:
        """Goes to the next place that deserves a look."""
        yield from self.settle()
        kept = self.places[self.place] if self.place is not None else None
        self.places = yield from self.link.places(PLACES)
        if not self.places:
            self.place = None
            return "no doubtful places are left"
        same = next((n for n, each in enumerate(self.places) if kept and each["voxel"] == kept["voxel"]), None)
        if same is not None:
            self.place = (same + step) % len(self.places)
        else:
            # The last one was mended: its place in the list holds the next.
            begin = self.place if self.place is not None else (0 if step > 0 else -1)
            self.place = begin % len(self.places)
        return self.describe(self.places[self.place])

    def settle(self) -> Work[bool]:
        """Sends what the user painted, as a step of its own."""
        was_painted = yield from self.link.flush(self._seconds())
        if was_painted:
            self._push(1)
        return was_painted

    def describe(self, place: Dict[str, Any]) -> str:
        """A doubtful place in words."""
        name, reason = self.link.layers.name(place["label"]), place["reason"]
        if isinstance(reason, dict):
            what = f"the network nearly said {self.link.layers.name(reason.get('unsure', 0))}"
        else:
            what = {"island": "apart from the rest", "hole": "a hole inside"}.get(reason, str(reason))
        return f"{name}, {place['ml']:.2g} mL: {what}"

    # Parts of it.

    def _prompt(self, action: Dict[str, Any], value: int) -> Work[Delta]:
        delta = yield from self.link.operate(action, self._seconds())
        self._target, self._changes = self.link.label or value, []
        self._push(1 + (yield from self._trim(delta)))
        return delta

    def _trim(self, delta: Delta) -> Work[int]:
        """Takes back what the Segment Editor's masking does not allow; how many steps that took."""
        link_ = self.link
        allowed = limits.of(link_.layers, self._target)
        self._changes.append(delta)
        if allowed.are_none:
            return 0
        before = limits.Before(link_.layers.dims)
        for change in self._changes:
            yield from before.add(change)
        back = yield from before.forbidden(link_.mirror, allowed, link.intensities(self._image))
        if back.is_empty:
            return 0
        kept = link_.candidates, link_.chosen
        yield from link_.operate("foreign", 0.0, back)
        link_.candidates, link_.chosen = kept
        link_.notices.append("the Segment Editor's masking kept the rest as it was")
        return 1

    def _push(self, count: int) -> None:
        self._done.append((count, self.link.revision))
        self._undone.clear()

    def _locked(self) -> Work[None]:
        """Tells the engine what the user has locked in the scene."""
        is_newest = self._is_newest
        yield from self.link.lock_as_wanted()
        self._stays_newest(is_newest)

    @property
    def _is_newest(self) -> bool:
        """Whether the last step is the session's newest change: nobody else has made one since."""
        return bool(self._done) and self._done[-1][1] == self.link.revision

    def _stays_newest(self, is_newest: bool) -> None:
        """After something that changed no voxels, or took the newest change back."""
        if is_newest and self._done:
            self._done[-1] = (self._done[-1][0], self.link.revision)

    @property
    def _image(self) -> Any:
        return link.node_of(self._volume)

    def _seconds(self) -> float:
        """Seconds since the last action, as far as they were work."""
        now = time.monotonic()
        seconds, self._acted = min(now - self._acted, LONGEST_PAUSE), now
        return seconds

    def _told(self, delta: Delta) -> str:
        """What a prompt did."""
        target, name, changes = self._target, self.link.layers.name, delta.changes()
        gain = sum(count for (_, new), count in changes.items() if new == target)
        loss = sum(count for (old, _), count in changes.items() if old == target)
        text = f"{name(target)} {'grew' if gain >= loss else 'shrank'} by {self._ml(abs(gain - loss))}"
        others = {label for change in changes for label in change} - {0, target}
        if others and gain >= loss:
            text += f" at the expense of {' and '.join(name(other) for other in sorted(others))}"
        shown, count = self.answers
        return text + (f" (answer {shown} of {count}: turn the wheel for the others)" if count > 1 else "")

    def _ml(self, voxels: int) -> str:
        ml = voxels * geometry.voxel_ml(scene.ijk_to_ras(self._image))
        return f"{ml:.1f} mL" if ml >= 0.95 else f"{ml:.2g} mL"
