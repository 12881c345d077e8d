"""Files in use are tried again after all others, and only then reported: locks, writers, targets that are open."""

from collections.abc import Callable
from typing import Any

import pytest
from lab.fake_server import Request, drive, file, folder
from lab.fake_server.world import BIG, World, refuse
from tests.unit.engine.test_sharded import copy_shards, finish, pieces_of

from smbferry_engine.errors import EngineError
from smbferry_engine.model import RetryFact, RetryLocked
from smbferry_engine.operations.transfer import execute
from smbferry_engine.plan.shard import Cut
from smbferry_engine.tree import retries
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.status import NtStatus
from smbferry_words.options import CompareBy, DeletedFiles, OverwriteMode
from smbferry_words.reasons import CONNECTION_LOST

SIZES = pytest.mark.parametrize("content", [b"data", BIG], ids=["small", "large"])
MINUTE = 60.0
WRITES = 0x2


def copy_while(world: World, at: dict[float, Callable[[], None]], **options: object) -> Any:
    """Run a transfer while something else happens, at so many seconds after its start."""
    run = world.prepare(**options)

    async def later(seconds: float, act: Callable[[], None]) -> None:
        await world.scheduler.sleep(seconds)
        act()

    async def main() -> None:
        for seconds, act in at.items():
            world.scheduler.spawn(later(seconds, act))
        await execute(run)

    drive(world.scheduler, main(), *world.links)
    return run


def refuse_rename(request: Request) -> int | None:
    """Samba's answer where the target is open."""
    rename = request.command == Command.SET_INFO and request.body[3] == 10
    return NtStatus.SHARING_VIOLATION if rename else None


def opens_of(world: World, name: str) -> int:
    return sum(request.command == Command.CREATE and request.name == name for request in world.source.requests)


@SIZES
@pytest.mark.parametrize("minutes", [0.5, 1.5, 2.5])
def test_a_file_that_is_released_between_the_attempts_is_copied_and_nothing_is_reported(
    content: bytes, minutes: float
) -> None:
    world = World(folder(sub=folder(f=file(content)), g=file(b"more")))
    held = world.source.hold("data\\sub\\f", share=0)
    told: list[int] = []

    def release() -> None:
        told.append(len(world.watcher.failures))
        world.source.release(held)

    run = copy_while(world, {minutes * MINUTE: release})
    assert (world.copied, world.reasons, told) == (world.original, [], [0])
    files, octets = run.tally.counters.files, run.tally.counters.bytes
    assert (files.to_transfer, files.transferred, files.failed, files.listed) == (2, 2, 0, 2)
    assert octets.to_transfer == octets.transferred == octets.written == len(content) + 4
    assert world.node("sub").times[2] == 30_000
    assert world.watcher.retries[0] == RetryFact(1, 1, 3, MINUTE)
    assert world.watcher.retries[-1] is None


@SIZES
def test_a_file_that_stays_locked_fails_after_the_last_attempt_and_not_before(content: bytes) -> None:
    world = World(folder(f=file(content), g=file(b"more")))
    world.source.hold("data\\f", share=0)
    told: list[int] = []
    run = copy_while(world, {s: lambda: told.append(len(world.watcher.failures)) for s in (1.0, 90.0, 170.0)})
    assert told == [0, 0, 0]
    assert world.reasons == [("/f", "SharingViolation")]
    assert world.watcher.failures[0].message.endswith("tried 3 more times, 60 s apart")
    assert world.copied == {"/g": b"more"}
    assert [fact.attempt for fact in world.watcher.retries if fact and fact.seconds] == [1, 2, 3]
    assert 3 * MINUTE < world.scheduler.now < 3 * MINUTE + 10
    files = run.tally.counters.files
    assert (files.to_transfer, files.transferred, files.failed) == (2, 1, 1)


@pytest.mark.parametrize("status", [NtStatus.SHARING_VIOLATION, NtStatus.FILE_LOCK_CONFLICT])
def test_a_locked_range_is_a_lock_like_any_other(status: int) -> None:
    world = World(folder(f=file(BIG)))
    world.source.faults.append(refuse(Command.READ, status, times=6))
    world.transfer()
    assert (world.copied, world.reasons) == (world.original, [])


def test_other_failures_are_not_tried_again() -> None:
    world = World(folder(f=file(b"data")))
    world.source.faults.append(refuse(Command.CREATE, NtStatus.ACCESS_DENIED, name="data\\f"))
    world.transfer()
    assert world.reasons == [("/f", "AccessDenied")]
    assert (world.watcher.retries, opens_of(world, "data\\f")) == ([], 1)


