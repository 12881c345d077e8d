"""What is copied, replaced, deleted, left out and counted, as the options say; the server's own disks are the witness.

Which test covers which value of which option: see `options_table`.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from lab.support.domain.trees import Wanted, differences, small
from tests.interop.engine.support import MIB
from tests.interop.engine.tickets import Watcher
from tests.interop.engine.witness import copy, set_ntacl

from smbferry_engine import (
    CompareBy,
    Control,
    DeletedFiles,
    EngineError,
    Links,
    Options,
    Outcome,
    OverwriteMode,
    SecurityDescriptors,
    ServerSideCopy,
    TransferMode,
    to_filetime,
    transfer,
)
from smbferry_engine.core.calls import close_request, open_request
from smbferry_engine.session.connect import connect
from smbferry_engine.session.driver import Driver
from smbferry_engine.share.access import SET_ACCESS
from smbferry_engine.share.links import LinkNotCarriedError, check_set, get_request, set_request
from smbferry_engine.wire.reparse import SYMLINK, Link
from smbferry_engine.wire.status import NtStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.support.domain.domain import Domain
    from tests.interop.engine.support import Bench

    from smbferry_engine import Counters

pytestmark = pytest.mark.takes(65)

NOBODY_BUT_ADMINISTRATORS = "O:BAG:BAD:(A;;FA;;;BA)"
HOUR_AGO = to_filetime(datetime.now(UTC) - timedelta(hours=1))
REMOVE_ALL: dict[str, Any] = {"deleted_files": DeletedFiles.REMOVE, "max_deletes": "100%"}


def damage(bench: Bench, path: str) -> None:
    """Change a byte at the destination, size and times as before: what no listing shows."""
    script = 'touch -r "$1" /tmp/before && printf X | dd of="$1" conv=notrunc status=none && touch -r /tmp/before "$1"'
    bench.destination.domain.run("sh", "-c", script, "sh", f"{bench.destination.inside}/{path}")


@pytest.mark.parametrize(
    ("options", "repaired"),
    [
        ({"transfer_mode": TransferMode.CHANGED, "compare_by": CompareBy.SIZE_AND_TIME}, False),
        ({"transfer_mode": TransferMode.CHANGED, "compare_by": CompareBy.CHECKSUM}, True),
        ({"transfer_mode": TransferMode.ALL}, True),
        ({"compare_by": CompareBy.CHECKSUM, "overwrite_mode": OverwriteMode.NEVER}, False),
    ],
    ids=["listing", "checksum", "all", "never"],
)
def test_what_is_looked_at_decides_whether_hidden_damage_is_mended(
    bench: Bench, options: dict[str, Any], *, repaired: bool
) -> None:
    bench.source.seed([Wanted("small", size=5_000), Wanted("large", size=5 * MIB), Wanted("fine", size=10)])
    bench.copy()
    for path in ("small", "large"):
        damage(bench, path)
    counters = bench.copy(**options).counters
    assert bench.watcher.failures == []
    assert (differences(bench.source.tree(), bench.destination.tree(), times=True) == []) == repaired
    everything = options.get("transfer_mode") is TransferMode.ALL
    assert counters.files.transferred == (3 if everything else 2 * repaired)
    assert counters.bytes.written == (10 if everything else 0) + (5_000 + 5 * MIB) * repaired


@pytest.mark.parametrize(("compare_by", "written"), [(CompareBy.SIZE_AND_TIME, 70_000), (CompareBy.CHECKSUM, 0)])
def test_another_time_of_writing_alone_costs_content_or_only_the_time(
    bench: Bench, compare_by: CompareBy, written: int
) -> None:
    bench.source.seed([Wanted("f", size=70_000)])
    bench.copy()
    bench.source.domain.run("touch", "-d", "2011-12-13 14:15:16.1234567", f"{bench.source.inside}/f")
    counters = bench.copy(compare_by=compare_by).counters
    assert (counters.files.transferred, counters.bytes.written) == (1, written)
    assert differences(bench.source.tree(), bench.destination.tree(), times=True) == []


def test_what_is_there_is_never_overwritten_and_what_is_not_is_copied(bench: Bench) -> None:
    bench.source.seed([Wanted("there", size=100), Wanted("longer", size=3 * MIB), Wanted("new", size=200)])
    bench.destination.seed([Wanted("there", text="as it was"), Wanted("longer", text="as it was, too")])
    before = bench.destination.tree()
    counters = bench.copy(overwrite_mode=OverwriteMode.NEVER).counters
    assert bench.watcher.failures == []
    after = bench.destination.tree()
    assert {path: after[path] for path in before} == before
    assert after["new"].sha256 == bench.source.tree()["new"].sha256
    assert (counters.files.transferred, counters.files.skipped) == (1, 2)


@pytest.mark.parametrize("compare_by", CompareBy)
def test_only_what_is_newer_at_the_source_replaces_what_is_there(bench: Bench, compare_by: CompareBy) -> None:
    names = ["newer", "older", "same", "newer large", "older large"]
    sizes = {name: 3 * MIB if "large" in name else 100 for name in names}
    bench.source.seed([Wanted(name, size=size) for name, size in sizes.items()] + [Wanted("new", size=200)])
    bench.destination.seed([Wanted(name, text=f"as {name} was") for name in names])
    seconds = {"newer": "05", "same": "04", "older": "03"}
    for name in names:
        for side, second in ((bench.source, seconds[name.split()[0]]), (bench.destination, "04")):
            side.domain.run("touch", "-d", f"2020-01-01 12:00:{second}", f"{side.inside}/{name}")
    before = bench.destination.tree()
    counters = bench.copy(overwrite_mode=OverwriteMode.IF_NEWER, compare_by=compare_by).counters
    assert bench.watcher.failures == []
    source, after = bench.source.tree(), bench.destination.tree()
    assert {path: after[path] for path in ("older", "same", "older large")} == {
        path: before[path] for path in ("older", "same", "older large")
    }
    assert all(after[path].sha256 == source[path].sha256 for path in ("newer", "newer large", "new"))
    assert (counters.files.transferred, counters.files.skipped) == (3, 3)
    again = bench.copy(overwrite_mode=OverwriteMode.IF_NEWER, compare_by=compare_by).counters
    assert (again.files.transferred, again.bytes.written) == (0, 0)


def test_what_only_the_destination_has_stays_by_default(bench: Bench) -> None:
    bench.source.seed([Wanted("new", size=1)])
    bench.destination.seed([Wanted("old/f", size=10), Wanted("old/empty", kind="directory")])
    before = bench.destination.tree()
    counters = bench.copy().counters
    after = bench.destination.tree()
    assert {path: entry for path, entry in after.items() if path != "new"} == before
    assert (counters.files.to_delete, counters.files.deleted, counters.directories.deleted) == (0, 0, 0)
    assert dict(bench.watcher.phases)["delete"] == "Skipped"


@pytest.mark.parametrize(
    ("limit", "allowed"), [(4, True), (3, False), (0, False), ("80%", True), ("79.9%", False), ("100%", True)]
)
def test_at_most_so_many_are_deleted_or_none(bench: Bench, limit: str | int, *, allowed: bool) -> None:
    bench.source.seed([Wanted("keep", size=1), Wanted("new", size=2)])
    bench.destination.seed([Wanted("keep", size=1), Wanted("x", size=1), Wanted("d/y", size=1), Wanted("z", size=1)])
    before = bench.destination.tree()
    if not allowed:
        with pytest.raises(EngineError) as caught:
            bench.copy(deleted_files=DeletedFiles.REMOVE, max_deletes=limit)
        assert caught.value.reason == "MaxDeletesExceeded"
        assert before.keys() <= bench.destination.tree().keys()
        assert dict(bench.watcher.phases)["delete"] == "Failed"
    else:
        counters = bench.copy(deleted_files=DeletedFiles.REMOVE, max_deletes=limit).counters
        assert set(bench.destination.tree()) == {"keep", "new"}
        assert (counters.files.deleted, counters.directories.deleted) == (3, 1)


def test_nothing_is_deleted_after_an_incomplete_listing_of_the_source(bench: Bench) -> None:
    bench.source.seed([Wanted("f", size=1), Wanted("dark/g", size=1)])
    bench.destination.seed([Wanted("old", size=1), Wanted("dark/g", size=1), Wanted("dark/h", size=1)])
    before = bench.destination.tree()
    set_ntacl(bench.source, "dark", NOBODY_BUT_ADMINISTRATORS)
    with pytest.raises(EngineError) as caught:
        bench.copy(**REMOVE_ALL)
    assert caught.value.reason == "SourceListingIncomplete"
    assert bench.watcher.reasons == {"/dark": "AccessDenied"}
    after = bench.destination.tree()
    assert {path: after[path] for path in before if after[path].kind == "file"} == {
        path: entry for path, entry in before.items() if entry.kind == "file"
    }


@pytest.mark.parametrize("links", Links)
def test_a_reparse_point_is_skipped_or_fails_and_is_never_followed(bench: Bench, domain: Domain, links: Links) -> None:
    """Of a DFS namespace's links, which Samba shows as reparse points; it follows symbolic links by itself."""
    with domain.directory("dfs") as source:
        source.seed([Wanted("f", size=10), Wanted("d/g", size=10)])
        domain.run("ln", "-s", f"msdfs:{domain.server}\\src", f"{source.inside}/d/link")
        ends = bench.tickets.endpoint("dfs", source.path), bench.ends()[1]
        result = copy(bench, ends=ends, links=links)
        assert set(bench.destination.tree()) == {"f", "d", "d/g"}
    fails = links is not Links.SKIP
    assert [(one.path, one.what) for one in bench.watcher.left] == [("/d/link", "Link")]
    assert bench.watcher.reasons == ({"/d/link": "ReparsePointSkipped"} if fails else {})
    assert result.outcome is (Outcome.PARTIALLY_SUCCEEDED if fails else Outcome.SUCCEEDED)
    left_out = [(record.path, record.left_out) for record in bench.watcher.records if record.action == "LeftOut"]
    assert left_out == ([] if fails else [("/d/link", "Link")])
    assert result.counters.directories.links + result.counters.files.links == len(left_out)
    assert result.counters.files.skipped == 0


