"""How a caller controls an active operation."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from smbferry_engine.errors import EngineError
from smbferry_engine.model import Options
from smbferry_engine.run.resume import Handover
from smbferry_words.reasons import RUN_CANCELLED


@dataclass(frozen=True, slots=True)
class Control:
    """How a caller controls an active operation. Operations use what applies to them.

    Attributes:
        cancelled: called a few times a second; the operation stops once it returns true.
        abandoned: called once after the operation has stopped: returns whether staging files are removed, because no
            other agent continues the run. None: they are removed unless the operation copies one of several shards.
        may_replace: called before each deletion or replacement at the destination, which waits until it returns true.
        clock: monotonic seconds.
        bytes_per_second: returns the rate limit; None if the option of this name applies.
        handover: what an earlier agent of the run has left, and after a stop what this one leaves. None if there is no
            other agent.
    """

    cancelled: Callable[[], bool] = lambda: False
    abandoned: Callable[[], bool] | None = None
    may_replace: Callable[[], bool] = lambda: True
    clock: Callable[[], float] = time.monotonic
    bytes_per_second: Callable[[], int | None] | None = None
    handover: Handover | None = None

    def expect_wanted(self, what: str) -> None:
        """Raise :class:`EngineError` RunCancelled if ``what`` was cancelled, for example the run."""
        if self.cancelled():
            raise EngineError(RUN_CANCELLED, f"the {what} was cancelled")

    def limit(self, options: Options) -> Callable[[], int | None]:
        """Return what returns the rate limit in bytes per second, None without a limit."""
        return self.bytes_per_second or (lambda: options.bytes_per_second)


UNCONTROLLED: Final = Control()
"""The control of an operation that nobody stops or limits."""
