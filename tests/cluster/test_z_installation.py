"""What the chart installs, what it may do, and that nothing of it stays."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from lab.smblab import product
from lab.support.cluster import objects
from lab.support.cluster.chart import SYSTEM, install_chart, uninstall_chart
from lab.support.cluster.kube import Kube, is_, new_namespace
from lab.support.cluster.scene import DESTINATION, SOURCE, Scene

if TYPE_CHECKING:
    from lab.support.domain.domain import Domain

pytestmark = pytest.mark.alone

OPERATOR = f"system:serviceaccount:{SYSTEM}:smbferry-operator"


@pytest.mark.parametrize("verb", ["get", "list", "watch", "create", "update", "patch", "delete"])
@pytest.mark.parametrize("resource", ["secrets", "configmaps"])
def test_the_operator_has_no_permission_on_secrets_and_config_maps(kube: Kube, verb: str, resource: str) -> None:
    assert not kube.allows(verb, resource, OPERATOR)


def test_the_operator_can_do_what_it_must(kube: Kube) -> None:
    assert kube.allows("create", "jobs.batch", OPERATOR)
    assert kube.allows("patch", "transferruns.smbferry.io/status", OPERATOR)


def test_an_agent_may_read_and_report_its_own_object_and_nothing_else(scene: Scene) -> None:
    scene.ready()
    scene.kube.apply(objects.task("roles", SOURCE, DESTINATION))
    run = scene.run_of("roles")
    scene.end_of(run)
    for role in scene.kube.list("roles"):
        for rule in role["rules"]:
            assert rule["apiGroups"] == ["smbferry.io"], role
            assert rule["resourceNames"], role
            assert set(rule["verbs"]) <= {"get", "patch"}, role
            assert "patch" not in rule["verbs"] or all(r.endswith("/status") for r in rule["resources"]), role


def test_agents_run_under_pod_security_restricted(scene: Scene) -> None:
    namespace = json.loads(scene.kube.kubectl("get", "namespace", scene.kube.namespace, "-o", "json"))
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    jobs = scene.kube.list("jobs")
    assert jobs
    for job in jobs:
        pod = job["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        (container,) = pod["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_the_operator_passes_restricted_too(kube: Kube) -> None:
    said = kube.kubectl(
        "label", "--dry-run=server", "--overwrite", "namespace", SYSTEM, "pod-security.kubernetes.io/enforce=restricted"
    )
    assert "Warning" not in said


def helm_test(kube: Kube) -> subprocess.CompletedProcess[str]:
    """What `helm test` says of the release."""
    command = ("helm", "test", product.RELEASE, "--namespace", SYSTEM, "--timeout", "60s")
    return subprocess.run(command, env=kube.environment, capture_output=True, text=True, check=False)


def left_of_helm_test(kube: Kube) -> str:
    """Names of the objects that `helm test` made and did not remove; empty if there are none."""
    kinds = "pod,serviceaccount,role,rolebinding"
    return kube.kubectl("get", kinds, "--namespace", SYSTEM, "-l", "app.kubernetes.io/component=test", "-o", "name")


def test_helm_test_finds_the_installation_good_and_leaves_nothing(kube: Kube) -> None:
    said = helm_test(kube)
    assert said.returncode == 0, said
    assert said.stderr.count("ok: ") == 4
    assert left_of_helm_test(kube) == ""


def test_helm_test_says_what_is_wrong_and_leaves_nothing(kube: Kube) -> None:
    deployment = ("deployment/smbferry-operator", "--namespace", SYSTEM)
    kube.kubectl("scale", *deployment, "--replicas=0")
    try:
        kube.kubectl("rollout", "status", *deployment, "--timeout=60s")
        said = helm_test(kube)
    finally:
        kube.kubectl("scale", *deployment, "--replicas=1")
        kube.kubectl("rollout", "status", *deployment, "--timeout=60s")
    assert said.returncode == 1
    assert (
        f"failed: expected a pod of the operator in {SYSTEM}, found none: kubectl -n {SYSTEM} get deployments"
        in said.stderr
    )
    assert left_of_helm_test(kube) == ""


def left_in_cluster(kube: Kube) -> list[str]:
    """Objects of ours in the cluster, once what is being deleted has gone. The nodes of the lab are not ours."""
    policies = "validatingadmissionpolicy,validatingadmissionpolicybinding"
    of_cluster = f"crd,priorityclass,clusterrole,clusterrolebinding,{policies}"
    kinds = f"{of_cluster},deployment,serviceaccount,role,rolebinding,job,pod,secret,configmap"
    until = time.monotonic() + 90
    while True:
        names = kube.kubectl("get", kinds, "--all-namespaces", "-o", "name").split()
        left = [name for name in names if "smbferry" in name and "control-plane" not in name]
        if not left or time.monotonic() > until:
            return left
        time.sleep(1)


def test_nothing_is_left_after_uninstalling_and_deleting_the_namespace(
    environment: dict[str, str], chart: None, domain: Domain
) -> None:
    del chart
    kube = new_namespace(environment)
    with domain.user("src-readers") as user, domain.directory("src") as folder:
        scene = Scene(kube, domain, user, user, folder, folder)
        kube.apply(
            objects.krb5("krb5", domain.realm, domain.address),
            scene.keytab("reader", user),
            scene.identity("reader", user),
            scene.location("place", "src", "reader", path=folder.path),
        )
        kube.wait("smblocation", "place", "ready", is_("Ready", "True"), timeout=120)
        install_chart(environment, "crds.keep=false")
        uninstall_chart(environment)
        try:
            kube.kubectl("delete", "namespace", kube.namespace, "--wait=true", "--timeout=90s", timeout=100)
            assert left_in_cluster(kube) == []
        finally:
            install_chart(environment)
