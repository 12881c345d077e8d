"""A survey takes little memory, however many entries there are and however they are spread over folders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MIB = 1 << 20
ROOT = Path(__file__).resolve().parents[3]
SURVEY = r"""
import json, re, sys
from pathlib import Path
from lab.fake_server import FakeServer, file, folder
from lab.fake_server.world import World
from smbferry_engine.wire.status import NtStatus
from tests.unit.engine.test_survey import survey

folders, files = (int(text) for text in sys.argv[1:])
PAGE = 1_000


class Vast(FakeServer):
    "Its folders and files exist only while they are listed."

    def __init__(self):
        super().__init__(folder(data=folder()))
        self.leaf, self.file = folder(), file(b"12345678")
        self._number(self.leaf)
        self._number(self.file)
        self.page = None

    def find(self, path, snapshot=0):
        parts = path.split("\\")
        if len(parts) == 1:
            return super().find(path)
        return self.file if parts[-1].startswith("a file") else self.leaf

    def _query_directory(self, body, handle, file_id):
        leaf = handle.path.startswith("data\\")
        count = files if leaf else folders
        begin, end = handle.listed, min(count, handle.listed + PAGE)
        if begin >= count:
            return NtStatus.NO_MORE_FILES, b"\x09" + bytes(8)
        page = self.page if leaf and files <= PAGE else None
        if page is None:
            page = self.made(body, handle, file_id, leaf, range(begin, end))
            self.page = page if leaf else self.page
        handle.listed = end
        return 0, page

    def made(self, body, handle, file_id, leaf, numbers):
        name, node, kept = "a file with a name of usual length" if leaf else "folder", handle.node, handle.node
        child = self.file if leaf else self.leaf
        handle.node, handle.listed = folder(**{f"{name} {number}": child for number in numbers}), 2
        _, page = super()._query_directory(body, handle, file_id)
        handle.node = kept
        return page


world = World(folder())
world.source = world.links[0].server = Vast()
world.source.meet(world.links[0], 64)
world.source.keep_credits(256)
found = survey(world)
print(json.dumps({
    # Not ru_maxrss: that counts what the parent held when it forked.
    "peak": 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]),
    "files": found.tree.files, "directories": found.tree.directories, "sampled": found.sampled,
}))
"""


@pytest.mark.parametrize(
    ("few", "many", "per_entry"),
    [
        pytest.param((10, 999), (110, 999), 100, id="folders of a thousand files"),
        pytest.param((1, 10_000), (1, 110_000), 100, id="one folder with all files"),
        pytest.param((3_000, 0), (5_500, 0), 2_500, id="one folder with many folders"),
    ],
)
def test_a_million_files_or_fifty_thousand_folders_would_fit_into_200_mib(
    few: tuple[int, int], many: tuple[int, int], per_entry: int
) -> None:
    """By what each further entry costs, in bytes. The bench surveys a million files of a real server."""
    (entries, peak), (more, highest) = surveyed(*few), surveyed(*many)
    assert peak < 75 * MIB
    assert highest - peak < (more - entries) * per_entry


def surveyed(folders: int, files: int) -> tuple[int, int]:
    """Entries that a survey found, and the peak of its memory in bytes."""
    path = os.pathsep.join([*(entry for entry in sys.path if entry), str(ROOT)])
    told = subprocess.run(
        [sys.executable, "-c", SURVEY, str(folders), str(files)],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert (found["files"], found["directories"]) == (folders * files, folders + 1)
    assert found["sampled"] == 2_000
    return folders * files + folders + 1, found["peak"]
