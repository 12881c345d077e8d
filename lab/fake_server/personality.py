"""What one product does otherwise than the plain server: its personality.

The plain server is what the engine's own tests take for granted. A product's file says where its own behavior differs,
each with the source that says so. Personalities begin where the engine does, behind the handshake: a server that wants
SPNEGO belongs to the stub of ``lab/support/stubs/stub_smb.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from smbferry_engine.wire.status import NtStatus

if TYPE_CHECKING:
    from lab.fake_server.nodes import Handle, Node

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
    # What the list of snapshots gets that does not fit; SUCCESS: it says how large it is (MS-SMB2 3.3.5.15.1).
    short_snapshots_status: int = SUCCESS
    # What a write beyond a quota gets.
    quota_status: int = NtStatus.DISK_FULL
    # Whether asking for a folder's free space tells of the quota on it.
    tells_quota = True

    # Whether the volume has named streams and extended attributes, and whether its flags say so (MS-FSCC 2.5.1).
    holds_streams = False
    holds_eas = False
    tells_eas = True
    # The longest stream, in bytes, and the status of a longer one.
    longest_stream: int | None = None
    # Whether the names of extended attributes are stored in upper case.
    upper_case_eas = False

    def judge_stream(self, name: str) -> int:
        """The status of creating a stream of that name."""
        return SUCCESS

    def judge_ea(self, name: bytes, value: bytes) -> int:
        """The status of setting an extended attribute."""
        return SUCCESS

    def stored(self, times: list[int]) -> list[int]:
        """Times as they come back after they have been set."""
        return [time - time % grain for time, grain in zip(times, self.time_grains, strict=True)]

    def judge_open(self, node: Node, *, open_reparse_point: bool) -> int:
        """The status of opening ``node``; ``open_reparse_point`` is with FILE_OPEN_REPARSE_POINT."""
        return SUCCESS

    def judge_link(self, node: Node, tag: int) -> int:
        """The status of making ``node`` a reparse point with this tag."""
        return SUCCESS

    def judge_hard_link(self, node: Node) -> int:
        """The status of giving ``node`` one more name."""
        return SUCCESS

    def judge_rename(self, data: bytes, target: Node | None, opens: list[Handle]) -> int:
        """The status of a rename by ``data`` (MS-FSCC 2.4.42.2); ``target`` has the name and those ``opens``."""
        return SUCCESS
