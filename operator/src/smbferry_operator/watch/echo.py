"""Whether the watches are alive: what was written or listed must come back as a watch event (ADR 8).

Times are seconds of one monotonic clock.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from smbferry_operator.model import Kind

OVERDUE_AFTER: Final = 60.0


class Stream(NamedTuple):
    """The watch of one kind, in one namespace or, if that is empty, in all."""

    kind: Kind
    namespace: str

    def __str__(self) -> str:
        return f"the watch of {self.kind} objects" + (f" in namespace {self.namespace}" if self.namespace else "")


@dataclass(slots=True)
class _Awaited:
    version: int
    since: float


class Echo:
    """What each watch has delivered and what it must deliver. Versions of a kind only grow and arrive in order."""

    def __init__(self) -> None:
        self._heard: dict[Stream, int] = {}
        self._oldest: dict[Stream, _Awaited] = {}
        self._newest: dict[Stream, _Awaited] = {}
        self._dead: set[Stream] = set()

    def reset(self) -> None:
        """The versions start again: forgets what was delivered, so that each watch must deliver something new."""
        for known in (self._heard, self._oldest, self._newest):
            known.clear()
        self._dead.clear()

    def expect(self, stream: Stream, version: int, now: float) -> None:
        """This version exists: the watch must deliver it, or a newer one."""
        if version > self._heard.get(stream, -1):
            awaited = _Awaited(version, now)
            self._oldest.setdefault(stream, awaited)
            if stream not in self._newest or version > self._newest[stream].version:
                self._newest[stream] = awaited

    def heard(self, stream: Stream, version: int) -> None:
        """The watch delivered this version."""
        self._heard[stream] = max(version, self._heard.get(stream, -1))
        self._dead.discard(stream)
        self._settle(stream)

    def overdue(self, now: float) -> list[Stream]:
        """Watches that have not delivered a version in time. A list must confirm it, as objects are deleted, too."""
        return [stream for stream, awaited in self._oldest.items() if now - awaited.since > OVERDUE_AFTER]

    def confirm(self, stream: Stream, newest: int) -> None:
        """A list was made.

        Args:
            newest: the newest version that exists. Versions of deleted objects are no longer expected.
        """
        if newest > self._heard.get(stream, -1):
            self._dead.add(stream)
        else:
            self._oldest.pop(stream, None)
            self._newest.pop(stream, None)

    def problem(self) -> str | None:
        """Names a dead watch, None if all are alive."""
        return f"{min(self._dead)} is dead: it missed an existing object" if self._dead else None

    def _settle(self, stream: Stream) -> None:
        heard = self._heard[stream]
        if stream in self._oldest and self._oldest[stream].version <= heard:
            del self._oldest[stream]
            newest = self._newest.pop(stream)
            if newest.version > heard:
                self._oldest[stream] = self._newest[stream] = newest
