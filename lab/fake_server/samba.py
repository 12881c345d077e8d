"""Samba 4, with ``vfs_streams_xattr``, ``ea support = yes``, and with vfs_shadow_copy2 or without snapshots."""

from __future__ import annotations

from lab.fake_server.personality import Personality

from smbferry_engine.wire.ioctl import FSCTL_SRV_ENUMERATE_SNAPSHOTS
from smbferry_engine.wire.status import NtStatus


class Samba(Personality):
    """Samba 4; without ``shadow_copies``, no module of the share knows snapshots.

    Streams and extended attributes are extended attributes of the Linux file system. vfs_streams_xattr(8): a stream is
    stored in one of them, so the file system limits its size: Linux takes 64 KiB (xattr(7), XATTR_SIZE_MAX), one byte
    of which Samba adds. The volume's flags name streams but not extended attributes (source3/smbd:
    FILE_SUPPORTS_EXTENDED_ATTRIBUTES is set nowhere).
    """

    # source3/modules/vfs_default.c, vfswrap_fsctl(): a list that does not fit is refused.
    short_snapshots_status = NtStatus.BUFFER_TOO_SMALL
    # source3/smbd/smb2_ioctl_network_fs.c: what the file system does not support is no request for a disk.
    missing_control_status = NtStatus.INVALID_DEVICE_REQUEST
    holds_streams = True
    holds_eas = True
    tells_eas = False
    longest_stream = 65_535

    def __init__(self, *, shadow_copies: bool = True) -> None:
        if not shadow_copies:
            self.missing_controls = frozenset({FSCTL_SRV_ENUMERATE_SNAPSHOTS})
