"""A run with a SID map: what arrives, what the next run finds, what is counted, and what is told of other SIDs."""

from __future__ import annotations

import struct

import pytest
from lab.fake_server import Node, Request, drive, file, folder
from lab.fake_server.nodes import DOMAIN
from lab.fake_server.world import BIG, OneServer, World

from smbferry_engine.model import SidCount
from smbferry_engine.operations.plan import Outline, plan_run
from smbferry_engine.sids import SidMap, sid_bytes, sid_text
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.security import decode_security_descriptor
from smbferry_words.options import CompareBy, SecurityDescriptors, VerifyMode
from smbferry_words.run import NotCarriedKind

OLD, NEW, FOREIGN = "S-1-5-21-1-2-3", "S-1-5-21-4-5-6", "S-1-5-21-7-8-9"
EVERYONE = "S-1-1-0"
OWN = "-".join(["S-1-5-21", *map(str, DOMAIN)])
TIME = 133_000_000_000_000_000
MAP = f"{OLD} {NEW}\n{OLD}-500 S-1-5-32-544"
FILES = ("small", "big", "d\\inner")
EVERYTHING = ("", "d", *FILES)


def entry(sid: str, *, kind: int = 0, after: bytes = b"") -> bytes:
    body = struct.pack("<I", 0x1200A9) + sid_bytes(sid) + after
    return struct.pack("<BBH", kind, 0, 4 + len(body)) + body


def secured(node: Node, owner: str, *trustees: str) -> Node:
    entries = b"".join(entry(sid) for sid in trustees)
    acl = struct.pack("<BBHHH", 2, 0, 8 + len(entries), len(trustees), 0) + entries
    sid = sid_bytes(owner)
    node.security = {7: struct.pack("<BBHIIII", 1, 0, 0x9004, 20, 20, 0, 20 + len(sid)) + sid + acl}
    return node


def tree(domain: str = OLD, admin: str = f"{OLD}-500") -> Node:
    return secured(
        folder(
            small=secured(file(b"s", time=TIME), f"{domain}-1001", EVERYONE, f"{domain}-513"),
            big=secured(file(BIG, time=TIME), admin, f"{domain}-513"),
            d=secured(folder(inner=secured(file(b"i", time=TIME), "S-1-5-18", EVERYONE)), f"{domain}-1002", EVERYONE),
        ),
        admin, EVERYONE,
    )  # fmt: skip


def options(text: str = MAP, **more: object) -> dict[str, object]:
    return {"security_descriptors": SecurityDescriptors.OWNER_DACL, "sid_map": SidMap.parse(text), **more}


def sids_of(node: Node) -> list[str]:
    found = decode_security_descriptor(node.descriptor(""))
    assert found.dacl is not None
    return [found.owner or "", found.group or "", *(sid_text(each[8:]) for each in found.dacl.entries)]


def expected(path: str) -> list[str]:
    node = World(tree(NEW, "S-1-5-32-544")).source.find(f"data\\{path}")
    assert node is not None
    return sids_of(node)


@pytest.mark.parametrize("verify", list(VerifyMode))
def test_a_tree_of_an_old_domain_arrives_with_the_new_sids_and_the_next_run_has_nothing_to_do(
    verify: VerifyMode,
) -> None:
    world = World(tree())
    world.transfer(**options(verify_mode=verify))
    assert world.watcher.failures == []
    for path in EVERYTHING:
        assert sids_of(world.node(path)) == expected(path), path
    for compare_by in CompareBy:
        counters = world.transfer(**options(compare_by=compare_by, verify_mode=verify)).tally.counters
        assert world.watcher.failures == []
        assert (counters.files.transferred, counters.directories.transferred) == (0, 0), compare_by


def test_a_server_that_copies_by_itself_gets_the_new_sids_too() -> None:
    world = OneServer(tree())
    world.transfer(**options())
    assert world.watcher.failures == []
    for path in EVERYTHING:
        assert sids_of(world.node(path)) == expected(path), path


