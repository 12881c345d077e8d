"""A private folder at the destination for copies that only serve to measure: nobody else can open what is in it.

It has the name of a staging file, so that the next run removes what a survey could not. Samples lie in parts of it,
whatever their paths: few listings find them, and no part is so large that a server is slow to create files in it.
"""

import re
import secrets
from collections.abc import Iterable
from typing import Final

from blake3 import blake3

from smbferry_engine.core.calls import set_security_request
from smbferry_engine.core.session import Session
from smbferry_engine.errors import FileError
from smbferry_engine.paths import join, staging_names
from smbferry_engine.runtime.group import run_all
from smbferry_engine.runtime.tasks import Scheduler
from smbferry_engine.share.share import Share
from smbferry_engine.wire.attributes import DIRECTORY
from smbferry_engine.wire.create import Access
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.wire.info import SecurityPart
from smbferry_engine.wire.security import only_for
from smbferry_engine.wire.status import NtStatus

_NAME_BYTES: Final = 12
_NAME: Final = re.compile(f"[0-9a-f]{{{2 * _NAME_BYTES}}}")
_PARTS: Final = tuple(f"part-{number:02x}" for number in range(64))
_IN_FLIGHT: Final = 24


class ScratchShare(Share):
    """A share all of whose paths lie in one folder, ``folder`` below ``root``. ``account`` is the raw SID of who owns
    it.
    """

    def __init__(self, session: Session, root: str, folder: str, account: bytes) -> None:
        super().__init__(session, join(root, folder))
        self.folder = folder
        self.account = account

    def wire_path(self, path: str) -> str:
        """Return the path from the share's root: names in the folder's parts stand for paths."""
        if not path:
            return self.root
        digest = blake3(path.encode("utf-16-le", "surrogatepass")).digest(_NAME_BYTES)
        return join(join(self.root, _PARTS[digest[0] % len(_PARTS)]), digest.hex())


async def make_scratch(scheduler: Scheduler, share: Share) -> ScratchShare:
    """Create the folder in the root of ``share``. Raises :class:`FileError` if the server refuses."""
    (name, *_) = staging_names("", secrets.token_bytes(16))
    account = await share.ownership.own(name)
    await share.make_directory(name, only_for(account, inheritable=True))
    parts = iter(_PARTS)

    async def make() -> None:
        for part in parts:
            await share.make_directory(join(name, part))

    await run_all(scheduler, [make() for _ in range(_IN_FLIGHT)])
    return ScratchShare(share.session, share.root, name, account)


async def remove_scratch(scheduler: Scheduler, share: Share, path: str) -> None:
    """Delete the folder at ``path`` with what a survey has created in it; what else is in it stays, and so does it.

    Raises:
        FileError: the server refuses, or something else is in it.
    """
    parts = [entry for entry in await _listed(share, path) if entry.name in _PARTS]
    for part in parts:
        inside = join(path, part.name)
        samples = [entry for entry in await _listed(share, inside) if _NAME.fullmatch(entry.name)]
        await _delete_all(scheduler, share, inside, samples)
    await _delete_all(scheduler, share, path, parts)
    await share.delete(path, directory=True, readonly=True)


async def _listed(share: Share, path: str) -> list[DirectoryEntry]:
    try:
        return await share.list_directory(path, "listing a folder to delete it")
    except FileError:
        return []  # a link, or a folder that the account may not list: its deletion tells


async def _delete_all(scheduler: Scheduler, share: Share, folder: str, entries: Iterable[DirectoryEntry]) -> None:
    left = iter(entries)

    async def delete() -> None:
        for entry in left:
            await _delete(share, join(folder, entry.name), directory=bool(entry.attributes & DIRECTORY))

    await run_all(scheduler, [delete() for _ in range(_IN_FLIGHT)])


async def _delete(share: Share, path: str, *, directory: bool) -> None:
    try:
        await share.delete(path, directory=directory)
    except FileError as error:
        if error.status != NtStatus.ACCESS_DENIED:
            raise
        # It has the access list of its source, which locks the account out. Who created it may still set that list.
        private = set_security_request(SecurityPart.DACL, only_for(await share.ownership.own(path)))
        await share.change(path, int(Access.WRITE_DAC), (private,), "resetting the access list of a sample")
        await share.delete(path, directory=directory)
