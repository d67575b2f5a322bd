"""Surfaces of segments for the 3D view, one segment at a time, so that the viewer stays alive meanwhile.

Each segment is converted in the smallest box that holds it, by surface nets: on 41 structures of a body that takes a
small part of the time of converting whole labelmaps, with the same rule of Slicer and its own parameters.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from .vesalius.steps import GO_ON, Progress, Work

BINARY = "Binary labelmap"
SURFACE = "Closed surface"
# Of `vtkBinaryLabelmapToClosedSurfaceConversionRule`.
PARAMETERS = {"Conversion method": "1", "SurfaceNets smoothing": "1"}


def prepare(node: Any) -> None:
    """Makes a segmentation use surface nets."""
    for name, value in PARAMETERS.items():
        node.GetSegmentation().SetConversionParameter(name, value)


def show(node: Any) -> Work[int]:
    """Makes the surfaces that are missing and shows them; gives how many were made."""
    segmentation, scene = node.GetSegmentation(), slicer.mrmlScene
    missing = [each for each in segmentation.GetSegmentIDs() if _lacks_surface(segmentation, each)]
    for number, each in enumerate(missing):
        segment = segmentation.GetSegment(each)
        if segment is None or scene.GetNodeByID(node.GetID()) is not node:
            continue
        yield Progress("surfaces", f"3D: {segment.GetName()}", number / len(missing))
        surface = _surface(segmentation, segment)
        if surface is not None:
            segment.AddRepresentation(SURFACE, surface)
    if missing:
        segmentation.InvokeEvent(segmentation.ContainedRepresentationNamesModified)
        segmentation.InvokeEvent(segmentation.RepresentationModified)
    display = node.GetDisplayNode()
    if display is not None:
        display.SetPreferredDisplayRepresentationName3D(SURFACE)
        display.SetVisibility3D(True)
        node.Modified()
    return len(missing)


def renew(node: Any, ids: Iterable[str]) -> Work[None]:
    """Makes the surfaces of some segments again, if surfaces are there at all."""
    segmentation = node.GetSegmentation()
    if not any(segmentation.GetSegment(each).GetRepresentation(SURFACE) for each in segmentation.GetSegmentIDs()):
        return
    for each in ids:
        segment = segmentation.GetSegment(each)
        if segment is None or slicer.mrmlScene.GetNodeByID(node.GetID()) is not node:
            continue
        surface = _surface(segmentation, segment)
        if surface is not None:
            segment.AddRepresentation(SURFACE, surface)
        else:
            segment.RemoveRepresentation(SURFACE)
        yield GO_ON
    segmentation.InvokeEvent(segmentation.RepresentationModified)


def taken(segmentation: Any) -> Dict[str, vtk.vtkPolyData]:
    """The surfaces that are there, by ids of segments."""
    found = {each: segmentation.GetSegment(each).GetRepresentation(SURFACE) for each in segmentation.GetSegmentIDs()}
    return {each: surface for each, surface in found.items() if surface is not None}


def put_back(segmentation: Any, surfaces: Mapping[str, vtk.vtkPolyData]) -> None:
    """Hangs surfaces in again that Slicer has dropped."""
    for each, surface in surfaces.items():
        segmentation.GetSegment(each).AddRepresentation(SURFACE, surface)
    if surfaces:
        segmentation.InvokeEvent(segmentation.ContainedRepresentationNamesModified)


def _lacks_surface(segmentation: Any, each: str) -> bool:
    return segmentation.GetSegment(each).GetRepresentation(SURFACE) is None


def _surface(segmentation: Any, segment: Any) -> Optional[vtk.vtkPolyData]:
    """The surface of one segment, with the conversion parameters of its segmentation."""
    cropped = _cropped(segment.GetRepresentation(BINARY), segment.GetLabelValue())
    if cropped is None:
        return None
    alone, copy = slicer.vtkSegmentation(), slicer.vtkSegment()
    alone.SetSourceRepresentationName(BINARY)
    alone.DeserializeConversionParameters(segmentation.SerializeAllConversionParameters())
    copy.SetName(segment.GetName())
    copy.SetLabelValue(1)
    copy.AddRepresentation(BINARY, cropped)
    alone.AddSegment(copy, "one")
    alone.CreateRepresentation(SURFACE)
    return copy.GetRepresentation(SURFACE)


def _cropped(image: Any, value: int) -> Optional[Any]:
    """One label of a labelmap as 1, in the smallest box that holds it."""
    if image is None or image.GetPointData().GetScalars() is None:
        return None
    labels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    mask, first = labels == value, list(image.GetExtent()[0::2])
    ends: List[int] = [0, 0, 0]
    for axis, others in ((2, (1, 2)), (1, (0, 2)), (0, (0, 1))):
        inside = np.flatnonzero(mask.any(axis=others))
        if len(inside) == 0:
            return None
        begin, end = int(inside[0]), int(inside[-1]) + 1
        mask = mask[(slice(None),) * (2 - axis) + (slice(begin, end),)]
        ends[axis], first[axis] = first[axis] + end - 1, first[axis] + begin
    return _image(mask, first, ends, image)


def _image(mask: np.ndarray, first: Sequence[int], last: Sequence[int], like: Any) -> Any:
    """A mask as a labelmap of its own."""
    image, matrix = slicer.vtkOrientedImageData(), vtk.vtkMatrix4x4()
    image.SetExtent(first[0], last[0], first[1], last[1], first[2], last[2])
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    vtk_to_numpy(image.GetPointData().GetScalars())[:] = mask.ravel()
    like.GetImageToWorldMatrix(matrix)
    image.SetImageToWorldMatrix(matrix)
    return image
