"""Looks at the run every few seconds while it goes on: whether it must stop, and how fast it may be by now.

An agent that can't reach the API server does not know whether the run still exists, or whether its pod was given up for
lost and another agent is at work. It goes on for a minute; then nothing at the destination is deleted or replaced until
it has reached the API server again (new files still arrive), and after a quarter of an hour it ends, to be tried again.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Final, Self

from pydantic import ValidationError

from smbferry_agent.errors import AgentError, Terminated
from smbferry_agent.logs import fields
from smbferry_agent.report.api_client import (
    ApiClient,
    ObjectKey,
    ObjectNotFoundError,
    PermissionWithdrawnError,
    is_refused,
    repeated,
)
from smbferry_api.fields import parse_quantity
from smbferry_api.reasons import API_SERVER_UNREACHABLE, RUN_CANCELLED
from smbferry_api.run_status import Limit

_log = logging.getLogger(__name__)
_POLL_SECONDS: Final = 5.0
PAUSES_AFTER: Final = 60.0
"""Seconds without the API server after which nothing is deleted or replaced."""
ENDS_AFTER: Final = 900.0
_LAST_LOOK_SECONDS: Final = 5.0  # an API server that is away holds up no run's end for longer


def current_limit(manifest: dict[str, Any], snapshot: str | int | None) -> int | None:
    """Bytes per second, None without a limit: status.limit where it stands (ADR 9), else the snapshot's quantity.

    A limit that can't be read leaves the snapshot's in force: whatever is wrong, nothing becomes unlimited by it.
    """
    changed = (manifest.get("status") or {}).get("limit")
    if changed is not None:
        try:
            limit = Limit.model_validate(changed)
            return None if limit.bytes_per_second is None else parse_quantity(limit.bytes_per_second)
        except (ValidationError, ValueError):
            _log.warning("status.limit can't be read; the snapshot's limit holds")
    return None if snapshot is None else parse_quantity(snapshot)


def uptime() -> float:
    """Seconds of a clock that never goes back and runs on while the machine sleeps, so that an agent knows it did."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class RunWatch:
    """A context manager in the main thread.

    The run must stop by spec.cancel, its deletion, or SIGTERM; by the last alone it is not over: `Terminated` says so.

    Args:
        manifest: the run as it was read last.
        clock: seconds, never going back.
    """

    def __init__(
        self,
        client: ApiClient,
        key: ObjectKey,
        manifest: dict[str, Any],
        clock: Callable[[], float] = uptime,
    ) -> None:
        self._client = client
        self.key = key
        self._manifest = manifest
        self._uid = manifest.get("metadata", {}).get("uid")
        self._clock = clock
        self._reached = clock()
        self._paused = False
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
        if stopped and not self.abandoned():
            raise Terminated("The agent was told to end, by an eviction or a deleted pod; the run goes on.") from error

    @property
    def manifest(self) -> dict[str, Any]:
        """The run as it was seen last; replaced whole, never changed."""
        return self._manifest

    def cancelled(self) -> bool:
        """Asked by the engine a few times a second."""
        return self._cancelled.is_set() or self._is_cut_off()

    def is_wanted(self) -> bool:
        """Whether the API server said within the last minute that the run goes on."""
        return self._clock() - self._reached < PAUSES_AFTER

    def _is_cut_off(self) -> bool:
        """Whether the API server has been away for so long that this agent is to end; it is then tried again."""
        return self._clock() - self._reached >= ENDS_AFTER

    def abandoned(self) -> bool:
        """Whether the run was cancelled or deleted, and not only this agent told to go: looked up now.

        With a run its agents' account is deleted. An account that has had no right for longer says nothing: the pod may
        have been given up for lost, and what is there belongs to another agent.
        """
        try:
            manifest = repeated(lambda: self._client.get(self.key), tries=2, worth=is_refused)
        except ObjectNotFoundError:
            return True
        except PermissionWithdrawnError:
            return self.is_wanted()
        except AgentError as error:
            _log.warning("it is not known whether the run goes on", extra=fields(detail=error.message))
            return False
        return bool(manifest["spec"].get("cancel") or manifest["metadata"].get("deletionTimestamp"))

    def wait(self, seconds: float) -> bool:
        """Waits until the run must stop, for at most so long; returns whether it must."""
        return self._cancelled.wait(seconds)

    def _terminate(self, _number: int, _frame: FrameType | None) -> None:
        self._cancelled.set()

    def _poll(self) -> None:
        while not self._left.wait(_POLL_SECONDS):
            asked = self._clock()
            try:
                manifest = self._client.get(self.key)
            except ObjectNotFoundError:
                self._stop()
                return
            except AgentError as error:
                self._away(error)
                continue
            if manifest.get("metadata", {}).get("uid") != self._uid or manifest["spec"].get("cancel", False):
                self._stop()
                return
            self._manifest, self._reached = manifest, asked
            if self._paused:
                self._paused = False
                _log.info("the API server is reached again; deleting and replacing go on")

    def _away(self, error: AgentError) -> None:
        """An API server that is away, or refuses, is no reason to stop copying what is new."""
        _log.warning("the run could not be looked at", extra=fields(reason=str(error.reason), detail=error.message))
        if not self._paused and not self.is_wanted():
            self._paused = True
            _log.warning("nothing is deleted or replaced until the API server is reached again")

    def _stop(self) -> None:
        _log.info("the run is cancelled or gone; stopping")
        self._cancelled.set()
