"""Surfaces of segments for the 3D view, one segment at a time, so that the viewer stays alive meanwhile.

Each segment is converted in the smallest box that holds it, by surface nets: on 41 structures of a body that takes a
small part of the time of converting whole labelmaps. The filter of a large organ works a quarter of a second, so it
runs beside Slicer's own thread, which VTK allows: it holds Python's lock at its begin and end only. What it gives is
what Slicer's own conversion gives with the same parameters.
"""

from __future__ import annotations

import threading
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from .vesalius.steps import GO_ON, Progress, Wait, Work

BINARY = "Binary labelmap"
SURFACE = "Closed surface"
# Of `vtkBinaryLabelmapToClosedSurfaceConversionRule`.
PARAMETERS = {"Conversion method": "1", "SurfaceNets smoothing": "1"}
# With these, which are Slicer's own otherwise, its conversion smooths so many times.
OURS = {**PARAMETERS, "Smoothing factor": "0.5", "Decimation factor": "0.0", "Joint smoothing": "0"}
ITERATIONS = 8
# Seconds between two looks at a thread.
TURN = 0.001
# How often surfaces are begun again for somebody who goes on editing.
ROUNDS = 3


class Box(NamedTuple):
    """The smallest box that holds a label of a labelmap, as the labelmap was then."""

    # Begin and end along k, j and i.
    ends: List[Tuple[int, int]]
    time: int

    def fits(self, image: Any) -> bool:
        """Whether the labelmap is the same still."""
        return image.GetMTime() == self.time


def prepare(node: Any) -> None:
    """Makes a segmentation use surface nets."""
    for name, value in PARAMETERS.items():
        node.GetSegmentation().SetConversionParameter(name, value)


def show(node: Any) -> Work[int]:
    """Makes the surfaces that are missing and shows them; gives how many were made."""
    segmentation = node.GetSegmentation()
    missing = [each for each in segmentation.GetSegmentIDs() if _lacks_surface(segmentation, each)]
    yield from _make(node, missing)
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
    if any(segmentation.GetSegment(each).GetRepresentation(SURFACE) for each in segmentation.GetSegmentIDs()):
        yield from _make(node, list(ids))
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


def _make(node: Any, ids: Sequence[str]) -> Work[None]:
    """Makes surfaces of segments; those whose voxels are edited meanwhile are begun again."""
    segmentation, left = node.GetSegmentation(), list(ids)
    for _ in range(ROUNDS):
        left = [each for each in left if segmentation.GetSegment(each) is not None]
        boxes = yield from _boxes(segmentation, left)
        edited = []
        for number, each in enumerate(left):
            segment = segmentation.GetSegment(each)
            if segment is None or slicer.mrmlScene.GetNodeByID(node.GetID()) is not node:
                continue
            yield Progress("surfaces", f"3D: {segment.GetName()}", number / len(left))
            if each not in boxes:
                segment.RemoveRepresentation(SURFACE)
                continue
            surface = yield from _surface(segmentation, segment, boxes[each])
            if surface is not None:
                segment.AddRepresentation(SURFACE, surface)
            else:
                edited.append(each)
        left = edited
        if not left:
            return


def _surface(segmentation: Any, segment: Any, box: Box) -> Work[Optional[Any]]:
    """The surface of one segment, with the conversion parameters of its segmentation; None when it was edited."""
    image = segment.GetRepresentation(BINARY)
    mask = yield from _mask(image, segment.GetLabelValue(), box)
    if mask is None:
        return None
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    if any(segmentation.GetConversionParameter(name) != value for name, value in OURS.items()):
        return _by_slicer(segmentation, mask, matrix)
    nets, transform, moved = vtk.vtkSurfaceNets3D(), vtk.vtkTransform(), vtk.vtkTransformPolyDataFilter()
    nets.SetInputData(mask)
    nets.SetValue(0, 1)
    nets.SetNumberOfIterations(ITERATIONS)
    transform.SetMatrix(matrix)
    moved.SetTransform(transform)
    moved.SetInputConnection(nets.GetOutputPort())
    yield from _beside(moved)
    return moved.GetOutput() if segment.GetRepresentation(BINARY) is image and box.fits(image) else None


