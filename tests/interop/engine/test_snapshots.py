"""A source that is read as of a snapshot of the member server, whose shares keep them by vfs_shadow_copy2."""

from __future__ import annotations

import contextlib
import itertools
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from lab.support.domain.machine import SHARES
from lab.support.domain.trees import Wanted, differences, small
from tests.interop.engine.support import held
from tests.interop.engine.tickets import Watcher

from smbferry_engine import (
    ChosenSnapshot,
    DeletedFiles,
    EngineError,
    Options,
    Outcome,
    SecurityDescriptors,
    SnapshotUse,
    VerifyMode,
    choose_snapshot,
    transfer,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.domain.domain import Domain, User
    from lab.support.domain.machine import Directory
    from lab.support.domain.member import Member
    from tests.interop.engine.support import Bench
    from tests.interop.engine.tickets import Tickets

    from smbferry_engine import Endpoint, Result

pytestmark = pytest.mark.takes(60)
ON_MEMBER = pytest.mark.parametrize("host", ["fs1"], indirect=True)

MIB = 1 << 20
LARGE = 37 * MIB + 5
REMOVES: dict[str, Any] = {"deleted_files": DeletedFiles.REMOVE, "max_deletes": "100%"}
# The future is this test's own: snapshots of other tests are of the past.
_HOURS = itertools.count(secrets.randbelow(100_000))


def ahead() -> datetime:
    """A time later than that of any other snapshot of the share."""
    return datetime(2200, 1, 1, tzinfo=UTC) + timedelta(hours=next(_HOURS))


def at(source: Endpoint, time: datetime) -> Endpoint:
    return replace(source, snapshot=time)


def copied(bench: Bench, time: datetime, **options: Any) -> Result:
    """A run that reads a snapshot; the witness of a bench looks at the files as they are, so it is left out."""
    source, destination = bench.ends()
    return bench.copy(ends=(at(source, time), destination), expected=None, **options)


@pytest.mark.fault(180)
@ON_MEMBER
@pytest.mark.parametrize("verify", VerifyMode)
def test_what_changed_was_deleted_or_is_held_since_the_snapshot_arrives_as_of_it(
    bench: Bench, member: Member, verify: VerifyMode
) -> None:
    source = bench.source
    mixed = (Wanted("changed", size=100), Wanted("empty", kind="directory"), Wanted("large held", size=3 * MIB))
    source.seed(
        [Wanted("held", size=900), Wanted("large", size=3 * MIB), Wanted("folder/gone", size=5), *small(30), *mixed]
    )
    before = source.tree()
    with member.snapshot(source, ahead()) as token, held(bench, "held"), held(bench, "large held"):
        source.seed([Wanted("changed", size=100, version=1), Wanted("new", size=5), Wanted("large", size=7, version=1)])
        source.remove("folder/gone")
        for transferred in (35, 0):
            result = copied(bench, moment(token), verify_mode=verify, **REMOVES)
            assert (bench.watcher.failures, result.outcome) == ([], Outcome.SUCCEEDED)
            assert result.counters.files.transferred == transferred
            assert differences(before, bench.destination.tree(), times=True) == []


@ON_MEMBER
def test_owner_and_access_list_are_those_of_the_snapshot(bench: Bench, member: Member) -> None:
    source, everyone = bench.source, "(A;OICI;0x1200a9;;;{Domain Users})(A;OICI;0x1f01ff;;;BA)"
    source.seed([Wanted("open/f", size=5), Wanted("large", size=3 * MIB)])
    described = dict.fromkeys(("open", "open/f", "large"), f"O:{{svc-src}}G:{{Domain Users}}D:PAI{everyone}")
    member.describe(source, described)
    before = member.look(source)
    with member.snapshot(source, ahead()) as token:
        member.describe(source, dict.fromkeys(described, "O:BAG:DUD:PAI(A;OICI;0x1f01ff;;;BA)"))
        result = copied(bench, moment(token), security_descriptors=SecurityDescriptors.OWNER_DACL)
    assert (bench.watcher.failures, result.outcome) == ([], Outcome.SUCCEEDED)
    after = member.look(bench.destination)
    for path, key in itertools.product(described, ("owner", "group", "dacl")):
        assert (path, key, after[path][key]) == (path, key, before[path][key])


@ON_MEMBER
def test_a_run_with_a_newer_snapshot_moves_only_the_difference(bench: Bench, member: Member) -> None:
    source = bench.source
    source.seed([*small(40), Wanted("gone", size=5), Wanted("changed", size=5)])
    with member.snapshot(source, ahead()) as first:
        copied(bench, moment(first), **REMOVES)
    source.seed([Wanted("changed", size=6, version=1), Wanted("new", size=7)])
    source.remove("gone")
    before = source.tree()
    with member.snapshot(source, ahead()) as second:
        source.seed([Wanted("newer", size=8)])
        chosen = choose_snapshot(bench.ends()[0], SnapshotUse.LATEST)
        assert (chosen.time, chosen.age) == (moment(second), timedelta())
        result = copied(bench, moment(second), **REMOVES)
    assert bench.watcher.failures == []
    assert (result.counters.files.transferred, result.counters.files.deleted) == (2, 1)
    assert result.counters.bytes.transferred == 13
    assert differences(before, bench.destination.tree(), times=True) == []


@pytest.mark.fault(181)
@ON_MEMBER
@pytest.mark.parametrize("large", [False, True], ids=["many files", "a large file"])
def test_a_snapshot_that_is_removed_during_the_run_is_told_once_and_deletes_nothing(
    bench: Bench, member: Member, large: bool
) -> None:
    source, destination = bench.ends()
    bench.source.seed([Wanted("large", size=LARGE)] if large else small(4000, size=2000))
    bench.destination.seed([Wanted("extra", size=5)])
    before = bench.source.tree()
    with member.snapshot(bench.source, ahead()) as token:
        place = f"{SHARES}/snapshots/{bench.source.share}/{token}"

        def remove(counters: Any) -> None:
            if counters.bytes.transferred:
                watcher.on_progress = lambda _counters: None
                member.run("mv", place, f"{place}-gone")

        watcher = Watcher(on_progress=remove)
        limit = 4 * MIB if large else MIB
        options = Options(security_descriptors=SecurityDescriptors.NONE, bytes_per_second=limit, **REMOVES)
        try:
            with pytest.raises(EngineError) as caught:
                transfer(at(source, moment(token)), destination, options, watcher)
        finally:
            member.run("rm", "-rf", "--", f"{place}-gone")
    assert (caught.value.reason, watcher.failures) == ("SnapshotGone", [])
    found = bench.destination.tree()
    assert "extra" in found
    for path, entry in found.items():
        if path != "extra" and ".smbferry" not in path and entry.kind == "file":
            assert entry.sha256 == before[path].sha256
    with pytest.raises(EngineError) as again:
        choose_snapshot(source, SnapshotUse.LATEST, ChosenSnapshot(moment(token)))
    assert again.value.reason == "SnapshotGone"


@ON_MEMBER
def test_a_time_that_does_not_exist_is_answered_with_the_nearest_ones(bench: Bench, member: Member) -> None:
    (source, _), noon = bench.ends(), ahead()
    with member.snapshot(bench.source, noon), member.snapshot(bench.source, noon + timedelta(minutes=2)):
        assert choose_snapshot(source, noon).time == noon
        with pytest.raises(EngineError) as caught:
            choose_snapshot(source, noon + timedelta(minutes=1))
    assert caught.value.reason == "SnapshotNotFound"
    near = f"nearest: {noon:%Y-%m-%dT%H:%M:%SZ} and {noon + timedelta(minutes=2):%Y-%m-%dT%H:%M:%SZ}"
    assert caught.value.message.endswith(near)


@pytest.mark.parametrize("host", ["dc1"], indirect=True)
def test_a_share_without_snapshots_is_read_as_it_is_or_refused(bench: Bench) -> None:
    """The domain controller's shares have no module that knows snapshots."""
    source, _ = bench.ends()
    chosen = choose_snapshot(source, SnapshotUse.LATEST)
    assert chosen.time is None
    assert "INVALID_DEVICE_REQUEST" in chosen.message
    for wanted in (SnapshotUse.REQUIRED, ahead()):
        with pytest.raises(EngineError) as caught:
            choose_snapshot(source, wanted)
        assert caught.value.reason == "SnapshotNotFound"


@ON_MEMBER
def test_what_lies_in_a_folder_that_was_deleted_since_is_named_as_the_server_opens_none_of_it(
    bench: Bench, member: Member
) -> None:
    """Samba 4.17 looks for the folder in the share as it is; smbclient does not get at such a file either."""
    bench.source.seed([Wanted("gone/f", size=5), Wanted("gone/deep/g", size=5), Wanted("stays/f", size=5)])
    bench.destination.seed([Wanted("extra", size=5)])
    before = bench.source.tree()
    with member.snapshot(bench.source, ahead()) as token:
        bench.source.remove("gone")
        with pytest.raises(EngineError) as caught:
            copied(bench, moment(token), **REMOVES)
        shown = member.smbclient(
            bench.tickets.reader.name, bench.source.share, f"get {token}{bench.source.path}/gone/f -", check=False
        )
        assert "OBJECT_PATH_NOT_FOUND" in shown.text
        assert caught.value.reason == "SourceListingIncomplete"
        assert bench.watcher.reasons == {"/gone/f": "FileVanished", "/gone/deep": "FileVanished"}
        assert all("the snapshot is there" in failure.message for failure in bench.watcher.failures)
        assert bench.destination.tree().keys() >= {"extra", "stays/f"}
        # What the runbook says to do.
        bench.source.seed([Wanted("gone/deep", kind="directory")])
        copied(bench, moment(token), **REMOVES)
    assert (bench.watcher.failures, differences(before, bench.destination.tree())) == ([], [])


@pytest.fixture
def one_server(domain: Domain, member: Member, tickets: Tickets) -> Iterator[tuple[Directory, Directory, User]]:
    """Two folders of one share, and an account for both."""
    with contextlib.ExitStack() as stack:
        user = stack.enter_context(domain.user("src-readers", "dst-writers", prefix="both"))
        source, destination = (stack.enter_context(member.directory("acl-both")) for _ in range(2))
        yield source, destination, user


@pytest.mark.parametrize("verify", [VerifyMode.NONE, VerifyMode.ONLY_FILES_TRANSFERRED])
def test_a_server_copies_from_its_snapshot_by_itself(
    one_server: tuple[Directory, Directory, User], member: Member, tickets: Tickets, verify: VerifyMode
) -> None:
    source, destination, user = one_server
    source.seed([Wanted("large", size=LARGE), *small(5)])
    before, watcher = source.tree(), Watcher()
    ends = [tickets.endpoint("acl-both", directory.path, user=user) for directory in (source, destination)]
    options = Options(security_descriptors=SecurityDescriptors.NONE, verify_mode=verify)
    with member.snapshot(source, ahead()) as token:
        source.seed([Wanted("large", size=LARGE, version=1)])
        result = transfer(at(ends[0], moment(token)), ends[1], options, watcher)
    assert (watcher.failures, result.counters.bytes.server_side) == ([], LARGE)
    assert differences(before, destination.tree(), times=True) == []


def moment(token: str) -> datetime:
    """The time of a token."""
    return datetime.strptime(token, "@GMT-%Y.%m.%d-%H.%M.%S").replace(tzinfo=UTC)
