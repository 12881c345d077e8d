"""Starts the operator: settings from the environment, kopf for the watches, everything else our own.

`smbferry-operator` runs in a cluster with the pod's service account, or outside of it with KUBECONFIG.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any, Final
from uuid import uuid4

import kopf
from kopf._cogs.structs.bodies import BodyEssence, RawBody
from kopf._core.engines.peering import Identity
from kopf._core.reactor.inventory import ResourceMemories, ResourceMemory

from smbferry_api import GROUP
from smbferry_api.names import FINALIZER
from smbferry_operator.cluster.client import Cluster
from smbferry_operator.cluster.errors import ClusterError
from smbferry_operator.cluster.lease import LeaseStore
from smbferry_operator.decide.lease import LeaseTimes
from smbferry_operator.handlers import lifecycle, watch
from smbferry_operator.leader import Fence
from smbferry_operator.lists import AGENT_SELECTOR
from smbferry_operator.service import Service
from smbferry_operator.settings import Settings, SettingsError

WATCH_SERVER_TIMEOUT: Final = 600
WATCH_CLIENT_TIMEOUT: Final = 660
REQUEST_TIMEOUT: Final = 60
IDLE_TIMEOUT: Final = 0.01
USAGE_ERROR: Final = 2
SPARE_CONNECTIONS: Final = 4


def kopf_settings(settings: Settings) -> kopf.OperatorSettings:
    """kopf as the source of watch events, and of nothing else."""
    result = kopf.OperatorSettings()
    result.watching.server_timeout = WATCH_SERVER_TIMEOUT
    result.watching.client_timeout = WATCH_CLIENT_TIMEOUT
    for resource in ("jobs.v1.batch", "pods.v1"):
        result.watching.label_selectors[resource] = AGENT_SELECTOR
    result.networking.request_timeout = REQUEST_TIMEOUT
    result.queueing.worker_limit = None  # each event is taken in at once: those of a list would pile up, whole
    result.queueing.idle_timeout = IDLE_TIMEOUT
    result.scanning.disabled = True  # needs no permission on namespaces and CRDs
    result.posting.enabled = False
    result.peering.standalone = True
    # Nothing is ever written by kopf: these only keep its defaults from appearing should that change.
    result.persistence.finalizer = FINALIZER
    result.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    result.persistence.diffbase_storage = NoDiffs()
    return result


class NoDiffs(kopf.DiffBaseStorage):
    """Nothing here is done by what has changed in an object; kopf would copy each one twice for it at each event."""

    def build(self, **_: Any) -> BodyEssence:
        """What an object is compared by: nothing."""
        return BodyEssence({})

    def fetch(self, **_: Any) -> BodyEssence | None:
        """What it was compared by before."""
        return None

    def store(self, **_: Any) -> None:
        """Writes nothing."""


class NoMemories(ResourceMemories):
    """Nothing here is done by what kopf remembers of an object.

    It would keep a record of each, and of the parsed list a string as the key to it, which keeps most of the memory
    that a list of thousands of objects takes from being given back.
    """

    async def recall(self, raw_body: RawBody, **options: Any) -> ResourceMemory:
        """A new record, which nobody keeps."""
        return await super().recall(raw_body, **{**options, "ephemeral": True})


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="smbferry-operator", description="The operator of smbferry.")
    parser.add_argument("--standalone", action="store_true", help="elect no leader: this is the only operator")
    return parser.parse_args(arguments)


def build_service(settings: Settings) -> Service:
    """The operator, with credentials for the API server.

    Raises:
        ClusterError: there are none.
    """
    fence = Fence()
    cluster = Cluster.connect(settings.workers + SPARE_CONNECTIONS, fence.remaining)
    # The lease has a connection of its own: slow work must not keep it from being renewed.
    store = None if settings.standalone else _lease_store(settings)
    return Service(settings, cluster, fence, store, f"{settings.instance}_{uuid4()}", aside=Cluster.connect(1))


def _lease_store(settings: Settings) -> LeaseStore:
    one_after_another = Cluster.connect(1)
    return LeaseStore(one_after_another, settings.lease_namespace, settings.lease_name, LeaseTimes())


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the operator until it is told to stop; returns the exit code."""
    options = parse_arguments(arguments)
    try:
        settings = Settings.read(os.environ, standalone=options.standalone)
        service = build_service(settings)
    except (SettingsError, ClusterError) as error:
        sys.stderr.write(f"smbferry-operator: {error}\n")
        return USAGE_ERROR
    os.environ.setdefault("POD_ID", settings.instance)  # else kopf looks for the user's name, and an image has no users
    kopf.configure(
        verbose=settings.log_level == "debug",
        quiet=settings.log_level == "warning",
        log_format=kopf.LogFormat.JSON if settings.log_format == "json" else kopf.LogFormat.FULL,
    )
    for chatty in ("kopf.objects", "kopf.activities", "aiohttp.access"):  # they tell of each watch event and probe
        logging.getLogger(chatty).setLevel(logging.WARNING)
    lifecycle.register(service)
    watch.register(service)
    kopf.run(
        settings=kopf_settings(settings),
        memories=NoMemories(),
        identity=Identity(settings.instance),  # kopf would look up a user name, which the image's user has not
        standalone=True,
        clusterwide=not settings.namespaces,
        namespaces=settings.namespaces,
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
