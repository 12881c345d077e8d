"""The chart in all combinations, rendered once; the lab's programs on the PATH."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml
from lab.smblab import checks, settings
from tests.charts.combinations import Rendered, rendered
from tests.charts.schemas import written

LAB = settings.current()
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session", autouse=True)
def programs() -> None:
    """helm, kubeconform, kube-score, checkov and kstatus, as `lab/lab checks` built them."""
    os.environ["PATH"] = f"{LAB.bin}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture(scope="session")
def combinations(programs: None) -> list[Rendered]:
    """The chart with each of the values files."""
    del programs
    return rendered()


@pytest.fixture(scope="session")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of JSON Schemas: Kubernetes' kinds, the Prometheus Operator's and ours."""
    folder = tmp_path_factory.mktemp("schemas")
    files = [*checks.monitoring(LAB).glob("*.yaml"), *(ROOT / "crds").glob("smbferry.io_*.yaml")]
    crds = [yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader) for file in files]
    written(folder, json.loads(checks.openapi(LAB).read_text(encoding="utf-8")), crds)
    return folder
