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
from .vesalius.sessions import ADD, REMOVE
from .vesalius.steps import Work

# Voxels by their old and new label.
Changes = Dict[Tuple[int, int], int]
# What a tool did, and what is so where it can do nothing.
DONE = {
    "snap": "the boundary of {name} lies on edges now",
    "fill": "the slices of {name} are filled",
    "keep": "of {name} one piece is left",
    "drop": "a piece of {name} is gone",
}
NOTHING = {
    "snap": "the boundary of {name} lies on edges already",
    "fill": "{name} has no empty slices between others",
    "keep": "{name} is all one piece",
    "drop": "there is no piece of {name}",
}
MASKED = "masked"
NOTHING_ALLOWED = "the Segment Editor's masking allows none of it"
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
        # Whether a network thinks, which may take long.
        self.is_asking = False
        self._target = 0
        # Whether the last answer was found within the Segment Editor's masking.
        self._is_masked = False
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
        yield from self.link.lock_as_wanted()
        return self._told((yield from self._act(action, value)))

    def choose(self) -> Work[str]:
        """Other answers to the last prompt, until it is the one that the wheel stands at."""
        link_, told = self.link, ""
        while self.wanted is not None and self.wanted != link_.chosen:
            delta = yield from link_.operate({"choose": self.wanted}, self._seconds())
            told = self._told(delta.changes())
        self.wanted = None
        return told

    def tool(self, action: Dict[str, Any]) -> Work[str]:
        """Changes a structure as a whole."""
        yield from self.settle()
        yield from self.link.lock_as_wanted()
        ((kind, tool),) = action["tool"].items()
        name = self.link.layers.name(tool["label"])
        try:
            changes = yield from self._act(action, tool["label"])
        except Refused as error:
            if error.code != "invalid":
                raise
            return NOTHING[kind].format(name=name)
        added, taken = self._gain_and_loss(changes)
        if not changes:
            return NOTHING_ALLOWED
        parts = [f"{self._ml(added)} added"] * (added > 0) + [f"{self._ml(taken)} taken away"] * (taken > 0)
        return f"{DONE[kind].format(name=name)}: {', '.join(parts)}"

    def ask(self, network: str) -> Work[str]:
        """Asks a network about the last prompt, and shows its answer; the wheel goes back to the others."""
        if (yield from self.settle()) or not self.link.candidates:
            return "a network is asked about a click: click first, then ask"
        self.is_asking = True
        try:
            answer = yield from self.link.propose(network)
        finally:
            self.is_asking = False
        if self.link.candidates[-1]["source"] == "network":
            self.wanted = len(self.link.candidates) - 1
            told = f"{network}: " + ((yield from self.choose()) or "that is what is shown already")
        else:
            told = f"{network} sees nothing there that the click allows"
        elsewhere = answer["elsewhere"]
        if elsewhere:
            places = "another place" if elsewhere == 1 else f"{elsewhere} other places"
            told += f"; it sees {self.link.layers.name(self._target)} otherwise in {places}, where nothing was changed"
        return told

    def undo(self) -> Work[str]:
        """Takes the last change back, whether a prompt made it or a brush."""
        yield from self.settle()
        yield from self.link.operate("undo", self._seconds())
        return "taken back"

    def redo(self) -> Work[str]:
        """Makes the last change again that was taken back."""
        yield from self.settle()
        yield from self.link.operate("redo", self._seconds())
        return "made again"

    def lock(self, told: str) -> Work[str]:
        """Tells the engine what the user has locked in the scene."""
        yield from self.settle()
        yield from self.link.lock_as_wanted()
        return told

    def accept(self, value: Optional[int]) -> Work[str]:
        """Says that a structure is right, or that all are; Slicer shows it as the segment's status."""
        yield from self.settle()
        yield from self.link.operate({"accept": value}, self._seconds())
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
        yield from self.link.lock_as_wanted()
        matrix = geometry.other_space(scene.ijk_to_ras(self._image))
        for value, adds, voxels in strokes.by_label(painted, tuple(link_.layers.dims)):
            for line in strokes.lines(voxels):
                shape = sessions.scribble(geometry.to_world(matrix, line), 0.0)
                try:
                    action = sessions.prompt(shape, ADD if adds else REMOVE, value)
                    grown += sum((yield from self._act(action, value)).values())
                except Refused as error:
                    # Where nothing can follow from the paint, it stays as it is.
                    if error.code not in ("invalid", MASKED, link.IS_LOCKED):
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
        return (yield from self.link.flush(self._seconds()))

    def describe(self, place: Dict[str, Any]) -> str:
        """A doubtful place in words."""
        name, reason = self.link.layers.name(place["label"]), place["reason"]
        if isinstance(reason, dict):
            other = reason.get("unsure", 0)
            what = f"perhaps {self.link.layers.name(other) if other else 'background'}"
        else:
            what = {"island": "apart from the rest", "hole": "a hole inside"}.get(reason, str(reason))
        return f"{name}, {place['ml']:.2g} mL: {what}"

    # Parts of it.

    def _act(self, action: Dict[str, Any], value: int) -> Work[Changes]:
        """A step of the engine within the Segment Editor's masking; nothing where that allows none of it."""
        allowed = limits.of(self.link.layers, value)
        try:
            delta = yield from self.link.operate(allowed.within(action), self._seconds())
        except Refused as error:
            if error.code != MASKED:
                raise
            self._target = value
            return {}
        self.wanted, self._is_masked = None, not allowed.are_none
        self._target = self.link.label or value
        return delta.changes()

    @property
    def _image(self) -> Any:
        return link.node_of(self._volume)

    def _seconds(self) -> float:
        """Seconds since the last action, as far as they were work."""
        now = time.monotonic()
        seconds, self._acted = min(now - self._acted, LONGEST_PAUSE), now
        return seconds

    def _gain_and_loss(self, changes: Changes) -> Tuple[int, int]:
        gain = sum(count for (_, new), count in changes.items() if new == self._target)
        loss = sum(count for (old, _), count in changes.items() if old == self._target)
        return gain, loss

    def _told(self, changes: Changes) -> str:
        """What a prompt did."""
        target, name = self._target, self.link.layers.name
        gain, loss = self._gain_and_loss(changes)
        if not changes:
            return NOTHING_ALLOWED
        text = f"{name(target)} {'grew' if gain >= loss else 'shrank'} by {self._ml(abs(gain - loss))}"
        others = {label for change in changes for label in change} - {0, target}
        if others and gain >= loss:
            text += f" at the expense of {' and '.join(name(other) for other in sorted(others))}"
        if self._is_masked:
            text += " within the Segment Editor's masking"
        shown, count = self.answers
        return text + (f" (answer {shown} of {count}: turn the wheel for the others)" if count > 1 else "")

    def _ml(self, voxels: int) -> str:
        ml = voxels * geometry.voxel_ml(scene.ijk_to_ras(self._image))
        return f"{ml:.1f} mL" if ml >= 0.95 else f"{ml:.2g} mL"
