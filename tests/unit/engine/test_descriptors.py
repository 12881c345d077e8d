"""Owner and access list: there from the first moment on (I9), and never forgotten where they could not be set (I8)."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from lab.fake_server import ACCOUNT, CHUNK, Node, Request, descriptor, file, folder
from lab.fake_server.world import BIG, World, refuse

from smbferry_engine.errors import EngineError
from smbferry_engine.paths import is_staging_name
from smbferry_engine.plan.mark import mark_of
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.info import InfoType
from smbferry_engine.wire.security import decode_security_descriptor, only_for, owner_and_group
from smbferry_engine.wire.status import NtStatus
from smbferry_words.options import CompareBy, OverwriteMode, Preservation, SecurityDescriptors, VerifyMode
from smbferry_words.reasons import CONNECTION_LOST

if TYPE_CHECKING:
    from collections.abc import Callable

OWNER_DACL = SecurityDescriptors.OWNER_DACL
BACKUP_INTENT, DELETE_ON_CLOSE = 0x4000, 0x1000
OWN = owner_and_group(descriptor(ACCOUNT))[0]
PRIVATE = only_for(OWN)
READ = bytes.fromhex("0000 1400 a900 1200 0101 0000 0000 0001 0000 0000")
TIME = 133_000_000_000_000_000


def secured(node: Node, who: str, control: int = 0x8404) -> Node:
    node.security = {7: descriptor(who, entries=(READ,), control=control)}
    return node


def tree() -> Node:
    """A small file, one that is gathered, and a folder; each has an owner and an access list of its own."""
    return secured(
        folder(
            small=secured(file(b"s", time=TIME), "ann"),
            big=secured(file(BIG, time=TIME), "bob"),
            d=secured(folder(inner=secured(file(b"i", time=TIME), "ann")), "cy"),
        ),
        "root",
    )


FILES = ("small", "big", "d\\inner")


def meaning(node: Node, path: str = "") -> object:
    return decode_security_descriptor(node.descriptor(path))


def no_owner(request: Request) -> int | None:
    """A server that lets the account give away nothing."""
    if request.command == Command.SET_INFO and request.body[2] == 3 and request.body[12] == 3:
        return NtStatus.INVALID_OWNER
    return None


@pytest.mark.fault(61)
def test_every_open_asks_for_what_a_privilege_to_back_up_and_restore_grants() -> None:
    world = World(tree(), folder(small=file(b"old"), d=folder(surplus=file(b"x"))))
    world.transfer(security_descriptors=OWNER_DACL, deleted_files="Remove", max_deletes=9)
    world.transfer(security_descriptors=OWNER_DACL, verify_mode=VerifyMode.POINT_IN_TIME_CONSISTENT)
    assert world.watcher.failures == []
    for server in (world.source, world.destination):
        opens = [request for request in server.requests if request.command == Command.CREATE]
        assert opens
        assert all(int.from_bytes(request.body[40:44], "little") & BACKUP_INTENT for request in opens)


@pytest.mark.fault(66)
def test_a_migrated_tree_has_its_descriptors_root_and_inheritance_included_and_the_next_run_has_nothing_to_do() -> None:
    world = World(tree())
    world.transfer(security_descriptors=OWNER_DACL)
    for path in ("", "d", *FILES):
        ours, theirs = world.source.find(f"data\\{path}"), world.destination.find(f"copy\\{path}")
        assert ours is not None
        assert theirs is not None
        assert meaning(theirs) == meaning(ours), path
    counters = world.transfer(security_descriptors=OWNER_DACL).tally.counters
    assert world.watcher.failures == []
    for kind in (counters.files, counters.directories):
        assert (kind.to_transfer, kind.transferred, kind.skipped) == (0, 0, kind.listed)
    assert counters.directories.listed == 2


@pytest.mark.fault(62)
def test_content_is_written_only_where_nobody_else_than_in_the_end_may_open_it() -> None:
    world = World(tree(), folder(d=folder(inner=file(b"old"))))
    found: list[tuple[str, object]] = []

    def look(request: Request) -> None:
        if request.command == Command.WRITE and request.node is not None:
            found.append((bytes(request.node.data or b"")[:1].decode(), meaning(request.node)))

    world.destination.faults.append(look)
    world.transfer(security_descriptors=OWNER_DACL)
    allowed = {repr(meaning(node)) for node in (tree().children["small"],)}
    private = decode_security_descriptor(PRIVATE).dacl
    for _, seen in found:
        assert repr(seen) in allowed or seen.dacl == private  # type: ignore[attr-defined]  # it is a descriptor


@pytest.mark.fault(62)
def test_a_new_folder_is_the_accounts_alone_until_it_is_finished() -> None:
    world = World(tree())
    seen: list[object] = []

    def look(request: Request) -> None:
        parent = world.destination.find("copy\\d")
        if request.command == Command.WRITE and parent is not None:
            seen.append(meaning(parent))

    world.destination.faults.append(look)
    world.transfer(security_descriptors=OWNER_DACL)
    assert {found.dacl for found in seen} == {decode_security_descriptor(PRIVATE).dacl}  # type: ignore[attr-defined]
    assert meaning(world.node("d")) == meaning(tree().children["d"])


@pytest.mark.fault(63)
def test_what_was_written_is_read_back_by_the_handle_that_wrote_it() -> None:
    world = World(folder(small=secured(file(b"s"), "ann")))
    world.transfer(security_descriptors=OWNER_DACL)
    opens = [r for r in world.destination.requests if r.command == Command.CREATE and r.name == "copy\\small"]
    assert len(opens) == 1
    spoilt = World(folder(small=secured(file(b"s"), "ann")))
    spoilt.destination.faults.append(_flip)
    spoilt.transfer(security_descriptors=OWNER_DACL)
    assert spoilt.reasons == [("/small", "HashMismatch")]
    assert spoilt.copied == {}


def _flip(request: Request) -> None:
    if request.command == Command.READ and request.node is not None and request.node.data:
        request.node.data[0] ^= 1


def test_a_file_that_does_not_stay_goes_even_if_its_access_list_shuts_the_account_out() -> None:
    world = World(folder(small=secured(file(b"s"), "ann")))

    def shut_out(request: Request) -> int | None:
        if request.command != Command.CREATE or request.name != "copy\\small":
            return None
        node = world.destination.find(request.name)
        deletes = int.from_bytes(request.body[24:28], "little") & 0x10000
        is_private = node is not None and b"".join(node.security.values()).endswith(PRIVATE[20:])
        return NtStatus.ACCESS_DENIED if node is not None and deletes and not is_private else None

    world.destination.faults += [_flip, shut_out]
    world.transfer(security_descriptors=OWNER_DACL)
    assert world.reasons == [("/small", "HashMismatch")]
    assert world.copied == {}


@pytest.mark.fault(64)
@pytest.mark.parametrize("path", ["small", "big"])
def test_a_file_whose_access_list_can_not_be_set_is_not_copied(path: str) -> None:
    world = World(folder(**{path: tree().children[path]}))

    def no_list(request: Request) -> int | None:
        is_list = request.command == Command.SET_INFO and request.body[2] == 3 and request.body[12] == 4
        return NtStatus.ACCESS_DENIED if is_list and request.node and not request.node.is_directory else None

    world.destination.faults.append(no_list)
    world.transfer(security_descriptors=OWNER_DACL)
    assert (f"/{path}", "SecurityNotPermitted") in world.reasons
    assert world.copied == {}


@pytest.mark.fault(64)
def test_what_a_server_leaves_that_refuses_a_descriptor_after_it_made_the_file_is_removed() -> None:
    world = World(folder(small=tree().children["small"]))
    made: list[str] = []

    def refuse_late(request: Request) -> int | None:
        if request.command == Command.CREATE and (request.name or "").endswith("small") and not made:
            made.append("small")
            world.destination.root.children["copy"].children["small"] = file()
            return NtStatus.ACCESS_DENIED
        return None

    world.destination.faults.append(refuse_late)
    world.transfer(security_descriptors=OWNER_DACL)
    assert world.reasons == [("/small", "AccessDenied")]
    assert world.copied == {}


MARKED = [
    {},
    {"timestamps": Preservation.NONE},
    {"overwrite_mode": OverwriteMode.NEVER},
    {"overwrite_mode": OverwriteMode.IF_NEWER},
    {"compare_by": CompareBy.CHECKSUM},
    {"verify_mode": VerifyMode.NONE},
]


@pytest.mark.fault(65)
@pytest.mark.parametrize("options", MARKED, ids=lambda options: " ".join(map(str, options.values())) or "default")
def test_an_owner_that_could_not_be_set_is_told_by_every_run_until_it_is_set(options: dict[str, object]) -> None:
    chosen = {"security_descriptors": OWNER_DACL, **options}
    world = World(tree())
    world.destination.faults.append(no_owner)
    everything = sorted((f"/{path}".replace("\\", "/"), "OwnerNotPermitted") for path in ("", "d", *FILES))
    for number in range(3):
        world.watcher.failures.clear()
        counters = world.transfer(**chosen).tally.counters
        assert sorted(world.reasons) == everything
        assert (counters.files.incomplete, counters.directories.incomplete) == (3, 2)
        assert counters.files.transferred == (0 if number else 3)
        assert counters.files.skipped == 0
        assert {world.node(path).times[2] for path in FILES} == {mark_of(TIME)}
    planned = world.transfer(dry_run=True, **chosen).tally.counters
    assert (planned.files.to_transfer, planned.files.skipped) == (3, 0)

    world.destination.faults.clear()
    world.watcher.failures.clear()
    counters = world.transfer(**chosen).tally.counters
    assert world.watcher.failures == []
    assert (counters.files.transferred, counters.directories.transferred, counters.bytes.written) == (3, 2, 0)
    for path in FILES:
        assert world.node(path).times[2] == TIME
        assert meaning(world.node(path)) == meaning(world.source.find(f"data\\{path}") or Node())
    assert world.transfer(**chosen).tally.counters.files.skipped == 3


def test_each_owner_is_asked_about_once_however_many_files_are_on_their_way() -> None:
    owners = ("ann", "bob", "cy")
    world = World(Node(None, {f"f{n}": secured(file(b"x"), owners[n % 3]) for n in range(30)}, 0))
    world.transfer(security_descriptors=OWNER_DACL)
    opens = [request for request in world.destination.requests if request.command == Command.CREATE]
    asked = [r for r in opens if int.from_bytes(r.body[40:44], "little") & DELETE_ON_CLOSE]
    assert len(asked) == len(owners)
    assert world.watcher.failures == []


def test_a_file_that_lacks_its_owner_is_done_when_the_options_do_not_ask_for_it_any_more() -> None:
    world = World(tree())
    world.destination.faults.append(no_owner)
    world.transfer(security_descriptors=OWNER_DACL)
    world.watcher.failures.clear()
    world.transfer(security_descriptors=SecurityDescriptors.NONE)
    assert world.watcher.failures == []
    assert {world.node(path).times[2] for path in FILES} == {TIME}


@pytest.mark.fault(65)
def test_a_server_that_dies_at_any_moment_leaves_no_file_that_lacks_its_owner_and_does_not_say_so() -> None:
    for before in range(60):
        world = World(tree())
        world.destination.faults += [no_owner, _dies(world, before)]
        with contextlib.suppress(EngineError):
            world.transfer(security_descriptors=OWNER_DACL)
        for path, node in _files(world.destination.root):
            same = node.data is not None and len(node.data) in (1, len(BIG))
            if not is_staging_name(path) and same and node.times[2] == TIME:
                raise AssertionError(f"{path} has the source's time and not its owner, after {before} requests")


def _dies(world: World, before: int) -> Callable[[Request], int | None]:
    left = [before]

    def fault(_request: Request) -> int | None:
        left[0] -= 1
        if left[0] >= 0:
            return None
        world.restore = _gone  # type: ignore[method-assign]
        world.links[1].lose = True
        return NtStatus.FILE_CLOSED

    return fault


def _gone() -> None:
    raise EngineError(CONNECTION_LOST, "nobody there")


def _files(node: Node) -> list[tuple[str, Node]]:
    found = []
    for name, child in node.children.items():
        found += _files(child) if child.is_directory else [(name, child)]
    return found


@pytest.mark.fault(65)
def test_an_audit_list_that_may_not_be_copied_is_told_by_every_run() -> None:
    world = World(tree())

    def no_privilege(request: Request) -> int | None:
        wanted = int.from_bytes(request.body[24:28], "little") if request.command == Command.CREATE else 0
        return NtStatus.PRIVILEGE_NOT_HELD if wanted & 0x01000000 else None

    world.destination.faults.append(no_privilege)
    for _ in range(2):
        world.watcher.failures.clear()
        counters = world.transfer(security_descriptors=SecurityDescriptors.OWNER_DACL_SACL).tally.counters
        assert {path for path, _ in world.reasons} == {"/", "/d", "/small", "/big", "/d/inner"}
        assert {reason for _, reason in world.reasons} == {"SecurityNotPermitted"}
        assert (counters.files.incomplete, counters.directories.incomplete) == (3, 2)


@pytest.mark.fault(66)
def test_a_folder_whose_access_list_was_changed_gets_its_sources_back_in_any_run() -> None:
    world = World(tree())
    world.transfer(security_descriptors=OWNER_DACL)
    secured(world.node("d"), "somebody else")
    counters = world.transfer(security_descriptors=OWNER_DACL).tally.counters
    assert (counters.directories.transferred, counters.files.transferred) == (1, 0)
    assert meaning(world.node("d")) == meaning(tree().children["d"])


def test_a_folder_whose_descriptor_may_not_be_read_is_told_of_and_what_is_in_it_is_copied() -> None:
    world = World(tree())
    refused = refuse(Command.QUERY_INFO, NtStatus.ACCESS_DENIED, times=1)
    world.source.faults.append(lambda request: refused(request) if request.body[2] == InfoType.SECURITY else None)
    world.transfer(security_descriptors=OWNER_DACL)
    assert world.reasons == [("/", "AccessDenied")]
    assert world.copied == world.original


@pytest.mark.fault(67)
def test_a_root_whose_new_access_list_would_shut_the_account_out_keeps_its_old_one() -> None:
    world = World(tree())
    before = meaning(world.node(""), "copy")

    def shut_out(request: Request) -> int | None:
        mine = request.command == Command.CREATE and request.name == "copy"
        wanted = int.from_bytes(request.body[24:28], "little") if mine else 0
        is_new = 4 in world.node("").security
        return NtStatus.ACCESS_DENIED if wanted & 2 and is_new else None

    world.destination.faults.append(shut_out)
    world.transfer(security_descriptors=OWNER_DACL)
    assert world.reasons == [("/", "SecurityNotPermitted")]
    assert "put back" in world.watcher.failures[0].message
    assert meaning(world.node(""), "copy") == before
    assert world.copied == world.original


@pytest.mark.fault(62)
def test_a_staging_file_that_somebody_else_may_open_is_not_gone_on_in() -> None:
    world = World(folder(big=tree().children["big"]))
    names = _staging_of(world)
    planted = secured(file(BIG), "a stranger")
    planted.created = False
    target = World(folder(big=tree().children["big"]), folder(**{names[0]: planted}))
    target.transfer(security_descriptors=OWNER_DACL)
    assert target.watcher.failures == []
    assert target.node("big") is not planted
    assert target.copied == target.original


def test_a_staging_file_of_the_accounts_own_is_gone_on_in() -> None:
    (name, *_) = _staging_of(World(folder(big=tree().children["big"])))
    kept = file(BIG[: 3 * CHUNK])
    kept.created, kept.security = True, {7: PRIVATE}
    world = World(folder(big=tree().children["big"]), folder(**{name: kept}))
    run = world.transfer(security_descriptors=OWNER_DACL)
    assert world.watcher.failures == []
    assert run.tally.counters.bytes.written == len(BIG) - 3 * CHUNK
    assert world.node("big") is kept
    assert meaning(kept) == meaning(tree().children["big"])


def _staging_of(world: World) -> list[str]:
    names: list[str] = []

    def look(request: Request) -> None:
        name = (request.name or "").rpartition("\\")[2]
        options = int.from_bytes(request.body[40:44], "little")
        if request.command == Command.CREATE and is_staging_name(name) and not options & DELETE_ON_CLOSE:
            names.append(name)

    world.destination.faults[:] = [look]
    world.transfer(security_descriptors=OWNER_DACL)
    return names
