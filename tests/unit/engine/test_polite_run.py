"""A whole run that gives way, over sockets: its sessions, its probe and its end, between servers in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lab.fake_server import Node, file, folder
from lab.fake_server.world import Watcher, end
from tests.unit.engine.socket_servers import SocketServers, socket_servers

from smbferry_engine import (
    EngineError,
    Options,
    Outcome,
    Politeness,
    SecurityDescriptors,
    survey_source,
    transfer,
)
from smbferry_engine.run import politeness
from smbferry_engine.session import reply_probe
from smbferry_words.reasons import SERVER_REFUSED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smbferry_engine import Endpoint, Result
    from smbferry_engine.session.connect import Connected

FILES = {f"f{index}": file(b"x" * 5_000) for index in range(40)}
TREE = Node(None, {**FILES, "d": folder(big=file(b"y" * 900_000))}, 0)


@pytest.fixture
def probed() -> list[str]:
    """The shares that a probe has connected to."""
    return []


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch, probed: list[str]) -> Iterator[SocketServers]:
    with socket_servers(src=TREE, dst=folder()) as made:

        def probe(side: Endpoint, *, deadline_seconds: float, chunk: int) -> Connected:
            probed.append(side.share)
            return made.connect(side, deadline_seconds=deadline_seconds, chunk=chunk)

        made.stand_in(monkeypatch)
        monkeypatch.setattr(reply_probe, "connect", probe)
        monkeypatch.setattr(politeness, "INTERVAL", 0.001)
        yield made


def copy(*, servers: tuple[str, str] = ("a", "b"), asked: Politeness | None = None) -> Result:
    source, destination = (
        end(share, server=f"{name}.corp.example.com", path="/data")
        for share, name in zip(("src", "dst"), servers, strict=True)
    )
    options = Options(security_descriptors=SecurityDescriptors.NONE, politeness=asked)
    return transfer(source, destination, options, Watcher())


def test_both_servers_are_measured_and_everything_arrives(network: SocketServers, probed: list[str]) -> None:
    result = copy(asked=Politeness(1.2))
    assert result.outcome is Outcome.SUCCEEDED
    assert network.servers["dst"].tree() == network.servers["src"].tree()
    assert sorted(probed) == ["dst", "src"]
    fact = result.counters.politeness
    assert fact is not None
    assert fact.unmeasured == ()
    assert fact.idle is not None
    assert fact.idle > 0


@pytest.mark.usefixtures("network")
def test_one_server_is_measured_once(probed: list[str]) -> None:
    copy(servers=("a", "A"), asked=Politeness(1.2))
    assert probed == ["src"]


@pytest.mark.usefixtures("network")
def test_a_survey_gives_way_too(probed: list[str]) -> None:
    source = end("src", path="/data")
    asked = Options(security_descriptors=SecurityDescriptors.NONE, politeness=Politeness(1.2))
    found = survey_source(source, None, asked, Watcher())
    assert found.tree.files == len(FILES) + 1
    assert probed == ["src"]


@pytest.mark.fault(203)
def test_a_server_that_refuses_a_further_session_gets_one_request_at_a_time(
    network: SocketServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_options: object) -> Connected:
        raise EngineError(SERVER_REFUSED, "too many sessions")

    monkeypatch.setattr(reply_probe, "connect", refuse)
    result = copy(asked=Politeness(1.2))
    assert result.outcome is Outcome.SUCCEEDED
    assert network.servers["dst"].tree() == network.servers["src"].tree()
    fact = result.counters.politeness
    assert fact is not None
    assert fact.unmeasured == ("source", "destination")


def test_without_the_option_there_is_no_further_connection(network: SocketServers, probed: list[str]) -> None:
    result = copy()
    assert sorted(network.connected) == ["dst", "src"]
    assert probed == []
    assert result.counters.politeness is None
