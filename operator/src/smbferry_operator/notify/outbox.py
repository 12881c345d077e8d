"""Events that wait for the sink: when each is due, and which have been accepted. Pure."""

from dataclasses import dataclass
from typing import Final

from smbferry_operator.model import Key
from smbferry_operator.notify.cloud_event import CloudEvent

MOST_WAITING: Final = 2000
"""Events in memory; further ones stay in the statuses of their objects until there is room."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 300.0
"""Seconds between a refused attempt and the next one for the same event. It doubles each time."""


@dataclass(slots=True)
class _Waiting:
    event: CloudEvent
    due: float = 0.0
    refused: int = 0


class Outbox:
    """Events in the order in which they were noted."""

    def __init__(self, most: int = MOST_WAITING) -> None:
        self._most = most
        self._waiting: dict[str, _Waiting] = {}
        self._delivered: dict[str, Key] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, event: CloudEvent) -> None:
        """Adds an event unless it is known, or there is no room for it."""
        if event.id not in self._delivered and event.id not in self._waiting and not self.full:
            self._waiting[event.id] = _Waiting(event)

    def due(self, now: float) -> CloudEvent | None:
        """The first event that is due."""
        return next((waiting.event for waiting in self._waiting.values() if waiting.due <= now), None)

    def next_due(self) -> float | None:
        """When the next event is due, None if there is none."""
        return min((waiting.due for waiting in self._waiting.values()), default=None)

    def accepted(self, event: CloudEvent) -> None:
        """The sink has accepted it."""
        self._waiting.pop(event.id, None)
        self._delivered[event.id] = event.about

    def refused(self, event: CloudEvent, now: float) -> None:
        """The sink has refused this event; others may be sent meanwhile."""
        waiting = self._waiting[event.id]
        waiting.refused += 1
        waiting.due = now + min(FIRST_PAUSE * 2 ** min(waiting.refused - 1, 16), LONGEST_PAUSE)

    def is_delivered(self, id_: str) -> bool:
        """Whether the sink has accepted the event with this id."""
        return id_ in self._delivered

    def forget(self, id_: str) -> None:
        """No status notes this event any more."""
        self._delivered.pop(id_, None)

    def clear(self) -> None:
        """Forgets everything: the statuses have it, and another operator leads."""
        self._waiting.clear()
        self._delivered.clear()

    @property
    def full(self) -> bool:
        """Whether there is no room for a further event."""
        return len(self._waiting) >= self._most

    @property
    def delivered(self) -> dict[str, Key]:
        """The ids of accepted events that the status of their object may still note."""
        return dict(self._delivered)

    def concerned(self) -> set[Key]:
        """The objects with an event that waits."""
        return {waiting.event.about for waiting in self._waiting.values()}
