"""The lab's member server fs1: a file server that is no domain controller, whose shares have real access lists.

Shares: `acl-src` (src-readers may read), `acl-dst` (dst-writers may change everything; its folder `tight` has 48 MiB)
and `acl-both`. Users in the domain's group `fs1-backup-operators` are Backup Operators there.
"""

from __future__ import annotations

import datetime
import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from lab.support.domain.machine import SHARES, Machine, from_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.support.domain.domain import Domain
    from lab.support.domain.machine import Account, Directory
    from lab.support.domain.shell import Result

BACKUP_OPERATORS = "fs1-backup-operators"
Shown = dict[str, Any]
READERS, WRITERS = "src-readers", "dst-writers"
EVERYONE_LISTS = "O:BAG:SYD:PAI(A;OICI;0x001f01ff;;;BA)(A;OICI;0x001f01ff;;;SY)(A;;0x001200a9;;;AU)"


class Member(Machine):
    """The member server of `domain`."""

    def __init__(self, container: Any, domain: Domain, *, server: str, address: str) -> None:
        super().__init__(container, server=server, address=address)
        self.domain = domain

    @classmethod
    def from_environment(cls, domain: Domain, environ: Mapping[str, str] = os.environ) -> Self:
        """The server that the lab's variables name.

        Raises:
            DomainError: they aren't set, or nothing answers there.
        """
        names = ("SMBFERRY_LAB_MEMBER", "SMBFERRY_LAB_MEMBER_ADDRESS", "SMBFERRY_LAB_MEMBER_CONTAINER")
        container, (server, address) = from_environment(environ, *names)
        return cls(container, domain, server=server, address=address)

    def smbclient(
        self, user: str, share: str, *commands: str, port: int = 445, protection: str = "encrypt", check: bool = True
    ) -> Result:
        """As every machine's, run on the domain controller."""
        return self.domain.smbclient(
            user, share, *commands, port=port, protection=protection, check=check, server=self.server
        )

    def client(
        self, user: str, program: str, *arguments: str, protection: str = "encrypt", check: bool = True
    ) -> Result:
        """As every machine's, run on the domain controller."""
        return self.domain.client(user, program, *arguments, protection=protection, check=check)

    def sid(self, name: str) -> str:
        """The SID of a user or a group of the domain, or of the domain itself where the name is empty."""
        if not name:
            return self.sid("Domain Admins").rpartition("-")[0]
        return self.run("wbinfo", "--name-to-sid", f"CORP\\{name}").text.split()[0]

    def settle(self, directory: Directory) -> None:
        """Everything in it that was made behind the server's back gets the descriptor that it inherits."""
        self.call("settle", directory.inside)

    def describe(self, directory: Directory, wanted: Mapping[str, str]) -> None:
        """Gives paths ("" is the directory itself) the descriptors of their SDDL; `{name}` stands for a name's SID."""
        sids = _Sids(self)
        filled = {path: sddl.format_map(sids) for path, sddl in wanted.items()}
        self.call("describe", directory.inside, filled, self.sid(""))

    def look(self, directory: Directory) -> dict[str, Shown]:
        """Path → owner, group, control bits, lists, attributes and times of each object, as `descriptors.look` says."""
        found: dict[str, Shown] = self.call("look", directory.inside)
        return found

    def let_in(self, directory: Directory) -> dict[str, tuple[bool, int, list[str] | None]]:
        """Path → folder or not, size, SIDs that its access list lets in, as `descriptors.let_in` says."""
        found = self.call("let_in", directory.inside)
        return {path: (folder, size, allowed) for path, (folder, size, allowed) in found.items()}

    def differing(self, source: Directory, destination: Directory, *keys: str) -> list[tuple[str, str, Any, Any]]:
        """Path, key and both values wherever the server's own store has another one; a missing object differs too."""
        ours, theirs = _as_told(self.look(source)), _as_told(self.look(destination))
        lacking = [(path, "is there", path in ours, path in theirs) for path in sorted(ours.keys() ^ theirs.keys())]
        return lacking + [
            (path, key, ours[path][key], theirs[path][key])
            for path in sorted(ours.keys() & theirs.keys())
            for key in keys
            if ours[path][key] != theirs[path][key]
        ]

    @contextmanager
    def privileged(self, user: Account, *privileges: str) -> Iterator[Account]:
        """As every machine's, by `net sam rights`."""
        name = f"CORP\\{user.name}"
        self.run("net", "sam", "rights", "grant", name, *privileges)
        try:
            yield user
        finally:
            self.run("net", "sam", "rights", "revoke", name, *privileges)

    @contextmanager
    def snapshot(self, directory: Directory, taken: datetime.datetime | None = None) -> Iterator[str]:
        """A snapshot of the share with this one directory in it, as it is now; its token: @GMT-…"""
        # The second decides which it is: tests beside this one have seconds of their own.
        moment = taken or datetime.datetime.fromtimestamp(1_000_000_000 + secrets.randbelow(700_000_000), datetime.UTC)
        token = f"@GMT-{moment:%Y.%m.%d-%H.%M.%S}"
        place = f"{SHARES}/snapshots/{directory.share}/{token}"
        self.run("mkdir", "--mode=0777", place)
        # vfs_shadow_copy2 lists snapshots to those only who may list the folder that they lie in.
        self.call("describe", f"{SHARES}/snapshots/{directory.share}", {"": EVERYONE_LISTS}, self.sid(""))
        try:
            self.run("cp", "--archive", directory.inside, place)
            yield token
        finally:
            self.run("rm", "-rf", "--", place)


def _as_told(seen: dict[str, Shown]) -> dict[str, Shown]:
    """As SMB tells it: times in units of 100 ns."""
    return {path: {**entry, "written": entry["written"] // 100} for path, entry in seen.items()}


class _Sids(dict[str, str]):
    """Names → SIDs, each asked for once."""

    def __init__(self, member: Member) -> None:
        super().__init__()
        self._member = member

    def __missing__(self, name: str) -> str:
        self[name] = self._member.sid(name)
        return self[name]
