"""Kubernetes Events (events.k8s.io/v1) about our objects."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

from smbferry_api import API_VERSION
from smbferry_operator.cluster.client import Cluster
from smbferry_operator.cluster.errors import ClusterError, ConflictError, TerminatingError, UnavailableError
from smbferry_operator.decide.decision import Event
from smbferry_operator.decide.naming import short_hash
from smbferry_operator.model import Key, Kind, Manifest, Meta, logged

logger = logging.getLogger(__name__)

COMPONENT: Final = "smbferry.io/operator"
MAX_NOTE: Final = 1024
MAX_STEM: Final = 230
MOST_WAITING: Final = 2000
MOST_TRIES: Final = 12
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds between a failed post and the next."""


class EventRecorder:
    """Posts Events one after another, in the background.

    Slow or failed Events must neither delay nor repeat the work that they report. They report what was done, so they
    are posted even if this operator no longer leads, and retried if the API server is busy.
    """

    def __init__(
        self,
        cluster: Cluster,
        clock: Callable[[], datetime],
        instance: str,
        most: int = MOST_WAITING,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Creates a recorder without Events.

        Args:
            cluster: a client that writes whether or not this operator leads.
            most: how many Events may wait; further ones are only logged.
            pause: sleeps for a number of seconds.
        """
        self._cluster = cluster
        self._clock = clock
        self._instance = instance
        self._pause = pause
        self._waiting: asyncio.Queue[tuple[Manifest, int]] = asyncio.Queue(most)

    def record(self, key: Key, about: Meta, event: Event) -> None:
        """Logs an Event about an object and queues it."""
        logger.info("%s: %s: %s", key, event.reason, event.message, extra=logged(key, reason=event.reason.name))
        try:
            self._waiting.put_nowait((build_event(key, about, event, self._clock(), self._instance), 1))
        except asyncio.QueueFull:
            message = "%s: posts no Event, because %d are waiting"
            logger.warning(message, key, self._waiting.qsize(), extra=logged(key))

    async def post_forever(self) -> None:
        """Posts queued Events until cancelled."""
        failures = 0
        while True:
            body, tries = await self._waiting.get()
            failures = 0 if await self._post(body, tries) else failures + 1
            self._waiting.task_done()
            if failures:
                await self._pause(min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE))

    async def _post(self, body: Manifest, tries: int) -> bool:
        """Posts one Event, or queues it again; returns whether the API server accepted requests."""
        try:
            await self._cluster.create(body)
        except (TerminatingError, ConflictError):  # a conflict: an earlier attempt whose answer was lost
            return True
        except UnavailableError as error:
            self._again(body, tries, error)
            return False
        except ClusterError as error:
            about = _about(body)
            logger.warning("%s: could not post an Event: %s", about, error, extra=logged(about))
        return True

    def _again(self, body: Manifest, tries: int, error: UnavailableError) -> None:
        if tries >= MOST_TRIES or self._waiting.full():
            about = _about(body)
            message = "%s: could not post an Event in %d attempts: %s"
            logger.warning(message, about, tries, error, extra=logged(about))
            return
        self._waiting.put_nowait((body, tries + 1))

    async def flush(self, seconds: float) -> None:
        """Waits until all queued Events are posted, for at most this many seconds."""
        try:
            await asyncio.wait_for(self._waiting.join(), seconds)
        except TimeoutError:
            logger.warning("%d Events were not posted", self._waiting.qsize())


def _about(body: Manifest) -> Key:
    about = body["regarding"]
    return Key(Kind(about["kind"]), about["namespace"], about["name"])


def build_event(key: Key, about: Meta, event: Event, now: datetime, instance: str) -> Manifest:
    """The Event's manifest."""
    moment = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{about.name[:MAX_STEM]}.{short_hash(about.uid, event.reason, event.message, moment)}",
            "namespace": about.namespace,
        },
        "eventTime": moment,
        "reportingController": COMPONENT,
        "reportingInstance": instance[:128],
        "action": "Reconcile",
        "type": event.type,
        "reason": event.reason.name,
        "note": event.message[:MAX_NOTE],
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": key.kind.value,
            "name": about.name,
            "namespace": about.namespace,
            "uid": about.uid,
        },
    }
