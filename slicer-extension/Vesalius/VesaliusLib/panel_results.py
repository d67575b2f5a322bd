"""The table of what was found: volumes, show and hide, jump, 3D."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
import qt
import slicer
import vtk
from slicer.i18n import tr as _

from . import scene, segments, surfaces
from .driver import Driver
from .panel_structures import swatch
from .panel_words import milliliters, plural, sentence, took_in_words
from .vesalius import geometry
from .vesalius.steps import GO_ON, Work

ID = qt.Qt.UserRole
# Milliseconds after the last edit until volumes are measured again.
SETTLED = 600


class ResultsTable:
    """Shows a segmentation node, and follows what happens to it."""

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._node_id = ""
        self._observed: List[Tuple[Any, int]] = []
        self._volumes: Dict[str, float] = {}
        self.driver = Driver()
        self._settle = qt.QTimer()
        self._settle.setSingleShot(True)
        self._settle.connect("timeout()", self.measure)
        tree = ui.resultTree
        header = tree.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
        header.setSectionResizeMode(1, qt.QHeaderView.ResizeToContents)
        tree.sortByColumn(-1, qt.Qt.AscendingOrder)
        tree.connect("itemChanged(QTreeWidgetItem*,int)", self._toggled)
        tree.connect("itemClicked(QTreeWidgetItem*,int)", self._clicked)
        ui.show3DButton.connect("clicked(bool)", self._show_3d)
        ui.copyButton.connect("clicked(bool)", self.copy)
        ui.editButton.connect("clicked(bool)", self._edit)

    @property
    def node(self) -> Optional[Any]:
        """The node that is shown, if it is still there."""
        return slicer.mrmlScene.GetNodeByID(self._node_id) if self._node_id else None

    def show(self, node: Optional[Any], volumes: Optional[Dict[str, float]] = None) -> None:
        """Shows a segmentation node; `volumes` in mL where they are known already."""
        self._unobserve()
        self.driver.cancel()
        self._node_id = node.GetID() if node is not None else ""
        self._volumes = dict(volumes or {})
        if node is not None:
            segmentation = node.GetSegmentation()
            for event in (
                segmentation.SegmentAdded,
                segmentation.SegmentRemoved,
                segmentation.SegmentModified,
                segmentation.SourceRepresentationModified,
            ):
                self._observed.append((segmentation, segmentation.AddObserver(event, self._edited)))
        self._fill()
        if node is not None and volumes is None:
            self.measure()

    def tell(self, text: str) -> None:
        """The line above the table."""
        self._ui.resultLabel.text = text
        self._ui.resultLabel.setVisible(bool(text))

    def close(self) -> None:
        """Forgets the node and all work."""
        self._settle.stop()
        self._unobserve()
        self.driver.abandon()
        self._node_id = ""

    def measure(self) -> None:
        """Measures the volumes, edits included, and shows them."""
        node = self.node
        if node is not None and not slicer.mrmlScene.IsBatchProcessing():
            self.driver.run(segments.volumes_ml(node), self._measured)

    def copy(self, *_args: Any) -> None:
        """Puts the table on the clipboard, for a spreadsheet."""
        node = self.node
        if node is None:
            return
        lines = ["structure\tvolume_ml"]
        for each in node.GetSegmentation().GetSegmentIDs():
            name = node.GetSegmentation().GetSegment(each).GetName()
            lines.append(f"{name}\t{self._volumes.get(each, 0.0):.3f}")
        slicer.app.clipboard().setText("\n".join(lines))

    # Filling.

    def _fill(self) -> None:
        tree, node = self._ui.resultTree, self.node
        blocked = tree.blockSignals(True)
        tree.clear()
        ids = list(node.GetSegmentation().GetSegmentIDs()) if node is not None else []
        for each in ids:
            segment = node.GetSegmentation().GetSegment(each)
            item = qt.QTreeWidgetItem(tree.invisibleRootItem(), [segment.GetName(), ""])
            item.setData(0, ID, each)
            item.setFlags(item.flags() | qt.Qt.ItemIsUserCheckable)
            item.setTextAlignment(1, qt.Qt.AlignRight | qt.Qt.AlignVCenter)
        tree.blockSignals(blocked)
        self._refresh()
        has = bool(ids)
        for button in (self._ui.show3DButton, self._ui.copyButton, self._ui.editButton):
            button.setEnabled(has)

    def _refresh(self) -> None:
        """What may change without segments coming and going."""
        tree, node = self._ui.resultTree, self.node
        display = node.GetDisplayNode() if node is not None else None
        blocked = tree.blockSignals(True)
        root = tree.invisibleRootItem()
        for number in range(root.childCount()):
            item = root.child(number)
            each = item.data(0, ID)
            segment = node.GetSegmentation().GetSegment(each) if node is not None else None
            if segment is None:
                continue
            item.setText(0, segment.GetName())
            item.setIcon(0, swatch([255 * channel for channel in segment.GetColor()]))
            shown = display is None or display.GetSegmentVisibility(each)
            item.setCheckState(0, qt.Qt.Checked if shown else qt.Qt.Unchecked)
            volume = self._volumes.get(each)
            # A number, so that the column is sorted as one.
            item.setData(1, qt.Qt.DisplayRole, "..." if volume is None else milliliters(volume))
        tree.blockSignals(blocked)
        has_3d = display is not None and bool(display.GetVisibility3D())
        has_3d = has_3d and node.GetSegmentation().ContainsRepresentation(surfaces.SURFACE)
        self._ui.show3DButton.checked = has_3d

    def _measured(self, volumes: Dict[str, float]) -> None:
        self._volumes = volumes
        if self.node is not None:
            self._refresh()

    # What the user does.

    def _toggled(self, item: Any, column: int) -> None:
        node = self.node
        if column == 0 and node is not None and node.GetDisplayNode() is not None:
            node.GetDisplayNode().SetSegmentVisibility(item.data(0, ID), item.checkState(0) == qt.Qt.Checked)

    def _clicked(self, item: Any, _column: int) -> None:
        node = self.node
        if node is not None:
            self.driver.run(place_of(node, item.data(0, ID)), jump)

    def _show_3d(self, *_args: Any) -> None:
        node = self.node
        if node is None:
            return
        if self._ui.show3DButton.checked:
            self._ui.show3DButton.setEnabled(False)
            self.driver.run(surfaces.show(node), self._shown_3d, self._shown_3d, self._progress)
        elif node.GetDisplayNode() is not None:
            node.GetDisplayNode().SetVisibility3D(False)

    def _progress(self, progress: Any) -> None:
        self.tell(sentence(progress.message))

    def _shown_3d(self, _result: Any) -> None:
        self.tell("")
        self._ui.show3DButton.setEnabled(self.node is not None)
        self._refresh()

    def _edit(self, *_args: Any) -> None:
        """Opens the Segment Editor with this segmentation."""
        node = self.node
        if node is None:
            return
        slicer.util.selectModule("SegmentEditor")
        editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
        editor.setSegmentationNode(node)

    def _edited(self, *_args: Any) -> None:
        """Names, colors and voxels change in bursts: look once when it is quiet."""
        self._settle.stop()
        node = self.node
        if node is None or slicer.mrmlScene.IsClosing():
            return
        root = self._ui.resultTree.invisibleRootItem()
        shown = [root.child(number).data(0, ID) for number in range(root.childCount())]
        if shown != list(node.GetSegmentation().GetSegmentIDs()):
            self._fill()
        self._settle.start(SETTLED)

    def _unobserve(self) -> None:
        for observed, tag in self._observed:
            observed.RemoveObserver(tag)
        self._observed.clear()


def summary(outcome: Any) -> str:
    """What a segmentation gave, in a sentence or two."""
    imported = outcome.imported
    found = len(imported.added) + len(imported.updated)
    text = _("{found} found in {time}").format(found=plural(found, "structure"), time=took_in_words(outcome.seconds))
    if imported.empty:
        text += _("; {count} not in this image").format(count=len(imported.empty))
    text += "."
    if imported.kept:
        text += " " + _("{count} kept, since you edited them.").format(count=plural(len(imported.kept), "segment"))
    for warning in outcome.table.get("warnings", []):
        text += " " + sentence(str(warning))
    return text


def place_of(node: Any, each: str) -> Work[Optional[Sequence[float]]]:
    """A point inside a segment, in the world: the middle of the slice that shows most of it; None when it is empty."""
    segment = node.GetSegmentation().GetSegment(each)
    image = segment.GetRepresentation(segments.BINARY) if segment is not None else None
    if image is None:
        return None
    labels, first, value = segments.labels_of(image), image.GetExtent()[0::2], segment.GetLabelValue()
    best, most = None, 0
    for k, plane in enumerate(labels):
        count = int(np.count_nonzero(plane == value))
        if count > most:
            best, most = k, count
        yield GO_ON
    if best is None:
        return None
    inside = np.argwhere(labels[best] == value)
    middle = inside[np.argmin(((inside - inside.mean(axis=0)) ** 2).sum(axis=1))]
    index = [float(middle[1]) + first[0], float(middle[0]) + first[1], float(best) + first[2]]
    point = geometry.to_world(image_to_world(image), np.array([index]))[0]
    return to_scene(node, point)


def image_to_world(image: Any) -> np.ndarray:
    """The matrix of a labelmap from voxels to millimetres in RAS."""
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return scene.as_array(matrix)


def to_scene(node: Any, point: Sequence[float]) -> Sequence[float]:
    """A point of a node's own frame in the world, through the transforms above it."""
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(node.GetParentTransformNode(), None, transform)
    return transform.TransformPoint(*(float(value) for value in point))


def jump(point: Optional[Sequence[float]]) -> None:
    """Shows a point in all slice views."""
    if point is None:
        return
    slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *point, slicer.vtkMRMLSliceNode.CenteredJumpSlice)
