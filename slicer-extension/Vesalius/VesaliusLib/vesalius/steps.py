"""Long work in short steps, so that a viewer stays alive without threads.

Work is written as generators that yield whenever they would have to wait, and `Progress` when there is something to
tell. `Steps` runs one: piece by piece from a timer, or to its end in a script.
"""

from __future__ import annotations

import select
import socket
import time
from dataclasses import dataclass
from typing import Any, Callable, Generator, Generic, NamedTuple, Optional, TypeVar, Union

from .errors import Cancelled

T = TypeVar("T")


@dataclass(frozen=True)
class Progress:
    """How far work has come."""

    # `uploading`, `queued`, `running`, `downloading`.
    state: str
    # One plain sentence.
    message: str
    # Of the whole job while it runs, else of this state, 0 to 1; None where nobody knows.
    fraction: Optional[float] = None
    # Of the whole job; None where nobody knows.
    seconds_left: Optional[float] = None


class Wait(NamedTuple):
    """What a step waits for: the socket, or the time, whichever comes first."""

    socket: Optional[socket.socket] = None
    writing: bool = False
    seconds: float = 0.0


Step = Union[Wait, Progress]
Work = Generator[Step, None, T]
# Yielded where nothing is waited for, so that whoever drives can do something else.
GO_ON = Wait()


def is_ready(connection: socket.socket, writing: bool, seconds: float) -> bool:
    """Whether a socket can be read or written, at the latest after so many seconds."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(connection, select.POLLOUT if writing else select.POLLIN)
        return bool(poll.poll(seconds * 1000.0))
    # Windows tells of a connection that failed in the third list.
    reading, writable = ([], [connection]) if writing else ([connection], [])
    return any(select.select(reading, writable, [connection], seconds))


def whole(work: Work[T]) -> Generator[Step, None, Any]:
    """Runs work to its end even when it is cancelled meanwhile; gives its result and the cancellation, or None.

    For requests that make something on the engine: an answer that nobody reads would leave it there.
    """
    cancelled = None
    while True:
        try:
            step = next(work)
        except StopIteration as end:
            return end.value, cancelled
        try:
            yield step
        except Cancelled as error:
            cancelled = error


class Steps(Generic[T]):
    """Runs work piece by piece.

    From a timer: call `advance()`, show `progress`, and come back after `pause` seconds, until it returns True and
    `result` is there, or it raises. `cancel()` makes the next steps clean up and then raise Cancelled.
    In a script: `finish()`.
    """

    def __init__(self, work: Work[T]) -> None:
        self._work = work
        self._wait: Wait = GO_ON
        self._due = 0.0
        # Told once: telling it again would stop the cleaning up.
        self._was_cancelled = self._is_cancelling = False
        self.done = False
        self.result: Optional[T] = None
        self.progress: Optional[Progress] = None

    @property
    def pause(self) -> float:
        """Seconds after which `advance()` has something to do again."""
        if self._wait.socket is not None:
            return 0.005
        return max(0.0, self._due - time.monotonic())

    def cancel(self) -> None:
        """Asks to stop; the following steps tell the engine, then raise Cancelled."""
        if not self._was_cancelled:
            self._was_cancelled = self._is_cancelling = True

    def advance(self, budget: float = 0.02) -> bool:
        """Works for about `budget` seconds at most; True when the work is done."""
        until = time.monotonic() + budget
        while not self.done:
            left = until - time.monotonic()
            if not self._is_cancelling and not self._can_go_on(left):
                return False
            self._step()
            if time.monotonic() >= until:
                break
        return self.done

    def finish(self, on_progress: Optional[Callable[[Progress], None]] = None, timeout: float = 0.0) -> T:
        """Works until the end, after `timeout` seconds (0: never) cancels, and gives the result."""
        until = time.monotonic() + timeout if timeout else float("inf")
        told = self.progress
        while not self.done:
            left = until - time.monotonic()
            if left <= 0.0:
                self.cancel()
            if self._is_cancelling or self._can_go_on(1.0 if self._was_cancelled else min(left, 1.0), is_patient=True):
                self._step()
            if on_progress is not None and self.progress is not told:
                told = self.progress
                on_progress(told)
        return self.result  # type: ignore[return-value]

    def _can_go_on(self, seconds: float, is_patient: bool = False) -> bool:
        """Whether what was waited for is there; waits for a socket up to `seconds`, for the time if patient."""
        left = max(0.0, self._due - time.monotonic())
        if self._wait.socket is not None:
            seconds = max(0.0, min(seconds, left))
            return is_ready(self._wait.socket, self._wait.writing, seconds) or time.monotonic() >= self._due
        if is_patient:
            time.sleep(min(seconds, left))
        return time.monotonic() >= self._due

    def _step(self) -> None:
        try:
            if self._is_cancelling:
                self._is_cancelling = False
                step = self._work.throw(Cancelled())
            else:
                step = next(self._work)
        except StopIteration as end:
            self.done, self.result = True, end.value
            return
        except BaseException:
            self.done = True
            raise
        if isinstance(step, Progress):
            self.progress, self._wait = step, GO_ON
        else:
            self._wait = step
        self._due = time.monotonic() + self._wait.seconds
