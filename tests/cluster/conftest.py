"""The chart in the lab's cluster, once for all tests; a namespace, users and folders of its own for each module."""

from __future__ import annotations

import fcntl
from typing import TYPE_CHECKING

import pytest
from lab.support.cluster.chart import install_chart, uninstall_chart
from lab.support.cluster.kube import Kube, new_namespace
from lab.support.cluster.scene import Scene, new_scene
from lab.support.domain.domain import Domain
from lab.support.environment import lab_environment

if TYPE_CHECKING:
    from collections.abc import Iterator


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
            install_chart(environment, "limits.runsPerServer=60")  # all workers share one file server
            file.write("installed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """For a run that another one follows."""
    parser.addoption("--keep-chart", action="store_true", help="leave the release installed at the end")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """The release goes when the last worker is done: this is also called in each worker, which is not the end."""
    option = session.config.option
    if not hasattr(session.config, "workerinput") and not option.collectonly and not option.keep_chart:
        uninstall_chart(lab_environment())


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
