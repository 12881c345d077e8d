"""The windows that hold for a run, as its agent sees them: open or closed, and how fast data may move.

The operator may be down when a window ends, so the agent watches the clock itself. Newer windows come with the run's
status (ADR 9).
"""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import ValidationError

from smbferry_agent.errors import AgentError
from smbferry_api.limit_status import Limit
from smbferry_api.reasons import SPEC_INVALID
from smbferry_api.windows import Window, WindowState, problem_of, state_at

_log = logging.getLogger(__name__)
_LONGEST: Final = timedelta(minutes=1)  # the clock may be set meanwhile


def current_windows(manifest: dict[str, Any], snapshot: Sequence[Window]) -> Sequence[Window]:
    """No windows if the run ignores them, else those in status.limit if it has any, else the snapshot's.

    If those in the status are unreadable, the snapshot's apply, so that an error never opens a window.
    """
    if (manifest.get("spec") or {}).get("ignoreWindows"):
        return ()
    changed = (manifest.get("status") or {}).get("limit")
    if changed is None:
        return snapshot
    try:
        windows = Limit.model_validate(changed).windows
        if windows is None:
            return snapshot
        if not (problem := problem_of(windows)):
            return windows
    except ValidationError as error:
        problem = f"{error.error_count()} invalid fields"
    _log.warning("ignoring the windows in status.limit, those of the snapshot apply: %s", problem)
    return snapshot


class RunWindows:
    """What the windows say now; asked for every request, decided once until they or their state change.

    Args:
        snapshot: the windows in the agent's Job.
        manifest: returns the run as it was read last.

    Raises:
        AgentError: SpecInvalid, the windows of the snapshot cannot be used here.
    """

    def __init__(
        self,
        snapshot: Sequence[Window],
        manifest: Callable[[], dict[str, Any]],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if problem := problem_of(snapshot):
            raise AgentError(SPEC_INVALID, f"{problem}.")
        self._snapshot = snapshot
        self._manifest = manifest
        self._now = now
        self._lock = threading.Lock()  # the engine and the watch ask
        self._windows: Sequence[Window] = ()
        self._read: dict[str, Any] | None = None
        self._decided: tuple[datetime, datetime, WindowState] | None = None

    def state(self) -> WindowState:
        """The state of the windows now."""
        with self._lock:
            manifest, now = self._manifest(), self._now()
            if manifest is not self._read:
                windows = current_windows(manifest, self._snapshot)
                self._read = manifest
                if windows != self._windows:
                    self._windows, self._decided = windows, None
            if self._decided is None or not self._decided[0] <= now < self._decided[1]:
                state = state_at(self._windows, now)
                until = min(filter(None, (state.until, now + _LONGEST)))
                self._decided = (now, until, state)
            return self._decided[2]

    def closed(self) -> str:
        """Why no data may move now, empty if it may."""
        state = self.state()
        return f"The windows of the task are closed {state.lasts}." if state.closed else ""
