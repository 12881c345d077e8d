"""Metrics of runs that wait and of what limits them."""

from collections import Counter as Tally
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric

from smbferry_operator.decide.limits import RunLimits, Scope
from smbferry_operator.telemetry.runs import OTHER, RunTotals

MAX_SERVERS: Final = 50
"""Servers with a series of their own; a person may name any, so all others together are one."""


def queue_metrics(totals: RunTotals, limits: RunLimits) -> Iterator[Metric]:
    """Queued runs by what they wait for, active runs by file server, and the limits of the installation."""
    queued = GaugeMetricFamily(
        "smbferry_queued_runs", "Queued runs, by what they wait for.", labels=["namespace", "reason", "limit"]
    )
    for labels, count in sorted(totals.queued.items()):
        queued.add_metric(labels, count)
    yield queued
    active = GaugeMetricFamily(
        "smbferry_server_active_runs", "Runs that are active at a file server.", labels=["server"]
    )
    for server, count in _busiest(totals.servers):
        active.add_metric([server], count)
    yield active
    permitted = GaugeMetricFamily(
        "smbferry_limit_agents", "Agents at a time that a limit of the chart permits.", labels=["limit"]
    )
    for scope, most in (
        (Scope.SERVER, limits.per_server),
        (Scope.NAMESPACE, limits.per_namespace),
        (Scope.OPERATOR, limits.total),
    ):
        if most is not None:
            permitted.add_metric([scope.value], most)
    yield permitted


def _busiest(servers: Tally[str]) -> list[tuple[str, int]]:
    """The servers with the most active runs, and all others together."""
    most = servers.most_common()
    rest = sum(count for _, count in most[MAX_SERVERS:])
    return sorted(most[:MAX_SERVERS]) + ([(OTHER, rest)] if rest else [])
