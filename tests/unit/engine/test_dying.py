"""Connections that keep dying: ranges shrink, what is done is kept, and every connection brings the file on."""

import struct

import pytest
from lab.fake_server import FakeServer, Link, Request, file, folder, make_session
from lab.fake_server.world import World

from smbferry_engine.core.credits import CREDIT_BYTES
from smbferry_engine.core.session import Session
from smbferry_engine.core.sizes import LARGEST
from smbferry_engine.errors import EngineError
from smbferry_engine.session.reconnect import PAUSES
from smbferry_engine.wire.header import Command
from smbferry_words.options import VerifyMode
from smbferry_words.reasons import CONNECTION_LOST

MIB = 1 << 20
# Large enough for a first range of 8 MiB.
CONTENT = bytes(range(256)) * (70 * MIB // 256) + b"tail"
SIDES = pytest.mark.parametrize("side", [0, 1], ids=["source", "destination"])
MODES = pytest.mark.parametrize("verify", [VerifyMode.ONLY_FILES_TRANSFERRED, VerifyMode.NONE])


class Dying(Link):
    """A link whose connections die when so many bytes have gone, up and down together."""

    def __init__(self, server: FakeServer, carries: int) -> None:
        self.carries = carries
        self.deaths = 0
        super().__init__(server, wide())
        server.faults.append(self._sent)

    def renew(self, session: Session) -> None:
        self.gone = 0
        super().renew(session)

    def _spend(self, count: int) -> bool:
        """Whether that many bytes still get through."""
        self.gone += count
        return self.gone <= self.carries

    def _sent(self, request: Request) -> None:
        if not self._spend(len(request.body)) and not self.lose:
            self.deaths += 1
            self.lose = True

    def receive(self, data: bytes) -> None:
        if self._spend(len(data)):
            super().receive(data)
        elif not self.lose:
            self.deaths += 1
            self.lose = True
            self.held.clear()
            self.session.fail(EngineError(CONNECTION_LOST, "cut"))


class DyingWorld(World):
    """Two servers of full size; the connections to one of them die."""

    def __init__(self, content: bytes, side: int, carries: int) -> None:
        super().__init__(folder(big=file(content), small=file(b"small")))
        self.dying = Dying((self.source, self.destination)[side], carries)
        self.links = [Link(server, wide()) for server in (self.source, self.destination)]
        self.links[side] = self.dying

    def restore(self) -> None:
        assert self.run is not None
        self.restored += 1
        for link, share in zip(self.links, (self.run.source, self.run.destination), strict=True):
            if not link.session.usable:
                last = link.session
                link.renew(wide())
                link.session.follow(last)
                share.session = link.session


def wide() -> Session:
    return make_session(credits_=1024, chunk=2 * MIB)


def bytes_read(server: FakeServer) -> int:
    bodies = [request.body for request in server.requests if request.command == Command.READ]
    return sum(struct.unpack_from("<I", body, 4)[0] for body in bodies)


@pytest.mark.fault(86)
@MODES
@SIDES
@pytest.mark.parametrize(
    ("size", "carries"), [(70 * MIB + 4, 9 * MIB), (6 * MIB + 7, 3 * MIB // 2), (6 * MIB + 7, MIB)], ids=str
)
def test_every_connection_brings_the_file_on(side: int, size: int, carries: int, verify: VerifyMode) -> None:
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    world = DyingWorld(content, side, carries)
    run = world.transfer(verify_mode=verify)
    assert (world.copied, world.reasons) == (world.original, [])
    # What is kept at the destination is read back in either mode: what must pass at the least, and twice that.
    must = size * (2 if side else 1)
    assert must // carries <= world.dying.deaths <= 2 * must // carries + 3
    assert run.tally.counters.bytes.transferred == len(content) + 5
    assert bytes_read(world.source) <= 2 * size + 16 * MIB
    assert bytes_read(world.destination) <= 3 * size


@SIDES
def test_the_first_range_after_a_death_is_small_and_they_grow_with_what_a_connection_carries(side: int) -> None:
    world = DyingWorld(CONTENT, side, 9 * MIB)
    world.transfer()
    lengths = [
        struct.unpack_from("<I", request.body, 4)[0]
        for request in world.source.requests
        if request.command == Command.READ
    ]
    first = lengths.index(LARGEST)
    assert LARGEST not in lengths[first + 1 :]
    assert min(lengths[first + 1 :]) <= 9 * MIB // 32


def test_a_lane_that_follows_a_dead_one_grows_to_its_full_size_again() -> None:
    session, last = wide(), wide()
    last.sizes.carried = 0
    session.follow(last)
    assert session.read_limit(LARGEST) == session.write_limit() == CREDIT_BYTES
    session.sizes.carried = 9 * MIB
    assert session.read_limit() == 4 * CREDIT_BYTES
    session.sizes.carried = 1 << 30
    assert session.read_limit(LARGEST) == 2 * MIB, "no first range of 8 MiB"


@pytest.mark.fault(86)
@SIDES
@MODES
def test_connections_that_bring_nothing_on_are_the_end(side: int, verify: VerifyMode) -> None:
    world = DyingWorld(CONTENT[: 4 * MIB], side, 40_000)
    with pytest.raises(EngineError) as caught:
        world.transfer(verify_mode=verify)
    assert caught.value.reason == CONNECTION_LOST.name
    assert world.restored <= 3 * len(PAUSES)
