"""What a run holds in memory does not grow with the tree, with every option on that looks at all of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop.engine.support import Bench

pytestmark = pytest.mark.takes(60)

MIB = 1 << 20
PER_FOLDER = 200
MANY = """
import os, sys
root, prefix, count, per_folder = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
for number in range(count):
    folder = f"{root}/{prefix} {number // per_folder // 50}/folder {number // per_folder}"
    if number % per_folder == 0:
        os.makedirs(folder, exist_ok=True)
    path = f"{folder}/a file with a name of usual length {number}.docx"
    with open(path, "w") as file:
        file.write(str(number))
    os.utime(path, (1_600_000_000, 1_600_000_000))
for directory, _, _ in os.walk(root, topdown=False):
    os.chmod(directory, 0o777)
    os.utime(directory, (1_600_000_000, 1_600_000_000))
"""
MEASURED = """
import json, re, sys
from pathlib import Path
from smbferry_engine import *
class Watcher:
    def __getattr__(self, name):
        return lambda *_: None
ends = [eval(text, {"Endpoint": Endpoint}) for text in sys.argv[1:]]
options = Options(
    deleted_files=DeletedFiles.REMOVE, max_deletes="100%",
    verify_mode=VerifyMode.POINT_IN_TIME_CONSISTENT, security_descriptors=SecurityDescriptors.OWNER_DACL,
)
result = transfer(*ends, options, Watcher())
files = result.counters.files
print(json.dumps({
    # Not ru_maxrss: that counts what the parent held when it forked.
    "peak": 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]),
    "failures": result.failures,
    "skipped": files.skipped, "verified": files.verified, "deleted": files.deleted,
}))
"""


def seed(bench: Bench, kept: int, surplus: int) -> None:
    """The same tree on both sides, and one beside it that only the destination has."""
    for directory, prefix, count in (
        (bench.source, "kept", kept),
        (bench.destination, "kept", kept),
        (bench.destination, "surplus", surplus),
    ):
        bench.source.domain.run("python3", "-c", MANY, directory.inside, prefix, str(count), str(PER_FOLDER))


def peak(bench: Bench, tmp_path: Path, kept: int, surplus: int) -> int:
    """Bytes that a process of its own holds at most, which runs with every option on; everything is as it should be."""
    seed(bench, kept, surplus)
    script = tmp_path / "measured.py"
    script.write_text(MEASURED)
    command = [sys.executable, str(script), *(repr(end) for end in bench.ends())]
    path = os.pathsep.join(entry for entry in sys.path if entry)
    told = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": path})
    found = json.loads(told.stdout)
    assert {name: found[name] for name in ("failures", "skipped", "verified", "deleted")} == {
        "failures": {}, "skipped": kept, "verified": kept, "deleted": surplus,
    }  # fmt: skip
    return int(found["peak"])


def test_a_tree_five_times_as_large_takes_hardly_more_memory(bench: Bench, tmp_path: Path) -> None:
    smaller = peak(bench, tmp_path, 2_000, 2_000)
    larger = peak(bench, tmp_path, 10_000, 10_000)
    assert larger < 75 * MIB
    # By this measure a million entries more would take 125 MiB at most.
    assert larger - smaller < 16_000 * 128
