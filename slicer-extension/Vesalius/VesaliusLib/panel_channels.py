"""Selectors for the further images of a task that takes several, such as ADC beside DWI."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Optional, Sequence

import slicer
from slicer.i18n import tr as _

from . import scene
from .panel_choices import Choices

SERIES = "DICOM.SeriesDescription"
# What else images of a channel are called.
ALIASES = {
    "adc": r"adc|apparent|diffusion[ _-]?coefficient",
    "dwi": r"dwi|trace|b[ _=-]?[12]0?00|diffusion",
    "flair": r"flair|dark[ _-]?fluid",
    "t1c": r"t1[ _-]?(c|ce|gd|post)|contrast",
    "b0": r"b[ _=-]?0(?!\d)",
}


class ChannelSelectors:
    """One row for each channel but the first, which is the volume itself. `on_change` follows the user's choice."""

    def __init__(self, ui: Any, choices: Choices, on_change: Callable[[], None]) -> None:
        self._ui, self._choices, self._on_change = ui, choices, on_change
        self._form = ui.inputsCollapsibleButton.layout()
        self._selectors: Dict[str, Any] = {}
        self._is_filling = False

    def show(self, channels: Sequence[str], volume: Optional[Any]) -> None:
        """Offers a selector for each channel, and guesses which image it takes."""
        further = list(channels[1:])
        first = channels[0] if further else ""
        self._ui.inputsLayoutLabel0.text = f"{first}:" if first else _("Volume:")
        if list(self._selectors) != further:
            self._clear()
            for row, name in enumerate(further, start=1):
                self._add(row, name)
        for name, selector in self._selectors.items():
            chosen = self._choices.channel(name)
            if chosen is None and volume is not None:
                others = [node for node in self.nodes().values() if node is not None]
                chosen = guess(name, volume, others)
            self._is_filling = True
            selector.setCurrentNode(chosen)
            self._is_filling = False
        self.remember()

    def forget(self) -> None:
        """Forgets the choice: the volume is another patient's."""
        for name in self._selectors:
            self._choices.set_channel(name, None)

    def remember(self) -> None:
        """Writes the choice into the scene."""
        for name, node in self.nodes().items():
            self._choices.set_channel(name, node)

    def nodes(self) -> Dict[str, Optional[Any]]:
        """The image of each channel; None where none is chosen."""
        return {name: selector.currentNode() for name, selector in self._selectors.items()}

    @property
    def missing(self) -> List[str]:
        """Channels without an image."""
        return [name for name, node in self.nodes().items() if node is None]

    def _add(self, row: int, name: str) -> None:
        selector = slicer.qMRMLNodeComboBox()
        selector.objectName = f"channelSelector{name}"
        selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        selector.showChildNodeTypes = False
        selector.noneEnabled, selector.addEnabled, selector.removeEnabled = True, False, False
        selector.noneDisplay = _("choose the {name} image").format(name=name)
        selector.toolTip = _("The {name} image of the same examination").format(name=name)
        selector.setMRMLScene(slicer.mrmlScene)
        selector.connect("currentNodeChanged(vtkMRMLNode*)", self._changed)
        self._form.insertRow(row, f"{name}:", selector)
        self._selectors[name] = selector

    def _changed(self, *_args: Any) -> None:
        if not self._is_filling:
            self._on_change()

    def _clear(self) -> None:
        for selector in self._selectors.values():
            selector.blockSignals(True)
            self._form.removeRow(selector)
        self._selectors.clear()


def guess(name: str, volume: Any, others: Sequence[Any] = ()) -> Optional[Any]:
    """The image in the scene that is called as a channel is; of several one on the grid of `volume`."""
    pattern = re.compile(rf"(?<![a-z0-9])({ALIASES.get(name.lower(), re.escape(name))})(?![a-z])", re.IGNORECASE)
    found = [
        node
        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        if node.GetClassName() == "vtkMRMLScalarVolumeNode"
        and node is not volume
        and node not in others
        and pattern.search(f"{node.GetName()} {scene.told(node, SERIES)}")
    ]
    found.sort(key=lambda node: not _same_grid(node, volume))
    return found[0] if found else None


def _same_grid(node: Any, other: Any) -> bool:
    images = node.GetImageData(), other.GetImageData()
    if None in images or images[0].GetDimensions() != images[1].GetDimensions():
        return False
    return bool(abs(scene.ijk_to_ras(node) - scene.ijk_to_ras(other)).max() < 1e-3)
