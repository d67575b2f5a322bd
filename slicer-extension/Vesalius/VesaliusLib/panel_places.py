"""In the section Correct, the list of places that deserve a look."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional

import qt

from .correction import Correction

NUMBER = qt.Qt.UserRole


class PlacesList:
    """`go_to` shows a place in the views: one that is clicked, or that the correction has gone on to."""

    def __init__(self, ui: Any, correction: Correction, go_to: Callable[[Dict[str, Any]], None]) -> None:
        self._tree, self._correction, self._go_to = ui.placesTree, correction, go_to
        self._shown: Optional[Dict[str, Any]] = None
        self._tree.connect("itemClicked(QTreeWidgetItem*,int)", self._clicked)

    def update(self) -> None:
        """Shows the places as they were found last."""
        tree, correction = self._tree, self._correction
        texts = [correction.describe(place) for place in correction.places]
        root = tree.invisibleRootItem()
        if texts != [root.child(n).text(0) for n in range(root.childCount())]:
            tree.clear()
            for number, text in enumerate(texts):
                item = qt.QTreeWidgetItem(root, [text])
                item.setData(0, NUMBER, number)
                item.setToolTip(0, text)
        tree.setVisible(bool(texts))
        place = correction.place
        if place is not None and place is not self._shown:
            tree.setCurrentItem(root.child(correction.places.index(place)))
            self._go_to(place)
        self._shown = place

    def _clicked(self, item: Any, _column: int) -> None:
        number = item.data(0, NUMBER)
        if number < len(self._correction.places):
            self._go_to(self._correction.places[number])