def test_a_server_without_links_refuses_one_in_a_way_that_is_known(bench: Bench) -> None:
    """Samba 4.17 has no reparse points over SMB, so no run can copy one to it: it is named."""
    bench.destination.seed([Wanted("f", size=0)])
    side = connect(bench.tickets.endpoint(bench.destination.share, "/"))
    link = Link(SYMLINK, "..\\target", "..\\target", relative=True)
    try:

        async def make() -> None:
            opened, setting, getting, _ = await side.channel.session.call(
                open_request(f"{bench.destination.name}\\f", access=SET_ACCESS),
                set_request(link),
                get_request(),
                close_request(),
            )
            assert (opened.status, getting.status) == (0, NtStatus.NOT_A_REPARSE_POINT)
            check_set(setting, link)

        with pytest.raises(LinkNotCarriedError, match="stores no links") as caught:
            Driver([side.channel]).run(make())
        assert caught.value.never
    finally:
        side.channel.close()
    assert set(bench.destination.tree()) == {"f"}


@pytest.mark.parametrize(("wanted", "share_of_it"), [(ServerSideCopy.AUTO, 1), (ServerSideCopy.NEVER, 0)])
def test_a_server_copies_large_files_by_itself_unless_told_not_to(
    bench: Bench, wanted: ServerSideCopy, share_of_it: int
) -> None:
    share = bench.destination.share
    with bench.destination.domain.directory(share) as source:
        source.seed([Wanted("large", size=9 * MIB + 5), Wanted("small", size=100)])
        ends = bench.tickets.endpoint(share, source.path), bench.ends()[1]
        counters = copy(bench, ends=ends, server_side_copy=wanted).counters
        assert bench.watcher.failures == []
        assert differences(source.tree(), bench.destination.tree(), times=True) == []
    assert counters.bytes.server_side == share_of_it * (9 * MIB + 5)
    assert counters.bytes.written == 9 * MIB + 105
    assert counters.files.verified == 2


