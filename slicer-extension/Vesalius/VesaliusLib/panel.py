"""The panel: it shows what the scene, the engine and the job say, and passes on what the user wants."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence

import qt
import slicer
from slicer.i18n import tr as _

from . import catalog
from .catalog import Task
from .correction import Correction
from .jobs import CANCELLED, DONE, FAILED, Job, Request
from .line import Line
from .panel_channels import ChannelSelectors
from .panel_choices import Choices
from .panel_correct import CorrectSection
from .panel_doubt import Doubt
from .panel_engine import EngineSection
from .panel_points import PointSelector
from .panel_results import ResultsTable, summary
from .panel_setup import SetupCard, icon
from .panel_structures import StructuresList
from .panel_words import in_panel, seconds_in_words, sentence, shortened
from .process import NOT_INSTALLED
from .vesalius import Client, VesaliusError
from .vesalius.steps import Work

# Letters of a task that a narrow panel has room for.
LONGEST_TITLE = 34
# Steps of the progress bar.
BAR = 1000


class Panel:
    """All of it; `ui` holds the widgets of `Vesalius.ui` by name."""

    def __init__(self, ui: Any, job: Job, choices: Choices) -> None:
        self.ui, self.job, self.choices = ui, job, choices
        self.tasks: List[Task] = []
        self._is_filling = False
        self.line = Line(job.engine)
        self.doubt = Doubt(self._fill_tasks)
        self.structures = StructuresList(ui, self._choices_changed)
        self.channels = ChannelSelectors(ui, choices, self._channels_changed)
        self.points = PointSelector(ui, self._choices_changed)
        self.results = ResultsTable(ui)
        self.correct = CorrectSection(ui, Correction(job.engine), self._corrected)
        self.setup = SetupCard(ui, job.engine, self.refresh)
        self.engine = EngineSection(ui, job.engine, self.line, self.refresh)
        ui.errorIconLabel.setPixmap(icon("SP_MessageBoxCritical"))
        ui.hintIconLabel.setPixmap(icon("SP_MessageBoxWarning"))
        self._connect()
        job.on_change = self.update
        self.update()

    def _connect(self) -> None:
        ui = self.ui
        ui.volumeSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._volume_changed)
        ui.regionSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._choices_changed)
        ui.regionSelector.connect("nodeAddedByUser(vtkMRMLNode*)", self._fit_region)
        ui.segmentationSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._segmentation_changed)
        ui.taskComboBox.connect("activated(int)", self._task_changed)
        ui.speedComboBox.connect("activated(int)", self._choices_changed)
        for box in (ui.forceCheckBox, ui.replaceCheckBox, ui.show3DCheckBox):
            box.connect("toggled(bool)", self._choices_changed)
        ui.applyButton.connect("clicked(bool)", self.apply_or_cancel)
        ui.detailsButton.connect("toggled(bool)", ui.detailsLabel.setVisible)

    # The life of the module.

    def enter(self) -> None:
        """The user looks at the panel: the engine may be asked, and started."""
        self.load()
        if not self.tasks:
            self.refresh()

    def exit(self) -> None:
        """The user looks elsewhere; a job goes on."""
        self.correct.exit()

    def close(self) -> None:
        """The end of the module; signals that still come are of no interest."""
        self._is_filling = True
        for part in (self.job, self.results, self.correct, self.setup, self.engine, self.line, self.doubt):
            part.close()

    def scene_closing(self) -> None:
        """All nodes go; the job stops by itself."""
        self.results.show(None)
        self.results.tell("")
        self._show_results(False)

    def scene_closed(self) -> None:
        """Shows an empty scene."""
        if not self.job.is_busy:
            self.job.reset()
        self.load()

    def load(self) -> None:
        """Shows what the scene remembers of the user's choices."""
        self._is_filling = True
        try:
            choices = self.choices
            if choices.volume is not None:
                self.ui.volumeSelector.setCurrentNode(choices.volume)
            self.ui.regionSelector.setCurrentNode(choices.region)
            self.ui.segmentationSelector.setCurrentNode(choices.segmentation)
            self.ui.show3DCheckBox.checked = choices.show_3d
            self.ui.replaceCheckBox.checked = choices.replace_edited
        finally:
            self._is_filling = False
        self._volume_changed(self.ui.volumeSelector.currentNode())
        self._segmentation_changed(self.ui.segmentationSelector.currentNode())

    def refresh(self) -> None:
        """Asks the engine what it is and what it can do; starts it if it is here."""
        if self.job.engine.place() is None and not self.job.engine.is_running():
            self._no_engine(VesaliusError(NOT_INSTALLED, _("the engine is not installed")))
            return
        self.engine.tell_state(_("starting") if not self.tasks else _("asking"))
        self.update()
        self.line.ask(_questions, self._answered, self._no_engine)

    # What the engine says.

    def _answered(self, answers: Any) -> None:
        tasks, info, models = answers
        self.tasks = catalog.parse_tasks(tasks)
        self.engine.show(info, models)
        self._fill_tasks()

    def _no_engine(self, error: VesaliusError) -> None:
        self.tasks = []
        self.engine.forget(error)
        self._fill_tasks()
        self.setup.need_engine(error)

    # What the user chooses.

    @property
    def task(self) -> Optional[Task]:
        """The chosen task."""
        return catalog.find(self.tasks, str(self.ui.taskComboBox.currentData or ""))

    @property
    def speed(self) -> str:
        """The chosen resolution."""
        return str(self.ui.speedComboBox.currentData or "default")

    def _fill_tasks(self) -> None:
        """Tasks that fit the image first."""
        combo, modality = self.ui.taskComboBox, self.doubt.modality
        blocked = combo.blockSignals(True)
        combo.clear()
        for task in catalog.sorted_for(self.tasks, modality):
            other = f" [{task.modality}]" if modality and task.modality != modality else ""
            combo.addItem(shortened(f"{task.id}{other}: {task.title}", LONGEST_TITLE), task.id)
            combo.setItemData(combo.count - 1, task.title, qt.Qt.ToolTipRole)
        if not self.tasks:
            combo.addItem(_("(waiting for the engine)"), "")
        wanted = combo.findData(self.choices.task) if self.choices.task else 0
        combo.setCurrentIndex(max(0, wanted))
        combo.blockSignals(blocked)
        self._task_changed(keep=True)

    def _task_changed(self, *_args: Any, keep: bool = False) -> None:
        """Shows the resolutions and structures of the task."""
        combo, task = self.ui.speedComboBox, self.task
        blocked = combo.blockSignals(True)
        combo.clear()
        for speed in task.speeds if task else ():
            combo.addItem(speed.title, speed.id)
        if task is not None:
            # What was chosen for this task before, else the finest that can run now.
            installed = next((speed.id for speed in task.speeds if speed.is_installed), task.speeds[0].id)
            same = keep and self.choices.task == task.id and bool(self.choices.speed)
            combo.setCurrentIndex(max(0, combo.findData(self.choices.speed if same else installed)))
        combo.blockSignals(blocked)
        self.channels.show(task.channels if task else (), self.ui.volumeSelector.currentNode())
        same_task = task is not None and self.choices.task == task.id
        self.points.show(task, self.choices.point if same_task else "")
        self.structures.show(task, self.choices.structures if same_task else None)
        self.ui.taskComboBox.toolTip = task.title if task else ""
        self._choices_changed()

    def _volume_changed(self, volume: Any) -> None:
        if self._is_filling:
            return
        self.doubt.look(volume)
        before = self.choices.volume
        if volume is not None and before is not None and before.GetID() != volume.GetID():
            # Another image: not into the result of the last one.
            self.ui.segmentationSelector.setCurrentNode(None)
            self.channels.forget()
        self.ui.forceCheckBox.checked = False
        self._fill_tasks()

    def _channels_changed(self) -> None:
        if not self._is_filling:
            self.channels.remember()
            self.update()

    def _segmentation_changed(self, node: Any) -> None:
        if self._is_filling:
            return
        if node is not self.results.node or node is None:
            self.results.tell("")
            self.results.show(node)
        self._show_results(node is not None)
        self._choices_changed()

    def _fit_region(self, roi: Any) -> None:
        """A new box holds the whole image, to be made smaller."""
        volume = self.ui.volumeSelector.currentNode()
        if volume is not None and roi is not None:
            bounds = [0.0] * 6
            volume.GetRASBounds(bounds)
            roi.SetCenter([(bounds[2 * axis] + bounds[2 * axis + 1]) / 2 for axis in range(3)])
            roi.SetSize([bounds[2 * axis + 1] - bounds[2 * axis] for axis in range(3)])

    def _choices_changed(self, *_args: Any) -> None:
        """Writes the choices into the scene, and shows what follows from them."""
        if self._is_filling:
            return
        ui, choices = self.ui, self.choices
        choices.volume = ui.volumeSelector.currentNode()
        choices.region = ui.regionSelector.currentNode()
        choices.segmentation = ui.segmentationSelector.currentNode()
        choices.show_3d, choices.replace_edited = ui.show3DCheckBox.checked, ui.replaceCheckBox.checked
        if self.task is not None:
            choices.task, choices.speed = self.task.id, self.speed
            choices.point, choices.structures = self.points.chosen, self.structures.wanted()
        self.update()

    # Apply.

    def apply_or_cancel(self, *_args: Any) -> None:
        """The one big button."""
        if self.job.is_busy:
            self.job.cancel()
            return
        request = self.request()
        if request is not None:
            self.job.start(request)

    def request(self) -> Optional[Request]:
        """What is to be done; None when something is missing."""
        volume, task = self.ui.volumeSelector.currentNode(), self.task
        if volume is None or task is None or self.channels.missing:
            return None
        return Request(
            volume=volume.GetID(),
            channels=tuple((name, _id(node)) for name, node in self.channels.nodes().items()),
            task=task.id,
            speed=self.speed,
            operating_point=self.points.chosen or None,
            structures=self.structures.wanted(),
            region=_id(self.ui.regionSelector.currentNode()),
            segmentation=_id(self.ui.segmentationSelector.currentNode()),
            replace_edited=bool(self.ui.replaceCheckBox.checked),
            force=bool(self.ui.forceCheckBox.checked),
            show_3d=bool(self.ui.show3DCheckBox.checked),
        )

    # What is shown.

    def update(self) -> None:
        """Shows the state of the job, and what can be done now."""
        job, ui = self.job, self.ui
        self._show_hint()
        missing = self._missing()
        ui.applyButton.text = _("Cancel") if job.is_busy else _("Apply")
        ui.applyButton.setEnabled(job.is_busy or not missing)
        ui.applyButton.toolTip = missing or (_("Stop; nothing is changed") if job.is_busy else _("Segment the volume"))
        for section in (ui.inputsCollapsibleButton, ui.structuresCollapsibleButton, ui.outputsCollapsibleButton):
            section.setEnabled(not job.is_busy)
        ui.progressFrame.setVisible(job.is_busy or job.state == CANCELLED)
        ui.progressBar.setVisible(job.is_busy)
        ui.progressBar.setValue(int(BAR * job.fraction))
        left = seconds_in_words(job.seconds_left)
        message = job.message.split(", about")[0]
        ui.progressLabel.text = sentence(message)[:-1] + (" · " + _("{time} left").format(time=left) if left else "")
        self._show_error(job.error if job.state == FAILED else None)
        self.correct.show()
        if job.state == DONE and job.outcome is not None:
            self._show_outcome()

    def _missing(self) -> str:
        """Why Apply cannot be pressed; empty when it can. The card says what can be mended."""
        task = self.task
        if task is None:
            return _("The engine is not ready.")
        speed = task.speed(self.speed)
        if not speed.is_installed:
            self.setup.need_models(task, speed)
            return _("The models of this task are not installed.")
        self.setup.hide()
        if self.ui.volumeSelector.currentNode() is None:
            return _("Choose a volume.")
        if self.channels.missing:
            return _("Choose the {name} image.").format(name=self.channels.missing[0])
        if self.structures.wanted() == ():
            return _("Choose at least one structure.")
        if self.doubt.of(task) and self.doubt.is_told and not self.ui.forceCheckBox.checked:
            return _("The task is for other images.")
        return ""

    def _show_hint(self) -> None:
        task = self.task
        doubt = self.doubt.of(task)
        caution = task.caution if task else ""
        title = task.title if task and len(f"{task.id}: {task.title}") > LONGEST_TITLE else ""
        text = " ".join(sentence(part) for part in (doubt or title, caution) if part)
        self.ui.hintLabel.text = text
        name = "SP_MessageBoxWarning" if doubt else "SP_MessageBoxInformation"
        self.ui.hintIconLabel.setPixmap(icon(name, 16))
        self.ui.forceCheckBox.setVisible(bool(doubt) and self.doubt.is_told)
        self.ui.hintFrame.setVisible(bool(text))

    def _show_error(self, error: Optional[VesaliusError]) -> None:
        ui = self.ui
        ui.errorFrame.setVisible(error is not None)
        if error is None:
            ui.detailsButton.checked = False
            return
        ui.errorLabel.text = sentence(error.message)
        hint = sentence(in_panel(error.hint))
        ui.detailsLabel.text = "\n".join(part for part in (hint, _("Code: {code}").format(code=error.code)) if part)

    def _show_outcome(self) -> None:
        """Once, when a job is done."""
        outcome = self.job.outcome
        self.job.outcome = None
        node = slicer.mrmlScene.GetNodeByID(outcome.segmentation)
        if node is None:
            return
        self._is_filling = True
        self.ui.segmentationSelector.setCurrentNode(node)
        self._is_filling = False
        self.results.show(node, outcome.volumes_ml)
        self.correct.made(outcome.segmentation, outcome.job, outcome.image)
        self.results.tell(summary(outcome))
        self._show_results(True)
        self._choices_changed()

    def _show_results(self, shown: bool) -> None:
        self.ui.resultCollapsibleButton.setEnabled(shown)
        self.ui.resultCollapsibleButton.collapsed = not shown
        self.ui.correctCollapsibleButton.setEnabled(shown)
        self.correct.show()

    def _corrected(self) -> Optional[Sequence[Any]]:
        """The image and the segmentation that can be corrected now."""
        volume, node = self.ui.volumeSelector.currentNode(), self.results.node
        return (volume, node) if volume is not None and node is not None and not self.job.is_busy else None


def _questions(client: Client) -> Work[Any]:
    tasks = yield from client.tasks()
    info = yield from client.info()
    models = yield from client.models()
    return tasks, info, models


def _id(node: Any) -> str:
    return node.GetID() if node is not None else ""
