"""NetApp ONTAP 9."""

from lab.fake_server.personality import Personality

from smbferry_engine.wire.status import NtStatus


class Ontap(Personality):
    """An SVM with a given ``max-credits``; qtrees are made by giving the fake server quotas.

    NetApp KB, "How ONTAP implements SMB crediting": 128 a connection by default up to 9.12, 512 from 9.13 on, 2 to 8192
    allowed. Data ONTAP, "Messages displayed by the filer when quotas are exceeded": a CIFS client gets a disk full
    error for a write beyond any quota, a qtree's or a user's.
    """

    quota_status = NtStatus.DISK_FULL

    def __init__(self, *, max_credits: int = 128) -> None:
        self.most_credits = max_credits
