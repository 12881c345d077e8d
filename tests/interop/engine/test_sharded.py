"""Several agents at once on one tree and one large file, each in a process of its own; and the finish behind them."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

import pytest
from lab.support.domain.trees import Wanted, odd, small
from tests.interop.engine.support import MIB
from tests.interop.engine.tickets import Watcher

from smbferry_engine import (
    Counters,
    DeletedFiles,
    Endpoint,
    Options,
    Piece,
    SecurityDescriptors,
    Shard,
    finish,
    shards_of,
    survey,
    transfer_shard,
)

if TYPE_CHECKING:
    from tests.interop.engine.support import Bench

pytestmark = pytest.mark.takes(10)

AGENTS = 3
OPTIONS = Options(security_descriptors=SecurityDescriptors.NONE, deleted_files=DeletedFiles.REMOVE, max_deletes="100%")


def copy(source: Endpoint, destination: Endpoint, shard: Shard) -> tuple[Counters, tuple[Piece, ...], list[str]]:
    """One agent; runs in a process of its own."""
    watcher = Watcher()
    result, pieces = transfer_shard(source, destination, OPTIONS, watcher, shard=shard)
    return result.counters, pieces, [f"{failure.path}: {failure.message}" for failure in watcher.failures]


def test_three_agents_at_once_copy_a_tree_and_share_its_large_file(bench: Bench) -> None:
    bench.source.seed([*odd(), *small(300, per_folder=30), Wanted("images/disk.vhdx", size=150 * MIB)])
    bench.destination.seed([Wanted("surplus/old.txt", size=10)])
    source, destination = bench.ends()
    cuts = survey(source, destination, OPTIONS, bench.watcher, count=AGENTS)
    assert any(cut.offset for cut in cuts), cuts
    shards = shards_of(cuts)
    assert len(shards) == AGENTS

    with ProcessPoolExecutor(AGENTS, multiprocessing.get_context("spawn")) as pool:
        done = [future.result() for future in [pool.submit(copy, source, destination, shard) for shard in shards]]
    assert [failures for _, _, failures in done] == [[], [], []]
    pieces = [piece for _, parts, _ in done for piece in parts]
    assert sum(piece.end - piece.start for piece in pieces) == 150 * MIB
    everything = sum(entry.size for entry in bench.source.tree().values() if entry.kind == "file")
    assert sum(counters.bytes.transferred for counters, _, _ in done) == everything
    assert "surplus/old.txt" in bench.destination.tree()

    result = finish(source, destination, OPTIONS, bench.watcher, pieces=pieces, all_went_well=True)
    bench.same()
    assert result.counters.bytes.written == 0
    assert result.counters.files.transferred == 1, "the large file got its name"
    assert result.counters.files.deleted == 1
