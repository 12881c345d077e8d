"""Server-side copy on real shares: content that never passes through us, committed as any other file."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import pytest
from lab.support.domain.trees import Wanted, differences, small
from tests.interop.engine.network import Proxy

from smbferry_engine import (
    EngineError,
    Options,
    Outcome,
    Piece,
    SecurityDescriptors,
    ServerSideCopy,
    ServerSideState,
    VerifyMode,
    finish,
    shards_of,
    survey,
    transfer_shard,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.domain.domain import Domain, User
    from tests.interop.engine.support import Bench
    from tests.interop.engine.tickets import Tickets

    from smbferry_engine import Endpoint

pytestmark = pytest.mark.takes(50)

MIB = 1 << 20
# More than one request's worth, and no whole number of chunks.
LARGE = 37 * MIB + 5


@pytest.fixture(scope="module")
def both(domain: Domain) -> Iterator[User]:
    """One identity that may read the source's share and write the destination's."""
    with domain.user("src-readers", "dst-writers", "Backup Operators", prefix="both") as user:
        yield user


@pytest.fixture
def ends(bench: Bench, tickets: Tickets, both: User) -> tuple[Endpoint, Endpoint]:
    return (
        tickets.endpoint("src", bench.source.path, user=both),
        tickets.endpoint("dst", bench.destination.path, user=both),
    )


def same(bench: Bench) -> None:
    assert bench.watcher.failures == []
    assert differences(bench.source.tree(), bench.destination.tree()) == []


@pytest.mark.parametrize("verify", [VerifyMode.NONE, VerifyMode.ONLY_FILES_TRANSFERRED])
def test_a_large_file_is_copied_by_the_server_from_one_encrypted_share_to_another(
    bench: Bench, ends: tuple[Endpoint, Endpoint], verify: VerifyMode
) -> None:
    bench.source.seed([Wanted("large.bin", size=LARGE), *small(20)])
    bench.source.domain.run("touch", "-d", "2001-02-03 04:05:06.1234567", f"{bench.source.inside}/large.bin")
    result = bench.copy(ends=ends, verify_mode=verify)
    assert result.outcome is Outcome.SUCCEEDED
    same(bench)
    assert [fact.state for fact in bench.watcher.facts] == [ServerSideState.READY]
    assert result.counters.bytes.server_side == LARGE
    assert result.counters.bytes.transferred == result.counters.bytes.written == result.counters.bytes.to_transfer
    (record,) = [record for record in bench.watcher.records if record.path == "/large.bin"]
    assert (record.digest is None) is (verify is VerifyMode.NONE)
    assert all(evidence.share_encryption_required for evidence in bench.watcher.evidence.values())


def test_owner_and_access_list_go_with_a_file_that_the_server_copied(
    bench: Bench, ends: tuple[Endpoint, Endpoint]
) -> None:
    bench.source.seed([Wanted("large.bin", size=LARGE)])
    first = bench.copy(ends=ends, security_descriptors=SecurityDescriptors.OWNER_DACL)
    assert bench.watcher.failures == []
    assert first.counters.bytes.server_side == LARGE
    again = bench.copy(
        ends=ends,
        security_descriptors=SecurityDescriptors.OWNER_DACL,
        verify_mode=VerifyMode.POINT_IN_TIME_CONSISTENT,
    )
    assert again.outcome is Outcome.SUCCEEDED
    assert again.counters.files.skipped == again.counters.files.verified == 1


def test_a_file_that_differs_is_replaced_and_never_half(bench: Bench, ends: tuple[Endpoint, Endpoint]) -> None:
    bench.source.seed([Wanted("large.bin", size=LARGE)])
    bench.destination.write("large.bin", b"what was there before")
    result = bench.copy(ends=ends)
    same(bench)
    assert result.counters.bytes.server_side == LARGE


def test_one_share_is_copied_within(bench: Bench, tickets: Tickets, both: User) -> None:
    bench.destination.seed([Wanted("from/large.bin", size=LARGE), Wanted("to", kind="directory")])
    path = bench.destination.path
    source, destination = (tickets.endpoint("dst", f"{path}/{name}", user=both) for name in ("from", "to"))
    result = bench.copy(ends=(source, destination), expected=None)
    assert result.counters.bytes.server_side == LARGE
    tree = bench.destination.tree()
    assert tree["from/large.bin"].sha256 == tree["to/large.bin"].sha256


def test_agents_that_share_a_file_have_the_server_copy_their_parts(
    bench: Bench, ends: tuple[Endpoint, Endpoint]
) -> None:
    size = 150 * MIB
    bench.source.seed([Wanted("disk.vhdx", size=size)])
    options = Options(security_descriptors=SecurityDescriptors.NONE)
    cuts = survey(*ends, options, bench.watcher, count=2)
    by_server = 0
    pieces: list[Piece] = []
    for shard in shards_of(cuts):
        result, gathered = transfer_shard(*ends, options, bench.watcher, shard=shard)
        by_server += result.counters.bytes.server_side
        pieces += gathered
    assert len(pieces) == 2
    assert by_server == size
    finish(*ends, options, bench.watcher, pieces=pieces, all_went_well=True)
    same(bench)


def test_the_option_turns_it_off(bench: Bench, ends: tuple[Endpoint, Endpoint]) -> None:
    bench.source.seed([Wanted("large.bin", size=LARGE)])
    result = bench.copy(ends=ends, server_side_copy=ServerSideCopy.NEVER)
    same(bench)
    assert [fact.state for fact in bench.watcher.facts] == [ServerSideState.OFF]
    assert result.counters.bytes.server_side == 0


def test_two_identities_are_streamed_between(bench: Bench) -> None:
    bench.source.seed([Wanted("large.bin", size=3 * MIB)])
    result = bench.copy()
    same(bench)
    assert [fact.state for fact in bench.watcher.facts] == [ServerSideState.NOT_POSSIBLE]
    assert result.counters.bytes.server_side == 0


def test_a_file_that_is_mostly_holes_stays_so(bench: Bench, ends: tuple[Endpoint, Endpoint]) -> None:
    domain = bench.source.domain
    domain.run("truncate", "--size=64M", f"{bench.source.inside}/sparse")
    domain.run("chmod", "0666", f"{bench.source.inside}/sparse")
    result = bench.copy(ends=ends)
    same(bench)
    assert result.counters.bytes.server_side == 0
    assert int(domain.run("stat", "-c", "%b", f"{bench.destination.inside}/sparse").text) * 512 < 8 * MIB


def test_a_limit_holds_for_the_server_too(bench: Bench, ends: tuple[Endpoint, Endpoint]) -> None:
    bench.source.seed([Wanted("large.bin", size=4 * MIB)])
    began = time.monotonic()
    result = bench.copy(ends=ends, bytes_per_second=2 * MIB, verify_mode=VerifyMode.NONE)
    # A quarter of a second's worth may go at once, and the last piece's time is not waited for.
    assert time.monotonic() - began > 1.5
    same(bench)
    assert result.counters.bytes.server_side == 4 * MIB


def test_a_run_that_was_cut_goes_on_in_what_the_server_had_copied(
    bench: Bench, ends: tuple[Endpoint, Endpoint]
) -> None:
    bench.source.seed([Wanted("large.bin", size=300 * MIB)])
    stop: list[bool] = []

    def seen(counters: object) -> None:
        if counters.bytes.server_side > 100 * MIB:  # type: ignore[attr-defined]  # the engine's counters
            stop.append(True)

    def cut(frame: bytes, _before: int) -> bytes | None:
        return None if stop else frame

    with Proxy(bench.source.domain, cut).running() as proxy:
        bench.watcher.on_progress = seen
        there = tuple(proxy.through(end) for end in ends)
        with contextlib.suppress(EngineError):
            bench.copy(ends=there, bytes_per_second=100 * MIB, verify_mode=VerifyMode.NONE)  # type: ignore[arg-type]  # a pair
    bench.watcher.on_progress = lambda _counters: None
    assert stop, "the run ended before it could be cut"
    assert "large.bin" not in bench.destination.tree()
    result = bench.copy(ends=ends)
    same(bench)
    assert 0 < result.counters.bytes.server_side < 300 * MIB
    assert result.counters.bytes.transferred == 300 * MIB
