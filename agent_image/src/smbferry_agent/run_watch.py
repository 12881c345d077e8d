"""Reads the TransferRun every few seconds: whether it must stop, and its current limit and windows.

An agent that cannot reach the API server does not know whether the run still exists, or whether another agent has
replaced it. It continues for a minute. Then it pauses deletes and replacements until it reaches the API server again,
and copies only new files. After 15 minutes it ends, to be retried.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import Any, Final, Self

from pydantic import ValidationError

from smbferry_agent.errors import AgentError, Paused, Terminated
from smbferry_agent.logs import fields
from smbferry_agent.report.api_client import ObjectNotFoundError, PermissionWithdrawnError, is_refused, repeated
from smbferry_agent.report.object_status import ObjectStatus
from smbferry_agent.windows import RunWindows
from smbferry_api.fields import parse_quantity
from smbferry_api.limit_status import Limit
from smbferry_api.reasons import API_SERVER_UNREACHABLE, RUN_CANCELLED
from smbferry_api.windows import Window, lower

_log = logging.getLogger(__name__)
_POLL_SECONDS: Final = 5.0
PAUSES_AFTER: Final = 60.0
"""Seconds without the API server after which deletes and replacements pause."""
ENDS_AFTER: Final = 900.0
_LAST_LOOK_SECONDS: Final = 5.0  # an unreachable API server does not delay the end for longer


def current_limit(manifest: dict[str, Any], snapshot: str | int | None) -> int | None:
    """Bytes per second, None without a limit: status.limit if it is set (ADR 9), else the snapshot's quantity.

    If status.limit is unreadable, the snapshot's limit applies, so that an error never removes the limit.
    """
    changed = (manifest.get("status") or {}).get("limit")
    if changed is not None:
        try:
            limit = Limit.model_validate(changed)
            return None if limit.bytes_per_second is None else parse_quantity(limit.bytes_per_second)
        except (ValidationError, ValueError):
            _log.warning("ignoring an unreadable status.limit; the snapshot's limit applies")
    return None if snapshot is None else parse_quantity(snapshot)


def uptime() -> float:
    """Seconds of a clock that never goes back and runs on while the machine is suspended."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class RunWatch:
    """A context manager in the main thread.

    The work must stop on spec.cancel, on deletion of the run, on SIGTERM and at the end of a window. After SIGTERM or
    the end of a window alone another agent continues the run, and leaving the context raises `Terminated` or `Paused`.

    Args:
        manifest: the run as it was read last.
        windows: of the snapshot.
        clock: seconds, never going back.
    """

    def __init__(
        self,
        run: ObjectStatus,
        manifest: dict[str, Any],
        clock: Callable[[], float] = uptime,
        windows: Sequence[Window] = (),
    ) -> None:
        self._run = run
        self._manifest = manifest
        self._clock = clock
        self._reached = clock()
        self._holds_back = False
        self._windows = RunWindows(windows, lambda: self._manifest)
        self._closed = ""
        self._limit: tuple[dict[str, Any], int | None] | None = None
        self._cancelled = threading.Event()
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="run-watch", daemon=True)

    def __enter__(self) -> Self:
        signal.signal(signal.SIGTERM, self._terminate)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._thread.join(_LAST_LOOK_SECONDS)
        stopped = isinstance(error, AgentError) and error.reason is RUN_CANCELLED
        if stopped and self._is_cut_off():
            text = f"Expected an answer from the API server within {ENDS_AFTER / 60:.0f} minutes, got none."
            raise AgentError(API_SERVER_UNREACHABLE, text) from error
        if stopped and self.paused() and not self.abandoned():
            raise Paused(self._closed) from error
        if stopped and not self.abandoned():
            text = "The agent was ended by an eviction or the deletion of its pod; the run continues."
            raise Terminated(text) from error

    @property
    def manifest(self) -> dict[str, Any]:
        """The run as it was read last. It is replaced, never modified."""
        return self._manifest

    def cancelled(self) -> bool:
        """Whether the work must stop. The engine asks a few times per second."""
        if not (self._closed or self._cancelled.is_set()):
            self._closed = self._windows.closed()
        return self._cancelled.is_set() or self._is_cut_off() or bool(self._closed)

    def paused(self) -> bool:
        """Whether the work was told to stop because a window has ended. What ends the agent after that changes nothing:
        with several agents, the first one that stops ends the Job of all.
        """
        return bool(self._closed) and not self._is_cut_off()

    def limit(self, snapshot: str | int | None) -> int | None:
        """Bytes per second, None without a limit: the task's limit or the window's, whichever is lower.

        The engine asks before each request, so the manifest is parsed once.
        """
        manifest = self._manifest
        if self._limit is None or self._limit[0] is not manifest:
            self._limit = (manifest, current_limit(manifest, snapshot))
        return lower(self._limit[1], self._windows.state().limit)

    def is_wanted(self) -> bool:
        """Whether the run was read within the last minute, and was to continue."""
        return self._clock() - self._reached < PAUSES_AFTER

    def _is_cut_off(self) -> bool:
        """Whether the API server has been unreachable for so long that this agent must end, to be retried."""
        return self._clock() - self._reached >= ENDS_AFTER

    def abandoned(self) -> bool:
        """Reads whether the run was cancelled or deleted, and not only this agent ended.

        The agents' ServiceAccount is deleted with the run. So a withdrawn permission means deletion, unless the run was
        unreadable before: then another agent may have replaced this one, and owns what is at the destination.
        """
        try:
            manifest = repeated(self._run.read, tries=2, worth=is_refused)
        except ObjectNotFoundError:
            return True
        except PermissionWithdrawnError:
            return self.is_wanted()
        except AgentError as error:
            _log.warning("could not find out whether the run continues", extra=fields(detail=error.message))
            return False
        return bool(manifest["spec"].get("cancel") or manifest["metadata"].get("deletionTimestamp"))

    def wait(self, seconds: float) -> bool:
        """Waits for at most this many seconds; returns whether the work must stop."""
        return self._cancelled.wait(seconds)

    def _terminate(self, _number: int, _frame: FrameType | None) -> None:
        self._cancelled.set()

    def _poll(self) -> None:
        while not self._left.wait(_POLL_SECONDS):
            asked = self._clock()
            try:
                manifest = self._run.read()
            except ObjectNotFoundError:
                self._stop()
                return
            except AgentError as error:
                self._unreachable(error)
                continue
            if manifest["spec"].get("cancel", False):
                self._stop()
                return
            self._manifest, self._reached = manifest, asked
            if self._holds_back:
                self._holds_back = False
                _log.info("the API server answers again; resuming deletes and replacements")

    def _unreachable(self, error: AgentError) -> None:
        """Pauses deletes and replacements after a while. Copying new files continues."""
        _log.warning("could not read the run", extra=fields(reason=str(error.reason), detail=error.message))
        if not self._holds_back and not self.is_wanted():
            self._holds_back = True
            _log.warning("pausing deletes and replacements until the API server answers again")

    def _stop(self) -> None:
        _log.info("the run was cancelled or deleted; stopping")
        self._cancelled.set()
