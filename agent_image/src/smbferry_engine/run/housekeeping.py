"""Unfinished files at the destination: staging files, and final names whose compound has not been answered.

The table :data:`_NEXT` holds the states of a staging file and the events that lead from one to the next. A final name
that is created in one compound is ``committing`` until it is answered, and ``rejected`` if a request after its CREATE
failed and it has not been deleted yet.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto

from smbferry_engine.core.calls import Call
from smbferry_engine.run.hard_links import HardLinkTable
from smbferry_engine.run.resume import Handover, ResumePoints


class StagingState(Enum):
    """The state of a staging file.

    ABSENT: unknown to this run. OPEN: opened by this run, which removes it if it is stopped. REOPENED: like OPEN, after
    an earlier attempt had left it. SHARED: other agents write into it, too; it is removed only if the run as a whole is
    abandoned. LEFT: closed for the next attempt, or skipped because somebody else holds it open.
    """

    ABSENT = auto()
    OPEN = auto()
    REOPENED = auto()
    SHARED = auto()
    LEFT = auto()


class StagingEvent(Enum):
    """What happens to a staging file.

    OPENED: its CREATE was sent. REFUSED: that CREATE failed. HELD: it failed because somebody else has the file open,
    and another name is tried. SHARED: several agents gather the file. LEFT: it was closed for the next attempt. GONE:
    it was renamed or deleted.
    """

    OPENED = auto()
    REFUSED = auto()
    HELD = auto()
    SHARED = auto()
    LEFT = auto()
    GONE = auto()


_S, _E = StagingState, StagingEvent
_NEXT: dict[StagingState, dict[StagingEvent, StagingState]] = {
    _S.ABSENT: {_E.OPENED: _S.OPEN, _E.REFUSED: _S.ABSENT, _E.HELD: _S.LEFT, _E.GONE: _S.ABSENT, _E.LEFT: _S.LEFT},
    _S.OPEN: {
        _E.OPENED: _S.OPEN,
        _E.REFUSED: _S.ABSENT,
        _E.HELD: _S.LEFT,
        _E.SHARED: _S.SHARED,
        _E.LEFT: _S.LEFT,
        _E.GONE: _S.ABSENT,
    },
    _S.REOPENED: {
        _E.OPENED: _S.REOPENED,
        _E.REFUSED: _S.LEFT,
        _E.HELD: _S.LEFT,
        _E.SHARED: _S.SHARED,
        _E.LEFT: _S.LEFT,
        _E.GONE: _S.ABSENT,
    },
    _S.SHARED: {
        _E.OPENED: _S.SHARED,
        _E.REFUSED: _S.SHARED,
        _E.HELD: _S.SHARED,
        _E.SHARED: _S.SHARED,
        _E.LEFT: _S.SHARED,
        _E.GONE: _S.ABSENT,
    },
    _S.LEFT: {_E.OPENED: _S.REOPENED, _E.REFUSED: _S.LEFT, _E.HELD: _S.LEFT, _E.LEFT: _S.LEFT, _E.GONE: _S.ABSENT},
}


@dataclass(slots=True)
class _Staging:
    """One staging file: the call that opened it, and the CLOSEs of the attempts that left it."""

    final: str
    state: StagingState = StagingState.ABSENT
    opened: Call | None = None
    closings: list[Call] = field(default_factory=list)


class Housekeeping:
    """The staging files of a run and its unfinished final names, by path from the root, and its hard links."""

    def __init__(self, handover: Handover | None = None) -> None:
        self._staging: dict[str, _Staging] = {}
        self.resume_points = ResumePoints()
        self.handover = handover or Handover()
        self.hard_links = HardLinkTable()
        self.committing: dict[str, Call] = {}
        self.rejected: set[str] = set()

    def note(self, final: str, path: str, event: StagingEvent, call: Call | None = None) -> None:
        """Record an event of the staging file at ``path`` for ``final``; ``call`` opened it, or closes it when it is
        left.

        Raises:
            KeyError: the event is not possible in this state.
        """
        staging = self._staging.setdefault(path, _Staging(final))
        staging.state = _NEXT[staging.state][event]
        if event is StagingEvent.OPENED:
            staging.opened = call
        elif event is StagingEvent.LEFT and call is not None:
            staging.closings.append(call)
        if staging.state is StagingState.ABSENT:
            del self._staging[path]

    def state_of(self, path: str) -> StagingState:
        """Return the state of the staging file at ``path``."""
        staging = self._staging.get(path)
        return StagingState.ABSENT if staging is None else staging.state

    def is_open(self, path: str) -> bool:
        """Return whether this run has the staging file open."""
        return self.state_of(path) in (StagingState.OPEN, StagingState.REOPENED)

    def opened(self) -> list[tuple[str, Call]]:
        """Return the staging files to remove if the run is stopped, each with the call that opened it."""
        return [
            (path, staging.opened)
            for path, staging in self._staging.items()
            if self.is_open(path) and staging.opened is not None
        ]

    def shared(self) -> list[str]:
        """Return the staging files that other agents write into, too."""
        return [path for path, staging in self._staging.items() if staging.state is StagingState.SHARED]

    def closings(self, path: str) -> Iterable[Call]:
        """Return the CLOSEs of earlier attempts at the staging file at ``path``."""
        staging = self._staging.get(path)
        return () if staging is None else tuple(staging.closings)

    def take_left(self, final: str, keep: str) -> list[str]:
        """Forget the staging files that were left for ``final``; returns the paths of all but ``keep``."""
        left = [
            path
            for path, staging in self._staging.items()
            if staging.final == final and staging.state is StagingState.LEFT
        ]
        for path in left:
            del self._staging[path]
        return [path for path in left if path != keep]

    @property
    def idle(self) -> bool:
        """True if no staging file is known."""
        return not self._staging
