"""What goes wrong between two shares, and what is left behind: nothing under a final name but whole files."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from tests.interop.engine.support import MIB, Bench, Proxy
from tests.support.trees import Wanted, differences, small

from smbferry_engine import EngineError, FailureClass, SecurityDescriptors, VerifyMode, recovery, transport
from smbferry_engine.connect import CHUNK, connect
from smbferry_engine.core.calls import open_request
from smbferry_engine.transport import Driver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.domain import Domain

TEMPORARY = ".smbferry-"


def whole(bench: Bench) -> None:
    """Every file at the destination is one of the source's, whole (I1)."""
    ours = bench.source.tree()
    for path, entry in bench.destination.tree().items():
        if TEMPORARY not in path and entry.kind == "file":
            assert entry.sha256 == ours[path].sha256, path


def same(bench: Bench) -> None:
    """Nothing failed, and both trees are the same, times included."""
    assert bench.watcher.failures == []
    assert differences(bench.source.tree(), bench.destination.tree(), times=True) == []


def after(count: int, act: Callable[[bytes], bytes | None]) -> Callable[[bytes, int], bytes | None]:
    """Let `count` bytes of the server's pass, then treat each frame by `act`."""
    return lambda frame, before: frame if before < count else act(frame)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer and shorter pauses between attempts to reconnect."""
    monkeypatch.setattr(recovery, "PAUSES", (0.1, 0.1, 0.1))


# How much of the server's talk goes before the cut: a destination says little while much is written.
CUTS = [(0, 20 * MIB), (0, 200_000), (1, 4_000), (1, 100_000)]


@pytest.mark.parametrize(("side", "count"), CUTS)
def test_a_connection_lost_once_is_made_again_and_the_run_completes(
    bench: Bench, domain: Domain, side: int, count: int
) -> None:
    bench.source.seed([*small(300), Wanted("large", size=40 * MIB)])
    cuts: list[int] = []

    def cut_once(frame: bytes, before: int) -> bytes | None:
        if before > count and not cuts:
            cuts.append(before)
            return None
        return frame

    with Proxy(domain, cut_once).running() as proxy:
        ends = list(bench.ends())
        ends[side] = proxy.through(ends[side])
        result = bench.copy(ends=(ends[0], ends[1]))
    assert cuts
    assert bench.watcher.failures == []
    assert result.counters.files.transferred == 301
    assert differences(bench.source.tree(), bench.destination.tree(), times=True) == []


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("side", "count"), CUTS[::2])
def test_a_connection_that_is_lost_again_and_again_is_named_and_the_next_run_completes(
    bench: Bench, domain: Domain, side: int, count: int
) -> None:
    bench.source.seed([Wanted("large", size=40 * MIB), *small(200)])
    with Proxy(domain, after(count, lambda _frame: None)).running() as proxy:
        ends = list(bench.ends())
        ends[side] = proxy.through(ends[side])
        with pytest.raises(EngineError) as caught:
            bench.copy(ends=(ends[0], ends[1]))
    assert (caught.value.reason, caught.value.failure_class) == ("ConnectionLost", FailureClass.NETWORK)
    whole(bench)
    bench.copy()
    assert bench.watcher.failures == []
    assert differences(bench.source.tree(), bench.destination.tree(), times=True) == []


@pytest.mark.usefixtures("quick")
def test_a_server_that_falls_silent_ends_at_the_deadline(
    bench: Bench, domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "ANSWER_DEADLINE", 2.0)
    bench.source.seed([Wanted("large", size=40 * MIB)])
    with Proxy(domain, after(10 * MIB, lambda _frame: b"")).running() as proxy:
        source, destination = bench.ends()
        started = time.monotonic()
        with pytest.raises(EngineError) as caught:
            bench.copy(ends=(proxy.through(source), destination))
    assert caught.value.reason == "DeadlineExceeded"
    assert time.monotonic() - started < 30
    assert all(TEMPORARY in path for path in bench.destination.tree())
    bench.copy()
    same(bench)


PLAIN_REPLY = b"\0\0\0\x50\xfeSMB" + bytes(76)


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (lambda _frame: PLAIN_REPLY, "PlaintextReply"),
        (lambda frame: frame[:-1] + bytes([frame[-1] ^ 1]), "ProtocolViolation"),
        (lambda frame: frame[:48] + bytes(8) + frame[56:], "ProtocolViolation"),
        (lambda frame: frame + frame, "ProtocolViolation"),
        (lambda _frame: os.urandom(400), "ProtocolViolation"),
    ],
    ids=["in the clear", "altered", "another session", "twice", "noise"],
)
def test_a_frame_that_is_not_the_servers_ends_the_run_before_it_is_used(
    bench: Bench, domain: Domain, act: Callable[[bytes], bytes], reason: str
) -> None:
    bench.source.seed([Wanted("large", size=10 * MIB)])
    with Proxy(domain, after(5 * MIB, act)).running() as proxy:
        source, destination = bench.ends()
        with pytest.raises(EngineError) as caught:
            bench.copy(ends=(proxy.through(source), destination))
    assert (caught.value.reason, caught.value.failure_class) == (reason, FailureClass.POLICY)
    assert bench.destination.tree() == {}


def test_a_handshake_in_the_clear_after_the_session_is_refused(bench: Bench, domain: Domain) -> None:
    seen: list[bytes] = []

    def strip(frame: bytes, _before: int) -> bytes:
        seen.append(frame)
        # negotiate, session setup, and then the tree connect's reply, which must be encrypted
        return frame if len(seen) < 3 else PLAIN_REPLY

    with Proxy(domain, strip).running() as proxy:
        source, destination = bench.ends()
        with pytest.raises(EngineError) as caught:
            bench.copy(ends=(proxy.through(source), destination))
    assert caught.value.reason == "PlaintextReply"


def test_a_file_that_another_program_holds_is_recorded_and_the_others_are_copied(bench: Bench) -> None:
    bench.source.seed([Wanted("held", size=10), Wanted("free", size=10)])
    holder = connect(bench.tickets.endpoint("src", "/"))
    try:

        async def hold() -> None:
            request = open_request(f"{bench.source.name}\\held", access=1, share=0)
            (reply,) = await holder.channel.lane.call(request)
            assert reply.status == 0

        Driver([holder.channel]).run(hold())
        bench.copy()
        assert bench.watcher.reasons == {"/held": "SharingViolation"}
        assert bench.destination.read("free") == bench.source.read("free")
    finally:
        holder.channel.close()
    bench.copy()
    assert bench.watcher.failures == []
    assert bench.destination.read("held") == bench.source.read("held")


KILLED = """
import sys
from smbferry_engine import Endpoint, Options, SecurityDescriptors, transfer
class Watcher:
    def __getattr__(self, name):
        return lambda *_: None
    def progress(self, counters):
        print(counters.bytes.written, flush=True)
