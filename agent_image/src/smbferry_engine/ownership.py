"""Who the account is at the destination, and which owners it may give to files: tried before a file depends on it.

A file that can't have its owner must say so from its first moment on (see ``mark``), so it must be known before it is
made. An empty file that the server deletes on its own when it is closed tells both; each owner is asked about once.
"""

import secrets
from collections import defaultdict
from collections.abc import Awaitable, Callable

from smbferry_engine.core.calls import (
    Reply,
    Request,
    close_request,
    open_request,
    query_security_request,
    set_security_request,
)
from smbferry_engine.core.sync import Gate
from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.paths import join, split, temporary_names
from smbferry_engine.share import Share, check
from smbferry_engine.wire.create import Access, CreateOption, Disposition
from smbferry_engine.wire.info import OWNER_AND_GROUP, decode_query
from smbferry_engine.wire.security import owner_and_group
from smbferry_engine.wire.status import NtStatus

OWNER_REFUSALS = frozenset(
    {NtStatus.ACCESS_DENIED, NtStatus.INVALID_OWNER, NtStatus.INVALID_PRIMARY_GROUP, NtStatus.PRIVILEGE_NOT_HELD}
)
_DOING = "creating a file to see which owner it may have"
_DESCRIPTOR_LIMIT = 4 * 1024
_ACCESS = int(
    Access.DELETE
    | Access.READ_ATTRIBUTES
    | Access.READ_CONTROL
    | Access.WRITE_DAC
    | Access.WRITE_OWNER
    | Access.SYNCHRONIZE
)
_OPTIONS = int(CreateOption.NON_DIRECTORY_FILE | CreateOption.DELETE_ON_CLOSE)


class Ownership:
    """What ``share``'s account owns by itself, and may make others own."""

    def __init__(self, share: Share) -> None:
        self._share = share
        self._own: bytes | None = None
        self._answers: dict[tuple[bytes, bytes], int] = {}
        self._gates: defaultdict[object, Gate] = defaultdict(lambda: Gate(1))

    async def own(self, path: str) -> bytes:
        """The SID (raw) that owns what the account creates; it is found out beside ``path`` if need be."""
        if self._own is None:
            await self._once("own", lambda: self._own is None, lambda: self._try(path))
        return self._own or b""

    async def refusal(self, path: str, descriptor: bytes) -> FileError | None:
        """Why a file at ``path`` can't have the owner and group of a raw ``descriptor``; None where it can.

        Raises:
            FileError: no file can be made there.
            WireError: the descriptor is none.
        """
        key = owner_and_group(descriptor)
        if key not in self._answers:
            await self._once(key, lambda: key not in self._answers, lambda: self._ask(path, key, descriptor))
        status = self._answers[key]
        return None if status == NtStatus.SUCCESS else owner_refused(status)

    async def _once(self, what: object, wanted: Callable[[], bool], ask: Callable[[], Awaitable[object]]) -> None:
        """Ask about one thing only once, of different things at the same time."""
        gate = self._gates[what]
        await gate.enter()
        try:
            if wanted():
                await ask()
        finally:
            gate.leave()

    async def _ask(self, path: str, key: tuple[bytes, bytes], descriptor: bytes) -> None:
        (reply,) = await self._try(path, set_security_request(OWNER_AND_GROUP, descriptor))
        if reply.status not in OWNER_REFUSALS:
            check(reply, "setting the owner")
        self._answers[key] = reply.status

    async def _try(self, path: str, *requests: Request) -> list[Reply]:
        """Do ``requests`` to a new file beside ``path``, which goes away by itself."""
        (name, *_) = temporary_names("", secrets.token_bytes(16))
        opened, owner, *replies, _ = await self._share.lane.call(
            open_request(
                self._share.wire_path(join(split(path)[0], name)),
                access=_ACCESS,
                disposition=Disposition.CREATE,
                options=_OPTIONS,
            ),
            query_security_request(OWNER_AND_GROUP, _DESCRIPTOR_LIMIT),
            *requests,
            close_request(),
        )
        check(opened, _DOING)
        self._own, _ = owner_and_group(bytes(decode_query(check(owner, "asking for its owner").message)))
        return replies


def owner_refused(status: int) -> FileError:
    """The failure of a file whose owner or group the account may not set."""
    return FileError(
        FileReason.OWNER_NOT_PERMITTED,
        "content and access list were copied, the owner was not: the account may not set it. Grant it "
        "SeRestorePrivilege at the destination (Backup Operators have it), or choose securityDescriptors: None",
        status=status,
    )
