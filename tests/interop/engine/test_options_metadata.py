"""Times, attributes and security descriptors as the options say; smbclient, stat, getfattr and samba-tool look on."""

from __future__ import annotations

import re
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from lab.support.domain.trees import Wanted
from tests.interop.engine.support import MIB, READER_GROUPS, WRITER_GROUPS
from tests.interop.engine.witness import (
    allinfo,
    copy,
    dos_attributes,
    ntacl,
    set_mode,
    set_ntacl,
    set_times,
    stat_times,
)

from smbferry_engine import (
    CompareBy,
    DeletedFiles,
    Outcome,
    Preservation,
    SecurityDescriptors,
    SidMap,
    VerifyMode,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.domain.domain import Domain
    from tests.interop.engine.support import Bench

    from smbferry_engine import Endpoint

pytestmark = pytest.mark.takes(115)

READONLY, HIDDEN, SYSTEM, ARCHIVE = 0x01, 0x02, 0x04, 0x20
GUESTS_MAY_READ = "O:BUG:BUD:P(A;;0x001f01ff;;;WD)(A;OICI;0x001200a9;;;BG)"
AUDITED = GUESTS_MAY_READ + "S:(AU;SAFA;0x001f01ff;;;WD)"
SACL = re.compile(r"S:.*")


def metadata_tree(bench: Bench) -> list[str]:
    """A small file, one that is gathered, a folder and what is in it."""
    bench.source.seed([Wanted("small", size=100), Wanted("large", size=2 * MIB), Wanted("d/inner", size=1)])
    return ["small", "large", "d", "d/inner"]


def test_all_three_times_are_the_sources_on_files_and_folders(bench: Bench) -> None:
    paths = metadata_tree(bench)
    for path in reversed(paths):
        set_times(
            bench.source, path,
            created="2018:01:02-03:04:05", accessed="2020:05:06-07:08:09", written="2019:03:04-05:06:07",
        )  # fmt: skip
    ours = allinfo(bench.source, *paths)
    assert {(shown.created[-8:-4], shown.accessed[-8:-4], shown.written[-8:-4]) for shown in ours} == {
        ("2018", "2020", "2019")
    }
    # Nobody reads what was written: that would move the times of access that are looked at.
    copy(bench, verify_mode=VerifyMode.NONE)
    assert bench.watcher.failures == []
    theirs = allinfo(bench.destination, *paths)
    assert [(shown.created, shown.written) for shown in theirs] == [(shown.created, shown.written) for shown in ours]
    for path in ("small", "large", "d/inner"):
        accessed, written = stat_times(bench.destination, path)
        assert (accessed[:19], written[:19]) == ("2020-05-06 07:08:09", "2019-03-04 05:06:07")
    assert stat_times(bench.destination, "d")[1].startswith("2019-03-04 05:06:07")


def test_times_that_are_not_copied_are_the_destinations_own_and_nothing_is_copied_twice(bench: Bench) -> None:
    paths = metadata_tree(bench)
    for path in reversed(paths):
        set_times(bench.source, path, created="2018:01:02-03:04:05", written="2019:03:04-05:06:07")
    bench.copy(timestamps=Preservation.NONE)
    assert bench.watcher.failures == []
    now = bench.source.domain.run("date", "+%Y").text.strip()
    for shown in allinfo(bench.destination, *paths):
        assert shown.created[-8:-4] == shown.written[-8:-4] == now
    counters = bench.copy(timestamps=Preservation.NONE).counters
    assert (counters.files.transferred, counters.files.skipped) == (0, 3)
    bench.source.write("small", b"newer, of the old size".ljust(100))
    assert bench.copy(timestamps=Preservation.NONE).counters.files.transferred == 1
    assert bench.destination.read("small").startswith(b"newer")


def test_a_folders_times_come_last(bench: Bench) -> None:
    bench.source.seed([Wanted(f"d/e/{n}", size=10) for n in range(100)])
    for path in ("d/e", "d"):
        set_times(bench.source, path, written="2007:08:09-10:11:12")
    bench.copy()
    bench.destination.seed([Wanted("d/e/surplus", size=1)])
    bench.source.write("d/e/5", b"changed")
    for path in ("d/e", "d"):
        set_times(bench.source, path, written="2007:08:09-10:11:12")
    for _ in range(2):
        counters = bench.copy(deleted_files=DeletedFiles.REMOVE).counters
        assert bench.watcher.failures == []
        for path in ("d/e", "d"):
            assert stat_times(bench.destination, path)[1].startswith("2007-08-09 10:11:12")
    assert (counters.files.transferred, counters.files.deleted, counters.directories.transferred) == (0, 0, 0)


@pytest.mark.parametrize(
    ("change", "bits", "letters"),
    [
        ("+r-hsa", READONLY, "R"),
        ("+h-rsa", HIDDEN, "H"),
        ("+s-rha", SYSTEM, "S"),
        ("+a-rhs", ARCHIVE, "A"),
        ("+rhsa", READONLY | HIDDEN | SYSTEM | ARCHIVE, "AHSR"),
    ],
)
def test_each_attribute_is_the_sources(bench: Bench, change: str, bits: int, letters: str) -> None:
    metadata_tree(bench)
    for path in ("small", "large", "d"):
        set_mode(bench.source, path, change)
    bench.copy()
    assert bench.watcher.failures == []
    for shown in allinfo(bench.destination, "small", "large"):
        assert set(shown.attributes) == set(letters)
    for path in ("small", "large"):
        kept = dos_attributes(bench.destination, path)
        assert kept is not None
        assert kept & 0x27 == bits
    (folder,) = allinfo(bench.destination, "d")
    assert set(folder.attributes) - {"A"} == set(letters) - {"A"} | {"D"}
    counters = bench.copy().counters
    assert (counters.files.transferred, counters.directories.transferred) == (0, 0)
    for path in ("small", "large", "d"):
        set_mode(bench.source, path, "-rhs+a")
    counters = bench.copy().counters
    assert counters.bytes.written == 0
    assert {shown.attributes for shown in allinfo(bench.destination, "small", "large")} == {"A"}


def test_attributes_that_are_not_copied_are_the_destinations_own(bench: Bench) -> None:
    metadata_tree(bench)
    for path in ("small", "large", "d"):
        set_mode(bench.source, path, "+rhs")
    bench.copy(attributes=Preservation.NONE)
    assert bench.watcher.failures == []
    for shown in allinfo(bench.destination, "small", "large", "d"):
        assert not set(shown.attributes) & set("RHS")
    assert bench.copy(attributes=Preservation.NONE).counters.files.transferred == 0


def audited_tree(bench: Bench) -> list[str]:
    """The metadata tree with audit lists."""
    paths = metadata_tree(bench)
    for path in reversed(paths):
        set_ntacl(bench.source, path, AUDITED)
    return paths


@contextmanager
def ends_with_privilege(bench: Bench, domain: Domain, *sides: str) -> Iterator[tuple[Endpoint, Endpoint]]:
    """Source and destination; only on the sides that are named may the user read and write audit lists."""
    with (
        domain.user(*READER_GROUPS, prefix="audit") as reader,
        domain.user(*WRITER_GROUPS, prefix="audit") as writer,
        ExitStack() as stack,
    ):
        for side in sides:
            user = {"source": reader, "destination": writer}[side]
            stack.enter_context(bench.source.domain.privileged(user, "SeSecurityPrivilege"))
        source = bench.tickets.endpoint(bench.source.share, bench.source.path, user=reader)
        yield source, bench.tickets.endpoint(bench.destination.share, bench.destination.path, user=writer)


@pytest.mark.parametrize("wanted", [SecurityDescriptors.OWNER_DACL, SecurityDescriptors.OWNER_DACL_SACL])
def test_owner_access_list_and_audit_list_as_the_servers_own_store_has_them(
    bench: Bench, domain: Domain, wanted: SecurityDescriptors
) -> None:
    paths = audited_tree(bench)
    with ends_with_privilege(bench, domain, "source", "destination") as ends:
        result = bench.copy(ends=ends, security_descriptors=wanted, verify_mode=VerifyMode.POINT_IN_TIME_CONSISTENT)
    assert bench.watcher.failures == []
    assert result.outcome is Outcome.SUCCEEDED
    for path in paths:
        ours, theirs = ntacl(bench.source, path), ntacl(bench.destination, path)
        assert SACL.sub("", ours) == SACL.sub("", theirs)
        assert "BG" in theirs
        assert bool(SACL.search(theirs)) == (wanted is SecurityDescriptors.OWNER_DACL_SACL)
        if wanted is SecurityDescriptors.OWNER_DACL_SACL:
            assert ours == theirs


@pytest.mark.parametrize("side", ["source", "destination"])
def test_without_the_privilege_the_audit_list_stays_behind_and_each_file_says_so(
    bench: Bench, domain: Domain, side: str
) -> None:
    paths = audited_tree(bench)
    with ends_with_privilege(bench, domain, {"source": "destination", "destination": "source"}[side]) as ends:
        result = bench.copy(ends=ends, security_descriptors=SecurityDescriptors.OWNER_DACL_SACL)
    assert result.outcome is Outcome.PARTIALLY_SUCCEEDED
    assert bench.watcher.reasons == {f"/{path}": "SecurityNotPermitted" for path in ("", *paths)}
    assert all(f"the {side}'s account" in failure.message for failure in bench.watcher.failures)
    for path in paths:
        assert SACL.sub("", ntacl(bench.source, path)) == ntacl(bench.destination, path)
    for path in ("small", "large", "d/inner"):
        assert bench.destination.read(path) == bench.source.read(path)


def test_without_descriptors_the_destination_keeps_its_own(bench: Bench) -> None:
    paths = metadata_tree(bench)
    for path in reversed(paths):
        set_ntacl(bench.source, path, GUESTS_MAY_READ)
    bench.copy(security_descriptors=SecurityDescriptors.NONE)
    assert bench.watcher.failures == []
    for path in paths:
        assert "BG" in ntacl(bench.source, path)
        assert "BG" not in ntacl(bench.destination, path)


def changed_access_list(bench: Bench, path: str) -> None:
    set_ntacl(bench.destination, path, "O:BUG:BUD:P(A;;0x001f01ff;;;WD)")


def changed_birth(bench: Bench, path: str) -> None:
    set_times(bench.destination, path, created="2015:01:02-03:04:05")


@pytest.mark.parametrize("path", ["small", "large", "d"])
@pytest.mark.parametrize(
    ("change", "ignored", "words"),
    [
        (changed_access_list, {"security_descriptors": SecurityDescriptors.NONE}, "access list"),
        (changed_birth, {"timestamps": Preservation.NONE}, "created 2018"),
    ],
    ids=["access list", "creation time"],
)
def test_metadata_that_was_changed_behind_our_back_is_found_where_it_is_copied(
    bench: Bench, change: Any, ignored: dict[str, Any], words: str, path: str
) -> None:
    options: dict[str, Any] = {
        "security_descriptors": SecurityDescriptors.OWNER_DACL,
        "verify_mode": VerifyMode.POINT_IN_TIME_CONSISTENT,
    }
    for name in reversed(metadata_tree(bench)):
        set_ntacl(bench.source, name, GUESTS_MAY_READ)
        set_times(bench.source, name, created="2018:01:02-03:04:05", written="2019:03:04-05:06:07")
    assert bench.copy(**options).counters.files.verified == 3
    assert bench.watcher.failures == []
    change(bench, path)
    result = bench.copy(**options)
    if path == "d" and change is changed_access_list:  # folders are looked at in every run
        assert bench.watcher.failures == []
        assert ntacl(bench.source, path) == ntacl(bench.destination, path)
        return
    assert bench.watcher.reasons == {f"/{path}": "MetadataMismatch"}
    assert words in bench.watcher.failures[0].message
    assert bench.watcher.failures[0].phase == "Verify"
    assert result.outcome is Outcome.PARTIALLY_SUCCEEDED
    assert bench.copy(**{**options, **ignored}).outcome is Outcome.SUCCEEDED


def test_compared_by_checksum_a_changed_access_list_follows(bench: Bench) -> None:
    options: dict[str, Any] = {
        "security_descriptors": SecurityDescriptors.OWNER_DACL,
        "compare_by": CompareBy.CHECKSUM,
    }
    paths = metadata_tree(bench)
    bench.copy(**options)
    for path in reversed(paths):
        set_ntacl(bench.source, path, GUESTS_MAY_READ)
    counters = bench.copy(**options).counters
    assert bench.watcher.failures == []
    assert (counters.files.transferred, counters.directories.transferred, counters.bytes.written) == (3, 1, 0)
    for path in paths:
        assert ntacl(bench.source, path) == ntacl(bench.destination, path)
    counters = bench.copy(verify_mode=VerifyMode.POINT_IN_TIME_CONSISTENT, **options).counters
    assert (counters.files.transferred, counters.directories.transferred) == (0, 0)
    assert bench.watcher.failures == []


def test_compared_by_metadata_what_changed_follows_and_no_content_is_read(bench: Bench) -> None:
    options: dict[str, Any] = {
        "security_descriptors": SecurityDescriptors.OWNER_DACL,
        "compare_by": CompareBy.METADATA,
    }
    paths = metadata_tree(bench)
    bench.copy(**options)
    numbers = inodes(bench)
    for path in reversed(paths):
        set_ntacl(bench.source, path, GUESTS_MAY_READ)
    counters = bench.copy(**options).counters
    assert bench.watcher.failures == []
    assert (counters.files.transferred, counters.directories.transferred) == (3, 1)
    assert (counters.bytes.transferred, counters.bytes.written) == (0, 0)
    assert inodes(bench) == numbers
    for path in paths:
        assert ntacl(bench.source, path) == ntacl(bench.destination, path)
    counters = bench.copy(verify_mode=VerifyMode.POINT_IN_TIME_CONSISTENT, **options).counters
    assert (counters.files.transferred, counters.directories.transferred) == (0, 0)
    assert bench.watcher.failures == []


def test_a_creation_time_that_the_server_makes_up_is_no_difference(bench: Bench) -> None:
    """Samba 4.17 derives those that it does not store from the other times, which reading and chmod move."""
    bench.source.seed([Wanted("f", size=10), Wanted("large", size=2 * MIB)])
    for name in ("f", "large"):
        bench.source.domain.run("touch", "-d", "2026-01-02 03:04:05.999999", f"{bench.source.inside}/{name}")
    bench.copy()
    for name in ("f", "large"):
        bench.source.domain.run("chmod", "0606", f"{bench.source.inside}/{name}")
    counters = bench.copy(verify_mode=VerifyMode.POINT_IN_TIME_CONSISTENT).counters
    assert (counters.files.transferred, bench.watcher.failures) == (0, [])


def inodes(bench: Bench) -> str:
    """Which files the destination's server has, by its own numbers: a file that was replaced has another one."""
    folder = bench.destination
    return folder.domain.run("find", folder.inside, "-type", "f", "-printf", "%P %i %s\\n").text


OLD_DOMAIN, NEW_DOMAIN = "S-1-5-21-1004336348-1177238915-682003330", "S-1-5-21-2857422465-1465058494-1690550294"


def test_entries_of_an_old_domain_are_those_of_the_new_one_in_the_copy_and_in_comparisons(bench: Bench) -> None:
    options: dict[str, Any] = {
        "security_descriptors": SecurityDescriptors.OWNER_DACL,
        "sid_map": SidMap.parse(f"{OLD_DOMAIN} {NEW_DOMAIN}"),
    }
    paths = metadata_tree(bench)
    for path in reversed(paths):
        set_ntacl(bench.source, path, f"{GUESTS_MAY_READ}(A;;0x1200a9;;;{OLD_DOMAIN}-513)")
    bench.copy(dry_run=True, **options)
    assert bench.watcher.found_sids is not None
    assert [(rule.old, rule.descriptors) for rule in bench.watcher.found_sids.rules] == [(OLD_DOMAIN, len(paths))]
    bench.copy(**options)
    assert bench.watcher.failures == []
    for path in paths:
        shown = ntacl(bench.source, path)
        assert OLD_DOMAIN in shown
        assert ntacl(bench.destination, path) == shown.replace(OLD_DOMAIN, NEW_DOMAIN)
    for compare_by in CompareBy:
        counters = bench.copy(compare_by=compare_by, **options).counters
        assert bench.watcher.failures == []
        assert (counters.files.transferred, counters.directories.transferred) == (0, 0), compare_by
