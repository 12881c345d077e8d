"""A hostile neighbor: in a namespace of its own it makes pods and Jobs that claim to be ours (I10).

It has seen everything that our labels and annotations say, and copies it: the uid of a run at work, its destination,
and annotations that no honest object has. None of it may stop, delay or end anything outside its namespace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smbferry_api.names import GROUP

if TYPE_CHECKING:
    from lab.nemesis.cluster import Cluster
    from lab.support.cluster.api import Object

PODS, JOBS = 6, 20
NOWHERE = {"smbferry.io/no-such-node": "true"}
ODD = {
    f"{GROUP}/attempts-before": "many",
    f"{GROUP}/owner-generation": "-1",
    f"{GROUP}/last-check": "tomorrow",
    f"{GROUP}/check-inputs": "{",
    f"{GROUP}/check-load": "[7, {",
    f"{GROUP}/stage": "Nowhere",
}
COMPONENTS = ("transfer", "check-identity", "check-location")
OWNERS = {"transfer": "TransferRun", "check-identity": "KerberosIdentity", "check-location": "SmbLocation"}


class Neighbor:
    """Forges objects in its namespace, each time others."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._round = 0

    def forge(self, victim: Object | None) -> str:
        """Another set of forged objects, after the pattern of a pod at work where there is one; says what was made."""
        self._round += 1
        for path in (self._path("/api/v1", "pods"), self._path("/apis/batch/v1", "jobs")):
            self._cluster.request("DELETE", f"{path}?propagationPolicy=Background")
        for number in range(PODS):
            self._cluster.request("POST", self._path("/api/v1", "pods"), self._pod(number, victim))
        for number in range(JOBS):
            self._cluster.request("POST", self._path("/apis/batch/v1", "jobs"), self._job(number, victim))
        named = victim["metadata"]["name"] if victim else "no pod"
        return f"{PODS} pods and {JOBS} Jobs after {named}"

    def _path(self, group: str, plural: str) -> str:
        return f"{group}/namespaces/{self._namespace}/{plural}"

    def _metadata(self, kind: str, number: int, victim: Object | None) -> dict[str, Any]:
        """Half of them name an owner too: the run that the victim works for, as its controller."""
        component = COMPONENTS[number % len(COMPONENTS)]
        metadata: dict[str, Any] = {
            "name": f"forged-{kind}-{self._round}-{number}",
            "labels": {
                "app.kubernetes.io/name": "smbferry-agent",
                "app.kubernetes.io/component": component,
                "app.kubernetes.io/managed-by": "smbferry-operator",
                f"{GROUP}/owner-kind": OWNERS[component],
                f"{GROUP}/owner-uid": "00000000-0000-0000-0000-000000000000",
            },
            "annotations": dict(ODD),
        }
        if victim is not None and component == "transfer":
            metadata["labels"] |= victim["metadata"]["labels"]
            metadata["annotations"] |= victim["metadata"].get("annotations", {})
            if number % 2:
                metadata["ownerReferences"] = victim["metadata"].get("ownerReferences", [])
        return metadata

    def _pod(self, number: int, victim: Object | None) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": self._metadata("pod", number, victim),
            "spec": _spec(),
        }

    def _job(self, number: int, victim: Object | None) -> Object:
        metadata = self._metadata("job", number, victim)
        # A Job's own labels are the API server's to set on pods; a copied one would be refused.
        metadata["labels"] = {k: v for k, v in metadata["labels"].items() if not k.startswith("batch.kubernetes.io/")}
        metadata["labels"].pop("controller-uid", None)
        metadata["labels"].pop("job-name", None)
        template = {"metadata": {"labels": {"app": "forged"}}, "spec": {**_spec(), "restartPolicy": "Never"}}
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": metadata,
            "spec": {"suspend": True, "template": template},
        }


def _spec() -> dict[str, Any]:
    """A pod that no node takes: what counts is that it is there."""
    return {"nodeSelector": NOWHERE, "containers": [{"name": "agent", "image": "smbferry-agent:dev"}]}
