"""A bit that flips on the server's own disk between our write and our reading back: which mode catches it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from lab.support.domain.trees import Wanted, differences
from tests.interop.engine.support import MIB
from tests.interop.engine.witness import copy, dos_attributes

from smbferry_engine import CompareBy, Outcome, VerifyMode
from smbferry_engine.core.calls import close_request, open_request, sparse_request
from smbferry_engine.files.ranges import RangeWriter
from smbferry_engine.files.small import commit_in_one_frame
from smbferry_engine.session.connect import connect
from smbferry_engine.session.driver import Driver
from smbferry_engine.wire.create import Access, Disposition

if TYPE_CHECKING:
    from tests.interop.engine.support import Bench

pytestmark = pytest.mark.takes(10)

FILE_ATTRIBUTE_SPARSE_FILE = 0x200
FLIP = """
import os, sys
for directory, _, files in os.walk(sys.argv[1]):
    for name in files:
        path = os.path.join(directory, name)
        state = os.stat(path)
        if name.startswith(sys.argv[2]):
            with open(path, "r+b") as file:
                first = file.read(1)
                file.seek(0)
                file.write(bytes([first[0] ^ 1]))
            os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
"""


class Flipper:
    """Flips the lowest bit of a file's first byte where the destination lies, as a failing disk might, once each."""

    def __init__(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        self._bench = bench
        self.flips = 0
        write = RangeWriter.write_in_place

        async def written(ranges: RangeWriter, buffer: bytearray, offset: int, *rest: Any) -> None:
            await write(ranges, buffer, offset, *rest)
            if not offset:
                self.flip(".smbferry-")

        async def committed(run: Any, path: str, file: Any) -> Any:
            incomplete = await commit_in_one_frame(run, path, file)
            if path == "small":
                self.flip("small")
            return incomplete

        monkeypatch.setattr(RangeWriter, "write_in_place", written)
        monkeypatch.setattr("smbferry_engine.files.small.commit_in_one_frame", committed)

    def flip(self, prefix: str) -> None:
        """The engine stands still meanwhile: its next request goes out when this is done."""
        self._bench.destination.domain.run("python3", "-c", FLIP, self._bench.destination.inside, prefix)
        self.flips += 1


@pytest.mark.parametrize(
    ("mode", "found", "committed"),
    [
        # A small file is read back in the compound that writes it: before anything can happen to it.
        (VerifyMode.ONLY_FILES_TRANSFERRED, {"/large"}, {"fine", "small"}),
        (VerifyMode.POINT_IN_TIME_CONSISTENT, {"/small", "/large"}, {"fine", "small", "large"}),
        (VerifyMode.NONE, set(), {"fine", "small", "large"}),
    ],
)
def test_a_bit_that_flips_on_the_servers_disk(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, mode: VerifyMode, found: set[str], committed: set[str]
) -> None:
    bench.source.seed([Wanted("small", size=70_000), Wanted("large", size=9 * MIB), Wanted("fine", size=100)])
    flipper = Flipper(bench, monkeypatch)
    result = copy(bench, verify_mode=mode)
    assert flipper.flips == 2
    assert set(bench.destination.tree()) == committed
    assert bench.watcher.reasons == dict.fromkeys(found, "HashMismatch")
    assert {failure.phase for failure in bench.watcher.failures} == ({"Verify"} if found else set())
    assert result.outcome is (Outcome.PARTIALLY_SUCCEEDED if found else Outcome.SUCCEEDED)
    assert result.counters.files.verified == (0 if mode is VerifyMode.NONE else 3 - len(found))
    monkeypatch.undo()
    # What was not noticed, or was kept, is repaired by a comparison of content.
    bench.copy(compare_by=CompareBy.CHECKSUM)
    assert bench.watcher.failures == []
    assert differences(bench.source.tree(), bench.destination.tree(), times=True) == []


@pytest.mark.parametrize("mode", [VerifyMode.ONLY_FILES_TRANSFERRED, VerifyMode.NONE])
def test_holes_take_no_room_at_the_destination_and_read_as_zeros(bench: Bench, mode: VerifyMode) -> None:
    domain, name = bench.source.domain, "holes"
    make = 'truncate -s 300M "$1" && printf middle | dd of="$1" bs=1 seek=150000000 conv=notrunc status=none'
    domain.run("sh", "-c", make, "sh", f"{bench.source.inside}/{name}")
    counters = copy(bench, verify_mode=mode).counters
    assert bench.watcher.failures == []
    assert counters.bytes.transferred == 300 * MIB
    assert counters.bytes.written <= 4 * MIB
    size, blocks = domain.run("stat", "-c", "%s %b", f"{bench.destination.inside}/{name}").text.split()
    assert (int(size), int(blocks) * 512 <= 4 * MIB) == (300 * MIB, True)
    assert differences(bench.source.tree(), bench.destination.tree(), times=True) == []


def test_the_server_takes_the_request_that_leaves_holes_without_room(bench: Bench) -> None:
    side = connect(bench.tickets.endpoint("dst", "/"))

    async def make() -> list[int]:
        path = f"{bench.destination.name}\\sparse"
        opening = open_request(path, access=Access.WRITE_DATA, disposition=Disposition.CREATE)
        return [reply.status for reply in await side.channel.session.call(opening, sparse_request(), close_request())]

    try:
        assert Driver([side.channel]).run(make()) == [0, 0, 0]
    finally:
        side.channel.close()
    kept = dos_attributes(bench.destination, "sparse")
    assert kept is not None
    assert kept & FILE_ATTRIBUTE_SPARSE_FILE
