"""Runs Qt's events as Slicer does, and measures how long each turn held the window up."""

from __future__ import annotations

import time
from typing import Any, Callable, List

# Seconds that anything in these tests may take, on a machine that works for many others.
PATIENCE = 600.0


class Turns:
    """Turns of the event loop."""

    def __init__(self) -> None:
        # Seconds of the processor, which other programs do not lengthen, and of the clock.
        self.processor: List[float] = []
        self.clock: List[float] = []

    @property
    def longest(self) -> float:
        """Seconds of the processor of the longest turn."""
        return max(self.processor)


def until(condition: Callable[[], Any], patience: float = PATIENCE) -> Turns:
    """Lets Qt work until something is so; fails when it does not become so."""
    import slicer

    turns, end = Turns(), time.monotonic() + patience
    while True:
        clock, processor = time.perf_counter(), time.thread_time()
        slicer.app.processEvents()
        turns.processor.append(time.thread_time() - processor)
        turns.clock.append(time.perf_counter() - clock)
        if condition():
            return turns
        assert time.monotonic() < end, "it did not come to that in time"
        time.sleep(0.001)


def settle(seconds: float = 0.3) -> None:
    """Lets Qt work for a while."""
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() > end)


def at(job: Any, state: str, action: Callable[[], Any]) -> None:
    """Does something as soon as a job is in a state, once."""
    shown, done = job.on_change, []

    def changed() -> None:
        shown()
        if job.state == state and not done:
            done.append(True)
            action()

    job.on_change = changed
