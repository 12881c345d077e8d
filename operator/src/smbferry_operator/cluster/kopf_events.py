"""kopf as the source of watch events, and of nothing else. No other module imports kopf.

kopf keeps each watch alive: it lists by pages, resumes at the last resourceVersion or bookmark, lists again after
410 Gone, reconnects a stream that stays silent, and renews credentials. `on.event` handlers leave no finalizer and no
annotation behind. ADR 1 says what is ours, and why.
"""

import logging
import os
from typing import Any, Final, Protocol

import kopf
from kopf._core.reactor.inventory import ResourceMemories, ResourceMemory  # private, so pyproject.toml caps the version

from smbferry_api import GROUP, VERSION
from smbferry_api.crd import KINDS
from smbferry_api.names import FINALIZER
from smbferry_operator.cluster.client import PAGE, selector_of
from smbferry_operator.model import Kind, Manifest
from smbferry_operator.settings import Settings

SERVER_TIMEOUT: Final = 600
CLIENT_TIMEOUT: Final = 660
REQUEST_TIMEOUT: Final = 60
IDLE_TIMEOUT: Final = 0.01
VERBOSE_LOGGERS: Final = ("kopf.objects", "kopf.activities", "aiohttp.access")
"""They log each watch event and each probe."""


class Consumer(Protocol):
    """What kopf starts, feeds and stops."""

    async def start(self) -> None:
        """Called once, before any watch begins."""

    async def stop(self) -> None:
        """Called once, after SIGTERM."""

    def seen(self, kind: Kind, body: Manifest, *, deleted: bool) -> None:
        """Takes in one watch event; must not block."""


def run(consumer: Consumer, settings: Settings) -> None:
    """Watches until SIGTERM."""
    _configure_logging(settings)
    os.environ.setdefault("POD_ID", settings.instance)  # kopf would look up the user's name, and an image has no users
    register(consumer, clusterwide=not settings.namespaces)
    kopf.run(
        settings=kopf_settings(settings.agent.class_name),
        memories=NoMemories(),
        standalone=True,
        clusterwide=not settings.namespaces,
        namespaces=settings.namespaces,
    )


def register(consumer: Consumer, *, clusterwide: bool = True) -> None:
    """Registers start, stop, and a handler for each kind that bears on a decision.

    Args:
        clusterwide: whether all namespaces are watched; then their labels are, too.
    """

    @kopf.on.startup()
    async def start(**_: object) -> None:
        await consumer.start()

    @kopf.on.cleanup()
    async def stop(**_: object) -> None:
        await consumer.stop()

    for kind in KINDS:
        _watch(consumer, Kind(kind.kind), GROUP, VERSION, kind.plural)
    _watch(consumer, Kind.JOB, "batch", "v1", "jobs")
    _watch(consumer, Kind.POD, "", "v1", "pods")
    if clusterwide:
        _watch(consumer, Kind.NAMESPACE, "", "v1", "namespaces")


def _watch(consumer: Consumer, kind: Kind, group: str, version: str, plural: str) -> None:
    @kopf.on.event(group, version, plural, id=f"seen-{plural}")
    async def seen(event: Any, **_: object) -> None:
        consumer.seen(kind, event["object"], deleted=event["type"] == "DELETED")


def kopf_settings(class_name: str) -> kopf.OperatorSettings:
    """Settings that keep kopf from writing anything and from remembering objects.

    Args:
        class_name: the class of this operator, by which it finds its Jobs and pods.
    """
    result = kopf.OperatorSettings()
    result.watching.server_timeout = SERVER_TIMEOUT
    result.watching.client_timeout = CLIENT_TIMEOUT
    result.watching.chunk_size = PAGE
    for resource, kind in (("jobs.v1.batch", Kind.JOB), ("pods.v1", Kind.POD)):
        result.watching.label_selectors[resource] = selector_of(kind, class_name)
    result.networking.request_timeout = REQUEST_TIMEOUT
    result.queueing.worker_limit = None  # a handler takes microseconds; with a limit, listed objects would pile up
    result.queueing.idle_timeout = IDLE_TIMEOUT
    result.scanning.disabled = True  # needs no permission on namespaces and CRDs
    result.posting.enabled = False
    result.peering.standalone = True
    # kopf writes nothing here. Should that change, these keep its default names off people's objects.
    result.persistence.finalizer = FINALIZER
    result.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    result.persistence.diffbase_storage = NoDiffs()
    return result


def _configure_logging(settings: Settings) -> None:
    kopf.configure(
        verbose=settings.log_level == "debug",
        quiet=settings.log_level == "warning",
        log_format=kopf.LogFormat.JSON if settings.log_format == "json" else kopf.LogFormat.FULL,
    )
    for name in VERBOSE_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


class NoDiffs(kopf.DiffBaseStorage):
    """Keeps kopf from copying each object twice per event: no handler asks what has changed in an object."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """The essence of any object: nothing."""
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        """The essence that was stored last: none."""
        return None

    def store(self, **_: Any) -> None:
        """Stores nothing."""


class NoMemories(ResourceMemories):
    """Keeps kopf from remembering objects: no handler needs it.

    kopf keeps a record per object, keyed by a string of the parsed list. That string holds most of the memory of a list
    of thousands of objects.
    """

    async def recall(self, raw_body: kopf.RawBody, **options: Any) -> ResourceMemory:
        """Returns a new record that is not kept."""
        return await super().recall(raw_body, **{**options, "ephemeral": True})
