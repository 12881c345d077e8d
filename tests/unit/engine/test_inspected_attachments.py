"""`compareBy: Metadata`: changed streams and extended attributes are corrected in place; other content is not read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lab.fake_server import CHUNK, Node, Request, drive, file, folder
from lab.fake_server.windows_server_2022 import WindowsServer2022
from lab.fake_server.world import World

from smbferry_engine.plan.mark import mark_of
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.status import NtStatus
from smbferry_words.options import CompareBy, ExtendedAttributes, OverwriteMode, SecurityDescriptors, Streams

if TYPE_CHECKING:
    from collections.abc import Callable

TIME = 133_000_000_000_000_000
EAS = {b"PROJECT": b"blue"}
LONG = bytes(range(251)) * (3 * CHUNK // 251)
METADATA = {"compare_by": CompareBy.METADATA}
IGNORE = {"streams": Streams.IGNORE, "extended_attributes": ExtendedAttributes.IGNORE}


def synced(attributes: int = 0x20) -> World:
    tree = folder(
        f=file(b"content", time=TIME, attributes=attributes).beside({"kept": b"kept", "old": b"old"}, eas=EAS),
        plain=file(b"plain", time=TIME),
    )
    world = World(tree, personalities=(WindowsServer2022(), WindowsServer2022()))
    world.transfer()
    assert world.reasons == []
    forget(world)
    return world


def forget(world: World) -> None:
    world.watcher.failures.clear()
    for server in (world.source, world.destination):
        server.requests.clear()


def at_source(world: World, path: str = "f") -> Node:
    found = world.source.find(f"data\\{path}")
    assert found is not None
    return found


def requests(world: World, *which: Command) -> list[Request]:
    return [r for side in (world.source, world.destination) for r in side.requests if r.command in which]


def content_moved(world: World) -> bool:
    files = (at_source(world), world.node("f"))
    return any(r.node is node for r in requests(world, Command.READ, Command.WRITE) for node in files)


def bare(node: Node) -> None:
    node.streams.clear()
    node.eas.clear()


CHANGES: dict[str, Callable[[Node], object]] = {
    "another value": lambda node: node.beside(eas={b"PROJECT": b"red"}),
    "one more attribute": lambda node: node.beside(eas={b"OWNER": b"ann"}),
    "one attribute less": lambda node: node.eas.pop(b"PROJECT"),
    "a longer stream": lambda node: node.beside({"kept": b"kept, and more"}),
    "a stream of several ranges": lambda node: node.beside({"new": LONG}),
    "an empty stream": lambda node: node.beside({"new": b""}),
    "a stream less": lambda node: node.streams.pop("old"),
    "nothing left": bare,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("attributes", [0x20, 0x21], ids=["plain", "read-only"])
@pytest.mark.parametrize("descriptors", [SecurityDescriptors.NONE, SecurityDescriptors.OWNER_DACL])
def test_what_changed_beside_the_content_follows_in_place(
    change: Callable[[Node], object], attributes: int, descriptors: SecurityDescriptors
) -> None:
    world = synced(attributes)
    options = {**METADATA, "security_descriptors": descriptors}
    world.transfer(**options)
    forget(world)
    there = world.node("f")
    change(at_source(world))
    counters = world.transfer(**options).tally.counters
    assert (world.reasons, world.watcher.left) == ([], [])
    assert world.node("f") is there
    assert there.attached == at_source(world).attached
    assert (there.times[2], there.attributes) == (TIME, attributes)
    assert (counters.files.to_transfer, counters.files.transferred, counters.files.skipped) == (1, 1, 1)
    assert not content_moved(world)
    assert counters.bytes.transferred == counters.bytes.to_transfer

    forget(world)
    counters = world.transfer(**options).tally.counters
    assert (counters.files.to_transfer, counters.files.skipped) == (0, 2)
    assert requests(world, Command.READ, Command.WRITE, Command.SET_INFO) == []


@pytest.mark.fault(156)
@pytest.mark.parametrize("compare_by", CompareBy)
@pytest.mark.parametrize("command", [Command.WRITE, Command.SET_INFO])
@pytest.mark.parametrize("after", range(6))
def test_a_file_is_never_taken_for_complete_that_is_not(compare_by: CompareBy, command: Command, after: int) -> None:
    world = synced()
    at_source(world).beside({"new": LONG}, eas={b"PROJECT": b"red"})
    left = [after]

    def look(request: Request) -> int | None:
        node = world.node("f")
        assert node.times[2] != TIME or node.attached in (before, at_source(world).attached)
        left[0] -= request.command == command
        return NtStatus.ACCESS_DENIED if request.command == command and left[0] < 0 else None

    before = world.node("f").attached
    world.destination.faults.append(look)
    world.transfer(**METADATA)
    assert world.reasons or world.node("f").attached == at_source(world).attached
    world.destination.faults.clear()
    world.watcher.failures.clear()
    world.transfer(compare_by=compare_by)
    if world.node("f").times[2] == TIME and compare_by is CompareBy.SIZE_AND_TIME:
        assert world.node("f").attached in (before, at_source(world).attached)
    else:
        assert (world.reasons, world.node("f").attached) == ([], at_source(world).attached)


def test_a_file_with_another_name_elsewhere_is_replaced_and_the_other_name_keeps_its_streams() -> None:
    world = synced()
    linked = world.node("f")
    world.destination.root.children["elsewhere"] = linked
    linked.links, before = 2, linked.attached
    at_source(world).beside({"new": b"new"})
    counters = world.transfer(**METADATA).tally.counters
    assert world.reasons == []
    assert (linked.attached, linked.times[2]) == (before, TIME)
    assert world.node("f") is not linked
    assert world.node("f").attached == at_source(world).attached
    assert (counters.files.to_transfer, counters.files.transferred) == (1, 1)


def test_a_dry_run_counts_the_file_and_changes_nothing() -> None:
    world = synced()
    at_source(world).beside({"new": b"new"})
    counters = world.transfer(dry_run=True, **METADATA).tally.counters
    assert (counters.files.to_transfer, counters.files.transferred, counters.files.skipped) == (1, 0, 1)
    assert requests(world, Command.SET_INFO, Command.WRITE) == []


def test_nothing_changes_while_nobody_permits_it() -> None:
    world = synced()
    at_source(world).beside({"new": b"new"})
    run = world.prepare(**METADATA)
    asked = [0]

    def may_replace() -> bool:
        asked[0] += 1
        assert requests(world, Command.SET_INFO, Command.WRITE) == []
        return asked[0] > 3

    run.policy.may_replace = may_replace
    drive(world.scheduler, world.execution(), *world.links)
    assert asked[0] == 4
    assert world.node("f").attached == at_source(world).attached


@pytest.mark.parametrize("options", [IGNORE, {"overwrite_mode": OverwriteMode.NEVER}], ids=["ignored", "Never"])
def test_nothing_is_asked_that_the_options_leave_alone(options: dict[str, object]) -> None:
    world = synced()
    at_source(world).beside({"new": b"new"}, eas={b"PROJECT": b"red"})
    before = world.node("f").attached
    counters = world.transfer(**METADATA, **options).tally.counters
    assert counters.files.skipped == 2
    assert not {"data\\f", "copy\\f"} & {request.name for request in requests(world, Command.CREATE)}
    assert world.node("f").attached == before


def test_only_the_kind_that_is_copied_is_compared() -> None:
    world = synced()
    at_source(world).beside({"new": b"new"}, eas={b"PROJECT": b"red"})
    world.transfer(**METADATA, streams=Streams.IGNORE)
    assert world.node("f").attached == ({"kept": b"kept", "old": b"old"}, {b"PROJECT": b"red"})


def test_lists_that_are_too_long_for_a_compound_are_compared_as_well() -> None:
    many = {f"stream {number:04}" + "x" * 40: b"%d" % number for number in range(600)}
    world = World(
        folder(f=file(b"f", time=TIME).beside(many)), personalities=(WindowsServer2022(), WindowsServer2022())
    )
    world.transfer()
    assert world.transfer(**METADATA).tally.counters.files.skipped == 1
    at_source(world).beside({"one more": b"1"})
    world.transfer(**METADATA)
    assert world.reasons == []
    assert world.node("f").attached == at_source(world).attached


def test_an_attribute_that_cannot_be_copied_any_more_is_told_by_every_run() -> None:
    world = synced()
    at_source(world).beside(eas={b"EMPTY": b""})
    for _ in range(2):
        world.watcher.failures.clear()
        world.transfer(**METADATA)
        assert world.reasons == [("/f", "ExtendedAttributeNotCarried")]
        assert world.node("f").times[2] == mark_of(TIME)
