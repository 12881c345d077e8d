"""A quota or an admission rule refuses what the operator creates: nothing that is due is lost, all is told."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from lab.support.cluster import objects
from lab.support.cluster.kube import KubectlError, condition, is_
from lab.support.cluster.scene import DESTINATION, SOURCE, Scene
from lab.support.domain.trees import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.cluster.kube import Kube, Object

pytestmark = pytest.mark.takes(60)

DENIED = "no Jobs after ten"
POLICY = "admissionregistration.k8s.io/v1"


def quota(**hard: str) -> Object:
    limits = {f"count/{resource.replace('_', '.')}": number for resource, number in hard.items()}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": limits}}


def wait_until_denied(kube: Kube) -> None:
    """Policies take a few seconds until the API server knows them."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            kube.kubectl("create", "job", "probe", "--image=probe", "--dry-run=server")
        except KubectlError as error:
            if DENIED not in str(error):
                raise
            return
        time.sleep(0.5)
    raise AssertionError("expected the policy to deny a Job within 60 s")


@contextmanager
def no_jobs(kube: Kube) -> Iterator[None]:
    """A ValidatingAdmissionPolicy that lets nobody create Jobs in the namespace."""
    name = f"no-jobs-{kube.namespace}"
    policy = {
        "apiVersion": POLICY,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {
                "resourceRules": [
                    {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}
                ]
            },
            "validations": [{"expression": "false", "message": DENIED}],
        },
    }
    selector = {"matchLabels": {"kubernetes.io/metadata.name": kube.namespace}}
    binding = {
        "apiVersion": POLICY,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {
            "policyName": name,
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": selector},
        },
    }
    kube.kubectl(
        "create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": [policy, binding]})
    )
    try:
        wait_until_denied(kube)
        yield
    finally:
        kube.kubectl("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", name)


@pytest.mark.fault(132)
def test_runs_that_a_quota_or_a_policy_refuses_are_made_when_it_lets_them(scene: Scene) -> None:
    scene.source.seed([Wanted("small.txt", size=10)])
    scene.ready()
    kube = scene.kube
    kube.apply(quota(transferruns_smbferry_io="0"))
    kube.wait("resourcequota", "q", "counted", lambda q: q.get("status", {}).get("used"), timeout=30)
    kube.apply(objects.task("held", SOURCE, DESTINATION, trigger="one"))
    held = kube.wait("transfertask", "held", "refused", is_("Ready", "False"), timeout=30)
    assert condition(held, "Ready")["reason"] == "RunNotCreated"
    assert "exceeded quota: q" in condition(held, "Ready")["message"]

    with no_jobs(kube):
        kube.delete("resourcequota", "q")
        run = scene.run_of("held", timeout=60)
        waits = kube.wait(
            "transferrun",
            run,
            "refused its Job",
            lambda r: DENIED in condition(r, "Succeeded").get("message", ""),
            timeout=60,
        )
        assert waits["status"]["state"] == "Queued", "a rule may be another one in a moment"
    assert scene.end_of(run)["status"]["state"] == "Succeeded"
