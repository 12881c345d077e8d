"""Both sides are connected at the same time, and either both or none stays."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from lab.fake_server import make_session

from smbferry_engine.errors import EngineError
from smbferry_engine.model import Endpoint, Evidence
from smbferry_engine.operations.sides import Sides
from smbferry_engine.session import pair
from smbferry_engine.session.channel import Channel
from smbferry_engine.session.connect import Connected
from smbferry_words.reasons import SERVER_UNREACHABLE

TOGETHER_SECONDS = 10.0


def endpoint(share: str) -> Endpoint:
    return Endpoint(
        server="files.example.com",
        port=445,
        share=share,
        path="/in/side",
        addresses=("192.0.2.1",),
        service_principal="cifs/files.example.com",
        principal="svc@EXAMPLE.COM",
        ccache="MEMORY:none",
        krb5_config="/dev/null",
    )


EVIDENCE = Evidence(
    principal="svc@EXAMPLE.COM",
    dialect="3.1.1",
    cipher="AES-128-GCM",
    signing="",
    server="files.example.com",
    share_encryption_required=True,
    max_read_size=1,
    max_write_size=1,
)


class Dialled:
    """Connections made so far, by share; a share in ``down`` can't be reached."""

    def __init__(self, down: str = "") -> None:
        self.down = down
        self.channels: dict[str, Channel] = {}
        self.peers: list[socket.socket] = []
        self._together = threading.Barrier(2)

    def connect(self, side: Endpoint, *, deadline_seconds: float = 1.0) -> Connected:
        assert deadline_seconds > 0
        self._together.wait(TOGETHER_SECONDS)
        if side.share in self.down:
            raise EngineError(SERVER_UNREACHABLE, f"{side.share} is down")
        ours, theirs = socket.socketpair()
        self.peers.append(theirs)
        self.channels[side.share] = Channel(ours, make_session(), side.share)
        return Connected(self.channels[side.share], EVIDENCE, 0)


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Dialled]]:
    made: list[Dialled] = []

    def make(down: str = "") -> Dialled:
        made.append(Dialled(down))
        monkeypatch.setattr(pair, "connect", made[-1].connect)
        monkeypatch.setattr(pair, "connect_patiently", made[-1].connect)
        return made[-1]

    yield make
    for dial in made:
        for channel in dial.channels.values():
            channel.close()
        for peer in dial.peers:
            peer.close()


def test_neither_side_waits_for_the_other(dialled: Callable[[str], Dialled]) -> None:
    heard: list[str] = []
    dial = dialled("")
    both = Sides(endpoint("a"), endpoint("b"), lambda side, _evidence: heard.append(side))
    assert both.channels == [dial.channels["a"], dial.channels["b"]]
    assert [share.root for share in both.shares] == ["in\\side", "in\\side"]
    assert heard == ["source", "destination"]
    assert not both.broken()


@pytest.mark.parametrize(("down", "named"), [("a", "a is down"), ("b", "b is down"), ("ab", "a is down")])
def test_a_side_that_is_down_is_named_and_the_other_is_cut(
    dialled: Callable[[str], Dialled], down: str, named: str
) -> None:
    dial = dialled(down)
    with pytest.raises(EngineError, match=named):
        Sides(endpoint("a"), endpoint("b"), lambda _side, _evidence: None)
    assert [channel.socket.fileno() for channel in dial.channels.values()] == [-1] * (2 - len(down))
