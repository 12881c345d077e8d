"""`smbferry run` on real shares: copies, counts, ends in order, and leaves nothing behind."""

from __future__ import annotations

import base64
import contextlib
import os
import pty
import re
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest
from lab.smblab import keytab
from lab.support.domain.trees import Wanted, odd
from tests.interop.engine.invariants import is_staging_name

if TYPE_CHECKING:
    from lab.support.domain.trees import Tree
    from tests.interop.cli.support import Scene

pytestmark = pytest.mark.takes(30)


def contents(tree: Tree) -> dict[str, tuple[str, int, str | None]]:
    return {path: (e.kind, e.size, e.sha256) for path, e in tree.items()}


def test_a_run_copies_a_tree_byte_for_byte_and_shows_what_protected_it(scene: Scene) -> None:
    scene.source.seed(odd())
    ended = scene.smbferry("run")
    assert ended.code == 0, ended.err
    copied = contents(scene.destination.tree())
    assert copied == contents(scene.source.tree())
    files = sum(kind == "file" for kind, _, _ in copied.values())
    lines = ended.out.splitlines()
    assert lines[0].startswith("nightly: Succeeded in ")
    assert next(line for line in lines if line.startswith("files")).split()[:4] == ["files", *[str(files)] * 3]
    for shown in (scene.reader.principal, scene.writer.principal, "aes256-cts-hmac-sha1-96", "3.1.1", "-GCM"):
        assert shown in ended.out
    assert "transfer: Succeeded" in ended.err
    assert "\x1b" not in ended.out + ended.err


def test_json_is_the_run_as_the_cluster_would_show_it(scene: Scene) -> None:
    scene.source.seed([Wanted("a", size=5)])
    ended = scene.smbferry("run", "-o", "json")
    run = ended.document()
    assert (run["kind"], run["spec"]["dryRun"], run["status"]["state"]) == ("TransferRun", False, "Succeeded")
    assert run["status"]["counters"]["bytes"]["transferred"] == 5
    assert run["status"]["security"]["destination"]["principal"] == scene.writer.principal
    assert run["status"]["startTime"] <= run["status"]["completionTime"]


@pytest.mark.fault(11)
def test_a_clock_that_is_off_ends_the_run_before_any_copy(scene: Scene) -> None:
    scene.source.seed([Wanted("a", size=5)])
    began = time.monotonic()
    ended = scene.smbferry("run", **clock("+6m"))
    assert time.monotonic() - began < 30
    assert ended.code == 21, ended.err
    assert "ClockSkew" in ended.out + ended.err
    assert re.search(r"the KDC's, which differs from it by -3(60|59)\.", ended.out + ended.err)
    assert scene.destination.tree() == {}


def clock(offset: str) -> dict[str, str]:
    """The variables by which faketime gives a process another clock."""
    shown = subprocess.run(["faketime", "-f", offset, "env"], capture_output=True, text=True, check=True).stdout
    pairs = (line.split("=", 1) for line in shown.splitlines() if "=" in line)
    return {name: value for name, value in pairs if name == "LD_PRELOAD" or name.startswith("FAKETIME")}


def test_a_dry_run_counts_and_writes_nothing(scene: Scene) -> None:
    scene.source.seed([Wanted("a", size=1000), Wanted("b", size=24)])
    scene.destination.write("extra", b"x")
    scene.options = {"deletedFiles": "Remove", "maxDeletes": 5}
    ended = scene.smbferry("run", "--dry-run")
    assert ended.code == 0
    assert "dry run: nothing was written" in ended.out
    assert "1.0 KiB to transfer; files and folders to delete: 1" in ended.out
    assert set(scene.destination.tree()) == {"extra"}


def test_a_side_that_can_not_be_used_ends_the_run_with_reason_and_remedy(scene: Scene) -> None:
    scene.source.seed([Wanted("a", size=5)])
    scene.give("writer", scene.writer.stale)
    ended = scene.smbferry("run")
    assert ended.code == 11
    assert "nightly: Failed" in ended.out
    assert "KeytabStale: Destination: " in ended.out
    assert "Export a new keytab" in ended.out
    assert scene.destination.tree() == {}


