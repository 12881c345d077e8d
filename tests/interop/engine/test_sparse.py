"""Sparse files between real shares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.interop.engine.support import MIB

from smbferry_engine import (
    VerifyMode,
)
from smbferry_engine.core.calls import close_request, open_request, sparse_request
from smbferry_engine.core.session import Session
from smbferry_engine.operations.sides import share_of
from smbferry_engine.session.connect import connect
from smbferry_engine.session.driver import Driver
from smbferry_engine.share.access import WRITE_ACCESS
from smbferry_engine.wire.create import Disposition

if TYPE_CHECKING:
    from lab.support.domain.domain import Domain
    from tests.interop.engine.support import Bench

    from smbferry_engine import Endpoint
    from smbferry_engine.core.calls import Call


pytestmark = pytest.mark.takes(15)

# Compares two files without going through their holes.
SAME_CONTENT = """
import os, sys
def content(path):
    found, at = [os.path.getsize(path)], 0
    with open(path, "rb", buffering=0) as file:
        while at < found[0]:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            block = os.pread(file.fileno(), 4096 - at % 4096, at)
            if block.strip(bytes(1)):
                found.append((at, block))
            at += len(block)
    return found
one, other = map(content, sys.argv[1:])
assert len(one) > 1 and one == other, (one, other)
"""


def make_sparse(endpoint: Endpoint, name: str) -> None:
    side = connect(endpoint)

    async def make() -> None:
        share = share_of(side, endpoint)
        opened = open_request(share.wire_path(name), access=WRITE_ACCESS, disposition=Disposition.CREATE)
        replies = await side.channel.session.call(opened, sparse_request(), close_request())
        assert [reply.status for reply in replies] == [0, 0, 0]

    Driver([side.channel]).run(make())
    side.channel.close()


@pytest.mark.fault(38, 81)
def test_a_sparse_file_larger_than_4_gib_is_copied_without_its_zeros(
    bench: Bench, domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is sparse to Samba where a client has said so, until it is renamed."""
    asked: list[int] = []
    read = Session.read

    def reading(session: Session, file_id: bytes, offset: int, length: int) -> Call:
        asked.append(length)
        return read(session, file_id, offset, length)

    monkeypatch.setattr(Session, "read", reading)
    make_sparse(bench.ends()[1], "sparse")
    inside = f"{bench.destination.inside}/sparse"
    domain.run(
        "sh", "-c", 'truncate -s 5G "$1" && printf tail | dd of="$1" bs=1 seek=5000000000 conv=notrunc', "sh", inside
    )
    with domain.directory("dst") as elsewhere:
        ends = bench.ends()[1], bench.tickets.endpoint("dst", elsewhere.path)
        result = bench.copy(ends=ends, verify_mode=VerifyMode.NONE, expected=None)
        assert 0 < sum(asked) < 64 * MIB, "nor are they read"
        assert bench.watcher.failures == []
        assert result.counters.bytes.transferred == 5 << 30
        assert result.counters.bytes.written < 4 * MIB
        domain.run("python3", "-c", SAME_CONTENT, inside, f"{elsewhere.inside}/sparse")
