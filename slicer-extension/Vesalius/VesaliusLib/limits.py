"""What corrections must leave alone: structures that the user locked, and what the Segment Editor's masking forbids."""

from __future__ import annotations

from typing import Any, List, NamedTuple, Optional, Sequence, Set, Tuple

import numpy as np
import slicer

from . import segments
from .layers import Layers
from .vesalius import delta as deltas
from .vesalius.delta import Delta
from .vesalius.steps import GO_ON, Work

# Tag of a segment that the user locked.
LOCKED = "Vesalius.Locked"


class Limits(NamedTuple):
    """Which voxels may change, as the Segment Editor is set."""

    # By the label that stands there.
    may_change: np.ndarray
    # Lowest and highest intensity; None: any.
    intensity: Optional[Tuple[float, float]]

    @property
    def are_none(self) -> bool:
        """Whether everything may."""
        return self.intensity is None and bool(self.may_change.all())

    def allow(self, labels: np.ndarray, intensities: np.ndarray) -> np.ndarray:
        """Which of some voxels may change, by what stands there and how bright they are."""
        may = self.may_change[labels]
        if self.intensity is not None:
            low, high = self.intensity
            may &= (intensities >= low) & (intensities <= high)
        return may


def locked(layers: Layers) -> Set[int]:
    """The values that the user locked."""
    segmentation = layers.segmentation
    return {value for each, value in layers.values.items() if segments.tag(segmentation.GetSegment(each), LOCKED)}


def lock(segment: Any, is_locked: bool) -> None:
    """Writes down that a segment is locked, so that the scene keeps it."""
    if is_locked:
        segment.SetTag(LOCKED, "1")
    else:
        segment.RemoveTag(LOCKED)


def of(layers: Layers, target: int) -> Limits:
    """The masking of the Segment Editor while `target` is corrected; the target itself may always change."""
    may, editor = np.ones(256, bool), _editor(layers.node)
    if editor is None:
        return Limits(may, None)
    kinds, display = slicer.vtkMRMLSegmentationNode, layers.node.GetDisplayNode()
    everything = set(layers.values.values())
    visible = {value for each, value in layers.values.items() if display is None or display.GetSegmentVisibility(each)}
    inside = {
        kinds.EditAllowedInsideAllSegments: everything,
        kinds.EditAllowedInsideVisibleSegments: visible,
        kinds.EditAllowedInsideSingleSegment: {layers.values.get(editor.GetMaskSegmentID(), target)},
    }
    outside = {kinds.EditAllowedOutsideAllSegments: everything, kinds.EditAllowedOutsideVisibleSegments: visible}
    mode, overwrite = editor.GetMaskMode(), editor.GetOverwriteMode()
    if mode in inside:
        may[:] = False
        may[list(inside[mode])] = True
    may[list(outside.get(mode, ()))] = False
    stays = {editor.OverwriteNone: everything, editor.OverwriteVisibleSegments: everything - visible}
    may[list(stays.get(overwrite, ()))] = False
    may[target] = True
    intensity = None
    if editor.GetSourceVolumeIntensityMask():
        low, high = editor.GetSourceVolumeIntensityMaskRange()
        intensity = (float(low), float(high))
    return Limits(may, intensity)


class Before:
    """What stood where, before a prompt and the answers that replaced one another."""

    def __init__(self, dims: Sequence[int]) -> None:
        self._dims = dims
        # For each change the places that none before it concerned, ascending, and what stood there.
        self._parts: List[Tuple[np.ndarray, np.ndarray]] = []

    def add(self, delta: Delta) -> Work[None]:
        """Remembers what a change replaced."""
        found: List[Tuple[np.ndarray, np.ndarray]] = []
        for place, old, _ in delta.pieces(self._dims):
            is_new = np.ones(len(place), bool)
            for known, _ in self._parts:
                at = np.minimum(np.searchsorted(known, place), len(known) - 1)
                is_new &= known[at] != place
            found.append((place[is_new], old[is_new]))
            yield GO_ON
        places, labels = (np.concatenate(column) for column in zip(*found)) if found else ((), ())
        if len(places):
            self._parts.append((places, labels))

    def forbidden(self, mirror: np.ndarray, limits: Limits, intensities: np.ndarray) -> Work[Delta]:
        """The way back from `mirror` where it changed against the limits; all of it `[k, j, i]`."""
        now, values = mirror.reshape(-1), intensities.reshape(-1)
        found: List[Tuple[np.ndarray, np.ndarray]] = []
        for places, labels in self._parts:
            for begin in range(0, len(places), deltas.PIECE):
                place, before = places[begin : begin + deltas.PIECE], labels[begin : begin + deltas.PIECE]
                is_bad = ~limits.allow(before, values[place]) & (now[place] != before)
                found.append((place[is_bad], before[is_bad]))
                yield GO_ON
        if not found:
            return deltas.empty()
        place, before = (np.concatenate(column) for column in zip(*found))
        order = np.argsort(place, kind="stable")
        return deltas.of_places(place[order], now[place[order]], before[order], self._dims)


def kept(delta: Delta, limits: Limits, intensities: np.ndarray) -> Delta:
    """The part of a change that the limits allow; intensities are `[k, j, i]`."""
    if limits.are_none or delta.is_empty:
        return delta
    dims = intensities.shape[::-1]
    place, old, new = (np.concatenate(column) for column in zip(*delta.pieces(dims)))
    where = limits.allow(old, intensities.reshape(-1)[place])
    return deltas.of_places(place[where], old[where], new[where], dims)


def touching(delta: Delta, values: Set[int], dims: Sequence[int]) -> Tuple[Delta, Delta]:
    """A change in two: what concerns none of these values, and what does."""
    columns: List[List[np.ndarray]] = [[], [], []]
    for piece in delta.pieces(dims):
        for column, part in zip(columns, piece):
            column.append(part)
    if delta.is_empty:
        return delta, delta
    place, old, new = (np.concatenate(column) for column in columns)
    is_concerned = np.isin(old, list(values)) | np.isin(new, list(values))
    others, concerned = (
        deltas.of_places(place[where], old[where], new[where], dims) for where in (~is_concerned, is_concerned)
    )
    return others, concerned


def _editor(node: Any) -> Optional[Any]:
    """The Segment Editor's settings, where it edits this node."""
    for editor in slicer.util.getNodesByClass("vtkMRMLSegmentEditorNode"):
        if editor.GetSegmentationNode() is node:
            return editor
    return None
