"""Reads and writes the Lease. A write names the resourceVersion that it is based on, so of two writes one fails."""

from datetime import datetime
from math import ceil

from smbferry_operator.cluster.client import Cluster
from smbferry_operator.cluster.errors import NotFoundError
from smbferry_operator.decide.lease import LeaseRecord, LeaseTimes
from smbferry_operator.model import Manifest


class LeaseStore:
    """The Lease of one name."""

    def __init__(self, cluster: Cluster, namespace: str, name: str, times: LeaseTimes) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._name = name
        self._times = times

    def __str__(self) -> str:
        return f"Lease {self._namespace}/{self._name}"

    async def read(self) -> LeaseRecord | None:
        """Reads the lease; None if it does not exist.

        Raises:
            ClusterError: the API server could not be reached, or answered with an error.
        """
        try:
            body = await self._cluster.get("Lease", self._namespace, self._name, self._times.request_timeout)
        except NotFoundError:
            return None
        return record_of(body)

    async def write(self, holder: str, before: LeaseRecord | None, now: datetime) -> LeaseRecord:
        """Sets the holder, nobody if it is empty; creates the lease if it does not exist.

        Args:
            before: the lease as it was read; None to create it.
            now: for people to read; no decision depends on it.

        Raises:
            ConflictError: the lease has changed since `before`.
            ClusterError: it is unknown whether it was written.
        """
        body = build_lease(self._namespace, self._name, holder, before, now=now, times=self._times)
        if before is None:
            return record_of(await self._cluster.create(body, self._times.request_timeout))
        return record_of(await self._cluster.replace(body, self._times.request_timeout))


def build_lease(
    namespace: str, name: str, holder: str, before: LeaseRecord | None, *, now: datetime, times: LeaseTimes
) -> Manifest:
    """The Lease's manifest as `holder` writes it."""
    moment = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    renewal = before is not None and before.holder == holder
    spec = {
        "holderIdentity": holder,
        "leaseDurationSeconds": ceil(times.duration) if holder else 1,
        "acquireTime": before.acquired if before is not None and renewal and before.acquired else moment,
        "renewTime": moment,
        "leaseTransitions": (before.transitions + (0 if renewal or not holder else 1)) if before else 0,
    }
    metadata = {"name": name, "namespace": namespace}
    if before is not None:
        metadata["resourceVersion"] = before.version
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


def record_of(body: Manifest) -> LeaseRecord:
    """Reads a Lease."""
    spec = body.get("spec") or {}
    return LeaseRecord(
        holder=spec.get("holderIdentity") or "",
        duration=float(spec.get("leaseDurationSeconds") or 0),
        transitions=int(spec.get("leaseTransitions") or 0),
        version=body["metadata"]["resourceVersion"],
        acquired=spec.get("acquireTime") or "",
    )
