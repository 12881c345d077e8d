"""Transfers with few credits, small messages and replies in any order."""

from collections.abc import Callable

import pytest
from blake3 import blake3
from lab.fake_server import (
    CHUNK,
    Link,
    file,
    folder,
    make_session,
)
from lab.fake_server.world import BIG, World

from smbferry_engine.wire.header import Command
from smbferry_words.options import DeletedFiles, SecurityDescriptors


@pytest.mark.fault(6)
@pytest.mark.parametrize("credits_", [8, 12])
def test_few_credits_make_it_slower_but_not_fail(credits_: int) -> None:
    world = World(folder(big=file(BIG), a=file(b"a"), sub=folder(b=file(b"b"))), credits_=credits_)
    world.source.credits_granted = world.destination.credits_granted = 2
    world.transfer(security_descriptors=SecurityDescriptors.OWNER_DACL)
    assert world.copied == world.original


@pytest.mark.fault(90)
@pytest.mark.parametrize("credits_", [1, 2, 3])
@pytest.mark.parametrize("kept", [None, 64])
def test_with_a_credit_or_two_everything_completes_only_slower(credits_: int, kept: int | None) -> None:
    """`kept` None is a server that never gives more; one that keeps 64 gives them for an ECHO."""
    world = World(folder(big=file(BIG), a=file(b"a"), sub=folder(b=file(b"b"), c=file())), credits_=credits_)
    for server in (world.source, world.destination):
        server.keep_credits(kept or credits_, first=credits_)
    run = world.transfer(security_descriptors=SecurityDescriptors.OWNER_DACL, deleted_files=DeletedFiles.REMOVE)
    assert world.watcher.failures == []
    assert world.copied == world.original
    assert run.tally.counters.files.verified == 4
    assert world.source.handles == world.destination.handles == {}


@pytest.mark.parametrize("small", [0, 1])
def test_a_side_that_takes_less_at_a_time_than_the_other_is_given_less(small: int) -> None:
    world = World(folder(big=file(BIG)))
    world.links[small].renew(make_session(chunk=CHUNK // 2))
    world.transfer()
    assert world.copied == world.original
    writes = [request for request in world.destination.requests if request.command == Command.WRITE]
    assert max(int.from_bytes(request.body[4:8], "little") for request in writes) <= CHUNK // 2


def test_replies_in_any_order_give_the_same_content() -> None:
    world = World(folder(big=file(BIG)))
    for link in world.links:
        original = link.exchange

        def reversed_exchange(link: Link = link, original: Callable[[], bool] = original) -> bool:
            link.hold_replies = True
            moved = original()
            link.hold_replies = False
            link.held.reverse()
            return original() or moved

        link.exchange = reversed_exchange  # type: ignore[method-assign]
    world.transfer()
    assert world.copied == world.original
    assert [record.digest for record in world.watcher.records if record.path == "/big"] == [blake3(BIG).hexdigest()]
    assert world.watcher.failures == []
