"""Access lists that name neither account, on the member server: nobody is locked out, exposed or forgotten."""

from __future__ import annotations

import contextlib
import os
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from lab.support.domain.machine import DomainError
from lab.support.domain.member import BACKUP_OPERATORS, READERS, WRITERS, Member
from lab.support.domain.trees import Wanted
from tests.interop.engine.support import MIB
from tests.interop.engine.tickets import Watcher

from smbferry_engine import CompareBy, Endpoint, Options, Outcome, Result, SecurityDescriptors, VerifyMode, transfer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.domain.domain import Domain, User
    from lab.support.domain.machine import Directory
    from tests.interop.engine.tickets import Tickets

pytestmark = pytest.mark.takes(60)

ADMINS = "(A;OICI;0x1f01ff;;;{Domain Admins})"
# Inherited and explicit, protected and automatically inherited, a deny entry; none of them names an account of ours.
LISTS = {
    "": "O:{Domain Admins}G:{Domain Users}D:AI" + ADMINS,
    "open": "O:{Domain Admins}G:{Domain Users}D:AI" + ADMINS + "(A;OICIID;0x1200a9;;;{Domain Users})",
    "open/small": "O:{svc-src}G:{Domain Users}D:AI(A;ID;0x1200a9;;;{Domain Users})(A;ID;0x1f01ff;;;{Domain Admins})",
    "closed": "O:{Domain Admins}G:{Domain Users}D:PAI" + ADMINS,
    "closed/large": "O:{Domain Admins}G:{Domain Users}D:PAI(A;;0x1f01ff;;;{Domain Admins})",
    "closed/denied": "O:{Domain Admins}G:{Domain Users}D:P(D;;0x1;;;{Domain Guests})(A;;0x1f01ff;;;{Domain Admins})",
}
# What is handed down to files, to folders, to both, and once.
HANDED_DOWN = (
    LISTS[""]
    + "(D;CI;WO;;;{Domain Guests})(A;OICIIO;0x1f01ff;;;CO)(A;OI;0x1200a9;;;{Domain Users})(A;CINP;0x1301bf;;;BU)"
)
AUTO_INHERITED, INHERITED = 0x0400, 0x10
FILES = ("open/small", "closed/large", "closed/denied")
FOLDERS = ("", "open", "closed")


@dataclass
class Real:
    """A tree whose access lists name nobody of ours, and an empty folder to copy it to."""

    tickets: Tickets
    member: Member
    source: Directory
    destination: Directory
    reader: User
    writer: User

    def end(self, share: str, directory: Directory, user: User) -> Endpoint:
        return self.tickets.endpoint(
            share,
            directory.path,
            user=user,
            server=self.member.server,
            addresses=(self.member.address,),
            service_principal=f"cifs/{self.member.server}",
        )

    def copy(self, *, writer: User | None = None, **options: Any) -> tuple[Result, Watcher]:
        watcher = Watcher()
        chosen = Options(**{"security_descriptors": SecurityDescriptors.OWNER_DACL, **options})
        ends = (
            self.end("acl-src", self.source, self.reader),
            self.end("acl-dst", self.destination, writer or self.writer),
        )
        return transfer(*ends, chosen, watcher), watcher

    def differences(self, *keys: str) -> list[tuple[str, str, Any, Any]]:
        """What the server's own store has otherwise."""
        return self.member.differing(self.source, self.destination, *keys)


@pytest.fixture(scope="session")
def member(domain: Domain) -> Member:
    return Member.from_environment(domain, os.environ)


@pytest.fixture
def real(domain: Domain, member: Member, tickets: Tickets) -> Iterator[Real]:
    with ExitStack() as stack:
        source = stack.enter_context(member.directory("acl-src"))
        destination = stack.enter_context(member.directory("acl-dst"))
        reader = stack.enter_context(domain.user(READERS, BACKUP_OPERATORS, prefix="acl"))
        writer = stack.enter_context(domain.user(WRITERS, BACKUP_OPERATORS, prefix="acl"))
        source.seed(
            [Wanted("open/small", size=900), Wanted("closed/large", size=3 * MIB), Wanted("closed/denied", size=1)]
        )
        member.describe(source, LISTS)
        yield Real(tickets, member, source, destination, reader, writer)


SECURITY = ("owner", "group", "dacl", "control")


@pytest.mark.fault(61)
@pytest.mark.parametrize("verify_mode", [VerifyMode.ONLY_FILES_TRANSFERRED, VerifyMode.POINT_IN_TIME_CONSISTENT])
def test_a_tree_whose_access_lists_name_neither_account_is_migrated_and_the_next_run_has_nothing_to_do(
    real: Real, verify_mode: VerifyMode
) -> None:
    for number in range(2):
        result, watcher = real.copy(verify_mode=verify_mode)
        assert watcher.failures == []
        assert result.outcome is Outcome.SUCCEEDED
        counters = result.counters
        assert (counters.files.transferred, counters.directories.transferred) == ((0, 0) if number else (3, 3))
        assert real.differences(*SECURITY, "written") == []


