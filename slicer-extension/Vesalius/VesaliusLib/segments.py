"""Results of the engine as segments of 3D Slicer, and what becomes of them when the engine runs again.

All segments of a result share one labelmap, whose bytes came straight into VTK's memory. A segment's id is the
structure's (`total.liver`), so a second run finds its segments again. What the user made of one stays the user's:
names, colours and codes are written once; a segment whose voxels were edited, or whose status was set, is left alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from . import scene, surfaces
from .vesalius import geometry
from .vesalius.errors import VesaliusError
from .vesalius.steps import GO_ON, Progress, Work

BINARY = "Binary labelmap"
CONTEXT = "Segmentation category and type - 3D Slicer General Anatomy list"
REGIONS = "Anatomic codes - DICOM master list"
# Tag of a segment: count and sum of its voxels as they were imported.
IMPORTED = "Vesalius.Imported"
# Tag of a segment: model, its checksum, and the program's version.
MADE_BY = "Vesalius.MadeBy"
# Makes sums of voxels unlike for unlike places; from the golden ratio, as in Knuth's multiplicative hashing.
MIXER = 0x9E3779B97F4A7C15


@dataclass
class Imported:
    """What became of a result, as ids of segments."""

    added: List[str] = field(default_factory=list)
    updated: List[str] = field(default_factory=list)
    # Not found any more.
    removed: List[str] = field(default_factory=list)
    # Left alone, since the user edited them or set their status.
    kept: List[str] = field(default_factory=list)
    # Structures that were looked for and have no voxels.
    empty: List[str] = field(default_factory=list)


@dataclass(frozen=True)
class Found:
    """A label in a labelmap."""

    voxels: int
    # Of a number for each voxel's place, modulo 2^64.
    sum: int

    def __str__(self) -> str:
        return f"{self.voxels}-{self.sum:016x}"


def label_image(volume: Any, fill: Optional[int] = None) -> Tuple[Any, memoryview]:
    """A labelmap on the grid of a volume, and its bytes to be written, i fastest."""
    data = volume.GetImageData()
    image = slicer.vtkOrientedImageData()
    image.SetExtent(data.GetExtent())
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    image.SetImageToWorldMatrix(matrix)
    if fill is not None:
        image.GetPointData().GetScalars().Fill(fill)
    return image, memoryview(vtk_to_numpy(image.GetPointData().GetScalars())).cast("B")


def new_segmentation(volume: Any, name: str = "") -> Any:
    """A segmentation node beside a volume: same transform, same place in the hierarchy, same grid."""
    scene_of = slicer.mrmlScene
    name = scene_of.GenerateUniqueName(name or f"{volume.GetName()} segmentation")
    node = scene_of.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.GetSegmentation().SetSourceRepresentationName(BINARY)
    node.CreateDefaultDisplayNodes()
    surfaces.prepare(node)
    _place(volume, node)
    return node


def check_target(volume: Any, node: Any) -> None:
    """Refuses a segmentation that the result cannot go into without moving what is there."""
    segmentation = node.GetSegmentation()
    if segmentation.GetNumberOfSegments() == 0:
        return
    if not segmentation.ContainsRepresentation(BINARY) or segmentation.GetSourceRepresentationName() != BINARY:
        raise _unsuitable(f"`{node.GetName()}` is not made of voxels")
    if node.GetTransformNodeID() != volume.GetTransformNodeID():
        raise _unsuitable(f"`{node.GetName()}` and `{volume.GetName()}` lie under different transforms")


def put(
    volume: Any,
    node: Any,
    image: Any,
    table: Mapping[str, Any],
    region: Optional[Sequence[Sequence[int]]] = None,
    replace_edited: bool = False,
) -> Work[Imported]:
    """Puts a result into a segmentation node.

    `table` is that of the job, `image` comes from `label_image`; `region` is the box that was asked for: outside of it
    nothing was looked for, and earlier voxels stay. Nothing in the node changes before the last step.
    """
    check_target(volume, node)
    segmentation = node.GetSegmentation()
    yield Progress("importing", "adding the segments")
    rows = {_id(table, row): row for row in table["segments"]}
    kept = [] if replace_edited else (yield from _edited(segmentation, rows))
    if kept:
        yield from _erase(image, [rows[each]["value"] for each in kept])
    if region is not None:
        yield from _keep_outside(segmentation, image, {i: r for i, r in rows.items() if i not in kept}, region)
    found = yield from survey(image)
    done = Imported(kept=kept)
    had_surfaces = segmentation.ContainsRepresentation(surfaces.SURFACE)
    was_modifying = node.StartModify()
    try:
        if segmentation.GetNumberOfSegments() == 0:
            segmentation.SetSourceRepresentationName(BINARY)
            _place(volume, node)
        _separate(segmentation, [each for each in rows if each not in kept])
        for each, row in rows.items():
            if each not in kept:
                _put_one(segmentation, each, row, image, found.get(int(row["value"])), done)
        _sign(node, segmentation, table, done)
    finally:
        node.EndModify(was_modifying)
    if had_surfaces:
        yield from surfaces.show(node)
    return done


def volumes_ml(node: Any) -> Work[Dict[str, float]]:
    """Millilitres of each segment as it is now, edits included."""
    segmentation, volumes = node.GetSegmentation(), {}
    for image, ids in labelmaps(segmentation, segmentation.GetSegmentIDs()):
        found = yield from survey(image)
        for each in ids:
            count = found.get(segmentation.GetSegment(each).GetLabelValue())
            volumes[each] = (count.voxels if count else 0) * geometry.voxel_ml(matrix_of(image))
    return volumes


def survey(image: Any) -> Work[Dict[int, Found]]:
    """Counts and sums the voxels of each label; the same voxels give the same numbers however an image is cropped."""
    array, first = labels_of(image), image.GetExtent()[0::2]
    counts: Dict[int, int] = {}
    sums: Dict[int, int] = {}
    if array.size == 0:
        return {}
    j, i = (np.arange(n, dtype=np.uint64) + np.uint64(at + 2**20) for n, at in zip(array.shape[1:], first[1::-1]))
    mixed = ((j[:, None] << np.uint64(32)) + i) * np.uint64(MIXER)
    # 32 bits, so that sums over a plane are exact in double precision.
    places = (mixed >> np.uint64(32)).astype(float).ravel()
    for k, plane in enumerate(array):
        plane = plane.ravel()
        at = np.flatnonzero(plane)
        if len(at):
            values = plane[at].astype(np.intp)
            weights = np.bincount(values, weights=places[at])
            factor = (k + int(first[2]) + 2**20) * MIXER | 1
            for value, count in enumerate(np.bincount(values)):
                if count:
                    counts[value] = counts.get(value, 0) + int(count)
                    sums[value] = (sums.get(value, 0) + factor * int(weights[value])) % 2**64
        yield GO_ON
    return {value: Found(count, sums[value]) for value, count in counts.items()}


def labels_of(image: Any) -> np.ndarray:
    """The voxels of a labelmap, `[k, j, i]`, without a copy."""
    dims = image.GetDimensions()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(dims[::-1])


def terminology_entry(codes: Mapping[str, Any]) -> str:
    """The codes of a structure as Slicer writes them into a segment's tag."""
    parts = []
    for name in ("category", "type", "type_modifier", "anatomic_region", "anatomic_region_modifier"):
        code = codes.get(name) or {}
        parts.append("^".join(str(code.get(part, "")) for part in ("scheme", "value", "meaning")))
    return "~".join([CONTEXT, *parts[:3], REGIONS, *parts[3:]])


