"""What one product does otherwise than the plain server: its personality.

The plain server is what the engine's own tests take for granted. A product's file says where its own behavior differs,
each with the source that says so. Personalities begin where the engine does, behind the handshake: a server that wants
SPNEGO belongs to the stub of ``tests/support/stub_smb.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from smbferry_engine.wire.status import NtStatus

if TYPE_CHECKING:
    from tests.unit.engine.fake_server.nodes import Handle, Node

SUCCESS = 0
# Statuses that only a server names (MS-ERREF 2.3.1).
INVALID_INFO_CLASS = 0xC0000003
INFO_LENGTH_MISMATCH = 0xC0000004


class Personality:
    """The plain server; each attribute and method is what a product may do otherwise."""

    # A connection has no more credits than this at a time (MS-SMB2 3.3.1.2); None: every reply grants the same number.
    most_credits: int | None = None
    # Times are rounded down to so many units of 100 ns, in the order creation, access, write, change.
    time_grains = (1, 1, 1, 1)
    # Classes of QUERY_DIRECTORY that it refuses, and the status with which it does.
    missing_listing_classes: frozenset[int] = frozenset()
    missing_listing_status: int = INVALID_INFO_CLASS
    # FSCTLs that it refuses, and the status with which it does.
    missing_controls: frozenset[int] = frozenset()
    missing_control_status: int = NtStatus.NOT_SUPPORTED
    # What a write beyond a quota gets.
    quota_status: int = NtStatus.DISK_FULL
    # Whether asking for a folder's free space tells of the quota on it.
    tells_quota = True

    def stored(self, times: list[int]) -> list[int]:
        """Times as they come back after they have been set."""
        return [time - time % grain for time, grain in zip(times, self.time_grains, strict=True)]

    def judge_open(self, node: Node, *, itself: bool) -> int:
        """The status of opening ``node``; ``itself`` is with FILE_OPEN_REPARSE_POINT."""
        return SUCCESS

    def judge_rename(self, data: bytes, target: Node | None, opens: list[Handle]) -> int:
        """The status of a rename by ``data`` (MS-FSCC 2.4.42.2); ``target`` has the name and those ``opens``."""
        return SUCCESS
