"""How a caller stops an operation, and what an operation that was stopped leaves for others."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from lab.fake_server import file, folder
from lab.fake_server.world import Watcher, end
from tests.unit.engine.socket_servers import SocketServers, socket_servers

from smbferry_engine import (
    Control,
    EngineError,
    Options,
    SecurityDescriptors,
    compare,
    finish,
    shards_of,
    survey,
    survey_source,
    transfer,
    transfer_shard,
    upload,
)
from smbferry_engine.wire.header import Command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOURCE, DESTINATION = (end(share, server=f"{share}.corp.example.com", path="/data") for share in ("src", "dst"))
ENDS = SOURCE, DESTINATION
OPTIONS = Options(security_descriptors=SecurityDescriptors.NONE)
(EVERYTHING,) = shards_of(())


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[SocketServers]:
    with socket_servers(src=folder(big=file(bytes(24 << 20))), dst=folder()) as made:
        made.stand_in(monkeypatch)
        yield made


def whole(control: Control) -> object:
    return transfer(*ENDS, OPTIONS, Watcher(), control=control)


def shard(control: Control) -> object:
    return transfer_shard(*ENDS, OPTIONS, Watcher(), shard=EVERYTHING, control=control)


def finished(control: Control) -> object:
    return finish(*ENDS, OPTIONS, Watcher(), pieces=(), all_went_well=True, control=control)


@pytest.mark.parametrize(
    ("operation", "what"),
    [
        pytest.param(whole, "run", id="transfer"),
        pytest.param(shard, "run", id="transfer_shard"),
        pytest.param(finished, "run", id="finish"),
        pytest.param(lambda control: survey(*ENDS, OPTIONS, Watcher(), count=2, control=control), "run", id="survey"),
        pytest.param(
            lambda control: survey_source(SOURCE, None, OPTIONS, Watcher(), control=control),
            "survey",
            id="survey_source",
        ),
        pytest.param(lambda control: compare(*ENDS, control=control), "comparison", id="compare"),
        pytest.param(
            lambda control: upload(DESTINATION, "/f", io.BytesIO(b"text"), control=control), "run", id="upload"
        ),
    ],
)
@pytest.mark.usefixtures("network")
def test_every_operation_stops_when_its_caller_cancels_it(operation: Callable[[Control], object], what: str) -> None:
    with pytest.raises(EngineError, match=f"RunCancelled: the {what} was cancelled"):
        operation(Control(cancelled=lambda: True))


def yes() -> bool:
    return True


def no() -> bool:
    return False


@pytest.mark.parametrize(
    ("operation", "abandoned", "stays"),
    [
        pytest.param(whole, None, False, id="nobody continues a whole tree"),
        pytest.param(whole, no, True, id="unless the caller says so"),
        pytest.param(finished, None, False, id="or what a finish copies"),
        pytest.param(shard, None, True, id="other agents continue after a shard"),
        pytest.param(shard, yes, False, id="unless the caller abandons the run"),
    ],
)
def test_the_staging_file_of_a_stopped_operation_stays_if_others_continue(
    network: SocketServers, operation: Callable[[Control], object], abandoned: Callable[[], bool] | None, stays: bool
) -> None:
    server = network.servers["dst"]

    def within_the_file() -> bool:
        return any(request.command == Command.WRITE for request in server.requests)

    control = Control(within_the_file, abandoned, bytes_per_second=lambda: 1 if within_the_file() else None)
    with pytest.raises(EngineError, match="RunCancelled"):
        operation(control)
    left = server.tree()
    assert len(left) == (2 if stays else 1), "beside the root, the staging file"
    assert "/data/big" not in left
