"""A tree with SIDs of an old domain: it arrives with the new ones, by the server's own store, and stays as it is."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from lab.support.domain.member import BACKUP_OPERATORS, READERS, WRITERS, Member
from lab.support.domain.trees import Wanted
from tests.interop.engine.support import MIB
from tests.interop.engine.test_real_access_lists import Real

from smbferry_engine import CompareBy, NotCarriedKind, SecurityDescriptors, SidMap, VerifyMode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.domain.domain import Domain
    from tests.interop.engine.tickets import Tickets

pytestmark = pytest.mark.takes(40)

OLD, FOREIGN = "S-1-5-21-1004336348-1177238915-682003330", "S-1-5-21-725345543-1202660629-839522115"
ADMINS = "(A;OICI;0x1f01ff;;;{Domain Admins})"
# Owner, group, allowed, denied and inherited entries of the old domain; one of a domain that nobody knows.
LISTS = {
    "": "O:{Domain Admins}G:{Domain Users}D:PAI" + ADMINS + f"(A;OICI;0x1200a9;;;{OLD}-513)",
    "d": f"O:{OLD}-512G:{OLD}-513D:AI" + ADMINS + f"(A;OICIID;0x1200a9;;;{OLD}-513)",
    "d/small": f"O:{OLD}-512G:{OLD}-513D:P(D;;0x2;;;{OLD}-514)(A;;0x1f01ff;;;{OLD}-512)",
    "large": f"O:{{Domain Admins}}G:{{Domain Users}}D:P(A;;0x1f01ff;;;{{Domain Admins}})(A;;0x1200a9;;;{FOREIGN}-1003)",
}
AUDIT = f"S:P(AU;SAFA;0x1f01ff;;;{OLD}-513)"
SECURITY = ("owner", "group", "dacl", "control")


@pytest.fixture
def real(domain: Domain, member: Member, tickets: Tickets) -> Iterator[Real]:
    with ExitStack() as stack:
        source = stack.enter_context(member.directory("acl-src"))
        destination = stack.enter_context(member.directory("acl-dst"))
        reader = stack.enter_context(domain.user(READERS, BACKUP_OPERATORS, prefix="sid"))
        writer = stack.enter_context(domain.user(WRITERS, BACKUP_OPERATORS, prefix="sid"))
        source.seed([Wanted("d/small", size=900), Wanted("large", size=3 * MIB)])
        member.describe(source, LISTS)
        yield Real(tickets, member, source, destination, reader, writer)


@pytest.fixture(scope="session")
def member(domain: Domain) -> Member:
    return Member.from_environment(domain, os.environ)


def sid_map(member: Member) -> SidMap:
    return SidMap.parse(f"{OLD} {member.sid('')}")


def renamed(member: Member, seen: Any) -> Any:
    """What the server's store shows, with the SIDs of the old domain replaced."""
    if isinstance(seen, str):
        return seen.replace(OLD, member.sid(""))
    if isinstance(seen, list):
        return [renamed(member, each) for each in seen]
    return seen


def expect_mapped(real: Real, keys: tuple[str, ...] = SECURITY) -> None:
    """Every object of the destination has what the source has, with the new SIDs, by the server's own store."""
    ours, theirs = real.member.look(real.source), real.member.look(real.destination)
    assert sorted(ours) == sorted(theirs)
    for path, entry in ours.items():
        for key in keys:
            assert theirs[path][key] == renamed(real.member, entry[key]), (path, key)


@pytest.mark.parametrize("verify_mode", [VerifyMode.ONLY_FILES_TRANSFERRED, VerifyMode.POINT_IN_TIME_CONSISTENT])
def test_a_tree_of_an_old_domain_arrives_with_the_new_sids_and_the_next_run_has_nothing_to_do(
    real: Real, verify_mode: VerifyMode
) -> None:
    options: dict[str, Any] = {"sid_map": sid_map(real.member), "verify_mode": verify_mode}
    result, watcher = real.copy(**options)
    assert watcher.failures == []
    expect_mapped(real)
    assert {item.path for item in watcher.left if item.what is NotCarriedKind.UNRESOLVED_SID} == {"/large"}
    for compare_by in CompareBy:
        result, watcher = real.copy(compare_by=compare_by, **options)
        assert watcher.failures == []
        assert (result.counters.files.transferred, result.counters.directories.transferred) == (0, 0), compare_by
    expect_mapped(real)


def test_a_map_that_is_added_later_corrects_what_is_there_without_reading_content(real: Real) -> None:
    # An owner that the destination's server can't resolve could not be set without a map.
    known = {
        path: sddl.replace(f"O:{OLD}-512G:{OLD}-513", "O:{Domain Admins}G:{Domain Users}")
        for path, sddl in LISTS.items()
    }
    real.member.describe(real.source, known)
    _, watcher = real.copy()
    assert watcher.failures == []
    assert real.differences(*SECURITY) == []
    result, watcher = real.copy(sid_map=sid_map(real.member), compare_by=CompareBy.METADATA)
    assert watcher.failures == []
    counters = result.counters
    assert (counters.files.transferred, counters.bytes.transferred, counters.bytes.written) == (1, 0, 0)
    expect_mapped(real)


def test_a_dry_run_tells_what_a_sid_map_would_change(real: Real) -> None:
    _, watcher = real.copy(sid_map=sid_map(real.member), dry_run=True)
    assert watcher.found_sids is not None
    assert [(rule.old, rule.descriptors) for rule in watcher.found_sids.rules] == [(OLD, 3)]
    assert {one.old for one in watcher.found_sids.unmapped} >= {FOREIGN}
    assert sorted(real.member.look(real.destination)) == [""]


def test_audit_lists_are_mapped_too(real: Real) -> None:
    with (
        real.member.privileged(real.reader, "SeSecurityPrivilege"),
        real.member.privileged(real.writer, "SeSecurityPrivilege"),
    ):
        real.member.describe(real.source, {**LISTS, "large": LISTS["large"] + AUDIT})
        for _ in range(2):
            _, watcher = real.copy(
                sid_map=sid_map(real.member), security_descriptors=SecurityDescriptors.OWNER_DACL_SACL
            )
            assert watcher.failures == []
            expect_mapped(real, ("owner", "group", "dacl", "sacl"))
