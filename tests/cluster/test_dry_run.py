"""The API server takes what the chart makes of every combination of values: nothing is dropped, nothing warned of."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from lab.smblab import checks, settings
from lab.support.cluster.kube import Kube, condition
from tests.charts.combinations import distinct, rendered

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.support.cluster.kube import Object

pytestmark = pytest.mark.takes(15)

# Namespaces that combinations name, and the kinds of the Prometheus Operator that they use.
NAMESPACES = ("finance", "archive")
MONITORING_GROUP = "monitoring.coreos.com"
MONITORING = ("prometheusrules", "servicemonitors")


@pytest.fixture
def surroundings(environment: dict[str, str], chart: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kube]:
    """What must be there before: the release's namespace, others that are watched, kinds that others define."""
    del chart
    monkeypatch.setenv("PATH", environment["PATH"])
    kube = Kube(environment, "default")
    files = [crd_file(name) for name in MONITORING]
    # Of a run just before this one they may still be going.
    kube.kubectl("wait", "--for=delete", "--timeout=60s", *(f"namespace/{name}" for name in NAMESPACES))
    try:
        kube.apply(*({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in NAMESPACES))
        kube.kubectl("apply", "--server-side", *(f"--filename={file}" for file in files))
        for plural in MONITORING:
            kube.wait("crd", f"{plural}.{MONITORING_GROUP}", "served", established)
        yield kube
    finally:
        kube.kubectl("delete", "--ignore-not-found", *(f"--filename={file}" for file in files))
        kube.kubectl("delete", "--ignore-not-found", "--wait=false", "namespace", *NAMESPACES)


def crd_file(plural: str) -> Path:
    return checks.monitoring(settings.current()) / f"{MONITORING_GROUP}_{plural}.yaml"


def established(crd: Object) -> bool:
    """Not by `kubectl wait`, which gives up on a kind so new that its conditions are null."""
    return condition(crd, "Established").get("status") == "True"


def key(obj: dict[str, Any]) -> tuple[str, str, str]:
    return obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def test_the_api_server_takes_every_combination(surroundings: Kube) -> None:
    # The only Pod is that of `helm test`: it is refused before its account is there, which a dry run does not make.
    objects = [o for o in distinct(rendered()) if o["kind"] != "Pod"]
    assert any("helm.sh/hook" in o["metadata"].get("annotations", {}) for o in objects), "what else the test needs"
    apply = ("kubectl", "apply", "--server-side", "--dry-run=server", "--force-conflicts", "--validate=strict")
    said = subprocess.run(
        [*apply, "--output=json", "--filename=-"],
        input=yaml.dump_all(objects, Dumper=yaml.CSafeDumper), capture_output=True, text=True, check=False,
        env=surroundings.environment,
    )  # fmt: skip
    assert said.stderr == ""
    assert said.returncode == 0
    taken = json.loads(said.stdout)["items"]
    assert [key(obj) for obj in taken] == [key(obj) for obj in objects]