@pytest.mark.parametrize("compare_by", [CompareBy.METADATA, CompareBy.CHECKSUM])
def test_a_map_that_is_added_later_corrects_what_is_there_in_place(compare_by: CompareBy) -> None:
    world = World(tree())
    world.transfer(**options(""))
    assert sids_of(world.node("small")) == sids_of(tree().children["small"])
    counters = world.transfer(**options(compare_by=compare_by)).tally.counters
    assert world.watcher.failures == []
    assert (counters.files.transferred, counters.bytes.written) == (2, 0)
    for path in EVERYTHING:
        assert sids_of(world.node(path)) == expected(path), path


COUNTS = {
    (f"{OLD}", f"{NEW}"): 3,  # small, big's entry, d
    (f"{OLD}-500", "S-1-5-32-544"): 2,  # the root, big
}


@pytest.mark.parametrize("dry_run", [False, True], ids=["run", "dry run"])
def test_each_rule_is_counted_once_for_each_descriptor_that_it_changed(*, dry_run: bool) -> None:
    world = World(tree())
    world.transfer(**options(dry_run=dry_run))
    found = world.watcher.found_sids
    assert found is not None
    assert {(one.old, one.new): one.descriptors for one in found.rules} == COUNTS
    assert (world.copied == {}) is dry_run
    writes = [r for r in world.destination.requests if r.command in (Command.WRITE, Command.SET_INFO)]
    assert (writes == []) is dry_run


def test_a_plan_for_approval_counts_the_same() -> None:
    world = World(tree())
    drive(world.scheduler, plan_run(world.prepare(**options(dry_run=True)), Outline()), *world.links)
    found = world.watcher.found_sids
    assert found is not None
    assert {(one.old, one.new): one.descriptors for one in found.rules} == COUNTS


@pytest.mark.parametrize("dry_run", [False, True], ids=["run", "dry run"])
@pytest.mark.parametrize("verify", [VerifyMode.NONE, VerifyMode.POINT_IN_TIME_CONSISTENT])
def test_what_is_read_again_is_not_counted_again(verify: VerifyMode, *, dry_run: bool) -> None:
    world = World(tree())
    world.transfer(**options(""))
    world.transfer(**options(compare_by=CompareBy.CHECKSUM, verify_mode=verify, dry_run=dry_run))
    found = world.watcher.found_sids
    assert found is not None
    assert {(one.old, one.new): one.descriptors for one in found.rules} == COUNTS


def test_a_dry_run_without_a_map_reads_no_descriptors_of_new_files() -> None:
    world = World(tree())
    world.transfer(**options("", dry_run=True))
    opened = [r.name for r in world.source.requests if r.command == Command.CREATE and r.name == "data\\small"]
    assert opened == []


def items(world: World, what: NotCarriedKind) -> list[tuple[str, str]]:
    return sorted((item.path, item.reason.partition(":")[0]) for item in world.watcher.left if item.what is what)


def test_a_domain_that_neither_the_account_nor_the_map_knows_is_told_for_each_file_that_has_it() -> None:
    world = World(tree(FOREIGN, f"{NEW}-5"))
    world.transfer(**options(f"{OLD} {NEW}"))
    assert items(world, NotCarriedKind.UNRESOLVED_SID) == [(path, FOREIGN) for path in ("/big", "/d", "/small")]
    assert items(world, NotCarriedKind.LOCAL_SID) == []
    found = world.watcher.found_sids
    assert found is not None
    assert found.unmapped == (SidCount(FOREIGN, "", 3),)
    assert world.watcher.failures == []
    assert sids_of(world.node("small"))[0] == f"{FOREIGN}-1001"


KNOWN = {"the account's": ("", OWN), "kept": (FOREIGN, FOREIGN), "mapped": (f"{FOREIGN} {NEW}", FOREIGN),
         "new": (f"{OLD} {NEW}", NEW)}  # fmt: skip


@pytest.mark.parametrize(("text", "domain"), KNOWN.values(), ids=KNOWN)
def test_a_domain_that_is_known_is_not_told(text: str, domain: str) -> None:
    world = World(tree(domain, f"{domain}-5"))
    world.transfer(**options(text))
    assert world.watcher.left == []
    found = world.watcher.found_sids
    assert found is not None
    assert found.unmapped == ()


