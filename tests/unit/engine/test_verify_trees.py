"""PointInTimeConsistent: both whole trees compared when everything has been copied, metadata too where it is copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lab.fake_server import descriptor, file, folder
from lab.fake_server.world import BIG, World, refuse

from smbferry_engine.wire.header import Command
from smbferry_engine.wire.status import NtStatus
from smbferry_words.options import CompareBy, OverwriteMode, Preservation, SecurityDescriptors, VerifyMode

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.fake_server import Node

POINT_IN_TIME = VerifyMode.POINT_IN_TIME_CONSISTENT
OWNER_DACL = SecurityDescriptors.OWNER_DACL


def tree() -> Node:
    return folder(a=file(b"alpha"), big=file(BIG), d=folder(b=file(b"beta")))


def test_a_fresh_copy_agrees_in_content_and_metadata() -> None:
    world = World(tree())
    run = world.transfer(verify_mode=POINT_IN_TIME, security_descriptors=OWNER_DACL)
    assert world.watcher.failures == []
    assert (run.tally.counters.files.verified, run.tally.counters.directories.verified) == (3, 2)
    assert not world.source.handles
    assert not world.destination.handles


def behind_our_back(path: str, change: Callable[[Node], None], **options: object) -> World:
    """Copy, change something at the destination that no listing need show, and verify both trees."""
    world = World(tree())
    world.transfer(security_descriptors=OWNER_DACL)
    node = world.node(path)
    change(node)
    world.watcher.failures.clear()
    world.transfer(**{"verify_mode": POINT_IN_TIME, "security_descriptors": OWNER_DACL, **options})
    return world


def other_content(node: Node) -> None:
    assert node.data is not None
    node.data[0] ^= 1


def other_owner(node: Node) -> None:
    node.security = {3: descriptor("somebody else")}


def other_birth(node: Node) -> None:
    node.times[0] = 7_000_000_000


@pytest.mark.parametrize(
    ("path", "change", "reason"),
    [
        ("a", other_content, "HashMismatch"),
        ("big", other_content, "HashMismatch"),
        ("a", other_owner, "MetadataMismatch"),
        ("big", other_owner, "MetadataMismatch"),
        ("d\\b", other_owner, "MetadataMismatch"),
        ("a", other_birth, "MetadataMismatch"),
        ("d", other_birth, "MetadataMismatch"),
    ],
)
def test_what_was_changed_behind_our_back_is_a_failure_of_that_file(
    path: str, change: Callable[[Node], None], reason: str
) -> None:
    world = behind_our_back(path, change)
    assert world.reasons == [("/" + path.replace("\\", "/"), reason)]
    assert world.watcher.failures[0].phase == "Verify"
    assert world.run is not None
    kind = world.run.tally.counters.directories if path == "d" else world.run.tally.counters.files
    assert kind.failed == 1


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (other_owner, {"security_descriptors": SecurityDescriptors.NONE}),
        (other_birth, {"timestamps": Preservation.NONE}),
        (lambda node: setattr(node, "attributes", 0x22), {"attributes": Preservation.NONE}),
        (other_content, {"verify_mode": VerifyMode.ONLY_FILES_TRANSFERRED}),
        (other_owner, {"verify_mode": VerifyMode.NONE}),
    ],
)
def test_what_is_not_copied_or_not_to_be_verified_is_not_compared(
    change: Callable[[Node], None], options: dict[str, object]
) -> None:
    assert behind_our_back("a", change, **options).reasons == []


def test_a_folder_that_only_leads_to_what_is_included_keeps_its_own_metadata() -> None:
    world = World(folder(p=folder(q=folder(f=file(b"f")))), folder(p=folder()))
    world.transfer(include=("/p/q",), verify_mode=POINT_IN_TIME, security_descriptors=OWNER_DACL)
    assert world.reasons == []


def test_what_the_options_left_different_is_said() -> None:
    world = World(folder(f=file(b"new"), g=folder()), folder(f=file(b"old", time=1), G=folder(), more=file(b"")))
    world.transfer(overwrite_mode=OverwriteMode.NEVER, verify_mode=POINT_IN_TIME)
    assert sorted(world.reasons) == [("/f", "HashMismatch"), ("/g", "MetadataMismatch")]


def test_what_one_side_lacks_or_has_of_another_kind_is_said() -> None:
    world = World(folder(lost=file(b"x"), kind=file(b"y"), ok=file(b"z")), folder(kind=folder()))
    world.source.faults.append(refuse(Command.READ, NtStatus.ACCESS_DENIED, times=1))
    run = world.transfer(verify_mode=POINT_IN_TIME)
    told = {(failure.path, failure.reason) for failure in world.watcher.failures if failure.phase == "Verify"}
    assert told == {("/lost", "HashMismatch"), ("/kind", "TypeConflict")}
    assert run.tally.counters.files.verified == 1


def test_a_file_or_folder_that_can_not_be_read_for_the_comparison_is_told_with_the_servers_words() -> None:
    world = World(folder(f=file(b"x"), d=folder()))
    world.transfer()
    world.destination.faults.append(refuse(Command.CREATE, NtStatus.ACCESS_DENIED, name="copy\\f"))
    world.source.faults.append(refuse(Command.QUERY_INFO, NtStatus.ACCESS_DENIED))
    world.watcher.failures.clear()
    world.transfer(verify_mode=POINT_IN_TIME, security_descriptors=OWNER_DACL)
    assert {failure.path for failure in world.watcher.failures} == {"/", "/f", "/d"}
    assert {failure.reason for failure in world.watcher.failures} == {"AccessDenied"}


def test_a_connection_that_is_lost_while_trees_are_compared_is_made_again() -> None:
    world = World(tree())
    world.transfer()
    asked = []

    def cut(request: object) -> None:
        asked.append(request)
        if len(asked) == 12:
            world.links[1].lose = True

    world.destination.faults.append(cut)
    run = world.transfer(verify_mode=POINT_IN_TIME)
    assert world.restored == 1
    assert world.watcher.failures == []
    assert (run.tally.counters.files.verified, run.tally.counters.directories.verified) == (3, 2)


@pytest.mark.parametrize("path", ["a", "big", "d", "d\\b"])
def test_compared_by_checksum_a_descriptor_that_differs_is_mended_and_no_content_is_sent(path: str) -> None:
    checksum = {"compare_by": CompareBy.CHECKSUM, "security_descriptors": OWNER_DACL}
    world = World(tree())
    world.transfer(security_descriptors=OWNER_DACL)
    other_owner(world.node(path))
    planned = world.transfer(dry_run=True, **checksum).tally.counters
    assert list(world.node(path).security) == [3]
    counters = world.transfer(**checksum).tally.counters
    kinds = (counters.files, counters.directories)
    assert [kind.transferred for kind in kinds] == ([0, 1] if path == "d" else [1, 0])
    assert [kind.to_transfer for kind in kinds] == [planned.files.to_transfer, planned.directories.to_transfer]
    assert counters.bytes.written == 0
    assert world.watcher.failures == []
    assert world.node(path).security[4] == descriptor(f"data\\{path}")
    assert world.transfer(verify_mode=POINT_IN_TIME, **checksum).tally.counters.files.transferred == 0
    assert world.watcher.failures == []


def test_compared_by_checksum_a_descriptor_that_may_not_be_set_is_told() -> None:
    world = World(tree())
    world.transfer(security_descriptors=OWNER_DACL)
    other_owner(world.node("a"))
    world.destination.faults.append(refuse(Command.SET_INFO, NtStatus.INVALID_OWNER))
    world.watcher.failures.clear()
    world.transfer(compare_by=CompareBy.CHECKSUM, security_descriptors=OWNER_DACL)
    assert [path for path, _ in world.reasons] == ["/a"]
