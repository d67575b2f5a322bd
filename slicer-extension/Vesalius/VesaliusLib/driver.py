"""Runs work of short steps (`vesalius.steps`) from a timer of Qt, so that Slicer stays alive meanwhile.

No Python threads: Slicer's event loop keeps the interpreter's lock while it waits, and threads would starve. Only
filters of VTK, which need no lock while they work, may run beside it (`surfaces.py`).
"""

from __future__ import annotations

import time
from typing import Any, Callable, List, Optional, Tuple

import qt

from .vesalius import Cancelled, Progress, Steps, VesaliusError
from .vesalius.steps import Work

# Seconds of work at a time; a frame of a smooth animation is twice as long.
BUDGET = 0.008
# Seconds of it between two looks at what is to be told, and the longest that a tick waits for the engine.
PIECE = 0.001
# Milliseconds after which Qt's other events had their turn.
LEAST_PAUSE, MOST_PAUSE = 1, 250


class Driver:
    """Works through one piece of work after the other, in the order they were given."""

    def __init__(self) -> None:
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.connect("timeout()", self._tick)
        self._waiting: List[Tuple[Work, Callable, Callable, Optional[Callable]]] = []
        self._steps: Optional[Steps] = None
        self._callbacks: Tuple[Callable, Callable, Optional[Callable]] = (_ignore, _ignore, None)
        self._told: Optional[Progress] = None
        # Seconds of the longest tick so far: what a user may feel.
        self.longest_tick = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether there is work."""
        return self._steps is not None or bool(self._waiting)

    def run(
        self,
        work: Work,
        on_done: Callable[[Any], None] = lambda result: None,
        on_error: Callable[[VesaliusError], None] = lambda error: None,
        on_progress: Optional[Callable[[Progress], None]] = None,
    ) -> None:
        """Queues work. Exactly one of `on_done` and `on_error` is called, unless it is abandoned."""
        self._waiting.append((work, on_done, on_error, on_progress))
        if self._steps is None:
            self._next()

    def cancel(self) -> None:
        """Asks the work under way to clean up; what waits is forgotten."""
        self._waiting.clear()
        self.stop()

    def stop(self) -> None:
        """Asks the work under way to clean up, and goes on with what waits."""
        if self._steps is not None:
            self._steps.cancel()
            self._timer.start(0)

    def abandon(self) -> None:
        """Stops at once, without a callback: for the end of the program."""
        self._timer.stop()
        self._waiting.clear()
        self._steps = None

    def wait(self, timeout: float = 0.0) -> None:
        """Works until nothing is left, for scripts; events of Qt are handled meanwhile."""
        import slicer

        until = time.monotonic() + timeout if timeout else float("inf")
        while self.is_busy:
            if time.monotonic() > until:
                self.cancel()
                until = float("inf")
            self._tick()
            slicer.app.processEvents()
            if self._steps is not None:
                time.sleep(min(self._steps.pause, 0.02))

    def _next(self) -> None:
        if self._waiting:
            work, *callbacks = self._waiting.pop(0)
            self._steps, self._callbacks, self._told = Steps(work), tuple(callbacks), None
            self._timer.start(0)

    def _tick(self) -> None:
        steps = self._steps
        if steps is None:
            return
        self._timer.stop()
        began = time.perf_counter()
        is_done, error = False, None
        # A callback may abandon this work, and begin other work.
        while self._steps is steps and not is_done and time.perf_counter() - began < BUDGET:
            try:
                is_done = steps.advance(PIECE)
            except VesaliusError as caught:
                is_done, error = True, caught
            except Exception as caught:  # noqa: BLE001 - a defect must end the work, not the timer
                is_done, error = True, defect(caught)
            self._tell(steps)
            if not is_done and steps.pause > 0:
                break
        if self._steps is steps:
            if is_done:
                self._end(steps, error)
            else:
                pause = int(1000 * steps.pause)
                self._timer.start(max(LEAST_PAUSE, min(MOST_PAUSE, pause)))
        self.longest_tick = max(self.longest_tick, time.perf_counter() - began)

    def _tell(self, steps: Steps) -> None:
        on_progress = self._callbacks[2]
        if on_progress is not None and steps.progress is not None and steps.progress is not self._told:
            self._told = steps.progress
            on_progress(self._told)

    def _end(self, steps: Steps, error: Optional[VesaliusError]) -> None:
        on_done, on_error, _on_progress = self._callbacks
        self._steps = None
        if error is None:
            on_done(steps.result)
        else:
            on_error(error)
        if self._steps is None:
            self._next()


def defect(error: Exception) -> VesaliusError:
    """Something that was not foreseen, in words; its traceback goes to Slicer's log."""
    import logging

    logging.exception("Vesalius met a defect of its own")
    message = f"something unforeseen happened: {type(error).__name__}: {error}"
    return VesaliusError("defect", message, "the Python console shows where; please report it")


def is_cancellation(error: VesaliusError) -> bool:
    """Whether the user asked for it."""
    return isinstance(error, Cancelled) or error.code == "cancelled"


def _ignore(_: Any) -> None:
    pass