@pytest.mark.parametrize(
    "options",
    [{"retry_locked": RetryLocked(attempts=0)}, {"dry_run": True, "compare_by": CompareBy.CHECKSUM}],
    ids=["switched off", "dry run"],
)
def test_nothing_waits_where_no_attempt_would_follow(options: dict[str, object]) -> None:
    there = file(b"else", time=30_000 if "dry_run" in options else 2)
    world = World(folder(f=file(b"data")), folder(f=there))
    world.source.hold("data\\f", share=0)
    world.transfer(**options)
    assert world.reasons == [("/f", "SharingViolation")]
    assert world.watcher.retries == []
    assert "more times" not in world.watcher.failures[0].message
    assert world.scheduler.now < 10


def test_an_interval_that_has_passed_meanwhile_is_not_waited_for_again() -> None:
    world = World(folder(a=file(b"1", attributes=0x21), f=file(b"x" * 1000), g=file(b"x")), folder(a=file(b"1")))
    held = refuse(Command.SET_INFO, NtStatus.SHARING_VIOLATION, times=1)
    world.destination.faults.append(held)
    world.transfer(bytes_per_second=10, retry_locked=RetryLocked(1, 20.0))
    assert world.reasons == []
    assert [fact.seconds for fact in world.watcher.retries if fact] == [0.0]


@SIZES
def test_a_target_that_stays_open_costs_no_further_copy_of_its_source(content: bytes) -> None:
    world = World(folder(f=file(content, time=2)), folder(f=file(b"before")))
    world.destination.faults.append(refuse_rename)
    world.destination.hold("copy\\f", share=3)
    before: list[int] = []
    copy_while(world, {30.0: lambda: before.append(opens_of(world, "data\\f"))})
    assert world.reasons == [("/f", "SharingViolation")]
    assert before == [opens_of(world, "data\\f")]
    assert world.copied == {"/f": b"before"}


@SIZES
def test_a_target_that_is_closed_in_time_is_replaced(content: bytes) -> None:
    world = World(folder(f=file(content, time=2)), folder(f=file(b"before")))
    world.destination.faults.append(refuse_rename)
    held = world.destination.hold("copy\\f", share=3)

    def close() -> None:
        world.destination.faults.remove(refuse_rename)
        world.destination.release(held)

    run = copy_while(world, {100.0: close})
    assert (world.copied, world.reasons) == (world.original, [])
    assert run.tally.counters.bytes.to_transfer == run.tally.counters.bytes.transferred == len(content)


@SIZES
def test_a_file_that_has_grown_meanwhile_is_copied_and_counted_as_it_is_now(content: bytes) -> None:
    world = World(folder(f=file(content)))
    held = world.source.hold("data\\f", share=0)

    def grow() -> None:
        node = world.source.root.children["data"].children["f"]
        assert node.data is not None
        node.data += b"and more"
        node.times[2] += 5
        world.source.release(held)

    run = copy_while(world, {70.0: grow})
    assert (world.copied, world.reasons) == ({"/f": content + b"and more"}, [])
    assert run.tally.counters.bytes.to_transfer == run.tally.counters.bytes.transferred == len(content) + 8


def test_a_file_that_is_gone_meanwhile_is_reported_as_gone() -> None:
    world = World(folder(sub=folder(f=file(b"data"))))
    world.source.hold("data\\sub\\f", share=0)
    copy_while(world, {70.0: world.source.root.children["data"].children["sub"].children.clear})
    assert world.reasons == [("/sub/f", "FileVanished")]
    assert world.node("sub").times[2] == 30_000


def test_a_file_that_became_a_folder_meanwhile_is_reported_as_such() -> None:
    world = World(folder(f=file(b"data")))
    world.source.hold("data\\f", share=0)
    copy_while(world, {70.0: lambda: world.source.root.children["data"].children.update(f=folder())})
    assert world.reasons == [("/f", "TypeConflict")]


def test_what_appeared_at_the_destination_meanwhile_is_not_overwritten_where_nothing_may_be() -> None:
    world = World(folder(f=file(b"data")))
    held = world.source.hold("data\\f", share=0)

    def appear() -> None:
        world.destination.root.children["copy"].children["f"] = file(b"somebody's")
        world.source.release(held)

    run = copy_while(world, {70.0: appear}, overwrite_mode=OverwriteMode.NEVER)
    assert (world.copied, world.reasons) == ({"/f": b"somebody's"}, [])
    files = run.tally.counters.files
    assert (files.to_transfer, files.transferred, files.skipped) == (0, 0, 1)


@pytest.mark.parametrize(("there", "transferred", "skipped"), [(b"else", 1, 0), (b"data", 0, 1)])
def test_a_comparison_of_content_is_tried_again_too(there: bytes, transferred: int, skipped: int) -> None:
    world = World(folder(f=file(b"data")), folder(f=file(there)))
    held = world.source.hold("data\\f", share=0)
    run = copy_while(world, {70.0: lambda: world.source.release(held)}, compare_by=CompareBy.CHECKSUM)
    assert (world.copied, world.reasons) == (world.original, [])
    files = run.tally.counters.files
    assert (files.to_transfer, files.transferred, files.skipped) == (transferred, transferred, skipped)


