"""A Prometheus beside the installed operator, with what the chart has for it."""

from __future__ import annotations

import fcntl
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest
import yaml
from lab.smblab import product
from lab.support.cluster.chart import ROOT, SYSTEM
from lab.support.cluster.prometheus import RULE_TESTS, Prometheus, prometheus
from tests.cluster.test_kustomize import renderer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.support.cluster.kube import Kube, Object

FILES = ROOT / product.CHART / "files"
HERE = Path(__file__).parent
IN_USE = Path(tempfile.gettempdir()) / "smbferry-tests-metrics-service"
"""Locked by each test module that needs the Service of the metrics; the last one deletes it."""


def rendered_for(environment: dict[str, str]) -> dict[str, Object]:
    """What the chart has for Prometheus and Grafana, by its kind."""
    settings = ",".join(f"metrics.{part}.enabled=true" for part in ("serviceMonitor", "prometheusRule", "dashboard"))
    kinds = {"Service", "ServiceMonitor", "PrometheusRule", "ConfigMap"}
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PATH", environment["PATH"])
        return {made["kind"]: made for made in renderer().helm_template("--set", settings) if made["kind"] in kinds}


@contextmanager
def scraping(
    kube: Kube, rendered: dict[str, Object], rules: Object, environment: dict[str, str]
) -> Iterator[Prometheus]:
    """Prometheus, which finds the operator by the chart's Service and ServiceMonitor."""
    with (
        _service(kube, rendered["Service"]),
        prometheus(environment, rendered["ServiceMonitor"], rules, HERE / RULE_TESTS) as made,
    ):
        yield made


@contextmanager
def _service(kube: Kube, service: Object) -> Iterator[None]:
    """The Service, which all modules that scrape at the same time share."""
    with IN_USE.open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        # By the server's own bookkeeping: another test asks beside this one what an apply of the whole chart would say.
        kube.kubectl("apply", "--server-side", "--namespace", SYSTEM, "-f", "-", stdin=yaml.safe_dump(service))
        try:
            yield
        finally:
            if _is_last(file):
                kube.kubectl("delete", "service", service["metadata"]["name"], "--namespace", SYSTEM)


def _is_last(file: IO[str]) -> bool:
    """Whether nobody else uses the Service; then nobody else can begin to, until the file is closed."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def until(holds: Callable[[], object], *, seconds: float = 30) -> None:
    """Waits for what the next scrapes and evaluations bring."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "what Prometheus has seen is not what happened"
        time.sleep(0.3)
