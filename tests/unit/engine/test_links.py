"""Links that are copied as links: what they are arrives, what can't be carried is named, and nothing is followed."""

import struct
from collections.abc import Callable

import pytest
from hypothesis import strategies as st
from lab.fake_server import Node, Personality, Request, drive, file, folder
from lab.fake_server.samba_4_17 import Samba417
from lab.fake_server.windows_server_2022 import SYMLINK, WindowsServer2022, junction, symlink
from lab.fake_server.world import World, refuse
from tests.unit.engine.test_sharded import copy_shards, finish, pieces_of

from smbferry_engine.errors import EngineError
from smbferry_engine.files.cleanup import undo
from smbferry_engine.model import FileRecord
from smbferry_engine.operations.transfer import execute
from smbferry_engine.plan.shard import Cut
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.status import NtStatus
from smbferry_words.options import (
    CompareBy,
    DeletedFiles,
    Links,
    OverwriteMode,
    Preservation,
    SecurityDescriptors,
    VerifyMode,
)
from smbferry_words.reasons import CONNECTION_LOST, SESSION_ENDED

COPY = {"links": Links.COPY}
MIRROR = {"deleted_files": DeletedFiles.REMOVE, "max_deletes": "100%"}
WINDOWS = (WindowsServer2022(), WindowsServer2022())
NAMES = st.text(st.characters(codec="utf-16", exclude_characters="\0"), min_size=1, max_size=40)


def links() -> dict[str, Node]:
    return {"s": symlink(), "d": symlink("folder", to_folder=True), "j": junction()}


def world_of(source: Node, destination: Node | None = None, there: Personality | None = None) -> World:
    return World(source, destination, personalities=(WindowsServer2022(), there or WindowsServer2022()))


def same(one: Node, other: Node) -> bool:
    facts = [(node.is_directory, node.reparse_tag, node.reparse_data, node.times[2]) for node in (one, other)]
    return facts[0] == facts[1]


# --- runs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"verify_mode": VerifyMode.NONE},
        {"verify_mode": VerifyMode.POINT_IN_TIME_CONSISTENT},
        {"compare_by": CompareBy.CHECKSUM},
        {"timestamps": Preservation.NONE},
        {"security_descriptors": SecurityDescriptors.OWNER_DACL},
    ],
    ids=lambda options: " ".join(map(str, options.values())) or "default",
)
def test_symbolic_links_and_junctions_arrive_as_what_they_are_and_the_next_run_changes_nothing(
    options: dict[str, object],
) -> None:
    world = world_of(folder(sub=folder(**links()), f=file(b"data")))
    run = world.transfer(**COPY, **options)
    assert world.reasons == []
    assert set(world.copied) == {"/sub", "/sub/s", "/sub/d", "/sub/j", "/f"}
    if options.get("timestamps") is not Preservation.NONE:
        assert all(same(node, world.node(f"sub\\{name}")) for name, node in links().items())
        assert world.node("sub").times[2] == 30_000
    files, folders = run.tally.counters.files, run.tally.counters.directories
    assert (files.listed, files.transferred, folders.listed) == (2, 2, 4)
    assert (files.links, folders.links, world.watcher.left) == (0, 0, [])
    assert FileRecord("/sub/s", "File", "Transferred", 0) in world.watcher.records
    written = len([r for r in world.destination.requests if r.command == Command.SET_INFO])
    again = world.transfer(**COPY, **options)
    assert (again.tally.counters.files.transferred, again.tally.counters.files.skipped) == (0, 2)
    if options.get("timestamps") is not Preservation.NONE:
        assert len([r for r in world.destination.requests if r.command == Command.SET_INFO]) == written
    assert world.destination.handles == {}
    assert world.source.handles == {}


def test_no_request_names_what_a_link_leads_to_and_no_link_is_opened_to_be_followed() -> None:
    hostile = {
        "s": symlink("..\\..\\secret"),
        "u": symlink("\\??\\UNC\\evil\\share"),
        "j": junction("\\??\\C:\\secret"),
    }
    world = world_of(folder(**hostile))
    world.transfer(**COPY)
    assert world.reasons == []
    for server in (world.source, world.destination):
        opens = [request for request in server.requests if request.command == Command.CREATE]
        assert not [request for request in opens if "secret" in (request.name or "") or "evil" in (request.name or "")]
        for request in opens:
            options = struct.unpack_from("<I", request.body, 40)[0]
            assert options & 0x200000
    assert all(same(node, world.node(name)) for name, node in hostile.items())


