"""Framing and encryption: no sockets, every fault that a peer can invent."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab.fake_server import (
    KEY_DOWN,
    KEY_UP,
    SESSION,
    SUITE,
    feed,
)
from lab.fake_server.samples import reader, sealed
from lab.fuzz import properties

from smbferry_engine.core.crypto import CIPHERS, Decryptor, Encryptor
from smbferry_engine.core.errors import ForgedFrameError, PlaintextReplyError, ProtocolError
from smbferry_engine.core.frames import PAYLOAD_OFFSET, BufferPool, FrameReader, FrameWriter
from smbferry_engine.wire.errors import WireError


@pytest.mark.parametrize("suite", CIPHERS.values(), ids=CIPHERS)
@given(plain=st.binary(min_size=64, max_size=300), salt=st.binary(max_size=4))
def test_what_is_sealed_opens_to_the_same_bytes(suite: object, plain: bytes, salt: bytes) -> None:
    assert isinstance(suite, type(SUITE))
    key = bytes(suite.key_size)
    writer = FrameWriter(Encryptor(suite, key, salt=salt), 9)
    reader = FrameReader(Decryptor(suite, key), 9, BufferPool(1000), 1000)
    writer.encrypt(plain)
    assert feed(reader, b"".join(writer.pending())) == plain
    assert not reader.mid_frame


def test_nonces_count_and_never_repeat() -> None:
    encryptor = Encryptor(SUITE, KEY_UP, salt=b"salt")
    seen = [encryptor.nonce() for _ in range(3)]
    assert [nonce for nonce, _ in seen] == [b"salt" + struct.pack("<Q", index) for index in range(3)]
    assert all(field == nonce + bytes(4) for nonce, field in seen)
    with pytest.raises(ProtocolError):
        Encryptor(SUITE, KEY_UP, first_nonce=2**63).nonce()


def test_a_key_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ProtocolError):
        Decryptor(CIPHERS["AES-256-GCM"], KEY_UP)


GOOD = sealed(bytes(80))


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (b"\0\0\0\x50\xfeSMB" + bytes(76), PlaintextReplyError),
        (b"\0\0\0\x50\xfcSMB" + bytes(76), PlaintextReplyError),
        (b"\0\0\0\x08\xfeSMB" + bytes(4), PlaintextReplyError),
        (b"\0\0\0\x90\xffSMB" + bytes(140), ProtocolError),
        (b"\0\0\0\x08" + bytes(8), ProtocolError),
        (b"\0\xff\xff\xff", ProtocolError),
        (b"\x85\0\0\0", WireError),
        (sealed(bytes(80), key=KEY_UP), ForgedFrameError),
        (sealed(bytes(80), session=1), ProtocolError),
        (GOOD[:-1] + bytes([GOOD[-1] ^ 1]), ForgedFrameError),
        (GOOD[:10] + bytes([GOOD[10] ^ 1]) + GOOD[11:], ForgedFrameError),
        (GOOD[:40] + struct.pack("<I", 81) + GOOD[44:], ProtocolError),
    ],
)
def test_a_frame_that_is_not_ours_is_refused(frame: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        feed(reader(), frame)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=60))
def test_frames_assemble_from_any_pieces(pieces: list[int]) -> None:
    data = sealed(b"a" * 100) + GOOD
    source, frames, at = reader(), [], 0
    for piece in [*pieces, len(data)]:
        frame = feed_one(source, data[at : at + piece])
        at = min(len(data), at + piece)
        frames += frame
    assert frames == [b"a" * 100, bytes(80)] or (frames[0] == b"a" * 100 and len(frames) == 1)


def feed_one(source: FrameReader, data: bytes) -> list[bytes]:
    found: list[bytes] = []
    view = memoryview(data)
    while view:
        want = source.want()
        count = min(len(want), len(view))
        want[:count] = view[:count]
        try:
            frame = source.received(count)
        except ForgedFrameError:
            return found
        if frame is not None:
            found.append(bytes(frame.buffer[PAYLOAD_OFFSET : frame.end]))
        view = view[count:]
    return found


def test_no_stream_of_bytes_makes_the_reader_fail_in_any_other_way() -> None:
    properties.no_stream_of_bytes_makes_the_reader_fail_in_any_other_way()


def test_the_writer_keeps_what_the_socket_did_not_take() -> None:
    writer = FrameWriter(Encryptor(SUITE, KEY_DOWN), SESSION)
    writer.encrypt(bytes(500))
    whole = b"".join(writer.pending())
    taken = b""
    for count in (3, 60, 100, 10_000):
        waiting = b"".join(writer.pending())
        taken += waiting[:count]
        writer.taken(min(count, len(waiting)))
    assert writer.idle
    assert taken == whole


def test_small_frames_travel_together_as_long_as_there_is_room() -> None:
    writer = FrameWriter(Encryptor(SUITE, KEY_DOWN), SESSION)
    source = reader(1 << 20)
    plains = [bytes([number]) * 3000 for number in range(64, 200)]
    found: list[bytes] = []
    waiting = list(plains)
    while waiting or not writer.idle:
        while waiting and writer.has_room:
            writer.encrypt(waiting.pop(0))
        (together,) = writer.pending()
        part = bytes(together[: len(together) * 2 // 3 + 1])
        found += feed_one(source, part)
        writer.taken(len(part))
    assert found == plains


def test_a_frame_larger_than_the_room_goes_behind_small_ones() -> None:
    writer = FrameWriter(Encryptor(SUITE, KEY_DOWN), SESSION)
    plains = [b"a" * 100, b"b" * 500_000]
    for plain in plains:
        writer.encrypt(plain)
    assert not writer.has_room
    assert feed_one(reader(1 << 20), b"".join(writer.pending())) == plains
