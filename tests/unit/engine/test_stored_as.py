"""Compressed files, and those with checksums, are stored alike where the destination's server can."""

from __future__ import annotations

import pytest
from lab.fake_server import file, folder
from lab.fake_server.personality import Personality
from lab.fake_server.world import BIG, World

from smbferry_engine.wire.ioctl import FSCTL_SET_COMPRESSION, FSCTL_SET_INTEGRITY_INFORMATION
from smbferry_engine.wire.status import NtStatus
from smbferry_words.options import Preservation, VerifyMode
from smbferry_words.run import NotCarriedKind

COMPRESSED, INTEGRITY, ARCHIVE = 0x800, 0x8000, 0x20
KINDS = {COMPRESSED: NotCarriedKind.COMPRESSION, INTEGRITY: NotCarriedKind.INTEGRITY}
EACH = pytest.mark.parametrize(
    ("content", "attribute"),
    [(content, attribute) for content in (b"small", b"", BIG) for attribute in KINDS],
    ids=[f"{size}-{kind.value}" for size in ("small", "empty", "large") for kind in KINDS.values()],
)


class Refusing(Personality):
    """A volume without compression and checksums (MS-FSA 2.1.5.10.36: STATUS_INVALID_DEVICE_REQUEST)."""

    missing_controls = frozenset({FSCTL_SET_COMPRESSION, FSCTL_SET_INTEGRITY_INFORMATION})
    missing_control_status = NtStatus.INVALID_DEVICE_REQUEST


@EACH
@pytest.mark.parametrize("verify", VerifyMode)
def test_a_file_is_stored_as_its_source_is(content: bytes, attribute: int, verify: VerifyMode) -> None:
    world = World(folder(f=file(content, attributes=ARCHIVE | attribute), plain=file(b"plain")))
    world.transfer(verify_mode=verify)
    assert (world.reasons, world.watcher.left) == ([], [])
    assert world.copied == world.original
    assert world.node("f").attributes & (COMPRESSED | INTEGRITY) == attribute
    assert not world.node("plain").attributes & (COMPRESSED | INTEGRITY)
    assert world.transfer(verify_mode=verify).tally.counters.files.transferred == 0


@EACH
def test_a_server_that_can_not_says_so_and_the_file_is_complete(content: bytes, attribute: int) -> None:
    world = World(folder(f=file(content, attributes=ARCHIVE | attribute)), personalities=(None, Refusing()))
    world.transfer()
    assert world.reasons == []
    assert world.copied == world.original
    assert [(item.path, item.what) for item in world.watcher.left] == [("/f", KINDS[attribute])]
    assert "STATUS_INVALID_DEVICE_REQUEST" in world.watcher.left[0].reason
    assert world.transfer().tally.counters.files.transferred == 0


@EACH
def test_nothing_is_asked_where_attributes_are_not_copied(content: bytes, attribute: int) -> None:
    world = World(folder(f=file(content, attributes=ARCHIVE | attribute)), personalities=(None, Refusing()))
    world.transfer(attributes=Preservation.NONE)
    assert (world.reasons, world.watcher.left, world.copied) == ([], [], world.original)
