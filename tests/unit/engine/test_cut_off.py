"""While nothing may be deleted or replaced: what needs that waits, what is new arrives, and it goes on afterwards."""

from __future__ import annotations

import pytest
from lab.fake_server import Node, drive, file, folder
from lab.fake_server.world import BIG, World

from smbferry_engine.paths import STAGING_PREFIX, staging_names
from smbferry_engine.wire.header import Command
from smbferry_words.options import DeletedFiles

ASKED = 40
"""How often it is said that nothing may be replaced before it may."""


class Gate:
    """Closed until it was asked a number of times; keeps what the destination held each time."""

    def __init__(self, world: World, asked: int = ASKED) -> None:
        self.world, self.left = world, asked
        self.held: list[dict[str, bytes | None]] = []

    def __call__(self) -> bool:
        if self.left:
            self.left -= 1
            self.held.append({name: data for name, data in self.world.copied.items() if STAGING_PREFIX not in name})
        return not self.left


def run(world: World, *, asked: int = ASKED) -> Gate:
    gate = Gate(world, asked)
    prepared = world.prepare(deleted_files=DeletedFiles.REMOVE, max_deletes="100%")
    prepared.policy.may_replace = gate
    drive(world.scheduler, world.execution(), *world.links)
    return gate


def stale() -> Node:
    return folder(changed=file(b"old", time=1), old=file(b"o"))


@pytest.mark.fault(133)
def test_what_is_new_arrives_and_nothing_is_replaced_or_deleted_before_it_may_be() -> None:
    world = World(folder(changed=file(b"newer", time=9), new=file(b"n")), stale())
    gate = run(world)

    assert gate.held[-1] == {"/changed": b"old", "/new": b"n", "/old": b"o"}
    assert world.copied == {"/changed": b"newer", "/new": b"n"}
    assert world.watcher.failures == []


def test_a_large_file_is_gathered_and_gets_its_name_afterwards() -> None:
    world = World(folder(changed=file(BIG, time=9)), stale())
    gate = run(world)

    assert gate.held[-1] == {"/changed": b"old", "/old": b"o"}
    assert world.copied == {"/changed": BIG}


def test_leftovers_of_another_agent_stay_as_long() -> None:
    name = next(iter(staging_names("gone", b"version")))
    world = World(folder(), folder(**{name: file(b"half")}))
    prepared = world.prepare()
    kept: list[bool] = []

    def asked() -> bool:
        kept.append(world.destination.find(f"copy\\{name}") is not None)
        return len(kept) > 5

    prepared.policy.may_replace = asked
    drive(world.scheduler, world.execution(), *world.links)

    assert kept == [True] * 6
    assert world.destination.find(f"copy\\{name}") is None


@pytest.mark.fault(133)
def test_it_is_asked_before_each_single_deletion() -> None:
    world = World(folder(), Node(None, {f"f{number}": file(b"") for number in range(20)}, 0))
    prepared = world.prepare(deleted_files=DeletedFiles.REMOVE, max_deletes="100%")
    there: list[int] = []

    def asked() -> bool:
        there.append(len(world.copied))
        return True

    prepared.policy.may_replace = asked
    drive(world.scheduler, world.execution(), *world.links)

    assert len(there) == 20
    assert world.copied == {}


@pytest.mark.parametrize("size", [0, 10])
def test_new_small_files_ask_nobody(size: int) -> None:
    world = World(folder(new=file(bytes(size))))
    prepared = world.prepare()
    asked = iter([True])
    prepared.policy.may_replace = lambda: next(asked)
    drive(world.scheduler, world.execution(), *world.links)

    assert next(asked), "it was not asked"
    assert Command.CREATE in {request.command for request in world.destination.requests}
