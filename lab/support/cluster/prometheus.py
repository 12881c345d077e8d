"""A Prometheus that scrapes the operator as the chart's ServiceMonitor says, with the chart's rules."""

from __future__ import annotations

import itertools
import json
import secrets
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker  # type: ignore[import-untyped]  # it publishes no types
import yaml
from lab.smblab import daemon, images
from lab.smblab.progress import Progress
from lab.smblab.settings import IMAGE_PREFIX, NETWORK, current
from lab.smblab.tools import LABEL
from lab.support.cluster.api import Api, connection
from lab.support.domain.archive import packed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.support.cluster.api import Object

IMAGE = f"{IMAGE_PREFIX}-prometheus:latest"
INSIDE = "/etc/prometheus"
RULES, RULE_TESTS = "alerts.yaml", "alerts.test.yaml"
PORT = "9090/tcp"
START_SECONDS = 30.0
INTERVAL = "1s"


class PrometheusError(Exception):
    """It is not there, or refused what it was asked; the message is what it said."""


class Prometheus:
    """The container, and its HTTP API at `address`."""

    def __init__(self, container: Any, address: str) -> None:
        self._container = container
        self._address = address
        self.began = time.time()

    def ask(self, path: str, **query: object) -> Any:
        """The data of an answer of the API.

        Raises:
            PrometheusError: it is away, or refused.
        """
        url = f"{self._address}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise PrometheusError(f"{path}: {error.read().decode(errors='replace')}") from error
        except OSError as error:
            raise PrometheusError(f"{path}: {error}") from error

    def now(self, expression: str) -> list[Object]:
        """An instant query: the series that there are, each with its labels and its value."""
        return list(self.ask("query", query=expression)["result"])

    def seen(self, expression: str) -> list[float]:
        """Every value that an expression has had since the beginning, of all its series."""
        found = self.ask("query_range", query=expression, start=self.began, end=time.time(), step=INTERVAL)
        return [float(value) for series in found["result"] for _, value in series["values"]]

    def promtool(self, *arguments: str) -> str:
        """Runs promtool among the files; returns what it said.

        Raises:
            PrometheusError: it found something.
        """
        code, output = self._container.exec_run(["promtool", *arguments], workdir=INSIDE)
        said = str(output.decode(errors="replace"))
        if code:
            raise PrometheusError(f"promtool {' '.join(arguments)}: {said}")
        return said


def targets(api: Api, monitor: Object) -> list[Object]:
    """The pods behind the Services that a ServiceMonitor selects, each by way of the API server's proxy.

    Debian's Prometheus is built without Kubernetes' service discovery: this finds and labels what that would.
    """
    (endpoint,) = monitor["spec"]["endpoints"]
    wanted = ",".join(f"{name}={value}" for name, value in monitor["spec"]["selector"]["matchLabels"].items())
    namespace = monitor["metadata"]["namespace"]
    found = []
    for service in _listed(api, f"/api/v1/namespaces/{namespace}/services", wanted):
        name = service["metadata"]["name"]
        slices = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        for part in _listed(api, slices, f"kubernetes.io/service-name={name}"):
            ports = [port["port"] for port in part["ports"] or () if port["name"] == endpoint["port"]]
            for port, pod in itertools.product(ports, part["endpoints"] or ()):
                path = f"/api/v1/namespaces/{namespace}/pods/{pod['targetRef']['name']}:{port}/proxy/metrics"
                labels = {"namespace": namespace, "service": name, "pod": pod["targetRef"]["name"]}
                instance = f"{pod['addresses'][0]}:{port}"
                found.append({"__metrics_path__": path, "instance": instance, **labels})
    return found


def _listed(api: Api, path: str, selector: str) -> list[Object]:
    return list(api.request("GET", f"{path}?labelSelector={urllib.parse.quote(selector)}")["items"])


def configuration(monitor: Object, api_server: str, scraped: list[Object]) -> Object:
    """What the Prometheus Operator makes of a ServiceMonitor; only faster, and with the targets found before."""
    (endpoint,) = monitor["spec"]["endpoints"]
    host = api_server.removeprefix("https://")
    job = {
        "job_name": monitor["metadata"]["name"],
        "honor_labels": endpoint.get("honorLabels", False),
        "scheme": "https",
        "tls_config": {"ca_file": f"{INSIDE}/ca", "cert_file": f"{INSIDE}/cert", "key_file": f"{INSIDE}/key"},
        "static_configs": [{"targets": [host], "labels": labels} for labels in scraped],
    }
    return {
        "global": {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL},
        "rule_files": [RULES],
        "scrape_configs": [job],
    }


@contextmanager
def prometheus(
    environment: Mapping[str, str], monitor: Object, rules: Object, rule_tests: Path
) -> Iterator[Prometheus]:
    """The container for as long as the block lasts; the Service that the ServiceMonitor selects has to be there.

    Raises:
        PrometheusError: it was not ready in time.
    """
    _build()
    scraped = _found(Api(environment["KUBECONFIG"]), monitor)
    known = connection(current().kubeconfig_internal)
    files = {"ca": known.ssl_ca_cert, "cert": known.cert_file, "key": known.key_file}
    contents = {name: Path(str(path)).read_bytes() for name, path in files.items()} | {
        "prometheus.yml": yaml.safe_dump(configuration(monitor, str(known.host), scraped)).encode(),
        RULES: yaml.safe_dump(rules).encode(),
        RULE_TESTS: rule_tests.read_bytes(),
    }
    container = docker.from_env(environment=dict(environment)).containers.create(
        IMAGE,
        [f"--config.file={INSIDE}/prometheus.yml", "--storage.tsdb.path=/tmp/data"],
        name=f"smbferry-prometheus-{secrets.token_hex(3)}",
        network=NETWORK,
        ports={PORT: ("127.0.0.1", None)},
        labels={LABEL: ""},  # so that taking the lab down removes what a killed test run left
    )
    try:
        container.put_archive("/", packed({f"{INSIDE}/{name}": content for name, content in contents.items()}))
        container.start()
        container.reload()
        (port,) = container.ports[PORT]
        made = Prometheus(container, f"http://127.0.0.1:{port['HostPort']}")
        _wait(container, made)
        yield made
    finally:
        container.remove(force=True, v=True)


def _found(api: Api, monitor: Object) -> list[Object]:
    until = time.monotonic() + START_SECONDS
    while not (scraped := targets(api, monitor)):
        if time.monotonic() > until:
            raise PrometheusError(f"nothing answers behind what {monitor['metadata']['name']} selects")
        time.sleep(0.2)
    return scraped


def _build() -> None:
    settings = current()
    found = daemon.find(settings)
    if found is None:
        raise PrometheusError("the lab is not up: run `make lab-up` first")
    progress = Progress(settings.cache / "durations.json")
    base = images.debian(settings, found, progress)
    source = settings.repo / "lab" / "prometheus"
    images.build(settings, found, progress, name="prometheus", tag=IMAGE, directory=source, arguments={"BASE": base})


def _wait(container: Any, made: Prometheus) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            if any(target["health"] == "up" for target in made.ask("targets")["activeTargets"]):
                return
        except PrometheusError:
            container.reload()
        if container.status != "running" or time.monotonic() > until:
            said = container.logs(tail=30).decode(errors="replace")
            raise PrometheusError(f"the operator was not scraped within {START_SECONDS:.0f} s:\n{said}")
        time.sleep(0.2)