def _id(table: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    return str(row.get("id") or f"{table['task']}.{row['name']}")


def _place(volume: Any, node: Any) -> None:
    """Puts an empty segmentation where its volume is."""
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    if hierarchy is None:
        return
    item, beside = hierarchy.GetItemByDataNode(node), hierarchy.GetItemByDataNode(volume)
    if item and beside:
        hierarchy.SetItemParent(item, hierarchy.GetItemParent(beside))


def labelmaps(segmentation: Any, ids: Iterable[str]) -> List[Tuple[Any, List[str]]]:
    """The distinct labelmaps of some segments, and whose they are."""
    images: List[Tuple[Any, List[str]]] = []
    for each in ids:
        image = segmentation.GetSegment(each).GetRepresentation(BINARY)
        known = next((ids for other, ids in images if other is image), None)
        if known is not None:
            known.append(each)
        elif image is not None:
            images.append((image, [each]))
    return images


def _edited(segmentation: Any, rows: Mapping[str, Any]) -> Work[List[str]]:
    """Segments of these ids that are the user's: edited since their import, or with a status."""
    logic, edited = slicer.vtkSlicerSegmentationsModuleLogic, set()
    present = [each for each in rows if segmentation.GetSegment(each) is not None]
    for image, ids in labelmaps(segmentation, present):
        found = yield from survey(image)
        for each in ids:
            segment = segmentation.GetSegment(each)
            now = str(found.get(segment.GetLabelValue(), Found(0, 0)))
            if tag(segment, IMPORTED) != now or logic.GetSegmentStatus(segment) != logic.NotStarted:
                edited.add(each)
    return [each for each in present if each in edited]


def _erase(image: Any, values: Sequence[int]) -> Work[None]:
    """Takes labels out of a labelmap."""
    stays = np.arange(256, dtype=np.uint8)
    stays[list(values)] = 0
    for plane in labels_of(image):
        plane[...] = stays[plane]
        yield GO_ON


def _keep_outside(
    segmentation: Any, image: Any, rows: Mapping[str, Any], region: Sequence[Sequence[int]]
) -> Work[None]:
    """Copies what earlier runs found outside of a region into the new labelmap."""
    present = [each for each in rows if segmentation.GetSegment(each) is not None]
    (i, i_end), (j, j_end), (k, k_end) = region
    for old, ids in labelmaps(segmentation, present):
        if not np.allclose(matrix_of(old), matrix_of(image), rtol=0.0, atol=1e-6):
            raise _unsuitable("the earlier segments lie on another grid")
        new_value = np.zeros(2**16, dtype=np.uint8)
        for each in ids:
            new_value[segmentation.GetSegment(each).GetLabelValue()] = rows[each]["value"]
        first, labels, earlier = old.GetExtent(), labels_of(image), labels_of(old)
        for at, plane in enumerate(earlier, start=first[4]):
            plane = new_value[plane]
            target = labels[at, first[2] : first[3] + 1, first[0] : first[1] + 1]
            if k <= at < k_end:
                plane[
                    max(j - first[2], 0) : max(j_end - first[2], 0), max(i - first[0], 0) : max(i_end - first[0], 0)
                ] = 0
            np.copyto(target, plane, where=plane != 0)
            yield GO_ON


def _separate(segmentation: Any, moving: Sequence[str]) -> None:
    """Gives segments that stay a labelmap of their own where they share one with segments that get a new one."""
    moving = [each for each in moving if segmentation.GetSegment(each) is not None]
    images = [image for image, _ in labelmaps(segmentation, moving)]
    for image, ids in labelmaps(segmentation, segmentation.GetSegmentIDs()):
        if any(image is other for other in images):
            for each in ids:
                if each not in moving:
                    segmentation.SeparateSegmentLabelmap(each)


def _put_one(
    segmentation: Any, each: str, row: Mapping[str, Any], image: Any, found: Optional[Found], done: Imported
) -> None:
    """Adds, updates or removes one segment."""
    segment = segmentation.GetSegment(each)
    if found is None:
        if segment is not None:
            segmentation.RemoveSegment(each)
            done.removed.append(each)
        done.empty.append(each)
        return
    is_new = segment is None
    if is_new:
        segment = slicer.vtkSegment()
        # Exports of a segment without a name end the program.
        segment.SetName(str(row["name"]).replace("_", " "))
        segment.SetColor(*(channel / 255.0 for channel in row["color"]))
        if row.get("terminology"):
            segment.SetTag(segment.GetTerminologyEntryTagName(), terminology_entry(row["terminology"]))
    segment.SetTag(IMPORTED, str(found))
    segment.SetLabelValue(int(row["value"]))
    segment.RemoveRepresentation(surfaces.SURFACE)
    segment.AddRepresentation(BINARY, image)
    if is_new:
        segmentation.AddSegment(segment, each)
    (done.added if is_new else done.updated).append(each)


def _sign(node: Any, segmentation: Any, table: Mapping[str, Any], done: Imported) -> None:
    """Writes down what made the result: into the node for people, into the segments so that files tell it too."""
    made = table.get("provenance", {})
    models = " ".join(f"{model['id']} {model['sha256'][:16]}" for model in made.get("models", []))
    program = f"vesalius {made.get('version', '')}"
    node.SetAttribute("Vesalius.Task", str(table["task"]))
    node.SetAttribute("Vesalius.Provenance", json.dumps(made, separators=(",", ":"), sort_keys=True))
    warnings = "".join(f" {warning}." for warning in table.get("warnings", []))
    text = f"Segmented by {program}, task {table['task']}, model {models}. For research use only.{warnings}"
    node.SetDescription(text)
    for each in done.added + done.updated:
        segmentation.GetSegment(each).SetTag(MADE_BY, f"{models} by {program}")


def tag(segment: Any, name: str) -> str:
    """A tag's value; empty when there is none."""
    value = vtk.reference("")
    return str(value) if segment.GetTag(name, value) else ""


def matrix_of(image: Any) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return scene.as_array(matrix)


def _unsuitable(message: str) -> VesaliusError:
    return VesaliusError("segmentation_unsuitable", message, "choose a new segmentation for the result")
