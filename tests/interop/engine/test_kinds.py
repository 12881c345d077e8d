"""Names and kinds on a real server: what changed them at the source, and what the destination keeps otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from lab.support.domain.file_server import FileServer
from lab.support.domain.trees import Wanted
from tests.interop.engine.tickets import Watcher

from smbferry_engine import CompareBy, DeletedFiles, EngineError, Outcome, SystemFolders, VerifyMode
from smbferry_engine.times import UNITS_PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.support.domain.domain import Domain
    from tests.interop.engine.support import Bench

    from smbferry_engine import FileRecord

REMOVE: dict[str, Any] = {"deleted_files": DeletedFiles.REMOVE, "max_deletes": "100%"}


@dataclass
class Meddler(Watcher):
    """An observer that does something when the first file is recorded, and when the deletions begin."""

    at_first: Callable[[], object] = lambda: None
    before_deleting: Callable[[], object] = lambda: None

    def record(self, record: FileRecord) -> None:
        if not self.records:
            self.at_first()
        super().record(record)

    def phase(self, name: str, state: str) -> None:
        super().phase(name, state)
        if (name, state) == ("delete", "Running"):
            self.before_deleting()


def move(bench: Bench, old: str, new: str) -> None:
    """Rename at the source, on the server's disk."""
    bench.source.domain.run("mv", f"{bench.source.inside}/{old}", f"{bench.source.inside}/{new}")


@pytest.mark.parametrize("compare_by", CompareBy)
@pytest.mark.parametrize("verify", [VerifyMode.ONLY_FILES_TRANSFERRED, VerifyMode.POINT_IN_TIME_CONSISTENT])
def test_a_name_of_which_only_the_case_changed_is_renamed(
    bench: Bench, compare_by: CompareBy, verify: VerifyMode
) -> None:
    bench.source.seed([Wanted("readme.txt", size=10), Wanted("Straße/inner/file", size=20), Wanted("ärger", size=30)])
    bench.copy()
    for old, new in (("readme.txt", "README.TXT"), ("Straße", "sTRAßE"), ("ärger", "Ärger")):
        move(bench, old, new)
    result = bench.copy(compare_by=compare_by, verify_mode=verify, **REMOVE)
    assert bench.watcher.reasons == {}, bench.watcher.failures
    bench.same()
    assert set(bench.destination.tree()) == {"README.TXT", "sTRAßE", "sTRAßE/inner", "sTRAßE/inner/file", "Ärger"}
    files, folders = result.counters.files, result.counters.directories
    assert (files.renamed, folders.renamed, files.transferred, files.deleted) == (2, 1, 0, 0)


def change_kinds(bench: Bench) -> None:
    """A file becomes a folder, a folder a file; something else goes."""
    bench.source.seed([Wanted("to folder", size=10), Wanted("to file/deep/er", size=20), Wanted("old", size=5)])
    bench.copy()
    for name in ("to folder", "to file", "old"):
        bench.source.domain.run("rm", "-r", f"{bench.source.inside}/{name}")
    bench.source.seed([Wanted("to folder/a/b", size=30), Wanted("to file", size=2_000_000)])


@pytest.mark.parametrize("verify", VerifyMode)
def test_what_changed_its_kind_is_replaced_where_the_mirror_deletes(bench: Bench, verify: VerifyMode) -> None:
    change_kinds(bench)
    result = bench.copy(verify_mode=verify, **REMOVE)
    bench.same()
    files, folders = result.counters.files, result.counters.directories
    assert (files.deleted, folders.deleted, files.transferred) == (3, 2, 2)
    again = bench.copy(verify_mode=verify, **REMOVE)
    assert (again.counters.files.transferred, again.counters.files.deleted) == (0, 0)


def test_what_changed_its_kind_stays_and_is_named_where_nothing_is_deleted(bench: Bench) -> None:
    change_kinds(bench)
    before = bench.destination.tree()
    result = bench.copy()
    assert result.outcome is Outcome.PARTIALLY_SUCCEEDED
    assert bench.watcher.reasons == {"/to folder": "TypeConflict", "/to file": "TypeConflict"}
    assert bench.destination.tree() == before


