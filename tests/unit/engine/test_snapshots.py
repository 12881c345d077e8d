"""A source that is read as of one snapshot of its server: which one, all of it, and what happens when it goes away."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from lab.fake_server import FakeServer, Link, Node, Personality, Request, drive, file, folder
from lab.fake_server.samba import Samba
from lab.fake_server.world import BIG, OneServer, World, end, refuse

from smbferry_engine.errors import EngineError
from smbferry_engine.model import ChosenSnapshot, Options
from smbferry_engine.operations.conduct import check_options
from smbferry_engine.plan.snapshots import choose, expect_listed, is_usable
from smbferry_engine.runtime.tasks import Scheduler
from smbferry_engine.share.share import Share
from smbferry_engine.share.snapshots import Snapshots, list_snapshots
from smbferry_engine.times import to_datetime, to_filetime
from smbferry_engine.wire.create import Access, Disposition
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.status import NtStatus
from smbferry_words.options import (
    CompareBy,
    DeletedFiles,
    SecurityDescriptors,
    SnapshotUse,
    VerifyMode,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MORNING, EVENING = NOON - timedelta(hours=6), NOON + timedelta(hours=6)
NOW = NOON + timedelta(hours=9)
TWRP = b"TWrp\0\0\0\0" + struct.pack("<Q", to_filetime(NOON))
REMOVES = {"deleted_files": DeletedFiles.REMOVE, "max_deletes": "100%"}
MANY = tuple(NOON - timedelta(minutes=minute) for minute in range(2000))


@pytest.mark.parametrize(
    ("wanted", "times", "chosen", "age"),
    [
        (SnapshotUse.LATEST, (MORNING, EVENING, NOON), EVENING, timedelta(hours=3)),
        (SnapshotUse.REQUIRED, (NOON,), NOON, timedelta(hours=9)),
        (SnapshotUse.LATEST, (), None, None),
        (SnapshotUse.LATEST, (NOW + timedelta(hours=1),), NOW + timedelta(hours=1), timedelta()),
        (NOON, (EVENING, NOON, MORNING), NOON, timedelta(hours=9)),
    ],
    ids=["the newest", "the only one", "none", "of a clock that is ahead", "of a time"],
)
def test_a_snapshot_is_chosen_with_its_age(
    wanted: SnapshotUse | datetime, times: tuple[datetime, ...], chosen: datetime | None, age: timedelta | None
) -> None:
    found = choose(wanted, times, "the server has none", NOW)
    assert (found.time, found.age) == (chosen, age)
    assert found.message.endswith(".")
    assert ("the server has none" in found.message) == (chosen is None)


@pytest.mark.parametrize(
    ("wanted", "times", "words"),
    [
        (SnapshotUse.REQUIRED, (), "got none: the server has none"),
        (NOON, (), "expected a snapshot of 2026-11-21T12:00:00Z, got none: the server has none"),
        (NOON, (EVENING, MORNING), "nearest: 2026-11-21T06:00:00Z and 2026-11-21T18:00:00Z"),
        (NOON, (MORNING, MORNING - timedelta(days=1)), "nearest: 2026-11-21T06:00:00Z"),
        (NOON, (EVENING, EVENING + timedelta(days=1)), "nearest: 2026-11-21T18:00:00Z"),
    ],
)
def test_a_snapshot_that_is_not_there_is_named_with_the_nearest_ones(
    wanted: SnapshotUse | datetime, times: tuple[datetime, ...], words: str
) -> None:
    with pytest.raises(EngineError) as caught:
        choose(wanted, times, "the server has none", NOW)
    assert caught.value.reason == "SnapshotNotFound"
    assert caught.value.message.endswith(words)


@pytest.mark.parametrize(
    ("recorded", "wanted", "usable"),
    [
        (NOON, SnapshotUse.LATEST, True),
        (None, SnapshotUse.LATEST, True),
        (NOON, SnapshotUse.REQUIRED, True),
        (None, SnapshotUse.REQUIRED, False),
        (NOON, NOON, True),
        (NOON, EVENING, False),
        (None, NOON, False),
    ],
)
def test_a_record_counts_only_if_the_task_allows_it(
    recorded: datetime | None, wanted: SnapshotUse | datetime, usable: bool
) -> None:
    assert is_usable(ChosenSnapshot(recorded), wanted) is usable


def test_a_recorded_snapshot_must_still_be_there() -> None:
    expect_listed(NOON, (MORNING, NOON), "")
    for times, words in (((MORNING,), "got 1 others"), ((), "got none: the server has none")):
        with pytest.raises(EngineError, match=words) as caught:
            expect_listed(NOON, times, "the server has none")
        assert caught.value.reason == "SnapshotGone"


def listed(
    *times: datetime,
    personality: Personality | None = None,
    root: str = "data",
    faults: tuple[Callable[[Request], int | None], ...] = (),
) -> Snapshots:
    server = FakeServer(folder(data=folder()), personality=personality)
    for time in times:
        server.take_snapshot(time)
    server.faults += faults
    link = Link(server)
    found = drive(Scheduler(), list_snapshots(Share(link.session, root)), link)
    assert not server.handles
    assert isinstance(found, Snapshots)
    return found


@pytest.mark.parametrize("personality", [None, Samba()], ids=["as specified", "Samba"])
@pytest.mark.parametrize("times", [(NOON,), (MORNING, NOON), MANY], ids=len)
def test_all_snapshots_are_listed_however_many(times: tuple[datetime, ...], personality: Personality | None) -> None:
    assert set(listed(*times, personality=personality).times) == set(times)


@pytest.mark.parametrize(
    ("personality", "words"),
    [(None, "has no snapshots"), (Samba(), "has no snapshots"), (Samba(shadow_copies=False), "INVALID_DEVICE_REQUEST")],
)
def test_a_server_without_snapshots_says_so(personality: Personality | None, words: str) -> None:
    found = listed(personality=personality)
    assert found.times == ()
    assert words in found.none


def test_a_folder_that_only_a_snapshot_has_is_asked_about_at_the_share() -> None:
    assert listed(NOON, root="gone").times == (NOON,)


@pytest.mark.parametrize(("command", "reason"), [(Command.IOCTL, "AccessDenied"), (Command.CREATE, "AccessDenied")])
def test_an_account_that_may_not_look_is_told(command: int, reason: str) -> None:
    """Snapshots that can't be seen are not none: the files would be read as they are."""
    with pytest.raises(EngineError) as caught:
        listed(NOON, faults=(refuse(command, NtStatus.ACCESS_DENIED),))
    assert caught.value.reason == reason


