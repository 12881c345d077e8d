"""Sends noted events to the sink, one after the other, beside the work that they report."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from smbferry_operator.model import OWN_KINDS, Key, Kind, Manifest, logged
from smbferry_operator.notify.cloud_event import CloudEvent, cloud_events
from smbferry_operator.notify.outbox import Outbox
from smbferry_operator.notify.sink import SinkError

logger = logging.getLogger(__name__)

POLL: Final = 5.0
"""Seconds after which what the statuses note is looked up again: an event may not have fitted into memory."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds without an attempt while the sink cannot be reached. It doubles each time."""


class Sink(Protocol):
    """Where events go."""

    async def deliver(self, event: CloudEvent) -> None:
        """Returns once the event was accepted.

        Raises:
            SinkError: it was not.
        """

    async def close(self) -> None:
        """Closes the connection."""


class Known(Protocol):
    """What is known of the objects: the cache."""

    def tagged(self, tag: str) -> list[Key]:
        """The keys of objects with a tag."""

    def get(self, key: Key) -> Manifest | None:
        """An object."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the notifier asks and tells."""

    leading: Callable[[], bool]
    enqueue: Callable[[Key], None]
    """Has an object decided again, so that its delivered events are crossed out."""
    accepted: Callable[[], None]
    """Counts an event that the sink accepted."""
    failed: Callable[[], None]
    """Counts an attempt that failed."""
    clock: Callable[[], float] = time.monotonic


class Notifier:
    """Takes in noted events from watch events and from the cache, and sends them while this operator leads."""

    def __init__(self, known: Known, tag: str, sink: Sink, source: str, around: Surroundings) -> None:
        """Creates a notifier that has not started.

        Args:
            tag: of the objects whose status notes events.
            source: the attribute `source` of the events.
        """
        self._known = known
        self._tag = tag
        self._sink = sink
        self._source = source
        self._around = around
        self._outbox = Outbox()
        self._wake = asyncio.Event()
        self._failures = 0
        self._complaint = ""
        self._looked_up = float("-inf")

    @property
    def pending(self) -> int:
        """The number of events that wait in memory."""
        return len(self._outbox)

    def is_delivered(self, id_: str) -> bool:
        """Whether the sink has accepted the event with this id."""
        return self._outbox.is_delivered(id_)

    def seen(self, kind: Kind, body: Manifest) -> None:
        """Takes in the events of an object, which may be gone before they are sent."""
        if kind in OWN_KINDS and self._around.leading() and self._take_in(kind, body):
            self._wake.set()

    async def send_forever(self) -> None:
        """Sends until cancelled."""
        try:
            while True:
                await self._wait()
                if self._around.leading():
                    await self.round()
                else:
                    self._outbox.clear()
                    self._looked_up = float("-inf")
        finally:
            await self._sink.close()

    async def round(self) -> None:
        """Sends what is due, until the sink cannot be reached."""
        self._wake.clear()
        self._forget_crossed_out()
        if self._around.clock() - self._looked_up >= POLL:
            self._look_up()
        while self._around.leading() and (event := self._outbox.due(self._around.clock())) is not None:
            try:
                await self._sink.deliver(event)
            except SinkError as error:
                self._refused(event, error)
                if not error.only_this:
                    return
            else:
                self._accepted(event)

    async def _wait(self) -> None:
        if self._failures:
            await asyncio.sleep(min(FIRST_PAUSE * 2 ** min(self._failures - 1, 16), LONGEST_PAUSE))
            return
        due = self._outbox.next_due()
        pause = POLL if due is None else min(POLL, max(0.0, due - self._around.clock()))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), pause)

    def _look_up(self) -> None:
        """Takes in what the statuses note and memory does not have."""
        self._looked_up = self._around.clock()
        concerned = self._outbox.concerned()
        for key in self._known.tagged(self._tag):
            if self._outbox.full:
                return
            if key not in concerned and (body := self._known.get(key)) is not None:
                self._take_in(key.kind, body)

    def _forget_crossed_out(self) -> None:
        """Forgets delivered events that no status notes any more."""
        for id_, key in self._outbox.delivered.items():
            body = self._known.get(key)
            if body is None or id_ not in {event.id for event in cloud_events(key.kind, body, self._source)}:
                self._outbox.forget(id_)

    def _take_in(self, kind: Kind, body: Manifest) -> bool:
        events = cloud_events(kind, body, self._source)
        for event in events:
            self._outbox.offer(event)
        return bool(events)

    def _accepted(self, event: CloudEvent) -> None:
        self._outbox.accepted(event)
        self._around.accepted()
        self._around.enqueue(event.about)
        if self._complaint:
            logger.info("the sink accepts events again")
        self._failures, self._complaint = 0, ""

    def _refused(self, event: CloudEvent, error: SinkError) -> None:
        self._around.failed()
        if error.only_this:
            self._outbox.refused(event, self._around.clock())
            message = "%s: the sink refuses the event %s: %s"
            logger.warning(message, event.about, event.id, error, extra=logged(event.about))
            return
        self._failures += 1
        if str(error) != self._complaint:
            logger.warning("%d events wait, because the sink accepts none: %s", self.pending, error)
            self._complaint = str(error)
