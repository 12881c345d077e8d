"""What is fuzzed: codecs, the frame reader, and whole transfers between servers that answer with damaged messages.

Every round is made of its seed alone, so that a failure can be had again.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING

from lab.fake_server import (
    CHUNK,
    KEY_DOWN,
    SESSION,
    SUITE,
    FakeServer,
    Link,
    Node,
    Personality,
    descriptor,
    feed_all,
    file,
    folder,
    make_session,
)
from lab.fake_server.replies import HEAD, MAXIMAL, create_reply, entry, listing
from lab.fake_server.samba import Samba
from lab.fake_server.windows_server_2022 import WindowsServer2022
from lab.fake_server.world import BIG, OneServer, World
from lab.fuzz.properties import DECODERS

from smbferry_engine.core.crypto import Decryptor, Encryptor
from smbferry_engine.core.errors import ProtocolError
from smbferry_engine.core.frames import BufferPool, FrameReader, FrameWriter
from smbferry_engine.errors import EngineError
from smbferry_engine.files.cleanup import undo
from smbferry_engine.share.access import LIST_ACCESS
from smbferry_engine.sids import SidMap
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.status import NtStatus
from smbferry_words.options import CompareBy, DeletedFiles, SecurityDescriptors, VerifyMode
from smbferry_words.reasons import DEADLINE_EXCEEDED, PROTOCOL_VIOLATION

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from smbferry_engine.run.context import RunContext

TYPED = (EngineError, ProtocolError, WireError)
_TURNS = 20_000
_LEAST = 16
_IN_SNAPSHOT = 0.3
_NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
_EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
_STATUSES = tuple(NtStatus)


def damage(random: Random, message: bytes) -> bytes:
    """One message, changed in one of the ways in which a hostile or broken server may."""
    changed = bytearray(message)
    kind = random.randrange(6) if len(message) > _LEAST else 2
    if kind == 0:
        for _ in range(random.randint(1, 8)):
            changed[random.randrange(len(changed))] = random.randrange(256)
    elif kind == 1:
        del changed[random.randrange(len(changed)) :]
    elif kind == 2:
        changed += random.randbytes(random.randint(1, 200))
    elif kind == 3:
        # Lengths, offsets and counts lie on even addresses.
        at, width = 2 * random.randrange(len(changed) // 2), random.choice((2, 4))
        value = random.choice(_EXTREMES) & (256**width - 1)
        changed[at : at + width] = value.to_bytes(width, "little")
    elif kind == 4:
        changed[8:12] = int(random.choice(_STATUSES)).to_bytes(4, "little")
    else:
        changed[64:] = random.randbytes(random.randint(0, 200))
    return bytes(changed)


def decoders(seed: int) -> None:
    """Each decoder, with noise, and with replies that were right once."""
    random = Random(seed)
    valid = [
        create_reply(MAXIMAL),
        listing(entry(b"a\0")),
        HEAD + descriptor("x", entries=(b"\0\0\x08\0abcd", b"\0\0\x04\0")),
    ]
    for _ in range(50):
        message = random.choice(valid) if random.random() < 0.7 else HEAD + random.randbytes(300)
        for _ in range(random.randint(1, 3)):
            message = damage(random, message)
        for decode in DECODERS:
            try:
                decode(message)
            except WireError:
                continue


def streams(seed: int) -> None:
    """The frame reader, with encrypted frames that were changed, cut and mixed with noise."""
    random = Random(seed)
    writer = FrameWriter(Encryptor(SUITE, KEY_DOWN), SESSION)
    stream = b""
    for _ in range(random.randint(1, 5)):
        writer.encrypt(random.randbytes(random.randint(64, 1500)))
        frame = b"".join(writer.pending())
        writer.taken(len(frame))
        stream += damage(random, frame) if random.random() < 0.5 else frame
    reader = FrameReader(Decryptor(SUITE, KEY_DOWN), SESSION, BufferPool(2000), 2000)
    try:
        feed_all(reader, stream)
    except (ProtocolError, WireError):
        return


class Hostile(FakeServer):
    """A server whose every so many replies are damaged."""

    def __init__(self, root: Node, random: Random, rate: float) -> None:
        super().__init__(root)
        self._random = random
        self._rate = rate
        self.before_reply = self._spoil

    def _one(self, command: int, body: bytes, last_id: bytes) -> tuple[int, bytes, bytes]:
        try:
            return super()._one(command, body, last_id)
        except AssertionError:
            # A write to a folder, by a handle that a damaged reply has swapped.
            return NtStatus.INVALID_PARAMETER, b"\x09" + bytes(8), last_id

    def _spoil(self, replies: list[bytes]) -> list[bytes]:
        random = self._random
        if random.random() >= self._rate:
            return replies
        at = random.randrange(len(replies))
        kind = random.randrange(8)
        if kind == 0 and len(replies) > 1:
            return replies[:at] + replies[at + 1 :]
        if kind == 1:
            return [*replies, replies[at]]
        if kind == 2:
            return random.sample(replies, len(replies))
        return [*replies[:at], damage(random, replies[at]), *replies[at + 1 :]]


def transfers(seed: int) -> None:
    """A whole run between two such servers: it ends, in success or a typed error, and stays within its root."""
    random = Random(seed)
    tree = {f"f{index}": file(random.randbytes(random.randint(0, 300))) for index in range(5)}
    source = Node(None, {**tree, "big": file(BIG[: random.randint(1, 4) * CHUNK]), "d": folder(x=file(b"x"))}, 0)
    world = World(source, folder(f0=file(b"old"), gone=folder(y=file(b"y")), big=file(b"old")))
    rates = random.choice(((0.1, 0.0), (0.0, 0.1), (0.01, 0.01), (0.03, 0.03), (0.4, 0.4)))
    for index, rate in enumerate(rates):
        server = Hostile((world.source, world.destination)[index].root, random, rate)
        world.links[index] = Link(server, make_session())
        server.personality = random.choice((Personality(), WindowsServer2022(), Samba()))
    tree["f1"].beside({"a": random.randbytes(20), "b": random.randbytes(2 * CHUNK)}, eas={b"E": b"1"})
    source.beside({"root": b"r"}, eas={b"R": b"1"})
    world.source, world.destination = (link.server for link in world.links)
    if random.random() < _IN_SNAPSHOT:
        world.source.take_snapshot(_NOON)
        world.snapshot = _NOON
    run = world.prepare(
        compare_by=random.choice(tuple(CompareBy)),
        verify_mode=random.choice(tuple(VerifyMode)),
        security_descriptors=random.choice(tuple(SecurityDescriptors)),
        sid_map=SidMap.parse(random.choice(("", "S-1-5-21-1000-2000-3000 S-1-5-21-4-5-6"))),
        deleted_files=DeletedFiles.REMOVE,
        max_deletes="100%",
    )
    _run_and_undo(world, run)
    _stayed_within(world.destination)


def copies(seed: int) -> None:
    """Large files that one such server copies by itself, with limits of its own: it ends as any other run does."""
    random = Random(seed)
    big = {f"b{index}": file(BIG[: random.randint(2, 4) * CHUNK]) for index in range(3)}
    world = OneServer(folder(**big), folder(b0=file(b"old")))
    server = Hostile(world.source.root, random, random.choice((0.02, 0.1, 0.4)))
    most, each, total = (random.choice(pair) for pair in ((1, 256), (1 << 14, 1 << 20), (1 << 16, 1 << 24)))
    server.copy_limits = (most, each, total)
    world.source = world.destination = server
    world.links = [Link(server, make_session()), Link(server, make_session())]
    _run_and_undo(world, world.prepare(verify_mode=random.choice(tuple(VerifyMode))))


def _run_and_undo(world: World, run: RunContext) -> None:
    try:
        to_the_end(world, world.execution())
    except TYPED:
        world.scheduler.close_all()
    for link in world.links:
        link.session.drop_unsent(EngineError(DEADLINE_EXCEEDED, "stopped"))
    try:
        to_the_end(world, undo(run))
    except TYPED:
        world.scheduler.close_all()


def to_the_end(world: World, main: Coroutine[Any, None, Any]) -> None:
    """Run a coroutine as the engine's driver does: a broken frame ends the session, and so does silence."""
    scheduler = world.scheduler
    task = scheduler.spawn(main)
    for _ in range(_TURNS):
        scheduler.run_ready()
        if task.done:
            task.result()
            return
        moved = [_exchange(link) for link in world.links]
        if scheduler.idle and not any(moved):
            _wait(world)
    raise AssertionError(f"the run to end within {_TURNS} turns expected")


