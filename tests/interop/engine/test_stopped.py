"""A run that is stopped inside a file, and whose next agent knows how far it was: nothing is moved twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lab.support.domain.trees import Wanted
from tests.interop.engine.network import Proxy
from tests.interop.engine.support import MIB, RANGES_UNDER_WAY, Bench

from smbferry_engine import Control, EngineError, Handover, Options, SecurityDescriptors, transfer
from smbferry_engine.session.connect import CHUNK

if TYPE_CHECKING:
    from lab.support.domain.domain import Domain

pytestmark = pytest.mark.takes(10)

SIZE, STOP_AT = 200 * MIB, 60 * MIB


@pytest.mark.fault(195)
def test_what_a_stopped_agent_has_copied_is_neither_written_nor_read_from_the_source_again(
    bench: Bench, domain: Domain
) -> None:
    bench.source.seed([Wanted("large", size=SIZE)])
    options = Options(security_descriptors=SecurityDescriptors.NONE, bytes_per_second=60 * MIB)
    source, destination = bench.ends()
    written, handover = [0], Handover()
    bench.watcher.on_progress = lambda counters: written.append(counters.bytes.written)
    with pytest.raises(EngineError, match="RunCancelled"):
        transfer(
            source,
            destination,
            options,
            bench.watcher,
            control=Control(lambda: written[-1] >= STOP_AT, abandoned=lambda: False, handover=handover),
        )
    (piece,) = handover.pieces
    assert STOP_AT / 2 < piece.end <= written[-1] < SIZE
    first = written[-1]

    with Proxy(domain, lambda frame, _count: frame).running() as proxy:
        result = transfer(
            proxy.through(source),
            destination,
            Options(security_descriptors=SecurityDescriptors.NONE),
            bench.watcher,
            control=Control(handover=handover),
        )
    assert first + result.counters.bytes.written <= SIZE + RANGES_UNDER_WAY * CHUNK
    assert proxy.passed < SIZE - piece.end + 8 * MIB, "the source was asked only for the rest"
    bench.same()