def test_a_list_that_is_never_whole_is_not_trusted() -> None:
    with pytest.raises(EngineError) as caught:
        listed(*(NOON - timedelta(minutes=minute) for minute in range(5000)))
    assert caught.value.reason == "ProtocolViolation"


TREE = {"changed": b"as it was", "deleted": b"d" * 900, "held": b"h" * 900, "big": BIG}


def snapped(world: World | None = None) -> World:
    """A source with a snapshot of noon, after which everything changed."""
    at_first = Node(None, {**{name: file(data) for name, data in TREE.items()}, "dir": folder(x=file(b"x"))}, 0)
    made = world or World(at_first, folder(extra=file(b"e")))
    made.source.take_snapshot(NOON)
    made.snapshot = NOON
    now = made.source.root.children["data"].children
    now["changed"].data = bytearray(b"as it is now")
    now["new"] = file(b"new")
    del now["deleted"], now["dir"]
    made.source.hold("data\\held")
    made.source.hold("data\\big", access=2)
    return made


EXPECTED = {**{f"/{name}": data for name, data in TREE.items()}, "/dir": None, "/dir/x": b"x"}


@pytest.mark.fault(180)
@pytest.mark.parametrize("verify", VerifyMode)
@pytest.mark.parametrize("compare", CompareBy)
def test_the_tree_arrives_as_of_the_snapshot_whatever_happened_to_it_since(
    verify: VerifyMode, compare: CompareBy
) -> None:
    world = snapped()
    for _ in range(2):
        run = world.transfer(verify_mode=verify, compare_by=compare, **REMOVES)
        assert (world.copied, world.reasons) == (EXPECTED, [])
    assert run.tally.counters.files.transferred == 0
    assert run.tally.counters.bytes.written == 0