ends = [eval(text, {"Endpoint": Endpoint}) for text in sys.argv[1:]]
options = Options(security_descriptors=SecurityDescriptors.NONE, bytes_per_second=30 << 20)
transfer(*ends, options, Watcher(), cancelled=lambda: False)
"""


def kill_within_a_file(bench: Bench, tmp_path: Path, *, written: int) -> None:
    """Run the engine in a process of its own and kill it once it has written so many bytes."""
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    command = [sys.executable, str(script), *(repr(end) for end in bench.ends())]
    path = os.pathsep.join(entry for entry in sys.path if entry)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) > written:
                break
        process.send_signal(signal.SIGKILL)


def kept(bench: Bench) -> tuple[str, int]:
    """The path and size of the one temporary file that the killed run left."""
    ((path, entry),) = ((path, entry) for path, entry in bench.destination.tree().items() if TEMPORARY in path)
    return path, entry.size


LARGE, SMALL = 300 * MIB, 100


@pytest.mark.parametrize("security", [SecurityDescriptors.NONE, SecurityDescriptors.OWNER_DACL])
def test_the_run_after_a_killed_one_goes_on_inside_the_file(
    bench: Bench, tmp_path: Path, security: SecurityDescriptors
) -> None:
    bench.source.seed([Wanted("large", size=LARGE), *small(SMALL)])
    bench.destination.write("large", b"old")
    kill_within_a_file(bench, tmp_path, written=60 * MIB)
    assert bench.destination.read("large") == b"old"
    _, size = kept(bench)
    assert size > 40 * MIB
    counters = bench.copy(security_descriptors=security).counters
    same(bench)
    # Requests overtake each other: of the last eight ranges that were under way, some may be missing.
    assert counters.bytes.written <= LARGE - size + 8 * CHUNK
    assert bench.copy().counters.files.transferred == 0


def test_what_a_killed_run_left_is_mended_where_it_is_torn(bench: Bench, tmp_path: Path) -> None:
    bench.source.seed([Wanted("large", size=LARGE)])
    kill_within_a_file(bench, tmp_path, written=60 * MIB)
    path, size = kept(bench)
    script = 'printf torn | dd of="$1" bs=1 seek=5000000 conv=notrunc status=none; truncate -s "$2" "$1"'
    bench.destination.domain.run("sh", "-c", script, "sh", f"{bench.destination.inside}/{path}", str(size - 1000))
    counters = bench.copy(verify_mode=VerifyMode.NONE).counters
    same(bench)
    assert 2 * CHUNK < counters.bytes.written <= LARGE - size + 10 * CHUNK


def test_what_a_killed_run_left_of_a_file_that_has_changed_is_thrown_away(bench: Bench, tmp_path: Path) -> None:
    bench.source.seed([Wanted("large", size=LARGE)])
    kill_within_a_file(bench, tmp_path, written=20 * MIB)
    bench.source.write("large", os.urandom(10 * MIB))
    assert bench.copy().counters.bytes.written == 10 * MIB
    same(bench)


def test_a_source_that_changes_while_it_is_copied_never_lands_torn(bench: Bench) -> None:
    bench.source.seed([Wanted("moving", size=60 * MIB), Wanted("still", size=10)])
    inside, done = f"{bench.source.inside}/moving", threading.Event()

    def write() -> None:
        for index in itertools.count():
            if done.is_set():
                return
            script = f'printf X | dd of="$1" bs=1 seek={index % 500 * 100_000} conv=notrunc status=none'
            bench.source.domain.run("sh", "-c", script, "sh", inside)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        bench.copy(bytes_per_second=40 * MIB)
    finally:
        done.set()
        writer.join()
    assert bench.watcher.reasons == {"/moving": "SourceChanged"}
    assert set(bench.destination.tree()) == {"still"}
