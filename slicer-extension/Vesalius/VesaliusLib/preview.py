"""What a click would do at least, outlined in the slices while the cursor rests."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from . import segments
from .line import Line
from .process import Engine
from .vesalius import delta as deltas
from .vesalius import sessions
from .vesalius.delta import Delta

NAME = "Vesalius preview"
SEGMENT = "preview"
GROWS, SHRINKS = (0.2, 1.0, 0.3), (1.0, 0.35, 0.2)


class Preview:
    """One ghost in the scene; nothing of it is saved."""

    def __init__(self, engine: Engine) -> None:
        self._line = Line(engine)
        # What is wanted now, and what is asked: a newer question replaces one that waits.
        self._wanted: Optional[Tuple[Any, str, int, Dict[str, Any]]] = None
        self._is_asking = False

    def ask(self, volume: Any, session: str, revision: int, prompt: Dict[str, Any]) -> None:
        """Shows what a prompt would do to the labels of a revision, once the engine has said so."""
        self._wanted = (volume.GetID(), session, revision, prompt)
        if not self._is_asking:
            self._next()

    def hide(self) -> None:
        """Shows nothing, and no answer that is still on its way."""
        self._wanted = None
        node = slicer.mrmlScene.GetFirstNodeByName(NAME)
        if node is not None and node.GetSegmentation().GetNumberOfSegments():
            node.GetSegmentation().RemoveAllSegments()

    def close(self) -> None:
        """Takes the ghost out of the scene."""
        self.hide()
        node = slicer.mrmlScene.GetFirstNodeByName(NAME)
        if node is not None:
            for each in (node.GetDisplayNode(), node):
                slicer.mrmlScene.RemoveNode(each)

    def end(self) -> None:
        """For the end of the module."""
        self.close()
        self._line.close()

    def _next(self) -> None:
        asked = self._wanted
        if asked is None:
            return
        _, session, _, prompt = asked
        self._is_asking = True
        self._line.ask(
            lambda client: sessions.hover(client, session, prompt),
            lambda answer: self._answered(asked, answer),
            # Where nothing can be done, nothing is shown; the click will say why.
            lambda _error: self._answered(asked, None),
        )

    def _answered(self, asked: Tuple[Any, str, int, Dict[str, Any]], answer: Optional[Dict[str, Any]]) -> None:
        self._is_asking = False
        if self._wanted is not asked:
            self._next()
            return
        self._wanted = None
        volume, _, revision, prompt = asked
        node = slicer.mrmlScene.GetNodeByID(volume)
        if answer is None or answer["revision"] != revision or node is None:
            self.hide()
            return
        delta = deltas.decode(bytes.fromhex(answer["delta"]))
        show(node, delta, GROWS if prompt["prompt"]["sign"] == sessions.ADD else SHRINKS)


def show(volume: Any, delta: Delta, color: Tuple[float, float, float]) -> None:
    """Outlines the voxels of a change."""
    node = _node(volume)
    segmentation = node.GetSegmentation()
    segmentation.RemoveAllSegments()
    if delta.is_empty:
        return
    segment = slicer.vtkSegment()
    segment.SetName(SEGMENT)
    segment.SetColor(*color)
    segment.SetLabelValue(1)
    segment.AddRepresentation(segments.BINARY, _image(volume, delta))
    segmentation.AddSegment(segment, SEGMENT)


def _node(volume: Any) -> Any:
    """The node of the ghost, where the volume is."""
    node = slicer.mrmlScene.GetFirstNodeByName(NAME)
    if node is None:
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSegmentationNode")
        node.UnRegister(None)
        node.SetName(NAME)
        node.SetSaveWithScene(False)
        node.SetHideFromEditors(True)
        node = slicer.mrmlScene.AddNode(node)
        node.GetSegmentation().SetSourceRepresentationName(segments.BINARY)
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetSaveWithScene(False)
        display.SetVisibility3D(False)
        display.SetOpacity2DFill(0.25)
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    return node


def _image(volume: Any, delta: Delta) -> Any:
    """The changed voxels as a labelmap of their box."""
    image, matrix = slicer.vtkOrientedImageData(), vtk.vtkMatrix4x4()
    first = [at + begin for at, begin in zip(delta.start, volume.GetImageData().GetExtent()[0::2])]
    extent = [value for at, size in zip(first, delta.size) for value in (at, at + size - 1)]
    image.SetExtent(*extent)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    labels = vtk_to_numpy(image.GetPointData().GetScalars())
    labels[:] = 0
    inside = Delta((0, 0, 0), delta.size, delta.first, delta.length, delta.old, delta.new)
    for place, _, _ in inside.pieces(delta.size):
        labels[place] = 1
    volume.GetIJKToRASMatrix(matrix)
    image.SetImageToWorldMatrix(matrix)
    return image
