"""A run that crashes in its middle: no core file, which would hold keys and tickets."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from lab.smblab import keytab as keytabs
from lab.support.cluster.leaks import leaks
from lab.support.domain.trees import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.interop.cli.support import Scene

UNPROTECTED = "import sys, time; key = open(sys.argv[1], 'rb').read(); print('ready', flush=True); time.sleep(60)"


@pytest.fixture(autouse=True)
def cores_are_allowed() -> Iterator[None]:
    """For whatever this process starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


def crash(process: subprocess.Popen[str]) -> bool:
    """Ends it as a fault of its own would; whether the kernel dumped its memory."""
    os.kill(process.pid, signal.SIGABRT)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = -os.WTERMSIG(status)
    assert process.returncode == -signal.SIGABRT
    return os.WCOREDUMP(status)


def test_a_run_that_crashes_leaves_no_core_and_no_key(scene: Scene) -> None:
    scene.source.seed([Wanted("big.bin", size=12_000_000)])
    scene.options = {"bytesPerSecond": "2Mi"}
    with scene.start("run", "--verbose") as process:
        until = time.monotonic() + 30
        while not scene.destination.tree():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.1)
        assert not crash(process)
        assert process.stderr is not None
        said = process.stderr.read()
    assert "side is ready" in said
    keys = {entry.key for account in (scene.reader, scene.writer) for entry in keytabs.parse(account.keytab)}
    # Keytabs that it was given, and the folder in memory that it had for tickets, are the place for keys.
    left = [file for file in scene.folder.rglob("*") if file.is_file() and file.suffix != ".keytab"]
    left = [file for file in left if scene.folder / "runtime" not in file.parents]
    assert scene.folder / "manifests" / "all.yaml" in left
    assert leaks(b"\n".join([said.encode(), *(file.read_bytes() for file in left)]), keys) == []


def test_a_process_that_does_not_protect_itself_is_dumped(scene: Scene) -> None:
    """Else it would mean nothing that the run is not."""
    command = [sys.executable, "-c", UNPROTECTED, str(scene.folder / "reader.keytab")]
    with subprocess.Popen(command, cwd=scene.folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert crash(process)
    for core in scene.folder.glob("core*"):
        core.unlink()
