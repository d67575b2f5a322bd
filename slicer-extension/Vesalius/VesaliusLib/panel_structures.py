"""The list of structures in the panel: search, groups, presets."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import qt
from slicer.i18n import tr as _

from .catalog import Structure, Task
from .panel_words import readable

NAME = qt.Qt.UserRole
ICON = 14


class StructuresList:
    """Which structures of a task are wanted. `on_change` is called when the user changes that."""

    def __init__(self, ui: Any, on_change: Callable[[], None]) -> None:
        self._section = ui.structuresCollapsibleButton
        self._search, self._presets, self._tree = ui.structuresSearch, ui.presetComboBox, ui.structuresTree
        self._on_change = on_change
        self._task: Optional[Task] = None
        self._items: Dict[str, Any] = {}
        self._groups: List[Any] = []
        # A group that is clicked changes all its structures: tell once.
        self._settle = qt.QTimer()
        self._settle.setSingleShot(True)
        self._settle.connect("timeout()", self._settled)
        self._search.connect("textChanged(QString)", self._filter)
        self._presets.connect("activated(int)", self._apply_preset)
        self._tree.connect("itemChanged(QTreeWidgetItem*,int)", self._changed)

    def show(self, task: Optional[Task], wanted: Optional[Sequence[str]]) -> None:
        """Shows a task's structures, with those checked that are wanted; None: all."""
        if task != self._task:
            self._task = task
            self._fill()
        chosen = set(self._items if wanted is None else wanted)
        blocked = self._tree.blockSignals(True)
        for name, item in self._items.items():
            item.setCheckState(0, qt.Qt.Checked if name in chosen else qt.Qt.Unchecked)
        self._tree.blockSignals(blocked)
        self._tell()

    def wanted(self) -> Optional[Tuple[str, ...]]:
        """Names of the checked structures; None when all are."""
        chosen = tuple(name for name, item in self._items.items() if item.checkState(0) == qt.Qt.Checked)
        return None if len(chosen) == len(self._items) else chosen

    def _fill(self) -> None:
        groups = self._task.groups if self._task else {}
        blocked = self._tree.blockSignals(True)
        self._tree.clear()
        self._items, self._groups = {}, []
        for group, structures in groups.items():
            parent = self._tree.invisibleRootItem()
            if group:
                parent = qt.QTreeWidgetItem(parent, [f"{_(group)} ({len(structures)})"])
                parent.setFlags(parent.flags() | qt.Qt.ItemIsUserCheckable | qt.Qt.ItemIsAutoTristate)
                self._groups.append(parent)
            for structure in structures:
                self._items[structure.name] = self._item(parent, structure)
        self._tree.setRootIsDecorated(bool(self._groups))
        self._tree.blockSignals(blocked)
        self._presets.clear()
        self._presets.addItem(_("Presets"))
        for title in [_("All"), _("None"), *(_(group) for group in groups if group)]:
            self._presets.addItem(title)
        self._search.setText("")

    def _item(self, parent: Any, structure: Structure) -> Any:
        item = qt.QTreeWidgetItem(parent, [readable(structure.name)])
        item.setData(0, NAME, structure.name)
        item.setFlags(item.flags() | qt.Qt.ItemIsUserCheckable)
        item.setIcon(0, swatch(structure.color))
        item.setCheckState(0, qt.Qt.Checked)
        return item

    def _filter(self, text: str) -> None:
        """Shows what holds all the words that were typed; a group whose name does shows all of it."""
        words = text.lower().split()
        for group in self._groups or [self._tree.invisibleRootItem()]:
            title = group.text(0).lower() if self._groups else ""
            any_shown = False
            for number in range(group.childCount()):
                child = group.child(number)
                shown = all(word in f"{child.text(0).lower()} {title}" for word in words)
                child.setHidden(not shown)
                any_shown = any_shown or shown
            if self._groups:
                group.setHidden(not any_shown)
                group.setExpanded(bool(words) and any_shown)

    def _apply_preset(self, index: int) -> None:
        """All, none, or one group alone."""
        if self._task is None or index <= 0:
            return
        groups = [group for group in self._task.groups if group]
        if index == 1:
            chosen: Optional[List[str]] = None
        elif index == 2:
            chosen = []
        else:
            chosen = [structure.name for structure in self._task.groups[groups[index - 3]]]
        self._presets.setCurrentIndex(0)
        self.show(self._task, chosen)
        self._on_change()

    def _changed(self, _item: Any, _column: int) -> None:
        self._settle.start(0)

    def _settled(self) -> None:
        self._tell()
        self._on_change()

    def _tell(self) -> None:
        """The title says what is chosen, so that the section can stay closed."""
        chosen, count = self.wanted(), len(self._items)
        which = _("all {count}").format(count=count) if chosen is None else f"{len(chosen)} / {count}"
        self._section.text = _("Structures") + (f" ({which})" if count else "")


def swatch(color: Sequence[float], size: int = ICON) -> Any:
    """A small square of a color, 0 to 255, for lists."""
    pixmap = qt.QPixmap(size, size)
    pixmap.fill(qt.QColor(0, 0, 0, 0))
    painter = qt.QPainter(pixmap)
    painter.setRenderHint(qt.QPainter.Antialiasing)
    red, green, blue = (int(channel) for channel in color)
    painter.setBrush(qt.QBrush(qt.QColor(red, green, blue)))
    painter.setPen(qt.QPen(qt.QColor(0, 0, 0, 70)))
    painter.drawRoundedRect(1, 1, size - 3, size - 3, 3, 3)
    painter.end()
    return qt.QIcon(pixmap)
