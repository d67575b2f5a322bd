"""The section `Engine`: what it is, where it lies, which models it has, and what it said."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

import qt
import slicer
from slicer.i18n import tr as _

from .line import Line
from .panel_pairing import Pairing
from .panel_words import bytes_in_words, plural, sentence
from .process import Engine, log_path
from .vesalius import VesaliusError

SETTING = "Vesalius/program"
ID = qt.Qt.UserRole
DEVICES = {"openvino": "OpenVINO", "cpu": "processor", "cuda": "CUDA", "directml": "DirectML", "coreml": "Core ML"}


class EngineSection:
    """Fills the section; `on_change` is called when a program was chosen or a model removed."""

    def __init__(self, ui: Any, engine: Engine, line: Line, on_change: Callable[[], None]) -> None:
        self._ui, self._engine, self._line, self._on_change = ui, engine, line, on_change
        self._models: List[Dict[str, Any]] = []
        self._pairing = Pairing(ui, engine)
        header = ui.modelsTree.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
        header.setSectionResizeMode(1, qt.QHeaderView.ResizeToContents)
        engine.chosen = str(settings().value(SETTING, "") or "")
        ui.enginePathLineEdit.currentPath = engine.chosen
        ui.enginePathLineEdit.connect("currentPathChanged(QString)", self._choose)
        ui.modelsTree.connect("itemSelectionChanged()", self._selected)
        ui.removeModelButton.connect("clicked(bool)", self._remove)
        ui.openLogButton.connect("clicked(bool)", self._open_log)
        self.tell_state(_("not running"))

    def tell_state(self, text: str) -> None:
        """One word or sentence on how the engine is."""
        self._ui.engineStateLabel.text = text

    def show(self, info: Dict[str, Any], models: List[Dict[str, Any]]) -> None:
        """Shows the answers of `GET /v1/info` and `GET /v1/models`."""
        engine = info.get("engine") or {}
        memory = engine.get("memory_bytes") or {}
        self.tell_state(_("ready") if engine.get("ready") else _("cannot compute: ONNX Runtime is missing"))
        place = self._engine.place()
        self._ui.engineVersionLabel.text = str(info.get("version", ""))
        self._ui.engineVersionLabel.toolTip = f"{place.what}: {place.path}" if place else ""
        device = str(engine.get("device") or "")
        threads = plural(int(engine.get("threads") or 1), "thread")
        self._ui.engineDeviceLabel.text = f"{DEVICES.get(device, device)}, {threads}" if device else "-"
        self._ui.engineMemoryLabel.text = _("{free} free of {total}").format(
            free=bytes_in_words(memory.get("available")), total=bytes_in_words(memory.get("total"))
        )
        self._models = models
        self._ui.modelsTree.clear()
        for model in models:
            names = [str(model.get("id")), bytes_in_words(model.get("bytes"))]
            item = qt.QTreeWidgetItem(self._ui.modelsTree.invisibleRootItem(), names)
            item.setData(0, ID, str(model.get("id")))
            lines = [model.get("dataset"), model.get("licence"), self._origin(model)]
            lines += [_("takes prompts: “Ask network” in Correct")] * bool(model.get("promptable"))
            item.setToolTip(0, "\n".join(map(str, lines)))
            item.setTextAlignment(1, qt.Qt.AlignRight | qt.Qt.AlignVCenter)
        self._selected()

    def forget(self, error: VesaliusError) -> None:
        """No engine answers."""
        state = _("not installed") if error.code == "engine_not_installed" else sentence(error.message)
        self.tell_state(state)
        for label in (self._ui.engineVersionLabel, self._ui.engineDeviceLabel, self._ui.engineMemoryLabel):
            label.text = "-"
        self._models = []
        self._ui.modelsTree.clear()

    def close(self) -> None:
        """Stops what is asked."""
        self._pairing.close()

    def _origin(self, model: Dict[str, Any]) -> str:
        origin = {
            "embedded": _("built into the engine"),
            "installed": _("installed"),
            "found": _("in a folder of TotalSegmentator"),
        }
        return origin.get(str(model.get("origin")), "")

    def _chosen_model(self) -> Optional[Dict[str, Any]]:
        items = self._ui.modelsTree.selectedItems()
        chosen = items[0].data(0, ID) if items else None
        return next((model for model in self._models if model.get("id") == chosen), None)

    def _selected(self) -> None:
        model = self._chosen_model()
        self._ui.removeModelButton.setEnabled(bool(model) and model.get("origin") == "installed")

    def _remove(self, *_args: Any) -> None:
        model = self._chosen_model()
        if model is None:
            return
        size = bytes_in_words(model.get("bytes"))
        question = _("Delete {name} ({size}) from this computer?").format(name=model["id"], size=size)
        if not slicer.util.confirmOkCancelDisplay(question, windowTitle="Vesalius"):
            return
        path = f"/v1/models/{model['id']}"
        self._line.ask(lambda client: client.ask("DELETE", path), lambda _answer: self._on_change(), self._not_removed)

    def _not_removed(self, error: VesaliusError) -> None:
        model = self._chosen_model()
        if error.code in ("not_found", "method_not_allowed") and model is not None:
            slicer.util.infoDisplay(_("Type: {command}").format(command=f"vesalius models remove {model['id']}"))
        else:
            slicer.util.errorDisplay(sentence(error.message))

    def _choose(self, path: str) -> None:
        self._engine.chosen = path.strip()
        settings().setValue(SETTING, self._engine.chosen)
        self._on_change()

    def _open_log(self, *_args: Any) -> None:
        path = log_path(self._engine.home)
        if path.is_file():
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(path)))
        else:
            slicer.util.infoDisplay(_("The engine has said nothing yet."))


def settings() -> Any:
    """Slicer's settings of this user: the program's path belongs to the computer, not to a scene."""
    return slicer.app.userSettings()
