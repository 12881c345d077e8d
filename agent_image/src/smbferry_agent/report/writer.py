"""Writes the newest status in the background, so that an unreachable API server does not delay copying."""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

from smbferry_agent.errors import AgentError
from smbferry_agent.logs import fields
from smbferry_agent.report.api_client import ObjectNotFoundError, PermissionWithdrawnError
from smbferry_agent.report.sinks import StatusSink
from smbferry_agent.report.throttle import Throttle

_log = logging.getLogger(__name__)
_FLUSH_SECONDS: Final = 30.0
# The ServiceAccount is deleted with the run; then nobody reads the last status, and the pod should end soon.
_WITHDRAWN_FLUSH_SECONDS: Final = 3.0


class BackgroundWriter:
    """A context manager; leaving it writes the last status, waiting for at most half a minute.

    Args:
        snapshot: returns the current status; called in the thread that calls `notify`.
    """

    def __init__(self, sink: StatusSink, snapshot: Callable[[], dict[str, Any]], throttle: Throttle) -> None:
        self._sink = sink
        self._snapshot = snapshot
        self._throttle = throttle
        self._wake = threading.Condition()
        self._pending: dict[str, Any] | None = None
        self._urgent = False
        self._deadline: float | None = None
        self._withdrawn = False
        self._thread = threading.Thread(target=self._work, name="status-writer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._wake:
            flush = _WITHDRAWN_FLUSH_SECONDS if self._withdrawn else _FLUSH_SECONDS
            self._deadline = time.monotonic() + flush
            self._wake.notify()
        self._thread.join(_FLUSH_SECONDS + 20)
        if self._pending is not None:
            _log.error("could not write the last status; the termination message says how the run ended")

    def notify(self, *, urgent: bool) -> None:
        """The status has changed."""
        status = self._snapshot()
        with self._wake:
            self._pending = status
            self._urgent = self._urgent or urgent
            self._wake.notify()

    def _work(self) -> None:
        while (status := self._next()) is not None:
            try:
                self._sink.write(status)
            except ObjectNotFoundError as error:
                _log.warning("the run does not exist any more: %s", error)
                self._done(status)
            except AgentError as error:
                _log.warning(
                    "could not write the status; retrying", extra=fields(reason=str(error.reason), detail=error.message)
                )
                self._throttle.failed(time.monotonic())
                self._note_permission(withdrawn=isinstance(error, PermissionWithdrawnError))
            else:
                self._throttle.written(time.monotonic())
                self._note_permission(withdrawn=False)
                self._done(status)

    def _note_permission(self, *, withdrawn: bool) -> None:
        with self._wake:
            self._withdrawn = withdrawn
            if withdrawn and self._deadline is not None:
                self._deadline = min(self._deadline, time.monotonic() + _WITHDRAWN_FLUSH_SECONDS)

    def _next(self) -> dict[str, Any] | None:
        """Waits until a status may be written and returns it; None at the end."""
        with self._wake:
            while True:
                now = time.monotonic()
                if self._deadline is not None and (self._pending is None or now > self._deadline):
                    return None
                closing = self._deadline is not None
                wait = None if self._pending is None else self._throttle.wait(now, urgent=self._urgent or closing)
                if wait == 0:
                    return self._pending
                if self._deadline is not None:
                    wait = min(wait or 0.0, self._deadline - now + 0.01)
                self._wake.wait(wait)

    def _done(self, status: dict[str, Any]) -> None:
        with self._wake:
            if self._pending is status:
                self._pending, self._urgent = None, False
