"""Watches the metadata of Secrets and ConfigMaps: names and versions. Their content is not requested.

RBAC cannot express this limit: whoever may watch Secrets may read them. So the installation must allow this watch.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Final

from smbferry_operator.cluster.client import Cluster
from smbferry_operator.cluster.errors import ClusterError

logger = logging.getLogger(__name__)

RETRY_SECONDS: Final = 5.0

Changed = Callable[[str, str, str], None]
"""Receives kind, namespace and name of a changed object; called in the watch's own thread."""


class MetadataWatch:
    """The watch of one kind, in one namespace or in all; a daemon thread, as a stream cannot be interrupted."""

    def __init__(self, cluster: Cluster, kind: str, namespace: str | None, changed: Changed) -> None:
        self._cluster = cluster
        self._kind = kind
        self._namespace = namespace
        self._changed = changed
        self._versions: dict[tuple[str, str], str] | None = None
        self._stop = threading.Event()

    def start(self) -> None:
        """Starts the watch; existing objects are not reported."""
        threading.Thread(target=self.follow, name=f"watch-{self._kind}", daemon=True).start()

    def stop(self) -> None:
        """Reports nothing from now on."""
        self._stop.set()

    def follow(self) -> None:
        """Lists and watches until stopped."""
        while not self._stop.is_set():
            try:
                version = self._list()
                for event in self._cluster.stream_metadata(self._kind, self._namespace, version):
                    if self._stop.is_set():
                        return
                    if event["type"] == "ERROR":
                        break  # the version is too old: list again
                    self._take_in(event["object"]["metadata"], deleted=event["type"] == "DELETED")
            except ClusterError as error:
                logger.warning("restarting the watch of %s metadata: %s", self._kind, error)
                self._stop.wait(RETRY_SECONDS)

    def _list(self) -> int:
        """Lists all objects, and reports those that differ from before."""
        listing = self._cluster.list_metadata(self._kind, self._namespace)
        found = (item["metadata"] for item in listing.items)
        versions = {(meta["namespace"], meta["name"]): meta["resourceVersion"] for meta in found}
        before, self._versions = self._versions, versions
        if before is not None:
            for namespace, name in sorted(_differing(before, versions)):
                self._changed(self._kind, namespace, name)
        return listing.version

    def _take_in(self, meta: dict[str, str], *, deleted: bool) -> None:
        key, versions = (meta["namespace"], meta["name"]), self._versions or {}
        if deleted:
            versions.pop(key, None)
        elif versions.get(key) == meta["resourceVersion"]:
            return
        else:
            versions[key] = meta["resourceVersion"]
        self._versions = versions
        self._changed(self._kind, *key)


def _differing(before: dict[tuple[str, str], str], after: dict[tuple[str, str], str]) -> Iterator[tuple[str, str]]:
    return (key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
