"""Finds out the account's SID at the destination, and which owners it may set, before a file depends on it.

A file that can't get its owner is marked from its first moment on (see ``mark``), so this must be known before it is
created. An empty file with DELETE_ON_CLOSE is created to find out; each owner is tried once.
"""

import secrets
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Protocol

from smbferry_engine.core.calls import (
    Reply,
    Request,
    close_request,
    open_request,
    query_security_request,
    set_security_request,
)
from smbferry_engine.core.session import Session
from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.paths import join, split, staging_names
from smbferry_engine.runtime.sync import Gate
from smbferry_engine.share.replies import check
from smbferry_engine.sids import domain_of
from smbferry_engine.wire.create import Access, CreateOption, Disposition
from smbferry_engine.wire.info import OWNER_AND_GROUP, decode_query
from smbferry_engine.wire.security import owner_and_group
from smbferry_engine.wire.status import NtStatus

OWNER_REFUSALS = frozenset(
    {NtStatus.ACCESS_DENIED, NtStatus.INVALID_OWNER, NtStatus.INVALID_PRIMARY_GROUP, NtStatus.PRIVILEGE_NOT_HELD}
)
_OPERATION = "creating a file to find out which owner it may have"
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


class _Account(Protocol):
    """The part of :class:`~smbferry_engine.share.share.Share` that is needed here."""

    session: Session

    def wire_path(self, path: str) -> str:
        """Return a path from the share's root."""
        ...


class Ownership:
    """The account's own SID on a share, and the owners that it may set.

    ``domain`` is the account's domain as a raw SID, None until something was created. Windows may make Administrators
    the owner of what their members create; then the group tells the domain.
    """

    def __init__(self, share: _Account) -> None:
        self._share = share
        self._own: bytes | None = None
        self.domain: bytes | None = None
        self._answers: dict[tuple[bytes, bytes], int] = {}
        self._gates: defaultdict[object, Gate] = defaultdict(lambda: Gate(1))

    async def own(self, path: str) -> bytes:
        """Return the SID (raw) that owns what the account creates; creates a file beside ``path`` if it is not known
        yet.
        """
        if self._own is None:
            await self._once("own", lambda: self._own is None, lambda: self._try(path))
        return self._own or b""

    async def refusal(self, path: str, descriptor: bytes) -> FileError | None:
        """Return why a file at ``path`` can't have the owner and group of a raw ``descriptor``; None if it can.

        Raises:
            FileError: no file can be created there. WireError: the descriptor is malformed.
        """
        key = owner_and_group(descriptor)
        if key not in self._answers:
            await self._once(key, lambda: key not in self._answers, lambda: self._ask(path, key, descriptor))
        status = self._answers[key]
        return None if status == NtStatus.SUCCESS else owner_refused(status)

    async def _once(self, what: object, wanted: Callable[[], bool], ask: Callable[[], Awaitable[object]]) -> None:
        """Find out one thing only once, and different things at the same time."""
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
        """Send ``requests`` for a new file beside ``path``, which is deleted on close."""
        (name, *_) = staging_names("", secrets.token_bytes(16))
        opened, owner, *replies, _ = await self._share.session.call(
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
        check(opened, _OPERATION)
        self._own, group = owner_and_group(bytes(decode_query(check(owner, "querying its owner").message)))
        self.domain = domain_of(self._own) or domain_of(group)
        return replies


def owner_refused(status: int) -> FileError:
    """Return the error of a file whose owner or group the account may not set."""
    return FileError(
        FileReason.OWNER_NOT_PERMITTED,
        "content and access list were copied, the owner was not: the account may not set it. Grant it "
        "SeRestorePrivilege at the destination (Backup Operators have it), or choose securityDescriptors: None",
        status=status,
    )
