"""What the chart offers beyond its defaults: a NetworkPolicy for each agent, and Secrets' metadata watched."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from lab.support.cluster import objects
from lab.support.cluster.chart import SYSTEM, install_chart
from lab.support.cluster.kube import condition, is_
from lab.support.cluster.scene import DESTINATION, READER, SOURCE, WRITER, Scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.cluster.kube import Object

pytestmark = pytest.mark.alone

SECONDS_TO_NOTICE = 60
"""From a changed Secret to the report of its check: a pod has to start. Without the watch it would be an hour."""


@pytest.fixture(scope="module", autouse=True)
def extended(chart: None, environment: dict[str, str]) -> Iterator[None]:
    """The release with both options; as it was afterwards."""
    install_chart(environment, "networkPolicy.enabled=true", "rbac.watchSecrets=true")
    yield
    install_chart(environment)


@pytest.fixture(scope="module")
def confined(scene: Scene, extended: None) -> Scene:
    scene.source.write("a.txt", b"a")
    scene.ready()
    return scene


def policies(scene: Scene) -> dict[str, Object]:
    """By the kind and the name of the object that each belongs to."""
    found = scene.kube.list("networkpolicies")
    owners = [policy["metadata"]["ownerReferences"][0] for policy in found]
    return {f"{o['kind']}/{o['name']}": policy["spec"] for o, policy in zip(owners, found, strict=True)}


def test_every_agent_works_behind_a_policy_of_its_own(confined: Scene) -> None:
    confined.kube.apply(objects.task("confined", SOURCE, DESTINATION))
    run = confined.end_of(confined.run_of("confined"))
    assert run["status"]["state"] == "Succeeded", run["status"]
    found = policies(confined)
    checked = {f"KerberosIdentity/{READER}", f"KerberosIdentity/{WRITER}"}
    assert found.keys() == {*checked, f"TransferRun/{run['metadata']['name']}"}
    for name, spec in found.items():
        assert spec["policyTypes"] == ["Ingress", "Egress"]
        opened = {port["port"] for rule in spec["egress"] for port in rule["ports"]}
        expected = {53, 5353, 88, 443, 6443}
        if name in checked:  # open to file servers if its last check carried locations
            assert opened - {445} == expected
        else:
            assert opened == expected | {445}
    pods = confined.kube.list("pods", f"smbferry.io/run={run['metadata']['name']}")
    assert pods
    selector = found[f"TransferRun/{run['metadata']['name']}"]["podSelector"]["matchLabels"]
    assert all(selector.items() <= pod["metadata"]["labels"].items() for pod in pods)


def test_a_changed_secret_is_tested_at_once(confined: Scene) -> None:
    before = confined.kube.get("kid", READER)
    assert before is not None
    confined.domain.set_password(confined.reader.name)
    changed = time.monotonic()
    confined.kube.apply(confined.keytab(READER, confined.reader))
    after = confined.kube.wait(
        "kid", READER, "checked", lambda o: o["status"]["lastCheckTime"] > before["status"]["lastCheckTime"], timeout=60
    )
    took = time.monotonic() - changed
    assert took < SECONDS_TO_NOTICE, took
    assert condition(after, "Ready")["status"] == "True"
    assert after["status"]["kdc"]["kvno"] > before["status"]["kdc"]["kvno"]
    assert after["status"]["keytab"]["fingerprint"] != before["status"]["keytab"]["fingerprint"]


def test_a_changed_krb5_conf_is_tested_at_once(confined: Scene) -> None:
    realm = confined.domain.realm
    confined.kube.apply(objects.krb5("krb5", realm, confined.domain.address, extra="  plugin_base_dir = /tmp\n"))
    confined.kube.wait("kid", READER, "refused", is_("Ready", "False", "Krb5ConfigRefused"), timeout=SECONDS_TO_NOTICE)
    confined.kube.apply(objects.krb5("krb5", realm, confined.domain.address))
    confined.kube.wait("kid", READER, "ready", is_("Ready", "True"), timeout=SECONDS_TO_NOTICE)


def test_the_operator_is_given_no_more_than_it_needs(confined: Scene) -> None:
    account = f"system:serviceaccount:{SYSTEM}:smbferry-operator"
    verbs = ("get", "list", "watch", "create", "update", "patch", "delete")
    assert [v for v in verbs if confined.kube.allows(v, "secrets", account)] == ["list", "watch"]
    assert [v for v in verbs if confined.kube.allows(v, "networkpolicies.networking.k8s.io", account)] == [
        "create",
        "patch",
    ]
