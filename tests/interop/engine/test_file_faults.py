"""Files that can't be copied, may not be, or are not what they were: each has its own failure, the others arrive."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from lab.support.domain.file_server import FileServer
from lab.support.domain.trees import Wanted, differences
from lab.support.environment import engine_environment
from tests.interop.engine.invariants import Expected, is_staging_name
from tests.interop.engine.network import Proxy
from tests.interop.engine.support import MIB, Bench, held

from smbferry_engine import (
    EngineError,
    FileReason,
    Links,
    Outcome,
    RetryFact,
    RetryLocked,
    ServerSideCopy,
    VerifyMode,
)
from smbferry_engine.core.calls import open_request, write_request
from smbferry_engine.session.connect import connect
from smbferry_engine.session.driver import Driver
from smbferry_engine.share.replies import check
from smbferry_engine.wire.create import decode_create

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.domain.domain import Domain

pytestmark = pytest.mark.takes(65)


# --- 29: another program holds the file -------------------------------------------------------------------------------


@pytest.mark.fault(29)
def test_a_file_that_another_program_holds_is_recorded_and_the_others_are_copied(bench: Bench) -> None:
    bench.source.seed([Wanted("held", size=10), Wanted("free", size=10)])
    with held(bench, "held"):
        result = bench.copy()
    assert result.outcome is Outcome.PARTIALLY_SUCCEEDED
    assert bench.watcher.reasons == {"/held": "SharingViolation"}
    assert bench.destination.read("free") == bench.source.read("free")
    bench.finish()


@pytest.mark.fault(29)
def test_a_file_that_is_held_for_a_moment_is_waited_for(bench: Bench) -> None:
    bench.source.seed([Wanted("held", size=10), Wanted("free", size=10)])
    with contextlib.ExitStack() as holding:
        holding.enter_context(held(bench, "held"))
        release = threading.Timer(0.5, holding.close)
        release.start()
        bench.copy()
        release.join()
    bench.same()


@pytest.mark.fault(29)
def test_a_file_that_another_program_lets_go_of_in_time_is_copied_at_the_end(bench: Bench) -> None:
    bench.source.seed([Wanted("held", size=10), Wanted("large", size=9 * MIB), Wanted("free", size=10)])
    with contextlib.ExitStack() as holding:
        for name in ("held", "large"):
            holding.enter_context(held(bench, name))

        def let_go(fact: RetryFact | None) -> None:
            if fact is not None and fact.attempt == 2:
                assert bench.watcher.failures == []
                holding.close()

        bench.watcher.on_retry = let_go
        result = bench.copy(retry_locked=RetryLocked(3, 2.0))
    assert result.outcome is Outcome.SUCCEEDED
    assert [fact.attempt for fact in bench.watcher.retries if fact and fact.seconds] == [1, 2]
    bench.same()


@pytest.mark.fault(29)
def test_a_file_that_another_program_never_lets_go_of_fails_after_the_last_attempt(bench: Bench) -> None:
    bench.source.seed([Wanted("held", size=10), Wanted("free", size=10)])
    began = time.monotonic()
    with held(bench, "held"):
        result = bench.copy(retry_locked=RetryLocked(2, 3.0))
    assert result.outcome is Outcome.PARTIALLY_SUCCEEDED
    assert bench.watcher.reasons == {"/held": "SharingViolation"}
    assert time.monotonic() - began > 6
    assert (result.counters.files.failed, result.counters.files.to_transfer) == (1, 2)
    bench.finish()


@pytest.mark.fault(29)
def test_a_run_that_is_cancelled_while_files_wait_ends_at_once(bench: Bench) -> None:
    bench.source.seed([Wanted("held", size=10), Wanted("free", size=10)])
    began, waits = time.monotonic(), threading.Event()
    bench.watcher.on_retry = lambda _fact: waits.set()
    with held(bench, "held"), pytest.raises(EngineError) as caught:
        bench.copy(retry_locked=RetryLocked(3, 3600.0), cancelled=waits.is_set)
    assert caught.value.reason == "RunCancelled"
    assert time.monotonic() - began < 30
    bench.watcher.on_retry = lambda _fact: None
    bench.finish()


# --- 34: names that Windows clients could not open --------------------------------------------------------------------

HOSTILE = [
    "CON",
    "nul.txt",
    "LPT1",
    "trailing dot.",
    "trailing space ",
    "a:b",
    "what?",
    "bar|",
    "star*",
    'quote"',
    "<>",
]


@pytest.mark.fault(34)
def test_names_that_may_not_be_are_each_a_failure_and_the_others_are_copied(bench: Bench, domain: Domain) -> None:
    bench.source.seed([Wanted(name, size=5) for name in [*HOSTILE, "fine"]])
    # By default Samba shows such names as others, made up; here they are shown as they are.
    with FileServer(domain, "mangled names = no").running() as server:
        source, destination = bench.ends()
        result = bench.copy(ends=(server.through(source), destination))
    assert result.outcome is Outcome.PARTIALLY_SUCCEEDED
    assert bench.watcher.reasons == dict.fromkeys((f"/{name}" for name in HOSTILE), "NameNotRepresentable")
    assert set(bench.destination.tree()) == {"fine"}


# --- 35: links --------------------------------------------------------------------------------------------------------


@pytest.mark.fault(35)
@pytest.mark.parametrize("links", Links)
def test_a_link_out_of_the_share_leads_nowhere(bench: Bench, domain: Domain, links: Links) -> None:
    bench.source.seed([Wanted("fine", size=5), Wanted("folder/fine", size=5)])
    bench.destination.domain.run("mkdir", f"{bench.destination.inside}/folder")
    domain.run("chmod", "0777", f"{bench.destination.inside}/folder")
    for side in (bench.source, bench.destination):
        domain.run("ln", "-s", "/etc/passwd", f"{side.inside}/folder/file out")
        domain.run("ln", "-s", "/etc", f"{side.inside}/folder/folder out")
    bench.copy(links=links)
    there = bench.destination.tree()
    assert {path for path, entry in there.items() if entry.kind != "link"} == {"fine", "folder", "folder/fine"}
    assert set(bench.watcher.reasons.values()) <= {FileReason.REPARSE_POINT_SKIPPED, FileReason.ACCESS_DENIED}


# --- 36: the source changes -------------------------------------------------------------------------------------------


@pytest.mark.fault(36)
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
        bench.copy(bytes_per_second=40 * MIB, expected=Expected(source_moves=True))
    finally:
        done.set()
        writer.join()
    assert bench.watcher.reasons == {"/moving": "SourceChanged"}
    assert set(bench.destination.tree()) == {"still"}
    bench.finish()


@contextlib.contextmanager
def written_to(bench: Bench, name: str, *, writes: int = sys.maxsize) -> Iterator[None]:
    """A file of the destination's share that another client has open for writing, and writes to, 20 times a second.

    Samba moves its write time once, 2 s after the first write, and then not before it is closed.
    """
    writer = connect(bench.tickets.endpoint("dst", "/"))
    done, moved = threading.Event(), threading.Event()

    async def work() -> None:
        session = writer.channel.session
        (reply,) = await session.call(open_request(f"{bench.destination.name}\\{name}", access=0x2, share=7))
        file_id = decode_create(check(reply, "opening").message).file_id
        for index in itertools.count():
            if done.is_set():
                return
            if index < writes:
                (reply,) = await session.call(write_request(0, bytes([index % 256]), file_id))
                check(reply, "writing")
            if index == 80:
                moved.set()
            await driver.scheduler.sleep(0.05)

    driver = Driver([writer.channel])
    thread = threading.Thread(target=driver.run, args=(work(),))
    thread.start()
    try:
        assert moved.wait(30)
        yield
    finally:
        done.set()
        thread.join()
        writer.channel.close()


@pytest.mark.fault(85)
@pytest.mark.parametrize("verify", [VerifyMode.ONLY_FILES_TRANSFERRED, VerifyMode.NONE])
def test_a_live_writer_whose_writes_move_no_write_time_never_leaves_a_torn_file(
    bench: Bench, domain: Domain, verify: VerifyMode
) -> None:
    bench.destination.seed([Wanted("moving", size=60 * MIB), Wanted("still", size=10)])
    with domain.directory("dst") as elsewhere:
        ends = bench.ends()[1], bench.tickets.endpoint("dst", elsewhere.path)
        with written_to(bench, "moving"):
            bench.copy(ends=ends, verify_mode=verify, server_side_copy=ServerSideCopy.NEVER, expected=None)
        assert bench.watcher.reasons == {"/moving": "SourceChanged"}
        assert set(elsewhere.tree()) == {"still"}
        bench.copy(ends=ends, verify_mode=verify, server_side_copy=ServerSideCopy.NEVER, expected=None)
        assert differences(bench.destination.tree(), elsewhere.tree(), times=True) == []


@pytest.mark.fault(85)
@pytest.mark.parametrize("has_written", [False, True], ids=["never written to", "written to before"])
def test_a_file_that_is_only_open_for_writing_is_copied(bench: Bench, domain: Domain, *, has_written: bool) -> None:
    bench.destination.seed([Wanted("open", size=60 * MIB), Wanted("small", size=10)])
    with domain.directory("dst") as elsewhere:
        ends = bench.ends()[1], bench.tickets.endpoint("dst", elsewhere.path)
        first = 60 if has_written else 0
        with written_to(bench, "open", writes=first), written_to(bench, "small", writes=first):
            bench.copy(ends=ends, server_side_copy=ServerSideCopy.NEVER, expected=None)
            assert bench.watcher.failures == []
            assert differences(bench.destination.tree(), elsewhere.tree()) == []


# --- 37: nothing in it ------------------------------------------------------------------------------------------------


@pytest.mark.fault(37)
def test_empty_files_and_folders_arrive_and_an_empty_file_replaces_a_full_one(bench: Bench) -> None:
    bench.source.seed([Wanted("empty", size=0), Wanted("emptied", size=0), Wanted("a/b/c", kind="directory")])
    bench.destination.write("emptied", b"full")
    result = bench.copy()
    bench.same()
    assert result.counters.files.transferred == result.counters.files.verified == 2
    assert bench.destination.tree()["a/b/c"].kind == "directory"


# --- 39: a folder without end -----------------------------------------------------------------------------------------

MANY = 100_000
LEAN = """
import re, sys
from pathlib import Path
from smbferry_engine import Endpoint, Options, SecurityDescriptors, transfer
class Watcher:
    def __getattr__(self, name):
        return lambda *_: None
