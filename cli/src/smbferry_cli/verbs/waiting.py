"""Waits for something in the cluster, for a limited time."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

from smbferry_cli.api import AwayError
from smbferry_cli.exits import TIMED_OUT, ClusterError
from smbferry_cli.text import safe

Found = TypeVar("Found")

INTERVAL_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Clock:
    """The time, and how to let it pass."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def until(self, limit: timedelta | None, what: str, advice: str) -> Callable[[float], None]:
        """Returns a sleep that fails when the time is over.

        Args:
            what: what is waited for: "run/nightly-7 to end".
            advice: what to do then.
        """
        end = None if limit is None else self.now() + limit.total_seconds()

        def pause(seconds: float) -> None:
            """Sleeps.

            Raises:
                ClusterError: the time is over.
            """
            if end is not None and self.now() >= end:
                raise ClusterError(f"expected {what} in time, but --timeout is over; {advice}", TIMED_OUT)
            self.sleep(seconds)

        return pause


def wait_for(look: Callable[[], Found | None], pause: Callable[[float], None]) -> Found:
    """Looks once per second until something is found. An API server that is away for a while is asked again.

    Raises:
        ClusterError: the time is over, or the user may not look.
    """
    said = ""
    while True:
        try:
            found = look()
        except AwayError as error:
            if said != (said := f"smbferry: {safe(str(error))}. Retrying."):
                print(said, file=sys.stderr)
        else:
            if found is not None:
                return found
        pause(INTERVAL_SECONDS)
