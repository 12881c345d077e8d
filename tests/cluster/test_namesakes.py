"""An object that was deleted and made anew inherits nothing: neither from the operator nor from an agent."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from kubernetes.config import kube_config
from lab.support.cluster import objects
from lab.support.cluster.api import connection

from smbferry_agent.report.api_client import ApiClient, ObjectKey, ObjectNotFoundError
from smbferry_agent.report.object_status import ObjectStatus
from smbferry_operator.cluster.client import Cluster
from smbferry_operator.cluster.errors import NotFoundError
from smbferry_operator.model import Key, Kind

if TYPE_CHECKING:
    from lab.support.cluster.kube import Kube, Object

pytestmark = pytest.mark.takes(10)

NAME = "restored"
PROOF: dict[str, Any] = {"mirroredTo": "//fs1.example.com:445/data"}
REPORTED: dict[str, Any] = {"dfsTarget": {"server": "fs1.example.com", "share": "data"}}


def made(kube: Kube, kind: str) -> tuple[str, str]:
    """Creates a task or a location anew; returns its uid and resourceVersion."""
    kube.kubectl("delete", kind, NAME, "--ignore-not-found")
    task = objects.task(NAME, "nowhere", "either", suspend=True)
    kube.apply(task if kind == "transfertask" else objects.location(NAME, "fs1.example.com", "data", "nobody"))
    meta = _found(kube, kind)["metadata"]
    return meta["uid"], meta["resourceVersion"]


def _found(kube: Kube, kind: str) -> Object:
    found = kube.get(kind, NAME)
    assert found is not None
    return found


@pytest.mark.fault(205)
def test_what_the_operator_decided_about_a_deleted_object_is_not_written_to_its_namesake(
    kube: Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The official client reads the variable when it is imported.
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", kube.environment["KUBECONFIG"])
    cluster, key = Cluster.connect(1), Key(Kind.TASK, kube.namespace, NAME)
    uid, version = made(kube, "transfertask")
    new_uid, _ = made(kube, "transfertask")
    for known in (version, ""):
        with pytest.raises(NotFoundError):
            asyncio.run(cluster.apply_status(key, uid, PROOF, known))
        assert "mirroredTo" not in _found(kube, "transfertask").get("status", {})

    written = asyncio.run(cluster.apply_status(key, new_uid, PROOF, version))
    assert written["status"]["mirroredTo"] == PROOF["mirroredTo"], "a version that is out of date is no obstacle"


@pytest.mark.fault(205)
def test_what_an_agent_found_about_a_deleted_object_is_not_written_to_its_namesake(kube: Kube, tmp_path: Path) -> None:
    rights = ("--verb=get,patch", "--resource=smblocations.smbferry.io,smblocations.smbferry.io/status")
    kube.kubectl("create", "serviceaccount", "agent")
    kube.kubectl("create", "role", "agent", *rights)
    kube.kubectl("create", "rolebinding", "agent", "--role=agent", f"--serviceaccount={kube.namespace}:agent")
    (tmp_path / "token").write_text(kube.kubectl("create", "token", "agent"))
    known = connection(kube.environment["KUBECONFIG"])
    client = ApiClient(str(known.host), tmp_path / "token", Path(str(known.ssl_ca_cert)))
    key = ObjectKey("SmbLocation", kube.namespace, NAME)

    uid, _ = made(kube, "smblocation")
    old = ObjectStatus(client, key, uid)
    old.apply(REPORTED)
    assert _found(kube, "smblocation")["status"]["dfsTarget"]["server"] == "fs1.example.com"
    new_uid, _ = made(kube, "smblocation")
    for write in (old.apply, old.merge):
        with pytest.raises(ObjectNotFoundError):
            write(REPORTED)
        assert "dfsTarget" not in _found(kube, "smblocation").get("status", {})
    ObjectStatus(client, key, new_uid).merge(REPORTED)
    assert _found(kube, "smblocation")["status"]["dfsTarget"]["server"] == "fs1.example.com"
