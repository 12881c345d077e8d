"""Metrics over TLS, for the accounts that the cluster allows to read them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from lab.support.cluster import objects
from lab.support.cluster.chart import SYSTEM, install_chart
from lab.support.cluster.kube import Kube
from tests.support.api_server import certificate

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.alone, pytest.mark.takes(60)]

SECRET, READER = "metrics-tls", "metrics-reader"
ASK = """
import json, ssl, sys, urllib.error, urllib.request
context = ssl.create_default_context(cafile="/etc/smbferry/metrics-tls/tls.crt")
found = {}
for name, token in json.load(sys.stdin).items():
    request = urllib.request.Request("https://127.0.0.1:8081/metrics", headers={"Authorization": "Bearer " + token})
    try:
        with urllib.request.urlopen(request, timeout=20, context=context) as answer:
            found[name] = "smbferry_leader" in answer.read().decode()
    except urllib.error.HTTPError as error:
        found[name] = error.code
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def system(chart: None, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kube]:
    """The operator's namespace, with a certificate for the metrics and an account that may read them."""
    folder = tmp_path_factory.mktemp("certificate")
    made = certificate(folder / "tls.crt").read_bytes()
    secret = objects.secret(SECRET, {"tls.crt": made, "tls.key": (folder / "server.key").read_bytes()})
    kube = Kube(environment, SYSTEM)
    kube.apply({**secret, "type": "kubernetes.io/tls"})
    kube.kubectl("create", "serviceaccount", READER)
    install_chart(environment, "metrics.authentication.enabled=true", f"metrics.authentication.secretName={SECRET}")
    role, account = "--clusterrole=smbferry-metrics-reader", f"--serviceaccount={SYSTEM}:{READER}"
    kube.kubectl("create", "clusterrolebinding", READER, role, account)
    yield kube
    install_chart(environment)
    kube.delete("secret", SECRET)
    kube.delete("serviceaccount", READER)
    kube.kubectl("delete", "clusterrolebinding", READER)


def test_who_may_get_metrics_gets_them_and_nobody_else(system: Kube) -> None:
    tokens = {name: system.kubectl("create", "token", name).strip() for name in (READER, "default")}
    tokens |= {"unknown": "x", "none": ""}
    said = system.kubectl(
        "exec", "-i", "deployment/smbferry-operator", "--", "python3", "-c", ASK, stdin=json.dumps(tokens)
    )
    assert json.loads(said) == {READER: True, "default": 403, "unknown": 401, "none": 401}
