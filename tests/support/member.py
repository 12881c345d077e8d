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

from tests.support.domain import SHARES, Domain, Machine, User, from_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.domain import Directory
    from tests.support.shell import Result

BACKUP_OPERATORS = "fs1-backup-operators"
Shown = dict[str, Any]
READERS, WRITERS = "src-readers", "dst-writers"


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
        return self.domain.smbclient(
            user, share, *commands, port=port, protection=protection, check=check, server=self.server
        )

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

    @contextmanager
    def privileged(self, user: User, *privileges: str) -> Iterator[User]:
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
        try:
            self.run("cp", "--archive", directory.inside, place)
            yield token
        finally:
            self.run("rm", "-rf", "--", place)


class _Sids(dict[str, str]):
    """Names → SIDs, each asked for once."""

    def __init__(self, member: Member) -> None:
        super().__init__()
        self._member = member

    def __missing__(self, name: str) -> str:
        self[name] = self._member.sid(name)
        return self[name]