@pytest.mark.parametrize("name", ["s", "d", "j"])
@pytest.mark.parametrize("newer", [True, False])
def test_a_link_that_leads_elsewhere_now_is_changed_in_place(name: str, *, newer: bool) -> None:
    time = 40_000 if newer else 20_000
    there = {"s": symlink("old"), "d": symlink("old", to_folder=True), "j": junction("\\??\\C:\\old")}[name]
    ours = {
        "s": symlink("new", time=time),
        "d": symlink("new", to_folder=True, time=time),
        "j": junction("\\??\\C:\\new", time=time),
    }[name]
    world = world_of(folder(x=ours), folder(x=there))
    world.transfer(**COPY)
    assert world.reasons == []
    assert same(ours, world.node("x"))
    assert list(world.copied) == ["/x"]


@pytest.mark.parametrize(
    ("overwrite", "time", "changed"),
    [
        (OverwriteMode.NEVER, 40_000, False),
        (OverwriteMode.IF_NEWER, 40_000, True),
        (OverwriteMode.IF_NEWER, 30_000, False),
        (OverwriteMode.IF_NEWER, 20_000, False),
    ],
)
def test_a_link_that_may_not_be_replaced_stays(overwrite: OverwriteMode, time: int, *, changed: bool) -> None:
    world = world_of(folder(x=symlink("new", time=time)), folder(x=symlink("old")))
    world.transfer(**COPY, overwrite_mode=overwrite)
    assert world.reasons == []
    assert (b"n\0e\0w" in world.node("x").reparse_data) is changed


def test_a_mirror_that_nobody_confirmed_changes_no_newer_link() -> None:
    world = world_of(folder(x=symlink("new", time=20_000)), folder(x=symlink("old")))
    with pytest.raises(EngineError) as caught:
        world.transfer(**COPY, **MIRROR, unconfirmed="word")
    assert caught.value.reason == "MirrorNotConfirmed"
    assert world.reasons == [("/x", "MirrorNotConfirmed")]
    assert b"o\0l\0d" in world.node("x").reparse_data


