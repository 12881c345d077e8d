"""Named streams and extended attributes travel with their file or folder, and what a server can't hold is named."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from lab.fake_server import CHUNK, Node, Request, file, folder
from lab.fake_server.attachments import ea_list, stream_list
from lab.fake_server.ontap import Ontap
from lab.fake_server.samba import Samba
from lab.fake_server.windows_server_2022 import WindowsServer2022
from lab.fake_server.world import BIG, OneServer, World, refuse

from smbferry_engine.paths import is_staging_name
from smbferry_engine.plan.mark import mark_of
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.status import NtStatus
from smbferry_words.options import (
    CompareBy,
    DeletedFiles,
    ExtendedAttributes,
    OverwriteMode,
    SecurityDescriptors,
    Streams,
    VerifyMode,
)

if TYPE_CHECKING:
    from lab.fake_server import Personality

TIME = 133_000_000_000_000_000
ZONE = b"[ZoneTransfer]\r\nZoneId=3\r\n"
FINDER = bytes(32)
EAS = {b"PROJECT": b"blue", b"OWNER": b"\0\xff"}
LONG_STREAM = bytes(range(251)) * (3 * CHUNK // 251)
IGNORE = {"streams": Streams.IGNORE, "extended_attributes": ExtendedAttributes.IGNORE}


def tree() -> Node:
    return folder(
        small=file(b"small", time=TIME).beside({"Zone.Identifier": ZONE, "empty": b""}, eas=EAS),
        big=file(BIG, time=TIME).beside({"AFP_AfpInfo": FINDER, "AFP_Resource": LONG_STREAM}, eas=EAS),
        empty=file(b"", time=TIME).beside({"only": b"a stream"}),
        plain=file(b"plain", time=TIME),
        d=folder(f=file(b"f", time=TIME).beside(eas=EAS)).beside({"of a folder": b"1" * 3000}, eas=EAS),
    ).beside({"root": b"of the root"}, eas={b"ROOT": b"1"})


def ntfs(source: Node, destination: Node | None = None, other: Personality | None = None) -> World:
    return World(source, destination, personalities=(WindowsServer2022(), other or WindowsServer2022()))


def attached(node: Node, path: str = "") -> dict[str, tuple[dict[str, bytes], dict[bytes, bytes]]]:
    found = {path: node.attached}
    for name, child in node.children.items():
        found.update(attached(child, f"{path}/{name}"))
    return found


def root_of(world: World) -> Node:
    return world.destination.root.children["copy"]


@pytest.mark.fault(150)
@pytest.mark.parametrize("verify", VerifyMode)
@pytest.mark.parametrize("descriptors", [SecurityDescriptors.NONE, SecurityDescriptors.OWNER_DACL])
def test_streams_and_extended_attributes_of_files_and_folders_arrive_and_a_second_run_finds_nothing_to_do(
    verify: VerifyMode, descriptors: SecurityDescriptors
) -> None:
    world = ntfs(tree())
    run = world.transfer(verify_mode=verify, security_descriptors=descriptors)
    assert (world.reasons, world.watcher.left) == ([], [])
    assert attached(root_of(world)) == attached(tree())
    assert world.copied == world.original
    assert not world.source.handles
    assert not world.destination.handles
    counters = run.tally.counters.bytes
    assert counters.transferred == counters.to_transfer
    assert world.node("small").times[2] == TIME
    second = world.transfer(verify_mode=verify, security_descriptors=descriptors)
    assert second.tally.counters.files.transferred == second.tally.counters.directories.transferred == 0
    assert (world.reasons, world.watcher.left) == ([], [])


def test_a_server_that_copies_by_itself_leaves_the_streams_to_us() -> None:
    world = OneServer(folder(big=file(BIG, time=TIME).beside({"s": LONG_STREAM}, eas=EAS)))
    world.source.personality = WindowsServer2022()
    world.transfer()
    assert world.node("big").attached == ({"s": LONG_STREAM}, EAS)


@pytest.mark.parametrize("options", [{}, {"compare_by": CompareBy.CHECKSUM}])
def test_no_final_name_has_a_part_of_a_file_with_streams(options: dict[str, object]) -> None:
    world = ntfs(tree())
    expected = attached(tree())

    def look(request: Request) -> int | None:
        del request
        for name, node in root_of(world).children.items():
            if not node.is_directory and not is_staging_name(name) and node.times[2] == TIME:
                assert node.attached == expected[f"/{name}"]
        return None

    world.destination.faults.append(look)
    world.transfer(**options)
    assert attached(root_of(world)) == expected


def test_nothing_is_asked_where_a_volume_has_none_and_no_round_trip_is_spent_on_a_file_without() -> None:
    def requests(*of: Personality | None) -> list[tuple[int, str | None]]:
        many = folder(**{f"f{n}": file(b"f") for n in range(20)})
        world = World(folder(d=many), personalities=(of[0], of[1]))
        world.transfer()
        asked = [(r.command, r.name) for side in (world.source, world.destination) for r in side.requests]
        assert len(world.copied) == 21
        return asked

    neither = requests(None, None)
    both = requests(WindowsServer2022(), WindowsServer2022())
    assert len([1 for command, _ in neither if command == Command.CREATE]) == len(
        [1 for command, _ in both if command == Command.CREATE]
    )
    assert len(neither) < len(both)
    # The streams of each file; what the folder has, and the root on both sides. The listing has the files' EaSize.
    assert len(both) - len(neither) == 20 + 2 + 2 * 2
    assert len(requests(None, WindowsServer2022())) == len(neither)


def test_a_file_in_a_folder_that_is_there_is_asked_for_its_extended_attributes() -> None:
    world = ntfs(folder(old=file(b"o", time=TIME), new=file(b"n").beside(eas=EAS)), folder(old=file(b"o", time=TIME)))
    world.transfer()
    assert world.node("new").attached == ({}, EAS)


def test_a_server_without_class_38_is_asked_file_by_file() -> None:
    world = ntfs(folder(d=folder(f=file(b"f").beside(eas=EAS))))
    world.source.personality.missing_listing_classes = frozenset({38})
    world.transfer()
    assert world.node("d\\f").attached == ({}, EAS)


@pytest.mark.fault(151)
@pytest.mark.fault(151)
@pytest.mark.parametrize("other", [Ontap(), WindowsServer2022(fat=True)])
def test_what_a_volume_cannot_hold_is_named_file_by_file_and_never_turns_into_success(other: Personality) -> None:
    world = ntfs(tree(), other=other)
    other.holds_streams = other.holds_eas = False
    other.time_grains = (1, 1, 1, 1)
    left = {
        ("/small:Zone.Identifier", "Stream"),
        ("/small:empty", "Stream"),
        ("/small", "ExtendedAttribute"),
        ("/big:AFP_AfpInfo", "Stream"),
        ("/big:AFP_Resource", "Stream"),
        ("/big", "ExtendedAttribute"),
        ("/empty:only", "Stream"),
        ("/d/f", "ExtendedAttribute"),
        ("/d:of a folder", "Stream"),
        ("/d", "ExtendedAttribute"),
        ("/:root", "Stream"),
        ("/", "ExtendedAttribute"),
    }
    failures = {
        ("/small", "StreamNotCarried"),
        ("/big", "StreamNotCarried"),
        ("/empty", "StreamNotCarried"),
        ("/d", "StreamNotCarried"),
        ("/", "StreamNotCarried"),
        ("/d/f", "ExtendedAttributeNotCarried"),
    }
    for attempt in range(3):
        world.watcher.left.clear()
        world.watcher.failures.clear()
        run = world.transfer()
        assert {(one.path, one.what) for one in world.watcher.left} == left, attempt
        assert set(world.reasons) == failures, attempt
        assert world.node("small").times[2] == mark_of(TIME)
        assert world.node("plain").times[2] == TIME
        assert run.tally.counters.files.incomplete == 4
    assert run.tally.counters.bytes.transferred == 0, "content is not copied again"
    assert world.copied == world.original
    world.watcher.failures.clear()
    world.watcher.left.clear()
    world.transfer(**IGNORE)
    assert (world.reasons, world.watcher.left) == ([], [])
    assert world.node("small").times[2] == TIME


@pytest.mark.fault(151)
def test_streams_that_found_no_place_are_mended_once_there_is_one() -> None:
    world = ntfs(tree(), other=Ontap())
    world.transfer()
    world.destination.personality.holds_streams = world.destination.personality.holds_eas = True
    world.node("small").attributes |= 0x1
    world.watcher.failures.clear()
    run = world.transfer()
    assert world.reasons == []
    assert attached(root_of(world)) == attached(tree())
    assert world.node("small").times[2] == TIME
    assert run.tally.counters.bytes.written < len(BIG), "only the streams are copied"


def test_a_stream_that_is_too_long_for_the_destination_is_named_and_the_others_arrive() -> None:
    world = ntfs(tree(), other=Samba())
    run = world.transfer()
    assert [(one.path, one.what) for one in world.watcher.left] == [("/big:AFP_Resource", "Stream")]
    assert world.reasons == [("/big", "StreamNotCarried")]
    assert "DISK_FULL" in world.watcher.left[0].reason
    assert world.node("big").attached[0]["AFP_AfpInfo"] == FINDER
    assert bytes(world.node("big").data or b"") == BIG
    assert world.node("big").times[2] == mark_of(TIME)
    assert run.tally.counters.files.incomplete == 1


def test_what_only_the_kernel_may_set_is_told_and_no_failure() -> None:
    world = ntfs(folder(f=file(b"f", time=TIME).beside(eas={b"$KERNEL.PURGE.ESBCACHE": b"1"})))
    world.transfer()
    assert world.reasons == []
    assert [(one.path, one.what) for one in world.watcher.left] == [("/f", "ExtendedAttribute")]
    assert world.node("f").times[2] == TIME


def test_hundreds_of_streams_arrive_whose_list_fits_no_compound() -> None:
    many = {f"stream {number:04}" + "x" * 40: b"%d" % number for number in range(600)}
    world = ntfs(folder(f=file(b"f").beside(many), d=folder().beside(many)))
    world.transfer()
    assert world.reasons == []
    assert world.node("f").attached[0] == world.node("d").attached[0] == many


@pytest.mark.parametrize("compare_by", CompareBy)
def test_what_changed_at_the_source_follows_where_the_options_look(compare_by: CompareBy) -> None:
    world = ntfs(tree())
    world.transfer()
    source = world.source.root.children["data"]
    source.children["small"].beside({"Zone.Identifier": b"other", "new": b"new"})
    del source.children["small"].streams["empty"], source.children["small"].eas[b"PROJECT"]
    source.children["d"].beside({"of a folder": b"2" * 3000})
    del source.streams["root"]
    source.eas.clear()
    run = world.transfer(compare_by=compare_by)
    assert (world.reasons, world.watcher.left) == ([], [])
    assert run.tally.counters.directories.transferred == 2
    expected = attached(source)
    if compare_by is CompareBy.SIZE_AND_TIME:
        expected["/small"] = attached(tree())["/small"]
    assert attached(root_of(world)) == expected


def test_point_in_time_verification_finds_a_stream_that_was_changed_behind_our_back() -> None:
    world = ntfs(tree())
    world.transfer()
    world.node("small").streams["empty"] = file(b"changed")
    del world.node("big").eas[b"OWNER"]
    world.node("plain").beside({"extra": b"1"})
    world.transfer(verify_mode=VerifyMode.POINT_IN_TIME_CONSISTENT)
    assert sorted(world.reasons) == [(f"/{name}", "MetadataMismatch") for name in ("big", "plain", "small")]
    told = {failure.path: failure.message for failure in world.watcher.failures}
    assert "'empty' has other content" in told["/small"]
    assert "'OWNER' differs" in told["/big"]
    assert "'extra' is only at the destination" in told["/plain"]


@pytest.mark.fault(153)
@pytest.mark.parametrize("content", [b"other", BIG])
def test_ignored_streams_of_the_destination_survive_the_replacement_of_their_file(content: bytes) -> None:
    there = folder(f=file(b"old").beside({"theirs": b"tagged"}, eas={b"THEIRS": b"1"}))
    world = ntfs(folder(f=file(content, time=TIME).beside({"ours": b"1"}, eas=EAS)), there)
    world.transfer(**IGNORE)
    assert world.reasons == []
    assert bytes(world.node("f").data or b"") == content
    assert world.node("f").attached == ({"theirs": b"tagged"}, {b"THEIRS": b"1"})


@pytest.mark.fault(153)
def test_copied_streams_replace_those_of_the_destination() -> None:
    there = folder(f=file(b"old").beside({"theirs": b"tagged", "same": b"old"}, eas={b"THEIRS": b"1"}))
    world = ntfs(folder(f=file(b"other", time=TIME).beside({"same": b"1"}, eas=EAS)), there)
    world.transfer()
    assert world.node("f").attached == ({"same": b"1"}, EAS)


def test_a_file_is_not_replaced_whose_own_streams_cannot_be_kept() -> None:
    there = folder(f=file(b"old", time=TIME - 1).beside({"theirs": b"tagged"}))
    world = ntfs(folder(f=file(b"other", time=TIME)), there)
    world.destination.faults.append(
        lambda request: NtStatus.DISK_FULL if request.command == Command.WRITE and b"tagged" in request.body else None
    )
    world.transfer(**IGNORE)
    assert world.reasons == [("/f", "FileFailed")]
    assert (bytes(world.node("f").data or b""), world.node("f").attached[0]) == (b"old", {"theirs": b"tagged"})
    assert list(world.copied) == ["/f"]


def test_a_source_without_streams_leaves_those_of_folders_alone() -> None:
    there = folder(d=folder().beside({"theirs": b"1"}, eas=EAS))
    world = World(folder(d=folder()), there, personalities=(Ontap(), WindowsServer2022()))
    world.transfer(deleted_files=DeletedFiles.REMOVE, verify_mode=VerifyMode.POINT_IN_TIME_CONSISTENT)
    assert world.reasons == []
    assert world.node("d").attached == ({"theirs": b"1"}, EAS)


def test_a_stream_that_somebody_holds_at_the_source_fails_its_file() -> None:
    world = ntfs(folder(f=file(b"f", time=TIME).beside({"s": b"1"})))
    world.source.faults.append(refuse(Command.CREATE, NtStatus.SHARING_VIOLATION, name=":s:"))
    world.transfer()
    assert world.reasons == [("/f", "SharingViolation")]
    assert world.copied == {}


@pytest.mark.parametrize("times", [1, 1_000])
def test_a_stream_that_vanishes_is_a_source_that_changed(times: int) -> None:
    world = ntfs(folder(f=file(b"f", time=TIME).beside({"s": b"1"})))
    world.source.faults.append(refuse(Command.CREATE, NtStatus.OBJECT_NAME_NOT_FOUND, name=":s:", times=times))
    world.transfer()
    assert world.reasons == ([] if times == 1 else [("/f", "SourceChanged")])
    assert world.copied == ({"/f": b"f"} if times == 1 else {})


@pytest.mark.parametrize("content", [b"stream", LONG_STREAM])
def test_a_stream_that_reads_back_otherwise_is_not_kept(content: bytes) -> None:
    world = ntfs(folder(f=file(b"f", time=TIME).beside({"s": content})))

    def flip(request: Request) -> int | None:
        if request.command == Command.READ and request.node is not None and bytes(request.node.data or b"") == content:
            assert request.node.data is not None
            request.node.data[0] ^= 1
        return None

    world.destination.faults.append(flip)
    world.transfer()
    assert world.reasons == [("/f", "HashMismatch")]
    assert world.copied == {}


def test_an_account_that_may_not_read_extended_attributes_says_so_once_in_each_run() -> None:
    world = ntfs(tree())

    def refused(request: Request) -> int | None:
        may = request.command != Command.CREATE or not struct.unpack_from("<I", request.body, 24)[0] & 0x8
        return None if may else NtStatus.ACCESS_DENIED

    world.source.faults.append(refused)
    run = world.transfer()
    assert world.reasons == [("/", "ExtendedAttributeNotCarried")]
    assert world.copied == world.original
    assert run.tally.counters.directories.incomplete == 1


def test_a_dry_run_writes_no_stream() -> None:
    world = ntfs(tree(), folder(d=folder()))
    run = world.transfer(dry_run=True)
    assert not [r for r in world.destination.requests if r.command in {Command.WRITE, Command.SET_INFO}]
    assert run.tally.counters.directories.to_transfer == 2


def test_never_overwritten_files_are_copied_with_their_streams_at_once() -> None:
    world = ntfs(tree())
    world.transfer(overwrite_mode=OverwriteMode.NEVER)
    assert attached(root_of(world)) == attached(tree())


def test_an_extended_attribute_that_reads_back_otherwise_is_named() -> None:
    class Forgetful(WindowsServer2022):
        def judge_ea(self, name: bytes, value: bytes) -> int:
            return 0

    world = ntfs(folder(f=file(b"f", time=TIME).beside(eas=EAS)), other=Forgetful())

    def forget(request: Request) -> int | None:
        if request.command == Command.QUERY_INFO and request.node is not None and b"OWNER" in request.node.eas:
            request.node.eas[b"OWNER"] = (0, b"else")
        return None

    world.destination.faults.append(forget)
    world.transfer()
    assert world.reasons == [("/f", "ExtendedAttributeNotCarried")]
    assert "OWNER: the server stored another value" in world.watcher.left[0].reason


def test_lists_are_laid_out_as_the_specification_says() -> None:
    assert stream_list([(":a:$DATA", 5)]) == struct.pack("<IIQQ", 0, 16, 5, 5) + ":a:$DATA".encode("utf-16-le")
    assert ea_list([(0, b"A", b"xy")]) == struct.pack("<IBBH", 0, 0, 1, 2) + b"A\0xy"
