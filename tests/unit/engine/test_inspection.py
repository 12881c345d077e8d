"""`compareBy: Metadata`: a changed owner, access list or attribute is corrected in place, and no content is read."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from lab.fake_server import Node, Request, descriptor, drive, file, folder
from lab.fake_server.world import World

from smbferry_engine.plan.mark import mark_of
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.security import decode_security_descriptor
from smbferry_engine.wire.status import NtStatus
from smbferry_words.options import CompareBy, OverwriteMode, Preservation, SecurityDescriptors

if TYPE_CHECKING:
    from collections.abc import Callable

READ = bytes.fromhex("0000 1400 a900 1200 0101 0000 0000 0001 0000 0000")
WRITE = bytes.fromhex("0000 1400 ff01 1f00 0101 0000 0000 0001 0000 0000")
AUDIT = bytes.fromhex("0240 1400 ff01 1f00 0101 0000 0000 0001 0000 0000")
TIME = 133_000_000_000_000_000
OWNER, GROUP, DACL, SACL = 1, 2, 4, 8
WRITE_DAC, WRITE_OWNER, SYSTEM_SECURITY, WRITE_ATTRIBUTES = 0x40000, 0x80000, 0x1000000, 0x100
METADATA = {"compare_by": CompareBy.METADATA, "security_descriptors": SecurityDescriptors.OWNER_DACL}
FILES = ("a", "b", "d\\c")


def secured(node: Node, who: str = "ann", entries: tuple[bytes, ...] = (READ,)) -> Node:
    node.security = {7: descriptor(who, entries=entries, control=0x9004)}
    return node


def synced(**options: object) -> World:
    """Two trees that are the same."""
    tree = secured(
        folder(
            a=secured(file(b"aa", time=TIME)),
            b=secured(file(b"bbb", time=TIME)),
            d=secured(folder(c=secured(file(b"c" * 900_000, time=TIME)))),
        )
    )
    world = World(tree)
    world.destination.clock = TIME
    world.transfer(**{**METADATA, **options})
    forget(world)
    return world


def forget(world: World) -> None:
    world.watcher.failures.clear()
    world.watcher.records.clear()
    for server in (world.source, world.destination):
        server.requests.clear()


def at_source(world: World, path: str) -> Node:
    found = world.source.find(f"data\\{path}")
    assert found is not None
    return found


def same(world: World) -> bool:
    return all(
        decode_security_descriptor(at_source(world, path).descriptor("x"))
        == decode_security_descriptor(world.node(path).descriptor("y"))
        for path in FILES
    )


def commands(world: World, *which: Command) -> list[Request]:
    return [r for server in (world.source, world.destination) for r in server.requests if r.command in which]


def requested(request: Request) -> int:
    return int.from_bytes(request.body[24:28], "little")


def set_parts(world: World) -> list[int]:
    """Parts of descriptors that were set, in order."""
    sets = [r for r in world.destination.requests if r.command == Command.SET_INFO and r.body[2] == 3]
    return [struct.unpack_from("<I", request.body, 12)[0] for request in sets]


CHANGES: dict[str, tuple[Callable[[Node], object], list[int], int]] = {
    "access list": (lambda node: secured(node, entries=(READ, WRITE)), [DACL], WRITE_DAC),
    "owner and group": (lambda node: secured(node, "bob"), [OWNER | GROUP], WRITE_OWNER | WRITE_ATTRIBUTES),
    "both": (lambda node: secured(node, "bob", (WRITE,)), [DACL, OWNER | GROUP],
             WRITE_DAC | WRITE_OWNER | WRITE_ATTRIBUTES),
}  # fmt: skip


@pytest.mark.parametrize(("change", "parts", "access"), CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("path", FILES)
def test_what_changed_of_a_descriptor_is_set_in_place_and_nothing_else(
    path: str, change: Callable[[Node], object], parts: list[int], access: int
) -> None:
    world = synced()
    node = world.node(path)
    change(at_source(world, path))
    counters = world.transfer(**METADATA).tally.counters
    assert world.watcher.failures == []
    assert same(world)
    assert world.node(path) is node
    assert (counters.files.to_transfer, counters.files.transferred, counters.files.skipped) == (1, 1, 2)
    assert (counters.bytes.transferred, counters.bytes.written) == (0, 0)
    assert commands(world, Command.READ, Command.WRITE) == []
    assert set_parts(world) == parts
    opened = [
        requested(r) for r in world.destination.requests if r.command == Command.CREATE and r.name == f"copy\\{path}"
    ]
    assert [rights & (WRITE_DAC | WRITE_OWNER | WRITE_ATTRIBUTES | SYSTEM_SECURITY) for rights in opened] == [0, access]
    assert node.times[2] == TIME

    forget(world)
    counters = world.transfer(**METADATA).tally.counters
    assert (counters.files.to_transfer, counters.files.skipped) == (0, 3)
    assert commands(world, Command.SET_INFO) == []


def test_an_unchanged_tree_takes_one_compound_for_each_file_and_side() -> None:
    world = synced()
    counters = world.transfer(**METADATA).tally.counters
    assert (counters.files.listed, counters.files.listed_destination, counters.files.skipped) == (3, 3, 3)
    for server, root in ((world.source, "data"), (world.destination, "copy")):
        for path in FILES:
            assert [
                r.command for r in server.requests if r.command == Command.CREATE and r.name == f"{root}\\{path}"
            ] == [Command.CREATE]
    assert {record.action for record in world.watcher.records if record.kind == "File"} == {"Skipped"}


@pytest.mark.parametrize(
    "options",
    [
        {**METADATA, "compare_by": CompareBy.SIZE_AND_TIME},
        {**METADATA, "security_descriptors": SecurityDescriptors.NONE},
        {**METADATA, "overwrite_mode": OverwriteMode.NEVER},
    ],
    ids=["SizeAndTime", "no descriptors", "never overwrite"],
)
def test_descriptors_of_files_are_not_read_unless_asked_for(options: dict[str, object]) -> None:
    world = synced()
    secured(at_source(world, "a"), "bob")
    counters = world.transfer(**options).tally.counters
    assert counters.files.skipped == 3
    assert [r for r in commands(world, Command.CREATE) if (r.name or "").endswith("\\a")] == []


@pytest.mark.parametrize(
    "options",
    [{"include": ("/a", "/b", "/d")}, {"timestamps": Preservation.NONE}, {"attributes": Preservation.NONE}],
    ids=lambda options: next(iter(options)),
)
def test_each_file_is_inspected_whatever_else_the_options_ask_for(options: dict[str, object]) -> None:
    world = synced(**options)
    secured(at_source(world, "d\\c"), "bob")
    counters = world.transfer(**METADATA, **options).tally.counters
    assert world.watcher.failures == []
    assert same(world)
    assert (counters.files.transferred, counters.files.skipped, counters.bytes.transferred) == (1, 2, 0)


@pytest.mark.parametrize("descriptor_too", [False, True], ids=["attribute", "attribute and access list"])
def test_a_changed_attribute_is_corrected_together_with_the_descriptor(*, descriptor_too: bool) -> None:
    world = synced()
    at_source(world, "a").attributes = 0x22
    if descriptor_too:
        secured(at_source(world, "a"), entries=(WRITE,))
    counters = world.transfer(**METADATA).tally.counters
    assert world.watcher.failures == []
    assert (world.node("a").attributes, world.node("a").times[2]) == (0x22, TIME)
    assert same(world)
    assert set_parts(world) == ([DACL] if descriptor_too else [])
    assert (counters.files.transferred, counters.bytes.transferred) == (1, 0)


def test_an_audit_list_is_compared_only_where_it_is_copied() -> None:
    everything = {**METADATA, "security_descriptors": SecurityDescriptors.OWNER_DACL_SACL}
    world = synced(**everything)
    at_source(world, "a").security[SACL] = audited()
    assert world.transfer(**METADATA).tally.counters.files.transferred == 0
    forget(world)
    counters = world.transfer(**everything).tally.counters
    assert world.watcher.failures == []
    assert (counters.files.transferred, set_parts(world)) == (1, [SACL])
    assert same(world)
    assert world.transfer(**everything).tally.counters.files.transferred == 0


def audited() -> bytes:
    acl = struct.pack("<BBHHH", 2, 0, 8 + len(AUDIT), 1, 0) + AUDIT
    return struct.pack("<BBHIIII", 1, 0, 0x8010, 0, 0, 20, 0) + acl


def test_a_changed_file_is_copied_as_ever_and_has_its_descriptor() -> None:
    world = synced()
    at_source(world, "a").data = bytearray(b"longer")
    secured(at_source(world, "a"), "bob")
    counters = world.transfer(**METADATA).tally.counters
    assert world.watcher.failures == []
    assert world.copied == world.original
    assert same(world)
    assert counters.files.transferred == 1


def test_a_dry_run_counts_what_would_be_corrected_and_changes_nothing() -> None:
    world = synced()
    secured(at_source(world, "a"), "bob")
    counters = world.transfer(dry_run=True, **METADATA).tally.counters
    assert (counters.files.to_transfer, counters.files.transferred, counters.files.skipped) == (1, 0, 2)
    assert commands(world, Command.SET_INFO, Command.WRITE) == []
    assert not same(world)


def test_a_file_that_others_hold_open_is_corrected() -> None:
    world = synced()
    secured(at_source(world, "a"), entries=(WRITE,))
    world.source.hold("data\\a", access=3)
    world.destination.hold("copy\\a", access=3)
    world.transfer(**METADATA)
    assert world.watcher.failures == []
    assert same(world)


@pytest.mark.parametrize("attributes", [0x20, 0x21], ids=["plain", "read-only"])
@pytest.mark.parametrize("options", [{}, {"include": ("/a",)}], ids=["whole tree", "filtered"])
def test_a_file_with_another_name_elsewhere_is_replaced_and_the_other_name_keeps_its_descriptor(
    options: dict[str, object], attributes: int
) -> None:
    world = synced()
    for node in (at_source(world, "a"), world.node("a")):
        node.attributes = attributes
    linked = world.node("a")
    world.destination.root.children["elsewhere"] = linked
    linked.links, before = 2, linked.descriptor("")
    secured(at_source(world, "a"), "bob", (WRITE,))
    counters = world.transfer(**METADATA, **options).tally.counters
    assert world.watcher.failures == []
    assert world.destination.root.children["elsewhere"] is linked
    assert linked.descriptor("") == before
    assert world.node("a") is not linked
    assert same(world)
    assert (counters.files.to_transfer, counters.files.transferred) == (1, 1)
    assert counters.bytes.to_transfer == counters.bytes.transferred == 2
    forget(world)
    assert world.transfer(**METADATA, **options).tally.counters.files.transferred == 0


def test_nothing_is_corrected_while_nobody_permits_it() -> None:
    world = synced()
    secured(at_source(world, "a"), entries=(WRITE,))
    run = world.prepare(**METADATA)
    asked = [0]

    def may_replace() -> bool:
        asked[0] += 1
        assert set_parts(world) == []
        return asked[0] > 3

    run.policy.may_replace = may_replace
    drive(world.scheduler, world.execution(), *world.links)
    assert (asked[0], set_parts(world)) == (4, [DACL])


def no_owner(request: Request) -> int | None:
    is_owner = request.command == Command.SET_INFO and request.body[2] == 3 and request.body[12] == OWNER | GROUP
    return NtStatus.INVALID_OWNER if is_owner else None


def test_an_owner_that_may_not_be_set_is_told_by_every_run_until_it_is_set() -> None:
    world = synced()
    secured(at_source(world, "a"), "bob", (WRITE,))
    world.destination.faults.append(no_owner)
    for number in range(3):
        forget(world)
        counters = world.transfer(**METADATA).tally.counters
        assert world.reasons == [("/a", "OwnerNotPermitted")]
        assert (counters.files.incomplete, counters.files.transferred) == (1, 0 if number else 1)
        assert world.node("a").times[2] == mark_of(TIME)
        assert decode_security_descriptor(world.node("a").descriptor("")).dacl == list_of(at_source(world, "a"))
    world.destination.faults.clear()
    forget(world)
    world.transfer(**METADATA)
    assert world.watcher.failures == []
    assert same(world)
    assert world.node("a").times[2] == TIME


def list_of(node: Node) -> object:
    return decode_security_descriptor(node.descriptor("")).dacl


def refuse_rights(rights: int) -> Callable[[Request], int | None]:
    def fault(request: Request) -> int | None:
        is_file = request.command == Command.CREATE and (request.name or "").endswith("\\a")
        return NtStatus.ACCESS_DENIED if is_file and requested(request) & rights else None

    return fault


@pytest.mark.parametrize("after", range(0, 40, 3))
@pytest.mark.parametrize("side", [0, 1], ids=["source", "destination"])
def test_a_connection_that_is_lost_meanwhile_costs_nothing(after: int, side: int) -> None:
    world = synced()
    for path in FILES:
        secured(at_source(world, path), "bob", (WRITE,))
    left = [after]

    def cut(_request: Request) -> None:
        left[0] -= 1
        world.links[side].lose = left[0] == -1

    (world.source, world.destination)[side].faults.append(cut)
    counters = world.transfer(**METADATA).tally.counters
    assert world.watcher.failures == []
    assert same(world)
    assert counters.files.transferred == 3
    assert commands(world, Command.READ, Command.WRITE) == []


def test_many_files_of_one_folder_are_in_flight_together() -> None:
    names = [f"f{number}" for number in range(200)]
    world = World(Node(None, {name: secured(file(b"x", time=TIME)) for name in names}, 0), credits_=512)
    world.transfer(**METADATA)
    forget(world)
    most = [0]

    def count(request: Request) -> None:
        most[0] = max(most[0], len(world.links[0].held))

    world.source.faults.append(count)
    assert world.transfer(**METADATA).tally.counters.files.skipped == 200
    assert most[0] >= 20
