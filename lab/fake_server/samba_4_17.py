"""Samba 4.17, which has no reparse points over SMB."""

from lab.fake_server.personality import Personality

from smbferry_engine.wire.status import NtStatus


class Samba417(Personality):
    """Samba before 4.18: ``vfswrap_fsctl`` in source3/modules/vfs_default.c answers both controls alike."""

    missing_controls = frozenset({0x000900A4, 0x000900A8})
    missing_control_status = NtStatus.NOT_A_REPARSE_POINT
