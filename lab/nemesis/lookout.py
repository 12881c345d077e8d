"""Looks at something again and again while the nemesis plays, in a thread of its own."""

from __future__ import annotations

import abc
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from lab.nemesis.record import Record

STOP_SECONDS = 300.0
"""How long a look that has begun may take: the API server may be away meanwhile."""


class Lookout(abc.ABC):
    """A context manager. What a look finds is a violation of `rule`, each told once; `looks` counts them."""

    def __init__(self, rule: str, every_seconds: float, record: Record) -> None:
        self._rule = rule
        self._every_seconds = every_seconds
        self._record = record
        self._told: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._error: Exception | None = None
        self.looks = 0

    @abc.abstractmethod
    def _look(self) -> Iterable[str]:
        """One look: what does not hold."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(STOP_SECONDS)
        if self._error is not None:
            raise self._error
        if self._thread.is_alive():
            raise TimeoutError(f"expected the last look for {self._rule} to end within {STOP_SECONDS:.0f} s")

    def _watch(self) -> None:
        try:
            while not self._over.wait(self._every_seconds):
                found = self._look()
                self.looks += 1
                for text in found:
                    if text not in self._told:
                        self._told.add(text)
                        self._record.violated(self._rule, text)
        except Exception as failed:  # noqa: BLE001 - it is raised where the context is left
            self._error = failed
