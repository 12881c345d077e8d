"""A mirror that nobody has confirmed: an old source over a new destination loses nothing there (ADR 20)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from lab.fake_server import Node, file, folder
from lab.fake_server.world import BIG, World

from smbferry_engine.errors import EngineError
from smbferry_words.options import CompareBy, DeletedFiles

if TYPE_CHECKING:
    from smbferry_engine.run.context import RunContext

MIRROR: dict[str, Any] = {"deleted_files": DeletedFiles.REMOVE, "max_deletes": "100%", "unconfirmed": "k3xw"}


def refused(world: World, **options: Any) -> tuple[RunContext, EngineError]:
    with pytest.raises(EngineError) as caught:
        world.transfer(**{**MIRROR, **options})
    assert world.run is not None
    return world.run, caught.value


def old_over_new() -> World:
    """After a cut-over: people have changed a file and made another on the new server."""
    source = folder(same=file(b"s", time=5), report=file(b"last year", time=5), late=file(b"found late", time=5))
    return World(source, folder(same=file(b"s", time=5), report=file(b"this year's", time=9), fresh=file(b"f", time=9)))


@pytest.mark.fault(134)
@pytest.mark.parametrize("compare_by", list(CompareBy))
def test_nothing_is_deleted_nothing_newer_replaced_and_what_is_new_is_copied(compare_by: CompareBy) -> None:
    world = old_over_new()
    run, error = refused(world, compare_by=compare_by)

    assert world.copied == {"/same": b"s", "/report": b"this year's", "/fresh": b"f", "/late": b"found late"}
    assert error.reason == "MirrorNotConfirmed"
    assert "1 files and folders are only at the destination and 1 files are newer there" in error.message
    assert "'k3xw'" in error.message
    assert [(failure.path, failure.reason) for failure in world.watcher.failures] == [("/report", "MirrorNotConfirmed")]
    assert run.tally.counters.files.deleted == 0


def test_a_large_file_that_is_newer_stays_too() -> None:
    world = World(folder(disk=file(BIG, time=5)), folder(disk=file(b"newer", time=9)))
    refused(world)

    assert world.copied == {"/disk": b"newer"}


def test_a_file_that_is_older_is_replaced_as_ever() -> None:
    world = World(folder(a=file(b"new", time=9)), folder(a=file(b"old", time=5)))
    run = world.transfer(**MIRROR)

    assert world.copied == {"/a": b"new"}
    assert not run.tally.failures


@pytest.mark.fault(134)
@pytest.mark.parametrize("destination", [folder(), folder(a=file(b"a", time=5))], ids=["empty", "in step"])
def test_a_first_mirror_with_nothing_to_lose_needs_no_word(destination: Node) -> None:
    world = World(folder(a=file(b"a", time=5)), destination)
    run = world.transfer(**MIRROR)

    assert world.copied == {"/a": b"a"}
    assert not run.tally.failures


def test_with_the_word_given_it_mirrors() -> None:
    world = old_over_new()
    world.transfer(**{**MIRROR, "unconfirmed": ""})

    assert world.copied == world.original
