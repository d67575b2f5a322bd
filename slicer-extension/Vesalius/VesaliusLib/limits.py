"""What corrections must leave alone: structures that the user locked, and what the Segment Editor's masking forbids."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

import numpy as np
import slicer

from . import segments
from .layers import Layers
from .vesalius import delta as deltas
from .vesalius.delta import Delta

# Tag of a segment that the user locked.
LOCKED = "Vesalius.Locked"


class Limits(NamedTuple):
    """Which voxels may change, as the Segment Editor is set."""

    # Values that may give voxels, 0 is background; None: all. The structure itself may always.
    labels: Optional[Tuple[int, ...]]
    # Lowest and highest intensity; None: any.
    intensity: Optional[Tuple[float, float]]

    @property
    def are_none(self) -> bool:
        """Whether everything may."""
        return self.labels is None and self.intensity is None

    def within(self, action: Dict[str, Any]) -> Dict[str, Any]:
        """The action of a prompt or a tool, for the engine to look for an answer within these limits."""
        if self.are_none:
            return action
        editable: Dict[str, Any] = {}
        if self.labels is not None:
            editable["labels"] = list(self.labels)
        if self.intensity is not None:
            editable["intensity"] = list(self.intensity)
        if "prompt" in action:
            return {"prompt": {**action["prompt"], "editable": editable}}
        return {"tool": {kind: {**tool, "editable": editable} for kind, tool in action["tool"].items()}}


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
    """The masking of the Segment Editor while `target` is corrected; 0: what the engine finds under the prompt."""
    editor = _editor(layers.node)
    if editor is None:
        return Limits(None, None)
    may = {0, *layers.values.values()}
    kinds, display = slicer.vtkMRMLSegmentationNode, layers.node.GetDisplayNode()
    everything = set(layers.values.values())
    visible = {value for each, value in layers.values.items() if display is None or display.GetSegmentVisibility(each)}
    inside = {
        kinds.EditAllowedInsideAllSegments: everything,
        kinds.EditAllowedInsideVisibleSegments: visible,
        kinds.EditAllowedInsideSingleSegment: {layers.values.get(editor.GetMaskSegmentID(), target)} - {0},
    }
    outside = {kinds.EditAllowedOutsideAllSegments: everything, kinds.EditAllowedOutsideVisibleSegments: visible}
    mode, overwrite = editor.GetMaskMode(), editor.GetOverwriteMode()
    stays = {editor.OverwriteNone: everything, editor.OverwriteVisibleSegments: everything - visible}
    allowed = inside.get(mode, may) - outside.get(mode, set()) - stays.get(overwrite, set())
    # The structure itself may always, whether it is listed or not.
    labels = None if allowed | ({target} - {0}) >= may else tuple(sorted(allowed))
    intensity = None
    if editor.GetSourceVolumeIntensityMask():
        low, high = editor.GetSourceVolumeIntensityMaskRange()
        intensity = (float(low), float(high))
    return Limits(labels, intensity)


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
