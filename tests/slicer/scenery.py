"""What the pictures of docs/slicer.md are made of: the panel, Slicer's views, and how they are put together."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

WIDTH = 372
VIEW = (356, 374)
BAR = 22
# Bars of Slicer's views.
RED, GREEN, YELLOW, BLUE = "#f34a33", "#6eb04b", "#edd54c", "#747ab3"


def image_of(pixels: Any) -> Any:
    """An array as a picture."""
    import numpy as np
    from PySide6 import QtGui

    pixels = np.ascontiguousarray(pixels)
    height, width, _ = pixels.shape
    return QtGui.QImage(pixels.tobytes(), width, height, 3 * width, QtGui.QImage.Format_RGB888).copy()


def row(pictures: Any) -> Any:
    """Pictures side by side."""
    from PySide6 import QtGui

    width, height = pictures[0].width() + 3, pictures[0].height()
    made = QtGui.QImage(len(pictures) * width - 3, height, QtGui.QImage.Format_RGB32)
    made.fill(QtGui.QColor("#202020"))
    painter = QtGui.QPainter(made)
    for number, each in enumerate(pictures):
        painter.drawImage(number * width, 0, each)
    painter.end()
    return made


def beside(panel: Any, right: Any) -> Any:
    """The panel and the views as one window."""
    from PySide6 import QtGui

    height = right.height()
    picture = QtGui.QImage(panel.width() + right.width() + 3, height, QtGui.QImage.Format_RGB32)
    ground = panel.toImage().pixelColor(2, 2)
    picture.fill(ground)
    painter = QtGui.QPainter(picture)
    painter.drawPixmap(0, 0, panel)
    painter.drawImage(panel.width() + 3, 0, right)
    painter.end()
    return picture


def grab(widget: Any) -> Any:
    """The panel as large as it needs to be."""
    import loop
    from PySide6 import QtWidgets

    loop.settle(0.2)
    panel = widget.parent
    panel.resize(WIDTH, 10)
    loop.settle(0.1)
    # A label that wraps tells its height only once it knows its width.
    height = QtWidgets.QWidget.layout(panel).heightForWidth(WIDTH)
    height = max(height, QtWidgets.QWidget.minimumSizeHint(panel).height())
    panel.resize(WIDTH, min(height, 1200))
    loop.settle(0.1)
    return panel.grab()


def save(picture: Any, folder: Path, name: str) -> None:
    """Writes a PNG and says how large it is."""
    path = folder / name
    picture.save(str(path), "PNG", 0)
    print(f"{path.name}: {picture.width()} x {picture.height()}, {path.stat().st_size // 1024} kB")


def add_bone(volume: Any) -> None:
    """What is brighter than 260 HU, see-through, so that the organs have a place in the 3D view."""
    import slicer
    import vtk

    smooth, surface, matrix = vtk.vtkImageGaussianSmooth(), vtk.vtkFlyingEdges3D(), vtk.vtkMatrix4x4()
    smooth.SetInputData(volume.GetImageData())
    smooth.SetStandardDeviation(0.7)
    surface.SetInputConnection(smooth.GetOutputPort())
    surface.SetValue(0, 260)
    surface.ComputeScalarsOff()
    parts = vtk.vtkPolyDataConnectivityFilter()
    parts.SetInputConnection(surface.GetOutputPort())
    parts.SetExtractionModeToAllRegions()
    parts.Update()
    sizes = [parts.GetRegionSizes().GetValue(part) for part in range(parts.GetNumberOfExtractedRegions())]
    parts.SetExtractionModeToSpecifiedRegions()
    for part, size in enumerate(sizes):
        if size > 250:
            parts.AddSpecifiedRegion(part)
    transform, move = vtk.vtkTransform(), vtk.vtkTransformPolyDataFilter()
    volume.GetIJKToRASMatrix(matrix)
    transform.SetMatrix(matrix)
    move.SetTransform(transform)
    move.SetInputConnection(parts.GetOutputPort())
    move.Update()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", "Bone")
    node.SetAndObservePolyData(move.GetOutput())
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetColor(0.95, 0.92, 0.85)
    display.SetScalarVisibility(False)
    display.SetOpacity(0.25)
    display.SetVisibility2D(False)


def views(volume: Any, node: Any, target: str) -> Any:
    """Four views in Slicer's usual layout, through the middle of a structure."""
    import loop
    import slicer
    import views as slicer_views
    from PySide6 import QtCore, QtGui
    from VesaliusLib import panel_results
    from VesaliusLib.vesalius import Steps

    point = Steps(panel_results.place_of(node, target)).finish()
    planes = [("R", "Red", "Axial", RED), ("G", "Green", "Coronal", GREEN), ("Y", "Yellow", "Sagittal", YELLOW)]
    slices = [slicer_views.SliceView(name, orientation, VIEW) for _, name, orientation, _ in planes]
    body = slicer_views.ThreeDView(VIEW)
    for view, zoom in zip(slices, (2.1, 1.25, 1.25)):
        view.show(volume)
        view.zoom(zoom)
    slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *point, slicer.vtkMRMLSliceNode.OffsetJumpSlice)
    add_bone(volume)
    body.look(azimuth=-32, elevation=6, zoom=1.6)
    loop.settle(0.2)
    cells = [(planes[0], slices[0]), (("1", "View1", "", BLUE), body), (planes[1], slices[1]), (planes[2], slices[2])]
    width, height = VIEW
    picture = QtGui.QImage(2 * width + 3, 2 * (height + BAR) + 3, QtGui.QImage.Format_RGB32)
    picture.fill(QtGui.QColor("#202020"))
    painter = QtGui.QPainter(picture)
    painter.setRenderHint(QtGui.QPainter.Antialiasing)
    for number, ((letter, _, orientation, color), view) in enumerate(cells):
        left, top = (number % 2) * (width + 3), (number // 2) * (height + BAR + 3)
        painter.fillRect(left, top, width, BAR, QtGui.QColor(color))
        painter.setPen(QtGui.QColor("black"))
        font = painter.font()
        font.setBold(True)
        painter.setFont(font)
        painter.drawText(QtCore.QRect(left + 8, top, 30, BAR), QtCore.Qt.AlignVCenter, letter)
        font.setBold(False)
        painter.setFont(font)
        if orientation:
            axis, letters = {"Axial": (2, "SI"), "Coronal": (1, "AP"), "Sagittal": (0, "RL")}[orientation]
            place = view.node.GetSliceToRAS().GetElement(axis, 3)
            told = f"{letters[place < 0]}: {abs(place):.1f} mm"
            area = QtCore.QRect(left, top, width - 8, BAR)
            painter.drawText(area, QtCore.Qt.AlignVCenter | QtCore.Qt.AlignRight, told)
        painter.drawImage(left, top + BAR, image_of(view.pixels()))
    painter.end()
    return picture


def watched(name: str, orientation: str, volume: Any) -> Any:
    """A slice view that the panel listens to; the scene has one node for each view that was shown before."""
    import slicer
    import views as slicer_views

    view = slicer_views.SliceView(name, orientation, (330, 340))
    view.show(volume)
    view.zoom(5.6)
    widget = types.SimpleNamespace(
        sliceView=lambda: types.SimpleNamespace(interactor=lambda: view.interactor), mrmlSliceNode=lambda: view.node
    )
    manager = types.SimpleNamespace(sliceViewNames=lambda: [name], sliceWidget=lambda _name: widget)
    slicer.app.layoutManager = lambda: manager
    return view


def show(place: Any) -> None:
    """A place in the middle of all slices."""
    import slicer

    slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *place, slicer.vtkMRMLSliceNode.CenteredJumpSlice)


def darken(application: Any) -> None:
    """A dark palette, as Slicer has one."""
    from PySide6 import QtGui

    palette, roles = QtGui.QPalette(), QtGui.QPalette
    ground, base, ink = QtGui.QColor("#323232"), QtGui.QColor("#242424"), QtGui.QColor("#e8e8e8")
    for role in (roles.Window, roles.Button, roles.AlternateBase):
        palette.setColor(role, ground)
    palette.setColor(roles.Base, base)
    for role in (roles.WindowText, roles.Text, roles.ButtonText, roles.BrightText):
        palette.setColor(role, ink)
        palette.setColor(roles.Disabled, role, QtGui.QColor("#808080"))
    palette.setColor(roles.ToolTipBase, base)
    palette.setColor(roles.PlaceholderText, QtGui.QColor("#909090"))
    palette.setColor(roles.Mid, QtGui.QColor("#505050"))
    palette.setColor(roles.Highlight, QtGui.QColor("#3d8ec9"))
    application.setPalette(palette)
