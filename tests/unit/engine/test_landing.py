"""How small new files come to their names when the server dies within the compound that commits them (I1)."""

import pytest
from lab.fake_server import Node, Request, file, folder
from lab.fake_server.world import World

from smbferry_engine.errors import EngineError
from smbferry_engine.paths import is_staging_name
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.status import NtStatus
from smbferry_words.options import CompareBy, Durability, OverwriteMode, Preservation, VerifyMode
from smbferry_words.reasons import CONNECTION_LOST

WRITES = (Command.CREATE, Command.WRITE, Command.SET_INFO, Command.CLOSE)


def tree() -> Node:
    return Node(None, {f"f{index}": file(f"content {index}".encode(), time=50_000 + index) for index in range(4)}, 0)


def die(world: World, *, before: int) -> list[int]:
    """Have the destination's server die before it does the so-manieth request about a file, and stay away."""
    done: list[int] = []

    def fault(request: Request) -> int | None:
        is_file = request.node is not None and not request.node.is_directory
        counts = request.command in WRITES and (is_file or (request.command == Command.CREATE and _names_file(request)))
        if len(done) < before:
            done.extend([request.command] * counts)
            return None
        world.links[1].lose = True
        return NtStatus.FILE_CLOSED

    def stay_away() -> None:
        raise EngineError(CONNECTION_LOST, "nobody there")

    world.destination.faults.append(fault)
    world.restore = stay_away  # type: ignore[method-assign]
    return done


def _names_file(request: Request) -> bool:
    return (request.name or "").rpartition("\\")[2] not in ("", "copy")


@pytest.mark.parametrize("before", range(16))
@pytest.mark.parametrize(
    "options",
    [
        {"overwrite_mode": OverwriteMode.NEVER},
        {"overwrite_mode": OverwriteMode.NEVER, "verify_mode": VerifyMode.NONE},
        {"overwrite_mode": OverwriteMode.IF_NEWER},
        {"overwrite_mode": OverwriteMode.IF_NEWER, "verify_mode": VerifyMode.NONE},
        {"overwrite_mode": OverwriteMode.IF_NEWER, "timestamps": Preservation.NONE},
        {"overwrite_mode": OverwriteMode.ALWAYS},
        {"overwrite_mode": OverwriteMode.ALWAYS, "verify_mode": VerifyMode.NONE},
        {"overwrite_mode": OverwriteMode.ALWAYS, "compare_by": CompareBy.CHECKSUM},
        {"overwrite_mode": OverwriteMode.ALWAYS, "timestamps": Preservation.NONE},
    ],
    ids=lambda options: " ".join(str(value) for value in options.values()),
)
def test_what_a_server_left_that_died_between_two_operations_is_whole_after_the_next_run(
    before: int, options: dict[str, object]
) -> None:
    first = World(tree())
    done = die(first, before=before)
    with pytest.raises(EngineError, match=CONNECTION_LOST.name):
        first.transfer(**options)
    assert len(done) == before

    left = first.destination.root.children["copy"]
    second = World(tree(), left)
    second.transfer(**options)
    assert second.watcher.failures == []
    assert second.copied == second.original
    if options.get("timestamps") is not Preservation.NONE:
        assert [second.node(f"f{index}").times[2] for index in range(4)] == [50_000 + index for index in range(4)]


@pytest.mark.parametrize("before", range(16))
@pytest.mark.parametrize("overwrite_mode", [OverwriteMode.NEVER, OverwriteMode.IF_NEWER])
def test_where_a_torn_file_would_stay_a_final_name_is_given_to_whole_files_alone(
    before: int, overwrite_mode: OverwriteMode
) -> None:
    world = World(tree())
    die(world, before=before)
    with pytest.raises(EngineError, match=CONNECTION_LOST.name):
        world.transfer(overwrite_mode=overwrite_mode)
    for path, content in world.copied.items():
        assert is_staging_name(path[1:]) or content == world.original[path]


@pytest.mark.fault(69)
@pytest.mark.parametrize("there", [False, True])
def test_a_small_file_is_flushed_before_it_gets_its_time_where_that_is_asked_for(*, there: bool) -> None:
    for durability, flushes in ((Durability.BUFFERED, 0), (Durability.FLUSHED, 1)):
        world = World(folder(f=file(b"content", time=50_000)), folder(f=file(b"older")) if there else folder())
        done: list[tuple[int, int]] = []

        def look(request: Request, done: list[tuple[int, int]] = done) -> None:
            if request.command in (Command.WRITE, Command.FLUSH) and request.node is not None:
                done.append((request.command, request.node.times[2]))

        world.destination.faults.append(look)
        world.transfer(durability=durability)
        assert [command for command, _ in done] == [Command.WRITE] + [Command.FLUSH] * flushes
        assert all(time != 50_000 for _, time in done)
        assert world.copied == world.original


def test_a_file_that_may_be_overwritten_is_landed_by_one_compound_of_four() -> None:
    world = World(folder(f=file(b"content")))
    world.transfer(verify_mode=VerifyMode.NONE)
    about = [Command(r.command) for r in world.destination.requests if r.command in WRITES and r.command]
    start = about.index(Command.WRITE) - 1
    assert about[start : start + 4] == list(WRITES)
