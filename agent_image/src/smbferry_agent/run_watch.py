"""Looks at the run every few seconds while it goes on: whether it must stop, and how fast it may be by now."""

import logging
import signal
import threading
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
from smbferry_api.reasons import RUN_CANCELLED
from smbferry_api.run_status import Limit

_log = logging.getLogger(__name__)
_POLL_SECONDS: Final = 5.0
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


class RunWatch:
    """A context manager in the main thread.

    The run must stop by spec.cancel, its deletion, or SIGTERM; by the last alone it is not over: `Terminated` says so.

    Args:
        manifest: the run as it was read last.
    """

    def __init__(self, client: ApiClient, key: ObjectKey, manifest: dict[str, Any]) -> None:
        self._client = client
        self.key = key
        self._manifest = manifest
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
        if stopped and not self.abandoned():
            raise Terminated("The agent was told to end, by an eviction or a deleted pod; the run goes on.") from error

    @property
    def manifest(self) -> dict[str, Any]:
        """The run as it was seen last; replaced whole, never changed."""
        return self._manifest

    def cancelled(self) -> bool:
        """Asked by the engine a few times a second."""
        return self._cancelled.is_set()

    def abandoned(self) -> bool:
        """Whether the run was cancelled or deleted, and not only this agent told to go: looked up now."""
        try:
            manifest = repeated(lambda: self._client.get(self.key), tries=2, worth=is_refused)
        except (ObjectNotFoundError, PermissionWithdrawnError):  # with the run its agents' account is deleted
            return True
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
            try:
                self._manifest = self._client.get(self.key)
            except ObjectNotFoundError:
                self._stop()
                return
            except AgentError as error:
                # An API server that is away is no reason to stop copying.
                _log.warning(
                    "the run could not be looked at", extra=fields(reason=str(error.reason), detail=error.message)
                )
                continue
            if self._manifest["spec"].get("cancel", False):
                self._stop()
                return

    def _stop(self) -> None:
        _log.info("the run is cancelled or gone; stopping")
        self._cancelled.set()
