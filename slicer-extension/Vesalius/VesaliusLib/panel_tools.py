"""In the section Correct, the buttons for a structure as a whole, and for the opinion of a network."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Sequence

from slicer.i18n import tr as _

from .correction import Correction
from .line import Line

ARMED = {
    "keep": _("Click the piece that stays; all other pieces of the same structure go (Esc: nothing happens)"),
    "drop": _("Click the piece that goes; the rest of the structure stays (Esc: nothing happens)"),
}


class Tools:
    """`structure` gives the value that buttons are about; `begin` makes slice views listen."""

    def __init__(
        self, ui: Any, correction: Correction, structure: Callable[[], int], begin: Callable[[], None]
    ) -> None:
        self._ui, self._correction, self._structure, self._begin = ui, correction, structure, begin
        self._line = Line(correction.engine)
        self._networks: List[Dict[str, Any]] = []
        self._pieces = {"keep": ui.keepButton, "drop": ui.dropButton}
        for kind, button in self._pieces.items():
            button.connect("toggled(bool)", lambda is_on, *, kind=kind: self._armed(kind, is_on))
        ui.snapButton.connect("clicked(bool)", lambda *_: correction.snap(structure()))
        ui.fillButton.connect("clicked(bool)", lambda *_: correction.fill(structure()))
        ui.askButton.connect("clicked(bool)", self._ask)
        ui.networkFrame.setVisible(False)

    @property
    def hint(self) -> str:
        """What the next click is for; empty where it is a prompt."""
        return next((ARMED[kind] for kind, button in self._pieces.items() if button.checked), "")

    def take(self, point: Sequence[float], value: int) -> bool:
        """Uses a click; whether it was for a tool."""
        kind = next((kind for kind, button in self._pieces.items() if button.checked), "")
        self.disarm()
        if kind:
            self.piece(kind, point, value)
        return bool(kind)

    def piece(self, kind: str, point: Sequence[float], value: int) -> None:
        """Keeps or drops the piece at a point."""
        {"keep": self._correction.keep, "drop": self._correction.drop}[kind](point, value)

    def disarm(self) -> bool:
        """Clicks are prompts again; whether they were not."""
        was_armed = bool(self.hint)
        for button in self._pieces.values():
            button.checked = False
        return was_armed

    def look(self) -> None:
        """Asks the engine which networks there are: they may have been imported meanwhile."""
        self._line.ask(lambda client: client.models(), self._found)

    def update(self, can_open: bool, name: str) -> None:
        """Shows what can be done; `name` is that of the structure that the buttons are about, if there is one."""
        ui, correction = self._ui, self._correction
        for button in self._pieces.values():
            button.setEnabled(can_open)
        for button in (ui.snapButton, ui.fillButton):
            button.setEnabled(bool(name))
        about = name or _("a structure that is chosen or was clicked")
        ui.snapButton.toolTip = _("Move the boundary of {name} to edges of the image").format(name=about)
        ui.fillButton.toolTip = _("Fill the slices of {name} between those where it was drawn").format(name=about)
        ui.networkFrame.setVisible(bool(self._networks))
        ui.askButton.setEnabled(correction.is_open and correction.answers[1] > 0)

    def close(self) -> None:
        """The end of the module."""
        self._line.close()

    def _armed(self, kind: str, is_on: bool) -> None:
        if is_on:
            for other, button in self._pieces.items():
                if other != kind:
                    button.checked = False
            self._begin()
        self._correction.on_change()

    def _ask(self, *_args: Any) -> None:
        self._correction.ask(str(self._ui.networkComboBox.currentData))

    def _found(self, models: List[Dict[str, Any]]) -> None:
        networks = [model for model in models if model.get("promptable")]
        if networks != self._networks:
            self._networks, combo = networks, self._ui.networkComboBox
            combo.clear()
            for model in networks:
                combo.addItem(f"{model['id']}: {model.get('licence') or _('licence unknown')}", model["id"])
        self._correction.on_change()