def test_what_changed_its_kind_counts_toward_the_limit(bench: Bench) -> None:
    change_kinds(bench)
    before = bench.destination.tree()
    with pytest.raises(EngineError) as caught:
        bench.copy(deleted_files=DeletedFiles.REMOVE, max_deletes=4)
    assert caught.value.reason == "MaxDeletesExceeded"
    assert bench.destination.tree() == before


def test_a_name_that_comes_back_before_the_deletions_stays(bench: Bench) -> None:
    bench.source.seed([Wanted("back/file", size=10), Wanted("gone/file", size=10), Wanted("stays", size=10)])
    bench.copy()
    bench.source.domain.run("rm", "-r", f"{bench.source.inside}/back", f"{bench.source.inside}/gone")
    bench.watcher = Meddler(before_deleting=lambda: bench.source.seed([Wanted("back/file", size=10)]))
    bench.copy(expected=None, **REMOVE)
    assert set(bench.destination.tree()) == {"back", "back/file", "stays"}
    assert bench.watcher.reasons == {"/back": "SourceChanged", "/back/file": "SourceChanged"}


def test_a_folder_that_vanishes_during_the_run_counts_as_gone(bench: Bench, domain: Domain) -> None:
    """The first one in the server's own order is the last one that is listed."""
    bench.source.seed([Wanted(f"folder {number}/sub/file", size=10) for number in range(200)])
    bench.copy()
    first = domain.run("ls", "-U", bench.source.inside).text.splitlines()[0]
    bench.watcher = Meddler(at_first=lambda: bench.source.remove(first))
    bench.copy(expected=None, **REMOVE)
    bench.same()
    assert first not in bench.destination.tree()


def test_names_that_only_the_destination_tells_apart_are_neither_overwritten_nor_deleted(
    bench: Bench, domain: Domain
) -> None:
    bench.source.seed([Wanted("README", size=10), Wanted("Notes", size=20)])
    bench.destination.seed([Wanted("readme", size=7), Wanted("README", size=8), Wanted("notes", size=9)])
    with FileServer(domain, "case sensitive = yes").running() as server:
        source, destination = bench.ends()
        bench.copy(ends=(source, server.through(destination)), expected=None, **REMOVE)
    there = bench.destination.tree()
    assert {path: entry.size for path, entry in there.items()} == {"readme": 7, "README": 10, "Notes": 20}
    assert bench.watcher.reasons == {"/readme": "CaseCollision"}


def test_a_destination_that_rounds_times_gets_nothing_twice_within_the_window(bench: Bench, domain: Domain) -> None:
    bench.source.seed([Wanted("a/one", size=10), Wanted("a/two", size=2_000_000), Wanted("three", size=30)])
    for path, second in (("a/one", "11.1234567"), ("a/two", "12.5"), ("three", "13.9"), ("a", "15.3")):
        bench.source.domain.run("touch", "-d", f"2020-02-02 02:02:{second}", f"{bench.source.inside}/{path}")
    rounding = FileServer(domain, "dos filetime resolution = yes")
    with domain.directory("dst") as there, rounding.running() as server:
        ends = bench.ends()[0], server.through(bench.tickets.endpoint("dst", there.path))
        for options in ({}, {"verify_mode": VerifyMode.POINT_IN_TIME_CONSISTENT}, {"compare_by": CompareBy.CHECKSUM}):
            bench.copy(ends=ends, expected=None, modify_window=2 * UNITS_PER_SECOND, **options)
            assert bench.watcher.failures == []
        assert [record for record in bench.watcher.records if record.action == "Transferred"] == []
        without = bench.copy(ends=ends, expected=None).counters.files
        assert without.rounded_times == without.transferred > 0


def test_a_servers_own_folders_are_left_out_unless_told_otherwise(bench: Bench, domain: Domain) -> None:
    """At the root of the share, of which the filter shows no more than such a folder."""
    with domain.directory("src", "$RECYCLE.BIN") as own:
        own.seed([Wanted("file", size=10)])
        ends = bench.tickets.endpoint("src", "/"), bench.ends()[1]
        skipped = bench.copy(ends=ends, expected=None, include=("/$REC*",), exclude=("*.tmp",))
        assert bench.destination.tree() == {}
        assert skipped.counters.directories.system == 1
        bench.copy(ends=ends, expected=None, include=("/$REC*",), system_folders=SystemFolders.COPY)
        assert set(bench.destination.tree()) == {"$RECYCLE.BIN", "$RECYCLE.BIN/file"}
        assert bench.watcher.failures == []
