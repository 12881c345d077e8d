"""The chart in the lab's cluster, once for all tests; a namespace, users and folders of its own for each module."""

from __future__ import annotations

import fcntl
import secrets
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lab.smblab import product
from tests.cluster.kube import Kube, holder
from tests.cluster.scene import Scene, new_scene
from tests.support.domain import Domain
from tests.support.environment import lab_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.kube import Object

ROOT = Path(__file__).parents[2]
SYSTEM = product.NAMESPACE


def install_chart(environment: dict[str, str], *settings: str, chart: str | Path = product.CHART) -> None:
    """Installs or upgrades the chart, or the one at another place, with the images that the lab built."""
    _helm(environment, *product.helm_upgrade(environment, *settings, chart=chart))


def uninstall_chart(environment: dict[str, str]) -> None:
    """Uninstalls the chart."""
    _helm(environment, "helm", "uninstall", product.RELEASE, "--namespace", SYSTEM, "--wait", "--ignore-not-found")


def leading_pod(environment: dict[str, str], *, other_than: str = "") -> str:
    """The installed operator that leads, as soon as one does that is not `other_than`."""

    def holds(lease: Object) -> bool:
        return holder(lease) not in {"", other_than}

    lease = Kube(environment, SYSTEM).wait("lease", "smbferry-operator", "held by a leader", holds)
    return holder(lease)


def _helm(environment: dict[str, str], *command: str) -> None:
    done = subprocess.run(command, env=environment, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """The lab's environment."""
    return lab_environment()


@pytest.fixture(scope="session")
def domain(environment: dict[str, str]) -> Domain:
    """The lab's domain."""
    return Domain.from_environment(environment)


@pytest.fixture(scope="session")
def chart(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> None:
    """smbferry, installed by Helm; by the first worker that comes, for all of them."""
    # Workers of one run have folders beside each other; a run without workers has a base folder of its own.
    base = tmp_path_factory.getbasetemp()
    mark = (base if worker_id == "master" else base.parent) / "chart"
    with mark.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        if not file.read():
            install_chart(environment)
            file.write("installed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """For a run that another one follows."""
    parser.addoption("--keep-chart", action="store_true", help="leave the release installed at the end")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """The release goes when the last worker is done: this is also called in each worker, which is not the end."""
    option = session.config.option
    if not hasattr(session.config, "workerinput") and not option.collectonly and not option.keep_chart:
        uninstall_chart(lab_environment())


def new_namespace(environment: dict[str, str], *, enforce: str = "restricted") -> Kube:
    """A namespace in which only pods that pass this Pod Security standard may run."""
    kube = Kube(environment, f"t-{secrets.token_hex(4)}")
    kube.kubectl("create", "namespace", kube.namespace)
    kube.kubectl("label", "namespace", kube.namespace, f"pod-security.kubernetes.io/enforce={enforce}")
    return kube


@pytest.fixture(scope="module")
def kube(environment: dict[str, str], chart: None) -> Iterator[Kube]:
    """A namespace of the module's own."""
    made = new_namespace(environment)
    yield made
    made.kubectl("delete", "namespace", made.namespace, "--wait=false")


@pytest.fixture(scope="module")
def scene(kube: Kube, domain: Domain) -> Iterator[Scene]:
    """Two users, two folders, two identities and two locations, applied and ready to be used."""
    with new_scene(kube, domain) as made:
        made.apply()
        yield made
