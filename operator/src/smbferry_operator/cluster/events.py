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
from smbferry_operator.model import Key, Manifest, Meta

logger = logging.getLogger(__name__)

COMPONENT: Final = "smbferry.io/operator"
MAX_NOTE: Final = 1024
MAX_STEM: Final = 230
MOST_WAITING: Final = 2000
MOST_TRIES: Final = 12
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds, before another is tried after one could not be posted."""


class EventRecorder:
    """Posts Events one after another, beside the work that they tell of.

    They are a courtesy: that they are slow, or can't be posted, must neither delay nor repeat that work. They tell of
    what was done, so they are posted by one that leads no more, too, and tried again where the API server is too busy.
    """

    def __init__(
        self,
        cluster: Cluster,
        clock: Callable[[], datetime],
        instance: str,
        most: int = MOST_WAITING,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Makes one that has nothing to post; of more than `most` that wait, the newest are only logged.

        Args:
            cluster: one that writes whether or not this operator leads.
            pause: waits for so many seconds.
        """
        self._cluster = cluster
        self._clock = clock
        self._instance = instance
        self._pause = pause
        self._waiting: asyncio.Queue[tuple[Manifest, int]] = asyncio.Queue(most)

    def record(self, key: Key, about: Meta, event: Event) -> None:
        """Logs what has happened to an object, and has it posted soon."""
        logger.info("%s: %s: %s", key, event.reason, event.message)
        try:
            self._waiting.put_nowait((build_event(key, about, event, self._clock(), self._instance), 1))
        except asyncio.QueueFull:
            logger.warning("%s: no Event of it is posted, as %d wait for that", key, self._waiting.qsize())

    async def post_forever(self) -> None:
        """Posts what is recorded."""
        failures = 0
        while True:
            body, tries = await self._waiting.get()
            failures = 0 if await self._post(body, tries) else failures + 1
            self._waiting.task_done()
            if failures:
                await self._pause(min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE))

    async def _post(self, body: Manifest, tries: int) -> bool:
        """Posts one, or puts it behind the others to be tried again; tells whether the API server took requests."""
        try:
            await self._cluster.create(body)
        except (TerminatingError, ConflictError):  # a conflict: an earlier try whose answer was lost
            return True
        except UnavailableError as error:
            self._again(body, tries, error)
            return False
        except ClusterError as error:
            logger.warning("%s: its Event could not be posted: %s", _about(body), error)
        return True

    def _again(self, body: Manifest, tries: int, error: UnavailableError) -> None:
        if tries >= MOST_TRIES or self._waiting.full():
            logger.warning("%s: its Event could not be posted in %d tries: %s", _about(body), tries, error)
            return
        self._waiting.put_nowait((body, tries + 1))

    async def flush(self, seconds: float) -> None:
        """Waits until all that was recorded is posted, for so long at most."""
        try:
            await asyncio.wait_for(self._waiting.join(), seconds)
        except TimeoutError:
            logger.warning("%d Events were not posted", self._waiting.qsize())


def _about(body: Manifest) -> str:
    about = body["regarding"]
    return f"{about['kind']} {about['namespace']}/{about['name']}"


def build_event(key: Key, about: Meta, event: Event, now: datetime, instance: str) -> Manifest:
    """An Event's manifest."""
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
