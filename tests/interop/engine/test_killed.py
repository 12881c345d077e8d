"""Agents and servers that are killed: what they may have done is compared, not trusted, and the work goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from lab.support.domain.trees import Wanted, small
from lab.support.environment import engine_environment
from tests.interop.engine.invariants import is_staging_name
from tests.interop.engine.network import Proxy, once
from tests.interop.engine.support import MIB, SIDES, SOURCE, Bench, ends_with

from smbferry_engine import SecurityDescriptors, VerifyMode
from smbferry_engine.session import reconnect
from smbferry_engine.session.connect import CHUNK

if TYPE_CHECKING:
    from pathlib import Path

    from lab.support.domain.domain import Domain
    from lab.support.domain.file_server import FileServer

# --- 1: the agent is killed -------------------------------------------------------------------------------------------

pytestmark = pytest.mark.takes(75)

KILLED = """
import sys
from smbferry_engine import Endpoint, Options, SecurityDescriptors, transfer
class Watcher:
    def __getattr__(self, name):
        return lambda *_: None
    def progress(self, counters):
        print(counters.bytes.written, flush=True)
ends = [eval(text, {"Endpoint": Endpoint}) for text in sys.argv[2:]]
options = Options(security_descriptors=SecurityDescriptors(sys.argv[1]), bytes_per_second=30 << 20)
transfer(*ends, options, Watcher())
"""


def kill_within_a_file(
    bench: Bench, tmp_path: Path, *, written: int, security: SecurityDescriptors = SecurityDescriptors.NONE
) -> None:
    """Run the engine in a process of its own and kill it once it has written so many bytes."""
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    command = [sys.executable, str(script), security.value, *(repr(end) for end in bench.ends())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=engine_environment()) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) > written:
                break
        process.send_signal(signal.SIGKILL)


def kept(bench: Bench) -> tuple[str, int]:
    """The path and size of the one temporary file that the killed run left."""
    ((path, entry),) = ((path, entry) for path, entry in bench.destination.tree().items() if is_staging_name(path))
    return path, entry.size


LARGE, SMALL = 300 * MIB, 100


@pytest.mark.fault(1)
@pytest.mark.parametrize("security", [SecurityDescriptors.NONE, SecurityDescriptors.OWNER_DACL])
def test_the_run_after_a_killed_one_goes_on_inside_the_file(
    bench: Bench, tmp_path: Path, security: SecurityDescriptors
) -> None:
    bench.source.seed([Wanted("large", size=LARGE), *small(SMALL)])
    bench.destination.write("large", b"old")
    # Where descriptors are copied, only a file that nobody else may open is gone on in.
    kill_within_a_file(bench, tmp_path, written=60 * MIB, security=security)
    assert bench.destination.read("large") == b"old"
    _, size = kept(bench)
    assert size > 40 * MIB
    bench.finish(security_descriptors=security)
    assert bench.copy().counters.files.transferred == 0


@pytest.mark.fault(1)
def test_what_a_killed_run_left_is_mended_where_it_is_torn(bench: Bench, tmp_path: Path) -> None:
    bench.source.seed([Wanted("large", size=LARGE)])
    kill_within_a_file(bench, tmp_path, written=60 * MIB)
    path, size = kept(bench)
    script = 'printf torn | dd of="$1" bs=1 seek=5000000 conv=notrunc status=none; truncate -s "$2" "$1"'
    bench.destination.domain.run("sh", "-c", script, "sh", f"{bench.destination.inside}/{path}", str(size - 1000))
    counters = bench.copy(verify_mode=VerifyMode.NONE).counters
    bench.same()
    assert 2 * CHUNK < counters.bytes.written <= LARGE - size + 10 * CHUNK


@pytest.mark.fault(1)
def test_what_a_killed_run_left_of_a_file_that_has_changed_is_thrown_away(
    bench: Bench, domain: Domain, tmp_path: Path
) -> None:
    bench.source.seed([Wanted("large", size=LARGE)])
    kill_within_a_file(bench, tmp_path, written=20 * MIB)
    # By its content it could be gone on in: that it is another version must be enough.
    domain.run("touch", f"{bench.source.inside}/large")
    assert bench.copy().counters.bytes.written == LARGE
    bench.same()


# --- 7: the server is restarted ---------------------------------------------------------------------------------------


def restart(server: FileServer) -> None:
    server.kill()
    server.start()


@pytest.mark.fault(7)
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
@SIDES
def test_what_a_killed_server_process_may_have_done_is_done_again_and_is_the_same(
    bench: Bench, server: FileServer, domain: Domain, side: int, share: float
) -> None:
    bench.source.seed([*small(300), Wanted("large", size=20 * MIB), Wanted("many/old", size=3 * MIB)])
    bench.destination.write("many/old", b"old")
    # A destination talks of small files alone: some 2 KiB for each.
    count = int(share * (24 * MIB if side == SOURCE else 500_000))
    killed: list[int] = []
    with Proxy(domain, once(count, lambda: killed.extend(server.kill_serving())), port=server.port).running() as proxy:
        result = bench.copy(ends=ends_with(bench, side, proxy.through))
    assert killed
    assert result.counters.files.transferred == 302
    bench.same()


@pytest.mark.fault(7)
@SIDES
def test_a_file_server_that_is_restarted_is_waited_for(
    bench: Bench, server: FileServer, domain: Domain, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A machine that is busy with other tests takes longer to start a server than a run would wait.
    monkeypatch.setattr(reconnect, "PAUSES", (*reconnect.PAUSES, 8.0, 8.0, 8.0))
    bench.source.seed([*small(300), Wanted("large", size=20 * MIB)])
    count = 8 * MIB if side == SOURCE else 100_000
    restarts: list[bool] = []

    def again() -> None:
        restart(server)
        restarts.append(True)

    with Proxy(domain, once(count, again), port=server.port).running() as proxy:
        result = bench.copy(ends=ends_with(bench, side, proxy.through))
    assert restarts
    assert result.counters.files.transferred == 301
    bench.same()
