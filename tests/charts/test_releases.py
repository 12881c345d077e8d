"""Two releases in one cluster: none of their objects has the name of another."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml
from charts.kustomize.render import NAMESPACE, RELEASE, helm_text
from tests.charts.combinations import CRD, FILES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.charts.combinations import Object

pytestmark = pytest.mark.usefixtures("programs")

POLICY = "ValidatingAdmissionPolicy"
OF_CLUSTER = {CRD, "ClusterRole", "ClusterRoleBinding", "PriorityClass", POLICY, f"{POLICY}Binding"}
SECOND = ("branch", "branch-system")


def objects(release: str, namespace: str, *values: str) -> list[Object]:
    text = helm_text(*values, release=release, namespace=namespace)
    return [document for document in yaml.load_all(text, yaml.CSafeLoader) if document]


def key(obj: Object) -> tuple[str, str, str]:
    """By which the API server tells it from others."""
    meta = obj["metadata"]
    return obj["kind"], "" if obj["kind"] in OF_CLUSTER else meta["namespace"], meta["name"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_second_release_shares_no_object_with_the_first(file: Path) -> None:
    first = {key(obj) for obj in objects(RELEASE, NAMESPACE, "--values", str(file))}
    second = {key(obj) for obj in objects(*SECOND, "--values", str(file), "--set", "crds.install=false")}

    assert first & second == set()
    assert {name for kind, _, name in second if kind in OF_CLUSTER and not name.startswith("branch-smbferry-")} == set()


def environment(release: str, namespace: str, *values: str) -> dict[str, str]:
    (deployment,) = (obj for obj in objects(release, namespace, *values) if obj["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {variable["name"]: variable.get("value", "") for variable in container["env"]}


def test_each_release_has_its_class_and_its_lease() -> None:
    first, second = environment(RELEASE, NAMESPACE), environment(*SECOND, "--set", "className=branch")

    assert "SMBFERRY_CLASS_NAME" not in first
    assert second["SMBFERRY_CLASS_NAME"] == "branch"
    assert first["SMBFERRY_LEASE_NAME"] != second["SMBFERRY_LEASE_NAME"]


@pytest.mark.fault(237)
@pytest.mark.parametrize(("values", "class_name"), [((), ""), (("--set", "className=branch"), "branch")])
def test_the_alerts_of_a_release_are_about_its_own_operator(values: tuple[str, ...], class_name: str) -> None:
    enabled = ("--set", "metrics.prometheusRule.enabled=true", *values)
    (rule,) = (obj for obj in objects(*SECOND, *enabled) if obj["kind"] == "PrometheusRule")
    (group,) = rule["spec"]["groups"]

    assert {one["labels"].get("class", class_name) for one in group["rules"]} == {class_name}
    for one in group["rules"]:
        assert one["expr"].count(f'{{class="{class_name}"}}') == one["expr"].count("class=") > 0


@pytest.mark.parametrize("name", ["Branch", "-branch", "a.b", "a" * 64])
def test_a_name_that_no_object_can_have_is_refused(name: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as raised:
        helm_text("--set", f"className={name}")
    assert "className" in raised.value.stderr
