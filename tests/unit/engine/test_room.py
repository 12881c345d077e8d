"""No room at the destination: it concerns one file, one folder, one owner, or everything."""

import pytest
from lab.fake_server import CHUNK, Personality, Request, descriptor, drive, file, folder
from lab.fake_server.world import BIG, World

from smbferry_engine.errors import EngineError
from smbferry_engine.files.cleanup import undo
from smbferry_engine.paths import is_staging_name
from smbferry_engine.run.room import IN_A_ROW
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.status import NtStatus
from smbferry_words.options import SecurityDescriptors
from smbferry_words.reasons import SESSION_ENDED

FULL = pytest.mark.parametrize(
    ("status", "reason"), [(NtStatus.DISK_FULL, "DestinationFull"), (NtStatus.QUOTA_EXCEEDED, "QuotaExceeded")]
)


def says(status: int) -> Personality:
    """A server that answers so where a quota is used up."""
    personality = Personality()
    personality.quota_status = status
    return personality


@pytest.mark.fault(82)
@FULL
@pytest.mark.parametrize("tells", [True, False], ids=["which tells its room", "which tells that of the disk"])
def test_one_full_folder_fails_its_own_files_by_name_and_the_others_are_copied(
    status: int, reason: str, *, tells: bool
) -> None:
    tree = {f"f{index:02}": file(bytes([index]) * 1000) for index in range(63)}
    big = file(BIG, time=2)
    personality = says(status)
    personality.tells_quota = tells
    world = World(
        folder(narrow=folder(**tree, big=big), wide=folder(**{name: file(b"x") for name in tree}, big=file(BIG))),
        folder(narrow=folder(big=file(b"old"))),
        personalities=(None, personality),
    )
    world.destination.quotas["copy\\narrow"] = 20_500
    world.transfer()
    failed = {path for path, _ in world.reasons}
    assert {found for _, found in world.reasons} <= {reason, "DestinationFull"}
    assert len(failed) == 63 + 1 - 20
    assert all(path.startswith("/narrow/") for path in failed)
    assert world.copied == {
        path: b"old" if path == "/narrow/big" else content
        for path, content in world.original.items()
        if path not in failed - {"/narrow/big"}
    }


@pytest.mark.fault(82)
def test_a_folder_without_room_does_not_end_the_run_however_many_files_it_fails() -> None:
    many = {f"f{index:03}": file(b"x" * 10) for index in range(3 * IN_A_ROW)}
    world = World(folder(a=folder(**many), b=folder(**many)))
    world.destination.quotas["copy\\a"] = 0
    run = world.transfer()
    assert len(world.reasons) == len(many)
    assert run.tally.counters.files.transferred == len(many)


@pytest.mark.fault(83)
@pytest.mark.parametrize("size", [10, len(BIG)])
def test_a_full_disk_ends_the_run_with_the_paths_and_not_every_file_is_tried(size: int) -> None:
    many = {f"f{index:04}": file(BIG[:size]) for index in range(20 * IN_A_ROW)}
    world = World(folder(first=file(b"first"), **many))
    world.destination.room = 5
    with pytest.raises(EngineError) as caught:
        world.transfer()
    assert caught.value.reason == "DestinationFull"
    assert "/f0" in caught.value.message
    assert "0 bytes free" in caught.value.message
    assert IN_A_ROW <= len(world.reasons) <= 2 * IN_A_ROW
    created = [request for request in world.destination.requests if request.command == Command.WRITE]
    assert len(created) <= 3 * IN_A_ROW
    assert world.run is not None
    world.scheduler.close_all()
    for link in world.links:
        link.session.drop_unsent(EngineError(SESSION_ENDED, "stopped"))
    drive(world.scheduler, undo(world.run), *world.links)
    assert [path for path in world.copied if not is_staging_name(path[1:])] == ["/first"]


@pytest.mark.fault(82)
def test_of_two_large_files_that_take_each_others_room_the_one_that_fits_arrives() -> None:
    size = 16 * CHUNK
    source = {name: file(bytes([index]) * size) for index, name in enumerate(("a", "b"), 1)}
    world = World(folder(**source))
    world.destination.room = size + CHUNK
    world.transfer()
    assert [reason for _, reason in world.reasons] == ["DestinationFull"]
    assert len(world.copied) == 1
    assert world.copied.items() <= world.original.items()


@pytest.mark.fault(84)
@pytest.mark.parametrize("size", [10, len(BIG)])
def test_an_owner_whose_quota_is_used_up_fails_that_file(size: int) -> None:
    world = World(folder(rich=file(BIG[:size]), poor=file(BIG[:size])))
    for name, who in (("rich", "r"), ("poor", "p")):
        world.source.root.children["data"].children[name].security = {7: descriptor(who)}

    owner = descriptor("p")[20:48]

    def fault(request: Request) -> int | None:
        sets_owner = request.command in (Command.CREATE, Command.SET_INFO) and owner in request.body
        return NtStatus.QUOTA_EXCEEDED if sets_owner else None

    world.destination.faults.append(fault)
    world.transfer(security_descriptors=SecurityDescriptors.OWNER_DACL)
    assert world.reasons == [("/poor", "QuotaExceeded")]
    assert set(world.copied) == {"/rich"}


@pytest.mark.fault(82)
def test_what_found_no_room_while_a_file_that_is_too_large_was_gathered_is_copied_in_the_end() -> None:
    size = 64 * CHUNK
    small = {f"f{index:03}": file(b"x" * 1000) for index in range(3 * IN_A_ROW)}
    world = World(folder(aaa=file(bytes([1]) * size), **small))
    world.destination.room = size // 2
    run = world.transfer()
    assert world.reasons == [("/aaa", "DestinationFull")]
    assert set(world.copied) == {path for path in world.original if path != "/aaa"}
    assert run.tally.counters.files.to_transfer == 1 + len(small)
