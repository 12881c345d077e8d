"""Looks on: whether ever more agents than its limit permits are at a server, by Jobs and by pods."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from lab.nemesis.lookout import Lookout
from lab.support.cluster.pods import server_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lab.nemesis.cluster import Cluster
    from lab.nemesis.record import Record
    from lab.support.cluster.api import Object

LOOK_SECONDS = 1.0
AT_SERVER = 6
"""The chart's limit."""
AT_LOCATION = 5
"""The limit of both locations that everybody may use; all other runs are at another server."""
RUN = "smbferry.io/run"


class LimitWatcher(Lookout):
    """Looks at the agents' Jobs and pods. `most` has how many agents were at a server at most."""

    def __init__(self, cluster: Cluster, server: str, record: Record) -> None:
        """Creates a watcher that has not started.

        Args:
            server: host:port of the locations with a limit of their own.
        """
        super().__init__("limits", LOOK_SECONDS, record)
        self._cluster = cluster
        self._limits = {server: AT_LOCATION}
        self.most: Counter[str] = Counter()

    def _look(self) -> Iterator[str]:
        jobs = [job for job in self._cluster.list("jobs", "app.kubernetes.io/component=transfer") if not is_over(job)]
        for what, agents in (("by their Jobs", agents_by_jobs(jobs)), ("by their pods", self._working())):
            self.most |= agents
            for text in exceeded(agents, self._limits):
                yield f"{text} {what}"

    def _working(self) -> Counter[str]:
        return Counter(server_of(pod) for pod in self._cluster.transfers())


def is_over(job: Object) -> bool:
    """Whether the Job has ended: Kubernetes starts no further agent of it."""
    conditions = job.get("status", {}).get("conditions") or ()
    return any(c["type"] in {"Complete", "Failed"} and c["status"] == "True" for c in conditions)


def agents_by_jobs(jobs: Iterable[Object]) -> Counter[str]:
    """By server: the agents that unfinished Jobs may have. A run whose Job is being replaced counts once."""
    runs: dict[str, dict[str, int]] = defaultdict(dict)
    for job in jobs:
        here, run, agents = runs[server_of(job)], job["metadata"]["labels"][RUN], job["spec"].get("parallelism", 1)
        here[run] = max(agents, here.get(run, 0))
    return Counter({server: sum(here.values()) for server, here in runs.items()})


def exceeded(agents: Counter[str], limits: dict[str, int]) -> Iterator[str]:
    """Where there are too many."""
    for server, count in agents.items():
        most = limits.get(server, AT_SERVER)
        if count > most:
            yield f"{count} agents are at {server}, where {most} may be,"
