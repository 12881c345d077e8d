"""Whether the watches are alive: what was written or listed must come back as a watch event.

A watch can die without an error: a connection that nobody closed, a task that ended. An open port proves nothing of
it. Our own writes are the canaries, and, where nothing is written, whatever a full list finds. Times are seconds of any
one clock that never goes back.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from smbferry_operator.model import Kind

OVERDUE_AFTER: Final = 60.0


class Stream(NamedTuple):
    """One watch: of a kind, in one namespace or in all (empty)."""

    kind: Kind
    namespace: str

    def __str__(self) -> str:
        return f"the watch of {self.kind} objects" + (f" in namespace {self.namespace}" if self.namespace else "")


@dataclass(slots=True)
class _Awaited:
    version: int
    since: float


class Echo:
    """What each watch has told and what it must tell. Versions of a kind only grow, and come in order."""

    def __init__(self) -> None:
        self._heard: dict[Stream, int] = {}
        self._oldest: dict[Stream, _Awaited] = {}
        self._newest: dict[Stream, _Awaited] = {}
        self._dead: set[Stream] = set()

    def reset(self) -> None:
        """The versions begin anew: what was heard says nothing any more, and each watch must prove itself again."""
        for known in (self._heard, self._oldest, self._newest):
            known.clear()
        self._dead.clear()

    def expect(self, stream: Stream, version: int, now: float) -> None:
        """This version exists: the watch must tell of it, or of a newer one."""
        if version > self._heard.get(stream, -1):
            awaited = _Awaited(version, now)
            self._oldest.setdefault(stream, awaited)
            if stream not in self._newest or version > self._newest[stream].version:
                self._newest[stream] = awaited

    def heard(self, stream: Stream, version: int) -> None:
        """The watch told of this version."""
        self._heard[stream] = max(version, self._heard.get(stream, -1))
        self._dead.discard(stream)
        self._settle(stream)

    def overdue(self, now: float) -> list[Stream]:
        """Watches that have been silent about something for too long; a look at the cluster must confirm it."""
        return [stream for stream, awaited in self._oldest.items() if now - awaited.since > OVERDUE_AFTER]

    def confirm(self, stream: Stream, newest: int) -> None:
        """The cluster was looked at: `newest` is the newest version that there is. What was deleted is not awaited."""
        if newest > self._heard.get(stream, -1):
            self._dead.add(stream)
        else:
            self._oldest.pop(stream, None)
            self._newest.pop(stream, None)

    def problem(self) -> str | None:
        """Which watch is dead, if one is."""
        return f"{min(self._dead)} has died: what exists is not told of" if self._dead else None

    def _settle(self, stream: Stream) -> None:
        heard = self._heard[stream]
        if stream in self._oldest and self._oldest[stream].version <= heard:
            del self._oldest[stream]
            newest = self._newest.pop(stream)
            if newest.version > heard:
                self._oldest[stream] = self._newest[stream] = newest
