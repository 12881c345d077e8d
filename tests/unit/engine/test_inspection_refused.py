"""`compareBy: Metadata` where a server or an account refuses, changes or garbles something: one file's failure."""

from __future__ import annotations

import pytest
from lab.fake_server import Request, descriptor
from lab.fake_server.world import refuse
from tests.unit.engine.test_inspection import (
    DACL,
    METADATA,
    READ,
    SYSTEM_SECURITY,
    WRITE,
    WRITE_DAC,
    at_source,
    forget,
    list_of,
    refuse_rights,
    requested,
    secured,
    synced,
)

from smbferry_engine.errors import FileReason
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.status import NtStatus
from smbferry_words.options import SecurityDescriptors

REFUSALS = {
    "set": ("destination", WRITE_DAC, FileReason.SECURITY_NOT_PERMITTED),
    "read at the destination": ("destination", 0x20000, FileReason.ACCESS_DENIED),
    "read at the source": ("source", 0x20000, FileReason.ACCESS_DENIED),
}


@pytest.mark.parametrize(("side", "rights", "reason"), REFUSALS.values(), ids=REFUSALS)
def test_a_missing_right_fails_the_one_file_and_leaves_it_as_it_was(side: str, rights: int, reason: str) -> None:
    world = synced()
    before = world.node("a").descriptor("")
    secured(at_source(world, "a"), entries=(WRITE,))
    secured(at_source(world, "b"), entries=(WRITE,))
    getattr(world, side).faults.append(refuse_rights(rights))
    for _ in range(2):
        forget(world)
        world.transfer(**METADATA)
        assert world.reasons == [("/a", reason)]
    assert world.node("a").descriptor("") == before
    assert list_of(world.node("b")) == list_of(at_source(world, "b"))


def test_a_server_that_changes_what_was_set_is_found_by_reading_it_back() -> None:
    world = synced()
    secured(at_source(world, "a"), entries=(WRITE, READ))

    def drop(request: Request) -> None:
        if request.command == Command.QUERY_INFO and request.node is world.node("a") and 4 in request.node.security:
            secured(world.node("a"))

    world.destination.faults.append(drop)
    for _ in range(2):
        forget(world)
        world.transfer(**METADATA)
        assert world.reasons == [("/a", "MetadataMismatch")]
        assert "(dacl)" in world.watcher.failures[0].message


def test_a_server_that_does_not_store_how_a_list_came_about_is_no_failure() -> None:
    world = synced()
    node = at_source(world, "a")
    node.security = {7: descriptor("ann", entries=(READ, WRITE), control=0x8404)}

    def forget_inheritance(request: Request) -> None:
        if request.command == Command.QUERY_INFO and request.node is world.node("a"):
            request.node.security = {
                parts: data[:2] + b"\x04\x80" + data[4:] if parts & DACL else data
                for parts, data in request.node.security.items()
            }

    world.destination.faults.append(forget_inheritance)
    for _ in range(2):
        assert world.transfer(**METADATA).tally.counters.files.transferred == 1
        assert world.watcher.failures == []


def test_an_audit_list_that_may_not_be_read_is_told_for_every_file() -> None:
    world = synced()
    world.destination.faults.append(
        lambda r: (
            NtStatus.PRIVILEGE_NOT_HELD if r.command == Command.CREATE and requested(r) & SYSTEM_SECURITY else None
        )
    )
    everything = {**METADATA, "security_descriptors": SecurityDescriptors.OWNER_DACL_SACL}
    counters = world.transfer(**everything).tally.counters
    assert {path for path, _ in world.reasons} == {"/", "/a", "/b", "/d", "/d/c"}
    assert {reason for _, reason in world.reasons} == {"SecurityNotPermitted"}
    assert (counters.files.skipped, counters.files.incomplete) == (0, 3)


@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_malformed_descriptor_fails_its_file_alone(side: str) -> None:
    world = synced()
    node = at_source(world, "a") if side == "source" else world.node("a")
    node.descriptor = lambda path: b"\2" + descriptor(path)[1:]  # type: ignore[method-assign]
    counters = world.transfer(**METADATA).tally.counters
    assert world.reasons == [("/a", "FileFailed")]
    assert counters.files.skipped == 2


def test_a_file_that_vanishes_before_it_is_inspected_fails_alone() -> None:
    world = synced()
    world.source.faults.append(refuse(Command.CREATE, NtStatus.OBJECT_NAME_NOT_FOUND, name="data\\a"))
    counters = world.transfer(**METADATA).tally.counters
    assert world.reasons == [("/a", "FileVanished")]
    assert counters.files.skipped == 2