def scene(bench: Bench) -> None:
    """One of each: new, changed, other time, same, denied, names only one side has, folders of each kind."""
    bench.source.seed(
        [
            Wanted("same/one", size=1_000), Wanted("same/two", size=2_000), Wanted("changed", size=3_000),
            Wanted("touched", size=4_000), Wanted("new", size=5_000), Wanted("large", size=3 * MIB),
            Wanted("fresh/empty", size=0), Wanted("fresh/hollow", kind="directory"), Wanted("denied", size=6_000),
        ]
    )  # fmt: skip
    bench.copy(include=("/same", "/changed", "/touched"))
    bench.source.write("changed", b"x" * 3_500)
    bench.source.domain.run("touch", "-d", "2010-10-10 10:10:10", f"{bench.source.inside}/touched")
    bench.destination.seed([Wanted("gone/deep/f", size=7), Wanted("gone/g", size=8), Wanted("stray", size=9)])
    set_ntacl(bench.source, "denied", NOBODY_BUT_ADMINISTRATORS)


def test_every_counter_is_what_the_trees_say(bench: Bench) -> None:
    scene(bench)
    result = bench.copy(**REMOVE_ALL)
    files, folders, content = result.counters.files, result.counters.directories, result.counters.bytes
    assert bench.watcher.reasons == {"/denied": "AccessDenied"}
    assert (files.listed, files.listed_destination) == (8, 7)
    assert (files.to_transfer, files.transferred, files.verified) == (6, 5, 5)
    assert (files.skipped, files.failed) == (2, 1)
    assert (files.to_delete, files.deleted) == (3, 3)
    assert (folders.listed, folders.listed_destination) == (4, 3)  # the root is one that can't be deleted
    assert (folders.to_transfer, folders.transferred, folders.skipped, folders.failed) == (3, 3, 1, 0)
    assert (folders.to_delete, folders.deleted) == (2, 2)
    moved = 3_500 + 4_000 + 5_000 + 3 * MIB
    assert (content.to_transfer, content.transferred, content.written) == (moved + 6_000, moved, moved)
    told = [(record.kind, record.action) for record in bench.watcher.records]
    assert told.count(("File", "Transferred")) == files.transferred
    assert told.count(("File", "Skipped")) == files.skipped
    assert told.count(("File", "Deleted")) == files.deleted
    assert told.count(("Directory", "Transferred")) == folders.transferred
    assert told.count(("Directory", "Deleted")) == folders.deleted
    assert result.failures == {"AccessDenied": 1}
    ours = bench.source.tree()
    del ours["denied"]
    assert differences(ours, bench.destination.tree(), times=True) == []