@pytest.mark.parametrize("compare_by", list(CompareBy))
def test_a_run_that_creates_nothing_does_not_know_the_accounts_domain_and_only_counts(compare_by: CompareBy) -> None:
    world = World(tree(OWN, f"{FOREIGN}-5"))
    world.transfer(**options(""))
    assert {path for path, _ in items(world, NotCarriedKind.UNRESOLVED_SID)} == {"/", "/big"}
    world.watcher.left.clear()
    world.transfer(**options("", compare_by=compare_by))
    assert world.watcher.left == []
    found = world.watcher.found_sids
    assert found is not None
    assert {one.old for one in found.unmapped} == {OWN, FOREIGN}


def test_what_was_read_before_anything_was_created_is_told_at_the_end() -> None:
    world = World(secured(folder(a=secured(file(b"a"), "S-1-5-18", EVERYONE)), f"{FOREIGN}-1", EVERYONE))
    world.transfer(**options(""))
    assert items(world, NotCarriedKind.UNRESOLVED_SID) == [("/", FOREIGN)]


def test_accounts_that_are_local_to_the_sources_server_are_told_unless_mapped() -> None:
    world = World(secured(folder(a=secured(file(b"a"), "S-1-22-1-1000", "S-1-22-2-100")), "S-1-22-1-0", EVERYONE))
    world.transfer(**options("S-1-22-1-0 S-1-5-18"))
    assert items(world, NotCarriedKind.LOCAL_SID) == [("/a", "S-1-22-1"), ("/a", "S-1-22-2")]


OWNERS = {
    "its SID": (f"{FOREIGN}-5", EVERYONE, True),
    "its group's": ("S-1-5-32-544", f"{FOREIGN}-513", True),
    "not known": ("S-1-5-32-544", "S-1-22-2-5", False),
}


@pytest.mark.parametrize(("owner", "group", "known"), OWNERS.values(), ids=OWNERS)
def test_the_accounts_domain_is_that_of_what_it_creates(owner: str, group: str, *, known: bool) -> None:
    world = World(tree(FOREIGN, f"{FOREIGN}-5"))

    def give(request: Request) -> None:
        if request.command == Command.QUERY_INFO and request.node is not None and request.node.created:
            raw = sid_bytes(owner), sid_bytes(group)
            fixed = struct.pack("<BBHIIII", 1, 0, 0x8000, 20, 20 + len(raw[0]), 0, 0)
            request.node.security.setdefault(3, fixed + b"".join(raw))

    world.destination.faults.append(give)
    world.transfer(**options(""))
    assert world.watcher.left == []
    found = world.watcher.found_sids
    assert found is not None
    assert (found.unmapped == ()) is known


def test_an_access_list_that_becomes_too_large_fails_its_file_or_folder_and_nothing_else() -> None:
    trustees = [EVERYONE] * 2_500
    world = World(
        folder(
            a=secured(file(b"a", time=TIME), "S-1-5-18", *trustees),
            b=secured(file(b"b", time=TIME), "S-1-5-18", "S-1-5-18"),
            d=secured(folder(c=secured(file(b"c", time=TIME), "S-1-5-18", "S-1-5-18")), "S-1-5-18", *trustees),
        )
    )
    for _ in range(2):
        world.watcher.failures.clear()
        world.transfer(**options(f"{EVERYONE} {NEW}-1"))
        assert sorted(world.reasons) == [("/a", "AccessListTooLarge"), ("/d", "AccessListTooLarge")]
        assert world.copied == {"/b": b"b", "/d": None, "/d/c": b"c"}


def test_a_malformed_descriptor_fails_its_file_where_it_would_be_mapped() -> None:
    bad = secured(file(b"a", time=TIME), EVERYONE, EVERYONE)
    data = bytearray(bad.security[7])
    data[data.rindex(entry(EVERYONE)) + 2] = 0xF0  # the length of the last entry
    bad.security = {7: bytes(data)}
    world = World(folder(a=bad, b=secured(file(b"b", time=TIME), EVERYONE)))
    world.transfer(**options(f"{OLD} {NEW}"))
    assert [reason for path, reason in world.reasons if path == "/a"] == ["FileFailed"]
    assert "/b" in world.copied