def test_a_second_run_with_a_newer_snapshot_moves_only_the_difference() -> None:
    world = snapped()
    world.transfer(**REMOVES)
    world.source.root.children["data"].children["changed"].times[2] += 1
    world.source.take_snapshot(EVENING)
    world.snapshot = EVENING
    run = world.transfer(**REMOVES)
    assert run.tally.counters.files.transferred == 2
    assert run.tally.counters.files.deleted == 2
    expected = {**EXPECTED, "/changed": b"as it is now", "/new": b"new"}
    for gone in ("/deleted", "/dir", "/dir/x"):
        del expected[gone]
    assert world.copied == expected


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compare_by": CompareBy.CHECKSUM, "verify_mode": VerifyMode.POINT_IN_TIME_CONSISTENT},
        {"security_descriptors": SecurityDescriptors.OWNER_DACL_SACL, **REMOVES},
        {"verify_mode": VerifyMode.NONE, "dry_run": True},
    ],
    ids=["plain", "checksums", "audit lists", "dry run"],
)
def test_whatever_is_opened_at_the_source_is_opened_in_the_snapshot(options: dict[str, object]) -> None:
    world = snapped()
    for _ in range(2):
        world.transfer(**options)
    asked = world.source.requests
    lists = {number - 1 for number, request in enumerate(asked) if request.body[4:8] == struct.pack("<I", 0x00144064)}
    opens = [(number, request) for number, request in enumerate(asked) if request.command == Command.CREATE]
    assert opens
    assert [request.name for number, request in opens if (TWRP in request.body) == (number in lists)] == []
    assert not any(TWRP[:4] in request.body for request in world.destination.requests)


def test_a_large_file_of_a_snapshot_is_not_asked_about_for_writers() -> None:
    counts = []
    for snapshot in (None, NOON):
        world = World(folder(big=file(BIG)))
        world.source.take_snapshot(NOON)
        world.snapshot = snapshot
        world.transfer()
        counts.append(sum(request.name == "data\\big" for request in world.source.requests))
    assert counts == [2, 1]


def test_one_server_copies_from_its_snapshot_by_itself() -> None:
    world = OneServer(folder(big=file(BIG)))
    world.source.take_snapshot(NOON)
    world.snapshot = NOON
    world.source.root.children["data"].children["big"].data = bytearray(b"now")
    run = world.transfer()
    assert world.copied == {"/big": BIG}
    assert run.tally.counters.bytes.server_side == len(BIG)


@pytest.mark.parametrize(
    ("access", "disposition"),
    [(Access.READ_DATA, Disposition.OPEN_IF)] + [(1 << bit, 1) for bit in (1, 2, 4, 8, 16, 18)],
)
def test_nothing_that_could_change_a_snapshot_is_opened(access: int, disposition: int) -> None:
    world = snapped()
    share = Share(world.links[0].session, "data", to_filetime(NOON))
    with pytest.raises(EngineError, match="for reading only"):
        share.open("f", access=access, disposition=disposition)


@pytest.mark.parametrize("change", ["delete", "rename", "make_directory"])
def test_no_method_of_a_share_changes_a_snapshot_or_the_files_behind_it(change: str) -> None:
    world = snapped()
    at_first = world.original
    share = Share(world.links[0].session, "data", to_filetime(NOON))
    changes: dict[str, Coroutine[object, object, None]] = {
        "delete": share.delete("changed", directory=False),
        "rename": share.rename("changed", "x", attributes=0),
        "make_directory": share.make_directory("y"),
    }
    with pytest.raises(EngineError, match="for reading only"):
        changes.pop(change).send(None)
    for other in changes.values():
        other.close()
    assert world.original == at_first


def test_a_destination_is_never_in_a_snapshot() -> None:
    with pytest.raises(EngineError) as caught:
        check_options(end("src"), end("dst", snapshot=NOON), Options())
    assert caught.value.reason == "EndpointInvalid"


def before(number: int, act: Callable[[], None], command: int | None = None) -> Callable[[Request], int | None]:
    """Do something before the request of that number, of those with the command."""
    left = [number]

    def fault(request: Request) -> int | None:
        if command in (None, request.command):
            left[0] -= 1
            if left[0] == 0:
                act()
        return None

    return fault


