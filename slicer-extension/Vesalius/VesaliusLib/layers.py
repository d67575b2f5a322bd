"""The segments of a node as one label map on the grid of a volume, as the engine corrects it, and the way back.

Segments usually share one labelmap, but Slicer may give one its own where segments overlap. Each segment has a value
from 1 to 255, its label value where that is free; where segments overlap the first one counts. Corrections are written
into the labelmaps in place, and only the segments that were touched are told to be modified: what else hangs on the
others, such as surfaces, stays.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Sequence, Set, Tuple

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from . import scene, segments, surfaces
from .vesalius import delta as deltas
from .vesalius.delta import Delta
from .vesalius.errors import VesaliusError
from .vesalius.steps import GO_ON, Work

# Tag of a segment: its value in the session.
VALUE = "Vesalius.Value"
MOST = 255
Planes = Callable[[int], np.ndarray]


class Layer:
    """One labelmap and the segments in it."""

    def __init__(self, image: Any, owners: Dict[int, int]) -> None:
        """`owners`: by label value in the labelmap the value in the session."""
        self.image = image
        dtype = vtk_to_numpy(image.GetPointData().GetScalars()).dtype
        self.to_value = np.zeros(2 ** (8 * min(dtype.itemsize, 2)), np.uint8)
        self.to_label = np.zeros(MOST + 1, dtype)
        for label, value in owners.items():
            self.to_value[label], self.to_label[value] = value, label

    @property
    def labels(self) -> np.ndarray:
        """VTK's own memory, `[k, j, i]`."""
        return segments.labels_of(self.image)

    def values(self, part: Any) -> np.ndarray:
        """Values of a part, such as one plane."""
        labels = self.labels[part]
        # Labels below 0 or beyond 16 bits are no segment's.
        return self.to_value[labels if labels.dtype.kind == "u" else labels & (len(self.to_value) - 1)]