def _exchange(link: Link) -> bool:
    if link.session.failure is not None:
        return False
    try:
        return link.exchange()
    except (ProtocolError, WireError) as error:
        link.session.fail(EngineError(PROTOCOL_VIOLATION, str(error)))
        return True


def _wait(world: World) -> None:
    timer = world.scheduler.next_timer()
    if timer is not None:
        world.scheduler.advance(timer)
        return
    waiting = [link for link in world.links if link.session.waiting and link.session.failure is None]
    assert waiting, "every task waits and nothing is under way"
    for link in waiting:
        link.session.fail(EngineError(DEADLINE_EXCEEDED, "no answer"))


def _stayed_within(server: FakeServer) -> None:
    """No name was sent to the destination that lies outside its root (I5)."""
    for request in server.requests:
        name = request.name
        if request.command == Command.SET_INFO and request.body[2:4] == b"\x01\x0a":
            length = int.from_bytes(request.body[48:52], "little")
            name = request.body[52 : 52 + length].decode("utf-16-le", "surrogatepass")
        if name == "" and int.from_bytes(request.body[24:28], "little") == LIST_ACCESS:
            continue  # a root that is a reparse point: its tag is in the listing of the folder above
        if name is not None:
            # A colon separates a file or folder from one of its streams, whose name may have any other character.
            name, colon, stream = name.partition(":")
            assert not colon or re.fullmatch(r"[^\0/:\\]+:\$DATA", stream, re.DOTALL), request.name
            parts = name.split("\\")
            assert parts[0] == "copy", name
            assert not {"", ".", ".."} & set(parts), name
            assert not any(char in part for part in parts for char in '/:*?"<>|\0'), name


TARGETS: dict[str, Callable[[int], None]] = {
    "decoders": decoders,
    "streams": streams,
    "transfers": transfers,
    "copies": copies,
}
