"""Vesalius in 3D Slicer: press Apply, and organs, bones and vessels of a CT or MR become segments.

This file only wires: the panel is `VesaliusLib/panel.py`, a segmentation from Apply to pixels `VesaliusLib/jobs.py`.
"""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence, Union

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin
from VesaliusLib.jobs import Job, Request
from VesaliusLib.process import Engine


class Vesalius(ScriptedLoadableModule):
    """What Slicer's list of modules says."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "Vesalius"
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["Segmentations", "Markups"]
        parent.contributors = ["The Vesalius authors"]
        parent.helpText = _(
            "Segments organs, bones, muscles and vessels of CT and MR images on this computer, with the models of "
            "TotalSegmentator and other nnU-Net models. Choose a volume and a task, and press Apply. "
            "What is wrong is corrected by clicks. "
            "No image leaves this computer. For research use only; not a medical device."
        )
        parent.acknowledgementText = _(
            "Models: TotalSegmentator (Wasserthal et al., Radiology: Artificial Intelligence 2023) and nnU-Net "
            "(Isensee et al., Nature Methods 2021), run with ONNX Runtime. Please cite them."
        )


class VesaliusWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel's life."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: Optional[VesaliusLogic] = None
        self.panel: Any = None

    def setup(self) -> None:
        """Builds the panel; nothing is started or asked yet."""
        from VesaliusLib.panel import Panel
        from VesaliusLib.panel_choices import Choices

        ScriptedLoadableModuleWidget.setup(self)
        widget = slicer.util.loadUI(self.resourcePath("UI/Vesalius.ui"))
        self.layout.addWidget(widget)
        self.ui = slicer.util.childWidgetVariables(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        self.logic = VesaliusLogic()
        self.panel = Panel(self.ui, self.logic.job, Choices(self.logic.getParameterNode))
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndClose)

    def cleanup(self) -> None:
        """The module is unloaded, or Slicer ends."""
        self.removeObservers()
        if self.panel is not None:
            self.panel.close()

    def enter(self) -> None:
        """The user opens the panel."""
        self.panel.enter()

    def exit(self) -> None:
        """The user opens another panel."""
        self.panel.exit()

    def onSceneStartClose(self, _caller: Any, _event: str) -> None:
        """All nodes are about to go."""
        self.panel.scene_closing()

    def onSceneEndClose(self, _caller: Any, _event: str) -> None:
        """The scene is empty, or another one."""
        self.panel.scene_closed()


class VesaliusLogic(ScriptedLoadableModuleLogic):
    """Segmentation without a window, for scripts."""

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self.job = Job(Engine())

    def segment(
        self,
        volume: Any,
        task: str = "total",
        speed: str = "default",
        structures: Optional[Sequence[str]] = None,
        region: Any = None,
        segmentation: Any = None,
        channels: Optional[Mapping[str, Any]] = None,
        operating_point: Union[str, float, None] = None,
        waitForCompletion: bool = True,
    ) -> Any:
        """Segments a volume node and gives the segmentation node.

        `structures` are names (all when left out), `region` is a ROI node, `segmentation` a node to update, `channels`
        the further volume nodes of a task that takes several, by name, such as `{"ADC": node}`, `operating_point` a
        name of the task's own (`balanced`, `sensitive`, `specific`) or the probability above which a voxel is taken.
        Without `waitForCompletion` it returns None at once; `self.job` tells how far it is, and `self.job.outcome` at
        the end which node was made. What goes wrong is raised as a VesaliusError, with a `message` and a `hint`.
        """
        request = Request(
            volume=volume.GetID(),
            task=task,
            speed=speed,
            channels=tuple((name, node.GetID()) for name, node in (channels or {}).items()),
            operating_point=operating_point,
            structures=tuple(structures) if structures is not None else None,
            region=region.GetID() if region is not None else "",
            segmentation=segmentation.GetID() if segmentation is not None else "",
        )
        self.job.start(request)
        if not waitForCompletion:
            return None
        return slicer.mrmlScene.GetNodeByID(self.job.wait().segmentation)


class VesaliusTest(ScriptedLoadableModuleTest):
    """Runs in Slicer: `Reload and Test`, or the command in docs/slicer.md."""

    def runTest(self) -> None:
        """Segments a made-up head with the engine's built-in model, and looks at the result."""
        self.setUp()
        self.test_segment()

    def setUp(self) -> None:
        """Begins with an empty scene."""
        slicer.mrmlScene.Clear(0)

    def test_segment(self) -> None:
        """The whole path: the engine starts, the volume goes there, the labels come back on the same grid."""
        import numpy as np

        axis = np.linspace(-1.0, 1.0, 64)
        k, j, i = np.meshgrid(axis, axis, axis, indexing="ij")
        voxels = np.where(k**2 / 2 + j**2 + i**2 < 0.6, 40, -1000).astype(np.int16)
        volume = slicer.util.addVolumeFromArray(voxels, np.diag([-3.0, -3.0, 3.0, 1.0]), "Phantom")
        logic = VesaliusLogic()
        node = logic.segment(volume, task="headneck")
        self.assertTrue(slicer.mrmlScene.IsNodePresent(node))
        self.assertEqual(node.GetAttribute("Vesalius.Task"), "headneck")
        self.assertEqual(logic.job.state, "done")
        logic.job.close()
        self.delayDisplay("Test passed")
