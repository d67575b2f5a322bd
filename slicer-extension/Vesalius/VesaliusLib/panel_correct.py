"""The section Correct: one button that makes slice views listen, one line that says what happens, and what is left."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Hashable, List, Optional, Sequence, Tuple

import qt
import slicer
from slicer.i18n import tr as _

from . import scene
from .correction import CLOSED, OPENING, WORKING, Correction
from .correction_view import Listener, SliceViews, mark, unmark
from .panel_places import PlacesList
from .panel_results import jump
from .panel_tools import Tools
from .panel_words import in_panel, sentence, shortened
from .preview import Preview
from .vesalius.sessions import ADD, REMOVE

BOX = "Correction box"
# Millimetres along the edges of a new box.
EDGE = 40.0
HELP = "Press Fix, then click in a slice on what is missing; with Ctrl, on what is too much"
# Letters of a name that a button has room for.
LONGEST_NAME = 22
# Milliseconds between two looks at what lies under the cursor.
GLANCE = 60
# Milliseconds that the cursor rests until it is shown what a click would do.
REST = 180
# Milliseconds between two looks at what other viewers have done.
FOLLOW = 2000


class CorrectSection:
    """Shows a correction. `nodes` gives the volume and the segmentation that the panel is about, or None."""

    def __init__(self, ui: Any, correction: Correction, nodes: Callable[[], Optional[Sequence[Any]]]) -> None:
        self._ui, self.correction, self._nodes = ui, correction, nodes
        self._sign, self._hovered, self._target = ADD, 0, 0
        self._told = ""
        self._cursor: Optional[Sequence[float]] = None
        # By ids of segmentations: the job that made them, and the image as it was then.
        self._made: Dict[str, Tuple[str, Hashable]] = {}
        self._places = PlacesList(ui, correction, self._go_to)
        self.views = SliceViews(Listener(self._pointed, self._moved, self._turned, self._pressed))
        self._glance = qt.QTimer()
        self._glance.setSingleShot(True)
        self._glance.connect("timeout()", self._look)
        self.preview = Preview(correction.engine)
        self.tools = Tools(ui, correction, lambda: self.value, lambda: setattr(ui.fixButton, "checked", True))
        self._is_turned = False
        self._rest = qt.QTimer()
        self._rest.setSingleShot(True)
        self._rest.connect("timeout()", self._foresee)
        self._follow = qt.QTimer()
        self._follow.setInterval(FOLLOW)
        self._follow.connect("timeout()", correction.follow)
        correction.on_change = self.update
        ui.fixButton.connect("toggled(bool)", self._fix)
        ui.signButton.connect("clicked(bool)", lambda *_: self._turn_sign())
        for button, action in (
            (ui.undoButton, correction.undo),
            (ui.redoButton, correction.redo),
            (ui.nextPlaceButton, lambda: self._next(1)),
            (ui.refineButton, lambda: self._opened(correction.refine)),
            (ui.lockButton, lambda: correction.lock(self.value)),
            (ui.acceptButton, lambda: correction.accept(self.value)),
            (ui.acceptAllButton, lambda: correction.accept(None)),
            (ui.boxButton, self._box),
        ):
            button.connect("clicked(bool)", lambda *_, action=action: action())
        ui.structureComboBox.connect("currentIndexChanged(int)", lambda *_: self.update())
        self.update()

    @property
    def value(self) -> int:
        """The structure that buttons are about: the chosen one, else the last one; 0: none."""
        return self._chosen or self._target

    @property
    def _chosen(self) -> int:
        """The structure that the user has chosen; 0: the one under or near the cursor."""
        return int(self._ui.structureComboBox.currentData or 0)

    # The life of the module.

    def made(self, node: str, job: str, image: Hashable) -> None:
        """A job has made a segmentation: the engine knows more about it than its labels."""
        self._made[node] = (job, image)

    def exit(self) -> None:
        """The panel is left: the views belong to others."""
        self._ui.fixButton.checked = False

    def show(self) -> None:
        """Other nodes were chosen, or none: a correction of others ends, and the engine keeps its session."""
        correction = self.correction
        volume, node = self._nodes() or (None, None)
        if correction.state != CLOSED and not (volume is correction.volume and node is correction.node):
            self._ui.fixButton.checked = False
            correction.close()
        self.update()

    def close(self) -> None:
        """The end of the module."""
        for timer in (self._glance, self._follow, self._rest):
            timer.stop()
        self.preview.end()
        self.tools.close()
        self.views.disarm()
        self.correction.on_change = lambda: None
        self.correction.end()

    # What the user does.

    def _fix(self, is_on: bool) -> None:
        if is_on and self._open():
            self.views.arm()
            self._follow.start()
            self.tools.look()
        else:
            self.tools.disarm()
            self.views.disarm()
            self._follow.stop()
            self._rest.stop()
            self.preview.close()
            unmark()
            self._hovered = 0
        self.update()

    def _open(self) -> bool:
        nodes = self._nodes()
        if nodes is None:
            return False
        volume, node = nodes
        job, image = self._made.get(node.GetID(), ("", None))
        self.correction.open(volume, node, job if scene.key_of(volume) == image else "")
        return True

    def _opened(self, action: Callable[[], None]) -> None:
        """Does something that needs a session, which is opened for it."""
        if self._open():
            action()

    def _pointed(self, points: List[Sequence[float]], is_turned: bool) -> None:
        """A click or a line in a slice view."""
        sign = self._meant(is_turned)
        self._rest.stop()
        self._glance.stop()
        self.preview.hide()
        correction = self.correction
        if correction.state in (CLOSED, OPENING):
            return
        value = self._chosen or correction.near(points[0])
        self._target = value or self._target
        if self.tools.take(points[0], self._chosen):
            return
        mark(points, sign == ADD)
        if len(points) == 1:
            correction.click(points[0], sign, value)
        else:
            correction.scribble(points, 0.0, sign, value)
        self._set_sign(ADD)

    def _moved(self, point: Optional[Sequence[float]], is_turned: bool) -> None:
        self._cursor, self._is_turned = point, is_turned
        self.preview.hide()
        self._glance.start(GLANCE)
        self._rest.start(REST)

    def _meant(self, is_turned: bool) -> str:
        """The sign of a click, with Ctrl or without."""
        return self._sign if not is_turned else (REMOVE if self._sign == ADD else ADD)

    def _foresee(self) -> None:
        """Shows what a click would do here."""
        point, correction = self._cursor, self.correction
        if point is None or not self.views.is_armed or self.tools.hint:
            return
        value = self._chosen or correction.near(point)
        asked = correction.would(point, self._meant(self._is_turned), value)
        if asked is not None:
            self.preview.ask(correction.volume, *asked)

    def _look(self) -> None:
        """Says what lies under the cursor."""
        before = self._hovered
        is_idle = self.correction.is_open and self._cursor is not None
        self._hovered = self.correction.near(self._cursor) if is_idle else 0
        if self._hovered != before:
            self._show_line()

    def _turned(self, step: int) -> bool:
        return self.correction.choose(step)

    def _pressed(self, key: str) -> bool:
        """Keys over a slice view while Fix is on."""
        correction = self.correction
        self._glance.stop()
        here = correction.near(self._cursor) if self._cursor is not None else 0
        here = here or self.value
        actions = {
            "o": lambda: self._cursor is not None and self.tools.piece("keep", self._cursor, self._chosen),
            "d": lambda: self._cursor is not None and self.tools.piece("drop", self._cursor, self._chosen),
            "z": correction.undo,
            "y": correction.redo,
            "n": lambda: self._next(1),
            "N": lambda: self._next(-1),
            "a": lambda: here and correction.accept(here),
            "k": lambda: here and correction.lock(here),
            "t": self._turn_sign,
            "Escape": self._escape,
        }
        plain = key[1:].lower() if key.startswith("^") else key
        if key.startswith("^") and plain not in ("z", "y"):
            return False
        action = actions.get(plain) or actions.get(plain.lower())
        if action is not None:
            action()
        return action is not None

    def _escape(self) -> None:
        """Ends what waits for something, else Fix."""
        if not self.correction.stop_asking() and not self.tools.disarm():
            self._ui.fixButton.checked = False

    def _turn_sign(self) -> None:
        self._set_sign(REMOVE if self._sign == ADD else ADD)

    def _set_sign(self, sign: str) -> None:
        self._sign = sign
        self.update()

    def _next(self, step: int) -> None:
        self._opened(lambda: self.correction.next_place(step))

    def _go_to(self, place: Dict[str, Any]) -> None:
        self._target = int(place["label"])
        jump(self.correction.point_of(place))

    def _box(self) -> None:
        """The first press makes a box to be moved and sized; the second corrects inside it."""
        nodes, roi = self._nodes(), slicer.mrmlScene.GetFirstNodeByName(BOX)
        if roi is not None:
            if self.correction.is_open:
                self.correction.box(roi, self._sign, self.value)
            slicer.mrmlScene.RemoveNode(roi)
        elif nodes is not None:
            self._opened(lambda: None)
            roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", BOX)
            roi.SetSaveWithScene(False)
            roi.SetCenter(self._middle(nodes[0]))
            roi.SetSize([EDGE] * 3)
        self.update()

    def _middle(self, volume: Any) -> Sequence[float]:
        """Where the slices cross, or else the middle of the image."""
        bounds = [0.0] * 6
        volume.GetRASBounds(bounds)
        middle = [(bounds[2 * axis] + bounds[2 * axis + 1]) / 2 for axis in range(3)]
        for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            axis = {"Sagittal": 0, "Coronal": 1, "Axial": 2}.get(node.GetOrientation())
            if axis is not None:
                middle[axis] = node.GetSliceToRAS().GetElement(axis, 3)
        return middle

    # What is shown.

    def update(self) -> None:
        """Shows the state of the correction, and what can be done now."""
        ui, correction, nodes = self._ui, self.correction, self._nodes()
        if nodes is None and ui.fixButton.checked:
            ui.fixButton.checked = False
        if correction.message != self._told:
            # What happened stays to be read until the cursor moves again.
            self._told, self._hovered = correction.message, 0
        self._fill_structures()
        is_open = correction.is_open
        undo, redo = correction.steps
        ui.fixButton.setEnabled(nodes is not None)
        ui.fixButton.text = _("Fixing (Esc ends)") if ui.fixButton.checked else _("Fix")
        ui.signButton.text = _("+ add") if self._sign == ADD else _("− remove")
        ui.undoButton.setEnabled(is_open and undo > 0)
        ui.redoButton.setEnabled(is_open and redo > 0)
        for button in (ui.refineButton, ui.nextPlaceButton, ui.boxButton):
            button.setEnabled(nodes is not None)
        has_value = is_open and self.value in correction.values().values()
        ui.lockButton.setEnabled(has_value)
        ui.acceptButton.setEnabled(has_value)
        ui.acceptAllButton.setEnabled(is_open)
        name = correction.name(self.value) if has_value else ""
        self.tools.update(nodes is not None, name)
        is_locked = has_value and correction.is_locked(self.value)
        ui.lockButton.text = _("Unlock") if is_locked else _("Lock")
        ui.acceptButton.text = _("Accept {name}").format(name=shortened(name, LONGEST_NAME)) if name else _("Accept")
        ui.boxButton.text = _("Use box") if slicer.mrmlScene.GetFirstNodeByName(BOX) is not None else _("Box")
        accepted, count = correction.progress()
        ui.acceptedBar.setVisible(is_open and count > 0)
        ui.acceptedBar.setRange(0, max(1, count))
        ui.acceptedBar.setValue(accepted)
        ui.acceptedBar.setFormat(_("{accepted} of {count} accepted").format(accepted=accepted, count=count))
        self._places.update()
        self._show_line()

    def _show_line(self) -> None:
        """One sentence: what happens, what went wrong, or what a click would do."""
        correction, ui = self.correction, self._ui
        if correction.error is not None:
            text = self._named(correction.error.message)
            if correction.error.hint and correction.error.code != "invalid":
                text = f"{text}: {self._named(in_panel(correction.error.hint))}"
        elif correction.state in (OPENING, WORKING):
            text = correction.message + " ..."
        elif self.tools.hint:
            text = self.tools.hint
        elif ui.fixButton.checked and self._hovered and correction.is_open:
            verbs = (_("a click adds to it"), _("with Ctrl it removes"))
            verbs = verbs if self._sign == ADD else (_("a click removes from it"), _("with Ctrl it adds"))
            text = f"{correction.name(self._hovered)}: {', '.join(verbs)}"
            if correction.is_locked(self._hovered):
                text = _("{name} is locked").format(name=correction.name(self._hovered))
            if correction.message and correction.answers[1]:
                text = correction.message
        else:
            text = correction.message or _(HELP)
        ui.correctLabel.text = text if text.endswith("...") else sentence(text)

    def _named(self, text: str) -> str:
        """The engine says numbers of labels, people say names."""
        return re.sub(r"\blabel (\d+)\b", lambda found: self.correction.name(int(found.group(1))), text)

    def _fill_structures(self) -> None:
        combo, correction = self._ui.structureComboBox, self.correction
        wanted = [(correction.name(value), value) for value in correction.values().values()]
        shown = [(combo.itemText(n), combo.itemData(n)) for n in range(1, combo.count)]
        if combo.count and shown == wanted:
            return
        chosen = combo.currentData
        blocked = combo.blockSignals(True)
        combo.clear()
        combo.addItem(_("under or near the cursor"), 0)
        for name, value in wanted:
            combo.addItem(name, value)
        combo.setCurrentIndex(max(0, combo.findData(chosen)))
        combo.blockSignals(blocked)
