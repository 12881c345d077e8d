"""The writes of a large file, and a server that answers one of them with something else."""

from __future__ import annotations

import pytest
from lab.fake_server import file, folder
from lab.fake_server.world import BIG, World
from lab.fuzz.targets import to_the_end

from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.header import HEADER_SIZE, Command
from smbferry_words.options import VerifyMode

RANGES = 6  # of BIG


def test_a_write_whose_reply_does_not_parse_ends_the_run_by_what_was_wrong_with_it() -> None:
    world = World(folder(big=file(BIG)))
    writes = []

    def spoil(replies: list[bytes]) -> list[bytes]:
        (reply, *others) = replies
        if world.destination.requests[-1].command == Command.WRITE:
            writes.append(reply)
        if len(writes) < RANGES:
            return replies
        return [reply[:HEADER_SIZE] + b"\x55\x92" + reply[HEADER_SIZE + 2 :], *others]

    world.destination.before_reply = spoil
    world.prepare(verify_mode=VerifyMode.NONE)
    with pytest.raises(WireError, match="write: expected structure size 17"):
        to_the_end(world, world.execution())
