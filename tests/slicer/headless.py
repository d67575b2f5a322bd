"""A scene of 3D Slicer without its application: what the wheel `slicer-core` lacks, and our modules need.

The wheel holds Slicer's own compiled libraries; missing are the objects that the application makes when it starts:
`slicer.mrmlScene`, `slicer.app`, `slicer.modules`. Nothing is faked that has behaviour: scene, logics and nodes are
Slicer's.
"""

from __future__ import annotations

import tempfile
import types
from typing import Any

import slicer
import slicer.util
import vtk

# Logics that other code asks the application for; the order in which they get the scene matters.
LOGICS = {
    "Colors": "vtkSlicerColorLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Transforms": "vtkSlicerTransformLogic",
}


def start() -> Any:
    """Makes the scene and what belongs to it, and hangs it all into `slicer`; gives the scene."""
    scene, application = slicer.vtkMRMLScene(), slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)
    application.GetColorLogic().SetMRMLScene(scene)
    application.GetColorLogic().AddDefaultColorNodes()
    application.SetSliceLogics(vtk.vtkCollection())
    application.SetViewLogics(vtk.vtkCollection())
    share, modules = tempfile.mkdtemp(prefix="slicer-share-"), types.SimpleNamespace()
    for name, of_class in LOGICS.items():
        logic = getattr(slicer, of_class)()
        if hasattr(logic, "SetModuleShareDirectory"):
            logic.SetModuleShareDirectory(share)
        if hasattr(logic, "SetMRMLApplicationLogic"):
            logic.SetMRMLApplicationLogic(application)
        logic.SetMRMLScene(scene)
        application.SetModuleLogic(name, logic)
        setattr(modules, name.lower(), types.SimpleNamespace(logic=lambda logic=logic: logic))
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    settings: dict = {}
    app = types.SimpleNamespace(
        applicationLogic=lambda: application,
        mrmlScene=lambda: scene,
        processEvents=lambda: None,
        settings=lambda: types.SimpleNamespace(
            value=settings.get, setValue=settings.__setitem__, contains=settings.__contains__
        ),
        temporaryPath=tempfile.mkdtemp(prefix="slicer-temporary-"),
    )
    slicer.mrmlScene, slicer.app, slicer.modules = scene, app, modules
    return scene
