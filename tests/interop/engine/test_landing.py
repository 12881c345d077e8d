"""How small new files come to their names: cut off within the frame of one, or by a server that dies meanwhile."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from lab.support.domain.trees import small
from tests.interop.engine.invariants import Expected
from tests.interop.engine.network import Proxy, once
from tests.interop.engine.support import DESTINATION, Bench, ends_with

from smbferry_engine import Durability, EngineError, FailureClass, OverwriteMode, VerifyMode
from smbferry_engine.session import reconnect

if TYPE_CHECKING:
    import socket

    from lab.support.domain.domain import Domain
    from lab.support.domain.file_server import FileServer

pytestmark = pytest.mark.takes(20)

ALWAYS, NEVER = OverwriteMode.ALWAYS, OverwriteMode.NEVER
# What is said before the first file is committed, and what commits one of 4 KiB, with all that is around it.
BEFORE, FRAME = 30_000, 4800


class CutUpwards(Proxy):
    """Lets so many bytes of the client's pass, over all its connections, and none after them."""

    def __init__(self, domain: Domain, count: int) -> None:
        super().__init__(domain, lambda frame, _before: frame)
        self._left = count

    def _up(self, client: socket.socket, server: socket.socket, _gone: list[int]) -> None:
        with contextlib.suppress(OSError):
            while self._left and (data := client.recv(self._left)):
                self._left -= len(data)
                server.sendall(data)
            self._end(client, server)


@pytest.fixture(autouse=True)
def few_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not come back is given up soon."""
    monkeypatch.setattr(reconnect, "PAUSES", (0.1, 0.1))


@pytest.mark.fault(69)
@pytest.mark.parametrize("durability", Durability)
def test_a_small_file_is_flushed_where_that_is_asked_for(bench: Bench, durability: Durability) -> None:
    bench.source.seed(small(40))
    assert bench.copy(durability=durability).counters.files.verified == 40
    bench.same()


@pytest.mark.parametrize(("overwrite_mode", "within"), [(ALWAYS, 600), (ALWAYS, 4000), (NEVER, 2400)])
def test_a_frame_that_is_cut_off_leaves_nothing_under_a_final_name(
    bench: Bench, domain: Domain, overwrite_mode: OverwriteMode, within: int
) -> None:
    bench.source.seed(small(40))
    with CutUpwards(domain, BEFORE + 3 * FRAME + within).running() as proxy, pytest.raises(EngineError) as caught:
        # The witness looks at every final name (I1).
        bench.copy(ends=ends_with(bench, DESTINATION, proxy.through), overwrite_mode=overwrite_mode)
    assert caught.value.failure_class is FailureClass.NETWORK
    bench.copy(overwrite_mode=overwrite_mode)
    bench.same()


@pytest.mark.parametrize("overwrite_mode", [ALWAYS, NEVER])
def test_what_a_server_tore_that_was_killed_at_its_work_is_whole_after_the_next_run(
    bench: Bench, server: FileServer, domain: Domain, overwrite_mode: OverwriteMode
) -> None:
    bench.source.seed(small(150))
    # Where nothing is overwritten, no final name may ever be torn (I1); elsewhere the next run sees that it is.
    expected = Expected() if overwrite_mode is NEVER else None
    proxy = Proxy(domain, once(40_000, server.kill), port=server.port)
    ends = ends_with(bench, DESTINATION, proxy.through)
    with proxy.running(), pytest.raises(EngineError) as caught:
        bench.copy(ends=ends, overwrite_mode=overwrite_mode, verify_mode=VerifyMode.NONE, expected=expected)
    assert caught.value.failure_class is FailureClass.NETWORK
    assert len(bench.destination.tree()) < len(bench.source.tree()), "the server was killed too late"
    bench.copy(overwrite_mode=overwrite_mode)
    bench.same()
