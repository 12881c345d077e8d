"""A session and a server joined by bytes, and how a test drives both."""

import contextlib
import socket
import struct
from collections.abc import Callable, Coroutine
from typing import Any

from lab.fake_server.nodes import SESSION, TREE
from lab.fake_server.server import FakeServer

from smbferry_engine.core.crypto import CIPHERS, Decryptor, Encryptor
from smbferry_engine.core.frames import PAYLOAD_OFFSET, BufferPool, FrameReader, FrameWriter
from smbferry_engine.core.session import Session, SessionFacts
from smbferry_engine.errors import EngineError
from smbferry_engine.runtime.tasks import Scheduler
from smbferry_engine.wire.header import Command
from smbferry_words.reasons import CONNECTION_LOST

KEY_UP, KEY_DOWN = bytes(range(16)), bytes(range(16, 32))
SUITE = CIPHERS["AES-128-GCM"]
CHUNK = 128 * 1024


def make_session(*, credits_: int = 64, chunk: int = CHUNK) -> Session:
    facts = SessionFacts(SESSION, TREE, SUITE, KEY_UP, KEY_DOWN, 8 << 20, 8 << 20, 8 << 20, 5, credits_)
    return Session(facts, chunk=chunk)


class Link:
    """A session and a server joined by bytes; `exchange` moves what is there, once, both ways.

    Compounds that are `put_off` are taken up when there is nothing else to do.
    """

    def __init__(self, server: FakeServer, session: Session | None = None) -> None:
        self.server = server
        self.renew(session or make_session())

    def renew(self, session: Session) -> None:
        """A new connection and session."""
        self.server.meet(self, session.credits.total)
        self.session = session
        self.lose = False
        size = self.session.pool.payload
        self._server_reader = FrameReader(Decryptor(SUITE, KEY_UP), SESSION, BufferPool(size), 9 << 20)
        self._server_writer = FrameWriter(Encryptor(SUITE, KEY_DOWN), SESSION)
        self.held: list[bytes] = []
        self.hold_replies = False
        self.put_off: Callable[[bytes], bool] = lambda _compound: False
        self._later: list[bytes] = []

    def _fill(self) -> bool:
        while self.session.fill_writer():
            pass
        return not self.session.writer.idle

    def exchange(self) -> bool:
        moved = False
        while self._fill():
            data = b"".join(self.session.writer.pending())
            self.session.writer.taken(len(data))
            for compound in feed_all(self._server_reader, data):
                if self.put_off(compound):
                    self._later.append(compound)
                    continue
                reply = self.server.handle(compound, self)
                moved = True
                if self.lose:
                    self.held.clear()
                    self.session.fail(EngineError(CONNECTION_LOST, "cut"))
                    return True
                self.held.append(reply)
        if not self.hold_replies:
            while self.held:
                self.reply(self.held.pop(0))
                moved = True
        if not moved and self._later:
            self.reply(self.server.handle(self._later.pop(0), self))
            moved = True
        return moved

    def reply(self, plain: bytes) -> None:
        """Seal one compound as the server does and let the session receive it."""
        self.receive(self.seal(plain))

    def seal(self, plain: bytes) -> bytes:
        """A frame as the server sends it."""
        self._server_writer.encrypt(plain)
        data = b"".join(self._server_writer.pending())
        self._server_writer.taken(len(data))
        return data

    def answers_to(self, data: bytes) -> list[bytes]:
        """Encrypted answers to encrypted requests."""
        return [self.seal(self.server.handle(plain, self)) for plain in feed_all(self._server_reader, data)]

    def echo_only(self, peer: socket.socket) -> None:
        """Answer what has come in through a socket, if it is an ECHO, and nothing else."""
        peer.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            for plain in feed_all(self._server_reader, peer.recv(1 << 20)):
                if struct.unpack_from("<H", plain, 12)[0] == Command.ECHO:
                    peer.sendall(self.seal(self.server.handle(plain, self)))

    def receive(self, data: bytes) -> None:
        """Raw bytes into the session."""
        view = memoryview(data)
        while view:
            want = self.session.reader.want()
            count = min(len(want), len(view))
            want[:count] = view[:count]
            frame = self.session.reader.received(count)
            if frame is not None:
                self.session.deliver(frame)
            view = view[count:]


def feed(reader: FrameReader, data: bytes) -> bytes | None:
    """The last message in `data`."""
    return next(reversed(feed_all(reader, data)), None)


def feed_all(reader: FrameReader, data: bytes) -> list[bytes]:
    """Every message in `data`."""
    view, found = memoryview(data), []
    while view:
        want = reader.want()
        count = min(len(want), len(view))
        want[:count] = view[:count]
        frame = reader.received(count)
        if frame is not None:
            found.append(bytes(frame.buffer[PAYLOAD_OFFSET : frame.end]))
        view = view[count:]
    return found


def drive(scheduler: Scheduler, main: Coroutine[Any, None, Any], *links: Link) -> Any:
    """Run a coroutine against links until it ends; timers fire as soon as nothing else can go on."""
    task = scheduler.spawn(main)
    while True:
        scheduler.run_ready()
        if task.done:
            return task.result()
        moved = [link.exchange() for link in links]
        if scheduler.idle and not any(moved):
            timer = scheduler.next_timer()
            assert timer is not None, "every task waits and nothing is under way"
            scheduler.advance(timer)
