"""examples/playground as its page says: a domain in a namespace, a transfer, a stale keytab and a new one."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from lab.smblab import cluster, daemon, domain
from lab.smblab.progress import Progress
from lab.smblab.settings import current
from lab.support.cluster.chart import install_chart, uninstall_chart
from lab.support.cluster.kube import Kube, is_
from lab.support.environment import lab_environment
from tests.documented.commands import ROOT, in_blocks
from tests.documented.places import PLAYGROUND, Place, place_of
from tests.documented.run import Reader, with_smbferry

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMESPACE = "smbferry-playground"
COMMANDS = [c for c in in_blocks(PLAYGROUND, (ROOT / PLAYGROUND).read_text()) if place_of(c) is Place.PLAYGROUND]


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """The cluster with smbferry in it, and the domain's image on its nodes."""
    settings = current()
    progress = Progress(settings.cache / "durations.json")
    docker = daemon.ensure(settings, progress)
    domain.build_image(settings, docker, progress)
    cluster.load(settings, docker, progress, [domain.IMAGE])
    found = lab_environment()
    install_chart(found)
    yield found
    uninstall_chart(found)


@pytest.fixture(scope="module")
def reader(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """Somebody in a copy of the examples."""
    folder = tmp_path_factory.mktemp("reader")
    shutil.copytree(ROOT / "examples", folder / "examples")
    return Reader(folder, with_smbferry(folder, {**environment, "HOME": str(folder)}))


def test_the_page_leads_from_nothing_to_a_transfer_and_from_a_stale_keytab_to_a_fresh_one(
    reader: Reader, environment: dict[str, str]
) -> None:
    kube = Kube(environment, NAMESPACE)
    said = dict[str, str]()
    for command in COMMANDS:
        said[command.text] = reader.types(command, timeout=240)
        if "wait kerberosidentity/svc-src --for=condition=Ready=False" in command.text:
            kube.wait("kerberosidentity", "svc-src", "stale", is_("Ready", "False", "KeytabStale"), timeout=10)
    (watched,) = (text for command, text in said.items() if "watch" in command)
    assert "playground-" in watched
    assert "Succeeded" in watched
    assert "201" in watched
    assert "KeytabStale" in [text for command, text in said.items() if command.endswith("get smbferry")][-1]
