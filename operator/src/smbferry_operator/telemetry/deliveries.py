"""Metrics of CloudEvents: what waits, and what the sink has accepted or not."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge


class Deliveries:
    """Counts attempts to deliver events."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._delivered = Counter("smbferry_events_delivered", "Events that the sink accepted.", registry=registry)
        self._failed = Counter(
            "smbferry_events_failed_attempts", "Attempts to deliver an event that failed.", registry=registry
        )
        self._pending = Gauge("smbferry_events_pending", "Events that wait for the sink.", registry=registry)

    def follow(self, pending: Callable[[], int]) -> None:
        """From now on, exports how many events wait."""
        self._pending.set_function(pending)

    def accepted(self) -> None:
        """Counts an event that the sink accepted."""
        self._delivered.inc()

    def failed(self) -> None:
        """Counts an attempt that failed."""
        self._failed.inc()