@pytest.mark.fault(181)
@pytest.mark.parametrize("verify", VerifyMode)
def test_a_snapshot_that_goes_away_at_any_moment_is_told_once_and_nothing_is_deleted(verify: VerifyMode) -> None:
    undisturbed = snapped()
    undisturbed.transfer(verify_mode=verify, **REMOVES)
    commands = [request.command for request in undisturbed.source.requests]
    last_look = len(commands) - commands[::-1].index(Command.IOCTL)
    assert last_look > 30
    for number in range(1, last_look + 1):
        world = snapped()
        world.source.faults.append(before(number, lambda: world.source.drop_snapshot(NOON)))  # noqa: B023  # used here
        with pytest.raises(EngineError) as caught:
            world.transfer(verify_mode=verify, **REMOVES)
        assert (number, caught.value.reason) == (number, "SnapshotGone")
        assert (number, world.reasons) == (number, [])
        copied = {path: data for path, data in world.copied.items() if data is not None and "/.smbferry" not in path}
        assert copied["/extra"] == b"e"
        assert copied.items() <= {**EXPECTED, "/extra": b"e"}.items()


@pytest.mark.fault(182)
def test_a_snapshot_whose_listing_ends_early_deletes_nothing() -> None:
    """Samba lists a folder that is being removed with what is left of it, and no error."""
    world = snapped()
    world.transfer()
    node = world.source.snapshots[to_filetime(NOON)].children["data"]

    def remove() -> None:
        node.children.clear()

    def gone(request: Request) -> int | None:
        if request.command == Command.IOCTL:
            world.source.snapshots.clear()
        return None

    world.source.faults += [before(2, remove, Command.QUERY_DIRECTORY), gone]
    at_first = world.copied
    with pytest.raises(EngineError) as caught:
        world.transfer(**REMOVES)
    assert caught.value.reason == "SnapshotGone"
    assert world.copied == at_first


def test_a_file_that_fails_while_the_snapshot_is_there_fails_alone() -> None:
    world = snapped()
    world.source.faults.append(refuse(Command.CREATE, NtStatus.OBJECT_NAME_NOT_FOUND, name="deleted"))
    world.transfer()
    assert world.reasons == [("/deleted", "FileVanished")]
    assert "/changed" in world.copied


def test_a_file_whose_folder_the_server_does_not_find_is_told_with_the_reason() -> None:
    """Samba 4.17 finds no folder of a snapshot that was deleted since."""
    world = snapped()
    world.source.faults.append(refuse(Command.CREATE, NtStatus.OBJECT_PATH_NOT_FOUND, name="dir\\x"))
    world.transfer()
    (failure,) = world.watcher.failures
    assert (failure.path, failure.reason) == ("/dir/x", "FileVanished")
    assert failure.message.endswith("its server finds no folder that was deleted since")


def test_a_root_that_the_snapshot_lacks_is_named_with_its_time() -> None:
    world = World(folder())
    world.source.snapshots[to_filetime(NOON)] = folder(other=folder())
    world.snapshot = NOON
    with pytest.raises(EngineError, match=r"got none in the snapshot of 2026-11-21T12:00:00Z") as caught:
        world.transfer()
    assert caught.value.reason == "PathNotFound"


def test_a_snapshot_that_is_gone_before_the_first_folder_is_opened_is_told_so() -> None:
    world = World(folder())
    world.snapshot = NOON
    with pytest.raises(EngineError) as caught:
        world.transfer()
    assert caught.value.reason == "SnapshotGone"


def test_a_connection_that_is_lost_goes_on_in_the_same_snapshot() -> None:
    world = snapped()

    def cut() -> None:
        world.links[0].lose = True

    world.source.faults.append(before(4, cut, Command.READ))
    world.transfer(**REMOVES)
    assert world.restored == 1
    assert (world.copied, world.reasons) == (EXPECTED, [])


def test_a_time_survives_the_way_to_the_wire_and_back() -> None:
    assert to_datetime(to_filetime(NOON)) == NOON
