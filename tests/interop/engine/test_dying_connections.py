"""A network that ends every connection after so many bytes: the file arrives, and is not read over and over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lab.support.domain.trees import Wanted
from tests.interop.engine.network import Proxy
from tests.interop.engine.support import MIB, SIDES, Bench, ends_with

from smbferry_engine import EngineError, FailureClass, VerifyMode

if TYPE_CHECKING:
    from lab.support.domain.domain import Domain

pytestmark = pytest.mark.takes(120)

MODES = pytest.mark.parametrize("verify", [VerifyMode.ONLY_FILES_TRANSFERRED, VerifyMode.NONE])
NINE, ONE_AND_A_HALF = 9 * MIB, 3 * MIB // 2


def as_it_is(frame: bytes, _before: int) -> bytes:
    return frame


@pytest.mark.fault(86)
@MODES
@SIDES
@pytest.mark.parametrize(("size", "carries"), [(72 * MIB, NINE), (8 * MIB, ONE_AND_A_HALF)], ids=["9", "1.5"])
def test_a_file_arrives_through_connections_that_each_carry_a_part_of_it(
    bench: Bench, domain: Domain, side: int, size: int, *, carries: int, verify: VerifyMode
) -> None:
    bench.source.seed([Wanted("large", size=size), Wanted("small", size=100)])
    with Proxy(domain, as_it_is, carries=carries).running() as proxy:
        result = bench.copy(ends=ends_with(bench, side, proxy.through), verify_mode=verify)
    bench.same()
    assert proxy.deaths >= size // carries
    assert proxy.passed <= 4 * size + 16 * MIB
    assert result.counters.bytes.written <= 2 * size


@pytest.mark.fault(86)
@SIDES
def test_many_files_arrive_through_connections_that_each_carry_a_few(bench: Bench, domain: Domain, side: int) -> None:
    bench.source.seed([Wanted(f"f{index}", size=300_000) for index in range(40)])
    with Proxy(domain, as_it_is, carries=ONE_AND_A_HALF).running() as proxy:
        bench.copy(ends=ends_with(bench, side, proxy.through))
    bench.same()
    assert proxy.deaths


@pytest.mark.fault(86)
@SIDES
def test_what_a_run_has_when_it_ends_is_not_written_again_by_the_next(bench: Bench, domain: Domain, side: int) -> None:
    """Whatever it was that ended the run: here, too many connections that brought nothing on."""
    bench.source.seed([Wanted("large", size=24 * MIB)])
    proxy: list[Proxy] = []

    def less_and_less(frame: bytes, _before: int) -> bytes | None:
        return frame if proxy[0].passed < 12 * MIB else None

    with Proxy(domain, less_and_less, carries=4 * MIB).running() as running:
        proxy.append(running)
        with pytest.raises(EngineError) as caught:
            bench.copy(ends=ends_with(bench, side, running.through))
    assert caught.value.failure_class is FailureClass.NETWORK
    bench.finish()