def _beside(algorithm: Any) -> Work[None]:
    """Runs a filter in a thread of its own. Nobody else may know what it works on."""
    thread = threading.Thread(target=algorithm.Update, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            # Slicer's event loop keeps Python's lock: here the thread gets it, to begin and to end.
            thread.join(TURN)
            yield Wait(seconds=TURN)
    finally:
        thread.join()


def _by_slicer(segmentation: Any, mask: Any, matrix: vtk.vtkMatrix4x4) -> Any:
    """The surface as the user wants it otherwise: Slicer's conversion, all at once."""
    image = slicer.vtkOrientedImageData()
    image.ShallowCopy(mask)
    image.SetImageToWorldMatrix(matrix)
    alone, segment = slicer.vtkSegmentation(), slicer.vtkSegment()
    alone.SetSourceRepresentationName(BINARY)
    alone.DeserializeConversionParameters(segmentation.SerializeAllConversionParameters())
    segment.SetLabelValue(1)
    segment.AddRepresentation(BINARY, image)
    alone.AddSegment(segment, "one")
    alone.CreateRepresentation(SURFACE)
    return segment.GetRepresentation(SURFACE)


def _boxes(segmentation: Any, ids: Sequence[str]) -> Work[Dict[str, Box]]:
    """The smallest boxes that hold segments; none for those without voxels."""
    found: Dict[str, Box] = {}
    # By labelmap the ids and label values of its segments, as they are now.
    owners: Dict[Any, List[Tuple[str, int]]] = {}
    for each in ids:
        segment = segmentation.GetSegment(each)
        image = segment.GetRepresentation(BINARY)
        if image is not None:
            owners.setdefault(image, []).append((each, segment.GetLabelValue()))
    for image, of_image in owners.items():
        boxes = yield from _boxes_of(image, [value for _, value in of_image])
        found.update({each: box for (each, _), box in zip(of_image, boxes) if box is not None})
    return found


def _boxes_of(image: Any, values: Sequence[int]) -> Work[List[Optional[Box]]]:
    """The smallest boxes that hold some labels of a labelmap."""
    if image.GetPointData().GetScalars() is None:
        return [None] * len(values)
    labels, time = _labels(image), image.GetMTime()
    number = np.zeros(1 << 16, np.intp)
    number[list(values)] = np.arange(1, len(values) + 1)
    inside = [np.zeros((length, len(values) + 1), bool) for length in labels.shape]
    for k, plane in enumerate(labels):
        place = np.flatnonzero(plane)
        j, i = np.divmod(place, plane.shape[1])
        which = number[plane.ravel()[place].astype(np.intp) & 0xFFFF]
        for axis, at in zip(inside, (k, j, i)):
            axis[at, which] = True
        yield GO_ON
    boxes: List[Optional[Box]] = []
    for column in range(1, len(values) + 1):
        along = [np.flatnonzero(axis[:, column]) for axis in inside]
        is_there = len(along[0]) > 0
        boxes.append(Box([(int(at[0]), int(at[-1]) + 1) for at in along], time) if is_there else None)
    return boxes


def _labels(image: Any) -> np.ndarray:
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])


def _mask(image: Any, value: int, box: Box) -> Work[Optional[Any]]:
    """One label as 1 in its box and an empty border, without a place in the world; None when it was edited."""
    if not box.fits(image):
        return None
    labels, first = _labels(image), image.GetExtent()[0::2]
    mask, extent = vtk.vtkImageData(), []
    for axis in range(3):
        begin, end = box.ends[2 - axis]
        extent += [first[axis] + begin - 1, first[axis] + end]
    mask.SetExtent(extent)
    mask.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    planes, ((k, _), rows, columns) = _labels(mask), box.ends
    planes[0] = planes[-1] = 0
    for n, plane in enumerate(planes[1:-1], start=k):
        plane[...] = 0
        plane[1:-1, 1:-1] = labels[n, slice(*rows), slice(*columns)] == value
        yield GO_ON
        if not box.fits(image):
            return None
    return mask
