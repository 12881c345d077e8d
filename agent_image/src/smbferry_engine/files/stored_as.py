"""How a server stores a file: compressed (NTFS), or with checksums of its content (ReFS).

Both are attributes that no SET_INFO sets. They are set on a staging file before it has content. What the destination's
server refuses is reported; the file is complete without it.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from smbferry_engine.core.calls import Call, Request, compression_request, integrity_request
from smbferry_engine.core.session import Session
from smbferry_engine.plan.attachments import Lost
from smbferry_engine.wire.attributes import COMPRESSED, INTEGRITY_STREAM
from smbferry_engine.wire.create import Access
from smbferry_engine.wire.status import NtStatus, status_name
from smbferry_words.run import NotCarriedKind


class _Setting(NamedTuple):
    """An attribute, the control that sets it, and how a refusal is reported."""

    attribute: int
    request: Callable[[bytes], Request]
    kind: NotCarriedKind
    refusal: str


_SETTINGS: Final = (
    _Setting(COMPRESSED, compression_request, NotCarriedKind.COMPRESSION, "the server does not compress it"),
    _Setting(INTEGRITY_STREAM, integrity_request, NotCarriedKind.INTEGRITY, "the server keeps no checksums of it"),
)
# These controls take a file that is open for reading and writing (MS-FSCC 2.3).
ACCESS: Final = int(Access.READ_DATA | Access.WRITE_DATA)
_ANY: Final = COMPRESSED | INTEGRITY_STREAM


def is_stored_specially(attributes: int) -> bool:
    """Return whether any of it is to be set."""
    return bool(attributes & _ANY)


class StoredAs:
    """What was asked of the server for one file; nothing for most."""

    def __init__(self) -> None:
        self._asked: list[tuple[_Setting, Call]] = []

    def ask(self, session: Session, file_id: bytes, attributes: int) -> None:
        """Ask the server to store an open file as ``attributes`` of its source say."""
        self._asked += [
            (setting, session.call(setting.request(file_id))) for setting in _SETTINGS if attributes & setting.attribute
        ]

    async def lost(self) -> tuple[Lost, ...]:
        """Return what the server refused."""
        found = []
        for setting, call in self._asked:
            (reply,) = await call
            if reply.status != NtStatus.SUCCESS:
                reason = f"{setting.refusal} ({status_name(reply.status)})"
                found.append(Lost(setting.kind, "", reason, fails=False))
        return tuple(found)