class Layers:
    """All segments of a node."""

    def __init__(self, volume: Any, node: Any) -> None:
        segments.check_target(volume, node)
        self._volume, self._node = volume.GetID(), node.GetID()
        self._extent = volume.GetImageData().GetExtent()
        self.dims: Sequence[int] = volume.GetImageData().GetDimensions()
        self._matrix = scene.ijk_to_ras(volume)
        self._layers: List[Layer] = []
        self._seen: Tuple = ()
        # Whether the segments were equal to the mirror when they were last looked at.
        self._is_known = False
        # Values by ids of segments.
        self.values: Dict[str, int] = {}
        self.refresh()

    @property
    def node(self) -> Any:
        """The segmentation, which must still be there."""
        node = slicer.mrmlScene.GetNodeByID(self._node)
        if node is None:
            raise VesaliusError("node_gone", "the segmentation is not in the scene any more", "choose another")
        return node

    @property
    def segmentation(self) -> Any:
        """The node's segments."""
        return self.node.GetSegmentation()

    def segment(self, value: int) -> Optional[Any]:
        """The segment of a value, if there is one."""
        found = next((each for each, other in self.values.items() if other == value), None)
        return self.segmentation.GetSegment(found) if found is not None else None

    def name(self, value: int) -> str:
        """What the user calls a value."""
        segment = self.segment(value)
        return segment.GetName() if segment is not None else f"structure {value}"

    def structures(self, ours: bool = True) -> List[Dict[str, Any]]:
        """The segments as `POST /v1/sessions` names them; without `ours`, only those that no job made."""
        rows = []
        for each, value in self.values.items():
            segment = self.segmentation.GetSegment(each)
            is_ours = bool(segments.tag(segment, segments.IMPORTED))
            if ours or not is_ours:
                # The engine knows codes by its own names, whatever the user calls a segment.
                name = each.split(".", 1)[-1] if is_ours else segment.GetName() or each
                color = [int(round(255 * channel)) for channel in segment.GetColor()]
                rows.append({"value": value, "name": name, "color": color})
        return rows

    def refresh(self) -> bool:
        """Looks at the labelmaps again if anything happened to them; whether it did."""
        if self._state() == self._seen:
            return False
        segmentation = self.segmentation
        ids = list(segmentation.GetSegmentIDs())
        self.values = self._valued(segmentation, ids)
        self._adopt(segmentation, ids)
        self._layers = []
        for image, owners in segments.labelmaps(segmentation, ids):
            self._widen(segmentation, image)
            labels = {segmentation.GetSegment(each).GetLabelValue(): self.values[each] for each in owners}
            self._layers.append(Layer(image, labels))
        self._seen, self._is_known = self._state(), False
        return True

    def plane(self, k: int) -> np.ndarray:
        """The values of one plane, `[j, i]`."""
        if not self._layers:
            return np.zeros((self.dims[1], self.dims[0]), np.uint8)
        plane = self._layers[0].values(k)
        for layer in self._layers[1:]:
            np.copyto(plane, layer.values(k), where=plane == 0)
        return plane

    def part(self, low: Sequence[int], high: Sequence[int], otherwise: np.ndarray) -> np.ndarray:
        """The values of a box as they are shown now; of `otherwise` while Slicer has cropped a labelmap."""
        box = tuple(slice(int(low[axis]), int(high[axis])) for axis in (2, 1, 0))
        if not self._layers or any(layer.image.GetExtent() != self._extent for layer in self._layers):
            return otherwise[box]
        values = self._layers[0].values(box)
        for layer in self._layers[1:]:
            np.copyto(values, layer.values(box), where=values == 0)
        return values

    def compose(self) -> Work[np.ndarray]:
        """All values, `[k, j, i]`."""
        self.refresh()
        values = np.zeros(self.dims[::-1], np.uint8)
        for k in range(self.dims[2]):
            values[k] = self.plane(k)
            yield GO_ON
        return values

    def changes(self, mirror: np.ndarray) -> Work[Delta]:
        """What leads from `mirror` to the segments as they are; quick where nothing happened since it was empty."""
        while True:
            self.refresh()
            if self._is_known:
                return deltas.empty()
            began = self._seen
            found = yield from between(lambda k: mirror[k], self.plane, self.dims)
            if self._state() == began:
                self._is_known = found.is_empty
                return found

    def write(self, delta: Delta, mirror: Optional[np.ndarray] = None) -> Work[Set[int]]:
        """Makes a change in the segments where they are as it expects, and in `mirror`; gives the values concerned."""
        self.refresh()
        for place, old, new in delta.pieces(self.dims):
            if mirror is not None:
                mirror.reshape(-1)[place] = new
            for layer in self._layers:
                labels, before, after = layer.labels.reshape(-1), layer.to_label[old], layer.to_label[new]
                # Where the user has painted meanwhile, the user's stays.
                where = (before != after) & (labels[place] == before)
                labels[place[where]] = after[where]
            yield GO_ON
        touched = {value for change in delta.changes() for value in change if value}
        self._tell(touched)
        return touched

    def _tell(self, touched: Set[int]) -> None:
        """Tells whoever shows these values."""
        is_seen = self._state() == self._seen
        # Where segments overlap, another one may show now.
        self._is_known = self._is_known and len(self._layers) == 1
        for layer in self._layers:
            if any(layer.to_label[value] for value in touched):
                layer.image.GetPointData().GetScalars().Modified()
        for value in touched:
            segment = self.segment(value)
            if segment is not None:
                segment.Modified()
        if is_seen:
            self._seen = self._state()

    def _state(self) -> Tuple:
        """Changes whenever a voxel does, or a segment comes, goes or gets another labelmap."""
        segmentation, found = self.segmentation, []
        for each in segmentation.GetSegmentIDs():
            segment = segmentation.GetSegment(each)
            image = segment.GetRepresentation(segments.BINARY)
            time = image.GetMTime() if image is not None else 0
            found.append((each, segment.GetLabelValue(), image.GetAddressAsString("") if time else "", time))
        return tuple(found)

    def _valued(self, segmentation: Any, ids: Sequence[str]) -> Dict[str, int]:
        """A value for each segment: the one it had, its label value, or any that is free."""
        if len(ids) > MOST:
            raise VesaliusError(
                "segmentation_unsuitable",
                f"{len(ids)} segments are too many: {MOST} can be corrected together",
                "move some into another segmentation",
            )
        values: Dict[str, int] = {}
        wishes = [
            lambda each, segment: self.values.get(each, 0),
            lambda each, segment: int(segments.tag(segment, VALUE) or 0),
            lambda each, segment: segment.GetLabelValue(),
        ]
        for wish in wishes:
            for each in ids:
                wanted = wish(each, segmentation.GetSegment(each))
                if each not in values and 1 <= wanted <= MOST and wanted not in values.values():
                    values[each] = wanted
        free = iter(sorted(set(range(1, MOST + 1)) - set(values.values())))
        values.update({each: next(free) for each in ids if each not in values})
        for each, value in values.items():
            if segments.tag(segmentation.GetSegment(each), VALUE) != str(value):
                segmentation.GetSegment(each).SetTag(VALUE, str(value))
        return {each: values[each] for each in ids}

    def _adopt(self, segmentation: Any, ids: Sequence[str]) -> None:
        """Gives segments without voxels a place in a labelmap."""
        images = segments.labelmaps(segmentation, ids)
        for each in ids:
            segment = segmentation.GetSegment(each)
            image = segment.GetRepresentation(segments.BINARY)
            if image is not None and image.GetPointData().GetScalars() is not None:
                continue
            volume = slicer.mrmlScene.GetNodeByID(self._volume)
            usable = [pair for pair in images if pair[0].GetPointData().GetScalars() is not None]
            shared, owners = usable[0] if usable else (segments.label_image(volume, 0)[0], [])
            taken = {segmentation.GetSegment(other).GetLabelValue() for other in owners}
            label = self.values[each] if self.values[each] not in taken else 0
            segment.SetLabelValue(label or next(n for n in range(1, MOST + 2) if n not in taken))
            segment.AddRepresentation(segments.BINARY, shared)
            images = segments.labelmaps(segmentation, ids)

    def _widen(self, segmentation: Any, image: Any) -> None:
        """Lets a labelmap, which Slicer crops to what is in it, reach over the whole volume."""
        if not np.allclose(segments.matrix_of(image), self._matrix, rtol=0.0, atol=1e-6):
            raise VesaliusError(
                "segmentation_unsuitable",
                f"`{self.node.GetName()}` lies on another grid than the volume",
                "choose the volume it was made from, or segment into a new segmentation",
            )
        extent = image.GetExtent()
        if extent == self._extent:
            return
        outside = any(
            extent[2 * n] < self._extent[2 * n] or extent[2 * n + 1] > self._extent[2 * n + 1] for n in range(3)
        )
        if outside and not _is_nothing(extent):
            message = f"`{self.node.GetName()}` reaches beyond the volume"
            raise VesaliusError("segmentation_unsuitable", message, "choose the volume it was made from")
        old = segments.labels_of(image) if not _is_nothing(extent) else None
        whole = slicer.vtkOrientedImageData()
        whole.SetExtent(self._extent)
        whole.AllocateScalars(image.GetScalarType(), 1)
        new = segments.labels_of(whole)
        new[...] = 0
        if old is not None:
            i, j, k = (extent[2 * n] - self._extent[2 * n] for n in range(3))
            new[k : k + old.shape[0], j : j + old.shape[1], i : i + old.shape[2]] = old
        matrix = vtk.vtkMatrix4x4()
        image.GetImageToWorldMatrix(matrix)
        whole.SetImageToWorldMatrix(matrix)
        # Slicer drops all surfaces then, but nothing is different in it: they stay valid.
        kept = surfaces.taken(segmentation)
        image.ShallowCopy(whole)
        surfaces.put_back(segmentation, kept)


def between(old: Planes, new: Planes, dims: Sequence[int]) -> Work[Delta]:
    """What leads from one label map to another, plane by plane."""
    found: List[int] = []
    box = [[0, 0], [0, 0]]
    for k in range(dims[2]):
        changed = old(k) != new(k)
        if changed.any():
            for axis in (0, 1):
                inside = np.flatnonzero(changed.any(axis=axis))
                begin, end = int(inside[0]), int(inside[-1]) + 1
                low, high = box[axis]
                box[axis] = [min(low, begin), max(high, end)] if found else [begin, end]
            found.append(k)
        yield GO_ON
    if not found:
        return deltas.empty()
    (i, i_end), (j, j_end) = box
    area, parts = (i_end - i) * (j_end - j), []
    for k in found:
        before = (k - found[0]) * area
        parts.append(deltas.runs(old(k)[j:j_end, i:i_end], new(k)[j:j_end, i:i_end], before))
        yield GO_ON
    return deltas.of_runs((i, j, found[0]), (i_end - i, j_end - j, found[-1] + 1 - found[0]), parts)


def _is_nothing(extent: Sequence[int]) -> bool:
    return any(extent[2 * n] > extent[2 * n + 1] for n in range(3))
