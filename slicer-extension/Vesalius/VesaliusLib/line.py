"""Short questions to the engine, one after the other, beside a job that may be under way."""

from __future__ import annotations

from typing import Any, Callable, Optional

from .driver import Driver
from .process import Engine
from .vesalius import Client, VesaliusError
from .vesalius.steps import Work


class Line:
    """A connection to the engine with a timer of its own."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.driver = Driver()
        self._client: Optional[Client] = None

    def ask(
        self,
        question: Callable[[Client], Work],
        on_done: Callable[[Any], None],
        on_error: Callable[[VesaliusError], None] = lambda error: None,
        on_progress: Optional[Callable[[Any], None]] = None,
    ) -> None:
        """Asks something of the engine, which is started where none runs."""
        self.driver.run(self._work(question), on_done, on_error, on_progress)

    def close(self) -> None:
        """Ends the connection and what is asked."""
        self.driver.abandon()
        self._forget()

    def _work(self, question: Callable[[Client], Work]) -> Work[Any]:
        if self._client is None:
            self._client = yield from self.engine.connected()
        try:
            return (yield from question(self._client))
        except VesaliusError as error:
            if error.code == "engine_missing":
                # It ended by itself since the last question.
                self._forget()
                self._client = yield from self.engine.connected()
                return (yield from question(self._client))
            raise

    def _forget(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None