ends = [eval(text, {"Endpoint": Endpoint}) for text in sys.argv[1:]]
options = Options(security_descriptors=SecurityDescriptors.NONE)
counters = transfer(*ends, options, Watcher()).counters.files
# Not ru_maxrss: that counts what the parent held when it forked.
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024
print(counters.listed, counters.skipped, counters.transferred, counters.failed, peak)
"""


@pytest.mark.fault(39)
def test_a_folder_of_100_000_files_is_gone_through_in_bounded_memory(bench: Bench, domain: Domain) -> None:
    script = 'cd "$1" && seq -f "file number %06g of this folder" "$2" | xargs touch -d @1700000000 && cp -a . "$3"'
    command = script.replace("| xargs", '| tr "\\n" "\\0" | xargs -0')
    domain.run("sh", "-c", command, "sh", bench.source.inside, str(MANY), bench.destination.inside)
    domain.run("touch", f"{bench.source.inside}/new")
    done = subprocess.run(
        [sys.executable, "-c", LEAN, *(repr(end) for end in bench.ends())],
        env=engine_environment(), capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    listed, skipped, transferred, failed, peak = (int(word) for word in done.stdout.split())
    assert (listed, skipped, transferred, failed) == (MANY + 1, MANY, 1, 0)
    assert peak < 100  # MiB; four times as many names took 83
    assert differences(bench.source.tree(), bench.destination.tree(), times=True) == []


# --- 40: what was written is not what is there ------------------------------------------------------------------------


@pytest.mark.fault(40)
def test_a_bit_that_flips_at_rest_is_found_and_the_old_content_stays(bench: Bench, domain: Domain) -> None:
    bench.source.seed([Wanted("large", size=60 * MIB), Wanted("fine", size=10)])
    bench.destination.write("large", b"old")
    flipped: list[str] = []
    one_at_a_time = threading.Lock()
    script = 'printf "\\377" | dd of="$1" bs=1 seek=$(($(stat -c %s "$1") - 1000)) conv=notrunc status=none'

    def flip(frame: bytes, before: int) -> bytes:
        with one_at_a_time:
            if before > 4 * MIB and not flipped:
                # Nothing is answered now, so what is written last can't have been read back before it is changed.
                time.sleep(1)
                flipped.extend(path for path in bench.destination.tree() if is_staging_name(path))
                domain.run("sh", "-c", script, "sh", f"{bench.destination.inside}/{flipped[0]}")
        return frame

    with Proxy(domain, flip).running() as proxy:
        source, destination = bench.ends()
        result = bench.copy(ends=(source, proxy.through(destination)))
    assert len(flipped) == 1
    assert result.outcome is Outcome.PARTIALLY_SUCCEEDED
    assert bench.watcher.reasons == {"/large": "HashMismatch"}
    assert {failure.phase for failure in bench.watcher.failures} == {"Verify"}
    assert bench.destination.read("large") == b"old"
    bench.finish()
