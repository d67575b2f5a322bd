"""Slice and 3D views of 3D Slicer without its windows: Slicer's own displayable managers, drawn into pictures."""

from __future__ import annotations

from typing import Any, Sequence, Tuple

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

SLICE_MANAGERS = (
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
)
VIEW_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
)


class _View:
    def __init__(self, size: Tuple[int, int], factory: Any, managers: Sequence[str]) -> None:
        self.renderer, self.window = vtk.vtkRenderer(), vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.SetMultiSamples(0)
        self.window.AddRenderer(self.renderer)
        self.window.SetSize(*size)
        self.interactor = vtk.vtkRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        self.interactor.Initialize()
        self._factory, self._managers = factory, managers
        self.group = slicer.vtkMRMLDisplayableManagerGroup()

    def _show(self, node: Any) -> None:
        factory = self._factory.GetInstance()
        factory.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        for name in self._managers:
            if hasattr(slicer, name) and not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        self.group.Initialize(factory, self.renderer)
        self.group.SetMRMLDisplayableNode(node)

    def pixels(self) -> np.ndarray:
        """What is drawn, `[row, column, channel]`, from the top."""
        self.window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self.window)
        grab.ReadFrontBufferOff()
        grab.Update()
        image = grab.GetOutput()
        width, height, _ = image.GetDimensions()
        return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, 3)[::-1]


class SliceView(_View):
    """One of the views Red, Green and Yellow."""

    def __init__(self, name: str, orientation: str, size: Tuple[int, int]) -> None:
        super().__init__(size, slicer.vtkMRMLSliceViewDisplayableManagerFactory, SLICE_MANAGERS)
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        application = slicer.app.applicationLogic()
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(application)
        application.GetSliceLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(slicer.mrmlScene)
        self.node = self.logic.AddSliceNode(name)
        self.node.SetOrientation(orientation)
        self.size = size
        self._show(self.node)
        # What the application's slice widget does: the resliced image lies behind all else. In one renderer with
        # what is see-through, it would be drawn around that, which then looks as if on black.
        self._mapper, actor, behind = vtk.vtkImageMapper(), vtk.vtkActor2D(), vtk.vtkRenderer()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        actor.SetMapper(self._mapper)
        behind.AddViewProp(actor)
        self.window.SetNumberOfLayers(max(2, self.window.GetNumberOfLayers()))
        self.window.AddRenderer(behind)
        self.renderer.SetLayer(1)
        self.logic.ResizeSliceNode(*size)

    def show(self, volume: Any) -> None:
        """Shows a volume, as large as it fits."""
        self.logic.GetSliceCompositeNode().SetBackgroundVolumeID(volume.GetID())
        self.logic.FitSliceToBackground()
        # Only now there is an image to be connected.
        self._mapper.SetInputConnection(self.logic.GetImageDataConnection())

    def zoom(self, factor: float) -> None:
        """Looks at the middle, larger."""
        width, height, depth = self.node.GetFieldOfView()
        self.node.SetFieldOfView(width / factor, height / factor, depth)


class ThreeDView(_View):
    """The 3D view, in Slicer's own colors."""

    def __init__(self, size: Tuple[int, int], name: str = "View1") -> None:
        super().__init__(size, slicer.vtkMRMLThreeDViewDisplayableManagerFactory, VIEW_MANAGERS)
        application = slicer.app.applicationLogic()
        self.logic = slicer.vtkMRMLViewLogic()
        self.logic.SetMRMLApplicationLogic(application)
        application.GetViewLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(slicer.mrmlScene)
        self.node = self.logic.AddViewNode(name)
        self.node.SetBoxVisible(False)
        self.node.SetAxisLabelsVisible(False)
        self._show(self.node)
        self.renderer.SetBackground(0.7568, 0.7647, 0.9098)
        self.renderer.SetBackground2(0.4549, 0.4706, 0.7451)
        self.renderer.GradientBackgroundOn()
        # What is see-through is drawn from back to front.
        self.window.SetAlphaBitPlanes(1)
        self.renderer.SetUseDepthPeeling(1)
        self.renderer.SetMaximumNumberOfPeels(12)
        lights = vtk.vtkLightKit()
        lights.AddLightsToRenderer(self.renderer)

    def look(self, azimuth: float, elevation: float, zoom: float = 1.0) -> None:
        """Looks at everything from an angle; 0, 0 is from the front."""
        camera = self.renderer.GetActiveCamera()
        camera.SetFocalPoint(0, 0, 0)
        camera.SetPosition(0, 500, 0)
        camera.SetViewUp(0, 0, 1)
        camera.Azimuth(azimuth)
        camera.Elevation(elevation)
        self.renderer.ResetCamera()
        camera.Zoom(zoom)
