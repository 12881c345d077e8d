"""Streams and extended attributes that a server refuses, or with hostile names and lists: named, nothing else."""

from __future__ import annotations

import struct

import pytest
from lab.fake_server import file, folder
from lab.fake_server.attachments import stream_list
from lab.fake_server.windows_server_2022 import WindowsServer2022
from tests.unit.engine.test_attachments import EAS, TIME, ntfs

from smbferry_engine.plan.mark import mark_of
from smbferry_engine.wire.status import NtStatus


@pytest.mark.fault(151)
class Picky(WindowsServer2022):
    def judge_stream(self, name: str) -> int:
        return NtStatus.OBJECT_NAME_INVALID if "*" in name else 0

    def judge_ea(self, name: bytes, value: bytes) -> int:
        return NtStatus.INVALID_EA_NAME if name == b"BAD" else 0


def test_names_that_the_destination_refuses_are_named_and_the_others_arrive() -> None:
    world = ntfs(folder(f=file(b"f").beside({"a*b": b"1", "ok": b"2"}, eas={b"BAD": b"1", **EAS})), other=Picky())
    world.transfer()
    assert {(one.path, one.what) for one in world.watcher.left} == {
        ("/f:a*b", "Stream"),
        ("/f", "ExtendedAttribute"),
    }
    assert world.node("f").attached == ({"ok": b"2"}, EAS)


HOSTILE = [
    ":../../evil:$DATA", ":a\\b:$DATA", ":a/b:$DATA", ":a\0b:$DATA", "::$INDEX", ":x:$BITMAP", "noname", "::",
    ":" + "n" * 256 + ":$DATA", ":a:b:$DATA", ":",
]  # fmt: skip


@pytest.mark.fault(152)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_stream_with_a_hostile_name_is_named_and_never_sent_to_a_server(name: str) -> None:
    node = file(b"f", time=TIME)
    node.told_streams = stream_list([("::$DATA", 1), (name, 5)])
    world = ntfs(folder(f=node))
    world.transfer()
    assert [(one.what, one.path.startswith("/f:")) for one in world.watcher.left] == [("Stream", True)]
    assert world.reasons == [("/f", "StreamNotCarried")]
    opened = {r.name for side in (world.source, world.destination) for r in side.requests if r.name}
    assert not [sent for sent in opened if ":" in sent]
    assert world.copied == {"/f": b"f"}


@pytest.mark.fault(152)
@pytest.mark.parametrize(
    ("streams", "eas", "reasons"),
    [
        (b"\1" * 24, None, ["StreamNotCarried"]),
        (b"\0" * 5, None, ["StreamNotCarried"]),
        (struct.pack("<IIQQ", 8, 0, 0, 0) * 9, None, ["StreamNotCarried"]),
        (None, b"\0" * 8, ["ExtendedAttributeNotCarried"]),
        (None, struct.pack("<IBBH", 0, 0, 200, 9) + b"x", ["ExtendedAttributeNotCarried"]),
        (None, struct.pack("<IBBH", 4, 0, 1, 0) + b"a\0\0\0", ["ExtendedAttributeNotCarried"]),
    ],
)
def test_a_list_that_does_not_parse_is_the_file_s_reason_and_its_content_arrives(
    streams: bytes | None, eas: bytes | None, reasons: list[str]
) -> None:
    node = file(b"f", time=TIME).beside(eas=EAS)
    node.told_streams, node.told_eas = streams, eas
    world = ntfs(folder(f=node, g=file(b"g")))
    world.transfer()
    assert [reason for _, reason in world.reasons] == reasons
    assert world.copied == {"/f": b"f", "/g": b"g"}
    assert world.node("f").times[2] == mark_of(TIME)
