"""One tree with everything that travels, there and back between real servers, judged by witnesses that are not ours.

getfattr sees streams and extended attributes on the disk, stat the names of a file, samba-tool the descriptor in the
store, smbcacls and smbclient what a client of the server sees.
"""

from __future__ import annotations

import re
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from lab.support.domain.member import BACKUP_OPERATORS, READERS, WRITERS, Member
from lab.support.domain.trees import Wanted, differences
from tests.interop.engine.support import MIB, held_by
from tests.interop.engine.test_attachments import attach, attached
from tests.interop.engine.tickets import Watcher
from tests.interop.engine.witness import allinfo, ntacl, set_mode, set_times

from smbferry_engine import (
    Endpoint,
    HardLinks,
    NotCarriedKind,
    Options,
    Outcome,
    Result,
    RetryLocked,
    SecurityDescriptors,
    SidMap,
    VerifyMode,
    transfer,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.domain.domain import Domain, User
    from lab.support.domain.machine import Directory
    from tests.interop.engine.tickets import Tickets

pytestmark = pytest.mark.takes(40)

OLD = "S-1-5-21-1004336348-1177238915-682003330"
ADMINS = "(A;OICI;0x1f01ff;;;{Domain Admins})"
TREE = (
    Wanted("streams/file", size=900),
    Wanted("streams/large", size=3 * MIB),
    Wanted("streams/empty"),
    Wanted("names/one", size=2 * MIB),
    Wanted("names/small", size=77),
    Wanted("names/below", "directory"),
    Wanted("closed/denied", size=10),
    Wanted("closed/hidden", size=11),
    Wanted("audited", size=12),
    Wanted("of the old domain", size=13),
    Wanted("locked", size=14),
    Wanted("locked and large", size=2 * MIB + 1),
)
FURTHER_NAMES = {"names/one": ("names/below/two", "names/three"), "names/small": ("names/below/small too",)}
STREAMS = {
    "": {"of the root": b"root"},
    "streams": {"of a folder": b"folder" * 50},
    "streams/file": {"Zone.Identifier": b"[ZoneTransfer]\r\nZoneId=3\r\n", "AFP_AfpInfo": b"AFP\0" * 15},
    "streams/large": {"of a large file": bytes(range(256)) * 2},
    "streams/empty": {"only": b"\0\1\2"},
    "names/one": {"of three names": b"3"},
}
EAS = {
    "": {"ROOT": b"r"},
    "streams/file": {"PROJECT": b"blue", "BYTES": bytes(range(256))},
    "streams/large": {"PROJECT": b"red"},
    "closed": {"OWNER": b"us"},
    "names/small": {"OWNER": b"them"},
}
LISTS = {
    "": "O:{Domain Admins}G:{Domain Users}D:PAI" + ADMINS + "(A;OICI;0x1200a9;;;{Domain Users})",
    "streams": "O:{Domain Admins}G:{Domain Users}D:AI(A;OICIID;0x1200a9;;;{Domain Users})" + ADMINS,
    "closed": "O:{Domain Admins}G:{Domain Users}D:PAI" + ADMINS,
    "closed/denied": "O:{Domain Admins}G:{Domain Users}D:P(D;;0x1;;;{Domain Guests})(A;;0x1f01ff;;;{Domain Admins})",
    "closed/hidden": "O:{svc-src}G:{Domain Users}D:P(A;;0x1f01ff;;;{Domain Admins})",
    "audited": "O:{Domain Admins}G:{Domain Users}D:P(A;;0x1f01ff;;;{Domain Admins})S:P(AU;SAFA;0x1f01ff;;;WD)",
    "of the old domain": f"O:{OLD}-512G:{OLD}-513D:P(D;;0x2;;;{OLD}-514)(A;;0x1f01ff;;;{OLD}-512)",
    "names/one": "O:{Domain Admins}G:{Domain Users}D:P(A;;0x1f01ff;;;{Domain Admins})(A;;0x1200a9;;;{Domain Users})",
}
# Samba 4.17 as it is lets nobody set times on a file whose access list does not; only the member server of the lab has
# the backup intent of Windows.
WITH_WRITERS = {
    path: LISTS.get(path, LISTS[""]) for path in ("", *(wanted.path for wanted in TREE), "streams", "closed", "names")
}
WITH_WRITERS = {
    path: re.sub("(S:.*)?$", lambda audit: "(A;OICI;0x1f01ff;;;{" + WRITERS + "})" + audit[0], sddl, count=1)
    for path, sddl in WITH_WRITERS.items()
}
ATTRIBUTES = {"names/small": "+r", "closed/hidden": "+h", "streams": "+h", "audited": "+rhs"}
# Nobody in the domain may open it before its SIDs are mapped.
OF_THE_OLD_DOMAIN = ("of the old domain",)
LOCKED = ("locked", "locked and large")
PRIVILEGES = ("SeSecurityPrivilege",)
EVERYTHING: dict[str, Any] = {
    "security_descriptors": SecurityDescriptors.OWNER_DACL_SACL,
    "hard_links": HardLinks.PRESERVE,
    "verify_mode": VerifyMode.POINT_IN_TIME_CONSISTENT,
}


@dataclass
class Journey:
    """Two servers and the accounts of docs/how-to/least-privilege.md, which may also copy audit lists."""

    tickets: Tickets
    member: Member
    reader: User
    writer: User

    def end(self, directory: Directory, user: User) -> Endpoint:
        return self.tickets.endpoint(directory.share, directory.path, user=user)

    def copy(self, source: Directory, destination: Directory, **options: Any) -> tuple[Result, Watcher]:
        """Between two shares; the source is read by the account that may."""
        watcher = Watcher()
        chosen = Options(**{**EVERYTHING, "retry_locked": RetryLocked(attempts=0), **options})
        user = self.writer if source.share.endswith("dst") else self.reader
        ends = self.end(source, user), self.end(destination, self.writer)
        return transfer(*ends, chosen, watcher), watcher

    @property
    def sid_map(self) -> SidMap:
        return SidMap.parse(f"{OLD} {self.member.sid('')}")


@pytest.fixture
def journey(domain: Domain, member: Member, tickets: Tickets) -> Iterator[Journey]:
    with ExitStack() as stack:
        users = []
        for groups in ((READERS, BACKUP_OPERATORS), (WRITERS, BACKUP_OPERATORS)):
            user = stack.enter_context(domain.user(*groups, "Backup Operators", prefix="all"))
            for machine in (domain, member):
                stack.enter_context(machine.privileged(user, *PRIVILEGES))
            users.append(user)
        yield Journey(tickets, member, *users)


def plant(journey: Journey, directory: Directory, lists: dict[str, str] = LISTS) -> None:
    """The tree with everything, made on the server's disk."""
    directory.seed(TREE)
    for first, others in FURTHER_NAMES.items():
        for name in others:
            directory.domain.run("ln", f"{directory.inside}/{first}", f"{directory.inside}/{name}")
    attach(directory, STREAMS, EAS)
    # Samba makes up a creation time that no client has set, and another one later.
    set_times(directory, *directory.tree(), created="2024:02:29-12:34:56")
    journey.member.describe(directory, lists)
    for path, change in ATTRIBUTES.items():
        set_mode(directory, path, change)


def paths_of(directory: Directory) -> list[str]:
    return sorted(directory.tree())


def smbcacls(directory: Directory, path: str) -> list[str]:
    """The descriptor as Samba's own tool for it reads it from the server, line by line."""
    shown = directory.domain.client(
        "Administrator", "smbcacls", f"//{directory.domain.server}/{directory.share}", f"{directory.name}/{path}",
        "--numeric",
    ).text  # fmt: skip
    return [line for line in shown.splitlines() if re.match(r"(REVISION|CONTROL|OWNER|GROUP|ACL):", line)]


def names_together(directory: Directory) -> dict[str, set[str]]:
    """First names → the inodes and link counts of all names, by stat."""
    found = {}
    for first, others in FURTHER_NAMES.items():
        paths = [f"{directory.inside}/{name}" for name in (first, *others)]
        found[first] = set(directory.domain.run("stat", "-c", "%i %h", *paths).text.splitlines())
    return found


def renamed(sddl: str, old: str, new: str) -> str:
    """With the SIDs of another domain in place of an old one's, as SDDL writes them."""
    for rid, alias in (("512", "DA"), ("513", "DU"), ("514", "DG")) if old else ():
        sddl = sddl.replace(f"{old}-{rid}", alias)
    return sddl.replace(old, new) if old else sddl


def seen(directory: Directory, *, mapped: tuple[str, str] = ("", "")) -> dict[str, Any]:
    """What every witness says of each path; ``mapped`` are the SIDs of a domain and of its successor."""
    paths = paths_of(directory)
    shown = zip(paths, allinfo(directory, *paths), strict=True)
    return {
        "attached": attached(directory),
        "allinfo": {path: (one.created, one.written, one.attributes) for path, one in shown},
        "ntacl": {path: renamed(ntacl(directory, path), *mapped) for path in ("", *paths)},
        "smbcacls": {path: smbcacls(directory, path) for path in ("", *paths) if path not in OF_THE_OLD_DOMAIN},
        "names": {first: len(inodes) for first, inodes in names_together(directory).items()},
    }


def test_everything_goes_there_and_back_and_every_witness_sees_the_same(journey: Journey) -> None:
    member = journey.member
    with (
        member.directory("acl-src") as source,
        member.directory("acl-dst") as there,
        member.directory("acl-both") as back,
    ):
        plant(journey, source)
        result, watcher = journey.copy(source, there, sid_map=journey.sid_map)
        assert (result.outcome, watcher.failures, watcher.left) == (Outcome.SUCCEEDED, [], [])
        result, watcher = journey.copy(there, back)
        assert (result.outcome, watcher.failures, watcher.left) == (Outcome.SUCCEEDED, [], [])
        expected = seen(source, mapped=(OLD, member.sid("")))
        assert expected["names"] == dict.fromkeys(FURTHER_NAMES, 1)
        assert {created for created, *_ in expected["allinfo"].values()} == {"Thu Feb 29 12:34:56 2024 UTC"}
        for directory in (there, back):
            found = seen(directory)
            for witness, told in expected.items():
                assert found[witness] == told, witness
            assert differences(source.tree(), directory.tree(), times=True) == []
        again: tuple[tuple[Directory, Directory, dict[str, Any]], ...] = (
            (source, there, {"sid_map": journey.sid_map}),
            (there, back, {}),
        )
        for one, other, options in again:
            result, watcher = journey.copy(one, other, **options)
            assert (result.outcome, watcher.failures, watcher.left) == (Outcome.SUCCEEDED, [], [])
            assert (result.counters.files.transferred, result.counters.directories.transferred) == (0, 0)


def test_what_the_other_server_cannot_hold_is_listed_to_the_last_item(journey: Journey, domain: Domain) -> None:
    """The domain controller has no streams; everything else is there when it comes back."""
    member, names = journey.member, {name for others in FURTHER_NAMES.values() for name in others}
    with (
        member.directory("acl-src") as source,
        domain.directory("dst") as there,
        member.directory("acl-dst") as back,
    ):
        plant(journey, source, WITH_WRITERS)
        listed = {f"/{path}:{name}" for path, named in STREAMS.items() for name in named}
        for _ in range(2):
            result, watcher = journey.copy(
                source, there, sid_map=journey.sid_map, verify_mode=VerifyMode.ONLY_FILES_TRANSFERRED
            )
            assert result.outcome is Outcome.PARTIALLY_SUCCEEDED
            lost = {one.path for one in watcher.left if one.what is NotCarriedKind.STREAM}
            # Each name of the file whose stream is lost says so.
            assert {path for path in lost if path.partition(":")[0][1:] not in names} == listed
            assert set(watcher.reasons.values()) == {"StreamNotCarried"}
        assert attached(there) == ({}, EAS | {name: EAS[first] for first, all_ in FURTHER_NAMES.items()
                                              if first in EAS for name in all_})  # fmt: skip
        assert {first: len(found) for first, found in names_together(there).items()} == dict.fromkeys(FURTHER_NAMES, 1)
        result, watcher = journey.copy(there, back)
        assert (result.outcome, watcher.failures) == (Outcome.SUCCEEDED, [])
        ours, theirs = (seen(directory, mapped=(OLD, member.sid(""))) for directory in (source, back))
        assert theirs["smbcacls"] == ours["smbcacls"]
        assert theirs["names"] == ours["names"]
        assert theirs["attached"] == ({}, ours["attached"][1])


def test_files_that_are_locked_arrive_once_they_are_let_go(journey: Journey) -> None:
    member = journey.member
    with member.directory("acl-src") as source, member.directory("acl-dst") as there, ExitStack() as locks:
        plant(journey, source)
        for name in LOCKED:
            locks.enter_context(held_by(journey.end(source, journey.reader), f"{source.name}\\{name}"))
        release = threading.Timer(4.0, locks.close)
        release.start()
        result, watcher = journey.copy(
            source, there, sid_map=journey.sid_map, retry_locked=RetryLocked(attempts=6, interval=1.0)
        )
        release.join()
        assert (result.outcome, watcher.failures, watcher.left) == (Outcome.SUCCEEDED, [], [])
        assert watcher.retries
        assert differences(source.tree(), there.tree(), times=True) == []
