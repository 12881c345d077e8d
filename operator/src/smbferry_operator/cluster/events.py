"""Kubernetes Events (events.k8s.io/v1) about our objects."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final

from smbferry_api import API_VERSION
from smbferry_operator.cluster.client import Cluster
from smbferry_operator.cluster.errors import ClusterError, TerminatingError
from smbferry_operator.decide.decision import Event
from smbferry_operator.decide.naming import short_hash
from smbferry_operator.model import Key, Manifest, Meta

logger = logging.getLogger(__name__)

COMPONENT: Final = "smbferry.io/operator"
MAX_NOTE: Final = 1024
MAX_STEM: Final = 230
MOST_WAITING: Final = 2000


class EventRecorder:
    """Posts Events one after another, beside the work that they tell of.

    They are a courtesy: that they are slow, or can't be posted, must neither delay nor repeat that work.
    """

    def __init__(
        self, cluster: Cluster, clock: Callable[[], datetime], instance: str, most: int = MOST_WAITING
    ) -> None:
        """Makes one that has nothing to post; of more than `most` that wait, the newest are only logged."""
        self._cluster = cluster
        self._clock = clock
        self._instance = instance
        self._waiting: asyncio.Queue[Manifest] = asyncio.Queue(most)

    def record(self, key: Key, about: Meta, event: Event) -> None:
        """Logs what has happened to an object, and has it posted soon."""
        logger.info("%s: %s: %s", key, event.reason, event.message)
        try:
            self._waiting.put_nowait(build_event(key, about, event, self._clock(), self._instance))
        except asyncio.QueueFull:
            logger.warning("%s: no Event of it is posted, as %d wait for that", key, self._waiting.qsize())

    async def post_forever(self) -> None:
        """Posts what is recorded."""
        while True:
            await self._post(await self._waiting.get())
            self._waiting.task_done()

    async def _post(self, body: Manifest) -> None:
        try:
            await self._cluster.create(body)
        except TerminatingError:
            return
        except ClusterError as error:
            about = body["regarding"]
            where = f"{about['kind']} {about['namespace']}/{about['name']}"
            logger.warning("%s: its Event could not be posted: %s", where, error)

    async def flush(self, seconds: float) -> None:
        """Waits until all that was recorded is posted, for so long at most."""
        try:
            await asyncio.wait_for(self._waiting.join(), seconds)
        except TimeoutError:
            logger.warning("%d Events were not posted", self._waiting.qsize())


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
