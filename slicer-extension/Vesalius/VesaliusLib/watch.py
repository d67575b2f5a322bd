"""Tells when nodes leave the scene, or all of it closes, while work is about them."""

from __future__ import annotations

from typing import Any, Callable, List, Tuple

import slicer
import vtk


class Watch:
    """Observes the scene until it is ended."""

    def __init__(self, on_removed: Callable[[Any], None], on_closing: Callable[[], None]) -> None:
        """`on_removed` is told of each node that is about to go."""

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def removed(_caller: Any, _event: str, node: Any) -> None:
            if node is not None:
                on_removed(node)

        scene = slicer.mrmlScene
        self._observed: List[Tuple[Any, int]] = [
            (scene, scene.AddObserver(scene.NodeAboutToBeRemovedEvent, removed)),
            (scene, scene.AddObserver(scene.StartCloseEvent, lambda *_: on_closing())),
        ]

    def end(self) -> None:
        """Observes no more."""
        for observed, tag in self._observed:
            observed.RemoveObserver(tag)
        self._observed.clear()
