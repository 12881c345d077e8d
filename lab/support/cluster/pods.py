"""What the pods of ended runs say about the past, by the API's own times."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.support.cluster.kube import Object

DESTINATION = "smbferry.io/destination"


def most_at_once(pods: Iterable[Object]) -> int:
    """How many of these pods, which have ended, worked at the same moment at most; times are whole seconds."""
    changes: list[tuple[str, int]] = []
    for pod in pods:
        (container,) = pod["status"]["containerStatuses"]
        changes += [(pod["status"]["startTime"], 1), (container["state"]["terminated"]["finishedAt"], -1)]
    working = most = 0
    for _, change in sorted(changes):
        working += change
        most = max(most, working)
    return most


def server_of(agent: Object) -> str:
    """The server, with its port, that a run's Job or pod writes to."""
    return str(agent["metadata"]["annotations"][DESTINATION]).split("/")[2]
