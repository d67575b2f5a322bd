"""Volumes of 3D Slicer's scene as the engine takes them: voxels without a copy, where they lie, what they show.

A volume is taken in its own frame. Transforms above it do not reach its voxels; the result goes under the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Hashable, List, Optional, Sequence

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from .vesalius import Image, geometry
from .vesalius.errors import VesaliusError

# What the engine reads, as NumPy spells it; VTK may hold more.
DTYPES = {
    "|u1": "uint8",
    "|i1": "int8",
    "<i2": "int16",
    "<u2": "uint16",
    "<i4": "int32",
    "<u4": "uint32",
    "<f4": "float32",
    "<f8": "float64",
}
MODALITY = "DICOM.Modality"
# Samples that are looked at when nothing but the values tells what an image is.
SAMPLES = 200_000
# Hounsfield units: air is -1000, metal and its artefacts reach tens of thousands.
AIR, LEAST_OF_CT, MOST_OF_CT = -800.0, -10_000.0, 70_000.0


@dataclass(frozen=True)
class Guess:
    """What an image seems to be."""

    # DICOM's code; empty where nobody knows.
    modality: str
    # Whether that is written down; if not, it was seen in the values.
    is_told: bool
    # Why, in words.
    reason: str

    def doubt(self, wanted: str) -> str:
        """A sentence when a task for `wanted` images does not fit, else nothing."""
        if not self.modality or self.modality == wanted:
            return ""
        return f"this task is for {wanted}, and {self.reason}"


def read_image(volume: Any) -> Image:
    """A volume node as the engine takes it, with VTK's own memory; refuses in words what cannot be segmented."""
    data = _image_data(volume)
    scalars = data.GetPointData().GetScalars()
    values = vtk_to_numpy(scalars)
    if values.dtype.str not in DTYPES:
        values = np.ascontiguousarray(values, dtype="<f8")
    matrix = ijk_to_ras(volume)
    dims = list(data.GetDimensions())
    geometry.check(dims, matrix)
    # Extents of volume nodes begin at 0; where one does not, the first voxel lies elsewhere.
    first = data.GetExtent()[0::2]
    matrix[:3, 3] = geometry.to_world(matrix, np.array([first]))[0]
    header: Dict[str, Any] = {
        "dims": dims,
        "dtype": DTYPES[values.dtype.str],
        "space": "RAS",
        "ijk_to_world": [float(value) for value in matrix.ravel()],
    }
    modality = told_modality(volume)
    if len(modality) == 2 and modality.isalpha() and modality.isupper():
        header["modality"] = modality
    key = key_of(volume)
    return Image(header, memoryview(values).cast("B"), key, lambda: _is_current(key))


def check_together(volume: Any, other: Any) -> None:
    """Refuses a further image of the same job that does not lie where its own frame says."""
    if volume.GetTransformNodeID() != other.GetTransformNodeID():
        message = f"`{volume.GetName()}` and `{other.GetName()}` lie under different transforms"
        raise _unsuitable(message, "put both under the same one, or harden the transforms")


def key_of(volume: Any) -> Hashable:
    """Changes whenever the node or its voxels do."""
    # The first look at a node's transform counts as a change of the node.
    volume.GetTransformNodeID()
    return volume.GetID(), int(volume.GetMTime()), int(volume.GetImageData().GetMTime())


def _is_current(key: Hashable) -> bool:
    """Whether the node is still there, and as it was when it was read."""
    volume = slicer.mrmlScene.GetNodeByID(key[0])  # type: ignore[index]
    return volume is not None and volume.GetImageData() is not None and key_of(volume) == key


def ijk_to_ras(volume: Any) -> np.ndarray:
    """The node's own matrix from voxels to millimetres in RAS, without transforms above it."""
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return as_array(matrix)


def as_array(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    """A matrix of VTK for NumPy."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def region_of(roi: Any, volume: Any) -> List[List[int]]:
    """The voxels of a volume inside a box of the markups module, whatever transforms either lies under."""
    size, matrix = [0.0, 0.0, 0.0], as_array(roi.GetObjectToWorldMatrix())
    roi.GetSizeWorld(size)
    # The matrix may scale, and the size is in the world already: only its directions are wanted.
    matrix[:3, :3] /= np.linalg.norm(matrix[:3, :3], axis=0)
    points = geometry.to_world(matrix, geometry.box_points() * size)
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(None, volume.GetParentTransformNode(), transform)
    points = np.array([transform.TransformPoint(point) for point in points])
    return geometry.region(_image_data(volume).GetDimensions(), ijk_to_ras(volume), points)


def world_to_lps(volume: Any, points: Sequence[Sequence[float]]) -> List[List[float]]:
    """Points of the world, in RAS, in the volume's own frame in LPS: as the engine sees them."""
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(None, volume.GetParentTransformNode(), transform)
    moved = [transform.TransformPoint(*(float(value) for value in point)) for point in points]
    return [[-x, -y, z] for x, y, z in moved]


def lps_to_world(volume: Any, point: Sequence[float]) -> Sequence[float]:
    """A point of the engine in the world."""
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(volume.GetParentTransformNode(), None, transform)
    x, y, z = (float(value) for value in point)
    return transform.TransformPoint(-x, -y, z)


def guess(volume: Any) -> Guess:
    """What the image seems to be: as DICOM says, else as its values look."""
    modality = told_modality(volume)
    if modality:
        return Guess(modality, True, f"this image is {modality}")
    values = vtk_to_numpy(_image_data(volume).GetPointData().GetScalars())
    values = values[:: max(1, len(values) // SAMPLES)]
    values = values[np.isfinite(values)]
    least, most = (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
    seen = f"its values reach from {least:g} to {most:g}"
    if least <= AIR and least >= LEAST_OF_CT and most <= MOST_OF_CT:
        return Guess("CT", False, f"{seen}, as those of CT do")
    if least >= 0.0:
        return Guess("MR", False, f"{seen}: this is no CT in Hounsfield units, where air is -1000")
    return Guess("", False, seen)


def told_modality(volume: Any) -> str:
    """The modality of the DICOM series that a volume came from; empty where it came from elsewhere."""
    return told(volume, MODALITY)


def told(volume: Any, attribute: str) -> str:
    """What DICOM said of a volume; empty where it came from elsewhere."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.GetItemByDataNode(volume) if hierarchy is not None else 0
    found = hierarchy.GetItemAttribute(item, attribute) if item else ""
    return found or volume.GetAttribute(attribute) or ""


def _image_data(volume: Optional[Any]) -> Any:
    """The node's image, if it is one that can be segmented."""
    if volume is None:
        raise _unsuitable("no image is chosen", "choose one, or load one first")
    if not volume.IsA("vtkMRMLScalarVolumeNode") or volume.IsA("vtkMRMLLabelMapVolumeNode"):
        raise _unsuitable(f"`{volume.GetName()}` is no image of grey values", "choose a scalar volume")
    data = volume.GetImageData()
    if data is None or data.GetPointData().GetScalars() is None or min(data.GetDimensions()) < 1:
        raise _unsuitable(f"`{volume.GetName()}` holds no voxels", "load the image again")
    count = data.GetNumberOfScalarComponents()
    if count != 1:
        message = f"`{volume.GetName()}` holds {count} values per voxel, and only one can be segmented"
        raise _unsuitable(message, "extract one of them into a scalar volume")
    return data


def _unsuitable(message: str, hint: str) -> VesaliusError:
    return VesaliusError("image_unsuitable", message, hint)