@pytest.mark.parametrize(
    "options",
    [{}, {"transfer_mode": TransferMode.ALL}, {"compare_by": CompareBy.CHECKSUM, **REMOVE_ALL}, REMOVE_ALL],
    ids=["default", "all", "checksum and remove", "remove"],
)
def test_a_dry_run_tells_the_runs_own_counts_and_changes_nothing(bench: Bench, options: dict[str, Any]) -> None:
    scene(bench)
    before = bench.destination.tree()
    dry = bench.copy(dry_run=True, **options).counters
    assert bench.destination.tree() == before
    assert (dry.files.transferred, dry.files.deleted, dry.bytes.written) == (0, 0, 0)
    wet = bench.copy(**options).counters
    for ours, theirs in ((dry.files, wet.files), (dry.directories, wet.directories)):
        for name in ("listed", "listed_destination", "to_transfer", "skipped", "to_delete"):
            assert getattr(ours, name) == getattr(theirs, name), name
    assert dry.bytes.to_transfer == wet.bytes.to_transfer


def test_a_limit_is_kept_and_a_changed_one_is_in_effect_at_once(bench: Bench) -> None:
    """First 8 MiB/s, from the third second on 2 MiB/s, from the sixth on none."""
    bench.source.seed([Wanted("large", size=300 * MIB), *small(40, size=200_000)])
    seen: list[tuple[float, int]] = []
    began = time.monotonic()

    def limit() -> int | None:
        passed = time.monotonic() - began
        return 8 * MIB if passed < 3 else 2 * MIB if passed < 6 else None

    def watch(counters: Counters) -> None:
        seen.append((time.monotonic() - began, counters.bytes.transferred))

    options = Options(security_descriptors=SecurityDescriptors.NONE, bytes_per_second=1)
    source, destination = bench.ends()
    transfer(source, destination, options, Watcher(on_progress=watch), control=Control(bytes_per_second=limit))
    took = time.monotonic() - began
    assert differences(bench.source.tree(), bench.destination.tree(), times=True) == []
    at = _moved_by(seen)
    assert 4 * MIB < at(3.0) < 40 * MIB
    assert at(6.0) - at(3.5) < 12 * MIB
    assert took < 36, "300 MiB at 8 MiB/s take 37 s, at 2 MiB/s more than two minutes"


def _moved_by(seen: list[tuple[float, int]]) -> Callable[[float], int]:
    return lambda moment: max((moved for when, moved in seen if when <= moment), default=0)
