"""The row for the operating point of a task whose model was measured at several: finds more, or less that is wrong."""

from __future__ import annotations

from typing import Any, Callable, Optional

import qt
from slicer.i18n import tr as _

from .catalog import OperatingPoint, Task

# Letters that a narrow panel has room for; the open list shows all of them.
LEAST_LETTERS = 8


class PointSelector:
    """A row below the task, there while the task has operating points. `on_change` follows the user's choice."""

    def __init__(self, ui: Any, on_change: Callable[[], None]) -> None:
        self._form = ui.inputsCollapsibleButton.layout()
        self._on_change = on_change
        self._combo: Optional[Any] = None

    def show(self, task: Optional[Task], chosen: str) -> None:
        """Offers the operating points of a task; the task's own default where `chosen` is none of them."""
        if self._combo is not None:
            self._form.removeRow(self._combo)
            self._combo = None
        if task is None or not task.points:
            return
        combo = self._combo = qt.QComboBox()
        combo.objectName = "pointComboBox"
        combo.setSizeAdjustPolicy(qt.QComboBox.AdjustToMinimumContentsLengthWithIcon)
        combo.setMinimumContentsLength(LEAST_LETTERS)
        combo.setSizePolicy(qt.QSizePolicy.Expanding, qt.QSizePolicy.Fixed)
        self._add(_("Default"), "", _("Threshold 0.5"))
        for point in task.points:
            self._add(title_of(point), point.name, measured(point))
        combo.view().setMinimumWidth(combo.view().sizeHintForColumn(0))
        combo.setCurrentIndex(max(0, combo.findData(chosen)))
        combo.connect("activated(int)", self._changed)
        # Below the volume or the images, and the task.
        self._form.insertRow(max(1, len(task.channels)) + 1, _("Operating point:"), combo)
        self._explain()

    @property
    def chosen(self) -> str:
        """The name of the operating point; empty: the task's own default."""
        return str(self._combo.currentData or "") if self._combo is not None else ""

    def _add(self, title: str, name: str, explanation: str) -> None:
        self._combo.addItem(title, name)
        self._combo.setItemData(self._combo.count - 1, explanation, qt.Qt.ToolTipRole)

    def _changed(self, *_args: Any) -> None:
        self._explain()
        self._on_change()

    def _explain(self) -> None:
        self._combo.toolTip = self._combo.itemData(self._combo.currentIndex, qt.Qt.ToolTipRole)


def title_of(point: OperatingPoint) -> str:
    """An operating point by its name."""
    if point.name == "balanced":
        return _("Balanced (best Dice on validation cases, n = {n})").format(n=point.n)
    known = {"sensitive": _("Sensitive"), "specific": _("Specific")}
    return known.get(point.name, point.name)


def measured(point: OperatingPoint) -> str:
    """Its threshold, and what that gave."""
    words = _(
        "Threshold {threshold:g}. On validation cases (n = {n}): {sensitivity:.0f} % of the structure found, "
        "{precision:.0f} % of what was found is true, {false_ml:.1f} mL false per case, mean Dice {dice:.2f}"
    )
    return words.format(
        threshold=point.threshold,
        n=point.n,
        sensitivity=100 * point.sensitivity,
        precision=100 * point.precision,
        false_ml=point.false_ml,
        dice=point.dice,
    )
