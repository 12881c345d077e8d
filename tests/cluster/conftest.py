"""The chart in the lab's cluster, once for all tests; a namespace, users and folders of its own for each module."""

from __future__ import annotations

import fcntl
import secrets
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.cluster.kube import Kube
from tests.cluster.scene import Scene, new_scene
from tests.support.domain import Domain
from tests.support.environment import lab_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SYSTEM = "smbferry-system"


def install_chart(environment: dict[str, str], *settings: str) -> None:
    """Installs or upgrades the chart with the images that the lab built."""
    values = []
    for name in ("operator", "agent"):
        values += [f"image.{name}.repository=smbferry-{name}", f"image.{name}.tag=dev"]
        digest = subprocess.run(
            ["docker", "image", "inspect", "--format", "{{.Id}}", f"smbferry-{name}:dev"],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        # A rebuilt image has the same tag: the annotation makes the Deployment roll.
        values.append(f"podAnnotations.{name}={digest[7:19]}")
    subprocess.run(
        [
            *("helm", "upgrade", "--install", "smbferry", str(ROOT / "charts" / "smbferry"), "--namespace", SYSTEM),
            *("--create-namespace", "--wait", "--timeout", "3m", "--set", ",".join([*values, *settings])),
        ],
        env=environment,
        check=True,
        capture_output=True,
    )


def uninstall_chart(environment: dict[str, str]) -> None:
    """Uninstalls the chart."""
    subprocess.run(
        ["helm", "uninstall", "smbferry", "--namespace", SYSTEM, "--wait", "--ignore-not-found"],
        env=environment,
        check=True,
        capture_output=True,
    )


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


def new_namespace(environment: dict[str, str]) -> Kube:
    """A namespace in which only pods that pass Pod Security `restricted` may run."""
    kube = Kube(environment, f"t-{secrets.token_hex(4)}")
    kube.kubectl("create", "namespace", kube.namespace)
    kube.kubectl("label", "namespace", kube.namespace, "pod-security.kubernetes.io/enforce=restricted")
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
