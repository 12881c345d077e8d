"""Watches Secrets and ConfigMaps for changes of keytabs and krb5.conf files."""

import asyncio
from collections.abc import Iterable

from smbferry_operator.cluster.client import Cluster
from smbferry_operator.cluster.metadata import Changed, MetadataWatch


class CredentialWatches:
    """One watch for each kind and namespace; changes are reported on the event loop that starts them."""

    def __init__(self, cluster: Cluster, namespaces: Iterable[str | None], changed: Changed) -> None:
        """Creates watches that have not started.

        Args:
            namespaces: None stands for all namespaces; empty watches nothing.
            changed: called on the event loop.
        """
        self._changed = changed
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watches = [
            MetadataWatch(cluster, kind, namespace, self._heard)
            for kind in ("Secret", "ConfigMap")
            for namespace in namespaces
        ]

    def start(self) -> None:
        """Starts the threads. Called on the event loop."""
        self._loop = asyncio.get_running_loop()
        for watch in self._watches:
            watch.start()

    def stop(self) -> None:
        """Reports nothing from now on."""
        for watch in self._watches:
            watch.stop()

    def _heard(self, kind: str, namespace: str, name: str) -> None:
        """Called in a watch's own thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._changed, kind, namespace, name)