def test_a_file_whose_old_copy_is_locked_after_the_comparison_is_counted_once() -> None:
    world = World(folder(f=file(b"data", time=2)), folder(f=file(b"else")))
    rename = refuse(Command.SET_INFO, NtStatus.SHARING_VIOLATION, times=4)
    world.destination.faults.append(rename)
    run = world.transfer(compare_by=CompareBy.CHECKSUM)
    assert (world.copied, world.reasons) == (world.original, [])
    assert run.tally.counters.files.to_transfer == run.tally.counters.files.transferred == 1
    assert run.tally.counters.bytes.to_transfer == run.tally.counters.bytes.transferred == 4


def test_beyond_the_bound_a_file_fails_at_once_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "MOST_WAITING", 2)
    world = World(folder(**{f"f{index}": file(b"data") for index in range(5)}))
    held = [world.source.hold(f"data\\f{index}", share=0) for index in range(5)]

    def release() -> None:
        for each in held:
            world.source.release(each)

    copy_while(world, {30.0: release})
    assert len(world.copied) == 2
    assert [reason for _, reason in world.reasons] == ["SharingViolation"] * 3
    assert all("is not tried again" in failure.message for failure in world.watcher.failures)


def test_what_waits_is_named_if_the_run_fails_before_the_next_attempt() -> None:
    world = World(folder(f=file(b"data"), g=file(b"more")))
    world.source.hold("data\\f", share=0)
    world.source.hold("data\\g", share=0)

    def lose() -> None:
        def gone() -> None:
            raise EngineError(CONNECTION_LOST, "gone")

        world.restore = gone  # type: ignore[method-assign]
        world.run.recovery._restore = gone  # type: ignore[union-attr]
        world.links[0].session.fail(EngineError(CONNECTION_LOST, "cut"))

    with pytest.raises(EngineError):
        copy_while(world, {70.0: lose})
    assert sorted(world.reasons) == [("/f", "SharingViolation"), ("/g", "SharingViolation")]


def test_a_connection_that_is_lost_while_nothing_happens_is_made_again() -> None:
    world = World(folder(f=file(BIG)))
    held = world.source.hold("data\\f", share=0)

    def lose() -> None:
        world.source.release(held)
        for link in world.links:
            link.session.fail(EngineError(CONNECTION_LOST, "cut"))

    copy_while(world, {30.0: lose})
    assert (world.copied, world.reasons, world.restored) == (world.original, [], 1)


def test_deletions_come_after_the_last_attempt() -> None:
    world = World(folder(f=file(b"data"), keep=file(b"1")), folder(old=file(b"old"), keep=file(b"1")))
    held = world.source.hold("data\\f", share=0)
    seen: list[bool] = []

    def release() -> None:
        seen.append("/old" in world.copied)
        world.source.release(held)

    copy_while(world, {70.0: release}, deleted_files=DeletedFiles.REMOVE, max_deletes="100%")
    assert (seen, world.copied) == ([True], world.original)


def test_a_writer_that_writes_all_the_time_is_reported_and_read_once_for_each_further_attempt() -> None:
    world = World(folder(f=file(BIG)))
    world.source.hold("data\\f", access=WRITES, share=7)
    reads = [0]

    def write(request: Request) -> None:
        node = world.source.root.children["data"].children["f"]
        if request.command == Command.READ and request.node is node and node.data is not None:
            reads[0] += 1
            node.data[-1] = reads[0] % 251

    world.source.faults.append(write)
    before: list[int] = []
    run = copy_while(world, {30.0: lambda: before.append(reads[0])})
    assert world.reasons == [("/f", "SourceChanged")]
    assert reads[0] - before[0] <= before[0]
    assert run.tally.counters.bytes.transferred == 0


@pytest.mark.parametrize("compare_by", CompareBy)
def test_a_shard_does_not_wait_and_its_finish_tries_again(compare_by: CompareBy) -> None:
    world = World(folder(a=file(b"1"), b=file(b"22"), c=file(BIG)))
    held = [world.source.hold(f"data\\{name}", share=0) for name in "ac"]
    shards = copy_shards(world, [Cut("b"), Cut("c", 200_000)], compare_by=compare_by)
    assert world.scheduler.now < 30
    assert world.watcher.retries == []
    decided_by_listings = compare_by is not CompareBy.CHECKSUM
    assert bool(world.reasons) is not decided_by_listings
    assert sum(run.tally.counters.files.failed for run in shards) == len(world.reasons)
    world.watcher.failures.clear()
    for each in held:
        world.source.release(each)
    last = finish(world, pieces_of(shards), compare_by=compare_by)
    assert (world.copied, world.reasons) == (world.original, [])
    assert sum(run.tally.counters.files.transferred for run in (*shards, last)) == 3