OTHERS: dict[str, Callable[[bool], Node]] = {
    "a file": lambda _folder: file(b"x"),
    "a folder": lambda _folder: folder(inside=file(b"x")),
    "a link to the other kind": lambda to_folder: symlink(to_folder=not to_folder),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("ours", [symlink(), junction()], ids=["symlink", "junction"])
def test_something_else_of_its_name_stays_or_gives_way_as_the_options_say(
    ours: Node, other: Callable[[bool], Node]
) -> None:
    world = world_of(folder(x=ours), folder(x=other(ours.is_directory)))
    before = world.copied
    world.transfer(**COPY)
    assert world.reasons == [("/x", "TypeConflict")]
    assert world.copied == before
    world.watcher.failures.clear()
    run = world.transfer(**COPY, **MIRROR)
    assert world.reasons == []
    assert same(ours, world.node("x"))
    assert list(world.copied) == ["/x"]
    assert run.tally.counters.files.failed == run.tally.counters.directories.failed == 0


@pytest.mark.parametrize("tag", [0xA000001D, 0x8000000A, SYMLINK])
def test_a_link_with_another_tag_is_replaced_by_one_that_is_complete(tag: int) -> None:
    ours = junction() if tag == SYMLINK else symlink()
    there = symlink(to_folder=tag == SYMLINK)
    there.reparse_tag = tag
    world = world_of(folder(x=ours), folder(x=there))
    world.transfer(**COPY)
    assert world.reasons == []
    assert same(ours, world.node("x"))
    assert list(world.copied) == ["/x"]


def test_a_link_with_another_tag_stays_where_the_new_one_can_not_be_made() -> None:
    there = symlink()
    there.reparse_tag = 0xA000001D
    personality = WindowsServer2022()
    personality.creates_symlinks = False
    world = world_of(folder(x=symlink()), folder(x=there), personality)
    world.transfer(**COPY)
    assert world.reasons == [("/x", "ReparsePointSkipped")]
    assert world.node("x") is there


def test_a_link_at_the_destination_that_the_source_lacks_is_deleted_and_not_what_it_leads_to() -> None:
    world = world_of(folder(f=file(b"1")), folder(s=symlink("f"), j=junction(), f=file(b"1")))
    world.transfer(**COPY, **MIRROR)
    assert world.copied == {"/f": b"1"}


@pytest.mark.parametrize(
    "options", [{}, {"timestamps": Preservation.NONE}, {"overwrite_mode": OverwriteMode.NEVER}], ids=str
)
def test_an_owner_that_a_link_could_not_get_is_told_by_every_run_until_it_is_set(options: dict[str, object]) -> None:
    world = world_of(folder(s=symlink()))
    chosen = {**COPY, "security_descriptors": SecurityDescriptors.OWNER_DACL, **options}

    def no_owner(request: Request) -> int | None:
        owner = request.command == Command.SET_INFO and request.body[2] == 3 and request.body[12] & 1
        about = request.node is not None and request.node.reparse
        return NtStatus.INVALID_OWNER if owner and about else None

    world.destination.faults.append(no_owner)
    for _ in range(2):
        world.watcher.failures.clear()
        world.transfer(**chosen)
        assert world.reasons == [("/s", "OwnerNotPermitted")]
    world.destination.faults.clear()
    world.watcher.failures.clear()
    world.transfer(**chosen)
    assert world.reasons == []
    requests = len(world.destination.requests)
    world.transfer(**chosen)
    done = [request.command for request in world.destination.requests[requests:]]
    assert Command.SET_INFO not in done


# --- what can't be carried -------------------------------------------------------------------------------------------


def named(world: World) -> None:
    """Each link is named, with a reason, and counts as failed; nothing is left behind."""
    assert sorted(world.reasons) == [(f"/{name}", "ReparsePointSkipped") for name in sorted(links())]
    assert sorted((one.path, one.what) for one in world.watcher.left) == [
        (f"/{name}", "Link") for name in sorted(links())
    ]
    assert world.copied == {"/f": b"1"}
    assert world.destination.handles == {}


def test_a_destination_without_links_names_each_and_tries_few() -> None:
    world = world_of(folder(f=file(b"1"), **links()), there=Samba417())
    run = world.transfer(**COPY)
    named(world)
    assert all("stores no links" in one.reason for one in world.watcher.left)
    assert run.tally.counters.files.failed + run.tally.counters.directories.failed == 3


def test_once_a_destination_has_said_that_it_has_no_links_it_is_not_asked_again() -> None:
    many = {f"d{number}": folder(s=symlink()) for number in range(40)}
    world = world_of(folder(**many), there=Samba417())
    world.transfer(**COPY)
    assert len(world.watcher.left) == 40
    assert len([r for r in world.destination.requests if r.command == Command.IOCTL]) <= 40


def test_a_source_that_does_not_return_its_links_names_each() -> None:
    world = World(folder(f=file(b"1"), **links()), personalities=(Samba417(), WindowsServer2022()))
    world.transfer(**COPY)
    named(world)


def test_an_account_without_the_privilege_creates_junctions_alone() -> None:
    there = WindowsServer2022()
    there.creates_symlinks = False
    world = world_of(folder(**links()), there=there)
    world.transfer(**COPY)
    assert sorted(world.reasons) == [("/d", "ReparsePointSkipped"), ("/s", "ReparsePointSkipped")]
    assert "SeCreateSymbolicLinkPrivilege" in world.watcher.failures[0].message
    assert list(world.copied) == ["/j"]


@pytest.mark.parametrize("tag", [0x8000000A, 0xA000001D, 0])
def test_links_of_other_kinds_are_named(tag: int) -> None:
    world = world_of(folder(x=Node(bytearray(), reparse=True, reparse_tag=tag)))
    world.transfer(**COPY)
    assert world.reasons == [("/x", "ReparsePointSkipped")]
    assert [(one.path, one.what) for one in world.watcher.left] == [("/x", "Link")]


def test_the_mount_point_of_a_volume_is_named() -> None:
    world = world_of(folder(v=junction("\\??\\Volume{2eca078d-5cbc-43d3-aff8-7e8511f60d0e}\\", shown="")))
    world.transfer(**COPY)
    assert world.reasons == [("/v", "ReparsePointSkipped")]
    assert "volume" in world.watcher.failures[0].message


def test_a_malformed_link_fails_alone() -> None:
    bad = symlink()
    bad.reparse_data = bad.reparse_data[:9]
    world = world_of(folder(bad=bad, good=symlink(), f=file(b"1")))
    world.transfer(**COPY)
    assert world.reasons == [("/bad", "ReparsePointSkipped")]
    assert set(world.copied) == {"/good", "/f"}


def test_a_link_that_reads_back_otherwise_does_not_get_its_name() -> None:
    world = world_of(folder(s=symlink()))

    def corrupt(request: Request) -> None:
        if request.command == Command.IOCTL and request.body[4:8] == b"\xa8\0\x09\0" and request.node is not None:
            request.node.reparse_data = symlink("elsewhere").reparse_data

    world.destination.faults.append(corrupt)
    world.transfer(**COPY)
    assert world.reasons == [("/s", "HashMismatch")]
    assert world.copied == {}


@pytest.mark.parametrize("status", [NtStatus.ACCESS_DENIED, NtStatus.DISK_FULL])
@pytest.mark.parametrize("command", [Command.CREATE, Command.IOCTL, Command.SET_INFO])
def test_a_refusal_fails_the_link_and_leaves_nothing(command: int, status: int) -> None:
    world = world_of(folder(j=junction()))
    world.destination.faults.append(refuse(command, status, name=".smbferry" if command == Command.CREATE else ""))
    world.transfer(**COPY, timestamps=Preservation.NONE, attributes=Preservation.NONE)
    assert [path for path, _ in world.reasons][:1] == ["/j"]
    assert world.destination.handles == {}
    if command != Command.SET_INFO:  # by which it is deleted, too
        assert world.copied == {}


@pytest.mark.parametrize("command", [Command.CREATE, Command.SET_INFO])
def test_a_connection_that_is_lost_anywhere_is_made_again_and_the_link_is_there_once(command: int) -> None:
    world = world_of(folder(**links()))
    lost = [0]

    def lose(request: Request) -> None:
        if request.command == command and (command == Command.SET_INFO or ".smbferry" in (request.name or "")):
            lost[0] += 1
            world.links[1].lose = lost[0] == 2

    world.destination.faults.append(lose)
    world.transfer(**COPY)
    assert (world.reasons, world.restored) == ([], 1)
    assert all(same(node, world.node(name)) for name, node in links().items())
    assert set(world.copied) == {f"/{name}" for name in links()}


def test_a_run_that_is_stopped_leaves_no_staging_file() -> None:
    world = world_of(folder(j=junction(), s=symlink()))
    run = world.prepare(**COPY)

    def stop(request: Request) -> None:
        if request.command == Command.SET_INFO and request.body[3] == 10:
            raise EngineError(CONNECTION_LOST, "stop")

    world.destination.faults.append(stop)
    with pytest.raises(EngineError):
        drive(world.scheduler, execute(run), *world.links)
    world.destination.faults.clear()
    world.scheduler.close_all()
    for link in world.links:
        link.session.drop_unsent(EngineError(SESSION_ENDED, "stopped"))
    drive(world.scheduler, undo(run), *world.links)
    assert world.copied == {}


def test_a_dry_run_counts_links_and_creates_none() -> None:
    world = world_of(folder(**links()))
    run = world.transfer(**COPY, dry_run=True)
    assert world.copied == {}
    files, folders = run.tally.counters.files, run.tally.counters.directories
    assert (files.to_transfer, files.transferred, folders.to_transfer - folders.transferred) == (1, 0, 2)


def test_several_agents_carry_each_link_once() -> None:
    world = world_of(folder(a=folder(**links()), b=folder(**links()), c=file(b"1")))
    shards = copy_shards(world, [Cut("b"), Cut("c")], **COPY)
    last = finish(world, pieces_of(shards), **COPY)
    assert world.reasons == []
    assert all(same(node, world.node(f"{at}\\{name}")) for at in "ab" for name, node in links().items())
    assert last.tally.counters.files.transferred == 0