def test_what_is_made_later_inherits_on_both_sides_alike(real: Real) -> None:
    real.member.describe(real.source, {"": HANDED_DOWN, "open": HANDED_DOWN.replace("D:AI", "D:PAI")})
    _, watcher = real.copy()
    assert watcher.failures == []
    for directory in (real.source, real.destination):
        for folder in FOLDERS:
            into = f'cd "{directory.name}/{folder}"'
            real.member.smbclient("Administrator", directory.share, into, "mkdir new", "put /etc/hostname new/file")
    assert real.differences(*SECURITY) == []
    made = real.member.look(real.destination)
    assert all(made[path]["control"] & AUTO_INHERITED for path in ("new", "new/file", "open/new/file"))
    assert all(flags & INHERITED for _, flags, _, _ in made["open/new/file"]["dacl"])


@pytest.mark.fault(61)
def test_what_changes_in_folders_that_are_closed_to_the_account_follows(real: Real) -> None:
    real.copy()
    real.source.write("closed/denied", b"newer")
    real.source.write("closed/new", b"new")
    real.member.describe(real.source, {**LISTS, "closed/new": LISTS["closed/denied"]})
    result, watcher = real.copy()
    assert watcher.failures == []
    assert result.counters.files.transferred == 2
    assert real.destination.read("closed/denied") == b"newer"
    assert real.differences(*SECURITY, "written") == []


def test_a_changed_entry_follows_to_files_whose_access_lists_name_neither_account(real: Real) -> None:
    real.copy()
    changed = {**LISTS, "closed/large": LISTS["closed/large"] + "(A;;0x1200a9;;;{Domain Users})"}
    changed["closed/denied"] = LISTS["closed/denied"].replace("O:{Domain Admins}", "O:{svc-src}")
    real.member.describe(real.source, changed)
    result, _ = real.copy()
    assert result.counters.files.transferred == 0
    assert {path for path, *_ in real.differences(*SECURITY)} == {"closed/large", "closed/denied"}
    for number in range(2):
        result, watcher = real.copy(compare_by=CompareBy.METADATA)
        assert watcher.failures == []
        counters = result.counters
        assert (counters.files.transferred, counters.directories.transferred) == (0 if number else 2, 0)
        assert (counters.bytes.transferred, counters.bytes.written) == (0, 0)
        assert real.differences(*SECURITY, "written") == []


@pytest.mark.fault(65)
def test_an_account_without_the_privilege_says_so_in_every_run_until_it_has_it(real: Real, domain: Domain) -> None:
    real.member.describe(real.source, {**LISTS, **{path: _with_writers(LISTS[path]) for path in LISTS}})
    with domain.user(WRITERS, prefix="plain") as plain:
        for number in range(2):
            result, watcher = real.copy(writer=plain)
            assert result.outcome is Outcome.PARTIALLY_SUCCEEDED
            assert watcher.reasons == {f"/{path}": "OwnerNotPermitted" for path in (*FILES, *FOLDERS)}
            assert (result.counters.files.incomplete, result.counters.directories.incomplete) == (3, 3)
            assert result.counters.bytes.written == (0 if number else 900 + 3 * MIB + 1)
            assert {key for _, key, _, _ in real.differences(*SECURITY)} <= {"owner", "group"}
    result, watcher = real.copy()
    assert watcher.failures == []
    assert result.outcome is Outcome.SUCCEEDED
    assert (result.counters.files.transferred, result.counters.bytes.written) == (3, 0)
    assert real.differences(*SECURITY, "written") == []


def _with_writers(sddl: str) -> str:
    return sddl + "(A;OICI;0x1f01ff;;;{" + WRITERS + "})"


@pytest.mark.fault(67)
def test_a_root_that_would_shut_the_account_out_stays_open_to_it(real: Real, domain: Domain) -> None:
    before = real.member.look(real.destination)[""]["dacl"]
    with domain.user(WRITERS, prefix="plain") as plain:
        _, watcher = real.copy(writer=plain)
        assert watcher.reasons["/"] == "SecurityNotPermitted"
        assert real.member.look(real.destination)[""]["dacl"] == before
        for path in FILES:
            assert real.destination.read(path) == real.source.read(path)


@contextmanager
def watched(real: Real) -> Iterator[list[dict[str, Any]]]:
    """What the destination's store says of everything in it, again and again while a run is under way."""
    seen: list[dict[str, Any]] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            with contextlib.suppress(DomainError):  # a staging file that got its name while it was looked at
                seen.append(real.member.look(real.destination))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


@pytest.mark.fault(62)
def test_at_no_moment_may_anybody_read_more_than_at_the_source(real: Real, member: Member) -> None:
    everybody = member.sid("Domain Users")
    with watched(real) as seen:
        _, watcher = real.copy(bytes_per_second=2 * MIB)
    assert watcher.failures == []
    # Samba makes an empty file, and gives it the descriptor that it is made with in the next moment.
    all_seen = [(path, entry) for look in seen for path, entry in look.items() if "dacl" in entry]
    closed = [entry for path, entry in all_seen if path.startswith("closed")]
    assert closed
    assert not [entry for entry in closed for _, _, _, sid in entry["dacl"] if sid == everybody]