def test_a_failed_guard_has_its_own_exit_code(scene: Scene) -> None:
    scene.source.seed([Wanted("a", size=5)])
    for name in "xyz":
        scene.destination.write(name, b"x")
    scene.options = {"deletedFiles": "Remove", "maxDeletes": 1}
    ended = scene.smbferry("run")
    assert ended.code == 14
    assert "MaxDeletesExceeded" in ended.out
    assert {"x", "y", "z"} <= set(scene.destination.tree())


def under_way(scene: Scene, process: subprocess.Popen[str]) -> None:
    """Waits until something half-done lies at the destination."""
    until = time.monotonic() + 30
    while not set(scene.destination.tree()) - set(scene.source.tree()):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.fixture
def slow(scene: Scene) -> Scene:
    scene.source.seed([Wanted("small", size=10), *(Wanted(f"big-{i}.bin", size=40_000_000) for i in range(3))])
    scene.options = {"bytesPerSecond": "8Mi"}
    return scene


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_cancelling_leaves_nothing_half_done(slow: Scene, number: signal.Signals) -> None:
    process = slow.start("run")
    under_way(slow, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 40
    assert "nightly: Cancelled" in out
    assert "Stopping cleanly" in err
    source, left = contents(slow.source.tree()), left_behind(slow)
    assert {path: source.get(path) for path in left} == left
    assert list((slow.folder / "runtime").iterdir()) == []


def left_behind(scene: Scene) -> dict[str, tuple[str, int, str | None]]:
    """What stays at the destination: a busy server closes the last opens a moment after the client has gone."""
    until = time.monotonic() + 20
    left = contents(scene.destination.tree())
    while any(map(is_staging_name, left)) and time.monotonic() < until:
        time.sleep(0.2)
        left = contents(scene.destination.tree())
    return left


@pytest.mark.fault(219)
def test_a_second_signal_ends_at_once_and_still_wipes_keys_and_tickets(slow: Scene) -> None:
    process = slow.start("run")
    under_way(slow, process)
    os.kill(process.pid, signal.SIGSTOP)  # so that both are there before either is acted upon
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    os.kill(process.pid, signal.SIGCONT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 40
    assert "nightly: Cancelled" not in out, "it did not wait for the order that the first one asked for"
    assert list((slow.folder / "runtime").iterdir()) == []


def test_no_key_is_in_any_output(scene: Scene) -> None:
    scene.source.seed([Wanted("a", size=5)])
    ended = scene.smbferry("run", "-v", "-o", "json")
    assert ended.code == 0
    said = (ended.out + ended.err).encode()
    keys = [entry.key for account in (scene.reader, scene.writer) for entry in keytab.parse(account.keytab)]
    assert len(keys) == 4
    for key in keys:
        for form in (key, key.hex().encode(), base64.b64encode(key)[:20]):
            assert form not in said


def read_all(terminal: int, shown: bytearray) -> None:
    """Reads what is written to a terminal until nobody has its other end open; nobody who writes ever waits."""
    with contextlib.suppress(OSError):  # how the kernel says that it is over
        while data := os.read(terminal, 65536):
            shown += data


def test_a_terminal_gets_a_bar_and_no_colour_where_none_is_wanted(slow: Scene) -> None:
    ours, theirs = pty.openpty()
    seen = bytearray()
    reader = threading.Thread(target=read_all, args=(ours, seen))
    reader.start()
    watched = {"TERM": "xterm-256color", "COLUMNS": "120", "NO_COLOR": "1"}
    process = slow.start("run", stderr=theirs, environment=watched)
    os.close(theirs)
    under_way(slow, process)
    until = time.monotonic() + 20
    while b"/4 files" not in seen:
        assert time.monotonic() < until, seen
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    reader.join(10)
    os.close(ours)
    shown = seen.decode(errors="replace")
    assert process.returncode == 40
    assert "Copying" in shown
    assert "\x1b[3" not in shown
    assert "nightly: Cancelled" in out
