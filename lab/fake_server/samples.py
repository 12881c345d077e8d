"""Frames and sessions to begin with: a reader and sealed frames without a server, and a link to a small tree."""

import struct

from lab.fake_server.link import KEY_DOWN, SUITE, Link, make_session
from lab.fake_server.nodes import SESSION, file, folder
from lab.fake_server.server import FakeServer

from smbferry_engine.core.calls import open_request
from smbferry_engine.core.crypto import Decryptor, Encryptor
from smbferry_engine.core.frames import BufferPool, FrameReader, FrameWriter


def sealed(plain: bytes, *, key: bytes = KEY_DOWN, session: int = SESSION) -> bytes:
    writer = FrameWriter(Encryptor(SUITE, key), session)
    writer.encrypt(plain)
    return b"".join(writer.pending())


def reader(limit: int = 4096) -> FrameReader:
    return FrameReader(Decryptor(SUITE, KEY_DOWN), SESSION, BufferPool(limit), limit)


def link(*, credits_: int = 64) -> Link:
    return Link(FakeServer(folder(f=file(b"content"), d=folder())), make_session(credits_=credits_))


def pending_call(joined: Link) -> tuple[object, int]:
    call = joined.session.call(open_request("f", access=1))
    joined.hold_replies = True
    joined.exchange()
    return call, struct.unpack_from("<Q", joined.held[0], 24)[0]
